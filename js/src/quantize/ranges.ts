// Files of a checkpoint, read by ranges: of Blobs, of the disk, and over the network.
//
//   Blob ──slice──┐
//   path ──read───┼──> Ranges { size, stamp, read(offset, n) }
//   URL  ──Range──┤
//   URL of a server without ranges ──whole──> scratch file
import { fetchRange, probe } from '../download-range.js';
import { fetchPieces } from '../download.js';
import { abortError, SottoError } from '../errors.js';
import type { Platform } from '../platform.js';
import { headersFor, type ModelPart } from '../protocol.js';
import type { OwnHeaders } from '../request.js';

/** Bytes of a file by ranges. What is read belongs to the caller. */
export interface Ranges {
  readonly file: string;
  readonly size: number;
  /** Changes when the file changes: its time, or what its server says of it. "": nobody knows. */
  readonly stamp: string;
  /** Exactly n bytes; throws a SottoError that names the file. */
  read(offset: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void> | void;
}

export interface OpenContext {
  platform: Platform;
  signal: AbortSignal;
  /** A file must be downloaded whole before it can be read. */
  downloading: (file: string, loaded: number, total: number) => void;
}

/** Files that are small, or have to be read whole anyway, come in one piece. */
const isSmall = (file: string): boolean => !/\.(safetensors|gguf|bin)$/i.test(file);

export async function openRanges(part: ModelPart, c: OpenContext): Promise<Ranges> {
  switch (part.kind) {
    case 'blob':
      return ofBlob(part.file, part.blob);
    case 'path': {
      const { size, stamp, read, close } = await c.platform.openRanges(part.path);
      return checked({ file: part.file, size, stamp, read, close });
    }
    case 'download':
      return openUrl(part.file, part.urls[0], headersFor(part, part.urls[0]), c).catch((error) => Promise.reject(named(part.file, error)));
    case 'pulled':
      throw new SottoError('argument', `${part.file} comes as a stream, which cannot be read by ranges: give a File, a Blob or an address.`);
  }
}

/** A file that ends early has changed. */
function checked(ranges: Ranges): Ranges {
  const { file, read } = ranges;
  return {
    ...ranges,
    async read(offset, n) {
      const bytes = await read(offset, n);
      if (bytes.length !== n)
        throw new SottoError('format', `${file} became shorter while it was read: it changed; start again with the file as it is now.`);
      return bytes;
    },
  };
}

function ofBlob(file: string, blob: Blob): Ranges {
  const { lastModified } = blob as Partial<File>;
  return checked({
    file,
    size: blob.size,
    stamp: lastModified === undefined ? '' : String(lastModified),
    async read(offset, n) {
      try {
        return new Uint8Array(await blob.slice(offset, offset + n).arrayBuffer());
      } catch (error) {
        throw new SottoError('format', `${file} can no longer be read: it changed, or was moved, since it was chosen; choose it again.`, { cause: error });
      }
    },
    close: () => {},
  });
}

async function openUrl(file: string, url: string, own: OwnHeaders | undefined, c: OpenContext): Promise<Ranges> {
  if (isSmall(file)) {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const found = await probe(url, c.signal, own);
    for await (const piece of fetchPieces(url, 0, undefined, c.signal, () => {}, own)) pieces.push(piece.slice());
    return { ...ofBlob(file, new Blob(pieces)), stamp: found.stamp };
  }
  const { size, ranges, stamp } = await probe(url, c.signal, own);
  if (!ranges || size === undefined) return downloadWhole(file, url, own, c);
  return checked({
    file,
    size,
    stamp,
    read: (offset, n) => fetchRange(url, offset, n, { size, stamp }, c.signal, own).catch((error) => Promise.reject(named(file, error))),
    close: () => {},
  });
}

/** What a server that knows no ranges gives goes into a file of ours first. */
async function downloadWhole(file: string, url: string, own: OwnHeaders | undefined, c: OpenContext): Promise<Ranges> {
  const scratch = await c.platform.scratch();
  try {
    let at = 0;
    let all = 0;
    for await (const piece of fetchPieces(url, 0, undefined, c.signal, (total) => (all = total), own)) {
      if (c.signal.aborted) throw abortError();
      await scratch.write(at, piece);
      at += piece.length;
      c.downloading(file, at, Math.max(all, at));
    }
    return checked({ file, size: at, stamp: '', read: (offset, n) => scratch.read(offset, n), close: () => scratch.close() });
  } catch (error) {
    await scratch.close();
    throw error;
  }
}

/** Reasons of the network, with the file that they are about. */
function named(file: string, error: unknown): unknown {
  if (!(error instanceof SottoError) || error.code !== 'network') return error;
  return new SottoError('network', `${file} could not be fetched (${error.message.replace(/\.$/, '')}).`, { cause: error });
}
