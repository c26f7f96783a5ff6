// What the benches make of their measurements: word error rates, the order of runs and the tables of bench/peers; profiles of callgrind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grown, instructionsOf } from '../../bench/callgrind.mjs';
import { Engine, instructionSets } from '../../bench/peers/native/engine.mjs';
import { MODELS, PEERS, plan } from '../../bench/peers/peers.js';
import { REFERENCES } from '../../bench/peers/references.js';
import { cellsOf, markdown, summary } from '../../bench/peers/report.js';
import { edits, wordErrorRate, wordsOf } from '../../bench/peers/words.js';

test('words are compared as they sound', () => {
  assert.deepEqual(wordsOf("Mr. Quilter can't, um, won’t [MUSIC] self-government (coughs) 1,234 <|en|>"), [
    'mister', 'quilter', 'can', 'not', 'will', 'not', 'self', 'government', '1234',
  ]);
  assert.deepEqual(wordsOf("It's the nation's"), ['it', 'is', 'the', 'nations']);
  assert.deepEqual(wordsOf('Größe, čas — 日本'), ['größe', 'čas', '日本']);
});

test('edits are the fewest', () => {
  for (const [from, to, n] of [['', '', 0], ['', 'ab', 2], ['abc', '', 3], ['kitten', 'sitting', 3], ['abcd', 'bcda', 2]]) {
    assert.equal(edits([...from], [...to]), n, `${from} ${to}`);
  }
});

test('word error rates', () => {
  assert.equal(wordErrorRate(' and so my fellow americans ask not what your country can do for you ask what you can do for your country', REFERENCES.jfk), 0);
  assert.equal(wordErrorRate('', REFERENCES.jfk), 1);
  assert.equal(wordErrorRate('one two four four', 'one two three four'), 0.25);
  assert.equal(wordErrorRate('one one one', 'one'), 2); // a text that goes on and on is worse than none
  assert.ok(wordsOf(REFERENCES.address).length > 300);
});

test('sotto runs before each peer, in every round', () => {
  const steps = [...plan({ models: ['tiny', '270m-q8_0'], threads: [1, 2], rounds: 2 })];
  const of = (model) => steps.filter((step) => step.model === model && step.threads === 2 && step.round === 1).map(({ peer }) => peer);
  assert.deepEqual(of('270m-q8_0'), ['sotto', 'wllama-2', 'sotto', 'wllama-3', 'sotto', 'native-llama']);
  assert.deepEqual(of('tiny'), ['sotto', 'transformers', 'sotto', 'remotion', 'sotto', 'timur00kh', 'sotto', 'shout', 'sotto', 'native-whisper']);
  for (const [i, { peer, against }] of steps.entries()) if (peer === 'sotto') assert.equal(steps[i + 1].peer, against);
  assert.deepEqual([...plan({ models: ['tiny'], peers: [], threads: [1], rounds: 1 })].map(({ peer }) => peer), ['sotto']);
  for (const name of Object.keys(PEERS)) assert.ok(PEERS[name].kinds.every((kind) => ['whisper', 'gemma'].includes(kind)));
  for (const { kind } of Object.values(MODELS)) assert.ok(['whisper', 'gemma'].includes(kind));
});

const gemma = (peer, against, round, decode_per_s, more = {}) => ({
  peer, against, round, model: '270m-q8_0', kind: 'gemma', threads: 2, load_ms: 1000, first_ms: 500, peak_bytes: 5e8,
  measures: [{ prefill: 128, decode: 64, prefill_per_s: 10 * decode_per_s, decode_per_s }], download: { gzip_bytes: 2e5 }, ...more,
});

test('medians, and gains by pairs of runs', () => {
  const runs = [
    gemma('sotto', 'wllama-2', 0, 90), gemma('wllama-2', undefined, 0, 30),
    gemma('sotto', 'wllama-2', 1, 20), gemma('wllama-2', undefined, 1, 10), // while the machine was busy
    gemma('sotto', 'wllama-2', 2, 100), gemma('wllama-2', undefined, 2, 20),
    gemma('sotto', 'wllama-3', 0, 80), gemma('wllama-3', undefined, 0, 0, { measures: [], error: 'it took more than 300 s | really' }),
  ];
  const [{ rows, titles }] = summary(runs);
  assert.deepEqual(titles, ['prefill 128/s', 'decode 64/s']);
  const [sotto, second, third] = rows;
  assert.equal(sotto.measured['decode 64/s'].median, 85);
  assert.deepEqual(sotto.gain, {});
  assert.equal(second.measured['decode 64/s'].median, 20);
  assert.equal(second.gain['decode 64/s'], 3); // of 3, 2 and 5
  assert.deepEqual(third.errors, ['it took more than 300 s | really']);
  const [head, , beside] = cellsOf(summary(runs)[0]);
  assert.equal(beside[head.indexOf('decode 64/s')], '20.0 (3.0 x)');
  const text = markdown({ about: { date: '2000-01-01', machine: 'M', cores: 2, browser: 'B' }, versions: { sotto: '1' }, runs });
  assert.match(text, /^\| wllama-2 \| 200\.0 \(3\.0 x\) \| 20\.0 \(3\.0 x\) \| 1\.00 \| 0\.50 \| 500 \| 0\.20 \|/m);
  assert.ok(text.includes('it took more than 300 s / really |')); // no cell of its own
});

test('less time is a gain, and a word error rate is not compared', () => {
  const run = (peer, against, ms) => ({ peer, against, round: 0, model: 'tiny', kind: 'whisper', threads: 1, measures: [{ clip: 'jfk', ms, text: '', word_error_rate: 0.5 }] });
  const [{ rows }] = summary([run('sotto', 'shout', 500), run('shout', undefined, 10_000)]);
  assert.deepEqual(rows[1].gain, { 'jfk s': 20 });
  assert.equal(rows[1].measured['jfk WER %'].median, 50);
});

test('instruction sets are those that are there', () => {
  assert.deepEqual(instructionSets('CPU : SSE3 = 1 | AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 1 | REPACK = 1 | '), ['AVX512', 'AVX512_VNNI']);
  assert.deepEqual(instructionSets('WHISPER : COREML = 0 | CPU : AVX = 1 | AVX2 = 1 | AVX512 = 0 | OPENMP = 1 | '), ['AVX', 'AVX2']);
});

test('native engines answer one request after the other, and tell why they ended', async () => {
  const program = `
    const out = (text) => process.stdout.write(text);
    out('2 7\\nhi');
    let n = 0;
    process.stdin.on('data', (part) => {
      n += part.length;
      if (n === '4\\nwhat'.length) {
        out('7 12 3\\nGr\\u00f6');
        setTimeout(() => out('\\u00dfe'), 50);
      } else if (n > '4\\nwhat'.length) {
        console.error('first');
        console.error('no memory');
        process.exit(3);
      }
    });`;
  const engine = new Engine(process.execPath, ['-e', program]);
  assert.deepEqual(await engine.next(), { text: 'hi', numbers: [7] });
  assert.deepEqual(await engine.ask(Buffer.from('what')), { text: 'Größe', numbers: [12, 3] });
  await assert.rejects(engine.ask(Buffer.from('more')), /ended with 3: no memory/);
  await assert.rejects(engine.next(), /no memory/);
  await assert.rejects(new Engine('/nowhere/llama', []).next(), /ENOENT/);
});

const PROFILE = `# callgrind format
version: 1
positions: line
events: Ir
summary: 4300

ob=(1) /bin/it
fl=(1) it.c
fn=(1) outer
10 100
+2 50
cfn=(2) inner
calls=3 20
+1 4000
* 150

fn=(2)
fi=(3) vec.h
20 1000
fe=(1)
-3 2990
fn=(3) small
5 10

totals: 4300
`;

test('instructions of functions are their own', () => {
  assert.deepEqual(instructionsOf(PROFILE), { total: 4300, functions: { inner: 3990, outer: 300 } }); // small is too small
});

test('what grew', () => {
  const before = { total: 10_000, functions: { a: 5000, b: 4000, c: 60 } };
  assert.deepEqual(grown(undefined, before), []);
  assert.deepEqual(grown(before, { total: 10_300, functions: { a: 5150, b: 4000, c: 70 } }), []);
  assert.deepEqual(grown(before, { total: 10_301, functions: { a: 4000, b: 4121, d: 2000 } }), [
    { name: 'all of it', from: 10_000, to: 10_301 },
    { name: 'b', from: 4000, to: 4121 },
    { name: 'd', from: 0, to: 2000 },
  ]);
});
