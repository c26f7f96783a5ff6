// Names of models on a hub such as huggingface.co, as people write them:
//
//   hf:OWNER/REPO                       the model of the repository, where it has one
//   hf:OWNER/REPO:Q4_0                  its GGUF file of that type
//   hf:OWNER/REPO/PATH/FILE.gguf        a file, or a folder
//   hf:OWNER/REPO@REVISION...           at a branch, a tag or a commit; also at the end: hf:OWNER/REPO/FILE.gguf@REVISION
//   https://huggingface.co/OWNER/REPO   pages of a repository, of a folder (tree/) or a file (blob/, resolve/)
import { SottoError } from './errors.js';

export const HUB = 'https://huggingface.co';
/** Where pages of the hub are, too. */
const HUB_HOSTS = ['huggingface.co', 'www.huggingface.co', 'hf.co'];

export interface HubReference {
  /** "owner/repo" */
  repo: string;
  /** A branch, a tag or a commit. */
  revision: string;
  /** Of a file or a folder; "": the repository. */
  path: string;
  /** Type of the weights, as it stands in the name of the file. */
  tag?: string | undefined;
}

/** Its last letters say that a path ends here, and a revision may follow. */
const WEIGHTS = /\.(gguf|bin|safetensors)$/i;

const MOST_PATH = 1024;
const isName = (name: string): boolean => /^\w([\w.-]{0,94}\w)?$/.test(name) && !/\.\.|--/.test(name);
const isRevision = (name: string): boolean => /^\w[\w./+-]{0,254}$/.test(name) && !/\.\.|\/\/|\/\.|[/.]$/.test(name);
const isTag = (tag: string): boolean => /^\w[\w.+-]{0,63}$/.test(tag);
const isPath = (path: string): boolean =>
  path.length <= MOST_PATH && !/[\x00-\x1f\x7f\\?#]/.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));

/** What is wrong with a reference; undefined: nothing. */
function problemOf({ repo, revision, path, tag }: HubReference): string | undefined {
  const [owner, name, ...more] = repo.split('/');
  if (!isName(owner) || name === undefined || !isName(name) || more.length > 0) return `${repo} is no OWNER/REPO`;
  if (!isRevision(revision)) return `${revision} is no revision`;
  if (path !== '' && !isPath(path)) return `${path} is no path in a repository`;
  if (tag !== undefined && !isTag(tag)) return `${tag} is no type of weights`;
  return undefined;
}

const HOW = 'write hf:OWNER/REPO/FILE.gguf, hf:OWNER/REPO@REVISION/FILE.gguf or hf:OWNER/REPO:Q4_0';

/** Throws a SottoError, code `argument`, for "hf:" with something else behind it. */
function parseShort(text: string): HubReference {
  const plain = (words: string): string => words.replace(/[\x00-\x1f\x7f]/g, '?');
  const wrong = (why: string): SottoError => new SottoError('argument', plain(`${text} cannot be looked up (${why}): ${HOW}.`));
  const [, repo, behind] = /^hf:(?:\/\/)?([^/@:]+\/[^/@:]+)(.*)$/s.exec(text) ?? [];
  if (repo === undefined) throw wrong('it names no OWNER/REPO');
  // Revisions of pull requests have slashes, which may be written as they are.
  const [, atRepo, afterRevision] = /^@(refs\/(?:pr|convert)\/[^/:]+|[^/:]+)(.*)$/s.exec(behind) ?? [];
  let revision = atRepo;
  let path = '';
  let tag: string | undefined;
  const rest = afterRevision ?? behind;
  if (rest.startsWith('/')) {
    path = rest.slice(1).replace(/\/+$/, '');
    const [, file, atEnd] = /^(.*)@([^@]+)$/s.exec(path) ?? [];
    if (revision === undefined && file !== undefined && WEIGHTS.test(file)) [path, revision] = [file, atEnd];
  } else if (rest.startsWith(':')) {
    const [, word, atEnd] = /^:([^@]*)(?:@(.*))?$/s.exec(rest)!;
    if (atEnd !== undefined && revision !== undefined) throw wrong('it has two revisions');
    tag = word;
    revision ??= atEnd;
  } else if (rest !== '') {
    throw wrong(`${rest} is not expected after ${repo}`);
  }
  const reference = { repo, revision: (revision ?? 'main').replace(/%2f/gi, '/'), path, tag };
  const problem = problemOf(reference);
  if (problem) throw wrong(problem);
  return reference;
}

/** undefined: it is none. */
export function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** The parts of an address below `base`, decoded; undefined: it is elsewhere. */
function below(url: URL, base: URL): string[] | undefined {
  const root = base.pathname.replace(/\/*$/, '/');
  if (url.origin !== base.origin || !url.pathname.startsWith(root)) return undefined;
  const parts = url.pathname.slice(root.length).split('/').filter(Boolean);
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** First parts of addresses that are no owner's. */
const RESERVED = ['api', 'datasets', 'spaces', 'models', 'docs', 'blog', 'papers', 'collections', 'organizations', 'settings'];

function parsePage(url: URL, hub: string): HubReference | undefined {
  const home = HUB_HOSTS.includes(url.host) ? new URL(url.origin) : new URL(hub);
  const [owner, name, kind, revision = 'main', ...path] = below(url, home) ?? [];
  if (name === undefined || RESERVED.includes(owner)) return undefined;
  if (!(kind === undefined || kind === 'tree' || (['blob', 'resolve'].includes(kind) && path.length > 0))) return undefined;
  const reference = { repo: `${owner}/${name}`, revision, path: path.join('/') };
  return problemOf(reference) ? undefined : reference;
}

/** Whether it names a model on a hub, and not a place. */
export const isShortReference = (text: string): boolean => /^hf:/i.test(text);

/**
 * What an address says about a model on a hub, of which `hub` is the base address; undefined: it is another address, a path or an id.
 * Throws a SottoError, code `argument`, for what begins with "hf:" and cannot be one.
 */
export function parseReference(text: string, hub: string): HubReference | undefined {
  if (isShortReference(text)) return parseShort(text.replace(/^hf:/i, 'hf:'));
  const url = urlOf(text);
  return url && /^https?:$/.test(url.protocol) ? parsePage(url, hub) : undefined;
}

/** The base address of a hub, without "/" at its end. */
export function checkHub(hub: string | URL | undefined): string {
  if (hub === undefined) return HUB;
  const url = urlOf(String(hub));
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '')
    throw new SottoError('argument', `hub must be the base address of a hub such as ${HUB}, not ${String(hub)}.`);
  return url.href.replace(/\/+$/, '');
}

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** Where the bytes of a file are. */
export const resolveAddress = ({ repo, revision }: HubReference, path: string, hub: string): string =>
  `${hub}/${repo}/resolve/${encodeURIComponent(revision)}/${encoded(path)}`;

/** Where the files of a folder are listed. */
export const treeAddress = ({ repo, revision }: HubReference, folder: string, hub: string): string =>
  `${hub}/api/models/${repo}/tree/${encodeURIComponent(revision)}${folder === '' ? '' : `/${encoded(folder)}`}`;
