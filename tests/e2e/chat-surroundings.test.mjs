// The chat where things are missing, wrong or slow: models, networks, storage, room in the context, other tabs.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { LONG, Pages, root, whyNot } from './browser.mjs';
import { bring, choose, giveFiles, keptRow, offers, openModels, slowSource } from './model-steps.mjs';
import { answered, answers, ask, composer, greedy, inSettings, SURE, textOf, titles, vectors } from './chat-steps.mjs';

const missing = whyNot('chromium', { chat: true });
if (missing) console.log(`skip: ${missing}`);

const TELLER = join(root, 'assets/teller-q8_0.gguf');
const PROMPT = vectors[0].prompt;
const BEGINNING = vectors[0].text.slice(0, SURE);

describe('the surroundings of the chat', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());
  const onChat = (steps, options) => pages.onPage({ path: '#/chat', ...options }, steps);
  const picker = (page) => page.getByRole('dialog', { name: 'Model' });
  const openPicker = async (page) => {
    await page.getByRole('button', { name: /^Model/ }).click();
    await picker(page).waitFor();
  };
  const chip = (page, name) => page.getByRole('button', { name: name instanceof RegExp ? name : `Model: ${name}` });
  const backToChat = (page) => page.getByRole('link', { name: 'Chat' }).click();
  /** Uses files as a model, from the section of models, which leads back to the chat. */
  const giveOnce = async (page, files) => {
    await openModels(page);
    await giveFiles(page, files, 'Use it once');
  };

  test('offers what is on this device; the one with the page is fetched once, unloaded, deleted, fetched again', () =>
    onChat(async (page) => {
      const fetched = [];
      page.on('request', (request) => request.url().endsWith('.gguf') && fetched.push(request.url()));
      await greedy(page, 10);
      await ask(page, PROMPT);
      await openPicker(page);
      assert.equal(await picker(page).locator('.pick').count(), 1, 'others are not here');
      assert.match(await picker(page).locator('.pick').innerText(), /^Teller.*in memory/s);
      await picker(page).getByRole('link', { name: 'Get more models' }).click();
      await picker(page).waitFor({ state: 'hidden' });
      await offers(page).locator('.offer').nth(8).waitFor(); // the section comes when it is opened first
      const rows = await offers(page).locator('.offer').allInnerTexts();
      for (const text of rows) assert.match(text, /\d (MB|GB) · (MIT|Gemma Terms of Use)/);
      await page.getByRole('button', { name: 'Free the memory of Teller' }).click();
      await page.getByTestId('memory').getByText('No model.').waitFor();
      await backToChat(page);
      await ask(page, PROMPT); // in a new conversation
      const before = fetched.length;
      await openModels(page);
      await choose(page, keptRow(page, /^Teller/), 'Delete…');
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await keptRow(page, /^Teller/).waitFor({ state: 'detached' });
      await backToChat(page);
      await ask(page, PROMPT);
      assert.ok(before > 0 && fetched.length === 2 * before, 'loaded from what the browser keeps, until it was deleted');
    }));

  test("answers with a person's own file, under any path", async () => {
    const server = await serve({ port: 0, folder: join(root, 'app') });
    try {
      await pages.onPage({ server, path: 'dist/#/chat' }, async (page) => {
        await greedy(page, 10);
        await giveOnce(page, TELLER);
        await chip(page, 'teller-q8_0').waitFor();
        const answer = await ask(page, PROMPT);
        assert.equal((await textOf(answer)).slice(0, SURE), BEGINNING);
        assert.equal(await answer.locator('.author').innerText(), 'teller-q8_0');
      });
    } finally {
      await server.close();
    }
  });

  test('opens the files of a Hugging Face folder', () =>
    onChat(async (page) => {
      // Weights by chance, in the shape of Gemma 3, with the first 1024 tokens alone: it writes, but makes no sense.
      const files = ['golden/gemma3-1b-shape/model.safetensors', 'golden/gemma3-1b-shape/config.json', 'teller/tokenizer.model'];
      await greedy(page, 12);
      await inSettings(page, (dialog) => dialog.getByRole('switch', { name: /Continue plain text/ }).check());
      await giveOnce(page, files.map((file) => join(root, 'tests/fixtures', file)));
      await chip(page, 'Model from a folder').click();
      assert.match(await picker(page).innerText(), /Your own model, 3 files\./);
      await page.keyboard.press('Escape');
      const answer = await ask(page, 'Once upon a time there was a little girl');
      assert.ok((await textOf(answer)).length > 0);
      assert.equal(await answer.locator('.author').innerText(), 'Model from a folder');
    }));

  test('says what is wrong with files that are no model', () =>
    onChat(async (page) => {
      const file = (name, bytes = Buffer.from('not a model '.repeat(50))) => ({ name, mimeType: '', buffer: Buffer.from(bytes) });
      const half = (await readFile(TELLER)).subarray(0, 3_000_000);
      const cases = [
        [[file('notes.txt')], /notes\.txt is not a model\. Choose a GGUF file, or a folder/],
        [[file('a-00001-of-00003.gguf'), file('a-00002-of-00003.gguf')], /has 3 parts, and 2 were chosen\. Choose all/],
        [[file('a.gguf'), file('b.gguf')], /several models\. Choose one/],
        [[file('model.safetensors')], /config\.json is missing/],
      ];
      await openModels(page);
      for (const [files, expected] of cases) {
        await giveFiles(page, files);
        await bring(page).getByRole('alert').filter({ hasText: expected }).waitFor();
        await bring(page).getByRole('button', { name: 'Back' }).click();
      }
      for (const [damaged, expected] of [
        [file('fake.gguf'), /fake cannot be used\. [A-Z].{15,}\.$/],
        [file('half.gguf', half), /half cannot be used\. [A-Z].{15,}\.$/],
      ]) {
        await giveOnce(page, damaged);
        const alert = page.getByTestId('model-notice').filter({ hasText: expected.source.slice(0, 4) });
        await alert.waitFor({ timeout: LONG });
        assert.match(await alert.locator('span').innerText(), expected);
        assert.doesNotMatch(await alert.innerText(), /undefined|\[object|RuntimeError/);
      }
      await openPicker(page);
      await picker(page).getByRole('button', { name: /^Teller/ }).click();
      await greedy(page, 5);
      await ask(page, PROMPT);
    }));

  test('a chosen model that is not here any more is downloaded with progress, is cancelled, and goes on from there', async () => {
    const whole = Buffer.alloc(241410624); // as the model in the manifest, of which a model's beginning comes
    (await readFile(TELLER)).copy(whole);
    const source = await slowSource(whole, { to: 12e6 });
    try {
      await onChat(async (page, context) => {
        await source.play(context, /gemma-3-270m-it-qat-Q4_0\.gguf$/);
        await page.evaluate(() => localStorage.setItem('chat-settings', '{"model":"gemma-3-270m-q4_0"}'));
        await page.reload();
        await composer(page).fill(PROMPT);
        await composer(page).press('Enter');
        const progress = page.getByTestId('model-progress');
        await progress.getByText(/([4-9](\.\d)?|1\d) MB of 241 MB/).waitFor({ timeout: LONG });
        await progress.getByRole('button', { name: 'Cancel' }).click();
        source.gate.to = 24e6;
        await page.getByTestId('model-notice').getByRole('button', { name: 'Continue' }).click();
        await progress.getByText(/of 241 MB · goes on from [\d.]+ MB/).waitFor({ timeout: LONG });
        await progress.getByRole('button', { name: 'Cancel' }).click();
        // Another model is there at once.
        await chip(page, /^Model: Gemma 3 270M/).click();
        await picker(page).getByRole('button', { name: /^Teller/ }).click();
        await greedy(page, 5);
        await ask(page, PROMPT, 2);
      });
    } finally {
      source.close();
    }
  });

  test('says why a model did not come, and what to do', () =>
    onChat(
      async (page, context) => {
        let cut = true;
        await context.route(/\.gguf$/, (route) => (cut ? route.abort('connectionfailed') : route.continue()));
        const answer = await ask(page, PROMPT);
        assert.match(await answer.locator('.notice').innerText(), /Teller could not be downloaded\. Check the connection/);
        await page.evaluate(() => Object.defineProperty(navigator, 'onLine', { value: false, configurable: true }));
        await answer.getByRole('button', { name: 'Try again' }).click();
        await answered(page, 1);
        assert.match(await answers(page).first().locator('.notice').innerText(), /You are offline, and Teller is not on this device yet/);
        cut = false;
        await answers(page).first().getByRole('button', { name: 'Try again' }).click();
        await answered(page, 1);
        assert.ok((await textOf(answers(page).first())).length > 50);
        assert.match(await answers(page).first().getByRole('group', { name: 'Versions' }).innerText(), /3\/3/);
      },
      { expectErrors: true },
    ));

  test('tells that the oldest turns were left out, and that a message is too long', () =>
    onChat(async (page) => {
      await greedy(page, 30);
      await inSettings(page, async (dialog) => {
        await dialog.getByLabel('Context').fill('96');
        await dialog.getByLabel('Context').press('Tab');
      });
      await ask(page, PROMPT);
      const dropped = page.getByText(/the oldest \d+ messages no longer fit and the model did not see them/);
      assert.equal(await dropped.count(), 0);
      let n = 1;
      while ((await dropped.count()) === 0 && n < 6) await ask(page, 'What happened then?', ++n);
      assert.ok(n > 1 && (await dropped.count()) === 1);
      assert.match(await page.getByRole('meter').getAttribute('aria-valuetext'), /^\d+ of 96 tokens$/);
      const long = await ask(page, 'Tell me a story about a dog. '.repeat(40), n + 1);
      assert.match(await long.locator('.notice').innerText(), /96 tokens/);
      assert.match(await long.locator('.notice').innerText(), /shorte|larger|new/i, 'what to do');
    }));

  test('opens and answers without a network, once its model is here', async () => {
    const server = await serve({ port: 0 });
    let open = true;
    try {
      await pages.onPage({ server, path: '#/chat', serviceWorkers: 'allow', expectErrors: true }, async (page) => {
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await greedy(page, 10);
        await ask(page, PROMPT);
        assert.equal(
          await page.evaluate(async () => {
            const stores = (await caches.keys()).filter((name) => name.startsWith('page-'));
            const kept = await Promise.all(stores.map(async (name) => (await (await caches.open(name)).keys()).map((request) => request.url)));
            return kept.flat().filter((url) => url.endsWith('.gguf')).length;
          }),
          0,
          'the model is kept once, by the package',
        );
        await page.waitForTimeout(600); // ms, longer than the pause before it is kept
        await server.close();
        open = false;
        await page.reload();
        await answered(page, 1);
        assert.equal((await textOf(await ask(page, PROMPT, 2))).length > 0, true);
      });
    } finally {
      if (open) await server.close();
    }
  });

  test('works where the browser keeps nothing, and says so', () =>
    pages.onPage({}, async (page, context) => {
      await context.addInitScript(() => {
        Object.defineProperty(globalThis, 'indexedDB', { get: () => undefined });
        Object.defineProperty(globalThis, 'localStorage', {
          get: () => {
            throw new DOMException('denied', 'SecurityError');
          },
        });
      });
      await page.goto('about:blank');
      await page.goto(`${pages.isolated.url}#/chat`);
      await page.getByText('This browser does not keep conversations').waitFor();
      await greedy(page, 10);
      assert.equal((await textOf(await ask(page, PROMPT))).slice(0, SURE), BEGINNING);
    }));

  test('passes over what is damaged in its storage', () =>
    onChat(async (page) => {
      await greedy(page, 10);
      await ask(page, PROMPT);
      await page.waitForTimeout(600); // ms, longer than the pause before it is kept
      await page.evaluate(async () => {
        localStorage.setItem('chat-settings', '{"temperature":"hot","topK":-5,"model":7');
        const db = await new Promise((done) => (indexedDB.open('sotto-chats').onsuccess = (event) => done(event.target.result)));
        const store = db.transaction('conversations', 'readwrite').objectStore('conversations');
        store.put(null, 'a');
        store.put({ turns: 'none' }, 'b');
        const turn = { id: 'x', parent: 'y', role: 'user', text: 'loop', at: 1 };
        store.put({ id: 'c', title: 'Loop', turns: [turn, { ...turn, id: 'y', parent: 'x' }], leaf: 'x' }, 'c');
        const last = store.put({ id: 'd', title: 5, created: 'x', turns: [{ id: 'q', parent: null, role: 'user', text: 'Half kept' }], leaf: 'gone' }, 'd');
        await new Promise((done) => (last.onsuccess = done));
        db.close();
      });
      await page.reload();
      await page.locator('.conversation-title').first().waitFor();
      assert.deepEqual((await titles(page)).toSorted(), ['Half kept', PROMPT]);
      await inSettings(page, async (dialog) => assert.equal(await dialog.getByLabel('Temperature').inputValue(), '1'));
    }));

  test('shows in one tab what another one wrote', () =>
    onChat(async (page, context) => {
      const other = await context.newPage();
      await other.goto(`${pages.isolated.url}#/chat`);
      await other.locator('.welcome').waitFor();
      await greedy(page, 10);
      const written = await textOf(await ask(page, PROMPT));
      await other.getByRole('link', { name: PROMPT }).click();
      assert.equal((await textOf(answers(other).first())).trim(), written.trim());
      await page.getByRole('button', { name: 'More', exact: true }).click();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await other.locator('.welcome').waitFor();
    }));

  test('answers without cross-origin isolation, on one thread', () =>
    onChat(
      async (page) => {
        await greedy(page, 10);
        assert.equal((await textOf(await ask(page, PROMPT))).slice(0, SURE), BEGINNING);
        await openPicker(page);
        assert.match(await picker(page).innerText(), /one thread/);
      },
      { server: pages.plain },
    ));

  test('says that the browser has no room for the model, and answers all the same', () =>
    onChat(async (page, context) => {
      const devtools = await context.newCDPSession(page);
      const origin = new URL(pages.isolated.url).origin;
      await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 5e6 }); // bytes
      await greedy(page, 10);
      await ask(page, PROMPT);
      await openPicker(page);
      await picker(page).getByText(/no room to keep Teller/).waitFor();
    }));
});
