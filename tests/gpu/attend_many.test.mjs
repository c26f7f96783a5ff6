// Attention of many queries (rotate_store, kv_fill, attend_tile): against f64, on every software adapter.
import assert from 'node:assert/strict';
import test from 'node:test';
import { asHalf, attend, attendMatrix, packHalves, random, randoms, turned, unpackHalves, worst } from './attend_reference.mjs';
import { f, open, testAdapters } from './harness.mjs';

const NONE = 0xffffffff;
const EPS = 1e-6;
const row = (list, at, n) => Array.from(list.subarray(at, at + n));

/** n rows of q, k and v to places slots. */
async function store(gpu, { n, dim, n_head, group, slots, turn = 1, q_gain = 0, k_gain = 0 }) {
  const next = random(3);
  const d_q = n_head * group * dim;
  const d_kv = n_head * dim;
  const [q, k] = [1, 1 + n * (d_q + 3)];
  const v = k + n * d_kv;
  const turns = v + n * (d_kv + 2);
  const act = randoms(turns + n * dim, next, 4);
  const gains = randoms(2 * dim + 1, next);
  const n_slots = Math.max(...slots) + 2;
  const expected = { act: act.slice(), keys: new Float32Array(n_slots * d_kv), values: new Float32Array(n_slots * d_kv) };
  for (let i = 0; i < n; i++) {
    const angles = turn ? row(act, turns + i * dim, dim) : undefined;
    for (let head = 0; turn && head < n_head * group; head++) {
      const at = q + i * (d_q + 3) + head * dim;
      expected.act.set(turned(row(act, at, dim), angles, q_gain ? row(gains, 1, dim) : undefined, EPS), at);
    }
    for (let head = 0; head < n_head; head++) {
      const x = turned(row(act, k + i * d_kv + head * dim, dim), angles, turn && k_gain ? row(gains, 1 + dim, dim) : undefined, EPS);
      expected.keys.set(x.map(asHalf), slots[i] * d_kv + head * dim);
      expected.values.set(row(act, v + i * (d_kv + 2) + head * dim, dim).map(asHalf), slots[i] * d_kv + head * dim);
    }
  }
  const n_q_head = turn ? n_head * group : 0;
  const words = () => new Uint32Array((n_slots * d_kv) / 2);
  const got = await gpu.run(`rotate_store turn=${turn}`, {
    params: [n, n_q_head, n_head, dim, q, d_q + 3, k, d_kv, v, d_kv + 2, turns, dim, q_gain ? 1 : NONE, k_gain ? 1 + dim : NONE, f(EPS), 1],
    bindings: { 1: { act }, 2: { gains }, 3: { ints: Int32Array.from([7, ...slots]) }, 10: { keys: words() }, 11: { values: words() } },
    grid: [Math.ceil((n * (n_q_head + 2 * n_head)) / 8), 1, 1],
  });
  assert.ok(worst(got.act, expected.act) < 1e-5, `dim ${dim}: q`);
  assert.ok(worst(unpackHalves(got.keys), expected.keys) < 1e-3, `dim ${dim}: keys`);
  assert.ok(worst(unpackHalves(got.values), expected.values) < 1e-6, `dim ${dim}: values`);
}

/**
 * n queries; sees(i): [first, end) of query i. By subgroup matrices where `matrix` says [blocks, places, across]; near: how exact.
 */
async function tile(gpu, { n, dim, n_head, group, n_slots, sees, table, ring = n_slots, cap = 0, size = 1, r = 4, matrix, near = 1e-5 }) {
  const next = random(5);
  const d_q = n_head * group * dim;
  const d_kv = n_head * dim;
  const q = 1;
  const y = q + n * (d_q + 1);
  const act = randoms(y + n * (d_q + 2), next, size);
  const keys = Float32Array.from(randoms(n_slots * d_kv, next, size), asHalf);
  const values = Float32Array.from(randoms(n_slots * d_kv, next, size), asHalf);
  const scale = 1 / Math.sqrt(dim) / size;
  const expected = act.slice();
  const slot = (i) => (table ? table[i] : i % ring);
  for (let i = 0; i < n; i++)
    for (let head = 0; head < n_head * group; head++) {
      const seen = [];
      const [first, end] = sees ? sees(i) : [0, n_slots];
      for (let j = first; j < end; j++) seen.push(slot(j) * d_kv + Math.floor(head / group) * dim);
      const rowsOf = (list) => seen.map((at) => row(list, at, dim));
      const out = attend(row(act, q + i * (d_q + 1) + head * dim, dim), rowsOf(keys), rowsOf(values), scale, cap);
      expected.set(out, y + i * (d_q + 2) + head * dim);
    }
  const firsts = Array.from({ length: n }, (_, i) => (sees ? sees(i)[0] : 0));
  const lengths = Array.from({ length: n }, (_, i) => (sees ? sees(i)[1] - sees(i)[0] : 0));
  const ints = Int32Array.from([0, ...firsts, ...lengths, ...(table ?? [])]);
  const n_tiles = Math.ceil((n * group) / (16 * (matrix ? matrix[0] : r)));
  const kernel = matrix ? attendMatrix(dim, ...matrix) : `attend_tile dim=${dim} r=${r} parts=${Math.ceil(dim / 64)} rolled=${gpu.software}`;
  const got = await gpu.run(`${kernel} table=${table ? 1 : 0} whole=${sees ? 0 : 1}`, {
    params: [n, n_head, group, q, d_q + 1, y, d_q + 2, f(scale), f(cap), ring, 1 + 2 * n, firsts.some((x) => x) ? 1 : NONE, 1 + n, n_tiles],
    bindings: { 1: { act }, 3: { ints }, 10: { keys: packHalves(keys) }, 11: { values: packHalves(values) } },
    grid: [n_tiles * n_head, 1, 1],
  });
  const text = `${kernel}: ${JSON.stringify({ n, dim, n_head, group, n_slots, table: !!table, cap, size, r })}`;
  // y of all rows, and what lies around it as it was.
  assert.ok(worst(got.act, expected) < near, `${text}: off by ${worst(got.act, expected)}`);
}

for (const adapter of testAdapters())
  test(`many queries, ${adapter}`, async () => {
    const gpu = await open({ adapter });
    await store(gpu, { n: 3, dim: 16, n_head: 2, group: 3, slots: [4, 0, 1], q_gain: 1, k_gain: 1 });
    await store(gpu, { n: 9, dim: 256, n_head: 1, group: 1, slots: [9, 8, 7, 6, 5, 4, 3, 2, 1], k_gain: 1 });
    await store(gpu, { n: 2, dim: 80, n_head: 2, group: 1, slots: [1, 3], turn: 0 });

    const [n, cols] = [5, 24];
    const act = randoms(3 + 2 * n * (cols + 1), random(9), 1e5); // some past the largest half
    const rows = (at) => Float32Array.from({ length: n * cols }, (_, i) => asHalf(act[at + Math.floor(i / cols) * (cols + 1) + (i % cols)]));
    const filled = await gpu.run('kv_fill', {
      params: [n, cols, 3, cols + 1, 3 + n * (cols + 1), cols + 1],
      bindings: { 1: { act }, 10: { keys: new Uint32Array((n * cols) / 2) }, 11: { values: new Uint32Array((n * cols) / 2) } },
      grid: [1, 1, 1],
    });
    assert.ok(worst(unpackHalves(filled.keys), rows(3)) < 1e-6, 'kv_fill: keys');
    assert.ok(worst(unpackHalves(filled.values), rows(3 + n * (cols + 1))) < 1e-6, 'kv_fill: values');

    await tile(gpu, { n: 70, dim: 64, n_head: 2, group: 1, n_slots: 75 });
    await tile(gpu, { n: 33, dim: 8, n_head: 1, group: 2, n_slots: 130, size: 100 });
    // A window that slides over a ring; rows that see nothing of the first places of their tile.
    const window = (i) => [Math.max(0, i + 1 - 20), i + 1];
    await tile(gpu, { n: 90, dim: 16, n_head: 1, group: 3, n_slots: 128, ring: 127, sees: (i) => window(i + 100), cap: 3, r: 2 });
    await tile(gpu, { n: 20, dim: 80, n_head: 2, group: 1, n_slots: 40, sees: (i) => [0, i + 1], table: Array.from({ length: 40 }, (_, i) => (i * 7) % 40) });
    if (adapter === 'swiftshader') {
      await tile(gpu, { n: 40, dim: 256, n_head: 1, group: 2, n_slots: 70, sees: (i) => [0, i + 30] });
      await tile(gpu, { n: 17, dim: 128, n_head: 1, group: 1, n_slots: 9, r: 2 });
      await tile(gpu, { n: 9, dim: 32, n_head: 1, group: 1, n_slots: 1, r: 2 });
    }
    gpu.close();
  });

// Gemma's and Whisper's shapes and odd ones; rows whose largest score comes late, so that sums are scaled anew.
test('many queries by subgroup matrices', async () => {
  const adapters = testAdapters();
  let ran = 0;
  for (const adapter of adapters) {
    const gpu = await open({ adapter });
    const { subgroupMinSize, subgroupMaxSize } = gpu.adapter.info;
    if (gpu.has('shader-f16') && gpu.has('chromium-experimental-subgroup-matrix') && subgroupMinSize === 32 && subgroupMaxSize === 32) {
      ran++;
      const near = 3e-3;
      await tile(gpu, { n: 70, dim: 64, n_head: 2, group: 1, n_slots: 200, matrix: [4, 64, 1], near });
      await tile(gpu, { n: 70, dim: 64, n_head: 2, group: 1, n_slots: 200, matrix: [2, 64, 1], near });
      await tile(gpu, { n: 33, dim: 16, n_head: 1, group: 2, n_slots: 130, size: 20, matrix: [2, 32, 1], near: 2e-2 });
      const window = (i) => [Math.max(0, i + 1 - 20), i + 1];
      await tile(gpu, { n: 90, dim: 80, n_head: 1, group: 3, n_slots: 128, ring: 127, sees: (i) => window(i + 100), cap: 3, matrix: [4, 32, 1], near });
      const table = Array.from({ length: 40 }, (_, i) => (i * 7) % 40);
      await tile(gpu, { n: 20, dim: 128, n_head: 2, group: 1, n_slots: 40, sees: (i) => [0, i + 1], table, matrix: [4, 32, 1], near });
      await tile(gpu, { n: 100, dim: 256, n_head: 1, group: 4, n_slots: 130, sees: (i) => [0, i + 30], matrix: [4, 32, 2], near });
      await tile(gpu, { n: 9, dim: 32, n_head: 1, group: 1, n_slots: 1, matrix: [4, 64, 1], near });
    }
    gpu.close();
  }
  if (ran === 0) console.log(`skip: none of ${adapters} has subgroup matrices and subgroups of 32`);
  const gpu = await open({ adapter: 'null' });
  for (const whole of [0, 1]) await gpu.pipeline(`${attendMatrix(64, 2, 32, 1, 64)} whole=${whole} table=${1 - whole}`);
  gpu.close();
});
