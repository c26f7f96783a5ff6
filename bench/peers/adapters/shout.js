// @transcribe/shout, whisper.cpp, through @transcribe/transcriber, which is made for it.
import createModule from '@transcribe/shout';
import { FileTranscriber } from '/bench/peers/node_modules/@transcribe/transcriber/src/index.js';

export async function loadWhisper({ model, threads }) {
  const quiet = () => {};
  const transcriber = new FileTranscriber({ createModule, model: new File([model], 'model.bin'), print: quiet, printErr: quiet });
  await transcriber.init();
  return {
    build: 'simd',
    threads,
    async transcribe({ file }) {
      const { transcription } = await transcriber.transcribe(file, { lang: 'en', threads, token_timestamps: false });
      return transcription.map(({ text }) => text).join('');
    },
    close: () => transcriber.destroy(),
  };
}
