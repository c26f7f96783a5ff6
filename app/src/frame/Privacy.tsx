/* The lock in the header: what may leave this page, said in a word; behind it, how that is made sure of. */

import { useState } from 'preact/hooks';
import { Dialog } from '../ui/Dialog.tsx';
import { LockIcon, SealedIcon } from '../ui/icons.tsx';
import { lazy } from '../ui/lazy.tsx';
import { sealed } from './seal.ts';

const PrivacyDialog = lazy('This', async () => (await import('./PrivacyDialog.tsx')).PrivacyDialog);

export function Privacy() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        class={sealed.value ? 'private sealed' : 'private'}
        aria-haspopup="dialog"
        data-testid="privacy"
        onClick={() => setOpen(true)}
      >
        {sealed.value ? <SealedIcon /> : <LockIcon />}
        {sealed.value ? (
          <span>
            Sealed<span class="long">: no request can leave this page</span>
          </span>
        ) : (
          <span>Nothing leaves this device</span>
        )}
      </button>
      <Dialog open={open} close={() => setOpen(false)} title="What leaves this page">
        <PrivacyDialog />
      </Dialog>
    </>
  );
}
