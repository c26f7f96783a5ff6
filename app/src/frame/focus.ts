import { useEffect, useRef } from 'preact/hooks';

const WAIT_MS = 5000; // for the code of a section

/** When another section is shown, the keyboard and those who hear the page go on from its heading, which may come a moment later. */
export function useFocusOnSection(view: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    const from = document.activeElement;
    const focus = (): boolean => {
      const heading = document.querySelector<HTMLElement>(`#${view} h1`);
      // Who went on to something else meanwhile is left there.
      if (heading && (document.activeElement === from || document.activeElement === document.body)) {
        heading.focus({ preventScroll: true });
      }
      return heading !== null;
    };
    if (focus()) return;
    const watch = new MutationObserver(() => focus() && watch.disconnect());
    watch.observe(document.getElementById('main')!, { childList: true, subtree: true });
    const timer = setTimeout(() => watch.disconnect(), WAIT_MS);
    return () => {
      clearTimeout(timer);
      watch.disconnect();
    };
  }, [view]);
}
