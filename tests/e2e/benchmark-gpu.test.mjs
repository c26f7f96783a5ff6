// The benchmark on WebGPU, played by the processor (SwiftShader): every kernel is compiled, then a few tokens are read and written twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serve } from '../../tools/serve.mjs';
import { CHROMIUM_FLAGS, findBrowser, whyNot } from './browser.mjs';

const missing = whyNot('chromium', { chat: true }) ?? (process.env.SOTTO_SLOW_TESTS ? undefined : 'it takes minutes: set SOTTO_SLOW_TESTS');
if (missing) console.log(`skip: ${missing}`);

test('a GPU in software is measured where it is ticked', { skip: missing, timeout: 290_000 }, async (t) => {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({
    executablePath: findBrowser('chromium'),
    args: [...CHROMIUM_FLAGS, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  });
  t.after(() => browser.close());
  const server = await serve({ port: 0 });
  t.after(() => server.close());
  const context = await browser.newContext({ serviceWorkers: 'block', permissions: ['clipboard-read', 'clipboard-write'] });
  const page = await context.newPage();
  await page.goto(`${server.url}#/benchmark`);
  const gpu = page.getByRole('checkbox', { name: /^GPU.*played by the processor/s });
  await gpu.waitFor();
  assert.ok(!(await gpu.isChecked()), 'nobody asked for it');
  for (const name of [/^Transcription/, /^Processor, 1 thread/, /^Processor, all threads/]) await page.getByRole('checkbox', { name }).uncheck();
  await gpu.check();
  await page.getByLabel('Rounds').selectOption('1');
  await page.getByRole('button', { name: 'Start the benchmark' }).click();
  await page.getByTestId('bench-result').waitFor({ timeout: 280_000 });
  assert.equal(await page.locator('.bench-bar').count(), 2);
  await page.getByRole('button', { name: 'Copy JSON' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const { runs, failed } = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).language;
  assert.deepEqual(failed, []);
  assert.deepEqual([runs.length, runs[0].backend, runs[0].gpu.software], [1, 'webgpu', true]);
  assert.match(runs[0].gpu.adapter, /swiftshader/i);
  assert.ok(runs[0].decode_tokens_per_s > 0 && runs[0].prefill_tokens_per_s > 0);
});
