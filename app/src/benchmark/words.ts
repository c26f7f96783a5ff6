/* Figures and names of results as people read them. */

import type { Kind, Result, Run, Spread, Where } from './result.ts';
import { whereOf } from './result.ts';

export const KINDS: Record<Kind, string> = { speech: 'Transcription', language: 'Language model' };

/** Three digits that count: 0.5 -> "0.50", 12.34 -> "12.3", 1234 -> "1,234". */
export function figure(x: number): string {
  if (x >= 99.95) return Math.round(x).toLocaleString('en');
  return x.toFixed(x >= 9.995 ? 1 : 2);
}

/** "12.3 (11.9–12.8)"; one number where there was one round. */
export const figures = ({ median, min, max }: Spread): string =>
  min === max ? figure(median) : `${figure(median)} (${figure(min)}–${figure(max)})`;

export const inMs = ({ median, min, max }: Spread): Spread => ({ median: 1e3 * median, min: 1e3 * min, max: 1e3 * max });

const PLACES: Record<Where, string> = { one: 'Processor, 1 thread', all: 'Processor, all threads', gpu: 'GPU' };

export const placeName = (where: Where): string => PLACES[where];

/** With what is known of it since it ran. */
export function runName(run: Run): string {
  const where = whereOf(run);
  if (where === 'gpu') return run.gpu?.software ? 'GPU in software' : 'GPU';
  return where === 'one' ? PLACES.one : `Processor, ${run.threads} threads`;
}

export const deviceName = ({ device }: Result): string =>
  `${device.browser} on ${device.system}, ${device.cores} ${device.cores === 1 ? 'processor' : 'processors'}`;

export const dayAndTime = (date: string): string =>
  new Date(date).toLocaleString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });

export const fileName = ({ date }: Result): string => `sotto-benchmark-${date.slice(0, 16).replace(/[T:]/g, '-')}.json`;
