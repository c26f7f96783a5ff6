// Node around the package.
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { decode } from './decode.node.js';
import { SottoError } from './errors.js';
import { kept } from './kept.node.js';
import { tabs } from './store/tabs.node.js';
import { plainDownload, type Host } from './host.js';
import type { FromWorker, ToWorker } from './protocol.js';
import { VAD_FILE } from './vad.js';

const isUrl = (address: string): boolean => /^(https?|data|blob):/.test(address);
const pathOf = (address: string): string =>
  path.resolve(address.startsWith('file:') ? fileURLToPath(address) : address);

/** How long the end of the process waits for GPUs that are at work: it would abort if a worker were ended then. */
const EXIT_MS = 20_000;
const exits = new Set<() => void>();
let watching = false;

function atExit(close: () => void): void {
  if (!watching) process.once('exit', () => exits.forEach((each) => each()));
  watching = true;
  exits.add(close);
}

export const host: Host = {
  defaultBackend: 'cpu', // WebGPU is a package of its own there, with a driver in this process: only where it is asked for
  start(onMessage, onError) {
    const atWork = new Int32Array(new SharedArrayBuffer(4));
    const options = { execArgv: [], workerData: atWork }; // the caller's flags are not for it
    const worker = new Worker(new URL('./worker.node.js', import.meta.url), options);
    const closeAtExit = (): void => {
      if (Atomics.load(atWork, 0) === 0) return;
      worker.postMessage({ type: 'close' } satisfies ToWorker);
      Atomics.wait(atWork, 0, 1, EXIT_MS);
    };
    atExit(closeAtExit);
    worker.on('message', (message: FromWorker) => onMessage(message));
    worker.on('error', (error) => onError(error instanceof Error ? error.message : String(error)));
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      hold: (busy) => (busy ? worker.ref() : worker.unref()),
      stop: () => {
        exits.delete(closeAtExit);
        return worker.terminate();
      },
    };
  },
  partAt: (address, file) =>
    isUrl(address) ? plainDownload(address, file) : { kind: 'path', file, path: pathOf(address) },
  async filesOf(address) {
    if (isUrl(address)) return undefined;
    const folder = pathOf(address);
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined); // not a folder: whoever opens it says so
    return entries
      ?.filter((e) => !e.isDirectory())
      .map(({ name }) => ({ kind: 'path', file: name, path: path.join(folder, name) }));
  },
  shipped: (file) => fileURLToPath(new URL(`./${file}`, import.meta.url)),
  loadGpu: () => import(/* @vite-ignore */ new URL('./gpu.node.js', import.meta.url).href),
  readVad: () => readFile(new URL(`./${VAD_FILE}`, import.meta.url)),
  absolute: (address) => (isUrl(address) ? address : pathToFileURL(pathOf(address)).href),
  async openAudio(address) {
    if (!isUrl(address))
      return Readable.toWeb(
        createReadStream(pathOf(address), { highWaterMark: 1 << 18 }),
      ) as ReadableStream<Uint8Array>;
    const response = await fetch(address);
    if (!response.ok)
      throw new SottoError('network', `${address} could not be fetched (HTTP status ${response.status}).`);
    return response.blob();
  },
  decode,
  kept,
  tabs,
  async estimate() {
    const [whole, earlier, room] = await Promise.all([kept.list(), kept.earlier(), kept.room()]);
    const usage = [...whole, ...earlier].reduce((sum, { bytes }) => sum + bytes, 0);
    return { usage, quota: room === undefined ? undefined : usage + room, persisted: true };
  },
  persist: async () => true,
};
