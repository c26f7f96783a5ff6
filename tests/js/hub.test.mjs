// Models by their names on a hub, and on its mirrors: which files they are, that they are checked and kept, and who gets which headers.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { startHub } from '../hub.mjs';
import { splitGguf } from '../split-gguf.mjs';
import { serve, sotto, temporaryFolder } from './support.mjs';
import { create, PROMPT, ready, TELLER, vectors } from './teller.mjs';

const { LanguageModel, Transcriber } = sotto;
const teller = ready.skip ? Buffer.alloc(0) : readFileSync(TELLER);
const parts = ready.skip ? [] : splitGguf(teller, 'teller', 3);
const GOLDEN = 'tests/fixtures/golden/gemma3-1b-shape';
const folder = ready.skip ? {} : Object.fromEntries(['config.json', 'model.safetensors'].map((name) => [name, readFileSync(`${GOLDEN}/${name}`)]));
const other = Buffer.from('GGUF of another type');
const README = Buffer.from('# A model\n');
const TOKEN = 'hf_of_a_reader';

const REPOS = {
  'o/one': { files: { 'README.md': README, 'teller-q8_0.gguf': teller, 'mmproj-teller.gguf': other } },
  'o/many': {
    files: { 'README.md': README, 'x-F16.gguf': other, 'x-Q4_0.gguf': other, 'x-Q4_0_4_4.gguf': other, 'x-q8_0.gguf': teller, 'sub dir/x-Q6_K.gguf': teller },
    revisions: { 'refs/pr/1': { 'y-q8_0.gguf': teller }, v1: { 'old@home.gguf': teller, 'x.gguf': teller } },
  },
  'o/split': { files: Object.fromEntries(parts.map(([name, bytes]) => [`Q8_0/${name}`, bytes])) },
  'o/folder': { files: { ...folder, 'README.md': README, 'deep/config.json': folder['config.json'], 'deep/model.safetensors': folder['model.safetensors'] } },
  'o/both': { files: { ...folder, 'x-f16.gguf': other } },
  'o/none': { files: { 'README.md': README, 'pytorch_model.bin': other } },
  'o/gated': { files: { 'x.gguf': teller }, gated: TOKEN },
};

/** A store of its own for a test. */
function ownCache(t) {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = temporaryFolder(t);
  t.after(() => (before === undefined ? delete process.env.XDG_CACHE_HOME : (process.env.XDG_CACHE_HOME = before)));
}

const usesHub = async (t, options) => {
  ownCache(t);
  return startHub(t, REPOS, options);
};

/** Loads it, sees that it is the teller, and gives what the load told. */
async function loads(t, model, options) {
  const m = await create(t, { model, temperature: 0, threads: 1, ...options });
  assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 4 })), String(model));
  await m.destroy();
  return m.info;
}

const refused = (model, options, message, code = 'argument') =>
  assert.rejects(LanguageModel.create({ model, ...options }), (error) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.message, /^[^\n]+\.$/);
    return true;
  });

test('a file by its name, with a revision in either place, and by the addresses of its pages', ready, async (t) => {
  const hub = await usesHub(t);
  const names = {
    'hf:o/many/x-q8_0.gguf': 'main/x-q8_0.gguf',
    'hf://o/many@v1/x.gguf': 'v1/x.gguf',
    'hf:o/many/x.gguf@v1': 'v1/x.gguf',
    'hf:o/many@v1/old@home.gguf': 'v1/old%40home.gguf',
    'hf:o/many@refs/pr/1/y-q8_0.gguf': 'refs%2Fpr%2F1/y-q8_0.gguf',
    'hf:o/many/y-q8_0.gguf@refs/pr/1': 'refs%2Fpr%2F1/y-q8_0.gguf',
    'hf:o/many/sub dir/x-Q6_K.gguf': 'main/sub%20dir/x-Q6_K.gguf',
    'https://huggingface.co/o/many/blob/main/x-q8_0.gguf': 'main/x-q8_0.gguf',
    'https://hf.co/o/many/resolve/refs%2Fpr%2F1/y-q8_0.gguf?download=true': 'refs%2Fpr%2F1/y-q8_0.gguf',
    [`${hub.url}/o/many/blob/v1/x.gguf`]: 'v1/x.gguf',
  };
  for (const [name, expected] of Object.entries(names)) {
    hub.asked.length = 0;
    await loads(t, name, { hub: `${hub.url}/`, cache: false });
    assert.deepEqual(
      [...new Set(hub.asked.map((each) => each.path))].filter((each) => each.includes('/resolve/')),
      [`/o/many/resolve/${expected}`],
      name,
    );
  }
});

test('a repository: its only model, one by its type, split files, a folder; pages of its list', ready, async (t) => {
  for (const pageSize of [1000, 1]) {
    const hub = await usesHub(t, { pageSize });
    const options = { hub: hub.url };
    const names = ['hf:o/one', 'hf:o/split:q8_0', 'hf:o/many:q6_k', 'hf:o/many:Q8_0', 'hf:o/many@refs/pr/1:Q8_0', 'hf:o/many:Q8_0@refs/pr/1', 'hf:o/split', 'https://huggingface.co/o/one/tree/main'];
    for (const name of pageSize === 1 ? names.slice(0, 3) : names) await loads(t, name, options);
    if (pageSize > 1) await loads(t, `hf:o/split/Q8_0/${parts[1][0]}`, options);
    for (const name of ['hf:o/folder', 'hf:o/folder/deep', 'hf:o/folder/deep/', 'hf:o/folder@main']) {
      const m = await create(t, { model: name, threads: 1, ...options });
      assert.equal(m.info.model.architecture, 'gemma3', name);
      await m.destroy();
    }
    if (pageSize === 1) assert.ok(hub.asked.some(({ path: p }) => p.includes('cursor=')));
  }
});

test('what is not there, or not clear, is said in a sentence', ready, async (t) => {
  const hub = await usesHub(t);
  const no = (name, message, code) => refused(name, { hub: hub.url }, message, code);
  await no('hf:o/many', /^o\/many has 5 models: name one by its type, as in hf:o\/many:Q4_0, or by its file \(x-F16\.gguf, .*sub dir\/x-Q6_K\.gguf\)\.$/);
  await no('hf:o/many:Q5_K', /^o\/many has no model of the type Q5_K: it has x-F16\.gguf, /);
  await no('hf:o/none:Q8_0', /it has no GGUF file/);
  await no('hf:o/none', /There is no model among these files/);
  await no('hf:o/many/y.gguf', /^y\.gguf is not in o\/many, which has x-F16\.gguf, x-Q4_0\.gguf/);
  await no('hf:o/split/Q8_0/teller-00001-of-00004.gguf', /teller-00001-of-00004\.gguf is not in o\/split\/Q8_0/);
  await no('hf:o/folder/model.safetensors', /model\.safetensors alone is no model: name its folder, hf:o\/folder\.$/);
  await no('hf:o/many@v9/x.gguf', /o\/many@v9\/x\.gguf could not be looked up \(there is no revision v9\)/, 'network');
  await no('hf:o/many/nowhere', /there is no nowhere/, 'network');
  await no('hf:o/missing', /there is no repository o\/missing, or it must be asked for with a token in headers/, 'network');
  for (const name of ['hf:', 'hf:x', 'hf:x/', 'hf:/x', 'hf:o/..', 'hf:o/a--b', 'hf:-o/x', 'hf:o/x@', 'hf:o/x@../y', 'hf:o/x@a..b/f.gguf', 'hf:o/x:', 'hf:o/x:a b', 'hf:o/x/../../y.gguf', 'hf:o/x//y.gguf', 'hf:o/x/a\\b.gguf', 'hf:o/x/a.gguf?x', 'hf:o/x@v1:Q8_0@v2', 'hf:o/x/a\nb.gguf', `hf:o/${'x'.repeat(200)}`])
    await no(name, /cannot be looked up \(.*\): write hf:OWNER\/REPO\/FILE\.gguf/s).catch((error) => {
      throw new Error(`${JSON.stringify(name)}: ${error.message}`);
    });
  assert.ok(!hub.asked.some(({ path: p }) => p.includes('..')));
  assert.equal(await LanguageModel.availability({ model: 'hf:o/many', hub: hub.url }), 'unavailable');
  assert.equal(await LanguageModel.availability({ model: 'hf:o/one', hub: hub.url }), 'downloadable');
});

test('the hub says what the bytes are: they are checked, and kept under that', ready, async (t) => {
  const hub = await usesHub(t);
  const options = { hub: hub.url };
  assert.equal((await loads(t, 'hf:o/one', options)).cached, false);
  assert.equal(await LanguageModel.availability({ model: 'hf:o/one', ...options }), 'available');
  hub.askedFiles.length = 0;
  assert.equal((await loads(t, 'hf:o/one/teller-q8_0.gguf', options)).cached, true);
  assert.equal((await loads(t, 'hf:o/many:Q8_0', options)).cached, true); // the same bytes in another repository
  assert.equal(hub.askedFiles.length, 0);
  await LanguageModel.remove('hf:o/one', options);
  assert.equal(await LanguageModel.availability({ model: 'hf:o/one', ...options }), 'downloadable');

  const changed = Buffer.from(teller);
  changed[changed.length - 1000] ^= 1;
  const liar = await serve(t, (_, response) => response.end(changed));
  // A mirror in front that has other bytes is left for the next address.
  assert.equal((await loads(t, 'hf:o/one', { ...options, sources: [`${liar}/`] })).cached, false);
});

test('what is kept is found again where the hub is away; what is not says so', ready, async (t) => {
  const hub = await usesHub(t);
  const options = { hub: hub.url };
  const names = ['hf:o/many:Q8_0', 'hf:o/many@refs/pr/1:Q8_0', 'hf:o/split', `hf:o/split/Q8_0/${parts[0][0]}`, 'hf:o/many/x-q8_0.gguf', `${hub.url}/o/many/blob/main/x-q8_0.gguf`];
  await loads(t, names[0], options);
  await loads(t, names[2], options);
  const folderOf = async () => {
    const m = await create(t, { model: 'hf:o/folder', threads: 1, ...options });
    await m.destroy();
    return m.info.cached;
  };
  await folderOf();
  hub.down = true;
  for (const name of names.filter((each) => !each.includes('refs'))) assert.equal((await loads(t, name, options)).cached, true, name);
  assert.equal(await folderOf(), true);
  assert.equal(await LanguageModel.availability({ model: 'hf:o/split', ...options }), 'available');
  await refused('hf:o/many@v1/x.gguf', options, /could not be fetched/, 'network');
  await refused('hf:o/many:Q6_K', options, /o\/many could not be looked up/, 'network');
  await refused('hf:o/one', options, /o\/one could not be looked up/, 'network');
});

test('a mirror without lists of files gives a file that is named, unchecked; and a hub that is away says so', ready, async (t) => {
  const mirror = await usesHub(t, { api: false });
  await loads(t, 'hf:o/one/teller-q8_0.gguf', { hub: mirror.url });
  await loads(t, `hf:o/split/Q8_0/${parts[0][0]}`, { hub: mirror.url });
  await refused('hf:o/many', { hub: mirror.url }, /o\/many could not be looked up \(HTTP status 404\)/, 'network');
  await refused('hf:o/one/y.gguf', { hub: mirror.url }, /y\.gguf.*HTTP status 404/, 'network');
  await refused('hf:o/one', { hub: 'http://127.0.0.1:9' }, /o\/one could not be looked up/, 'network');
  for (const hub of ['huggingface', 'ftp://x.example', 'https://x.example?y', 'https://me:secret@x.example', 7])
    await refused('hf:o/one', { hub }, /^hub must be the base address of a hub/);
});

test('models of the list come from the mirror, too', ready, async (t) => {
  ownCache(t);
  const asked = [];
  const base = await serve(t, (request, response, name) => {
    asked.push(name);
    response.writeHead(404).end();
  });
  await assert.rejects(Transcriber.create({ model: 'small-q8_0', hub: `${base}/hf` }), { code: 'network' });
  assert.deepEqual(asked, ['/hf/ggerganov/whisper.cpp/resolve/main/ggml-small-q8_0.bin']);
});

test('a gated model says what to do, and comes with a token; the token goes to the hub alone', ready, async (t) => {
  const hub = await usesHub(t);
  const todo = new RegExp(`accept its licence on ${hub.url}/o/gated, then give a token of your account in headers, or to the command in HF_TOKEN`);
  await refused('hf:o/gated/x.gguf', { hub: hub.url }, todo, 'network');
  await refused('hf:o/gated', { hub: hub.url, headers: { Authorization: 'Bearer wrong' } }, todo, 'network');
  await loads(t, 'hf:o/gated', { hub: hub.url, headers: { Authorization: `Bearer ${TOKEN}` } });
  assert.ok(hub.asked.some(({ headers }) => headers.authorization === `Bearer ${TOKEN}`));
  assert.ok(hub.askedFiles.length > 0 && hub.askedFiles.every(({ headers }) => headers.authorization === undefined));
});

test('a gated download that was given up goes on with the token that is given then', ready, async (t) => {
  const hub = await usesHub(t);
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const controller = new AbortController();
  const { modelStore } = sotto;
  const onProgress = ({ bytes }) => bytes > 0 && controller.abort();
  await assert.rejects(modelStore.download('hf:o/gated', { hub: hub.url, headers, signal: controller.signal, onProgress }), { name: 'AbortError' });
  const [half] = await modelStore.list();
  assert.equal(half.complete, false);
  await assert.rejects(modelStore.download(half), /accept its licence on/);
  const whole = await modelStore.download(half, { headers });
  assert.equal(whole.complete, true);
  assert.equal((await loads(t, whole)).cached, true);
});

test('headers go to what was named, and not where that leads; a function knows each origin', ready, async (t) => {
  const hub = await usesHub(t);
  const seen = [];
  const own = await serve(t, (request, response) => {
    seen.push(request.headers);
    response.writeHead(404).end();
  });
  const headers = { 'X-Key': 'k', Authorization: `Bearer ${TOKEN}` };
  await loads(t, 'hf:o/gated', { hub: hub.url, headers, sources: [`${own}/`] });
  assert.ok(seen.length > 0 && seen.every((h) => h['x-key'] === 'k' && h.authorization === `Bearer ${TOKEN}`));
  assert.ok(hub.asked.every(({ headers: h }) => h['x-key'] === 'k'));
  assert.ok(hub.askedFiles.length > 0 && hub.askedFiles.every(({ headers: h }) => h['x-key'] === undefined && h.authorization === undefined));

  await LanguageModel.remove('hf:o/gated', { hub: hub.url });
  seen.length = hub.asked.length = 0;
  const origins = [];
  const byOrigin = (origin) => {
    origins.push(origin);
    return origin === hub.url ? { Authorization: `Bearer ${TOKEN}` } : undefined;
  };
  await loads(t, 'hf:o/gated', { hub: hub.url, headers: byOrigin, sources: [`${own}/`] });
  assert.deepEqual([...new Set(origins)].sort(), [hub.url, own].sort());
  assert.ok(seen.length > 0 && seen.every((h) => h.authorization === undefined));

  // The list that comes along leads elsewhere: nothing goes there, but where a hub is named.
  const leads = { default: 'x', models: [{ id: 'x', kind: 'gemma3', file: 'x.gguf', size_bytes: 1, sources: [{ type: 'url', url: `${own}/x.gguf` }] }] };
  seen.length = 0;
  await refused('x', { manifest: leads, headers: { 'X-Key': 'k' } }, /HTTP status 404/, 'network');
  assert.ok(seen.length > 0 && seen.every((h) => h['x-key'] === undefined));

  for (const [bad, message] of [[7, /headers must map names to values/], [{ 'a b': 'c' }, /a name that is none of HTTP: "a b"/], [{ a: 'b\r\nc: d' }, /^The value of a in headers/], [{ Range: 'bytes=0-' }, /headers cannot have Range/]])
    await refused('hf:o/one', { hub: hub.url, headers: bad }, message);
  await refused('hf:o/one', { hub: hub.url, headers: { Secret: 'my\nsecret' } }, /^(?!.*my)/);
});

test('what is quantized can be named so, too', ready, async (t) => {
  const hub = await usesHub(t);
  const out = path.join(temporaryFolder(t), 'out.gguf');
  const model = await sotto.quantize('hf:o/folder', { hub: hub.url, type: 'q8_0', output: { path: out } });
  assert.equal(model.architecture, 'gemma3');
  const { plans, name } = await sotto.estimateQuantization('hf:o/both', { hub: hub.url, types: ['q8_0'] });
  assert.equal(name, 'both');
  assert.equal(plans.length, 1);
  const gated = await sotto.estimateQuantization('hf:o/gated', { hub: hub.url, headers: { Authorization: `Bearer ${TOKEN}` }, types: ['q4_0'] });
  assert.equal(gated.plans.length, 1);
  await assert.rejects(sotto.estimateQuantization('hf:o/gated', { hub: hub.url }), /accept its licence on/);
});
