// An engine from nothing: pick a build ──> compile ──> instantiate ──> start the threads that help.
import { detect, type Variant } from './detect.js';
import { SottoError } from './errors.js';
import type { Platform, Thread } from './platform.js';
import { Wasm, type Pointer } from './wasm.js';

/** More threads do not pay for matrices of this size. */
const MOST_THREADS = 8;

export interface StartOptions {
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
}

export async function startEngine(
  platform: Platform,
  { variant: wanted, threads: wantedThreads }: StartOptions,
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
  let n = Math.min(wantedThreads ?? Math.min(cores, MOST_THREADS), 64);
  let whySingle: string | undefined;
  if (wanted?.endsWith('single')) n = 1;
  else if (n > 1 && !features.threads) [n, whySingle] = [1, features.whySingle];
  else if (n === 1 && wantedThreads === undefined) whySingle = 'this device has one processor';

  const tryVariant = async (variant: Variant): Promise<Wasm | undefined> =>
    Wasm.instantiate(await platform.compile(variant));
  let variant: Variant = `${instructions}-${n > 1 || wanted?.endsWith('threads') ? 'threads' : 'single'}`;
  let wasm = await tryVariant(variant);
  if (!wasm) {
    variant = `${instructions}-single`;
    n = 1;
    whySingle = 'this device gives the page no shared memory';
    wasm = (await tryVariant(variant))!;
  }
  const engine = wasm.x.sotto_wasm_engine_open(n);
  if (engine === 0) throw new SottoError('memory', 'The engine could not start: memory ran out.');
  const nThreads = wasm.x.sotto_wasm_engine_threads(engine);
  const threads: Thread[] = [];
  for (let index = 1; index < nThreads; index++) threads.push(platform.startThread(wasm.seat(engine, index)));
  return { wasm, engine, variant, nThreads, threads, ...(whySingle !== undefined && { whySingle }) };
}
