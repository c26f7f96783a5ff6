// Text that settles: what two hypotheses in a row agree on stays as it is for ever.
//
//   hypothesis 1   ask not what your can
//   hypothesis 2   ask not what your country can     agreed: ask not what your
//   hypothesis 3   (begins with what is settled) ...

/** Scripts that put no spaces between words: there a character is what settles. */
const DENSE = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}';
const UNIT = new RegExp(`\\s*(?:[${DENSE}]\\p{M}*|[^\\s${DENSE}]+)`, 'gu');

/** Words, each with the white space before it. */
export const unitsOf = (text: string): string[] => text.trim().match(UNIT) ?? [];

/** What of a word hypotheses must agree on: not its case and not its marks. */
const essence = (unit: string): string => unit.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '') || unit.trim();

/** Words in a row that people do not say twice at once, but models do that lost their place. */
const LEAST_TURN = 4;

/** Letters, the same few of them many times. */
const STUTTER = /([\p{L}\p{N}][^\s]{0,7}?)\1{5}/u;

/** Whether some words come twice in a row, or some letters again and again. */
export function repeatsItself(text: string): boolean {
  if (STUTTER.test(text)) return true;
  const words = unitsOf(text).map(essence);
  for (let turn = LEAST_TURN; 2 * turn <= words.length; turn++)
    for (let at = 0, same = 0; at + turn < words.length; at++) {
      same = words[at] === words[at + turn] ? same + 1 : 0;
      if (same === turn) return true;
    }
  return false;
}

export class SettlingText {
  #settled: string[] = [];
  #last: string[] = [];

  /** What will not change any more. */
  get settled(): string {
    return this.#settled.join('');
  }

  /** All of the last hypothesis, what is settled first. */
  get text(): string {
    return this.#settled.concat(this.#last.slice(this.#settled.length)).join('');
  }

  /** Takes another hypothesis of the same speech; its last word may be cut off, so that it does not settle yet. */
  add(hypothesis: string): void {
    const units = unitsOf(hypothesis);
    let agreed = this.#settled.length;
    while (
      agreed < units.length - 1 &&
      agreed < this.#last.length &&
      essence(units[agreed]) === essence(this.#last[agreed])
    )
      agreed++;
    this.#settled.push(...units.slice(this.#settled.length, agreed));
    this.#last = units;
  }

  /** The text of the whole speech, by its last hypothesis. */
  finish(hypothesis: string): string {
    this.#last = unitsOf(hypothesis);
    this.#settled.push(...this.#last.slice(this.#settled.length));
    return this.settled;
  }
}
