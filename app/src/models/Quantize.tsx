/* Bring your own model: a checkpoint of the person's own, quantized on this device while it is read. */

import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { QuantizeDevice, QuantizeProgress } from 'sotto';
import { Bar } from '../ui/Bar.tsx';
import { CheckIcon, PauseIcon, PlayIcon, SaveIcon, StopIcon, WarnIcon } from '../ui/icons.tsx';
import { grouped, megabytes, spoken } from '../ui/words.ts';
import { kindOf } from './kept.ts';
import { save, use } from './use.ts';
import { chooseType, leave, pauseOrGoOn, quantizing, rename, start, stopWork, type QuantizeState } from './quantize-state.ts';
import { TYPES, typeInWords } from './quantize-types.ts';
import '../style/quantize.css';

/** What goes on with the model that is made smaller; nothing while none is. */
export function Quantize() {
  const now = quantizing.value;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (now.at !== 'rest') box.current?.scrollIntoView({ block: 'nearest' });
  }, [now.at]);
  return (
    <div ref={box}>
      {now.at === 'looking' && (
        <div class="bring-work">
          <p class="hint">Looking at {now.what}…</p>
          <Bar label="Reading the heads of the files" />
          <p class="own-actions">
            <button type="button" class="button small" onClick={leave}>
              Cancel
            </button>
          </p>
        </div>
      )}
      {now.at === 'offer' && <Offer now={now} />}
      {now.at === 'work' && <Work now={now} />}
      {now.at === 'done' && <Done now={now} />}
      {now.at === 'failed' && (
        <div class="bring-work">
          <p class="notice bad" role="alert">
            <WarnIcon />
            <span>
              {now.why}
              {now.kept && ' What is done is kept.'}
            </span>
          </p>
          <p class="own-actions">
            <button type="button" class="button small" onClick={leave}>
              Back
            </button>
          </p>
        </div>
      )}
    </div>
  );
}

/* ---- what could be made of it ---- */

function Offer({ now }: { now: Extract<QuantizeState, { at: 'offer' }> }) {
  const { estimate, type, name } = now;
  const { plans, freeBytes, memoryBytes } = estimate;
  const id = useId();
  const [all, setAll] = useState(!TYPES.find((t) => t.type === type)?.common);
  const plan = plans.find((p) => p.type === type)!;
  const fits = freeBytes === undefined || plan.outBytes <= freeBytes;
  const speech = plan.architecture === 'whisper';
  const requantized = !['f32', 'f16', 'bf16'].includes(plan.sourceType);
  const first = useRef<HTMLFieldSetElement>(null);
  useEffect(() => first.current?.querySelector<HTMLInputElement>('input:checked')?.focus({ preventScroll: true }), []);
  return (
    <form
      class="bring-offer"
      onSubmit={(event) => {
        event.preventDefault();
        start();
      }}
    >
      <p>
        <strong>{estimate.name}</strong>: {plan.architecture}, {weights(plan.nParameters)} weights in {grouped(plan.nTensors)} tensors, mostly{' '}
        {plan.sourceType.toUpperCase()}, {megabytes(plan.sourceBytes)}
      </p>
      <div class="field">
        <label for={id}>Its name here</label>
        <input id={id} type="text" value={name} maxLength={80} required onInput={(event) => rename(event.currentTarget.value)} />
      </div>
      <fieldset ref={first} class="bring-types">
        <legend>Make it</legend>
        {plans.map(({ type: each, outBytes }) => {
          const t = TYPES.find((known) => known.type === each)!;
          return !all && !t.common ? null : (
            <label key={t.type} class="bring-type">
              <input type="radio" name="quantize-type" value={t.type} checked={t.type === type} onChange={() => chooseType(t.type)} />
              <span class="bring-type-name">{typeInWords(t.type)}</span>
              <span class="bring-type-words">{t.words}</span>
              <span class="bring-type-size">{megabytes(outBytes)}</span>
            </label>
          );
        })}
      </fieldset>
      {!all && (
        <button type="button" class="link small" onClick={() => setAll(true)}>
          More types
        </button>
      )}
      <p class="hint" data-testid="bring-cost">
        Takes {megabytes(plan.outBytes)} on this device{freeBytes !== undefined && ` (${megabytes(freeBytes)} free)`}, at most {megabytes(memoryBytes)} of memory
        while it is made, and {speech ? 'about' : 'with a conversation a little more than'} {megabytes(plan.outBytes)} in use.
      </p>
      {requantized && plan.warnings.length === 0 && (
        <p class="notice mild">
          <WarnIcon />
          <span>These weights are quantized already: a file of full precision gives a better model.</span>
        </p>
      )}
      {plan.warnings.map((warning) => (
        <p key={warning} class="notice mild">
          <WarnIcon /> <span>{sentence(warning)}</span>
        </p>
      ))}
      {!fits && (
        <p class="notice bad" role="alert">
          <WarnIcon />
          <span>This device has no room for it: remove other models, or choose a smaller type.</span>
        </p>
      )}
      <p class="own-actions">
        <button type="submit" class="button primary" disabled={!fits || !name.trim()}>
          Make it {typeInWords(type)}
        </button>
        <button type="button" class="button quiet" onClick={leave}>
          Cancel
        </button>
      </p>
    </form>
  );
}

const weights = (n: number): string => (n >= 1e9 ? `${(n / 1e9).toFixed(1)} billion` : `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} million`);

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');

/* ---- on its way ---- */

function Work({ now }: { now: Extract<QuantizeState, { at: 'work' }> }) {
  const { name, progress: p, job } = now;
  const { paused } = job;
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  return (
    <div class="bring-work" data-phase={p?.phase} data-testid="bring-work">
      <p>
        <strong>{name}</strong> {paused && <span class="tag">Paused</span>}
      </p>
      <Bar label={`Making ${name}`} fraction={p && p.phase !== 'reading' ? p.fraction : undefined} />
      <p class="bring-tensor" data-testid="bring-tensor">
        {tensorInWords(p)}
      </p>
      {p && p.phase === 'converting' && (
        <p class="hint bring-figures">
          {megabytes(p.bytesRead)} of {megabytes(p.sourceBytes)} read, {megabytes(p.bytesWritten)} of {megabytes(p.outBytes)} written
          {!paused && p.bytesPerSecond > 0 && ` · ${megabytes(p.bytesPerSecond)}/s`}
          {!paused && p.secondsLeft !== undefined && p.fraction < 1 && ` · about ${spoken(Math.max(1, p.secondsLeft))} left`}
        </p>
      )}
      {p && p.phase === 'converting' && (
        <p class="hint" data-testid="bring-device">
          {deviceInWords(p.device)}
          {p.resumedTensors > 0 && ` ${grouped(p.resumedTensors)} tensors were done before.`}
        </p>
      )}
      <p class="own-actions">
        <button ref={button} type="button" class="button" aria-pressed={paused} onClick={pauseOrGoOn}>
          {paused ? <PlayIcon /> : <PauseIcon />} {paused ? 'Go on' : 'Pause'}
        </button>
        <button type="button" class="button" onClick={stopWork}>
          <StopIcon /> Stop
        </button>
      </p>
      <p class="hint">Other sections go on meanwhile. What is done stays, also when the page is closed.</p>
    </div>
  );
}

function tensorInWords(p: QuantizeProgress | null): string {
  if (!p || p.phase === 'reading') return 'Reading the heads of the files…';
  if (p.phase === 'downloading')
    return `Downloading ${p.file} whole, as its server gives no parts of it: ${megabytes(p.bytesRead)} of ${megabytes(p.sourceBytes)}`;
  if (p.phase === 'checking') return `Checking what is done: ${p.tensor}`;
  return p.index === 0 ? 'Beginning…' : `Tensor ${grouped(p.index)} of ${grouped(p.nTensors)}: ${p.tensor}`;
}

function deviceInWords({ gpu, whyCpu, threads }: QuantizeDevice): string {
  if (gpu) return `Converted on the GPU: ${gpu.adapter}${gpu.software ? ', played by the processor' : ''}.`;
  const who = `Converted on the processor, ${threads === 1 ? 'one thread' : `${threads} threads`}.`;
  return whyCpu === undefined ? who : `${who} ${whyCpu}.`;
}

/* ---- done ---- */

function Done({ now: { model } }: { now: Extract<QuantizeState, { at: 'done' }> }) {
  const speech = kindOf(model) === 'speech';
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  return (
    <div class="bring-work">
      <p class="notice good" role="status">
        <CheckIcon />
        <span>
          {model.name} is on this device: {megabytes(model.bytes)}.
        </span>
      </p>
      <p class="own-actions">
        <button
          ref={button}
          type="button"
          class="button primary"
          onClick={() => {
            leave();
            use(model, speech ? 'transcribe' : 'chat');
          }}
        >
          {speech ? 'Transcribe with it' : 'Talk with it'}
        </button>
        <button type="button" class="button" onClick={() => void save(model)}>
          <SaveIcon /> Save the file
        </button>
        <button type="button" class="button quiet" onClick={leave}>
          Done
        </button>
      </p>
    </div>
  );
}
