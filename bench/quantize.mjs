#!/usr/bin/env node
// How fast the package quantizes, from file to file: node bench/quantize.mjs [--backend cpu|webgpu] [--threads N] [--types q8_0,q4_0] [--rounds N] [MODEL]
//
// MODEL is a GGUF file or a folder; by default random weights of Gemma 3 270M in bf16, made by the native command. For each type: GB of the source a
// second (the best round), the processor's time for a GB, and the memory of this process at its peak, which the model's size does not change.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { quantize } from '../js/dist/index.node.js';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: 'string', default: 'cpu' },
    threads: { type: 'string' },
    types: { type: 'string', default: 'q8_0,q4_0,q4_K_M' },
    rounds: { type: 'string', default: '3' },
  },
});

const folder = mkdtempSync(path.join(tmpdir(), 'sotto-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function testModel() {
  const native = path.join(root, 'build/sotto');
  if (!existsSync(native)) throw new Error('build/sotto is not there: make native, or give a model');
  const file = path.join(folder, 'bf16.gguf');
  execFileSync(native, ['make-test-model', '--shape', 'gemma3-270m', '--type', 'bf16', '-o', file]);
  return file;
}

const model = positionals[0] ?? testModel();
const threads = values.threads === undefined ? undefined : Number(values.threads);
for (const type of values.types.split(',')) {
  let best = { rate: 0, cpu: 0 };
  let where = '';
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = process.cpuUsage();
    const job = quantize(model, { type, backend: values.backend, threads, output: { path: path.join(folder, 'out.gguf') } });
    await job;
    const { user, system } = process.cpuUsage(before);
    const { convertedBytes, seconds, device } = job.outcome;
    const rate = convertedBytes / seconds / 1e9;
    if (rate > best.rate) best = { rate, cpu: (user + system) / 1e6 / (convertedBytes / 1e9) };
    where = device.gpu ? device.gpu.adapter : `${device.threads} threads`;
  }
  const peak = process.resourceUsage().maxRSS / 1e3;
  console.log(`${type.padEnd(8)} ${best.rate.toFixed(2)} GB/s, ${best.cpu.toFixed(1)} s of the processor a GB, ${peak.toFixed(0)} MB at most (${where})`);
}
