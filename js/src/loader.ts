// The bytes of a model, from wherever they are, into the engine as they arrive.
//
//   pieces of the page, blob, file ──────────────────────────────────────────────> feed ─> finish
//   cache (whole) ───────────────── checked ─────────────────────────────────────> feed ─> finish
//   cache (a part) ─ then the rest by Range ─┬─> SHA-256 ─────────────────────────> feed ─> right? finish, keep : next source
//   source 1, source 2, ... ─────────────────┘ └> cache
//
// A connection that breaks is taken up where it broke. A source that gives other bytes than promised (an error page, an
// older file) is left for the next one. When all fail, the error names each with its reason.
import { abortError, SottoError } from './errors.js';
import type { CacheEntry, Hash, Platform } from './platform.js';
import type { Download, ModelSpec } from './protocol.js';
import type { Pointer, Wasm } from './wasm.js';

/** Bytes handed to the engine at once. */
const FEED_BYTES = 1 << 20;
/** Times to take up a broken connection without any progress between. */
const RETRIES = 4;
const RETRY_MS = 400;
/** A connection that is silent for so long counts as broken. */
const SILENCE_MS = 30_000;

export interface LoadContext {
  wasm: Wasm;
  engine: Pointer;
  platform: Platform;
  /** Pieces that the page sends. */
  pulled: () => AsyncIterable<Uint8Array>;
  report: (loaded: number, total: number) => void;
  signal: AbortSignal;
}

export interface Loaded {
  model: Pointer;
  cached: boolean;
}

/** A model that is being fed. */
class Feed {
  readonly model: Pointer;
  bytes = 0;
  readonly #c: LoadContext;
  readonly #buffer: Pointer;

  constructor(c: LoadContext) {
    this.#c = c;
    this.#buffer = c.wasm.alloc(FEED_BYTES);
    this.model = c.wasm.x.sotto_wasm_model_open(c.engine);
    if (this.model === 0) c.wasm.fail(-2, c.engine);
  }

  /** Feeds; hashes with the engine's SHA-256 too if asked, while the bytes are there. */
  add(bytes: Uint8Array, sha256: Pointer = 0): void {
    const { wasm, engine } = this.#c;
    for (let at = 0; at < bytes.length; at += FEED_BYTES) {
      const part = bytes.subarray(at, at + FEED_BYTES);
      wasm.bytes(this.#buffer, part.length).set(part);
      if (sha256) wasm.x.sotto_wasm_sha256_update(sha256, this.#buffer, part.length);
      const status = wasm.x.sotto_wasm_model_feed(this.model, this.#buffer, part.length);
      if (status < 0) wasm.fail(status, engine);
    }
    this.bytes += bytes.length;
  }

  finish(): Pointer {
    const status = this.#c.wasm.x.sotto_wasm_model_finish(this.model);
    if (status < 0) this.#c.wasm.fail(status, this.#c.engine);
    this.#c.wasm.free(this.#buffer);
    return this.model;
  }

  abandon(): void {
    this.#c.wasm.x.sotto_wasm_model_close(this.model);
    this.#c.wasm.free(this.#buffer);
  }
}

export async function loadModel(spec: ModelSpec, c: LoadContext): Promise<Loaded> {
  if (spec.kind === 'download') return loadDownload(spec.download, c);
  let size = 0;
  let pieces: AsyncIterable<Uint8Array>;
  let sha256: string | undefined;
  if (spec.kind === 'blob') {
    size = spec.blob.size;
    pieces = streamPieces(spec.blob.stream());
  } else if (spec.kind === 'file') {
    ({ size, pieces } = await c.platform.openFile(spec.path));
  } else {
    size = spec.size ?? 0;
    sha256 = spec.sha256;
    pieces = c.pulled();
  }
  const feed = new Feed(c);
  const hash = sha256 === undefined ? undefined : new StreamHash(c);
  try {
    for await (const bytes of pieces) {
      if (c.signal.aborted) throw abortError();
      hash ? hash.feed(feed, bytes) : feed.add(bytes);
      c.report(feed.bytes, Math.max(size, feed.bytes));
    }
    if (hash && hash.digest() !== sha256) throw wrongHash('The model');
    return { model: feed.finish(), cached: false };
  } catch (error) {
    feed.abandon();
    throw error;
  }
}

export async function* streamPieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

const wrongHash = (what: string): SottoError =>
  new SottoError('format', `${what} is not the file that was asked for: its SHA-256 differs.`);

/** SHA-256 of all that is fed: the platform's, or the engine's. */
class StreamHash {
  readonly #c: LoadContext;
  readonly #platform: Hash | undefined;
  readonly #own: Pointer = 0;

  constructor(c: LoadContext) {
    this.#c = c;
    this.#platform = c.platform.sha256?.();
    if (!this.#platform) this.#own = c.wasm.x.sotto_wasm_sha256_open();
  }

  feed(feed: Feed, bytes: Uint8Array): void {
    this.#platform?.update(bytes);
    feed.add(bytes, this.#own);
  }

  digest(): string {
    if (this.#platform) return this.#platform.digest();
    const { wasm } = this.#c;
    const out = wasm.alloc(32);
    wasm.x.sotto_wasm_sha256_close(this.#own, out);
    const hex = Array.from(wasm.bytes(out, 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
    wasm.free(out);
    return hex;
  }
}

async function loadDownload(download: Download, c: LoadContext): Promise<Loaded> {
  const { sha256, name } = download;
  const openCache = async (): Promise<CacheEntry | null> =>
    download.cache && sha256 ? c.platform.openCache(sha256, download.file).catch(() => null) : null;
  const entry = await openCache();
  if (entry?.complete) {
    try {
      return { model: await loadCached(entry, download, c), cached: true };
    } catch (error) {
      if (c.signal.aborted || (error instanceof SottoError && error.code !== 'format')) throw error;
      await entry.drop(); // not what was kept: fetch it again
    }
  }
  const reasons: string[] = [];
  let memory: SottoError | undefined;
  for (const url of download.urls) {
    try {
      return { model: await loadUrl(url, download, await openCache(), c), cached: false };
    } catch (error) {
      if (c.signal.aborted) throw abortError();
      if (error instanceof SottoError && error.code === 'memory') memory = error;
      if (memory) throw memory;
      const reason = error instanceof Error ? error.message : String(error);
      // The engine's own word for a single address that the caller gave; otherwise a list.
      if (download.urls.length === 1 && error instanceof SottoError && !sha256) throw error;
      reasons.push(`${url}: ${reason.replace(/\.$/, '')}`);
    }
  }
  const list = reasons.length ? reasons.join('; ') : 'it has no source here';
  throw new SottoError('network', `The model ${name} could not be fetched (${list}).`);
}

async function loadCached(entry: CacheEntry, { name, sha256, size }: Download, c: LoadContext): Promise<Pointer> {
  const feed = new Feed(c);
  const hash = entry.checksItself ? undefined : new StreamHash(c);
  try {
    for await (const bytes of entry.read()) {
      if (c.signal.aborted) throw abortError();
      hash ? hash.feed(feed, bytes) : feed.add(bytes);
      c.report(feed.bytes, Math.max(size ?? 0, entry.bytes));
    }
    if (hash && hash.digest() !== sha256) throw wrongHash(`The cached model ${name}`);
    return feed.finish();
  } catch (error) {
    feed.abandon();
    throw error instanceof SottoError ? error : new SottoError(c.signal.aborted ? 'closed' : 'format', String(error));
  }
}

async function loadUrl(url: string, download: Download, entry: CacheEntry | null, c: LoadContext): Promise<Pointer> {
  const { sha256, size } = download;
  const feed = new Feed(c);
  const hash = sha256 ? new StreamHash(c) : undefined;
  let whole = false;
  try {
    if (entry && entry.bytes > 0) {
      for await (const bytes of entry.read()) {
        if (c.signal.aborted) throw abortError();
        hash!.feed(feed, bytes);
      }
    }
    let total = size ?? 0;
    for await (const bytes of fetchPieces(url, feed.bytes, size, c.signal, (n) => (total = n))) {
      hash ? hash.feed(feed, bytes) : feed.add(bytes);
      entry?.append(bytes);
      c.report(feed.bytes, Math.max(total, feed.bytes));
    }
    whole = true;
    if (hash && hash.digest() !== sha256) throw wrongHash('this');
    const model = feed.finish();
    await entry?.commit();
    return model;
  } catch (error) {
    feed.abandon();
    const network = error instanceof SottoError ? error.code === 'network' : !whole;
    await (network ? entry?.suspend() : entry?.drop());
    throw error;
  }
}

/** The bytes of `url` from `offset` on; broken connections are taken up again. */
async function* fetchPieces(
  url: string,
  offset: number,
  size: number | undefined,
  signal: AbortSignal,
  sized: (total: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let tries = 0; ;) {
    let broken: unknown;
    const watch = new Watch(signal);
    try {
      const response = await fetch(url, {
        signal: watch.signal,
        headers: offset > 0 ? { Range: `bytes=${offset}-` } : {},
      });
      if (offset > 0 && response.status === 416 && offset === size) return;
      if (!response.ok) throw new HttpError(response.status);
      const resumed = response.status === 206;
      let skip = resumed ? 0 : offset; // a server without ranges starts over
      const length = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length') ?? 0);
      const total = length > 0 ? length + (resumed ? offset : 0) : (size ?? 0);
      if (size !== undefined && length > 0 && total !== size) {
        throw new SottoError('format', `it is ${total} bytes, not the ${size} of the model`);
      }
      sized(total);
      if (!response.body) throw new Error('no body');
      for await (let bytes of streamPieces(response.body)) {
        if (signal.aborted) throw abortError();
        watch.heard();
        if (skip > 0) {
          const n = Math.min(skip, bytes.length);
          bytes = bytes.subarray(n);
          skip -= n;
        }
        if (bytes.length === 0) continue;
        if (size !== undefined && offset + bytes.length > size) {
          throw new SottoError('format', `it is longer than the ${size} bytes of the model`);
        }
        offset += bytes.length;
        tries = 0;
        yield bytes;
      }
      if (total === 0 || offset >= total) return;
      if (length === 0) throw new SottoError('format', `it ends after ${offset} bytes, not the ${total} of the model`);
      broken = new Error(`the connection broke after ${offset} of ${total} bytes`);
    } catch (error) {
      if (signal.aborted) throw abortError();
      if (error instanceof SottoError) throw error;
      if (error instanceof HttpError && !error.passing) throw new SottoError('network', error.message);
      broken = error;
    } finally {
      watch.close();
    }
    if (offset === 0 || ++tries > RETRIES) throw new SottoError('network', reasonOf(broken));
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS * 2 ** (tries - 1)));
  }
}

/** Ends a connection that is silent for too long, or when the caller says so. */
class Watch {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #end = (): void => this.#controller.abort();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(caller: AbortSignal) {
    this.#caller = caller;
    caller.addEventListener('abort', this.#end, { once: true });
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    const silence = new Error(`nothing came for ${SILENCE_MS / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(silence), SILENCE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#end);
  }
}

class HttpError extends Error {
  /** May be over in a moment. */
  readonly passing: boolean;
  constructor(status: number) {
    super(`HTTP status ${status}`);
    this.passing = status === 408 || status === 429 || status >= 500;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error && error.cause.message ? ` (${error.cause.message})` : '';
  return error.message + cause;
}
