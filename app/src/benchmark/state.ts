/* What the benchmark knows, and what a person can do with it:
 *
 *   what is ticked ──> steps, one after the other (measure.ts) ──> a result, kept on the device ──> chart, table, JSON
 *                                       another's JSON, or one that was kept ──> beside it ─────────────┘
 *
 * It measures alone: it does not start beside other work of the page, and ends when some begins. */

import { batch, computed, effect, signal } from '@preact/signals';
import { detect, SottoError, VERSION as SOTTO } from 'sotto';
import { notWhileSealed, sealed } from '../frame/seal.ts';
import { decode } from '../transcribe/audio.ts';
import { fetchSample, SAMPLE_NAME } from '../transcribe/sample.ts';
import { atWork } from '../ui/at-work.ts';
import { makeRoom } from '../ui/memory.ts';
import { announcement } from '../ui/say.ts';
import { noteSpeed } from '../ui/speeds.ts';
import { sentenceOf, Told } from '../ui/told.ts';
import { cores, deviceFacts, gpu, look } from './device.ts';
import { MOST_KEPT, readChoices, readResults, writeChoices, writeResults, type Choices } from './keep.ts';
import { measureLanguage, measureSpeech, type Job } from './measure.ts';
import { candidates, factsOf, type Candidate } from './models.ts';
import { FORMAT, resultFrom, rounded, VERSION, type Failure, type Kind, type Result, type Run, type Where } from './result.ts';

/* ---- what is ticked ---- */

export const choices = signal<Choices>(readChoices());
effect(() => void writeChoices(choices.value));

export function choose(part: Partial<Choices>): void {
  choices.value = { ...choices.value, ...part };
}

/** The model that is chosen of a kind; the first one where that is gone. */
export const modelOf = (kind: Kind): Candidate => {
  const all = candidates.value.filter((c) => c.kind === kind);
  return all.find(({ id }) => id === choices.value.models[kind]) ?? all[0]!;
};

/** Why a place cannot be measured, '' where it can. */
export function whyNot(where: Where): string {
  if (where === 'gpu') return gpu.value === null ? 'This browser offers no GPU to pages.' : '';
  if (where === 'one') return '';
  if (!detect().threads) return 'This page has one thread: it is served without the headers that isolate it, or the browser has no threads.';
  return cores() > 1 ? '' : 'This device has one processor.';
}

/** A GPU in software is slow, and says nothing: it is measured where someone ticked it while it was known to be one. */
export const softwareTicked = signal(false);

export const ticked = (where: Where): boolean =>
  whyNot(where) === '' && (where === 'gpu' && gpu.value?.software ? softwareTicked.value : choices.value.places.includes(where));

export const planned = computed(() => {
  const places = (['one', 'all', 'gpu'] as const).filter(ticked);
  return choices.value.kinds.flatMap((kind) => places.map((where) => ({ kind, where })));
});

/* ---- under way ---- */

export type StepNow =
  | { at: 'waiting' }
  | { at: 'loading'; loaded: number; total: number } // bytes
  | { at: 'round'; done: number } // of rounds and one that warms up
  | { at: 'done' }
  | { at: 'failed'; why: string }
  | { at: 'stopped' };

export interface Step {
  kind: Kind;
  where: Where;
  now: StepNow;
}

export const steps = signal<readonly Step[]>([]);
export const running = signal(false);
export const stopping = signal(false); // until the engine has ended its step
export const problem = signal(''); // why it did not begin, or ended early
export const wasHidden = signal(false); // while it measured
export const notKept = signal(false); // the browser refused storage

/** 0 to 1. */
export const fraction = computed(() => {
  const of = ({ now }: Step): number => {
    if (now.at === 'waiting') return 0;
    if (now.at === 'loading') return (0.2 * now.loaded) / Math.max(now.total, now.loaded, 1);
    return now.at === 'round' ? 0.2 + (0.8 * now.done) / (choices.value.rounds + 1) : 1;
  };
  return steps.value.reduce((sum, step) => sum + of(step), 0) / Math.max(steps.value.length, 1);
});

let abort = new AbortController();

/** Measures what is ticked. What went wrong is in `problem` and in the steps. */
export async function start(): Promise<void> {
  if (running.value) return;
  problem.value = atWork.value ? `The page is busy with ${atWork.value}, which would slow down what is measured. Wait for its end, or stop it.` : '';
  if (problem.value || planned.value.length === 0) return;
  abort = new AbortController();
  const { signal } = abort;
  batch(() => {
    running.value = true;
    steps.value = planned.value.map((step) => ({ ...step, now: { at: 'waiting' } }));
    wasHidden.value = document.hidden;
  });
  announcement.value = 'The benchmark is running.';
  const alone = effect(() => {
    if (atWork.value) abort.abort(new Told(`Stopped, as the page became busy with ${atWork.value}.`));
  });
  const awake = await navigator.wakeLock?.request('screen').catch(() => undefined); // a phone would fall asleep
  try {
    await gpuKnown(signal);
    const result = await measureAll(signal);
    if (result) take(result);
    announcement.value = signal.aborted ? 'The benchmark was stopped.' : 'The benchmark is done.';
  } catch (error) {
    problem.value = sentenceOf(error);
  } finally {
    alone();
    void awake?.release().catch(() => {});
    if (signal.reason instanceof Told) problem.value = signal.reason.message;
    running.value = stopping.value = false;
  }
}

/** Takes the GPU out of the steps where it was still looked for when the button was pressed, and there is none to measure. */
async function gpuKnown(signal: AbortSignal): Promise<void> {
  const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  await Promise.race([look(), stopped]);
  if (signal.aborted) return;
  steps.value = steps.value.filter(({ where }) => ticked(where));
  if (steps.value.length === 0) throw new Told(whyNot('gpu') || 'The processor plays the GPU here, which tells nothing about a real one. Tick it to measure it all the same.');
}

export function stop(): void {
  if (!running.value) return;
  stopping.value = true;
  abort.abort(new DOMException('Stopped.', 'AbortError'));
}

function tell(index: number, now: StepNow): void {
  steps.value = steps.value.with(index, { ...steps.value[index]!, now });
}

/** What was measured, also where it was stopped early; null: nothing. */
async function measureAll(signal: AbortSignal): Promise<Result | null> {
  const { rounds } = choices.value;
  const result: Result = { format: FORMAT, version: VERSION, date: new Date().toISOString(), sotto: SOTTO, rounds, device: deviceFacts() };
  const models = { speech: modelOf('speech'), language: modelOf('language') };
  for (const [index, { kind, where }] of steps.value.entries()) {
    if (signal.aborted) {
      tell(index, { at: 'stopped' });
      continue;
    }
    try {
      await measureStep(result, index, { kind, where, model: models[kind], rounds, signal });
      tell(index, { at: 'done' });
    } catch (error) {
      if (signal.aborted) {
        tell(index, { at: 'stopped' });
        continue;
      }
      const why = whyNotMeasured(models[kind], error);
      tell(index, { at: 'failed', why });
      const failure: Failure = { backend: where === 'gpu' ? 'webgpu' : 'cpu', ...(where === 'one' && { threads: 1 }), why: why.slice(0, 1000) };
      result[kind]?.failed.push(failure);
    }
  }
  for (const kind of ['speech', 'language'] as const) if (!result[kind]?.runs.length) delete result[kind];
  return result.speech || result.language ? result : null;
}

/** A sentence. The addresses that were tried are in the console. */
function whyNotMeasured({ name }: Candidate, error: unknown): string {
  if (!(error instanceof SottoError) || error.code !== 'network') return sentenceOf(error);
  console.warn(error.message);
  if (sealed.value) return notWhileSealed(name);
  if (!navigator.onLine) return `You are offline, and ${name} is not on this device yet. Connect once to download it.`;
  return `${name} could not be downloaded. Check the connection, then measure again.`;
}

type Planned = Pick<Job, 'where' | 'model' | 'rounds' | 'signal'> & { kind: Kind };

async function measureStep(result: Result, index: number, { kind, ...plan }: Planned): Promise<void> {
  const { model, signal } = plan;
  const job: Job = {
    ...plan,
    onBytes: (loaded, total) => !signal.aborted && tell(index, { at: 'loading', loaded, total }),
    onRound: (done) => !signal.aborted && tell(index, { at: 'round', done }),
  };
  tell(index, { at: 'loading', loaded: 0, total: model.bytes });
  for (const job of ['speech', 'language'] as const) makeRoom(job); // where memory is small, for both
  const seen = watchHidden();
  try {
    if (kind === 'language') {
      result.language ??= { model: factsOf(model), runs: [], failed: [] };
      const run = await measureLanguage(job);
      result.language.runs.push({ ...run, ...seen() });
    } else {
      const clip = await fetchSample();
      result.speech ??= {
        ...{ model: factsOf(model), clip: { name: SAMPLE_NAME, duration_s: rounded((await decode(clip, SAMPLE_NAME)).duration) } },
        ...{ runs: [], failed: [] },
      };
      const run = await measureSpeech(job, clip, result.speech.clip.duration_s);
      result.speech.runs.push({ ...run, ...seen() });
    }
  } finally {
    seen();
  }
}

/** What is called at the end: whether the page was in the background since. */
function watchHidden(): () => { hidden?: true } {
  let hidden = document.hidden;
  const onChange = () => {
    hidden ||= document.hidden;
    wasHidden.value ||= document.hidden;
  };
  document.addEventListener('visibilitychange', onChange);
  return () => {
    document.removeEventListener('visibilitychange', onChange);
    return hidden ? { hidden: true } : {};
  };
}

/* ---- results ---- */

export const kept = signal<readonly Result[]>(readResults()); // newest first
export const shown = signal<Result | null>(kept.value[0] ?? null);
export const other = signal<Result | null>(null); // beside it
export const otherError = signal(''); // why there is none

function keep(results: readonly Result[]): void {
  kept.value = results;
  notKept.value = !writeResults(results) && results.length > 0;
}

/** The lists of models show how fast each is: where nothing slowed it down. */
function noteSpeeds({ speech, language }: Result): void {
  const best = <R extends Run>(runs: readonly R[], speed: (run: R) => number) =>
    Math.max(...runs.filter((run) => !run.hidden && !run.gpu?.software).map(speed));
  if (speech) noteSpeed(speech.model.id, best(speech.runs, (run) => run.times_real_time));
  if (language) noteSpeed(language.model.id, best(language.runs, (run) => run.decode_tokens_per_s));
}

function take(result: Result): void {
  noteSpeeds(result);
  batch(() => {
    keep([result, ...kept.value].slice(0, MOST_KEPT));
    shown.value = result;
  });
}

/** Takes another's result, to be seen beside the one that is shown, or alone. */
export function compareWith(json: string): void {
  otherError.value = '';
  try {
    const read = resultFrom(json);
    if (shown.value) other.value = read;
    else shown.value = read;
    announcement.value = shown.value === read ? 'The result is shown.' : 'Both results are shown.';
  } catch (error) {
    otherError.value = sentenceOf(error);
  }
}

export async function compareWithFile(file: File): Promise<void> {
  try {
    compareWith(await file.text());
  } catch {
    otherError.value = `${file.name} could not be read. It may have been moved: choose it again.`;
  }
}

export function show(result: Result): void {
  shown.value = result;
  if (other.value === result) other.value = null;
}

export function forget(result: Result): void {
  keep(kept.value.filter((each) => each !== result));
  if (other.value === result) other.value = null;
  if (shown.value === result) shown.value = kept.value[0] ?? null;
  announcement.value = 'The result was deleted.';
}

export function forgetAll(): void {
  batch(() => {
    keep([]);
    shown.value = other.value = null;
  });
  announcement.value = 'All results were deleted from this device.';
}
