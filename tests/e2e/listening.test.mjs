// What is said while a model is still on its way: a microphone that plays jfk.wav once, and a model that is held back.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { allText, LONG, Pages, rows, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

const CLIP_S = 11;

/** A server that keeps models to itself until release(true); after release(false) it has none. */
async function holding() {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const asked = [];
  const server = await serve({ port: 0, hold: ({ url }) => (url.startsWith('/models/') ? (asked.push(url), held) : undefined) });
  return { ...server, release, asked };
}

/** Keeps the tracks of all microphones that the page opens. */
const watchTracks = (page) =>
  page.evaluate(() => {
    globalThis.tracks = [];
    const { mediaDevices } = navigator;
    const open = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      globalThis.tracks.push(...stream.getTracks());
      return stream;
    };
  });
const trackStates = (page) => page.evaluate(() => globalThis.tracks.map(({ readyState }) => readyState));

/** Waits until the clip has been said. */
const said = (page) => page.waitForTimeout((CLIP_S + 1.5) * 1000);

describe('listening while a model comes', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start({ microphone: 'jfk.wav%noloop' }));
  after(() => pages.stop());

  /** Runs `steps` on a page whose models are held back, from the moment that Live is pressed. */
  const whileHeld = async (options, steps) => {
    const server = await holding();
    try {
      await pages.onPage({ server, ...options }, async (page, context) => {
        await page.getByLabel('Spoken language').selectOption('en');
        await watchTracks(page);
        await page.getByRole('button', { name: 'Live', exact: true }).click();
        await page.getByText('Speak already').waitFor();
        await page.getByTestId('progress').getByText('Downloading the Tiny model').waitFor();
        assert.deepEqual(await trackStates(page), ['live']);
        await steps(page, server);
      });
    } finally {
      server.release(true);
      await server.close();
    }
  };

  /** Checks the phrases, and that their times are those of the clip. */
  const checkTranscript = async (page) => {
    const text = await allText(page);
    for (const words of [/fellow/i, /country can do for you\b/i, /you can do for your country/i]) assert.match(text, words);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /Save as SRT/ }).click()]);
    const times = (await readFile(await download.path(), 'utf8'))
      .match(/\d\d:\d\d:\d\d,\d+/g)
      .map((time) => time.replace(',', '.').split(':').reduce((sum, part) => 60 * sum + Number(part), 0));
    assert.ok(times[0] < 2, `begins at ${times[0]} s`);
    assert.ok(times.at(-1) > CLIP_S - 3 && times.at(-1) < CLIP_S + 2, `ends at ${times.at(-1)} s`);
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
  };

  test('what was said before the model came is written down when it comes, with its times', () =>
    whileHeld({}, async (page, server) => {
      await said(page);
      assert.ok(server.asked.length > 0);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/listening.png` });
      assert.equal(await page.locator('.live-text .phrase').count(), 0);
      server.release(true);
      await page.locator('.live-text .phrase').first().waitFor({ timeout: LONG });
      assert.equal(await page.getByTestId('progress').count(), 0);
      await page.getByText(/do for your country/).waitFor({ timeout: LONG });
      await page.getByRole('button', { name: 'Stop' }).click();
      await rows(page).first().waitFor({ timeout: LONG });
      assert.deepEqual(await trackStates(page), ['ended']);
      await checkTranscript(page);
    }));

  test('Stop lets the microphone go at once; what was said still becomes a transcript', () =>
    whileHeld({}, async (page, server) => {
      await said(page);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByText('as soon as the model is loaded').waitFor();
      assert.deepEqual(await trackStates(page), ['ended']);
      if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/listening-stopped.png` });
      server.release(true);
      await rows(page).first().waitFor({ timeout: LONG });
      await checkTranscript(page);
    }));

  test('Cancel lets the microphone go and forgets what was said', () =>
    whileHeld({}, async (page, server) => {
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('button', { name: 'Choose a file' }).waitFor();
      assert.deepEqual(await trackStates(page), ['ended']);
      assert.equal(await page.getByRole('alert').count(), 0);
      server.release(true);
      await page.getByRole('button', { name: 'Live', exact: true }).click();
      await page.getByTestId('engine').getByText('Engine ready').waitFor({ timeout: LONG });
      assert.deepEqual(await trackStates(page), ['ended', 'live']);
    }));

  test('a model that does not come is told of, and the microphone let go', () =>
    whileHeld({ expectErrors: true }, async (page, server) => {
      await page.context().route(/^https:/, (route) => route.fulfill({ status: 404 })); // nobody else has it
      server.release(false);
      await page.getByRole('alert').getByText('The Tiny model could not be downloaded.').waitFor({ timeout: LONG });
      assert.deepEqual(await trackStates(page), ['ended']);
      assert.ok(await page.getByRole('button', { name: 'Live', exact: true }).isVisible());
    }));

  test('a conversation: ended while its models come it stays ended; else what was said waits for them', async () => {
    const server = await holding();
    try {
      await pages.onPage({ server }, async (page) => {
        await page.getByLabel('Spoken language').selectOption('en');
        await watchTracks(page);
        await page.getByRole('link', { name: 'Voice' }).click();
        const start = page.getByRole('button', { name: 'Start a conversation' });
        const now = page.locator('.voice-now');
        await start.click();
        await page.getByRole('progressbar', { name: 'Downloading the Tiny model, which hears' }).waitFor();
        assert.match(await now.innerText(), /Listening already/);
        await page.getByRole('button', { name: 'End the conversation' }).click();
        await start.waitFor();
        assert.deepEqual(await trackStates(page), ['ended']);

        await start.click();
        await page.getByRole('progressbar').waitFor();
        await said(page);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/voice-opening.png` });
        assert.deepEqual(await trackStates(page), ['ended', 'live']);
        server.release(true);
        await page.locator('.voice-turns .user').getByText(/country/).waitFor({ timeout: LONG });
        await page.locator('.voice-turns .assistant').first().waitFor({ timeout: LONG });
        assert.match(await page.getByTestId('requests').innerText(), /: 0\./);
        await page.getByRole('button', { name: 'End the conversation' }).click();
        await start.waitFor({ timeout: LONG });
        assert.deepEqual(await trackStates(page), ['ended', 'ended']);
      });
    } finally {
      server.release(true);
      await server.close();
    }
  });
});
