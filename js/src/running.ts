// The engine that runs in the worker, with its model: on the GPU or the processor, and started anew where a GPU fails.
//
//   open ──> GPU? ──its memory does not suffice, "auto"──> processor
//   work ──GPU lost──> the model again, from the cache or its file ──> work, again
import { SottoError } from './errors.js';
import { startEngine, type StartedEngine } from './engine-start.js';
import { nameOf, toldFeatures } from './gpu/device.js';
import { checkKind } from './kind.js';
import { loadModel, sizeOf, type LoadContext } from './loader.js';
import { describeModel, languagesOf } from './model-info.js';
import type { Platform } from './platform.js';
import type { BackendChoice, EngineInfo, GpuInfo, LoadMessage, ModelInfo } from './protocol.js';
import type { Pointer } from './wasm.js';

export interface LoadedEngine extends StartedEngine {
  model: Pointer;
  described: ModelInfo;
  /** Of the smaller model that guesses tokens. */
  draft?: ModelInfo | undefined;
  /** Options of sessions that write: how tokens are guessed. */
  guessing: [string, number][];
  cached: boolean;
  loadMs: number;
}

type Hooks = Pick<LoadContext, 'pulled' | 'report' | 'signal'>;

/** What is told of the GPU. */
export const gpuInfo = ({ gpu }: StartedEngine): GpuInfo | undefined =>
  gpu && {
    adapter: nameOf(gpu.about),
    software: gpu.about.software,
    features: toldFeatures(gpu.about.features),
  };

export async function stopEngine({ threads, gpu }: StartedEngine): Promise<void> {
  await gpu?.player.close();
  await Promise.all(threads.map((thread) => thread.stop()));
}

export class Running {
  readonly #platform: Platform;
  readonly #message: LoadMessage;
  readonly #hooks: Hooks;
  #now!: LoadedEngine;
  #pulls = 0;
  /** Of the GPU, since something was done on it. */
  #failures = 0;

  private constructor(platform: Platform, message: LoadMessage, hooks: Hooks) {
    this.#platform = platform;
    this.#message = message;
    this.#hooks = hooks;
  }

  static async open(platform: Platform, message: LoadMessage, hooks: Hooks): Promise<Running> {
    const running = new Running(platform, message, hooks);
    running.#now = await running.#openWhere(message.backend);
    return running;
  }

  stop(): Promise<void> {
    return stopEngine(this.#now);
  }

  get now(): LoadedEngine {
    return this.#now;
  }

  info(): EngineInfo {
    const { wasm, engine, variant, nThreads, whySingle, whyCpu, gpu, described, draft, cached, loadMs } = this.#now;
    return {
      ...{ variant, backend: gpu ? 'webgpu' : 'cpu', gpu: gpuInfo(this.#now), whyCpu },
      isa: wasm.text(wasm.x.sotto_wasm_engine_isa(engine)),
      ...{ threads: nThreads, whySingle, languages: languagesOf(wasm), model: described, draft, cached, loadMs },
    };
  }

  /**
   * Does work. Where the GPU fails under it, the engine is started anew, on the processor when a GPU fails twice; `moved` is told, and the work
   * done again.
   */
  async surviving<T>(work: () => Promise<T>, moved: () => void): Promise<T> {
    for (;;) {
      try {
        this.#now.gpu?.player.check();
        const result = await work();
        await this.#now.gpu?.player.idle(); // whoever has the result may end this process
        this.#failures = 0;
        return result;
      } catch (error) {
        const failure = this.#now.gpu && (this.#now.gpu.player.error ?? gpuTrouble(error));
        const aborted = error instanceof DOMException && error.name === 'AbortError';
        if (!failure || aborted || this.#hooks.signal.aborted) throw error;
        await this.#restart(failure);
        moved();
      }
    }
  }

  async #restart(failure: SottoError): Promise<void> {
    const { backend } = this.#message;
    const mayBeBack = failure.code === 'gpu' && this.#failures++ === 0;
    if (!mayBeBack) this.#failures = 0; // the next work may try again
    if (!mayBeBack && backend === 'webgpu') throw failure;
    await stopEngine(this.#now);
    try {
      this.#now = mayBeBack ? await this.#openWhere(backend) : await this.#openOnCpu(failure);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new SottoError('gpu', `${failure.message} The engine could not be started anew: ${words}`, { cause: error });
    }
  }

  async #openWhere(backend: BackendChoice): Promise<LoadedEngine> {
    let onGpu = false;
    try {
      return await this.#open(backend, ({ gpu }) => (onGpu = gpu !== undefined));
    } catch (error) {
      const trouble = onGpu && backend === 'auto' ? gpuTrouble(error, 'memory') : undefined;
      if (!trouble || this.#hooks.signal.aborted) throw error;
      return this.#openOnCpu(trouble);
    }
  }

  async #openOnCpu(why: SottoError): Promise<LoadedEngine> {
    return { ...(await this.#open('cpu')), whyCpu: why.message.replace(/\.$/, '') };
  }

  async #open(backend: BackendChoice, onStart: (started: StartedEngine) => void = () => {}): Promise<LoadedEngine> {
    const begin = performance.now();
    const { kind, model: spec, draft } = this.#message;
    const started = await startEngine(this.#platform, { ...this.#message, backend });
    const { wasm, engine } = started;
    onStart(started);
    try {
      const second = started.gpu ? undefined : draft?.model; // a GPU checks a token as soon as it is written
      const parts = [...spec.parts, ...(second?.parts ?? [])];
      let [fed, before, after] = [0, 0, second ? sizeOf(second.parts) : 0];
      const context: LoadContext = {
        ...this.#hooks,
        ...{ wasm, engine, platform: this.#platform },
        report: (loaded, total) => this.#hooks.report((fed = before + loaded), before + total + after),
        pulled: () => this.#pull(parts.length),
        identify: (m) => {
          const { architecture } = describeModel(wasm, m);
          if (architecture !== '') checkKind(kind, architecture);
          return architecture !== '';
        },
      };
      const { model, cached } = await loadModel(spec, context);
      const described = describeModel(wasm, model);
      const guessing: [string, number][] = draft && !started.gpu ? [['n_draft', draft.most ?? 0]] : [];
      let guesser: ModelInfo | undefined;
      if (second) {
        [before, after] = [fed, 0];
        const loaded = await loadModel(second, context).catch(blameDraft);
        guessing.push(['draft', loaded.model]);
        guesser = describeModel(wasm, loaded.model);
      } else if (guessing.length > 0) guessing.push(['lookup', 1]);
      return { ...started, model, described, draft: guesser, guessing, cached, loadMs: performance.now() - begin };
    } catch (error) {
      await stopEngine(started);
      throw error;
    }
  }

  /** Bytes that the page sends come once. */
  #pull(nFiles: number): AsyncIterable<Uint8Array> {
    if (this.#pulls++ < nFiles) return this.#hooks.pulled();
    throw new SottoError('gpu', 'the bytes of the model were given away and cannot be read again; use a File, a Blob or an address.');
  }
}

/** What is wrong with the second model, said of it. */
function blameDraft(error: unknown): never {
  if (error instanceof SottoError) throw new SottoError(error.code, `Of the draft: ${error.message}`, { cause: error });
  throw error;
}

/** An error that another start, or the processor, may do without. */
const gpuTrouble = (error: unknown, ...codes: string[]): SottoError | undefined =>
  error instanceof SottoError && ['gpu', 'internal', ...codes].includes(error.code) ? error : undefined;
