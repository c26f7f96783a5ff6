/* What is in memory: one model that hears and one that writes, at most. Where memory is small, one of them makes room for the other. */

import { signal } from '@preact/signals';

export type Job = 'speech' | 'language';

export interface Occupant {
  name: string;
  bytes: number; // of its weights
  where: string; // "2 threads", "GPU"
  busy: () => boolean; // it is at work, and is not to be disturbed
  free: () => void;
}

export const inMemory = signal<Readonly<Partial<Record<Job, Occupant>>>>({});

/** Both are wanted at once, as by a conversation aloud. */
export const together = signal(false);

/** Tells what is in memory now; null: nothing. */
export function occupy(job: Job, occupant: Occupant | null): void {
  const { [job]: _, ...rest } = inMemory.value;
  inMemory.value = occupant ? { ...rest, [job]: occupant } : rest;
}

const SMALL_GIB = 4; // devices with as much run other programs beside the page, too

/** Browsers tell it in powers of two, 8 at most; those that tell nothing count as large. */
export const memoryIsSmall = ((navigator as { deviceMemory?: number }).deviceMemory ?? 8) <= SMALL_GIB;

/** Before a model for `job` is loaded: the other one goes, where both are too much. */
export function makeRoom(job: Job): void {
  if (!memoryIsSmall || together.value) return;
  const other = inMemory.value[job === 'speech' ? 'language' : 'speech'];
  if (other && !other.busy()) other.free();
}
