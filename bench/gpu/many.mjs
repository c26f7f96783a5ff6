// How fast linear_many is, by shapes, types, paths and tiles:   node bench/gpu/many.mjs [--only REGEX] [--all] [--shape N,IN,OUT] [--beams]
//
// --beams: the products of five beams of large-v3-turbo, with tiles for so few rows, to compare with what few.mjs tells of linear_few (turbo.head and others).
// SOTTO_WEBGPU_MODULE names the module that gives WebGPU. Every tile with q4_0, other types with the best tiles of each path (--all: every one).
// A line: product of n x in -> out, type, variant; ms; TFLOP/s; of the preparation of x, ms; the greatest error against the f32 path, in
// units of the results' root mean square.
import { open } from '../../tests/gpu/harness.mjs';
import { manyLinear, tileOf } from '../../tests/gpu/many.mjs';
import { f16Bits, gaussian, randomSource } from '../../tests/gpu/quants.mjs';

const shape = process.argv.indexOf('--shape');
const beams = process.argv.includes('--beams');
const SHAPES = beams ? [
  [5, 1280, 51866],
  [5, 1280, 3840],
  [5, 1280, 5120],
  [5, 5120, 1280],
] : shape > 0 ? [process.argv[shape + 1].split(',').map(Number)] : [
  [512, 1152, 6912],
  [512, 6912, 1152],
  [512, 1152, 1536],
  [1500, 1280, 5120],
  [1500, 5120, 1280],
  [1500, 384, 1536],
];
const TYPES = ['q4_0', 'f16', 'q5_0', 'q8_0'];
const REFERENCE = 'bm=64 bn=64 tm=4 tn=4';
const VARIANTS = beams ? [
  REFERENCE,
  'path=packed bm=8 bn=128 tm=1 tn=4',
  'path=packed bm=16 bn=64 tm=2 tn=2',
  'path=matrix bm=32 bn=64 fm=2 fn=2 step=64',
  'path=matrix bm=32 bn=128 fm=2 fn=2 step=64',
  'path=matrix bm=32 bn=128 fm=2 fn=4 step=32',
  'path=matrix bm=32 bn=128 fm=2 fn=2 step=32',
] : [
  REFERENCE,
  'bm=128 bn=128 tm=8 tn=8',
  'bm=128 bn=64 tm=8 tn=4',
  'bm=64 bn=128 tm=4 tn=8',
  'bm=64 bn=64 tm=8 tn=4',
  'bm=64 bn=64 tm=8 tn=8',
  'bm=64 bn=32 tm=4 tn=4',
  'bm=32 bn=32 tm=4 tn=4',
  'path=f16 bm=64 bn=64 tm=4 tn=4',
  'path=f16 bm=128 bn=64 tm=8 tn=4',
  'path=f16 bm=128 bn=128 tm=8 tn=8',
  'path=matrix bm=128 bn=128 fm=4 fn=2 step=64',
  'path=matrix bm=128 bn=128 fm=4 fn=4 step=64',
  'path=matrix bm=128 bn=128 fm=4 fn=4 step=32',
  'path=matrix bm=128 bn=128 fm=4 fn=2 step=32',
  'path=matrix bm=128 bn=64 fm=4 fn=2 step=64',
  'path=matrix bm=64 bn=64 fm=2 fn=2 step=64',
  'path=matrix bm=64 bn=64 fm=2 fn=2 step=32',
  'path=matrix bm=128 bn=64 fm=4 fn=2 step=32',
  'path=matrix bm=64 bn=32 fm=2 fn=2 step=64',
  'path=matrix bm=256 bn=128 fm=4 fn=4 step=32',
  'path=packed bm=64 bn=128 tm=4 tn=8',
  'path=packed bm=64 bn=64 tm=4 tn=4',
  'path=packed bm=32 bn=32 tm=2 tn=2',
];
const pathOf = (variant) => /path=(\w+)/.exec(variant)?.[1] ?? 'f32';

const argument = (name) => process.argv[process.argv.indexOf(name) + 1];
const only = process.argv.includes('--only') ? new RegExp(argument('--only')) : /./;
const all = process.argv.includes('--all');

const random = randomSource(1);
const bits = (n) => Uint32Array.from({ length: n }, () => random() * 2 ** 32);

/** Random blocks: as quick to make as to look at. */
function weightOf(type, n) {
  const scale = f16Bits(0.01) | (f16Bits(-0.01) << 16);
  if (type === 'f16') return { quants: Uint32Array.from({ length: n / 2 }, () => f16Bits(gaussian(random) * 0.05) * 65537), scales: new Uint32Array(4) };
  if (type === 'q4_0') return { quants: bits(n / 8), scales: new Uint32Array(n / 64).fill(scale) };
  if (type === 'q8_0') return { quants: bits(n / 4), scales: new Uint32Array(n / 64).fill(scale) };
  return { quants: bits(n / 8), scales: bits((n / 64) * 3).map((word, i) => (i % 3 === 2 ? scale : word)) };
}

async function readAll(gpu, buffer, at, n) {
  const staging = gpu.device.createBuffer({ size: n * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, at * 4, staging, 0, n * 4);
  gpu.device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const read = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return read;
}

const gpu = await open({ adapter: process.env.SOTTO_GPU_ADAPTER ?? 'gpu' });
const { info } = gpu.adapter;
console.log(`${info.vendor} ${info.architecture} ${info.device} ${info.description}, subgroups ${info.subgroupMinSize}-${info.subgroupMaxSize}`);
for (const c of info.subgroupMatrixConfigs ?? []) console.log(`  matrices ${c.M}x${c.N}x${c.K} ${c.componentType} -> ${c.resultComponentType}`);
const needs = { f32: [], f16: ['shader-f16'], matrix: ['shader-f16', 'chromium-experimental-subgroup-matrix'], packed: ['packed_4x8_integer_dot_product'] };
const possible = VARIANTS.filter((v) => only.test(v) && needs[pathOf(v)].every((feature) => gpu.has(feature)));

for (const [n, cols, out] of SHAPES) {
  const best = new Map();
  for (const type of TYPES) {
    const weight = Object.fromEntries(Object.entries(weightOf(type, cols * out)).map(([name, array]) => [name, gpu.buffer(array)]));
    const memory = gpu.buffer(Float32Array.from({ length: n * (cols + out) }, (_, i) => (i < n * cols ? gaussian(random) : 0)));
    const vec = gpu.buffer(new Float32Array(4));
    const options = { n, in: cols, out, type, weight, memory, vec, x: 0, stride: cols, y: n * cols, yStride: out, act: 'none', bias: -1, res: 0 };
    await manyLinear(gpu, REFERENCE, options);
    const want = await readAll(gpu, memory, n * cols, n * out);
    const rms = Math.sqrt(want.reduce((sum, v) => sum + v * v, 0) / want.length);
    const flop = 2 * n * cols * out;
    for (const variant of possible) {
      if (pathOf(variant) === 'packed' && type === 'f16') continue;
      if (!all && type !== TYPES[0] && best.get(pathOf(variant))?.variant !== variant) continue;
      const label = `${`${n}x${cols}->${out}`.padEnd(17)} ${type.padEnd(5)} ${variant.padEnd(55)}`;
      try {
        // Long enough for the clock of the GPU to rise.
        const guess = await manyLinear(gpu, `${variant} subgroup=${info.subgroupMaxSize}`, { ...options, repeat: 4 });
        const { ms, prepare } = await manyLinear(gpu, `${variant} subgroup=${info.subgroupMaxSize}`, { ...options, repeat: Math.min(2000, Math.ceil(20 / guess.ms)) });
        const got = await readAll(gpu, memory, n * cols, n * out);
        let worst = 0;
        for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - want[i]) || 0);
        const wrong = got.some(Number.isNaN) ? ' NaN!' : '';
        console.log(`${label} ${ms.toFixed(4)} ms ${(flop / ms / 1e9).toFixed(1).padStart(6)} TFLOP/s  prepare ${prepare.toFixed(4)}  error ${(worst / rms).toExponential(1)}${wrong}`);
        if (type === TYPES[0] && ms < (best.get(pathOf(variant))?.ms ?? Infinity)) best.set(pathOf(variant), { ms, variant });
      } catch (error) {
        console.log(`${label} ${error.message.split('\n')[0]}`);
      }
    }
    for (const buffer of [memory, vec, weight.quants, weight.scales]) buffer.destroy();
  }
}
gpu.close();
