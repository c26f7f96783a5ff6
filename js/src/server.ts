// The engine's side: one model in one worker, its tasks one after the other, and the threads that help.
//
//   load ──> running.ts: the engine, and the model fed to it ──> ready
//   transcribe ──> queue ──> transcribe.ts ──> done
//   open, generate, tokenize, ... ──> queue ──> language.ts
import { abortError, toErrorData } from './errors.js';
import { Language as LanguageSide } from './language.js';
import { Live } from './live.js';
import { tensorsOf } from './model-info.js';
import type { Platform } from './platform.js';
import type { QuantizeServer } from './quantize/serve.js';
import type { QuantizeMessage } from './quantize/types.js';
import type { LanguageMessage, LoadMessage, Outcome, TensorInfo, ToWorker } from './protocol.js';
import { Running } from './running.js';
import { StoreServer } from './store/serve.js';
import { Transcribing } from './transcribe.js';

const PROGRESS_MS = 50;

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

export function serve(platform: Platform): void {
  const server = new Server(platform);
  platform.listen((message) => server.receive(message));
}

class Server {
  readonly #platform: Platform;
  readonly #jobs = new Map<number, Job>();
  readonly #modelPull = new Pull<Uint8Array>(() => this.#platform.post({ type: 'pull', id: 0 }));
  readonly #closing = new AbortController();
  #running!: Running;
  #loading: Promise<void> = Promise.resolve();
  #text: LanguageSide | undefined;
  #last: Promise<void> = Promise.resolve();
  #storing: StoreServer | undefined;
  #quantizing: Promise<QuantizeServer | undefined> | undefined;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case 'load':
        this.#loading = this.#load(message).catch((error) =>
          this.#platform.post({ type: 'failed', id: 0, error: toErrorData(error) }),
        );
        break;
      case 'quantize':
        this.#quantizing = this.#quantize(message);
        break;
      case 'store':
        this.#storing = new StoreServer(this.#platform, message.task);
        break;
      case 'pause':
        void this.#quantizing?.then((job) => job?.pause(message.paused));
        break;
      case 'transcribe': {
        const { id } = message;
        this.#queue(id, async (job) => {
          const outcome = await this.#transcribe(job, message);
          this.#platform.post({ type: 'done', id, outcome });
        });
        break;
      }
      case 'live': {
        const { id } = message;
        this.#queue(id, async (job) => {
          const task = { ...message, pieces: job.pull as Pull<Float32Array>, cancelled: () => this.#isCancelled(job) };
          await new Live(() => this.#running.now, (work) => this.#surviving(work), this.#platform, task).run();
          this.#platform.post({ type: 'answer', id, answer: undefined });
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
        if (message.id === 0) void this.#quantizing?.then((job) => job?.cancel(message.keep));
        const job = this.#jobs.get(message.id);
        if (!job) break;
        job.cancelled = true;
        job.pull.give(abortError());
        job.wake();
        break;
      }
      case 'more': {
        if (message.id === 0) void this.#quantizing?.then((job) => job?.more());
        const job = this.#jobs.get(message.id);
        if (!job) break;
        job.credit++;
        job.wake();
        break;
      }
      case 'tensors':
        this.#platform.post({ type: 'tensors', id: message.id, tensors: this.#tensors() });
        break;
      case 'profile':
        void this.#profile(message.id);
        break;
      case 'close':
        void this.#close();
        break;
    }
  }

  /** undefined: it could not begin, and that was told. */
  async #quantize(message: QuantizeMessage): Promise<QuantizeServer | undefined> {
    try {
      const { QuantizeServer } = await this.#platform.loadQuantizer();
      return new QuantizeServer(this.#platform, message);
    } catch (error) {
      this.#platform.post({ type: 'failed', id: 0, error: toErrorData(error) });
      return undefined;
    }
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    for (const job of this.#jobs.values()) job.wake();
    this.#modelPull.give(abortError());
    await this.#loading; // a GPU that is being opened must be given back
    await this.#running?.stop();
    await (await this.#quantizing)?.stop();
    await this.#storing?.stop();
    this.#platform.post({ type: 'closed' });
  }

  // ---- engine and model ----

  async #load(message: LoadMessage): Promise<void> {
    this.#running = await Running.open(this.#platform, message, {
      pulled: () => this.#modelPull,
      report: this.#throttled((loaded: number, total: number) =>
        this.#platform.post({ type: 'download', loaded, total }),
      ),
      signal: this.#closing.signal,
    });
    this.#platform.post({ type: 'ready', info: this.#running.info() });
  }

  /** Does work that can be done again, in an engine that was started anew because its GPU was lost. */
  #surviving<T>(work: () => Promise<T>): Promise<T> {
    return this.#running.surviving(work, () => {
      this.#text?.move(this.#running.now);
      this.#platform.post({ type: 'restarted', info: this.#running.info() });
    });
  }

  #tensors(): TensorInfo[] {
    const { wasm, model } = this.#running.now;
    return tensorsOf(wasm, model);
  }

  async #profile(id: number): Promise<void> {
    const missing = 'the engine was not opened to be measured, or not on a GPU';
    const profile = (await this.#running.now.gpu?.player.profile()) ?? { rows: [], missing };
    this.#platform.post({ type: 'profile', id, profile });
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
    const { now } = this.#running;
    this.#text ??= new LanguageSide(now, this.#platform, now.described);
    const cancelled = (): boolean => this.#isCancelled(job);
    const room = async (): Promise<void> => {
      while (job.credit === 0 && !cancelled()) await new Promise<void>((resolve) => (job.wake = resolve));
      job.credit--;
    };
    const answer = await this.#surviving(this.#text.answer(message, { cancelled, room }));
    const buffer = answer instanceof Uint8Array || answer instanceof Float32Array ? [answer.buffer as ArrayBuffer] : [];
    this.#platform.post({ type: 'answer', id: message.id, answer }, buffer);
  }

  #isCancelled(job: Job): boolean {
    return job.cancelled || this.#closing.signal.aborted;
  }

  async #transcribe(job: Job, message: Extract<ToWorker, { type: 'transcribe' }>): Promise<Outcome> {
    const task = { ...message, pieces: job.pull, cancelled: () => this.#isCancelled(job) };
    const transcribing = new Transcribing(() => this.#running.now, this.#platform, task);
    try {
      return await this.#surviving(() => transcribing.run());
    } finally {
      await transcribing.close();
    }
  }
}
