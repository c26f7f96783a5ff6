/* The frame: brand, sections, and the one live region. A section that was opened stays, hidden, with all that it does. */

import { useEffect } from 'preact/hooks';
import { addressOf, place } from './route.ts';
import { SECTIONS, type Section } from './sections.tsx';
import { LockIcon, Logo } from './ui/icons.tsx';
import { LazySection } from './ui/LazySection.tsx';
import { announcement } from './ui/say.ts';

export function App() {
  const { view } = place.value;
  const shown = SECTIONS.find((section) => section.view === view) ?? SECTIONS[0]!;
  useTitle(shown);
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
          <Logo /> sotto
        </p>
        <nav class="sections" aria-label="Sections">
          {SECTIONS.map(({ view: to, name, icon: Icon }) => (
            <a key={to} href={addressOf(to)} aria-current={shown.view === to ? 'page' : undefined}>
              <Icon /> {name}
            </a>
          ))}
        </nav>
        <p class="private">
          <LockIcon /> <span>Nothing leaves this device</span>
        </p>
      </header>
      <main id="main" tabIndex={-1}>
        {SECTIONS.map((section) => (
          <SectionFrame key={section.view} section={section} active={section === shown} />
        ))}
      </main>
      <Live />
    </div>
  );
}

function SectionFrame({ section, active }: { section: Section; active: boolean }) {
  const { view, part } = section;
  if ('load' in part) return <LazySection section={section} load={part.load} active={active} />;
  return (
    <div id={view} class="section" hidden={!active}>
      <part.is active={active} />
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
