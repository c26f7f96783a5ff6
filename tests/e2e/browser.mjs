// What the end-to-end tests stand on: a browser of this machine, the built page, and the model it uses.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../tools/serve.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const clip = (name) => join(root, 'tests/fixtures/audio', name);
export const model = join(root, 'models/ggml-tiny-q5_1.bin');

const NAMES = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'],
  firefox: ['firefox-esr', 'firefox'],
};

/** Path of an installed browser, or undefined. */
export function findBrowser(kind) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const mac = {
    chromium: ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'],
    firefox: ['/Applications/Firefox.app/Contents/MacOS/firefox'],
  };
  const paths = [...NAMES[kind].flatMap((name) => folders.map((folder) => join(folder, name))), ...mac[kind]];
  return paths.find((path) => existsSync(path));
}

/** Why the tests with this browser cannot run here, or undefined. The chat needs no model but the one in the page. */
export function whyNot(kind, { chat = false } = {}) {
  if (!findBrowser(kind)) return `${kind} is not installed`;
  if (!existsSync(join(root, 'app/dist/index.html'))) return 'the page is not built (make app)';
  if (!chat && !existsSync(model)) return 'models/ggml-tiny-q5_1.bin is not here (tools/fetch-models)';
  return undefined;
}

export const CHROMIUM_FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

export const WORDS = /ask not what your country can do for you/i;
export const SOON = 30_000; // ms, on a busy machine; what is there is not waited for
export const LONG = 120_000; // ms, for a transcription on a busy machine

/** Chromium, and the page served both ways: with the headers that isolate it, and without. */
export class Pages {
  isolated;
  plain;
  #browser;

  /** `microphone`: a clip that it plays over and over, or once with `%noloop` behind the name. */
  async start({ microphone = 'jfk.wav' } = {}) {
    const { chromium } = await import('playwright-core');
    this.#browser = await chromium.launch({
      executablePath: findBrowser('chromium'),
      args: [
        ...CHROMIUM_FLAGS,
        '--disable-gpu', // drawn by the processor either way: without a process for a GPU in software a test takes a tenth less
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        `--use-file-for-fake-audio-capture=${clip(microphone)}`,
      ],
    });
    this.isolated = await serve({ port: 0 });
    this.plain = await serve({ port: 0, isolated: false });
  }

  async stop() {
    await this.#browser?.close();
    await this.isolated?.close();
    await this.plain?.close();
  }

  /** Runs `steps` on a fresh page, then asks that nothing was logged as an error and nothing else was contacted. */
  async onPage({ server = this.isolated, path = '', expectErrors = false, ...options }, steps) {
    const context = await this.#browser.newContext({
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
}

/* ---- steps that many tests take ---- */

export const summary = (page) => page.getByTestId('summary');
export const rows = (page) => page.locator('.seg');
export const allText = async (page) => (await page.locator('.seg-text').allInnerTexts()).join(' ');
export const takeFile = (page, file) => page.getByTestId('file').setInputFiles(file);
/** The name of what has the keyboard's focus; '' where that is the page, whose text is everything. */
export const focused = (page) =>
  page.evaluate(() => {
    const on = document.activeElement;
    if (on.matches('body, main')) return '';
    return (on.getAttribute('aria-label') ?? on.labels?.[0]?.innerText ?? (on.innerText || on.tagName)).trim();
  });
export async function tabTo(page, name, key = 'Tab', most = 60) {
  for (let presses = 0; presses < most; presses++) {
    if (name.test(await focused(page))) return;
    await page.keyboard.press(key);
  }
  assert.fail(`${key} does not reach ${name}, but ${await focused(page)}`);
}
/** What the page gives the focus to once it has drawn it. */
export async function focusOn(page, name) {
  const end = Date.now() + SOON;
  while (!name.test(await focused(page)) && Date.now() < end) await page.waitForTimeout(20);
  assert.match(await focused(page), name);
}
export const letter = { name: 'letter.mp3', mimeType: 'audio/mpeg', buffer: Buffer.from('Dear reader,') }; // no sound

export async function sample(page) {
  await page.getByRole('button', { name: 'Try the sample' }).click();
  await summary(page).waitFor({ timeout: LONG });
}
