// What is kept on this device, as lists show it: the files of a model put together.
import { host } from '@host';
import { SottoError } from '../errors.js';
import type { EarlierAbout, Group, KeptAbout } from '../kept.js';
import type { ModelKind } from '../kind.js';
import { models } from '../models.js';
import type { ModelPart } from '../protocol.js';
import { bytesThere, parseUnfinished } from './journal.js';
import { keyOf } from './keys.js';

/** A model on this device, whole or in the making. */
export interface StoredModel {
  /** Of its bytes, where one file is kept whole and its hash is known: its SHA-256. */
  id: string;
  /** For people: "tiny-q5_1", or what it was called where it came from. */
  name: string;
  /** As which to save it; of several files the first. */
  file: string;
  /** How many files it has; open() gives as many. */
  files: number;
  /** Bytes that are here. */
  bytes: number;
  /** Of the whole; undefined: not known yet. */
  size: number | undefined;
  /** It can be loaded. */
  complete: boolean;
  /** This tab, or another, is writing it. */
  busy: boolean;
  sha256?: string | undefined;
  /** Which class takes it: "language" LanguageModel, "speech" Transcriber. */
  kind?: ModelKind | undefined;
  architecture?: string | undefined;
  /** Of most of its weights: "q4_K_M". */
  type?: string | undefined;
  origin: 'download' | 'import' | 'made';
  /** Where it was downloaded. */
  source?: string | undefined;
  /** When it became whole; in ms since 1970. 0: not known. */
  added: number;
  /** When it was last loaded, in ms since 1970; 0: never, or not known. */
  used: number;
}

/** A file of the store. */
export interface StoredFile extends Omit<StoredModel, 'files'> {
  key: string;
  group?: Group | undefined;
  open(): Promise<Blob | string>;
  remove(): Promise<void>;
  /** How it is loaded. */
  part(): Promise<ModelPart>;
}

const kindOf = (architecture: string): ModelKind | undefined =>
  architecture === '' ? undefined : architecture === 'whisper' ? 'speech' : 'language';

const about = (architecture: string, type: string): Pick<StoredModel, 'kind' | 'architecture' | 'type'> => ({
  kind: kindOf(architecture),
  architecture: architecture || undefined,
  type: type || undefined,
});

/** Every file that is kept, oldest first; those that quantize() has not finished are in unfinishedQuantizations(). */
export async function storedFiles(): Promise<StoredFile[]> {
  const { kept, tabs } = host;
  const [whole, unfinished, earlier, used, writing] = await Promise.all([kept.list(), kept.unfinished(), kept.earlier(), kept.used(), tabs.writing()]);
  const times = (key: string): { used: number; busy: boolean } => ({ used: used.get(key) ?? 0, busy: writing.has(key) });
  const rest = (key: string): Pick<StoredFile, 'key' | 'open' | 'remove'> => ({ key, open: () => kept.open(key), remove: () => kept.remove(key) });
  const all = whole.map((file): StoredFile => ({ ...ofWhole(file), ...times(file.name), ...rest(file.name) }));
  for (const { name: key, journal } of unfinished) {
    const found = parseUnfinished(journal);
    if (!found) continue;
    const { about: { title, sha256, origin, source, group }, file, size } = found;
    const part = async (): Promise<ModelPart> => {
      if (!source) throw new SottoError('argument', `The model ${title} is not whole: import its file again.`);
      return { kind: 'download', name: title, file, urls: [source], size, sha256, cacheKey: key, group };
    };
    all.push({ id: key, name: title, file, bytes: bytesThere(found), size, complete: false, sha256, origin, source, group, added: 0, ...times(key), ...rest(key), part });
  }
  const known = new Set(all.map(({ key }) => key));
  return [...all, ...earlier.filter(({ key }) => !known.has(key)).map(ofEarlier)].sort((a, b) => a.added - b.added);
}

function ofWhole({ name: key, file, bytes, architecture, type, made, store }: KeptAbout): Omit<StoredFile, 'key' | 'open' | 'remove' | 'used' | 'busy'> {
  const common = { file, bytes, size: bytes, complete: true, added: made, ...about(architecture, type) };
  if (!store) {
    const part = async (): Promise<ModelPart> => {
      const opened = await host.kept.open(key);
      return opened instanceof Blob ? { kind: 'blob', file, blob: opened, size: opened.size } : { kind: 'path', file, path: opened };
    };
    return { id: key, name: key, origin: 'made', ...common, part };
  }
  const { title, sha256, origin, source, group } = store;
  const part = async (): Promise<ModelPart> => ({ kind: 'download', name: title, file, urls: source ? [source] : [], size: bytes, sha256, cacheKey: key, stored: key });
  return { id: group ? key : (sha256 ?? key), name: title, sha256, origin, source, group, ...common, part };
}

/** One of an earlier version is taken over when it is loaded. */
function ofEarlier({ key, file, bytes, complete, open, remove }: EarlierAbout): StoredFile {
  const model = models.find((each) => each.sha256 === key || (file !== undefined && each.file === file && (!complete || each.size_bytes === bytes)));
  const { id: name = file ?? 'model', kind: architecture = '', weights = '', sha256 = null } = model ?? {};
  const size = model?.size_bytes ?? (complete ? bytes : undefined);
  const part = async (): Promise<ModelPart> => {
    const opened = file === undefined ? undefined : await open();
    if (typeof opened === 'string' && complete) return { kind: 'path', file: file!, path: opened };
    return { kind: 'download', name, file: model?.file ?? name, urls: [], size, sha256: sha256 ?? key, cacheKey: sha256 ?? key };
  };
  const known = { sha256: sha256 ?? undefined, ...about(architecture, weights) };
  return { id: key, key, name, file: model?.file ?? file ?? name, bytes, size, complete, busy: false, ...known, origin: 'download', added: 0, used: 0, open, remove, part };
}

/** The files that an id, or a key, names; in their order. None: [] */
export async function filesOf(id: string): Promise<StoredFile[]> {
  const all = await storedFiles();
  const group = all.filter((file) => file.group?.id === id).sort((a, b) => a.group!.index - b.group!.index);
  if (group.length > 0) return group;
  return all.filter((file) => file.id === id || file.key === id || file.sha256 === id).sort((a, b) => Number(b.complete) - Number(a.complete)).slice(0, 1);
}

/** Files that are one model become one entry. */
export function modelsOf(files: readonly StoredFile[]): StoredModel[] {
  const groups = groupBy(files);
  return [...groups].map(([id, members]) => {
    const { group, key: _, open: __, remove: ___, part: ____, ...first } = members[0];
    if (!group) return { ...first, files: 1 };
    const weights = members.find(({ architecture }) => architecture) ?? members[0];
    const sum = (of: (file: StoredFile) => number): number => members.reduce((total, file) => total + of(file), 0);
    const all = members.length === group.count;
    return {
      ...{ id, name: group.title, file: first.file, files: group.count, origin: first.origin, source: first.source },
      ...{ bytes: sum(({ bytes }) => bytes), size: all && members.every(({ size }) => size !== undefined) ? sum(({ size }) => size!) : undefined },
      complete: all && members.every(({ complete }) => complete),
      busy: members.some(({ busy }) => busy),
      ...{ kind: weights.kind, architecture: weights.architecture, type: weights.type },
      added: Math.max(...members.map(({ added }) => added)),
      used: Math.max(...members.map(({ used }) => used)),
    };
  });
}

function groupBy(files: readonly StoredFile[]): Map<string, StoredFile[]> {
  const groups = new Map<string, StoredFile[]>();
  for (const file of files) {
    const id = file.group?.id ?? file.key;
    groups.set(id, [...(groups.get(id) ?? []), file]);
  }
  return groups;
}

/** Waits for those that read it; refuses while it is written. */
export async function removeFile(file: StoredFile): Promise<void> {
  const { tabs } = host;
  if ((await tabs.writing()).has(file.key)) throw new SottoError('argument', `The model ${file.name} is being written, perhaps in another tab: stop that first.`);
  const release = await tabs.lock(file.key, 'exclusive', new AbortController().signal);
  try {
    await file.remove();
  } finally {
    release();
    tabs.tell({ type: 'change' });
  }
}

/** Whether a part of a model is whole on this device. */
export async function isStored(part: Extract<ModelPart, { kind: 'download' }>): Promise<boolean> {
  const key = await keyOf(part);
  const files = await storedFiles();
  return files.some((file) => file.complete && (file.key === key || (part.sha256 !== undefined && file.sha256 === part.sha256)));
}

/** Removes what is kept of it. */
export async function removeStored(part: Extract<ModelPart, { kind: 'download' }>): Promise<void> {
  const key = await keyOf(part);
  for (const file of await storedFiles())
    if (file.key === key || (part.sha256 !== undefined && file.sha256 === part.sha256)) await removeFile(file);
}
