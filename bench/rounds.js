// One round of what is measured, of an engine that is open: shared by the benches and the page's own benchmark. Public classes of the package
// alone; times are wall times in ms. Signals stop a round.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * Transcribes a clip once.
 * @param {import('sotto').Transcriber} transcriber
 * @param {Blob} recording
 * @param {import('sotto').TranscribeOptions} [options]
 */
export async function speechRound(transcriber, recording, options = {}) {
  const start = performance.now();
  const { text, timings, memoryBytes } = await transcriber.transcribe(recording, { language: 'en', ...options });
  const { melMs, encodeMs, decodeMs, nEncode, nDecode } = timings;
  return {
    whole_ms: performance.now() - start,
    mel_ms: melMs,
    encode_ms: encodeMs / nEncode, // of a window
    step_ms: decodeMs / nDecode,
    windows: nEncode,
    steps: nDecode,
    memory_bytes: memoryBytes,
    text,
  };
}

/**
 * Goes on with a text, always with the likeliest token.
 * @param {import('sotto').LanguageModel} session
 * @param {string} text
 * @param {number} maxTokens
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('sotto').Generation>}
 */
export async function goOn(session, text, maxTokens, signal) {
  let generation;
  await session.prompt(text, { raw: true, temperature: 0, maxTokens, signal, onFinish: (g) => (generation = g) });
  return generation;
}

/** A text of exactly n tokens without the one that begins texts; others for other seeds, so that sessions find nothing to reuse. */
async function textOf(session, n, seed, signal) {
  let text = '';
  for (let i = 0; text.length < n; i++) text += (seed * 7919 + i * 104729) % 1000003; // digits are tokens of their own in Gemma
  for (let length = n, tries = 0; tries < 8; tries++) {
    const digits = text.slice(seed % 3, length + (seed % 3)).padEnd(length, '7');
    const count = await session.countTokens(digits, { signal });
    if (count === n) return digits;
    length = Math.max(1, Math.round((length * n) / count));
    while (text.length < length + 3) text += text;
  }
  throw new Error(`no text of ${n} tokens was found for this model`);
}

/**
 * Evaluates `prefill` tokens at once, after the one that begins texts, then `decode` one by one; fewer where the model ends its text.
 * @param {import('sotto').LanguageModel} session
 * @param {{ prefill: number, decode: number, seed: number, signal?: AbortSignal }} what `seed`: another one for each round
 */
export async function textRound(session, { prefill, decode, seed, signal }) {
  const prompt = await textOf(session, prefill, seed, signal);
  // The session holds the token that begins texts from before, and evaluates the others.
  const { timings, promptTokens, memoryBytes } = await goOn(session, prompt, decode > 0 ? decode + 1 : 0, signal);
  if (promptTokens.length !== prefill + 1) throw new Error(`a prompt of ${promptTokens.length} tokens, not ${prefill + 1}`);
  const { prefillMs, decodeMs, nDecode } = timings;
  return { prefill_ms: prefillMs, decode_ms: decodeMs, n_decode: nDecode, memory_bytes: memoryBytes };
}
