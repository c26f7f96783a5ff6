// What a caller may give as model, and how it travels to the worker: by address or path, as Blobs, or in pieces.
//
//   id ─> manifest ─┐
//   address, path ──┼─> files, arranged (files.ts) ─> parts: { file, where its bytes are } ─> worker
//   bytes, streams ─┘                                        └─> pieces, for those that only the page can read
import { host } from '@host';
import { SottoError } from './errors.js';
import { arrange, partsOf } from './files.js';
import type { ModelKind } from './kind.js';
import { findModel, urlsOf, type ManifestModel } from './models.js';
import type { ModelPart, ModelSpec } from './protocol.js';
import { QuantizedModel } from './quantize/made.js';
import { bytePieces, streamPieces, type Pieces } from './stream.js';

/** One file of a model. */
export type ModelFile =
  /** An address, or (Node) a path. */
  | string
  | URL
  /** A file by address that is checked and kept. */
  | { url: string | URL; sha256: string; size?: number | undefined }
  | Blob
  | ArrayBuffer
  | ArrayBufferView
  | ReadableStream<Uint8Array>
  | Response
  | Request;

export type ModelInput =
  /** Also an id of the manifest ("gemma-3-270m-q4_0"); (Node) also a folder. Of a GGUF file in parts the first will do. */
  | ModelFile
  /** Made here, by quantize(). */
  | QuantizedModel
  /** The parts of a split GGUF file, or the files of a Hugging Face folder; others among them are left out. */
  | readonly (string | URL | Blob | { name: string; source: ModelFile })[];

export interface ModelOptions {
  /** Addresses to try before the manifest's; one that ends in "/" is a folder with files named as in the manifest. */
  sources?: readonly (string | URL)[] | undefined;
  /** false: neither look in the cache nor keep the model there. Default true. */
  cache?: boolean | undefined;
}

export interface ResolvedModel {
  spec: ModelSpec;
  /** For the parts that are pulled from here, in their order. */
  pieces: Pieces<Uint8Array>[];
}

interface Resolved {
  part: ModelPart;
  pieces?: Pieces<Uint8Array> | undefined;
}

export const isUrl = (address: string): boolean => /^[a-z]{2,}:/i.test(address);

/** The last part of an address or a path. */
export function nameOf(address: string): string {
  if (!isUrl(address)) return address.split(/[/\\]/).filter(Boolean).pop() ?? address;
  const { pathname } = new URL(address);
  return decodeURIComponent(pathname.split('/').filter(Boolean).pop() ?? address);
}

/** The same place, with another file. */
export const withName = (address: string, name: string): string =>
  isUrl(address)
    ? address.replace(/[^/?#]+(?=[?#]|$)/, () => encodeURIComponent(name))
    : address.replace(/[^/\\]+$/, () => name);

export async function resolveModel(
  model: ModelInput,
  options: ModelOptions,
  kind: ModelKind | undefined,
  signal?: AbortSignal,
): Promise<ResolvedModel> {
  const all = await resolveAll(model, options, kind, signal);
  return {
    spec: { parts: all.map(({ part }) => part) },
    pieces: all.flatMap(({ pieces }) => (pieces ? [pieces] : [])),
  };
}

async function resolveAll(
  model: ModelInput,
  options: ModelOptions,
  kind: ModelKind | undefined,
  signal: AbortSignal | undefined,
): Promise<Resolved[]> {
  if (model instanceof QuantizedModel) return resolveAll(await model.open(), options, kind, signal);
  if (Array.isArray(model)) return resolveArray(model, options, signal);
  if (typeof model === 'string') {
    const known = findModel(model, kind);
    if (known) return [{ part: knownPart(known, options) }];
  }
  if (typeof model === 'string' || model instanceof URL) {
    const address = String(model);
    const folder = await host.filesOf(address);
    if (folder)
      return arrange(folder.map(({ file }) => file)).map((name) => ({
        part: folder.find(({ file }) => file === name)!,
      }));
    const parts = partsOf(nameOf(address));
    if (parts) return parts.map((name) => ({ part: host.partAt(withName(address, name), name) }));
    return [{ part: host.partAt(address, nameOf(address)) }];
  }
  return [await resolveFile(model as ModelFile, 'model', options, signal)];
}

/** A model of the manifest. */
function knownPart(known: ManifestModel, { sources = [], cache = true }: ModelOptions): ModelPart {
  const { id, file, size_bytes: size } = known;
  const sha256 = known.sha256 ?? undefined;
  const urls = sources.map((source) =>
    host.absolute(String(source).endsWith('/') ? String(source) + file : String(source)),
  );
  for (const source of known.sources) {
    const shipped = source.type === 'package' ? host.shipped(file) : undefined;
    if (shipped && !shipped.startsWith('http')) return { ...host.partAt(shipped, file), size, sha256 };
    urls.push(...(shipped ? [shipped] : urlsOf(source)));
  }
  return {
    kind: 'download',
    name: id,
    file,
    urls,
    size,
    sha256,
    cacheKey: cache ? (sha256 ?? `${size}-${file}`) : undefined,
  };
}

async function resolveArray(
  model: Extract<ModelInput, readonly unknown[]>,
  options: ModelOptions,
  signal?: AbortSignal,
): Promise<Resolved[]> {
  const files = new Map<string, ModelFile>();
  for (const entry of model) {
    if (typeof entry === 'string' || entry instanceof URL) files.set(nameOf(String(entry)), entry);
    else if (entry instanceof Blob) {
      const { name = '' } = entry as Partial<File>;
      if (name === '')
        throw new SottoError('argument', 'A Blob among the files of a model needs a name: give { name, source }.');
      files.set(name, entry);
    } else if (typeof entry?.name === 'string') files.set(nameOf(entry.name), entry.source);
    else throw new SottoError('argument', 'The files of a model must be addresses, Files, or { name, source }.');
  }
  if (files.size === 0) throw new SottoError('argument', 'The model has no files: the array is empty.');
  return Promise.all(arrange([...files.keys()]).map((name) => resolveFile(files.get(name)!, name, options, signal)));
}

async function resolveFile(
  model: ModelFile,
  name: string,
  { cache = true }: ModelOptions,
  signal?: AbortSignal,
): Promise<Resolved> {
  const pulled = (pieces: Pieces<Uint8Array>, size?: number): Resolved => ({
    part: { kind: 'pulled', file: name, size },
    pieces,
  });
  if (typeof model === 'string' || model instanceof URL) return { part: host.partAt(String(model), name) };
  if (model instanceof Blob) return { part: { kind: 'blob', file: name, blob: model, size: model.size } };
  if (model instanceof ArrayBuffer || ArrayBuffer.isView(model)) return pulled(bytePieces(model), model.byteLength);
  if (model instanceof ReadableStream) return pulled(checkedBytes(streamPieces(model)));
  const response =
    typeof Request !== 'undefined' && model instanceof Request ? await fetch(model, signal ? { signal } : {}) : model;
  if (typeof Response !== 'undefined' && response instanceof Response) {
    if (!response.ok)
      throw new SottoError(
        'network',
        `The model could not be fetched: ${response.url}: HTTP status ${response.status}.`,
      );
    if (!response.body)
      throw new SottoError('argument', 'The Response of the model has no body, or it was read already.');
    const size = response.headers.has('content-encoding') ? 0 : Number(response.headers.get('content-length') ?? 0);
    return pulled(streamPieces(response.body), size || undefined);
  }
  if (typeof model === 'object' && model !== null && 'sha256' in model && typeof model.sha256 === 'string') {
    const url = host.absolute(String(model.url));
    const sha256 = model.sha256.toLowerCase();
    const cacheKey = cache ? sha256 : undefined;
    const file = name === 'model' ? nameOf(url) : name;
    return { part: { kind: 'download', name: file, file, urls: [url], size: model.size, sha256, cacheKey } };
  }
  throw new SottoError(
    'argument',
    'model must be an id, an address, a Blob, a buffer, a stream, a Response, or an array of files.',
  );
}

async function* checkedBytes(pieces: Pieces<Uint8Array>): Pieces<Uint8Array> {
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array))
      throw new SottoError('argument', 'A stream with a model must give Uint8Arrays.');
    yield piece;
  }
}
