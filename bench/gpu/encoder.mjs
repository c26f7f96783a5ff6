// Times Whisper's encoder on a GPU by itself, one window after the other, so that the GPU stays awake:
//
//   node bench/gpu/encoder.mjs MODEL.bin [windows]        SOTTO_WEBGPU_MODULE names the module "webgpu"
//
// From the upload of the spectrogram until the keys and values of the decoder are there: each window waited for (best, median), and several at once
// (ms of a window). Needs build/wasm-tests/relaxed-single/gpu_whisper.wasm (make wasm-tests).
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openDevice } from '../../js/src/gpu/device.ts';
import { Player } from '../../js/src/gpu/player.ts';
import { tune } from '../../js/src/gpu/tune.ts';
import { readSources } from '../../tests/gpu/harness.mjs';

const [file, windows = '200'] = process.argv.slice(2);
const N_FRAMES = 3000;
const AT_ONCE = 4;
/** Where the number of mel bands stands in a model's file. */
const N_MEL_AT = 40;

const sources = readSources();
const opened = await openDevice();
await tune(opened, sources, 'bench', { read: async () => undefined, write: async () => {} });
const player = new Player(opened, { sources });
const module = path.join(import.meta.dirname, '../../build/wasm-tests/relaxed-single/gpu_whisper.wasm');
const env = { now_ms: () => performance.now(), ...player.imports };
const { exports: x } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(module)), { env });
player.attach(x.memory);

function put(bytes) {
  const p = x.whisper_room(bytes.length) >>> 0;
  new Uint8Array(x.memory.buffer, p, bytes.length).set(bytes);
  return p;
}

const model = readFileSync(file);
if (x.whisper_load(put(model), model.length, 0) !== 0) throw new Error(`${file} is not loaded`);
const noise = Float32Array.from({ length: N_FRAMES * model.readInt32LE(N_MEL_AT) }, (_, i) => Math.sin(i * i));
const frames = put(new Uint8Array(noise.buffer));

async function encode(n) {
  const start = performance.now();
  for (let i = 0; i < n; i++) x.whisper_encode_there(frames);
  const recorded = performance.now() - start;
  while (!x.whisper_encoded_there()) {
    await player.settled();
    player.check();
  }
  return { ms: (performance.now() - start) / n, recorded: recorded / n };
}

async function measure(n, rounds) {
  const runs = [];
  for (let i = 0; i < rounds; i++) runs.push(await encode(n));
  runs.splice(0, Math.ceil(rounds / 4)); // while the clock rises
  const sorted = (key) => runs.map((run) => run[key]).sort((a, b) => a - b);
  const [ms, recorded] = [sorted('ms'), sorted('recorded')];
  const middle = runs.length >> 1;
  return `best ${ms[0].toFixed(2)} ms, median ${ms[middle].toFixed(2)}; until it is recorded ${recorded[middle].toFixed(2)}`;
}

console.log(`${opened.about.description}, ${path.basename(file)}`);
console.log(`one window, waited for:   ${await measure(1, Number(windows))}`);
console.log(`of ${AT_ONCE} windows at once:     ${await measure(AT_ONCE, Number(windows) / AT_ONCE)}`);
x.whisper_unload();
await player.finished();
await player.close();
