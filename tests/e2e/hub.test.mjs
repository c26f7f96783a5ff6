// Models of a hub in Chromium: a cross-origin isolated page, a hub at another origin, and its large files at a third.
import assert from 'node:assert/strict';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { startHub } from '../hub.mjs';
import { splitGguf } from '../split-gguf.mjs';
import { BUILT, needs, serve } from '../js/support.mjs';
import { CHROMIUM_FLAGS, findBrowser, root } from './browser.mjs';

const TELLER = 'assets/teller-q8_0.gguf';
const ready = needs(TELLER, 'js/dist/index.js', ...BUILT);
if (!ready.skip && !findBrowser('chromium')) Object.assign(ready, { skip: 'Chromium is not there' });
const { vectors } = JSON.parse(readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };
const TOKEN = 'hf_of_a_reader';

const browser = ready.skip
  ? undefined
  : await (await import('playwright-core')).chromium.launch({ executablePath: findBrowser('chromium'), args: CHROMIUM_FLAGS });
after(() => browser?.close());

/** A page with the package, isolated; `files` of its site by their paths. */
async function open(t, files = {}) {
  const asked = [];
  const base = await serve(t, (request, response, name) => {
    asked.push(name);
    const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp', 'content-type': TYPES[path.extname(name)] ?? 'text/html' };
    if (name === '/') return response.writeHead(200, headers).end('<!doctype html><title>test</title>');
    if (files[name]) return response.writeHead(200, { ...headers, 'content-length': files[name].length }).end(files[name]);
    const file = path.join(root, name);
    if (!name.startsWith('/js/dist/') || !existsSync(file)) return response.writeHead(404, headers).end();
    createReadStream(file).pipe(response.writeHead(200, headers));
  });
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${base}/`);
  await page.evaluate(async (prompt) => {
    window.sotto = await import('/js/dist/index.js');
    /** Loads, writes a little, and says how that went. */
    window.write = async (options) => {
      try {
        const model = await window.sotto.LanguageModel.create({ temperature: 0, threads: 1, backend: 'cpu', ...options });
        const text = await model.prompt(prompt, { maxTokens: 4 });
        const { cached } = model.info;
        await model.destroy();
        return { text, cached };
      } catch (error) {
        return { code: error.code, message: error.message };
      }
    };
  }, vectors[0].prompt);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const write = async (options) => {
    const result = await page.evaluate((o) => window.write(o), options);
    if (result.text !== undefined) assert.ok(vectors[0].text.startsWith(result.text), result.text);
    return result;
  };
  return { page, base, asked, write };
}

test('a file, a type, split parts; checked and kept; tokens stay at the hub', ready, async (t) => {
  const teller = readFileSync(TELLER);
  const parts = splitGguf(teller, 'teller', 2);
  const hub = await startHub(t, {
    'o/many': { files: { 'x-q8_0.gguf': teller, 'x-f16.gguf': Buffer.from('GGUF') } },
    'o/split': { files: Object.fromEntries(parts) },
    'o/gated': { files: { 'x.gguf': Buffer.concat([teller, Buffer.alloc(32)]) }, gated: TOKEN },
  });
  const { page, write } = await open(t);
  assert.equal((await write({ model: 'hf:o/many:Q8_0', hub: hub.url })).cached, false);
  hub.askedFiles.length = 0;
  assert.equal((await write({ model: 'hf:o/many/x-q8_0.gguf', hub: hub.url })).cached, true);
  assert.equal(hub.askedFiles.length, 0);
  assert.equal((await write({ model: `${hub.url}/o/many/blob/main/x-q8_0.gguf`, hub: hub.url })).cached, true);
  assert.equal((await write({ model: 'hf:o/split', hub: hub.url })).cached, false);
  assert.match((await write({ model: 'hf:o/many', hub: hub.url })).message, /o\/many has 2 models: name one/);
  assert.match((await write({ model: 'hf:o/none', hub: hub.url })).message, /there is no repository o\/none/);

  const gated = await write({ model: 'hf:o/gated', hub: hub.url });
  assert.equal(gated.code, 'network');
  assert.match(gated.message, /accept its licence on .*\/o\/gated, then give a token/);
  hub.askedFiles.length = 0;
  assert.equal((await write({ model: 'hf:o/gated', hub: hub.url, headers: { Authorization: `Bearer ${TOKEN}` } })).cached, false);
  assert.ok(hub.askedFiles.length > 0 && hub.askedFiles.every(({ headers }) => headers.authorization === undefined));
  assert.equal(await page.evaluate((o) => window.sotto.LanguageModel.availability(o), { model: 'hf:o/many:q8_0', hub: hub.url }), 'available');

  // Headers but Authorization go where a redirect leads: a page cannot see that.
  hub.askedFiles.length = 0;
  assert.equal((await write({ model: 'hf:o/gated', hub: hub.url, cache: false, headers: { 'X-Key': 'k', Authorization: `Bearer ${TOKEN}` } })).cached, false);
  assert.ok(hub.askedFiles.length > 0 && hub.askedFiles.every(({ headers }) => headers.authorization === undefined && headers['x-key'] === 'k'));

  hub.down = true;
  for (const model of ['hf:o/many:Q8_0', 'hf:o/many/x-q8_0.gguf', 'hf:o/split']) assert.equal((await write({ model, hub: hub.url })).cached, true, model);
  assert.match((await write({ model: 'hf:o/none', hub: hub.url })).message, /o\/none could not be looked up/);
});

test("a site's own list of models, relative to its address, and a mirror for the list that comes along", ready, async (t) => {
  const teller = readFileSync(TELLER);
  const manifest = { default_language: 'mine', models: [{ id: 'mine', kind: 'gemma3', file: 'mine.gguf', size_bytes: teller.length }] };
  const { page, asked, write } = await open(t, { '/models/list.json': Buffer.from(JSON.stringify(manifest)), '/models/mine.gguf': teller });
  assert.equal((await write({ manifest: '/models/list.json' })).cached, false);
  assert.deepEqual(asked.filter((name) => name.startsWith('/models/')).slice(0, 2), ['/models/list.json', '/models/mine.gguf']);
  assert.equal((await write({ model: 'mine', manifest: 'models/list.json' })).cached, true);
  const urls = await page.evaluate(async () => (await window.sotto.readManifest('models/list.json')).models.map((m) => m.sources[0].url));
  assert.deepEqual(urls.map((url) => new URL(url).pathname), ['/models/mine.gguf']);
  assert.match((await write({ model: 'mine', manifest: '/models/none.json' })).message, /The manifest .*none\.json could not be fetched \(HTTP status 404\)/);
  const hub = await startHub(t, {});
  assert.match((await write({ model: 'gemma-3-270m-q4_0', hub: hub.url })).message, /could not be fetched/);
  assert.ok(hub.asked.some(({ path: p }) => p.startsWith('/ggml-org/gemma-3-270m-it-qat-GGUF/resolve/')));
});
