/* Parts of the page whose code comes when they are shown first. */

import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { WarnIcon } from './icons.tsx';

type Code<P> = { at: 'none' } | { at: 'wanted' } | { at: 'failed' } | { at: 'here'; Part: ComponentType<P> };

/** A component that fetches itself, and says so, or shows `Meanwhile`. `name` begins the sentences. */
export function lazy<P extends object>(
  name: string,
  load: () => Promise<ComponentType<P>>,
  Meanwhile?: ComponentType,
): ComponentType<P> {
  const code = signal<Code<P>>({ at: 'none' });
  const fetchCode = async () => {
    code.value = { at: 'wanted' };
    try {
      code.value = { at: 'here', Part: await load() };
    } catch (error) {
      console.warn(error);
      code.value = { at: 'failed' };
    }
  };
  return function Lazy(props: P) {
    const now = code.value;
    useEffect(() => {
      if (now.at === 'none') void fetchCode();
    }, [now]);
    if (now.at === 'here') return <now.Part {...props} />;
    if (now.at === 'failed') {
      return (
        <div class="notice bad" role="alert">
          <WarnIcon />
          <span>{name} could not be fetched. Check the connection, then reload the page.</span>
          <button type="button" class="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      );
    }
    if (Meanwhile) return <Meanwhile />;
    return (
      <p class="hint wait" role="status">
        Opening {name}…
      </p>
    );
  };
}
