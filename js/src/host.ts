// What the page's side of the package needs of the world around it. host.browser.ts and host.node.ts provide it; the
// build puts the right one in place of '@host'.
import type { KeptStore } from './kept.js';
import type { BackendChoice, FromWorker, ModelPart, ToWorker } from './protocol.js';
import type { StoreEstimate } from './store.js';
import type { Tabs } from './store/tabs.js';

export interface Port {
  post(message: ToWorker, transfer?: ArrayBuffer[]): void;
  /** Whether work is under way that the process should wait for. */
  hold(busy: boolean): void;
  stop(): Promise<unknown> | void;
}

/** Sound of a file: all of it, or in pieces of mono samples. */
export type Decoded = AudioBuffer | { pieces: AsyncIterable<Float32Array>; rate: number };

export interface Host {
  /** What computes where nothing is said. */
  defaultBackend: BackendChoice;
  /** Starts the engine's worker. */
  start(onMessage: (message: FromWorker) => void, onError: (reason: string) => void): Port;
  /** A file of a model by its address, or path. */
  partAt(address: string, file: string): ModelPart;
  /** The files in a folder; undefined: it is none, or nobody can tell. */
  filesOf(address: string): Promise<ModelPart[] | undefined>;
  /** The address, or path, of a file that ships with this package. */
  shipped(file: string): string | undefined;
  /** The module that drives GPUs, loaded only when one is looked for. */
  loadGpu(): Promise<typeof import('./gpu.js')>;
  /** The file of the voice activity network, which ships with this package too. */
  readVad(): Promise<Uint8Array>;
  /** An address as workers can fetch it. */
  absolute(address: string): string;
  /** Opens a recording by address. */
  openAudio(address: string): Promise<Blob | ReadableStream<Uint8Array>>;
  /** Decodes a recording that is not WAV. */
  decode(file: Blob): Promise<Decoded>;
  /** Models on this device, and the others that use them. */
  kept: KeptStore;
  tabs: Tabs;
  /** How much is kept, and may be. */
  estimate(): Promise<StoreEstimate>;
  /** Asks that it is not cleared away; whether that was granted. */
  persist(): Promise<boolean>;
}

/** A download of an address that nothing is known about. */
export const plainDownload = (url: string, file: string): ModelPart => ({
  kind: 'download',
  name: file,
  file,
  urls: [url],
});
