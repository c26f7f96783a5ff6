/* The transcript as files, written by the package. */

import { write } from './engine.ts';
import type { Segment } from './engine.ts';
import { language, segments } from './state.ts';

export const FORMATS = ['txt', 'srt', 'vtt', 'json'] as const;

const TYPES = { txt: 'text/plain', srt: 'application/x-subrip', vtt: 'text/vtt', json: 'application/json' };

/** The text alone, one segment a line. */
export function textOf(all: Segment[]): string {
  return all.map((segment) => segment.text.trim()).join('\n');
}

export function writeAs(format: (typeof FORMATS)[number]): Blob {
  const text = write(format, { text: textOf(segments.value), language: language.value, segments: segments.value });
  return new Blob([text], { type: `${TYPES[format]};charset=utf-8` });
}
