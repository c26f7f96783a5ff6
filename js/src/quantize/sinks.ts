// Outputs that the page writes itself: Blobs, files that a person chose, streams.
import { SottoError } from '../errors.js';
import type { OutputSpec } from './types.js';

/** What of a FileSystemFileHandle is used; spelled out, as not every place has the types. */
export interface FileHandleLike {
  readonly kind: 'file';
  readonly name: string;
  getFile(): Promise<Blob>;
}

export type QuantizeOutput =
  /** Among the models that are kept on this device. */
  | 'keep'
  /** Into a Blob. */
  | 'blob'
  /** (Node) a file. */
  | { path: string }
  /** A file that a person chose, as showSaveFilePicker() gives it. */
  | FileHandleLike
  /** Gets the bytes in their order, and is closed in the end. */
  | WritableStream<Uint8Array>;

export interface Sink {
  spec: OutputSpec;
  write(at: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Gives what can be opened; undefined: nothing. */
  close(): Promise<(() => Promise<Blob | string>) | undefined>;
  abort(): Promise<void>;
}

const noWrite = async (): Promise<void> => {
  throw new SottoError('internal', 'The worker writes this output itself.');
};

export async function openSink(output: QuantizeOutput, keepAs: string): Promise<Sink> {
  if (output === 'keep') return ofWorker({ kind: 'kept', name: keepAs }, undefined);
  if (output === 'blob') return ofBlob();
  if (output instanceof WritableStream) return ofStream(output);
  if (typeof output === 'object' && output !== null && 'path' in output && typeof output.path === 'string') {
    const { path } = output;
    return ofWorker({ kind: 'path', path }, async () => path);
  }
  if (typeof output === 'object' && output !== null && 'kind' in output && output.kind === 'file') return ofHandle(output);
  throw new SottoError('argument', 'output must be "keep", "blob", { path }, a file handle or a WritableStream.');
}

const ofWorker = (spec: OutputSpec, open: (() => Promise<string>) | undefined): Sink => ({
  spec,
  write: noWrite,
  close: async () => open,
  abort: async () => {},
});

function ofBlob(): Sink {
  const pieces: { at: number; blob: Blob }[] = [];
  return {
    spec: { kind: 'sent', inOrder: false },
    async write(at, bytes) {
      pieces.push({ at, blob: new Blob([bytes]) }); // browsers keep those on the disk
    },
    async close() {
      const whole = new Blob(pieces.sort((a, b) => a.at - b.at).map(({ blob }) => blob), { type: 'application/octet-stream' });
      return async () => whole;
    },
    async abort() {
      pieces.length = 0;
    },
  };
}

async function ofHandle(handle: FileHandleLike): Promise<Sink> {
  const file = await (handle as unknown as FileSystemFileHandle).createWritable();
  return {
    spec: { kind: 'sent', inOrder: false },
    write: (position, data) => file.write({ type: 'write', position, data }),
    async close() {
      await file.close();
      return () => handle.getFile();
    },
    abort: () => file.abort().catch(() => {}),
  };
}

function ofStream(stream: WritableStream<Uint8Array>): Sink {
  const writer = stream.getWriter();
  return {
    spec: { kind: 'sent', inOrder: true },
    async write(_, bytes) {
      await writer.ready;
      await writer.write(bytes);
    },
    async close() {
      await writer.close();
      return undefined;
    },
    abort: () => writer.abort().catch(() => {}),
  };
}
