/* A model of the person's own on its way to this device, smaller: looked at, started, watched, taken up again. */

import { batch, computed, signal } from '@preact/signals';
import {
  estimateQuantization,
  quantize,
  unfinishedQuantizations,
  type Quantization,
  type QuantizeEstimate,
  type QuantizeOptions,
  type QuantizeProgress,
  type UnfinishedQuantization,
} from 'sotto';
import { tellWork } from '../ui/at-work.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { settings } from '../chat/model-state.ts';
import { mayFetch, whyNotFrom } from './downloads.ts';
import { dropHandles, filesAgain, noteHandles } from './handles.ts';
import { kept, refreshKept, type StoredModel } from './kept.ts';
import { defaultType, TYPES, typeInWords } from './quantize-types.ts';

/** Files of the person, or an address. */
export type Source = readonly File[] | string;

export type QuantizeState =
  | { at: 'rest' }
  | { at: 'looking'; what: string }
  | { at: 'offer'; source: Source; estimate: QuantizeEstimate; name: string; type: string }
  | { at: 'work'; name: string; type: string; progress: QuantizeProgress | null; job: Quantization }
  | { at: 'done'; model: StoredModel }
  | { at: 'failed'; why: string; kept: boolean }; // kept: what was done is there for another attempt

export const quantizing = signal<QuantizeState>({ at: 'rest' });
export const unfinished = signal<readonly UnfinishedQuantization[]>([]);
/** The one that waits for its files. */
export const waiting = signal<UnfinishedQuantization | null>(null);

/** The name of what is being made, while it is. */
export const inWork = computed(() => (quantizing.value.at === 'work' ? quantizing.value.name : ''));
tellWork(computed(() => inWork.value && 'quantizing a model'));

export async function refreshUnfinished(): Promise<void> {
  const all = await unfinishedQuantizations().catch(() => []);
  unfinished.value = all.filter(({ name }) => name !== inWork.value);
}

/* ---- looking at it ---- */

let looking: AbortController | null = null;

/** "Files" of the person or an address: what is it, and what would come of it? */
export async function look(source: Source): Promise<void> {
  if (quantizing.value.at === 'work') return;
  looking?.abort();
  const mine = (looking = new AbortController());
  quantizing.value = { at: 'looking', what: typeof source === 'string' ? source : `${source.length} ${source.length === 1 ? 'file' : 'files'}` };
  try {
    const estimate = await estimateQuantization(source, { types: TYPES.map(({ type }) => type), signal: mine.signal });
    if (mine.signal.aborted) return;
    const [first] = estimate.plans;
    const wanted = defaultType(first!.nParameters);
    const type = estimate.plans.some((plan) => plan.type === wanted) ? wanted : first!.type;
    quantizing.value = { at: 'offer', source, estimate, name: estimate.name, type };
    announcement.value = `${estimate.name} can be quantized: choose a type, then start.`;
  } catch (error) {
    if (mine.signal.aborted) return;
    fail(typeof source === 'string' ? whyNotFetched(source, error) : sentenceOf(error), false);
  } finally {
    if (looking === mine) looking = null;
  }
}

/** The policy of this page lets it fetch from a few places alone. */
function whyNotFetched(address: string, error: unknown): string {
  return mayFetch(address) ? sentenceOf(error) : whyNotFrom(address);
}

export function chooseType(type: string): void {
  const now = quantizing.value;
  if (now.at === 'offer') quantizing.value = { ...now, type };
}

export function rename(name: string): void {
  const now = quantizing.value;
  if (now.at === 'offer') quantizing.value = { ...now, name };
}

export function leave(): void {
  looking?.abort();
  waiting.value = null;
  if (quantizing.value.at !== 'work') quantizing.value = { at: 'rest' };
}

/* ---- making it ---- */

export function start(): void {
  const now = quantizing.value;
  if (now.at !== 'offer') return;
  const { source, type } = now;
  const name = now.name.trim();
  void make(source, { keepAs: `${name} ${typeInWords(type)}`, name, type });
}

/** Goes on with one that was begun; files must be given again, addresses need not. */
export async function goOn(entry: UnfinishedQuantization, source: Source | null): Promise<void> {
  const from = source ?? entry.urls ?? (await filesAgain(entry.name));
  if (!from || entry.imatrix) {
    waiting.value = entry;
    announcement.value = `To go on with ${entry.name}, choose its files again.`;
    document.getElementById('bring-title')?.focus();
    return;
  }
  waiting.value = null;
  await make(from, entry.options);
}

/** Files came while one waits for them. */
export function take(files: readonly File[]): void {
  const entry = waiting.value;
  if (entry) void goOn(entry, files);
  else void look(files);
}

const SAID_STEPS = 4; // quarters

async function make(source: Source | readonly string[], options: QuantizeOptions & { keepAs: string; type: string }): Promise<void> {
  void navigator.storage?.persist?.().catch(() => false); // so that the browser does not clear it away
  const { keepAs: name, type } = options;
  let said = 0;
  const job = quantize(source, {
    ...options,
    backend: settings.value.backend,
    onProgress: (progress) => {
      const now = quantizing.value;
      if (now.at !== 'work' || now.job !== job) return;
      quantizing.value = { ...now, progress };
      const step = progress.phase === 'converting' ? Math.floor(progress.fraction * SAID_STEPS) : 0;
      if (step > said && step < SAID_STEPS) announcement.value = `${name}: ${(100 * step) / SAID_STEPS} percent.`;
      said = Math.max(said, step);
    },
  });
  quantizing.value = { at: 'work', name, type, progress: null, job };
  announcement.value = `Quantizing to ${typeInWords(type)} began.`;
  if (typeof source !== 'string' && source[0] instanceof File) void noteHandles(name, source as readonly File[]);
  await refreshUnfinished();
  try {
    const made = await job;
    void dropHandles(name);
    await refreshKept();
    const model = kept.value.find((m) => m.origin === 'made' && m.name === made.name);
    batch(() => {
      quantizing.value = model ? { at: 'done', model } : { at: 'rest' };
      announcement.value = `${name} is made, and on this device.`;
    });
  } catch (error) {
    const stopped = error instanceof DOMException && error.name === 'AbortError';
    if (stopped) {
      quantizing.value = { at: 'rest' };
      announcement.value = `Stopped. What is done of ${name} is kept.`;
    } else fail(sentenceOf(error), true);
  }
  await refreshUnfinished();
}

function fail(why: string, kept: boolean): void {
  quantizing.value = { at: 'failed', why, kept };
}

export function pauseOrGoOn(): void {
  const now = quantizing.value;
  if (now.at !== 'work') return;
  if (now.job.paused) now.job.resume();
  else now.job.pause();
  announcement.value = now.job.paused ? 'Paused.' : 'Going on.';
  quantizing.value = { ...now }; // the job knows, and this shows it
}

/** Ends it; what is done stays for another time. */
export function stopWork(): void {
  const now = quantizing.value;
  if (now.at === 'work') now.job.cancel({ keep: true });
}

export async function dropUnfinished(entry: UnfinishedQuantization): Promise<void> {
  await entry.remove().catch(() => {});
  void dropHandles(entry.name);
  if (waiting.value?.name === entry.name) waiting.value = null;
  await refreshUnfinished();
  announcement.value = `What was done of ${entry.name} was removed.`;
}
