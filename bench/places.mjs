// Where the benches run, and how their tables are written.
//
//   Chromium: a fresh profile ──> page.html from a server with the isolating headers ──> window.bench(...) ──> a row
//   Node:     another process, the newest at hand ──> bench/in-node.mjs ──────────────────────────────────────> a row
//   native:   a command that prints JSON ────────────────────────────────────────────────────────────────────> a row
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHROMIUM_FLAGS, findBrowser } from '../tests/e2e/browser.mjs';
import { serve } from '../tools/serve.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Numbers between commas, as of --threads 1,2. */
export function numbers(text, name) {
  const list = text.split(',').map(Number);
  if (list.every((n) => Number.isInteger(n) && n >= 1)) return list;
  throw new Error(`--${name} must be whole numbers from 1 on, with commas between: ${text}`);
}

/** What a program prints; its own messages go on to standard error. Fails with its status. */
export function output(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    const parts = [];
    child.stdout.on('data', (part) => parts.push(part));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(Buffer.concat(parts).toString()) : reject(new Error(`${path.basename(command)} ${args[0]} ended with ${code}`)),
    );
  });
}

/** A model of a true shape with random weights, made once, as `sotto make-test-model` names shape and type: its file. `progress` is told of the making. */
export async function madeModel(shape, type, progress) {
  const file = path.join(root, 'build/bench-models', `${shape}-${type}.${shape.startsWith('whisper') ? 'bin' : 'gguf'}`);
  if (!existsSync(file)) {
    progress(`making ${path.relative(root, file)}`);
    mkdirSync(path.dirname(file), { recursive: true });
    await output(path.join(root, 'build/sotto'), ['make-test-model', '--shape', shape, '--type', type, '-o', file]);
  }
  return file;
}

/** npm's package `node` where it is installed: it has relaxed SIMD, which Node 20 lacks. */
export function newestNode() {
  const installed = path.join(root, 'node_modules/.bin/node');
  return existsSync(installed) ? installed : process.execPath;
}

/** Peak resident bytes of a process until now (Linux only). Undefined: it has ended. */
export function peakOf(pid) {
  try {
    const match = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/** Peak resident bytes of the renderer of a profile (Linux only). */
export function peakResident(profile) {
  if (process.platform !== 'linux') return undefined;
  const { stdout } = spawnSync('pgrep', ['-f', `type=renderer.*${profile}`], { encoding: 'utf8' });
  return Math.max(0, ...stdout.split('\n').filter(Boolean).map((pid) => peakOf(pid) ?? 0)) || undefined;
}

/** Chromium with one profile, whose caches last until close(). Undefined: it is not installed. */
export async function openChromium() {
  const executablePath = findBrowser('chromium');
  if (!executablePath) {
    console.error('skip: chromium is not installed');
    return undefined;
  }
  const { chromium } = await import('playwright-core');
  const server = await serve({ folder: root, port: 0 });
  const links = [];
  const profile = mkdtempSync(path.join(tmpdir(), 'sotto-bench-'));
  const tidy = () => {
    for (const file of [profile, ...links]) rmSync(file, { recursive: true, force: true });
  };
  process.once('exit', tidy); // interrupted, too
  return {
    /** Runs window.bench(kind, what) of page.html in a browser of its own. */
    async run(kind, what) {
      const context = await chromium.launchPersistentContext(profile, { executablePath, args: CHROMIUM_FLAGS });
      try {
        const page = context.pages()[0] ?? (await context.newPage());
        page.on('console', (message) => message.type() === 'error' && console.error(`page: ${message.text()}`));
        await page.goto(`${server.url}bench/page.html`);
        await page.waitForFunction('window.ready');
        const result = await page.evaluate(([k, w]) => window.bench(k, w), [kind, what]);
        return { ...result, renderer_bytes: peakResident(profile) };
      } finally {
        await context.close();
      }
    },
    /** The address of a file; one from elsewhere gets a link in build/ until close(). */
    address(file) {
      const inside = path.relative(root, file);
      if (!inside.startsWith('..')) return `/${inside}`;
      const link = path.join(root, 'build', `${path.basename(profile)}-${path.basename(file)}`);
      symlinkSync(file, link);
      links.push(link);
      return `/build/${path.basename(link)}`;
    },
    async close() {
      await server.close();
      tidy();
      process.off('exit', tidy);
    },
  };
}

export const machine = () => ({
  date: new Date().toISOString().slice(0, 10),
  machine: cpus()[0]?.model.trim(),
  cores: cpus().length,
  node: process.version,
});

// ---- tables ----

/** "12.3"; "-" for what was not measured. */
export const shown = (value, digits = 0) => (value === undefined || value === null ? '-' : value.toFixed(digits));
export const megabytes = (bytes) => shown(bytes && bytes / 1e6);
export const percent = (share) => (share === undefined ? '-' : `${Math.round(100 * share)} %`);

export function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => String(row[i]).length)));
  const line = (cells) => cells.map((cell, i) => String(cell).padStart(widths[i])).join('  ');
  return [head, ...rows].map(line).join('\n');
}
