/* What the page has to say about itself: a new version, more threads after a reload, a seal that does not hold. */

import { AgainIcon, WarnIcon } from '../ui/icons.tsx';
import { reload, threadsOffered, updateReady } from './service.ts';
import { seal } from './seal.ts';

export function Notices() {
  const { at } = seal.value;
  return (
    <>
      {at === 'broken' && (
        <p class="notice bad" role="alert" data-testid="seal-broken">
          <WarnIcon />
          <span>The page is not sealed: this browser did not stop a request that it should have. What was tried is behind the lock above.</span>
        </p>
      )}
      {updateReady.value ? (
        <Offer text="A new version is ready." />
      ) : (
        threadsOffered.value && <Offer text="After a reload the engine uses all cores, and is faster." />
      )}
    </>
  );
}

function Offer({ text }: { text: string }) {
  return (
    <p class="notice good" role="status" data-testid="offer">
      <AgainIcon />
      <span>{text}</span>
      <button type="button" class="button small" onClick={reload}>
        Reload
      </button>
    </p>
  );
}
