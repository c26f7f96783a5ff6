// One run of one peer in a page of its own: bytes in memory ─> load ─> once to warm up ─> the measurements.
import { CLIPS, MODELS } from './peers.js';
import { REFERENCES } from './references.js';
import { wordErrorRate } from './words.js';

/** Of an answer. */
export const GREEDY_TOKENS = 48;

/** A missing file is an error; the page of a server would otherwise be taken for it. */
async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response.blob();
}

/** Samples of a 16-bit mono WAV at 16 kHz. */
async function samplesOf(blob) {
  const view = new DataView(await blob.arrayBuffer());
  let at = 12;
  while (view.getUint32(at) !== 0x64617461) at += 8 + view.getUint32(at + 4, true); // "data"
  const pcm = new Int16Array(view.buffer, at + 8, view.getUint32(at + 4, true) >> 1);
  return Float32Array.from(pcm, (x) => x / 32768);
}

async function timed(work) {
  const start = performance.now();
  const value = await work();
  return [performance.now() - start, value];
}

async function clipOf(name, read) {
  const file = new File([await read(CLIPS[name].address)], `${name}.wav`, { type: 'audio/wav' });
  return { file, samples: await samplesOf(file) };
}

async function hear(peer, { clips }, read, tell) {
  const clip = async (name) => {
    const recording = await clipOf(name, read);
    const [ms, text] = await timed(() => peer.transcribe(recording));
    return { clip: name, ms, text, word_error_rate: wordErrorRate(text, REFERENCES[name]) };
  };
  tell({ first_ms: (await clip('jfk')).ms });
  for (const name of clips) tell({ measure: await clip(name) });
}

async function write(peer, { pairs, round }, tell) {
  for (const [i, { prefill, decode }] of pairs.entries()) {
    const warm = await peer.generate({ prefill, decode: 8, seed: 100 * round + 2 * i });
    if (i === 0) tell({ first_ms: warm.prefill_ms });
    const { prefill_ms, decode_ms, n_decode } = await peer.generate({ prefill, decode, seed: 100 * round + 2 * i + 1 });
    tell({ measure: { prefill, decode, prefill_per_s: (1e3 * prefill) / prefill_ms, decode_per_s: (1e3 * n_decode) / decode_ms } });
  }
}

/** Tokens that a context must hold for what is to be measured. */
export const contextOf = ({ pairs = [] }) => Math.max(1024, ...pairs.map(({ prefill, decode }) => prefill + decode + 16));

/** What is measured of a loaded peer, which is closed then; `read` gives the Blob of an address. For the others see `run`. */
export async function measureWith(peer, kind, what, read, tell) {
  if (what.ask) {
    const answers = [];
    for (const question of what.ask) answers.push(await (kind === 'whisper' ? peer.transcribe(await clipOf(question, read)) : peer.complete(question, GREEDY_TOKENS)));
    tell({ answers });
  } else if (kind === 'whisper') await hear(peer, what, read, tell);
  else await write(peer, what, tell);
  await peer.close();
}

/**
 * Runs one peer, and tells what it finds when it finds it: { load_ms, build, threads }, { first_ms }, { measure } for each measurement.
 * @param {{ peer: string, model: string, threads: number, round: number, clips: string[], pairs: object[], ask?: string[] }} what `ask`: texts, or
 *   names of clips; then, instead of measurements, { answers } is told: what follows the texts, or what is said
 */
export async function run(what, tell) {
  if (!crossOriginIsolated) throw new Error('this page is not isolated: peers would run on one thread');
  const { kind, address } = MODELS[what.model] ?? what;
  const adapter = await import(`./adapters/${what.peer}.js`);
  const options = { model: await fetched(address), name: what.model, threads: what.threads, context: contextOf(what) };
  await adapter.prepare?.(options);
  const [load_ms, peer] = await timed(() => (kind === 'whisper' ? adapter.loadWhisper : adapter.loadGemma)(options));
  tell({ load_ms, build: peer.build, threads: peer.threads, loads_each_time: peer.loads_each_time });
  await measureWith(peer, kind, what, fetched, tell);
}
