// One measurement of the package, the same in Node and in a page. Times are wall times in ms, of warm runs: the first one, which warms the
// JIT, is left out or reported on its own. `read(address)` gives a file's bytes: they come from memory, so that no network is measured.

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const LOADS = 3;

/**
 * Loads a Whisper model, then transcribes one clip a number of times.
 * @param {typeof import('sotto')} sotto the package
 * @param {{ model: string, audio: string, threads: number, variant?: string, repeats: number, options?: object }} what
 */
async function speech(sotto, { model, audio, threads, variant, repeats, options = {} }, read) {
  const bytes = await read(model);
  const recording = new Blob([await read(audio)]);
  const loads = [];
  let transcriber;
  for (let i = 0; i < LOADS; i++) {
    await transcriber?.destroy();
    const blob = new Blob([bytes]);
    const start = performance.now();
    transcriber = await sotto.Transcriber.create({ model: blob, threads, variant });
    loads.push(performance.now() - start);
  }
  const runs = [];
  let result;
  for (let i = 0; i <= repeats; i++) {
    const start = performance.now();
    result = await transcriber.transcribe(recording, { language: 'en', ...options });
    runs.push({ whole_ms: performance.now() - start, ...result.timings });
  }
  const info = transcriber.info;
  await transcriber.destroy();
  const warm = runs.slice(1);
  const of = (name) => median(warm.map((run) => run[name]));
  return {
    variant: info.variant,
    isa: info.isa,
    threads: info.threads,
    load_ms: median(loads),
    first_ms: runs[0].whole_ms,
    mel_ms: of('melMs'),
    encode_ms: of('encodeMs') / warm[0].nEncode,
    decode_ms_per_step: of('decodeMs') / warm[0].nDecode,
    decode_steps: warm[0].nDecode,
    windows: warm[0].nEncode,
    whole_ms: of('whole_ms'),
    whole_best_ms: Math.min(...warm.map((run) => run.whole_ms)),
    memory_bytes: result.memoryBytes,
    text: result.text,
  };
}

// ---- language models ----

/** Goes on with a text, always with the likeliest token. */
async function goOn(session, text, maxTokens) {
  let generation;
  await session.prompt(text, { raw: true, maxTokens, onFinish: (g) => (generation = g) });
  return generation;
}

/** A text of exactly n tokens without the one that begins texts; others for other seeds, so that sessions find nothing to reuse. */
async function textOf(session, n, seed) {
  let text = '';
  for (let i = 0; text.length < n; i++) text += (seed * 7919 + i * 104729) % 1000003; // digits are tokens of their own in Gemma
  for (let length = n, tries = 0; tries < 8; tries++) {
    const digits = text.slice(seed % 3, length + (seed % 3)).padEnd(length, '7');
    const count = await session.countTokens(digits);
    if (count === n) return digits;
    length = Math.max(1, Math.round((length * n) / count));
    while (text.length < length + 3) text += text;
  }
  throw new Error(`no text of ${n} tokens was found for this model`);
}

/** From a model's name or bytes to its first token. */
async function start(sotto, model, { threads, variant }) {
  const begin = performance.now();
  const session = await sotto.LanguageModel.create({ model, threads, variant, temperature: 0 });
  const load_ms = performance.now() - begin;
  const { memoryBytes } = await goOn(session, '1', 1);
  return { session, load_ms, first_token_ms: performance.now() - begin, memoryBytes };
}

const ofTimes = (values) => ({ median: median(values), best: Math.min(...values) });

/**
 * Prefill of some numbers of tokens and decoding after the first of them, in one session.
 * @param {typeof import('sotto')} sotto the package
 * @param {{ model: object | string, threads: number, variant?: string, prefill: number[], decode: number, rounds: number }} what
 */
async function text(sotto, what) {
  const { session, load_ms, first_token_ms, memoryBytes } = await start(sotto, what.model, what);
  const prefills = what.prefill.map(() => []);
  const decodes = [];
  let memory_bytes = memoryBytes;
  let n_decode = what.decode;
  for (let round = 0; round <= what.rounds; round++) {
    for (const [i, n] of what.prefill.entries()) {
      // The session holds the token that begins texts from before, and evaluates n more.
      const prompt = await textOf(session, n, round * what.prefill.length + i);
      const { timings, promptTokens, ...rest } = await goOn(session, prompt, i === 0 ? what.decode + 1 : 0);
      if (promptTokens.length !== n + 1) throw new Error(`a prompt of ${promptTokens.length} tokens, not ${n + 1}`);
      memory_bytes = Math.max(memory_bytes, rest.memoryBytes);
      if (round === 0) continue;
      prefills[i].push(timings.prefillMs);
      if (i > 0) continue;
      decodes.push(timings.decodeMs / timings.nDecode);
      n_decode = Math.min(n_decode, timings.nDecode); // a model may end its text
    }
  }
  const { variant, isa, threads, cached } = session.info;
  await session.destroy();
  return {
    variant, isa, threads, cached, load_ms, first_token_ms,
    prefill: what.prefill.map((n, i) => ({ n, ms: ofTimes(prefills[i]) })),
    decode: { n: n_decode, ms_per_token: ofTimes(decodes) },
    memory_bytes,
  };
}

/** Loads a model a few times, from where it is kept and from its bytes: medians. */
async function textLoads(sotto, what, read) {
  const medians = async (make) => {
    const runs = [];
    for (let i = 0; i < what.loads; i++) {
      const { session, load_ms, first_token_ms } = await start(sotto, await make(), what);
      runs.push({ load_ms, first_token_ms });
      await session.destroy();
    }
    return { load_ms: median(runs.map((run) => run.load_ms)), first_token_ms: median(runs.map((run) => run.first_token_ms)) };
  };
  const kept = await medians(() => what.model);
  const bytes = await read(what.address);
  return { kept, from_bytes: await medians(() => new Blob([bytes])) };
}

/** Fetches a model into the cache. */
async function textFetch(sotto, what) {
  const { session, load_ms } = await start(sotto, what.model, what);
  await session.destroy();
  return { fetch_ms: load_ms };
}

export const kinds = { speech, text, textLoads, textFetch };
