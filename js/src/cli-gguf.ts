// The header of a GGUF file.
//
//   "GGUF"  version  tensors, values  (key, type, value)...  (name, dimensions, type, offset)...   weights
import { checkWhole, DamagedFile, fileTensor, type FileReader, type FileTensor } from './cli-file.js';

export interface GgufArray {
  type: string;
  count: number;
  /** Some of the first elements. */
  first: GgufScalar[];
}

export type GgufScalar = string | number | boolean | bigint | GgufFloat;
export type GgufValue = GgufScalar | GgufArray;

/** A number of 32 bits, which is to be shown with as few digits as say the same. */
export class GgufFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export interface Gguf {
  version: number;
  values: Map<string, GgufValue>;
  tensors: FileTensor[];
  /** Where the first weights are. */
  dataAt: number;
}

const MOST_VALUES = 65536;
const MOST_TENSORS = 1 << 20;
/** Elements of an array that are kept; those of longer ones are passed over. */
export const KEPT_ELEMENTS = 16;

/** By number: its name, its bytes, how it is read. Strings and arrays are others. */
const NUMBERS: Record<number, [name: string, bytes: number, read: (b: Buffer) => GgufScalar]> = {
  0: ['u8', 1, (b) => b.readUInt8()],
  1: ['i8', 1, (b) => b.readInt8()],
  2: ['u16', 2, (b) => b.readUInt16LE()],
  3: ['i16', 2, (b) => b.readInt16LE()],
  4: ['u32', 4, (b) => b.readUInt32LE()],
  5: ['i32', 4, (b) => b.readInt32LE()],
  6: ['f32', 4, (b) => new GgufFloat(b.readFloatLE())],
  7: ['bool', 1, (b) => b.readUInt8() !== 0],
  10: ['u64', 8, (b) => safe(b.readBigUInt64LE())],
  11: ['i64', 8, (b) => safe(b.readBigInt64LE())],
  12: ['f64', 8, (b) => b.readDoubleLE()],
};
const STRING = 8;
const ARRAY = 9;

const safe = (n: bigint): number | bigint =>
  n >= Number.MIN_SAFE_INTEGER && n <= Number.MAX_SAFE_INTEGER ? Number(n) : n;

const corrupt = (): DamagedFile => new DamagedFile('the file is corrupt; download it again');

function readString(r: FileReader): string {
  return r.text(r.u64());
}

function readArray(r: FileReader): GgufArray {
  const element = r.u32();
  const count = r.u64();
  if (count > r.size) throw corrupt();
  const first: GgufScalar[] = [];
  if (element === STRING) {
    for (let i = 0; i < count; i++) {
      if (i < KEPT_ELEMENTS) first.push(readString(r));
      else r.skip(r.u64());
    }
    return { type: 'string', count, first };
  }
  const [type, bytes, read] = NUMBERS[element] ?? [];
  if (!read) throw corrupt();
  const kept = Math.min(count, KEPT_ELEMENTS);
  for (let i = 0; i < kept; i++) first.push(read(r.bytes(bytes!)));
  r.skip((count - kept) * bytes!);
  return { type: type!, count, first };
}

function readValue(r: FileReader): GgufValue {
  const type = r.u32();
  if (type === STRING) return readString(r);
  if (type === ARRAY) return readArray(r);
  const [, bytes, read] = NUMBERS[type] ?? [];
  if (!read) throw corrupt();
  return read(r.bytes(bytes!));
}

function readTensor(r: FileReader): { tensor: FileTensor; offset: number } {
  const name = readString(r);
  const rank = r.u32();
  if (rank < 1 || rank > 4) throw corrupt();
  const shape = Array.from({ length: rank }, () => r.u64()).reverse();
  const tensor = fileTensor(name, r.u32(), shape);
  return { tensor, offset: r.u64() };
}

/** Throws a DamagedFile where the engine has better words for it. */
export function readGguf(r: FileReader): Gguf {
  if (r.text(4) !== 'GGUF') throw corrupt();
  const version = r.u32();
  const nTensors = r.u64();
  const nValues = r.u64();
  if (version < 2 || version > 3 || nTensors > MOST_TENSORS || nValues > MOST_VALUES) throw corrupt();
  const values = new Map<string, GgufValue>();
  for (let i = 0; i < nValues; i++) {
    const key = readString(r);
    const value = readValue(r);
    if (!values.has(key)) values.set(key, value);
  }
  const found = Array.from({ length: nTensors }, () => readTensor(r));
  const alignment = numberOf(values, 'general.alignment') ?? 32;
  if (!(alignment >= 1 && alignment <= 1 << 20)) throw corrupt();
  const dataAt = Math.ceil(r.position / alignment) * alignment;
  const tensors = found.map(({ tensor }) => tensor);
  const begins = found.map(({ offset }) => dataAt + offset);
  checkWhole(tensors, begins, r.size);
  return { version, values, tensors, dataAt };
}

/** A whole number that is not negative. */
export function numberOf(values: Gguf['values'], key: string): number | undefined {
  const value = values.get(key);
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}

export function stringOf(values: Gguf['values'], key: string): string | undefined {
  const value = values.get(key);
  return typeof value === 'string' ? value : undefined;
}

export function arrayOf(values: Gguf['values'], key: string): GgufArray | undefined {
  const value = values.get(key);
  return typeof value === 'object' && 'count' in value ? value : undefined;
}

/** Which part of a split model this is. */
export function splitOf({ values, tensors }: Gguf): { part: number; nParts: number; nTensors: number } {
  const nParts = numberOf(values, 'split.count') ?? 1;
  if (nParts <= 1) return { part: 0, nParts: 1, nTensors: tensors.length };
  return {
    part: numberOf(values, 'split.no') ?? 0,
    nParts,
    nTensors: numberOf(values, 'split.tensors.count') ?? tensors.length,
  };
}
