// Models made on this device, and those in the making. kept.browser.ts and kept.node.ts keep them.
//
//   FOLDER/NAME/about.json     of a model that is whole; says which file has its bytes
//   FOLDER/NAME/journal        of one in the making: what it is made of, then a line for each tensor that is done
//   FOLDER/NAME/data-XXXX      the bytes

/** What is known of a model that is whole. */
export interface KeptAbout {
  /** Under which it is kept. */
  name: string;
  /** As which it is saved: "NAME.gguf". */
  file: string;
  bytes: number;
  architecture: string;
  /** Of most of its weights: "q4_K_M". */
  type: string;
  /** In ms since 1970. */
  made: number;
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
  /** Fewer than n at the end of the file. */
  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Errors are those of the system; OutOfRoom where the disk is full. */
  write(at: number, bytes: Uint8Array): Promise<void>;
  /** Adds a line to the journal. */
  note(line: string): Promise<void>;
  /** Forgets what was there. */
  clear(): Promise<void>;
  /** The file is whole, and replaces what had the name. Ends the draft. */
  commit(about: Omit<KeptAbout, 'name'>): Promise<void>;
  /** Ends the draft; what came is kept for another time, or is not. Nothing after commit(). */
  close(keep: boolean): Promise<void>;
}

/** Where the models of this device are. */
export interface KeptStore {
  list(): Promise<KeptAbout[]>;
  unfinished(): Promise<UnfinishedAbout[]>;
  /** Removes a model, whole or not. */
  remove(name: string): Promise<void>;
  /** The bytes of a whole one: a Blob that reads the disk, or a path. */
  open(name: string): Promise<Blob | string>;
  /** Room that is left, as far as it is known, in bytes. */
  room(): Promise<number | undefined>;
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
    const about = JSON.parse(text);
    const { file, bytes, architecture, type, made, data } = about;
    const texts = [file, architecture, type, data].every((value) => typeof value === 'string');
    if (!texts || !/^data-[\w-]+$/.test(data) || !Number.isSafeInteger(bytes) || typeof made !== 'number') return undefined;
    return { name, file, bytes, architecture, type, made, data };
  } catch {
    return undefined;
  }
}

/** The journal's first line names the file of its bytes. */
export const dataOf = (journal: string): string | undefined => /^(data-[\w-]+)\n/.exec(journal)?.[1];

export const newData = (): string => `data-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}`;
