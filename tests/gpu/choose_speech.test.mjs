// A step of the search for the likeliest transcript on the GPU, beside src/models/whisper_rules.c and whisper_decode.c written plainly in f64.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f, open, testAdapters } from './harness.mjs';

let state = 5;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
// As in src/gpu/gpu.h.
const [TILE, PLACES, SEQUENCES, MOST_LENGTH] = [2048, 8, 16, 512];
const IDS = PLACES;
const PASTS = IDS + PLACES * SEQUENCES;
const LISTS = PASTS + PLACES * SEQUENCES * 4;
const LIST_WORDS = 1 + 5 * 2 * SEQUENCES;
const TABLES = LISTS + PLACES * LIST_WORDS;
const WORDS = TABLES + PLACES * SEQUENCES * MOST_LENGTH;
const NO_SCORE = -1e30;

const greatest = (list) => list.reduce((a, b) => (b > a ? b : a), -Infinity);
function logSum(list) {
  const max = greatest(list);
  return max === -Infinity ? max : max + Math.log(list.reduce((s, v) => s + (v > -Infinity ? Math.exp(v - max) : 0), 0));
}

/** What a row of logits allows after a past, of which last is -1 where there is none. */
function rowOf(logits, { end, firstTime, maxFirst, timed, suppressed }, past) {
  const n = logits.length;
  const numbers = [...logits].map((v) => (Number.isNaN(v) ? -Infinity : v));
  const free = numbers.map((v, i) => (suppressed.includes(i) ? -Infinity : v));
  const forbid = (from, to) => free.fill(-Infinity, from, Math.min(to, n));
  if (timed && past.last < 0) {
    forbid(0, firstTime);
    forbid(maxFirst + 1, n);
  } else if (timed) {
    const afterTime = past.last >= firstTime;
    const afterPair = afterTime && (past.before < 0 || past.before >= firstTime);
    const closing = afterTime && !afterPair;
    if (afterPair) forbid(firstTime, n);
    if (closing) forbid(0, end);
    if (past.time >= 0) forbid(firstTime, closing ? past.time : past.time + 1);
  }
  const times = logSum(free.slice(firstTime));
  if (timed && times > greatest(free.slice(0, firstTime))) forbid(0, firstTime);
  return { free, logSum: logSum(free), modelLogSum: logSum(numbers) };
}

function expected(rows, rules, pasts, keep) {
  const all = rows.flatMap((logits, parent) => {
    if (pasts[parent].score === NO_SCORE) return [];
    const row = rowOf(logits, rules, pasts[parent]);
    const ids = row.free.map((_, i) => i).filter((i) => row.free[i] > -Infinity);
    ids.sort((a, b) => row.free[b] - row.free[a] || a - b);
    return ids.slice(0, keep + 1).map((id) => ({ parent, id, logit: row.free[id], score: pasts[parent].score + row.free[id] - row.logSum, ...row }));
  });
  all.sort((a, b) => b.score - a.score); // equal ones stay in order
  const taken = [];
  const next = [];
  for (const c of all) {
    if (next.length === keep) break;
    taken.push(c);
    if (c.id !== rules.end) next.push(c);
  }
  return { taken, next };
}

/** With draws: { temperature, at }, what they give. */
async function choose(gpu, rows, rules, pasts, keep, { known, length, next, draws }) {
  const n = rows[0].length;
  const [place, from, stride] = [3, 6, n + 3];
  const act = new Float32Array(2 + rows.length * stride).fill(9);
  rows.forEach((row, i) => act.set(row, 2 + i * stride));
  const pastWords = new Int32Array(4 * rows.length);
  pasts.forEach((past, i) => {
    pastWords.set([past.last, past.before, past.time], 4 * i);
    new Float32Array(pastWords.buffer)[4 * i + 3] = past.score;
  });
  const slot = (i, at) => 1000 * i + at;
  const chosen = new Uint32Array(WORDS).fill(77);
  const slotsStride = length + 2;
  const slots = new Int32Array(rows.length * slotsStride);
  rows.forEach((_, i) => {
    for (let at = 0; at < length; at++) {
      slots[i * slotsStride + at] = slot(i, at);
      chosen[TABLES + (from * SEQUENCES + i) * MOST_LENGTH + at] = slot(i, at);
    }
  });
  chosen.set(new Uint32Array(pastWords.buffer), PASTS + from * SEQUENCES * 4);
  const drawn = new Int32Array(Float32Array.from(draws?.at ?? []).buffer);
  const ints = Int32Array.of(0, ...rules.suppressed, ...(known ? [...pastWords, ...slots] : []), ...drawn);
  const pastAt = 1 + rules.suppressed.length;
  const textTiles = Math.ceil(rules.firstTime / TILE);
  const tiles = textTiles + Math.ceil((n - rules.firstTime) / TILE);
  const params = [
    ...[2, stride, rows.length, n, rules.end, rules.firstTime, rules.maxFirst, Number(rules.timed), rules.suppressed.length, 1],
    ...[textTiles, tiles, keep + 1, keep, place, from, pastAt, pastAt + pastWords.length, slotsStride, length, next],
    ...(draws ? [ints.length - drawn.length, f(1 / draws.temperature)] : []),
  ];
  const { scratch } = await gpu.run(`choose_speech known=${Number(known)} sample=${Number(draws !== undefined)} sg=${gpu.subgroup}`, {
    params,
    bindings: { 1: { act }, 3: { ints }, 12: { scratch: new Uint32Array(rows.length * tiles * (4 + 2 * (keep + 1))) }, 13: { chosen } },
    grid: [tiles, rows.length, 1],
  });
  const second = draws ? `choose_speech_draw known=${Number(known)} sample=1` : `choose_speech_best known=${Number(known)} lists=${Math.ceil((rows.length * tiles) / 256)} sg=${gpu.subgroup}`;
  const out = await gpu.run(second, {
    params,
    bindings: { 1: { act }, 3: { ints }, 12: { scratch }, 13: { chosen } },
    grid: [draws ? keep : 1, 1, 1],
  });
  const words = out.chosen;
  const floats = new Float32Array(words.buffer);
  const list = LISTS + place * LIST_WORDS;
  const taken = Array.from({ length: words[list] }, (_, i) => {
    const at = list + 1 + 5 * i;
    return { parent: words[at], id: words[at + 1], logit: floats[at + 2], logSum: floats[at + 3], modelLogSum: floats[at + 4] };
  });
  const sequences = Array.from({ length: keep }, (_, i) => {
    const at = PASTS + 4 * (place * SEQUENCES + i);
    const table = TABLES + (place * SEQUENCES + i) * MOST_LENGTH;
    return {
      id: words[IDS + place * SEQUENCES + i], last: words[at], before: words[at + 1] | 0, time: words[at + 2] | 0, score: floats[at + 3],
      table: words.slice(table, table + length + 1),
    };
  });
  words.fill(77, list, list + LIST_WORDS);
  return { taken, sequences, slot };
}

const kinds = {
  random: () => random() * 20 - 10,
  ties: () => Math.floor(random() * 5),
  flat: () => 2,
  huge: () => (random() - 0.5) * 1e6,
  holes: () => [NaN, -Infinity, random()][Math.floor(random() * 3)],
  none: () => -Infinity,
};

const rulesOf = (n, timed) => {
  const end = Math.floor(n * 0.6);
  const firstTime = n - 20;
  return { end, firstTime, maxFirst: firstTime + 3, timed, suppressed: [0, 1, end + 1, firstTime - 1, 2048].filter((i) => i < n) };
};

async function check(gpu, kind, { n, rows: nRows, keep, timed = true, known = true, length = 9, pasts: givenPasts }) {
  const rules = rulesOf(n, timed);
  const { end, firstTime } = rules;
  const [a, b, t, u] = [3, end - 1, firstTime + 4, firstTime + 9];
  const kindsOfPast = [[a, -1, -1], [t, -1, t], [b, a, t], [t, a, t], [u, a, u], [t, t, t], [u, u, u], [n - 1, a, n - 1], [b, a, -1], [-1, -1, -1]];
  const pasts = givenPasts ?? Array.from({ length: nRows }, () => {
    const [last, before, time] = kindsOfPast[Math.floor(random() * kindsOfPast.length)];
    return { last, before, time, score: kind === 'ties' || kind === 'flat' ? -Math.floor(random() * 2) : Math.fround(-4 * random()) };
  });
  const rows = pasts.map(() => {
    const logits = Float32Array.from({ length: n }, kinds[kind]);
    if (kind === 'random' && random() < 0.3) logits.fill(9.5, firstTime); // times likelier together than any text
    if (kind === 'random' && random() < 0.5) logits[end] = 11;
    return logits;
  });
  const should = expected(rows, rules, pasts, keep);
  const next = 4000;
  const is = await choose(gpu, rows, rules, pasts, keep, { known, length, next });
  const name = `${kind} ${JSON.stringify({ n, nRows, keep, timed, known, pasts })}`;
  const rounding = kind === 'huge' ? 0.1 : 3e-5; // of a sum's log, which scores have in them
  const close = (x, y, what) => assert.ok(Math.abs(x - y) <= rounding + 1e-6 * Math.abs(y), `${what}: ${x}, not ${y}: ${name}`);
  assert.equal(is.taken.length, should.taken.length, name);
  is.taken.forEach((c, i) => {
    const s = should.taken[i];
    if (kind !== 'random' || nRows === 1) assert.deepEqual([c.parent, c.id], [s.parent, s.id], `${i} of ${name}`);
    const own = expected([rows[c.parent]], rules, [pasts[c.parent]], n).taken.find(({ id }) => id === c.id);
    assert.ok(own, `${c.id} may not be: ${name}`);
    assert.equal(c.logit, Math.fround(own.logit), name);
    close(own.score, s.score, `score ${i}`);
    close(c.logSum, own.logSum, 'log sum');
    close(c.modelLogSum, own.modelLogSum, 'log sum of all');
  });
  const kept = is.taken.filter(({ id }) => id !== end);
  is.sequences.forEach((s, i) => {
    assert.equal(s.id, s.last, name);
    if (i >= kept.length) {
      assert.deepEqual([s.last, Math.fround(NO_SCORE)], [end, s.score], name);
      return;
    }
    const { parent, id } = kept[i];
    assert.deepEqual([s.last, s.before, s.time], [id, pasts[parent].last, id >= firstTime ? id : pasts[parent].time], name);
    close(s.score, should.next[i].score - should.taken[0].score, 'score');
    assert.deepEqual([...s.table], [...Array.from({ length }, (_, at) => is.slot(parent, at)), next + i], name);
  });
}

const NEAR = 2e-5; // shares of all: what rounding may do to where a draw falls

/** Samples, from a row for each or from one for all. */
async function checkDraws(gpu, kind, { n, rows: nRows, keep = nRows, timed = true, known = true, temperature = 0.7, draws = [], pasts: givenPasts }) {
  const rules = rulesOf(n, timed);
  const { end, firstTime } = rules;
  const pasts = givenPasts ?? Array.from({ length: nRows }, (_, i) => [
    { last: 3, before: end - 1, time: -1, score: 0 }, { last: firstTime + 4, before: 3, time: firstTime + 4, score: 0 },
    { last: -1, before: -1, time: -1, score: 0 }, { last: end, before: 3, time: -1, score: 0 },
  ][i % 4]);
  const rows = pasts.map(() => Float32Array.from({ length: n }, kinds[kind]));
  const at = Array.from({ length: keep }, (_, i) => Math.fround(draws[i] ?? random()));
  const length = 1 + Math.floor(random() * 40);
  const is = await choose(gpu, rows, rules, pasts, keep, { known, length, next: 4000, draws: { temperature, at } });
  assert.equal(is.taken.length, keep);
  is.taken.forEach((c, i) => {
    const parent = nRows === 1 ? 0 : i;
    const past = pasts[parent];
    const row = rowOf(rows[parent], rules, past);
    const name = `${kind} ${JSON.stringify({ i, n, nRows, timed, known, temperature, draw: at[i], past, c })}`;
    const most = greatest(row.free);
    assert.equal(c.parent, parent, name);
    if (past.last === end || most === -Infinity) {
      assert.deepEqual([c.id, c.logit, c.logSum], [end, 0, 0], name);
    } else {
      const weights = row.free.map((x) => ((x - most) / temperature > -87 ? Math.exp((x - most) / temperature) : 0));
      const all = weights.reduce((a, b) => a + b, 0);
      const before = weights.slice(0, c.id).reduce((a, b) => a + b, 0);
      assert.ok(weights[c.id] > 0, `${c.id} may not be: ${name}`);
      assert.ok(at[i] * all >= before - NEAR * all && at[i] * all <= before + weights[c.id] + NEAR * all, `${c.id} is not drawn: ${name}`);
      assert.equal(c.logit, Math.fround(rows[parent][c.id]), name);
      const close = (x, y, what) => assert.ok(Math.abs(x - y) <= (kind === 'huge' ? 0.1 : 3e-5) + 1e-6 * Math.abs(y), `${what}: ${x}, not ${y}: ${name}`);
      close(c.logSum, row.logSum, 'log sum');
      close(c.modelLogSum, row.modelLogSum, 'log sum of all');
    }
    const s = is.sequences[i];
    assert.deepEqual([s.id, s.last, s.before, s.time, s.score], [c.id, c.id, past.last, c.id >= firstTime ? c.id : past.time, 0], name);
    assert.deepEqual([...s.table], [...Array.from({ length }, (_, k) => is.slot(parent, k)), 4000 + i], name);
  });
}

async function checkShare(gpu, kind, n) {
  const x = Float32Array.from({ length: n }, kinds[kind]);
  const column = Math.floor(random() * n);
  const { act } = await gpu.run(`choose_share sg=${gpu.subgroup}`, { params: [2, n, column, 0], bindings: { 1: { act: Float32Array.of(5, 6, ...x, 9e9) } }, grid: [1, 1, 1] });
  const numbers = [...x].map((v) => (Number.isNaN(v) ? -Infinity : v));
  const expected = numbers[column] === -Infinity ? 0 : Math.exp(numbers[column] - logSum(numbers));
  assert.ok(Math.abs(act[0] - expected) <= 1e-6 + 1e-4 * expected, `${kind} ${n}: ${act[0]}, not ${expected}`);
  assert.deepEqual([act[1], act[2], act.at(-1)], [6, x[0], Math.fround(9e9)]);
}

/** With subgroups, and on one adapter without. */
const devices = testAdapters().flatMap((adapter, i) => [{ adapter, limits: 'default' }, ...(i === 0 ? [{ adapter, limits: 'default', features: [] }] : [])]);
const nameOf = ({ adapter, features }) => `${adapter}${features ? ', nothing optional' : ''}`;

for (const device of devices)
  test(`transcripts are sampled on ${nameOf(device)}`, async () => {
    const gpu = await open(device);
    if (!device.features && !gpu.subgroup) console.log(`skip: ${device.adapter} has no subgroups`);
    for (const kind of Object.keys(kinds)) {
      for (const [n, rows] of [[70, 4], [4099, 4], [2049, 1]])
        for (const timed of [true, false]) await checkDraws(gpu, kind, { n, rows, keep: rows === 1 ? 5 : rows, timed, known: rows === 1, temperature: 0.2 + random() });
      for (const n of [1, 300, 5000]) await checkShare(gpu, kind, n);
    }
    // Draws at both ends; all of a model; the first token of all samples.
    const [low, high] = [0, 1 - 2 ** -24];
    for (const kind of ['random', 'flat', 'holes']) await checkDraws(gpu, kind, { n: 5000, rows: 2, timed: false, draws: [low, high], temperature: 1 });
    await checkDraws(gpu, 'random', { n: 51866, rows: 16, known: false, temperature: 1 });
    await checkDraws(gpu, 'random', { n: 51866, rows: 1, keep: 5, pasts: [{ last: -1, before: -1, time: -1, score: 0 }] });
    gpu.close();
  });

for (const device of devices)
  test(`transcripts are chosen on ${nameOf(device)}`, async () => {
    const gpu = await open(device);
    for (const kind of Object.keys(kinds))
      for (const [n, rows, keep] of [[70, 1, 1], [2070, 5, 5], [2049, 2, 3], [5000, 5, 5]])
        for (const timed of [true, false]) await check(gpu, kind, { n, rows, keep, timed, known: rows === 2, length: 1 + Math.floor(random() * 200) });
    // Each past alone; more rows than threads have lists; sequences that are none; all of a table.
    for (let i = 0; i < 12; i++) await check(gpu, 'random', { n: 90, rows: 1, keep: 1 + (i % 3), known: i % 2 === 1 });
    await check(gpu, 'random', { n: 51866, rows: 16, keep: 16, known: false, length: 511 });
    const dead = { last: 3, before: 3, time: -1, score: NO_SCORE };
    const alive = { last: 3, before: 4, time: -1, score: 0 };
    for (const kind of ['random', 'none']) await check(gpu, kind, { n: 300, rows: 3, keep: 3, known: false, pasts: [alive, dead, dead] });
    // Fewer can go on than are wanted.
    await check(gpu, 'flat', { n: 22, rows: 1, keep: 5, pasts: [{ last: 20, before: 1, time: 20, score: 0 }] });
    gpu.close();
  });
