/* How to transcribe: model, language, translation, and a few finer points. */

import { useMemo } from 'preact/hooks';
import { addressOf } from '../route.ts';
import type { ModelEntry } from './engine.ts';
import { languageGroups, languageName } from './languages.ts';
import { busy, change, entries, facts, isHere, modelEntry, notKept, ownModel, settings, source, transcribe, useModel } from './state.ts';
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
  const entry = modelEntry();
  const all = entries.value;
  const mine = all.filter((m) => m.group === 'yours');
  const hint = entry ? `${languagesOf(entry)}${whereabouts(entry)}` : ownModel.value ? `${ownModel.value.name}, ${megabytes(ownModel.value.size)}, read from this device.` : '';
  const option = (m: ModelEntry) => (
    <option key={m.id} value={m.id}>
      {m.label} · {megabytes(m.bytes)}
      {isHere(m) ? ' ✓' : ''}
    </option>
  );
  return (
    <div class="field">
      <label for="model">Model</label>
      <select
        id="model"
        value={settings.value.model}
        aria-describedby="model-hint"
        onChange={(event) => useModel(event.currentTarget.value)}
      >
        {(mine.length > 0 || ownModel.value) && (
          <optgroup label="Yours">
            {mine.map(option)}
            {ownModel.value && <option value="own">{ownModel.value.name}</option>}
          </optgroup>
        )}
        {GROUPS.map(([group, title]) => (
          <optgroup key={group} label={title}>
            {all.filter((m) => m.group === group).map(option)}
          </optgroup>
        ))}
      </select>
      <small id="model-hint">{hint}</small>
      <a class="link small" href={addressOf('models')}>
        Models on this device
      </a>
    </div>
  );
}

const languagesOf = ({ languages }: ModelEntry): string => (languages === 0 ? '' : languages === 1 ? 'English only. ' : `${languages} languages. `);

function whereabouts(entry: ModelEntry): string {
  if (notKept.value) return 'This browser had no room to keep it: free some space, or it is downloaded again next time.';
  return isHere(entry) ? 'On this device.' : `Downloaded once, ${megabytes(entry.bytes)}, then kept on this device.`;
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
