/* A section whose code comes when it is opened first, and which stays from then on. */

import { signal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Section, SectionView } from '../sections.tsx';
import { WarnIcon } from './icons.tsx';

type Code = { at: 'none' } | { at: 'wanted' } | { at: 'failed' } | { at: 'here'; View: SectionView };

const codes = new Map<string, Signal<Code>>();

function codeOf(view: string): Signal<Code> {
  let code = codes.get(view);
  if (!code) codes.set(view, (code = signal<Code>({ at: 'none' })));
  return code;
}

async function fetchCode(code: Signal<Code>, load: () => Promise<SectionView>): Promise<void> {
  code.value = { at: 'wanted' };
  try {
    code.value = { at: 'here', View: await load() };
  } catch (error) {
    console.warn(error);
    code.value = { at: 'failed' };
  }
}

interface Props {
  section: Section;
  load: () => Promise<SectionView>;
  active: boolean;
}

export function LazySection({ section: { view, name }, load, active }: Props) {
  const code = codeOf(view);
  const now = code.value;
  useEffect(() => {
    if (active && now.at === 'none') void fetchCode(code, load);
  }, [active, now]);
  if (now.at === 'none') return null;
  return (
    <div id={view} class="section" hidden={!active}>
      {now.at === 'here' ? (
        <now.View active={active} />
      ) : now.at === 'wanted' ? (
        <p class="hint section-wait" role="status">
          Opening {name}…
        </p>
      ) : (
        <div class="notice bad" role="alert">
          <WarnIcon />
          <span>{name} could not be fetched. Check the connection, then reload the page.</span>
          <button type="button" class="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      )}
    </div>
  );
}
