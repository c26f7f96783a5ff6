// The package in a browser, from its own files without a bundler: with and without cross-origin isolation, the cache,
// decoding by the browser, abort.
import assert from 'node:assert/strict';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { BUILT, JFK_WORDS, MODEL, needs, root, serve, temporaryFolder, words } from './support.mjs';

const CHROMIUM =
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file)) ??
  '/usr/bin/chromium';
const ready = needs(MODEL, 'js/dist/index.js', 'node_modules/playwright-core/package.json', ...BUILT);
if (!ready.skip && !existsSync(CHROMIUM)) Object.assign(ready, { skip: 'Chromium is not there' });
if (ready.skip) console.log(`skip: ${ready.skip}`);

const { vectors } = JSON.parse(readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));
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

test('the model is kept in the page’s own files, checked when it is taken out, and can be removed', ready, async (t) => {
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
    const kept = await (await navigator.storage.getDirectory()).getDirectoryHandle('sotto-kept');
    const [[, folder]] = await Array.fromAsync(kept.entries());
    const [, data] = (await Array.fromAsync(folder.entries())).find(([name]) => name.startsWith('data-'));
    const position = (await data.getFile()).size - 1000; // within a weight
    const file = await data.createWritable({ keepExistingData: true });
    await file.write({ type: 'write', position, data: Uint8Array.of(1, 2, 3, 4) });
    await file.close();
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
    const r = await page.evaluate(
      async (prompts) => {
        const { LanguageModel } = window.sotto;
        const out = { texts: [], before: await LanguageModel.availability() };
        const model = await LanguageModel.create({ temperature: 0, contextWindow: 160 });
        Object.assign(out, { variant: model.info.variant, after: await LanguageModel.availability() });
        const clones = await Promise.all(prompts.map(() => model.clone()));
        const running = clones.map((clone, i) => clone.prompt(prompts[i], { maxTokens: 10 })); // all at once
        out.texts = await Promise.all(running);
        const [prompt] = prompts;

        const controller = new AbortController();
        let n = 0;
        out.abort = await (async () => {
          for await (const _ of model.promptStreaming(prompt, { signal: controller.signal }))
            if (++n === 2) controller.abort();
          return 'done';
        })().catch((e) => e.name);
        out.usageAfterAbort = model.contextUsage;
        const reader = model.promptStreaming(prompt, { maxTokens: 10 }).getReader();
        out.read = '';
        for (let x; !(x = await reader.read()).done;) out.read += x.value;
        out.usage = model.contextUsage;

        const saved = await model.save();
        const quantized = await LanguageModel.create({ temperature: 0, kvType: 'q8_0' });
        out.q8 = await quantized.prompt(prompt, { maxTokens: 10 });
        await quantized.destroy();
        const restored = await LanguageModel.create({ temperature: 0, restore: saved });
        out.restored = await restored.prompt('And then?', { maxTokens: 10 });
        out.original = await model.prompt('And then?', { maxTokens: 10 });
        await restored.destroy();

        out.dropped = 0;
        model.addEventListener('contextoverflow', (e) => (out.dropped += e.dropped));
        for (const next of prompts) await model.prompt(next, { maxTokens: 15 });
        out.finally = model.contextUsage;
        out.ids = await model.tokenize(prompt);
        out.text = await model.detokenize(out.ids);
        out.scores = (await model.score(out.ids)).length;
        await model.destroy();
        const cached = await LanguageModel.create();
        out.cached = cached.info.cached;
        await cached.destroy();
        return out;
      },
      vectors.map(({ prompt }) => prompt),
    );
    assert.match(r.variant, isolated ? /threads$/ : /single$/);
    assert.deepEqual([r.before, r.after, r.cached], ['downloadable', 'available', true]);
    r.texts.forEach((text, i) => assert.ok(text.length > 10 && vectors[i].text.startsWith(text), text));
    assert.equal(r.abort, 'AbortError');
    assert.equal(r.usageAfterAbort, 0);
    assert.equal(r.read, r.texts[0]);
    assert.equal(r.usage, vectors[0].prompt_ids.length + 10);
    assert.ok(vectors[0].text.startsWith(r.q8.slice(0, 10)), r.q8);
    assert.equal(r.restored, r.original);
    assert.ok(r.dropped > 0 && r.finally <= 160);
    assert.equal(r.text, vectors[0].prompt);
    assert.equal(r.scores, r.ids.length - 1);
  });
}

const bundling = ready.skip ? ready : needs('node_modules/vite/package.json');
test('the package in a bundle: each worker once, engines and model beside it', bundling, async (t) => {
  const folder = temporaryFolder(t);
  const entry = path.join(folder, 'index.html');
  writeFileSync(entry, '<!doctype html><title>test</title><script type="module" src="./main.js"></script>');
  writeFileSync(
    path.join(folder, 'main.js'),
    `import { LanguageModel } from ${JSON.stringify(path.join(root, 'js/dist/index.js'))};
    window.LanguageModel = LanguageModel;`,
  );
  const { build } = await import('vite');
  await build({
    root: folder,
    logLevel: 'error',
    configFile: false,
    base: './',
    build: { outDir: path.join(folder, 'dist'), target: 'es2022', assetsInlineLimit: 0 },
    worker: { format: 'es' },
  });
  const files = readdirSync(path.join(folder, 'dist/assets'));
  const count = (pattern) => files.filter((name) => pattern.test(name)).length;
  assert.deepEqual(
    [count(/^worker.*\.js$/), count(/^thread.*\.js$/), count(/^sotto-.*\.wasm$/), count(/\.gguf$/)],
    [1, 1, 4, 1],
    files.join(' '),
  );
  const base = await serve(t, (request, response, name) => {
    const file = path.join(folder, 'dist', name === '/' ? 'index.html' : name);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, {
      'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    createReadStream(file).pipe(response);
  });
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(base);
  const r = await page.evaluate(async (prompt) => {
    const model = await window.LanguageModel.create({ temperature: 0, threads: 2 });
    const text = await model.prompt(prompt, { maxTokens: 10 });
    await model.destroy();
    return [text, model.info.threads];
  }, vectors[0].prompt);
  assert.ok(vectors[0].text.startsWith(r[0]), r[0]);
  assert.equal(r[1], 2);
});

test('sotto/openai: an answer in chunks and a transcript', ready, async (t) => {
  const page = await open(t, true);
  const r = await page.evaluate(async (content) => {
    const { OpenAI } = await import('/js/dist/openai.js');
    const client = new OpenAI({ sources: ['/models/'] });
    const asked = { model: 'default', messages: [{ role: 'user', content }], temperature: 0, max_tokens: 10 };
    const out = { text: '', whole: (await client.chat.completions.create(asked)).choices[0].message.content };
    for await (const chunk of await client.chat.completions.create({ ...asked, stream: true }))
      out.text += chunk.choices[0].delta.content ?? '';
    const file = new File([await window.clip('jfk.mp3')], 'jfk.mp3');
    out.heard = await client.audio.transcriptions.create({ model: 'tiny-q5_1', file, response_format: 'text' });
    out.wrong = await client.chat.completions.create({ ...asked, n: 2 }).catch((e) => [e instanceof OpenAI.BadRequestError, e.param]);
    await client.close();
    return out;
  }, vectors[0].prompt);
  assert.ok(r.text.length > 10 && vectors[0].text.startsWith(r.text), r.text);
  assert.equal(r.whole, r.text);
  assert.deepEqual(words(r.heard), JFK_WORDS);
  assert.deepEqual(r.wrong, [true, 'n']);
});
