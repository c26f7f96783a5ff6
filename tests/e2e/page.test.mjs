// The page, as a person uses it, in Chromium with the real model: one browser, one fresh context a test.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { CHROMIUM_FLAGS, clip, findBrowser, model, root, whyNot } from './browser.mjs';

const WORDS = /ask not what your country can do for you/i;
const oneLine = (text) => text.replace(/\s+/g, ' ').trim();
const SOON = 10_000; // ms
const LONG = 120_000; // ms, for a transcription on a busy machine

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

describe('the page in Chromium', { skip: missing, timeout: 600_000 }, () => {
  let browser, isolated, plain;

  before(async () => {
    const { chromium } = await import('playwright-core');
    browser = await chromium.launch({
      executablePath: findBrowser('chromium'),
      args: [
        ...CHROMIUM_FLAGS,
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        `--use-file-for-fake-audio-capture=${clip('jfk.wav')}`,
      ],
    });
    isolated = await serve({ port: 0 });
    plain = await serve({ port: 0, isolated: false });
  });

  after(async () => {
    await browser?.close();
    await isolated?.close();
    await plain?.close();
  });

  /** Runs `steps` on a fresh page, then asks that nothing was logged as an error and nothing else was contacted. */
  async function onPage({ server = isolated, path = '', expectErrors = false, ...options }, steps) {
    const context = await browser.newContext({
      serviceWorkers: 'block', // requests that it answers cannot be seen
      permissions: ['microphone', 'clipboard-read', 'clipboard-write'],
      ...options,
    });
    const page = await context.newPage();
    const errors = [];
    const strangers = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(server.url) && !/^(blob|data):/.test(url)) strangers.push(url);
    });
    page.setDefaultTimeout(SOON);
    try {
      await page.goto(server.url + path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await steps(page, context);
      if (!expectErrors) {
        assert.deepEqual(errors, [], 'errors on the console');
        assert.deepEqual(strangers, [], 'requests to other origins');
      }
    } finally {
      await context.close();
    }
  }

  const summary = (page) => page.getByTestId('summary');
  const rows = (page) => page.locator('.seg');
  const allText = async (page) => (await page.locator('.seg-text').allInnerTexts()).join(' ');
  const takeFile = (page, file) => page.getByTestId('file').setInputFiles(file);
  const sample = async (page) => {
    await page.getByRole('button', { name: 'Try the sample' }).click();
    await summary(page).waitFor({ timeout: LONG });
  };
  const saveAs = async (page, format) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: `Save as ${format}` }).click(),
    ]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
  };

  test('loads without an error and says what it is', () =>
    onPage({}, async (page) => {
      assert.match(await page.getByRole('heading', { level: 1 }).innerText(), /speech to text/i);
      assert.match(await page.locator('header').innerText(), /nothing leaves this device/i);
      assert.equal(await page.evaluate(() => crossOriginIsolated), true);
      assert.equal(await page.getByLabel('Model', { exact: true }).inputValue(), 'tiny-q5_1');
      assert.equal(await page.getByLabel('Spoken language').locator('optgroup[label=All] option').count(), 100);
      const unnamed = await page.locator('#language option').evaluateAll((all) => all.filter((o) => o.label === o.value).map((o) => o.value));
      assert.deepEqual(unnamed, []);
    }));

  test('transcribes the sample, with times, and says how', () =>
    onPage({}, async (page) => {
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
    onPage({}, async (page) => {
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
    onPage({}, async (page) => {
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
    onPage({}, async (page) => {
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
    onPage({}, async (page) => {
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

  test('fetches a model once and then has it', () =>
    onPage({}, async (page) => {
      const fetched = [];
      page.on('request', (request) => request.url().endsWith('.bin') && fetched.push(request.url()));
      const progress = page.getByRole('progressbar', { name: /Tiny model/ });
      const seen = progress.waitFor();
      await sample(page);
      await seen;
      assert.equal(fetched.length, 1);
      assert.match(await page.locator('#model-hint').innerText(), /On this device/);
      await page.reload();
      await page.getByRole('button', { name: 'Transcribe again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.equal(fetched.length, 1, 'the second run took the model from the cache');
    }));

  test('works without cross-origin isolation, single-threaded, and says so', () =>
    onPage({ server: plain }, async (page) => {
      assert.equal(await page.evaluate(() => crossOriginIsolated), false);
      assert.match(await page.locator('footer').innerText(), /single-threaded, because .*COOP and COEP/i);
      await sample(page);
      assert.match(await allText(page), WORDS);
      assert.match(await page.getByTestId('engine').innerText(), /single-threaded/);
    }));

  test('says what is wrong with a file that is no model, and goes on with one that is', () =>
    onPage({}, async (page) => {
      const truncated = (await readFile(model)).subarray(0, 3_000_000);
      const broken = [
        { name: 'notes.bin', mimeType: '', buffer: Buffer.from('These are my notes, not a model. '.repeat(100)) },
        { name: 'half.bin', mimeType: '', buffer: truncated },
      ];
      for (const file of broken) {
        await page.getByTestId('model-file').setInputFiles(file);
        if (file === broken[0]) await page.getByRole('button', { name: 'Try the sample' }).click();
        else await page.getByRole('button', { name: 'Transcribe again' }).click();
        await page.getByRole('alert').waitFor();
        const said = await page.getByTestId('notice').locator('span').innerText();
        assert.match(said, /^[\w.]+ cannot be used\. [A-Z].{20,}\.$/s, 'sentences');
        assert.doesNotMatch(said, /undefined|\[object|RuntimeError/);
      }
      await page.getByLabel('Model', { exact: true }).selectOption('tiny-q5_1');
      await page.getByRole('button', { name: 'Try again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test("takes a person's own model file, and works under any path", async () => {
    const server = await serve({ port: 0, folder: join(root, 'app') });
    try {
      await onPage({ server, path: 'dist/' }, async (page) => {
        await page.getByTestId('model-file').setInputFiles(model);
        await sample(page);
        assert.match(await allText(page), WORDS);
      });
    } finally {
      await server.close();
    }
  });

  test('says what is wrong with a file that holds no sound', () =>
    onPage({}, async (page) => {
      await takeFile(page, { name: 'letter.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('Dear reader,') });
      await page.getByRole('alert').waitFor();
      assert.match(await page.getByTestId('notice').innerText(), /No sound could be read from letter\.mp3\..*MP3/s);
      await page.getByRole('button', { name: 'New' }).click();
      await page.getByRole('button', { name: 'Choose a file' }).waitFor();
    }));

  test('says that it is offline, and that a model came with the wrong bytes', () =>
    onPage({ expectErrors: true }, async (page, context) => {
      const body = await readFile(model);
      body[body.length - 1] ^= 1;
      await context.route(/\.bin$/, (route) => route.fulfill({ contentType: 'application/octet-stream', body }));
      await page.getByRole('button', { name: 'Try the sample' }).click();
      await page.getByRole('alert').waitFor({ timeout: LONG });
      assert.match(await page.getByTestId('notice').innerText(), /arrived damaged/);
      await context.unroute(/\.bin$/);
      await page.evaluate(() => Object.defineProperty(navigator, 'onLine', { value: false }));
      await context.route(/\.bin$/, (route) => route.abort('internetdisconnected'));
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByTestId('notice').getByText(/offline/i).waitFor({ timeout: LONG });
      await context.unroute(/\.bin$/);
      await page.getByRole('button', { name: 'Try again' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), WORDS);
    }));

  test('opens and transcribes without a network, once its model is here', async () => {
    const server = await serve({ port: 0 });
    let open = true;
    try {
      await onPage({ server, serviceWorkers: 'allow', expectErrors: true }, async (page) => {
        await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await sample(page);
        await server.close();
        open = false;
        await page.reload();
        await page.getByRole('button', { name: 'Transcribe again' }).click();
        await summary(page).waitFor({ timeout: LONG });
        assert.match(await allText(page), WORDS);
        assert.equal(await page.evaluate(() => crossOriginIsolated), true);
      });
    } finally {
      if (open) await server.close();
    }
  });

  test('is walked by keyboard alone, from load to a saved transcript', () =>
    onPage({}, async (page) => {
      const focused = () =>
        page.evaluate(() => {
          const on = document.activeElement;
          return on.getAttribute('aria-label') ?? on.labels?.[0]?.innerText ?? on.innerText ?? on.tagName;
        });
      const tabTo = async (name, key = 'Tab') => {
        for (let presses = 0; presses < 60; presses++) {
          await page.keyboard.press(key);
          if (name.test(await focused())) return;
        }
        assert.fail(`Tab does not reach ${name}`);
      };
      await page.keyboard.press('Tab');
      assert.match(await focused(), /Skip to content/);
      await tabTo(/Try the sample/);
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
      await page.keyboard.press('Enter');
      await summary(page).waitFor({ timeout: LONG });
      await tabTo(/^Position$/);
      await page.keyboard.press('ArrowRight');
      await page.waitForFunction(() => document.querySelector('video').currentTime >= 1);
      await tabTo(/Play from/);
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => !document.querySelector('video').paused);
      await page.keyboard.press('F2');
      await page.locator('.seg-editor').waitFor();
      await page.keyboard.press('Control+A');
      await page.keyboard.type('Typed by hand.');
      await page.keyboard.press('Enter');
      assert.match(await focused(), /Play from/);
      assert.match(await allText(page), /^Typed by hand\./);
      await page.keyboard.press('F2');
      await page.keyboard.type(' Not this.');
      await page.keyboard.press('Escape');
      assert.doesNotMatch(await allText(page), /Not this/);
      await tabTo(/Save as TXT/, 'Shift+Tab');
      const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
      assert.equal(download.suggestedFilename(), 'jfk.txt');
    }));

  test('transcribes what the microphone hears', () =>
    onPage({}, async (page) => {
      await page.getByRole('button', { name: 'Record' }).click();
      await page.getByRole('heading', { name: 'Recording' }).waitFor();
      const meter = page.getByRole('meter', { name: 'Microphone level' });
      await page.waitForFunction(() => Number(document.querySelector('[role=meter]').ariaValueNow) > 20);
      assert.equal(await meter.isVisible(), true);
      await page.waitForTimeout(12_500); // ms; the clip has 11 s
      await page.getByRole('button', { name: 'Stop and transcribe' }).click();
      await summary(page).waitFor({ timeout: LONG });
      assert.match(await allText(page), /country can do for you/i);
      assert.equal(await page.getByRole('link', { name: 'Save recording' }).isVisible(), true);
    }));

  test('shows the picture of a video', () =>
    onPage({}, async (page) => {
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

  test('fits a phone of 360 px', () =>
    onPage({ viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async (page) => {
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
      onPage({ colorScheme, bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
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
        await takeFileAgain(page);
        await check('an error');
      }));
  }

  /** From a transcript to an error: a new start with a file that holds no sound. */
  async function takeFileAgain(page) {
    await page.getByRole('button', { name: 'New' }).click();
    await takeFile(page, { name: 'letter.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('Dear reader,') });
    await page.getByRole('alert').waitFor();
  }
});
