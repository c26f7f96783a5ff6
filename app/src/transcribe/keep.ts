/* What survives a reload: the settings (localStorage), and the transcript with its recording (IndexedDB).
 * Nothing here may break the page: a browser that refuses storage only forgets. */

import { del, get, set } from 'idb-keyval';
import { backendOf, type BackendChoice } from '../ui/place.ts';
import type { Segment } from './engine.ts';
import { noteOpen } from './last-open.ts';

export interface Settings {
  model: string; // name in the manifest, or 'own'
  language: string; // code, or 'auto'
  translate: boolean;
  beamSize: number;
  timestamps: boolean;
  prompt: string;
  backend: BackendChoice;
}

export const DEFAULTS: Settings = {
  model: 'tiny-q5_1',
  language: 'auto',
  translate: false,
  beamSize: 1,
  timestamps: true,
  prompt: '',
  backend: 'auto',
};

/** One transcript with all that is needed to show and play it again. */
export interface Kept {
  name: string; // of the file
  file: Blob | null; // null where it was too large to keep
  video: boolean;
  recorded: boolean; // from the microphone, so there is no other copy
  duration: number; // s
  peaks: Float32Array;
  segments: Segment[];
  language: { code: string; probability: number };
  summary: string; // one line on how it was made
  edited: boolean;
}

const LARGEST_FILE = 512e6; // bytes kept for the player

export function readSettings(): Settings {
  try {
    const stored = JSON.parse(localStorage.getItem('settings') ?? '{}') as Partial<Settings>;
    return { ...DEFAULTS, ...stored, backend: backendOf(stored.backend) };
  } catch {
    return DEFAULTS;
  }
}

export function writeSettings(settings: Settings): void {
  try {
    localStorage.setItem('settings', JSON.stringify(settings));
  } catch {
    // forgotten with the page
  }
}

export type Slot = 'current' | 'previous';

export async function readKept(slot: Slot): Promise<Kept | null> {
  try {
    return (await get<Kept>(slot)) ?? null;
  } catch {
    return null;
  }
}

/** Keeps `kept` under `slot`, or empties the slot. Without room for the recording, the text alone is kept. */
export async function writeKept(slot: Slot, kept: Kept | null): Promise<void> {
  if (slot === 'current') noteOpen(kept !== null);
  try {
    if (!kept) return await del(slot);
    const small = kept.file && kept.file.size <= LARGEST_FILE ? kept : { ...kept, file: null };
    await set(slot, small).catch(() => set(slot, { ...kept, file: null }));
  } catch {
    // forgotten with the page
  }
}
