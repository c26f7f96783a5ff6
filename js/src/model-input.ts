// What a caller may give as model, and how it travels to the worker: by address or path, as Blobs, or in pieces.
//
//   id ─> manifest (models.ts, manifest.ts) ─┐
//   hf:owner/repo ─> its hub (hub.ts) ───────┤
//   address, path ───────────────────────────┼─> files, arranged (files.ts) ─> parts: { file, where its bytes are } ─> worker
//   bytes, streams ──────────────────────────┘                                        └─> pieces, for those that only the page can read
import { host } from '@host';
import { Access, type AccessOptions } from './access.js';
import { SottoError } from './errors.js';
import { arrange, partsOf } from './files.js';
import { filesOfReference, type Arrange, type HubFile } from './hub.js';
import { parseReference, resolveAddress, type HubReference } from './hub-reference.js';
import type { ModelKind } from './kind.js';
import { addressOf, readManifest, type SiteManifest } from './manifest.js';
import { findModel, urlsOf, type Manifest, type ManifestFile, type ManifestModel } from './models.js';
import type { ModelPart, ModelSpec } from './protocol.js';
import { QuantizedModel } from './quantize/made.js';
import { filesOf, storedFiles, type StoredModel } from './store/list.js';
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
  /**
   * Also an id of the manifest ("gemma-3-270m-q4_0"), a model on Hugging Face ("hf:OWNER/REPO/FILE.gguf", "hf:OWNER/REPO@REVISION/FILE.gguf",
   * "hf:OWNER/REPO:Q4_0", or the address of its page); (Node) also a folder. Of a GGUF file in parts the first will do.
   */
  | ModelFile
  /** Made here, by quantize(). */
  | QuantizedModel
  /** One of modelStore.list(); also "stored:ID". */
  | StoredModel
  /** The parts of a split GGUF file, or the files of a Hugging Face folder; others among them are left out. */
  | readonly (string | URL | Blob | { name: string; source: ModelFile })[];

export interface ModelOptions extends AccessOptions {
  /** Addresses to try before the model's own; one that ends in "/" is a folder with its files, of the same names. */
  sources?: readonly (string | URL)[] | undefined;
  /** Models that a site hosts: its manifest, or the address of it. Their ids come before those of the list that comes along. */
  manifest?: string | URL | SiteManifest | Manifest | undefined;
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
  const all = await resolveAll(model, options, kind, signal, new Access(options));
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
  access: Access,
): Promise<Resolved[]> {
  const stored = storedId(model);
  if (stored !== undefined) return storedParts(stored, access);
  if (model instanceof QuantizedModel) return resolveAll(await model.open(), options, kind, signal, access);
  if (Array.isArray(model)) return resolveArray(model, options, signal, access);
  if (!(typeof model === 'string' || model instanceof URL)) return [await resolveFile(model as ModelFile, 'model', options, signal, access)];
  const address = String(model);
  const known = typeof model === 'string' ? await findKnown(model, options, kind, signal, access) : undefined;
  if (known) return knownParts(known, options, access).map((part) => ({ part }));
  const reference = parseReference(address, access.hub);
  const parts = reference ? await hubParts(reference, arrange, options, access, signal) : await partsAt(address, options, access);
  return parts.map((part) => ({ part }));
}

/** The id of a model of the store: "stored:ID", or the entry of a list. */
function storedId(model: ModelInput): string | undefined {
  if (typeof model === 'string') return model.startsWith('stored:') ? model.slice('stored:'.length) : undefined;
  const entry = model as Partial<StoredModel> | null;
  return typeof entry === 'object' && typeof entry?.id === 'string' && typeof entry.origin === 'string' ? entry.id : undefined;
}

async function storedParts(id: string, access: Access): Promise<Resolved[]> {
  const files = await filesOf(id);
  if (files.length === 0) throw new SottoError('argument', `There is no model ${id} on this device: modelStore.list() gives those that are.`);
  return Promise.all(
    files.map(async (file) => {
      const part = await file.part();
      if (part.kind !== 'download') return { part };
      part.urls.forEach((url) => access.give(url)); // what is not whole goes on from there
      return { part: { ...part, headers: access.headersOf(part.urls) } };
    }),
  );
}

/** A model of the site's manifest, or of the one that comes along. */
async function findKnown(
  id: string,
  { manifest, hub, headers }: ModelOptions,
  kind: ModelKind | undefined,
  signal: AbortSignal | undefined,
  access: Access,
): Promise<ManifestModel | undefined> {
  if (manifest === undefined || isUrl(id)) return findModel(id, kind);
  const address = addressOf(manifest);
  if (address !== undefined) access.give(address);
  return findModel(id, kind, await readManifest(manifest, { hub, headers, signal }));
}

/** The caller's own addresses of a file. */
function sourcesOf(file: string, { sources = [] }: ModelOptions, access: Access): string[] {
  return sources.map((source) => {
    const address = String(source);
    const url = host.absolute(address.endsWith('/') ? address + encodeURIComponent(file) : address);
    access.give(url);
    return url;
  });
}

/** A file to be fetched. */
function download(
  file: { file: string; name: string; urls: string[]; size?: number | undefined; sha256?: string | undefined; cacheKey?: string | undefined },
  { cache = true }: ModelOptions,
  access: Access,
): ModelPart {
  const { cacheKey } = file;
  return { kind: 'download', ...file, cacheKey: cache ? cacheKey : undefined, fresh: !cache, headers: access.headersOf(file.urls) };
}

/** A model of a manifest. */
function knownParts(known: ManifestModel, options: ModelOptions, access: Access): ModelPart[] {
  const { id, files } = known;
  return (files ?? [known]).map(({ file, size_bytes: size, sha256: hash }: ManifestFile) => {
    const sha256 = hash ?? undefined;
    const urls = sourcesOf(file, options, access);
    for (const source of known.sources) {
      const shipped = source.type === 'package' ? host.shipped(file) : undefined;
      const found = shipped ? [shipped] : urlsOf(source).map((url) => access.atHub(files ? url + encodeURIComponent(file) : url));
      const path = found.find((address) => !/^https?:/.test(address));
      if (path !== undefined) return { ...host.partAt(path, file), size, sha256 };
      urls.push(...found);
    }
    return download({ name: files ? `${id}, ${file}` : id, file, urls, size, sha256, cacheKey: sha256 ?? `${size}-${file}` }, options, access);
  });
}

/** The files of a model on a hub; `order` says which of a folder's files they are. */
export async function hubParts(
  reference: HubReference,
  order: Arrange,
  options: ModelOptions,
  access: Access,
  signal: AbortSignal | undefined,
): Promise<ModelPart[]> {
  const { hub } = access;
  access.give(hub);
  const kept = (): Promise<HubFile[]> => keptOf(reference, hub);
  const files = await filesOfReference(reference, order, { hub, own: access.headersFor(hub), signal, kept });
  return files.map(({ path, url, size, sha256, oid }: HubFile) => {
    const file = path.slice(path.lastIndexOf('/') + 1);
    const urls = [...sourcesOf(file, options, access), url];
    const cacheKey = sha256 ?? (oid && `git-${oid}`);
    return download({ name: `hf:${reference.repo}/${path}`, file, urls, size, sha256, cacheKey }, options, access);
  });
}

/** Files of a repository that were downloaded before. */
async function keptOf(reference: HubReference, hub: string): Promise<HubFile[]> {
  const base = resolveAddress(reference, '', hub);
  const all = await storedFiles().catch(() => []);
  return all.flatMap(({ complete, source = '', size, sha256, key }): HubFile[] => {
    const path = complete && source.startsWith(base) ? decoded(source.slice(base.length)) : undefined;
    if (path === undefined) return [];
    return [{ path, url: source, size, sha256, oid: /^git-([0-9a-f]{40})$/.exec(key)?.[1] }];
  });
}

/** A path of an address; undefined: it is none. */
function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** A file, all parts of one that is split, or (Node) the files of a folder. */
async function partsAt(address: string, options: ModelOptions, access: Access): Promise<ModelPart[]> {
  const folder = await host.filesOf(address);
  if (folder) return arrange(folder.map(({ file }) => file)).map((name) => folder.find(({ file }) => file === name)!);
  const name = nameOf(address);
  const split = partsOf(name);
  return (split ?? [name]).map((file) => partAt(split ? withName(address, file) : address, file, options, access));
}

/** A file by address or path. */
export function partAt(address: string, file: string, options: ModelOptions, access: Access): ModelPart {
  const part = host.partAt(address, file);
  if (part.kind !== 'download') return part;
  part.urls.forEach((url) => access.give(url));
  return download({ ...part, urls: [...sourcesOf(file, options, access), ...part.urls] }, options, access);
}

async function resolveArray(
  model: Extract<ModelInput, readonly unknown[]>,
  options: ModelOptions,
  signal: AbortSignal | undefined,
  access: Access,
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
  return Promise.all(arrange([...files.keys()]).map((name) => resolveFile(files.get(name)!, name, options, signal, access)));
}

async function resolveFile(
  model: ModelFile,
  name: string,
  options: ModelOptions,
  signal: AbortSignal | undefined,
  access: Access,
): Promise<Resolved> {
  const pulled = (pieces: Pieces<Uint8Array>, size?: number): Resolved => ({
    part: { kind: 'pulled', file: name, size },
    pieces,
  });
  if (typeof model === 'string' || model instanceof URL) {
    const reference = parseReference(String(model), access.hub);
    if (!reference) return { part: partAt(String(model), name, options, access) };
    const [part, ...more] = await hubParts(reference, arrange, options, access, signal);
    if (more.length > 0) throw new SottoError('argument', `${String(model)} is a model of ${more.length + 1} files: give it alone, or each of them.`);
    return { part: { ...part, file: name } };
  }
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
    const file = name === 'model' ? nameOf(url) : name;
    access.give(url);
    const urls = [...sourcesOf(file, options, access), url];
    return { part: download({ name: file, file, urls, size: model.size, sha256, cacheKey: sha256 }, options, access) };
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
