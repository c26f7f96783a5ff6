// Products of many rows against sums in f64: every path that the adapter has, tiles, types of weights, sizes that tiles do not divide.
import assert from 'node:assert/strict';
import test from 'node:test';
import { compose } from '../../js/src/gpu/compose.ts';
import { open, testAdapters } from './harness.mjs';
import { manyLinear } from './many.mjs';
import { blockOf, gaussian, randomSource, randomWeight, TYPES } from './quants.mjs';

// erf by its series, and past 3 by its continued fraction.
function erf(x) {
  if (Math.abs(x) > 3) {
    let f = 0;
    for (let n = 60; n > 0; n--) f = n / 2 / (Math.abs(x) + f);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (Math.abs(x) + f));
  }
  let sum = 0;
  for (let n = 0, term = x; n < 80; n++, term *= (-x * x) / n) sum += term / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** One product on random numbers; fails where a result is further than `near` of what rounding of all its terms could be from the true one. */
async function check(gpu, variant, { n, in: cols, out, type = 'f32', stride = cols, bias = false, act = 'none', res = 0, size = 1, near }) {
  const random = randomSource(n * 7919 + cols * 31 + out);
  const weight = randomWeight(type, out, cols, random, 0.1);
  const yStride = out + 3;
  const x = 5;
  const y = x + (n - 1) * stride + cols + 7;
  const memory = new Float32Array(y + n * yStride + 9).map((_, i) => (i < y - 7 ? gaussian(random) * size : 1000 + i));
  const vec = new Float32Array(3 + out + n * (out + 1)).map(() => gaussian(random) * size);
  const residual = res === 2 ? { at: 3 + out, stride: out + 1, from: vec } : { at: y, stride: yStride, from: memory };
  if (res === 1) for (let i = y; i < y + n * yStride; i++) memory[i] = gaussian(random);
  const got = await manyLinear(gpu, variant, {
    n, in: cols, out, type, weight, memory, vec, x, stride, y, yStride, act,
    bias: bias ? 3 : -1,
    res, resAt: residual.at, resStride: residual.stride,
  });
  const label = `${variant} ${type} ${n}x${cols}->${out}`;
  for (let r = 0; r < n; r++)
    for (let c = 0; c < out; c++) {
      let sum = 0;
      let magnitude = 0;
      for (let k = 0; k < cols; k++) {
        const term = memory[x + r * stride + k] * weight.values[c * cols + k];
        sum += term;
        magnitude += Math.abs(term);
      }
      if (bias) sum += vec[3 + c];
      if (act === 'gelu') sum *= 0.5 * (1 + erf(sum / Math.SQRT2));
      if (res) sum += residual.from[residual.at + r * residual.stride + c];
      const at = y + r * yStride + c;
      assert.ok(Math.abs(got[at] - sum) <= near * magnitude + 2e-6 * (1 + Math.abs(sum)), `${label} [${r}, ${c}]: ${got[at]}, not ${sum}`);
    }
  // What is not y stays as it was.
  for (let i = 0; i < memory.length; i++)
    if (i < y || i >= y + n * yStride || (i - y) % yStride >= out) assert.equal(got[i], memory[i], `${label}: element ${i} was written`);
}

const MATRIX = 'path=matrix bm=64 bn=64 fm=2 fn=2 step=32 subgroup=32';
const paths = [
  {
    name: 'f32',
    needs: [],
    near: 1e-6,
    small: 'bm=16 bn=16 tm=2 tn=2',
    tiles: ['bm=64 bn=64 tm=4 tn=4', 'bm=128 bn=128 tm=8 tn=8'],
    types: TYPES,
  },
  {
    name: 'f16',
    needs: ['shader-f16'],
    near: 2e-3,
    small: 'path=f16 bm=32 bn=32 tm=2 tn=2',
    tiles: ['path=f16 bm=64 bn=64 tm=4 tn=4'],
    types: ['q4_0'],
  },
  {
    name: 'matrix',
    needs: ['shader-f16', 'chromium-experimental-subgroup-matrix'],
    near: 1.5e-3,
    small: MATRIX,
    tiles: [
      MATRIX,
      'path=matrix bm=128 bn=128 fm=4 fn=2 step=64 subgroup=32',
      'path=matrix bm=128 bn=128 fm=4 fn=4 step=32 subgroup=32',
      'path=matrix bm=128 bn=64 fm=4 fn=2 step=64 subgroup=32',
      'path=matrix bm=128 bn=64 fm=4 fn=2 step=32 subgroup=32',
      'path=matrix bm=64 bn=32 fm=2 fn=2 step=64 subgroup=32',
      'path=matrix bm=32 bn=64 fm=2 fn=2 step=64 subgroup=32', // of five beams: bench/gpu/many.mjs
      'path=matrix bm=32 bn=128 fm=2 fn=4 step=32 subgroup=32',
    ],
    types: TYPES.filter((type) => type !== 'f32'),
  },
  {
    name: 'packed',
    needs: ['packed_4x8_integer_dot_product'],
    near: 6e-5, // a sum of roundings of 1 / 65024 of the greatest of 32
    small: 'path=packed bm=32 bn=32 tm=2 tn=2',
    tiles: ['path=packed bm=64 bn=64 tm=4 tn=4', 'path=packed bm=64 bn=128 tm=4 tn=8', 'path=packed bm=8 bn=128 tm=1 tn=4'],
    types: ['q4_0', 'q5_0', 'q8_0'],
  },
];

for (const adapter of testAdapters())
  for (const { name, needs, near, small, tiles, types } of paths)
    test(`linear_many ${name}, ${adapter}`, async (t) => {
      const gpu = await open({ adapter, limits: name === 'matrix' ? 'adapter' : 'default' });
      const missing = needs.find((feature) => !gpu.has(feature));
      if (missing) {
        gpu.close();
        return t.skip(`no ${missing} on ${adapter}`);
      }
      const run = (variant, options) => check(gpu, variant, { near, type: { matrix: 'bf16', packed: 'q8_0' }[name] ?? 'f32', ...options });
      const in_ = name === 'packed' ? 160 : 72;
      // Drivers for the CPU compile for seconds: there the great tiles on one of them only, and every type.
      for (const tile of adapter === 'lavapipe' ? [] : tiles) await run(tile, { n: 67, in: in_, out: 131, bias: true, act: 'gelu', res: 1 });
      for (const type of adapter === 'lavapipe' && name === 'f32' ? ['q5_1'] : types)
        await run(small, { n: 18, in: blockOf(type) === 1 ? 45 : 256, out: 37, type, bias: true, res: 2 });
      await run(small, { n: 35, in: in_, out: 67, bias: true, act: 'gelu', res: 1 });
      // Rows that overlap; a single row, column and element; sizes of numbers.
      await run(small, { n: 40, in: 96, out: 33, stride: 32 });
      await run(small, { n: 1, in: name === 'packed' ? 32 : 1, out: 1 });
      await run(small, { n: 32, in: 32, out: 64, size: 1e-20 });
      await run(small, { n: 20, in: 160, out: 20, size: 1e6 });
      gpu.close();
    });

test('linear_many by subgroup matrices compiles', async () => {
  const gpu = await open({ adapter: 'null', limits: 'default' });
  for (const type of TYPES.filter((name) => name !== 'f32'))
    await gpu.pipeline(`linear_many_matrix ${MATRIX} type0=${type} bias=1 act=gelu res=1`);
  await gpu.pipeline('linear_many_matrix bm=128 bn=64 fm=4 fn=4 step=32 subgroup=64 type0=q4_0 bias=0 act=none res=2');
  // Tiles that are too large for this device: their text alone.
  for (const tile of paths.find(({ name }) => name === 'matrix').tiles)
    for (const type of ['f16', 'q8_0', 'q4_0']) {
      gpu.device.pushErrorScope('validation');
      gpu.device.createShaderModule({ code: compose(`linear_many_matrix ${tile} type0=${type} bias=0 act=none res=0`, gpu.sources) });
      assert.equal((await gpu.device.popErrorScope())?.message, undefined);
    }
  gpu.close();
});
