// Transcriptions through the package: inputs, queue, abort, streaming, the four builds, leaks.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after } from 'node:test';
import { BUILT, JFK, JFK_WORDS, MODEL, needs, readSamples, root, runProgram, sotto, words } from './support.mjs';

const { Transcriber, SottoError } = sotto;
const ready = needs(MODEL, ...BUILT);
const wav = readFileSync(JFK);
const shared = ready.skip ? undefined : await Transcriber.create({ model: MODEL });
after(() => shared?.destroy());

const wordErrors = (text) => {
  const got = words(text);
  return JFK_WORDS.filter((word, i) => got[i] !== word).length + Math.abs(got.length - JFK_WORDS.length);
};

test('a WAV file: text, times, tokens, language, timings', ready, async () => {
  const progress = [];
  const r = await shared.transcribe(new Blob([wav]), { onProgress: (p) => progress.push(p) });
  assert.equal(wordErrors(r.text), 0, r.text);
  assert.equal(r.language, 'en');
  assert.ok(r.languageProbability > 0.5 && r.languageProbability <= 1);
  assert.equal(r.languages[0].language, 'en');
  assert.ok(r.segments.length >= 1);
  let last = 0;
  for (const s of r.segments) {
    assert.ok(s.start >= last && s.end >= s.start && s.end <= 30, `${s.start} ${s.end}`);
    last = s.start;
    assert.ok(
      s.tokens.length > 0 &&
        s.tokens.every(({ id, p, text }) => Number.isInteger(id) && p >= 0 && p <= 1 && typeof text === 'string'),
    );
    assert.ok(s.avgLogprob <= 0 && s.compressionRatio > 0 && s.noSpeechProb >= 0 && s.noSpeechProb <= 1);
  }
  assert.equal(
    r.text,
    r.segments
      .map((s) => s.text)
      .join('')
      .trim(),
  );
  assert.equal(r.timings.nEncode, 1);
  assert.ok(r.timings.nDecode > 20 && r.timings.encodeMs > 0 && r.timings.totalMs >= r.timings.encodeMs);
  assert.ok(progress.length > 0);
  assert.ok(
    progress.every(
      ({ fraction }, i) => fraction >= 0 && fraction <= 1 && (i === 0 || fraction >= progress[i - 1].fraction - 1e-9),
    ),
  );
  assert.ok(Math.abs(progress.at(-1).duration - 11) < 0.1);
});

/** A 16-bit mono WAV file. */
function wavOf(samples, rate) {
  const bytes = Buffer.alloc(44 + samples.length * 2);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8);
  for (const [i, v] of [16, 1 | (1 << 16), rate, rate * 2, 2 | (16 << 16)].entries())
    bytes.writeUInt32LE(v, 16 + 4 * i);
  bytes.write('data', 36);
  bytes.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((x, i) => bytes.writeInt16LE(Math.round(x * 32768), 44 + 2 * i));
  return bytes;
}

test('the same samples by every way in give the same transcript', ready, async () => {
  const { samples: all, rate } = readSamples(JFK);
  const samples = all.subarray(0, rate * 4);
  const wav = wavOf(samples, rate);
  const half = (samples.length / 2) | 0;
  const pieces = async function* () {
    yield samples.subarray(0, half);
    yield samples.subarray(half);
  };
  const bytes = new ReadableStream({
    start(c) {
      for (let at = 0; at < wav.length; at += 7001) c.enqueue(new Uint8Array(wav.subarray(at, at + 7001)));
      c.close();
    },
  });
  const stereo = new Float32Array(samples.length * 2).map((_, i) => samples[i >> 1]);
  const audioBuffer = {
    sampleRate: rate,
    length: samples.length,
    duration: samples.length / rate,
    numberOfChannels: 1,
    getChannelData: () => samples,
  };
  const runs = [
    shared.transcribe(samples, { sampleRate: rate }),
    shared.transcribe(pieces(), { sampleRate: rate }),
    shared.transcribe(bytes),
    shared.transcribe(wav),
    shared.transcribe(stereo, { sampleRate: rate, channels: 2 }),
    shared.transcribe(audioBuffer),
  ];
  const [first, ...others] = await Promise.all(runs);
  assert.match(first.text, /fellow Americans/);
  for (const other of others) {
    assert.equal(other.text, first.text);
    assert.deepEqual(
      other.segments.map(({ start, end }) => [start, end]),
      first.segments.map(({ start, end }) => [start, end]),
    );
  }
  assert.ok(samples.some((x) => x !== 0) && samples.length > 0, 'the caller keeps its samples');
});

test('segments can be gone through while they come, also twice', ready, async () => {
  const running = shared.transcribe(wav);
  const first = [];
  for await (const segment of running) first.push(segment);
  const again = [];
  for await (const segment of running) again.push(segment);
  const { segments } = await running;
  assert.deepEqual(first, segments);
  assert.deepEqual(again, segments);
});

test('options reach the engine', ready, async () => {
  const plain = await shared.transcribe(wav, { timestamps: false, language: 'english', temperatureIncrement: 0 });
  assert.equal(plain.segments.length, 1);
  assert.equal(plain.language, 'en');
  assert.equal(plain.languageProbability, 1);
  assert.equal(wordErrors(plain.text), 0, plain.text);
  const prefixed = await shared.transcribe(wav, {
    prefix: 'And so, my fellow Americans,',
    language: 'en',
    timestamps: false,
  });
  assert.match(prefixed.text, /^(And so, my fellow Americans,)? ?ask not/);
  const noAsk = await shared.transcribe(wav, { language: 'en', suppressTokens: [1029] }); // " ask"
  assert.ok(noAsk.segments.every((s) => s.tokens.every(({ id }) => id !== 1029)));
});

test('calls that make no sense are refused in words', ready, async () => {
  const refused = async (code, message, audio, options) =>
    assert.rejects(
      shared.transcribe(audio, options),
      (e) => e instanceof SottoError && e.code === code && message.test(e.message),
    );
  await refused('argument', /sampleRate/, new Float32Array(10));
  await refused('argument', /sampleRate/, new Float32Array(10), { sampleRate: 10 });
  await refused('argument', /channels/, new Float32Array(10), { sampleRate: 16000, channels: 0 });
  await refused('argument', /frames/, new Float32Array(11), { sampleRate: 16000, channels: 2 });
  await refused('argument', /language|klingon/i, wav, { language: 'klingon' });
  await refused('argument', /beamSize/, wav, { beamSize: 'many' });
  await refused('argument', /task/, wav, { task: 'sing' });
  await refused('argument', /audio/, { not: 'audio' });
  await refused('format', /empty/, new Uint8Array(0));
  await refused('format', /./, wav.subarray(0, 20));
  await assert.rejects(shared.transcribe('no-such-file.wav'), /no-such-file/);
  assert.equal(wordErrors((await shared.transcribe(wav)).text), 0, 'and it still works');
});

test('a stream of audio that fails passes its own error on', ready, async () => {
  const error = new Error('the microphone was pulled out');
  const stream = async function* () {
    yield new Float32Array(16000);
    throw error;
  };
  await assert.rejects(shared.transcribe(stream(), { sampleRate: 16000 }), (e) => e === error);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(
    (await shared.transcribe(new Float32Array(0), { sampleRate: 16000 })).text,
    '',
    'and the next one works',
  );
});

test('abort at any moment; what comes next is right', ready, async () => {
  const long = readFileSync(new URL('../fixtures/audio/radio_address_127s.wav', import.meta.url)); // seconds of work on any machine
  for (const ms of [0, 3, 50, 200, 700]) {
    const controller = new AbortController();
    const running = shared.transcribe(long, { signal: controller.signal });
    const next = shared.transcribe(new Float32Array(0), { sampleRate: 16000 });
    setTimeout(() => controller.abort(), ms);
    await assert.rejects(running, { name: 'AbortError' });
    await assert.rejects(
      (async () => {
        for await (const _ of running);
      })(),
      { name: 'AbortError' },
    );
    await next;
  }
  assert.equal(wordErrors((await shared.transcribe(wav)).text), 0);
  await assert.rejects(shared.transcribe(wav, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('an abort ends a stream that never ends', ready, async () => {
  let cancelled = false;
  const silence = new ReadableStream({
    pull: (c) => c.enqueue(new Float32Array(1600)),
    cancel: () => void (cancelled = true),
  });
  const controller = new AbortController();
  const running = shared.transcribe(silence, { sampleRate: 16000, signal: controller.signal });
  setTimeout(() => controller.abort(), 300);
  await assert.rejects(running, { name: 'AbortError' });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(cancelled, true);
});

test('calls queue and end in order', ready, async () => {
  const ended = [];
  const { samples, rate } = readSamples(JFK);
  const sizes = [rate * 4, 0, rate];
  await Promise.all(
    sizes.map((n, i) =>
      shared.transcribe(samples.subarray(0, n), { sampleRate: rate, language: 'en' }).then(() => ended.push(i)),
    ),
  );
  assert.deepEqual(ended, [0, 1, 2]);
});

test('silence gives no words, an end of stream at once gives none either', ready, async () => {
  const nothing = async function* () {
    yield new Float32Array(0);
  };
  const r = await shared.transcribe(nothing(), { sampleRate: 16000 });
  assert.equal(r.text, '');
  assert.deepEqual(r.segments, []);
});

for (const variant of ['simd-single', 'simd-threads', 'relaxed-single', 'relaxed-threads']) {
  test(`jfk.wav by ${variant}`, ready, async (t) => {
    if (variant.startsWith('relaxed') && !sotto.detect().relaxedSimd) return t.skip('this Node has no relaxed SIMD');
    const transcriber = await Transcriber.create({ model: MODEL, variant, threads: 2 });
    try {
      const r = await transcriber.transcribe(wav);
      assert.equal(wordErrors(r.text), 0, r.text);
      t.diagnostic(
        `encode ${r.timings.encodeMs.toFixed(0)} ms, decode ${(r.timings.decodeMs / r.timings.nDecode).toFixed(1)} ms a token`,
      );
    } finally {
      await transcriber.destroy();
    }
  });
}

test('after destroy everything is refused, and what ran is aborted', ready, async () => {
  const transcriber = await Transcriber.create({ model: MODEL });
  const running = transcriber.transcribe(wav);
  const queued = transcriber.transcribe(wav);
  await transcriber.destroy();
  await transcriber.destroy();
  await assert.rejects(running, { name: 'AbortError' });
  await assert.rejects(queued, { name: 'AbortError' });
  await assert.rejects(transcriber.transcribe(wav), { code: 'closed' });
  await assert.rejects(transcriber.tensors(), { code: 'closed' });
});

test('20 Transcribers leave nothing behind, and the process ends by itself', ready, async () => {
  const script = `
    import { Transcriber } from '${root}/js/dist/index.node.js';
    const memory = () => (gc(), process.memoryUsage().rss);
    let before;
    for (let i = 0; i < 20; i++) {
      await using transcriber = await Transcriber.create({ model: '${MODEL}', threads: 2 });
      if (i % 7 === 0) await transcriber.transcribe(new Float32Array(1600), { sampleRate: 16000, language: 'en', temperatureIncrement: 0 });
      if (i === 4) before = memory();
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    const workers = process.getActiveResourcesInfo().filter((name) => /Worker|MessagePort/.test(name));
    console.log(JSON.stringify({ grown: memory() - before, workers }));`
    .replace('await using transcriber', 'const transcriber')
    .replace('if (i === 4)', 'await transcriber.destroy(); if (i === 4)');
  const start = Date.now();
  const { code, stdout, stderr } = await runProgram(
    process.execPath,
    ['--expose-gc', '--input-type=module', '-e', script],
    { timeout: 200_000 },
  );
  assert.equal(code, 0, stderr);
  const { grown, workers } = JSON.parse(stdout);
  assert.deepEqual(workers, []);
  assert.ok(grown < 60e6, `memory grew by ${grown} bytes in 15 rounds, after ${Date.now() - start} ms`);
});

test('a process with a Transcriber that was forgotten ends too', ready, async () => {
  const script = `
    import { Transcriber } from '${root}/js/dist/index.node.js';
    const t = await Transcriber.create({ model: '${MODEL}' });
    console.log((await t.transcribe('${JFK}')).segments.length > 0);`;
  const { code, stdout } = await runProgram(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  });
  assert.equal(code, 0);
  assert.equal(stdout, 'true\n');
});
