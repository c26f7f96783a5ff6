#!/usr/bin/env node
// How fast weights are quantized on a GPU, in GB of the source a second: by its own clock, the kernel alone, and as a whole, from memory to memory.
//
//   node bench/gpu/quantize.mjs [--json] [--module PATH] [--from bf16] [--types q8_0,q4_0,...] [--mb 256] [--piece 8] [--rounds 5] [--cpu]
//
// --module: where the package `webgpu` is, if it is not installed. --mb: of the source, in pieces of --piece MB. --cpu: beside the processor with two
// threads, as build/bench/quantize measures it (make build/bench/quantize). Nothing else needs to be built.
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { nameOf, openDevice } from '../../js/src/gpu/device.ts';
import { GpuQuantizer } from '../../js/src/gpu/quantize.ts';
import { readSources } from '../../tests/gpu/harness.mjs';
import { gaussian, randomSource } from '../../tests/gpu/quants.mjs';
import { machine, numbers, output, root, shown, table } from '../places.mjs';

const string = { type: 'string' };
const flag = { type: 'boolean', default: false };
const OPTIONS = { json: flag, cpu: flag, module: string, from: string, types: string, mb: string, piece: string, rounds: string };
const TYPES = 'q8_0,q4_0,q4_1,q5_0,q5_1,q4_K,q5_K,q6_K,f16';
const COLS = 4096;

/** So many bytes of normal numbers. */
function weightsOf(from, bytes) {
  const random = randomSource(1);
  const values = Float32Array.from({ length: 1 << 18 }, () => gaussian(random) * 0.02);
  const words = new Uint32Array(values.buffer);
  const some = from === 'f32' ? new Uint8Array(words.buffer) : new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
  return new Uint8Array(Buffer.alloc(bytes, some).buffer);
}

/** GB/s of the kernel (undefined: the GPU has no clock) and as a whole, the best of the rounds. */
async function measure(gpu, { from, to, data, piece, rounds, weights }) {
  const best = { kernel: Infinity, whole: Infinity };
  let before = 0;
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    const open = [];
    for (let at = 0; at < data.length; at += piece) {
      if (open.length > GpuQuantizer.AHEAD) await open.shift();
      open.push(gpu.quantize({ name: to, from, to, cols: COLS, data: data.subarray(at, at + piece), weights }));
    }
    await Promise.all(open);
    const whole = performance.now() - start;
    const { rows } = await gpu.profile();
    const kernel = rows.reduce((sum, { ms }) => sum + ms, 0);
    if (round > 0) {
      best.whole = Math.min(best.whole, whole);
      best.kernel = Math.min(best.kernel, kernel - before || Infinity);
    }
    before = kernel;
  }
  const rate = (ms) => (ms < Infinity ? data.length / ms / 1e6 : undefined);
  return { kernel_gb_per_s: rate(best.kernel), whole_gb_per_s: rate(best.whole) };
}

/** GB/s of bf16 with two threads, by type: the second number of a line. */
async function ratesOfCpu() {
  const lines = (await output(path.join(root, 'build/bench/quantize'), [])).trim().split('\n').slice(1);
  return Object.fromEntries(lines.map((line) => line.trim().split(/\s+/)).map(([type, , two]) => [type, Number(two)]));
}

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  const { from = 'bf16', types = TYPES } = values;
  const [[mb], [piece], [rounds]] = [numbers(values.mb ?? '256', 'mb'), numbers(values.piece ?? '8', 'piece'), numbers(values.rounds ?? '5', 'rounds')];
  const place = values.module && path.resolve(values.module);
  const gpuModule = place && createRequire(path.join(place, 'package.json')).resolve(place);
  const cpu = values.cpu ? await ratesOfCpu() : {};
  const data = weightsOf(from, mb << 20);
  const importance = new Float32Array(COLS).fill(1);
  const report = { ...machine(), from, mb, piece, rows: [] };
  for (const to of types.split(','))
    for (const weights of to.endsWith('K') ? [undefined, importance] : [undefined]) {
      // A device of its own, so that its clock counts one kernel.
      const gpu = new GpuQuantizer(await openDevice({ module: gpuModule }), { sources: readSources(), profile: true });
      report.adapter = nameOf(gpu.about);
      const row = await measure(gpu, { from, to, data, piece: piece << 20, rounds, weights });
      report.rows.push({ to: weights ? `${to} by importance` : to, ...row, cpu_gb_per_s: weights ? undefined : cpu[to] });
      await gpu.close();
    }
  if (values.json) return console.log(JSON.stringify(report, null, 2));
  const cells = report.rows.map(({ to, kernel_gb_per_s, whole_gb_per_s, cpu_gb_per_s }) => [
    to, shown(kernel_gb_per_s, 1), shown(whole_gb_per_s, 2), shown(cpu_gb_per_s, 3),
  ]);
  console.log(`${report.machine}, ${report.cores} cores, Node ${report.node}\n${report.adapter}, ${mb} MB of ${from} in pieces of ${piece} MB, GB/s of it\n`);
  console.log(table(['to', 'kernel', 'whole', 'CPU, 2 threads'], cells));
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
