#!/usr/bin/env node
// Draws the page's icons from app/public/favicon.svg with an installed Chromium: node tools/make-icons.mjs. What it writes is committed.
//
//   icon-192.png, icon-512.png     as it is, with round corners
//   icon-maskable.png              on a full square, smaller: a launcher cuts its own shape out of it
//   apple-touch-icon.png           on a full square: iOS rounds it
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { findBrowser } from '../tests/e2e/browser.mjs';

const folder = path.join(import.meta.dirname, '../app/public');
const svg = readFileSync(path.join(folder, 'favicon.svg'), 'utf8');
const ground = /<rect [^>]*fill="([^"]+)"/.exec(svg)[1];

const browser = await chromium.launch({ executablePath: findBrowser('chromium'), args: ['--headless=new', '--no-sandbox'] });
const page = await browser.newPage();
/** `share`: of the square that the drawing takes; under 1, its ground fills the rest. */
async function draw(name, size, share) {
  await page.setViewportSize({ width: size, height: size });
  const drawn = share === 1 ? svg : svg.replace(/<rect [^>]*>/, '');
  const fill = share === 1 ? 'transparent' : ground;
  await page.setContent(
    `<body style="margin:0;display:grid;place-items:center;height:100vh;background:${fill}">` +
      `<div style="width:${size * share}px;height:${size * share}px">${drawn}</div>`,
  );
  writeFileSync(path.join(folder, name), await page.screenshot({ omitBackground: true }));
}
await draw('icon-192.png', 192, 1);
await draw('icon-512.png', 512, 1);
await draw('icon-maskable.png', 512, 0.78);
await draw('apple-touch-icon.png', 180, 0.94);
await browser.close();
