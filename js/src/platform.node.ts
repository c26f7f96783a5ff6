// Node around the engine's worker.
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import fs from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { SottoError } from './errors.js';
import { openDraft, openDraftOfPath, openScratch, readAt, roomAt } from './kept.node.js';
import { notes } from './notes.node.js';
import type { Platform } from './platform.js';
import { readFile } from './read-file.node.js';
import { keeper } from './store/keeper.node.js';

const port = parentPort!;

/** Tells host.node.ts whether a GPU is at work here; in commands that compute themselves there is no one to tell. */
function setAtWork(value: 0 | 1): void {
  if (!(workerData instanceof Int32Array)) return;
  Atomics.store(workerData, 0, value);
  Atomics.notify(workerData, 0);
}

async function statOf(path: string): Promise<Stats> {
  const stat = await fs.stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new SottoError(
      'argument',
      error.code === 'ENOENT' ? `There is no file ${path}.` : `The file ${path} cannot be read (${error.code}).`,
    );
  });
  if (!stat.isFile()) throw new SottoError('argument', `${path} is not a file.`);
  return stat;
}

export const platform: Platform = {
  listen: (onMessage) => void port.on('message', onMessage),
  post(message, transfer = []) {
    if (message.type === 'closed') setAtWork(0);
    port.postMessage(message, transfer);
  },

  async compile(variant) {
    const file = new URL(`./sotto-${variant}.wasm`, import.meta.url);
    return WebAssembly.compile(await fs.readFile(file));
  },

  loadGpu() {
    setAtWork(1);
    return import(/* @vite-ignore */ new URL('./gpu.node.js', import.meta.url).href);
  },

  loadQuantizer: () => import(/* @vite-ignore */ new URL('./quantizer.node.js', import.meta.url).href),

  cores: availableParallelism,

  startThread(seat) {
    const worker = new Worker(new URL('./thread.node.js', import.meta.url), { workerData: seat, execArgv: [] });
    worker.unref();
    return { stop: () => worker.terminate() };
  },

  breathe: () => new Promise((resolve) => void setImmediate(resolve)),

  keeper,
  notes,

  async openFile(path) {
    const { size } = await statOf(path);
    return { size, pieces: readFile(path) };
  },

  async openRanges(path) {
    const { size, mtimeMs } = await statOf(path);
    const handle = await fs.open(path);
    const read = (offset: number, n: number): Promise<Uint8Array<ArrayBuffer>> => readAt(handle, offset, n);
    return { size, stamp: String(mtimeMs), read, close: () => handle.close() };
  },

  openDraft,
  openDraftOfPath,
  room: roomAt,
  scratch: openScratch,

  sha256() {
    const hash = createHash('sha256');
    return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
  },
};
