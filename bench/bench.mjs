#!/usr/bin/env node
// The engine in all its homes, on one clip: native, Node and Chromium, with one thread and two.
//
//   node bench/bench.mjs [--json] [--model FILE] [--audio FILE] [--where native,node,chromium] [--threads 1,2]
//                        [--variant simd-single|...] [--beam N] [--repeats N]
//
// Medians of --repeats runs after a warm-up; machines are noisy, so compare ratios within one run. "of floor": the share of the encoder's time
// that its multiplications alone take, at the rate that the matrix tile reaches on this machine with its operands in cache (bench/kernels.c,
// run first, one thread; in Node for the browser, whose compiler is the same).
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CHROMIUM_FLAGS, findBrowser } from '../tests/e2e/browser.mjs';
import { serve } from '../tools/serve.mjs';
import { measure, median } from './measure.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    model: { type: 'string', default: 'models/ggml-tiny-q5_1.bin' },
    audio: { type: 'string', default: 'tests/fixtures/audio/jfk.wav' },
    where: { type: 'string', default: 'native,node,chromium' },
    threads: { type: 'string', default: '1,2' },
    variant: { type: 'string' },
    beam: { type: 'string', default: '1' },
    repeats: { type: 'string', default: '7' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n').slice(1, 9).map((line) => line.slice(3)).join('\n'));
  process.exit(0);
}
const model = path.resolve(root, values.model);
const audio = path.resolve(root, values.audio);
const repeats = Number(values.repeats);
const threadCounts = values.threads.split(',').map(Number);
const options = { beamSize: Number(values.beam) };

/** Multiply-adds of one window (30 s): encoder with the cross attention's keys and values. */
function encoderMultiplications() {
  const info = JSON.parse(execFileSync(process.execPath, [path.join(root, 'js/bin/sotto.js'), 'info', '--json', model], { encoding: 'utf8' }));
  const { n_mel, n_audio_ctx: t, n_audio_state: d, n_audio_layer, n_text_layer } = info;
  const convolutions = 2 * t * d * 3 * n_mel + t * d * 3 * d;
  const layer = 12 * t * d * d + 2 * t * t * d;
  const cross = 2 * t * d * d;
  return convolutions + n_audio_layer * layer + n_text_layer * cross;
}

/** Multiply-adds a second of the best tile, one thread; undefined where it is not built. */
function tileRate(native, variant) {
  const node = path.join(root, 'node_modules/.bin/node');
  const [command, ...args] = native
    ? [path.join(root, 'build/bench/kernels')]
    : [existsSync(node) ? node : process.execPath, '--no-liftoff', path.join(root, 'tests/wasm/run.mjs'),
        path.join(root, `build/wasm-tests/${variant}-single/bench_kernels.wasm`)];
  if (!existsSync(args.at(-1) ?? command)) return undefined;
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  const rates = [...stdout.matchAll(/tile \d+ x \d+, k +384 +([\d.]+) GMAC/g)].map((match) => Number(match[1]));
  return rates.length > 0 ? 1e9 * Math.max(...rates.slice(-2)) : undefined;
}

function runNative(threads) {
  const runs = [];
  for (let i = 0; i <= repeats; i++) {
    const out = execFileSync(
      path.join(root, 'build/sotto'),
      ['transcribe', '-m', model, '-l', 'en', '--beam', values.beam, '--threads', String(threads), '--json', audio],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    runs.push(JSON.parse(out));
  }
  const of = (name) => median(runs.slice(1).map((run) => run.timings[name]));
  const { n_encode, n_decode } = runs[0].timings;
  return {
    variant: 'native', threads, load_ms: of('load_ms'), mel_ms: of('mel_ms'), encode_ms: of('encode_ms') / n_encode,
    decode_ms_per_step: of('decode_ms') / n_decode, decode_steps: n_decode, windows: n_encode, whole_ms: of('total_ms'),
    memory_bytes: Math.max(...runs.map((run) => run.peak_memory_bytes)), text: runs[0].text,
  };
}

async function runNode(threads) {
  const sotto = await import('../js/dist/index.node.js');
  const bytes = readFileSync(model);
  const wav = new Blob([readFileSync(audio)]);
  return measure(sotto, { model: async () => new Blob([bytes]), audio: async () => wav, threads, variant: values.variant, repeats, options });
}

/** Peak resident bytes of the browser's processes of one kind, from the profile's command lines (Linux only). */
function peakResident(profile) {
  if (process.platform !== 'linux') return undefined;
  const { stdout } = spawnSync('pgrep', ['-f', `type=renderer.*${profile}`], { encoding: 'utf8' });
  let peak = 0;
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      const match = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      if (match) peak = Math.max(peak, Number(match[1]) * 1024);
    } catch {
      // the process has ended
    }
  }
  return peak || undefined;
}

async function runChromium(threads, chromium, base) {
  const { chromium: driver } = await import('playwright-core');
  const profile = mkdtempSync(path.join(tmpdir(), 'sotto-bench-'));
  const context = await driver.launchPersistentContext(profile, { executablePath: chromium, args: CHROMIUM_FLAGS });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    await page.goto(`${base}bench/page.html`);
    await page.waitForFunction('window.ready');
    const input = {
      model: `/${path.relative(root, model)}`, audio: `/${path.relative(root, audio)}`, threads, variant: values.variant, repeats, options,
    };
    const result = await page.evaluate((what) => window.bench(what), input);
    return { ...result, renderer_bytes: peakResident(profile) };
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

const rows = [];
const multiplications = encoderMultiplications();
const rates = {};
function add(where, row) {
  const kind = where === 'native' ? 'native' : row.variant.split('-')[0];
  rates[kind] ??= tileRate(kind === 'native', kind);
  const floor_ms = rates[kind] && (1e3 * multiplications) / (rates[kind] * row.threads);
  rows.push({ where, ...row, encode_gflops: (2e-6 * multiplications) / row.encode_ms, ...(floor_ms && { encode_share_of_floor: floor_ms / row.encode_ms }) });
}
const places = values.where.split(',');
if (places.includes('native') && existsSync(path.join(root, 'build/sotto'))) {
  for (const threads of threadCounts) add('native', runNative(threads));
}
if (places.includes('node')) for (const threads of threadCounts) add('node', await runNode(threads));
const chromium = places.includes('chromium') ? findBrowser('chromium') : undefined;
if (chromium) {
  const server = await serve({ folder: root, port: 0 });
  for (const threads of threadCounts) add('chromium', await runChromium(threads, chromium, server.url));
  await server.close();
}

const report = {
  date: new Date().toISOString().slice(0, 10),
  machine: cpus()[0]?.model.trim(),
  cores: cpus().length,
  node: process.version,
  model: path.basename(model),
  model_bytes: statSync(model).size,
  audio: path.basename(audio),
  repeats,
  tile_gmacs: Object.fromEntries(Object.entries(rates).map(([kind, rate]) => [kind, rate && rate / 1e9])),
  rows,
};
if (values.json) {
  console.log(JSON.stringify(report, null, 2));
} else {
  const ms = (value, digits = 0) => value.toFixed(digits);
  const mb = (value) => (value === undefined ? '-' : (value / 1e6).toFixed(0));
  const table = rows.map((row) => [
    row.where, row.variant, row.threads, ms(row.load_ms), ms(row.mel_ms, 1), ms(row.encode_ms), row.encode_share_of_floor ? `${Math.round(100 * row.encode_share_of_floor)} %` : '-', ms(row.decode_ms_per_step, 2), ms(row.whole_ms), mb(row.memory_bytes),
    mb(row.renderer_bytes),
  ]);
  const head = ['where', 'variant', 'threads', 'load ms', 'mel ms', 'encode ms', 'of floor', 'ms/step', 'whole ms', 'memory MB', 'renderer MB'];
  const widths = head.map((title, i) => Math.max(title.length, ...table.map((row) => String(row[i]).length)));
  const line = (cells) => cells.map((cell, i) => String(cell).padStart(widths[i])).join('  ');
  console.log(`${report.model} (${mb(report.model_bytes)} MB) on ${report.audio}; ${report.machine}, ${report.cores} cores; medians of ${repeats}`);
  console.log([line(head), ...table.map(line)].join('\n'));
}
