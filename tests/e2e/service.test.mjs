// The service worker: threads on a host that sends no headers, new versions, and the sealed page.

import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { Pages, allText, LONG, root, sample, summary, WORDS, whyNot } from './browser.mjs';
import { ask, greedy, textOf } from './chat-steps.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

const dist = join(root, 'app/dist');
const loads = (page) => page.evaluate(() => Number(sessionStorage.getItem('loads')));
const controlled = (page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

/** Counts the loads of the page in this tab. */
const countLoads = (context) =>
  context.addInitScript(() => sessionStorage.setItem('loads', String(Number(sessionStorage.getItem('loads')) + 1)));

describe('the service worker', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  let folder;
  before(async () => {
    await pages.start();
    folder = await mkdtemp(join(tmpdir(), 'sotto-page-'));
  });
  after(async () => {
    await pages.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const allowed = { serviceWorkers: 'allow' };

  test('isolates a page that its host does not, by one reload, also under a path', async () => {
    const under = join(folder, 'host');
    await cp(dist, join(under, 'sotto'), { recursive: true });
    await symlink(join(root, 'models'), join(under, 'sotto/models'));
    const server = await serve({ port: 0, folder: under, isolated: false });
    try {
      await pages.onPage({ server, path: 'sotto/', ...allowed }, async (page, context) => {
        await page.waitForFunction(() => crossOriginIsolated, undefined, { timeout: LONG });
        await countLoads(context);
        await page.reload();
        await page.getByRole('heading', { level: 1 }).waitFor();
        await page.waitForTimeout(1500); // ms, for a reload that should not be
        assert.equal(await loads(page), 1);
        assert.equal(await page.evaluate(() => crossOriginIsolated), true);
        await sample(page);
        assert.match(await allText(page), WORDS);
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        if (cores > 1) assert.match(await page.getByTestId('engine').innerText(), /\d+ threads/);
      });
    } finally {
      await server.close();
    }
  });

  test('does not reload a page that somebody uses, but offers it', async () => {
    const server = await serve({ port: 0, isolated: false });
    try {
      await pages.onPage(allowed, async (_, context) => {
        await countLoads(context);
        await context.addInitScript(() => addEventListener('DOMContentLoaded', () => dispatchEvent(new Event('keydown'))));
        const page = await context.newPage();
        await page.goto(server.url);
        await page.getByTestId('offer').waitFor();
        assert.equal(await loads(page), 1);
        assert.equal(await page.evaluate(() => crossOriginIsolated), false);
        await page.getByRole('button', { name: 'Reload' }).click();
        await page.waitForFunction(() => globalThis.crossOriginIsolated);
        assert.equal(await loads(page), 2);
      });
    } finally {
      await server.close();
    }
  });

  test('a new version is announced, and old tabs go on with theirs', async () => {
    const own = join(folder, 'versions');
    await cp(dist, own, { recursive: true });
    const server = await serve({ port: 0, folder: own });
    try {
      await pages.onPage({ server, ...allowed }, async (page, context) => {
        await controlled(page);
        const second = await context.newPage();
        await second.goto(server.url);
        await second.getByRole('heading', { level: 1 }).waitFor();
        await deploy(own);
        await second.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
        await second.getByText('A new version is ready.').waitFor();
        assert.equal(await second.evaluate(() => document.documentElement.lang), 'en');
        await second.getByRole('button', { name: 'Reload' }).click();
        await second.waitForFunction(() => document.documentElement.lang === 'en-GB');
        // The first tab still shows the old version, whose parts the host no longer has.
        await page.getByText('A new version is ready.').waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
        await page.getByRole('link', { name: 'Chat' }).click();
        await page.getByRole('textbox', { name: 'Message' }).waitFor();
      });
    } finally {
      await server.close();
    }
  });

  test('every section opens without a network, also for the first time', async () => {
    const server = await serve({ port: 0 });
    let open = true;
    try {
      await pages.onPage({ server, ...allowed, expectErrors: true }, async (page) => {
        await controlled(page);
        await server.close();
        open = false;
        await page.reload();
        for (const link of await page.locator('.sections a').all()) {
          await link.click();
          await page.locator('.section:not([hidden])').getByRole('heading', { level: 1 }).waitFor();
        }
      });
    } finally {
      if (open) await server.close();
    }
  });

  test('without a service worker the page cannot be sealed, and says so', () =>
    pages.onPage({}, async (page) => {
      await page.getByTestId('privacy').click();
      await page.getByText(/It cannot be sealed now/).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Seal this page' }).count(), 0);
    }));

  test('a sealed page transcribes and answers, and asks the host for nothing', async () => {
    const asked = [];
    const server = await serve({ port: 0, isolated: false, onRequest: ({ url }) => asked.push(url) });
    try {
      await pages.onPage({ server, ...allowed, expectErrors: true }, async (page) => {
        await page.waitForFunction(() => globalThis.crossOriginIsolated, undefined, { timeout: LONG });
        await sample(page); // its model is here from now on
        await page.getByRole('link', { name: 'Chat' }).click();
        await greedy(page, 10);
        const before = await textOf(await ask(page, 'Tell me a story.'));
        await page.getByTestId('privacy').click();
        await page.getByRole('button', { name: 'Seal this page' }).click();
        await page.getByText('This page is sealed.').waitFor();
        const trials = page.getByRole('list', { name: 'Trials' }).getByRole('listitem');
        assert.ok((await trials.count()) >= 4);
        for (const text of await trials.allInnerTexts()) assert.match(text, /\bblocked$/);
        await page.keyboard.press('Escape');
        assert.match(await page.getByTestId('privacy').innerText(), /Sealed: no request can leave this page/);

        // From here on as it opens the next time; the browser itself may look whether offline.js is a new one.
        await page.reload();
        await page.getByText('Sealed: no request').waitFor();
        asked.length = 0;
        const failed = await page.evaluate(() =>
          Promise.all(['./', 'models/x.bin', 'https://sealed.invalid/'].map((to) => fetch(to).then(() => false, () => true))),
        );
        assert.deepEqual(failed, [true, true, true]);
        const second = await textOf(await ask(page, 'Tell me a story.', 2));
        assert.ok(second.length > 0 && before.length > 0);
        await page.getByRole('link', { name: 'Transcribe' }).click();
        await page.getByRole('button', { name: 'Transcribe again' }).click();
        await summary(page).waitFor({ timeout: LONG });
        assert.match(await allText(page), WORDS);
        const engines = page.workers().filter((worker) => /\/worker-/.test(worker.url())); // their threads sleep
        assert.ok(engines.length > 0);
        for (const worker of engines) {
          const refused = await worker.evaluate(() => fetch('/').then(() => false, () => true));
          assert.equal(refused, true, worker.url());
        }
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        if (cores > 1) assert.match(await page.getByTestId('engine').innerText(), /\d+ threads/);
        assert.deepEqual(asked.filter((url) => url !== '/offline.js'), []);

        // A model that is not here is not fetched, and the page says why.
        await page.getByLabel('Model', { exact: true }).selectOption('base-q5_1');
        await page.getByRole('button', { name: 'Transcribe again' }).click();
        await page.getByText(/The page is sealed, and .* is not on this device/).waitFor({ timeout: LONG });
        await page.getByRole('link', { name: 'Voice' }).click();
        await page.getByTestId('voice-sealed').waitFor();
        assert.deepEqual(asked.filter((url) => url !== '/offline.js'), []);

        await page.getByTestId('privacy').click();
        await page.getByRole('button', { name: 'Unseal and reload' }).click();
        await page.getByText('Nothing leaves this device').waitFor();
        assert.equal(await page.evaluate(() => fetch('./').then((response) => response.ok)), true);
      });
    } finally {
      await server.close();
    }
  });
});

/** Puts another version into a folder with the page: its language is en-GB, and the names of its parts are others. */
async function deploy(folder) {
  const assets = join(folder, 'assets');
  const renamed = [];
  for (const name of await readdir(assets)) {
    const to = name.replace(/-([\w-]{8})\.(js|css)$/, '-NEW$1.$2');
    if (to !== name) renamed.push([name, to]);
  }
  const rename = (text) => renamed.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  for (const [from, to] of renamed) {
    await writeFile(join(assets, to), rename(await readFile(join(assets, from), 'utf8')));
    await rm(join(assets, from));
  }
  for (const name of ['index.html', 'offline.js']) {
    const text = rename(await readFile(join(folder, name), 'utf8'));
    await writeFile(join(folder, name), text.replace('lang="en"', 'lang="en-GB"').replace(/const STORE = `\$\{PREFIX\}/, '$&new-'));
  }
}
