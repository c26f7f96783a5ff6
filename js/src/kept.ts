// Where models are kept on this device: a folder for each, whole or in the making. kept.browser.ts and kept.node.ts do it.
//
//   FOLDER/KEY/about.json     of a model that is whole; says which file has its bytes
//   FOLDER/KEY/journal        of one in the making: what it is made of, then a line for each piece or tensor that is done
//   FOLDER/KEY/data-XXXX      the bytes
//   FOLDER/KEY/used           when it was last loaded, in ms since 1970
//
// KEY is the SHA-256 of a download where that is known before, else a hash of its address; of models made here, their name.
import { plainHex } from './store/sums.js';

/** What is known of a file that is whole. */
export interface KeptAbout {
  /** The key. */
  name: string;
  /** As which it is saved: "NAME.gguf". */
  file: string;
  bytes: number;
  /** "": not known. */
  architecture: string;
  /** Of most of its weights: "q4_K_M". "": not known. */
  type: string;
  /** When it became whole, in ms since 1970. */
  made: number;
  /** Of what was not made by quantize(). */
  store?: StoreAbout | undefined;
}

/** What is known of a download or an import beside. */
export interface StoreAbout {
  origin: 'download' | 'import';
  /** For people. */
  title: string;
  /** Of all bytes; undefined only while it is in the making. */
  sha256?: string | undefined;
  /** Its address, and what the server said of it there: its ETag or date. */
  source?: string | undefined;
  stamp?: string | undefined;
  /** Of which model of several files it is one, and the how manyth of them. */
  group?: Group | undefined;
  /** What it is checked by when it is read: SHA-256 of each stretch of so many bytes. */
  pieceBytes: number;
  sums: string[];
}

/** Files that are one model. */
export interface Group {
  id: string;
  title: string;
  index: number;
  count: number;
}

/** One in the making. */
export interface UnfinishedAbout {
  name: string;
  /** The first lines and all others of its journal. */
  journal: string;
}

/** A file in the making, with its journal. One at a time has it. */
export interface Draft {
  /** What an earlier attempt noted; "": there was none, or it is of no use. */
  readonly journal: string;
  /** Bytes of the file so far. */
  readonly size: number;
  /** It takes and gives whole pieces only. */
  readonly byPiece: boolean;
  /** Fewer than n at the end of the file. */
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Errors are those of the system; OutOfRoom where the disk is full. */
  write(at: number, bytes: Uint8Array): Promise<void>;
  /** Takes the room for a file of so many bytes, where that can be taken. OutOfRoom where there is not so much. */
  reserve(size: number): Promise<void>;
  /** What was written is on the disk. */
  flush(): Promise<void>;
  /** Adds a line to the journal. */
  note(line: string): Promise<void>;
  /** Forgets what was there. */
  clear(): Promise<void>;
  /** The file is whole, and replaces what had the name. Ends the draft. */
  commit(about: Omit<KeptAbout, 'name'>): Promise<void>;
  /** Ends the draft; what came is kept for another time, or is not. Nothing after commit(). */
  close(keep: boolean): Promise<void>;
}

/** A file that is whole, for reading. */
export interface WholeFile {
  about: KeptAbout;
  /** Exactly n bytes. */
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Where the models of this device are. */
export interface KeptStore {
  list(): Promise<KeptAbout[]>;
  unfinished(): Promise<UnfinishedAbout[]>;
  /** What earlier versions kept elsewhere, and nothing has taken over yet. */
  earlier(): Promise<EarlierAbout[]>;
  /** When each was last loaded, by keys; in ms since 1970. */
  used(): Promise<Map<string, number>>;
  /** Removes a model, whole or not. */
  remove(name: string): Promise<void>;
  /** The bytes of a whole one: a Blob that reads the disk, or a path. */
  open(name: string): Promise<Blob | string>;
  /** Room that is left, as far as it is known, in bytes. */
  room(): Promise<number | undefined>;
}

/** A file that an earlier version kept elsewhere. */
export interface EarlierAbout {
  /** Its SHA-256, in browsers. */
  key: string;
  /** Its name, in Node. */
  file?: string | undefined;
  bytes: number;
  complete: boolean;
  open(): Promise<Blob | string>;
  remove(): Promise<void>;
}

/** What an earlier version kept of a file elsewhere: read once more, then gone. */
export interface Earlier {
  /** From the first byte on. */
  bytes: number;
  /** undefined: these are not there any more. */
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  close(): Promise<void>;
  /** It was taken over, or is of no use. */
  remove(): Promise<void>;
}

/** A file of no name, that is gone when it is closed. */
export interface Scratch {
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  write(at: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** The disk, or what a page may have of it, is full. Told by its name, as modules have classes of their own. */
export class OutOfRoom extends Error {
  override readonly name = 'OutOfRoom';
}

/** A name that is fit for a folder. */
export const folderName = (name: string): string =>
  name
    .normalize('NFC')
    .replace(/[/\\:*?"<>|%\p{C}]+/gu, '_')
    .replace(/^[. ]+|[. ]+$/g, '')
    .slice(0, 100) || 'model';

/** What can be read of an about.json; undefined: it is none. */
export function parseAbout(name: string, text: string): (KeptAbout & { data: string }) | undefined {
  try {
    const { file, bytes, architecture, type, made, data, store } = JSON.parse(text);
    const texts = [file, architecture, type, data].every((value) => typeof value === 'string');
    if (!texts || !/^data-[\w-]+$/.test(data) || !Number.isSafeInteger(bytes) || bytes < 0 || typeof made !== 'number') return undefined;
    const about = { name, file, bytes, architecture, type, made, data };
    if (store === undefined) return about;
    const more = parseStoreAbout(store);
    if (!more || more.sha256 === undefined || more.sums.length !== Math.ceil(bytes / more.pieceBytes)) return undefined;
    return { ...about, store: more };
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNone = (value: unknown): value is string | undefined => value === undefined || isText(value);

/** What the store noted of a file, in an about.json or in a journal; undefined: it cannot be what the store wrote. */
export function parseStoreAbout(value: unknown): StoreAbout | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { origin, title, sha256, source, stamp, group, pieceBytes, sums } = value as Record<string, unknown>;
  if ((origin !== 'download' && origin !== 'import') || !isText(title) || !isTextOrNone(source) || !isTextOrNone(stamp)) return undefined;
  if (sha256 !== undefined && !plainHex(sha256)) return undefined;
  if (!Number.isSafeInteger(pieceBytes) || (pieceBytes as number) < 1 || !Array.isArray(sums) || !sums.every(plainHex)) return undefined;
  return { origin, title, sha256, source, stamp, group: parseGroup(group), pieceBytes: pieceBytes as number, sums };
}

function parseGroup(value: unknown): Group | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, title, index, count } = value as Record<string, unknown>;
  const fit = isText(id) && isText(title) && Number.isSafeInteger(index) && Number.isSafeInteger(count) && (index as number) >= 0 && (index as number) < (count as number);
  return fit ? { id, title, index: index as number, count: count as number } : undefined;
}

/** The journal's first line names the file of its bytes. */
export const dataOf = (journal: string): string | undefined => /^(data-[\w-]+)\n/.exec(journal)?.[1];

export const newData = (): string => `data-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}`;
