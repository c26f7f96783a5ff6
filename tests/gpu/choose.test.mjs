// Choosing tokens on the GPU, beside src/text/sampler.c written plainly: bias, penalties, temperature, top-k, top-p, min-p, draw.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f, open, testAdapters } from './harness.mjs';

let state = 11;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());

const NONE = 0xffffffff;
const [THREADS, GROUPS, PLACE] = [256, 16, 5];
const bits = (floats) => new Int32Array(Float32Array.from(floats).buffer);

// ---- the plain way ----

function changed(logits, { bias = [], history = [], repetition = 1, presence = 0, frequency = 0 }) {
  const out = Float32Array.from(logits);
  for (const [id, by] of bias) out[id] += by;
  const counts = new Map();
  for (const id of history) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts)
    if (id < out.length) out[id] = (out[id] > 0 ? out[id] / repetition : out[id] * repetition) - presence - frequency * count;
  return out;
}

/** Ids that can be chosen, likeliest first, and their weights, after all filters. */
function kept(logits, { temperature = 1, topK, topP = 1, minP = 0 }) {
  let ids = [...logits.keys()].filter((i) => logits[i] > -Infinity);
  ids.sort((a, b) => logits[b] - logits[a] || a - b);
  ids = ids.slice(0, topK);
  if (ids.length === 0 || logits[ids[0]] === Infinity || topK === 1) return { ids: ids.slice(0, 1), weights: [1] };
  let weights = ids.map((i) => Math.exp((logits[i] - logits[ids[0]]) / temperature));
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  let n = 0;
  for (let goal = topP * sum(weights), mass = 0; n < ids.length && (mass < goal || n === 0 || topP === 1); n++) mass += weights[n];
  while (n > 1 && weights[n - 1] < minP) n--;
  return { ids: ids.slice(0, n), weights: weights.slice(0, n) };
}

/** The ids that a draw may give, rounding aside: the one that it falls on, and its neighbours where it is near their border. */
function allowed({ ids, weights }, draw) {
  const total = weights.reduce((a, b) => a + b, 0);
  const found = new Set();
  let low = 0;
  weights.forEach((weight, i) => {
    if (draw * total >= low - 1e-5 * total && draw * total <= low + weight + 1e-5 * total) found.add(ids[i]);
    low += weight;
  });
  return found;
}

// ---- the GPU's ----

async function choose(gpu, given, options, draw = 0.5) {
  const { temperature = 1, topK, topP = 1, minP = 0, bias = [], history = [], tokens = [] } = options;
  const n = given.length;
  const at = 3;
  let act = Float32Array.of(7, 7, 7, ...given, 9e9);
  let chosen = new Uint32Array(8).fill(1);
  tokens.forEach((id, place) => (chosen[place] = id));
  const list = [...bias.map(([id]) => id), ...bits(bias.map(([, by]) => by)), ...history];
  const entries = bias.length + history.length;
  if (entries > 0) {
    const { repetition = 1, presence = 0, frequency = 0 } = options;
    ({ act } = await gpu.run('choose_change', {
      params: [
        ...[at, n, bias.length, 1, 1 + bias.length, history.length, 1 + 2 * bias.length],
        ...[f(repetition), f(presence), f(frequency)],
      ],
      bindings: { 1: { act }, 3: { ints: Int32Array.of(0, ...list) }, 13: { chosen } },
      grid: [Math.ceil(entries / 64), 1, 1],
    }));
  }
  const greedy = topK === 1;
  const per = options.per ?? 4;
  const tiles = Math.ceil(n / (THREADS * per));
  const { scratch } = await gpu.run(`choose_best greedy=${Number(greedy)}`, {
    params: [at, n, per],
    bindings: { 1: { act }, 12: { scratch: new Uint32Array(GROUPS * 256).fill(NONE) } },
    grid: [tiles, 1, 1],
  });
  ({ chosen } = greedy
    ? await gpu.run('choose_first', {
        params: [tiles, PLACE],
        bindings: { 12: { scratch }, 13: { chosen } },
        grid: [1, 1, 1],
      })
    : await gpu.run('choose_draw', {
        params: [
          ...[at, n, per, tiles * GROUPS, Math.min(topK, n), PLACE],
          ...[f(1 / temperature), f(topP), f(minP), f(draw)],
        ],
        bindings: { 1: { act }, 12: { scratch }, 13: { chosen } },
        grid: [1, 1, 1],
      }));
  return { id: chosen[PLACE], act: act.subarray(at, at + n), untouched: act[0] === 7 && act.at(-1) === Math.fround(9e9) };
}

// ---- logits ----

const kinds = {
  random: () => normal() * 3,
  flat: () => 1.5,
  ties: () => Math.floor(random() * 4),
  huge: () => normal() * 1e30,
  tiny: () => normal() * 1e-30,
  holes: () => [NaN, -Infinity, normal(), normal() * 9][Math.floor(random() * 4)],
  negative: () => -1e4 - random(),
  rising: (i) => i / 100,
};
const make = (kind, n) => Float32Array.from({ length: n }, (_, i) => kinds[kind](i));

async function checkGreedy(gpu) {
  for (const kind of Object.keys(kinds))
    for (const n of [1, 2, 255, 1025, 5000]) {
      const logits = make(kind, n);
      const { id } = await choose(gpu, logits, { topK: 1, per: n > 2000 ? 7 : 4 });
      assert.equal(id, kept(logits, { topK: 1 }).ids[0] ?? NONE, `greedy ${kind} ${n}`);
    }
  const zeros = Float32Array.of(-1, -0, 0, -0);
  assert.equal((await choose(gpu, zeros, { topK: 1 })).id, 1);
  for (const topK of [1, 4]) {
    assert.equal((await choose(gpu, Float32Array.of(NaN, -Infinity, NaN), { topK })).id, NONE);
    assert.equal((await choose(gpu, Float32Array.of(NaN, 3, Infinity, Infinity), { topK })).id, 2);
  }
}

async function checkDraws(gpu) {
  const settings = [
    { topK: 64, topP: 0.95 },
    { topK: 5, temperature: 0.3 },
    { topK: 64, topP: 0.5, minP: 0.2, temperature: 2 },
    { topK: 200, minP: 0.01 },
    { topK: 1024, topP: 0.999, temperature: 10 },
  ];
  for (const kind of Object.keys(kinds))
    for (const n of [1, 3, 700, 4099])
      for (const options of settings) {
        const logits = make(kind, n);
        const expected = kept(logits, options);
        for (const draw of options === settings[0] ? [0, random(), 1] : [random()]) {
          const { id } = await choose(gpu, logits, { ...options, per: n > 2000 ? 5 : 4 }, draw);
          const name = `${kind} ${n} ${JSON.stringify(options)} ${draw}: ${id}`;
          if (expected.ids.length === 0) assert.equal(id, NONE, name);
          else assert.ok(allowed(expected, draw).has(id), `${name} of ${[...allowed(expected, draw)]}`);
        }
      }
}

/** How often each token comes, by draws that fill [0, 1) evenly. */
async function checkShares(gpu) {
  const options = { topK: 6, topP: 0.9, temperature: 1.3 };
  const logits = make('random', 300);
  const { ids, weights } = kept(logits, options);
  const n = 40;
  const counts = new Map();
  for (let i = 0; i < n; i++) {
    const { id } = await choose(gpu, logits, options, (i + 0.5) / n);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const total = weights.reduce((a, b) => a + b, 0);
  ids.forEach((id, i) => assert.ok(Math.abs((counts.get(id) ?? 0) - (n * weights[i]) / total) <= 1.01, `${id}`));
  assert.equal([...counts.keys()].filter((id) => !ids.includes(id)).length, 0);
}

async function checkChanges(gpu) {
  const logits = make('random', 600);
  const changes = [
    { bias: [[3, 5], [599, -2], [3, 0.5], [0, -Infinity]] },
    { history: [5, 9, 5, 5, 599, 0, 100000], repetition: 1.3, presence: 0.25, frequency: 0.5 },
    { history: [7, 8, -1, -3], tokens: [7, 0, 400], repetition: 2 },
    { history: [1, -2], tokens: [0, NONE], presence: 1e3 },
    { bias: [[20, 4], [21, 100]], history: [21, 20, 20], repetition: 3, frequency: -1 },
    { history: Array.from({ length: 300 }, () => Math.floor(random() * 40)), frequency: 0.1 },
  ];
  for (const change of changes) {
    const history = (change.history ?? []).map((id) => (id >= 0 ? id : change.tokens[-1 - id]));
    const expected = changed(logits, { ...change, history });
    const { act, id, untouched } = await choose(gpu, logits, { ...change, topK: 1 });
    expected.forEach((value, i) =>
      assert.ok(act[i] === value || Math.abs(act[i] - value) < 1e-5 * Math.max(1, Math.abs(value)), `${i}: ${act[i]} ${value}`),
    );
    assert.equal(id, kept(expected, { topK: 1 }).ids[0]);
    assert.ok(untouched);
  }
}

for (const adapter of testAdapters())
  test(`choosing on ${adapter}`, async () => {
    const gpu = await open({ adapter, limits: 'default' });
    await checkGreedy(gpu);
    await checkDraws(gpu);
    await checkShares(gpu);
    await checkChanges(gpu);
    gpu.close();
  });
