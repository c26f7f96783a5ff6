// What the tests of models have in common: where things are in their section, and a source that gives bytes as slowly as a test wants.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

export const shelf = (page) => page.getByTestId('device');
export const offers = (page) => page.getByTestId('get');
export const bring = (page) => page.getByTestId('bring');

/** A model that is whole and here. */
export const keptRow = (page, name) => shelf(page).getByTestId('kept').filter({ has: page.getByRole('heading', { name }) });
export const offerRow = (page, name) => offers(page).locator('.offer').filter({ has: page.getByRole('heading', { name }) });
export const coming = (page) => page.getByTestId('download');

export async function openModels(page) {
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Models' }).click();
  await bring(page).waitFor();
}

/** Something of the menu of a kept model. */
export async function choose(page, row, action) {
  await row.getByRole('button', { name: /^More for/ }).click();
  await row.getByRole('button', { name: action }).click();
}

/** Gives model files, and says what is to become of them. */
export async function giveFiles(page, files, action) {
  await page.getByTestId('model-files').setInputFiles(files);
  if (action) await page.getByTestId('incoming').getByRole('button', { name: action }).click();
}

/** The file that the page saves: without a picker, which no test can answer. */
export async function saved(page, press) {
  await page.evaluate(() => delete window.showSaveFilePicker);
  const [download] = await Promise.all([page.waitForEvent('download'), press()]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

const STEP_BYTES = 256 << 10;
const STEP_MS = 5;

/** A server with one file: answers ranges, and sends nothing from byte `gate.to` of the file on before that is raised. */
export async function slowSource(bytes, { to = Infinity } = {}) {
  const gate = { to, sent: 0, requests: 0 };
  const server = createServer((request, response) => {
    gate.requests++;
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const from = Number(first ?? 0);
    const end = Math.min(last ? Number(last) + 1 : bytes.length, bytes.length);
    const headers = {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Expose-Headers': 'Content-Range, ETag',
      'Content-Type': 'application/octet-stream',
      'Accept-Ranges': 'bytes',
      'Content-Length': end - from,
      ETag: '"1"',
      ...(first !== undefined && { 'Content-Range': `bytes ${from}-${end - 1}/${bytes.length}` }),
    };
    response.writeHead(first === undefined ? 200 : 206, headers);
    if (request.method === 'HEAD') return response.end();
    let at = from;
    const timer = setInterval(() => {
      if (at >= end) return response.end();
      if (at >= gate.to) return;
      const step = bytes.subarray(at, Math.min(at + STEP_BYTES, end));
      gate.sent += step.length;
      at += step.length;
      response.write(step);
    }, STEP_MS);
    response.on('close', () => clearInterval(timer));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${server.address().port}/`;
  return {
    gate,
    /** Requests of the page for `pattern` come here. */
    play: (context, pattern) => context.route(pattern, (route) => route.continue({ url })),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
