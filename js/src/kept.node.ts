// Models on the disk: in $XDG_CACHE_HOME/sotto/models, or beside the path that was asked for. A download has a second name (a hard link)
// in $XDG_CACHE_HOME/sotto, where the native command looks for it. Models that earlier versions made are in .../made.
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SottoError } from './errors.js';
import { cacheFolder } from './folder.node.js';
import { dataOf, folderName, newData, OutOfRoom, parseAbout, type Draft, type Earlier, type EarlierAbout, type KeptAbout, type KeptStore, type Scratch, type WholeFile } from './kept.js';

const modelsFolder = (): string => path.join(cacheFolder(), 'models');
const madeFolder = (): string => path.join(cacheFolder(), 'made');
const textOf = (file: string): Promise<string> => fs.readFile(file, 'utf8').catch(() => '');

async function folderOf(name: string): Promise<string> {
  const made = path.join(madeFolder(), folderName(name));
  return (await fs.stat(made).catch(() => null)) ? made : path.join(modelsFolder(), folderName(name));
}

/** The second name of a download. */
const linkOf = (file: string): string => path.join(cacheFolder(), file.replace(/[^\w.-]/g, '_'));

async function* folders(): AsyncGenerator<[name: string, folder: string]> {
  for (const parent of [madeFolder(), modelsFolder()]) {
    const entries = await fs.readdir(parent, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) yield [entry.name, path.join(parent, entry.name)];
  }
}

type AboutAndData = KeptAbout & { data: string };
const aboutOf = async (name: string, folder: string): Promise<AboutAndData | undefined> => parseAbout(name, await textOf(path.join(folder, 'about.json')));
const withoutData = ({ data: _, ...about }: AboutAndData): KeptAbout => about;

/** A whole model, and the path of its bytes; undefined: there is none, or its bytes are gone. */
async function wholeOf(name: string): Promise<{ about: AboutAndData; file: string } | undefined> {
  const folder = await folderOf(name);
  const about = await aboutOf(name, folder);
  if (!about) return undefined;
  const file = path.join(folder, about.data);
  const stat = await fs.stat(file).catch(() => null);
  return stat?.size === about.bytes ? { about, file } : undefined;
}

export const kept: KeptStore = {
  async list() {
    const all: KeptAbout[] = [];
    for await (const [name, folder] of folders()) {
      const about = await aboutOf(name, folder);
      if (about) all.push(withoutData(about));
    }
    return all.sort((a, b) => a.made - b.made);
  },

  async unfinished() {
    const all = [];
    for await (const [name, folder] of folders()) {
      if (await aboutOf(name, folder)) continue; // what a process that was killed left behind beside a whole one
      const journal = await textOf(path.join(folder, 'journal'));
      if (dataOf(journal)) all.push({ name, journal: journal.slice(journal.indexOf('\n') + 1) });
    }
    return all;
  },

  async earlier() {
    const entries = await fs.readdir(cacheFolder(), { withFileTypes: true }).catch(() => []);
    const all: EarlierAbout[] = [];
    for (const { name } of entries.filter((entry) => entry.isFile())) {
      const at = path.join(cacheFolder(), name);
      const stat = await fs.stat(at).catch(() => null);
      if (!stat || stat.nlink > 1) continue; // the second name of one that is kept as it is now
      const file = name.replace(/\.part$/, '');
      all.push({ key: `file-${name}`, file, bytes: stat.size, complete: file === name, open: async () => at, remove: () => fs.rm(at, { force: true }) });
    }
    return all;
  },

  async used() {
    const all = new Map<string, number>();
    for await (const [name, folder] of folders()) {
      const time = Number(await textOf(path.join(folder, 'used')));
      if (time > 0) all.set(name, time);
    }
    return all;
  },

  async remove(name) {
    const folder = await folderOf(name);
    const whole = await wholeOf(name);
    if (whole) await unlink(whole.about.file, whole.file);
    await fs.rm(folder, { recursive: true, force: true });
  },

  async open(name) {
    const whole = await wholeOf(name);
    if (!whole) throw new SottoError('argument', `The model ${name} is no longer on this device: make it, or download it, again.`);
    return whole.file;
  },

  async room() {
    const folder = await fs.mkdir(modelsFolder(), { recursive: true }).then(modelsFolder, tmpdir);
    return roomIn(folder);
  },
};

/** Gives a download its second name, unless another file has it. */
async function link(file: string, data: string): Promise<void> {
  await fs.link(data, linkOf(file)).catch(() => {}); // or the disk knows no second names: then the native command does not find it
}

/** Takes the second name away, if it is of these bytes. */
async function unlink(file: string, data: string): Promise<void> {
  const [second, first] = await Promise.all([fs.stat(linkOf(file)).catch(() => null), fs.stat(data).catch(() => null)]);
  if (second && first && second.ino === first.ino && second.dev === first.dev) await fs.rm(linkOf(file), { force: true });
}

/** A whole file to be read; undefined: there is none of this key. */
export async function openWhole(name: string): Promise<WholeFile | undefined> {
  const whole = await wholeOf(name);
  const handle = whole && (await fs.open(whole.file).catch(() => undefined));
  if (!handle) return undefined;
  return {
    about: withoutData(whole.about),
    async read(at, n) {
      const bytes = await readAt(handle, at, n);
      if (bytes.length !== n) throw new SottoError('format', `The kept file ${whole.about.file} has become shorter.`);
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** Makes a whole file one in the making again, with this journal. */
export async function reopen(name: string, journal: string): Promise<void> {
  const folder = await folderOf(name);
  const about = await aboutOf(name, folder);
  if (!about) return;
  await unlink(about.file, path.join(folder, about.data)); // what is written now is not for those who use it by that name
  await fs.writeFile(path.join(folder, 'journal'), `${about.data}\n${journal}\n`);
  await fs.rm(path.join(folder, 'about.json'), { force: true });
}

/** Notes that a model is being loaded. */
export async function touch(name: string): Promise<void> {
  await fs.writeFile(path.join(await folderOf(name), 'used'), String(Date.now())).catch(() => {}); // a disk that takes nothing
}

/** What earlier versions kept of a download: FILE, or FILE.part of one that was not finished. */
export async function openEarlier(_key: string, file: string, expected: number | undefined): Promise<Earlier | undefined> {
  const whole = linkOf(file);
  for (const at of [whole, `${whole}.part`]) {
    const handle = await fs.open(at).catch(() => undefined);
    if (!handle) continue;
    const { size: bytes, nlink } = await handle.stat();
    if (nlink > 1 || (expected !== undefined && (at === whole ? bytes !== expected : bytes > expected))) {
      await handle.close(); // the second name of another model, or another file
      continue;
    }
    return {
      bytes,
      read: async (offset, n) => {
        const read = await readAt(handle, offset, n);
        return read.length === n ? read : undefined;
      },
      close: () => handle.close(),
      remove: () => fs.rm(at, { force: true }),
    };
  }
  return undefined;
}

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

async function placeInStore(name: string): Promise<Place> {
  const folder = await folderOf(name);
  const journal = path.join(folder, 'journal');
  return {
    journal,
    data: (data) => path.join(folder, data),
    async commit(data, about) {
      const file = path.join(folder, 'about.json');
      const before = await aboutOf(name, folder);
      await fs.writeFile(`${file}.new`, JSON.stringify({ ...about, data }));
      await fs.rename(`${file}.new`, file);
      await fs.rm(journal, { force: true });
      if (before && before.data !== data) await unlink(before.file, path.join(folder, before.data));
      if (about.store?.origin === 'download') await link(about.file, path.join(folder, data));
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

export const openDraft = (name: string): Promise<Draft> => placeInStore(name).then((place) => DiskDraft.open(place));
export const openDraftOfPath = (file: string): Promise<Draft> => DiskDraft.open(placeOfPath(path.resolve(file)));

class DiskDraft implements Draft {
  readonly byPiece = false;
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

  async reserve(): Promise<void> {} // what is free was asked for; a hole takes nothing

  async flush(): Promise<void> {
    await this.#data.sync();
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
  await fs.mkdir(modelsFolder(), { recursive: true });
  const file = path.join(modelsFolder(), `scratch-${newData()}`);
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
