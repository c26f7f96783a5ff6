#!/usr/bin/env node
// Runs the suites and closes with one line: N passed, N failed, N skipped.
//
//   build/asan/test_*          native unit tests; their last line has the counts
//   build/fuzz/fuzz_*          fuzz targets, each for FUZZ_SECONDS (5) from its seeds; one count each
//   build/wasm-tests/VARIANT/test_*.wasm   the same tests in WebAssembly, as counted
//   tests/{gpu,js,cli}/*.test.*   node --test
//   tests/e2e/*.test.*         in browsers
//
// Two at a time, of which one at most has browsers; those of sound as it comes at the end, alone, as they keep to the clock.
//
// node tools/run-tests.mjs [WORD...] runs those whose name contains one of the words. Exits 1 when a test fails.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS ?? 5);
const LIMIT_MS = 300_000; // a test that takes longer hangs
const ALONE = /^tests\/(e2e|js)\/(listening|live|voice)\b/;
const words = process.argv.slice(2);

const list = (folder, pattern) => (existsSync(folder) ? readdirSync(folder).filter((name) => pattern.test(name)).sort().map((name) => `${folder}/${name}`) : []);

/** Node from 24 on, for relaxed SIMD: the one of node_modules where there is one. */
const node = existsSync('node_modules/.bin/node') ? path.resolve('node_modules/.bin/node') : process.execPath;

function countsOfLastLine(output) {
  const [, passed, failed, skipped] = output.trimEnd().split('\n').findLast((line) => /^\d+ passed/.test(line))?.match(/^(\d+) passed, (\d+) failed, (\d+) skipped/) ?? [];
  return passed === undefined ? null : { passed: +passed, failed: +failed, skipped: +skipped };
}

function countsOfTap(output) {
  const of = (name) => Number(output.match(new RegExp(`^# ${name} (\\d+)`, 'm'))?.[1] ?? NaN);
  const counts = { passed: of('pass'), failed: of('fail') + of('cancelled'), skipped: of('skipped') + of('todo') };
  return Number.isNaN(counts.passed + counts.failed) ? null : counts;
}

function fuzz(file) {
  const name = path.basename(file);
  const seeds = `tests/fuzz/seeds/${name.replace(/^fuzz_/, '')}`;
  const corpus = `build/fuzz/corpus/${name}`;
  mkdirSync(corpus, { recursive: true });
  const folders = [corpus, ...(existsSync(seeds) ? [seeds] : [])];
  const guided = existsSync('build/fuzz/guided');
  return {
    name: file,
    command: file,
    args: guided ? [`-max_total_time=${FUZZ_SECONDS}`, '-print_final_stats=1', '-timeout=120', '-rss_limit_mb=2048', `-artifact_prefix=build/fuzz/${name}-`, ...folders] : [String(FUZZ_SECONDS), ...folders],
    counts: (_, code) => ({ passed: +(code === 0), failed: +(code !== 0), skipped: 0 }),
  };
}

const selected = (test) => words.length === 0 || words.some((word) => test.name.includes(word));
const node_tests = (suite) =>
  list(`tests/${suite}`, /\.test\.(mjs|js|ts)$/).map((file) => ({ name: file, command: node, args: ['--test', '--test-reporter=tap', file], counts: countsOfTap }));
const all = [
  ...list('build/asan', /^test_\w+$/).map((file) => ({ name: file, command: file, args: [], counts: countsOfLastLine })),
  ...list('build/wasm-tests', /-(single|threads)$/)
    .flatMap((folder) => list(folder, /^test_\w+\.wasm$/))
    .map((file) => ({ name: file, command: node, args: ['tests/wasm/run.mjs', file], counts: countsOfLastLine })),
  ...list('build/fuzz', /^fuzz_\w+$/).map(fuzz),
  ...['gpu', 'js', 'cli', 'e2e'].flatMap(node_tests),
].filter(selected);
if (words.includes('build/arm64')) all.push(...list('build/arm64', /^test_\w+$/).map((file) => ({ name: file, command: 'qemu-aarch64', args: [file], counts: countsOfLastLine })));

const total = { passed: 0, failed: 0, skipped: 0 };

function run(test) {
  return new Promise((resolve) => {
    const start = Date.now();
    const child = spawn(test.command, test.args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' } });
    let output = '';
    let hung = false;
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (output += text));
    const timer = setTimeout(() => {
      hung = true;
      try {
        process.kill(-child.pid, 'SIGKILL'); // with the browsers it started
      } catch {} // already gone
    }, LIMIT_MS);
    child.on('error', (error) => (output += error.message));
    child.on('close', (code) => {
      clearTimeout(timer);
      const counts = test.counts(output, code) ?? { passed: 0, failed: 0, skipped: 0 };
      if (code !== 0 && counts.failed === 0) counts.failed = 1; // it crashed, or hung
      if (code === 0 && test.counts === countsOfLastLine && !/^\d+ passed/m.test(output)) counts.passed = 1;
      if (code === 0 && counts.passed + counts.failed + counts.skipped === 0) {
        counts.failed = 1;
        output += '\nno test ran\n';
      }
      for (const key of Object.keys(total)) total[key] += counts[key];
      const seconds = ((Date.now() - start) / 1000).toFixed(1);
      console.log(`${counts.failed ? 'FAILED' : 'ok    '} ${test.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)${hung ? ', stopped: it took too long' : ''}`);
      if (counts.failed) console.log(output.trimEnd().split('\n').slice(-150).map((line) => `    ${line}`).join('\n'));
      else for (const line of output.split('\n')) if (/^skip: |# SKIP/.test(line.trim())) console.log(`    ${line.trim()}`);
      resolve();
    });
  });
}

const browsers = all.filter(({ name }) => name.startsWith('tests/e2e/') && !ALONE.test(name));
const others = all.filter(({ name }) => !name.startsWith('tests/e2e/') && !ALONE.test(name));
/** One after the other, from each list what is left of it. */
async function line(...lists) {
  for (const list of lists) for (let test; (test = list.shift()); ) await run(test);
}
await Promise.all([line(browsers, others), line(others)]);
await line(all.filter(({ name }) => ALONE.test(name)));
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
