// Word error rate: what must be changed, left out or put in to make a text of its reference, in words of the reference.
//
// Texts are compared as they sound: small letters, no punctuation, no notes in brackets, no "uh"; contractions and what is written short in full.

const FILLERS = new Set(['hmm', 'mm', 'mhm', 'mmm', 'uh', 'um']);

/** Ways to write the same, in this order. */
const SAME = [
  [/\bwon't\b/g, 'will not'],
  [/\bcan't\b/g, 'can not'],
  [/\bcannot\b/g, 'can not'],
  [/\blet's\b/g, 'let us'],
  [/n't\b/g, ' not'],
  [/'re\b/g, ' are'],
  [/'ll\b/g, ' will'],
  [/'ve\b/g, ' have'],
  [/'m\b/g, ' am'],
  [/\b(it|that|he|she|there|what|who|here)'s\b/g, '$1 is'],
  [/\bmr\b/g, 'mister'],
  [/\bmrs\b/g, 'missus'],
  [/\bdr\b/g, 'doctor'],
];

/** The words of a text as they are compared. */
export function wordsOf(text) {
  let plain = text.normalize('NFKC').toLowerCase().replace(/[‘’`]/g, "'");
  plain = plain.replace(/\[[^\]]*\]|\([^)]*\)|<[^>]*>/g, ' ');
  for (const [written, full] of SAME) plain = plain.replace(written, full);
  plain = plain.replace(/(\d),(?=\d{3})/g, '$1').replace(/'/g, '');
  return (plain.match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !FILLERS.has(word));
}

/** Edits of words that make one list of the other, the fewest. */
export function edits(from, to) {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let k = 0; k < to.length; k++) next.push(Math.min(row[k] + (from[i] === to[k] ? 0 : 1), row[k + 1] + 1, next[k] + 1));
    row = next;
  }
  return row[to.length];
}

/** Word error rate of a text, 0 and up. */
export function wordErrorRate(text, reference) {
  const expected = wordsOf(reference);
  return edits(wordsOf(text), expected) / expected.length;
}
