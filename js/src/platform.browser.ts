// The browser around the engine's worker.
import type { Variant } from './detect.js';
import { SottoError } from './errors.js';
import { kept, openDraft, openScratch } from './kept.browser.js';
import { notes } from './notes.browser.js';
import type { Platform } from './platform.js';
import { startWorker } from './start-worker.js';
import { keeper } from './store/keeper.browser.js';

// Written out one by one, so that bundlers find the files.
const files: Record<Variant, () => URL> = {
  'simd-single': () => new URL('./sotto-simd-single.wasm', import.meta.url),
  'simd-threads': () => new URL('./sotto-simd-threads.wasm', import.meta.url),
  'relaxed-single': () => new URL('./sotto-relaxed-single.wasm', import.meta.url),
  'relaxed-threads': () => new URL('./sotto-relaxed-threads.wasm', import.meta.url),
};

const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
};

let channel: MessageChannel | undefined;

const noPaths = (): Promise<never> => Promise.reject(new SottoError('argument', 'Pages cannot open files by path.'));

export const platform: Platform = {
  listen: (onMessage) => scope.addEventListener('message', (event) => onMessage(event.data)),
  post: (message, transfer = []) => scope.postMessage(message, transfer),

  async compile(variant) {
    const url = files[variant]();
    const response = await fetch(url).catch((error) => {
      throw new SottoError('environment', `The engine could not be fetched from ${url} (${error.message}).`);
    });
    if (!response.ok)
      throw new SottoError(
        'environment',
        `The engine could not be fetched from ${url} (HTTP status ${response.status}).`,
      );
    // Servers that do not know .wasm send another type, which the streaming compiler refuses.
    if (/^application\/wasm\b/.test(response.headers.get('content-type') ?? ''))
      return WebAssembly.compileStreaming(response);
    return WebAssembly.compile(await response.arrayBuffer());
  },

  loadGpu: () => import(/* @vite-ignore */ new URL('./gpu.js', import.meta.url).href),

  loadQuantizer: () => import(/* @vite-ignore */ new URL('./quantizer.js', import.meta.url).href),

  cores: () => navigator.hardwareConcurrency || 1,

  startThread(seat) {
    const worker = startWorker(
      'thread.js',
      () => new Worker(new URL('./thread.js', import.meta.url), { type: 'module' }),
    );
    worker.postMessage(seat);
    return { stop: () => worker.terminate() };
  },

  breathe() {
    channel ??= new MessageChannel();
    const { port1, port2 } = channel;
    return new Promise((resolve) => {
      port1.onmessage = () => resolve();
      port2.postMessage(0);
    });
  },

  keeper,
  notes,

  openFile: noPaths,
  openRanges: noPaths,
  openDraft,
  openDraftOfPath: noPaths,
  room: kept.room,
  scratch: openScratch,
};
