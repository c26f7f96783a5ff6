// One measurement of the package, the same in Node and in a page. Times are wall times in ms, of warm runs: the first one, which warms the
// JIT, is left out or reported on its own. `read(address)` gives a file's bytes: they come from memory, so that no network is measured.

import { goOn, median, speechRound, textRound } from './rounds.js';

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
  for (let i = 0; i <= repeats; i++) runs.push(await speechRound(transcriber, recording, options));
  const info = transcriber.info;
  await transcriber.destroy();
  const warm = runs.slice(1);
  const of = (name) => median(warm.map((run) => run[name]));
  const { steps, windows, memory_bytes, text } = runs.at(-1);
  return {
    variant: info.variant,
    isa: info.isa,
    threads: info.threads,
    load_ms: median(loads),
    first_ms: runs[0].whole_ms,
    mel_ms: of('mel_ms'),
    encode_ms: of('encode_ms'),
    decode_ms_per_step: of('step_ms'),
    decode_steps: steps,
    windows,
    whole_ms: of('whole_ms'),
    whole_best_ms: Math.min(...warm.map((run) => run.whole_ms)),
    memory_bytes,
    text,
  };
}

// ---- language models ----

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
      const seed = round * what.prefill.length + i;
      const run = await textRound(session, { prefill: n, decode: i === 0 ? what.decode : 0, seed });
      memory_bytes = Math.max(memory_bytes, run.memory_bytes);
      if (round === 0) continue;
      prefills[i].push(run.prefill_ms);
      if (i > 0) continue;
      decodes.push(run.decode_ms / run.n_decode);
      n_decode = Math.min(n_decode, run.n_decode); // a model may end its text
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
