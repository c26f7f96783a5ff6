// A person brings a model: it is quantized in the page, in Chromium, kept, talked with and saved; what was cut is taken up again.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LONG, Pages, root, whyNot } from './browser.mjs';
import { ask, composer, greedy, textOf } from './chat-steps.mjs';
import { bring, choose as inMenu, giveFiles, keptRow, openModels, saved } from './model-steps.mjs';

const TELLER = join(root, 'assets/teller-q8_0.gguf');
const GOLDEN = join(root, 'tests/fixtures/golden/gemma3-1b-shape');
const missing = whyNot('chromium', { chat: true }) ?? (existsSync(join(root, 'js/dist/index.node.js')) ? undefined : 'the package is not built');
if (missing) console.log(`skip: ${missing}`);

const SMALLER = 'Make it smaller…';
const give = (page, files) => giveFiles(page, files, SMALLER);
const offered = (page) => page.getByTestId('bring-cost').waitFor();
const choose = (page, type) => bring(page).getByRole('radio', { name: new RegExp(`^${type} `) }).check();
const start = (page) => bring(page).getByRole('button', { name: /^Make it/ }).click();
const made = (page, name) => bring(page).getByText(`${name} is on this device`).waitFor({ timeout: LONG });

/** What Node makes of the same files. */
async function inNode(source, options) {
  const { quantize } = await import(join(root, 'js/dist/index.node.js'));
  const model = await quantize(source, { output: 'blob', ...options });
  return Buffer.from(await (await model.open()).arrayBuffer());
}

/** Answers requests for an address of the page with the teller's file by ranges; what lies behind `gate.to` waits until it is opened. */
async function heldBack(context) {
  const gate = { to: 4e6 };
  context.on('close', () => (gate.to = Infinity));
  const file = await open(TELLER);
  const { size } = await file.stat();
  await context.route('**/held/teller.gguf', async (route) => {
    const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(route.request().headers()['range'] ?? '') ?? []).map(Number);
    while (first >= gate.to) await new Promise((resolve) => setTimeout(resolve, 50));
    const { buffer } = await file.read(Buffer.alloc(last - first + 1), 0, last - first + 1, first);
    const headers = { 'content-range': `bytes ${first}-${last}/${size}`, etag: '"1"', 'cross-origin-resource-policy': 'same-origin' };
    await route.fulfill({ status: 206, headers, body: buffer }).catch(() => {}); // the page may have left
  });
  return { gate, close: () => file.close() };
}

async function noViolations(page, where) {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), [], where);
}

describe('a model of one’s own', { skip: missing, timeout: 120_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());
  const onModels = (steps, options) => pages.onPage({ path: '#/models', acceptDownloads: true, ...options }, steps);
  const lookAt = async (page, address) => {
    await page.getByLabel('Hugging Face name or address').fill(address);
    await bring(page).getByRole('button', { name: SMALLER }).click();
  };

  test('is quantized, talked with, saved and removed; the bytes are those of Node', () =>
    onModels(async (page) => {
      await give(page, TELLER);
      await offered(page);
      assert.match(await bring(page).innerText(), /gemma3, 12 million weights in 158 tensors, mostly Q8_0, 13 MB/);
      assert.match(await bring(page).innerText(), /quantized already/);
      assert.ok(await bring(page).getByRole('radio', { name: /^Q8_0/ }).isChecked(), 'tiny models lose little');
      await bring(page).getByLabel('Its name here').fill('Little');
      await choose(page, 'Q4_0');
      assert.match(await page.getByTestId('bring-cost').innerText(), /Takes 7\.4 MB on this device/);
      await noViolations(page, 'the offer');
      await start(page);
      await made(page, 'Little Q4_0');
      await noViolations(page, 'done');
      await bring(page).getByRole('button', { name: 'Talk with it' }).click();
      await greedy(page, 12);
      assert.match(await textOf(await ask(page, 'Tell me a story about a dog and a ball.')), /\w+ \w+ \w+/);
      await openModels(page);
      await page.getByTestId('memory').getByText('Little Q4_0').waitFor();
      const row = keptRow(page, 'Little Q4_0');
      await row.getByRole('button', { name: /^More for/ }).click();
      const file = await saved(page, () => row.getByRole('button', { name: 'Save as a file' }).click());
      assert.equal(file.name, 'Little-Q4_0.gguf');
      assert.ok(file.bytes.equals(await inNode(TELLER, { type: 'q4_0', name: 'Little' })));

      // What an earlier version of the page noted as the chosen model is still understood.
      await page.evaluate(() => {
        localStorage.setItem('chat-settings', JSON.stringify({ ...JSON.parse(localStorage.getItem('chat-settings')), model: 'made:Little Q4_0' }));
        location.hash = '#/chat';
        location.reload();
      });
      await page.getByRole('button', { name: 'Model: Little Q4_0' }).waitFor();
      await openModels(page);
      await row.getByText('Made here').waitFor();
      await inMenu(page, row, 'Delete…');
      await page.getByRole('dialog', { name: /^Delete Little/ }).getByRole('button', { name: 'Delete' }).click();
      await row.waitFor({ state: 'detached' });
      await page.getByRole('link', { name: 'Chat' }).click();
      await page.getByRole('button', { name: 'Model: Teller' }).waitFor();
    }));

  test('may be a folder; a damaged one is told by its tensor', () =>
    onModels(async (page) => {
      const config = { name: 'config.json', mimeType: '', buffer: await readFile(join(GOLDEN, 'config.json')) };
      const weights = await readFile(join(GOLDEN, 'model.safetensors'));
      const files = (buffer) => [config, { name: 'model.safetensors', mimeType: '', buffer }];
      await give(page, files(weights));
      await offered(page);
      assert.match(await bring(page).innerText(), /mostly BF16/);
      await bring(page).getByText('More types').click();
      await bring(page).getByLabel('Its name here').fill('golden');
      await choose(page, 'Q5_1');
      await start(page);
      await made(page, 'golden Q5_1');
      const file = await saved(page, () => bring(page).getByRole('button', { name: 'Save the file' }).click());
      assert.ok(file.bytes.equals(await inNode(GOLDEN, { type: 'q5_1', name: 'golden' })));
      await bring(page).getByRole('button', { name: 'Done' }).click();

      const bad = Buffer.from(weights);
      bad.writeUInt16LE(0x7fc0, bad.length - 2);
      await give(page, files(bad));
      await offered(page);
      await start(page);
      await bring(page).getByRole('alert').waitFor();
      assert.match(await bring(page).getByRole('alert').innerText(), /tensor [\w.]+ .*no number/);
      await bring(page).getByRole('button', { name: 'Back' }).click();
      await giveFiles(page, { name: 'notes.txt', mimeType: '', buffer: Buffer.from('no model at all') });
      await bring(page).getByRole('alert').waitFor();
    }));

  test('shows how far it is, rests, goes on behind other sections, and after a reload', () =>
    onModels(async (page, context) => {
      const { gate, close } = await heldBack(context);
      const said = [];
      await page.exposeFunction('heard', (text) => said.push(text));
      await page.evaluate(() => {
        const live = document.querySelector('[aria-live=polite]');
        new MutationObserver(() => window.heard(live.textContent)).observe(live, { childList: true, subtree: true, characterData: true });
      });
      await page.getByLabel('Hugging Face name or address').fill('held/teller.gguf');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await offered(page);
      // By keyboard alone: the types, then the button.
      await page.waitForFunction(() => document.activeElement.value === 'q8_0');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      assert.ok(await bring(page).getByRole('radio', { name: /^Q4_0/ }).isChecked());
      await page.keyboard.press('Enter');
      const tensor = page.getByTestId('bring-tensor');
      await page.waitForFunction(() => / of 158: \w+\./.test(document.querySelector('[data-testid=bring-tensor]')?.textContent ?? ''));
      assert.match(await page.getByTestId('bring-device').innerText(), /on the processor, \d+ threads|one thread/);
      const bar = bring(page).getByRole('progressbar', { name: 'Making teller Q4_0' });
      assert.ok(Number(await bar.getAttribute('aria-valuenow')) > 0);
      await noViolations(page, 'at work');
      await page.keyboard.press('Enter'); // the focus is on Pause
      await bring(page).getByText('Paused', { exact: true }).waitFor();
      await page.keyboard.press('Enter');
      await bring(page).getByText('Paused', { exact: true }).waitFor({ state: 'detached' });
      await page.getByRole('link', { name: 'Chat' }).click();
      await composer(page).waitFor();
      await openModels(page);
      await page.getByTestId('device').getByText(/Being made, \d+ %/).waitFor();
      await page.getByTestId('device').getByRole('button', { name: 'Show' }).click();
      assert.match(await tensor.innerText(), /Tensor \d+ of 158/);
      for (const text of [/can be quantized/, /began/, /Paused\./, /Going on\./, /25 percent/]) assert.ok(said.some((s) => text.test(s)), `${text}: ${said.join('|')}`);

      await page.reload();
      const left = page.getByTestId('unfinished');
      await left.waitFor();
      assert.match(await left.innerText(), /teller Q4_0.*Not finished: \d+ of 158 tensors are done/s);
      await noViolations(page, 'the offer to go on');
      gate.to = Infinity;
      await left.getByRole('button', { name: /^Go on/ }).click();
      await made(page, 'teller Q4_0');
      const file = await saved(page, () => bring(page).getByRole('button', { name: 'Save the file' }).click());
      assert.ok(file.bytes.equals(await inNode(TELLER, { type: 'q4_0' })));
      await close();
    }));

  test('is stopped and taken up with its file, or removed; other addresses are told apart', () =>
    onModels(
      async (page, context) => {
        const { gate, close } = await heldBack(context);
          await lookAt(page, 'held/teller.gguf');
        await offered(page);
        await choose(page, 'Q4_0');
        await start(page);
        await page.waitForFunction(() => / of 158: \w+\./.test(document.querySelector('[data-testid=bring-tensor]')?.textContent ?? ''));
        await bring(page).getByRole('button', { name: 'Stop' }).click();
        const left = page.getByTestId('unfinished');
        await left.waitFor();
        await left.getByRole('button', { name: /^Go on/ }).click();
        await page.waitForFunction(() => /were done before/.test(document.querySelector('[data-testid=bring-device]')?.textContent ?? ''));
        await bring(page).getByRole('button', { name: 'Stop' }).click();
        await left.getByRole('button', { name: /^Remove what is done/ }).click();
        await left.waitFor({ state: 'detached' });
        gate.to = Infinity;
        await lookAt(page, 'https://elsewhere.example/model.gguf');
        await bring(page).getByRole('alert').waitFor();
        assert.match(await bring(page).getByRole('alert').innerText(), /This page may fetch from its own address, huggingface\.co/);
        await close();
      },
      { expectErrors: true },
    ));

  test('finds the files of a person again after a reload, where the browser gives handles of them', () =>
    onModels(async (page, context) => {
      const body = await readFile(TELLER);
      await context.route('**/chosen.gguf', (route) => route.fulfill({ body, headers: { 'cross-origin-resource-policy': 'same-origin' } }));
      // Handles of the page's own files are such as pickers give, which no test can answer.
      await page.evaluate(async () => {
        const handle = await (await navigator.storage.getDirectory()).getFileHandle('chosen.gguf', { create: true });
        const writable = await handle.createWritable();
        await writable.write(await (await fetch('chosen.gguf')).arrayBuffer());
        await writable.close();
        window.showOpenFilePicker = async () => [handle];
        window.showDirectoryPicker = async () => handle;
      });
      await bring(page).getByRole('button', { name: 'Choose a file' }).click();
      await page.getByTestId('incoming').getByRole('button', { name: SMALLER }).click();
      await offered(page);
      await choose(page, 'Q4_K_M');
      await start(page);
      await page.waitForFunction(() => / of 158: \w+\./.test(document.querySelector('[data-testid=bring-tensor]')?.textContent ?? ''));
      await page.keyboard.press('Enter'); // the focus is on Pause
      await bring(page).getByText('Paused', { exact: true }).waitFor();
      await page.reload();
      const left = page.getByTestId('unfinished');
      await left.getByRole('button', { name: /^Go on/ }).click();
      await made(page, 'teller Q4_K_M');
      const kept = await page.evaluate(() => new Promise((resolve) => {
        const opening = indexedDB.open('keyval-store');
        opening.onsuccess = () => {
          const asking = opening.result.transaction('keyval').objectStore('keyval').getAllKeys();
          asking.onsuccess = () => resolve(asking.result);
        };
      }));
      assert.deepEqual(kept.filter((key) => String(key).startsWith('model-files:')), [], 'forgotten with the work');
    }));
});
