// The page around the package.
import { SottoError } from './errors.js';
import { kept } from './kept.browser.js';
import { plainDownload, type Host } from './host.js';
import type { FromWorker } from './protocol.js';
import { startWorker } from './start-worker.js';
import { tabs } from './store/tabs.browser.js';

const absolute = (address: string): string => new URL(address, globalThis.document?.baseURI ?? location.href).href;

/** Decoded by the browser straight to 16 kHz, where it can. */
async function decode(file: Blob): Promise<AudioBuffer> {
  if (typeof OfflineAudioContext === 'undefined') {
    throw new SottoError(
      'unsupported',
      'Only WAV can be read here: this place has no Web Audio to decode other files; decode it on the page.',
    );
  }
  const bytes = await file.arrayBuffer();
  let context: OfflineAudioContext;
  try {
    context = new OfflineAudioContext(1, 1, 16000);
  } catch {
    context = new OfflineAudioContext(1, 1, 48000); // a browser that does not go that low
  }
  return context.decodeAudioData(bytes).catch(() => {
    const name = file instanceof File ? ` ${file.name}` : '';
    const type = file.type ? ` (${file.type})` : '';
    throw new SottoError(
      'format',
      `The file${name}${type} holds no sound that this browser can decode; convert it to WAV or MP3.`,
    );
  });
}

export const host: Host = {
  defaultBackend: 'auto',
  start(onMessage, onError) {
    const worker = startWorker(
      'worker.js',
      () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
    );
    worker.onmessage = (event: MessageEvent<FromWorker>) => onMessage(event.data);
    worker.onerror = (event) =>
      onError(event.message || "its worker could not be started; is the package's worker.js served?");
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      hold: () => {},
      stop: () => worker.terminate(),
    };
  },
  partAt: (address, file) => plainDownload(absolute(address), file),
  filesOf: async () => undefined,
  shipped: (file) => (file === 'teller-q8_0.gguf' ? new URL('./teller-q8_0.gguf', import.meta.url).href : undefined),
  loadGpu: () => import(/* @vite-ignore */ new URL('./gpu.js', import.meta.url).href),
  async readVad() {
    const url = new URL('./silero-vad-v6.2.0.bin', import.meta.url).href; // written out, so that bundlers find it
    const response = await fetch(url).catch(() => undefined);
    if (!response?.ok) throw new SottoError('network', `The voice activity network could not be fetched from ${url}.`);
    return new Uint8Array(await response.arrayBuffer());
  },
  absolute,
  async openAudio(address) {
    const response = await fetch(absolute(address));
    if (!response.ok)
      throw new SottoError('network', `${address} could not be fetched (HTTP status ${response.status}).`);
    return response.blob();
  },
  decode,
  kept,
  tabs,
  async estimate() {
    const [{ usage = 0, quota } = {}, persisted = false] = await Promise.all([
      navigator.storage?.estimate?.().catch(() => undefined),
      navigator.storage?.persisted?.().catch(() => undefined),
    ]);
    return { usage, quota, persisted };
  },
  persist: async () => (await navigator.storage?.persist?.()) ?? false,
};
