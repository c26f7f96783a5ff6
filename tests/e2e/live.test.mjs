// The page hears live: a microphone that plays jfk.wav over and over.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { allText, focusOn, LONG, Pages, rows, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

/** Keeps what was shown as settled, and what was announced, from now on. */
const watch = (page) =>
  page.evaluate(() => {
    globalThis.seen = { settled: [], said: [] };
    new MutationObserver(() => {
      const spoken = document.querySelector('.speaking .settled')?.textContent ?? '';
      const phrases = [...document.querySelectorAll('.live-text .phrase')].map((p) => p.textContent);
      const now = JSON.stringify([phrases, spoken]);
      if (globalThis.seen.settled.at(-1) !== now) globalThis.seen.settled.push(now);
      const said = document.querySelector('.page > [role=status]').textContent;
      if (globalThis.seen.said.at(-1) !== said) globalThis.seen.said.push(said);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });

describe('live', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('words appear as they are spoken, stay, and become a transcript', () =>
    pages.onPage({ bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
      await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
      await page.getByLabel('Spoken language').selectOption('en');
      await watch(page);
      await page.getByRole('button', { name: 'Live', exact: true }).focus();
      await page.keyboard.press('Enter');
      const stop = page.getByRole('button', { name: 'Stop' });
      await stop.waitFor({ timeout: LONG });
      await page.getByTestId('speaking').waitFor({ timeout: LONG });
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/live-speaking.png` });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
      assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);
      const phrases = page.locator('.live-text .phrase');
      await page.waitForFunction(() => document.querySelectorAll('.live-text .phrase').length >= 3, undefined, { timeout: LONG });
      await page.waitForFunction(() => globalThis.seen.said.some((text) => /country|fellow|Americans/i.test(text)), undefined, { timeout: LONG });
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/live-phrases.png` });
      const heard = (await phrases.allInnerTexts()).join(' ');
      assert.match(heard, /country|fellow|Americans/i);
      await focusOn(page, /^Stop$/);
      await page.keyboard.press('Enter');
      await rows(page).first().waitFor({ timeout: LONG });
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/live-transcript.png` });
      assert.ok((await allText(page)).startsWith(heard));
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /Save as SRT/ }).click()]);
      assert.match(await readFile(await download.path(), 'utf8'), /-->/);

      const { settled } = await page.evaluate(() => globalThis.seen);
      const states = settled.map((state) => JSON.parse(state));
      for (const [i, [before, spoken]] of states.entries()) {
        if (i + 1 === states.length || states[i + 1][0].length === 0) continue; // the end
        const [next, spokenNext] = states[i + 1];
        assert.deepEqual(next.slice(0, before.length), before, 'final phrases stay');
        const on = next.length > before.length ? next[before.length] : spokenNext;
        assert.ok(on.startsWith(spoken), `"${spoken}" became "${on}"`);
      }
    }));

  test('a microphone that is denied is told of', () =>
    pages.onPage({ permissions: [], expectErrors: true }, async (page) => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
      });
      await page.getByRole('button', { name: 'Live', exact: true }).click();
      await page.getByText('The microphone is blocked for this page.').waitFor();
      assert.ok(await page.getByRole('button', { name: 'Record' }).isVisible());
    }));
});
