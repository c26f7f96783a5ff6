// Parts of a file by address: whether its server gives them, and each of them, asked for again where a connection breaks.
import { HttpError, reasonOf, RETRIES, RETRY_MS, Watch } from './download.js';
import { abortError, SottoError } from './errors.js';
import { request, type OwnHeaders } from './request.js';
import { streamPieces } from './stream.js';

/** What a server says of a file before it is read. */
export interface Found {
  /** undefined: it does not say. */
  size: number | undefined;
  /** It gives parts of it. */
  ranges: boolean;
  /** Its ETag, or the time of its last change; "": neither is told. */
  stamp: string;
}

export const stampOf = (response: Response): string =>
  response.headers.get('etag') ?? response.headers.get('last-modified') ?? '';

/** Asks for the first byte. Throws a SottoError, code `network`; `missing` in its cause where there is no such file. */
export async function probe(url: string, signal: AbortSignal, own?: OwnHeaders, untried = false): Promise<Found> {
  return patiently({ signal, untried }, async (watch) => {
    const response = await request(url, { signal: watch.signal, headers: { Range: 'bytes=0-0' } }, own);
    void response.body?.cancel().catch(() => {});
    if (!response.ok && response.status !== 416) throw new HttpError(response.status, url);
    const stamp = stampOf(response);
    if (response.status !== 206) {
      const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
      return { size: response.ok && length !== null ? Number(length) : undefined, ranges: false, stamp };
    }
    const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1] ?? NaN);
    if (Number.isSafeInteger(total)) return { size: total, ranges: true, stamp };
    // Other origins may keep that header to themselves, but not the length of the whole.
    const whole = await request(url, { method: 'HEAD', signal: watch.signal }, own);
    const size = Number(whole.headers.get('content-length') ?? NaN);
    const known = whole.ok && Number.isSafeInteger(size) && size > 0;
    return { size: known ? size : undefined, ranges: known, stamp };
  });
}

/** Exactly n bytes of a file of which `expected` was found. */
export async function fetchRange(
  url: string,
  offset: number,
  n: number,
  expected: { size: number; stamp: string },
  signal: AbortSignal,
  own?: OwnHeaders,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(n);
  let have = 0;
  return patiently({ signal }, async (watch, progressed) => {
    const headers = { Range: `bytes=${offset + have}-${offset + n - 1}` };
    const response = await request(url, { signal: watch.signal, headers }, own);
    if (!response.ok) throw new HttpError(response.status, url);
    const stamp = stampOf(response);
    if (response.status !== 206 || (stamp !== '' && expected.stamp !== '' && stamp !== expected.stamp)) {
      void response.body?.cancel().catch(() => {});
      throw new SottoError('format', `${url} changed while it was read: start again with the file as it is now.`);
    }
    if (!response.body) throw new Error('no body');
    for await (const piece of streamPieces(response.body)) {
      watch.heard();
      if (piece.length > n - have) throw new SottoError('format', `${url}: the server gave more bytes than it was asked for.`);
      bytes.set(piece, have);
      have += piece.length;
      if (piece.length > 0) progressed();
    }
    if (have < n) throw new Error(`the connection broke after ${offset + have} of ${expected.size} bytes`);
    return bytes;
  });
}

export interface Patience {
  signal: AbortSignal;
  /** A connection that is silent for so long counts as broken. */
  stallMs?: number | undefined;
  /** Nobody has heard of this server yet: only one that asks for patience gets it. */
  untried?: boolean | undefined;
  onRetry?: (() => void) | undefined;
}

/** Tries again after a break or a passing error, a few times without any progress between; a server may say when. */
export async function patiently<T>(
  { signal, stallMs, untried = false, onRetry }: Patience,
  work: (watch: Watch, progressed: () => void) => Promise<T>,
): Promise<T> {
  let moved = !untried;
  for (let tries = 0; ;) {
    if (signal.aborted) throw abortError();
    const watch = new Watch(signal, stallMs);
    let wait: number;
    try {
      return await work(watch, () => {
        tries = 0;
        moved = true;
      });
    } catch (error) {
      if (signal.aborted) throw abortError();
      if (error instanceof SottoError || !(error instanceof Error) || error.name === 'Changed') throw error;
      const http = error instanceof HttpError ? error : undefined;
      const final = http ? !http.passing || (!moved && !http.busy) : !moved;
      if (final || ++tries > RETRIES) throw new SottoError('network', reasonOf(watch.reason ?? error), { cause: error });
      wait = Math.max(RETRY_MS * 2 ** (tries - 1), http?.waitMs ?? 0);
    } finally {
      watch.close();
    }
    onRetry?.();
    await pause(wait, signal);
  }
}

/** Sleeps, until the signal ends it. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
