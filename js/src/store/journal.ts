// What is known of a file in the making: lines of JSON in its journal.
//
//   {"store": {origin, title, ...}, "file": "x.gguf", "size": 1000}
//   {"i": 0, "sum": "..."}      a piece that is on the disk, and its SHA-256; of two lines for one piece the later counts
//   ...
import { parseStoreAbout, type StoreAbout } from '../kept.js';
import { plainHex } from './sums.js';

export interface Unfinished {
  about: StoreAbout;
  file: string;
  /** Of the whole, in bytes. */
  size: number;
  /** Of the pieces that are there, by number. */
  sums: Map<number, string>;
}

export const headLine = ({ about, file, size }: Omit<Unfinished, 'sums'>): string => JSON.stringify({ store: { ...about, sums: [] }, file, size });
export const sumLine = (i: number, sum: string): string => JSON.stringify({ i, sum });

/** undefined: it is not of this version, or not of the store. */
export function parseUnfinished(journal: string): Unfinished | undefined {
  const [first, ...lines] = journal.split('\n');
  try {
    const { store, file, size } = JSON.parse(first);
    const about = parseStoreAbout(store);
    if (!about || typeof file !== 'string' || !Number.isSafeInteger(size) || size < 0) return undefined;
    const sums = new Map<number, string>();
    for (const line of lines) {
      const entry = parseSum(line);
      if (entry && entry.i * about.pieceBytes < size) sums.set(entry.i, entry.sum);
    }
    return { about, file, size, sums };
  } catch {
    return undefined;
  }
}

function parseSum(line: string): { i: number; sum: string } | undefined {
  try {
    const { i, sum } = JSON.parse(line);
    return Number.isSafeInteger(i) && i >= 0 && plainHex(sum) ? { i, sum } : undefined;
  } catch {
    return undefined; // the last line may have been cut
  }
}

/** Bytes of the pieces that are there. */
export const bytesThere = ({ about, size, sums }: Unfinished): number => {
  let bytes = 0;
  for (const i of sums.keys()) bytes += Math.min(about.pieceBytes, size - i * about.pieceBytes);
  return bytes;
};

const LEAST_PIECE = 1 << 18;
const MOST_PIECE = 1 << 22;
/** Few enough for a list of sums that is read at once. */
const PIECES = 256;

/** What is lost at most of each connection when a tab is closed: 256 KiB of small files, 4 MiB of large ones. */
export function pieceBytesOf(size: number): number {
  let bytes = LEAST_PIECE;
  while (bytes < MOST_PIECE && bytes * PIECES < size) bytes *= 2;
  return bytes;
}
