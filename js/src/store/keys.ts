// Keys of what is kept, and what is said where it cannot be.
import { SottoError } from '../errors.js';
import type { Download, ModelPart } from '../protocol.js';
import { sumOfText } from './sums.js';

/** Of a download whose hash is not known before it is whole. */
const addressKey = async (url: string): Promise<string> => `at-${(await sumOfText(url)).slice(0, 40)}`;

/** Under which a file is kept, or would be. */
export const keyOf = async ({ stored, cacheKey, urls, file }: ModelPart & Download): Promise<string> =>
  stored ?? cacheKey ?? (await addressKey(urls[0] ?? file));

/** Of files that are one model, by the keys of all. */
export const groupKey = async (keys: readonly string[]): Promise<string> => `group-${(await sumOfText(keys.join('\n'))).slice(0, 40)}`;

const gb = (bytes: number): string => (bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 2);

export const roomError = (name: string, needed: number, room: number, cause?: unknown): SottoError =>
  new SottoError(
    'storage',
    `${name} needs ${gb(Math.max(needed, 0))} GB more on this device, and ${gb(room)} GB are free for it: delete models that you no longer need, or make room on the disk. What came of it is kept.`,
    { cause },
  );
