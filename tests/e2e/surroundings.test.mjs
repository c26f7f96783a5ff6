// The page where things are missing or wrong: headers, network, room, models and recordings.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { choose, giveFiles, keptRow, openModels } from './model-steps.mjs';
import { Pages, allText, letter, LONG, model, root, sample, summary, takeFile, WORDS, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

describe('surroundings', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('fetches a model once and then has it', () =>
    pages.onPage({}, async (page) => {
      const fetched = [];
      page.on('request', (request) => request.url().endsWith('.bin') && fetched.push(request.url()));
      const progress = page.getByRole('progressbar', { name: /Tiny model/ });
      const seen = progress.waitFor();
      await sample(page);
      await seen;
      const before = fetched.length; // it comes in parts
      assert.ok(before > 0);
      assert.match(await page.locator('#model-hint').innerText(), /On this device/);
      await page.reload();
      await page.getByRole('button', { name: 'Transcribe again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.equal(fetched.length, before, 'the second run took the model from the store');
      await openModels(page);
      await choose(page, keptRow(page, /^Whisper tiny/), 'Delete…');
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('link', { name: 'Transcribe' }).click();
      await page.locator('#model-hint').getByText(/Downloaded once/).waitFor();
    }));

  test('says that the browser has no room for the model, and works all the same', () =>
    pages.onPage({}, async (page, context) => {
      const devtools = await context.newCDPSession(page);
      const origin = new URL(pages.isolated.url).origin;
      await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 10e6 }); // bytes
      await sample(page);
      assert.match(await allText(page), WORDS);
      assert.match(await page.locator('#model-hint').innerText(), /no room to keep it/);
    }));

  test('works without cross-origin isolation, single-threaded, and says so', () =>
    pages.onPage({ server: pages.plain }, async (page) => {
      assert.equal(await page.evaluate(() => crossOriginIsolated), false);
      assert.match(await page.locator('footer').innerText(), /single-threaded, because .*COOP and COEP/i);
      await sample(page);
      assert.match(await allText(page), WORDS);
      assert.match(await page.getByTestId('engine').innerText(), /single-threaded/);
    }));

  test('says what is wrong with a file that is no model, and goes on with one that is', () =>
    pages.onPage({}, async (page) => {
      const truncated = (await readFile(model)).subarray(0, 3_000_000);
      const broken = [
        { name: 'notes.bin', mimeType: '', buffer: Buffer.from('These are my notes, not a model. '.repeat(100)) },
        { name: 'half.bin', mimeType: '', buffer: truncated },
      ];
      for (const file of broken) {
        await openModels(page);
        await giveFiles(page, file, 'Use it once');
        if (file === broken[0]) await page.getByRole('button', { name: 'Try the sample' }).click();
        else await page.getByRole('button', { name: 'Transcribe again' }).click();
        await page.getByRole('alert').waitFor();
        const said = await page.getByTestId('notice').locator('span').innerText();
        assert.match(said, /^[\w.]+ cannot be used\. [A-Z].{20,}\.$/s, 'sentences');
        assert.doesNotMatch(said, /undefined|\[object|RuntimeError/);
      }
      await page.getByLabel('Model', { exact: true }).selectOption('tiny-q5_1');
      await page.getByRole('button', { name: 'Try again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test("takes a person's own model file, and works under any path", async () => {
    const server = await serve({ port: 0, folder: join(root, 'app') });
    try {
      await pages.onPage({ server, path: 'dist/' }, async (page) => {
        await openModels(page);
        await giveFiles(page, model, 'Use it once');
        await sample(page);
        assert.match(await allText(page), WORDS);
      });
    } finally {
      await server.close();
    }
  });

  test('says what is wrong with a file that holds no sound', () =>
    pages.onPage({}, async (page) => {
      await takeFile(page, letter);
      await page.getByRole('alert').waitFor();
      assert.match(await page.getByTestId('notice').innerText(), /No sound could be read from letter\.mp3\..*MP3/s);
      await page.getByRole('button', { name: 'New' }).click();
      await page.getByRole('button', { name: 'Choose a file' }).waitFor();
    }));

  test('says that it is offline, and that a model came with the wrong bytes', () =>
    pages.onPage({ expectErrors: true }, async (page, context) => {
      const body = await readFile(model);
      body[body.length - 1] ^= 1;
      // One route for all: taking one away can wait for ever for a request of a worker that is gone.
      let answer = (route) => route.fulfill({ contentType: 'application/octet-stream', body });
      await context.route(/\.bin$/, (route) => answer(route));
      await page.getByRole('button', { name: 'Try the sample' }).click();
      await page.getByRole('alert').waitFor({ timeout: LONG });
      assert.match(await page.getByTestId('notice').innerText(), /arrived damaged/);
      await page.evaluate(() => Object.defineProperty(navigator, 'onLine', { value: false }));
      answer = (route) => route.abort('internetdisconnected');
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByTestId('notice').getByText(/offline/i).waitFor({ timeout: LONG });
      answer = (route) => route.continue();
      await page.getByRole('button', { name: 'Try again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test('opens and transcribes without a network, once its model is here', async () => {
    const server = await serve({ port: 0 });
    let open = true;
    try {
      await pages.onPage({ server, serviceWorkers: 'allow', expectErrors: true }, async (page) => {
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await sample(page);
        await server.close();
        open = false;
        await page.reload();
        await page.getByRole('button', { name: 'Transcribe again' }).click();
        await summary(page).waitFor({ timeout: LONG });
        assert.match(await allText(page), WORDS);
        assert.equal(await page.evaluate(() => crossOriginIsolated), true);
      });
    } finally {
      if (open) await server.close();
    }
  });
});
