// The store of models in Node: downloads in pieces from servers that behave and servers that do not, what a killed process leaves,
// imports, several files, and the list.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { BUILT, needs, root, serve, sotto, temporaryFolder } from './support.mjs';

const { LanguageModel, modelStore } = sotto;
const TELLER = 'assets/teller-q8_0.gguf';
const GOLDEN = 'tests/fixtures/golden/gemma3-1b-shape';
const ready = needs(TELLER, ...BUILT);
const file = ready.skip ? Buffer.alloc(0) : readFileSync(TELLER);
const sha256 = createHash('sha256').update(file).digest('hex');
const MB = 1 << 20;

/** A store of its own for each test; its folder. */
function ownStore(t) {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = temporaryFolder(t);
  t.after(() => (before === undefined ? delete process.env.XDG_CACHE_HOME : (process.env.XDG_CACHE_HOME = before)));
  return path.join(process.env.XDG_CACHE_HOME, 'sotto');
}

/** The range that is asked for: [first, last]; undefined: none. */
function rangeOf(request, bytes = file) {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  return first === undefined ? undefined : [Number(first), Math.min(Number(last || Infinity), bytes.length - 1)];
}

/** Answers as a good server does, a piece every so many ms; headers at once, the rest when `begin` comes. */
function respond(request, response, { bytes = file, etag = '"1"', everyMs = 0, stepBytes = 1 << 18, begin } = {}) {
  const range = rangeOf(request, bytes);
  const [first, last] = range ?? [0, bytes.length - 1];
  const headers = { etag, 'content-length': last + 1 - first };
  if (range) response.writeHead(206, { ...headers, 'content-range': `bytes ${first}-${last}/${bytes.length}` });
  else response.writeHead(200, headers);
  const step = (at) => {
    if (response.destroyed) return;
    if (at > last) return response.end();
    response.write(bytes.subarray(at, Math.min(at + stepBytes, last + 1)));
    if (everyMs > 0) setTimeout(step, everyMs, at + stepBytes);
    else setImmediate(step, at + stepBytes);
  };
  if (!begin) return step(first);
  response.flushHeaders();
  void begin.then(() => step(first));
}

/** Counts the bytes of each stretch of 256 KiB that were given. */
class Counter {
  asked = [];
  bytes = 0;
  take(request) {
    this.asked.push(request.headers.range);
    const [first, last] = rangeOf(request) ?? [0, file.length - 1];
    this.bytes += last + 1 - first;
  }
}

async function contentOf(id) {
  return readFileSync(await modelStore.open(id));
}

test('a download by four connections, in order from the first; found again; deleted', ready, async (t) => {
  const folder = ownStore(t);
  const counter = new Counter();
  let [now, most] = [0, 0];
  let go;
  const begin = new Promise((resolve) => (go = resolve)); // with four of them, so that none is over before
  setTimeout(go, 5000).unref();
  const base = await serve(t, (request, response) => {
    counter.take(request);
    most = Math.max(most, ++now);
    if (now === 4) go();
    response.on('close', () => now--);
    respond(request, response, { everyMs: 2, begin });
  });
  const told = [];
  const model = await modelStore.download({ url: `${base}/teller.gguf`, sha256 }, { onProgress: (p) => told.push(p) });
  const { id, name, bytes, size, complete, architecture, type, kind, origin, source, files } = model;
  assert.deepEqual(
    { id, name, bytes, size, complete, architecture, type, kind, origin, source, files },
    { id: sha256, name: 'teller.gguf', bytes: file.length, size: file.length, complete: true, architecture: 'gemma3', type: 'q8_0', kind: 'language', origin: 'download', source: `${base}/teller.gguf`, files: 1 },
  );
  assert.equal(most, 4);
  assert.equal(counter.bytes, file.length, 'nothing twice');
  assert.equal(told[0].id, sha256);
  assert.ok(told.every(({ bytes: b }, i) => i === 0 || b >= told[i - 1].bytes), 'progress goes forwards');
  assert.ok(told.some(({ state, bytesPerSecond }) => state === 'downloading' && bytesPerSecond > 0));
  assert.ok((await contentOf(id)).equals(file));

  const again = await modelStore.download({ url: `${base}/teller.gguf`, sha256 });
  assert.equal(again.id, id);
  assert.equal(counter.bytes, file.length);
  assert.deepEqual((await modelStore.list()).map((each) => each.id), [id]);
  assert.equal((await modelStore.find(`${base}/teller.gguf`)).id, id);
  const { usage, persisted } = await modelStore.estimate();
  assert.deepEqual([usage, persisted], [file.length, true]);
  const language = await LanguageModel.create({ model: `stored:${id}`, threads: 1 });
  assert.equal(language.info.cached, true);
  await language.destroy();
  assert.ok((await modelStore.get(id)).used >= model.added);

  await modelStore.delete(id);
  assert.deepEqual(await modelStore.list(), []);
  assert.deepEqual(readdirSync(path.join(folder, 'models')), []);
  await assert.rejects(LanguageModel.create({ model: `stored:${id}` }), { code: 'argument' });
});

test('an address of unknown content gets its hash, is found again by its ETag, and fetched again when that changes', ready, async (t) => {
  ownStore(t);
  const counter = new Counter();
  let etag = '"1"';
  const base = await serve(t, (request, response) => {
    counter.take(request);
    respond(request, response, { etag });
  });
  const load = async () => {
    const language = await LanguageModel.create({ model: `${base}/teller.gguf`, threads: 1 });
    await language.destroy();
    return language.info.cached;
  };
  assert.equal(await load(), false);
  assert.equal((await modelStore.list())[0].id, sha256);
  const once = counter.bytes;
  assert.equal(await load(), true);
  assert.equal(counter.bytes, once + 1, 'asked, but not fetched');
  etag = '"2"';
  assert.equal(await load(), false);
  assert.equal(counter.bytes, 2 * once + 2);
  assert.equal((await modelStore.list()).length, 1);
  // The same bytes by another address are kept once.
  const other = await modelStore.download(`${base}/other.gguf`);
  assert.deepEqual([other.id, (await modelStore.list()).length], [sha256, 1]);
  const before = counter.bytes;
  await modelStore.download(`${base}/other.gguf`);
  assert.ok(counter.bytes - before <= 1, 'by the other address it is found, too');
});

test('servers without ranges, of unknown length, busy, silent', ready, async (t) => {
  ownStore(t);
  let asked = 0;
  const states = new Set();
  const base = await serve(t, (request, response, name) => {
    asked++;
    if (name === '/plain') {
      delete request.headers.range;
      return respond(request, response);
    }
    if (name === '/endless') return response.writeHead(200).end(file);
    if (name === '/busy' && asked <= 2) return response.writeHead(asked === 1 ? 429 : 503, { 'retry-after': '1' }).end();
    if (name === '/silent' && asked === 3) {
      response.writeHead(206, { etag: '"1"', 'content-length': 100, 'content-range': `bytes ${rangeOf(request)[0]}-${rangeOf(request)[1]}/${file.length}` });
      return response.write(file.subarray(0, 0));
    }
    respond(request, response, { everyMs: 1 });
  });
  for (const name of ['plain', 'busy', 'silent']) {
    asked = 0;
    const begin = performance.now();
    const { id } = await modelStore.download({ url: `${base}/${name}`, sha256 }, { stallMs: 400, onProgress: ({ state }) => states.add(state) });
    assert.ok((await contentOf(id)).equals(file), name);
    if (name === 'plain') assert.equal(asked, 1);
    if (name === 'busy') assert.ok(performance.now() - begin > 1900, 'as long as the server asked for');
    await modelStore.delete(id);
  }
  assert.ok(states.has('retrying'));
  const language = await LanguageModel.create({ model: `${base}/endless`, threads: 1 });
  await language.destroy();
  await assert.rejects(modelStore.download(`${base}/endless`), { code: 'storage' });
  assert.deepEqual(await modelStore.list(), []);
});

test('a file that changes on its server while it is fetched is fetched anew', ready, async (t) => {
  ownStore(t);
  const newer = Buffer.from(file);
  newer[newer.length - 1000] ^= 1;
  let asked = 0;
  const base = await serve(t, (request, response) => {
    const changed = ++asked > 3;
    respond(request, response, { everyMs: 1, ...(changed && { bytes: newer, etag: '"2"' }) });
  });
  const { id } = await modelStore.download(`${base}/teller.gguf`);
  assert.ok((await contentOf(id)).equals(newer));
});

test('a mirror takes over where the one before it failed', ready, async (t) => {
  ownStore(t);
  const counters = { '/first': new Counter(), '/second': new Counter() };
  let left = 2;
  const base = await serve(t, (request, response, name) => {
    counters[name].take(request);
    if (name === '/first' && left-- <= 0) return response.writeHead(410).end();
    respond(request, response);
  });
  const { id } = await modelStore.download({ url: `${base}/second`, sha256, size: file.length }, { sources: [`${base}/first`] });
  assert.ok((await contentOf(id)).equals(file));
  assert.ok(counters['/second'].bytes <= file.length - MB, 'what the first one gave is not fetched again');
  assert.ok(counters['/first'].bytes > 0);
});

test('pieces are checked where they are taken up, and when asked for', ready, async (t) => {
  const folder = ownStore(t);
  const counter = new Counter();
  let hang = true;
  const base = await serve(t, (request, response) => {
    counter.take(request);
    if (hang && rangeOf(request)[0] >= 8 * MB) return; // says nothing
    respond(request, response);
  });
  const controller = new AbortController();
  const stopped = modelStore.download({ url: `${base}/x.gguf`, sha256, size: file.length }, {
    signal: controller.signal,
    onProgress: ({ bytes }) => bytes >= 8 * MB && setTimeout(() => controller.abort(), 300),
  });
  await assert.rejects(stopped, { name: 'AbortError' });
  const [unfinished] = await modelStore.list();
  assert.deepEqual([unfinished.id, unfinished.complete, unfinished.size, unfinished.busy], [sha256, false, file.length, false]);
  assert.ok(unfinished.bytes >= 8 * MB && unfinished.bytes % (1 << 18) === 0);
  await assert.rejects(modelStore.open(sha256), { code: 'argument' });

  const place = path.join(folder, 'models', sha256);
  const data = path.join(place, readdirSync(place).find((name) => name.startsWith('data-')));
  const damage = (at) => {
    const bytes = readFileSync(data);
    bytes[at] ^= 1;
    writeFileSync(data, bytes);
  };
  damage(3 * MB + 5);
  hang = false;
  [counter.bytes, counter.asked] = [0, []];
  const { id } = await modelStore.download({ url: `${base}/x.gguf`, sha256, size: file.length });
  assert.equal(counter.bytes, file.length - unfinished.bytes + (1 << 18), 'what was missing, and the piece that was damaged');
  assert.ok((await contentOf(id)).equals(file));

  assert.equal(await modelStore.verify(id), true);
  damage(9 * MB);
  assert.equal(await modelStore.verify(id), false);
  assert.equal((await modelStore.get(id)).complete, false);
  counter.bytes = 0;
  await modelStore.download({ url: `${base}/x.gguf`, sha256, size: file.length });
  assert.equal(counter.bytes, 1 << 18);
  assert.ok((await contentOf(id)).equals(file));
});

test('two at once download it once; one that is killed hands over to the other; what is written cannot be deleted', ready, async (t) => {
  ownStore(t);
  const counter = new Counter();
  const base = await serve(t, (request, response) => {
    counter.take(request);
    respond(request, response, { everyMs: 15 });
  });
  const given = { url: `${base}/x.gguf`, sha256, size: file.length };
  const [a, b] = await Promise.all([modelStore.download(given), LanguageModel.create({ model: given, threads: 1 })]);
  await b.destroy();
  assert.equal(counter.bytes, file.length);
  await modelStore.delete(a.id);

  counter.bytes = 0;
  const script = `const { modelStore } = await import(${JSON.stringify(path.join(root, BUILT[0]))}); await modelStore.download(${JSON.stringify(given)});`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  t.after(() => child.kill('SIGKILL'));
  let there;
  for (;;) {
    [there] = await modelStore.list();
    if (there?.busy && there.bytes >= 4 * MB) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await assert.rejects(modelStore.delete(there.id), { code: 'argument', message: /being written/ });
  const waiting = [];
  const mine = modelStore.download(given, { onProgress: ({ state }) => waiting.push(state) });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const [{ bytes: kept }] = await modelStore.list();
  child.kill('SIGKILL');
  const { id } = await mine;
  assert.ok((await contentOf(id)).equals(file));
  assert.equal(waiting[0], 'waiting');
  assert.ok(kept >= 4 * MB);
  const unfinished = 4 * 4 * MB; // a run of each of the connections that were cut
  assert.ok(counter.bytes <= file.length + unfinished - kept / 4, `${counter.bytes} bytes were given`);
});

test('files are taken in, checked, kept once, and given back; several of one model are one', ready, async (t) => {
  ownStore(t);
  const changes = [];
  const onChange = () => changes.push(1);
  modelStore.addEventListener('change', onChange);
  t.after(() => modelStore.removeEventListener('change', onChange));
  const told = [];
  const byPath = await modelStore.import(TELLER, { name: 'My teller', onProgress: ({ id, bytes }) => told.push([id, bytes]) });
  assert.deepEqual([byPath.id, byPath.name, byPath.file, byPath.origin, byPath.kind, byPath.complete], [sha256, 'My teller', 'teller-q8_0.gguf', 'import', 'language', true]);
  assert.equal(told.at(-1)[1], file.length);
  assert.ok((await contentOf(byPath.id)).equals(file));
  await modelStore.import(new File([file], 'same.gguf', { lastModified: 1 }));
  assert.equal((await modelStore.list()).length, 1);
  // A model of the list, or by its hash, is found among the imported.
  const language = await LanguageModel.create({ model: { url: 'http://127.0.0.1:1/x', sha256 }, threads: 1 });
  assert.equal(language.info.cached, true);
  await language.destroy();

  await assert.rejects(modelStore.import(new File(['<!doctype html>'], 'page.gguf')), { code: 'format', message: /page\.gguf is no model/ });
  await assert.rejects(modelStore.import('no/such/file.gguf'), { code: 'argument', message: /no\/such/ });
  await assert.rejects(modelStore.import(TELLER, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal((await modelStore.list()).length, 1);

  const names = ['config.json', 'model.safetensors'];
  const several = await modelStore.import(names.map((name) => path.join(GOLDEN, name)), { name: 'golden' });
  assert.deepEqual([several.name, several.files, several.complete], ['golden', names.length, true]);
  assert.equal((await modelStore.list()).length, 2);
  const opened = await modelStore.open(several.id);
  assert.deepEqual(opened.map(({ name }) => name), names);
  await modelStore.delete(several.id);
  assert.equal((await modelStore.list()).length, 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(changes.length > 0);
});

test('one that has no room says how much it needs; nothing hostile in the folder stops the list', ready, async (t) => {
  const folder = ownStore(t);
  const base = await serve(t, (request, response) => {
    response.writeHead(206, { etag: '"1"', 'content-length': 4 * MB, 'content-range': `bytes 0-${4 * MB - 1}/${2 ** 39}` });
    response.write(file.subarray(0, 100));
  });
  await assert.rejects(modelStore.download(`${base}/huge.gguf`), { code: 'storage', message: /549\.76 GB/ });
  const { id } = await modelStore.import(TELLER);
  const place = path.join(folder, 'models');
  const [key] = readdirSync(place);
  const about = readFileSync(path.join(place, key, 'about.json'), 'utf8');
  for (const text of ['', '{', 'null', '[]', '{"bytes": -1}', about.replace(/"sums":\[[^\]]*\]/, '"sums":["x"]'), about.replace(/"pieceBytes":\d+/, '"pieceBytes":0'), about.replace(/data-[\w-]+/, '../../x')]) {
    writeFileSync(path.join(place, key, 'about.json'), text);
    assert.deepEqual(await modelStore.list(), [], text.slice(0, 40));
  }
  writeFileSync(path.join(place, key, 'about.json'), about);
  assert.equal((await modelStore.list())[0].id, id);
  assert.ok(existsSync(path.join(place, key)));
});
