/* The transcript as files, written by the package. */

import { write, type Segment } from './engine.ts';
import { language, segments, source } from './state.ts';

export const FORMATS = ['txt', 'srt', 'vtt', 'json'] as const;

const TYPES = { txt: 'text/plain', srt: 'application/x-subrip', vtt: 'text/vtt', json: 'application/json' };

/** The text alone, one segment a line. */
export function textOf(all: readonly Segment[]): string {
  return all.map((segment) => segment.text.trim()).join('\n');
}

export function writeAs(format: (typeof FORMATS)[number]): Blob {
  const { code, probability } = language.value;
  const transcript = { language: code, languageProbability: probability, segments: segments.value };
  return new Blob([write(transcript, format, source.value!.name)], { type: `${TYPES[format]};charset=utf-8` });
}
