// The examples, with the package as it would be published: built, served, and run in Chromium; Node's is run. Pages may not evaluate text as code.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { CHROMIUM_FLAGS, findBrowser } from '../e2e/browser.mjs';
import { installed, run } from './packed.mjs';
import { BUILT, JFK, JFK_WORDS, MODEL, needs, root, serve, words } from './support.mjs';

const ready = needs('js/dist/openai.js', 'js/dist/index.js', ...BUILT);
const inBrowser = needs('js/dist/index.js', 'node_modules/vite/package.json', 'node_modules/playwright-core/package.json', ...BUILT);
if (!inBrowser.skip && !findBrowser('chromium')) Object.assign(inBrowser, { skip: 'Chromium is not installed' });

const STORY = /^Once upon a time|^One day|^There was/;
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'";
const ISOLATION = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json' };

let browser;
after(() => browser?.close());

/** Serves a folder with a policy; its address. */
const served = (t, folder, headers = { ...ISOLATION, 'content-security-policy': POLICY }) =>
  serve(t, (request, response, name) => {
    const file = path.join(folder, name.endsWith('/') ? `${name}index.html` : name);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    response.writeHead(200, { ...headers, 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file));
  });

/** Opens a page in Chromium; what it reports as an error fails the test. */
async function open(t, url, { prepare = () => {} } = {}) {
  browser ??= await (await import('playwright-core')).chromium.launch({ executablePath: findBrowser('chromium'), args: CHROMIUM_FLAGS });
  const context = await browser.newContext();
  const errors = [];
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && !/favicon/.test(message.location().url) && errors.push(message.text()));
  await prepare(context);
  await page.goto(url);
  t.after(() => context.close());
  return { page, errors };
}

/** Asks for a story, and reads it. */
async function story({ page, errors }, seconds = 40) {
  const done = page.locator('#answer[data-done=true]');
  await page.getByRole('button', { name: 'Ask' }).click();
  try {
    await done.waitFor({ timeout: seconds * 1000 });
  } catch (error) {
    throw new Error(`${error.message}\n${errors.join('\n')}`);
  }
  const text = await page.locator('#answer').innerText();
  assert.match(text, STORY);
  assert.deepEqual(errors, []);
  return text;
}

test('node', ready, () => {
  const folder = installed(path.join(root, 'examples/node'));
  const out = run(process.execPath, ['index.mjs'], folder);
  assert.match(out, STORY);
  assert.ok(existsSync(path.join(folder, 'node_modules/.bin/sotto')));
  if (!needs(MODEL).skip) {
    const text = run(process.execPath, ['node_modules/.bin/sotto', 'transcribe', '-m', path.join(root, MODEL), '-f', 'txt', path.join(root, JFK)], folder);
    assert.deepEqual(words(text), JFK_WORDS);
  }
});

test('script-tag: the files as they are', inBrowser, async (t) => {
  const folder = installed(path.join(root, 'examples/script-tag'));
  await story(await open(t, await served(t, folder)));
  await story(await open(t, await served(t, folder, {}))); // not isolated
});

test('vite: an empty project, built; a story, and a transcript with a model that is fetched', inBrowser, async (t) => {
  const folder = installed(path.join(root, 'examples/vite'), ['vite']);
  run(process.execPath, ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], folder);
  rmSync(path.join(folder, 'node_modules/sotto'), { recursive: true }); // nothing of it may be needed
  const strict = POLICY.replace("connect-src 'self'", "connect-src 'self' https://huggingface.co https://unpkg.com");
  const opened = await open(t, await served(t, path.join(folder, 'dist'), { ...ISOLATION, 'content-security-policy': strict }), {
    prepare: (context) => context.route(/^https:/, (route) => route.fulfill({ path: path.join(root, MODEL), headers: { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' } })),
  });
  await story(opened);
  if (needs(MODEL).skip) return;
  const { page, errors } = opened;
  await page.locator('#answer').evaluate((element) => delete element.dataset.done);
  await page.locator('#recording').setInputFiles(path.join(root, JFK));
  await page.locator('#answer[data-done=true]').waitFor({ timeout: 60_000 }).catch((e) => assert.fail(`${e.message}\n${errors.join('\n')}`));
  assert.deepEqual(words(await page.locator('#answer').innerText()), JFK_WORDS);
});

const next = path.join(root, 'build/next/node_modules');
const withNext = inBrowser.skip || existsSync(path.join(next, 'next/package.json')) ? inBrowser : { skip: 'build/next has no Next.js (tools/setup-tests)' };
if (withNext.skip) console.log(`skip: ${withNext.skip}`);

test('next: built and started', withNext, async (t) => {
  const folder = installed(path.join(root, 'examples/next'));
  /* As links, which it does not follow out of its folder. */
  run('sh', ['-c', `cp -alf '${next}/.' node_modules/ 2>/dev/null || cp -af '${next}/.' node_modules/ 2>/dev/null`], folder);
  const command = ['node_modules/next/dist/bin/next'];
  run(process.execPath, [...command, 'build'], folder, { NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' });
  const server = spawn(process.execPath, [...command, 'start', '-p', '0', '-H', '127.0.0.1'], { cwd: folder, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => server.kill('SIGKILL'));
  const url = await new Promise((resolve, reject) => {
    let log = '';
    const look = (text) => {
      log += text;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(log);
      if (found) resolve(found[0]);
    };
    server.stdout.on('data', look);
    server.stderr.on('data', look);
    server.on('close', () => reject(new Error(log)));
  });
  await story(await open(t, url));
});
