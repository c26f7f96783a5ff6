/* The last results and what was ticked, kept on the device (localStorage). A browser that refuses storage only forgets. */

import { checked, type Kind, type Result, type Where } from './result.ts';

export interface Choices {
  kinds: Kind[];
  places: Where[];
  rounds: number;
  models: Partial<Record<Kind, string>>; // ids
}

export const ROUNDS = [1, 3, 5, 10] as const;
const DEFAULTS: Choices = { kinds: ['speech', 'language'], places: ['one', 'all', 'gpu'], rounds: 5, models: {} };
const CHOICES = 'benchmark-choices';
const RESULTS = 'benchmark-results';

export const MOST_KEPT = 10;

function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null');
  } catch {
    return null;
  }
}

/** Whether the browser keeps it. */
function write(key: string, value: unknown): boolean {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function readChoices(): Choices {
  const kept = (read(CHOICES) ?? {}) as Partial<Record<keyof Choices, unknown>>;
  const some = <T>(value: unknown, of: readonly T[]): T[] => (Array.isArray(value) ? of.filter((each) => value.includes(each)) : [...of]);
  const models = (kept.models ?? {}) as Record<string, unknown>;
  const id = (kind: Kind) => (typeof models[kind] === 'string' ? { [kind]: models[kind] } : {});
  return {
    kinds: some(kept.kinds, DEFAULTS.kinds),
    places: some(kept.places, DEFAULTS.places),
    rounds: ROUNDS.find((n) => n === kept.rounds) ?? DEFAULTS.rounds,
    models: { ...id('speech'), ...id('language') },
  };
}

export const writeChoices = (choices: Choices): boolean => write(CHOICES, choices);

/** Newest first; what is damaged is left out. */
export function readResults(): Result[] {
  const kept = read(RESULTS);
  if (!Array.isArray(kept)) return [];
  return kept.slice(0, MOST_KEPT).flatMap((value) => {
    try {
      return [checked(value)];
    } catch {
      return [];
    }
  });
}

export const writeResults = (results: readonly Result[]): boolean => write(RESULTS, results);
