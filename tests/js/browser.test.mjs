// The package in a browser, from its own files without a bundler: with and without cross-origin isolation, the cache,
// decoding by the browser, abort.
import assert from 'node:assert/strict';
import { createReadStream, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { BUILT, JFK_WORDS, MODEL, needs, root, serve, words } from './support.mjs';

const CHROMIUM =
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file)) ??
  '/usr/bin/chromium';
const ready = needs(MODEL, 'js/dist/index.js', 'node_modules/playwright-core/package.json', ...BUILT);
if (!ready.skip && !existsSync(CHROMIUM)) Object.assign(ready, { skip: 'Chromium is not there' });
if (ready.skip) console.log(`skip: ${ready.skip}`);

const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' };
const asked = [];

/** Serves the package, the model and the recordings; pages under /isolated/ are cross-origin isolated. */
function answer(request, response, name) {
  asked.push(name);
  const isolated =
    /isolated=1/.test(request.url + (request.headers.referer ?? '')) || request.headers.cookie?.includes('isolated');
  const headers = isolated
    ? { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }
    : {};
  if (name === '/') {
    return response
      .writeHead(200, { ...headers, 'content-type': 'text/html', ...(isolated && { 'set-cookie': 'isolated=1' }) })
      .end('<!doctype html><title>test</title>');
  }
  const file = path.join(root, name);
  if (!/^\/(js\/dist|models|assets|tests\/fixtures\/audio)\//.test(name) || !existsSync(file))
    return response.writeHead(404).end();
  const type = TYPES[path.extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, { ...headers, 'content-type': type, 'content-length': statSync(file).size });
  createReadStream(file).pipe(response);
}

const browser = ready.skip
  ? undefined
  : await (
      await import('playwright-core')
    ).chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-quic', '--disable-background-networking'],
    });
after(() => browser?.close());

async function open(t, isolated) {
  const base = await serve(t, answer);
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  page.on('pageerror', (error) => console.log('pageerror', error.message));
  await page.goto(`${base}/${isolated ? '?isolated=1' : ''}`);
  await page.evaluate(async () => {
    window.sotto = await import('/js/dist/index.js');
    window.load = (options = {}) =>
      window.sotto.Transcriber.create({ model: 'tiny-q5_1', sources: ['/models/'], ...options });
    window.clip = async (name) => (await fetch(`/tests/fixtures/audio/${name}`)).blob();
  });
  return page;
}

test('isolated: threads; files, AudioBuffer, samples; segments as they come; abort', ready, async (t) => {
  const page = await open(t, true);
  const r = await page.evaluate(async () => {
    const progress = [];
    const transcriber = await window.load({
      monitor: (m) => m.addEventListener('downloadprogress', (e) => progress.push([e.loaded, e.total])),
    });
    const out = { info: transcriber.info, progress: progress.at(-1), texts: {} };
    const wav = await window.clip('jfk.wav');
    const running = transcriber.transcribe(wav);
    out.segments = 0;
    for await (const _ of running) out.segments++;
    const whole = await running;
    out.texts.wav = whole.text;
    out.timings = whole.timings;
    out.texts.mp3 = (await transcriber.transcribe(await window.clip('jfk.mp3'))).text;
    const buffer = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(
      await (await window.clip('jfk.ogg')).arrayBuffer(),
    );
    out.rate = buffer.sampleRate;
    out.texts.buffer = (await transcriber.transcribe(buffer)).text;
    out.texts.samples = (
      await transcriber.transcribe(buffer.getChannelData(0), { sampleRate: buffer.sampleRate })
    ).text;
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    out.abort = await transcriber.transcribe(wav, { signal: controller.signal }).then(
      () => 'done',
      (e) => e.name,
    );
    out.junk = await transcriber.transcribe(new Blob(['no sound in here'])).then(
      () => 'done',
      (e) => [e.name, e.code, e.message],
    );
    out.texts.after = (await transcriber.transcribe(wav)).text;
    await transcriber.destroy();
    return out;
  });
  assert.match(r.info.variant, /^(relaxed|simd)-threads$/);
  assert.equal(r.info.whySingle, undefined);
  assert.deepEqual(r.progress, [statSync(MODEL).size, statSync(MODEL).size]);
  assert.ok(r.segments > 0);
  assert.equal(r.rate, 44100);
  for (const [name, text] of Object.entries(r.texts)) assert.deepEqual(words(text), JFK_WORDS, name);
  assert.equal(r.abort, 'AbortError');
  assert.deepEqual(r.junk.slice(0, 2), ['SottoError', 'format']);
  t.diagnostic(
    `${r.info.variant}, load ${r.info.loadMs.toFixed(0)} ms, encode ${r.timings.encodeMs.toFixed(0)} ms, decode ${(r.timings.decodeMs / r.timings.nDecode).toFixed(1)} ms a token, in all ${r.timings.totalMs.toFixed(0)} ms`,
  );
});

test('the model is kept, checked when it is taken out, and can be removed', ready, async (t) => {
  const page = await open(t, true);
  asked.length = 0;
  const r = await page.evaluate(async () => {
    const { Transcriber } = window.sotto;
    const out = { before: await Transcriber.availability({ model: 'tiny-q5_1' }), loads: [] };
    const load = async () => {
      const transcriber = await window.load();
      out.loads.push([transcriber.info.cached, transcriber.info.loadMs]);
      await transcriber.destroy();
    };
    await load();
    out.kept = await Transcriber.availability({ model: 'tiny-q5_1' });
    await load();
    await load();
    const store = await caches.open('sotto-models');
    const piece = (await store.keys()).find(({ url }) => url.endsWith('/7')); // the last one, of weights
    const bytes = new Uint8Array(await (await store.match(piece)).arrayBuffer());
    bytes[bytes.length - 1000] ^= 1;
    await store.put(piece, new Response(bytes));
    await load();
    await load();
    await Transcriber.remove('tiny-q5_1');
    out.after = await Transcriber.availability({ model: 'tiny-q5_1' });
    return out;
  });
  assert.deepEqual([r.before, r.kept, r.after], ['downloadable', 'available', 'downloadable']);
  assert.deepEqual(
    r.loads.map(([cached]) => cached),
    [false, true, true, false, true],
  );
  assert.equal(asked.filter((name) => name.startsWith('/models/')).length, 2);
  t.diagnostic(
    `first ${r.loads[0][1].toFixed(0)} ms, from the cache ${Math.min(r.loads[1][1], r.loads[2][1]).toFixed(0)} ms`,
  );
});

test('not isolated: one thread, and it says why', ready, async (t) => {
  const page = await open(t, false);
  asked.length = 0;
  const r = await page.evaluate(async () => {
    const transcriber = await window.load({ threads: 2 });
    const { text } = await transcriber.transcribe(await window.clip('jfk.wav'));
    const { info } = transcriber;
    await transcriber.destroy();
    return { info, text };
  });
  assert.match(r.info.variant, /-single$/);
  assert.equal(r.info.threads, 1);
  assert.match(r.info.whySingle, /not cross-origin isolated/);
  assert.deepEqual(words(r.text), JFK_WORDS);
  const engines = new Set(asked.filter((name) => name.endsWith('.wasm')));
  assert.equal(engines.size, 1, 'one engine is downloaded');
});

test('the package from another origin, as from a CDN', ready, async (t) => {
  const base = await serve(t, (request, response, name) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('cross-origin-resource-policy', 'cross-origin');
    answer(request, response, name);
  });
  const page = await open(t, true);
  const r = await page.evaluate(async (base) => {
    const { Transcriber } = await import(`${base}/js/dist/index.js`);
    const transcriber = await Transcriber.create({ model: 'tiny-q5_1', sources: ['/models/'] });
    const { variant } = transcriber.info;
    await transcriber.destroy();
    return variant;
  }, base);
  assert.match(r, /-threads$/);
});

for (const isolated of [true, false]) {
  test(`a language model, ${isolated ? 'isolated' : 'not isolated'}`, ready, async (t) => {
    const page = await open(t, isolated);
    const r = await page.evaluate(async () => {
      const create = { model: new URL('/assets/teller-q8_0.gguf', location.href), temperature: 0 };
      const model = await window.sotto.LanguageModel.create(create);
      const prompt = 'Tell me a story about a dog and a ball.';
      const controller = new AbortController();
      const aborted = [];
      const abort = await (async () => {
        const reader = model.promptStreaming(prompt, { signal: controller.signal }).getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return 'done';
          if (aborted.push(value) === 3) controller.abort();
        }
      })().catch((e) => e.name);
      const pieces = [];
      for await (const piece of model.promptStreaming(prompt, { maxTokens: 10 })) pieces.push(piece);
      const out = { abort, pieces, usage: model.contextUsage, variant: model.info.variant };
      await model.destroy();
      return out;
    });
    assert.match(r.variant, isolated ? /threads$/ : /single$/);
    assert.equal(r.abort, 'AbortError');
    assert.ok(r.pieces.length > 1);
    assert.match(r.pieces.join(''), /^Once upon a time, there was/);
    assert.equal(r.usage, 35);
  });
}
