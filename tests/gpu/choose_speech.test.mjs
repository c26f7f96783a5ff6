// The likeliest token of a transcript on the GPU, beside the rules of src/models/whisper_rules.c written plainly in f64.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open, testAdapters } from './harness.mjs';

let state = 5;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const [TILE, PLACES] = [2048, 8];

function expected(logits, { end, firstTime, timed, suppressed, before }) {
  const n = logits.length;
  const all = [...logits];
  const free = all.map((v, i) => (Number.isNaN(v) || suppressed.includes(i) ? -Infinity : v));
  const forbid = (from, to) => free.fill(-Infinity, from, Math.min(to, n));
  if (timed && before.length > 0) {
    const afterTime = before.at(-1) >= firstTime;
    const afterPair = afterTime && (before.length < 2 || before.at(-2) >= firstTime);
    const closing = afterTime && !afterPair;
    if (afterPair) forbid(firstTime, n);
    if (closing) forbid(0, end);
    const last = before.findLast((id) => id >= firstTime);
    if (last !== undefined) forbid(firstTime, closing ? last : last + 1);
  }
  const logSum = (list) => {
    const max = list.reduce((a, b) => (b > a ? b : a), -Infinity);
    return max === -Infinity ? max : max + Math.log(list.reduce((s, v) => s + (v > -Infinity ? Math.exp(v - max) : 0), 0));
  };
  const times = logSum(free.slice(firstTime));
  const onlyTimes = timed && times > free.slice(0, firstTime).reduce((a, b) => Math.max(a, b), -Infinity);
  const from = onlyTimes ? firstTime : 0;
  const best = free.slice(from).reduce((a, b) => Math.max(a, b), -Infinity);
  if (best === -Infinity) return { id: end, logit: 0, logSum: 0, modelLogSum: logSum(all) };
  return { id: from + free.slice(from).indexOf(best), logit: best, logSum: logSum(free.slice(from)), modelLogSum: logSum(all) };
}

async function choose(gpu, logits, { end, firstTime, timed, suppressed, before }) {
  const n = logits.length;
  const place = 3;
  const chosen = new Uint32Array(PLACES * 5);
  // The last one, as a token that was chosen before.
  const list = before.map((id, i) => (i === before.length - 1 ? ((chosen[6] = id), -7) : id));
  const params = [
    ...[2, n, place, end, firstTime, Number(timed), suppressed.length, 1],
    ...[before.length, 1 + suppressed.length],
  ];
  const shared = { 1: { act: Float32Array.of(9, 9, ...logits) }, 3: { ints: Int32Array.of(0, ...suppressed, ...list) } };
  const tiles = Math.ceil(n / TILE);
  const { scratch } = await gpu.run('choose_speech step=1', {
    params,
    bindings: { ...shared, 12: { scratch: new Uint32Array(12 * tiles) }, 13: { chosen } },
    grid: [tiles, 1, 1],
  });
  const out = await gpu.run('choose_speech step=2', {
    params,
    bindings: { ...shared, 12: { scratch }, 13: { chosen } },
    grid: [1, 1, 1],
  });
  const scores = out.chosen.slice(PLACES + 4 * place, PLACES + 4 * place + 4);
  const [, logit, logSum, modelLogSum] = new Float32Array(scores.buffer);
  assert.equal(out.chosen[place], scores[0]);
  return { id: scores[0], logit, logSum, modelLogSum };
}

const kinds = {
  random: () => random() * 20 - 10,
  ties: () => Math.floor(random() * 5),
  flat: () => 2,
  huge: () => (random() - 0.5) * 1e6,
  holes: () => [NaN, -Infinity, random()][Math.floor(random() * 3)],
  none: () => -Infinity,
};

async function checkAll(gpu) {
  for (const [n, of] of [
    [70, ['random', 'ties']],
    [2049, Object.keys(kinds)],
    [5000, ['random']],
  ])
    for (const kind of of) {
      const end = Math.floor(n * 0.6);
      const firstTime = n - 20;
      const [a, b, t, u] = [3, end - 1, firstTime + 4, firstTime + 9];
      const texts = [[a], [t], [t, a, b], [a, t], [t, a, u], [t, t], [t, u, u], [n - 1, a, n - 1], [a, b]];
      for (const timed of [true, false])
        for (const before of timed ? texts : [texts[3]]) {
          const logits = Float32Array.from({ length: n }, kinds[kind]);
          // Times likelier together than any text, in some cases.
          if (kind === 'random' && random() < 0.5) logits.fill(9.5, firstTime);
          const rules = { end, firstTime, timed, suppressed: [0, 1, end + 1, firstTime - 1, 2048].filter((i) => i < n), before };
          const should = expected(logits, rules);
          const is = await choose(gpu, logits, rules);
          const name = `${n} ${kind} ${timed} after ${before}: ${JSON.stringify([is, should])}`;
          assert.equal(is.id, should.id, name);
          assert.equal(is.logit, Math.fround(should.logit), name);
          for (const key of ['logSum', 'modelLogSum'])
            if (Number.isFinite(should[key]))
              assert.ok(Math.abs(is[key] - should[key]) <= 3e-5 + 1e-6 * Math.abs(should[key]), `${key} of ${name}`);
        }
    }
}

for (const adapter of testAdapters())
  test(`transcripts are chosen on ${adapter}`, async () => {
    const gpu = await open({ adapter, limits: 'default' });
    await checkAll(gpu);
    gpu.close();
  });
