// The writers against the bytes in tests/fixtures/formats, which the native command is tested against too.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { needs, root } from './support.mjs';

const built = needs('js/dist/format.js');
const writers = built.skip ? {} : await import(`${root}/js/dist/format.js`);
const fixture = (name) => readFileSync(`${root}/tests/fixtures/formats/${name}`, 'utf8');
const raw = JSON.parse(fixture('segments.json'));
const transcript = {
  language: raw.language,
  languageProbability: raw.language_probability,
  segments: raw.segments.map((s) => ({
    ...s,
    noSpeechProb: s.no_speech_prob,
    avgLogprob: s.avg_logprob,
    compressionRatio: s.compression_ratio,
  })),
};

for (const name of ['txt', 'srt', 'vtt', 'tsv', 'lrc', 'json']) {
  test(name, built, () =>
    assert.equal(writers.format(transcript, name, { file: raw.file }), fixture(`expected.${name}`)),
  );
}

test('json lines', built, () =>
  assert.equal(writers.toJsonLine(transcript, { file: raw.file }), fixture('expected.jsonl')),
);

test('lines with times', built, () => {
  assert.equal(writers.toLines(transcript), fixture('expected.default.txt'));
  assert.equal(transcript.segments.map(writers.toLine).join(''), fixture('expected.default.txt'));
});

test('timings come last, rounded to microseconds; what is no number is null', built, () => {
  const object = writers.toObject(
    { segments: [{ start: 0, end: 1, text: ' a', avgLogprob: NaN }] },
    { timings: { load_ms: 1.23456789 }, peak_memory_bytes: 5 },
  );
  assert.deepEqual(Object.keys(object).slice(-2), ['timings', 'peak_memory_bytes']);
  assert.deepEqual(object.timings, { load_ms: 1.235 });
  assert.equal(object.segments[0].avg_logprob, null);
});

test('nothing said', built, () => {
  assert.equal(writers.toSrt({ segments: [] }), '');
  assert.equal(writers.toVtt({ segments: [] }), 'WEBVTT\n\n');
  assert.equal(writers.toTxt({ segments: [{ start: 0, end: 1, text: ' \n' }] }), '');
});
