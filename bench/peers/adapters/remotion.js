// @remotion/whisper-web: whisper.cpp. It keeps models in IndexedDB under their addresses; each transcription opens one anew, so that a load by
// itself is only the keeping, and every time of a transcription has the loading in it.
import { transcribe } from '@remotion/whisper-web';

const NAMES = ['tiny', 'base.en', 'base', 'small.en', 'small'];

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Puts the bytes where the package's own download puts them. */
async function keep(address, bytes) {
  const opening = indexedDB.open('whisper-web', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('models', { autoIncrement: false });
  const database = await done(opening);
  await done(database.transaction(['models'], 'readwrite').objectStore('models').put(bytes, address));
  database.close();
}

export async function loadWhisper({ model, name, threads }) {
  const known = NAMES.find((n) => name.startsWith(n));
  if (!known) throw new Error(`it knows no model of the name ${name}`);
  await keep(`https://huggingface.co/ggerganov/whisper.cpp/resolve/main/ggml-${known}.bin`, new Uint8Array(await model.arrayBuffer()));
  return {
    build: 'simd',
    threads,
    loads_each_time: true,
    async transcribe({ samples }) {
      const { transcription } = await transcribe({ channelWaveform: samples, model: known, language: 'en', threads, logLevel: 'error' });
      return transcription.map(({ text }) => text).join('');
    },
    close() {},
  };
}
