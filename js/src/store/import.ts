// A file from elsewhere into the store: copied and hashed piece by piece; an earlier attempt's pieces are not written again.
import { abortError, SottoError } from '../errors.js';
import { OutOfRoom, type Group, type StoreAbout } from '../kept.js';
import type { Hash, Platform } from '../platform.js';
import { headOf } from './head.js';
import { headLine, parseUnfinished, pieceBytesOf, sumLine } from './journal.js';
import { roomError } from './keys.js';
import type { ImportFile } from './messages.js';
import { sumOf, sumOfText } from './sums.js';

export interface ImportContext {
  platform: Platform;
  hash: () => Hash;
  signal: AbortSignal;
  progress(key: string, bytes: number, size: number): void;
}

interface Readable {
  size: number;
  stamp: string;
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

async function openSource({ source }: ImportFile, { platform }: ImportContext): Promise<Readable> {
  if (typeof source === 'string') return platform.openRanges(source);
  return {
    size: source.size,
    stamp: String((source as Partial<File>).lastModified ?? ''),
    read: async (at, n) => new Uint8Array(await source.slice(at, at + n).arrayBuffer()),
    close: async () => {},
  };
}

/** The key of the file in the store, which may have it already. */
export async function importFile(file: ImportFile, title: string, group: Group | undefined, c: ImportContext): Promise<string> {
  const from = await openSource(file, c);
  try {
    const head = headOf(await from.read(0, Math.min(1 << 20, from.size)), file.name);
    if (!head) throw new SottoError('format', `${file.name} is no model: it is neither a GGUF file nor a ggml file of Whisper.`);
    return await copy(file, from, { title, group, ...head }, c);
  } finally {
    await from.close();
  }
}

async function copy(
  { name: file }: ImportFile,
  from: Readable,
  { title, group, architecture, type }: { title: string; group: Group | undefined; architecture: string; type: string },
  { platform: { keeper }, hash: newHash, signal, progress }: ImportContext,
): Promise<string> {
  const { size } = from;
  const key = `import-${(await sumOfText([file, size, from.stamp, group?.id].join('\n'))).slice(0, 40)}`;
  progress(key, 0, size);
  const release = await keeper.tabs.lock(key, 'exclusive', signal);
  try {
    const draft = await keeper.openPieces(key);
    let keep = true;
    let done: string[] = [];
    try {
      const room = await keeper.kept.room().catch(() => undefined);
      const before = parseUnfinished(draft.journal);
      const pieceBytes = pieceBytesOf(size);
      const about: StoreAbout = { origin: 'import', title, group, pieceBytes, sums: [] };
      const sums: string[] = [];
      done = sums;
      const there = before?.size === size && before.about.pieceBytes === pieceBytes ? before.sums : new Map<number, string>();
      if (there.size === 0) {
        if (draft.journal !== '') await draft.clear();
        if (room !== undefined && room < size) {
          keep = false;
          throw roomError(title, size, room);
        }
        await draft.reserve(size);
        await draft.note(headLine({ about, file, size }));
        keeper.tabs.tell({ type: 'change' });
      }
      const hash = newHash();
      for (let at = 0, i = 0; at < size; at += pieceBytes, i++) {
        if (signal.aborted) throw abortError();
        const n = Math.min(pieceBytes, size - at);
        const bytes = await from.read(at, n);
        if (bytes.length !== n) throw new SottoError('format', `${file} became shorter while it was read: it changed; import it again.`);
        hash.update(bytes);
        const sum = await sumOf(bytes);
        if (there.get(i) !== sum || (await sumOf(await draft.read(at, n))) !== sum) {
          await draft.write(at, bytes);
          await draft.flush();
          await draft.note(sumLine(i, sum));
        }
        sums.push(sum);
        progress(key, at + n, size);
      }
      const sha256 = hash.digest();
      const same = group ? undefined : (await keeper.kept.list()).find((other) => other.store?.sha256 === sha256 && other.name !== key);
      keep = same === undefined;
      if (same) return same.name;
      keep = true;
      await draft.commit({ file, bytes: size, architecture, type, made: Date.now(), store: { ...about, sha256, sums } });
      return key;
    } catch (error) {
      if (!(error instanceof Error && error.name === OutOfRoom.name)) throw error;
      throw roomError(title, size - done.length * pieceBytesOf(size), (await keeper.kept.room().catch(() => undefined)) ?? 0, error);
    } finally {
      await draft.close(keep).catch(() => {}); // nothing after a commit
    }
  } finally {
    release();
    keeper.tabs.tell({ type: 'change' });
  }
}
