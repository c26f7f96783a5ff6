// What the page's side of the package needs of the world around it. host.browser.ts and host.node.ts provide it; the
// build puts the right one in place of '@host'.
import type { FromWorker, ModelSpec, ToWorker } from './protocol.js';

export interface Port {
  post(message: ToWorker, transfer?: ArrayBuffer[]): void;
  /** Whether work is under way that the process should wait for. */
  hold(busy: boolean): void;
  stop(): Promise<unknown> | void;
}

/** Sound of a file: all of it, or in pieces of mono samples. */
export type Decoded = AudioBuffer | { pieces: AsyncIterable<Float32Array>; rate: number };

export interface Host {
  /** Starts the engine's worker. */
  start(onMessage: (message: FromWorker) => void, onError: (reason: string) => void): Port;
  /** A model named by something that is no id of the manifest. */
  modelAt(address: string): ModelSpec;
  /** An address as workers can fetch it. */
  absolute(address: string): string;
  /** Opens a recording by address. */
  openAudio(address: string): Promise<Blob | ReadableStream<Uint8Array>>;
  /** Decodes a recording that is not WAV. */
  decode(file: Blob): Promise<Decoded>;
  isCached(sha256: string, file: string): Promise<boolean>;
  removeCached(sha256: string, file: string): Promise<void>;
}

/** A download of an address that nothing is known about. */
export function plainDownload(url: string): ModelSpec {
  const name = decodeURIComponent(new URL(url).pathname.split('/').pop() || url);
  return { kind: 'download', download: { name, file: name, urls: [url], cache: false } };
}
