/* Models to measure: the default of each kind, and those that are on this device. */

import { signal } from '@preact/signals';
import { defaultModel, models, modelStore, type ModelInput, type StoredModel } from 'sotto';
import { DEFAULT_MODEL, MODELS as TALKERS } from '../chat/models.ts';
import { MODELS as HEARERS } from '../transcribe/engine.ts';
import type { Kind, ModelFacts } from './result.ts';

export interface Candidate extends ModelFacts {
  kind: Kind;
  here: boolean; // on this device, or with this page
  stored: boolean; // it need not be fetched
  input: ModelInput;
  sources: string[];
}

const BESIDE = ['models/']; // where someone put models beside the page

/** One of the manifest, by its id; undefined: there is none. */
function known(id: string, stored: boolean): Candidate | undefined {
  const entry = models.find((m) => m.id === id);
  if (!entry) return undefined;
  const { weights, sha256, size_bytes: bytes } = entry;
  const speech = HEARERS.find((m) => m.id === id);
  const talker = TALKERS.find((m) => m.id === id);
  return {
    ...{ kind: speech ? 'speech' : 'language', id, bytes, weights, ...(sha256 && { sha256 }) },
    name: speech ? `Whisper ${speech.label}` : (talker?.name ?? entry.name),
    ...{ here: stored || talker === DEFAULT_MODEL, stored, input: id, sources: talker?.sources ?? BESIDE },
  };
}

/** One that is kept: as the manifest names it, where it is of the manifest. */
function candidateOf(model: StoredModel): Candidate | undefined {
  const { id, name, bytes, kind, sha256, type } = model;
  const entry = sha256 && models.find((m) => m.sha256 === sha256);
  if (entry) return known(entry.id, true);
  return kind && { kind, id, name, bytes, ...(type && { weights: type }), ...(sha256 && { sha256 }), ...{ here: true, stored: true, input: model, sources: [] } };
}

const defaults = (): Candidate[] => [known(defaultModel, false)!, known(DEFAULT_MODEL.id, false)!];

export const candidates = signal<readonly Candidate[]>(defaults());

/** Looks what is on this device, small to large. */
export async function refreshCandidates(): Promise<void> {
  const all = await modelStore.list().catch(() => []);
  const kept = all.filter(({ complete }) => complete).flatMap((model) => candidateOf(model) ?? []);
  const byId = new Map([...defaults(), ...kept].map((model) => [model.id, model]));
  candidates.value = [...byId.values()].sort((a, b) => a.bytes - b.bytes);
}

/** From now on the list is that of the device, whichever tab changes it. */
export function watchCandidates(): () => void {
  const onChange = () => void refreshCandidates();
  onChange();
  modelStore.addEventListener('change', onChange);
  return () => modelStore.removeEventListener('change', onChange);
}

/** What of a candidate belongs into a result. */
export const factsOf = ({ id, name, bytes, weights, sha256 }: Candidate): ModelFacts => ({
  ...{ id, name, bytes },
  ...(weights && { weights }),
  ...(sha256 && { sha256 }),
});
