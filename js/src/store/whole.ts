// The bytes of a file that is kept whole, each piece checked beside the reading.
import type { KeptAbout, WholeFile } from '../kept.js';
import { sumOf } from './sums.js';

/** Read at once; and so many of these are read while one is used. */
const READ_BYTES = 4 << 20;
const READS_AHEAD = 3;

/** Pieces that are not as they were written. */
export class Damaged extends Error {
  readonly pieces: number[];
  constructor(pieces: number[]) {
    super('a kept piece has changed');
    this.pieces = pieces;
  }
}

/** Throws Damaged in the end, or at once where bytes are missing: nobody may use what came before. */
export async function* readWhole({ about, read }: WholeFile): AsyncGenerator<Uint8Array> {
  const { bytes: size, store } = about;
  const unit = store ? store.pieceBytes * Math.max(Math.floor(READ_BYTES / store.pieceBytes), 1) : READ_BYTES;
  const n = Math.ceil(size / unit);
  const bad: number[] = [];
  const checks: Promise<void>[] = [];
  const coming: Promise<Uint8Array<ArrayBuffer>>[] = [];
  for (let i = 0; i < n; i++) {
    for (let ahead = i + coming.length; ahead < Math.min(i + 1 + READS_AHEAD, n); ahead++) {
      const reading = read(ahead * unit, Math.min(unit, size - ahead * unit));
      reading.catch(() => {}); // looked at in its turn
      coming.push(reading);
    }
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await coming.shift()!;
    } catch {
      throw new Damaged([...bad, ...piecesFrom(about, i * unit)]);
    }
    if (store) checks.push(check(about, i * unit, bytes, bad));
    yield bytes;
  }
  await Promise.all(checks);
  if (bad.length > 0) throw new Damaged(bad);
}

async function check({ store }: KeptAbout, at: number, bytes: Uint8Array<ArrayBuffer>, bad: number[]): Promise<void> {
  const { pieceBytes, sums } = store!;
  const first = at / pieceBytes;
  const mine = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, k) => bytes.subarray(k * pieceBytes, (k + 1) * pieceBytes));
  const found = await Promise.all(mine.map(sumOf));
  found.forEach((sum, k) => sum !== sums[first + k] && bad.push(first + k));
}

const piecesFrom = ({ store }: KeptAbout, at: number): number[] =>
  store ? Array.from(store.sums.keys()).filter((i) => i * store.pieceBytes >= at) : [];
