// The bytes of a model, from wherever they are, into the engine as they arrive.
//
//   for each file:
//     pieces of the page, blob, path ────────────────────> feed
//     address ──> store, network (store/supply.ts) ──────> feed ──> whole and right? keep : another address, from the start
//   then finish; a model of several files begins anew when one of them was wrong.
import { abortError, SottoError } from './errors.js';
import type { Platform } from './platform.js';
import type { ModelPart, ModelSpec } from './protocol.js';
import { hashOf } from './store/hash.js';
import { Supply } from './store/supply.js';
import { Changed } from './store/transfer.js';
import { streamPieces } from './stream.js';
import type { Pointer, Wasm } from './wasm.js';

/** Bytes handed to the engine at once. */
const FEED_BYTES = 1 << 20;
/** What the engine needs beside the bytes of a model, at least. */
const BESIDE_BYTES = 32 << 20;

export interface LoadContext {
  wasm: Wasm;
  engine: Pointer;
  platform: Platform;
  /** Pieces of the next file that the page sends. */
  pulled: () => AsyncIterable<Uint8Array>;
  report: (loaded: number, total: number) => void;
  /** Throws when the model is of the wrong kind; true once that is known. */
  identify: (model: Pointer) => boolean;
  signal: AbortSignal;
}

export interface Loaded {
  model: Pointer;
  cached: boolean;
}

/** A file, and where its bytes come from. */
interface Source {
  part: ModelPart;
  supply?: Supply | undefined;
}

export async function loadModel(spec: ModelSpec, c: LoadContext): Promise<Loaded> {
  checkRoom(sizeOf(spec.parts), c);
  const progress = new LoadProgress(c);
  const sources = spec.parts.map((part): Source => (part.kind === 'download' ? { part, supply: new Supply(part, supplyContext(part, progress, c)) } : { part }));
  try {
    for (;;) {
      progress.feed = new Feed(c, sizeOf(spec.parts));
      const loaded = await attempt(sources, progress, c);
      if (loaded) return loaded;
      await stopAll(sources);
    }
  } catch (error) {
    if (c.signal.aborted) throw abortError();
    throw error;
  } finally {
    await stopAll(sources);
  }
}

const supplyContext = (part: ModelPart, progress: LoadProgress, c: LoadContext): ConstructorParameters<typeof Supply>[1] => ({
  keeper: c.platform.keeper,
  signal: c.signal,
  hash: () => hashOf(c.platform, c.wasm),
  sized: (size) => progress.expect(part.size ?? 0, size),
  progress: (bytes, _, state) => state === 'waiting' && progress.waiting(bytes),
});

async function stopAll(sources: readonly Source[]): Promise<void> {
  for (const { supply } of sources) await supply?.stop();
}

/** What is known of it. */
export const sizeOf = (parts: readonly ModelPart[]): number => parts.reduce((sum, { size = 0 }) => sum + size, 0);

/** Fails before anything is fetched, where it is known that it will not fit. */
function checkRoom(bytes: number, { wasm }: LoadContext): void {
  if (wasm.gpu || bytes + BESIDE_BYTES <= wasm.maxBytes) return; // how much a GPU can hold, no one tells
  const gb = (n: number): string => (n / 1e9).toFixed(1);
  throw new SottoError(
    'memory',
    `The model has ${gb(bytes)} GB, and the engine can have ${gb(wasm.maxBytes)} GB of memory here: choose a smaller model, or one with fewer bits a weight.`,
  );
}

/** Feeds all files; undefined: what was fed is of no use, and another attempt may do better. */
async function attempt(sources: readonly Source[], progress: LoadProgress, c: LoadContext): Promise<Loaded | undefined> {
  const { feed } = progress;
  let [current]: (Supply | undefined)[] = [];
  try {
    for (const { part, supply } of sources) {
      current = supply;
      if (sources.length > 1) feed.begin(part.file);
      if (!supply) await feedFile(part, progress, c);
      else {
        for await (const bytes of supply.bytes()) await progress.add(bytes);
        if (part.sha256 !== undefined) await supply.commit();
      }
    }
    current = sources.length === 1 ? sources[0].supply : undefined;
    const model = await feed.finish();
    for (const { part, supply } of sources) if (part.sha256 === undefined) await supply?.commit();
    return { model, cached: sources.every(({ supply }) => supply?.cached) };
  } catch (error) {
    feed.abandon();
    if (error instanceof Changed) return undefined;
    if (c.signal.aborted || !current || !(error instanceof SottoError) || !['format', 'unsupported'].includes(error.code)) throw error;
    await current.wrong(error).catch((wrong: unknown) => {
      if (!(wrong instanceof Changed)) throw wrong;
    });
    return undefined;
  }
}

/** A file that comes from here. */
async function feedFile(part: ModelPart, progress: LoadProgress, c: LoadContext): Promise<void> {
  let pieces: AsyncIterable<Uint8Array>;
  if (part.kind === 'blob') pieces = streamPieces(part.blob.stream());
  else if (part.kind !== 'path') pieces = c.pulled();
  else {
    const file = await c.platform.openFile(part.path);
    progress.expect(part.size ?? 0, file.size);
    ({ pieces } = file);
  }
  const hash = part.sha256 === undefined ? undefined : hashOf(c.platform, c.wasm);
  let n = 0;
  for await (const bytes of pieces) {
    hash?.update(bytes);
    n += bytes.length;
    await progress.add(bytes);
  }
  if (part.size !== undefined && n !== part.size) throw new SottoError('format', `${part.file} has ${n} bytes, not the ${part.size} that it should have.`);
  if (hash && hash.digest() !== part.sha256) throw new SottoError('format', `${part.file} is not the file that was asked for: its SHA-256 differs.`);
}

/** What is told of a load: what was fed, or what another tab has of it where that is waited for. */
class LoadProgress {
  feed!: Feed;
  readonly #c: LoadContext;
  /** What was told already. */
  #told = 0;

  constructor(c: LoadContext) {
    this.#c = c;
  }

  expect(before: number, size: number): void {
    this.feed.expect(before, size);
    checkRoom(this.feed.total, this.#c);
  }

  async add(bytes: Uint8Array): Promise<void> {
    if (this.#c.signal.aborted) throw abortError();
    await this.feed.add(bytes);
    const { bytes: fed, total } = this.feed;
    if (fed >= this.#told) this.#c.report(fed, Math.max(total, fed));
  }

  waiting(bytes: number): void {
    this.#told = Math.max(this.feed.bytes + bytes, this.#told);
    if (this.#told > 0) this.#c.report(this.#told, Math.max(this.feed.total, this.#told));
  }
}

/** A model that is being fed. */
class Feed {
  readonly model: Pointer;
  bytes = 0;
  /** At least what will come. */
  total: number;
  #identified = false;
  readonly #c: LoadContext;
  readonly #buffer: Pointer;

  constructor(c: LoadContext, total: number) {
    this.#c = c;
    this.total = total;
    this.#buffer = c.wasm.alloc(FEED_BYTES);
    this.model = c.wasm.x.sotto_wasm_model_open(c.engine);
    if (this.model === 0) c.wasm.fail(-2, c.engine);
  }

  /** The size of a file is known better now. */
  expect(before: number, size: number): void {
    this.total += Math.max(size - before, 0);
  }

  begin(file: string): void {
    const { wasm, engine } = this.#c;
    const name = wasm.put(file);
    const status = wasm.x.sotto_wasm_model_file(this.model, name);
    wasm.free(name);
    if (status < 0) wasm.fail(status, engine);
  }

  async add(bytes: Uint8Array): Promise<void> {
    const { wasm, engine } = this.#c;
    for (let at = 0; at < bytes.length; at += FEED_BYTES) {
      const part = bytes.subarray(at, at + FEED_BYTES);
      wasm.bytes(this.#buffer, part.length).set(part);
      const status = wasm.x.sotto_wasm_model_feed(this.model, this.#buffer, part.length);
      if (status < 0) wasm.fail(status, engine);
      this.#identified ||= this.#c.identify(this.model);
      await wasm.gpu?.drained();
    }
    this.bytes += bytes.length;
  }

  async finish(): Promise<Pointer> {
    const { wasm, engine } = this.#c;
    const status = wasm.x.sotto_wasm_model_finish(this.model);
    if (status < 0) wasm.fail(status, engine);
    await wasm.gpu?.finished(); // only now is it known whether its memory was enough
    wasm.free(this.#buffer);
    return this.model;
  }

  abandon(): void {
    this.#c.wasm.x.sotto_wasm_model_close(this.model);
    this.#c.wasm.free(this.#buffer);
  }
}
