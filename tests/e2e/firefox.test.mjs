// The page in Firefox, once through: the sample becomes text, with threads.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { findBrowser, LONG, whyNot, WORDS } from './browser.mjs';

const missing = whyNot('firefox');
if (missing) console.log(`skip: ${missing}`);

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

  test('transcribes the sample', async () => {
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
});
