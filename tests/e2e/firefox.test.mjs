// The page in Firefox, once through: the sample becomes text, with threads, and a question is answered.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { findBrowser, LONG, whyNot, WORDS } from './browser.mjs';
import { SURE, vectors } from './chat-steps.mjs';

const missing = whyNot('firefox', { chat: true });
const missingModel = whyNot('firefox');
if (missing ?? missingModel) console.log(`skip: ${missing ?? missingModel}`);

describe('the page in Firefox', { skip: missing, timeout: 300_000 }, () => {
  let browser, server;

  before(async () => {
    const { default: puppeteer } = await import('puppeteer-core');
    browser = await puppeteer.launch({ browser: 'firefox', executablePath: findBrowser('firefox'), headless: true });
    server = await serve({ port: 0 });
  });

  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test('transcribes the sample', { skip: missingModel }, async () => {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(server.url);
    await page.locator('::-p-text(Try the sample)').click();
    await page.waitForSelector('[data-testid=summary]', { timeout: LONG });
    const text = await page.$$eval('.seg-text', (rows) => rows.map((row) => row.textContent).join(' '));
    assert.match(text, WORDS);
    const engine = await page.$eval('[data-testid=engine]', (element) => element.textContent);
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    if (cores > 1) assert.match(engine, /\d+ threads/);
    assert.deepEqual(errors, []);
  });

  test('answers, and keeps the answer', async () => {
    const page = await browser.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(`${server.url}#/chat`);
    await page.locator('::-p-aria(Settings)').click();
    await page.locator('dialog[open] ::-p-aria(Temperature)').wait();
    await page.evaluate(() => {
      const slider = document.querySelector('dialog[open] input[type=range]');
      slider.value = '0';
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await page.keyboard.press('Escape');
    await page.locator('textarea[aria-label=Message]').fill(vectors[0].prompt);
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-testid=pace]', { timeout: LONG });
    const answer = () => page.$eval('.message.theirs .markdown', (element) => element.textContent);
    const written = await answer();
    assert.equal(written.slice(0, SURE), vectors[0].text.slice(0, SURE));
    await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'));
    await new Promise((done) => setTimeout(done, 600)); // ms, longer than the pause before it is kept
    await page.reload();
    await page.waitForSelector('.message.theirs .markdown');
    assert.equal(await answer(), written);
    assert.deepEqual(errors, []);
  });

  test('is isolated by its service worker where the host is not, and can be sealed', async () => {
    const plain = await serve({ port: 0, isolated: false });
    try {
      const page = await browser.newPage();
      await page.goto(plain.url);
      const wait = { timeout: LONG };
      // The page loads itself once more meanwhile.
      const isolated = () => page.evaluate(() => crossOriginIsolated && navigator.serviceWorker.controller !== null).catch(() => false);
      for (const begun = Date.now(); !(await isolated()); ) {
        assert.ok(Date.now() - begun < LONG, 'isolated');
        await new Promise((done) => setTimeout(done, 250));
      }
      await (await page.waitForSelector('[data-testid=privacy]', wait)).click();
      await (await page.waitForSelector('dialog[open] .button.primary', wait)).click();
      await page.waitForSelector('.trials li', wait);
      const blocked = await page.$$eval('.trials li', (trials) => trials.map((trial) => trial.dataset.blocked));
      assert.ok(blocked.length >= 4 && blocked.every((is) => is === 'true'), String(blocked));
    } finally {
      await plain.close();
    }
  });
});
