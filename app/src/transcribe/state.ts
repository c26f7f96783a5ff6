/* What the page knows, and what a person can do with it:
 *
 *   a file, a recording or the sample ──> source ──> model (downloaded, kept) ──> segments, one by one ──> edits, files
 *
 * The parts of the page only read these signals and call these actions. */

import { batch, computed, effect, signal } from '@preact/signals';
import { decode, SAMPLE_RATE, wav, type Sound } from './audio.ts';
import { Engine, entryOfKept, MODELS, type ModelEntry, type Segment } from './engine.ts';
import { DEFAULTS, readKept, readSettings, writeKept, writeSettings, type Kept, type Settings } from './keep.ts';
import { languageName } from './languages.ts';
import { Recorder } from './recorder.ts';
import { fetchSample, SAMPLE_NAME } from './sample.ts';
import { hereIds, kindOf, others, refreshKept } from '../models/kept.ts';
import { tellWork } from '../ui/at-work.ts';
import { makeRoom, occupy } from '../ui/memory.ts';
import { placeInShort, type BackendChoice, type Place } from '../ui/place.ts';
import { announcement } from '../ui/say.ts';
import { noteSpeed } from '../ui/speeds.ts';
import { transcribeTitle } from '../ui/title.ts';
import { Told } from '../ui/told.ts';
import { clock, elapsed, spoken } from '../ui/words.ts';

/* ---- what there is ---- */

export interface Source {
  name: string;
  file: Blob | null; // null where it could not be kept over a reload
  url: string; // for the player, '' without a file
  video: boolean;
  recorded: boolean;
  duration: number; // s, 0 until decoded
  peaks: Float32Array | null; // null until decoded
}

export type Work =
  | { at: 'rest' }
  | { at: 'reading' }
  | { at: 'download'; loaded: number; total: number; cached: boolean } // bytes
  | { at: 'transcribing'; fraction: number; speed: number; left: number } // speed: times real time; left: s
  | { at: 'cancelled' }
  | { at: 'failed'; why: string };

export interface EngineFacts {
  variant: string;
  place: Place;
  backend: BackendChoice; // that was asked for
}

export interface Language {
  code: string; // '' where unknown
  probability: number;
}

const UNKNOWN: Language = { code: '', probability: 0 };

export const settings = signal<Settings>(readSettings());
export const ownModel = signal<File | null>(null);
export const notKept = signal(false); // the browser had no room for the model

export const source = signal<Source | null>(null);
export const segments = signal<Segment[]>([]);
export const language = signal<Language>(UNKNOWN); // of the transcript
export const summary = signal(''); // how the transcript was made
export const edited = signal(false);
export const previous = signal<Kept | null>(null); // the transcript before this one
export const restored = signal(false); // what was kept has been read

export const work = signal<Work>({ at: 'rest' });
export const busy = computed(() => ['reading', 'download', 'transcribing'].includes(work.value.at));
export const recorder = signal<Recorder | null>(null);
export const hearing = signal(false); // live
export const intakeError = signal(''); // why no recording or file was taken
tellWork(computed(() => (busy.value ? 'a transcription' : hearing.value ? 'live transcription' : recorder.value ? 'a recording' : '')));
export const facts = signal<EngineFacts | null>(null);

export const position = signal(0); // of the player, s
export const playing = computed(() => {
  const at = position.value;
  return at > 0 ? segments.value.findIndex((s) => at >= s.start && at < s.end) : -1;
});

const PAUSE_MS = 1000; // between announcements of new text

let unsaid: string[] = [];

/** Announces new text; what comes within a second is said together. */
export function announceText(text: string): void {
  if (unsaid.push(text) > 1) return;
  setTimeout(() => {
    announcement.value = unsaid.join(' ');
    unsaid = [];
  }, PAUSE_MS);
}

/** The manifest's models, then those that this device keeps beside. */
export const entries = computed<readonly ModelEntry[]>(() => [
  ...MODELS,
  ...others.value.filter((model) => kindOf(model) === 'speech').map(entryOfKept),
]);

export const isHere = (entry: ModelEntry): boolean => entry.group === 'yours' || hereIds.value.has(entry.id);

export function modelEntry(): ModelEntry | null {
  return entries.value.find((m) => m.id === settings.value.model) ?? null;
}

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

effect(() => writeSettings(settings.value));
effect(() => {
  transcribeTitle.value = busy.value ? 'Transcribing…' : '';
});

/* ---- the player, as the rest of the page sees it ---- */

export interface Player {
  playFrom(seconds: number): void;
  toggle(): void;
}

export const player: { current: Player | null } = { current: null };

/* ---- taking sound in ---- */

let sound: Sound | null = null; // of the source, while the page lives
let abort = new AbortController();

export async function takeFile(file: File): Promise<void> {
  await take(file, file.name || 'recording', false);
}

export async function takeSample(): Promise<void> {
  try {
    await take(await fetchSample(), SAMPLE_NAME, false);
  } catch (error) {
    intakeError.value = sentence(error);
  }
}

async function take(file: Blob, name: string, recorded: boolean): Promise<void> {
  abort.abort();
  const aside = setAside();
  sound = null;
  const video = file.type.startsWith('video/');
  batch(() => {
    if (source.value) URL.revokeObjectURL(source.value.url);
    intakeError.value = '';
    source.value = { name, file, url: URL.createObjectURL(file), video, recorded, duration: 0, peaks: null };
    clearTranscript();
  });
  await aside;
  await transcribe();
}

export async function startRecording(): Promise<void> {
  intakeError.value = '';
  try {
    const started = await Recorder.start();
    recorder.value = started;
    announcement.value = 'Recording.';
    void started.ended.then(() => {
      if (recorder.value === started) void stopRecording();
    });
  } catch (error) {
    intakeError.value = sentence(error);
  }
}

export async function stopRecording(): Promise<void> {
  const running = recorder.value;
  if (!running) return;
  recorder.value = null;
  const recording = await running.stop();
  const name = `Recording ${now()}`;
  // As WAV the player can seek in it, and other programs read it. What cannot be decoded can still be saved.
  const decoded = await decode(recording, name).catch(() => null);
  if (decoded) await take(wav(decoded.samples), `${name}.wav`, true);
  else await take(recording, `${name}.${/mp4/.test(recording.type) ? 'm4a' : 'webm'}`, true);
}

const now = (): string => new Date().toLocaleString('sv').slice(0, 16).replace(':', '.');

export function discardRecording(): void {
  recorder.value?.discard();
  recorder.value = null;
  announcement.value = 'Recording discarded.';
}

/* ---- transcribing ---- */

let engine: Engine | null = null;
let engineIs: [string | File, BackendChoice] | null = null; // id or file, and what `engine` was opened with

/** Transcribes the source with the settings of now. The transcript that it replaces is set aside. */
export async function transcribe(): Promise<void> {
  const from = source.value;
  if (!from?.file) return;
  abort.abort();
  abort = new AbortController();
  const { signal } = abort;
  const aside = setAside();
  clearTranscript();
  work.value = { at: 'reading' };
  try {
    await aside;
    if (!sound) {
      announcement.value = `Reading ${from.name}.`;
      const decoded = await decode(from.file, from.name);
      signal.throwIfAborted();
      sound = decoded;
      source.value = { ...from, duration: decoded.duration, peaks: decoded.peaks };
    }
    const ready = await openModel(signal);
    await run(ready, sound, signal);
  } catch (error) {
    if (signal.aborted) {
      if (abort.signal === signal) work.value = { at: 'cancelled' };
      return;
    }
    work.value = { at: 'failed', why: sentence(error) };
  } finally {
    if (abort.signal === signal) await keep();
  }
}

async function openModel(signal: AbortSignal): Promise<Engine> {
  const entry = modelEntry();
  const chosen = entry ?? ownModel.value;
  if (!chosen) throw new Told('No model is chosen. Choose one under Model, or your own model file again.');
  const { backend } = settings.value;
  const what = entry ? entry.id : ownModel.value!;
  if (engine && engineIs?.[0] === what && engineIs[1] === backend) return engine;
  freeEngine();
  makeRoom('speech');
  await refreshKept();
  const cached = !entry || isHere(entry);
  const bytes = entry ? entry.bytes : ownModel.value!.size;
  work.value = { at: 'download', loaded: 0, total: bytes, cached };
  if (!cached) announcement.value = `Downloading the ${entry.label} model.`;
  const onMoved = (place: Place) => {
    if (facts.value) facts.value = { ...facts.value, place };
  };
  const opened = await Engine.open(chosen, backend, onMoved, signal, (loaded, total) => {
    if (!signal.aborted) work.value = { at: 'download', loaded, total: total || bytes, cached };
  });
  if (signal.aborted) {
    opened.close();
    throw signal.reason;
  }
  engine = opened;
  engineIs = [what, backend];
  facts.value = { variant: opened.variant, place: opened.place, backend };
  occupy('speech', {
    name: entry?.label ?? ownModel.value!.name,
    bytes: opened.weightBytes,
    where: placeInShort(opened.place),
    busy: () => busy.value || hearing.value,
    free: freeEngine,
  });
  await refreshKept();
  notKept.value = entry !== null && !isHere(entry);
  return opened;
}

/** Frees the memory; the model stays on the device. */
function freeEngine(): void {
  engine?.close();
  engine = engineIs = facts.value = null;
  occupy('speech', null);
}

const WORTH_NOTING_S = 5; // of sound; shorter ones tell little of the speed

async function run(ready: Engine, from: Sound, signal: AbortSignal): Promise<void> {
  const now = settings.value;
  const translate = now.translate && ready.multilingual && (modelEntry()?.translates ?? true);
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  work.value = { at: 'transcribing', fraction: 0, speed: 0, left: 0 };
  announcement.value = 'Transcribing.';
  const result = await ready.transcribe(from.samples, SAMPLE_RATE, {
    language: ready.multilingual ? now.language : 'en',
    translate,
    beamSize: now.beamSize,
    timestamps: now.timestamps,
    prompt: now.prompt,
    signal,
    onFraction: (fraction) => {
      if (signal.aborted) return;
      const speed = (fraction * from.duration) / Math.max(seconds(), 1e-3);
      const left = fraction > 0 ? (seconds() * (1 - fraction)) / fraction : 0;
      work.value = { at: 'transcribing', fraction, speed, left };
    },
    onSegment: (segment) => {
      if (signal.aborted) return;
      segments.value = [...segments.value, segment];
      announceText(segment.text);
      keepSoon();
    },
  });
  signal.throwIfAborted();
  const took = seconds();
  if (from.duration >= WORTH_NOTING_S) noteSpeed(now.model, from.duration / took);
  const detected = ready.multilingual && now.language === 'auto' && result.language;
  batch(() => {
    language.value = { code: translate ? 'en' : result.language, probability: result.languageProbability };
    summary.value =
      `${clock(from.duration)} of sound in ${elapsed(took)} · ${(from.duration / took).toFixed(1)}× real time` +
      (detected ? ` · ${languageName(result.language)} detected` : '');
    work.value = { at: 'rest' };
    announceText(
      segments.value.length === 0
        ? 'Done. No speech was found.'
        : `Done: ${segments.value.length} segments from ${spoken(from.duration)} of sound.`,
    );
  });
}

export function cancel(): void {
  abort.abort(new DOMException('Cancelled.', 'AbortError'));
  announcement.value = 'Cancelled.';
}

/* ---- what was heard live ---- */

/** Opens the model for something else than the source, which makes room; null: that was cancelled, here or by `wanted`, or could not be. */
export async function openForLive(wanted?: AbortSignal): Promise<Engine | null> {
  abort.abort();
  abort = new AbortController();
  const { signal } = abort;
  wanted?.addEventListener('abort', () => abort.signal === signal && abort.abort());
  intakeError.value = '';
  try {
    const opened = await openModel(signal);
    work.value = { at: 'rest' };
    return opened;
  } catch (error) {
    if (abort.signal === signal) work.value = { at: 'rest' };
    if (!signal.aborted) intakeError.value = sentence(error);
    return null;
  }
}

/** Shows what was heard as any other transcript, with its sound where that could be decoded. */
export async function showLive(all: Segment[], code: string, recording: Blob): Promise<void> {
  const name = `Live ${now()}`;
  const decoded = await decode(recording, name).catch(() => null);
  const file = decoded && wav(decoded.samples);
  const duration = decoded?.duration ?? all.at(-1)?.end ?? 0;
  await setAside();
  show({
    ...{ name: file ? `${name}.wav` : name, file, video: false, recorded: true, duration },
    peaks: decoded?.peaks ?? new Float32Array(),
    segments: all,
    language: { code, probability: 1 },
    summary: `${clock(duration)} of sound, heard live`,
    edited: false,
  });
  sound = decoded;
  await keep();
}

/* ---- the transcript ---- */

export function edit(index: number, text: string): void {
  const before = segments.value[index];
  if (!before || before.text.trim() === text.trim()) return;
  // The tokens no longer spell the text.
  segments.value = segments.value.with(index, { ...before, text: ` ${text.trim()}`, tokens: [] });
  edited.value = true;
  keepSoon();
}

function clearTranscript(): void {
  batch(() => {
    segments.value = [];
    language.value = UNKNOWN;
    summary.value = '';
    edited.value = false;
    position.value = 0;
    work.value = { at: 'rest' };
  });
}

/** Back to the start; the transcript can be opened again from there. */
export async function startOver(): Promise<void> {
  abort.abort();
  const aside = setAside();
  sound = null;
  batch(() => {
    if (source.value) URL.revokeObjectURL(source.value.url);
    source.value = null;
    clearTranscript();
  });
  await aside;
  await writeKept('current', null);
}

/** Opens the transcript that was set aside, and sets this one aside. */
export async function openPrevious(): Promise<void> {
  const kept = previous.value;
  if (!kept) return;
  abort.abort();
  const now = snapshot();
  show(kept);
  previous.value = now;
  await Promise.all([writeKept('current', kept), writeKept('previous', now)]);
}

function snapshot(): Kept | null {
  const from = source.value;
  if (!from || segments.value.length === 0) return null;
  const { name, file, video, recorded, duration, peaks } = from;
  return {
    name,
    file,
    video,
    recorded,
    duration,
    peaks: peaks ?? new Float32Array(),
    segments: segments.value,
    language: language.value,
    summary: summary.value,
    edited: edited.value,
  };
}

function show(kept: Kept): void {
  sound = null;
  const { name, file, video, recorded, duration, peaks } = kept;
  batch(() => {
    if (source.value) URL.revokeObjectURL(source.value.url);
    clearTranscript();
    source.value = { name, file, url: file ? URL.createObjectURL(file) : '', video, recorded, duration, peaks };
    segments.value = kept.segments;
    language.value = kept.language;
    summary.value = kept.summary;
    edited.value = kept.edited;
  });
}

async function setAside(): Promise<void> {
  const kept = snapshot();
  if (!kept) return;
  previous.value = kept;
  await writeKept('previous', kept);
}

let timer = 0;

function keepSoon(): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => void keep(), 300);
}

async function keep(): Promise<void> {
  clearTimeout(timer);
  const kept = snapshot();
  if (kept) await writeKept('current', kept);
}

/* ---- beginning and end of the page ---- */

async function begin(): Promise<void> {
  const [current, before] = await Promise.all([readKept('current'), readKept('previous'), refreshKept()]);
  if (current && !source.value) show(current);
  previous.value = before;
  restored.value = true;
  if (!modelEntry() && !ownModel.value) change({ model: DEFAULTS.model }); // a file does not survive a reload, and a kept model may be gone
  addEventListener('pagehide', () => void keep());
  addEventListener('visibilitychange', () => document.hidden && void keep());
  addEventListener('beforeunload', (event) => {
    if (recorder.value || hearing.value) event.preventDefault();
  });
}

/** What was open when the page was left is open again. */
export const begun = begin();

/** Chooses a model; files of the person are used while the page lives. */
export function useModel(chosen: string | File): void {
  notKept.value = false;
  if (chosen instanceof File) ownModel.value = chosen;
  change({ model: chosen instanceof File ? 'own' : chosen });
}

/** A model is about to go from this device: it is let go of. */
export function letGo(id: string): void {
  if (engineIs?.[0] === id) freeEngine();
  if (settings.value.model === id && id.startsWith('stored:')) change({ model: DEFAULTS.model });
}

function sentence(error: unknown): string {
  if (error instanceof Error && error.message) return error.message;
  return 'Something went wrong. Reload the page and try again; your transcript is kept.';
}
