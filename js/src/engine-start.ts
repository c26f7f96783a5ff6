// An engine from nothing: open the GPU, if one is wanted ──> pick a build ──> compile ──> instantiate ──> start the
// threads that help.
import { detect, type Variant } from './detect.js';
import { SottoError } from './errors.js';
import type { StartedGpu } from './gpu.js';
import type { Platform, Thread } from './platform.js';
import type { BackendChoice } from './protocol.js';
import { Wasm, type Pointer } from './wasm.js';

/** More threads do not pay for matrices of this size. */
const MOST_THREADS = 8;
/** Beside a GPU the processor has little to do. */
const THREADS_BESIDE_GPU = 2;
/** sotto_backend of sotto.h. */
const BACKEND_CPU = 0;
const BACKEND_WEBGPU = 1;

export interface StartOptions {
  /** Default: 'cpu'. */
  backend?: BackendChoice | undefined;
  /** Node: options of Dawn. */
  dawn?: readonly string[] | undefined;
  /** Measures each dispatch of the GPU. */
  profile?: boolean | undefined;
  /** One of the four builds, for tests. */
  variant?: Variant | undefined;
  threads?: number | undefined;
}

export interface StartedEngine {
  wasm: Wasm;
  engine: Pointer;
  variant: Variant;
  /** This one included. */
  nThreads: number;
  /** Why only one thread is used, where more were wanted. */
  whySingle?: string | undefined;
  /** The others, to be stopped in the end. */
  threads: Thread[];
  /** What computes, to be closed in the end; undefined: the processor. */
  gpu?: StartedGpu | undefined;
  /** Why the processor computes, where a GPU was looked for. */
  whyCpu?: string | undefined;
}

/** On the GPU if one is wanted and there; else, or where the engine cannot use it, on the processor. */
export async function startEngine(platform: Platform, options: StartOptions): Promise<StartedEngine> {
  const { backend = 'cpu', dawn, profile } = options;
  if (backend === 'cpu') return startOn(platform, options, undefined);
  let gpu: StartedGpu | undefined;
  try {
    const { startGpu } = await platform.loadGpu();
    gpu = await startGpu({ dawn, profile, notes: platform.notes, hardwareOnly: backend === 'auto' });
    return await startOn(platform, options, gpu);
  } catch (error) {
    await gpu?.player.close();
    if (backend === 'webgpu') throw error;
    const whyCpu = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
    return { ...(await startOn(platform, options, undefined)), whyCpu };
  }
}

async function startOn(
  platform: Platform,
  { variant: wanted, threads: wantedThreads }: StartOptions,
  gpu: StartedGpu | undefined,
): Promise<StartedEngine> {
  const features = detect();
  if (!features.simd) {
    throw new SottoError(
      'environment',
      'This browser cannot run the engine: it lacks WebAssembly SIMD (needs Chrome 91, Firefox 89, Safari 16.4, Node 20 or later).',
    );
  }
  const instructions = wanted
    ? (wanted.split('-')[0] as 'simd' | 'relaxed')
    : features.relaxedSimd
      ? 'relaxed'
      : 'simd';
  const cores = platform.cores();
  let n = Math.min(wantedThreads ?? Math.min(cores, gpu ? THREADS_BESIDE_GPU : MOST_THREADS), 64);
  let whySingle: string | undefined;
  if (wanted?.endsWith('single')) n = 1;
  else if (n > 1 && !features.threads) [n, whySingle] = [1, features.whySingle];
  else if (n === 1 && wantedThreads === undefined) whySingle = 'this device has one processor';

  const tryVariant = async (variant: Variant): Promise<Wasm | undefined> =>
    Wasm.instantiate(await platform.compile(variant), gpu?.player);
  let variant: Variant = `${instructions}-${n > 1 || wanted?.endsWith('threads') ? 'threads' : 'single'}`;
  let wasm = await tryVariant(variant);
  if (!wasm) {
    variant = `${instructions}-single`;
    n = 1;
    whySingle = 'this device gives the page no shared memory';
    wasm = (await tryVariant(variant))!;
  }
  const engine = wasm.x.sotto_wasm_engine_open(n, gpu ? BACKEND_WEBGPU : BACKEND_CPU);
  if (engine === 0) {
    gpu?.player.check();
    throw new SottoError('memory', 'The engine could not start: memory ran out.');
  }
  const nThreads = wasm.x.sotto_wasm_engine_threads(engine);
  const threads: Thread[] = [];
  for (let index = 1; index < nThreads; index++) threads.push(platform.startThread(wasm.seat(engine, index)));
  return { wasm, engine, variant, nThreads, threads, gpu, ...(whySingle !== undefined && { whySingle }) };
}
