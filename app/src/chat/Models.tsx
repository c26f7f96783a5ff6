/* The models to talk with: what each is, how large, under which licence, and whether it is here. */

import { useRef } from 'preact/hooks';
import { Bar } from '../ui/Bar.tsx';
import { BinIcon, CheckIcon, FolderIcon, ModelIcon, SaveIcon, WarnIcon } from '../ui/icons.tsx';
import { Pickers } from '../ui/Pickers.tsx';
import { placeInShort } from '../ui/place.ts';
import { megabytes } from '../ui/words.ts';
import {
  cancelLoading,
  choose,
  chooseFiles,
  chosen,
  filesError,
  forget,
  notKept,
  ownModel,
  stored,
  unload,
  work,
} from './model-state.ts';
import { madeError, madeModels, saveMade, transcribeWith, type MadeModel } from './made.ts';
import { MODELS, type ChatModel } from './models.ts';
import { Quantize } from './Quantize.tsx';
import { answering } from './state.ts';

export function Models() {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (files: File[]) => {
    if (files.length > 0) void chooseFiles(files);
  };
  const busy = answering.value !== null;
  return (
    <>
      <ul class="models">
        {[...MODELS, ...madeModels.value, ...(ownModel.value ? [ownModel.value] : [])].map((model) => (
          <ModelRow key={model.id} model={model} busy={busy} />
        ))}
      </ul>
      {notKept.value && (
        <p class="notice mild">
          <WarnIcon />
          <span>This browser had no room to keep {chosen.value.name}: free some space, or it is downloaded again next time.</span>
        </p>
      )}
      {madeError.value && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{madeError}</span>
        </p>
      )}
      {filesError.value && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{filesError}</span>
        </p>
      )}
      <Quantize />
      <section class="own-files" aria-labelledby="own-title">
        <h3 id="own-title">From this device</h3>
        <p class="hint">
          Gemma 1, 2 or 3: a GGUF file, all parts of a split one, or a Hugging Face folder. You can also drop them on the
          page. They are read here and go nowhere.
        </p>
        <p class="own-actions">
          <button type="button" class="button" disabled={busy} onClick={() => files.current!.click()}>
            <ModelIcon /> Open a file
          </button>
          <button type="button" class="button" disabled={busy} onClick={() => folder.current!.click()}>
            <FolderIcon /> Open a folder
          </button>
        </p>
        <Pickers files={files} folder={folder} accept=".gguf,.safetensors,.json,.model" name="model" onFiles={take} />
      </section>
    </>
  );
}

function ModelRow({ model, busy }: { model: ChatModel | MadeModel; busy: boolean }) {
  const now = work.value;
  const mine = 'model' in now && now.model === model ? now : null;
  const made = 'made' in model ? model : null;
  const here = made !== null || stored.value.has(model.id);
  const talks = made === null || made.made.kind === 'language';
  const own = model.id === 'own';
  const current = chosen.value === model;
  const ready = mine?.at === 'ready';
  const id = `model-${model.id}`;
  return (
    <li class="model" data-current={current}>
      <div class="model-what">
        <h3 id={id}>
          {model.name}
          {ready ? (
            <span class="tag ready">
              <CheckIcon /> In use
            </span>
          ) : (
            here && <span class="tag">{made ? 'Made here' : 'On this device'}</span>
          )}
        </h3>
        <p>{model.about}</p>
        <p class="hint">
          {megabytes(model.bytes)} ·{' '}
          {model.licenseUrl ? (
            <a href={model.licenseUrl} target="_blank" rel="noopener noreferrer">
              {model.license}
            </a>
          ) : (
            model.license
          )}
          {ready && ` · ${megabytes(mine.weightBytes)} in memory, ${placeInShort(mine.place)}`}
        </p>
        {mine?.at === 'failed' && (
          <p class="notice bad" role="alert">
            <WarnIcon /> <span>{mine.why}</span>
          </p>
        )}
        {mine?.at === 'cancelled' && mine.loaded > 0 && (
          <p class="hint">
            Stopped at {megabytes(mine.loaded)}. What came is kept; the download goes on from there.
          </p>
        )}
      </div>
      {mine?.at === 'loading' ? (
        <div class="model-loading">
          <p class="hint">
            {megabytes(mine.loaded)} of {megabytes(mine.total)}
            {mine.from > 0 && `, goes on from ${megabytes(mine.from)}`}
          </p>
          <Bar label={`${mine.cached ? 'Loading' : 'Downloading'} ${model.name}`} fraction={mine.loaded / mine.total} />
          <button type="button" class="button small" onClick={cancelLoading}>
            Cancel
          </button>
        </div>
      ) : (
        <div class="model-actions">
          {made && (
            <button
              type="button"
              class="button quiet icon-only"
              aria-label={`Save ${model.name} as a file`}
              title="Save as a file"
              onClick={() => void saveMade(made)}
            >
              <SaveIcon />
            </button>
          )}
          {here && !ready && (
            <button
              type="button"
              class="button quiet icon-only"
              aria-label={`Remove ${model.name} from this device`}
              title="Remove from this device"
              onClick={() => void forget(model)}
            >
              <BinIcon />
            </button>
          )}
          {!talks ? (
            <button type="button" class="button small" aria-describedby={id} onClick={() => void transcribeWith(made)}>
              Transcribe with it
            </button>
          ) : ready ? (
            <button type="button" class="button small" disabled={busy} aria-describedby={id} onClick={unload}>
              Unload
            </button>
          ) : (
            <button
              type="button"
              class={current ? 'button small primary' : 'button small'}
              disabled={busy}
              aria-describedby={id}
              onClick={() => void choose(model)}
            >
              {mine?.at === 'failed'
                ? 'Try again'
                : mine?.at === 'cancelled' && mine.loaded > 0
                  ? 'Continue'
                  : here || own || model.storyteller
                    ? 'Use'
                    : 'Download'}
            </button>
          )}
        </div>
      )}
    </li>
  );
}
