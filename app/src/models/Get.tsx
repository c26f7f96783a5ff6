/* The models that come with the page's list, for speech and for language: what each is, and a button to have it. */

import { useState } from 'preact/hooks';
import { models, type ManifestModel } from 'sotto';
import { MODELS as TALKERS } from '../chat/models.ts';
import { CheckIcon, SaveIcon } from '../ui/icons.tsx';
import { speeds } from '../ui/speeds.ts';
import { megabytes } from '../ui/words.ts';
import { downloads } from './downloads.ts';
import { hereIds, room } from './kept.ts';
import { getModel } from './Licence.tsx';

export function Get() {
  return (
    <section class="card models-card" aria-labelledby="get-title" data-testid="get">
      <h2 id="get-title">Get a model</h2>
      <p class="hint">Each is downloaded once, and checked. In use it takes about as much memory as its size says, and a little more to work with.</p>
      <List title="For speech" what="Transcribe and Voice" all={models.filter((m) => m.kind === 'whisper')} common={commonSpeech} />
      <List title="For language" what="Chat and Voice" all={models.filter((m) => m.kind !== 'whisper')} common={commonLanguage} />
    </section>
  );
}

/** Of each size the small file, in all languages. */
const commonSpeech = ({ weights, languages, name }: ManifestModel) => weights.startsWith('q5') && languages > 1 && !name.endsWith('-v2');
/** Of each size the small file. */
const commonLanguage = (m: ManifestModel) => models.find(({ name }) => name === m.name) === m;

interface ListProps {
  title: string;
  what: string;
  all: readonly ManifestModel[];
  common: (model: ManifestModel) => boolean;
}

function List({ title, what, all, common }: ListProps) {
  const [more, setMore] = useState(false);
  const shown = more ? all : all.filter(common);
  const id = `get-${title.split(' ').pop()}`;
  return (
    <>
      <h3 id={id}>
        {title} <small>{what}</small>
      </h3>
      <ul class="offers" aria-labelledby={id}>
        {shown.map((model) => (
          <OfferRow key={model.id} model={model} />
        ))}
      </ul>
      <button type="button" class="link small" aria-expanded={more} onClick={() => setMore(!more)}>
        {more ? 'Fewer' : `All ${all.length}, with other types${title.endsWith('speech') ? ' and English only' : ''}`}
      </button>
    </>
  );
}

function OfferRow({ model }: { model: ManifestModel }) {
  const { id, name, weights, size_bytes: bytes, license, license_url: url } = model;
  const here = hereIds.value.has(id);
  const coming = downloads.value.some(({ input }) => input === id);
  const free = room.value ? room.value.quota - room.value.usage : Infinity;
  const speed = speeds.value[id];
  const speech = model.kind === 'whisper';
  const title = `get-${id}`;
  return (
    <li class="offer">
      <div class="offer-what">
        <h4 id={title}>
          {name} <span class="tag">{weights.toUpperCase()}</span>
        </h4>
        <p>{speech ? aboutSpeech(model) : TALKERS.find((m) => m.id === id)?.about}</p>
        <p class="hint">
          {megabytes(bytes)} ·{' '}
          {url ? (
            <a href={url} target="_blank" rel="noopener noreferrer">
              {license}
            </a>
          ) : (
            license
          )}
          {speed && ` · ${speechSpeed(speed, speech)}`}
          {!here && bytes > free && ` · more than the ${megabytes(free)} that are available`}
          {tooLarge(bytes) && ' · may be too large for the memory of this device'}
        </p>
      </div>
      {here ? (
        <span class="tag ready">
          <CheckIcon /> On this device
        </span>
      ) : (
        <button type="button" class="button small" aria-describedby={title} disabled={coming} onClick={() => getModel(id, name)}>
          <SaveIcon /> {coming ? 'On its way' : 'Download'}
        </button>
      )}
    </li>
  );
}

export const speechSpeed = (speed: number, speech: boolean): string => (speech ? `${speed}× real time here` : `${speed} tokens/s here`);

const GIB = 2 ** 30;

/** More than half of the memory, as far as the browser tells: the page is not alone on the device. */
const tooLarge = (bytes: number): boolean => bytes > (((navigator as { deviceMemory?: number }).deviceMemory ?? Infinity) * GIB) / 2;

/** What people choose a size for. */
function aboutSpeech({ name, languages, weights }: ManifestModel): string {
  const size = name.replace(/^Whisper /, '').replace('.en', '');
  const how =
    {
      tiny: 'The quickest, for clear speech',
      base: 'Quick, with fewer slips than tiny',
      small: 'Good text from most recordings',
      medium: 'Better text, slower',
      'large-v2': 'The large model before the last',
      'large-v3': 'The best text, the slowest',
      'large-v3-turbo': 'Nearly as good as large-v3, several times as quick; does not translate',
    }[size] ?? '';
  const wide = weights.startsWith('q5') ? '' : weights === 'f16' ? '. Not compressed' : '. Less compressed';
  return `${how}${wide}. ${languages === 1 ? 'English only.' : `${languages} languages.`}`;
}
