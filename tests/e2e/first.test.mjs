// The first view: what it weighs, how soon it works, how it is installed, and the way to a first transcript.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Pages, allText, clip, LONG, root, rows, summary, takeFile, WORDS, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

const dist = join(root, 'app/dist');
const BUDGET = 150_000; // bytes with gzip, of all scripts of the page
const FIRST_BUDGET = 25_000; // of those that the first view waits for
const ENGINE = /^(sotto|worker|thread|gpu|quantizer|live-worklet)-/; // the package's

const weight = async (file) => gzipSync(await readFile(join(dist, file)), { level: 9 }).length;

describe('the first view', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('is light, and so is the page', async () => {
    const html = await readFile(join(dist, 'index.html'), 'utf8');
    const first = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)].map(([, file]) => file);
    assert.ok(first.length > 0);
    assert.doesNotMatch(html, /rel="stylesheet"/, 'nothing stands before the first paint');
    const sum = async (files) => (await Promise.all(files.map(weight))).reduce((all, bytes) => all + bytes, 0);
    for (const part of ['Transcribe', 'Chat', 'Voice']) assert.doesNotMatch(html, new RegExp(`assets/${part}-`), 'sections come when they are opened');
    const own = (await readdir(join(dist, 'assets'))).filter((name) => name.endsWith('.js') && !ENGINE.test(name));
    const [forFirst, all] = [await sum(first), await sum([...own.map((name) => `assets/${name}`), 'offline.js'])];
    console.log(`first view: ${forFirst} bytes of script with gzip; the page: ${all}`);
    assert.ok(forFirst <= FIRST_BUDGET, `${forFirst} bytes`);
    assert.ok(all <= BUDGET, `${all} bytes`);
  });

  test('the header that stands before the scripts is the one that they draw', () =>
    pages.onPage({}, async (page) => {
      const html = await readFile(join(dist, 'index.html'), 'utf8');
      const [before, after] = await page.evaluate((text) => {
        const links = (scope) => [...scope.querySelectorAll('.sections a')].map((link) => [link.getAttribute('href'), link.textContent.trim()]);
        return [links(new DOMParser().parseFromString(text, 'text/html')), links(document)];
      }, html);
      assert.deepEqual(after, before);
    }));

  test('a first transcript takes three actions: open the page, press, choose', () =>
    pages.onPage({}, async (page) => {
      // Opening was the first. The file dialog is the browser's: the button opens it, the choice begins the work.
      const [dialog] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Choose a file' }).click()]);
      await dialog.setFiles(clip('jfk.wav'));
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test('what is chosen before the code has come is done when it comes', () =>
    pages.onPage({}, async (page, context) => {
      let release;
      const held = new Promise((done) => (release = done));
      await context.route(/assets\/Transcribe-.*\.js/, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto('about:blank');
      await page.goto(pages.isolated.url);
      await page.getByRole('button', { name: 'Choose a file' }).waitFor();
      assert.equal(await page.locator('.options').count(), 0, 'the code is not here');
      await takeFile(page, clip('jfk.wav'));
      release();
      await summary(page).waitFor({ timeout: LONG });
      assert.ok((await rows(page).count()) > 0);
    }));

  test('can be installed, and takes recordings that the system opens with it', () =>
    pages.onPage({}, async (page, context) => {
      const devtools = await context.newCDPSession(page);
      const { errors, data } = await devtools.send('Page.getAppManifest');
      assert.deepEqual(errors, []);
      const manifest = JSON.parse(data);
      for (const { src, sizes } of manifest.icons.filter(({ type }) => type === 'image/png')) {
        const icon = await readFile(join(dist, src));
        assert.equal(`${icon.readUInt32BE(16)}x${icon.readUInt32BE(20)}`, sizes, src);
      }
      assert.ok(manifest.icons.some(({ purpose }) => purpose === 'maskable'));
      const views = await page.locator('.sections a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
      for (const { url } of manifest.shortcuts) assert.ok(views.includes(url.slice(2)), url);

      assert.equal(await page.getByRole('button', { name: 'Install' }).count(), 0);
      await page.evaluate(() => {
        const event = new Event('beforeinstallprompt', { cancelable: true });
        event.prompt = async () => (globalThis.prompted = true);
        dispatchEvent(event);
      });
      await page.getByRole('button', { name: 'Install' }).click();
      assert.equal(await page.evaluate(() => globalThis.prompted), true);
      assert.equal(await page.getByRole('button', { name: 'Install' }).count(), 0);

      await context.addInitScript(() => {
        Object.defineProperty(globalThis, 'launchQueue', { value: { setConsumer: (take) => (globalThis.launch = take) } });
      });
      await page.goto('about:blank');
      await page.goto(`${pages.isolated.url}#/chat`);
      await page.getByRole('heading', { name: 'New chat' }).waitFor();
      const bytes = [...(await readFile(clip('jfk.wav')))];
      await page.evaluate((sound) => {
        const file = new File([new Uint8Array(sound)], 'opened.wav', { type: 'audio/wav' });
        globalThis.launch({ files: [{ getFile: async () => file }] });
      }, bytes);
      await page.getByRole('heading', { name: 'opened.wav' }).waitFor();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test('keeps where one is, and what was typed, over a reload', () =>
    pages.onPage({ path: '#/chat' }, async (page) => {
      await page.getByRole('textbox', { name: 'Message' }).fill('Not sent yet');
      await page.reload();
      await page.waitForFunction(() => document.querySelector('#chat textarea')?.value === 'Not sent yet');
      assert.match(page.url(), /#\/chat$/);
    }));
});
