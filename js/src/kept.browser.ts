// Models in the private files of the page's origin (OPFS): written in a worker, read as Files.
import { SottoError } from './errors.js';
import { hasCaches, listCached, listEarlier, openCachedBlob, openCachedDraft, openCachedWhole, removeCached, reopenCached, touchCached, unfinishedCached, usedCached } from './kept-cache.browser.js';
import { dataOf, folderName, newData, OutOfRoom, parseAbout, type Draft, type KeptAbout, type KeptStore, type Scratch, type WholeFile } from './kept.js';

const FOLDER = 'sotto-kept';
const SCRATCH = 'sotto-scratch';

/** What TypeScript's types of pages leave out: it is there in workers alone. */
interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
type WorkerFileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncHandle> };
type Folder = FileSystemDirectoryHandle & { entries(): AsyncIterable<[string, FileSystemHandle]> };

async function rootFolder(): Promise<Folder> {
  try {
    return (await navigator.storage.getDirectory()) as Folder;
  } catch (error) {
    throw new SottoError('storage', 'This browser keeps no files for this page: leave the private window, or choose a file to write to.', { cause: error });
  }
}

const isMissing = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotFoundError';

const missingIs = <T>(value: T) => (error: unknown): T => {
  if (isMissing(error)) return value;
  throw error;
};

async function keptFolder(create: boolean): Promise<Folder | undefined> {
  const root = await rootFolder();
  return (await root.getDirectoryHandle(FOLDER, { create }).catch(missingIs(undefined))) as Folder | undefined;
}

async function folderOf(name: string, create = false): Promise<Folder | undefined> {
  const kept = await keptFolder(create);
  return (await kept?.getDirectoryHandle(folderName(name), { create }).catch(missingIs(undefined))) as Folder | undefined;
}

async function textOf(folder: Folder, file: string): Promise<string> {
  const handle = await folder.getFileHandle(file).catch(missingIs(undefined));
  return handle ? (await handle.getFile()).text() : '';
}

async function* folders(): AsyncGenerator<[string, Folder]> {
  const kept = typeof navigator.storage?.getDirectory === 'function' ? await keptFolder(false).catch(() => undefined) : undefined;
  if (!kept) return;
  for await (const [name, handle] of kept.entries()) if (handle.kind === 'directory') yield [name, handle as Folder];
}

type AboutAndData = KeptAbout & { data: string };

const aboutOf = async (name: string, folder: Folder): Promise<AboutAndData | undefined> => parseAbout(name, await textOf(folder, 'about.json').catch(() => ''));
const withoutData = ({ data: _, ...about }: AboutAndData): KeptAbout => about;

const notHere = (name: string): SottoError => new SottoError('argument', `The model ${name} is no longer on this device: make it, or download it, again.`);

export const kept: KeptStore = {
  async list() {
    const all: KeptAbout[] = [];
    for await (const [name, folder] of folders()) {
      const about = await aboutOf(name, folder);
      if (about) all.push(withoutData(about));
    }
    return [...all, ...(await listCached())].sort((a, b) => a.made - b.made);
  },

  async unfinished() {
    const all = await unfinishedCached();
    for await (const [name, folder] of folders()) {
      if (await aboutOf(name, folder)) continue; // what a closed tab left behind beside a whole one
      const journal = await textOf(folder, 'journal').catch(() => ''); // one that is being written is not unfinished
      if (dataOf(journal)) all.push({ name, journal: journal.slice(journal.indexOf('\n') + 1) });
    }
    return all;
  },

  earlier: listEarlier,

  async used() {
    const all = new Map(await usedCached());
    for await (const [name, folder] of folders()) {
      const time = Number(await textOf(folder, 'used').catch(() => ''));
      if (time > 0) all.set(name, time);
    }
    return all;
  },

  async remove(name) {
    await removeCached(name);
    const folder = await keptFolder(false).catch(() => undefined);
    await folder?.removeEntry(folderName(name), { recursive: true }).catch(missingIs(undefined));
  },

  async open(name) {
    const folder = await folderOf(name).catch(() => undefined);
    const about = folder && (await aboutOf(name, folder));
    const file = about && (await (await folder.getFileHandle(about.data).catch(missingIs(undefined)))?.getFile());
    if (file && file.size === about.bytes) return file;
    const cached = await openCachedBlob(name);
    if (!cached) throw notHere(name);
    return cached;
  },

  async room() {
    const { quota, usage } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
    return quota === undefined || usage === undefined ? undefined : Math.max(quota - usage, 0);
  },
};

// ---- in the worker ----

/** A whole file to be read; undefined: there is none of this key. */
export async function openWhole(name: string): Promise<WholeFile | undefined> {
  const folder = await folderOf(name).catch(() => undefined);
  const about = folder && (await aboutOf(name, folder));
  const file = about && (await (await folder.getFileHandle(about.data).catch(() => undefined))?.getFile());
  if (!file || file.size !== about.bytes) return openCachedWhole(name);
  return {
    about: withoutData(about),
    async read(at, n) {
      const bytes = new Uint8Array(await file.slice(at, at + n).arrayBuffer());
      if (bytes.length !== n) throw new SottoError('format', `The kept file ${about.file} has become shorter.`);
      return bytes;
    },
    close: async () => {},
  };
}

/** Makes a whole file one in the making again, with this journal. */
export async function reopen(name: string, journal: string): Promise<void> {
  const folder = await folderOf(name).catch(() => undefined);
  const about = folder && (await aboutOf(name, folder));
  if (!about) return reopenCached(name, journal);
  await writeText(folder, 'journal', `${about.data}\n${journal}\n`);
  await folder.removeEntry('about.json');
}

async function writeText(folder: Folder, file: string, text: string): Promise<void> {
  const handle = await openHandle(folder, file);
  try {
    handle.truncate(0);
    writeAll(handle, 0, new TextEncoder().encode(text));
    handle.flush();
  } finally {
    handle.close();
  }
}

/** Notes that a model is being loaded. */
export async function touch(name: string): Promise<void> {
  const folder = await folderOf(name).catch(() => undefined);
  if (folder) await writeText(folder, 'used', String(Date.now())).catch(() => {}); // another tab does so, too
  else await touchCached(name);
}

/** Takes up, or begins, a file of the store: among the page's own files, or in the Cache API. */
export async function openPieces(name: string): Promise<Draft> {
  const hasFiles = typeof FileSystemFileHandle !== 'undefined' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (hasFiles && (await navigator.storage?.getDirectory?.().catch(() => undefined))) return openDraft(name);
  if (!hasCaches()) throw new SottoError('storage', 'This browser keeps no files for this page.');
  return openCachedDraft(name);
}

async function openHandle(folder: Folder, file: string): Promise<SyncHandle> {
  const handle = (await folder.getFileHandle(file, { create: true }).catch(noRoom)) as WorkerFileHandle;
  if (!handle.createSyncAccessHandle) throw new SottoError('storage', 'This browser cannot write files of its own here: choose a file to write to.');
  return handle.createSyncAccessHandle().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'NoModificationAllowedError')
      throw new SottoError('argument', 'This model is being made already, perhaps in another window: wait for it, or stop it there.');
    return noRoom(error);
  });
}

/** An error of the system, but OutOfRoom where that is what it means. */
function noRoom(error: unknown): never {
  if (error instanceof Error && error.name === 'QuotaExceededError') throw new OutOfRoom('', { cause: error });
  throw error;
}

function writeAll(handle: SyncHandle, at: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const n = inRoom(() => handle.write(bytes.subarray(done), { at: at + done }));
    if (n <= 0) throw new OutOfRoom();
    done += n;
  }
}

/** Any of a handle's calls may find that there is no room. */
function inRoom<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    return noRoom(error);
  }
}

function readAt(handle: SyncHandle, at: number, n: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(n);
  return bytes.subarray(0, handle.read(bytes, { at }));
}

/** Takes up a model of this name, or begins one. */
export async function openDraft(name: string): Promise<Draft> {
  const folder = (await folderOf(name, true))!;
  const journal = await openHandle(folder, 'journal');
  try {
    return await OpfsDraft.open(folder, name, journal);
  } catch (error) {
    journal.close();
    throw error;
  }
}

class OpfsDraft implements Draft {
  readonly byPiece = false;
  journal: string;
  #data: SyncHandle;
  #dataName: string;
  #end: number;
  readonly #folder: Folder;
  readonly #name: string;
  readonly #journal: SyncHandle;
  readonly #encoder = new TextEncoder();

  private constructor(folder: Folder, name: string, journal: SyncHandle, data: SyncHandle, dataName: string, text: string) {
    [this.#folder, this.#name, this.#journal, this.#data, this.#dataName] = [folder, name, journal, data, dataName];
    this.journal = text.slice(dataName.length + 1);
    this.#end = journal.getSize();
    if (this.#end === 0) this.#begin();
  }

  static async open(folder: Folder, name: string, journal: SyncHandle): Promise<OpfsDraft> {
    const text = new TextDecoder().decode(readAt(journal, 0, journal.getSize()));
    const before = dataOf(text);
    if (before === undefined) journal.truncate(0);
    const dataName = before ?? newData();
    const data = await openHandle(folder, dataName);
    return new OpfsDraft(folder, name, journal, data, dataName, before === undefined ? '' : text);
  }

  #begin(): void {
    const bytes = this.#encoder.encode(`${this.#dataName}\n`);
    writeAll(this.#journal, 0, bytes);
    this.#end = bytes.length;
  }

  get size(): number {
    return this.#data.getSize();
  }

  async read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>> {
    return readAt(this.#data, at, n);
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    writeAll(this.#data, at, bytes);
  }

  /** Browsers count a file as large as it says it is; and a write within costs them less than one that makes it longer. */
  async reserve(size: number): Promise<void> {
    if (this.size < size) inRoom(() => this.#data.truncate(size));
  }

  async flush(): Promise<void> {
    inRoom(() => this.#data.flush());
  }

  async note(line: string): Promise<void> {
    const bytes = this.#encoder.encode(`${line}\n`);
    writeAll(this.#journal, this.#end, bytes);
    inRoom(() => this.#journal.flush()); // a page may be closed at any time
    this.#end += bytes.length;
  }

  async clear(): Promise<void> {
    this.#data.truncate(0);
    this.#journal.truncate(0);
    this.journal = '';
    this.#begin();
  }

  async commit(about: Omit<KeptAbout, 'name'>): Promise<void> {
    this.#data.flush();
    this.#data.close();
    let before: AboutAndData | undefined;
    try {
      before = await aboutOf(this.#name, this.#folder);
      await writeText(this.#folder, 'about.json', JSON.stringify({ ...about, data: this.#dataName }));
    } finally {
      this.#journal.close();
    }
    await this.#folder.removeEntry('journal');
    if (before && before.data !== this.#dataName) await this.#folder.removeEntry(before.data).catch(missingIs(undefined));
  }

  async close(keep: boolean): Promise<void> {
    this.#data.close();
    this.#journal.close();
    if (keep) return;
    await this.#folder.removeEntry('journal').catch(missingIs(undefined));
    await this.#folder.removeEntry(this.#dataName).catch(missingIs(undefined));
    // A folder that has nothing else goes too; one with a whole model of the same name stays.
    await (await keptFolder(false))?.removeEntry(folderName(this.#name)).catch(() => {});
  }
}

export async function openScratch(): Promise<Scratch> {
  const root = await rootFolder();
  const folder = (await root.getDirectoryHandle(SCRATCH, { create: true })) as Folder;
  // What a page that was closed left behind goes; what another one uses is locked, and stays.
  for await (const [name] of folder.entries()) await folder.removeEntry(name).catch(() => {});
  const name = newData();
  const handle = await openHandle(folder, name);
  return {
    read: async (at, n) => readAt(handle, at, n),
    write: async (at, bytes) => writeAll(handle, at, bytes),
    async close() {
      handle.close();
      await folder.removeEntry(name).catch(() => {});
    },
  };
}
