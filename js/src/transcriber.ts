/// <reference lib="esnext.disposable" preserve="true" />
// The public class: starts the engine in a worker, gives it a model, and hands recordings to it.
import { host } from '@host';
import type { Variant } from './detect.js';
import { VARIANTS } from './detect.js';
import { abortError, fromErrorData, SottoError } from './errors.js';
import type { Port } from './host.js';
import {
  resolveAudio,
  resolveModel,
  type AudioInput,
  type AudioOptions,
  type ModelInput,
  type ModelOptions,
  type Pieces,
} from './input.js';
import { defaultModel } from './models.js';
import { engineOptions, type DecodeOptions } from './options.js';
import type { EngineInfo, FromWorker, LoadMessage, Progress, TensorInfo } from './protocol.js';
import { Transcription } from './transcription.js';

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

export interface CreateOptions extends ModelOptions {
  /** Default: the manifest's default, a small multilingual one. */
  model?: ModelInput | undefined;
  signal?: AbortSignal | undefined;
  monitor?: ((monitor: Monitor) => void) | undefined;
  /** Default: one a processor, at most 8; 1 where shared memory is not allowed. */
  threads?: number | undefined;
  /** One of the four builds, for tests; found out by default. */
  variant?: Variant | undefined;
}

export interface TranscribeOptions extends DecodeOptions, AudioOptions {
  /** Stops this transcription; the Transcriber stays usable. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** The model is here, could be fetched, or is not known. */
export type Availability = 'available' | 'downloadable' | 'unavailable';

interface Active {
  transcription: Transcription;
  onProgress: ((progress: Progress) => void) | undefined;
  iterator: AsyncIterator<Float32Array | Uint8Array> | undefined;
  stopListening: () => void;
}

export class Transcriber {
  /** What runs: build, instruction set, threads, and the model. */
  readonly info: EngineInfo;
  readonly #engine: Engine;

  private constructor(engine: Engine, info: EngineInfo) {
    this.#engine = engine;
    this.info = info;
  }

  /** Starts an engine and loads a model into it. */
  static async create(options: CreateOptions = {}): Promise<Transcriber> {
    const { model = defaultModel, signal, monitor, threads, variant } = options;
    signal?.throwIfAborted();
    if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
      throw new SottoError('argument', 'threads must be a whole number, 1 or more.');
    }
    if (variant !== undefined && !VARIANTS.includes(variant))
      throw new SottoError('argument', `variant must be one of ${VARIANTS.join(', ')}.`);
    const { spec, pieces } = await resolveModel(model, options, signal);
    const target = new EventTarget();
    monitor?.(target as unknown as Monitor);
    const engine = new Engine();
    try {
      const info = await engine.load({ type: 'load', model: spec, threads, variant }, pieces, signal, (loaded, total) =>
        target.dispatchEvent(new DownloadProgressEvent(loaded, total)),
      );
      return new Transcriber(engine, info);
    } catch (error) {
      await engine.destroy();
      throw error;
    }
  }

  /** Whether a model is in the cache, can be fetched, or is unknown; other inputs than ids count as available. */
  static async availability(options: Pick<CreateOptions, 'model'> & ModelOptions = {}): Promise<Availability> {
    let resolved;
    try {
      resolved = await resolveModel(options.model ?? defaultModel, options);
    } catch {
      return 'unavailable';
    }
    if (resolved.spec.kind !== 'download') return 'available';
    const { sha256, file, urls } = resolved.spec.download;
    if (sha256 && (await host.isCached(sha256, file))) return 'available';
    return urls.length > 0 ? 'downloadable' : 'unavailable';
  }

  /** Removes a model from the cache. */
  static async remove(model: string | { url: string | URL; sha256: string }): Promise<void> {
    const { spec } = await resolveModel(model, {});
    if (spec.kind === 'download' && spec.download.sha256)
      await host.removeCached(spec.download.sha256, spec.download.file);
  }

  /** Several calls queue. Buffers are read while it runs and stay the caller's. */
  transcribe(audio: AudioInput, options: TranscribeOptions = {}): Transcription {
    return this.#engine.transcribe(audio, options);
  }

  /** Names, types and shapes of the model's tensors. */
  tensors(): Promise<TensorInfo[]> {
    return this.#engine.tensors();
  }

  /** Ends the workers and frees all memory; transcriptions under way fail with an AbortError. */
  destroy(): Promise<void> {
    return this.#engine.destroy();
  }

  [Symbol.dispose](): void {
    void this.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}

/** How long to wait for an orderly end, in ms. */
const CLOSE_MS = 1000;

/** The worker, seen from here. */
class Engine {
  readonly #port: Port;
  readonly #active = new Map<number, Active>();
  #nextId = 1;
  #prepared: Promise<unknown> = Promise.resolve();
  #modelPieces: AsyncIterator<Uint8Array> | undefined;
  #loading: { resolve(info: EngineInfo): void; reject(error: unknown): void } | undefined;
  #onDownload: (loaded: number, total: number) => void = () => {};
  #onTensors: ((tensors: TensorInfo[]) => void) | undefined;
  #onClosed: (() => void) | undefined;
  #broken: Error | undefined;
  #destroyed: Promise<void> | undefined;

  constructor() {
    this.#port = host.start(
      (message) => this.#receive(message),
      (reason) => this.#break(new SottoError('internal', `The engine stopped: ${reason}.`)),
    );
  }

  async load(
    message: LoadMessage,
    pieces: Pieces<Uint8Array> | undefined,
    signal: AbortSignal | undefined,
    onDownload: (loaded: number, total: number) => void,
  ): Promise<EngineInfo> {
    this.#modelPieces = pieces?.[Symbol.asyncIterator]();
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
      void this.#modelPieces?.return?.()?.catch(() => {});
      this.#modelPieces = undefined;
      this.#hold();
    }
  }

  transcribe(audio: AudioInput, options: TranscribeOptions): Transcription {
    const transcription = new Transcription();
    const { signal } = options;
    if (this.#destroyed || this.#broken) {
      transcription._reject(this.#broken ?? new SottoError('closed', 'This Transcriber was destroyed.'));
      return transcription;
    }
    if (signal?.aborted) {
      transcription._reject(signal.reason ?? abortError());
      return transcription;
    }
    const id = this.#nextId++;
    const onAbort = (): void => {
      this.#end(id, (t) => t._reject(signal!.reason ?? abortError()));
      this.#port.post({ type: 'cancel', id });
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const stopListening = (): void => signal?.removeEventListener('abort', onAbort);
    this.#active.set(id, { transcription, onProgress: options.onProgress, iterator: undefined, stopListening });
    this.#hold();
    // Recordings are looked at one after the other, so that they stay in the order of the calls.
    const begin = async (): Promise<void> => {
      const active = this.#active.get(id);
      if (!active) return;
      try {
        const decodeOptions = engineOptions(options);
        const { spec, pieces } = await resolveAudio(audio, options);
        if (!this.#active.has(id)) return;
        active.iterator = pieces?.[Symbol.asyncIterator]();
        this.#port.post({ type: 'transcribe', id, options: decodeOptions, input: spec });
      } catch (error) {
        this.#end(id, (t) => t._reject(error));
      }
    };
    const gone = new Promise<void>((resolve) =>
      transcription.then(
        () => resolve(),
        () => resolve(),
      ),
    );
    this.#prepared = this.#prepared.then(() => Promise.race([begin(), gone]));
    return transcription;
  }

  tensors(): Promise<TensorInfo[]> {
    if (this.#destroyed || this.#broken)
      return Promise.reject(this.#broken ?? new SottoError('closed', 'This Transcriber was destroyed.'));
    return new Promise((resolve) => {
      this.#onTensors = resolve;
      this.#port.hold(true);
      this.#port.post({ type: 'tensors', id: 0 });
    });
  }

  destroy(): Promise<void> {
    this.#destroyed ??= (async () => {
      for (const id of [...this.#active.keys()]) this.#end(id, (t) => t._reject(abortError()));
      this.#port.hold(true);
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#onClosed = resolve;
        timer = setTimeout(resolve, this.#broken ? 0 : CLOSE_MS);
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

  #end(id: number, settle: (t: Transcription) => void): void {
    const active = this.#active.get(id);
    if (!active) return;
    this.#active.delete(id);
    active.stopListening();
    void active.iterator?.return?.()?.catch(() => {});
    settle(active.transcription);
    this.#hold();
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#loading?.reject(error);
    for (const id of [...this.#active.keys()]) this.#end(id, (t) => t._reject(error));
    this.#onClosed?.();
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'download':
        this.#onDownload(message.loaded, message.total);
        break;
      case 'ready':
        this.#loading?.resolve(message.info);
        break;
      case 'failed': {
        const error = fromErrorData(message.error);
        if (message.id === 0) this.#loading?.reject(error);
        else this.#end(message.id, (t) => t._reject(error));
        if (message.error.code === 'internal') this.#break(error);
        break;
      }
      case 'pull':
        void this.#sendPiece(message.id);
        break;
      case 'segments':
        this.#active
          .get(message.id)
          ?.transcription._add(message.segments, message.language, message.languageProbability);
        break;
      case 'progress':
        this.#active.get(message.id)?.onProgress?.(message.progress);
        break;
      case 'done':
        this.#end(message.id, (t) => t._resolve(message.outcome));
        break;
      case 'tensors':
        this.#onTensors?.(message.tensors);
        this.#hold();
        break;
      case 'closed':
        this.#onClosed?.();
        break;
    }
  }

  async #sendPiece(id: number): Promise<void> {
    const iterator = id === 0 ? this.#modelPieces : this.#active.get(id)?.iterator;
    if (!iterator) return;
    try {
      const { done, value } = await iterator.next();
      if (this.#destroyed || (id !== 0 && !this.#active.has(id))) return;
      if (done) {
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
        this.#end(id, (t) => t._reject(error));
        if (!this.#destroyed) this.#port.post({ type: 'cancel', id });
      }
    }
  }
}
