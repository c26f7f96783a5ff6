// One quantization in the worker.
//
//   files ─> heads ─> plan ─┬─> pieces of tensors, read ahead ─> convert (GPU, processor) ─> write ─> journal
//                           └─> what an earlier attempt left: checked, and taken over
//
// Memory: the reads ahead, some pieces on their way through the converter, and the heads. A model is never whole in it.
import { abortError, SottoError } from '../errors.js';
import { startEngine, type StartedEngine } from '../engine-start.js';
import { VERSION } from '../models.gen.js';
import type { Platform } from '../platform.js';
import { stopEngine } from '../running.js';
import { READ_BYTES, readAhead } from './ahead.js';
import { Converter } from './convert.js';
import { canSum, sumOf } from '../store/sums.js';
import { doneOf, journalHead, sumOfSums, type JournalHead } from './journal.js';
import { openOutput, type Output } from './output.js';
import { Pace } from './pace.js';
import { Heads, Quantizer, type PlanTensor } from './plan.js';
import { openRanges, type Ranges } from './ranges.js';
import type { QuantizeMessage, QuantizeOutcome, QuantizePlan, QuantizeProgress } from './types.js';

/** Pieces between being read and being written: what a GPU works on, with one on each side. */
const PIECES_UNDER_WAY = 5;
/** How long the worker may be deaf, in ms. */
const BREATH_MS = 40;
const REPORT_MS = 100;

/** Some rows of a tensor. */
interface Piece {
  t: PlanTensor;
  first: number;
  rows: number;
  /** In the source's file. */
  file: number;
  offset: number;
  bytes: number;
  /** In the output. */
  at: number;
  outBytes: number;
  last: boolean;
}

export interface JobHooks {
  platform: Platform;
  report: (progress: QuantizeProgress) => void;
  /** Bytes for the page to write; resolves when there is room for more. */
  send: (at: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  signal: AbortSignal;
}

export class QuantizeJob {
  readonly #m: QuantizeMessage;
  readonly #c: JobHooks;
  #started!: StartedEngine;
  #files: Ranges[] = [];
  #wake: (() => void) | undefined;
  #breathed = performance.now();
  #reported = -Infinity;
  #late: ReturnType<typeof setTimeout> | undefined;
  readonly #pace = new Pace();
  readonly #now: QuantizeProgress = {
    ...{ phase: 'reading', tensor: '', index: 0, nTensors: 0, bytesRead: 0, sourceBytes: 0, bytesWritten: 0, outBytes: 0 },
    ...{ fraction: 0, bytesPerSecond: 0, resumedTensors: 0, paused: false, device: { backend: 'cpu', threads: 1 } },
  };

  constructor(message: QuantizeMessage, hooks: JobHooks) {
    [this.#m, this.#c] = [message, hooks];
    hooks.signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  // ---- from outside ----

  pause(paused: boolean): void {
    this.#now.paused = paused;
    this.#pace.pause(paused);
    this.#report(true);
    if (!paused) this.#wake?.();
  }

  /** What each of the types would give; those that a model cannot have are left out, unless it can have none. */
  plans(): Promise<QuantizePlan[]> {
    return this.#with(async (heads) => {
      const plans: QuantizePlan[] = [];
      let first: SottoError | undefined;
      for (const type of this.#m.types ?? [this.#m.recipe.type]) {
        try {
          const q = await this.#plan(heads, type);
          plans.push(q.plan);
          q.close();
        } catch (error) {
          const ofType = error instanceof SottoError && ['unsupported', 'argument'].includes(error.code);
          if (!ofType) throw error;
          first ??= error;
        }
      }
      if (plans.length === 0 && first) throw first;
      return plans;
    });
  }

  run(): Promise<QuantizeOutcome> {
    return this.#with(async (heads) => {
      const q = await this.#plan(heads, this.#m.recipe.type);
      try {
        return await this.#make(q);
      } finally {
        q.close();
      }
    });
  }

  // ---- the steps ----

  async #with<T>(work: (heads: Heads) => Promise<T>): Promise<T> {
    const { platform, signal } = this.#c;
    this.#report(true);
    const { threads, variant, files } = this.#m;
    this.#started = await startEngine(platform, { backend: 'cpu', threads, variant });
    this.#now.device.threads = this.#started.nThreads;
    try {
      for (const part of files) {
        signal.throwIfAborted();
        const downloading = (file: string, loaded: number, total: number): void => {
          Object.assign(this.#now, { phase: 'downloading', file, fraction: loaded / total, bytesRead: loaded, sourceBytes: total });
          this.#report(loaded === total);
        };
        this.#files.push(await openRanges(part, { platform, signal, downloading }));
      }
      Object.assign(this.#now, { phase: 'reading', file: undefined, fraction: 0, bytesRead: 0, sourceBytes: 0 });
      return await work(new Heads(this.#files));
    } finally {
      clearTimeout(this.#late);
      for (const file of this.#files) await file.close();
      await stopEngine(this.#started);
    }
  }

  async #plan(heads: Heads, type: string): Promise<Quantizer> {
    await this.#breathe(true);
    this.#c.signal.throwIfAborted();
    const { wasm, engine } = this.#started;
    return Quantizer.open(wasm, engine, heads, { ...this.#m.recipe, type });
  }

  async #make(q: Quantizer): Promise<QuantizeOutcome> {
    const { platform, signal, send } = this.#c;
    const { plan } = q;
    const { nTensors, sourceBytes, outBytes } = plan;
    Object.assign(this.#now, { nTensors, sourceBytes, outBytes });
    const out = await openOutput(this.#m.output!, platform, send);
    let converter: Converter | undefined;
    try {
      const head = await journalHead(this.#files, this.#m.files, this.#m.recipe, VERSION, plan);
      const done = await this.#takeOver(q, out, head);
      await this.#checkRoom(out, plan);
      const { backend, dawn } = this.#m;
      converter = await Converter.open(platform, { backend, dawn, threads: this.#started.nThreads }, signal);
      this.#now.device = converter.device;
      const begin = performance.now();
      const converted = await this.#convert(q, out, converter, done);
      await out.commit({ plan, file: fileName(this.#m, plan) });
      const seconds = (performance.now() - begin) / 1e3;
      const { device, onGpu } = converter;
      return { plan, device, gpuTensors: onGpu.size, resumedTensors: done.size, convertedBytes: converted, seconds };
    } finally {
      await converter?.close();
      await out.close(this.#m.keepPart);
    }
  }

  /** Tensors of an earlier attempt whose bytes are still those that were written. */
  async #takeOver(q: Quantizer, out: Output, head: JournalHead): Promise<Set<number>> {
    const good = new Set<number>();
    const noted = out.draft && canSum() ? doneOf(out.draft.journal, head) : [];
    if (noted.length === 0) {
      await out.draft?.clear();
      await out.draft?.note(JSON.stringify(head));
      return good;
    }
    const all = noted.reduce((sum, { i }) => sum + q.tensors[i].outBytes, 0);
    let checked = 0;
    this.#now.phase = 'checking';
    for (const { i, sum } of noted) {
      const t = q.tensors[i];
      const sums: string[] = [];
      for (const { at, outBytes } of piecesOf(t)) {
        await this.#gate();
        sums.push(await sumOf(await out.draft!.read(at, outBytes)));
        checked += outBytes;
        Object.assign(this.#now, { tensor: t.name, index: i + 1, fraction: checked / all });
        this.#report();
      }
      if ((await sumOfSums(sums)) !== sum) continue;
      good.add(i);
      this.#now.bytesRead += t.bytes;
      this.#now.bytesWritten += t.outBytes;
    }
    this.#now.resumedTensors = good.size;
    return good;
  }

  async #checkRoom(out: Output, { outBytes }: QuantizePlan): Promise<void> {
    const room = await out.room();
    const needed = outBytes - this.#now.bytesWritten;
    if (room === undefined || needed <= room) return;
    throw new SottoError('storage', `The model needs ${gb(needed)} of room, and ${gb(room)} are free: remove other models or files, or choose a type with fewer bits.`);
  }

  /** Converts what is not done yet; gives how many bytes of the source that were. */
  async #convert(q: Quantizer, out: Output, converter: Converter, done: ReadonlySet<number>): Promise<number> {
    this.#now.phase = 'converting';
    const todo = q.tensors.filter(({ index }) => !done.has(index));
    // As the source lies, so that it is read in one go; what must be written in order is read as it comes out.
    if (!out.inOrder) todo.sort((a, b) => a.file - b.file || a.offset - b.offset);
    const pieces = todo.flatMap(piecesOf);
    const literals = q.pieces();
    const writeLiterals = async (before: number): Promise<void> => {
      while (literals.length > 0 && literals[0].at < before) {
        const { at, bytes } = literals.shift()!;
        this.#now.bytesWritten += bytes.length;
        await this.#write(out, 'the head', at, bytes);
      }
    };
    let last: Promise<void> = writeLiterals(out.inOrder ? (pieces[0]?.at ?? Infinity) : Infinity);
    const underWay: Promise<void>[] = [];
    const sums: string[] = [];
    let bytesIn = 0;
    this.#pace.start(this.#now.bytesRead);
    let i = 0;
    try {
      for await (const source of readAhead(this.#files, pieces)) {
        const piece = pieces[i++];
        const { t } = piece;
        await this.#gate();
        this.#now.bytesRead += piece.bytes;
        bytesIn += piece.bytes;
        const converting = converter.convert(q, t, piece.first, piece.rows, source);
        converting.catch(() => {}); // looked at in its turn
        const before = last;
        last = (async () => {
          await before;
          const bytes = await converting;
          if (out.draft && canSum()) sums.push(await sumOf(bytes));
          if (out.inOrder) await writeLiterals(piece.at);
          await this.#write(out, t.name, piece.at, bytes);
          this.#now.bytesWritten += piece.outBytes;
          Object.assign(this.#now, { tensor: t.name, index: t.index + 1 });
          if (piece.last && out.draft && canSum()) await out.draft.note(JSON.stringify({ i: t.index, sum: await sumOfSums(sums.splice(0)) }));
          this.#progress();
        })();
        last.catch(() => {});
        underWay.push(last);
        if (underWay.length >= PIECES_UNDER_WAY) await underWay.shift();
        await this.#breathe();
      }
      await last;
      await writeLiterals(Infinity);
    } finally {
      await Promise.allSettled(underWay);
    }
    return bytesIn;
  }

  async #write(out: Output, tensor: string, at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await out.write(at, bytes);
    } catch (error) {
      if (error instanceof Error && error.name === 'OutOfRoom')
        throw new SottoError('storage', `The disk, or what this page may have of it, was full while ${tensor} was written: make room, then go on; what is done is kept.`, { cause: error });
      if (error instanceof SottoError || this.#c.signal.aborted) throw error;
      const words = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
      throw new SottoError('storage', `${tensor} could not be written (${words}).`, { cause: error });
    }
  }

  // ---- in between ----

  /** Waits while it is paused; throws when it is cancelled. */
  async #gate(): Promise<void> {
    await this.#breathe();
    while (this.#now.paused && !this.#c.signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#c.signal.aborted) throw abortError();
  }

  async #breathe(always = false): Promise<void> {
    if (!always && performance.now() - this.#breathed < BREATH_MS) return;
    await this.#c.platform.breathe();
    this.#breathed = performance.now();
  }

  #progress(): void {
    const { bytesRead, sourceBytes } = this.#now;
    const { bytesPerSecond, secondsLeft } = this.#pace.at(bytesRead, sourceBytes);
    Object.assign(this.#now, { fraction: sourceBytes > 0 ? bytesRead / sourceBytes : 1, bytesPerSecond, secondsLeft });
    this.#report(bytesRead === sourceBytes);
  }

  #report(always = false): void {
    const now = performance.now();
    if (!always && now - this.#reported < REPORT_MS) {
      this.#late ??= setTimeout(() => this.#report(true), REPORT_MS); // what was done last is told also when nothing follows
      return;
    }
    clearTimeout(this.#late);
    this.#late = undefined;
    this.#reported = now;
    this.#c.report({ ...this.#now, device: { ...this.#now.device } });
  }
}

/** Cuts a tensor into runs of rows of which source and output are small; a row of any length is one at least. */
function piecesOf(t: PlanTensor): Piece[] {
  const rowBytes = t.bytes / t.rows;
  const outRowBytes = t.outBytes / t.rows;
  const most = Math.max(1, Math.floor(READ_BYTES / Math.max(rowBytes, outRowBytes)));
  const pieces: Piece[] = [];
  for (let first = 0; first < t.rows; first += most) {
    const rows = Math.min(most, t.rows - first);
    pieces.push({
      ...{ t, first, rows, file: t.file, offset: t.offset + first * rowBytes, bytes: rows * rowBytes },
      ...{ at: t.outOffset + first * outRowBytes, outBytes: rows * outRowBytes, last: first + rows === t.rows },
    });
  }
  return pieces;
}

const gb = (bytes: number): string => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

/** As which the model is saved: "gemma-3-270m-q4_K_M.gguf". */
export function fileName({ output }: Pick<QuantizeMessage, 'output'>, { name, type, format }: QuantizePlan): string {
  const stem = output?.kind === 'kept' ? output.name : `${name}-${type}`;
  return `${stem.replace(/[^\p{L}\p{N}._-]+/gu, '-')}.${format === 'ggml' ? 'bin' : 'gguf'}`;
}
