// What the commands share: exit codes, sentences about what went wrong, files and standard streams, a line of progress.
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { addAbortSignal } from 'node:stream';
import { getSystemErrorName } from 'node:util';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130;

// ---- what went wrong ----

/** The C library's words where Node has others. */
const SYSTEM: Record<string, string> = {
  EISDIR: 'Is a directory',
  EEXIST: 'File exists',
  EMFILE: 'Too many open files',
};

/** The reason without Node's words around it. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno, message } = error as NodeJS.ErrnoException;
  if (typeof errno !== 'number' || errno >= 0) return message;
  const words = /^[A-Z0-9_]+: ([^,]+)/.exec(message)?.[1] ?? message;
  return SYSTEM[getSystemErrorName(errno)] ?? words[0].toUpperCase() + words.slice(1);
}

/** What could not be done, about a file. */
export class FileError extends Error {
  constructor(file: string, problem: unknown) {
    super(`${file === '-' ? 'standard input' : file}: ${typeof problem === 'string' ? problem : problemOf(problem)}`);
  }
}

/** Prints what could not be done. */
export function complain(error: unknown): typeof EXIT_FAILED {
  process.stderr.write(`sotto: ${problemOf(error)}\n`);
  return EXIT_FAILED;
}

/** Aborts on Ctrl-C and SIGTERM; a second one ends the process. */
export function interruptSignal(): AbortSignal {
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort());
  return interrupt.signal;
}

/** What a command does, told by its exit code; what it throws is printed. */
export async function attempt(signal: AbortSignal, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return signal.aborted ? EXIT_INTERRUPTED : EXIT_DONE;
  } catch (error) {
    return signal.aborted ? EXIT_INTERRUPTED : complain(error);
  }
}

// ---- reading ----

/** The bytes of a file, or of standard input ("-"). */
export async function readInput(file: string, signal?: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  try {
    const stream = file === '-' ? process.stdin : createReadStream(file);
    for await (const piece of signal ? addAbortSignal(signal, stream) : stream) pieces.push(piece as Buffer);
  } catch (error) {
    throw new FileError(file, error);
  }
  return Buffer.concat(pieces);
}

// ---- writing ----

/** Writes to standard output, not faster than it is read. */
export const write = (data: string | Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => process.stdout.write(data, (error) => (error ? reject(error) : resolve())));

/** Text of a model, fit to be shown: on a terminal without control characters but for new lines and tabs. */
export const shown = (text: string): string =>
  process.stdout.isTTY ? text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '') : text;

/** A file that appears whole or not at all, or standard output ("-"). */
export class Output {
  readonly #path: string;
  readonly #temporary: string;
  #file: fs.FileHandle | undefined;

  private constructor(to: string) {
    this.#path = to;
    this.#temporary = path.join(path.dirname(to), `.${path.basename(to)}.${randomUUID()}.tmp`);
  }

  static async open(to: string): Promise<Output> {
    const out = new Output(to);
    if (to !== '-') out.#file = await out.#try(fs.open(out.#temporary, 'wx'));
    return out;
  }

  async write(data: string | Uint8Array): Promise<void> {
    if (!this.#file) return write(data);
    await this.#try(this.#file.writeFile(data));
  }

  async commit(): Promise<void> {
    if (!this.#file) return;
    await this.#try(this.#file.close().then(() => fs.rename(this.#temporary, this.#path)));
    this.#file = undefined;
  }

  /** What was not committed does not appear. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close().catch(() => {});
    if (this.#file) await fs.rm(this.#temporary, { force: true });
  }

  async #try<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw new Error(`could not write ${this.#path}: ${problemOf(error)}`, { cause: error });
    }
  }
}

/** Work that takes less shows no progress, in ms. */
const QUIET_MS = 500;
const STEP_MS = 100;

/** A line at the terminal that is written over again and again. */
export class ProgressLine {
  #shown = false;
  /** When it may be written next. */
  #next: number | undefined;
  readonly #on: boolean;

  constructor(on = true) {
    this.#on = on && process.stderr.isTTY;
  }

  show(text: string): void {
    const now = performance.now();
    this.#next ??= now + QUIET_MS;
    if (!this.#on || now < this.#next) return;
    this.#next = now + STEP_MS;
    this.#shown = true;
    process.stderr.write(`\r\x1b[K${text}`);
  }

  /** The same, of work that has a measure. */
  percent(what: string, done: number, total: number): void {
    this.show(`${what}: ${total > 0 ? Math.floor((100 * done) / total) : 0} %`);
  }

  hide(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = false;
  }
}

// ---- numbers ----

export const peakMemoryBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** To thousandths, as JSON tells times. */
export const thousandths = (x: number): number => Math.round(x * 1e3) / 1e3;
/** To millionths, as JSON tells log-probabilities. */
export const millionths = (x: number): number => Math.round(x * 1e6) / 1e6;

/** In MB. */
export const mb = (bytes: number, digits = 1): string => (bytes / 1e6).toFixed(digits);

/** Tokens, or anything else, in a second. */
export const rate = (n: number, ms: number): number => (ms > 0 ? (n / ms) * 1e3 : 0);
