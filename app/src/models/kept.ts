/* What this device keeps: every model in the store, also those on their way, and the room they take. Changes by other tabs are seen, too. */

import { computed, signal } from '@preact/signals';
import { modelStore, models, type ManifestModel, type StoredModel } from 'sotto';
import { stem } from '../ui/words.ts';

export type { StoredModel };

export interface Room {
  usage: number; // bytes of this page, all together
  quota: number; // bytes that it may have
  persisted: boolean; // the browser does not clear them away by itself
}

export const kept = signal<readonly StoredModel[]>([]);
export const room = signal<Room | null>(null); // null: not known
export const looked = signal(false); // the store has been read once

export const whole = computed(() => kept.value.filter((model) => model.complete));

let reading: Promise<void> | null = null;
let again = false;

/** Reads the store; calls while it is read are answered by one more reading. */
export function refreshKept(): Promise<void> {
  if (reading) {
    again = true;
    return reading;
  }
  reading = (async () => {
    do {
      again = false;
      const [all, estimate] = await Promise.all([modelStore.list().catch(() => []), modelStore.estimate().catch(() => null)]);
      kept.value = all;
      room.value = estimate && estimate.quota ? { usage: estimate.usage, quota: estimate.quota, persisted: estimate.persisted } : null;
    } while (again);
    looked.value = true;
    reading = null;
  })();
  return reading;
}

modelStore.addEventListener('change', () => void refreshKept());

/* ---- what a kept model is ---- */

/** Its entry in the list that comes with the page, where it is one of these. */
export function manifestOf({ sha256, file, size }: StoredModel): ManifestModel | undefined {
  return models.find((m) => (sha256 && m.sha256 ? m.sha256 === sha256 : m.file === file && m.size_bytes === size));
}

/** What it is for. A file of which nobody said so is judged by its name. */
export function kindOf(model: StoredModel): 'speech' | 'language' {
  const known = manifestOf(model)?.kind ?? model.architecture;
  if (model.kind) return model.kind;
  if (known) return known === 'whisper' ? 'speech' : 'language';
  return /\.bin$|whisper/i.test(model.file) ? 'speech' : 'language';
}

export function nameOf(model: StoredModel): string {
  const known = manifestOf(model);
  if (known) return known.name;
  return model.origin === 'made' ? model.name : stem(model.name);
}

/** "Q5_1", or '' where nobody said so. */
export const typeOf = (model: StoredModel): string => (manifestOf(model)?.weights ?? model.type ?? '').toUpperCase();

/** As which a section of the page knows it: the manifest's id, or one of its own. */
export const idOf = (model: StoredModel): string => manifestOf(model)?.id ?? `stored:${model.id}`;

/** Those that the page's own list does not have: files of the person, and what was made here. */
export const others = computed(() => whole.value.filter((model) => !manifestOf(model)));

/** Ids of the manifest's models that are whole and here. */
export const hereIds = computed<ReadonlySet<string>>(() => new Set(whole.value.flatMap((model) => manifestOf(model)?.id ?? [])));

/** Whether `id`, which an earlier visit noted, means this model: what was made here had other names once. */
export const means = (id: string, model: StoredModel): boolean => id === idOf(model) || (model.origin === 'made' && id === `made:${model.name}`);
