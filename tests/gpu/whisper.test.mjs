// A small random Whisper on the GPU against the CPU: encoder, prompt, several sequences.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openDevice } from '../../js/src/gpu/device.ts';
import { Player } from '../../js/src/gpu/player.ts';
import { readSources, useAdapter, wholeModelAdapters } from './harness.mjs';

const file = path.join(import.meta.dirname, '../../build/wasm-tests/relaxed-single/gpu_whisper.wasm');
const adapters = wholeModelAdapters();

const N_MEL = 80;
const D = 64;
const N_VOCAB = 51865;
const N_CTX = 1500;
const N_TEXT = 448;
const FRAMES = 3000;

let seed = 1;
/** Of [-1, 1). */
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
};
const int32s = (...list) => Buffer.from(Int32Array.from(list).buffer);
const floats = (n, centre, spread) => Buffer.from(Float32Array.from({ length: n }, () => centre + spread * random()).buffer);

/** A file as whisper.cpp's, all tensors f32, one layer each. */
function makeModel() {
  const header = [N_VOCAB, N_CTX, D, 1, 1, N_TEXT, D, 1, 1, N_MEL, 0];
  const parts = [Buffer.from('lmgg'), int32s(...header), int32s(N_MEL, 201), floats(N_MEL * 201, 0.5, 0.5)];
  const nStored = N_VOCAB - 1608;
  parts.push(int32s(nStored));
  for (let i = 0; i < nStored; i++) {
    const n = i < 256 ? 1 : 2;
    const v = i < 256 ? i + 33 : i - 256;
    parts.push(int32s(n), Buffer.from([v & 255, v >> 8]).subarray(0, n));
  }
  const tensor = (name, dims, centre, spread) => {
    const n = dims.reduce((a, b) => a * b);
    parts.push(int32s(dims.length, name.length, 0, ...dims.toReversed()), Buffer.from(name), floats(n, centre, spread));
  };
  const matrix = (name, rows, cols) => tensor(name, [rows, cols], 0, Math.sqrt(3 / cols));
  const norm = (name) => {
    tensor(`${name}.weight`, [D], 1, 0.1);
    tensor(`${name}.bias`, [D], 0, 0.1);
  };
  const attention = (name) => {
    for (const part of ['query', 'key', 'value', 'out']) {
      matrix(`${name}.${part}.weight`, D, D);
      if (part !== 'key') tensor(`${name}.${part}.bias`, [D], 0, 0.1);
    }
    norm(`${name}_ln`);
  };
  const block = (name, cross) => {
    attention(`${name}.attn`);
    if (cross) attention(`${name}.cross_attn`);
    norm(`${name}.mlp_ln`);
    matrix(`${name}.mlp.0.weight`, 4 * D, D);
    tensor(`${name}.mlp.0.bias`, [4 * D], 0, 0.1);
    matrix(`${name}.mlp.2.weight`, D, 4 * D);
    tensor(`${name}.mlp.2.bias`, [D], 0, 0.1);
  };
  tensor('encoder.positional_embedding', [N_CTX, D], 0, 1);
  tensor('encoder.conv1.weight', [D, N_MEL, 3], 0, Math.sqrt(1 / N_MEL));
  tensor('encoder.conv1.bias', [D, 1], 0, 0.1);
  tensor('encoder.conv2.weight', [D, D, 3], 0, Math.sqrt(1 / D));
  tensor('encoder.conv2.bias', [D, 1], 0, 0.1);
  block('encoder.blocks.0', false);
  norm('encoder.ln_post');
  tensor('decoder.positional_embedding', [N_TEXT, D], 0, 0.1);
  matrix('decoder.token_embedding.weight', N_VOCAB, D);
  block('decoder.blocks.0', true);
  norm('decoder.ln');
  return Buffer.concat(parts);
}

const missing = !existsSync(file) ? 'build/wasm-tests/relaxed-single/gpu_whisper.wasm is not made' : 'no Vulkan driver in software';
if (!existsSync(file) || adapters.length === 0) test('whisper', { skip: missing }, () => {});
for (const adapter of existsSync(file) ? adapters : [])
  test(`a random Whisper on ${adapter}`, async () => {
    useAdapter(adapter);
    const player = new Player(await openDevice(), { sources: readSources() });
    const env = { now_ms: () => performance.now(), ...player.imports };
    const { exports: x } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), { env });
    player.attach(x.memory);
    const put = (bytes) => {
      const p = x.whisper_room(bytes.length) >>> 0;
      new Uint8Array(x.memory.buffer, p, bytes.length).set(bytes);
      return p;
    };
    const bytes = makeModel();
    const model = put(bytes);
    const frames = put(floats(FRAMES * N_MEL, 0, 1));
    const check = async (stage) => {
      assert.equal(x.whisper_run(stage, frames), 0);
      let result = x.whisper_check();
      for (; result === 0; result = x.whisper_check()) {
        await player.settled();
        player.check();
      }
      assert.equal(result, 1);
      const distance = x.whisper_distance();
      assert.ok(distance < 5e-3, `stage ${stage}: ${distance} away`);
      if (process.env.VERBOSE) console.log(stage, distance);
    };
    // A shorter window, of positions that fill no tile; then a whole one.
    assert.equal(x.whisper_load(model, bytes.length, 97), 0);
    await check(0);
    x.whisper_unload();
    assert.equal(x.whisper_load(model, bytes.length, 0), 0);
    for (let stage = 0; stage < 4; stage++) await check(stage);
    // What the GPU chooses by itself is what is found by looking at its logits.
    const searches = [[3, 1, 5, 0], [3, 1, 4, 0.6], [1, 1, 6, 0], [3, 2, 3, 0], [1, 1, 6, 1]];
    for (const [beams, patience, sampleLen, temperature] of searches.slice(0, adapter === 'gpu' || process.env.SOTTO_SLOW_TESTS ? 5 : 2)) {
      const found = [];
      for (const byItself of [0, 1]) {
        assert.equal(x.whisper_find(beams, patience, sampleLen, temperature, byItself), 0);
        let status;
        while ((status = x.whisper_find_step()) === 1) {
          await player.settled();
          player.check();
        }
        assert.equal(status, 0);
        const tokens = x.whisper_room(4 * 448) >>> 0;
        const n = x.whisper_found(tokens);
        found.push({ tokens: [...new Int32Array(x.memory.buffer, tokens, n)], score: x.whisper_distance() });
      }
      assert.deepEqual(found[1].tokens, found[0].tokens, `${beams} beams at ${temperature}`);
      assert.ok(Math.abs(found[1].score - found[0].score) < 1e-3, `${beams} beams: ${found[1].score}, not ${found[0].score}`);
      if (process.env.VERBOSE) console.log(beams, JSON.stringify(found));
    }
    x.whisper_unload();
    assert.equal(player.bufferBytes, 0, 'closing leaves buffers open');
    await player.finished();
    player.close();
  });
