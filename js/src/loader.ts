// The bytes of a model, from wherever they are, into the engine as they arrive.
//
//   for each file:
//     pieces of the page, blob, path ────────────────────────────────────────> feed
//     cache (whole) ───────────────── checked ───────────────────────────────> feed
//     cache (a part) ─ then the rest by Range ─┬─> SHA-256 ──────────────────> feed ─> right? keep : next source
//     source 1, source 2, ... ─────────────────┘ └> cache
//   then finish; a model of several files begins anew when a source of one of them was wrong.
//
// A source that gives other bytes than promised (an error page, an older file) is left for the next one. When all fail,
// the error names each with its reason.
import { fetchPieces } from './download.js';
import { abortError, SottoError } from './errors.js';
import type { CacheEntry, Hash, Platform } from './platform.js';
import { headersFor, type Download, type ModelPart, type ModelSpec } from './protocol.js';
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

type DownloadPart = ModelPart & Download;

/** A file, and what became of its sources. */
interface Source {
  part: ModelPart;
  /** Of `urls`; -1: the cache. */
  next: number;
  reasons: string[];
}

/** A file could not be had from the source that was tried, but perhaps from another. */
class SourceFailed extends Error {
  readonly source: Source;
  constructor(source: Source, cause: unknown) {
    super('', { cause });
    this.source = source;
  }
}

export async function loadModel(spec: ModelSpec, c: LoadContext): Promise<Loaded> {
  const sources = spec.parts.map((part): Source => ({ part, next: -1, reasons: [] }));
  checkRoom(sizeOf(spec.parts), c);
  for (;;) {
    try {
      return await attempt(sources, c);
    } catch (error) {
      if (c.signal.aborted) throw abortError();
      if (!(error instanceof SourceFailed)) throw error;
      nextSource(error.source, error.cause);
    }
  }
}

const sizeOf = (parts: readonly ModelPart[]): number => parts.reduce((sum, { size = 0 }) => sum + size, 0);

/** Fails before anything is fetched, where it is known that it will not fit. */
function checkRoom(bytes: number, { wasm }: LoadContext): void {
  if (wasm.gpu || bytes + BESIDE_BYTES <= wasm.maxBytes) return; // how much a GPU can hold, no one tells
  const gb = (n: number): string => (n / 1e9).toFixed(1);
  throw new SottoError(
    'memory',
    `The model has ${gb(bytes)} GB, and the engine can have ${gb(wasm.maxBytes)} GB of memory here: choose a smaller model, or one with fewer bits a weight.`,
  );
}

/** Goes on to the next source, or says what was wrong with all of them. */
function nextSource(source: Source, cause: unknown): void {
  const part = source.part as DownloadPart;
  if (source.next >= 0) {
    // The engine's own word for a single address that the caller gave; otherwise a list.
    const own = cause instanceof SottoError && cause.code !== 'network';
    if (own && part.urls.length === 1 && !part.sha256) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    source.reasons.push(`${part.urls[source.next]}: ${reason.replace(/\.$/, '')}`);
  }
  if (++source.next < part.urls.length) return;
  const list = source.reasons.length ? source.reasons.join('; ') : 'it has no source here';
  throw new SottoError('network', `The model ${part.name} could not be fetched (${list}).`);
}

/** Feeds all files, each from the source whose turn it is. */
async function attempt(sources: Source[], c: LoadContext): Promise<Loaded> {
  const feed = new Feed(c, sizeOf(sources.map(({ part }) => part)));
  const keep: CacheEntry[] = [];
  let cached = true;
  try {
    for (const source of sources) {
      const { part } = source;
      if (sources.length > 1) feed.begin(part.file);
      const entry = await feedFile(source, feed, c);
      if (source.next >= 0 || part.kind !== 'download') cached = false;
      if (entry && sources.length > 1 && part.sha256) await entry.commit();
      else if (entry) keep.push(entry);
    }
    const model = await feed.finish();
    for (const entry of keep) await entry.commit();
    return { model, cached };
  } catch (error) {
    feed.abandon();
    for (const entry of keep) await (c.signal.aborted ? entry.suspend() : entry.drop());
    const [only] = sources;
    if (sources.length > 1 || only.part.kind !== 'download' || !mayBeSource(error)) throw error;
    throw error instanceof SourceFailed ? error : new SourceFailed(only, error);
  }
}

/** Another source may do better, unless memory ran out or all is at an end. */
const mayBeSource = (error: unknown): boolean =>
  !(error instanceof SottoError && ['memory', 'argument', 'gpu'].includes(error.code));

/** Feeds one file. What it returns is to be kept when the model is whole. */
async function feedFile(source: Source, feed: Feed, c: LoadContext): Promise<CacheEntry | undefined> {
  const { part } = source;
  if (part.kind === 'download') return feedDownload(source, part, feed, c);
  let pieces: AsyncIterable<Uint8Array>;
  if (part.kind === 'blob') pieces = streamPieces(part.blob.stream());
  else if (part.kind === 'pulled') pieces = c.pulled();
  else {
    const file = await c.platform.openFile(part.path);
    feed.expect(part.size ?? 0, file.size);
    checkRoom(feed.total, c);
    ({ pieces } = file);
  }
  const check = new Check(part, c);
  for await (const bytes of pieces) await check.feed(feed, bytes);
  check.done(part.file);
  return undefined;
}

async function feedDownload(
  source: Source,
  part: DownloadPart,
  feed: Feed,
  c: LoadContext,
): Promise<CacheEntry | undefined> {
  const { cacheKey } = part;
  const entry = cacheKey === undefined ? null : await c.platform.openCache(cacheKey, part.file).catch(() => null);
  if (source.next < 0) {
    if (!entry?.complete) {
      nextSource(source, undefined);
    } else {
      try {
        await feedCached(entry, part, feed, c);
        return undefined;
      } catch (error) {
        if (!mayBeSource(error)) throw error;
        await entry.drop(); // not what was kept: fetch it again
        throw new SourceFailed(source, error);
      }
    }
  }
  let whole = false;
  try {
    const begin = feed.bytes;
    const check = new Check(part, c);
    if (entry && entry.bytes > 0) for await (const bytes of entry.read()) await check.feed(feed, bytes, false);
    const sized = (total: number): void => {
      feed.expect(part.size ?? 0, total);
      checkRoom(feed.total, c);
    };
    const url = part.urls[source.next];
    for await (const bytes of fetchPieces(url, feed.bytes - begin, part.size, c.signal, sized, headersFor(part, url))) {
      await check.feed(feed, bytes);
      entry?.append(bytes);
    }
    whole = true;
    check.done('this');
    return entry ?? undefined;
  } catch (error) {
    const network = error instanceof SottoError ? error.code === 'network' : !whole;
    await (network || c.signal.aborted ? entry?.suspend() : entry?.drop());
    throw mayBeSource(error) ? new SourceFailed(source, error) : error;
  }
}

async function feedCached(entry: CacheEntry, part: DownloadPart, feed: Feed, c: LoadContext): Promise<void> {
  feed.expect(part.size ?? 0, entry.bytes);
  const check = new Check(entry.checksItself ? { size: part.size } : part, c);
  for await (const bytes of entry.read()) await check.feed(feed, bytes);
  check.done(`The cached model ${part.name}`);
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

  /** Feeds; hashes with the engine's SHA-256 too if asked, while the bytes are there. */
  async add(bytes: Uint8Array, sha256: Pointer): Promise<void> {
    const { wasm, engine } = this.#c;
    for (let at = 0; at < bytes.length; at += FEED_BYTES) {
      const part = bytes.subarray(at, at + FEED_BYTES);
      wasm.bytes(this.#buffer, part.length).set(part);
      if (sha256) wasm.x.sotto_wasm_sha256_update(sha256, this.#buffer, part.length);
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

/** Feeds a file, and knows in the end whether it was the right one: by the platform's SHA-256, or the engine's. */
class Check {
  readonly #c: LoadContext;
  readonly #size: number | undefined;
  readonly #sha256: string | undefined;
  readonly #platform: Hash | undefined;
  readonly #own: Pointer = 0;
  #bytes = 0;

  constructor({ size, sha256 }: Pick<ModelPart, 'size' | 'sha256'>, c: LoadContext) {
    this.#c = c;
    this.#size = size;
    this.#sha256 = sha256;
    if (sha256 === undefined) return;
    this.#platform = c.platform.sha256?.();
    if (!this.#platform) this.#own = c.wasm.x.sotto_wasm_sha256_open();
  }

  async feed(feed: Feed, bytes: Uint8Array, tell = true): Promise<void> {
    if (this.#c.signal.aborted) throw abortError();
    this.#platform?.update(bytes);
    this.#bytes += bytes.length;
    await feed.add(bytes, this.#own);
    if (tell) this.#c.report(feed.bytes, Math.max(feed.total, feed.bytes));
  }

  done(what: string): void {
    if (this.#size !== undefined && this.#bytes !== this.#size)
      throw new SottoError('format', `${what} has ${this.#bytes} bytes, not the ${this.#size} that it should have.`);
    if (this.#sha256 !== undefined && this.#digest() !== this.#sha256)
      throw new SottoError('format', `${what} is not the file that was asked for: its SHA-256 differs.`);
  }

  #digest(): string {
    if (this.#platform) return this.#platform.digest();
    const { wasm } = this.#c;
    const out = wasm.alloc(32);
    wasm.x.sotto_wasm_sha256_close(this.#own, out);
    const hex = Array.from(wasm.bytes(out, 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
    wasm.free(out);
    return hex;
  }
}
