// Whom sotto is measured against. An adapter has loadWhisper, loadGemma or both; what they give has
//
//   build, threads                     what runs
//   transcribe({ file, samples })      the text of a clip, as a File (WAV) or as 16 kHz samples
//   generate({ prefill, decode, seed}) a prompt of `prefill` tokens in an empty context, then `decode` tokens one by one: times in ms
//   complete(text, n)                  the text of at most n tokens that follow a text, each the likeliest
//   close()
//
// Adapters may have prepare({ name }): what is to be done before the time of loading runs. Both take { model: Blob, name, threads, context }.
// Native peers are no pages: native/engine.mjs has their adapters.

/** Package in node_modules/ or, of native ones, what native/install.mjs writes of them; kinds of models, adapter. */
export const PEERS = {
  sotto: { package: 'sotto', kinds: ['whisper', 'gemma'] },
  'wllama-2': { package: '@wllama/wllama', folder: 'wllama-2', kinds: ['gemma'] },
  'wllama-3': { package: '@wllama/wllama', folder: 'wllama-3', kinds: ['gemma'] },
  transformers: { package: '@huggingface/transformers', folder: '@huggingface/transformers', kinds: ['whisper'] },
  remotion: { package: '@remotion/whisper-web', folder: '@remotion/whisper-web', kinds: ['whisper'] },
  timur00kh: { package: '@timur00kh/whisper.wasm', folder: '@timur00kh/whisper.wasm', kinds: ['whisper'] },
  shout: { package: '@transcribe/shout', folder: '@transcribe/shout', kinds: ['whisper'] },
  'native-llama': { package: '@node-llama-cpp/linux-x64', native: 'build/bench-peers/native/native-llama.json', kinds: ['gemma'] },
  'native-whisper': { package: 'nodejs-whisper', native: 'build/bench-peers/native/native-whisper.json', kinds: ['whisper'] },
};

/** Models by name: kind, address, how to come by one that is missing, whether it is measured only when it is named; of random weights shape and type. */
export const MODELS = {
  tiny: { kind: 'whisper', address: '/models/ggml-tiny.bin', missing: 'tools/fetch-models tiny' },
  'tiny-q5_1': { kind: 'whisper', address: '/models/ggml-tiny-q5_1.bin', missing: 'tools/fetch-models tiny-q5_1', named: true },
  'tiny-q8_0': {
    kind: 'whisper', address: '/build/bench-peers/ggml-tiny-q8_0.bin', named: true,
    missing: 'build/sotto quantize models/ggml-tiny.bin build/bench-peers/ggml-tiny-q8_0.bin --type q8_0',
  },
  'base.en': { kind: 'whisper', address: '/models/ggml-base.en.bin', missing: 'tools/fetch-models base.en' },
};
for (const size of ['270m', '1b']) {
  for (const type of ['q4_0', 'q8_0', 'q4_K_M']) {
    const shape = `gemma3-${size}`;
    const address = `/build/bench-models/${shape}-${type}.gguf`;
    MODELS[`${size}-${type}`] = { kind: 'gemma', address, shape, type, missing: `build/sotto make-test-model --shape ${shape} --type ${type} -o ${address.slice(1)}` };
  }
}

export const CLIPS = {
  jfk: { address: '/tests/fixtures/audio/jfk.wav', seconds: 11 },
  address: { address: '/tests/fixtures/audio/radio_address_127s.wav', seconds: 127 },
};

/** Peers that take models of a kind; those named, or all. */
export function peersOf(kind, names) {
  return Object.keys(PEERS).filter((name) => name !== 'sotto' && PEERS[name].kinds.includes(kind) && (names ?? [name]).includes(name));
}

/**
 * Everything that is to be run, in its order: sotto before each peer, so that what the machine does meanwhile meets both.
 * @param {{ models: string[], peers?: string[], threads: number[], rounds: number }} what
 */
export function* plan({ models, peers, threads, rounds }) {
  for (const model of models) {
    const others = peersOf(MODELS[model].kind, peers);
    for (const n of threads) {
      for (let round = 0; round < rounds; round++) {
        for (const peer of others.length > 0 ? others : [undefined]) {
          yield { model, threads: n, round, peer: 'sotto', against: peer };
          if (peer) yield { model, threads: n, round, peer };
        }
      }
    }
  }
}
