// quantize(): the files of a model become one file with smaller weights, in a worker, while they come.
//
//   source ─> parts ─┐
//   options ─────────┼─> worker (job.ts) ──> progress ... ──> kept there, or sent here and written ──> QuantizedModel
//   output ─> sink ──┘
import { host } from '@host';
import type { AccessOptions } from '../access.js';
import { abortError, fromErrorData, SottoError } from '../errors.js';
import type { Port } from '../host.js';
import { BACKENDS, type BackendChoice, type FromWorker } from '../protocol.js';
import type { Variant } from '../detect.js';
import { folderName } from '../kept.js';
import { notHere, QuantizedModel } from './made.js';
import { openSink, type QuantizeOutput, type Sink } from './sinks.js';
import { resolveSource, type QuantizeSource, type ResolvedSource } from './source.js';
import { QUANTIZE_TYPES, type QuantizeMessage, type QuantizeOutcome, type QuantizePlan, type QuantizeProgress, type Recipe } from './types.js';

/** What quantize() and estimateQuantization() share. */
export interface QuantizeRecipe extends AccessOptions {
  /** Types of tensors by patterns of their names ("*" any characters, "?" one); the last that matches counts. */
  tensors?: Readonly<Record<string, string>> | undefined;
  /** Importances as `sotto imatrix` writes them: bytes, or an address or path. */
  imatrix?: Blob | ArrayBuffer | Uint8Array | string | URL | undefined;
  /** Of the model, where its files do not say it. Default: that of the source. */
  name?: string | undefined;
  /** k-quants by the range of their weights alone, where the processor converts: without the search for scales. */
  fast?: boolean | undefined;
  /** Default: one a processor, at most 8. */
  threads?: number | undefined;
  /** One of the four builds, for tests. */
  variant?: Variant | undefined;
  signal?: AbortSignal | undefined;
}

export interface QuantizeOptions extends QuantizeRecipe {
  /** A type of all matrices, or the name of a mix. Default: "q4_K_M". */
  type?: string | undefined;
  /** What converts. "auto": the GPU where there is a real one, and the processor what the GPU does not. Default: as for create(). */
  backend?: BackendChoice | undefined;
  /** Node: options of Dawn. */
  dawn?: readonly string[] | undefined;
  /** Default "keep": on this device, where quantizedModels() finds it. */
  output?: QuantizeOutput | undefined;
  /** The name to keep it under. Default: NAME-TYPE. */
  keepAs?: string | undefined;
  /** When it is cancelled or fails: keep what is done, and go on from there the next time. Default: true. */
  keepPart?: boolean | undefined;
  onProgress?: ((progress: QuantizeProgress) => void) | undefined;
}

export interface EstimateOptions extends QuantizeRecipe {
  /** Default: all. */
  types?: readonly string[] | undefined;
}

export interface QuantizeEstimate {
  /** By type, in the order that was asked for; types that the model cannot have, such as k-quants of narrow rows, are left out. */
  plans: QuantizePlan[];
  /** Of the source, as far as it can be told before it is read. */
  name: string;
  /** What the work itself takes at most, in bytes, whatever the model's size: it is never whole in memory. */
  memoryBytes: number;
  /** Room on this device, where it is known. */
  freeBytes: number | undefined;
}

/** The engine with the heads of files, reads ahead, and pieces on their way; a model with 262144 tokens took 280 MB, with Node itself. */
const WORK_BYTES = 384 << 20;

/** Quantization under way: `await` it for the model. */
export class Quantization implements PromiseLike<QuantizedModel> {
  /** What was reported last. */
  progress: QuantizeProgress | undefined;
  /** How it went; there when it is done. */
  outcome: QuantizeOutcome | undefined;
  readonly #promise: Promise<QuantizedModel>;
  readonly #controller: AbortController;
  #keep: boolean | undefined;
  #port: Port | undefined;
  #paused = false;

  /** @internal */
  constructor(source: QuantizeSource, options: QuantizeOptions) {
    this.#controller = new AbortController();
    this.#promise = this.#run(source, options);
    this.#promise.catch(() => {}); // those who only watch
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Rests, until resume(). */
  pause(): void {
    this.#pause(true);
  }

  resume(): void {
    this.#pause(false);
  }

  /** Ends it: the promise fails with an AbortError once everything is put away. `keep`: see `keepPart`. */
  cancel({ keep }: { keep?: boolean } = {}): void {
    this.#keep = keep;
    this.#controller.abort();
  }

  then<A = QuantizedModel, B = never>(
    onFulfilled?: ((model: QuantizedModel) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise.then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<QuantizedModel | B> {
    return this.#promise.catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<QuantizedModel> {
    return this.#promise.finally(onFinally);
  }

  #pause(paused: boolean): void {
    this.#paused = paused;
    this.#port?.post({ type: 'pause', paused });
  }

  async #run(source: QuantizeSource, options: QuantizeOptions): Promise<QuantizedModel> {
    const { signal, output = 'keep', keepPart = true, onProgress } = options;
    const recipe = await recipeOf(options, options.type ?? 'q4_K_M');
    const onAbort = (): void => this.#controller.abort();
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let sink: Sink | undefined;
    try {
      const stop = this.#controller.signal;
      stop.throwIfAborted();
      const resolved = await resolveSource(source, options, stop);
      recipe.name ??= resolved.name;
      const keepAs = folderName(options.keepAs ?? `${recipe.name}-${recipe.type}`);
      sink = await openSink(output, keepAs);
      const message = { ...messageOf(resolved, recipe, options), output: sink.spec, keepPart };
      const outcome = await talk<QuantizeOutcome>(message, stop, () => this.#keep ?? keepPart, (port) => {
        this.#port = port;
        if (this.#paused) this.#pause(true);
      }, {
        progress: (progress) => {
          this.progress = progress;
          onProgress?.(progress);
        },
        write: sink.write,
      });
      this.outcome = outcome;
      const open = await sink.close();
      return modelOf(outcome, output, keepAs, open);
    } catch (error) {
      await sink?.abort();
      throw this.#controller.signal.aborted ? (signal?.reason ?? abortError()) : error;
    } finally {
      this.#port = undefined;
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

function modelOf({ plan }: QuantizeOutcome, output: QuantizeOutput, keepAs: string, open: (() => Promise<Blob | string>) | undefined): QuantizedModel {
  const { architecture, type, outBytes: bytes, format, name } = plan;
  const kept = output === 'keep';
  const stemOf = (text: string): string => text.replace(/[^\p{L}\p{N}._-]+/gu, '-');
  const file = `${stemOf(kept ? keepAs : `${name}-${type}`)}.${format === 'ggml' ? 'bin' : 'gguf'}`;
  const about = { name: kept ? keepAs : `${name}-${type}`, file, bytes, architecture, type, made: Date.now() };
  if (kept) return new QuantizedModel(about, () => host.kept.open(keepAs), () => host.kept.remove(keepAs));
  const gone = async (): Promise<never> => {
    throw new SottoError('argument', `${about.name} is not kept by this package: remove the file that it was written to.`);
  };
  return new QuantizedModel(about, open ?? notHere(about.name), gone);
}

/**
 * Quantizes a model while its files are read: safetensors of a Hugging Face folder or GGUF become a GGUF file, a Whisper model a ggml .bin.
 * The model is never whole in memory.
 */
export function quantize(source: QuantizeSource, options: QuantizeOptions = {}): Quantization {
  return new Quantization(source, options);
}

/** What quantizing would give, by type; reads the heads of the files alone. */
export async function estimateQuantization(source: QuantizeSource, options: EstimateOptions = {}): Promise<QuantizeEstimate> {
  const { signal = new AbortController().signal, types = QUANTIZE_TYPES } = options;
  signal.throwIfAborted();
  const recipe = await recipeOf(options, types[0] ?? 'q4_K_M');
  const resolved = await resolveSource(source, options, signal);
  recipe.name ??= resolved.name;
  const message = { ...messageOf(resolved, recipe, options), types: types.map(normal) };
  const plans = await talk<QuantizePlan[]>(message, signal, () => false, () => {}, { progress: () => {}, write: async () => {} });
  const freeBytes = await host.kept.room().catch(() => undefined);
  return { plans, name: plans[0]?.name || resolved.name, memoryBytes: WORK_BYTES, freeBytes };
}

// ---- options ----

/** As the names are written here: "Q4_k_m" is "q4_K_M". */
function normal(type: string): string {
  if (typeof type !== 'string') throw new SottoError('argument', 'type must be a string.');
  const known = QUANTIZE_TYPES.find((name) => name.toLowerCase() === type.toLowerCase());
  if (!known) throw new SottoError('argument', `There is no type ${type}: it must be one of ${QUANTIZE_TYPES.join(', ')}.`);
  return known;
}

async function recipeOf(options: QuantizeRecipe, type: string): Promise<Recipe> {
  const { tensors = {}, imatrix, name, fast } = options;
  const entries = Object.entries(tensors);
  if (!entries.every(([, to]) => typeof to === 'string')) throw new SottoError('argument', 'tensors must map patterns to names of types.');
  if (name !== undefined && typeof name !== 'string') throw new SottoError('argument', 'name must be a string.');
  return { type: normal(type), tensors: entries, imatrix: imatrix === undefined ? undefined : await bytesOf(imatrix), name, fast };
}

async function bytesOf(data: Blob | ArrayBuffer | Uint8Array | string | URL): Promise<Uint8Array> {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Blob) return new Uint8Array(await data.arrayBuffer());
  const source = await host.openAudio(String(data));
  return new Uint8Array(await new Response(source).arrayBuffer());
}

function messageOf({ parts }: ResolvedSource, recipe: Recipe, options: QuantizeRecipe & Pick<QuantizeOptions, 'backend' | 'dawn'>): QuantizeMessage {
  const { threads, variant, backend = host.defaultBackend, dawn } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1))
    throw new SottoError('argument', 'threads must be a whole number, 1 or more.');
  if (!BACKENDS.includes(backend)) throw new SottoError('argument', `backend must be one of ${BACKENDS.join(', ')}.`);
  return { type: 'quantize', files: parts, recipe, backend, dawn, threads, variant, keepPart: false };
}

// ---- the worker ----

interface Hears {
  progress(progress: QuantizeProgress): void;
  write(at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** How long to wait for an orderly end of the worker, in ms. */
const CLOSE_MS = 10_000;

/** Runs one message in a worker of its own. An abort is answered when the worker has put everything away. */
async function talk<T>(
  message: QuantizeMessage,
  signal: AbortSignal,
  keep: () => boolean,
  onPort: (port: Port) => void,
  hears: Hears,
): Promise<T> {
  let closed = (): void => {};
  let settle!: { resolve(value: unknown): void; reject(error: unknown): void };
  const result = new Promise<unknown>((resolve, reject) => (settle = { resolve, reject }));
  const onMessage = (m: FromWorker): void => {
    if (m.type === 'quantizing') hears.progress(m.progress);
    else if (m.type === 'quantized') settle.resolve(m.outcome);
    else if (m.type === 'plans') settle.resolve(m.plans);
    else if (m.type === 'failed') settle.reject(fromErrorData(m.error));
    else if (m.type === 'closed') closed();
    else if (m.type === 'bytes')
      hears.write(m.at, m.data).then(
        () => port.post({ type: 'more', id: 0 }),
        (error) => {
          settle.reject(error);
          port.post({ type: 'cancel', id: 0 });
        },
      );
  };
  const port = host.start(onMessage, (why) => {
    settle.reject(new SottoError('internal', `The engine stopped: ${why}.`));
    closed();
  });
  const onAbort = (): void => port.post({ type: 'cancel', id: 0, keep: keep() });
  port.hold(true);
  try {
    signal.addEventListener('abort', onAbort, { once: true });
    port.post(message);
    onPort(port);
    if (signal.aborted) onAbort();
    return (await result) as T;
  } finally {
    signal.removeEventListener('abort', onAbort);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_MS);
      closed = () => {
        clearTimeout(timer);
        resolve();
      };
      port.post({ type: 'close' });
    });
    await port.stop();
  }
}
