// Language models of several files, from everywhere; the one that ships with the package; what the manifest promises.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { MODEL, needs, serve, sotto, temporaryFolder } from './support.mjs';
import { create, PROMPT, ready, TELLER, vectors } from './teller.mjs';
import { splitGguf } from '../split-gguf.mjs';

const { LanguageModel } = sotto;
const GOLDEN = 'tests/fixtures/golden/gemma3-1b-shape';
const parts = ready.skip ? [] : splitGguf(readFileSync(TELLER), 'teller', 3);

/** Loads, writes a little, and gives the progress that was told. */
async function writes(t, model, options = {}) {
  const progress = [];
  const monitor = (m) => m.addEventListener('downloadprogress', (e) => progress.push([e.loaded, e.total]));
  const m = await create(t, { model, temperature: 0, threads: 1, monitor, ...options });
  assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 5 })));
  await m.destroy();
  return { progress, info: m.info };
}

test('the default ships with the package', ready, async (t) => {
  assert.equal(await LanguageModel.availability(), 'available');
  for (const model of [undefined, 'default', 'teller']) {
    const { progress } = await writes(t, model);
    assert.deepEqual(progress.at(-1), [13389344, 13389344]);
  }
  const shipped = readFileSync('js/dist/teller-q8_0.gguf');
  const teller = LanguageModel.models().find(({ id }) => id === 'teller');
  assert.equal(createHash('sha256').update(shipped).digest('hex'), teller.sha256);
});

test('the manifest has what a person wants to know of each language model', ready, () => {
  const ids = new Set();
  for (const m of LanguageModel.models()) {
    assert.ok(!ids.has(m.id) && !ids.has(m.file), m.id);
    ids.add(m.id).add(m.file);
    assert.match(m.kind, /^gemma[123]$/);
    assert.ok(Number.isSafeInteger(m.size_bytes) && m.size_bytes > 1e6, m.id);
    assert.ok(m.sha256 === null || /^[0-9a-f]{64}$/.test(m.sha256), m.id);
    assert.ok(m.context >= 2048);
    assert.ok(m.license && /^https:/.test(m.license_url));
    assert.ok(m.weights && m.sources.length > 0);
    for (const source of m.sources)
      if (source.type === 'url')
        assert.match(source.url, new RegExp(`^https://huggingface\\.co/[^/]+/[^/]+/resolve/[^/]+/${m.file}$`));
  }
  const sizes = LanguageModel.models().map((m) => m.size_bytes);
  assert.deepEqual(
    sizes,
    sizes.toSorted((a, b) => a - b),
  );
  for (const name of ['Gemma 3 270M', 'Gemma 3 1B', 'Gemma 3 4B', 'Gemma 2 2B'])
    assert.ok(
      LanguageModel.models().some((m) => m.name === name),
      name,
    );
  assert.ok(sotto.models.includes(LanguageModel.models()[0]));
});

test('a split GGUF: by the first part’s path or address, as Files, as named buffers and streams', ready, async (t) => {
  const folder = temporaryFolder(t);
  for (const [name, bytes] of parts) writeFileSync(path.join(folder, name), bytes);
  const at = (i) => path.join(folder, parts[i][0]);
  const total = parts.reduce((sum, [, bytes]) => sum + bytes.length, 0);
  const asked = [];
  const base = await serve(t, (request, response, name) => {
    asked.push(request.url);
    const file = path.join(folder, name);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.end(readFileSync(file));
  });
  const files = parts.map(([name, bytes]) => new File([bytes], name));
  const inputs = {
    'a path': at(0),
    'the path of another part': at(2),
    'a folder': folder,
    'a file URL': pathToFileURL(at(0)),
    'an address': `${base}/${parts[0][0]}?download=true`,
    'Files in any order': files.toReversed(),
    addresses: parts.map(([name]) => new URL(`${base}/${name}`)),
    'named buffers, streams and Blobs': [
      { name: parts[1][0], source: parts[1][1] },
      { name: parts[0][0], source: new Blob([parts[0][1]]).stream() },
      files[2],
    ],
  };
  for (const [what, model] of Object.entries(inputs)) {
    const { progress } = await writes(t, model);
    assert.deepEqual(progress.at(-1), [total, total], what);
    assert.ok(
      progress.every(([loaded, all], i) => loaded <= all && (i === 0 || loaded >= progress[i - 1][0])),
      what,
    );
  }
  assert.deepEqual(
    asked.slice(0, 3),
    parts.map(([name]) => `/${name}?download=true`),
  );

  const refused = (model, message, code = 'argument') =>
    assert.rejects(LanguageModel.create({ model }), { code, message });
  await refused(files.slice(0, 2), /teller-00003-of-00003\.gguf is missing: give all 3 parts/);
  await refused([...files, new File([], 'other.gguf')], /two models/);
  rmSync(at(1));
  await refused(at(0), /teller-00002-of-00003\.gguf/);
  await refused(folder, /teller-00002-of-00003\.gguf is missing/);
  await refused(`${base}/none-00001-of-00002.gguf`, /none-00001-of-00002\.gguf/, 'network');
});

/** The checkpoint in two shards, as Hugging Face splits large ones. */
function shard(folder) {
  const bytes = readFileSync(`${GOLDEN}/model.safetensors`);
  const size = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...tensors } = JSON.parse(bytes.subarray(8, 8 + size));
  const names = Object.keys(tensors);
  const weight_map = {};
  [names.slice(0, 10), names.slice(10)].forEach((mine, i) => {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    let at = 0;
    const data = [];
    const header = {};
    for (const name of mine) {
      const [from, to] = tensors[name].data_offsets;
      header[name] = { ...tensors[name], data_offsets: [at, at + to - from] };
      at += to - from;
      data.push(bytes.subarray(8 + size + from, 8 + size + to));
      weight_map[name] = file;
    }
    const json = Buffer.from(JSON.stringify(header));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path.join(folder, file), Buffer.concat([head, json, ...data]));
  });
  writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map }));
  copyFileSync(`${GOLDEN}/config.json`, path.join(folder, 'config.json'));
  writeFileSync(path.join(folder, 'README.md'), 'other files are left out');
}

test('a Hugging Face folder, whole and in shards: by path, as Files, as addresses', ready, async (t) => {
  const folder = temporaryFolder(t);
  shard(folder);
  const { ids } = JSON.parse(readFileSync(`${GOLDEN}/vectors.json`, 'utf8'));
  const scores = async (model) => {
    const m = await create(t, { model, threads: 1 });
    const s = await m.score(ids);
    await m.destroy();
    return s;
  };
  const expected = await scores(GOLDEN);
  const base = await serve(t, (request, response, name) => {
    const file = path.join(folder, name);
    return existsSync(file) ? response.end(readFileSync(file)) : response.writeHead(404).end();
  });
  const names = readdirSync(folder);
  assert.deepEqual(await scores(folder), expected);
  assert.deepEqual(
    await scores(names.map((name) => new File([readFileSync(path.join(folder, name))], name))),
    expected,
  );
  assert.deepEqual(
    await scores(names.filter((name) => name !== 'README.md').map((name) => `${base}/${name}`)),
    expected,
  );
  const refused = (model, message) => assert.rejects(LanguageModel.create({ model }), { code: 'argument', message });
  await refused([new File([], 'model.safetensors')], /config\.json is missing/);
  await refused([new File([], 'a.txt'), new File([], 'b.txt')], /no model among these files/);
  await refused([], /empty/);
  await refused([new Blob([])], /needs a name/);
  const empty = path.join(folder, 'empty');
  mkdirSync(empty);
  await refused(empty, /no model among these files/);
});

test('files that are checked are kept one by one; a spoilt one is fetched again', ready, async (t) => {
  const cache = temporaryFolder(t);
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = cache;
  t.after(() => (before === undefined ? delete process.env.XDG_CACHE_HOME : (process.env.XDG_CACHE_HOME = before)));
  const asked = [];
  const base = await serve(t, (_, response, name) => {
    asked.push(name);
    response.end(parts.find(([file]) => `/${file}` === name)[1]);
  });
  const model = parts.map(([name, bytes]) => {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { name, source: { url: `${base}/${name}`, sha256, size: bytes.length } };
  });
  assert.equal(await LanguageModel.availability({ model }), 'downloadable');
  assert.equal((await writes(t, model)).info.cached, false);
  assert.equal(asked.length, 3);
  assert.equal(await LanguageModel.availability({ model }), 'available');
  assert.equal((await writes(t, model)).info.cached, true);
  assert.equal(asked.length, 3);
  const names = () => readdirSync(path.join(cache, 'sotto')).filter((name) => name.endsWith('.gguf'));
  const kept = names().map((name) => path.join(cache, 'sotto', name));
  assert.equal(kept.length, 3);
  const spoilt = kept.find((file) => file.includes('00002'));
  const bytes = readFileSync(spoilt);
  bytes[bytes.length - 1000] ^= 1;
  writeFileSync(spoilt, bytes);
  await writes(t, model);
  assert.deepEqual(asked.slice(3), [`/${parts[1][0]}`]);
  await LanguageModel.remove(model);
  assert.deepEqual([names(), readdirSync(path.join(cache, 'sotto/models'))], [[], []]);
});

test('a model that cannot fit is refused before it is fetched', ready, async (t) => {
  const sent = [];
  const base = await serve(t, (_, response) => {
    response.on('close', () => sent.push(response.socket?.bytesWritten));
    response.writeHead(200, { 'content-length': 5_000_000_000 });
    response.write(parts[0][1].subarray(0, 1000));
  });
  const error = { name: 'SottoError', code: 'memory', message: /has 5\.0 GB, and the engine can have 4\.3 GB/ };
  await assert.rejects(LanguageModel.create({ model: `${base}/large.gguf` }), error);
  const sha256 = '0'.repeat(64);
  await assert.rejects(
    LanguageModel.create({ model: { url: `${base}/x.gguf`, sha256, size: 5_000_000_000 }, cache: false }),
    error,
  );
});

test(
  'a model of the other kind is known by its first bytes, or its name',
  needs(TELLER, MODEL, 'js/dist/index.node.js'),
  async () => {
    const endless = (file, bytes) =>
      new ReadableStream({
        start: (c) => c.enqueue(new Uint8Array(readFileSync(file).subarray(0, bytes))), // and then nothing comes
      });
    const { Transcriber } = sotto;
    const whisper = { code: 'argument', message: /Whisper.*Transcriber/ };
    const language = { code: 'argument', message: /gemma3.*LanguageModel/ };
    await assert.rejects(LanguageModel.create({ model: endless(MODEL, 1 << 20) }), whisper);
    await assert.rejects(Transcriber.create({ model: endless(TELLER, 1 << 20) }), language);
    await assert.rejects(LanguageModel.create({ model: 'tiny-q5_1' }), whisper);
    await assert.rejects(Transcriber.create({ model: 'teller' }), language);
  },
);
