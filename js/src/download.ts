// The bytes of a file by address: a connection that breaks, or falls silent, is taken up where it broke.
import { abortError, SottoError } from './errors.js';
import { refusal } from './hub.js';
import { request, type OwnHeaders } from './request.js';
import { streamPieces } from './stream.js';

/** Times to take up a broken connection without any progress between. */
export const RETRIES = 4;
export const RETRY_MS = 400;
/** A connection that is silent for so long counts as broken. */
export const SILENCE_MS = 30_000;
/** A server that asks for more patience than that is not waited for. */
const MOST_WAIT_MS = 60_000;

/** The bytes of `url` from `offset` on; broken connections are taken up again. `own`: headers of the caller's for it. */
export async function* fetchPieces(
  url: string,
  offset: number,
  size: number | undefined,
  signal: AbortSignal,
  sized: (total: number) => void,
  own?: OwnHeaders,
): AsyncGenerator<Uint8Array> {
  for (let tries = 0; ;) {
    let broken: unknown;
    const watch = new Watch(signal);
    try {
      const headers: OwnHeaders = offset > 0 ? { Range: `bytes=${offset}-` } : {};
      const response = await request(url, { signal: watch.signal, headers }, own);
      if (offset > 0 && response.status === 416 && offset === size) return;
      if (!response.ok) throw new HttpError(response.status, url);
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
export class Watch {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #end = (): void => this.#controller.abort();
  readonly #silenceMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(caller: AbortSignal, silenceMs = SILENCE_MS) {
    this.#caller = caller;
    this.#silenceMs = silenceMs;
    caller.addEventListener('abort', this.#end, { once: true });
    this.heard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    const silence = new Error(`nothing came for ${this.#silenceMs / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(silence), this.#silenceMs);
  }

  /** Nobody listens for a while: then silence is no wonder. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  /** Why it ended the connection; undefined: it did not. */
  get reason(): unknown {
    return this.#caller.aborted ? undefined : this.signal.reason;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#end);
  }
}

export class HttpError extends Error {
  /** May be over in a moment. */
  readonly passing: boolean;
  /** The server asks to come back later, and maybe when. */
  readonly busy: boolean;
  readonly waitMs: number;

  /** `retryAfter`: the header, in s or as a date. */
  constructor(status: number, url: string, retryAfter: string | null = null) {
    super(refusal(status, url));
    const wait = retryAfter === null ? 0 : /^\d+$/.test(retryAfter) ? 1000 * Number(retryAfter) : Date.parse(retryAfter) - Date.now();
    this.waitMs = wait > 0 ? wait : 0;
    this.busy = status === 429 || status === 503;
    this.passing = (status === 408 || status === 429 || status >= 500) && this.waitMs <= MOST_WAIT_MS;
  }
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error && error.cause.message ? ` (${error.cause.message})` : '';
  return error.message + cause;
}
