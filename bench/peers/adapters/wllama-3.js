// @wllama/wllama 3: llama.cpp's server. It takes texts alone, and tells what the prompt took; all the rest of a call counts as decoding.
import { LoggerWithoutDebug, Wllama } from '/bench/peers/node_modules/wllama-3/esm/index.min.js';
import { digitsOf } from './digits.js';

const FILES = { default: '/bench/peers/node_modules/wllama-3/esm/wasm/wllama.wasm' };
/** Gemma's tokens that are bytes above 127. This version fails on an answer that has no whole character, and random weights write such. */
const NO_HALF_CHARACTERS = Array.from({ length: 128 }, (_, i) => [366 + i, false]);
const QUIET = { ...LoggerWithoutDebug, log() {}, warn() {} };

export async function loadGemma({ model, threads, context }) {
  const wllama = new Wllama(FILES, { logger: QUIET, suppressNativeLog: true });
  wllama.setCompat(null); // it would be fetched from elsewhere
  await wllama.loadModel([model], { n_ctx: context, n_threads: threads, n_gpu_layers: 0, n_parallel: 1, warmup: false });
  const complete = async (prompt, n, more = {}) => {
    const start = performance.now();
    const answer = await wllama.createCompletion({ prompt, n_predict: n, max_tokens: n, temperature: 0, cache_prompt: false, ...more });
    return { ...answer, ms: performance.now() - start };
  };
  return {
    build: 'one build',
    threads: wllama.getNumThreads(),
    async generate({ prefill, decode, seed }) {
      const { ms, timings } = await complete(digitsOf(prefill, seed), decode + 1, { ignore_eos: true, logit_bias: NO_HALF_CHARACTERS });
      if (timings.prompt_n !== prefill + 1) throw new Error(`it evaluated ${timings.prompt_n} tokens of a prompt of ${prefill + 1}`);
      return { prefill_ms: timings.prompt_ms, decode_ms: ms - timings.prompt_ms, n_decode: timings.predicted_n - 1 };
    },
    complete: async (text, n) => (await complete(text, n)).choices[0].text,
    close: () => wllama.exit(),
  };
}
