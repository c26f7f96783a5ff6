/* A modal dialog: the browser's own, so that the keyboard stays in it, Escape closes it, and focus returns. */

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { CloseIcon } from './icons.tsx';

interface DialogProps {
  open: boolean;
  close: () => void;
  title: string;
  side?: 'left' | 'right' | undefined; // a sheet at the edge; else in the middle
  children: ComponentChildren;
}

export function Dialog({ open, close, title, side, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current!;
    if (open && !dialog.open) dialog.showModal();
    else if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      class={side ? `dialog sheet ${side}` : 'dialog'}
      aria-labelledby={id}
      onClose={close}
      onClick={(event) => event.target === event.currentTarget && close()}
    >
      {open && (
        <div class="dialog-inside">
          <header class="dialog-head">
            <h2 id={id}>{title}</h2>
            <button type="button" class="button quiet icon-only" aria-label="Close" onClick={close}>
              <CloseIcon />
            </button>
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}
