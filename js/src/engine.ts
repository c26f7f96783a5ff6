// The page's side of an engine: a worker with one model in it, and the tasks that are under way there.
//
//   task ──> prepared, one after the other ──> posted ──> messages with its number ──> receive ... the last one ends it
//     └── an abort, a broken engine or destroy() ends it at once, and the worker is told
import { host } from '@host';
import { VARIANTS, type Variant } from './detect.js';
import { abortError, fromErrorData, SottoError } from './errors.js';
import type { Profile } from './gpu/profile.js';
import type { Port } from './host.js';
import type { ModelKind } from './kind.js';
import { resolveModel, type ModelInput, type ModelOptions } from './model-input.js';
import {
  BACKENDS,
  type BackendChoice,
  type EngineInfo,
  type FromWorker,
  type LoadMessage,
  type TensorInfo,
  type ToWorker,
} from './protocol.js';
import { isStored, removeStored } from './store/list.js';
import type { Pieces } from './stream.js';

/** Bytes of a model that came so far: an event "downloadprogress", also for models from the cache or the disk. */
export class DownloadProgressEvent extends Event {
  readonly loaded: number;
  /** At least `loaded`; exact once the size is known. */
  readonly total: number;

  constructor(loaded: number, total: number) {
    super('downloadprogress');
    this.loaded = loaded;
    this.total = total;
  }
}

/** An EventTarget, spelled out as not every place has the types. */
export interface Monitor {
  addEventListener(
    type: 'downloadprogress',
    listener: (event: DownloadProgressEvent) => void,
    options?: { once?: boolean; signal?: AbortSignal },
  ): void;
  removeEventListener(type: 'downloadprogress', listener: (event: DownloadProgressEvent) => void): void;
}

/** Options of every create(). */
export interface EngineOptions extends ModelOptions {
  signal?: AbortSignal | undefined;
  monitor?: ((monitor: Monitor) => void) | undefined;
  /** Default: one a processor, at most 8; 1 where shared memory is not allowed. */
  threads?: number | undefined;
  /** One of the four builds, for tests; found out by default. */
  variant?: Variant | undefined;
  /**
   * What computes. "auto": the GPU, by WebGPU, where there is a real one, else the processor; "webgpu": the GPU, whichever it is, and an
   * error where there is none. Default: "auto" in browsers, "cpu" in Node.
   */
  backend?: BackendChoice | undefined;
  /** Time each kernel of the GPU, for profile(); slower. */
  profile?: boolean | undefined;
  /** Told when a GPU was lost and the engine started anew: `info`, which is the same object, says where it runs now. */
  onRestart?: ((info: EngineInfo) => void) | undefined;
  /** Node: options of Dawn, of the npm package `webgpu`, such as "backend=vulkan". */
  dawn?: readonly string[] | undefined;
}

/** What guesses tokens: a model, or, where none is named, the text so far. */
export interface Draft {
  model?: ModelInput | undefined;
  most?: number | undefined;
}

/** The model is here, could be fetched, or is not known. */
export type Availability = 'available' | 'downloadable' | 'unavailable';

/** Whether a model is here, can be fetched, or is unknown; what is not kept in the cache counts as available where it is given. */
export async function availabilityOf(model: ModelInput, options: ModelOptions, kind: ModelKind): Promise<Availability> {
  try {
    const { spec } = await resolveModel(model, options, kind);
    const states = await Promise.all(
      spec.parts.map(async (part): Promise<Availability> => {
        if (part.kind !== 'download') return 'available';
        if (!part.fresh && (await isStored(part))) return 'available';
        return part.urls.length > 0 ? 'downloadable' : 'unavailable';
      }),
    );
    return (['unavailable', 'downloadable'] as const).find((state) => states.includes(state)) ?? 'available';
  } catch {
    return 'unavailable';
  }
}

/** Removes a model from the store. */
export async function removeModel(model: ModelInput, options: ModelOptions, kind: ModelKind): Promise<void> {
  const { spec } = await resolveModel(model, options, kind);
  for (const part of spec.parts)
    if (part.kind === 'download') await removeStored(part);
}

/** Work for the worker. */
export interface Task {
  /** What the worker is told, and the pieces that it may ask for then. */
  prepare(id: number): Promise<{ message: ToWorker; pieces?: Pieces<Float32Array | Uint8Array> | undefined }>;
  /** Messages that carry its number. After "done" or "answer" none come. */
  receive(message: FromWorker): void;
  /** It failed, or was aborted: no more messages come. */
  reject(error: unknown): void;
}

interface Active {
  task: Task;
  iterator: AsyncIterator<Float32Array | Uint8Array> | undefined;
  stopListening: () => void;
  ended: () => void;
}

/** How long to wait for an orderly end, in ms; of a GPU longer, for Node does not survive a worker that is ended while one is at work. */
const CLOSE_MS = 1000;
const GPU_CLOSE_MS = 10_000;

/** The worker, seen from here. */
export class Engine {
  /** Of the class that it serves, for messages. */
  readonly #owner: string;
  readonly #port: Port;
  readonly #active = new Map<number, Active>();
  #nextId = 1;
  #prepared: Promise<unknown> = Promise.resolve();
  /** Of the files that are still to be sent. */
  #modelPieces: AsyncIterator<Uint8Array>[] = [];
  #loading: { resolve(info: EngineInfo): void; reject(error: unknown): void } | undefined;
  #onDownload: (loaded: number, total: number) => void = () => {};
  #onTensors: ((tensors: TensorInfo[]) => void) | undefined;
  #onProfile: ((profile: Profile) => void) | undefined;
  #onClosed: (() => void) | undefined;
  #onRestart: ((info: EngineInfo) => void) | undefined;
  #info: EngineInfo | undefined;
  #broken: Error | undefined;
  #destroyed: Promise<void> | undefined;

  /** The worker is no more. */
  #dead = false;
  readonly #closeMs: number;

  private constructor(owner: string, backend: BackendChoice) {
    this.#owner = owner;
    this.#closeMs = backend === 'cpu' ? CLOSE_MS : GPU_CLOSE_MS;
    this.#port = host.start(
      (message) => this.#receive(message),
      (reason) => {
        this.#dead = true;
        this.#break(new SottoError('internal', `The engine stopped: ${reason}.`));
        this.#onClosed?.();
      },
    );
  }

  /** Starts an engine and loads a model into it. */
  static async open(
    owner: string,
    kind: ModelKind,
    model: ModelInput,
    options: EngineOptions,
    draft?: Draft,
  ): Promise<{ engine: Engine; info: EngineInfo }> {
    const { signal, monitor, threads, variant, backend = host.defaultBackend, profile, dawn } = options;
    signal?.throwIfAborted();
    if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
      throw new SottoError('argument', 'threads must be a whole number, 1 or more.');
    }
    if (variant !== undefined && !VARIANTS.includes(variant))
      throw new SottoError('argument', `variant must be one of ${VARIANTS.join(', ')}.`);
    if (!BACKENDS.includes(backend))
      throw new SottoError('argument', `backend must be one of ${BACKENDS.join(', ')}.`);
    if (draft && backend === 'webgpu')
      throw new SottoError('argument', 'Tokens are guessed on the processor alone: leave draft out, or backend: "webgpu".');
    const { spec, pieces } = await resolveModel(model, options, kind, signal);
    const second = draft?.model === undefined ? undefined : await resolveModel(draft.model, options, kind, signal);
    const target = new EventTarget();
    monitor?.(target as unknown as Monitor);
    const engine = new Engine(owner, backend);
    engine.#onRestart = options.onRestart;
    try {
      const guesses = draft && { model: second?.spec, most: draft.most };
      const message: LoadMessage = { type: 'load', kind, model: spec, draft: guesses, threads, variant, backend, profile, dawn };
      const info = await engine.#load(message, [...pieces, ...(second?.pieces ?? [])], signal, (loaded, total) =>
        target.dispatchEvent(new DownloadProgressEvent(loaded, total)),
      );
      return { engine, info };
    } catch (error) {
      await engine.destroy();
      throw error;
    }
  }

  async #load(
    message: LoadMessage,
    pieces: Pieces<Uint8Array>[],
    signal: AbortSignal | undefined,
    onDownload: (loaded: number, total: number) => void,
  ): Promise<EngineInfo> {
    this.#modelPieces = pieces.map((file) => file[Symbol.asyncIterator]());
    this.#onDownload = onDownload;
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<EngineInfo>((resolve, reject) => {
        this.#loading = { resolve, reject };
        onAbort = () => reject(signal!.reason ?? abortError());
        signal?.addEventListener('abort', onAbort, { once: true });
        if (signal?.aborted) onAbort();
        this.#port.post(message);
      });
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      this.#loading = undefined;
      for (const iterator of this.#modelPieces) void iterator.return?.()?.catch(() => {});
      this.#modelPieces = [];
      this.#hold();
    }
  }

  /** Queues a task. What it returns ends it with an error. */
  run(task: Task, signal?: AbortSignal): (error: unknown) => void {
    const gone = this.#gone ?? (signal?.aborted ? (signal.reason ?? abortError()) : undefined);
    if (gone !== undefined) {
      task.reject(gone);
      return () => {};
    }
    const id = this.#nextId++;
    const cancel = (error: unknown): void => {
      if (!this.#active.has(id)) return;
      this.#end(id, (t) => t.reject(error));
      if (!this.#destroyed) this.#port.post({ type: 'cancel', id });
    };
    const onAbort = (): void => cancel(signal!.reason ?? abortError());
    signal?.addEventListener('abort', onAbort, { once: true });
    const stopListening = (): void => signal?.removeEventListener('abort', onAbort);
    let ended!: () => void;
    const end = new Promise<void>((resolve) => (ended = resolve));
    this.#active.set(id, { task, iterator: undefined, stopListening, ended });
    this.#hold();
    // Tasks are prepared one after the other, so that they stay in the order of the calls.
    const begin = async (): Promise<void> => {
      const active = this.#active.get(id);
      if (!active) return;
      try {
        const { message, pieces } = await task.prepare(id);
        if (!this.#active.has(id)) return;
        active.iterator = pieces?.[Symbol.asyncIterator]();
        this.#port.post(message);
      } catch (error) {
        this.#end(id, (t) => t.reject(error));
      }
    };
    this.#prepared = this.#prepared.then(() => Promise.race([begin(), end]));
    return cancel;
  }

  /** Lets a task send more of what it sends in parts. */
  more(id: number): void {
    if (this.#active.has(id)) this.#port.post({ type: 'more', id });
  }

  /** Frees a session of a language model, after the tasks before. */
  closeSession(session: number): void {
    if (!this.#destroyed && !this.#broken) this.#port.post({ type: 'closeSession', session });
  }

  /** Why it takes no more tasks. */
  get #gone(): Error | undefined {
    if (this.#broken) return this.#broken;
    return this.#destroyed ? new SottoError('closed', `This ${this.#owner} was destroyed.`) : undefined;
  }

  tensors(): Promise<TensorInfo[]> {
    const gone = this.#gone;
    if (gone) return Promise.reject(gone);
    return new Promise((resolve) => {
      this.#onTensors = resolve;
      this.#port.hold(true);
      this.#port.post({ type: 'tensors', id: 0 });
    });
  }

  /** Where the time of the GPU went, of an engine that was opened with `profile`. */
  profile(): Promise<Profile> {
    const gone = this.#gone;
    if (gone) return Promise.reject(gone);
    return new Promise((resolve) => {
      this.#onProfile = resolve;
      this.#port.hold(true);
      this.#port.post({ type: 'profile', id: 0 });
    });
  }

  destroy(): Promise<void> {
    this.#destroyed ??= (async () => {
      for (const id of [...this.#active.keys()]) this.#end(id, (t) => t.reject(abortError()));
      this.#port.hold(true);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
        timer = setTimeout(resolve, this.#dead ? 0 : this.#closeMs);
        this.#port.post({ type: 'close' });
      });
      clearTimeout(timer);
      await this.#port.stop();
    })();
    return this.#destroyed;
  }

  #hold(): void {
    if (!this.#destroyed) this.#port.hold(this.#active.size > 0 || this.#loading !== undefined);
  }

  #end(id: number, settle: (t: Task) => void): void {
    const active = this.#active.get(id);
    if (!active) return;
    this.#active.delete(id);
    active.stopListening();
    void active.iterator?.return?.()?.catch(() => {});
    active.ended();
    settle(active.task);
    this.#hold();
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#loading?.reject(error);
    for (const id of [...this.#active.keys()]) this.#end(id, (t) => t.reject(error));
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'download':
        this.#onDownload(message.loaded, message.total);
        break;
      case 'ready':
        this.#loading?.resolve((this.#info = message.info));
        break;
      case 'restarted':
        Object.assign(this.#info!, message.info);
        this.#onRestart?.(this.#info!);
        break;
      case 'failed': {
        const error = fromErrorData(message.error);
        if (message.id === 0) this.#loading?.reject(error);
        else this.#end(message.id, (t) => t.reject(error));
        if (message.error.code === 'internal') this.#break(error);
        break;
      }
      case 'pull':
        void this.#sendPiece(message.id);
        break;
      case 'segments':
      case 'live':
      case 'progress':
      case 'text':
      case 'evaluated':
      case 'overflow':
      case 'rows':
        this.#active.get(message.id)?.task.receive(message);
        break;
      case 'done':
      case 'answer':
        this.#end(message.id, (t) => t.receive(message));
        break;
      case 'tensors':
        this.#onTensors?.(message.tensors);
        this.#hold();
        break;
      case 'profile':
        this.#onProfile?.(message.profile);
        this.#hold();
        break;
      case 'closed':
        this.#onClosed?.();
        break;
    }
  }

  async #sendPiece(id: number): Promise<void> {
    const iterator = id === 0 ? this.#modelPieces[0] : this.#active.get(id)?.iterator;
    if (!iterator) return;
    try {
      const { done, value } = await iterator.next();
      if (this.#destroyed || (id !== 0 && !this.#active.has(id))) return;
      if (done) {
        if (id === 0) this.#modelPieces.shift();
        this.#port.post({ type: 'piece', id, data: null });
      } else {
        const data = value.slice(); // ours to give away
        this.#port.post({ type: 'piece', id, data }, [data.buffer as ArrayBuffer]);
      }
    } catch (error) {
      // What the caller's own stream threw goes to the caller as it is; a model that failed takes its worker along.
      if (id === 0) {
        this.#loading?.reject(error);
      } else {
        this.#end(id, (t) => t.reject(error));
        if (!this.#destroyed) this.#port.post({ type: 'cancel', id });
      }
    }
  }
}
