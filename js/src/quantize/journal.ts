// What a file in the making is made of, and which of its tensors are done: lines of JSON.
//
//   {"version": 1, "source": [...], "recipe": {...}, "engine": "0.1.0", ...}
//   {"i": 0, "sum": "..."}    a tensor, and the SHA-256 of the SHA-256 sums of its pieces
//   ...
//
// A journal of other files, of another recipe or of another engine is of no use. Sums are checked before anything is taken over.
import type { ModelPart } from '../protocol.js';
import { sumOf, sumOfText } from '../store/sums.js';
import type { Ranges } from './ranges.js';
import type { QuantizePlan, Recipe } from './types.js';

const VERSION = 1;

/** Why files of other bytes under the same names are told apart. */
export interface SourceIdentity {
  file: string;
  size: number;
  stamp: string;
  /** Where it is, if that can be asked again. */
  url?: string | undefined;
}

export interface JournalHead {
  version: number;
  engine: string;
  source: SourceIdentity[];
  recipe: { type: string; tensors: [string, string][]; imatrix: string; name: string; fast: boolean };
  plan: Pick<QuantizePlan, 'architecture' | 'name' | 'outBytes' | 'sourceBytes' | 'nTensors'>;
}

export interface JournalEntry {
  i: number;
  sum: string;
}

/** Of a tensor, of the sums of its pieces. */
export const sumOfSums = (sums: readonly string[]): Promise<string> => sumOfText(sums.join(''));

export async function journalHead(
  files: readonly Ranges[],
  parts: readonly ModelPart[],
  recipe: Recipe,
  engine: string,
  plan: QuantizePlan,
): Promise<JournalHead> {
  const { type, tensors, imatrix, name = '', fast = false } = recipe;
  const source = files.map(({ file, size, stamp }, i): SourceIdentity => {
    const part = parts[i];
    return { file, size, stamp, ...(part.kind === 'download' && { url: part.urls[0] }) };
  });
  const { architecture, outBytes, sourceBytes, nTensors } = plan;
  return {
    ...{ version: VERSION, engine, source },
    recipe: { type, tensors, imatrix: imatrix ? await sumOf(imatrix.slice()) : '', name, fast },
    plan: { architecture, name: plan.name, outBytes, sourceBytes, nTensors },
  };
}

/** The tensors that a journal calls done, if it is of the same work. */
export function doneOf(journal: string, head: JournalHead): JournalEntry[] {
  const [first, ...lines] = journal.split('\n');
  if (first !== JSON.stringify(head)) return [];
  const entries = new Map<number, JournalEntry>();
  for (const line of lines) {
    const entry = parseEntry(line);
    if (entry && entry.i < head.plan.nTensors) entries.set(entry.i, entry);
  }
  return [...entries.values()];
}

function parseEntry(line: string): JournalEntry | undefined {
  try {
    const { i, sum } = JSON.parse(line);
    return Number.isInteger(i) && i >= 0 && typeof sum === 'string' ? { i, sum } : undefined;
  } catch {
    return undefined; // the last line may have been cut
  }
}

/** What a journal says of its work; undefined: nothing that can be read. */
export function parseJournal(journal: string): { head: JournalHead; done: number } | undefined {
  const [first, ...lines] = journal.split('\n');
  try {
    const head = JSON.parse(first) as JournalHead;
    const { source, recipe, plan } = head;
    const fit =
      head.version === VERSION &&
      Array.isArray(source) &&
      source.every(({ file, size, url }) => typeof file === 'string' && typeof size === 'number' && ['string', 'undefined'].includes(typeof url)) &&
      typeof recipe.type === 'string' &&
      Array.isArray(recipe.tensors) &&
      typeof plan.name === 'string' &&
      typeof plan.nTensors === 'number';
    const done = new Set(lines.flatMap((line) => parseEntry(line)?.i ?? []));
    return fit ? { head, done: done.size } : undefined;
  } catch {
    return undefined;
  }
}
