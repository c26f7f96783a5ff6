/* How to transcribe: model, language, translation, and a few finer points. */

import { useMemo, useRef } from 'preact/hooks';
import { MODELS } from './engine.ts';
import { languageGroups, languageName } from './languages.ts';
import {
  busy,
  change,
  facts,
  forgetModel,
  modelEntry,
  notKept,
  ownModel,
  settings,
  source,
  storedModels,
  transcribe,
} from './state.ts';
import { BackendField } from '../ui/BackendField.tsx';
import { megabytes } from '../ui/words.ts';

export function Options() {
  const now = settings.value;
  const entry = modelEntry();
  const english = entry?.languages === 1;
  const translates = entry?.translates ?? true;
  const beams = [1, 2, 3, 5, 8];
  return (
    <aside class="card options" aria-labelledby="options-title">
      <h2 id="options-title">Settings</h2>
      <ModelChoice />
      <LanguageChoice english={english} />
      <label class="check">
        <input
          type="checkbox"
          role="switch"
          checked={now.translate && translates}
          disabled={!translates}
          onChange={(event) => change({ translate: event.currentTarget.checked })}
        />
        <span>
          Translate to English
          {!translates && <small>{english ? 'This model knows English only.' : 'This model cannot translate.'}</small>}
        </span>
      </label>
      <details>
        <summary>More</summary>
        <div class="field">
          <label for="beam">Search</label>
          <select
            id="beam"
            value={now.beamSize}
            onChange={(event) => change({ beamSize: Number(event.currentTarget.value) })}
            aria-describedby="beam-hint"
          >
            {beams.map((n) => (
              <option key={n} value={n}>
                {n === 1 ? 'Greedy, the fastest' : `${n} beams`}
              </option>
            ))}
          </select>
          <small id="beam-hint">More beams weigh more readings: slower, at times better.</small>
        </div>
        <div class="field">
          <label for="prompt">Names and spellings</label>
          <textarea
            id="prompt"
            rows={2}
            value={now.prompt}
            placeholder="e.g. Ada Lovelace, Zürich, Kubernetes"
            onInput={(event) => change({ prompt: event.currentTarget.value })}
            aria-describedby="prompt-hint"
          />
          <small id="prompt-hint">Words that may occur; the recognizer leans towards them.</small>
        </div>
        <label class="check">
          <input
            type="checkbox"
            role="switch"
            checked={now.timestamps}
            onChange={(event) => change({ timestamps: event.currentTarget.checked })}
          />
          <span>
            Timestamps
            <small>Off: one segment for each half minute.</small>
          </span>
        </label>
        <BackendField
          value={now.backend}
          place={facts.value?.backend === now.backend ? facts.value.place : null}
          onChange={(backend) => change({ backend })}
        />
      </details>
      {source.value?.file && (
        <button type="button" class="button wide" disabled={busy.value} onClick={() => void transcribe()}>
          Transcribe again
        </button>
      )}
    </aside>
  );
}

const GROUPS = [
  ['many', 'Many languages'],
  ['english', 'English only'],
  ['other', 'Less compressed'],
] as const;

function ModelChoice() {
  const input = useRef<HTMLInputElement>(null);
  const entry = modelEntry();
  const here = (id: string) => storedModels.value.has(id);
  const hint = entry
    ? `${entry.languages === 1 ? 'English only' : `${entry.languages} languages`}. ` +
      (notKept.value
        ? 'This browser had no room to keep it: free some space, or it is downloaded again next time.'
        : here(entry.id) 
          ? 'On this device.'
          : `Downloaded once, ${megabytes(entry.bytes)}, then kept on this device.`)
    : ownModel.value
      ? `${ownModel.value.name}, ${megabytes(ownModel.value.size)}, read from this device.`
      : '';
  return (
    <>
      <div class="field">
        <label for="model">Model</label>
        <select
          id="model"
          value={settings.value.model}
          aria-describedby="model-hint"
          onChange={(event) => {
            const chosen = event.currentTarget.value;
            if (chosen !== 'choose') {
              notKept.value = false;
              return change({ model: chosen });
            }
            event.currentTarget.value = settings.value.model;
            input.current!.click();
          }}
        >
          {GROUPS.map(([group, title]) => (
            <optgroup key={group} label={title}>
              {MODELS.filter((m) => m.group === group).map((m) => (
                <option key={m.id} value={m.id}>
                  {m.label} · {megabytes(m.bytes)}
                  {here(m.id) ? ' ✓' : ''}
                </option>
              ))}
            </optgroup>
          ))}
          <optgroup label="Yours">
            {ownModel.value && <option value="own">{ownModel.value.name}</option>}
            <option value="choose">Use your own file…</option>
          </optgroup>
        </select>
        <small id="model-hint">{hint}</small>
        {entry && here(entry.id) && !busy.value && (
          <button type="button" class="link small" onClick={() => void forgetModel()}>
            Remove it from this device
          </button>
        )}
      </div>
      <input
        ref={input}
        type="file"
        accept=".bin"
        hidden
        data-testid="model-file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (!file) return;
          ownModel.value = file;
          change({ model: 'own' });
        }}
      />
    </>
  );
}

function LanguageChoice({ english }: { english: boolean }) {
  const { own, all } = useMemo(languageGroups, []);
  const options = (codes: string[]) =>
    codes.map((code) => (
      <option key={code} value={code}>
        {languageName(code)}
      </option>
    ));
  return (
    <div class="field">
      <label for="language">Spoken language</label>
      <select
        id="language"
        value={english ? 'en' : settings.value.language}
        disabled={english}
        onChange={(event) => change({ language: event.currentTarget.value })}
      >
        <option value="auto">Detect</option>
        {own.length > 0 && <optgroup label="Yours">{options(own)}</optgroup>}
        <optgroup label="All">{options(all)}</optgroup>
      </select>
    </div>
  );
}
