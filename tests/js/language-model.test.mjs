// LanguageModel in Node, on the model that comes with the project.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import { BUILT, MODEL, needs, root, sotto, WASM } from './support.mjs';
import { create, generate, greedy, PROMPT, ready, shared, TELLER, vectors } from './teller.mjs';

/** q8_0 moves logits by less. */
const LARGE_MARGIN = 0.3;
const fresh = shared();

for (const { prompt, prompt_ids, greedy: reference, margin, text } of vectors) {
  test(`greedy text as the reference: ${prompt}`, ready, async (t) => {
    const g = await generate(await fresh(t), prompt, { maxTokens: 10 });
    assert.deepEqual(g.promptTokens, prompt_ids);
    const differs = g.tokens.findIndex((id, i) => id !== reference[i]);
    if (differs >= 0) assert.ok(margin[differs] < LARGE_MARGIN, `token ${differs} is not the reference's`);
    else assert.ok(g.text.length > 10 && text.startsWith(g.text), g.text);
    assert.equal(g.stopReason, 'length');
    assert.equal(g.timings.nPrefill, prompt_ids.length);
  });
}

test('every build writes the same beginning', ready, async (t) => {
  const expected = (await generate(await fresh(t), PROMPT, { maxTokens: 10 })).tokens;
  for (const file of WASM) {
    const variant = file.match(/sotto-(.*)\.wasm/)[1];
    const m = await create(t, { ...greedy, variant, threads: 2 });
    assert.equal(m.info.variant, variant);
    assert.deepEqual((await generate(m, PROMPT, { maxTokens: 10 })).tokens, expected, variant);
  }
});

test('guessing tokens changes nothing of a text', ready, async (t) => {
  const how = { maxTokens: 60 };
  for (const sampling of [greedy, { seed: 5 }]) {
    const expected = await generate(await create(t, sampling), PROMPT, how);
    assert.equal(expected.guesses, undefined);
    for (const draft of ['lookup', readFileSync(TELLER), new Blob([readFileSync(TELLER)])]) {
      const m = await create(t, { ...sampling, draft, draftTokens: 7, backend: 'cpu' });
      assert.equal(m.info.draft?.nVocab, draft === 'lookup' ? undefined : m.info.model.nVocab);
      const copy = await m.clone();
      for (const one of [m, copy]) assert.deepEqual((await generate(one, PROMPT, how)).tokens, expected.tokens);
      await copy.destroy();
    }
  }
});

test('a draft that cannot guess is refused', ready, async (t) => {
  const refused = (options, code, words) =>
    assert.rejects(create(t, options), (error) => error.code === code && words.test(error.message));
  await refused({ draftTokens: 3 }, 'argument', /goes with draft/);
  await refused({ draft: 'lookup', draftTokens: 16 }, 'argument', /draftTokens/);
  await refused({ draft: 'lookup', backend: 'webgpu' }, 'argument', /processor/);
  await refused({ draft: new Uint8Array(64) }, 'format', /draft/);
});

test('the model comes as bytes, as a Blob, as a stream, by address', ready, async (t) => {
  const bytes = readFileSync(TELLER);
  const blob = new Blob([bytes]);
  for (const input of [bytes, blob, blob.stream(), pathToFileURL(path.join(root, TELLER))]) {
    let loaded = 0;
    const monitor = (m) => m.addEventListener('downloadprogress', (e) => (loaded = e.loaded));
    const m = await create(t, { ...greedy, model: input, monitor });
    assert.equal(loaded, bytes.length);
    assert.equal(m.info.model.architecture, 'gemma3');
    assert.ok(m.info.model.headDim > 0 && m.info.model.nKvHead > 0);
    assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 5 })));
  }
  assert.equal(await sotto.LanguageModel.availability({ model: TELLER }), 'available');
});

test('pieces of a stream join to the answer', ready, async (t) => {
  const whole = await (await fresh(t)).prompt(PROMPT, { maxTokens: 200 });
  const pieces = [];
  for await (const piece of (await fresh(t)).promptStreaming(PROMPT, { maxTokens: 200 })) pieces.push(piece);
  assert.ok(pieces.length > 3, `${pieces.length} pieces`);
  assert.equal(pieces.join(''), whole);
});

test('pieces never split a character', ready, async (t) => {
  // Among all tokens, at random, some are single bytes.
  const m = await create(t, { model: TELLER, temperature: 100, topK: 0, topP: 1, seed: 5 });
  let text;
  let joined = '';
  let bytes = 0;
  const stream = m.promptStreaming('a', { raw: true, maxTokens: 300, onFinish: (g) => (text = g.text) });
  for await (const piece of stream) {
    assert.ok(piece.length > 0 && piece.isWellFormed());
    joined += piece;
    bytes += Buffer.byteLength(piece);
  }
  assert.equal(joined, text);
  t.diagnostic(`${bytes} bytes, ${joined.length} code units`);
  assert.ok(bytes > joined.length, 'some characters are of several bytes');
});

test('a stop string ends the answer before it', ready, async (t) => {
  const g = await generate(await fresh(t), PROMPT, { stop: ['no such thing', 'there was'] });
  assert.equal(g.stopReason, 'stop');
  assert.equal(g.text, vectors[0].text.slice(0, vectors[0].text.indexOf('there was')));
});

test('an abort midway leaves the conversation usable', ready, async (t) => {
  const m = await fresh(t);
  const controller = new AbortController();
  const pieces = [];
  const reading = async () => {
    for await (const piece of m.promptStreaming(PROMPT, { signal: controller.signal })) {
      pieces.push(piece);
      if (pieces.length === 3) controller.abort();
    }
  };
  await assert.rejects(reading(), { name: 'AbortError' });
  assert.ok(pieces.length >= 3);
  assert.equal(m.contextUsage, 0);
  await assert.rejects(m.prompt(PROMPT, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 10 })));
});

test('a stream that is left early stops the answer', ready, async (t) => {
  const m = await fresh(t);
  for await (const piece of m.promptStreaming(PROMPT)) {
    assert.ok(piece);
    break;
  }
  assert.ok(vectors[0].text.startsWith(await m.prompt(PROMPT, { maxTokens: 10 })));
});

test('calls queue, and the conversation grows', ready, async (t) => {
  const m = await fresh(t);
  assert.equal(m.contextWindow, 2048);
  assert.equal(m.contextUsage, 0);
  let firstUsage = 0;
  const first = m.prompt(PROMPT, { maxTokens: 10, onFinish: (g) => (firstUsage = g.promptTokens.length + g.tokens.length) });
  const second = generate(m, 'And then?', { maxTokens: 10 });
  const answer = await first;
  assert.equal(firstUsage, vectors[0].prompt_ids.length + 10);
  const g = await second;
  assert.deepEqual(g.promptTokens.slice(0, 20), vectors[0].prompt_ids.slice(0, 20));
  assert.ok(g.promptTokens.length > firstUsage);
  assert.equal(m.contextUsage, g.promptTokens.length + g.tokens.length);

  // The same as a conversation that was given as a whole.
  const other = await fresh(t);
  await other.append([
    { role: 'user', content: PROMPT },
    { role: 'assistant', content: answer },
  ]);
  const usage = other.contextUsage;
  assert.ok(usage > firstUsage);
  assert.deepEqual(await generate(other, 'And then?', { maxTokens: 10 }).then((o) => [o.promptTokens, o.tokens]), [
    g.promptTokens,
    g.tokens,
  ]);
  assert.ok(other.contextUsage > usage);
  const copy = await other.clone();
  assert.equal(copy.contextUsage, other.contextUsage);
  await copy.destroy();
});

test('another conversation can be assigned, and only what is new in it is evaluated', ready, async (t) => {
  const m = await fresh(t);
  const first = await generate(m, PROMPT, { maxTokens: 10 });
  const asked = m.messages;
  assert.deepEqual(asked, [
    { role: 'user', content: PROMPT },
    { role: 'assistant', content: first.text },
  ]);
  const second = await generate(m, 'And then?', { maxTokens: 5 });
  m.messages = [];
  const again = await generate(m, PROMPT, { maxTokens: 10 });
  assert.deepEqual([again.promptTokens, again.tokens], [first.promptTokens, first.tokens]);
  m.messages = asked;
  assert.deepEqual((await generate(m, 'And then?', { maxTokens: 5 })).tokens, second.tokens);
  asked[0].content = 'Another question.'; // a copy
  assert.equal(m.messages[0].content, PROMPT);
  assert.throws(() => (m.messages = [{ role: 'robot', content: '' }]), { name: 'SottoError', code: 'argument' });
});

test('system text comes before the first message', ready, async (t) => {
  const system = { role: 'system', content: 'Use the word dog.' };
  const m = await create(t, { ...greedy, initialPrompts: [system] });
  const nSystem = m.contextUsage;
  assert.ok(nSystem > 5);
  const g = await generate(m, PROMPT, { maxTokens: 10 });
  assert.ok(g.promptTokens.length > vectors[0].prompt_ids.length + 3);
  assert.equal(await m.countTokens([system, { role: 'user', content: PROMPT }]), g.promptTokens.length);
  await assert.rejects(m.append([system]), { name: 'SottoError', code: 'argument', message: /system text/ });
});

test('tokens are counted', ready, async (t) => {
  const m = await fresh(t);
  assert.equal(await m.countTokens(''), 0);
  const n = await m.countTokens(PROMPT);
  assert.ok(n > 5 && n < vectors[0].prompt_ids.length);
  assert.equal(await m.countTokens([{ role: 'user', content: PROMPT }]), vectors[0].prompt_ids.length);
});

test('a seed gives the same answer again, none another one', ready, async (t) => {
  const answers = [];
  for (const seed of [7, 7, undefined, undefined]) {
    const m = await create(t, { model: TELLER, seed });
    answers.push(await m.prompt(PROMPT, { maxTokens: 40 }));
  }
  assert.equal(answers[0], answers[1]);
  assert.notEqual(answers[2], answers[3]);
});

test('a full context', ready, async (t) => {
  const n = vectors[0].prompt_ids.length;
  const m = await create(t, { ...greedy, contextWindow: n + 20, onOverflow: 'stop' });
  assert.equal(m.contextWindow, n + 20);
  const long = `${PROMPT} `.repeat(9);
  const full = { name: 'QuotaExceededError', code: 'context', message: /^The context of 45 tokens is full: .+\.$/ };
  await assert.rejects(m.prompt(long), full);
  await assert.rejects(m.append([{ role: 'user', content: long }]), full);
  assert.equal(m.contextUsage, 0);
  const g = await generate(m, PROMPT);
  assert.equal(g.stopReason, 'context');
  assert.deepEqual(g.tokens.slice(0, 10), vectors[0].greedy.slice(0, 10));
  assert.equal(g.tokens.length, 21);
  assert.equal(m.contextUsage, m.contextWindow);
  await assert.rejects(m.prompt('And then?'), full);
});

test('a model of the other kind is refused with a sentence', needs(TELLER, MODEL, ...BUILT), async () => {
  const { LanguageModel, Transcriber } = sotto;
  await assert.rejects(LanguageModel.create({ model: MODEL }), { code: 'argument', message: /Whisper.*Transcriber/ });
  await assert.rejects(Transcriber.create({ model: TELLER }), { code: 'argument', message: /gemma3.*LanguageModel/ });
});

test('calls that make no sense', ready, async (t) => {
  const wrong = (promise, message) => assert.rejects(promise, { name: 'SottoError', code: 'argument', message });
  const { LanguageModel } = sotto;
  const model = await fresh(t);
  await wrong(LanguageModel.create({ model: TELLER, topP: 2 }), /topP must be/);
  await wrong(LanguageModel.create({ model: TELLER, contextWindow: 1e6 }), /trained for/);
  await wrong(model.prompt(5), /must be a string, or an array/);
  await wrong(model.prompt([{ role: 'robot', content: '' }]), /must be a string, or an array/);
  await wrong(model.prompt([{ role: 'assistant', content: 'Hello' }]), /turn 1 is not the user's/);
  await wrong(model.prompt('a', { maxTokens: -1 }), /maxTokens must be/);
  await wrong(model.prompt('a', { stop: '' }), /stop must be/);
  const m = await model.clone();
  const running = m.prompt(PROMPT);
  await m.destroy();
  await assert.rejects(running, { name: 'AbortError' });
  await assert.rejects(m.prompt(PROMPT), { code: 'closed' });
  assert.ok(await (await fresh(t)).prompt(PROMPT, { maxTokens: 3 }), 'the others go on');
});
