// Models made here, on the disk: in $XDG_CACHE_HOME/sotto/made, or beside the path that was asked for.
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheFolder } from './cache.node.js';
import { SottoError } from './errors.js';
import { dataOf, folderName, newData, OutOfRoom, parseAbout, type Draft, type KeptAbout, type KeptStore, type Scratch } from './kept.js';

const madeFolder = (): string => path.join(cacheFolder(), 'made');
const folderOf = (name: string): string => path.join(madeFolder(), folderName(name));
const textOf = (file: string): Promise<string> => fs.readFile(file, 'utf8').catch(() => '');

async function names(): Promise<string[]> {
  const entries = await fs.readdir(madeFolder(), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

export const kept: KeptStore = {
  async list() {
    const all: KeptAbout[] = [];
    for (const name of await names()) {
      const { data: _, ...about } = parseAbout(name, await textOf(path.join(folderOf(name), 'about.json'))) ?? { data: '' };
      if ('bytes' in about) all.push(about);
    }
    return all.sort((a, b) => a.made - b.made);
  },

  async unfinished() {
    const all = [];
    for (const name of await names()) {
      const journal = await textOf(path.join(folderOf(name), 'journal'));
      if (dataOf(journal)) all.push({ name, journal: journal.slice(journal.indexOf('\n') + 1) });
    }
    return all;
  },

  remove: (name) => fs.rm(folderOf(name), { recursive: true, force: true }),

  async open(name) {
    const about = parseAbout(name, await textOf(path.join(folderOf(name), 'about.json')));
    const file = about && path.join(folderOf(name), about.data);
    const stat = file === undefined ? null : await fs.stat(file).catch(() => null);
    if (stat?.size !== about?.bytes || file === undefined)
      throw new SottoError('argument', `The model ${name} is no longer on this device: make it again.`);
    return file;
  },

  async room() {
    const folder = await fs.mkdir(madeFolder(), { recursive: true }).then(madeFolder, tmpdir);
    return roomIn(folder);
  },
};

/** Bytes that are free where models are kept, or where a file is to be. */
export const roomAt = (file?: string): Promise<number | undefined> =>
  file === undefined ? kept.room() : roomIn(path.dirname(path.resolve(file)));

async function roomIn(folder: string): Promise<number | undefined> {
  const stat = await fs.statfs(folder).catch(() => undefined);
  return stat && stat.bavail * stat.bsize;
}

export async function readAt(handle: fs.FileHandle, at: number, n: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(n);
  let have = 0;
  while (have < n) {
    const { bytesRead } = await handle.read(bytes, have, n - have, at + have);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return bytes.subarray(0, have);
}

async function writeAt(handle: fs.FileHandle, at: number, bytes: Uint8Array): Promise<void> {
  try {
    for (let done = 0; done < bytes.length;)
      done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) throw new OutOfRoom('', { cause: error });
    throw error;
  }
}

/** Where a draft has its files, and what becomes of them. */
interface Place {
  journal: string;
  /** By its name in the journal. */
  data(name: string): string;
  commit(data: string, about: Omit<KeptAbout, 'name'>): Promise<void>;
  drop(data: string): Promise<void>;
}

function placeInStore(name: string): Place {
  const folder = folderOf(name);
  const journal = path.join(folder, 'journal');
  return {
    journal,
    data: (data) => path.join(folder, data),
    async commit(data, about) {
      const file = path.join(folder, 'about.json');
      const before = parseAbout(name, await textOf(file));
      await fs.writeFile(`${file}.new`, JSON.stringify({ ...about, data }));
      await fs.rename(`${file}.new`, file);
      await fs.rm(journal, { force: true });
      if (before && before.data !== data) await fs.rm(path.join(folder, before.data), { force: true });
    },
    async drop(data) {
      await fs.rm(journal, { force: true });
      await fs.rm(path.join(folder, data), { force: true });
      await fs.rmdir(folder).catch(() => {}); // one with a whole model of the same name stays
    },
  };
}

/** FILE.part, FILE.part.journal ──> FILE */
function placeOfPath(file: string): Place {
  const part = `${file}.part`;
  const journal = `${part}.journal`;
  return {
    journal,
    data: () => part,
    async commit() {
      await fs.rename(part, file);
      await fs.rm(journal, { force: true });
    },
    async drop() {
      await Promise.all([part, journal].map((each) => fs.rm(each, { force: true })));
    },
  };
}

export const openDraft = (name: string): Promise<Draft> => DiskDraft.open(placeInStore(name));
export const openDraftOfPath = (file: string): Promise<Draft> => DiskDraft.open(placeOfPath(path.resolve(file)));

class DiskDraft implements Draft {
  journal: string;
  size: number;
  readonly #place: Place;
  readonly #dataName: string;
  readonly #data: fs.FileHandle;
  readonly #journal: fs.FileHandle;

  private constructor(place: Place, dataName: string, text: string, data: fs.FileHandle, journal: fs.FileHandle, size: number) {
    [this.#place, this.#dataName, this.#data, this.#journal, this.size] = [place, dataName, data, journal, size];
    this.journal = text.slice(dataName.length + 1);
  }

  static async open(place: Place): Promise<DiskDraft> {
    await fs.mkdir(path.dirname(place.journal), { recursive: true });
    const text = await textOf(place.journal);
    const before = dataOf(text);
    const dataName = before ?? newData();
    const journal = await fs.open(place.journal, 'a+');
    try {
      if (before === undefined) await journal.truncate(0).then(() => journal.writeFile(`${dataName}\n`));
      const file = place.data(dataName);
      const data = await fs.open(file, 'r+').catch(() => fs.open(file, 'w+'));
      const { size } = await data.stat();
      return new DiskDraft(place, dataName, before === undefined ? '' : text, data, journal, size);
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  read(at: number, n: number): Promise<Uint8Array<ArrayBuffer>> {
    return readAt(this.#data, at, n);
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    await writeAt(this.#data, at, bytes);
    this.size = Math.max(this.size, at + bytes.length);
  }

  async note(line: string): Promise<void> {
    await this.#journal.writeFile(`${line}\n`);
  }

  async clear(): Promise<void> {
    await this.#data.truncate(0);
    await this.#journal.truncate(0);
    await this.note(this.#dataName);
    [this.journal, this.size] = ['', 0];
  }

  async #close(): Promise<void> {
    await this.#data.close();
    await this.#journal.close();
  }

  async commit(about: Omit<KeptAbout, 'name'>): Promise<void> {
    await this.#data.sync();
    await this.#close();
    await this.#place.commit(this.#dataName, about);
  }

  async close(keep: boolean): Promise<void> {
    await this.#close();
    if (!keep) await this.#place.drop(this.#dataName);
  }
}

export async function openScratch(): Promise<Scratch> {
  await fs.mkdir(madeFolder(), { recursive: true });
  const file = path.join(madeFolder(), `scratch-${newData()}`);
  const handle = await fs.open(file, 'wx+');
  return {
    read: (at, n) => readAt(handle, at, n),
    write: (at, bytes) => writeAt(handle, at, bytes),
    async close() {
      await handle.close();
      await fs.rm(file, { force: true });
    },
  };
}
