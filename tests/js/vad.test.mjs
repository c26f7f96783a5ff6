// sotto vad in Node beside the native command, and the reference probabilities in WebAssembly.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { BUILT, JFK, MODEL, needs, words } from './support.mjs';
import { done, fails, json, native, NATIVE } from './cli.mjs';

const ready = needs('js/dist/cli.js', 'js/dist/silero-vad-v6.2.0.bin', ...BUILT);
const withNative = { ...ready, ...needs(NATIVE) };

test('probabilities are those of the reference', ready, async () => {
  const npy = readFileSync('tests/fixtures/golden/silero-vad/jfk.npy');
  const at = 10 + npy.readUInt16LE(8);
  const { probabilities, duration } = await json(['vad', '--json', JFK]);
  assert.equal(duration, 11);
  assert.equal(probabilities.length, (npy.length - at) / 4);
  probabilities.forEach((p, i) => assert.ok(Math.abs(p - npy.readFloatLE(at + 4 * i)) < 1e-4));
});

test('lines and wrong usage are those of the native command', withNative, async () => {
  for (const args of [[JFK], ['--pad', '200', '--min-silence=700', 'tests/fixtures/audio/jfk.mp3'], ['tests/fixtures/audio/birds_no_speech.wav']])
    assert.equal(await done(['vad', ...args]), await done(['vad', ...args], {}, native));
  await fails(2, ['vad'], /no audio file/);
  await fails(2, ['vad', '--pad', 'x', JFK], /--pad/);
  await fails(1, ['vad', 'no-such.wav'], /no-such\.wav: No such file/);
});

test('transcribe --vad says what the native command says', { ...withNative, ...needs(MODEL) }, async () => {
  const args = ['transcribe', '-m', MODEL, '-l', 'en', '--vad', '-q', '-f', 'txt', JFK];
  assert.deepEqual(words(await done(args)), words(await done(args, {}, native)));
});
