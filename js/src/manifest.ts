// A list of models that a site hosts itself, of the same shape as the one that comes along (js/models.json):
//
//   address ─> JSON ─┐
//   object ──────────┴─> checked, defaults filled in, sources made absolute ─> Manifest
import { host } from '@host';
import { Access, type AccessOptions } from './access.js';
import { abortError, SottoError } from './errors.js';
import { urlOf } from './hub-reference.js';
import type { Manifest, ManifestFile, ManifestModel, ManifestSource } from './models.js';
import { BadAnswer, jsonOf, request } from './request.js';

/** A model as a site lists it. What is left out is not known, or told by the file. */
export interface SiteModel extends Partial<Omit<ManifestModel, 'id' | 'kind' | 'file' | 'files' | 'size_bytes' | 'sources'>> {
  id: string;
  kind: string;
  file: string;
  size_bytes: number;
  files?: readonly ManifestFile[] | undefined;
  /** Addresses may be relative to that of the manifest; left out: `file` beside the manifest. */
  sources?: readonly Exclude<ManifestSource, { type: 'package' }>[] | undefined;
}

/** A manifest as a site writes it. */
export interface SiteManifest {
  /** Ids of the models that count where none is named: of speech, and of language. */
  default?: string | undefined;
  default_language?: string | undefined;
  models: readonly SiteModel[];
}

const MOST_BYTES = 4 << 20;
const MOST_MODELS = 10_000;
const MOST_FILES = 1000;
const MOST_SOURCES = 20;
const MOST_TEXT = 2000;

type Record_ = Record<string, unknown>;

function objectAt(value: unknown, at: string): Record_ {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new BadAnswer(`${at} must be an object`);
  return value as Record_;
}

function listAt(value: unknown, at: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw new BadAnswer(`${at} must be an array`);
  if (value.length > most) throw new BadAnswer(`${at} has more than ${most} entries`);
  return value;
}

function textAt(value: unknown, at: string): string {
  if (typeof value !== 'string' || value.length > MOST_TEXT || /[\x00-\x1f\x7f]/.test(value)) throw new BadAnswer(`${at} must be a text of one line`);
  return value;
}

function countAt(value: unknown, at: string, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw new BadAnswer(`${at} must be a whole number, ${least} or more`);
  return value as number;
}

function hashAt(value: unknown, at: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/i.test(value)) throw new BadAnswer(`${at} must be 64 hexadecimal digits, or null`);
  return value.toLowerCase();
}

function fileNameAt(value: unknown, at: string): string {
  const name = textAt(value, at);
  if (name === '' || name.length > 255 || /^\.|[/\\:*?"<>|]/.test(name)) throw new BadAnswer(`${at} must be the name of a file, without a folder`);
  return name;
}

function addressAt(value: unknown, at: string, base: string): string {
  let url: URL;
  try {
    url = new URL(textAt(value, at), base);
  } catch {
    throw new BadAnswer(`${at} must be an address`);
  }
  if (!/^(https?|file):$/.test(url.protocol) || (url.protocol === 'file:' && !base.startsWith('file:'))) throw new BadAnswer(`${at} must be an address of http or https`);
  return url.href;
}

function sourceAt(value: unknown, at: string, base: string): ManifestSource {
  const source = objectAt(value, at);
  if (source['type'] === 'url') return { type: 'url', url: addressAt(source['url'], `${at}.url`, base) };
  if (source['type'] !== 'npm') throw new BadAnswer(`${at}.type must be "url" or "npm"`);
  const [name, version, path] = ['package', 'version', 'path'].map((key) => textAt(source[key], `${at}.${key}`));
  if (!/^(@[\w.-]+\/)?[\w.-]+$/.test(name)) throw new BadAnswer(`${at}.package must be the name of an npm package`);
  if (!/^[\w.+-]+$/.test(version)) throw new BadAnswer(`${at}.version must be a version`);
  if (path.split('/').some((part) => ['', '.', '..'].includes(part))) throw new BadAnswer(`${at}.path must be a path in the package`);
  return { type: 'npm', package: name, version, path };
}

function modelAt(value: unknown, at: string, base: string): ManifestModel {
  const m = objectAt(value, at);
  const text = (key: string, or: string): string => (m[key] === undefined ? or : textAt(m[key], `${at}.${key}`));
  const id = textAt(m['id'], `${at}.id`);
  if (!/^[\p{L}\p{N}][\p{L}\p{N} ._+-]{0,99}$/u.test(id)) throw new BadAnswer(`${at}.id must be a name of letters, digits, ".", "_", "+" and "-"`);
  const kind = textAt(m['kind'], `${at}.kind`);
  if (!/^\w{1,40}$/.test(kind)) throw new BadAnswer(`${at}.kind must be "whisper" or the architecture of a language model`);
  const file = fileNameAt(m['file'], `${at}.file`);
  const files =
    m['files'] === undefined
      ? undefined
      : listAt(m['files'], `${at}.files`, MOST_FILES).map((entry, i): ManifestFile => {
          const [place, part] = [`${at}.files[${i}]`, objectAt(entry, `${at}.files[${i}]`)];
          const size_bytes = countAt(part['size_bytes'], `${place}.size_bytes`, 0);
          return { file: fileNameAt(part['file'], `${place}.file`), size_bytes, sha256: hashAt(part['sha256'], `${place}.sha256`) };
        });
  if (files && (files.length === 0 || new Set(files.map((part) => part.file)).size < files.length))
    throw new BadAnswer(`${at}.files must name each file once`);
  const beside = [{ type: 'url', url: files ? './' : `./${encodeURIComponent(file)}` }];
  const sources = listAt(m['sources'] ?? beside, `${at}.sources`, MOST_SOURCES).map((source, i) => sourceAt(source, `${at}.sources[${i}]`, base));
  if (sources.length === 0) throw new BadAnswer(`${at}.sources must have an entry`);
  if (files && !sources.every((source) => source.type === 'url' && source.url.endsWith('/')))
    throw new BadAnswer(`${at}.sources must be addresses of folders, with "/" at their ends, for a model of several files`);
  return {
    ...{ id, name: text('name', id), kind, weights: text('weights', ''), file },
    ...(files && { files }),
    languages: m['languages'] === undefined ? 0 : countAt(m['languages'], `${at}.languages`, 0),
    ...(m['context'] !== undefined && { context: countAt(m['context'], `${at}.context`, 1) }),
    size_bytes: countAt(m['size_bytes'], `${at}.size_bytes`, 1),
    sha256: hashAt(m['sha256'], `${at}.sha256`),
    license: text('license', ''),
    ...(m['license_url'] !== undefined && { license_url: addressAt(m['license_url'], `${at}.license_url`, base) }),
    sources,
  };
}

/** Checks what strangers may have written; `base` is where relative addresses begin. Throws a BadAnswer, which says where and what should be there. */
function checked(data: unknown, base: string): Manifest {
  const m = objectAt(data, 'the whole');
  const models = listAt(m['models'], 'models', MOST_MODELS).map((model, i) => modelAt(model, `models[${i}]`, base));
  const ids = new Set<string>();
  for (const { id } of models) {
    if (ids.has(id)) throw new BadAnswer(`two models have the id ${id}`);
    ids.add(id);
  }
  const idAt = (key: string): string | undefined => {
    if (m[key] === undefined) return undefined;
    const id = textAt(m[key], key);
    if (!ids.has(id)) throw new BadAnswer(`${key} is ${id}, which is no id of its models`);
    return id;
  };
  return { default: idAt('default'), default_language: idAt('default_language'), models };
}

/** What readManifest() made, which need not be checked again, and where it was read; "": it was given. */
const made = new WeakMap<object, string>();

/** Where a manifest is or was read; undefined: it is an object of the caller's. */
export function addressOf(manifest: string | URL | SiteManifest | Manifest): string | undefined {
  if (typeof manifest === 'string' || manifest instanceof URL) return host.absolute(String(manifest));
  return made.get(manifest) || undefined;
}

/**
 * Reads a site's manifest: checks it, fills in what it leaves out, and makes its addresses absolute. What it gives is fit for `manifest` of
 * create(). Throws a SottoError: `network` where it cannot be fetched, `format` where it is none.
 */
export async function readManifest(
  manifest: string | URL | SiteManifest | Manifest,
  { signal, ...options }: AccessOptions & { signal?: AbortSignal | undefined } = {},
): Promise<Manifest> {
  if (typeof manifest === 'object' && made.has(manifest)) return manifest as Manifest;
  const address = addressOf(manifest);
  const what = address === undefined ? 'The manifest' : `The manifest ${address}`;
  try {
    const data = address === undefined ? manifest : await fetched(address, what, options, signal);
    const result = checked(data, address ?? host.absolute('./'));
    made.set(result, address ?? '');
    return result;
  } catch (error) {
    if (!(error instanceof BadAnswer)) throw error;
    throw new SottoError('format', `${what} cannot be used: ${error.message}.`);
  }
}

async function fetched(address: string, what: string, options: AccessOptions, signal: AbortSignal | undefined): Promise<unknown> {
  const fail = (why: string): SottoError => new SottoError('network', `${what} could not be fetched (${why}).`);
  const access = new Access(options);
  access.give(address);
  let response: Response;
  try {
    response = urlOf(address)?.protocol === 'file:' ? new Response(await host.openAudio(address)) : await request(address, signal ? { signal } : {}, access.headersFor(address));
  } catch (error) {
    if (signal?.aborted) throw signal.reason ?? abortError();
    throw fail(error instanceof Error ? error.message : String(error));
  }
  if (!response.ok) throw fail(`HTTP status ${response.status}`);
  return jsonOf(response, MOST_BYTES).catch((error: Error) => {
    if (signal?.aborted) throw signal.reason ?? abortError();
    throw error instanceof BadAnswer ? error : fail(error.message);
  });
}
