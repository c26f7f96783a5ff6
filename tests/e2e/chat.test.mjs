// A conversation as a person has it, in Chromium, with the model that comes with the page.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { LONG, Pages, whyNot } from './browser.mjs';
import {
  answered,
  answers,
  ask,
  composer,
  conversationWith,
  endless,
  greedy,
  importJson,
  inSettings,
  questions,
  SURE,
  textOf,
  titles,
  vectors,
} from './chat-steps.mjs';

const missing = whyNot('chromium', { chat: true });
if (missing) console.log(`skip: ${missing}`);

describe('a conversation', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());
  const onChat = (steps, options) => pages.onPage({ path: '#/chat', ...options }, steps);

  test('begins with what the model is, and an example is answered', () =>
    onChat(async (page) => {
      assert.match(await page.locator('.welcome').innerText(), /Teller comes with this page .* tells short children’s stories/s);
      assert.equal(await page.title(), 'Chat · sotto');
      const fetched = [];
      page.on('request', (request) => request.url().endsWith('.gguf') && fetched.push(request.url()));
      await page.getByRole('button', { name: 'Tell me a story about a dog and a ball.' }).click();
      await answered(page, 1);
      const text = await textOf(answers(page).first());
      assert.ok(text.split(/\s+/).length > 40 && /[.!?"]$/.test(text.trim()), text);
      assert.match(await page.getByTestId('pace').innerText(), /^[\d.]+ tokens\/s$/);
      assert.match(await page.getByRole('meter').getAttribute('aria-valuetext'), /^\d+ of 2,048 tokens$/);
      assert.match(page.url(), /#\/chat\/[\w-]+$/);
      assert.deepEqual(await titles(page), ['Tell me a story about a dog and a ball.']);
      assert.equal(new Set(fetched).size, 1); // in parts
      assert.equal(await page.title(), 'Tell me a story about a dog and a ball. · sotto');
    }));

  test('answers as the reference, and goes on', () =>
    onChat(async (page) => {
      await greedy(page, 40);
      for (const { prompt, text } of vectors.slice(0, 2)) {
        const answer = await ask(page, prompt);
        const written = await textOf(answer);
        assert.equal(written.slice(0, SURE), text.slice(0, SURE), prompt);
        assert.match(await answer.locator('.remark').innerText(), /longest answer that the settings allow/);
        await page.getByRole('link', { name: 'New chat' }).click();
        await page.locator('.welcome').waitFor();
      }
      // In one conversation the second answer knows the first.
      await ask(page, vectors[0].prompt);
      const usedBefore = Number(await page.getByRole('meter').getAttribute('aria-valuenow'));
      await ask(page, 'Continue the story.', 2);
      const used = Number(await page.getByRole('meter').getAttribute('aria-valuenow'));
      assert.ok(used > usedBefore + 40, `${used} tokens after ${usedBefore}`);
    }));

  test('stops midway and keeps what was written, by button and by Escape; goes on from there', () =>
    onChat(async (page) => {
      await endless(page);
      const halt = [() => page.getByRole('button', { name: 'Stop', exact: true }).click(), () => page.keyboard.press('Escape')];
      for (const [i, how] of halt.entries()) {
        await composer(page).fill(vectors[0].prompt);
        await composer(page).press('Enter');
        await answers(page).nth(i).locator('.markdown').waitFor({ timeout: LONG });
        assert.equal(await answers(page).nth(i).getAttribute('aria-busy'), 'true');
        await how();
        await answered(page, i + 1);
        assert.match(await answers(page).nth(i).locator('.remark').innerText(), /Stopped\.$/);
      }
      await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
      const stopped = await textOf(answers(page).nth(1));
      assert.ok(stopped.length > 0);
      await greedy(page, 10);
      await page.getByRole('button', { name: 'Go on' }).click();
      await answered(page, 2);
      const longer = await textOf(answers(page).nth(1));
      assert.ok(longer.length > stopped.length && longer.startsWith(stopped.slice(0, 40)), longer);
    }));

  test('answers again beside the first answer, and each can be shown', () =>
    onChat(async (page) => {
      await inSettings(page, async (dialog) => {
        await dialog.getByLabel('Longest answer').fill('60');
        await dialog.getByLabel('Longest answer').press('Tab');
      });
      const first = await textOf(await ask(page, vectors[0].prompt));
      await page.getByRole('button', { name: 'Answer again' }).click();
      await answered(page, 1);
      const second = await textOf(answers(page).first());
      assert.notEqual(second, first);
      const versions = answers(page).getByRole('group', { name: 'Versions' });
      assert.match(await versions.innerText(), /2\/2/);
      await versions.getByRole('button', { name: 'Version before' }).click();
      assert.equal(await textOf(answers(page).first()), first);
      await versions.getByRole('button', { name: 'Version after' }).click();
      assert.equal(await textOf(answers(page).first()), second);
    }));

  test('branches where a message is edited', () =>
    onChat(async (page) => {
      await greedy(page, 20);
      await ask(page, vectors[0].prompt);
      await ask(page, 'Continue the story.', 2);
      const first = page.locator('.message.mine').first();
      await first.hover();
      await first.getByRole('button', { name: 'Edit and send again' }).click();
      const field = first.getByRole('textbox');
      assert.equal(await field.inputValue(), vectors[0].prompt);
      await field.fill(vectors[1].prompt);
      await field.press('Enter');
      await answered(page, 1);
      assert.equal((await textOf(answers(page).first())).slice(0, SURE), vectors[1].text.slice(0, SURE));
      assert.deepEqual(await questions(page).allInnerTexts(), [vectors[1].prompt]);
      await first.hover();
      await first.getByRole('button', { name: 'Version before' }).click();
      assert.deepEqual(await questions(page).allInnerTexts(), [vectors[0].prompt, 'Continue the story.']);
      // Escape leaves a message as it was.
      await first.hover();
      await first.getByRole('button', { name: 'Edit and send again' }).click();
      await field.fill('Not this.');
      await field.press('Escape');
      assert.deepEqual(await questions(page).allInnerTexts(), [vectors[0].prompt, 'Continue the story.']);
    }));

  test('is kept over a reload, with its settings; is renamed, deleted and brought back', () =>
    onChat(async (page) => {
      await greedy(page, 20);
      const written = await textOf(await ask(page, vectors[0].prompt));
      await page.getByRole('button', { name: 'More', exact: true }).click();
      await page.getByRole('button', { name: 'Rename' }).click();
      const name = page.getByRole('textbox', { name: /Name of the conversation/ });
      await name.fill('A dog’s tale');
      await name.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'A dog’s tale' }).waitFor();
      await page.waitForTimeout(600); // ms, longer than the pause before it is kept
      await page.reload();
      await answered(page, 1);
      assert.equal(await textOf(answers(page).first()), written);
      assert.deepEqual(await titles(page), ['A dog’s tale']);
      await inSettings(page, async (dialog) => {
        assert.equal(await dialog.getByLabel('Temperature').inputValue(), '0');
        await dialog.getByRole('button', { name: 'Back to the defaults' }).click();
        assert.equal(await dialog.getByLabel('Temperature').inputValue(), '1');
        assert.equal(await dialog.getByLabel('Longest answer').inputValue(), '');
      });
      await page.locator('.chat-side li').hover();
      await page.getByRole('button', { name: 'Delete “A dog’s tale”' }).click();
      await page.locator('.welcome').waitFor();
      assert.deepEqual(await titles(page), []);
      await page.getByRole('button', { name: 'Undo' }).click();
      assert.equal(await textOf(answers(page).first()), written);
      await page.reload();
      await answered(page, 1);
      assert.deepEqual(await titles(page), ['A dog’s tale']);
    }));

  test('is exported, and imported again with its branches', () =>
    onChat(async (page) => {
      await greedy(page, 12);
      const written = await textOf(await ask(page, vectors[0].prompt));
      await page.getByRole('button', { name: 'Answer again' }).click();
      await answered(page, 1);
      await answers(page).getByRole('group', { name: 'Versions' }).waitFor();
      const save = async (item) => {
        await page.getByRole('button', { name: 'More', exact: true }).click();
        const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: item }).click()]);
        return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
      };
      const markdown = await save('Export as Markdown');
      assert.equal(markdown.name, 'Tell me a story about a dog and a ball.md');
      assert.match(markdown.text, /^# Tell me a story .*\n\n## You\n\nTell me a story .*\n\n## Teller\n\n/);
      assert.ok(markdown.text.includes(written));
      const json = await save('Export as JSON');
      const { format, conversations } = JSON.parse(json.text);
      assert.equal(format, 'sotto-conversations');
      assert.equal(conversations[0].turns.length, 3);
      await page.getByRole('button', { name: 'More', exact: true }).click();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.locator('.welcome').waitFor();
      await importJson(page, json.text, json.name);
      assert.match(await answers(page).getByRole('group', { name: 'Versions' }).innerText(), /2\/2/);
      await importJson(page, JSON.stringify([{ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Hello!' }]), 'other.json');
      await page.getByRole('heading', { level: 1, name: 'other' }).waitFor();
      assert.equal(await textOf(answers(page).first()), 'Hello!');
      await importJson(page, '{"a": 1}', 'notes.json');
      assert.match(await page.getByRole('alert').innerText(), /notes\.json holds no conversation\. Choose/);
    }));

  test('tells the model the system text of this conversation', () =>
    onChat(async (page) => {
      await greedy(page, 5);
      await ask(page, vectors[0].prompt);
      const used = async () => Number(await page.getByRole('meter').getAttribute('aria-valuenow'));
      const without = await used();
      await inSettings(page, (dialog) => dialog.getByLabel('System text').fill('Use the word dog in every sentence.'));
      await page.getByRole('button', { name: 'Answer again' }).click();
      await answered(page, 1);
      assert.ok((await used()) > without + 5, 'the system text takes room');
      await page.getByRole('link', { name: 'New chat' }).click();
      await inSettings(page, async (dialog) => assert.equal(await dialog.getByLabel('System text').inputValue(), ''));
    }));

  test('goes on with plain text where the settings say so', () =>
    onChat(async (page) => {
      await greedy(page, 10);
      await inSettings(page, (dialog) => dialog.getByRole('switch', { name: /Continue plain text/ }).check());
      await ask(page, 'Once upon a time, there was a little');
      const used = Number(await page.getByRole('meter').getAttribute('aria-valuenow'));
      assert.ok(used < 25, `${used} tokens: no turns around the text`);
    }));

  test('shows a hostile answer as text', () =>
    onChat(async (page) => {
      const hostile = [
        '<script>globalThis.harmed = 1</script>',
        'Look <img src=x onerror="globalThis.harmed = 2"> here, <b>bold</b>.',
        '<iframe src="https://example.com"></iframe>',
        '[click](javascript:globalThis.harmed=3) [data](data:text/html,<script>1</script>) [fine](https://example.com/a)',
        '![picture](https://example.com/spy.png)',
        '<a href="https://example.com" onclick="globalThis.harmed = 4">x</a>',
        '<svg><style><img src=x onerror=globalThis.harmed=5></style></svg>',
        '```html\n<script>globalThis.harmed = 6</script>\n```',
        '| a | b |\n|---|---|\n| <img src=x onerror=globalThis.harmed=7> | [y](vbscript:x) |',
      ].join('\n\n');
      await importJson(page, conversationWith(hostile));
      const answer = answers(page).first();
      await answer.locator('table').waitFor();
      assert.equal(await answer.locator('.markdown').locator('script, img, iframe, svg:not(.icon), style, b, [onclick], [onerror]').count(), 0);
      const links = await answer.locator('.markdown a').evaluateAll((all) => all.map((a) => [a.getAttribute('href'), a.target, a.rel]));
      const outside = (href) => [href, '_blank', 'noopener noreferrer nofollow'];
      assert.deepEqual(links.filter(([href]) => href), [outside('https://example.com/a'), outside('https://example.com/spy.png')]);
      for (const link of await answer.locator('.markdown a:not([href])').all()) await link.click();
      assert.match(await answer.innerText(), /<script>globalThis\.harmed = 1<\/script>/);
      assert.equal(await page.evaluate(() => globalThis.harmed), undefined);
    }));

  test('renders Markdown, with code to copy', () =>
    onChat(async (page) => {
      const text = '# Title\n\nA *word*, `code`, and\na new line.\n\n1. one\n2. two\n   - nested\n\n> quoted\n\n```js\nlet a = 1 < 2;\n```\n\n| h |\n|---|\n| c |\n\n- [x] done';
      await importJson(page, conversationWith(text));
      const markdown = answers(page).first().locator('.markdown');
      await markdown.waitFor();
      for (const found of ['h3', 'em', 'p code', 'br', 'ol > li > ul > li', 'blockquote', 'figure pre code', 'td']) {
        assert.equal(await markdown.locator(found).count() > 0, true, found);
      }
      await markdown.getByRole('button', { name: 'Copy' }).click();
      await markdown.getByRole('button', { name: 'Copied' }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'let a = 1 < 2;');
    }));

  test('stays when the other section is opened, and both models work side by side', { skip: whyNot('chromium') }, () =>
    onChat(async (page) => {
      await greedy(page, 20);
      const written = await textOf(await ask(page, vectors[0].prompt));
      await composer(page).fill('Half a message');
      await page.getByRole('link', { name: 'Transcribe' }).click();
      await page.getByRole('button', { name: 'Try the sample' }).click();
      await page.getByTestId('summary').waitFor({ timeout: LONG });
      await page.goBack();
      assert.equal(await textOf(answers(page).first()), written);
      assert.equal(await composer(page).inputValue(), 'Half a message');
      await ask(page, 'Continue the story.', 2);
      await page.goForward();
      assert.match(await page.locator('.seg-text').first().innerText(), /fellow Americans/i);
    }));
});
