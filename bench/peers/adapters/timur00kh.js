// @timur00kh/whisper.wasm: whisper.cpp.
import { WhisperWasmService } from '/bench/peers/node_modules/@timur00kh/whisper.wasm/dist/index.es.js';

export async function loadWhisper({ model, threads }) {
  const service = new WhisperWasmService({ logLevel: 3 });
  await service.initModel(new Uint8Array(await model.arrayBuffer()));
  return {
    build: 'simd',
    threads,
    async transcribe({ samples }) {
      const { segments } = await service.transcribe(samples, undefined, { language: 'en', threads });
      return segments.map(({ text }) => text).join(' ');
    },
    close() {},
  };
}
