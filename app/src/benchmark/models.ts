/* Models to measure: the default of each kind, and those that are on this device. */

import { signal } from '@preact/signals';
import { defaultModel, models, type ModelInput } from 'sotto';
import { madeModels, refreshMade } from '../chat/made.ts';
import { DEFAULT_MODEL, isStored as talkerIsStored, MODELS as TALKERS } from '../chat/models.ts';
import { isStored as hearerIsStored, MODELS as HEARERS } from '../transcribe/engine.ts';
import type { Kind, ModelFacts } from './result.ts';

export interface Candidate extends ModelFacts {
  kind: Kind;
  here: boolean; // on this device
  made: boolean; // by quantizing on it
  input: ModelInput;
  sources: string[];
}

const BESIDE = ['models/']; // where someone put models beside the page

const ofManifest = (id: string): Pick<ModelFacts, 'weights' | 'sha256'> => {
  const { weights, sha256 } = models.find((m) => m.id === id)!;
  return { weights, ...(sha256 && { sha256 }) };
};

const hearer = (m: (typeof HEARERS)[number], here: boolean): Candidate => ({
  ...{ kind: 'speech', id: m.id, name: `Whisper ${m.label}`, bytes: m.bytes, ...ofManifest(m.id) },
  ...{ here, made: false, input: m.id, sources: BESIDE },
});

const talker = (m: (typeof TALKERS)[number], here: boolean): Candidate => ({
  ...{ kind: 'language', id: m.id, name: m.name, bytes: m.bytes, ...ofManifest(m.id) },
  ...{ here, made: false, input: m.input, sources: m.sources },
});

export const candidates = signal<readonly Candidate[]>([
  ...HEARERS.filter(({ id }) => id === defaultModel).map((m) => hearer(m, false)),
  talker(DEFAULT_MODEL, true), // comes with the page
]);

/** Looks what is on this device. */
export async function refreshCandidates(): Promise<void> {
  const [hearers, talkers] = await Promise.all([
    Promise.all(HEARERS.map(async (m) => hearer(m, await hearerIsStored(m).catch(() => false)))),
    Promise.all(TALKERS.map(async (m) => talker(m, m === DEFAULT_MODEL || (await talkerIsStored(m))))),
    refreshMade(),
  ]);
  const made = madeModels.value.map(({ id, name, bytes, input, made }): Candidate => ({
    ...{ kind: made.kind, id, name, bytes, weights: made.type },
    ...{ here: true, made: true, input, sources: [] },
  }));
  candidates.value = [...hearers, ...talkers, ...made].filter(({ id, here }) => here || id === defaultModel);
}

/** What of a candidate belongs into a result. */
export const factsOf = ({ id, name, bytes, weights, sha256 }: Candidate): ModelFacts => ({
  ...{ id, name, bytes },
  ...(weights && { weights }),
  ...(sha256 && { sha256 }),
});
