// Token ids from a file: [2, 106, ...], or [[2, ...], [2, ...]] for several texts, or ids between white space.
import { FileError, readInput } from './cli-common.js';

const NO_LIST = 'is no list of token ids: give [2, 106, ...], [[2, ...], [2, ...]], or ids between white space';
const MOST = 2 ** 31;

const isIds = (list: unknown): list is number[] =>
  Array.isArray(list) && list.every((id) => Number.isInteger(id) && id >= -MOST && id < MOST);

function parseWords(text: string): number[] | undefined {
  const words = text.split(/[ \t\r\n]+/).filter(Boolean);
  const ids = words.map((word) => (/^[+-]?\d+$/.test(word) ? Number(word) : NaN));
  return isIds(ids) ? ids : undefined;
}

function parse(text: string): number[][] | undefined {
  if (!/^[ \t\r\n]*\[/.test(text)) {
    const ids = parseWords(text);
    return ids && [ids];
  }
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (isIds(list)) return [list];
  return Array.isArray(list) && list.every(isIds) ? list : undefined;
}

/** The texts of a file; at least one, which may be empty. */
export async function readIds(file: string, signal?: AbortSignal): Promise<number[][]> {
  const texts = parse((await readInput(file, signal)).toString('utf8'));
  if (!texts) throw new FileError(file, NO_LIST);
  return texts;
}
