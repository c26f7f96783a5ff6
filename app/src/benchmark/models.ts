/* Models to measure: the default of each kind, and those that are on this device. */

import { computed } from '@preact/signals';
import { defaultModel, models, type ModelInput } from 'sotto';
import { DEFAULT_MODEL, entryOfKept, MODELS as TALKERS } from '../chat/models.ts';
import { hereIds, kindOf, others, type StoredModel } from '../models/kept.ts';
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

/** One of the manifest. */
function known({ id, weights, sha256, size_bytes: bytes, name }: (typeof models)[number], stored: boolean): Candidate {
  const speech = HEARERS.find((m) => m.id === id);
  const talker = TALKERS.find((m) => m.id === id);
  return {
    ...{ kind: speech ? 'speech' : 'language', id, bytes, weights, ...(sha256 && { sha256 }) },
    name: speech ? `Whisper ${speech.label}` : (talker?.name ?? name),
    ...{ here: stored || talker === DEFAULT_MODEL, stored, input: id, sources: talker?.sources ?? BESIDE },
  };
}

const LONGEST_NAME = 100; // characters

/** One of the person's own. */
function own(model: StoredModel): Candidate {
  const { id, name, bytes, input } = entryOfKept(model);
  const { sha256, type } = model;
  return {
    ...{ kind: kindOf(model), id, name: name.slice(0, LONGEST_NAME) || id, bytes, ...(type && { weights: type }), ...(sha256 && { sha256 }) },
    ...{ here: true, stored: true, input, sources: [] },
  };
}

/** Small to large. */
export const candidates = computed<readonly Candidate[]>(() => {
  const wanted = (id: string) => hereIds.value.has(id) || id === defaultModel || id === DEFAULT_MODEL.id;
  const listed = models.filter(({ id }) => wanted(id)).map((entry) => known(entry, hereIds.value.has(entry.id)));
  return [...listed, ...others.value.map(own)].sort((a, b) => a.bytes - b.bytes);
});

/** What of a candidate belongs into a result. */
export const factsOf = ({ id, name, bytes, weights, sha256 }: Candidate): ModelFacts => ({
  ...{ id, name, bytes },
  ...(weights && { weights }),
  ...(sha256 && { sha256 }),
});
