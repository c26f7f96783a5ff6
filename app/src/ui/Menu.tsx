/* A button that shows a few more buttons. Escape, a choice, or going elsewhere hides them. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

export function Menu({ label, icon, children }: { label: string; icon: ComponentChildren; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('pointerdown', outside);
    addEventListener('focusin', outside);
    return () => {
      removeEventListener('pointerdown', outside);
      removeEventListener('focusin', outside);
    };
  }, [open]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      setOpen(false);
      button.current!.focus();
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const items = [...box.current!.querySelectorAll<HTMLButtonElement>('.menu-items button:not(:disabled)')];
    const at = items.indexOf(document.activeElement as HTMLButtonElement);
    items.at((at + by + (at < 0 && by < 0 ? 1 : 0)) % items.length)?.focus();
  };
  return (
    <div ref={box} class="menu" onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        class="button quiet icon-only"
        aria-label={label}
        title={label}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {icon}
      </button>
      {open && (
        <div
          class="menu-items card"
          onClick={() => {
            setOpen(false);
            button.current?.focus(); // the choice may have taken it away
          }}
        >
          {children}
        </div>
      )}
    </div>
  );
}
