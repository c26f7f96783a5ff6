// How a LanguageModel chooses, what it tells of the choices, and what it thinks of texts that are there already.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { needs, sotto } from './support.mjs';
import { create, generate, greedy, nll, PROMPT, ready, shared, TELLER, texts, vectors } from './teller.mjs';

const fresh = shared();

test('options of a session, and others for one prompt', ready, async (t) => {
  const m = await create(t, {
    model: TELLER,
    temperature: 0.8,
    topK: 20,
    topP: 0.9,
    minP: 0.02,
    typicalP: 0.95,
    seed: 4,
  });
  const ask = async (options) => {
    m.messages = [];
    return (await generate(m, PROMPT, { maxTokens: 30, ...options })).tokens;
  };
  const first = await ask({});
  assert.deepEqual(await ask({}), first);
  const other = await ask({ seed: 5 });
  assert.notDeepEqual(other, first);
  assert.deepEqual((await ask({ temperature: 0 })).slice(0, 10), vectors[0].greedy.slice(0, 10));
  assert.deepEqual(await ask({}), first, 'the session has its own again');
});

test('a bias makes tokens certain, or forbids them', ready, async (t) => {
  const m = await fresh(t);
  const [banned] = vectors[0].greedy;
  const without = await generate(m, PROMPT, { maxTokens: 10, logitBias: { [banned]: -Infinity } });
  assert.ok(!without.tokens.includes(banned));
  m.messages = [];
  const wanted = (await m.tokenize('ball'))[0];
  const always = await generate(m, PROMPT, { maxTokens: 5, logitBias: new Map([[wanted, 100]]) });
  assert.deepEqual(always.tokens, Array(5).fill(wanted));
  const wrong = (logitBias) => assert.rejects(m.prompt('a', { logitBias }), { code: 'argument' });
  await wrong({ ball: 1 });
  await wrong({ 5: NaN });
  await wrong({ 5: Infinity });
  await wrong({ 999999: 1 });
});

test('penalties make repetition rarer', ready, async (t) => {
  const m = await fresh(t);
  const distinct = async (options) => {
    m.messages = [];
    const { tokens } = await generate(m, PROMPT, { maxTokens: 120, ...options });
    return new Set(tokens).size / tokens.length;
  };
  const plain = await distinct({});
  for (const options of [{ repetitionPenalty: 1.5 }, { presencePenalty: 2 }, { frequencyPenalty: 1 }])
    assert.ok((await distinct(options)) > plain, JSON.stringify(options));
  assert.equal(await distinct({ repetitionPenalty: 1.5, penaltyWindow: 0 }), plain);
});

test('log-probabilities of what was written, and of what could have been', ready, async (t) => {
  const m = await fresh(t);
  const g = await generate(m, PROMPT, { maxTokens: 12, logprobs: 5 });
  assert.deepEqual(
    g.logprobs.map(({ id }) => id),
    g.tokens,
  );
  for (const { id, text, logprob, top } of g.logprobs) {
    assert.equal(top.length, 5);
    assert.deepEqual([top[0].id, top[0].text, top[0].logprob], [id, text, logprob], 'greedy takes the likeliest');
    assert.ok(top.every((x, i) => x.logprob <= 0 && (i === 0 || x.logprob <= top[i - 1].logprob)));
    assert.ok(top.reduce((sum, x) => sum + Math.exp(x.logprob), 0) <= 1 + 1e-5);
  }
  assert.equal(g.logprobs.map(({ text }) => text).join(''), g.text);
  assert.equal((await generate(m, 'And then?', { maxTokens: 2, logprobs: 0 })).logprobs[0].top.length, 0);
  assert.equal((await generate(m, 'And then?', { maxTokens: 2 })).logprobs, undefined);
  await assert.rejects(m.prompt('a', { logprobs: 21 }), { code: 'argument', message: /0 to 20/ });
  // The same numbers as scoring the whole text gives.
  const scores = await m.score([...g.promptTokens, ...g.tokens]);
  g.logprobs.forEach(({ logprob }, i) => assert.ok(Math.abs(scores[g.promptTokens.length - 1 + i] - logprob) < 2e-2));
});

test('text to tokens and back', ready, async (t) => {
  const m = await fresh(t);
  const text = 'Once upon a time — 3 höhere Bäume, 木 and 🌳.\n\n  The end.';
  const ids = await m.tokenize(text);
  assert.equal(await m.detokenize(ids), text);
  assert.deepEqual(await m.tokenize(text, { bos: true }), [2, ...ids]);
  const special = '<start_of_turn>user';
  const marked = await m.tokenize(special, { special: true });
  assert.ok(marked.length < (await m.tokenize(special)).length);
  assert.equal(marked[0], 4);
  assert.equal(await m.detokenize(marked), 'user');
  assert.equal(await m.detokenize(Int32Array.from(marked), { special: true }), special);
  assert.equal(await m.detokenize([]), '');
  assert.deepEqual(await m.tokenize(''), []);
  const long = 'Once upon a time there was a boat. '.repeat(30_000); // a megabyte
  const many = await m.tokenize(long);
  assert.equal(await m.detokenize(many), long);
  await assert.rejects(m.tokenize(5), { code: 'argument' });
  await assert.rejects(m.detokenize([1.5]), { code: 'argument' });
});

test('scores of texts have the mean of the reference', ready, async (t) => {
  const m = await fresh(t);
  const told = [];
  const few = 12;
  for (let i = 0; i < few; i++) {
    const scores = await m.score(texts[i], { onProgress: (done, total) => told.push([done, total]) });
    assert.equal(scores.length, texts[i].length - 1);
    const mean = -scores.reduce((sum, x) => sum + x, 0) / scores.length;
    assert.ok(Math.abs(mean - nll[i]) < 0.02, `text ${i}: ${mean}, not ${nll[i]}`); // q8_0
  }
  assert.deepEqual(told.at(-1), [texts[few - 1].length, texts[few - 1].length]);
  assert.equal(m.contextUsage, 0);
  await assert.rejects(m.score([2]), { code: 'argument' });
  await assert.rejects(m.score([2, 999999]), { code: 'argument', message: /999999/ });
  await assert.rejects(m.score(Array(3000).fill(5)), { code: 'argument', message: /trained for/ });
});

test('an abort while a text is scored, or its logits are read', ready, async (t) => {
  const m = await fresh(t);
  const ids = Array(2000).fill(5);
  const controller = new AbortController();
  const scoring = m.score(ids, { signal: controller.signal, onProgress: () => controller.abort() });
  await assert.rejects(scoring, { name: 'AbortError' });
  for await (const { first, rows, data } of m.logits(ids)) {
    assert.equal(first, 0);
    assert.equal(data.length, rows * m.info.model.nVocab);
    break;
  }
  const other = new AbortController();
  const reading = async () => {
    for await (const _ of m.logits(ids, { signal: other.signal })) other.abort();
  };
  await assert.rejects(reading(), { name: 'AbortError' });
  assert.ok(await m.prompt(PROMPT, { maxTokens: 2 }), 'the model goes on');
});

/** The floats of a .npy file of 32-bit floats. */
function readNpy(file) {
  const bytes = readFileSync(file);
  const at = 10 + bytes.readUInt16LE(8);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length));
}

for (const family of ['gemma1-2b', 'gemma2-2b', 'gemma3-1b', 'gemma3-4b']) {
  const folder = `tests/fixtures/golden/${family}-shape`;
  test(
    `logits of a checkpoint as on Hugging Face: ${family}`,
    needs(`${folder}/config.json`, 'js/dist/index.node.js'),
    async (t) => {
      const { ids } = JSON.parse(readFileSync(`${folder}/vectors.json`, 'utf8'));
      const expected = readNpy(`${folder}/logits.npy`);
      const m = await create(t, { model: folder });
      const nVocab = m.info.model.nVocab;
      let next = 0;
      let worst = 0;
      let scale = 0;
      const told = [];
      for await (const { first, rows, data } of m.logits(ids, { onProgress: (done) => told.push(done) })) {
        assert.equal(first, next);
        next += rows;
        data.forEach((x, i) => {
          const y = expected[first * nVocab + i];
          worst = Math.max(worst, Math.abs(x - y));
          scale = Math.max(scale, Math.abs(y));
        });
      }
      assert.equal(next, ids.length);
      assert.equal(told.at(-1), ids.length);
      t.diagnostic(`largest difference ${worst.toExponential(1)} of ${scale.toFixed(1)}`);
      assert.ok(worst / scale < 2e-3);
      await assert.rejects(m.prompt('Hello'), { code: 'argument', message: /vocabulary/ });
    },
  );
}
