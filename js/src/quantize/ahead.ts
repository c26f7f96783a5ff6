// Pieces of files, read ahead of their use: neighbours come in one read, and a few reads are always under way.
import type { Ranges } from './ranges.js';

/** Bytes that are wanted, in the order in which they are wanted. */
export interface Wanted {
  /** Index of the file. */
  file: number;
  offset: number;
  bytes: number;
}

/** What one read brings at most, unless a single piece is larger. */
export const READ_BYTES = 8 << 20;
/** Reads under way or waiting for use. */
const READS_AHEAD = 4;
/** Bytes between two pieces that are read and dropped rather than read apart. */
const GAP_BYTES = 64 << 10;

interface Run {
  file: number;
  offset: number;
  end: number;
  /** Of the list of pieces. */
  first: number;
  last: number;
}

/** Joins neighbours that follow each other. */
function runsOf(wanted: readonly Wanted[]): Run[] {
  const runs: Run[] = [];
  wanted.forEach(({ file, offset, bytes }, i) => {
    const run = runs.at(-1);
    const end = offset + bytes;
    if (run && run.file === file && offset >= run.end && offset - run.end <= GAP_BYTES && end - run.offset <= READ_BYTES)
      [run.end, run.last] = [end, i];
    else runs.push({ file, offset, end, first: i, last: i });
  });
  return runs;
}

/** Gives the bytes of each piece in turn; they stay valid. What fails is thrown in its turn. */
export async function* readAhead(files: readonly Ranges[], wanted: readonly Wanted[]): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const runs = runsOf(wanted);
  const coming: Promise<Uint8Array<ArrayBuffer>>[] = [];
  const start = ({ file, offset, end }: Run): void => {
    const bytes = files[file].read(offset, end - offset);
    bytes.catch(() => {}); // looked at in its turn
    coming.push(bytes);
  };
  try {
    for (const [i, run] of runs.entries()) {
      for (let ahead = i + coming.length; ahead < Math.min(i + READS_AHEAD, runs.length); ahead++) start(runs[ahead]);
      const bytes = await coming.shift()!;
      for (let j = run.first; j <= run.last; j++) {
        const at = wanted[j].offset - run.offset;
        yield bytes.subarray(at, at + wanted[j].bytes);
      }
    }
  } finally {
    await Promise.allSettled(coming); // whoever closes the files may do so now
  }
}
