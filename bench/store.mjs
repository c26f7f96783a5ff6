// How long a model takes to be ready in Chromium: downloaded from a server on this machine, and from where it is kept; builds of the package in turns.
//
//   node bench/store.mjs --model FILE [--class Transcriber|LanguageModel] [--dist js/dist,OTHER/dist] [--rounds 4] [--threads 2]
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { CHROMIUM_FLAGS, findBrowser } from '../tests/e2e/browser.mjs';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    class: { type: 'string', default: 'Transcriber' },
    dist: { type: 'string', default: 'js/dist' },
    rounds: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
  },
});
if (!values.model || !existsSync(values.model)) {
  console.error('bench/store.mjs: --model FILE is needed');
  process.exit(2);
}
const dists = values.dist.split(',');
const size = statSync(values.model).size;
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

const hash = createHash('sha256');
for await (const some of createReadStream(values.model)) hash.update(some);
const sha256 = hash.digest('hex');

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  if (pathname === '/') return response.writeHead(200, { ...ISOLATED, 'content-type': 'text/html' }).end('<!doctype html><title>bench</title>');
  const [, i, name] = /^\/(\d+)\/([\w.-]+)$/.exec(pathname) ?? [];
  const file = pathname === '/model' ? values.model : i === undefined ? '' : path.join(dists[i] ?? '', name);
  if (!existsSync(file)) return response.writeHead(404).end();
  const whole = statSync(file).size;
  const [, a, b] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const [start, end] = a === undefined ? [0, whole - 1] : [Number(a), Math.min(Number(b || Infinity), whole - 1)];
  response.writeHead(a === undefined ? 200 : 206, {
    ...ISOLATED,
    etag: '"1"',
    'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
    'content-length': end + 1 - start,
    ...(a !== undefined && { 'content-range': `bytes ${start}-${end}/${whole}` }),
  });
  createReadStream(file, { start, end, highWaterMark: 1 << 18 }).pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath: findBrowser('chromium'), args: CHROMIUM_FLAGS });
const times = dists.map(() => ({ first: [], kept: [] }));

for (let round = 0; round < Number(values.rounds); round++) {
  for (const [i] of dists.entries()) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(base);
    const [first, ...kept] = await page.evaluate(
      async ({ i, name, given, threads }) => {
        const sotto = await import(`/${i}/index.js`);
        const all = [];
        for (let n = 0; n < 3; n++) {
          const begin = performance.now();
          const model = await sotto[name].create({ model: given, threads, backend: 'cpu' });
          all.push(performance.now() - begin);
          if (model.info.cached !== n > 0) throw new Error('it was not kept');
          await model.destroy();
        }
        return all;
      },
      { i, name: values.class, given: { url: `${base}/model`, sha256, size }, threads: Number(values.threads) },
    );
    times[i].first.push(first);
    times[i].kept.push(...kept);
    await context.close();
  }
}
await browser.close();
server.close();

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
console.log(`${path.basename(values.model)}, ${(size / 1e6).toFixed(0)} MB, ms from create() to ready: median (best)`);
for (const [i, dist] of dists.entries()) {
  const text = (numbers) => `${median(numbers).toFixed(0)} (${Math.min(...numbers).toFixed(0)})`;
  console.log(`${dist}: downloaded ${text(times[i].first)}, kept ${text(times[i].kept)}`);
}
