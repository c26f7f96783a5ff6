// Live transcription in the engine's worker.
//
//   sound ──> frames of 32 ms ──> voice activity ──> speech begins ──> every so often a hypothesis of all of it ──> partial
//                                                └─> it pauses ──────> a hypothesis ahead of its end
//                                                └─> it is over ─────> that one is final
//
// Each hypothesis is made to begin with the words that are settled, so that they never change. Speech that does not end is cut, where it
// pauses most, behind all that is settled.
import { AudioReader } from './audio.js';
import { abortError } from './errors.js';
import { decodeSpeech, type Heard } from './live-decode.js';
import type { Options } from './options.js';
import { SettlingText } from './live-text.js';
import type { OptionValue } from './options.js';
import type { Platform } from './platform.js';
import type { AudioSpec, LiveEvent } from './protocol.js';
import type { LoadedEngine } from './running.js';
import { FRAME, Vad, type Frame, type VadOptions } from './vad.js';

const RATE = 16000;
const ms = (n: number): number => (n * RATE) / 1000;

/** Silence after which speech is over; what is shorter belongs to it. */
const DEFAULTS: Required<Pick<VadOptions, 'minSpeechMs' | 'minSilenceMs' | 'padMs'>> = {
  minSpeechMs: 200,
  minSilenceMs: 480,
  padMs: 160,
};
/** Silence after which the last hypothesis is made, before it is sure that the speech is over. */
const PAUSE = ms(160);
/** From one hypothesis to the next at least, and as often as half of the time is left for other things. */
const STEP = ms(640);
/** Speech that is longer is cut. */
const LONGEST = ms(14_000);
/** A language that was detected from this much speech, this surely, is kept. */
const ENOUGH_SPEECH = ms(3000);
const SURE = 0.8;

export interface LiveTask {
  id: number;
  options: Options;
  input: Extract<AudioSpec, { kind: 'pcm' }>;
  vad: Uint8Array;
  vadOptions: VadOptions;
  pieces: AsyncIterable<Float32Array>;
  cancelled: () => boolean;
}

interface Utterance {
  start: number;
  text: SettlingText;
  /** The last hypothesis, and up to where it heard. */
  heard: Heard | undefined;
  end: number;
}

/** Does work in an engine that may be started anew meanwhile. */
type Surviving = <T>(work: () => Promise<T>) => Promise<T>;

export class Live {
  readonly #engine: () => LoadedEngine;
  readonly #surviving: Surviving;
  readonly #platform: Platform;
  readonly #task: LiveTask;
  readonly #vad: Vad;
  readonly #padding: number;
  readonly #shortest: number;
  #sound = new Float32Array(2 * LONGEST);
  #first = 0;
  #n = 0;
  /** Samples that the voice activity has heard, and probabilities of its last frames. */
  #at = 0;
  readonly #probabilities: number[] = [];
  #now: Utterance | undefined;
  /** Up to where speech was given out. */
  #done = 0;
  #language: string | undefined;
  #decodeMs = 0;

  constructor(engine: () => LoadedEngine, surviving: Surviving, platform: Platform, task: LiveTask) {
    this.#engine = engine;
    this.#surviving = surviving;
    this.#platform = platform;
    this.#task = task;
    const { wasm, engine: e } = engine();
    const options = { ...DEFAULTS, ...task.vadOptions };
    this.#padding = ms(options.padMs);
    this.#shortest = ms(options.minSpeechMs) + this.#padding;
    this.#vad = new Vad(wasm, e, task.vad, options);
  }

  async run(): Promise<void> {
    const reader = new AudioReader(this.#engine().wasm);
    const { pieces, input } = this.#task;
    try {
      for await (const block of reader.pcm(pieces, input.rate, input.channels)) {
        const samples = reader.copy(block);
        this.#keep(samples);
        for (const frame of this.#vad.hear(samples)) await this.#frame(frame);
        await this.#partial();
        if (this.#task.cancelled()) throw abortError();
      }
      this.#at = this.#first + this.#n - FRAME;
      await this.#frame(this.#vad.end());
    } finally {
      reader.close();
      this.#vad.close();
    }
  }

  // ---- sound ----

  #keep(samples: Float32Array): void {
    if (!this.#now) this.#forget(this.#at - this.#shortest - ms(1000));
    if (this.#n + samples.length > this.#sound.length) {
      const grown = new Float32Array(2 * (this.#n + samples.length));
      grown.set(this.#sound.subarray(0, this.#n));
      this.#sound = grown;
    }
    this.#sound.set(samples, this.#n);
    this.#n += samples.length;
  }

  #forget(before: number): void {
    const n = Math.min(before - this.#first, this.#n);
    if (n <= 0) return;
    this.#sound.copyWithin(0, n, this.#n);
    this.#first += n;
    this.#n -= n;
  }

  // ---- speech ----

  async #frame({ probability, over, now }: Frame): Promise<void> {
    this.#at += FRAME;
    this.#probabilities.push(probability);
    if (this.#probabilities.length > LONGEST / FRAME) this.#probabilities.shift();
    for (const { start, end } of over) {
      this.#now ??= this.#begin(start);
      await this.#finish(end);
      this.#post({ type: 'speech-end', start: start / RATE, end: end / RATE });
    }
    if (now && now.end - now.start > this.#shortest) this.#now ??= this.#begin(now.start);
    const u = this.#now;
    if (!u || !now) return;
    if (this.#at - now.end >= PAUSE && u.end < now.end) await this.#hypothesis(u, this.#at);
    else if (this.#at - u.start >= LONGEST) await this.#cut(u);
  }

  #begin(start: number): Utterance {
    start = Math.max(start, this.#done, this.#first);
    this.#post({ type: 'speech-start', start: start / RATE, end: start / RATE });
    return { start, text: new SettlingText(), heard: undefined, end: start };
  }

  async #partial(): Promise<void> {
    const u = this.#now;
    const step = Math.max(STEP, ms(2 * this.#decodeMs));
    if (u && this.#at - u.end >= step) await this.#hypothesis(u, this.#at);
  }

  async #hypothesis(u: Utterance, end: number): Promise<void> {
    const heard = await this.#decode(u, end, false);
    u.end = end;
    u.heard = heard.loops ? undefined : heard;
    if (heard.loops || heard.text === '') return;
    u.text.add(heard.text);
    this.#tell('partial', u, u.text.text, end, heard);
  }

  async #finish(end: number): Promise<void> {
    const u = this.#now!;
    this.#now = undefined;
    // What was heard in the pause before the end heard all of the speech.
    let heard = u.end >= end - this.#padding ? u.heard : undefined;
    heard ??= await this.#decode(u, end, false);
    if (heard.loops) heard = await this.#decode(u, end, true);
    const text = u.text.finish(heard.loops ? '' : heard.text);
    this.#done = end;
    if (heard.languageProbability >= SURE && end - u.start >= ENOUGH_SPEECH) this.#language ??= heard.language;
    if (text === '') return;
    this.#tell('final', u, text, end, heard);
  }

  /** Ends a part of speech that goes on, where it is most like a pause; the settled words were all heard before. */
  async #cut(u: Utterance): Promise<void> {
    const n = Math.max(Math.min(Math.floor((this.#at - u.end) / FRAME), this.#probabilities.length), 1);
    const last = this.#probabilities.slice(-n);
    const end = this.#at - (n - 1 - last.indexOf(Math.min(...last))) * FRAME;
    await this.#finish(end);
    this.#now = { start: end, text: new SettlingText(), heard: undefined, end };
    this.#forget(end);
  }

  // ---- text ----

  async #decode(u: Utterance, end: number, whole: boolean): Promise<Heard> {
    const begin = performance.now();
    const samples = this.#sound.slice(Math.max(u.start - this.#first, 0), Math.max(end - this.#first, 0));
    const own = new Map<string, OptionValue>(this.#task.options);
    if (this.#language !== undefined && !own.has('language')) own.set('language', this.#language);
    if (u.text.settled !== '') own.set('prefix', u.text.settled);
    const { cancelled } = this.#task;
    const heard = await this.#surviving(() =>
      decodeSpeech({ engine: this.#engine(), platform: this.#platform, cancelled }, samples, [...own], whole),
    );
    this.#decodeMs = performance.now() - begin;
    return heard;
  }

  #tell(type: 'partial' | 'final', u: Utterance, text: string, end: number, { language }: Heard): void {
    this.#post({ type, text, settled: u.text.settled, start: u.start / RATE, end: end / RATE, language });
  }

  #post(event: LiveEvent): void {
    this.#platform.post({ type: 'live', id: this.#task.id, event });
  }
}
