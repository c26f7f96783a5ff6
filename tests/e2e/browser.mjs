// What the end-to-end tests stand on: a browser of this machine, the built page, and the model it uses.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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

/** Why the tests with this browser cannot run here, or undefined. */
export function whyNot(kind) {
  if (!findBrowser(kind)) return `${kind} is not installed`;
  if (!existsSync(join(root, 'app/dist/index.html'))) return 'the page is not built (make app)';
  if (!existsSync(model)) return 'models/ggml-tiny-q5_1.bin is not here (tools/fetch-models)';
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
