#!/usr/bin/env node
// Takes the pictures of the README from the built page: node tools/make-screenshots.mjs. What it writes is committed.
//
//   docs/images/transcript-light.png, -dark.png     the sample recording as text, in either scheme
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Pages, sample } from '../tests/e2e/browser.mjs';

const folder = path.join(import.meta.dirname, '../docs/images');
mkdirSync(folder, { recursive: true });
const pages = new Pages();
await pages.start();
for (const colorScheme of ['light', 'dark'])
  await pages.onPage({ colorScheme, viewport: { width: 1120, height: 700 }, deviceScaleFactor: 1 }, async (page) => {
    await sample(page);
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(0, 0);
    await page.waitForTimeout(500); // until what moves has come to rest
    await page.screenshot({ path: path.join(folder, `transcript-${colorScheme}.png`) });
  });
await pages.stop();
