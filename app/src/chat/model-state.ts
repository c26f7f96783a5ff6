/* The model that answers: which one is chosen, whether it is here, and how far it is on its way. */

import { batch, computed, effect, signal } from '@preact/signals';
import { tellWork } from '../ui/at-work.ts';
import { makeRoom, occupy } from '../ui/memory.ts';
import { placeInShort, type BackendChoice, type Place } from '../ui/place.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { megabytes } from '../ui/words.ts';
import { hereIds, kept, kindOf, manifestOf, means, others as keptOthers, refreshKept } from '../models/kept.ts';
import { isFatal, Writer } from './engine.ts';
import { DEFAULT_MODEL, entryOfKept, modelOfFiles, MODELS, type ChatModel } from './models.ts';
import { readSettings, writeSettings, type Settings } from './settings.ts';

export const settings = signal<Settings>(readSettings());
effect(() => writeSettings(settings.value));

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/* ---- which one ---- */

/** Beside those of the manifest: what this device keeps. */
const others = computed<readonly ChatModel[]>(() => keptOthers.value.filter((model) => kindOf(model) === 'language').map(entryOfKept));
export const ownModel = signal<ChatModel | null>(null); // of files, while the page lives
export const chosen = computed<ChatModel>(() => {
  const { model } = settings.value;
  if (model === 'own') return ownModel.value ?? DEFAULT_MODEL;
  const stored = keptOthers.value.find((m) => means(model, m));
  return MODELS.find((m) => m.id === model) ?? (stored ? entryOfKept(stored) : DEFAULT_MODEL);
});

export const isHere = (model: ChatModel): boolean => model.id === 'own' || others.value.includes(model) || hereIds.value.has(model.id);

/** What can answer at once: what is here, what comes with the page, and what is chosen. */
export const choices = computed<readonly ChatModel[]>(() => {
  const own = ownModel.value ? [ownModel.value] : [];
  return [...MODELS, ...others.value, ...own].filter((m) => m === DEFAULT_MODEL || m === chosen.value || isHere(m));
});

/* ---- how far ---- */

export type ModelWork =
  | { at: 'rest' } // not in memory
  | { at: 'loading'; model: ChatModel; loaded: number; total: number; cached: boolean; from: number } // bytes; from: were here
  | { at: 'ready'; model: ChatModel; place: Place; backend: BackendChoice; weightBytes: number; window: number }
  | { at: 'cancelled'; model: ChatModel; loaded: number }
  | { at: 'failed'; model: ChatModel; why: string };

export const work = signal<ModelWork>({ at: 'rest' });
tellWork(computed(() => (work.value.at === 'loading' ? 'loading a model' : '')));
export const notKept = signal(false); // the browser had no room for the model

let writer: Writer | null = null;
/** What a writer is opened with. */
interface Wanted extends Pick<Settings, 'contextWindow' | 'backend'> {
  model: ChatModel;
}

let opened: Wanted | null = null; // what `writer` is
let pending: { promise: Promise<Writer>; abort: AbortController; of: Wanted } | null = null;

const same = (a: Wanted | null, b: Wanted) =>
  a?.model === b.model && a.contextWindow === b.contextWindow && a.backend === b.backend;

/** The writer that the settings ask for; loads it where it is not here yet. */
export async function ready(signal: AbortSignal): Promise<Writer> {
  const { contextWindow, backend } = settings.value;
  const wanted = { model: chosen.value, contextWindow, backend };
  if (writer && same(opened, wanted)) return writer;
  if (!pending || pending.abort.signal.aborted || !same(pending.of, wanted)) {
    const before = pending;
    before?.abort.abort();
    close();
    const abort = new AbortController();
    // One after the other: what came of a download is kept before the next one looks for it.
    const promise = Promise.allSettled([before?.promise]).then(() => open(wanted, abort.signal));
    const mine = { promise, abort, of: wanted };
    pending = mine;
    const over = () => {
      if (pending === mine) pending = null;
    };
    promise.then(over, over);
  }
  const { promise, abort } = pending;
  const onAbort = () => abort.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function open(wanted: Wanted, signal: AbortSignal): Promise<Writer> {
  const { model } = wanted;
  makeRoom('language');
  await refreshKept();
  const cached = isHere(model);
  const from = cached ? 0 : (kept.value.find((m) => manifestOf(m)?.id === model.id)?.bytes ?? 0);
  let came = 0;
  notKept.value = false;
  work.value = { at: 'loading', model, loaded: 0, total: model.bytes, cached, from };
  if (!cached) announcement.value = `Fetching ${model.name}, ${megabytes(model.bytes)}.`;
  try {
    signal.throwIfAborted();
    const onMoved = (place: Place) => {
      if (work.value.at === 'ready') work.value = { ...work.value, place };
    };
    const made = await Writer.open(model, wanted, onMoved, signal, (loaded, total) => {
      if (signal.aborted) return;
      came = loaded;
      work.value = { at: 'loading', model, loaded, total: total || model.bytes, cached, from };
    });
    if (signal.aborted) {
      made.close();
      throw signal.reason;
    }
    writer = made;
    opened = wanted;
    const { place, weightBytes, contextWindow } = made;
    await refreshKept();
    batch(() => {
      work.value = { at: 'ready', model, place, backend: wanted.backend, weightBytes, window: contextWindow };
      notKept.value = !isHere(model);
      occupy('language', { name: model.name, bytes: weightBytes, where: placeInShort(place), busy: () => made.busy, free: unload });
    });
    return made;
  } catch (error) {
    if (signal.aborted) work.value = { at: 'cancelled', model, loaded: cached ? 0 : Math.max(from, came) };
    else work.value = { at: 'failed', model, why: sentenceOf(error) };
    throw error;
  }
}

function close(): void {
  writer?.close();
  writer = null;
  opened = null;
  occupy('language', null);
}

/** After an error in an answer: an engine that stopped is not asked again. */
export function writerFailed(error: unknown): void {
  if (!writer || !isFatal(error)) return;
  close();
  work.value = { at: 'rest' };
}

/* ---- what a person does ---- */

/** Chooses a model and loads it. Errors are in `work`. */
export async function choose(model: ChatModel): Promise<void> {
  change({ model: model.id });
  await ready(new AbortController().signal).then(
    () => (announcement.value = `${model.name} is ready.`),
    () => {},
  );
}

/** Takes files as a model, while the page lives. Throws Told. */
export async function chooseFiles(files: readonly File[]): Promise<void> {
  ownModel.value = modelOfFiles(files);
  await choose(ownModel.value);
}

export function cancelLoading(): void {
  pending?.abort.abort(new DOMException('Cancelled.', 'AbortError'));
}

/** Frees the memory; the model stays on the device. */
function unload(): void {
  close();
  work.value = { at: 'rest' };
  announcement.value = 'The model was unloaded.';
}

/** A model is about to go from this device: it is let go of. */
export function letGo(id: string): void {
  if (opened?.model.id === id) unload(); // its file would go under it when a GPU is lost
  if (chosen.value.id === id && id.startsWith('stored:')) change({ model: DEFAULT_MODEL.id });
}
