// A site's own list of models: where it is read from, what it may leave out, what is refused, and that its models load.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { splitGguf } from '../split-gguf.mjs';
import { serve, sotto, temporaryFolder } from './support.mjs';
import { create, PROMPT, ready, TELLER, vectors } from './teller.mjs';

const { LanguageModel, Transcriber, readManifest } = sotto;
const teller = ready.skip ? Buffer.alloc(0) : readFileSync(TELLER);
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');
const one = { id: 'mine', kind: 'gemma3', file: 'my model.gguf', size_bytes: teller.length, sha256: hashOf(teller) };

function ownCache(t) {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = temporaryFolder(t);
  t.after(() => (before === undefined ? delete process.env.XDG_CACHE_HOME : (process.env.XDG_CACHE_HOME = before)));
}

async function loads(t, options) {
  const m = await create(t, { temperature: 0, threads: 1, ...options });
  assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 4 })));
  await m.destroy();
  return m.info;
}

/** A site with files by their paths; gives its address and what was asked of it. */
async function site(t, files) {
  const asked = [];
  const base = await serve(t, (request, response, name) => {
    asked.push({ name, headers: request.headers });
    const bytes = files[decodeURIComponent(name)];
    if (!bytes) return response.writeHead(404).end();
    response.end(typeof bytes === 'string' || Buffer.isBuffer(bytes) ? bytes : JSON.stringify(bytes));
  });
  return { base, asked };
}

test('models beside a manifest, by id, by default, and of several files; sources are relative to it', ready, async (t) => {
  ownCache(t);
  const parts = splitGguf(teller, 'teller', 2);
  const split = parts.map(([file, bytes]) => ({ file, size_bytes: bytes.length, sha256: hashOf(bytes) }));
  const manifest = {
    default_language: 'mine',
    models: [
      one,
      { ...one, id: 'elsewhere', file: 'x.gguf', sources: [{ type: 'url', url: '/none.gguf' }, { type: 'url', url: '../other/y.gguf' }] },
      { id: 'split', kind: 'gemma3', file: split[0].file, files: split, size_bytes: split.reduce((sum, f) => sum + f.size_bytes, 0), sources: [{ type: 'url', url: 'parts/' }] },
    ],
  };
  const files = Object.fromEntries(parts.map(([name, bytes]) => [`/models/parts/${name}`, bytes]));
  const { base, asked } = await site(t, { '/models/models.json': manifest, '/models/my model.gguf': teller, '/other/y.gguf': teller, ...files });
  const options = { manifest: `${base}/models/models.json` };
  assert.equal((await loads(t, { model: 'mine', ...options })).cached, false);
  assert.equal((await loads(t, options)).cached, true);
  asked.length = 0;
  await loads(t, { model: 'elsewhere', cache: false, ...options });
  assert.deepEqual(asked.map(({ name }) => name), ['/models/models.json', '/none.gguf', '/other/y.gguf']);
  await loads(t, { model: 'split', ...options });
  assert.equal(await LanguageModel.availability({ model: 'split', ...options }), 'available');
  await loads(t, { model: 'teller', ...options }); // those that come along are there still

  const read = await readManifest(options.manifest);
  assert.deepEqual(read.models[0], { ...one, name: 'mine', weights: '', languages: 0, license: '', sources: [{ type: 'url', url: `${base}/models/my%20model.gguf` }] });
  assert.equal((await loads(t, { model: 'mine', manifest: read })).cached, true);
  assert.equal(await readManifest(read), read);
  const given = { models: [{ ...one, sources: [{ type: 'url', url: `${base}/models/my%20model.gguf` }] }] };
  await loads(t, { model: 'mine', manifest: given, cache: false });
  await assert.rejects(Transcriber.create({ model: 'mine', ...options }), /language model \(gemma3\), which does not hear/);
});

test('a manifest on the disk, with its models beside it', ready, async (t) => {
  ownCache(t);
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, one.file), teller);
  const file = path.join(folder, 'models.json');
  writeFileSync(file, JSON.stringify({ models: [one, { ...one, id: 'wrong', sha256: '0'.repeat(64) }] }));
  await loads(t, { model: 'mine', manifest: file });
  await loads(t, { model: 'mine', manifest: pathToFileURL(file) });
  await assert.rejects(LanguageModel.create({ model: 'wrong', manifest: file }), { code: 'format', message: /SHA-256 differs/ });
  await assert.rejects(readManifest(path.join(folder, 'none.json')), { code: 'network', message: /^The manifest file:.*none\.json could not be fetched/ });
});

test('headers go to the manifest and to what lies at the same origin', ready, async (t) => {
  ownCache(t);
  const other = await site(t, { '/y.gguf': teller });
  const manifest = { models: [one, { ...one, id: 'far', sources: [{ type: 'url', url: `${other.base}/y.gguf` }] }] };
  const own = await site(t, { '/models.json': manifest, '/my model.gguf': teller });
  const options = { manifest: `${own.base}/models.json`, headers: { 'X-Key': 'k' }, cache: false };
  await loads(t, { model: 'mine', ...options });
  await loads(t, { model: 'far', ...options });
  assert.ok(own.asked.length >= 3 && own.asked.every(({ headers }) => headers['x-key'] === 'k'));
  assert.ok(other.asked.length > 0 && other.asked.every(({ headers }) => headers['x-key'] === undefined));
});

test('what is no manifest is refused, and the place is named', ready, async (t) => {
  const wrong = async (manifest, message) => {
    const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    const { base } = await site(t, { '/m.json': text });
    for (const given of typeof manifest === 'string' ? [`${base}/m.json`] : [`${base}/m.json`, manifest])
      await assert.rejects(readManifest(given), (error) => {
        assert.equal(error.code, 'format', error.message);
        assert.match(error.message, message);
        assert.match(error.message, /^The manifest[^\n]* cannot be used: [^\n]+\.$/);
        return true;
      });
  };
  const model = (more) => ({ models: [one, { ...one, id: 'x', ...more }] });
  await wrong('<!doctype html>', /it is no JSON/);
  await wrong('{"models":', /it is no JSON/);
  await wrong(`{"models":[],"about":"${'x'.repeat(5 << 20)}"}`, /it has more than \d+ bytes/);
  await wrong([], /the whole must be an object/);
  await wrong({}, /models must be an array/);
  await wrong({ models: Array(10_001).fill(one) }, /models has more than 10000 entries/);
  await wrong({ models: [null] }, /models\[0\] must be an object/);
  await wrong({ models: [one, one] }, /two models have the id mine/);
  await wrong({ models: [one], default: 'yours' }, /default is yours, which is no id/);
  for (const id of [undefined, 7, '', 'a/b', 'hf:x', '../x', 'a\nb', 'x'.repeat(101)]) await wrong(model({ id }), /models\[1\]\.id must be/);
  for (const file of [undefined, '', '../x.gguf', 'a/b.gguf', 'a\\b', '.hidden', 'a\0b', 'C:x']) await wrong(model({ file }), /models\[1\]\.file must be/);
  for (const size_bytes of [undefined, 0, -1, 1.5, '7', 2 ** 60]) await wrong(model({ size_bytes }), /models\[1\]\.size_bytes must be a whole number/);
  for (const sha256 of ['', 'x'.repeat(64), 7, '0'.repeat(63)]) await wrong(model({ sha256 }), /models\[1\]\.sha256 must be 64 hexadecimal digits/);
  for (const kind of [undefined, '', 'a b', {}]) await wrong(model({ kind }), /models\[1\]\.kind must be/);
  for (const url of ['javascript:alert(1)', 'data:,x', 'http://', 7]) await wrong(model({ sources: [{ type: 'url', url }] }), /models\[1\]\.sources\[0\]\.url must be/);
  await wrong(JSON.stringify(model({ sources: [{ type: 'url', url: 'file:///etc/passwd' }] })), /models\[1\]\.sources\[0\]\.url must be an address of http/);
  await wrong(model({ sources: [] }), /sources must have an entry/);
  await wrong(model({ sources: [{ type: 'package' }] }), /sources\[0\]\.type must be "url" or "npm"/);
  await wrong(model({ sources: [{ type: 'npm', package: '../x', version: '1', path: 'y' }] }), /package must be the name/);
  await wrong(model({ sources: [{ type: 'npm', package: 'x', version: '1', path: 'a/../../y' }] }), /path must be a path in the package/);
  await wrong(model({ files: [] }), /files must name each file once/);
  await wrong(model({ files: [{ file: 'a', size_bytes: 1 }], sources: [{ type: 'url', url: 'https://x.example/y' }] }), /must be addresses of folders/);
  await assert.rejects(readManifest('http://127.0.0.1:9/m.json'), { code: 'network', message: /could not be fetched/ });
  const { base } = await site(t, {});
  await assert.rejects(readManifest(`${base}/m.json`), { code: 'network', message: /HTTP status 404/ });
  await assert.rejects(readManifest(`${base}/m.json`, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  await assert.rejects(LanguageModel.create({ model: 'mine', manifest: `${base}/m.json` }), /The manifest .* could not be fetched/);
});
