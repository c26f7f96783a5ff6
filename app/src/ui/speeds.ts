/* How fast each model was on this device, the last time (localStorage). */

import { signal } from '@preact/signals';

const KEY = 'model-speeds';
const MOST = 100; // models

function read(): Record<string, number> {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    if (typeof stored !== 'object' || stored === null) return {};
    return Object.fromEntries(Object.entries(stored).filter(([, value]) => typeof value === 'number' && value > 0).slice(-MOST));
  } catch {
    return {};
  }
}

/** By id of the model: times real time of those that hear, tokens a second of those that write. */
export const speeds = signal<Readonly<Record<string, number>>>(read());

/** Notes how fast a model was. */
export function noteSpeed(id: string, speed: number): void {
  if (!Number.isFinite(speed) || speed <= 0 || id === 'own') return;
  const { [id]: _, ...rest } = speeds.value;
  speeds.value = { ...rest, [id]: Number(speed.toPrecision(2)) };
  try {
    localStorage.setItem(KEY, JSON.stringify(speeds.value));
  } catch {
    // forgotten with the page
  }
}
