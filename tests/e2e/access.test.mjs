// The page for everyone: by keyboard, on a phone, and as axe-core sees it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Pages, allText, focused, letter, LONG, sample, summary, tabTo, takeFile, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

describe('access', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('is walked by keyboard alone, from load to a saved transcript', () =>
    pages.onPage({}, async (page) => {
      await page.keyboard.press('Tab');
      assert.match(await focused(page), /Skip to content/);
      await tabTo(page, /Try the sample/);
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
      await page.keyboard.press('Enter');
      await summary(page).waitFor({ timeout: LONG });
      await tabTo(page, /^Position$/);
      await page.keyboard.press('ArrowRight');
      await page.waitForFunction(() => document.querySelector('video').currentTime >= 1);
      await tabTo(page, /Play from/);
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => !document.querySelector('video').paused);
      await page.keyboard.press('F2');
      await page.locator('.seg-editor').waitFor();
      await page.keyboard.press('Control+A');
      await page.keyboard.type('Typed by hand.');
      await page.keyboard.press('Enter');
      assert.match(await focused(page), /Play from/);
      assert.match(await allText(page), /^Typed by hand\./);
      await page.keyboard.press('F2');
      await page.keyboard.type(' Not this.');
      await page.keyboard.press('Escape');
      assert.doesNotMatch(await allText(page), /Not this/);
      await tabTo(page, /Save as TXT/, 'Shift+Tab');
      const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
      assert.equal(download.suggestedFilename(), 'jfk.txt');
    }));

  test('fits a phone of 360 px', () =>
    pages.onPage({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async (page) => {
      const fits = async (where) => {
        const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(inner <= outer && outer === 360, `${where}: ${inner} px of content in ${outer}`);
      };
      await fits('start');
      await sample(page);
      await fits('transcript');
      await page.getByText('More', { exact: true }).click();
      await fits('all settings');
    }));

  for (const colorScheme of ['light', 'dark']) {
    test(`has no serious accessibility violation, ${colorScheme}`, () =>
      pages.onPage({ colorScheme, bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
        const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
        await page.evaluate(axe);
        const check = async (where) => {
          const { violations } = await page.evaluate(() => globalThis.axe.run());
          const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
          const list = bad.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(' ')}`);
          assert.deepEqual(list, [], where);
        };
        await check('start');
        await page.getByText('More', { exact: true }).click();
        await check('all settings');
        await page.getByRole('button', { name: 'Record' }).click();
        await page.getByRole('heading', { name: 'Recording' }).waitFor();
        await check('recording');
        await page.getByRole('button', { name: 'Discard' }).click();
        await sample(page);
        await page.locator('.seg-text').first().click();
        await page.locator('.seg[aria-current=true]').waitFor();
        await check('transcript');
        await page.locator('.seg-text').first().dblclick();
        await check('editing');
        await page.getByRole('button', { name: 'New' }).click();
        await takeFile(page, letter);
        await page.getByRole('alert').waitFor();
        await check('an error');
      }));
  }
});
