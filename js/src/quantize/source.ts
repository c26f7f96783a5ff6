// What a caller may give to be quantized, as files whose bytes the worker reads by ranges.
//
//   folder: FileList, File[], { name: Blob }, directory handle, path ─┐
//   one file: Blob, buffer, path, address ────────────────────────────┼─> names, arranged (files.ts) ─> parts
//   folder by address: hf:OWNER/REPO and its pages, or ADDRESS/ ──────┘
import { host } from '@host';
import { Access, type AccessOptions } from '../access.js';
import { probe } from '../download-range.js';
import { SottoError } from '../errors.js';
import { arrangeCheckpoint, partsOf } from '../files.js';
import { parseReference, type HubReference } from '../hub-reference.js';
import { hubParts, isUrl, nameOf, partAt, withName } from '../model-input.js';
import type { ModelPart } from '../protocol.js';
import { request, type OwnHeaders } from '../request.js';

export type QuantizeSource =
  /** A GGUF file or a ggml .bin; of a Blob without a name nothing can be told by it. */
  | Blob
  | ArrayBuffer
  | ArrayBufferView
  /** An address of a file, or of a folder: it ends in "/", or is a model on a hub ("hf:OWNER/REPO", or its page). (Node) a path of either. */
  | string
  | URL
  /** The files of a folder, or all parts of a split GGUF file; those that are not needed are passed over. */
  | Iterable<string | URL | File | { name: string; source: Blob | string | URL }>
  | Readonly<Record<string, Blob>>
  /** Of a folder, as showDirectoryPicker() gives it. */
  | DirectoryHandleLike;

/** What of a FileSystemDirectoryHandle is used; spelled out, as not every place has the types. */
export interface DirectoryHandleLike {
  readonly kind: 'directory';
  readonly name: string;
}

export interface ResolvedSource {
  parts: ModelPart[];
  /** Of the model, as far as names tell it: "gemma-3-270m". */
  name: string;
}

/** A file of some address; its name may say a folder in front. */
interface Named {
  name: string;
  part: ModelPart;
}

export async function resolveSource(source: QuantizeSource, options: AccessOptions, signal: AbortSignal): Promise<ResolvedSource> {
  const access = new Access(options);
  if (typeof source === 'string' || source instanceof URL) return resolveAddress(String(source), access, signal);
  if (source instanceof Blob) {
    const name = nameOfFile(source) || 'model';
    return { parts: [blobPart(await sniffed(name, source), source)], name: stem(name) };
  }
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source))
    return resolveSource(new Blob([source as ArrayBuffer]), options, signal);
  const wrong = new SottoError('argument', 'The source must be a file, an address, the files of a folder, or a handle of one.');
  if (typeof source !== 'object' || source === null) throw wrong;
  if (Symbol.iterator in source) {
    const files = [...(source as Iterable<string | URL | File | { name: string; source: Blob | string | URL }>)].map((entry) => entryOf(entry, access));
    if (files.length === 1) return arranged(files, stem(files[0].name));
    const folder = folderOf(source as Iterable<unknown>);
    return arranged(files, folder);
  }
  if ('kind' in source && source.kind === 'directory') {
    const files: Named[] = [];
    for await (const file of filesIn(source as DirectoryHandleLike)) files.push({ name: file.name, part: blobPart(file.name, file) });
    return arranged(files, (source as DirectoryHandleLike).name);
  }
  const entries = Object.entries(source as Record<string, Blob>);
  if (!entries.every(([, blob]) => blob instanceof Blob)) throw wrong;
  return arranged(entries.map(([name, blob]) => ({ name: nameOf(name), part: blobPart(nameOf(name), blob) })), 'model');
}

const blobPart = (file: string, blob: Blob): ModelPart => ({ kind: 'blob', file, blob, size: blob.size });
const nameOfFile = (blob: Blob): string => (blob as Partial<File>).name ?? '';

/** "x-bf16-00001-of-00002.gguf" -> "x" */
const stem = (name: string): string =>
  nameOf(name)
    .replace(/\.(gguf|bin|safetensors)$/i, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .replace(/[-_.](f32|f16|bf16|q8_0|q4_0|[qQ]\d_[\w]+|F32|F16|BF16)$/, '') || 'model';

/** Blobs without a name that says what they are, are told by their first bytes. */
async function sniffed(name: string, blob: Blob): Promise<string> {
  if (/\.(gguf|bin)$/i.test(name)) return name;
  const head = await blob.slice(0, 4).text();
  return `${name}.${head === 'GGUF' ? 'gguf' : 'bin'}`;
}

function entryOf(entry: string | URL | File | { name: string; source: Blob | string | URL }, access: Access): Named {
  if (typeof entry === 'string' || entry instanceof URL) return { name: nameOf(String(entry)), part: partAt(String(entry), nameOf(String(entry)), {}, access) };
  if (entry instanceof Blob) {
    const name = nameOfFile(entry);
    if (name === '') throw new SottoError('argument', 'A Blob among the files of a model needs a name: give { name, source }.');
    return { name, part: blobPart(name, entry) };
  }
  if (typeof entry?.name !== 'string') throw new SottoError('argument', 'The files of a model must be Files, addresses, or { name, source }.');
  const name = nameOf(entry.name);
  return { name, part: entry.source instanceof Blob ? blobPart(name, entry.source) : partAt(String(entry.source), name, {}, access) };
}

/** The folder that files say they were chosen in. */
function folderOf(files: Iterable<unknown>): string {
  for (const file of files) {
    const [folder, rest] = ((file as Partial<File>).webkitRelativePath ?? '').split('/');
    if (rest !== undefined) return folder;
  }
  return '';
}

async function* filesIn(handle: DirectoryHandleLike): AsyncGenerator<File> {
  const entries = (handle as unknown as { values(): AsyncIterable<FileSystemHandle> }).values();
  for await (const entry of entries) if (entry.kind === 'file') yield await (entry as FileSystemFileHandle).getFile();
}

function arranged(files: readonly Named[], folder: string): ResolvedSource {
  if (files.length === 0) throw new SottoError('argument', 'The source has no files.');
  const names = arrangeCheckpoint(files.map(({ name }) => name));
  const parts = names.map((name) => files.find((file) => file.name === name)!.part);
  return { parts, name: folder || stem(names.find((name) => /\.(gguf|bin)$/i.test(name)) ?? 'model') };
}

// ---- by address ----

async function resolveAddress(address: string, access: Access, signal: AbortSignal): Promise<ResolvedSource> {
  const reference = parseReference(address, access.hub);
  if (reference) return resolveHub(reference, access, signal);
  const folder = await host.filesOf(address);
  if (folder) return arranged(folder.map((part) => ({ name: part.file, part })), nameOf(address));
  if (isUrl(address) && new URL(host.absolute(address)).pathname.endsWith('/')) return resolveFolder(address, access, signal);
  if (!isUrl(address) && address.endsWith('/')) return resolveFolder(host.absolute(address), access, signal);
  const name = nameOf(address);
  if (/\.(safetensors|json)$/i.test(name))
    throw new SottoError('argument', `${name} alone is no model: give the address of its folder, with "/" at its end.`);
  const names = partsOf(name) ?? [name];
  return { parts: names.map((file) => partAt(withName(address, file), file, {}, access)), name: stem(name) };
}

/** A model on a hub, named by its file, or else by its folder. */
async function resolveHub(reference: HubReference, access: Access, signal: AbortSignal): Promise<ResolvedSource> {
  const parts = await hubParts(reference, arrangeCheckpoint, {}, access, signal);
  const file = parts.find((part) => /\.(gguf|bin)$/i.test(part.file))?.file;
  return { parts, name: file === undefined ? nameOf(reference.path || reference.repo) : stem(file) };
}

/** Files that a folder may have beside its weights. */
const BESIDE = ['config.json', 'tokenizer.model', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'generation_config.json'];
const BESIDE_WHISPER = ['vocab.json', 'added_tokens.json', 'preprocessor_config.json'];
const INDEX = 'model.safetensors.index.json';

/** A folder that nobody lists: its files are asked for by their names. */
async function resolveFolder(base: string, access: Access, signal: AbortSignal): Promise<ResolvedSource> {
  const at = (name: string): string => new URL(name, host.absolute(base)).href;
  access.give(host.absolute(base));
  const own = access.headersFor(host.absolute(base));
  const config = await request(at('config.json'), { signal }, own).catch((error: Error) => {
    signal.throwIfAborted();
    throw new SottoError('network', `${at('config.json')} could not be fetched (${error.message}).`);
  });
  if (!config.ok) throw new SottoError('network', `There is no config.json in ${base} (HTTP status ${config.status}): give the address of a model's folder.`);
  const { model_type: type } = ((await config.json().catch(() => ({}))) ?? {}) as { model_type?: unknown };
  const wanted = [...BESIDE.slice(1), ...(type === 'whisper' ? BESIDE_WHISPER : [])];
  const here = async (name: string): Promise<boolean> => probe(at(name), signal, own).then(() => true, () => false);
  const there = await Promise.all(wanted.map(here));
  const beside = ['config.json', ...wanted.filter((_, i) => there[i])];
  const weights = (await here('model.safetensors')) ? ['model.safetensors'] : await shardsOf(at(INDEX), own, signal);
  const parts = [...beside, ...weights].map((name) => partAt(at(name), name, {}, access));
  return { parts, name: nameOf(base) };
}

async function shardsOf(url: string, own: OwnHeaders | undefined, signal: AbortSignal): Promise<string[]> {
  const missing = new SottoError('network', `There is neither model.safetensors nor ${INDEX} beside config.json.`);
  const response = await request(url, { signal }, own).catch(() => undefined);
  signal.throwIfAborted();
  if (!response?.ok) throw missing;
  const index = (await response.json().catch(() => undefined)) as { weight_map?: Record<string, unknown> } | undefined;
  const names = new Set(Object.values(index?.weight_map ?? {}).filter((name): name is string => typeof name === 'string' && /^[\w.-]+\.safetensors$/.test(name)));
  if (names.size === 0) throw missing;
  return [INDEX, ...[...names].sort()];
}
