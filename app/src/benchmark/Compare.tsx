/* Another's result, to be seen beside this one; and the results that this device keeps. */

import { useRef, useState } from 'preact/hooks';
import { BinIcon, FolderIcon, WarnIcon } from '../ui/icons.tsx';
import { KINDS, dayAndTime, deviceName, placeName } from './words.ts';
import { whereOf, type Result, type Run } from './result.ts';
import { compareWith, compareWithFile, forget, forgetAll, kept, notKept, other, otherError, show, shown } from './state.ts';

export function Compare() {
  const [text, setText] = useState('');
  const picker = useRef<HTMLInputElement>(null);
  const take = (json: string) => {
    compareWith(json);
    if (!otherError.value) setText('');
  };
  return (
    <section class="card bench-card" aria-labelledby="bench-compare">
      <h2 id="bench-compare" tabIndex={-1}>
        Compare with another result
      </h2>
      <form
        class="field"
        onSubmit={(event) => {
          event.preventDefault();
          take(text);
        }}
      >
        <label for="bench-json">A result as JSON</label>
        <textarea
          id="bench-json"
          rows={3}
          spellcheck={false}
          autocomplete="off"
          value={text}
          placeholder='{ "format": "sotto-benchmark", …'
          aria-describedby={otherError.value ? 'bench-json-error' : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {otherError.value && (
          <p id="bench-json-error" class="notice bad" role="alert">
            <WarnIcon /> <span>{otherError}</span>
          </p>
        )}
        <p class="bench-actions">
          <button type="submit" class="button" disabled={!text.trim()}>
            Compare
          </button>
          <button type="button" class="button" onClick={() => picker.current!.click()}>
            <FolderIcon /> Open a file
          </button>
        </p>
        <input
          ref={picker}
          type="file"
          accept=".json,application/json"
          hidden
          data-testid="bench-file"
          onChange={(event) => {
            const [file] = event.currentTarget.files ?? [];
            event.currentTarget.value = ''; // the same file can be chosen again
            if (file) void compareWithFile(file);
          }}
        />
      </form>
    </section>
  );
}

export function Kept() {
  if (kept.value.length === 0) return null;
  return (
    <section class="card bench-card" aria-labelledby="bench-kept">
      <div class="bench-head">
        <h2 id="bench-kept" tabIndex={-1}>
          On this device
        </h2>
        <button
          type="button"
          class="button quiet small"
          onClick={() => {
            forgetAll();
            focusRest();
          }}
        >
          Delete all
        </button>
      </div>
      {notKept.value && (
        <p class="notice mild">
          <WarnIcon /> <span>This browser keeps nothing for this page: results are gone with it. Download those that you want to keep.</span>
        </p>
      )}
      <ul class="bench-kept">
        {kept.value.map((result) => (
          <KeptRow key={result.date} result={result} />
        ))}
      </ul>
    </section>
  );
}

/** The button that had the focus is gone. */
const focusRest = () => setTimeout(() => (document.getElementById('bench-kept') ?? document.getElementById('bench-compare'))!.focus());

const inShort = (runs: readonly Run[]): string => runs.map((run) => placeName(whereOf(run))).join('; ');

function KeptRow({ result }: { result: Result }) {
  const { speech, language, date } = result;
  const current = shown.value === result;
  const when = dayAndTime(date);
  return (
    <li data-current={current}>
      <p>
        <strong>{when}</strong>
        <span class="hint">
          {[speech && `${KINDS.speech}: ${inShort(speech.runs)}`, language && `${KINDS.language}: ${inShort(language.runs)}`, deviceName(result)]
            .filter(Boolean)
            .join(' · ')}
        </span>
      </p>
      <span class="bench-actions">
        {current ? (
          <span class="hint">Shown above</span>
        ) : (
          <>
            <button type="button" class="button small" aria-label={`Show the result of ${when}`} onClick={() => show(result)}>
              Show
            </button>
            <button
              type="button"
              class="button small"
              disabled={other.value === result}
              aria-label={`Compare with the result of ${when}`}
              onClick={() => (other.value = result)}
            >
              Compare
            </button>
          </>
        )}
        <button
          type="button"
          class="button quiet icon-only"
          aria-label={`Delete the result of ${when}`}
          title="Delete"
          onClick={() => {
            forget(result);
            focusRest();
          }}
        >
          <BinIcon />
        </button>
      </span>
    </li>
  );
}
