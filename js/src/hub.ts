// Files of models on a hub such as huggingface.co: what its API lists, with sizes and SHA-256, and which of them are the model.
//
//   reference ─> list of a folder, page by page ─> files ─> the one that is named ─────────────┐
//                                                       ├─> the one of the type that is named ─┼─> all parts of it
//                                                       └─> the only GGUF, or a whole folder ──┘
import { abortError, SottoError } from './errors.js';
import { partsOf } from './files.js';
import { resolveAddress, treeAddress, type HubReference } from './hub-reference.js';
import { BadAnswer, jsonOf, request, type OwnHeaders } from './request.js';

/** A file in a repository. */
export interface HubFile {
  /** From the root of the repository. */
  path: string;
  url: string;
  /** Not known where the list could not be had. */
  size?: number | undefined;
  /** Of files in large file storage. */
  sha256?: string | undefined;
  /** Of the others: the hash of git, which names their bytes too. */
  oid?: string | undefined;
}

export interface HubContext {
  /** Base address, without "/" at its end. */
  hub: string;
  /** Files of this repository, at this revision, that are on the device: the list where the hub does not answer. */
  kept(): Promise<HubFile[]>;
  own: OwnHeaders | undefined;
  signal: AbortSignal | undefined;
}

const MOST_PAGES = 20;
const MOST_PAGE_BYTES = 8 << 20;
/** Names that an error lists. */
const MOST_NAMES = 20;

/** The last part of a path. */
const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));

/** As it may be written. */
const nameOf = ({ repo, revision, path }: HubReference): string =>
  `${repo}${revision === 'main' ? '' : `@${revision}`}${path === '' ? '' : `/${path}`}`;

/** What a status means that a server gives for a file; where the address is one of a hub, also what to do. */
export function refusal(status: number, address: string): string {
  const base = `HTTP status ${status}`;
  if (status !== 401 && status !== 403) return base;
  const [, page] = /^(https?:\/\/.+?\/[\w.-]+\/[\w.-]+)\/resolve\//.exec(address) ?? [];
  if (page === undefined) return `${base}: the server wants to know who asks; give what it needs in headers`;
  return `${base}: there is no such model, or it must be asked for: accept its licence on ${page}, then give a token of your account in headers, or to the command in HF_TOKEN`;
}

/** The list of files could not be had; `told`: the hub itself says why, so that asking for the file is of no use. */
class ListError extends SottoError {
  readonly told: boolean;
  constructor(reference: HubReference, why: string, told: boolean) {
    super('network', `${nameOf(reference)} could not be looked up (${why}).`);
    this.told = told;
  }
}

/** Words of the hub for what is not there. */
const REASONS: Readonly<Record<string, (r: HubReference) => string>> = {
  RepoNotFound: ({ repo }) => `there is no repository ${repo}, or it must be asked for with a token in headers`,
  RevisionNotFound: ({ revision }) => `there is no revision ${revision}`,
  EntryNotFound: ({ path }) => `there is no ${path === '' ? 'such file' : path}`,
};

async function page(url: string, reference: HubReference, { hub, own, signal }: HubContext): Promise<Response> {
  const response = await request(url, signal ? { signal } : {}, own).catch((error: Error) => {
    if (signal?.aborted) throw signal.reason ?? abortError();
    throw new ListError(reference, error.message, false);
  });
  if (response.ok) return response;
  void response.body?.cancel().catch(() => {});
  const reason = REASONS[response.headers.get('x-error-code') ?? ''];
  const file = resolveAddress(reference, reference.path, hub);
  throw new ListError(reference, reason?.(reference) ?? refusal(response.status, file), reason !== undefined);
}

/** The files in a folder, and with `deep` those below it. Throws a ListError. */
async function list(reference: HubReference, folder: string, deep: boolean, c: HubContext): Promise<HubFile[]> {
  const base = treeAddress(reference, folder, c.hub);
  const files: HubFile[] = [];
  let query = deep ? '?recursive=true' : '';
  for (let n = 0; n < MOST_PAGES; n++) {
    const response = await page(base + query, reference, c);
    const entries = await jsonOf(response, MOST_PAGE_BYTES).catch((error: Error) => {
      if (c.signal?.aborted) throw c.signal.reason ?? abortError();
      if (!(error instanceof BadAnswer)) throw new ListError(reference, error.message, false);
    });
    if (!Array.isArray(entries)) throw new ListError(reference, 'its answer is no list of files', false);
    files.push(...entries.flatMap((entry: unknown) => fileOf(entry, reference, c.hub)));
    // A mirror may hand on the hub's own address: its query alone is used.
    const [, next] = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(response.headers.get('link') ?? '') ?? [];
    if (next === undefined) return files;
    query = new URL(next, base).search;
  }
  throw new ListError(reference, `it has more than ${MOST_PAGES} pages of files: name the file`, true);
}

function fileOf(entry: unknown, reference: HubReference, hub: string): HubFile[] {
  if (typeof entry !== 'object' || entry === null) return [];
  const { type, path, size, oid, lfs } = entry as Record<string, unknown>;
  if (type !== 'file' || typeof path !== 'string' || path.split('/').some((part) => ['', '.', '..'].includes(part))) return [];
  const whole = (n: unknown): number | undefined => (Number.isSafeInteger(n) && (n as number) >= 0 ? (n as number) : undefined);
  const hash = (text: unknown, digits: number): string | undefined =>
    typeof text === 'string' && new RegExp(`^[0-9a-f]{${digits}}$`).test(text) ? text : undefined;
  const large = typeof lfs === 'object' && lfs !== null ? (lfs as Record<string, unknown>) : undefined;
  return [
    {
      path,
      url: resolveAddress(reference, path, hub),
      size: whole(large ? large['size'] : size),
      sha256: large && hash(large['oid'], 64),
      oid: large ? undefined : hash(oid, 40),
    },
  ];
}

// ---- which files ----

/** Beside a model: what it sees with, what it guesses ahead with, and what it was made with. */
const isBeside = (path: string): boolean => /(^|[-_.])(mmproj|imatrix|mtp)([-_.]|$)/i.test(baseOf(path));
const isModel = (path: string): boolean => (/\.gguf$/i.test(path) || /^ggml-.*\.bin$/i.test(baseOf(path))) && !isBeside(path);

/** Files that are a model each; of one that is split the first part stands for all. */
const modelsOf = (files: readonly HubFile[]): string[] =>
  files.map(({ path }) => path).filter((path) => isModel(path) && (partsOf(baseOf(path))?.[0] ?? baseOf(path)) === baseOf(path));

/** Those whose name ends in the type, or at least has it: "Q4_0" is in x-q4_0.gguf, and not in x-Q4_0_4_4.gguf. */
function ofTag(paths: readonly string[], tag: string): string[] {
  const word = tag.replace(/[.+]/g, '\\$&');
  const stem = (path: string): string => path.replace(/(-\d{5}-of-\d{5})?\.(gguf|bin)$/i, '');
  const ends = paths.filter((path) => new RegExp(`(^|[-._/])${word}$`, 'i').test(stem(path)));
  return ends.length > 0 ? ends : paths.filter((path) => new RegExp(`(^|[-._/])${word}[-./]`, 'i').test(stem(path)));
}

const listed = (names: readonly string[]): string =>
  names.slice(0, MOST_NAMES).join(', ') + (names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : '');

/** The file and, where it is split, all of its parts. */
function wholeOf(path: string, files: readonly HubFile[], reference: HubReference): HubFile[] {
  const folder = folderOf(path);
  const names = partsOf(baseOf(path)) ?? [baseOf(path)];
  return names.map((name) => {
    const file = files.find((f) => f.path === (folder === '' ? name : `${folder}/${name}`));
    if (!file) {
      const have = listed(modelsOf(files));
      throw new SottoError('argument', `${name} is not in ${nameOf({ ...reference, path: folder })}${have && `, which has ${have}`}.`);
    }
    return file;
  });
}

/** Names of files in a folder -> those of them that are the model, in order. */
export type Arrange = (names: readonly string[]) => string[];

function pick(reference: HubReference, files: readonly HubFile[], arrange: Arrange): HubFile[] {
  const { path, tag } = reference;
  const what = nameOf(reference);
  const inside = path === '' ? files : files.filter((file) => file.path.startsWith(`${path}/`));
  const models = modelsOf(inside);
  if (tag !== undefined) {
    const found = ofTag(models, tag);
    if (found.length === 1) return wholeOf(found[0], files, reference);
    if (found.length > 1) throw new SottoError('argument', `${what} has ${found.length} models of the type ${tag}: name the file (${listed(found)}).`);
    const have = models.length > 0 ? `it has ${listed(models)}` : 'it has no GGUF file';
    throw new SottoError('argument', `${what} has no model of the type ${tag}: ${have}.`);
  }
  const here = inside.filter((file) => folderOf(file.path) === path && !isBeside(file.path));
  const names = here.map((file) => baseOf(file.path));
  const hasWeights = names.some((name) => /\.safetensors$/i.test(name));
  if (models.length > 1 && !hasWeights)
    throw new SottoError('argument', `${what} has ${models.length} models: name one by its type, as in hf:${reference.repo}:Q4_0, or by its file (${listed(models)}).`);
  if (models.length === 1 && !hasWeights) return wholeOf(models[0], files, reference);
  return arrange(names).map((name) => here.find((file) => baseOf(file.path) === name)!);
}

/**
 * The files of the model, in order. Where the hub does not answer, those that are kept count; and a file that is named is given then by its
 * address alone. Throws a SottoError: `network` where the hub does not answer, `argument` where there is no such model.
 */
export async function filesOfReference(reference: HubReference, arrange: Arrange, c: HubContext): Promise<HubFile[]> {
  const { path } = reference;
  if (/\.(safetensors|json)$/i.test(path)) {
    const folder = nameOf({ ...reference, path: folderOf(path) });
    throw new SottoError('argument', `${baseOf(path)} alone is no model: name its folder, hf:${folder}.`);
  }
  const isFile = /\.(gguf|bin)$/i.test(path);
  const choose = (files: readonly HubFile[]): HubFile[] => (isFile ? wholeOf(path, files, reference) : pick(reference, files, arrange));
  try {
    return choose(await list(reference, isFile ? folderOf(path) : path, path === '', c));
  } catch (error) {
    if (!(error instanceof ListError) || error.told) throw error;
    const kept = await c.kept();
    try {
      if (kept.length > 0) return choose(kept);
    } catch (problem) {
      if (!(problem instanceof SottoError)) throw problem; // what is kept is not what is asked for
    }
    if (!isFile) throw error;
    const folder = folderOf(path);
    const names = partsOf(baseOf(path)) ?? [baseOf(path)];
    return names.map((name) => {
      const whole = folder === '' ? name : `${folder}/${name}`;
      return { path: whole, url: resolveAddress(reference, whole, c.hub) };
    });
  }
}
