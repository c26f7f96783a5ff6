// Headers of model files, read where they lie: numbers and text one after the other; the weights are passed over.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A file that is not what it claims to be. Its words are for want of the engine's. */
export class DamagedFile extends Error {}

const WINDOW_BYTES = 1 << 20;
/** What a header may claim at most for a single item. */
const MOST_BYTES = 256 << 20;

/** Little-endian. */
export class FileReader {
  readonly size: number;
  position = 0;
  readonly #file: number;
  #window: Buffer = Buffer.alloc(0);
  #begin = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    this.size = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
  }

  get atEnd(): boolean {
    return this.position >= this.size;
  }

  /** The next n bytes, until the next call. */
  bytes(n: number): Buffer {
    if (!(n >= 0 && n <= MOST_BYTES)) throw new DamagedFile('the file is corrupt; download it again');
    if (n > this.size - this.position) throw new DamagedFile('the file is truncated; download it again');
    const at = this.position - this.#begin;
    this.position += n;
    if (at >= 0 && at + n <= this.#window.length) return this.#window.subarray(at, at + n);
    this.#begin = this.position - n;
    this.#window = Buffer.alloc(Math.min(Math.max(n, WINDOW_BYTES), this.size - this.#begin));
    let have = 0;
    while (have < this.#window.length) {
      const got = readSync(this.#file, this.#window, have, this.#window.length - have, this.#begin + have);
      if (got === 0) throw new DamagedFile('the file became shorter while it was read');
      have += got;
    }
    return this.#window.subarray(0, n);
  }

  /** Passes n bytes over. */
  skip(n: number): void {
    if (!(n >= 0 && n <= this.size - this.position)) throw new DamagedFile('the file is truncated; download it again');
    this.position += n;
  }

  u32 = (): number => this.bytes(4).readUInt32LE();
  i32 = (): number => this.bytes(4).readInt32LE();
  /** Counts and sizes: nothing above 2^53 is one. */
  u64 = (): number => Number(this.bytes(8).readBigUInt64LE());
  text = (n: number): string => this.bytes(n).toString('utf8');
}

// ---- tensors ----

export interface FileTensor {
  name: string;
  type: string;
  /** The innermost dimension last. */
  shape: number[];
  bytes: number;
}

/** By the numbers that files give the types: name, weights in a block, and its bytes. */
const TYPES = new Map<number, [name: string, weights: number, bytes: number]>([
  [0, ['f32', 1, 4]],
  [1, ['f16', 1, 2]],
  [2, ['q4_0', 32, 18]],
  [3, ['q4_1', 32, 20]],
  [6, ['q5_0', 32, 22]],
  [7, ['q5_1', 32, 24]],
  [8, ['q8_0', 32, 34]],
  [10, ['q2_K', 256, 84]],
  [11, ['q3_K', 256, 110]],
  [12, ['q4_K', 256, 144]],
  [13, ['q5_K', 256, 176]],
  [14, ['q6_K', 256, 210]],
  [20, ['iq4_nl', 32, 18]],
  [23, ['iq4_xs', 256, 136]],
  [30, ['bf16', 1, 2]],
]);

const weightsOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** A tensor as a file describes it. */
export function fileTensor(name: string, type: number, shape: number[]): FileTensor {
  const [typeName, weights, bytes] = TYPES.get(type) ?? [];
  const n = weightsOf(shape);
  if (typeName === undefined || !shape.every((d) => d >= 1) || !(n <= Number.MAX_SAFE_INTEGER))
    throw new DamagedFile(`the tensor ${name} is of a type or shape that is not known`);
  return { name, type: typeName, shape, bytes: (n / weights!) * bytes! };
}

export interface Tally {
  nTensors: number;
  nParameters: number;
  bytes: number;
  /** In the order of their numbers. */
  types: { type: string; n_tensors: number; bytes: number }[];
}

export function tallyOf(tensors: readonly FileTensor[]): Tally {
  const sum = (list: readonly FileTensor[]): number => list.reduce((total, { bytes }) => total + bytes, 0);
  const types = [...TYPES.values()].map(([type]) => {
    const mine = tensors.filter((t) => t.type === type);
    return { type, n_tensors: mine.length, bytes: sum(mine) };
  });
  return {
    nTensors: tensors.length,
    nParameters: tensors.reduce((total, { shape }) => total + weightsOf(shape), 0),
    bytes: sum(tensors),
    types: types.filter(({ n_tensors }) => n_tensors > 0),
  };
}

/** The file of `size` bytes holds these tensors, that begin at `begins`, whole; else an error says where it ends. */
export function checkWhole(tensors: readonly FileTensor[], begins: readonly number[], size: number): void {
  const order = tensors.map((t, i) => ({ t, begin: begins[i] })).sort((a, b) => a.begin - b.begin);
  const at = order.findIndex(({ t, begin }) => begin + t.bytes > size);
  if (at < 0) return;
  const where = order[at].begin < size ? 'inside' : 'before';
  throw new Error(
    `the file ends ${where} tensor ${order[at].t.name}, after ${at} of ${tensors.length} tensors: it is truncated; download it again`,
  );
}
