// A conversation by voice with the model that ships: a microphone that plays jfk.wav, a voice that takes notes.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { LONG, Pages, sample, whyNot } from './browser.mjs';
import { ask, greedy } from './chat-steps.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

/** A voice of this device that never comes to an end of a sentence by itself. */
function fakeVoice() {
  const spoken = { sentences: [], cancelled: 0 };
  globalThis.spoken = spoken;
  const voice = { localService: true, default: true, lang: 'en-US', name: 'Notes' };
  class Utterance {
    constructor(text) {
      this.text = text;
    }
  }
  let waiting = [];
  const speechSynthesis = {
    getVoices: () => [voice],
    speak: (said) => {
      spoken.sentences.push(said.text);
      waiting.push(said);
    },
    cancel: () => {
      spoken.cancelled++;
      for (const said of waiting.splice(0)) said.onerror?.();
    },
    addEventListener() {},
    removeEventListener() {},
  };
  Object.defineProperty(globalThis, 'speechSynthesis', { value: speechSynthesis });
  Object.defineProperty(globalThis, 'SpeechSynthesisUtterance', { value: Utterance });
}

describe('voice', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('what is said is answered aloud, sentence by sentence, until someone talks', () =>
    pages.onPage({ bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
      await page.getByLabel('Spoken language').selectOption('en');
      await page.evaluate(fakeVoice);
      await page.getByRole('link', { name: 'Voice' }).click();
      const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
      await page.evaluate(axe);
      await page.getByRole('button', { name: 'Start a conversation' }).click();
      await page.waitForFunction(() => globalThis.spoken.sentences.length > 0, undefined, { timeout: LONG });
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/voice.png` });
      const said = page.locator('.voice-turns .user').first();
      assert.match(await said.innerText(), /[a-z]{3}/i);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
      assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);
      await page.waitForFunction(() => globalThis.spoken.cancelled > 0, undefined, { timeout: LONG }); // the clip goes on
      assert.match(await page.getByTestId('requests').innerText(), /: 0\./);
      const { sentences } = await page.evaluate(() => globalThis.spoken);
      assert.ok(sentences.every((sentence) => /\S/.test(sentence) && !/[.!?]\s+\S/.test(sentence)), sentences.join('\n'));
      await page.getByRole('button', { name: 'End the conversation' }).click();
      await page.getByRole('button', { name: 'Start a conversation' }).waitFor({ timeout: LONG });
      assert.ok((await page.locator('.voice-turns .assistant').count()) > 0);
    }));

  test('a sealed page converses as well, and asks the host for nothing', async () => {
    const asked = [];
    const server = await serve({ port: 0, isolated: false, onRequest: ({ url }) => asked.push(url) });
    const stranger = (url) => url !== '/offline.js'; // the browser itself looks whether it is a new one
    const converse = async (page) => {
      await page.evaluate(fakeVoice);
      await page.getByRole('button', { name: 'Start a conversation' }).click();
      await page.waitForFunction(() => globalThis.spoken.sentences.length > 0, undefined, { timeout: LONG });
      assert.match(await page.locator('.voice-turns .user').first().innerText(), /[a-z]{3}/i);
      assert.match(await page.getByTestId('requests').innerText(), /: 0\./);
      assert.equal(await page.locator('.voice [role=alert]').count(), 0);
      await page.getByRole('button', { name: 'End the conversation' }).click();
      await page.getByRole('button', { name: 'Start a conversation' }).waitFor({ timeout: LONG });
      assert.ok((await page.locator('.voice-turns .assistant').count()) > 0);
    };
    try {
      await pages.onPage({ server, serviceWorkers: 'allow', expectErrors: true }, async (page) => {
        await page.waitForFunction(() => globalThis.crossOriginIsolated, undefined, { timeout: LONG });
        await page.getByLabel('Spoken language').selectOption('en');
        await sample(page); // the model that hears is here from now on
        await page.getByRole('link', { name: 'Chat' }).click();
        await greedy(page, 10);
        await ask(page, 'Hello.'); // and the one that answers
        await page.getByRole('link', { name: 'Voice' }).click();
        await page.getByRole('button', { name: 'Seal', exact: true }).click();
        await page.getByTestId('voice-sealed').waitFor({ timeout: LONG });
        asked.length = 0;
        await converse(page);
        assert.deepEqual(asked.filter(stranger), []);

        // The same as it opens the next time: nothing of it is in memory.
        await page.reload();
        await page.getByTestId('voice-sealed').waitFor({ timeout: LONG });
        await converse(page);
        assert.deepEqual(asked.filter(stranger), []);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/voice-sealed.png` });
      });
    } finally {
      await server.close();
    }
  });
});
