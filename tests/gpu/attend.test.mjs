// Attention of few queries (attend_few, attend_combine): against f64, on every software adapter.
import assert from 'node:assert/strict';
import test from 'node:test';
import { asHalf, attend, packHalves, random, randoms, turned, unpackHalves, worst } from './attend_reference.mjs';
import { f, open, testAdapters } from './harness.mjs';

const NONE = 0xffffffff;
const EPS = 1e-6;

/** What a thread takes, as gpu_attention.c says. */
function taken(dim, lanes) {
  const block = 256 / lanes;
  const groups = Math.floor(1024 / dim);
  return `units=${Math.ceil(dim / 8 / lanes)} each=${Math.ceil(block / groups)} scores=${Math.ceil(block / 32)}`;
}

/**
 * One call as gpu_attention.c records it. dim, n_head (of keys), group, n (queries), places of the cache.
 * sees: by query [first, end). table: by set, the slots, in chosen where it is so; or ring. fresh, turn, gain, cap, stretches, sg: as in the kernel.
 */
async function few(gpu, c, seed = 7) {
  const next = random(seed);
  const { dim, n_head, group, n, n_slots, sees, table, ring = n_slots, fresh = 0, turn = 0, gain = 0, cap = 0, size = 1 } = c;
  const { sg = 0, lanes = dim > 128 ? 8 : dim > 64 ? 4 : 2 } = c;
  const together = c.together ?? 1;
  const d_q = n_head * group * dim;
  const d_kv = n_head * dim;
  const rows = Math.min(together * group, dim > 128 ? 4 : 8);
  const chunks = Math.ceil((together * group) / rows);
  // Everything at odd offsets, as tensors may lie.
  const q = 3;
  const k = q + n * (d_q + 5);
  const v = k + n * (d_kv + 1);
  const turns = v + n * d_kv;
  const y = turns + n * dim + 1;
  const act = randoms(y + n * (d_q + 2), next, size);
  const gains = randoms(2 * dim + 1, next);
  const keys = Float32Array.from(randoms(n_slots * d_kv, next, size), asHalf);
  const values = Float32Array.from(randoms(n_slots * d_kv, next, size), asHalf);
  const row = (list, at, n_) => Array.from(list.subarray(at, at + n_));
  const slot = (query, i) => (table ? table[Math.floor(query / together)][i] : i % ring);
  const newest = sees.map(([, end], i) => slot(i, end - 1));

  const expected = new Float32Array(n * d_q);
  const expectedKeys = keys.slice();
  const expectedValues = values.slice();
  const turnOf = (i) => (turn ? row(act, turns + i * dim, dim) : undefined);
  for (let i = 0; i < n && fresh; i++)
    for (let head = 0; head < n_head; head++) {
      const x = turned(row(act, k + i * (d_kv + 1) + head * dim, dim), turnOf(i), gain ? row(gains, 1 + dim, dim) : undefined, EPS);
      expectedKeys.set(x.map(asHalf), newest[i] * d_kv + head * dim);
      expectedValues.set(row(act, v + i * d_kv + head * dim, dim).map(asHalf), newest[i] * d_kv + head * dim);
    }
  const scale = 1 / Math.sqrt(dim) / size;
  for (let i = 0; i < n; i++)
    for (let head = 0; head < n_head * group; head++) {
      const x = turned(row(act, q + i * (d_q + 5) + head * dim, dim), turnOf(i), gain && turn ? row(gains, 1, dim) : undefined, EPS);
      const seen = [];
      for (let j = sees[i][0]; j < sees[i][1]; j++) seen.push(slot(i, j));
      const at = (s) => s * d_kv + Math.floor(head / group) * dim;
      const rowsOf = (list) => seen.map((s) => row(list, at(s), dim));
      expected.set(attend(x, rowsOf(expectedKeys), rowsOf(expectedValues), scale, cap), i * d_q + head * dim);
    }

  let widest = 0;
  for (let i = 0; i < n; i += together) {
    const set = sees.slice(i, i + together);
    widest = Math.max(widest, Math.max(...set.map((s) => s[1])) - Math.min(...set.map((s) => s[0])));
  }
  const stretch = Math.ceil(widest / (c.stretches ?? 1));
  const stretches = Math.ceil(widest / stretch);
  const part = stretches > 1 ? 1 : 0;
  const stats = n * n_head * group * stretches * dim;
  const width = table ? table[0].length : 0;
  const ints = Int32Array.from([0, ...(table ?? []).flat(), 0]);
  const params = [q, d_q + 5, k, d_kv + 1, v, d_kv, y, d_q + 2, n_head, group, together, chunks, stretch, ring, 1, width];
  params.push(turns, dim, gain ? 1 : NONE, gain ? 1 + dim : NONE, f(EPS), f(scale), f(cap), stats);
  for (let i = 0; i < n; i++) params.push(...sees[i], newest[i], 0);
  const keyBuffer = gpu.buffer(packHalves(keys));
  const valueBuffer = gpu.buffer(packHalves(values));
  const actBuffer = gpu.buffer(act);
  const scratch = gpu.buffer(new Float32Array(stats + 2 * n * n_head * group * stretches));
  const variant =
    `attend_few d8=${dim / 8} rows=${rows} pairs=${Math.ceil(rows / 2)} lanes=${lanes} ${taken(dim, lanes)} shared=${together > 1 ? 1 : 0} ` +
    `table=${table ? (c.chosen ? 2 : 1) : 0} fresh=${fresh} turn=${turn} part=${part} sg=${sg}`;
  const bindings = { 1: actBuffer, 2: { gains }, 3: { ints }, 13: { chosen: new Uint32Array(ints.buffer) }, 10: keyBuffer, 11: valueBuffer, 12: scratch };
  await gpu.run(variant, { params, bindings, grid: [stretches, n_head * chunks, n / together] });
  if (part)
    await gpu.run(`attend_combine sg=${sg}`, {
      params: [n * n_head * group, n_head * group, dim, stretches, stats, y, d_q + 2],
      bindings: { 1: actBuffer, 12: scratch },
      grid: [n * n_head * group * Math.ceil(dim / 32), 1, 1],
    });
  const after = new Float32Array((await gpu.read(actBuffer)).buffer);
  const got = new Float32Array(n * d_q);
  for (let i = 0; i < n; i++) got.set(after.subarray(y + i * (d_q + 2), y + i * (d_q + 2) + d_q), i * d_q);
  const text = JSON.stringify({ ...c, table: table ? 1 : 0, sees: sees[0] });
  assert.ok(worst(got, expected) < 2e-5, `${text}: y is off by ${worst(got, expected)}`);
  // What lies around y stays.
  for (let i = 0; i < n - 1; i++) assert.equal(after[y + i * (d_q + 2) + d_q], act[y + i * (d_q + 2) + d_q], text);
  if (fresh) {
    const kept = async (buffer) => unpackHalves(await gpu.read(buffer)).slice(0, keys.length);
    assert.ok(worst(await kept(keyBuffer), expectedKeys) < 1e-3, `${text}: keys`);
    assert.ok(worst(await kept(valueBuffer), expectedValues) < 1e-6, `${text}: values`);
  }
  for (const buffer of [keyBuffer, valueBuffer, actBuffer, scratch]) buffer.destroy();
}

// lavapipe takes seconds to compile one variant: it gets those that show what its subgroups and driver do differently.
for (const adapter of testAdapters())
  test(`few queries, ${adapter}`, async () => {
    const gpu = await open({ adapter });
    const sg = gpu.subgroup;
    const one = (sees, more) => few(gpu, { n_head: 1, group: 1, n: 1, n_slots: 40, sees: [sees], ...more });
    const lanes = Math.min(sg, 8);
    await one([3, 37], { dim: 16, n_head: 2 });
    if (sg >= 2) await one([0, 40], { dim: 32, group: 2, sg, lanes });
    else console.log(`skip: ${adapter} has no subgroups`);
    if (adapter === 'lavapipe') return gpu.close();

    for (const dim of [8, 80]) {
      const all = { dim, group: 2, n_head: 2, fresh: 1, turn: 1, gain: 1, cap: 5 };
      await one([0, 1], all);
      await one([3, 38], all);
      await one([0, 34], { ...all, gain: 0, cap: 0 });
    }
    await one([0, 33], { dim: 128, group: 3, n_head: 2 });
    // Stretches, of which some are empty; rings; the whole of a cache.
    await one([0, 150], { dim: 256, group: 4, n_slots: 150, stretches: 4, fresh: 1, turn: 1, gain: 1 });
    await one([95, 170], { dim: 64, n_head: 3, n_slots: 80, ring: 77, stretches: 3 });
    await one([0, 300], { dim: 64, n_head: 3, n_slots: 300, stretches: 40 });
    // Tokens of one sequence, whose keys are stored already.
    const sees = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i, 30 + i]);
    await few(gpu, { dim: 32, n_head: 2, group: 3, n: 8, together: 8, n_slots: 40, sees, stretches: 2, cap: 3 });
    // Beams: tables of their own, of different lengths, that share what is past.
    const past = [9, 3, 4, 30, 31, 2];
    const table = [0, 1, 2].map((i) => [...past, 10 + i, 20 + i].slice(0, 7 + (i % 2)).concat(0).slice(0, 8));
    const beams = table.map((_, i) => [i, 7 + (i % 2)]);
    await few(gpu, { dim: 64, n_head: 2, n: 3, group: 1, n_slots: 40, sees: beams, table, fresh: 1 });
    await few(gpu, { dim: 8, n_head: 1, n: 3, group: 2, n_slots: 40, sees: beams, table, fresh: 1, turn: 1, stretches: 4 });
    await few(gpu, { dim: 16, n_head: 2, n: 3, group: 1, n_slots: 40, sees: beams, table, chosen: true, fresh: 1, stretches: 2 });
    // Large scores, which would overflow without the largest subtracted.
    await one([0, 40], { dim: 16, n_head: 2, size: 1000 });
    gpu.close();
  });
