// The page on WebGPU, played by the processor (SwiftShader in Chromium, lavapipe in Firefox): slow, but every kernel runs as browsers compile it.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { allText, CHROMIUM_FLAGS, findBrowser, summary, whyNot, WORDS } from './browser.mjs';
import { ask, greedy, inSettings, SURE, textOf, vectors } from './chat-steps.mjs';

const LONG = 270_000; // ms: compiling the kernels takes a processor most of a minute

const LAVAPIPE = '/usr/share/vulkan/icd.d/lvp_icd.json';
const FEW = 12; // tokens that hold SURE characters

const noChromium = whyNot('chromium', { chat: true });
const noModel = whyNot('chromium');
const patient = process.env.SOTTO_SLOW_TESTS ? undefined : 'it takes minutes: set SOTTO_SLOW_TESTS';
const noSpeech = noModel ?? patient;
const noFirefox = whyNot('firefox', { chat: true }) ?? patient ?? (existsSync(LAVAPIPE) ? undefined : 'lavapipe (mesa-vulkan-drivers) is not installed');
for (const why of new Set([noSpeech, noFirefox])) if (why) console.log(`skip: ${why}`);

describe('the page on WebGPU in Chromium', { skip: noChromium, timeout: 290_000 }, () => {
  let browser, server;

  before(async () => {
    const { chromium } = await import('playwright-core');
    browser = await chromium.launch({
      executablePath: findBrowser('chromium'),
      args: [...CHROMIUM_FLAGS, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    });
    server = await serve({ port: 0 });
  });

  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const open = async (path = '') => {
    const page = await (await browser.newContext({ serviceWorkers: 'block' })).newPage();
    const errors = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    page.setDefaultTimeout(LONG);
    await page.goto(server.url + path);
    return { page, errors };
  };

  test('what is not asked for is left alone: a GPU in software', async () => {
    const { page, errors } = await open('#/chat');
    await greedy(page, 1);
    await ask(page, vectors[0].prompt);
    await inSettings(page, async (dialog) => {
      assert.match(await dialog.getByTestId('place').innerText(), /processor.*software/);
    });
    assert.deepEqual(errors, []);
  });

  test('a question is answered', async () => {
    const { page, errors } = await open('#/chat');
    await greedy(page, FEW);
    await inSettings(page, (dialog) => dialog.getByLabel('Computes on').selectOption('GPU'));
    const answer = await ask(page, vectors[0].prompt);
    assert.equal((await textOf(answer)).slice(0, SURE), vectors[0].text.slice(0, SURE));
    await inSettings(page, async (dialog) => {
      const field = dialog.getByLabel('Computes on');
      assert.equal(await field.inputValue(), 'webgpu');
      const told = await dialog.getByTestId('place').innerText();
      assert.match(told, /^Runs on the GPU: .*swiftshader.*, played by the processor/i);
      // Screen readers say it with the field.
      assert.equal(await field.evaluate((element) => document.getElementById(element.getAttribute('aria-describedby')).innerText), told);
    });
    await page.reload();
    await inSettings(page, async (dialog) => assert.equal(await dialog.getByLabel('Computes on').inputValue(), 'webgpu'));
    assert.deepEqual(errors, []);
  });

  test('a recording becomes text', { skip: noSpeech }, async () => {
    const { page, errors } = await open();
    await page.getByText('More', { exact: true }).click();
    await page.locator('#transcribe').getByLabel('Computes on').selectOption('GPU');
    await page.getByRole('button', { name: 'Try the sample' }).click();
    await summary(page).waitFor({ timeout: LONG });
    assert.match(await allText(page), WORDS);
    assert.match(await page.getByTestId('engine').innerText(), /GPU, .*swiftshader/i);
    assert.deepEqual(errors, []);
  });
});

describe('the page on WebGPU in Firefox', { skip: noFirefox, timeout: 290_000 }, () => {
  test('a question is answered', async (t) => {
    const { default: puppeteer } = await import('puppeteer-core');
    const browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: findBrowser('firefox'),
      headless: true,
      env: { ...process.env, VK_ICD_FILENAMES: LAVAPIPE, VK_DRIVER_FILES: LAVAPIPE },
      extraPrefsFirefox: { 'dom.webgpu.enabled': true, 'dom.webgpu.workers.enabled': true, 'gfx.webgpu.ignore-blocklist': true },
    });
    t.after(() => browser.close());
    const server = await serve({ port: 0 });
    t.after(() => server.close());
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(server.url);
    await page.evaluate(
      (settings) => localStorage.setItem('chat-settings', JSON.stringify(settings)),
      { backend: 'webgpu', temperature: 0, maxTokens: FEW },
    );
    await page.goto(`${server.url}#/chat`);
    await page.reload();
    await page.locator('textarea[aria-label=Message]').fill(vectors[0].prompt);
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-testid=pace]', { timeout: LONG });
    const written = await page.$eval('.message.theirs .markdown', (element) => element.textContent);
    assert.equal(written.slice(0, SURE), vectors[0].text.slice(0, SURE));
    await page.locator('::-p-aria(Settings)').click();
    const told = await (await page.waitForSelector('dialog[open] [data-testid=place]')).evaluate((element) => element.textContent);
    assert.match(told, /^Runs on the GPU: /);
    assert.deepEqual(errors, []);
  });
});
