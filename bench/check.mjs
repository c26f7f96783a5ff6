#!/usr/bin/env node
// How many instructions the engine takes for fixed inputs, natively on one thread, beside those of a committed baseline.
//
//   bench/instructions.c under valgrind's callgrind ──> instructions of each function in each stage ──> what grew by more than 3 %
//
//   node bench/check.mjs [--only NAME] [--accept] [--json]
//
// Counts do not depend on what else the machine does, but on the compiler and its flags, and a little on libc. valgrind knows AVX2 and not AVX-512,
// so it is the AVX2 kernels that run. It reports, and does not fail: --accept makes what was counted the baseline, bench/instructions.json.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { instructionsOf, grown } from './callgrind.mjs';
import { madeModel, output, root, table } from './places.mjs';

const BASELINE = path.join(root, 'bench/instructions.json');
const PROGRAM = path.join(root, 'build/bench/instructions');
const JFK = path.join(root, 'tests/fixtures/audio/jfk.wav');

/** Shape and type of the model, what else the program is given, and what its two stages are called. */
const CASES = [
  { shape: 'whisper-tiny', type: 'q5_1', more: [JFK], stages: ['mel and encoder of jfk.wav', '8 spoken tokens'] },
  { shape: 'gemma3-270m', type: 'q4_0', more: [], stages: ['prompt of 32', '4 tokens'] },
  { shape: 'gemma3-270m', type: 'q8_0', more: [], stages: ['prompt of 32', '4 tokens'] },
];

/** Whether valgrind is here; where we may, it is installed. */
function hasValgrind() {
  const works = () => spawnSync('valgrind', ['--version']).status === 0;
  if (works()) return true;
  if (process.getuid?.() !== 0 || spawnSync('apt-get', ['--version']).status !== 0) return false;
  spawnSync('apt-get', ['install', '-y', '-qq', 'valgrind'], { stdio: 'ignore' });
  return works();
}

/** { stage: { total, functions } } of one case. */
async function count({ shape, type, more, stages }) {
  const model = await madeModel(shape, type, (line) => console.error(line));
  const folder = mkdtempSync(path.join(tmpdir(), 'sotto-check-'));
  try {
    const ends = ['stage_first', 'stage_then'];
    const dumps = ends.flatMap((name) => [`--dump-before=${name}`, `--dump-after=${name}`]);
    await output('valgrind', ['-q', '--tool=callgrind', ...dumps, `--callgrind-out-file=${folder}/out`, PROGRAM, model, ...more]);
    const parts = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
    return Object.fromEntries(ends.map((name, i) => {
      const part = parts.find((text) => text.includes(`Trigger: --dump-after=${name}\n`));
      if (!part) throw new Error(`callgrind saw nothing of ${name}`);
      return [stages[i], instructionsOf(part)];
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const millions = (n) => (n / 1e6).toFixed(1);
const change = (n, before) => (before ? `${n >= before ? '+' : ''}${(100 * (n / before - 1)).toFixed(1)} %` : 'new');

async function main() {
  const { values } = parseArgs({ options: { only: { type: 'string' }, accept: { type: 'boolean' }, json: { type: 'boolean' } } });
  if (!hasValgrind()) return console.log('skip: valgrind is not installed');
  const baseline = existsSync(BASELINE) ? JSON.parse(readFileSync(BASELINE, 'utf8')) : { cases: {} };
  const compiler = (await output('cc', ['--version'])).split('\n')[0];
  const now = { compiler, cases: {} };
  const rows = [];
  const notes = [];
  for (const what of CASES) {
    const name = `${what.shape}-${what.type}`;
    if (values.only && !name.includes(values.only)) continue;
    console.error(`counting ${name}`);
    for (const [stage, counted] of Object.entries(await count(what))) {
      const title = `${name}, ${stage}`;
      const before = baseline.cases[title];
      now.cases[title] = counted;
      rows.push([title, millions(counted.total), before ? millions(before.total) : '-', change(counted.total, before?.total)]);
      for (const { name: part, from, to } of grown(before, counted)) {
        notes.push(`grew: ${title}: ${part}: ${millions(from)} to ${millions(to)} million (${change(to, from)})`);
      }
    }
  }
  if (values.accept) writeFileSync(BASELINE, JSON.stringify({ compiler, cases: { ...baseline.cases, ...now.cases } }, null, 1) + '\n');
  if (values.json) return console.log(JSON.stringify(now, null, 1));
  console.log(table(['', 'million', 'baseline', 'change'], rows));
  if (baseline.compiler && baseline.compiler !== compiler) {
    console.log(`The baseline is of another compiler (${baseline.compiler}; here ${compiler}): small changes mean nothing.`);
  }
  console.log(notes.length > 0 ? notes.join('\n') : 'nothing grew by more than 3 %');
}

try {
  await main();
} catch (error) {
  console.error(`bench-check: ${error.message}`);
  process.exitCode = 1;
}
