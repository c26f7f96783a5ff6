// sotto vad, and sotto transcribe --vad: stretches of speech, and the words of a recording with long silence in it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { done, fails, noCommand, scratchFolder } from './command.mjs';

const MODEL = 'models/ggml-tiny-q5_1.bin';
const JFK = 'tests/fixtures/audio/jfk.wav';
const OTHER = 'tests/fixtures/audio/en_quilter.wav'; // 5.9 s
const GAP_S = 20;
const noModel = noCommand || (fs.existsSync(MODEL) ? false : `skip: ${MODEL} is missing: tools/fetch-models`);
const scratch = scratchFolder('vad');

/** jfk, faint noise, someone else. */
function withSilence() {
  const wav = fs.readFileSync(JFK);
  const at = wav.indexOf('data') + 8;
  const other = fs.readFileSync(OTHER);
  const noise = Buffer.alloc(GAP_S * 16000 * 2);
  for (let i = 0, x = 1; i < noise.length; i += 2) noise.writeInt16LE(((x = (x * 48271) % 2147483647) % 9) - 4, i);
  const data = Buffer.concat([wav.subarray(at), noise, other.subarray(other.indexOf('data') + 8)]);
  const head = Buffer.from(wav.subarray(0, at));
  head.writeUInt32LE(data.length, at - 4);
  head.writeUInt32LE(at - 8 + data.length, 4);
  const file = path.join(scratch, 'silence.wav');
  fs.writeFileSync(file, Buffer.concat([head, data]));
  return file;
}

const words = (text) => text.toLowerCase().match(/[a-z]+/g).join(' ');
const stretches = (text) => text.trim().split('\n').map((line) => line.split(' ').map(Number));

test('vad: four phrases, none among birds; JSON says the same', { skip: noCommand }, () => {
  const found = stretches(done(['vad', JFK]));
  assert.equal(found.length, 4);
  assert.ok(found.every(([start, end], i) => start < end && end <= 11 && (i === 0 || start > found[i - 1][1])));
  assert.equal(done(['vad', 'tests/fixtures/audio/birds_no_speech.wav']), '');
  const json = JSON.parse(done(['vad', '--json', JFK]));
  assert.deepEqual(json.speech.map(({ start, end }) => [start, end]), found);
  assert.deepEqual([json.duration, json.probabilities.length], [11, 344]);
  assert.equal(stretches(done(['vad', '--min-silence', '2000', '--pad=200', JFK])).length, 1);
});

test('vad: wrong usage and files', { skip: noCommand }, () => {
  fails(2, ['vad'], /no audio file/);
  fails(2, ['vad', '--pad', 'x', JFK], /--pad/);
  fails(1, ['vad', 'no-such.wav'], /no-such\.wav: No such file/);
  fails(1, ['vad', 'package.json'], /package\.json: /);
});

test('transcribe --audio-ctx: a window of all positions is the default one; a shorter one has the words too', { skip: noModel }, () => {
  const args = ['transcribe', '-m', MODEL, '-l', 'en', '-q', '-f', 'txt', JFK];
  const whole = done(args);
  assert.equal(done([...args, '--audio-ctx', '1500']), whole);
  assert.match(done([...args, '--audio-ctx=950', '--temperature-increment', '0']), /what your country can do/i);
  fails(2, [...args, '--audio-ctx', '1501'], /--audio-ctx/);
});

test('transcribe --fast-encoder: another sum, the same words', { skip: noModel }, () => {
  const args = ['transcribe', '-m', MODEL, '-l', 'en', '-q', '--json', JFK];
  const [exact, fast] = [args, [...args, '--fast-encoder']].map((a) => JSON.parse(done(a)));
  assert.equal(words(fast.text), words(exact.text));
  assert.notEqual(fast.segments[0].avg_logprob, exact.segments[0].avg_logprob);
});

test('transcribe --vad: the same words, with the times of the whole recording', { skip: noModel }, () => {
  const args = ['transcribe', '-m', MODEL, '-l', 'en', '--json', '--vad', '-q'];
  const plain = [JFK, OTHER].map((file) => JSON.parse(done([...args, file])).text);
  const { segments, text, timings } = JSON.parse(done([...args, withSilence()]));
  assert.equal(words(text), words(plain.join(' ')));
  const second = segments.filter(({ start }) => start > 11);
  assert.ok(second.length > 0 && second[0].start > 11 + GAP_S - 1 && second[0].start < 12 + GAP_S, segments.map(({ start, end }) => `${start} - ${end}`).join(', '));
  assert.ok(segments.every(({ start, end }) => start <= end && end <= 17 + GAP_S));
  assert.equal(timings.n_encode, 1); // 17 s without the silence are one window
});
