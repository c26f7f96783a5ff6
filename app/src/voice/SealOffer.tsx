/* Under a conversation: that no request can leave the page, or the offer to make it so, once the models are here. */

import { useEffect, useState } from 'preact/hooks';
import { LanguageModel, Transcriber } from 'sotto';
import { chosen } from '../chat/model-state.ts';
import { canSeal, seal, sealPage } from '../frame/seal.ts';
import { controlledFromStart } from '../frame/service.ts';
import { settings } from '../transcribe/state.ts';
import { LockIcon, SealedIcon, WarnIcon } from '../ui/icons.tsx';
import { phase } from './state.ts';

export function SealOffer() {
  const here = useModelsHere();
  const now = seal.value;
  if (now.at === 'sealed') {
    return (
      <p class="notice good" data-testid="voice-sealed">
        <SealedIcon /> <span>Sealed: no request can leave this page. The lock above shows what was tried.</span>
      </p>
    );
  }
  if (!canSeal.value || now.at === 'broken') return null; // said above
  if (now.at === 'failed') {
    return (
      <p class="notice bad" role="alert">
        <WarnIcon /> <span>{now.why}</span>
      </p>
    );
  }
  if (!here) return <p class="hint">Once both models are on this device, the page can be sealed: then no request can leave it.</p>;
  return (
    <p class="notice good">
      <LockIcon />
      <span>Both models are on this device. Seal the page, and no request can leave it.</span>
      <button type="button" class="button small" disabled={now.at === 'sealing'} onClick={() => void sealPage()}>
        {now.at === 'sealing' ? 'Sealing…' : controlledFromStart() ? 'Seal' : 'Seal and reload'}
      </button>
    </p>
  );
}

/** Whether the conversation needs nothing of the network; looked at again when it begins and ends. */
function useModelsHere(): boolean {
  const [here, setHere] = useState(false);
  const { model } = settings.value;
  const { input, sources } = chosen.value;
  const resting = ['rest', 'asking', 'opening'].includes(phase.value);
  useEffect(() => {
    let mine = true;
    const look = async () => {
      const [hears, answers] = await Promise.all([
        model === 'own' ? 'available' : Transcriber.availability({ model }),
        LanguageModel.availability({ model: input, sources }),
      ]);
      if (mine) setHere(hears === 'available' && answers === 'available');
    };
    look().catch(() => {}); // then it is not offered
    return () => {
      mine = false;
    };
  }, [model, input, resting]);
  return here;
}
