// The chat for everyone: by keyboard, on a phone, as axe-core sees it, and as it is heard.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { focused, LONG, Pages, tabTo, whyNot } from './browser.mjs';
import { answered, answers, ask, composer, conversationWith, endless, greedy, importJson, questions, SURE, vectors } from './chat-steps.mjs';

const missing = whyNot('chromium', { chat: true });
if (missing) console.log(`skip: ${missing}`);

const RICH = '# Title\n\nText with `code` and [a link](https://example.com).\n\n```js\nlet a = 1;\n```\n\n| a | b |\n|---|---|\n| c | d |\n\n> quoted\n\n- [x] done';

describe('access to the chat', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());
  const onChat = (steps, options) => pages.onPage({ path: '#/chat', ...options }, steps);

  test('is walked by keyboard alone', () =>
    pages.onPage({}, async (page) => {
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter'); // skip to content
      assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
      await tabTo(page, /Chat/, 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'New chat' }).waitFor();
      await tabTo(page, /^Message$/);
      assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA');
      await page.keyboard.type('Tell me a story');
      await page.keyboard.press('Shift+Enter');
      await page.keyboard.type('about a cat.');
      assert.equal(await questions(page).count(), 0);
      await page.keyboard.press('Enter');
      await answered(page, 1);
      assert.equal(await questions(page).first().innerText(), 'Tell me a story\nabout a cat.');
      assert.equal(await focused(page), 'Message', 'the keyboard stays in the composer');
      await tabTo(page, /Answer again/, 'Shift+Tab');
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
      await tabTo(page, /Edit and send again/, 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => /^Your message\. Enter sends/.test(document.activeElement.getAttribute('aria-label')));
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => /Edit and send/.test(document.activeElement.getAttribute('aria-label')));
      await tabTo(page, /^More$/, 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.keyboard.press('ArrowDown');
      assert.match(await focused(page), /Rename/);
      await page.keyboard.press('ArrowUp');
      assert.match(await focused(page), /Delete/);
      await page.keyboard.press('Escape');
      assert.equal(await focused(page), 'More');
      await tabTo(page, /^Settings$/, 'Shift+Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'Settings' }).waitFor();
      await tabTo(page, /^Temperature/);
      await page.keyboard.press('ArrowLeft');
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => document.activeElement.getAttribute('aria-label') === 'Settings');
      assert.equal(JSON.parse(await page.evaluate(() => localStorage.getItem('chat-settings'))).temperature, 0.95);
    }));

  test('says when an answer is done, and is busy until then', () =>
    onChat(async (page) => {
      const said = [];
      await page.exposeFunction('heard', (text) => said.push(text));
      await page.evaluate(() => {
        const region = document.querySelector('[role=status]');
        new MutationObserver(() => globalThis.heard(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
      });
      await greedy(page, 30);
      await ask(page, vectors[0].prompt);
      await page.waitForFunction(() => /^Answer:/.test(document.querySelector('[role=status]').textContent));
      const spoken = said.filter((text) => text.startsWith('Answer: '));
      assert.equal(spoken.length, 1, said.join(' | '));
      assert.equal(spoken[0].slice(8, 8 + SURE), vectors[0].text.slice(0, SURE));
      assert.equal(await page.locator('#chat [aria-live], #chat [role=log]').count(), 0, 'tokens are not read out one by one');
      await page.getByRole('link', { name: 'New chat' }).click();
      await endless(page);
      await composer(page).fill(vectors[0].prompt);
      await composer(page).press('Enter');
      await page.locator('.message.theirs[aria-busy=true]').waitFor();
      await page.keyboard.press('Escape');
      await page.waitForFunction(() => /^Stopped/.test(document.querySelector('[role=status]').textContent));
    }));

  test('fits a phone of 360 px, with its conversations behind a button', () =>
    onChat(
      async (page) => {
        const fits = async (where) => {
          const [width, height, outer] = await page.evaluate(() => [
            document.documentElement.scrollWidth,
            document.documentElement.scrollHeight,
            innerWidth,
          ]);
          assert.ok(width <= 360 && outer === 360 && height <= 740, `${where}: ${width} x ${height} px`);
        };
        await fits('welcome');
        await importJson(page, conversationWith(`${RICH}\n\n${'word '.repeat(400)}\n\n${'x'.repeat(300)}`));
        await answers(page).first().waitFor();
        await fits('a conversation');
        // There Enter is a new line, and the button sends.
        await composer(page).fill('One');
        await composer(page).press('Enter');
        await composer(page).pressSequentially('two');
        assert.equal(await composer(page).inputValue(), 'One\ntwo');
        await page.getByRole('button', { name: 'Send', exact: true }).tap();
        await answered(page, 2);
        await page.getByRole('button', { name: 'Settings', exact: true }).tap();
        await page.getByRole('dialog', { name: 'Settings' }).waitFor();
        await fits('settings');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: /^Model/ }).tap();
        await page.getByRole('dialog', { name: 'Model' }).waitFor();
        await fits('the choice of a model');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Conversations' }).tap();
        const list = page.getByRole('dialog', { name: 'Conversations' });
        await list.waitFor();
        await fits('conversations');
        await list.getByRole('link', { name: 'New chat' }).tap();
        await list.waitFor({ state: 'hidden' });
        await page.locator('.welcome').waitFor();
      },
      { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
    ));

  for (const colorScheme of ['light', 'dark']) {
    test(`has no serious accessibility violation, ${colorScheme}`, () =>
      onChat(
        async (page) => {
          const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
          await page.evaluate(axe);
          const check = async (where) => {
            const { violations } = await page.evaluate(() => globalThis.axe.run());
            const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
            const list = bad.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(' ')}`);
            assert.deepEqual(list, [], where);
          };
          await check('welcome');
          await importJson(page, conversationWith(RICH));
          await answers(page).first().waitFor();
          await check('rich text');
          await page.getByRole('button', { name: 'Settings', exact: true }).click();
          await page.getByText('Against repetition').click();
          await check('settings');
          await page.keyboard.press('Escape');
          await page.getByRole('button', { name: /^Model/ }).click();
          await page.getByRole('dialog', { name: 'Model' }).waitFor();
          await check('the choice of a model');
          await page.keyboard.press('Escape');
          await page.getByRole('link', { name: 'New chat' }).click();
          await endless(page);
          await composer(page).fill(vectors[0].prompt);
          await composer(page).press('Enter');
          await page.locator('.message.theirs[aria-busy=true] .markdown').waitFor({ timeout: LONG });
          await check('while an answer is written');
          await page.keyboard.press('Escape');
          await answered(page, 1);
          await page.locator('.message.mine').first().hover();
          await page.locator('.message.mine').first().getByRole('button', { name: 'Edit and send again' }).click();
          await check('editing');
          await page.keyboard.press('Escape');
          await page.getByRole('button', { name: 'More', exact: true }).click();
          await check('menu');
          await page.getByRole('button', { name: 'Delete', exact: true }).click();
          await page.getByRole('button', { name: 'Undo' }).waitFor();
          await check('deleted');
        },
        { colorScheme, bypassCSP: true, reducedMotion: 'reduce' },
      ));
  }
});
