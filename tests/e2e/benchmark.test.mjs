// The section that measures this device: what it measures, how it is stopped, shared, compared and kept.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { focusOn, LONG, Pages, tabTo, whyNot } from './browser.mjs';

const missing = whyNot('chromium');
if (missing) console.log(`skip: ${missing}`);

const PATH = '#/benchmark';
const near = (a, b) => assert.ok(Math.abs(a / b - 1) < 1e-4, `${a} is not ${b}`);

/** A result as another device could have written it. */
const spread = (median) => ({ median, min: 0.9 * median, max: 1.25 * median });
const others = () => ({
  format: 'sotto-benchmark',
  version: 1,
  date: '2026-01-02T03:04:05.000Z',
  sotto: '0.1.0',
  rounds: 5,
  device: { browser: 'Firefox 140', system: 'Windows', cores: 16, threads: true, simd: true, relaxed_simd: false },
  speech: {
    model: { id: 'tiny-q5_1', name: 'Whisper Tiny', bytes: 32152673 },
    clip: { name: 'jfk.wav', duration_s: 11 },
    runs: [
      {
        ...{ backend: 'webgpu', threads: 1, variant: 'simd-single', gpu: { adapter: 'some gpu', software: false, features: ['shader-f16'] } },
        ...{ memory_bytes: 1e8, encode_s: spread(0.01), step_s: spread(0.001), whole_s: spread(0.1), times_real_time: 110 },
      },
      {
        ...{ backend: 'cpu', threads: 8, variant: 'simd-threads', memory_bytes: 1e8 },
        ...{ encode_s: spread(0.2), step_s: spread(0.003), whole_s: spread(0.5), times_real_time: 22 },
      },
    ],
    failed: [{ backend: 'cpu', threads: 1, why: 'Memory ran out.' }],
  },
});

/** Ticks these alone. */
async function tick(page, wanted, rounds = '1') {
  for (const name of ['Transcription', 'Language model', 'Processor, 1 thread', 'Processor, all threads'])
    await page.getByRole('checkbox', { name: new RegExp(`^${name}`) }).setChecked(wanted.includes(name));
  await page.getByLabel('Rounds').selectOption(rounds);
}

const begin = (page) => page.getByRole('button', { name: 'Start the benchmark' }).click();
const result = (page) => page.getByTestId('bench-result');
const bars = (page) => page.locator('.bench-bar');

async function copied(page) {
  await page.getByRole('button', { name: 'Copy JSON' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  return JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
}

async function compare(page, value) {
  await page.getByLabel('A result as JSON').fill(typeof value === 'string' ? value : JSON.stringify(value));
  await page.getByRole('button', { name: 'Compare', exact: true }).first().click();
}

async function setHidden(page, hidden) {
  await page.evaluate((now) => {
    Object.defineProperty(document, 'hidden', { value: now, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

describe('benchmark', { skip: missing, timeout: 290_000 }, () => {
  const pages = new Pages();
  before(() => pages.start());
  after(() => pages.stop());

  test('measures both models on the processor, draws, shares and keeps what it found', () =>
    pages.onPage({ path: PATH }, async (page) => {
      await tick(page, ['Transcription', 'Language model', 'Processor, 1 thread', 'Processor, all threads']);
      await begin(page);
      await focusOn(page, /^Stop$/);
      await result(page).waitFor({ timeout: LONG });
      await page.waitForFunction(() => document.activeElement.id === 'bench-result');

      const found = await copied(page);
      assert.deepEqual([found.format, found.version, found.rounds], ['sotto-benchmark', 1, 1]);
      assert.match(found.device.browser, /^\S.* \d+$/);
      assert.ok(Math.abs(Date.parse(found.date) - Date.now()) < LONG * 2);
      const { speech, language } = found;
      for (const part of [speech, language]) {
        assert.deepEqual(part.failed, []);
        assert.deepEqual(part.runs.map(({ backend }) => backend), ['cpu', 'cpu']);
        assert.equal(part.runs[0].threads, 1);
        assert.ok(part.runs[1].threads > 1);
        assert.match(part.model.sha256, /^[0-9a-f]{64}$/);
        for (const run of part.runs) {
          assert.ok(run.memory_bytes > 1e6 && run.hidden === undefined);
          for (const { median, min, max } of Object.values(run).filter((value) => value.median)) assert.ok(median > 0 && min === median && max === median);
        }
      }
      near(speech.clip.duration_s, 11);
      for (const { whole_s, encode_s, step_s, times_real_time } of speech.runs) {
        near(times_real_time, speech.clip.duration_s / whole_s.median);
        assert.ok(encode_s.median + 10 * step_s.median < whole_s.median, 'the parts are more than the whole');
      }
      for (const run of language.runs) {
        near(run.prefill_tokens_per_s, 128 / run.prefill_s.median);
        near(run.decode_tokens_per_s, 1 / run.decode_s.median);
        assert.deepEqual([run.prefill_tokens, run.decode_tokens], [128, 64]);
        assert.ok(run.prefill_tokens_per_s > run.decode_tokens_per_s, 'a prompt is read faster than tokens are written');
      }

      // A bar for each number, as long as the number says, and a row of the table for each run.
      assert.equal(await bars(page).count(), 2 * 3 + 2 * 2);
      const writing = page.locator('figure', { hasText: 'Writing' }).locator('.bench-bar');
      const drawn = await writing.evaluateAll((all) => all.map((bar) => [Number(bar.dataset.value), bar.getBoundingClientRect().width]));
      for (const [i, run] of language.runs.entries()) near(drawn[i][0], run.decode_tokens_per_s);
      assert.ok(Math.abs(drawn[0][1] / drawn[1][1] - drawn[0][0] / drawn[1][0]) < 0.02);
      assert.equal(await page.locator('.bench-kind tbody tr').count(), 4);

      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
      assert.match(download.suggestedFilename(), /^sotto-benchmark-[\d-]+\.json$/);
      assert.deepEqual(JSON.parse(await readFile(await download.path(), 'utf8')), found);

      // What was copied is read again as it was: beside itself, all is as fast.
      await compare(page, found);
      await page.getByRole('heading', { name: 'Two results' }).waitFor();
      assert.equal(await bars(page).count(), 20);
      const times = await page.locator('.bench-kind td small').allInnerTexts();
      assert.deepEqual([times.length, ...new Set(times.map((text) => text.trim()))], [10, '1.00× as fast']);
      await page.getByRole('button', { name: 'Show the first alone' }).click();
      assert.deepEqual(await copied(page), found);

      // Kept over a reload, until it is deleted.
      await page.reload();
      await result(page).waitFor();
      assert.deepEqual(await copied(page), found);
      const offered = page.getByLabel('Model for transcription').locator('option');
      await offered.filter({ hasText: /^Whisper Tiny, 32 MB$/ }).waitFor({ state: 'attached' }); // it is on the device now
      assert.equal(await offered.filter({ hasText: 'to be downloaded' }).count(), 0);
      await page.getByRole('button', { name: 'Delete the result' }).click();
      await result(page).waitFor({ state: 'detached' });
      await page.reload();
      await page.getByLabel('A result as JSON').waitFor();
      assert.equal(await result(page).count(), 0);
    }));

  test('waits for the browser to say whether there is a GPU', () =>
    pages.onPage({ path: PATH }, async (page) => {
      await page.addInitScript(() => {
        GPU.prototype.requestAdapter = () => new Promise((resolve) => (globalThis.answer = () => resolve(null)));
      });
      await page.reload();
      await tick(page, ['Language model', 'Processor, 1 thread']);
      const states = () => page.locator('.bench-steps li').evaluateAll((all) => all.map((step) => step.dataset.at));
      await begin(page);
      await page.locator('.bench-steps li').getByText('GPU').waitFor();
      assert.deepEqual(await states(), ['waiting', 'waiting']);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('heading', { name: 'Not all was measured' }).waitFor();
      assert.deepEqual(await states(), ['stopped', 'stopped']);
      await begin(page);
      await page.locator('.bench-steps [data-at=waiting]').first().waitFor();
      await page.evaluate(() => globalThis.answer());
      await result(page).waitFor({ timeout: LONG });
      const { runs, failed } = (await copied(page)).language;
      assert.deepEqual([runs.length, failed], [1, []]);

      // With nothing else to measure it says so.
      await page.reload();
      await page.getByRole('checkbox', { name: /^Processor, 1 thread/ }).uncheck();
      await begin(page);
      await page.locator('.bench-steps [data-at=waiting]').first().waitFor();
      await page.evaluate(() => globalThis.answer());
      await page.getByRole('alert').filter({ hasText: 'offers no GPU' }).waitFor();
    }));

  test('stops in the middle and keeps what was measured until then', () =>
    pages.onPage({ path: PATH }, async (page) => {
      await tick(page, ['Language model', 'Processor, 1 thread', 'Processor, all threads'], '10');
      await begin(page);
      const steps = page.locator('.bench-steps li');
      await page.locator('.bench-steps li:nth-child(2)[data-at=round]').waitFor({ timeout: LONG });
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('heading', { name: 'Not all was measured' }).waitFor();
      assert.deepEqual(await steps.evaluateAll((all) => all.map((step) => step.dataset.at)), ['done', 'stopped']);
      const { language } = await copied(page);
      assert.deepEqual([language.runs.length, language.runs[0].threads, language.failed], [1, 1, []]);
      await begin(page); // the engine is free again
      await page.locator('.bench-steps li:nth-child(1)[data-at=round]').waitFor({ timeout: LONG });
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Start the benchmark' }).waitFor();
    }));

  test('says that a page in the background is slow, and the result says so too', () =>
    pages.onPage({ path: PATH }, async (page) => {
      await tick(page, ['Language model', 'Processor, 1 thread'], '10');
      await begin(page);
      await page.locator('.bench-steps [data-at=round]').waitFor({ timeout: LONG });
      await setHidden(page, true);
      await page.getByRole('alert').filter({ hasText: 'background' }).waitFor();
      await setHidden(page, false);
      await result(page).filter({ hasText: 'in the background' }).waitFor({ timeout: LONG });
      assert.equal((await copied(page)).language.runs[0].hidden, true);
    }));

  test('ends when a transcription begins, and does not begin beside other work', () =>
    pages.onPage({ path: PATH }, async (page) => {
      const go = (name) => page.getByRole('link', { name }).click();
      await tick(page, ['Language model', 'Processor, 1 thread'], '10');
      await begin(page);
      await page.locator('.bench-steps [data-at=round]').waitFor({ timeout: LONG });
      await go('Transcribe');
      await page.getByRole('button', { name: 'Try the sample' }).click();
      await go('Benchmark');
      await page.getByRole('alert').filter({ hasText: 'became busy with a transcription' }).waitFor();
      assert.equal(await page.locator('.bench-steps li').getAttribute('data-at'), 'stopped');
      await go('Transcribe');
      await page.getByTestId('summary').waitFor({ timeout: LONG });
      await page.getByRole('button', { name: 'New' }).click();
      await page.getByRole('button', { name: 'Record' }).click();
      await page.getByRole('heading', { name: 'Recording' }).waitFor();
      await go('Benchmark');
      await begin(page);
      await page.getByRole('alert').filter({ hasText: 'is busy with a recording' }).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Stop', exact: true }).count(), 0);
    }));

  test('shows a result of others alone, or beside one, and refuses what is none', () =>
    pages.onPage({ path: PATH }, async (page) => {
      const refused = async (value, why) => {
        await compare(page, value);
        await page.getByRole('alert').filter({ hasText: why }).waitFor();
      };
      await refused('Hello', 'This is not JSON');
      await refused([1], 'no result of a sotto benchmark');
      await refused('null', 'is not an object');
      await refused({ ...others(), version: 2 }, 'reads version 1');
      await refused({ ...others(), speech: undefined }, 'is empty');
      await refused({ ...others(), rounds: 1e9 }, 'rounds must be a number from 1 to 1000');
      await refused({ ...others(), date: 'yesterday' }, 'date must be');
      const changed = (change) => {
        const value = others();
        change(value.speech.runs[0], value);
        return value;
      };
      await refused(changed((run) => delete run.whole_s), 'speech.runs.0.whole_s is missing');
      await refused(changed((run) => (run.whole_s.median = -1)), 'speech.runs.0.whole_s.median must be a number');
      await refused(changed((run) => (run.whole_s.min = 1)), 'speech.runs.0.whole_s is not in order');
      await refused(changed((run) => (run.gpu.features = 'all')), 'speech.runs.0.gpu.features must be a list');
      await refused(changed((_, value) => value.speech.runs.push(value.speech.runs[1])), 'two of speech.runs are of one place');
      await refused(changed((_, value) => (value.speech.runs = Array(1000).fill(value.speech.runs[1]))), 'speech.runs must be a list of at most 3');
      await refused(`${' '.repeat(1_000_001)}`.concat('{}'), 'too long');
      assert.equal(await result(page).count(), 0);

      // Rates are computed anew, texts are texts.
      const strange = changed((run, value) => {
        run.times_real_time = 1e6;
        value.device.browser = '<img src=x onerror=alert(1)>';
      });
      await compare(page, strange);
      await result(page).waitFor();
      assert.equal(await page.getByRole('alert').count(), 0);
      assert.match(await result(page).innerText(), /<img src=x/);
      assert.equal(await result(page).locator('img').count(), 0);
      assert.equal(await bars(page).count(), 2 * 3);
      assert.match(await result(page).innerText(), /Memory ran out/);
      const { speech } = await copied(page);
      near(speech.runs[0].times_real_time, 110);

      const second = changed((run, value) => {
        run.whole_s = spread(0.2);
        value.speech.model.bytes++;
      });
      await page.getByTestId('bench-file').setInputFiles({ name: 'other.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(second)) });
      await page.getByRole('heading', { name: 'Two results' }).waitFor();
      assert.equal(await bars(page).count(), 4 * 3);
      const row = page.locator('tbody tr', { hasText: 'Second' }).filter({ hasText: 'GPU' });
      assert.match(await row.innerText(), /0\.50× as fast/);
      await page.getByText('The models differ').waitFor();
    }));

  test('says why a model did not come, and measures the other', () =>
    pages.onPage({ path: PATH, expectErrors: true }, async (page, context) => {
      await context.route(/\.bin\b/, (route) => route.abort());
      await context.route(/^https:/, (route) => route.abort());
      await tick(page, ['Transcription', 'Language model', 'Processor, 1 thread']);
      await begin(page);
      await result(page).waitFor({ timeout: LONG });
      await page.getByRole('heading', { name: 'Not all was measured' }).waitFor();
      assert.match(await page.locator('.bench-steps [data-at=failed]').innerText(), /Whisper Tiny could not be downloaded\. Check the connection/);
      const found = await copied(page);
      assert.deepEqual([found.speech, found.language.runs.length], [undefined, 1]);
    }));

  test('is walked by keyboard', () =>
    pages.onPage({ path: PATH }, async (page) => {
      await tick(page, ['Processor, 1 thread']);
      assert.ok(await page.getByRole('button', { name: 'Start the benchmark' }).isDisabled(), 'nothing is ticked');
      await tabTo(page, /^Language model/, 'Tab', 40);
      await page.keyboard.press('Space');
      await tabTo(page, /^Start the benchmark/, 'Tab', 40);
      await page.keyboard.press('Enter');
      await tabTo(page, /^Stop/, 'Tab', 40);
      await result(page).waitFor({ timeout: LONG });
      await tabTo(page, /^Copy JSON/, 'Tab', 40);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Copied' }).waitFor();
    }));

  test('says where there are no threads', () =>
    pages.onPage({ server: pages.plain, path: PATH }, async (page) => {
      const all = page.getByRole('checkbox', { name: /^Processor, all threads/ });
      assert.ok(await all.isDisabled());
      assert.ok(!(await all.isChecked()));
      await page.getByText('This page has one thread').waitFor();
    }));

  for (const colorScheme of ['light', 'dark']) {
    test(`has no serious accessibility violation and fits a phone, ${colorScheme}`, () =>
      pages.onPage({ path: PATH, colorScheme, bypassCSP: true, reducedMotion: 'reduce', viewport: { width: 360, height: 740 } }, async (page) => {
        await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
        const check = async (where) => {
          const { violations } = await page.evaluate(() => globalThis.axe.run('#benchmark'));
          const bad = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
          assert.deepEqual(bad.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(' ')}`), [], where);
          const widths = await page.locator('#benchmark .bench > *').evaluateAll((all) => all.map((part) => part.getBoundingClientRect().right));
          assert.ok(Math.max(...widths) <= 360, `${where}: ${widths}`);
        };
        await check('start');
        await compare(page, '{');
        await check('an error');
        await tick(page, ['Language model', 'Processor, 1 thread'], '10');
        await begin(page);
        await page.locator('.bench-steps [data-at=round]').waitFor({ timeout: LONG });
        await check('under way');
        await result(page).waitFor({ timeout: LONG });
        await compare(page, others());
        await page.getByRole('heading', { name: 'Two results' }).waitFor();
        await check('two results');
      }));
  }
});
