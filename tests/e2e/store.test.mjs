// The store of models in Chromium: a browser that is killed 30 times during one download, tabs side by side, no room, no files of its own,
// what earlier versions kept.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { CHROMIUM_FLAGS, findBrowser, root } from './browser.mjs';

const TELLER = path.join(root, 'assets/teller-q8_0.gguf');
const chromium = findBrowser('chromium');
const needed = [TELLER, path.join(root, 'js/dist/index.js'), path.join(root, 'node_modules/playwright-core/package.json')];
const missing = chromium ? needed.find((name) => !existsSync(name)) : 'chromium';
const ready = missing ? { skip: `${missing} is not there` } : {};
if (missing) console.log(`skip: ${missing} is not there`);

const file = missing ? Buffer.alloc(0) : readFileSync(TELLER);
const sha256 = createHash('sha256').update(file).digest('hex');
const PIECE = 1 << 18;
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves the package, an empty page, and the model, as slowly as it is told to; counts what it gives of the model. */
class ModelServer {
  /** In ms, for each 64 KiB of a connection. */
  everyMs = 0;
  steps = false;
  ranges = [];
  /** Bytes that went out. */
  given = 0;
  #server;

  async start() {
    this.#server = createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(request, response) {
    const { pathname } = new URL(request.url, 'http://x');
    if (pathname === '/model.gguf') return this.#model(request, response);
    if (pathname.startsWith('/page')) return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>store</title><link rel="icon" href="data:,">');
    const name = path.join(root, pathname);
    if (!/^\/js\/dist\/[\w.-]+$/.test(pathname) || !existsSync(name)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[path.extname(name)] ?? 'application/octet-stream', 'content-length': statSync(name).size });
    createReadStream(name).pipe(response);
  }

  #model(request, response) {
    const [, a, b] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [first, last] = a === undefined ? [0, file.length - 1] : [Number(a), Math.min(Number(b), file.length - 1)];
    this.ranges.push([first, last]);
    // The first of a round is the fastest: so little comes of each that the download outlasts all rounds.
    const everyMs = this.steps && this.ranges.length > 1 ? 5 * this.everyMs : this.everyMs;
    response.writeHead(a === undefined ? 200 : 206, {
      'content-length': last + 1 - first,
      etag: '"1"',
      ...(a !== undefined && { 'content-range': `bytes ${first}-${last}/${file.length}` }),
    });
    const step = (at) => {
      if (response.destroyed || at > last) return response.end();
      const some = file.subarray(at, Math.min(at + (1 << 16), last + 1));
      this.given += some.length;
      response.write(some);
      if (this.everyMs > 0) setTimeout(step, everyMs, at + some.length);
      else setImmediate(step, at + some.length);
    };
    step(first);
  }
}

const server = missing ? undefined : await new ModelServer().start();
const browser = missing ? undefined : await (await import('playwright-core')).chromium.launch({ executablePath: chromium, args: CHROMIUM_FLAGS });
after(async () => {
  await browser?.close();
  server?.stop();
});

/** A Chromium with a profile that stays: `kill()` is SIGKILL to all its processes. */
async function launch(profile) {
  const { chromium: driver } = await import('playwright-core');
  const child = spawn(chromium, [...CHROMIUM_FLAGS, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'], {
    detached: true, // a group of its own, that is killed whole
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const address = await new Promise((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (some) => {
      text += some;
      const [, found] = /DevTools listening on (ws:\S+)/.exec(text) ?? [];
      if (found) resolve(found);
    });
    child.once('exit', () => reject(new Error(`Chromium ended: ${text.slice(-500)}`)));
  });
  const browser = await driver.connectOverCDP(address);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    browser,
    async kill() {
      process.kill(-child.pid, 'SIGKILL');
      await ended;
      await browser.close().catch(() => {});
    },
  };
}

function profileFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sotto-store-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  return folder;
}

async function open(context) {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.log('pageerror', error.message));
  await page.goto(`${server.url}/page`);
  await page.evaluate(async (given) => {
    window.sotto = await import('/js/dist/index.js');
    window.given = given;
    window.told = [];
    window.download = (options = {}) =>
      window.sotto.modelStore.download(window.given, { onProgress: (progress) => window.told.push(progress), ...options });
    window.hash = async (blob) => {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
      return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    };
  }, { url: `${server.url}/model.gguf`, sha256, size: file.length });
  return page;
}

/** Loads what is kept, and says whether it came from the store and has the right bytes. */
const inspect = (page) =>
  page.evaluate(async () => {
    const { LanguageModel, modelStore } = window.sotto;
    const [model] = await modelStore.list();
    const language = await LanguageModel.create({ model, threads: 1, backend: 'cpu' });
    const { cached } = language.info;
    await language.destroy();
    return { cached, complete: model.complete, hash: await window.hash(await modelStore.open(model.id)), count: (await modelStore.list()).length };
  });

/** Waits until a page says so. */
async function until(ask, ms = 30_000) {
  for (const end = Date.now() + ms; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 10))) if (await ask()) return;
  assert.fail('it did not happen in time');
}

test('Chromium is killed 30 times during a download: no finished piece is fetched again, and what comes of it loads', { ...ready, timeout: 300_000 }, async (t) => {
  const KILLS = 30;
  const profile = profileFolder(t);
  let there = 0; // bytes of finished pieces when the browser was killed
  let fetched = 0;
  for (let round = 0; round <= KILLS; round++) {
    const chromium = await launch(profile);
    let page;
    try {
      page = await open(chromium.browser.contexts()[0]);
      const [before] = await page.evaluate(() => window.sotto.modelStore.list());
      const kept = before?.bytes ?? 0;
      assert.ok(kept >= there, `round ${round}: ${kept} bytes are kept, and ${there} were finished`);
      assert.ok(!before?.complete, 'it is not whole yet');
      server.ranges = [];
      server.everyMs = round < KILLS ? 60 : 0;
      server.steps = round < KILLS;
      if (round < KILLS) {
        await page.evaluate(() => void window.download().catch(() => {}));
        // Until a piece more is finished; then, at some moment soon after.
        await until(async () => ([{ bytes: there = 0 } = {}] = await page.evaluate(() => window.sotto.modelStore.list())) && there >= kept + PIECE);
        await new Promise((resolve) => setTimeout(resolve, (round * 37) % 100));
      } else {
        await page.evaluate(() => window.download());
        fetched = askedBytes();
        assert.equal(fetched, file.length - kept, 'only what was missing is fetched');
        assert.deepEqual(await inspect(page), { cached: true, complete: true, hash: sha256, count: 1 });
      }
      // Nothing that was kept when the page was opened was asked for.
      const asked = askedBytes();
      assert.ok(asked <= file.length - kept, `round ${round}: ${asked} bytes were asked for, and ${file.length - kept} were missing`);
    } finally {
      await chromium.kill();
    }
  }
  t.diagnostic(`${fetched} of ${file.length} bytes were left for the last one`);
});

/** Bytes of the model that were asked for. */
const askedBytes = () => server.ranges.reduce((sum, [first, last]) => sum + last + 1 - first, 0);

async function freshContext(t) {
  [server.everyMs, server.given, server.ranges] = [0, 0, []];
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

test('two tabs download it once; one that is closed hands over to the other; changes are told to all', ready, async (t) => {
  const context = await freshContext(t);
  const [a, b] = [await open(context), await open(context)];
  await b.evaluate(() => {
    window.changes = 0;
    window.sotto.modelStore.addEventListener('change', () => window.changes++);
  });
  server.everyMs = 100;
  await a.evaluate(() => void window.download().catch(() => {}));
  await until(() => a.evaluate(() => window.told.some(({ state }) => state === 'downloading')));
  const other = b.evaluate(() => window.download());
  await until(() => b.evaluate(() => window.told.some(({ state, bytes }) => state === 'waiting' && bytes > 0)));
  const [busy] = await b.evaluate(() => window.sotto.modelStore.list());
  assert.deepEqual([busy.busy, busy.complete], [true, false]);
  const refused = await b.evaluate((id) => window.sotto.modelStore.delete(id).catch((error) => error.code), busy.id);
  assert.equal(refused, 'argument');
  await until(() => b.evaluate(async () => (await window.sotto.modelStore.list())[0].bytes > 2 << 20));
  await a.close();
  server.everyMs = 0;
  assert.equal((await other).complete, true);
  const asked = askedBytes();
  assert.ok(asked <= file.length + 4 * 3 * PIECE, `${asked} bytes were asked for: what was under way in the closed tab, at most, twice`);
  assert.deepEqual(await inspect(b), { cached: true, complete: true, hash: sha256, count: 1 });
  assert.ok((await b.evaluate(() => window.changes)) > 0);

  // A third tab loads it while another one asks for its removal: it gets all its bytes first.
  const c = await open(context);
  const loading = c.evaluate(async () => {
    const language = await window.sotto.LanguageModel.create({ model: window.given, threads: 1, backend: 'cpu' });
    await language.destroy();
    return language.info.cached;
  });
  await b.evaluate((id) => window.sotto.modelStore.delete(id), busy.id);
  assert.equal(typeof (await loading), 'boolean');
});

test('a load and a download in one tab fetch it once; a signal ends one, and the other goes on', ready, async (t) => {
  const page = await open(await freshContext(t));
  server.everyMs = 10;
  const r = await page.evaluate(async () => {
    const controller = new AbortController();
    const first = window.download({ signal: controller.signal }).then(() => 'done', (error) => error.name);
    while (!window.told.some(({ state }) => state === 'downloading')) await new Promise((resolve) => setTimeout(resolve, 10));
    const second = window.sotto.LanguageModel.create({ model: window.given, threads: 1, backend: 'cpu' });
    setTimeout(() => controller.abort(), 200);
    const name = await first;
    await (await second).destroy();
    return { name, model: (await window.sotto.modelStore.list())[0] };
  });
  assert.deepEqual([r.name, r.model.complete, r.model.busy], ['AbortError', true, false]);
});

/** Puts a line in front of the worker's script, where the browser has to lack something. */
async function withWorker(context, line) {
  await context.route('**/js/dist/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${line};${await response.text()}` });
  });
}

const attempt = (page) => page.evaluate(() => window.download().then(() => ['done'], (error) => [error.code, error.message]));


test('no room: a download says so before it starts, a load goes on without keeping', ready, async (t) => {
  const context = await freshContext(t);
  await withWorker(context, 'navigator.storage.estimate = async () => ({ quota: 6e6, usage: 1e6 })');
  const page = await open(context);
  const [code, message] = await attempt(page);
  assert.equal(code, 'storage', message);
  assert.match(message, /needs 0\.013 GB more on this device, and 0\.005 GB are free/);
  assert.ok(server.given <= 2 << 20, 'before it starts');
  const loaded = await page.evaluate(async () => {
    const language = await window.sotto.LanguageModel.create({ model: window.given, threads: 1, backend: 'cpu' });
    await language.destroy();
    return [language.info.cached, (await window.sotto.modelStore.list()).length];
  });
  assert.deepEqual(loaded, [false, 0]);
});

test('room that ends in the middle: what came is kept, and is all that is not fetched again', ready, async (t) => {
  const context = await freshContext(t);
  // Chromium finds out about its own limit late; so every handle refuses what goes beyond 5 MiB, as it may do.
  await withWorker(context, `{
    const { write } = FileSystemSyncAccessHandle.prototype;
    FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
      if (options.at + bytes.length > (5 << 20)) throw new DOMException('full', 'QuotaExceededError');
      return write.call(this, bytes, options);
    };
  }`);
  const page = await open(context);
  const [code, message] = await attempt(page);
  assert.equal(code, 'storage', message);
  const [kept] = await page.evaluate(() => window.sotto.modelStore.list());
  assert.ok(kept.bytes > 2 << 20 && kept.bytes <= 5 << 20 && !kept.complete);
  const other = await open(context);
  await context.unrouteAll();
  server.ranges = [];
  assert.deepEqual(await attempt(other), ['done']);
  assert.equal(askedBytes(), file.length - kept.bytes);
  assert.deepEqual(await inspect(other), { cached: true, complete: true, hash: sha256, count: 1 });
});

test('a page that reaches its limit somewhere', ready, async (t) => {
  const context = await freshContext(t);
  const page = await open(context);
  const devtools = await context.newCDPSession(page);
  const quota = (quotaSize) => devtools.send('Storage.overrideQuotaForOrigin', { origin: server.url, ...(quotaSize && { quotaSize }) });
  await quota(5 << 20);
  const [code, message] = await attempt(page);
  assert.equal(code, 'storage', message);
  await quota();
  server.ranges = [];
  const [kept] = await page.evaluate(() => window.sotto.modelStore.list());
  assert.ok(!kept?.complete);
  assert.deepEqual(await attempt(page), ['done']);
  assert.deepEqual(await inspect(page), { cached: true, complete: true, hash: sha256, count: 1 });
});

test('a browser without files of its own keeps models in its caches, in pieces too', ready, async (t) => {
  const context = await freshContext(t);
  await withWorker(context, 'delete FileSystemFileHandle.prototype.createSyncAccessHandle');
  const page = await open(context);
  server.everyMs = 15;
  await page.evaluate(async () => {
    const controller = new AbortController();
    const onProgress = ({ bytes }) => bytes > 5 << 20 && controller.abort();
    await window.download({ signal: controller.signal, onProgress }).catch(() => {});
  });
  const [kept] = await page.evaluate(() => window.sotto.modelStore.list());
  assert.ok(kept.bytes > 4 << 20 && !kept.complete);
  [server.everyMs, server.ranges] = [0, []];
  await page.evaluate(() => window.download());
  assert.equal(askedBytes(), file.length - kept.bytes);
  assert.deepEqual(await inspect(page), { cached: true, complete: true, hash: sha256, count: 1 });
  const r = await page.evaluate(async () => {
    const { modelStore } = window.sotto;
    const [{ id }] = await modelStore.list();
    const good = await modelStore.verify(id);
    const store = await caches.open('sotto-store');
    const piece = (await store.keys()).find(({ url }) => url.endsWith(`/${5 * 262144}`));
    await store.delete(piece);
    const bad = await modelStore.verify(id);
    await window.download();
    const again = await modelStore.verify(id);
    await modelStore.delete(id);
    return { good, bad, again, left: (await store.keys()).length };
  });
  assert.deepEqual(r, { good: true, bad: false, again: true, left: 0 });
});

test('what an earlier version kept in its cache is listed, and taken over without being fetched', ready, async (t) => {
  const page = await open(await freshContext(t));
  const r = await page.evaluate(async () => {
    const { LanguageModel, modelStore } = window.sotto;
    const bytes = await (await fetch('/model.gguf')).arrayBuffer();
    const store = await caches.open('sotto-models');
    const { sha256 } = window.given;
    const at = (part) => `${location.origin}/sotto-models/${sha256}/${part}`;
    const pieces = [];
    for (let from = 0, i = 0; from < bytes.byteLength; from += 4 << 20, i++) {
      const piece = bytes.slice(from, from + (4 << 20));
      await store.put(at(i), new Response(piece));
      pieces.push({ bytes: piece.byteLength, sha256: await window.hash(new Blob([piece])) });
    }
    await store.put(at('index.json'), new Response(JSON.stringify({ pieces, complete: true })));
    const [before] = await modelStore.list();
    const language = await LanguageModel.create({ model: { ...window.given, url: '/gone' }, threads: 1, backend: 'cpu' });
    await language.destroy();
    return { before, after: await modelStore.list(), left: (await store.keys()).length };
  });
  assert.deepEqual([r.before.id, r.before.complete, r.before.bytes], [sha256, true, file.length]);
  assert.deepEqual(r.after.map(({ id, complete, bytes }) => [id, complete, bytes]), [[sha256, true, file.length]]);
  assert.equal(r.left, 0);
  assert.equal(server.ranges.length, 1, 'what the test itself fetched');
  assert.deepEqual(await inspect(page), { cached: true, complete: true, hash: sha256, count: 1 });
});

test('a file that a person chooses is taken in, kept after a reload, and given back', ready, async (t) => {
  const page = await open(await freshContext(t));
  await page.setContent('<input type="file">');
  await page.setInputFiles('input', TELLER);
  const model = await page.evaluate(() => window.sotto.modelStore.import(document.querySelector('input').files[0]));
  assert.deepEqual([model.id, model.name, model.origin, model.complete], [sha256, 'teller-q8_0', 'import', true]);
  await page.reload();
  await page.evaluate(async () => {
    window.sotto = await import('/js/dist/index.js');
    window.hash = async (blob) => Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())), (byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  assert.deepEqual(await inspect(page), { cached: true, complete: true, hash: sha256, count: 1 });
  const { usage, quota } = await page.evaluate(() => window.sotto.modelStore.estimate());
  assert.ok(usage >= file.length && quota > usage);
});
