/* What to measure, and where. */

import { useId } from 'preact/hooks';
import { PlayIcon, WarnIcon } from '../ui/icons.tsx';
import { megabytes } from '../ui/words.ts';
import { gpu, power } from './device.ts';
import { ROUNDS } from './keep.ts';
import { TOKENS } from './measure.ts';
import { candidates } from './models.ts';
import type { Kind, Where } from './result.ts';
import { choices, choose, modelOf, planned, problem, softwareTicked, start, ticked, whyNot } from './state.ts';
import { KINDS, placeName } from './words.ts';

const WHAT: Record<Kind, string> = {
  speech: 'The sample of 11 s: the whole, a window of the encoder, a token of the decoder.',
  language: `Reading ${TOKENS.prefill} tokens, writing ${TOKENS.decode}.`,
};

export function Setup() {
  const { kinds, rounds } = choices.value;
  const toFetch = kinds.map(modelOf).filter(({ here }) => !here);
  return (
    <form
      class="card bench-card bench-setup"
      aria-label="What to measure"
      onSubmit={(event) => {
        event.preventDefault();
        void start();
      }}
    >
      <fieldset>
        <legend>What</legend>
        {(['speech', 'language'] as const).map((kind) => (
          <KindField key={kind} kind={kind} />
        ))}
      </fieldset>
      <fieldset>
        <legend>Where</legend>
        {(['one', 'all', 'gpu'] as const).map((where) => (
          <PlaceField key={where} where={where} />
        ))}
      </fieldset>
      <div class="bench-start">
        <RoundsField value={rounds} />
        <button type="submit" class="button primary" disabled={planned.value.length === 0}>
          <PlayIcon /> Start the benchmark
        </button>
      </div>
      {planned.value.length === 0 && <p class="hint">Tick something to measure, and where.</p>}
      {toFetch.length > 0 && (
        <p class="hint">
          {toFetch.map(({ name, bytes }) => `${name} (${megabytes(bytes)})`).join(' and ')} is downloaded first, once, and kept on this device.
        </p>
      )}
      {(power.value === 'battery' || power.value === 'low') && (
        <p class="notice mild">
          <WarnIcon />
          <span>
            {power.value === 'low' ? 'The battery is low' : 'This device runs on its battery'}, and may slow down to save it. Plug it in for numbers that can be
            compared.
          </span>
        </p>
      )}
      {problem.value && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{problem}</span>
        </p>
      )}
    </form>
  );
}

function KindField({ kind }: { kind: Kind }) {
  const id = useId();
  const { kinds, models } = choices.value;
  const on = kinds.includes(kind);
  const all = candidates.value.filter((c) => c.kind === kind);
  const flip = () => choose({ kinds: (['speech', 'language'] as const).filter((k) => (k === kind ? !on : kinds.includes(k))) });
  return (
    <div class="bench-what">
      <label class="check">
        <input type="checkbox" checked={on} onChange={flip} />
        <span>
          {KINDS[kind]}
          <small>{WHAT[kind]}</small>
        </span>
      </label>
      <label class="sr-only" for={id}>
        Model for {KINDS[kind].toLowerCase()}
      </label>
      <select id={id} value={modelOf(kind).id} disabled={!on} onChange={(event) => choose({ models: { ...models, [kind]: event.currentTarget.value } })}>
        {all.map(({ id: each, name, bytes, here }) => (
          <option key={each} value={each}>
            {name}, {megabytes(bytes)}
            {here ? '' : ', to be downloaded'}
          </option>
        ))}
      </select>
    </div>
  );
}

function PlaceField({ where }: { where: Where }) {
  const { places } = choices.value;
  const why = whyNot(where);
  const on = ticked(where);
  const found = where === 'gpu' ? gpu.value : undefined;
  const flip = () => {
    if (found?.software) softwareTicked.value = !on;
    else choose({ places: (['one', 'all', 'gpu'] as const).filter((p) => (p === where ? !on : places.includes(p))) });
  };
  return (
    <label class="check">
      <input type="checkbox" checked={on} disabled={why !== '' || (where === 'gpu' && !found)} onChange={flip} />
      <span>
        {placeName(where)}
        {why ? (
          <small>{why}</small>
        ) : where === 'gpu' && !found ? (
          <small>Looking for it…</small>
        ) : (
          found && (
            <small>
              {found.adapter}
              {found.software && ', played by the processor: slow, with fewer tokens, and tells nothing about a real one'}
            </small>
          )
        )}
      </span>
    </label>
  );
}

function RoundsField({ value }: { value: number }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Rounds</label>
      <select id={id} value={value} onChange={(event) => choose({ rounds: Number(event.currentTarget.value) })}>
        {ROUNDS.map((n) => (
          <option key={n} value={n}>
            {n}
          </option>
        ))}
      </select>
    </div>
  );
}
