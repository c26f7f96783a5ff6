// Prompts whose sense does not matter: other ones for other seeds, so that nothing is found evaluated before.

/** All models here have more tokens than this, and none below 300 that means something to a decoder. */
const FIRST = 300;
const MANY = 200_000;

/** Ids of n tokens. */
export const tokensOf = (n, seed) => Array.from({ length: n }, (_, i) => FIRST + ((seed * 7919 + i * 104729) % MANY));

/** A text of n digits; each is a token in Gemma's vocabularies, and in those of random weights. */
export function digitsOf(n, seed) {
  let text = '';
  for (let i = 0; text.length < n; i++) text += (seed * 7919 + i * 104729) % 1000003;
  return text.slice(0, n);
}
