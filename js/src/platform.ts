// What the engine's worker needs of the world around it. platform.browser.ts and platform.node.ts provide it; the build
// puts the right one in place of '@platform'.
import type { Variant } from './detect.js';
import type { Draft, Scratch } from './kept.js';
import type { FromWorker, ToWorker } from './protocol.js';
import type { Keeper } from './store/keeper.js';
import type { ThreadSeat } from './wasm.js';

export interface Platform {
  listen(onMessage: (message: ToWorker) => void): void;
  post(message: FromWorker, transfer?: ArrayBuffer[]): void;
  /** Compiles one of the four builds. */
  compile(variant: Variant): Promise<WebAssembly.Module>;
  /** The module that drives GPUs, loaded only when one is wanted. */
  loadGpu(): Promise<typeof import('./gpu.js')>;
  /** The same of the module that quantizes. */
  loadQuantizer(): Promise<typeof import('./quantizer.js')>;
  /** Processors, at least 1. */
  cores(): number;
  /** Starts a worker on a seat. */
  startThread(seat: ThreadSeat): Thread;
  /** Lets messages in. */
  breathe(): Promise<void>;
  /** Where models are kept. */
  keeper: Keeper;
  /** Short texts kept beside the models, by name: what was measured once. Where nothing can be kept, they are not. */
  notes: Notes;
  /** Reads a local file. */
  openFile(path: string): Promise<{ size: number; pieces: AsyncIterable<Uint8Array> }>;
  /** The same by ranges. `stamp` changes when the file changes. */
  openRanges(path: string): Promise<RangedFile>;
  /** Takes up, or begins, a model that is to be kept here under a name; the same at a path. */
  openDraft(name: string): Promise<Draft>;
  openDraftOfPath(path: string): Promise<Draft>;
  /** Bytes that are free where models are kept, or where a path is; undefined: nobody tells. */
  room(path?: string): Promise<number | undefined>;
  scratch(): Promise<Scratch>;
  /** A hash faster than the engine's own, where there is one. */
  sha256?(): Hash;
}

export interface RangedFile {
  size: number;
  stamp: string;
  /** Fewer than n at the end of the file. */
  read(offset: number, n: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export interface Notes {
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}

export interface Thread {
  stop(): Promise<unknown> | void;
}

export interface Hash {
  update(bytes: Uint8Array): void;
  /** In hexadecimal. */
  digest(): string;
}
