// Products of few rows, with all that can come before and after them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { f, open, testAdapters } from './harness.mjs';
import { blockOf, gaussian, randomSource, randomWeight, TYPES } from './quants.mjs';

const QUADS = { f32: 1, f16: 2, bf16: 2, q8_0: 4 };
const NONE = -1;

/** erf by its series, and by its continued fraction where that does not converge fast. */
function erf(x) {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  let term = a;
  let sum = a;
  for (let n = 1; n < 200; n++) {
    term *= (-a * a) / n;
    sum += term / (2 * n + 1);
  }
  return Math.sign(x) * Math.min(1, (2 / Math.sqrt(Math.PI)) * sum);
}

const gelu = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  tanh: (x) => 0.5 * x * (1 + Math.tanh(0.7978845608 * (x + 0.044715 * x ** 3))),
};

const meanSquare = (v) => v.reduce((all, x) => all + x * x, 0) / v.length;

/** One case against the reference in f64. lavapipe compiles each for seconds: it gets every fourth. */
let cases = 0;
async function check(gpu, random, options) {
  if (gpu.name === 'lavapipe' && cases++ % 4 > 0) return;
  const o = { rows: 1, cols: 64, types: ['q4_0'], outs: [40], norm: 0, add: 0, act: 0, bias: 0, res: 0, geglu: 0, size: 1, ...options };
  const { rows, cols } = o;
  const n = o.types.length;
  const quads = QUADS[o.types[0]] ?? 8;
  const units = Math.ceil(cols / (4 * quads));
  const { threads = 48, lanes = 12, each = 2, deep = 2, tiles = 1 } = o;
  const room = o.room ?? rows * quads * (units | 1);
  const line = (Math.floor(room / (rows * quads)) - 1) | 1;
  const whole = line >= units;
  const piece = whole ? units : Math.floor(line / (lanes * deep)) * lanes * deep;
  assert.ok(piece > 0);

  // act: x, add, sum, res, y of each product, all with strides and odd offsets; vec: gains and biases.
  const act = [];
  const vec = [];
  const place = (list, count, make) => {
    list.push(7, 7, 7);
    const at = list.length;
    for (let i = 0; i < count; i++) list.push(make());
    return at;
  };
  const stride = cols + 5;
  const normal = () => Math.fround(gaussian(random) * o.size);
  const shift = o.shift ?? 0;
  const x = place(act, rows * stride, () => Math.fround(normal() + shift));
  const add = place(act, rows * stride, normal);
  const sum = place(act, rows * stride, () => 0);
  const widest = Math.max(...o.outs);
  const resStride = widest + 1;
  const res = place(o.res === 2 ? vec : act, rows * resStride, normal);
  const yStride = widest + 3;
  const y = o.outs.map(() => place(act, rows * yStride, () => 0));
  const gain = place(vec, cols, () => Math.fround(1 + 0.3 * gaussian(random)));
  const normBias = place(vec, cols, () => Math.fround(0.2 * gaussian(random)));
  const addGain = place(vec, cols, () => Math.fround(1 + 0.3 * gaussian(random)));
  const bias = o.outs.map((out, i) => (o.bias && i !== 1 ? place(vec, out, normal) : NONE));
  if (o.inPlace) for (let i = 0; i < rows * resStride; i++) act[y[0] + i] = act[res + i];

  const weights = o.types.map((type, i) => randomWeight(type, o.outs[i], cols, random, 1 / Math.sqrt(cols)));
  const perGroup = (threads / lanes) * each * tiles;
  let groups = 0;
  const products = [0, 1, 2].flatMap((i) => {
    if (i >= n) return [0, 0, 0, 0, 0];
    groups += o.geglu && i === 1 ? 0 : Math.ceil(o.outs[i] / perGroup);
    return [y[i], yStride, bias[i], o.outs[i], groups];
  });
  const resAt = o.inPlace ? y[0] : res;
  // What attention left: parts of rows, of heads, of stretches; then pairs of largest score and sum, of which one saw nothing.
  const { heads = 0, stretches = 0 } = o;
  const dim = heads ? cols / heads : 0;
  const scratch = Float32Array.from({ length: rows * heads * stretches * (dim + 2) }, () => gaussian(random));
  const stats = rows * heads * stretches * dim;
  for (let i = stats; i < scratch.length; i += 2) scratch.set(i === stats + 2 ? [-3e38, 0] : [5 * gaussian(random), 1 + random()], i);
  const joined = (r, c) => {
    const first = (r * heads + Math.floor(c / dim)) * stretches;
    const all = Array.from({ length: stretches }, (_, s) => scratch.subarray(stats + 2 * (first + s)));
    const top = Math.max(...all.map(([score]) => score));
    const sum = all.reduce((total, [score, n]) => total + Math.exp(score - top) * n, 0);
    return all.reduce((total, [score], s) => total + Math.exp(score - top) * scratch[(first + s) * dim + (c % dim)], 0) / sum;
  };
  const params = [cols, x, stride, add, stride, addGain, sum, stride, gain, normBias, f(1e-6), resAt, o.inPlace ? yStride : resStride, piece, tiles, ...products, dim, stretches, stats];
  const variant = [
    `linear_few rows=${rows} n=${n}`,
    ...o.types.map((type, i) => `type${i}=${type}`),
    `norm=${o.norm} add=${o.add} act=${o.act} bias=${o.bias} res=${o.res} geglu=${o.geglu}`,
    `threads=${threads} lanes=${lanes} each=${each} deep=${deep} room=${room} whole=${whole ? units : 0} sg=${o.norm === 'layer' ? gpu.subgroup : 0} heads=${heads}`,
  ].join(' ');
  const before = Float32Array.from(act);
  const bindings = { 1: { act: before }, 2: { vec: Float32Array.from(vec) } };
  if (heads) bindings[12] = { scratch };
  weights.forEach((w, i) => Object.assign(bindings, { [4 + 2 * i]: { q: w.quants }, [5 + 2 * i]: { s: w.scales } }));
  const split = o.split ?? groups + 1; // a grid in two dimensions, larger than needed
  const got = (await gpu.run(variant, { params, bindings, grid: [split, Math.ceil((groups + 1) / split), 1] })).act;

  for (let r = 0; r < rows; r++) {
    const row = (list, at) => Array.from({ length: cols }, (_, c) => list[at + r * stride + c]);
    let v = heads ? row(before, x).map((_, c) => joined(r, c)) : row(before, x);
    if (o.add) {
      const a = row(before, add);
      const scale = o.add === 2 ? 1 / Math.sqrt(meanSquare(a) + 1e-6) : 1;
      v = v.map((value, c) => value + a[c] * scale * (o.add === 2 ? vec[addGain + c] : 1));
      const stored = row(got, sum);
      v.forEach((value, c) => near(stored[c], value, 1e-6 * (o.size + Math.abs(shift)) * 10, `${variant} sum [${r}, ${c}]`));
    }
    if (o.norm === 'rms') {
      const scale = 1 / Math.sqrt(meanSquare(v) + 1e-6);
      v = v.map((value, c) => value * scale * vec[gain + c]);
    } else if (o.norm === 'layer') {
      const mean = v.reduce((all, value) => all + value, 0) / cols;
      const scale = 1 / Math.sqrt(meanSquare(v.map((value) => value - mean)) + 1e-6);
      v = v.map((value, c) => (value - mean) * scale * vec[gain + c] + vec[normBias + c]);
    }
    const dot = (i, out) => {
      let all = 0;
      let size = 0;
      for (let c = 0; c < cols; c++) {
        const term = weights[i].values[out * cols + c] * v[c];
        all += term;
        size += Math.abs(term);
      }
      return { all, size };
    };
    for (let i = 0; i < (o.geglu ? 1 : n); i++)
      for (let out = 0; out < widest + 3; out++) {
        const at = y[i] + r * yStride + out;
        if (out >= o.outs[i]) {
          assert.equal(got[at], before[at], `${variant}: y past its end`);
          continue;
        }
        const { all, size } = dot(i, out);
        let want = all;
        let scale = size;
        if (o.geglu) {
          const up = dot(1, out);
          want = gelu.tanh(all) * up.all;
          scale = size * up.size;
        }
        if (o.bias && bias[i] !== NONE) want += vec[bias[i] + out];
        if (o.act === 'gelu') want = gelu.gelu(want);
        if (o.res) want += (o.res === 2 ? vec : before)[resAt + r * (o.inPlace ? yStride : resStride) + out];
        near(got[at], want, 3e-6 * (scale + o.size) * (1 + Math.abs(shift)), `${variant} y${i} [${r}, ${out}]`);
      }
  }
}

async function openGpu(adapter) {
  const gpu = await open({ adapter });
  return Object.assign(gpu, { name: adapter });
}

function near(got, want, tolerance, what) {
  assert.ok(Math.abs(got - want) <= tolerance, `${what}: ${got}, not ${want}`);
}

for (const adapter of testAdapters()) {
  test(`products of few rows, ${adapter}`, async () => {
    const gpu = await openGpu(adapter);
    const random = randomSource(1);
    const small = { threads: 12, lanes: 3, each: 1, deep: 1 };
    // Every type, with rows that fit nothing; dense ones with columns that fit nothing too.
    for (const type of TYPES) {
      const block = blockOf(type);
      await check(gpu, random, { ...small, types: [type], rows: 2, cols: block === 1 ? 131 : block === 32 ? 160 : 512, outs: [13] });
      if (block === 1) await check(gpu, random, { ...small, types: [type], rows: 2, cols: 1, outs: [1], room: 2 * 2 });
    }
    await check(gpu, random, { types: ['q5_1'], cols: 960, outs: [100], deep: 3, tiles: 4 });
    gpu.close();
  });

  test(`norms and sums before products, ${adapter}`, async () => {
    const gpu = await openGpu(adapter);
    const random = randomSource(2);
    const small = { types: ['f32'], threads: 20, lanes: 5, each: 1, deep: 1 };
    await check(gpu, random, { ...small, norm: 'rms', add: 0, cols: 203, outs: [5] });
    await check(gpu, random, { ...small, norm: 'rms', add: 2, cols: 203, rows: 2, outs: [5] });
    await check(gpu, random, { ...small, norm: 'layer', add: 1, cols: 203, rows: 2, outs: [5] });
    await check(gpu, random, { ...small, norm: 'layer', cols: 1, outs: [3] });
    await check(gpu, random, { ...small, norm: 'layer', cols: 300, outs: [3], shift: 100 });
    // In pieces, the last of which is not full.
    await check(gpu, random, { ...small, norm: 0, cols: 203, rows: 2, outs: [9], room: 35, tiles: 2 });
    await check(gpu, random, { ...small, norm: 'rms', add: 2, cols: 203, rows: 2, outs: [5], room: 35 });
    await check(gpu, random, { ...small, norm: 'layer', add: 1, cols: 203, rows: 2, outs: [5], room: 35 });
    gpu.close();
  });

  test(`several products, what follows them, and geglu, ${adapter}`, async () => {
    const gpu = await openGpu(adapter);
    const random = randomSource(3);
    const small = { threads: 24, lanes: 4, each: 1, deep: 1 };
    await check(gpu, random, { ...small, norm: 'rms', types: ['q4_K', 'q4_0', 'q6_K'], outs: [70, 20, 21], cols: 256 });
    await check(gpu, random, { ...small, types: ['f16'], bias: 1, res: 1, act: 'gelu', outs: [33], rows: 3 });
    await check(gpu, random, { ...small, types: ['f16', 'bf16'], outs: [9, 20], cols: 90, bias: 1, res: 2, split: 2 });
    await check(gpu, random, { ...small, types: ['f16', 'bf16'], outs: [20, 9], cols: 90, bias: 1, res: 2, act: 'gelu', size: 1e4 });
    await check(gpu, random, { res: 1, inPlace: true, outs: [33], rows: 2 });
    await check(gpu, random, { ...small, heads: 4, stretches: 6, rows: 3, res: 1, inPlace: true, types: ['q8_0'], outs: [21], cols: 128 });
    await check(gpu, random, { ...small, heads: 2, stretches: 32, bias: 1, types: ['q5_0'], outs: [21], cols: 320 });
    await check(gpu, random, { ...small, geglu: 1, norm: 'rms', types: ['q4_0', 'q4_0'], outs: [41, 41], rows: 8, cols: 160 });
    await check(gpu, random, { geglu: 1, norm: 'rms', add: 2, types: ['q4_0', 'q4_0'], outs: [41, 41], cols: 1152, tiles: 2 });
    await check(gpu, random, { ...small, geglu: 1, types: ['f16', 'f16'], outs: [41, 41], size: 1e6 });
    gpu.close();
  });

  test(`numbers that are none end nothing, ${adapter}`, async () => {
    const gpu = await openGpu(adapter);
    const act = new Float32Array(200).fill(NaN);
    act.fill(Infinity, 0, 32);
    const { quants, scales } = randomWeight('q4_0', 8, 64, randomSource(4));
    const variant = 'linear_few rows=1 n=1 type0=q4_0 norm=rms add=0 threads=16 lanes=2 each=1 deep=1 room=16 whole=2';
    const got = await gpu.run(variant, {
      params: [64, 0, 64, 0, 0, 0, 0, 0, 0, 0, f(1e-6), 0, 0, 2, 1, 100, 8, NONE, 8, 1],
      bindings: { 1: { act }, 2: { vec: new Float32Array(64).fill(1) }, 4: { quants }, 5: { scales } },
      grid: [1, 1, 1],
    });
    assert.ok(got.act.subarray(100, 108).every(Number.isNaN));
    assert.ok(got.act.subarray(0, 32).every((x) => x === Infinity));
    gpu.close();
  });
}
