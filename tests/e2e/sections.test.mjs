// What all sections have in common: headings, the keyboard, small and magnified windows, and what axe-core says of each.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Pages, whyNot } from './browser.mjs';

const missing = whyNot('chromium', { chat: true });
if (missing) console.log(`skip: ${missing}`);

describe('sections', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  const links = (page) => page.locator('.sections a');
  /** Takes steps in every section, with its name and its element. */
  async function inEach(page, steps) {
    const n = await links(page).count();
    assert.ok(n >= 4);
    for (let i = 0; i < n; i++) {
      const link = links(page).nth(i);
      const name = (await link.innerText()).trim();
      await link.click();
      await page.locator('.sections a[aria-current=page]', { hasText: name }).waitFor(); // the section before is there until then
      const section = page.locator('.section:not([hidden])');
      await section.getByRole('heading', { level: 1 }).waitFor();
      await steps(name, section);
    }
  }

  test('each has one heading of the first level, and none is left out below it', () =>
    pages.onPage({}, (page) =>
      inEach(page, async (name, section) => {
        const levels = await section.locator('h1, h2, h3, h4').evaluateAll((all) => all.filter((h) => h.checkVisibility()).map((h) => Number(h.tagName[1])));
        assert.equal(levels[0], 1, `${name}: ${levels}`);
        assert.equal(levels.filter((level) => level === 1).length, 1, `${name}: ${levels}`);
        levels.reduce((before, level) => {
          assert.ok(level <= before + 1, `${name}: ${levels}`);
          return level;
        });
      }),
    ));

  test('by keyboard: a link leads to the heading of its section, and Tab from there to what can be done', () =>
    pages.onPage({}, async (page) => {
      const n = await links(page).count();
      for (let i = n - 1; i >= 0; i--) {
        await links(page).nth(i).focus();
        await page.keyboard.press('Enter');
        await page.waitForFunction(() => document.activeElement?.matches('.section:not([hidden]) h1'));
        assert.match(await page.title(), /sotto/);
        await page.keyboard.press('Tab');
        const [inside, outline] = await page.evaluate(() => {
          const on = document.activeElement;
          return [on.closest('.section:not([hidden])') !== null, getComputedStyle(on).outlineStyle];
        });
        assert.equal(inside, true, await links(page).nth(i).innerText());
        assert.notEqual(outline, 'none');
      }
    }));

  test('the lock in the header says what leaves the page, by keyboard', () =>
    pages.onPage({}, async (page) => {
      await page.getByTestId('privacy').focus();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'What leaves this page' }).getByText(/You need not take its word/).waitFor();
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => document.activeElement?.dataset.testid === 'privacy');
    }));

  /* 320 px is 1280 at 400 %. */
  for (const [what, viewport] of [
    ['a phone', { width: 360, height: 740 }],
    ['200 % zoom', { width: 640, height: 400 }],
    ['400 % zoom', { width: 320, height: 256 }],
  ]) {
    test(`each fits ${what}: nothing is cut off or needs scrolling sideways`, () =>
      pages.onPage({ viewport }, (page) =>
        inEach(page, async (name, section) => {
          const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
          assert.ok(inner <= outer, `${name}: ${inner} px of content in ${outer}`);
          const buttons = section.locator('button:visible, a:visible');
          const n = await buttons.count();
          for (let i = 0; i < n; i++) {
            const box = await buttons.nth(i).boundingBox();
            if (box && box.width > 1) assert.ok(box.x >= -1 && box.x + box.width <= outer + 1, `${name}: ${await buttons.nth(i).innerText()}`);
          }
        }),
      ));
  }

  for (const colorScheme of ['light', 'dark']) {
    test(`none has a serious accessibility violation, ${colorScheme}`, () =>
      pages.onPage({ colorScheme, bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
        const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
        await page.evaluate(axe);
        const check = async (where) => {
          const { violations } = await page.evaluate(() => globalThis.axe.run());
          const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
          assert.deepEqual(bad.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(' ')}`), [], where);
        };
        await inEach(page, check);
        await page.getByTestId('privacy').click();
        await page.getByText(/You need not take its word/).waitFor();
        await check('what leaves the page');
      }));
  }
});
