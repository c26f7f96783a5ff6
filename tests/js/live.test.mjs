// Live transcription in Node: clips fed in tenths of a second. Words that settled stay, and the final texts are near the transcript of the whole.
import assert from 'node:assert/strict';
import test from 'node:test';
import { repeatsItself, SettlingText, unitsOf } from '../../js/src/live-text.ts';
import { BUILT, JFK, MODEL, needs, readSamples, root, sotto, words } from './support.mjs';

const ready = { ...needs(MODEL, 'js/dist/silero-vad-v6.2.0.bin', ...BUILT), timeout: 300_000 };
const RATE = 16000;
const clip = (name) => readSamples(`tests/fixtures/audio/${name}.wav`).samples;

/** Least number of words to put in, leave out or change. */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

/** The samples in tenths of a second, with a second and a half of silence behind them; in real time where asked. */
async function* pieces(samples, { realTime = false, clock = {} } = {}) {
  const all = new Float32Array(samples.length + 1.5 * RATE);
  all.set(samples);
  clock.begin = performance.now();
  for (let at = 0; at < all.length; at += RATE / 10) {
    const due = clock.begin + (at / RATE + 0.1) * 1000 - performance.now();
    if (realTime && due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    yield all.subarray(at, at + RATE / 10);
  }
}

/** All events; checks what must hold for them in any case. */
async function listen(live) {
  const events = [];
  let settled = '';
  let end = 0;
  for await (const event of live) {
    events.push(event);
    assert.ok(event.start <= event.end && event.start >= 0);
    if (event.text === undefined) continue;
    assert.ok(event.text.startsWith(event.settled), `${event.settled} | ${event.text}`);
    assert.ok(event.settled.startsWith(settled), `"${settled}" became "${event.settled}"`);
    settled = event.type === 'final' ? '' : event.settled;
    if (event.type !== 'final') continue;
    assert.equal(event.settled, event.text);
    assert.ok(event.start >= end);
    end = event.end;
  }
  return events;
}

test('two hypotheses in a row settle what they agree on', () => {
  const text = new SettlingText();
  const after = (hypothesis) => (text.add(hypothesis), [text.settled, text.text]);
  assert.deepEqual(after(' Ask not, what your can'), ['', 'Ask not, what your can']);
  assert.deepEqual(after('ask not what your country'), ['ask not what your', 'ask not what your country']);
  assert.deepEqual(after('ask not what your land can do'), ['ask not what your', 'ask not what your land can do']);
  assert.deepEqual(after('ask not what YOUR land can do for'), ['ask not what your land can do', 'ask not what your land can do for']);
  assert.deepEqual(after('something else'), ['ask not what your land can do', 'ask not what your land can do']);
  assert.equal(text.finish('Ask not. What your land can do for you!'), 'ask not what your land can do for you!');
  assert.deepEqual(unitsOf('昨日は良い day'), ['昨', '日', 'は', '良', 'い', ' day']);
  assert.ok(repeatsItself('What your country can do! What your country can do for you'));
  assert.ok(repeatsItself('A-A-A-A-A-A-A-A-'));
  assert.ok(!repeatsItself('no no no, and on and on and on'));
});

const open = () => sotto.Transcriber.create({ model: new URL(`file://${root}/${MODEL}`), threads: 2 });

test('clips: settled words stay, the text is near that of the whole', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  for (const [name, language] of [['jfk', 'en'], ['en_quilter', 'en'], ['de', 'de']]) {
    const samples = clip(name);
    const live = transcriber.live(pieces(samples), { sampleRate: RATE, language });
    const events = await listen(live);
    const batch = await transcriber.transcribe(samples, { sampleRate: RATE, language });
    const errors = distance(words(live.text), words(batch.text));
    t.diagnostic(`${name}: ${errors} of ${words(batch.text).length} words differ: ${live.text}`);
    assert.ok(errors <= 0.35 * words(batch.text).length, `${live.text}\n${batch.text}`);
    const kinds = new Set(events.map(({ type }) => type));
    for (const kind of ['speech-start', 'partial', 'final', 'speech-end']) assert.ok(kinds.has(kind), kind);
    assert.ok(events.every(({ language: found }) => found === undefined || found === language));
    assert.deepEqual(live.finals, events.filter(({ type }) => type === 'final'));
  }
});

test('silence and birds: nothing is said', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const live = transcriber.live(pieces(clip('birds_no_speech')), { sampleRate: RATE });
  assert.deepEqual(await listen(live), []);
  assert.equal(live.text, '');
});

test('speech without a pause is cut into parts that say it all', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const samples = clip('radio_address_127s').subarray(0, 24 * RATE);
  const live = transcriber.live(pieces(samples), { sampleRate: RATE, language: 'en', vad: { minSilenceMs: 5000 } });
  await listen(live);
  assert.ok(live.finals.length >= 2 && live.finals.every(({ start, end }) => end - start < 16));
  const batch = await transcriber.transcribe(samples, { sampleRate: RATE, language: 'en' });
  const errors = distance(words(live.text), words(batch.text));
  t.diagnostic(`${errors} of ${words(batch.text).length} words differ: ${live.text}`);
  assert.ok(errors <= 0.35 * words(batch.text).length, `${live.text}\n${batch.text}`);
});

test('in real time: how long after a phrase its final text comes', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const clock = {};
  const late = [];
  const live = transcriber.live(pieces(clip('jfk'), { realTime: true, clock }), {
    sampleRate: RATE,
    language: 'en',
    vad: { padMs: 0 },
    onEvent: ({ type, end }) => type === 'final' && late.push((performance.now() - clock.begin) / 1000 - end),
  });
  await listen(live);
  t.diagnostic(`final texts ${late.map((s) => s.toFixed(2)).join(', ')} s after the end of their phrases`);
  assert.ok(late.length >= 2);
});

test('stop ends in order; an abort at once; other work goes on after both', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const endless = async function* () {
    const samples = clip('jfk');
    for (let at = 0; ; at += RATE / 10) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield samples.slice(at % samples.length, (at % samples.length) + RATE / 10);
    }
  };
  const levels = [];
  const first = transcriber.live(endless(), { sampleRate: RATE, language: 'en', onLevel: (x) => levels.push(x) });
  for await (const { type } of first) if (type === 'partial') await Promise.race([first.stop(), Promise.resolve()]);
  assert.ok(first.finals.length >= 1);
  assert.ok(levels.length > 5 && levels.every((x) => x >= 0 && x <= 1) && Math.max(...levels) > 0.05);

  const abort = new AbortController();
  const second = transcriber.live(endless(), { sampleRate: RATE, signal: abort.signal });
  await assert.rejects(async () => {
    for await (const { type } of second) if (type === 'speech-start') abort.abort();
  }, { name: 'AbortError' });
  await assert.rejects(second.finished, { name: 'AbortError' });
  const { text } = await transcriber.transcribe(new URL(`file://${root}/${JFK}`), { language: 'en', vad: true });
  assert.match(text, /country/);
});

/** What of a page listen() needs: a stream whose sound the test gives, in pieces of a tenth of a second. */
function fakePage(t) {
  const page = { node: undefined, closed: 0 };
  globalThis.AudioContext = class {
    sampleRate = RATE;
    audioWorklet = { addModule: async () => {} };
    createMediaStreamSource = () => ({ connect() {} });
    resume = async () => {};
    close = async () => void page.closed++;
  };
  globalThis.AudioWorkletNode = class {
    port = {};
    constructor() {
      page.node = this;
    }
  };
  t.after(() => {
    delete globalThis.AudioContext;
    delete globalThis.AudioWorkletNode;
  });
  page.stream = { getAudioTracks: () => [{ readyState: 'live', stop() {}, addEventListener() {} }] };
  page.say = (samples) => {
    for (let at = 0; at < samples.length; at += RATE / 10)
      page.node.port.onmessage({ data: samples.slice(at, at + RATE / 10) });
  };
  return page;
}

test('what is said before the model is there waits, the last minute of it, and keeps its times', ready, async (t) => {
  const page = fakePage(t);
  const levels = [];
  const sound = await sotto.listen(page.stream, { onLevel: (x) => levels.push(x) });
  page.say(new Float32Array(55 * RATE));
  page.say(clip('jfk'));
  page.say(new Float32Array(2 * RATE));
  assert.equal(sound.skipped, 8);
  assert.ok(levels.length === 680 && Math.max(...levels) > 0.05);
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const live = transcriber.live(sound, { language: 'en' });
  for await (const { type } of live) if (type === 'speech-end' && live.text.endsWith('country.')) void live.stop();
  assert.match(live.text, /fellow/);
  assert.ok(live.finals[0].start >= 55 && live.finals[0].start < 56, `${live.finals[0].start} s`);
  assert.ok(live.finals.at(-1).end > 65 && live.finals.at(-1).end < 67, `${live.finals.at(-1).end} s`);
  assert.equal(page.closed, 1);
});

test('listening without a model ends by stop, by its signal, and with a live that fails', ready, async (t) => {
  const page = fakePage(t);
  const stopped = await sotto.listen(page.stream);
  stopped.stop();
  assert.equal(page.closed, 1);

  const abort = new AbortController();
  await sotto.listen(page.stream, { signal: abort.signal });
  abort.abort();
  assert.equal(page.closed, 2);
  await assert.rejects(sotto.listen(page.stream, { signal: abort.signal }), { name: 'AbortError' });
  await assert.rejects(sotto.listen('microphone'), /microphone cannot be had here/);

  const transcriber = await open();
  const sound = await sotto.listen(page.stream);
  await transcriber.destroy();
  await assert.rejects(transcriber.live(sound).finished, /destroyed/);
  assert.equal(page.closed, 3);
});

test('what cannot be heard: errors in words', ready, async (t) => {
  const transcriber = await open();
  t.after(() => transcriber.destroy());
  const fails = async (source, options, pattern) => {
    const live = transcriber.live(source, options);
    await assert.rejects(live.finished, pattern);
    await assert.rejects(async () => {
      for await (const _ of live);
    }, pattern);
  };
  await fails('microphone', {}, /microphone cannot be had here/);
  await fails(pieces(new Float32Array(10)), {}, /sampleRate/);
  for (const wrong of [42, null]) await fails(wrong, { sampleRate: RATE }, /live\(\) hears/);
  await fails((async function* () { yield new Uint8Array(3); })(), { sampleRate: RATE }, /Float32Arrays/);
  await fails((async function* () { throw new Error('the caller\'s own'); })(), { sampleRate: RATE }, /caller's own/);
  await fails({ getAudioTracks: () => [] }, {}, /no sound/);
  await fails(pieces(new Float32Array(10)), { sampleRate: RATE, vad: { threshold: 2 } }, /threshold/);
});
