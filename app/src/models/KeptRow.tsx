/* A model that is whole and here: what it is, and what can be done with it. */

import * as chat from '../chat/model-state.ts';
import { settings as hearing } from '../transcribe/state.ts';
import { Bar } from '../ui/Bar.tsx';
import { BinIcon, CheckIcon, ChatIcon, MicIcon, MoreIcon, SaveIcon, SparkIcon, WarnIcon } from '../ui/icons.tsx';
import { Menu } from '../ui/Menu.tsx';
import { speeds } from '../ui/speeds.ts';
import { megabytes, when } from '../ui/words.ts';
import { speechSpeed } from './Get.tsx';
import { idOf, kindOf, manifestOf, nameOf, typeOf, type StoredModel } from './kept.ts';
import { check, checked, checking, problems, save, use } from './use.ts';

const ORIGINS: Record<StoredModel['origin'], string> = { download: '', import: 'From a file', made: 'Made here' };

/** "used now", "used 5 min ago", "used Tue". */
function usedInWords(at: number): string {
  const words = when(at);
  return words === 'now' ? 'used just now' : /\d (min|h)$/.test(words) ? `used ${words} ago` : `used ${words}`;
}

export function KeptRow({ model, remove }: { model: StoredModel; remove: () => void }) {
  const { id, bytes, files, origin, used, added } = model;
  const known = manifestOf(model);
  const speech = kindOf(model) === 'speech';
  const name = nameOf(model);
  const type = typeOf(model);
  const speed = speeds.value[idOf(model)];
  const chosen = speech ? hearing.value.model === idOf(model) : chat.chosen.value.id === idOf(model);
  const part = checking.value[id];
  const languages = known && speech ? (known.languages === 1 ? 'English only' : `${known.languages} languages`) : '';
  const figures = [
    megabytes(bytes),
    speech ? 'for speech' : 'for language',
    languages,
    files > 1 && `${files} files`,
    known?.license ?? (origin === 'download' && 'licence as its source says'),
    used > added && usedInWords(used),
    speed && speechSpeed(speed, speech),
  ];
  const title = `kept-${id}`;
  return (
    <li class="row" data-testid="kept" data-id={id}>
      <div class="row-what">
        <h3 id={title}>
          {name}
          {type && !name.toUpperCase().includes(type) && <span class="tag">{type}</span>}
          {ORIGINS[origin] && <span class="tag">{ORIGINS[origin]}</span>}
          {chosen && (
            <span class="tag ready">
              <CheckIcon /> Chosen
            </span>
          )}
        </h3>
        <p class="hint figures">{figures.filter(Boolean).join(' · ')}</p>
        {part !== undefined && <Bar label={`Checking ${name}`} fraction={part} />}
        {checked.value[id] && <p class="hint">{checked.value[id]}</p>}
        {problems.value[id] && (
          <p class="notice bad" role="alert">
            <WarnIcon /> <span>{problems.value[id]}</span>
          </p>
        )}
      </div>
      <div class="row-actions">
        <button type="button" class="button small" aria-describedby={title} onClick={() => use(model, speech ? 'transcribe' : 'chat')}>
          {speech ? <SparkIcon /> : <ChatIcon />} {speech ? 'Transcribe' : 'Chat'}
        </button>
        <Menu label={`More for ${name}${type && ` ${type}`}`} icon={<MoreIcon />}>
          <button type="button" onClick={() => use(model, 'voice')}>
            <MicIcon /> Use in Voice
          </button>
          {files === 1 && (
            <button type="button" onClick={() => void save(model)}>
              <SaveIcon /> Save as a file
            </button>
          )}
          <button type="button" disabled={part !== undefined} onClick={() => void check(model)}>
            <CheckIcon /> Check again
          </button>
          <button type="button" class="bad" onClick={remove}>
            <BinIcon /> Delete…
          </button>
        </Menu>
      </div>
    </li>
  );
}
