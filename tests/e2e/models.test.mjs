// The models of this device in Chromium: downloaded, paused, taken up again, imported, saved, checked, deleted, and used in the other sections.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LONG, Pages, WORDS, allText, model, root, sample, tabTo, whyNot } from './browser.mjs';
import { bring, choose, coming, giveFiles, keptRow, offerRow, offers, openModels, saved, shelf, slowSource } from './model-steps.mjs';

const missing = whyNot('chromium') ?? (existsSync(join(root, 'js/dist/index.node.js')) ? undefined : 'the package is not built');
if (missing) console.log(`skip: ${missing}`);

const TELLER = join(root, 'assets/teller-q8_0.gguf');
const TINY = /ggml-tiny-q5_1\.bin$/;

async function noViolations(page, where) {
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), [], where);
}

describe('models', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());
  const onModels = (steps, options) => pages.onPage({ path: '#/models', acceptDownloads: true, ...options }, steps);
  const tiny = (page) => keptRow(page, /^Whisper tiny Q5_1/);

  test('one is downloaded, paused, resumed after a reload, and transcribes', async () => {
    const bytes = await readFile(model);
    const source = await slowSource(bytes, { to: 12e6 });
    try {
      await onModels(async (page, context) => {
        await source.play(context, TINY);
        await offerRow(page, /^Whisper tiny Q5_1/).getByRole('button', { name: 'Download' }).click();
        const row = coming(page);
        await row.getByText(/Downloading · ([4-9]\.\d|1\d) MB of 32 MB/).waitFor({ timeout: LONG });
        assert.ok(Number(await row.getByRole('progressbar').getAttribute('aria-valuenow')) > 10);
        await row.getByRole('button', { name: 'Pause' }).click();
        await row.getByText(/^Paused/).waitFor();
        await page.reload();
        await row.getByText(/^Paused · [\d.]+ MB of 32 MB/).waitFor();
        const { requests } = source.gate;
        await page.waitForTimeout(300);
        assert.equal(source.gate.requests, requests, 'what was paused rests');
        source.gate.to = 20e6;
        await row.getByRole('button', { name: 'Resume' }).click();
        await row.getByText(/^Downloading/).waitFor();
        await page.reload(); // what was under way goes on by itself
        source.gate.to = Infinity;
        await tiny(page).waitFor({ timeout: LONG });
        assert.equal(await row.count(), 0);
        assert.ok(source.gate.sent < bytes.length + 24e6, `${source.gate.sent} bytes were sent of ${bytes.length}`);
        await offerRow(page, /^Whisper tiny Q5_1/).getByText('On this device').waitFor();
        const before = source.gate.requests;
        await tiny(page).getByRole('button', { name: 'Transcribe' }).click();
        await sample(page);
        assert.match(await allText(page), WORDS);
        assert.equal(source.gate.requests, before, 'it was not fetched again');
        await openModels(page);
        await page.getByTestId('memory').getByText('Tiny', { exact: true }).waitFor();
        await tiny(page).getByText(/× real time here/).waitFor();
        await page.getByRole('button', { name: 'Free the memory of Tiny' }).click();
        await page.getByTestId('memory').getByText('No model.').waitFor();
      });
    } finally {
      source.close();
    }
  });

  test('a download is cancelled, and nothing of it stays', async () => {
    const source = await slowSource(await readFile(model), { to: 9e6 });
    try {
      await onModels(async (page, context) => {
        await source.play(context, TINY);
        await offerRow(page, /^Whisper tiny Q5_1/).getByRole('button', { name: 'Download' }).click();
        await coming(page).getByText(/[4-9](\.\d)? MB of 32 MB/).waitFor({ timeout: LONG });
        await coming(page).getByRole('button', { name: /^Cancel/ }).click();
        await coming(page).waitFor({ state: 'detached' });
        await page.reload();
        await shelf(page).getByText('No model yet.').waitFor();
      });
    } finally {
      source.close();
    }
  });

  test('what another tab downloads shows here, too, and is fetched once', async () => {
    const bytes = await readFile(model);
    const source = await slowSource(bytes, { to: 9e6 });
    try {
      await onModels(async (page, context) => {
        await source.play(context, TINY);
        await offerRow(page, /^Whisper tiny Q5_1/).getByRole('button', { name: 'Download' }).click();
        await coming(page).getByText(/MB of 32 MB/).waitFor({ timeout: LONG });
        const other = await context.newPage();
        await other.goto(page.url());
        // It takes part in what is under way.
        await shelf(other).getByText(/MB of 32 MB/).first().waitFor({ timeout: LONG });
        source.gate.to = Infinity;
        await tiny(page).waitFor({ timeout: LONG });
        await tiny(other).waitFor({ timeout: LONG });
        assert.ok(source.gate.sent < bytes.length + 24e6, `${source.gate.sent} bytes were sent of ${bytes.length}`);
        await choose(other, tiny(other), 'Delete…');
        await other.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
        await tiny(page).waitFor({ state: 'detached' });
      });
    } finally {
      source.close();
    }
  });

  test('a file is kept, checked, saved byte by byte, deleted', () =>
    onModels(async (page) => {
      await giveFiles(page, TELLER, 'Keep on this device');
      await bring(page).getByText('teller-q8_0 is on this device.').waitFor({ timeout: LONG });
      await bring(page).getByRole('button', { name: 'Done' }).click();
      const row = keptRow(page, /^Teller/);
      await row.waitFor();
      assert.match(await row.innerText(), /Q8_0.*13 MB · for language · MIT/s);
      await choose(page, row, 'Check again');
      await row.getByText('every byte is as it came').waitFor({ timeout: LONG });
      await row.getByRole('button', { name: /^More for/ }).click();
      const file = await saved(page, () => row.getByRole('button', { name: 'Save as a file' }).click());
      assert.equal(file.name, 'teller-q8_0.gguf');
      assert.ok(file.bytes.equals(await readFile(TELLER)));
      await choose(page, row, 'Delete…');
      const dialog = page.getByRole('dialog', { name: /^Delete Teller/ });
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await choose(page, row, 'Delete…');
      await dialog.getByRole('button', { name: 'Delete' }).click();
      await row.waitFor({ state: 'detached' });
      await page.waitForFunction(() => document.activeElement.id === 'device-title'); // the keyboard is not lost
    }));

  test("a Whisper model of one's own is kept, and transcribes after a reload", async () => {
    const { quantize } = await import(join(root, 'js/dist/index.node.js'));
    const made = await quantize(model, { type: 'q8_0', name: 'mine', output: 'blob' });
    const folder = await mkdtemp(join(tmpdir(), 'sotto-'));
    const file = join(folder, 'ggml-mine.bin');
    await writeFile(file, Buffer.from(await (await made.open()).arrayBuffer()));
    await onModels(async (page) => {
      await giveFiles(page, file, 'Keep on this device');
      const row = keptRow(page, /^ggml-mine/);
      await row.waitFor({ timeout: LONG });
      await row.getByRole('button', { name: 'Transcribe' }).click();
      await page.getByRole('button', { name: 'Try the sample' }).waitFor();
      await page.reload();
      assert.match(await page.getByLabel('Model', { exact: true }).locator('option:checked').innerText(), /^ggml-mine/);
      await sample(page);
      assert.match(await allText(page), WORDS);
      // Voice offers the same.
      await page.getByRole('link', { name: 'Voice' }).click();
      assert.match(await page.getByLabel('Hears').locator('option:checked').innerText(), /^ggml-mine/);
    }).finally(() => rm(folder, { recursive: true }));
  });

  test('files are dropped anywhere in the section; what is no model is told', () =>
    onModels(async (page) => {
      const drop = (name, text) =>
        page.evaluate(
          ([as, content]) => {
            const data = new DataTransfer();
            data.items.add(new File([content], as));
            document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
          },
          [name, text],
        );
      await drop('notes.txt', 'no model');
      await bring(page).getByText(/notes\.txt is not a model\. Choose a GGUF file, or a folder/).waitFor();
      await bring(page).getByRole('button', { name: 'Back' }).click();
      await drop('fake.gguf', 'not a model '.repeat(50));
      await page.getByTestId('incoming').getByRole('button', { name: 'Keep on this device' }).click();
      const alert = bring(page).getByRole('alert');
      await alert.waitFor();
      assert.match(await alert.innerText(), /^fake cannot be kept\. [A-Z].{15,}\.$/s);
      assert.equal(await shelf(page).getByTestId('kept').count(), 0);
    }));

  test('says what is wrong with a reference, and which places it may fetch from', () =>
    onModels(
      async (page, context) => {
        const address = page.getByLabel('Hugging Face name or address');
        const button = bring(page).getByRole('button', { name: 'Download' });
        await address.fill('https://elsewhere.example/model.gguf');
        await button.click();
        await bring(page).getByText(/may fetch from its own address, huggingface\.co.*download https:\/\/elsewhere\.example\/model\.gguf with the browser/).waitFor();
        await address.fill('hf:nonsense');
        await button.click();
        await coming(page).getByRole('alert').waitFor();
        assert.match(await coming(page).getByRole('alert').innerText(), /OWNER\/REPO/);
        await coming(page).getByRole('button', { name: /^Cancel/ }).click();
        await context.route(/huggingface\.co/, (route) => route.fulfill({ status: 404, headers: { 'access-control-allow-origin': '*' }, body: '' }));
        await address.fill('https://huggingface.co/someone/something/resolve/main/missing.gguf');
        await button.click();
        const alert = coming(page).getByRole('alert');
        await alert.waitFor({ timeout: LONG });
        assert.match(await alert.innerText(), /404/);
      },
      { expectErrors: true },
    ));

  test('says that there is no room, and what to do', () =>
    onModels(async (page, context) => {
      const devtools = await context.newCDPSession(page);
      await devtools.send('Storage.overrideQuotaForOrigin', { origin: new URL(pages.isolated.url).origin, quotaSize: 20e6 }); // bytes
      await context.addInitScript(() => {
        navigator.storage.estimate = async () => ({ usage: 1e6, quota: 20e6 }); // which knows nothing of the override
      });
      await page.reload();
      const offer = offerRow(page, /^Whisper tiny Q5_1/);
      await offer.getByText(/more than the 19 MB that are available/).waitFor();
      await page.getByTestId('storage').getByText('19 MB available').waitFor();
      await offer.getByRole('button', { name: 'Download' }).click();
      const alert = coming(page).getByRole('alert');
      await alert.waitFor({ timeout: LONG });
      assert.match(await alert.innerText(), /^[A-Z].* GB .*delete models .*\.$/s);
    }));

  test('shows the terms of Gemma before it is downloaded, once', async () => {
    const source = await slowSource(await readFile(TELLER), { to: 0 });
    try {
      await onModels(async (page, context) => {
        await source.play(context, /gemma-3-270m-it.*\.gguf$/);
        const button = offerRow(page, /^Gemma 3 270M Q4_0/).getByRole('button', { name: 'Download' });
        await button.click();
        const dialog = page.getByRole('dialog', { name: 'Gemma Terms of Use' });
        assert.match(await dialog.getByRole('link').getAttribute('href'), /ai\.google\.dev\/gemma\/terms/);
        await dialog.getByRole('button', { name: 'Cancel' }).click();
        assert.equal(await coming(page).count(), 0);
        await button.click();
        await dialog.getByRole('button', { name: 'Agree and download' }).click();
        await coming(page).waitFor();
        await coming(page).getByRole('button', { name: /^Cancel/ }).click();
        await coming(page).waitFor({ state: 'detached' });
        await button.click();
        await coming(page).waitFor();
        assert.equal(await dialog.count(), 0, 'agreed once');
        await coming(page).getByRole('button', { name: /^Cancel/ }).click();
      });
    } finally {
      source.close();
    }
  });

  test('is walked by keyboard, and told to those who hear it', () =>
    onModels(async (page) => {
      const said = [];
      await page.exposeFunction('heard', (text) => said.push(text));
      await page.evaluate(() => {
        const live = document.querySelector('[aria-live=polite]');
        new MutationObserver(() => window.heard(live.textContent)).observe(live, { childList: true, subtree: true, characterData: true });
      });
      await page.getByRole('button', { name: 'Keep these models' }).focus();
      await tabTo(page, /Download/, 'Tab', 20);
      await page.keyboard.press('Enter');
      await tiny(page).waitFor({ timeout: LONG });
      assert.ok(said.some((text) => /^Downloading Whisper tiny/.test(text)), said.join('|'));
      assert.ok(said.some((text) => /Whisper tiny is on this device/.test(text)), said.join('|'));
      assert.ok(said.length < 12, `said ${said.length} times`);
      await tiny(page).getByRole('button', { name: /^More for/ }).focus();
      await page.keyboard.press('Enter');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter'); // the last of the menu
      await page.getByRole('dialog', { name: /^Delete Whisper tiny/ }).waitFor();
      await page.keyboard.press('Escape');
      await tiny(page).waitFor();
    }));

  test('fits a phone of 360 px', () =>
    onModels(
      async (page) => {
        const fits = async (where) => {
          const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
          assert.ok(inner <= outer && outer === 360, `${where}: ${inner} px of content in ${outer}`);
        };
        await fits('empty');
        await giveFiles(page, TELLER);
        await page.getByTestId('incoming').waitFor();
        await fits('a file');
        await page.getByTestId('incoming').getByRole('button', { name: 'Keep on this device' }).tap();
        const row = keptRow(page, /^Teller/);
        await row.waitFor({ timeout: LONG });
        await row.getByRole('button', { name: /^More for/ }).tap();
        await fits('menu');
      },
      { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
    ));

  for (const colorScheme of ['light', 'dark']) {
    test(`has no serious accessibility violation, ${colorScheme}`, async () => {
      const source = await slowSource(await readFile(model), { to: 9e6 });
      try {
        await onModels(
          async (page, context) => {
            await source.play(context, TINY);
            await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
            await noViolations(page, 'empty');
            await offers(page).getByText(/^All \d+, with other types and/).click();
            await offerRow(page, /^Whisper tiny Q5_1/).getByRole('button', { name: 'Download' }).click();
            await coming(page).getByText(/MB of 32 MB/).waitFor({ timeout: LONG });
            await noViolations(page, 'a download');
            await giveFiles(page, TELLER);
            await page.getByTestId('incoming').waitFor();
            await noViolations(page, 'a file');
            await page.getByTestId('incoming').getByRole('button', { name: 'Keep on this device' }).click();
            const row = keptRow(page, /^Teller/);
            await row.waitFor({ timeout: LONG });
            await row.getByRole('button', { name: /^More for/ }).click();
            await noViolations(page, 'menu');
            await row.getByRole('button', { name: 'Delete…' }).click();
            await noViolations(page, 'delete');
            await page.keyboard.press('Escape');
            await page.getByLabel('Hugging Face name or address').waitFor({ state: 'hidden' });
            await bring(page).getByRole('button', { name: 'Done' }).click();
            await page.getByLabel('Hugging Face name or address').fill('https://elsewhere.example/model.gguf');
            await page.keyboard.press('Enter');
            await bring(page).getByRole('alert').waitFor();
            await noViolations(page, 'an error');
          },
          { colorScheme, bypassCSP: true, reducedMotion: 'reduce' },
        );
      } finally {
        source.close();
      }
    });
  }
});
