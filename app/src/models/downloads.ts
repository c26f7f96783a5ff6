/* Downloads of this tab: begun, paused, resumed (by themselves, where the page was closed while they ran), ended.
 *
 *   a reference or an id ──> the store (pieces, checked, kept) ──> a row of what this device keeps
 *
 * Which ones were under way is in localStorage; what came of them is in the store. */

import { computed, effect, signal } from '@preact/signals';
import { modelStore, models, SottoError, type StoredModel } from 'sotto';
import { notWhileSealed, sealed } from '../frame/seal.ts';
import { tellWork } from '../ui/at-work.ts';
import { announcement } from '../ui/say.ts';
import { modelsTitle } from '../ui/title.ts';
import { sentenceOf } from '../ui/told.ts';
import { kept, refreshKept } from './kept.ts';
import { forget, note, watchNotes, type Noted } from './resume.ts';

export interface Download {
  input: string; // an id of the manifest, a reference or an address
  name: string;
  at: 'running' | 'paused' | 'failed' | 'ending'; // ending: cancelled, what came is being removed
  state: 'waiting' | 'downloading' | 'retrying' | 'checking'; // of one that runs
  id: string | null; // in the store, once it is known
  bytes: number;
  size: number | null;
  speed: number; // bytes a second, 0 while unknown
  why: string; // it failed
}

export const downloads = signal<readonly Download[]>([]);
const downloading = computed(() => downloads.value.some(({ at }) => at === 'running'));
tellWork(computed(() => (downloading.value ? 'a download' : '')));
effect(() => {
  modelsTitle.value = downloading.value ? 'Downloading…' : '';
});

const SAID_STEPS = 4; // quarters

/** Models beside the page come before other sources. */
const SOURCES = ['models/'];

/** Those that run: how to stop them, and when they have come to rest. */
const running = new Map<string, { abort: AbortController; rest: Promise<unknown> }>();

/* ---- what survives a reload ---- */

/** Takes up what was under way when the page was left. */
export async function beginDownloads(noted: readonly Noted[]): Promise<void> {
  await refreshKept();
  for (const { input, name, id, paused } of noted) {
    if (downloads.value.some((d) => d.input === input)) continue;
    const here = kept.value.find((model) => model.id === id);
    if (here?.complete) {
      forget(input);
      continue;
    }
    add({ input, name, id, at: 'paused', state: 'waiting', bytes: here?.bytes ?? 0, size: here?.size ?? null, speed: 0, why: '' });
    if (!paused && !sealed.value) void resume(input);
  }
}

// Who pauses or cancels a download in one tab means all of them.
watchNotes(
  (input) => {
    if (halt(input)) set(input, { at: 'paused', speed: 0 });
  },
  (input) => {
    halt(input);
    if (downloads.value.find((d) => d.input === input)?.at !== 'ending') drop(input);
  },
);

/* ---- what a person does ---- */

function add(download: Download): void {
  downloads.value = [...downloads.value.filter(({ input }) => input !== download.input), download];
}

function drop(input: string): void {
  downloads.value = downloads.value.filter((d) => d.input !== input);
}

function set(input: string, part: Partial<Download>): void {
  downloads.value = downloads.value.map((d) => (d.input === input ? { ...d, ...part } : d));
}

function noteState(input: string): void {
  const there = downloads.value.find((d) => d.input === input);
  if (there) note({ input, name: there.name, id: there.id, paused: there.at !== 'running' });
}

/** Stops what runs; what came is kept. Gives whether something ran. */
function halt(input: string): boolean {
  running.get(input)?.abort.abort(new DOMException('Stopped.', 'AbortError'));
  return downloads.value.find((d) => d.input === input)?.at === 'running';
}

/** Begins one, or goes on with it. What comes of it is in `downloads`, then in the store. */
export async function download(input: string, name: string): Promise<StoredModel | undefined> {
  const there = downloads.value.find((d) => d.input === input);
  if (!there) add({ input, name, id: null, at: 'paused', state: 'waiting', bytes: 0, size: null, speed: 0, why: '' });
  announcement.value = `${there && there.bytes > 0 ? 'Going on with' : 'Downloading'} ${name}.`;
  return resume(input);
}

export function resume(input: string): Promise<StoredModel | undefined> {
  const there = downloads.value.find((d) => d.input === input);
  if (!there || there.at === 'running' || there.at === 'ending') return Promise.resolve(undefined);
  if (sealed.value) {
    const why = notWhileSealed(there.name);
    set(input, { at: 'failed', why });
    announcement.value = why;
    return Promise.resolve(undefined);
  }
  const abort = new AbortController();
  const before = running.get(input)?.rest;
  const mine = { abort, rest: run(there, abort, before) };
  running.set(input, mine);
  void mine.rest.finally(() => running.get(input) === mine && running.delete(input));
  return mine.rest;
}

async function run({ input, name }: Download, abort: AbortController, before: Promise<unknown> | undefined): Promise<StoredModel | undefined> {
  set(input, { at: 'running', state: 'waiting', why: '', speed: 0 });
  noteState(input);
  let said = 0;
  try {
    await before; // what was paused a moment ago still puts away what came
    const stored = await modelStore.download(input, {
      sources: models.some((m) => m.id === input) ? SOURCES : [],
      signal: abort.signal,
      onProgress: ({ id, bytes, size, bytesPerSecond, state }) => {
        if (abort.signal.aborted) return;
        const known = downloads.value.find((d) => d.input === input)?.id;
        set(input, { id, bytes, size: size ?? null, speed: bytesPerSecond, state });
        if (known !== id) noteState(input);
        const step = size ? Math.floor((bytes / size) * SAID_STEPS) : 0;
        if (step > said && step < SAID_STEPS) announcement.value = `${name}: ${(100 * step) / SAID_STEPS} percent.`;
        said = Math.max(said, step);
      },
    });
    drop(input);
    forget(input);
    await refreshKept();
    announcement.value = `${name} is on this device.`;
    return stored;
  } catch (error) {
    if (abort.signal.aborted) return undefined;
    const why = whyNot(input, name, error);
    set(input, { at: 'failed', why, speed: 0 });
    noteState(input);
    announcement.value = why;
    return undefined;
  }
}

/** Stops it; what came is kept. */
export function pause(input: string): void {
  if (!halt(input)) return;
  set(input, { at: 'paused', speed: 0 });
  noteState(input);
  announcement.value = `${downloads.value.find((d) => d.input === input)!.name} is paused.`;
}

/** Ends it; what came is removed. */
export async function cancel(input: string): Promise<void> {
  const there = downloads.value.find((d) => d.input === input);
  if (!there || there.at === 'ending') return;
  halt(input);
  set(input, { at: 'ending', speed: 0 });
  await running.get(input)?.rest;
  const { id } = there;
  await refreshKept();
  if (id !== null && kept.value.some((model) => model.id === id && !model.complete)) await modelStore.delete(id).catch(() => {});
  drop(input);
  forget(input);
  await refreshKept();
  announcement.value = `The download of ${there.name} was cancelled.`;
}

/* ---- errors ---- */

const HOSTS = /^https:\/\/([\w-]+\.)*(huggingface\.co|hf\.co)\/|^https:\/\/(unpkg\.com|cdn\.jsdelivr\.net)\//;

/** Whether the page's content security policy lets it fetch from there. */
export function mayFetch(address: string): boolean {
  if (!/^[a-z][a-z\d+.-]*:/i.test(address) || address.startsWith('hf:')) return true;
  return URL.canParse(address) && (new URL(address).origin === location.origin || HOSTS.test(address));
}

export const whyNotFrom = (address: string): string =>
  `This page may fetch from its own address, huggingface.co, unpkg.com and cdn.jsdelivr.net alone: download ${address} with the browser, then choose the file here.`;

/** Why it did not come, and what to do. */
function whyNot(input: string, name: string, error: unknown): string {
  if (!(error instanceof SottoError) || error.code !== 'network') return sentenceOf(error);
  console.warn(error.message);
  if (sealed.value) return notWhileSealed(name);
  if (!navigator.onLine) return `You are offline. ${name} goes on when there is a connection: then press Try again.`;
  if (!mayFetch(input)) return whyNotFrom(input);
  if (/SHA-256|bytes of the model|bytes, not/.test(error.message)) return `${name} arrived damaged: it is not the published file. Try again, or get another model.`;
  if (/status 40[13]/.test(error.message)) return sentenceOf(error);
  if (/status 404/.test(error.message)) return `There is no ${name} at this place (HTTP status 404): check the name.`;
  return `${name} could not be downloaded. Check the connection and try again; what came is kept.`;
}
