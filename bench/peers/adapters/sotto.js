// sotto itself, through its package. Of a whole call, the engine tells what the prompt took; all the rest counts as decoding.
import { LanguageModel, Transcriber } from '/js/dist/index.js';
import { digitsOf } from './digits.js';

export async function loadWhisper({ model, threads }) {
  const transcriber = await Transcriber.create({ model, threads });
  return {
    build: transcriber.info.variant,
    threads: transcriber.info.threads,
    transcribe: async ({ file }) => (await transcriber.transcribe(file, { language: 'en', beamSize: 1 })).text,
    close: () => transcriber.destroy(),
  };
}

/** A text of exactly n tokens without the one that begins texts. */
async function textOf(session, n, seed) {
  const text = digitsOf(n, seed);
  const count = await session.countTokens(text);
  if (count !== n) throw new Error(`${n} digits are ${count} tokens of this model: its speed cannot be compared`);
  return text;
}

export async function loadGemma({ model, threads, context }) {
  const session = await LanguageModel.create({ model, threads, contextWindow: context, temperature: 0 });
  const goOn = async (text, maxTokens) => {
    let generation;
    const start = performance.now();
    await session.prompt(text, { raw: true, maxTokens, onFinish: (g) => (generation = g) });
    return { ...generation, ms: performance.now() - start };
  };
  return {
    build: session.info.variant,
    threads: session.info.threads,
    async generate({ prefill, decode, seed }) {
      const { ms, timings } = await goOn(await textOf(session, prefill, seed), decode + 1);
      return { prefill_ms: timings.prefillMs, decode_ms: ms - timings.prefillMs, n_decode: timings.nDecode };
    },
    complete: async (text, n) => (await goOn(text, n)).text,
    close: () => session.destroy(),
  };
}
