// From a recording to a saved transcript, as a person does it, in Chromium with the real model.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Pages, allText, clip, LONG, rows, sample, summary, takeFile, WORDS, whyNot } from './browser.mjs';

const oneLine = (text) => text.replace(/\s+/g, ' ').trim();

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

describe('a transcript', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  const saveAs = async (page, format) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: `Save as ${format}` }).click(),
    ]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
  };

  test('loads without an error and says what it is', () =>
    pages.onPage({}, async (page) => {
      assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /speech to text/i);
      assert.match(await page.locator('header').innerText(), /nothing leaves this device/i);
      assert.equal(await page.evaluate(() => crossOriginIsolated), true);
      assert.equal(await page.getByLabel('Model', { exact: true }).inputValue(), 'tiny-q5_1');
      assert.equal(await page.getByLabel('Spoken language').locator('optgroup[label=All] option').count(), 100);
      const unnamed = await page.locator('#language option').evaluateAll((all) => all.filter((o) => o.label === o.value).map((o) => o.value));
      assert.deepEqual(unnamed, []);
    }));

  test('transcribes the sample, with times, and says how', () =>
    pages.onPage({}, async (page) => {
      await sample(page);
      assert.match(await allText(page), WORDS);
      assert.match(await page.locator('.seg-time').first().innerText(), /^0:00$/);
      assert.match(await summary(page).innerText(), /0:11 of sound in .*× real time · English detected/);
      const cores = await page.evaluate(() => navigator.hardwareConcurrency);
      const engine = await page.getByTestId('engine').innerText();
      assert.match(engine, /SIMD/);
      if (cores > 1) assert.match(engine, /\d+ threads/);
      assert.equal(await rows(page).first().locator('..').getAttribute('lang'), 'en');
    }));

  test('plays a segment that is clicked, and marks it', () =>
    pages.onPage({}, async (page) => {
      await takeFile(page, clip('radio_address_127s.wav'));
      await rows(page).nth(3).waitFor({ timeout: LONG });
      await page.locator('.seg-text').nth(3).click();
      const start = await page.locator('.seg-time').nth(3).innerText();
      const [minutes, seconds] = start.split(':').map(Number);
      await page.waitForFunction((at) => document.querySelector('video').currentTime >= at, minutes * 60 + seconds);
      const now = await page.evaluate(() => document.querySelector('video').currentTime);
      assert.ok(now < minutes * 60 + seconds + 5, `the player is at ${now} s, the segment at ${start}`);
      assert.equal(await page.evaluate(() => document.querySelector('video').paused), false);
      await page.locator('.seg[aria-current=true]').waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByRole('button', { name: 'Play', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click({ timeout: 1000 }).catch(() => {}); // if it still runs
    }));

  test('keeps the transcript, its edits and the settings over a reload', () =>
    pages.onPage({}, async (page) => {
      await page.getByLabel('Spoken language').selectOption('en');
      await sample(page);
      await page.locator('.seg-text').first().dblclick();
      const editor = page.locator('.seg-editor');
      await editor.fill('My fellow testers, ask away.');
      await editor.press('Enter');
      await page.waitForTimeout(600); // ms, longer than the pause before it is kept
      await page.reload();
      await page.getByText('My fellow testers, ask away.').waitFor();
      assert.equal(await page.getByLabel('Spoken language').inputValue(), 'en');
      // The recording is kept too, and plays.
      await page.getByRole('button', { name: 'Play', exact: true }).click();
      await page.waitForFunction(() => document.querySelector('video').currentTime > 0.2);
      // A new run sets the edited text aside, and gives it back.
      await page.getByRole('button', { name: 'Transcribe again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
      await page.getByRole('button', { name: 'Bring it back' }).click();
      await page.getByText('My fellow testers, ask away.').waitFor();
    }));

  test('copies, and saves txt, srt, vtt and json named after the source', () =>
    pages.onPage({}, async (page) => {
      await sample(page);
      const text = await allText(page);
      await page.getByRole('button', { name: 'Copy' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.equal(oneLine(await page.evaluate(() => navigator.clipboard.readText())), oneLine(text));

      const txt = await saveAs(page, 'TXT');
      assert.equal(txt.name, 'jfk.txt');
      assert.equal(oneLine(txt.text), oneLine(text));

      const srt = await saveAs(page, 'SRT');
      assert.equal(srt.name, 'jfk.srt');
      assert.match(srt.text, /^1\r?\n00:00:0\d,\d{3} --> 00:00:\d\d,\d{3}\r?\n/);
      assert.match(oneLine(srt.text.replace(/^\d+$|^.* --> .*$/gm, '')), WORDS);

      const vtt = await saveAs(page, 'VTT');
      assert.equal(vtt.name, 'jfk.vtt');
      assert.match(vtt.text, /^WEBVTT\r?\n\r?\n(00:)?00:0\d\.\d{3} --> (00:)?00:\d\d\.\d{3}\r?\n/);

      const json = await saveAs(page, 'JSON');
      assert.equal(json.name, 'jfk.json');
      const object = JSON.parse(json.text);
      assert.equal(object.language, 'en');
      assert.match(object.text, WORDS);
      assert.equal(object.segments.length, await rows(page).count());
      assert.ok(object.segments.every((s) => s.end > s.start && s.tokens.length > 0));
    }));

  test('is cancelled midway, keeps what there is, and starts again', () =>
    pages.onPage({}, async (page) => {
      await takeFile(page, clip('radio_address_127s.wav'));
      await rows(page).first().waitFor({ timeout: LONG });
      const bar = page.getByRole('progressbar', { name: 'Transcribing' });
      assert.ok(Number(await bar.getAttribute('aria-valuenow')) < 100);
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('Cancelled. What was transcribed so far is kept.').waitFor();
      const before = await rows(page).count();
      assert.ok(before > 0);
      await page.waitForTimeout(1500); // ms; a run that went on would add segments now
      assert.equal(await rows(page).count(), before);
      await page.getByRole('button', { name: 'Start again' }).click();
      await page.waitForFunction((n) => document.querySelectorAll('.seg').length >= n, before, { timeout: LONG });
      assert.match(await allText(page), /election day/i);
      await page.getByRole('button', { name: 'New' }).click(); // while it works
      await page.getByText('Open the last transcript').waitFor();
      await sample(page);
      assert.match(await allText(page), WORDS);
      assert.doesNotMatch(await allText(page), /election/i);
    }));

  test('transcribes what the microphone hears', () =>
    pages.onPage({}, async (page) => {
      await page.getByRole('button', { name: 'Record' }).click();
      await page.getByRole('heading', { name: 'Recording' }).waitFor();
      const meter = page.getByRole('meter', { name: 'Level of the sound' });
      await page.waitForFunction(() => Number(document.querySelector('[role=meter]').ariaValueNow) > 20);
      assert.equal(await meter.isVisible(), true);
      await page.waitForTimeout(12_500); // ms; the clip has 11 s
      await page.getByRole('button', { name: 'Stop and transcribe' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), /country can do for you/i);
      assert.equal(await page.getByRole('link', { name: 'Save recording' }).isVisible(), true);
    }));

  test('shows the picture of a video', () =>
    pages.onPage({}, async (page) => {
      const film = await page.evaluate(async () => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 90 });
        const draw = canvas.getContext('2d');
        const context = new AudioContext();
        const tone = context.createOscillator();
        const out = context.createMediaStreamDestination();
        tone.connect(out);
        tone.start();
        const stream = new MediaStream([...canvas.captureStream(10).getTracks(), ...out.stream.getTracks()]);
        const recorder = new MediaRecorder(stream, { mimeType: 'video/webm' });
        const pieces = [];
        recorder.ondataavailable = (event) => pieces.push(event.data);
        recorder.start();
        for (let i = 0; i < 15; i++) {
          draw.fillStyle = `hsl(${i * 24} 60% 50%)`;
          draw.fillRect(0, 0, 160, 90);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        recorder.stop();
        await new Promise((resolve) => (recorder.onstop = resolve));
        return [...new Uint8Array(await new Blob(pieces).arrayBuffer())];
      });
      await takeFile(page, { name: 'film.webm', mimeType: 'video/webm', buffer: Buffer.from(film) });
      await page.waitForFunction(() => document.querySelector('video')?.videoWidth === 160);
      assert.equal(await page.locator('video').isVisible(), true);
      await summary(page).waitFor({ timeout: LONG });
    }));
});
