/* The frame: brand, sections, and the one live region. A section that was opened stays, hidden, with all that it does. */

import { useEffect } from 'preact/hooks';
import { useFocusOnSection } from './frame/focus.ts';
import { Install } from './frame/Install.tsx';
import { Notices } from './frame/Notices.tsx';
import { Privacy } from './frame/Privacy.tsx';
import { addressOf, place } from './route.ts';
import { SECTIONS, type Section, type SectionView } from './sections.tsx';
import { Logo } from './ui/icons.tsx';
import { lazy } from './ui/lazy.tsx';
import { announcement } from './ui/say.ts';

const PARTS: readonly { section: Section; Part: SectionView }[] = SECTIONS.map((section) => ({
  section,
  Part: lazy(section.name, section.load, section.meanwhile),
}));

const opened = new Set<Section>();

export function App() {
  const { view } = place.value;
  const shown = SECTIONS.find((section) => section.view === view) ?? SECTIONS[0]!;
  opened.add(shown);
  useTitle(shown);
  useFocusOnSection(shown.view);
  return (
    <div class={`page ${shown.view}-page`}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault(); // the address says which section is open
          document.getElementById('main')!.focus();
        }}
      >
        Skip to content
      </a>
      <header class="top">
        <p class="brand">
          <Logo /> <span>sotto</span>
        </p>
        <nav class="sections" aria-label="Sections">
          {SECTIONS.map(({ view: to, name, icon: Icon }) => (
            <a key={to} href={addressOf(to)} aria-current={shown.view === to ? 'page' : undefined}>
              <Icon /> <span>{name}</span>
            </a>
          ))}
        </nav>
        <div class="top-end">
          <Install />
          <Privacy />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Notices />
        {PARTS.map(
          ({ section, Part }) =>
            opened.has(section) && (
              <div key={section.view} id={section.view} class="section" hidden={section !== shown}>
                <Part active={section === shown} />
              </div>
            ),
        )}
      </main>
      <Live />
    </div>
  );
}

/** Says what is announced, each time once: `announcement` itself in the tree would be written a second time with the frame. */
function Live() {
  return (
    <div class="sr-only" role="status" aria-live="polite">
      {announcement.value}
    </div>
  );
}

function useTitle({ name, title, now }: Section): void {
  const own = now?.() || (title ? '' : name);
  const whole = own ? `${own} · sotto` : title!;
  useEffect(() => {
    document.title = whole;
  }, [whole]);
}
