// Norms, tables of positions, softcap and GeGLU on the GPU, beside the same in f64.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f, open, testAdapters } from './harness.mjs';
import { halfStride, rowShare } from './many.mjs';
import { f16Value } from './quants.mjs';

let state = 7;
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32) * 2 - 1;
const randoms = (n, scale = 1) => Float32Array.from({ length: n }, () => random() * scale);

/** The largest difference, relative to the largest value. */
function difference(got, expected) {
  let most = 0;
  const size = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30);
  expected.forEach((value, i) => (most = Math.max(most, Math.abs(got[i] - value) / size)));
  return Number.isFinite(got.reduce((a, b) => a + b, 0)) ? most : Infinity;
}

function normReference({ kind, add }, { n, cols, x, addend, gain, bias, addGain, eps }) {
  const sums = [];
  const rows = [];
  for (let r = 0; r < n; r++) {
    let v = Array.from({ length: cols }, (_, i) => x(r, i));
    if (add > 0) {
      const a = v.map((_, i) => addend(r, i));
      const scale = add === 2 ? 1 / Math.sqrt(a.reduce((s, e) => s + e * e, 0) / cols + eps) : 1;
      v = v.map((e, i) => e + a[i] * scale * (add === 2 ? addGain[i] : 1));
    }
    sums.push(...v);
    const mean = kind === 'layer' ? v.reduce((s, e) => s + e, 0) / cols : 0;
    const scale = 1 / Math.sqrt(v.reduce((s, e) => s + (e - mean) ** 2, 0) / cols + eps);
    rows.push(...v.map((e, i) => (e - mean) * scale * gain[i] + (kind === 'layer' ? bias[i] : 0)));
  }
  return { sums, rows };
}

async function checkNorm(gpu, kind, add, n, cols, scale, offset = 0) {
  const stride = cols + 3;
  const [xAt, addAt, sumAt, rowsAt] = [1, 2, 3, 4].map((i) => i + (i - 1) * n * stride);
  const act = randoms(4 * n * stride + 8, scale).map((v) => v + offset);
  const vec = randoms(3 * cols + 1);
  const eps = 1e-6;
  const params = [
    ...[n, cols, xAt, stride, rowsAt, stride, 1, 1 + cols, f(eps), addAt, stride, 1 + 2 * cols, sumAt, stride],
  ];
  const at = (from) => (r, i) => act[from + r * stride + i];
  const { act: out } = await gpu.run(`norm kind=${kind} add=${add}`, {
    params,
    bindings: { 1: { act }, 2: { vec } },
    grid: [Math.ceil(n / 2), 3, 1],
  });
  const [gain, bias, addGain] = [0, 1, 2].map((i) => vec.subarray(1 + i * cols, 1 + (i + 1) * cols));
  const expected = normReference(
    { kind, add },
    { n, cols, x: at(xAt), addend: at(addAt), gain, bias, addGain, eps },
  );
  const rows = (from) => Array.from({ length: n * cols }, (_, k) => out[from + Math.floor(k / cols) * stride + (k % cols)]);
  const name = `${kind} add=${add} ${n}x${cols} * ${scale}`;
  assert.ok(difference(rows(rowsAt), expected.rows) < (offset ? 1e-4 : 3e-6), name);
  if (add > 0) assert.ok(difference(rows(sumAt), expected.sums) < 3e-6, `${name}: sum`);
  // What lies between rows and before them is as it was.
  const written = new Set();
  for (const from of add > 0 ? [rowsAt, sumAt] : [rowsAt])
    for (let k = 0; k < n * cols; k++) written.add(from + Math.floor(k / cols) * stride + (k % cols));
  assert.ok(act.every((v, i) => written.has(i) || v === out[i]), `${name}: what is not its own`);
}

/** Rows as f16, each divided by the power of two of its greatest element. */
async function checkNormHalf(gpu, kind, add, n, cols, scale) {
  const stride = cols + 3;
  const [xAt, addAt, sumAt] = [1, 2, 3].map((i) => i + (i - 1) * n * stride);
  const act = randoms(3 * n * stride + 8, scale);
  const vec = randoms(3 * cols + 1);
  const eps = 1e-6;
  const quads = halfStride(cols);
  const params = [n, cols, xAt, stride, quads, 1, 1 + cols, f(eps), addAt, stride, 1 + 2 * cols, sumAt, stride];
  const { act: out, half } = await gpu.run(`norm_half kind=${kind} add=${add} ${rowShare(cols)}`, {
    params,
    bindings: { 1: { act }, 2: { vec }, 12: { half: new Uint16Array(4 * n * quads).fill(0x7e00) } },
    grid: [n, 1, 1],
  });
  const at = (from) => (r, i) => act[from + r * stride + i];
  const [gain, bias, addGain] = [0, 1, 2].map((i) => vec.subarray(1 + i * cols, 1 + (i + 1) * cols));
  const expected = normReference({ kind, add }, { n, cols, x: at(xAt), addend: at(addAt), gain, bias, addGain, eps });
  const name = `norm_half ${kind} add=${add} ${n}x${cols} * ${scale}`;
  for (let r = 0; r < n; r++) {
    const should = expected.rows.slice(r * cols, (r + 1) * cols);
    const row = [...half.subarray(4 * r * quads, 4 * (r + 1) * quads - 7)].map(f16Value);
    const e = row.pop();
    const greatest = Math.max(...row.map(Math.abs));
    assert.ok(greatest >= 1 && greatest <= 2, `${name}: the greatest of a row is ${greatest}`);
    assert.ok(row.slice(cols).every((v) => v === 0), `${name}: what is past the row`);
    should.forEach((v, i) => assert.ok(Math.abs(row[i] * 2 ** e - v) < 1e-3 * 2 ** e, `${name}: ${row[i] * 2 ** e}, not ${v}`));
  }
  const sums = expected.sums.map((_, k) => out[sumAt + Math.floor(k / cols) * stride + (k % cols)]);
  if (add > 0) assert.ok(difference(sums, expected.sums) < 3e-6, `${name}: sum`);
}

async function checkRope(gpu, n, half) {
  const pos = Int32Array.from({ length: n }, (_, i) => [0, 1, 2, 100, 4095, 32768, 99999, 100000, 131071][i % 9]);
  const vec = Float32Array.from({ length: half + 1 }, (_, i) => (i === 0 ? 9 : 10000 ** (-(i - 1) / half)));
  const stride = 2 * half + 1;
  const act = new Float32Array(5 + n * stride);
  const { act: out } = await gpu.run('rope_table', {
    params: [n, half, 5, stride, 1, 2],
    bindings: { 1: { act }, 2: { vec }, 3: { ints: Int32Array.of(0, 0, ...pos) } },
    grid: [Math.ceil((n * half) / 64), 1, 1],
  });
  let most = 0;
  for (let r = 0; r < n; r++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(pos[r] * vec[1 + i]);
      const at = 5 + r * stride + i;
      most = Math.max(most, Math.abs(out[at] - Math.cos(angle)), Math.abs(out[at + half] - Math.sin(angle)));
    }
  assert.ok(most < 1e-6, `rope ${n}x${half}: ${most}`);
}

async function checkSoftcap(gpu, n, cols) {
  const act = randoms(3 + n * (cols + 2), 200);
  act[4] = 1e30;
  act[5] = -Infinity;
  act[6] = NaN;
  const { act: out } = await gpu.run('softcap', {
    params: [n, cols, 3, cols + 2, f(30)],
    bindings: { 1: { act } },
    grid: [Math.ceil((n * cols) / 256), 1, 1],
  });
  assert.equal(out[4], 30);
  assert.equal(out[5], -30);
  assert.ok(Number.isNaN(out[6]));
  for (let r = 0; r < n; r++)
    for (let i = r === 0 ? 4 : 0; i < cols; i++) {
      const at = 3 + r * (cols + 2) + i;
      assert.ok(Math.abs(out[at] - 30 * Math.tanh(act[at] / 30)) < 1e-4);
    }
}

async function checkGeglu(gpu, n, cols) {
  const act = randoms(3 * n * cols, 6);
  act[n * cols] = 1e12; // the gate; past any tanh
  act[n * cols + 1] = -1e12;
  const { act: out } = await gpu.run('geglu', {
    params: [n, cols, 0, cols, n * cols, cols, 2 * n * cols, cols],
    bindings: { 1: { act } },
    grid: [Math.ceil(cols / 256), n, 1],
  });
  for (let i = 2; i < n * cols; i++) {
    const x = act[n * cols + i];
    const expected = 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))) * act[2 * n * cols + i];
    assert.ok(Math.abs(out[i] - expected) < 2e-5, `${x}: ${out[i]}, ${expected}`);
  }
  assert.ok(Math.abs(out[0] / (1e12 * act[2 * n * cols]) - 1) < 1e-5);
  assert.ok(Math.abs(out[1]) < 1e6); // 0 but for the rounding of 1 - tanh
}

for (const adapter of testAdapters())
  test(`rows on ${adapter}`, async () => {
    const gpu = await open({ adapter });
    for (const kind of ['rms', 'layer'])
      for (const add of [0, 1, 2])
        for (const [n, cols, scale, offset] of [
          [1, 1, 1],
          [5, 255, 1],
          [3, 257, 1e4],
          [2, 1152, 1e-3],
          [2, 640, 1, 100],
        ])
          await checkNorm(gpu, kind, add, n, cols, scale, offset);
    if (gpu.has('shader-f16')) {
      await checkNormHalf(gpu, 'layer', 0, 3, 384, 1);
      await checkNormHalf(gpu, 'layer', 1, 2, 33, 1e4);
      await checkNormHalf(gpu, 'rms', 2, 2, 1152, 1e-3);
      await checkNormHalf(gpu, 'rms', 0, 1, 2056, 1);
    }
    for (const [n, half] of [
      [9, 128],
      [1, 1],
      [13, 5],
    ])
      await checkRope(gpu, n, half);
    await checkSoftcap(gpu, 3, 301);
    await checkGeglu(gpu, 3, 259);
    gpu.close();
  });
