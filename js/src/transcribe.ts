// A transcription in the engine's worker.
//
//   audio ──> pieces ──> push, step ──> segments ──> page        again and again, until all is done
//
// A GPU may be lost in the middle. Then a transcription is opened in the engine that was started anew, at the beginning of the window that
// was worked on: its sound is kept until then.
import { AudioReader, type Block } from './audio.js';
import { abortError, SottoError } from './errors.js';
import { languagesOf } from './model-info.js';
import type { Options } from './options.js';
import type { Platform } from './platform.js';
import type { AudioSpec, Outcome, Segment, Timings } from './protocol.js';
import type { LoadedEngine } from './running.js';
import { AGAIN, DONE, settled } from './session.js';
import { streamPieces } from './stream.js';
import { SKIP_SILENCE, Vad } from './vad.js';
import type { Pointer } from './wasm.js';

const STARVED = 3;
const SAMPLE_RATE = 16000;
/** How long the worker may be deaf, in ms. */
const BREATH_MS = 8;
const PROGRESS_MS = 50;
/** Detected languages that are told. */
const LIKELIEST = 5;
/** Of the text before, that a transcription which was opened anew is told. */
const CONTEXT_CHARACTERS = 500;

export interface TranscribeTask {
  id: number;
  options: Options;
  input: AudioSpec;
  /** The file of the network by which silence is skipped. */
  vad?: Uint8Array | undefined;
  /** What the page sends. */
  pieces: AsyncIterable<Float32Array | Uint8Array>;
  cancelled: () => boolean;
}

/** What is known of the language. */
type Found = Pick<Outcome, 'language' | 'languageProbability' | 'languages'>;

export class Transcribing {
  readonly #engine: () => LoadedEngine;
  readonly #platform: Platform;
  readonly #task: TranscribeTask;
  readonly #reader: AudioReader;
  readonly #blocks: AsyncGenerator<Block>;
  /** Sound from `#start` on: what was pushed is kept up to the window that is worked on, where it may be needed again. */
  readonly #sound: Float32Array[] = [];
  /** Of `#sound`: pushed. */
  #pushed = 0;
  /** Where the first of `#sound` is, and where the transcription that is open began; in samples. */
  #start = 0;
  #origin = 0;
  #ended = false;
  #text = '';
  /** Before the transcription that is open. */
  #found: Found | undefined;
  readonly #timings: Omit<Timings, 'loadMs' | 'totalMs'> = { melMs: 0, encodeMs: 0, decodeMs: 0, nEncode: 0, nDecode: 0 };
  readonly #begin = performance.now();

  constructor(engine: () => LoadedEngine, platform: Platform, task: TranscribeTask) {
    this.#engine = engine;
    this.#platform = platform;
    this.#task = task;
    this.#reader = new AudioReader(engine().wasm);
    this.#blocks = blocksOf(task, this.#reader);
  }

  /** After it threw it can be run again, in an engine that was started anew: it goes on where it was. */
  async run(): Promise<Outcome> {
    const now = this.#engine();
    const { wasm } = now;
    const vad = this.#task.vad && new Vad(wasm, now.engine, this.#task.vad, SKIP_SILENCE);
    const t = openTranscription(now, this.#origin === 0 ? this.#task.options : this.#optionsOfTheRest());
    try {
      const status = vad ? wasm.x.sotto_wasm_transcription_skip_silence(t, vad.pointer) : 0;
      if (status < 0) wasm.fail(status, now.engine);
      await this.#step(now, t);
      return this.#outcome(now, t);
    } catch (error) {
      this.#leave(now, t);
      throw error;
    } finally {
      wasm.x.sotto_wasm_transcription_close(t);
      vad?.close();
    }
  }

  async close(): Promise<void> {
    await this.#blocks.return(undefined).catch(() => {});
    this.#reader.close();
  }

  async #step({ wasm, engine }: LoadedEngine, t: Pointer): Promise<void> {
    const { x } = wasm;
    const { id, cancelled } = this.#task;
    let breathed = performance.now();
    let reported = breathed;
    for (;;) {
      if (cancelled()) throw abortError();
      const status = x.sotto_wasm_transcription_step(t);
      if (status < 0) wasm.fail(status, engine);
      const segments = this.#segments(wasm, t);
      if (segments.length > 0) {
        const [language, languageProbability] = this.#language(wasm, t);
        this.#text += segments.map(({ text }) => text).join('');
        this.#platform.post({ type: 'segments', id, segments, language, languageProbability });
      }
      if (status === DONE) return;
      if (status === STARVED) await this.#push(wasm, t);
      if (status === AGAIN) await settled(wasm);
      const now = performance.now();
      if (now - reported >= PROGRESS_MS || segments.length > 0) {
        reported = now;
        this.#report(wasm, t);
      }
      if (now - breathed >= BREATH_MS) {
        await this.#platform.breathe();
        breathed = performance.now();
      }
    }
  }

  // ---- sound ----

  async #push(wasm: LoadedEngine['wasm'], t: Pointer): Promise<void> {
    const { x } = wasm;
    if (this.#pushed === this.#sound.length) await this.#more();
    const samples = this.#sound[this.#pushed];
    if (!samples) return x.sotto_wasm_transcription_end(t);
    const p = wasm.alloc(samples.byteLength);
    wasm.floats(p, samples.length).set(samples);
    const taken = x.sotto_wasm_transcription_push(t, p, samples.length);
    wasm.free(p);
    if (taken < samples.length) this.#sound.splice(this.#pushed, 1, samples.subarray(0, taken), samples.subarray(taken));
    this.#pushed++;
    this.#forget(wasm, t);
  }

  async #more(): Promise<void> {
    if (this.#ended) return;
    const { done, value } = await this.#blocks.next();
    this.#ended = done === true;
    if (!done) this.#sound.push(this.#reader.copy(value));
  }

  /** What lies before the window that is worked on is not needed again. */
  #forget(wasm: LoadedEngine['wasm'], t: Pointer): void {
    const at = wasm.gpu ? this.#origin + Math.round(this.#progress(wasm, t)[1] * SAMPLE_RATE) : Infinity;
    while (this.#pushed > 0 && this.#start + this.#sound[0].length <= at) {
      this.#start += this.#sound.shift()!.length;
      this.#pushed--;
    }
  }

  /** Keeps what is known, for a transcription that goes on. */
  #leave({ wasm }: LoadedEngine, t: Pointer): void {
    if (!wasm.gpu) return;
    const [, done] = this.#progress(wasm, t);
    this.#addTimings(wasm, t);
    const found = this.#foundBy(wasm, t);
    if (found.languages.length > 0) this.#found ??= found;
    this.#origin += Math.round(done * SAMPLE_RATE);
    const first = this.#sound[0];
    if (first) this.#sound[0] = first.subarray(this.#origin - this.#start);
    this.#start = this.#origin;
    this.#pushed = 0;
  }

  #optionsOfTheRest(): Options {
    const own = new Map(this.#task.options);
    own.delete('prefix');
    if (own.get('condition_on_previous_text') !== 0) own.set('initial_prompt', this.#text.slice(-CONTEXT_CHARACTERS));
    if (this.#found) own.set('language', this.#found.language);
    return [...own];
  }

  // ---- what comes of it ----

  #progress(wasm: LoadedEngine['wasm'], t: Pointer): number[] {
    return wasm.row(3, (out) => wasm.x.sotto_wasm_transcription_progress(t, out)).values;
  }

  #segments(wasm: LoadedEngine['wasm'], t: Pointer): Segment[] {
    const segments: Segment[] = [];
    const origin = this.#origin / SAMPLE_RATE;
    for (;;) {
      const { values, result } = wasm.row(10, (out) => wasm.x.sotto_wasm_segment(t, out));
      if (result === 0) return segments;
      const [start, end, text, tokens, nTokens, , noSpeechProb, temperature, avgLogprob, compressionRatio] = values;
      segments.push({
        ...{ start: origin + start, end: origin + end, text: wasm.text(text) },
        tokens: Array.from({ length: nTokens }, (_, i) => {
          const [id, p, tokenText, size] = wasm.row(4, (out) => wasm.x.sotto_wasm_token(tokens, i, out)).values;
          return { id, text: wasm.text(tokenText, size), p };
        }),
        ...{ noSpeechProb, temperature, avgLogprob, compressionRatio },
      });
    }
  }

  #language(wasm: LoadedEngine['wasm'], t: Pointer): [string, number] {
    if (this.#found) return [this.#found.language, this.#found.languageProbability];
    const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_transcription_language(t, out));
    return [wasm.text(result), values[0]];
  }

  #foundBy(wasm: LoadedEngine['wasm'], t: Pointer): Found {
    const [language, languageProbability] = this.#language(wasm, t);
    const languages = languagesOf(wasm)
      .map(({ code }, index) => ({ language: code, probability: wasm.x.sotto_wasm_transcription_language_p(t, index) }))
      .filter(({ probability }) => probability > 0);
    languages.sort((a, b) => b.probability - a.probability).splice(LIKELIEST);
    return { language, languageProbability, languages };
  }

  #report(wasm: LoadedEngine['wasm'], t: Pointer): void {
    const [received, done, fraction] = this.#progress(wasm, t);
    const { duration } = this.#reader;
    const origin = this.#origin / SAMPLE_RATE;
    const all = origin + received;
    const share = duration && duration > all ? (origin + fraction * received) / duration : (origin + fraction * received) / all;
    this.#platform.post({
      type: 'progress',
      id: this.#task.id,
      progress: { done: origin + done, received: all, duration, fraction: Math.min(share || 0, 1) },
    });
  }

  #addTimings(wasm: LoadedEngine['wasm'], t: Pointer): void {
    const [melMs, encodeMs, decodeMs, nEncode, nDecode] = wasm.row(5, (out) =>
      wasm.x.sotto_wasm_transcription_timings(t, out),
    ).values;
    const sum = this.#timings;
    sum.melMs += melMs;
    sum.encodeMs += encodeMs;
    sum.decodeMs += decodeMs;
    sum.nEncode += nEncode;
    sum.nDecode += nDecode;
  }

  #outcome({ wasm, loadMs }: LoadedEngine, t: Pointer): Outcome {
    this.#addTimings(wasm, t);
    return {
      ...(this.#found ?? this.#foundBy(wasm, t)),
      timings: { loadMs, ...this.#timings, totalMs: performance.now() - this.#begin },
      memoryBytes: wasm.memory.buffer.byteLength,
    };
  }
}

function blocksOf({ input, pieces }: TranscribeTask, reader: AudioReader): AsyncGenerator<Block> {
  if (input.kind === 'pcm') {
    reader.duration = input.duration;
    return reader.pcm(pieces as AsyncIterable<Float32Array>, input.rate, input.channels);
  }
  return reader.wav(input.kind === 'wav' ? (pieces as AsyncIterable<Uint8Array>) : streamPieces(input.blob.stream()));
}

/** Closed with sotto_wasm_transcription_close. */
export function openTranscription({ wasm, engine, model }: LoadedEngine, options: Options): Pointer {
  const { x } = wasm;
  const held: Pointer[] = [];
  const hold = (p: Pointer): Pointer => (held.push(p), p);
  try {
    const o = hold(x.sotto_wasm_options());
    if (o === 0) throw new SottoError('memory', 'Memory ran out.');
    const set = (name: string, value: number): void => {
      if (!x.sotto_wasm_option(o, hold(wasm.put(name)), value))
        throw new SottoError('argument', `There is no option ${name}.`);
    };
    for (const [name, value] of options) {
      if (typeof value === 'string') set(name, hold(wasm.put(value)));
      else if (typeof value === 'number') set(name, value);
      else {
        const p = hold(wasm.alloc(value.length * 4));
        new Int32Array(wasm.memory.buffer, p, value.length).set(value);
        set(name, p);
        set(`n_${name}`, value.length);
      }
    }
    const t = x.sotto_wasm_transcription_open(model, o);
    if (t === 0)
      throw new SottoError(
        'argument',
        wasm.text(x.sotto_wasm_error(engine)) || 'The transcription could not be opened: memory ran out.',
      );
    return t;
  } finally {
    held.forEach((p) => wasm.free(p));
  }
}
