// Models kept on disk for Node: $XDG_CACHE_HOME/sotto, by default ~/.cache/sotto.
//
//   FILE        whole and checked, under the name that the native command looks for
//   FILE.part   what came so far of a download
//   notes/NAME  what was measured once
import fs from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { CacheEntry, Notes } from './platform.js';
import { readFile } from './read-file.node.js';

/** A part that was written to this lately may still be by another process. */
const BUSY_MS = 10_000;

export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  const cache = base && path.isAbsolute(base) ? base : path.join(homedir(), '.cache');
  return path.join(cache, 'sotto');
}

const fileOf = (name: string): string => path.join(cacheFolder(), name.replace(/[^\w.-]/g, '_'));

const statOf = (file: string): Promise<{ size: number; mtimeMs: number } | null> => fs.stat(file).catch(() => null);

export const isCached = async (_key: string, name: string): Promise<boolean> => (await statOf(fileOf(name))) !== null;

export async function removeCached(_key: string, name: string): Promise<void> {
  const file = fileOf(name);
  await Promise.all([fs.rm(file, { force: true }), fs.rm(`${file}.part`, { force: true })]);
}

export async function openCache(_key: string, name: string): Promise<CacheEntry | null> {
  const file = fileOf(name);
  const whole = await statOf(file);
  if (whole) return new FileEntry(file, file, whole.size, true);
  await fs.mkdir(cacheFolder(), { recursive: true });
  const part = await statOf(`${file}.part`);
  if (part && Date.now() - part.mtimeMs < BUSY_MS) return null;
  return new FileEntry(file, `${file}.part`, part?.size ?? 0, false);
}

const noteOf = (name: string): string => path.join(cacheFolder(), 'notes', name.replace(/[^\w.-]/g, '_'));

export const notes: Notes = {
  read: (name) => fs.readFile(noteOf(name), 'utf8').catch(() => undefined),
  async write(name, text) {
    const file = noteOf(name);
    const unfinished = `${file}.${process.pid}`; // others may be reading it
    try {
      await fs.mkdir(path.dirname(file), { recursive: true });
      await fs.writeFile(unfinished, text);
      await fs.rename(unfinished, file);
    } catch {
      // a disk that takes nothing: it is measured again the next time
    }
  },
};

class FileEntry implements CacheEntry {
  readonly checksItself = false;
  readonly bytes: number;
  readonly complete: boolean;
  readonly #file: string;
  readonly #path: string;
  #handle: fs.FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #keeping = true;

  constructor(file: string, at: string, bytes: number, complete: boolean) {
    this.#file = file;
    this.#path = at;
    this.bytes = bytes;
    this.complete = complete;
  }

  read(): AsyncIterable<Uint8Array> {
    return readFile(this.#path);
  }

  append(bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#writing = this.#writing.then(async () => {
      if (!this.#keeping) return;
      try {
        this.#handle ??= await fs.open(this.#path, 'a');
        await this.#handle.writeFile(copy);
      } catch {
        this.#keeping = false;
      }
    });
  }

  async #close(): Promise<void> {
    await this.#writing;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async commit(): Promise<void> {
    await this.#close();
    if (this.#keeping) await fs.rename(this.#path, this.#file).catch(() => {});
    else await fs.rm(this.#path, { force: true }).catch(() => {});
  }

  suspend(): Promise<void> {
    return this.#close();
  }

  async drop(): Promise<void> {
    await this.#close();
    await fs.rm(this.#path, { force: true }).catch(() => {});
  }
}
