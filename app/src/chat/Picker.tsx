/* Which model answers: those that are on this device. Others are got in the section of models. */

import { addressOf } from '../route.ts';
import { CheckIcon, WarnIcon } from '../ui/icons.tsx';
import { placeInShort } from '../ui/place.ts';
import { speeds } from '../ui/speeds.ts';
import { megabytes } from '../ui/words.ts';
import { choices, choose, chosen, isHere, notKept, work } from './model-state.ts';
import type { ChatModel } from './models.ts';
import { closePanel } from './panel.ts';
import { answering } from './state.ts';

export function Picker() {
  const busy = answering.value !== null;
  const pick = (model: ChatModel) => {
    closePanel();
    void choose(model);
  };
  return (
    <>
      <ul class="picks" aria-label="On this device">
        {choices.value.map((model) => (
          <li key={model.id}>
            <button type="button" class="pick" aria-pressed={chosen.value === model} disabled={busy} onClick={() => pick(model)}>
              <span class="pick-what">
                <strong>{model.name}</strong>
                <span>{model.about}</span>
                <small>{figures(model)}</small>
              </span>
              {chosen.value === model && <CheckIcon />}
            </button>
          </li>
        ))}
      </ul>
      {notKept.value && (
        <p class="notice mild">
          <WarnIcon />
          <span>This browser had no room to keep {chosen.value.name}: free some space, or it is downloaded again next time.</span>
        </p>
      )}
      <p>
        <a class="button" href={addressOf('models')} onClick={closePanel}>
          Get more models
        </a>
      </p>
    </>
  );
}

function figures(model: ChatModel): string {
  const now = work.value;
  const speed = speeds.value[model.id];
  const parts = [megabytes(model.bytes)];
  if (!isHere(model) && !model.storyteller) parts.push('not on this device yet');
  if (speed) parts.push(`${speed} tokens/s here`);
  if (now.at === 'ready' && now.model === model) parts.push(`in memory, ${placeInShort(now.place)}`);
  return parts.join(' · ');
}
