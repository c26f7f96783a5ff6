/* How answers are written, kept over a reload (localStorage). A value of null leaves the choice to the engine. */

import { backendOf, type BackendChoice } from '../ui/place.ts';

export interface Sampling {
  temperature: number;
  topK: number; // 0: all
  topP: number;
  minP: number;
  repetitionPenalty: number;
  presencePenalty: number;
  frequencyPenalty: number;
  seed: number | null; // null: another one for every answer
}

export interface Settings extends Sampling {
  model: string; // id, or 'own'
  maxTokens: number | null; // null: as many as fit
  contextWindow: number | null;
  chat: boolean; // false: the model goes on with the text as it is
  backend: BackendChoice;
}

export const DEFAULTS: Settings = {
  model: '',
  temperature: 1,
  topK: 64,
  topP: 0.95,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: null,
  maxTokens: null,
  contextWindow: null,
  chat: true,
  backend: 'auto',
};

/** [lowest, highest, whether whole] */
export const LIMITS = {
  temperature: [0, 2, false],
  topK: [0, 1000, true],
  topP: [0.01, 1, false],
  minP: [0, 1, false],
  repetitionPenalty: [0.5, 2, false],
  presencePenalty: [-2, 2, false],
  frequencyPenalty: [-2, 2, false],
  seed: [0, Number.MAX_SAFE_INTEGER, true],
  maxTokens: [1, 1_000_000, true],
  contextWindow: [64, 1_000_000, true],
} as const satisfies Partial<Record<keyof Settings, readonly [number, number, boolean]>>;

export type NumberName = keyof typeof LIMITS;

/** The nearest value that is allowed; null where none is meant and none is needed. */
export function allowed(name: NumberName, value: unknown): number | null {
  const [low, high, whole] = LIMITS[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) return DEFAULTS[name];
  return Math.min(high, Math.max(low, whole ? Math.round(value) : value));
}

const KEY = 'chat-settings';

export function readSettings(): Settings {
  let stored: unknown;
  try {
    stored = JSON.parse(localStorage.getItem(KEY) ?? '{}');
  } catch {
    return DEFAULTS;
  }
  if (typeof stored !== 'object' || stored === null) return DEFAULTS;
  const given = stored as Partial<Record<keyof Settings, unknown>>;
  const numbers = (Object.keys(LIMITS) as NumberName[]).map((name) => [name, allowed(name, given[name])]);
  return {
    ...DEFAULTS,
    ...(Object.fromEntries(numbers) as Partial<Settings>),
    model: typeof given.model === 'string' ? given.model : '',
    chat: given.chat !== false,
    backend: backendOf(given.backend),
  };
}

export function writeSettings(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // forgotten with the page
  }
}
