// What is told of a text that a model wrote: JSON, timings.
import { mb, millionths, peakMemoryBytes, rate, thousandths } from './cli-common.js';
import type { Generation } from './protocol.js';

const scored = <T extends { logprob: number }>(token: T): T => ({ ...token, logprob: millionths(token.logprob) });

/** Tokens of the prompt that were evaluated for this answer. */
const evaluated = ({ timings }: Generation): number => timings.nPrefill - timings.nReused;

/** A line of JSON. */
export function replyJson(g: Generation, loadMs: number): string {
  const { timings } = g;
  const object = {
    text: g.text,
    prompt_tokens: g.promptTokens,
    tokens: g.tokens,
    ...(g.logprobs && {
      logprobs: g.logprobs.map(({ top, ...token }) => ({ ...scored(token), top: top.map(scored) })),
    }),
    stop_reason: g.stopReason,
    timings: {
      load_ms: thousandths(loadMs),
      prefill_ms: thousandths(timings.prefillMs),
      n_prefill: evaluated(g),
      decode_ms: thousandths(timings.decodeMs),
      n_decode: timings.nDecode,
    },
    ...(g.guesses && { guesses: g.guesses }),
    peak_memory_bytes: peakMemoryBytes(),
  };
  return JSON.stringify(object) + '\n';
}

/** How long each part took, in a line. */
export function replyTimings(g: Generation, loadMs: number): string {
  const { prefillMs, decodeMs, nDecode } = g.timings;
  const took = (n: number, ms: number): string => `${ms.toFixed(0)} ms (${rate(n, ms).toFixed(1)} a second)`;
  const guessed = g.guesses
    ? `${g.guesses.tokens} tokens were guessed in ${g.guesses.checks} checks, and ${g.guesses.accepted} of them were right\n`
    : '';
  return (
    `load ${loadMs.toFixed(0)} ms; prompt ${g.promptTokens.length} tokens, ${evaluated(g)} evaluated in ${took(evaluated(g), prefillMs)}; ` +
    `written ${g.tokens.length} tokens, ${took(nDecode, decodeMs)}; ${g.stopReason}; peak memory ${mb(peakMemoryBytes())} MB\n${guessed}`
  );
}
