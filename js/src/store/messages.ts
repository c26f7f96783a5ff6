// What the page and a worker say to each other about the store.
import type { Download, ModelPart } from '../protocol.js';
import type { TransferState } from './tabs.js';

/** A file to be taken in. */
export interface ImportFile {
  name: string;
  /** Bytes; (Node) a path. */
  source: Blob | string;
}

export type StoreTask =
  | { kind: 'download'; parts: (ModelPart & Download)[] }
  | { kind: 'import'; files: ImportFile[]; title: string }
  | { kind: 'verify'; keys: string[] };

/** Of all files of a task. */
export interface StoreNews {
  /** Of the file that is worked on. */
  key: string;
  bytes: number;
  size: number | undefined;
  state: TransferState;
}

/** Keys of what is kept now; of "verify", of those that are as they should be. */
export interface StoreResult {
  keys: string[];
}
