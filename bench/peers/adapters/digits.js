// Prompts whose sense does not matter: other ones for other seeds, so that nothing is found evaluated before.

/** A text of n digits; each is a token in Gemma's vocabularies, and in those of random weights. */
export function digitsOf(n, seed) {
  let text = '';
  for (let i = 0; text.length < n; i++) text += (seed * 7919 + i * 104729) % 1000003;
  return text.slice(0, n);
}
