#!/usr/bin/env node
// How long the page's first view takes on a slow phone: node bench/first-view.mjs [ROUNDS]
//
// Chromium with a processor of a quarter of the speed, 1.6 Mbit/s and 150 ms a request. Printed are medians, in ms from the start of the load:
//
//   paint    the first
//   button   "Choose a file" is painted, and a click on it is answered
//   code     all that transcribes is here
//
// of a first visit, which finds nothing kept, and of a second one. On a machine that does other things they are too long.
import { chromium } from 'playwright-core';
import { CHROMIUM_FLAGS, findBrowser } from '../tests/e2e/browser.mjs';
import { serve } from '../tools/serve.mjs';

const SLOWER = 4; // times
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 }; // ms, bytes/s
const rounds = Number(process.argv[2] ?? 5);

/** In the page, before its own scripts. */
function watch() {
  globalThis.times = {};
  let clicked = 0;
  const { click } = HTMLInputElement.prototype;
  HTMLInputElement.prototype.click = function () {
    if (globalThis.times.button) return click.call(this);
    clicked++; // the button would open the system's dialog
  };
  const look = () => {
    const { times } = globalThis;
    const button = document.querySelector('.intake [name=file]');
    if (button && !times.button) {
      button.click();
      if (clicked > 0) requestAnimationFrame(() => setTimeout(() => (times.button ??= performance.now())));
    }
    if (document.querySelector('.options')) times.code ??= performance.now();
    times.paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
    if (!times.button || !times.code || !times.paint) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const server = await serve({ port: 0, compressed: true });
const browser = await chromium.launch({ executablePath: findBrowser('chromium'), args: CHROMIUM_FLAGS });
const found = { first: [], second: [] };
for (let round = 0; round < rounds; round++) {
  const context = await browser.newContext({ viewport: { width: 412, height: 823 }, isMobile: true, hasTouch: true, serviceWorkers: 'allow' });
  await context.addInitScript(watch);
  for (const visit of ['first', 'second']) {
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send('Network.emulateNetworkConditions', NETWORK);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
    await page.goto(server.url, { waitUntil: 'commit' });
    await page.waitForFunction(() => globalThis.times.button && globalThis.times.code && globalThis.times.paint, undefined, { timeout: 120_000 });
    found[visit].push(await page.evaluate(() => globalThis.times));
    await page.evaluate(() => navigator.serviceWorker.ready); // and with it what the second visit needs
    await page.close();
  }
  await context.close();
}
await browser.close();
await server.close();
for (const [visit, all] of Object.entries(found)) {
  const words = ['paint', 'button', 'code'].map((what) => `${what} ${Math.round(median(all.map((times) => times[what])))} ms`);
  console.log(`${visit} visit: ${words.join(', ')}`);
}
