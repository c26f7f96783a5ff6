// One file by address, in pieces: several connections fill them, a draft keeps them, and they are read in their order while they come.
//
//   addresses ──4 connections, runs of pieces──> pieces in memory ──SHA-256, write, flush, journal──> pieces on the disk
//                                                     └───────────────── read(), in order ─────────────────┘
//
// A connection asks for a run of some pieces, the first that nobody has asked for. A server without ranges gives everything from the start,
// by one connection; what is there already is left out. What has been written may be dropped and is read again when its turn comes, so memory
// is bounded however slow the reader is. An address that fails hands over to the next one.
import { HttpError, reasonOf } from '../download.js';
import { patiently, stampOf } from '../download-range.js';
import { abortError, SottoError } from '../errors.js';
import type { Draft, Earlier } from '../kept.js';
import { headersFor, type Download } from '../protocol.js';
import { request } from '../request.js';
import { streamPieces } from '../stream.js';
import { pieceBytesOf, sumLine } from './journal.js';
import { canSum, sumOf } from './sums.js';
import type { TransferState } from './tabs.js';

export const CONNECTIONS = 4;
/** Asked for at once, at most; and of small files such a part, so that all connections have something to do. */
const RUN_BYTES = 4 << 20;
const RUNS = 16;
/** Asked for before anything is known. */
const FIRST_BYTES = 1 << 20;
/** Bytes in memory from which on nothing more is asked for, but what the reader waits for. */
const MOST_HELD = 32 << 20;
/** Pieces that are read from the disk ahead of the reader. */
const PIECES_AHEAD = 4;
/** Of a file whose size nobody tells. */
const UNKNOWN_PIECE = 1 << 20;
/** What a server says beyond it is a mistake. */
const MOST_BYTES = 2 ** 40;

/** The file is another one than before: what was read so far is of no use, and all begins anew. */
export class Changed extends Error {
  override readonly name = 'Changed';
}

interface Piece {
  readonly at: number;
  /** Its bytes; of the last one of a file of unknown size, at most. */
  n: number;
  /** In memory. */
  bytes?: Uint8Array<ArrayBuffer> | undefined;
  have: number;
  /** Somebody fetches it. */
  coming: boolean;
  /** Its SHA-256, once it is on the disk. */
  sum?: string | undefined;
  /** It was checked, or written just now. */
  trusted: boolean;
}

/** What is kept while it comes. */
export interface Keeping {
  draft: Draft;
  pieceBytes: number;
  /** Pieces that the draft has, by number. */
  sums: ReadonlyMap<number, string>;
}

/** Addresses, of which one is in use until it fails. It outlives an attempt. */
export interface Addresses {
  part: Download & { size?: number | undefined; sha256?: string | undefined };
  next: number;
  /** What was wrong with each that failed. */
  reasons: string[];
}

export interface TransferContext {
  signal: AbortSignal;
  earlier?: Earlier | undefined;
  /** Its size is known now; what is to be kept is begun, or taken up. Throws to end it. */
  begin(size: number | undefined, url: string, stamp: string): Promise<Keeping | undefined>;
  /** Something came, or its state is another one. */
  report(state: TransferState): void;
}

export class Transfer {
  size: number | undefined;
  /** Why nothing more is written, if so. */
  full: unknown;
  readonly #addresses: Addresses;
  readonly #c: TransferContext;
  readonly #stop = new AbortController();
  readonly #pieces: Piece[] = [];
  /** What the addresses said of the file. */
  readonly #stamps = new Map<string, string>();
  readonly #answered = new Set<string>();
  /** Of which something was taken. */
  readonly #gave = new Set<string>();
  #pieceBytes = UNKNOWN_PIECE;
  #keeping: Keeping | undefined;
  #beginning: Promise<void> | undefined;
  #begun = false;
  #ended = false;
  /** undefined: not known yet. */
  #ranges: boolean | undefined;
  #streaming = false;
  #connections = 0;
  #running: Promise<unknown>[] = [];
  #reader = 0;
  #held = 0;
  #failure: unknown;
  #waiters: (() => void)[] = [];
  #toWrite: number[] = [];
  #writing: Promise<void> | undefined;

  constructor(addresses: Addresses, c: TransferContext) {
    this.#addresses = addresses;
    this.#c = c;
    const end = (): void => this.#fail(abortError());
    if (c.signal.aborted) end();
    c.signal.addEventListener('abort', end, { once: true, signal: this.#stop.signal });
  }

  /** Bytes that are there, on the disk or in memory. */
  get bytes(): number {
    return this.#pieces.reduce((sum, piece) => sum + piece.have, 0);
  }

  /** SHA-256 of all pieces; undefined: not all of them are on the disk. */
  get sums(): string[] | undefined {
    const sums = this.#pieces.flatMap(({ sum }) => sum ?? []);
    return this.#keeping && !this.full && sums.length === this.#pieces.length ? sums : undefined;
  }

  /**
   * All bytes in their order. A piece is gone when the next is asked for. Throws Changed, a SottoError with code `network` where no address is left,
   * an AbortError.
   */
  async *read(known?: { size: number; url: string; stamp: string }): AsyncGenerator<Uint8Array> {
    this.#c.report('waiting');
    if (known) {
      if (this.#addresses.part.sha256 === undefined) this.#stamps.set(known.url, known.stamp);
      await (this.#beginning = this.#open(known.size, known.url, known.stamp));
    }
    this.#start();
    while (!this.#begun) await this.#change();
    for (let i = 0; !this.#isEnd(i); i++) {
      this.#reader = i;
      yield* this.#readPiece(i);
      const piece = this.#pieces[i];
      if (piece && (piece.sum !== undefined || !this.#writes)) this.#drop(piece);
      this.#changed();
    }
    await this.#written();
  }

  #isEnd(i: number): boolean {
    return this.#ended || this.size !== undefined ? i >= this.#pieces.length : false;
  }

  async *#readPiece(i: number): AsyncGenerator<Uint8Array> {
    let given = 0;
    while (this.#failure === undefined) {
      const piece = this.#pieces[i];
      if (!piece) {
        if (this.#isEnd(i)) return;
      } else if (piece.bytes) {
        const { have, bytes } = piece;
        if (have > given) {
          yield bytes.subarray(given, have);
          given = have;
          continue;
        }
        if (given === piece.n) return;
      } else if (piece.sum !== undefined) {
        const bytes = await this.#fromDisk(i);
        if (bytes) {
          if (bytes.length > given) yield bytes.subarray(given);
          return;
        }
        if (given > 0) throw new Changed(); // what was given of it cannot be told from what comes now
        this.#lose(piece);
        this.#start();
        continue;
      }
      await this.#change();
    }
    throw this.#failure;
  }

  // ---- the disk ----

  readonly #ahead = new Map<number, Promise<Uint8Array | undefined>>();

  /** A piece that is on the disk, if it is as it was written. */
  async #fromDisk(i: number): Promise<Uint8Array | undefined> {
    for (let j = i; j < Math.min(i + PIECES_AHEAD, this.#pieces.length); j++) {
      const piece = this.#pieces[j];
      if (piece.sum === undefined || piece.bytes || this.#ahead.has(j)) continue;
      const reading = this.#readDraft(piece);
      reading.catch(() => {}); // looked at in its turn
      this.#ahead.set(j, reading);
    }
    const bytes = await this.#ahead.get(i)!.catch(() => undefined);
    this.#ahead.delete(i);
    return bytes;
  }

  async #readDraft(piece: Piece): Promise<Uint8Array | undefined> {
    const bytes = await this.#keeping!.draft.read(piece.at, piece.n);
    if (bytes.length !== piece.n || (!piece.trusted && (await sumOf(bytes)) !== piece.sum)) return undefined;
    piece.trusted = true;
    return bytes;
  }

  get #writes(): boolean {
    return this.#keeping !== undefined && this.full === undefined;
  }

  #drop(piece: Piece): void {
    if (!piece.bytes) return;
    this.#held -= piece.n;
    piece.bytes = undefined;
  }

  #lose(piece: Piece): void {
    this.#drop(piece);
    Object.assign(piece, { have: 0, coming: false, sum: undefined, trusted: false });
  }

  #whole(i: number): void {
    const piece = this.#pieces[i];
    piece.coming = false;
    if (this.#writes) {
      this.#toWrite.push(i);
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    } else if (i < this.#reader) this.#drop(piece);
    this.#changed();
  }

  /** What has come meanwhile goes to the disk together: flushed once, and only then noted. */
  async #write(): Promise<void> {
    const { draft } = this.#keeping!;
    while (this.#toWrite.length > 0 && this.#writes) {
      const batch = this.#toWrite.splice(0).filter((i) => this.#pieces[i].bytes);
      try {
        const sums = await Promise.all(batch.map((i) => sumOf(this.#pieces[i].bytes!)));
        for (const { at, bytes } of joined(batch.map((i) => this.#pieces[i]), draft.byPiece)) await draft.write(at, bytes);
        await draft.flush();
        if (batch.length > 0) await draft.note(batch.map((i, k) => sumLine(i, sums[k])).join('\n'));
        batch.forEach((i, k) => Object.assign(this.#pieces[i], { sum: sums[k], trusted: true }));
      } catch (error) {
        this.full = error; // the rest goes on without being kept
      }
      for (const i of this.full === undefined ? batch : [...batch, ...this.#toWrite]) {
        const ahead = i > this.#reader && this.#pieces[i].sum !== undefined && this.#held > MOST_HELD / 2;
        if (i < this.#reader || ahead) this.#drop(this.#pieces[i]);
      }
      this.#changed();
    }
  }

  async #written(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  // ---- waiting ----

  #change(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise<void>((resolve) => this.#waiters.push(resolve)).then(() => {
      if (this.#failure !== undefined) throw this.#failure;
    });
  }

  #changed(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stop.abort();
    this.#changed();
  }

  /** Ends all connections; what was whole is written. */
  async close(): Promise<void> {
    this.#fail(abortError());
    await Promise.all(this.#running);
    await this.#written();
    await Promise.allSettled(this.#ahead.values());
  }

  // ---- connections ----

  get #url(): string {
    return this.#addresses.part.urls[this.#addresses.next];
  }

  /** As many as there is work for; one, until it is known whether the server gives ranges. */
  #start(): void {
    const most = this.#ranges === true ? CONNECTIONS : 1;
    while (this.#connections < most && this.#failure === undefined && (!this.#begun || this.#pieces.some(isMissing))) {
      this.#connections++;
      const running = this.#connect().finally(() => {
        this.#connections--;
        this.#changed();
        if (this.#failure === undefined && this.#connections === 0 && this.#pieces.some(isMissing)) this.#start();
      });
      this.#running.push(running);
      if (!this.#begun) return;
    }
  }

  async #connect(): Promise<void> {
    try {
      while (!this.#ended && (!this.#begun || this.#pieces.some(isMissing))) {
        if (this.#streaming) return; // another connection gives everything
        const run = this.#claim();
        if (!run) await this.#change();
        else if (!(await this.#fromEarlier(run))) await this.#fetch(run);
      }
    } catch (error) {
      if (this.#failure === undefined) this.#fail(error);
    }
  }

  /** The first pieces that nobody fetches; undefined: there is too much in memory already. */
  #claim(): Piece[] | undefined {
    if (!this.#begun) return [];
    const first = this.#pieces.findIndex(isMissing);
    if (first > this.#reader && this.#held >= MOST_HELD) return undefined;
    const run: Piece[] = [];
    const most = Math.max(Math.floor(Math.min(RUN_BYTES, (this.size ?? 0) / RUNS) / this.#pieceBytes), 1);
    for (let i = first; i >= 0 && i < this.#pieces.length && run.length < most && isMissing(this.#pieces[i]); i++) run.push(this.#pieces[i]);
    for (const piece of run) piece.coming = true;
    return run;
  }

  /** Takes a run, or its beginning, from what an earlier version kept; false: all of it is to be fetched. */
  async #fromEarlier(run: readonly Piece[]): Promise<boolean> {
    const { earlier } = this.#c;
    if (!earlier || run.length === 0 || !this.#begun) return false;
    for (const piece of run) {
      const there = piece.at + piece.n <= earlier.bytes;
      const bytes = there ? await earlier.read(piece.at, piece.n).catch(() => undefined) : undefined;
      if (!bytes) {
        this.#c.earlier = undefined;
        if (piece === run[0]) return false;
        for (const rest of run) rest.coming = false;
        break;
      }
      this.#hold(piece);
      piece.bytes!.set(bytes);
      piece.have = piece.n;
      this.#whole(this.#pieces.indexOf(piece));
      this.#c.report('checking');
    }
    return true;
  }

  #hold(piece: Piece): void {
    if (piece.bytes) return;
    piece.bytes = new Uint8Array(piece.n);
    this.#held += piece.n;
  }

  /** Fetches a run by the address in use; empty: what comes first. */
  async #fetch(run: Piece[]): Promise<void> {
    const url = this.#url;
    try {
      if (url === undefined) throw new SottoError('network', this.#noSource());
      const { stallMs } = this.#addresses.part;
      const patience = { signal: this.#stop.signal, stallMs, untried: !this.#answered.has(url), onRetry: () => this.#c.report('retrying') };
      await patiently(patience, async (watch, progressed) => {
        const piece = run.find(({ have, n }) => have < n);
        if (run.length > 0 && !piece) return;
        const from = piece ? piece.at + piece.have : 0;
        const last = run.at(-1);
        const to = last ? last.at + last.n - 1 : FIRST_BYTES - 1;
        const headers: Record<string, string> = this.#ranges === false ? {} : { Range: `bytes=${from}-${to}` };
        // The browser's own cache would let one request of an address wait for another, and keep everything twice.
        const response = await request(url, { signal: watch.signal, headers, cache: 'no-store' }, headersFor(this.#addresses.part, url));
        try {
          await this.#take(response, url, [from, to], run, watch, progressed);
        } catch (error) {
          void response.body?.cancel().catch(() => {});
          throw error;
        }
      });
    } catch (error) {
      if (this.#failure !== undefined || error instanceof Changed) throw error;
      this.#hasFailed(url, error);
    } finally {
      for (const piece of run) piece.coming = false;
    }
  }

  /** The address failed: the next one takes over, unless another connection has seen to that. */
  #hasFailed(url: string | undefined, error: unknown): void {
    const { part, reasons } = this.#addresses;
    if (error instanceof SottoError && !['network', 'format'].includes(error.code)) throw error;
    if (url === undefined) throw error;
    if (url !== this.#url) return;
    reasons.push(`${url}: ${(error instanceof SottoError ? error.message : reasonOf(error)).replace(/\.$/, '')}`);
    this.#addresses.next++;
    if (this.#addresses.next >= part.urls.length) throw new SottoError('network', this.#noSource(), { cause: error });
    this.#ranges = undefined;
    this.#streaming = false;
    if (error instanceof SottoError && error.code === 'format' && this.#gave.has(url)) throw new Changed(); // what it gave is of no use either
  }

  #noSource(): string {
    const { part, reasons } = this.#addresses;
    return `The model ${part.name} could not be fetched (${reasons.length ? reasons.join('; ') : 'it has no source here'}).`;
  }

  /** What an answer to a request for bytes `from` to `to` brings. */
  async #take(response: Response, url: string, [from, to]: [number, number], run: Piece[], watch: Patience, progressed: () => void): Promise<void> {
    if (response.status === 416 && from === 0) return this.#begin(0, url, stampOf(response)); // an empty file has no first byte
    if (!response.ok) throw new HttpError(response.status, url, response.headers.get('retry-after'));
    const partial = response.status === 206;
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
    if (partial && start !== undefined && Number(start) !== from) throw new SottoError('format', 'the server gave other bytes than it was asked for');
    const size = partial ? await this.#sizeOfPartial(total, url, watch) : sizeOfWhole(response);
    await this.#begin(size, url, stampOf(response));
    watch.heard();
    if (!partial) {
      if (this.#streaming) return void response.body?.cancel().catch(() => {}); // another connection has it all already
      this.#ranges = false;
      this.#streaming = true;
    } else if (this.#ranges === undefined) {
      this.#ranges = true;
      if (run.length === 0) run.push(...this.#pieces.filter((piece) => piece.at <= to && isMissing(piece)));
      for (const piece of run) piece.coming ||= piece.have < piece.n;
      this.#start();
    }
    try {
      await this.#consume(response, url, partial ? [from, Math.min(to + 1, this.size ?? Infinity)] : [0, this.size ?? Infinity], run, watch, progressed);
    } finally {
      if (!partial) this.#streaming = false;
    }
  }

  /** Other origins may keep the total to themselves, but not the length of the whole. */
  async #sizeOfPartial(total: string | undefined, url: string, watch: Patience): Promise<number | undefined> {
    if (total !== undefined && total !== '*') return Number(total);
    const known = this.size ?? this.#addresses.part.size;
    if (known !== undefined) return known;
    const response = await request(url, { method: 'HEAD', signal: watch.signal }, headersFor(this.#addresses.part, url));
    const size = response.ok ? sizeOfWhole(response) : undefined;
    if (size === undefined) throw new SottoError('format', 'the server does not say how long the file is');
    return size;
  }

  /** The first answer says what there is to fetch; all others must say the same. */
  async #begin(size: number | undefined, url: string, stamp: string): Promise<void> {
    const { part } = this.#addresses;
    const expected = this.size ?? part.size;
    if (size !== undefined && size > MOST_BYTES) throw new SottoError('format', `it would be ${size} bytes, more than any model has`);
    if (size !== undefined && expected !== undefined && size !== expected) {
      if (this.#stamps.has(url) && size !== part.size) throw new Changed();
      throw new SottoError('format', `it is ${size} bytes, not the ${expected} of the model`);
    }
    const before = this.#stamps.get(url);
    if (before !== undefined && before !== '' && stamp !== '' && before !== stamp) throw new Changed();
    const other = [...this.#stamps.values()].find((each) => each !== stamp);
    if (other !== undefined && before === undefined && part.sha256 === undefined) throw new Changed(); // another address, of which nothing says that it has the same bytes
    this.#stamps.set(url, stamp);
    this.#answered.add(url);
    this.#beginning ??= this.#open(size ?? part.size, url, stamp);
    await this.#beginning;
  }

  async #open(size: number | undefined, url: string, stamp: string): Promise<void> {
    this.#keeping = canSum() ? await this.#c.begin(size, url, stamp) : void (await this.#c.begin(size, url, stamp));
    this.size = size;
    this.#pieceBytes = this.#keeping?.pieceBytes ?? (size === undefined ? UNKNOWN_PIECE : pieceBytesOf(size));
    for (let at = 0, i = 0; size !== undefined && at < size; at += this.#pieceBytes, i++) {
      const n = Math.min(this.#pieceBytes, size - at);
      const sum = this.#keeping?.sums.get(i);
      this.#pieces.push({ at, n, have: sum === undefined ? 0 : n, coming: false, sum, trusted: false });
    }
    this.#begun = true;
    this.#changed();
  }

  /** What an answer brings from `at` up to `end`; of a server without ranges that is everything. */
  async #consume(response: Response, url: string, [at, end]: [number, number], run: Piece[], watch: Patience, progressed: () => void): Promise<void> {
    const ranged = response.status === 206;
    const mine = new Set(run);
    if (!response.body) throw new Error('no body');
    for await (const bytes of streamPieces(response.body)) {
      watch.heard();
      if (this.#failure !== undefined) throw this.#failure;
      if (at + bytes.length > end) throw new SottoError('format', ranged ? 'the server gave more bytes than it was asked for' : `it is longer than the ${end} bytes of the model`);
      for (let done = 0; done < bytes.length;) {
        const i = Math.floor(at / this.#pieceBytes);
        const piece = (this.#pieces[i] ??= { at: i * this.#pieceBytes, n: this.#pieceBytes, have: 0, coming: false, trusted: false });
        const within = at - piece.at;
        const n = Math.min(bytes.length - done, piece.n - within);
        if (isMissing(piece)) {
          piece.coming = true;
          mine.add(piece);
        }
        if (mine.has(piece) && piece.have < piece.n && piece.have < within + n && piece.have >= within) {
          if (!ranged) await this.#room(i, watch);
          this.#hold(piece);
          piece.bytes!.set(bytes.subarray(done + piece.have - within, done + n), piece.have);
          piece.have = within + n;
          this.#gave.add(url);
          progressed();
          if (piece.have === piece.n) this.#whole(i);
        }
        at += n;
        done += n;
      }
      this.#c.report('downloading');
      this.#changed();
    }
    if (this.size === undefined && !ranged) this.#close(at);
    for (const piece of mine) if (piece.have < piece.n) piece.coming = run.includes(piece);
    if (at < end && this.size !== undefined) {
      if (!ranged && sizeOfWhole(response) === undefined) throw new SottoError('format', `it ends after ${at} bytes, not the ${this.size} of the model`);
      throw new Error(`the connection broke after ${at} of ${this.size} bytes`);
    }
  }

  /** The end of a file of unknown size is where it ends. */
  #close(size: number): void {
    this.size = size;
    const last = this.#pieces.at(-1);
    if (last && last.have < last.n) {
      this.#held -= last.n - last.have;
      last.n = last.have;
      last.bytes = last.bytes?.subarray(0, last.n);
      last.coming = false;
    }
    this.#ended = true;
    this.#changed();
  }

  /** Waits until the reader has used some of what is there. */
  async #room(i: number, watch: Patience): Promise<void> {
    if (this.#pieces[i].bytes) return;
    while (i > this.#reader && this.#held >= MOST_HELD) {
      watch.rest();
      await this.#change();
    }
    watch.heard();
  }
}

/** Neighbours together: a few large writes cost less than many small ones. Drafts that write a piece at a time get them so. */
function joined(pieces: readonly Piece[], byPiece: boolean): { at: number; bytes: Uint8Array<ArrayBuffer> }[] {
  if (byPiece) return pieces.map(({ at, bytes }) => ({ at, bytes: bytes! }));
  const runs: Piece[][] = [];
  for (const piece of [...pieces].sort((a, b) => a.at - b.at)) {
    const before = runs.at(-1)?.at(-1);
    const first = runs.at(-1)?.[0];
    if (before && before.at + before.n === piece.at && piece.at + piece.n - first!.at <= RUN_BYTES) runs.at(-1)!.push(piece);
    else runs.push([piece]);
  }
  return runs.map((run) => {
    if (run.length === 1) return { at: run[0].at, bytes: run[0].bytes! };
    const bytes = new Uint8Array(run.reduce((sum, { n }) => sum + n, 0));
    for (const piece of run) bytes.set(piece.bytes!, piece.at - run[0].at);
    return { at: run[0].at, bytes };
  });
}

type Patience = Parameters<Parameters<typeof patiently>[1]>[0];

const isMissing = ({ coming, have, n, sum }: Piece): boolean => !coming && have < n && sum === undefined;

/** The length of the file, where an answer without a range tells it. */
function sizeOfWhole(response: Response): number | undefined {
  const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  return length !== null && Number.isSafeInteger(Number(length)) ? Number(length) : undefined;
}
