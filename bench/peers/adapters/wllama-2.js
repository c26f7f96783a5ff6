// @wllama/wllama 2: llama.cpp. Through its calls of single steps, which leave out the joining of text that its createCompletion does.
import { LoggerWithoutDebug, Wllama } from '/bench/peers/node_modules/wllama-2/esm/index.min.js';
import { digitsOf } from './digits.js';

const ESM = '/bench/peers/node_modules/wllama-2/esm';
const FILES = { 'single-thread/wllama.wasm': `${ESM}/single-thread/wllama.wasm`, 'multi-thread/wllama.wasm': `${ESM}/multi-thread/wllama.wasm` };
const QUIET = { ...LoggerWithoutDebug, log() {}, warn() {} };

export async function loadGemma({ model, threads, context }) {
  const wllama = new Wllama(FILES, { logger: QUIET, suppressNativeLog: true });
  await wllama.loadModel([model], { n_ctx: context, n_threads: threads });
  const begin = async (tokens) => {
    await wllama.kvClear();
    await wllama.samplingInit({ temp: 0 });
    const start = performance.now();
    await wllama.decode([wllama.getBOS(), ...tokens], {});
    return performance.now() - start;
  };
  /** Evaluates the likeliest token, and tells which it was. */
  const step = async () => {
    const { token } = await wllama.samplingSample();
    await wllama.samplingAccept([token]);
    await wllama.decode([token], {});
    return token;
  };
  return {
    build: wllama.isMultithread() ? 'multi-thread' : 'single-thread',
    threads: wllama.getNumThreads(),
    async generate({ prefill, decode, seed }) {
      const tokens = await wllama.tokenize(digitsOf(prefill, seed));
      if (tokens.length !== prefill) throw new Error(`${prefill} digits are ${tokens.length} tokens of this model`);
      const prefill_ms = await begin(tokens);
      const start = performance.now();
      for (let i = 0; i < decode; i++) await step();
      return { prefill_ms, decode_ms: performance.now() - start, n_decode: decode };
    },
    async complete(text, n) {
      await begin(await wllama.tokenize(text));
      const tokens = [];
      for (let i = 0; i < n; i++) {
        const token = await step();
        if (wllama.isTokenEOG(token)) break;
        tokens.push(token);
      }
      return wllama.detokenize(tokens, true);
    },
    close: () => wllama.exit(),
  };
}
