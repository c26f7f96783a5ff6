/* How little leaves this page, what a seal is, and the trials that show that it holds. */

import { CheckIcon, LockIcon, WarnIcon } from '../ui/icons.tsx';
import { canSeal, seal, sealPage, unsealPage, type Trial } from './seal.ts';

export function PrivacyDialog() {
  const now = seal.value;
  if (now.at === 'sealed' || now.at === 'broken') return <Sealed trials={now.trials} holds={now.at === 'sealed'} />;
  return (
    <div class="prose">
      <p>
        What you say, write or open stays in this browser. The page asks the network for its own files and for models, and its
        content security policy allows it no more.
      </p>
      <p>
        You need not take its word for it: seal it, and it can ask for nothing at all. What is on this device goes on working;
        models that are not here cannot be fetched until you unseal it. All tabs of this page are sealed together, and stay so
        when they are opened again.
      </p>
      {now.at === 'failed' && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{now.why}</span>
        </p>
      )}
      {canSeal.value ? (
        <p>
          <button type="button" class="button primary" disabled={now.at === 'sealing'} onClick={() => void sealPage()}>
            <LockIcon /> {now.at === 'sealing' ? 'Sealing…' : 'Seal this page'}
          </button>
        </p>
      ) : (
        <p class="notice mild">
          <WarnIcon />
          <span>
            It cannot be sealed now: no service worker answers for it. Private windows have none; else reload the page once.
          </span>
        </p>
      )}
    </div>
  );
}

function Sealed({ trials, holds }: { trials: Trial[]; holds: boolean }) {
  return (
    <div class="prose">
      {holds ? (
        <p>This page is sealed. It just tried to send these, and none left it:</p>
      ) : (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>This page should be sealed, but not all that it tried was stopped.</span>
        </p>
      )}
      <ul class="trials" aria-label="Trials">
        {trials.map(({ what, blocked }) => (
          <li key={what} data-blocked={blocked}>
            {blocked ? <CheckIcon /> : <WarnIcon />}
            <span>{what}</span> <strong>{blocked ? 'blocked' : 'not blocked'}</strong>
          </li>
        ))}
      </ul>
      <p class="hint">
        Two walls stop them. The browser does, by a content security policy that names only files of the engine; and the service
        worker of the page answers from what is kept, and forwards nothing. Look for yourself: the network panel of the developer
        tools lists answers of the service worker, and nothing else. Links that you follow and files that you save are yours.
      </p>
      <p>
        <button type="button" class="button" onClick={() => void unsealPage()}>
          Unseal and reload
        </button>
      </p>
    </div>
  );
}
