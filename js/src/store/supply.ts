// The bytes of one file of a model by address: from the store where it is whole, else over the network, and into the store on the way.
//
//   whole, and still what its address has ──checked──────────────────────────────────────────────────────────> bytes
//   another tab writes it ──wait──> whole, or what came of it
//   pieces of an earlier attempt ─┐
//   kept by an earlier version ───┼─> transfer.ts ──SHA-256──> bytes ──> right? commit : the next address, from the start
//   addresses ────────────────────┘
import { probe } from '../download-range.js';
import { abortError, SottoError } from '../errors.js';
import type { Draft, Earlier, KeptAbout, StoreAbout, WholeFile } from '../kept.js';
import type { Hash } from '../platform.js';
import { headersFor, type Download, type ModelPart } from '../protocol.js';
import { headOf } from './head.js';
import { bytesThere, headLine, parseUnfinished, pieceBytesOf, sumLine, type Unfinished } from './journal.js';
import type { Keeper } from './keeper.js';
import { keyOf, roomError } from './keys.js';
import { canSum } from './sums.js';
import type { TransferState } from './tabs.js';
import { Changed, Transfer, type Addresses, type Keeping } from './transfer.js';
import { Damaged, readWhole } from './whole.js';

/** What a file's head is looked for in. */
const HEAD_BYTES = 1 << 16;
/** Beginnings anew, after which something is wrong that another one does not help. */
const MOST_CHANGES = 6;
const TELL_MS = 150;

export interface SupplyContext {
  keeper: Keeper;
  /** SHA-256 of bytes as they come. */
  hash(): Hash;
  signal: AbortSignal;
  /** Its size is known now. Throws where that is too much. */
  sized(size: number): void;
  progress(bytes: number, size: number | undefined, state: TransferState): void;
  /** It is fetched to be kept: what keeps it from that is an error. */
  strict?: boolean | undefined;
}

export type SuppliedPart = ModelPart & Download;

export class Supply {
  readonly part: SuppliedPart;
  /** It came from the store. */
  cached = false;
  /** Under which it is kept, once bytes() began. */
  key = '';
  readonly #c: SupplyContext;
  readonly #addresses: Addresses;
  /** Beginnings anew with the address in use. */
  #changes = 0;
  #changing = 0;
  #transfer: Transfer | undefined;
  #draft: Draft | undefined;
  #head: Unfinished | undefined;
  #earlier: Earlier | undefined;
  #whole: WholeFile | undefined;
  #release: (() => void) | undefined;
  #digest = '';
  /** The digest is the one that was asked for. */
  #verified = false;
  #start = new Uint8Array(0);
  #told = -Infinity;
  /** Tells what came last, where nothing follows it. */
  #later: ReturnType<typeof setTimeout> | undefined;
  /** When the file became whole that is no longer what its address has. */
  #outdated = 0;

  constructor(part: SuppliedPart, c: SupplyContext) {
    this.part = part;
    this.#c = c;
    this.#addresses = { part, next: 0, reasons: [] };
  }

  /**
   * All bytes. Throws Changed where they begin anew: call it again. When it ends, call commit() or wrong(), and stop() in any case.
   */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const { part } = this;
    this.cached = false;
    if (!part.fresh && canSum()) {
      if (await this.#findWhole('shared')) return yield* this.#readWhole();
      if (part.stored !== undefined && part.urls.length === 0) throw new SottoError('argument', `The model ${part.name} is no longer on this device: import it again.`);
      if (await this.#findWhole('exclusive')) return yield* this.#readWhole();
      await this.#openDraft();
    }
    yield* this.#fetch();
  }

  // ---- whole ----

  /** Takes the lock; gives it back where nothing is whole, unless it was the exclusive one. */
  async #findWhole(mode: 'exclusive' | 'shared'): Promise<boolean> {
    const { keeper, signal } = this.#c;
    const { part } = this;
    const own = await keyOf(part);
    this.key = own;
    const others = mode === 'shared' ? await this.#othersOf(own) : [];
    for (const key of [own, ...others]) {
      const unlisten = this.#listen(key);
      this.#release = await keeper.tabs.lock(key, mode, signal).finally(unlisten);
      const whole = await keeper.openWhole(key).catch(() => undefined);
      if (whole && (await this.#isCurrent(whole.about))) {
        [this.key, this.#whole, this.cached] = [key, whole, true];
        return true;
      }
      await whole?.close();
      if (mode === 'shared') this.#unlock();
    }
    return false;
  }

  /** Keys under which the same bytes may be. */
  async #othersOf(own: string): Promise<string[]> {
    const { sha256, stored } = this.part;
    const { kept, notes } = this.#c.keeper;
    if (sha256 !== undefined) return (await kept.list()).filter(({ name, store }) => store?.sha256 === sha256 && name !== own).map(({ name }) => name);
    const alias = stored === undefined ? await notes.read(own) : undefined;
    return alias ? [alias] : [];
  }

  /** What the other one that writes it tells. */
  #listen(key: string): () => void {
    return this.#c.keeper.tabs.hear((news) => {
      if (news.type === 'progress' && news.key === key) this.#c.progress(news.bytes, news.size, 'waiting');
    });
  }

  /** A file of an address alone may be another one by now; where that cannot be asked, it is taken as it is. */
  async #isCurrent({ bytes, store, made }: KeptAbout): Promise<boolean> {
    const { part } = this;
    if (made === this.#outdated) return false;
    if (part.sha256 !== undefined || part.cacheKey !== undefined || part.stored !== undefined) return true;
    const url = part.urls[0];
    const found = await probe(url, this.#c.signal, headersFor(part, url), true).catch(() => undefined);
    if (this.#c.signal.aborted) throw abortError();
    const current = !found || ((store?.source !== url || (store.stamp ?? '') === found.stamp) && (found.size ?? bytes) === bytes);
    if (!current) this.#outdated = made;
    return current;
  }

  async *#readWhole(): AsyncGenerator<Uint8Array> {
    const whole = this.#whole!;
    this.#c.sized(whole.about.bytes);
    let bytes = 0;
    try {
      for await (const some of readWhole(whole)) {
        bytes += some.length;
        yield some;
        this.#c.progress(bytes, whole.about.bytes, 'checking');
      }
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      await this.#repair(whole.about, error.pieces);
    }
    this.#verified = true;
    await this.#c.keeper.touch(this.key);
  }

  /** An engine may stumble over damaged bytes before they are found to be so. */
  async #checkWhole(whole: WholeFile): Promise<void> {
    try {
      for await (const _ of readWhole(whole));
    } catch (error) {
      if (error instanceof Damaged) await this.#repair(whole.about, error.pieces);
    }
  }

  /** What is damaged is fetched again, and the rest kept. */
  async #repair(about: KeptAbout, pieces: readonly number[]): Promise<never> {
    await this.#close(true);
    const { part } = this;
    if (part.urls.length === 0 || !about.store)
      throw new SottoError('format', `The model ${part.name} was changed where it is kept: delete it, and import or make it again.`);
    const { keeper, signal } = this.#c;
    const release = await keeper.tabs.lock(this.key, 'exclusive', signal);
    try {
      const { sums } = about.store;
      const head = headLine({ about: about.store, file: about.file, size: about.bytes });
      const good = sums.flatMap((sum, i) => (pieces.includes(i) ? [] : sumLine(i, sum)));
      await keeper.reopen(this.key, [head, ...good].join('\n'));
    } finally {
      release();
    }
    this.#again();
  }

  #again(): never {
    if (this.#addresses.next !== this.#changing) [this.#changes, this.#changing] = [0, this.#addresses.next];
    if (++this.#changes > MOST_CHANGES) throw new SottoError('network', `The model ${this.part.name} could not be fetched: it changes while it is read.`);
    throw new Changed();
  }

  // ---- in the making ----

  async #openDraft(): Promise<void> {
    const { part } = this;
    const { keeper, strict } = this.#c;
    try {
      this.#draft = await keeper.openPieces(this.key);
    } catch (error) {
      if (!strict) return;
      throw isFull(error) ? roomError(part.name, part.size ?? 0, await this.#room(), error) : error;
    }
    const head = parseUnfinished(this.#draft.journal);
    const fit =
      head &&
      head.about.pieceBytes === pieceBytesOf(head.size) &&
      (part.size ?? head.size) === head.size &&
      head.about.sha256 === part.sha256 &&
      (part.sha256 !== undefined || part.cacheKey !== undefined || (head.about.source !== undefined && part.urls.includes(head.about.source)));
    this.#head = fit ? head : undefined;
    if (!fit && this.#draft.journal !== '') await this.#draft.clear();
    if (part.sha256 !== undefined) this.#earlier = await keeper.openEarlier(this.key, part.file, part.size).catch(() => undefined);
  }

  async *#fetch(): AsyncGenerator<Uint8Array> {
    const { part } = this;
    const hash = this.#c.hash();
    const resumed = this.#head !== undefined || this.#earlier !== undefined;
    const from = this.#addresses.next;
    this.#transfer = new Transfer(this.#addresses, {
      signal: this.#c.signal,
      earlier: this.#earlier,
      begin: (size, url, stamp) => this.#begin(size, url, stamp),
      report: (state) => this.#report(state),
    });
    this.#start = new Uint8Array(0);
    try {
      for await (const bytes of this.#transfer.read(this.#known())) {
        if (this.#start.length < HEAD_BYTES) this.#start = joined(this.#start, bytes.subarray(0, HEAD_BYTES));
        hash.update(bytes);
        yield bytes;
      }
    } catch (error) {
      if (!(error instanceof Changed)) throw error;
      await this.#close(false);
      this.#again();
    }
    this.#digest = hash.digest();
    this.#verified = this.#digest === part.sha256;
    if (part.sha256 === undefined || this.#verified) return;
    await this.#earlier?.remove();
    await this.#close(false);
    if (resumed && this.#addresses.next === from) this.#again(); // what was there before may be what is wrong
    this.#next('this is not the file that was asked for: its SHA-256 differs');
    this.#again();
  }

  /** What can begin before any server was asked. */
  #known(): { size: number; url: string; stamp: string } | undefined {
    const { part } = this;
    if (this.#head) return { size: this.#head.size, url: this.#head.about.source ?? '', stamp: this.#head.about.stamp ?? '' };
    return this.#earlier && part.size !== undefined ? { size: part.size, url: part.urls[0] ?? '', stamp: '' } : undefined;
  }

  async #begin(size: number | undefined, url: string, stamp: string): Promise<Keeping | undefined> {
    const { part } = this;
    if (size !== undefined) this.#c.sized(size);
    if (!this.#draft) return undefined;
    const nameless = part.sha256 === undefined && part.cacheKey === undefined && stamp === '' && !this.#head && !this.#c.strict;
    const room = size === undefined || nameless ? undefined : await this.#c.keeper.kept.room().catch(() => undefined);
    const missing = (size ?? 0) - (this.#head ? bytesThere(this.#head) : 0);
    if (room !== undefined && missing > room && this.#c.strict) throw roomError(part.name, missing, room);
    if (size === undefined || nameless || missing > (room ?? Infinity)) {
      await this.#draft.close(this.#head !== undefined);
      this.#draft = undefined;
      return undefined; // found again it could not be told from another file, or there is no room: it is used without being kept
    }
    try {
      if (!this.#head) await this.#draft.reserve(size);
    } catch (error) {
      await this.#draft.close(false);
      this.#draft = undefined;
      if (this.#c.strict) throw isFull(error) ? roomError(part.name, missing, await this.#room(), error) : error;
      return undefined;
    }
    if (!this.#head) {
      const about: StoreAbout = {
        ...{ origin: 'download', title: part.name, sha256: part.sha256, source: url || undefined, stamp, group: part.group },
        ...{ pieceBytes: pieceBytesOf(size), sums: [] },
      };
      this.#head = { about, file: part.file, size, sums: new Map() };
      await this.#draft.note(headLine(this.#head)).catch(async (error: Error) => {
        throw isFull(error) ? roomError(part.name, missing, await this.#room(), error) : error;
      });
      this.#c.keeper.tabs.tell({ type: 'change' });
    }
    return { draft: this.#draft, pieceBytes: this.#head.about.pieceBytes, sums: this.#head.sums };
  }

  #report(state: TransferState): void {
    const wait = this.#told + TELL_MS - performance.now();
    if (state === 'downloading' && wait > 0) {
      this.#later ??= setTimeout(() => this.#report(state), wait);
      return;
    }
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#told = performance.now();
    const { bytes = 0, size = this.part.size } = this.#transfer ?? {};
    this.#c.progress(bytes, size, state);
    if (this.#draft) this.#c.keeper.tabs.tell({ type: 'progress', key: this.key, bytes, size, state });
  }

  // ---- the end ----

  /** The bytes are right: they are kept. What is known then; undefined: nothing could be kept. */
  async commit(): Promise<KeptAbout | undefined> {
    if (this.#whole) return this.#whole.about;
    const sums = this.#transfer?.sums;
    const full = this.#transfer?.full;
    await this.#transfer?.close();
    if (!this.#draft || !this.#head || !sums) {
      if (this.#c.strict) throw await this.#notKept(full);
      return undefined;
    }
    const { head: { about: store, file, size }, sha256 } = { head: this.#head, sha256: this.#digest };
    const same = this.part.sha256 === undefined ? (await this.#c.keeper.kept.list()).find((other) => other.store?.sha256 === sha256 && other.name !== this.key) : undefined;
    if (same) {
      await this.#c.keeper.notes.write(this.key, same.name); // found by this address, too
      await this.#close(false);
      return same;
    }
    const { architecture = '', type = '' } = headOf(this.#start, file) ?? {};
    const about = { file, bytes: size, architecture, type, made: Date.now(), store: { ...store, sha256, sums } };
    await this.#earlier?.remove(); // all of it is in the draft
    try {
      await this.#draft.commit(about);
    } catch (error) {
      if (!this.#c.strict) return undefined; // its pieces are there: the next time it is only this that is left
      throw isFull(error) ? roomError(this.part.name, 0, await this.#room(), error) : error;
    } finally {
      this.#draft = undefined;
    }
    await this.#close(true);
    await this.#c.keeper.touch(this.key);
    return { name: this.key, ...about };
  }

  async #notKept(full: unknown): Promise<SottoError> {
    const { name } = this.part;
    if (!full) return new SottoError('storage', `The model ${name} cannot be kept: its server does not say how long it is, or this browser keeps no files for this page.`);
    const size = this.#head?.size ?? 0;
    return roomError(name, size - (this.#transfer?.bytes ?? 0), await this.#room(), full);
  }

  /** That is left, as far as it is known. */
  async #room(): Promise<number> {
    return (await this.#c.keeper.kept.room().catch(() => undefined)) ?? 0;
  }

  /** Whether what came can be a model at all. */
  get isModel(): boolean {
    return headOf(this.#start, this.part.file) !== undefined;
  }

  /** The engine, or whoever looked at them, refused the bytes. Throws that error where no other address may do better, Changed where they were damaged. */
  async wrong(error: unknown): Promise<void> {
    if (this.#whole) await this.#checkWhole(this.#whole);
    const verified = this.#verified || this.#whole !== undefined;
    await this.#close(verified);
    if (verified || (this.part.urls.length === 1 && this.part.sha256 === undefined)) throw error;
    this.#next(error instanceof Error ? error.message : String(error));
  }

  #next(reason: string): void {
    const { part, reasons } = this.#addresses;
    reasons.push(`${part.urls[this.#addresses.next]}: ${reason.replace(/\.$/, '')}`);
    if (++this.#addresses.next >= part.urls.length) throw new SottoError('network', `The model ${part.name} could not be fetched (${reasons.join('; ')}).`);
  }

  /** Ends what is under way; what came is kept for another time. */
  stop(): Promise<void> {
    return this.#close(true);
  }

  async #close(keep: boolean): Promise<void> {
    clearTimeout(this.#later);
    this.#later = undefined;
    await this.#transfer?.close();
    await this.#whole?.close();
    await this.#earlier?.close();
    await this.#draft?.close(keep && this.#head !== undefined).catch(() => {});
    [this.#transfer, this.#whole, this.#earlier, this.#draft, this.#head] = [undefined, undefined, undefined, undefined, undefined];
    if (this.#release) this.#c.keeper.tabs.tell({ type: 'change' });
    this.#unlock();
  }

  #unlock(): void {
    this.#release?.();
    this.#release = undefined;
  }
}

const isFull = (error: unknown): boolean => error instanceof Error && error.name === 'OutOfRoom';

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
