// The engine's side: one model in one worker, its tasks one after the other, and the threads that help.
//
//   load ──> pick a build ──> compile ──> instantiate ──> start threads ──> feed the model ──> ready
//   transcribe ──> queue ──> open ──> [push audio, step, hand out segments, let messages in] ──> done
//   open, generate, tokenize, ... ──> queue ──> language.ts
import { AudioReader, type Block } from './audio.js';
import { startEngine } from './engine-start.js';
import { abortError, SottoError, toErrorData } from './errors.js';
import { Language as LanguageSide } from './language.js';
import { loadModel } from './loader.js';
import { checkKind } from './kind.js';
import { describeModel, languagesOf, tensorsOf } from './model-info.js';
import type { OptionValue } from './options.js';
import type { Platform, Thread } from './platform.js';
import type {
  AudioSpec,
  EngineInfo,
  LanguageMessage,
  LoadMessage,
  ModelInfo,
  Outcome,
  Segment,
  ToWorker,
} from './protocol.js';
import { streamPieces } from './stream.js';
import type { Pointer, Wasm } from './wasm.js';

const STARVED = 3;
const DONE = 4;
/** How long the worker may be deaf, in ms. */
const BREATH_MS = 8;
const PROGRESS_MS = 50;
/** Detected languages that are told. */
const LIKELIEST = 5;

type Piece = Float32Array | Uint8Array;

/** Pieces that the page sends when asked; one is under way while one is worked on. */
class Pull<T extends Piece> implements AsyncIterable<T> {
  readonly #ask: () => void;
  readonly #ready: (T | null | Error)[] = [];
  #wake: (() => void) | undefined;

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  give(piece: T | null | Error): void {
    this.#ready.push(piece);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    this.#ask();
    for (;;) {
      while (this.#ready.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
      const piece = this.#ready.shift()!;
      if (piece === null) return;
      if (piece instanceof Error) throw piece;
      this.#ask();
      yield piece;
    }
  }
}

interface Job {
  id: number;
  cancelled: boolean;
  pull: Pull<Piece>;
  /** Parts that it may still send before the page has used one. */
  credit: number;
  /** Ends a wait for more credit. */
  wake: () => void;
}

/** Parts under way to the page: one is used while the next is computed. */
const PARTS_AHEAD = 2;

interface TranscribeJob extends Job {
  options: [string, OptionValue][];
  input: AudioSpec;
}

export function serve(platform: Platform): void {
  const server = new Server(platform);
  platform.listen((message) => server.receive(message));
}

class Server {
  readonly #platform: Platform;
  readonly #threads: Thread[] = [];
  readonly #jobs = new Map<number, Job>();
  readonly #modelPull = new Pull<Uint8Array>(() => this.#platform.post({ type: 'pull', id: 0 }));
  readonly #closing = new AbortController();
  #wasm!: Wasm;
  #model: Pointer = 0;
  #engine: Pointer = 0;
  #described!: ModelInfo;
  #text: LanguageSide | undefined;
  #loadMs = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case 'load':
        this.#load(message).catch((error) => this.#platform.post({ type: 'failed', id: 0, error: toErrorData(error) }));
        break;
      case 'transcribe': {
        const { id, options, input } = message;
        this.#queue(id, async (job) => {
          const outcome = await this.#transcribe(Object.assign(job, { options, input }));
          this.#platform.post({ type: 'done', id, outcome });
        });
        break;
      }
      case 'open':
      case 'fork':
      case 'save':
      case 'generate':
      case 'tokenize':
      case 'count':
      case 'detokenize':
      case 'score':
      case 'logits':
        this.#queue(message.id, (job) => this.#speak(message, job));
        break;
      case 'closeSession':
        this.#last = this.#last.then(() => this.#text?.closeSession(message.session));
        break;
      case 'piece':
        if (message.id === 0) this.#modelPull.give(message.data as Uint8Array | null);
        else this.#jobs.get(message.id)?.pull.give(message.data);
        break;
      case 'cancel': {
        const job = this.#jobs.get(message.id);
        if (!job) break;
        job.cancelled = true;
        job.pull.give(abortError());
        job.wake();
        break;
      }
      case 'more': {
        const job = this.#jobs.get(message.id);
        if (!job) break;
        job.credit++;
        job.wake();
        break;
      }
      case 'tensors':
        this.#platform.post({ type: 'tensors', id: message.id, tensors: tensorsOf(this.#wasm, this.#model) });
        break;
      case 'close':
        void this.#close();
        break;
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const job of this.#jobs.values()) job.wake();
    await Promise.all(this.#threads.map((thread) => thread.stop()));
    this.#platform.post({ type: 'closed' });
  }

  // ---- engine and model ----

  async #load(message: LoadMessage): Promise<void> {
    const start = performance.now();
    const { wasm, engine, variant, nThreads, whySingle, threads } = await startEngine(this.#platform, message);
    this.#wasm = wasm;
    this.#engine = engine;
    this.#threads.push(...threads);
    const { model, cached } = await loadModel(message.model, {
      wasm: this.#wasm,
      engine: this.#engine,
      platform: this.#platform,
      pulled: () => this.#modelPull,
      report: this.#throttled((loaded: number, total: number) =>
        this.#platform.post({ type: 'download', loaded, total }),
      ),
      identify: (model) => {
        const { architecture } = describeModel(wasm, model);
        if (architecture !== '') checkKind(message.kind, architecture);
        return architecture !== '';
      },
      signal: this.#closing.signal,
    });
    this.#model = model;
    this.#described = describeModel(wasm, model);
    this.#loadMs = performance.now() - start;
    const info: EngineInfo = {
      variant,
      isa: this.#wasm.text(this.#wasm.x.sotto_wasm_engine_isa(this.#engine)),
      threads: nThreads,
      whySingle,
      languages: languagesOf(this.#wasm),
      model: this.#described,
      cached,
      loadMs: this.#loadMs,
    };
    this.#platform.post({ type: 'ready', info });
  }

  /** Calls through at most once in a while, but for the last of a series, which is known by loaded === total. */
  #throttled(report: (loaded: number, total: number) => void): (loaded: number, total: number) => void {
    let last = -Infinity;
    return (loaded, total) => {
      const now = performance.now();
      if (loaded < total && now - last < PROGRESS_MS) return;
      last = now;
      report(loaded, total);
    };
  }

  // ---- tasks ----

  #queue(id: number, work: (job: Job) => Promise<void>): void {
    const pull = new Pull<Piece>(() => this.#platform.post({ type: 'pull', id }));
    const job: Job = { id, pull, cancelled: false, credit: PARTS_AHEAD, wake: () => {} };
    this.#jobs.set(id, job);
    this.#last = this.#last.then(async () => {
      try {
        if (job.cancelled) throw abortError();
        await work(job);
      } catch (error) {
        this.#platform.post({ type: 'failed', id, error: toErrorData(error) });
      } finally {
        this.#jobs.delete(id);
      }
    });
  }

  async #speak(message: LanguageMessage, job: Job): Promise<void> {
    this.#text ??= new LanguageSide(this.#wasm, this.#engine, this.#model, this.#platform, this.#described);
    const cancelled = (): boolean => job.cancelled || this.#closing.signal.aborted;
    const room = async (): Promise<void> => {
      while (job.credit === 0 && !cancelled()) await new Promise<void>((resolve) => (job.wake = resolve));
      job.credit--;
    };
    const answer = await this.#text.run(message, { cancelled, room });
    const buffer = answer instanceof Uint8Array || answer instanceof Float32Array ? [answer.buffer as ArrayBuffer] : [];
    this.#platform.post({ type: 'answer', id: message.id, answer }, buffer);
  }

  #openTranscription(options: [string, OptionValue][]): Pointer {
    const wasm = this.#wasm;
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
      const t = x.sotto_wasm_transcription_open(this.#model, o);
      if (t === 0)
        throw new SottoError(
          'argument',
          wasm.text(x.sotto_wasm_error(this.#engine)) || 'The transcription could not be opened: memory ran out.',
        );
      return t;
    } finally {
      held.forEach((p) => wasm.free(p));
    }
  }

  async #transcribe(job: TranscribeJob): Promise<Outcome> {
    const start = performance.now();
    const { x } = this.#wasm;
    const t = this.#openTranscription(job.options);
    const reader = new AudioReader(this.#wasm);
    const blocks = this.#blocks(job, reader);
    let block: Block | undefined;
    let breathed = start;
    let reported = start;
    try {
      for (;;) {
        if (job.cancelled || this.#closing.signal.aborted) throw abortError();
        const status = x.sotto_wasm_transcription_step(t);
        if (status < 0) this.#wasm.fail(status, this.#engine);
        const segments = this.#segments(t);
        if (segments.length > 0) {
          const [language, languageProbability] = this.#language(t);
          this.#platform.post({ type: 'segments', id: job.id, segments, language, languageProbability });
        }
        if (status === DONE) break;
        if (status === STARVED) {
          block ??= await this.#next(blocks);
          if (block) {
            const [samples, n] = block;
            const taken = x.sotto_wasm_transcription_push(t, samples, n);
            block = taken < n ? [samples + taken * 4, n - taken] : undefined;
          } else {
            x.sotto_wasm_transcription_end(t);
          }
        }
        const now = performance.now();
        if (now - reported >= PROGRESS_MS || segments.length > 0) {
          reported = now;
          this.#report(t, job, reader);
        }
        if (now - breathed >= BREATH_MS) {
          await this.#platform.breathe();
          breathed = performance.now();
        }
      }
      return this.#outcome(t, start);
    } finally {
      x.sotto_wasm_transcription_close(t);
      await blocks.return(undefined).catch(() => {});
      reader.close();
    }
  }

  async #next(blocks: AsyncGenerator<Block>): Promise<Block | undefined> {
    const { done, value } = await blocks.next();
    return done ? undefined : value;
  }

  #blocks(job: TranscribeJob, reader: AudioReader): AsyncGenerator<Block> {
    const { input } = job;
    if (input.kind === 'pcm') {
      reader.duration = input.duration;
      return reader.pcm(job.pull as AsyncIterable<Float32Array>, input.rate, input.channels);
    }
    return reader.wav(
      input.kind === 'wav' ? (job.pull as AsyncIterable<Uint8Array>) : streamPieces(input.blob.stream()),
    );
  }

  #segments(t: Pointer): Segment[] {
    const wasm = this.#wasm;
    const segments: Segment[] = [];
    for (;;) {
      const { values, result } = wasm.row(10, (out) => wasm.x.sotto_wasm_segment(t, out));
      if (result === 0) return segments;
      const [start, end, text, tokens, nTokens, , noSpeechProb, temperature, avgLogprob, compressionRatio] = values;
      segments.push({
        ...{ start, end, text: wasm.text(text) },
        tokens: Array.from({ length: nTokens }, (_, i) => {
          const [id, p, tokenText, size] = wasm.row(4, (out) => wasm.x.sotto_wasm_token(tokens, i, out)).values;
          return { id, text: wasm.text(tokenText, size), p };
        }),
        ...{ noSpeechProb, temperature, avgLogprob, compressionRatio },
      });
    }
  }

  #language(t: Pointer): [string, number] {
    const { values, result } = this.#wasm.row(1, (out) => this.#wasm.x.sotto_wasm_transcription_language(t, out));
    return [this.#wasm.text(result), values[0]];
  }

  #report(t: Pointer, job: Job, reader: AudioReader): void {
    const [received, done, fraction] = this.#wasm.row(3, (out) =>
      this.#wasm.x.sotto_wasm_transcription_progress(t, out),
    ).values;
    const { duration } = reader;
    const share = duration && duration > received ? (fraction * received) / duration : fraction;
    this.#platform.post({
      type: 'progress',
      id: job.id,
      progress: { done, received, duration, fraction: Math.min(share, 1) },
    });
  }

  #outcome(t: Pointer, start: number): Outcome {
    const wasm = this.#wasm;
    const [language, languageProbability] = this.#language(t);
    const languages = languagesOf(this.#wasm)
      .map(({ code }, index) => ({ language: code, probability: wasm.x.sotto_wasm_transcription_language_p(t, index) }))
      .filter(({ probability }) => probability > 0);
    languages.sort((a, b) => b.probability - a.probability).splice(LIKELIEST);
    const [melMs, encodeMs, decodeMs, nEncode, nDecode] = wasm.row(5, (out) =>
      wasm.x.sotto_wasm_transcription_timings(t, out),
    ).values;
    return {
      ...{ language, languageProbability, languages },
      timings: {
        loadMs: this.#loadMs,
        melMs,
        encodeMs,
        decodeMs,
        totalMs: performance.now() - start,
        nEncode,
        nDecode,
      },
      memoryBytes: wasm.memory.buffer.byteLength,
    };
  }
}
