/* Errors as sentences. */

/** An error whose message is a sentence for the person at the page. */
export class Told extends Error {}

/** Anyone's words as a sentence: a capital in front, a full stop at the end. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Told) return error.message;
  const words = error instanceof Error ? error.message : String(error);
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? '' : '.');
}
