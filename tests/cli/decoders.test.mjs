// js/dist/audio-decoders.wasm, the command's decoders for Node: what they give is the recording.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const file = 'js/dist/audio-decoders.wasm';
const skip = fs.existsSync(file) ? false : `skip: ${file} is missing: make wasm`;

// Bytes come in pieces of at most `most`, as a pipe gives them.
async function decode(bytes, most = Infinity) {
  let at = 0;
  const read = (address, size) => {
    const piece = bytes.subarray(at, at + Math.min(size, most));
    new Uint8Array(wasm.memory.buffer).set(piece, address);
    at += piece.length;
    return piece.length;
  };
  const wasm = (await WebAssembly.instantiate(fs.readFileSync(file), { env: { read } })).instance.exports;
  const samples = [];
  if (wasm.sotto_audio_open()) {
    for (let n; (n = wasm.sotto_audio_read()) > 0; ) {
      samples.push(...new Float32Array(wasm.memory.buffer, wasm.sotto_audio_samples(), n));
    }
  }
  const problem = wasm.sotto_audio_problem();
  const text = problem && new Uint8Array(wasm.memory.buffer, problem);
  return { samples, problem: problem ? new TextDecoder().decode(text.subarray(0, text.indexOf(0))) : null };
}

const fixture = (name) => fs.readFileSync(`tests/fixtures/audio/${name}`);

// Cosine of the angle between two stretches of 2 s, at the shift (up to 40 ms: the delay of an encoder) where it is largest.
function likeness(a, b) {
  let best = 0;
  for (let shift = -640; shift <= 640; shift++) {
    let ab = 0, aa = 0, bb = 0;
    for (let i = 32000; i < 64000; i++) {
      ab += a[i] * b[i + shift];
      aa += a[i] ** 2;
      bb += b[i + shift] ** 2;
    }
    best = Math.max(best, ab / Math.sqrt(aa * bb));
  }
  return best;
}

test('lossless files give the samples of the WAV', { skip }, async () => {
  const wav = (await decode(fixture('jfk.wav'))).samples;
  assert.equal(wav.length, 176000);
  for (const [name, n] of [['jfk_4s.flac', 70400], ['jfk_1s.oga', 16000]]) {
    for (const most of [Infinity, 777]) {
      const { samples, problem } = await decode(fixture(name), most);
      assert.equal(problem, null);
      assert.equal(samples.length, n);
      assert.ok(samples.every((x, i) => Math.abs(x - wav[i]) < 1e-6), name);
    }
  }
});

test('lossy files give something like it', { skip }, async () => {
  const wav = (await decode(fixture('jfk.wav'))).samples;
  for (const name of ['jfk.ogg', 'jfk.mp3']) {
    const { samples, problem } = await decode(fixture(name), 1000);
    assert.equal(problem, null);
    assert.ok(Math.abs(samples.length - wav.length) < 1600, `${name}: ${samples.length}`);
    assert.ok(likeness(wav, samples) > 0.95, `${name}: ${likeness(wav, samples)}`);
  }
});

test('two mp3 files in one are both heard', { skip }, async () => {
  const mp3 = fixture('jfk.mp3');
  const { samples } = await decode(Buffer.concat([mp3, mp3]));
  assert.ok(Math.abs(samples.length - 2 * 176000) < 6000, `${samples.length}`);
});

test('what is no audio is named', { skip }, async () => {
  const cases = { '': /empty/, 'some text': /not audio that is known/, '\xff\xf1\x50\x80 of some radio': /AAC/, 'FORM....AIFF': /AIFF/ };
  for (const [bytes, pattern] of Object.entries(cases)) {
    const { samples, problem } = await decode(Buffer.from(bytes, 'latin1'));
    assert.equal(samples.length, 0);
    assert.match(problem, pattern);
  }
});
