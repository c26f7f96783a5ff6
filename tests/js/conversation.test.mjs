// Conversations of a LanguageModel: what they hold, when they outgrow the context, copies, saved ones; all on the model
// that comes with the project.
import assert from 'node:assert/strict';
import test from 'node:test';
import { sotto } from './support.mjs';
import { create, generate, greedy, PROMPT, ready, shared, TELLER, vectors } from './teller.mjs';

const fresh = shared();
const nPrompt = vectors[0].prompt_ids.length;
const SYSTEM = { role: 'system', content: 'Use the word dog.' };

test('the oldest turns are left out when the context is full, the system text stays', ready, async (t) => {
  const m = await create(t, { ...greedy, contextWindow: 200, initialPrompts: [SYSTEM] });
  const heard = [];
  m.addEventListener('contextoverflow', (event) => heard.push(['listener', event]));
  m.oncontextoverflow = (event) => heard.push(['handler', event]);
  const questions = Array.from({ length: 8 }, (_, i) => `Tell me a story about dog number ${i}.`);
  for (const question of questions) {
    const g = await generate(m, question, { maxTokens: 30 });
    assert.equal(g.stopReason, 'length');
    assert.ok(m.contextUsage <= 200, `${m.contextUsage}`);
    assert.equal(m.contextUsage, g.promptTokens.length + 30);
  }
  assert.ok(heard.length > 0 && heard.length < questions.length * 2, `${heard.length} events`);
  assert.ok(
    heard.every(
      ([, event]) => event instanceof sotto.ContextOverflowEvent && event.dropped > 0 && event.dropped % 2 === 0,
    ),
  );
  assert.deepEqual([...new Set(heard.map(([who]) => who))].sort(), ['handler', 'listener']);
  const { messages } = m;
  assert.deepEqual(messages[0], SYSTEM);
  assert.equal(messages.at(-2).content, questions.at(-1));
  assert.ok(messages.length < 1 + 2 * questions.length);
  assert.equal(messages[1].role, 'user');
  // What is left is what the model has: the same conversation given anew goes on alike.
  const other = await create(t, { ...greedy, contextWindow: 200, initialPrompts: messages });
  const [a, b] = [
    await generate(m, 'And then?', { maxTokens: 12 }),
    await generate(other, 'And then?', { maxTokens: 12 }),
  ];
  assert.deepEqual([a.promptTokens, a.tokens], [b.promptTokens, b.tokens]);
});

test('an answer that fills the context goes on without the oldest turns, or ends there', ready, async (t) => {
  const long = { maxTokens: 60 };
  for (const onOverflow of ['drop', 'stop']) {
    const m = await create(t, { ...greedy, contextWindow: 100, onOverflow });
    let dropped = 0;
    m.oncontextoverflow = (event) => (dropped = event.dropped);
    await m.append([
      { role: 'user', content: 'Tell me a story about a cat.' },
      { role: 'assistant', content: 'Once upon a time there was a cat.' },
    ]);
    const g = await generate(m, PROMPT, long);
    if (onOverflow === 'drop') {
      assert.deepEqual([g.stopReason, dropped, g.tokens.length], ['length', 2, 60]);
      assert.deepEqual(g.promptTokens, vectors[0].prompt_ids);
      assert.equal(m.messages.length, 2);
    } else {
      assert.deepEqual([g.stopReason, dropped], ['context', 0]);
      assert.equal(m.contextUsage, 100);
      assert.equal(m.messages.length, 4);
    }
  }
});

test('a prompt that is too large alone is refused, with how much it needs', ready, async (t) => {
  const m = await create(t, { ...greedy, contextWindow: 60 });
  const g = await generate(m, PROMPT, { maxTokens: 5 });
  const before = m.messages;
  const error = await m.prompt(`${PROMPT} `.repeat(20)).catch((e) => e);
  assert.ok(error instanceof sotto.QuotaExceededError && error instanceof sotto.SottoError);
  assert.deepEqual([error.name, error.code, error.quota], ['QuotaExceededError', 'context', 60]);
  assert.ok(error.requested > 200);
  assert.deepEqual(m.messages, before);
  assert.equal(m.contextUsage, g.promptTokens.length + 5);
  assert.ok((await m.prompt('And then?', { maxTokens: 3 })).length > 0);
});

test('measureContextUsage says what a prompt would add', ready, async (t) => {
  const m = await fresh(t);
  assert.equal(await m.measureContextUsage(PROMPT), nPrompt);
  await m.prompt(PROMPT, { maxTokens: 10 });
  const added = await m.measureContextUsage('And then?');
  const usage = m.contextUsage;
  const g = await generate(m, 'And then?', { maxTokens: 1 });
  assert.equal(usage + added, g.promptTokens.length);
  m.messages = [{ role: 'user', content: PROMPT }];
  assert.equal(await m.measureContextUsage([]), 0);
  assert.equal(m.contextUsage, nPrompt);
});

test('an answer can begin with a prefix', ready, async (t) => {
  const whole = await (await fresh(t)).prompt(PROMPT, { maxTokens: 30 });
  const begin = 'Once upon a time,';
  assert.ok(whole.startsWith(begin));
  const m = await fresh(t);
  const g = await generate(
    m,
    [
      { role: 'user', content: PROMPT },
      { role: 'assistant', content: begin, prefix: true },
    ],
    { maxTokens: 10 },
  );
  assert.ok(whole.startsWith(begin + g.text), g.text);
  assert.deepEqual(m.messages.at(-1), { role: 'assistant', content: begin + g.text });
  const wrong = [
    { role: 'assistant', content: begin, prefix: true },
    { role: 'user', content: PROMPT },
  ];
  await assert.rejects(m.prompt(wrong), { code: 'argument', message: /last message/ });
  await assert.rejects(m.append(wrong.slice(0, 1)), {
    code: 'argument',
    message: /prompt\(\) and promptStreaming\(\) alone/,
  });
});

test('a clone goes on as the original, without evaluating anew; then they are strangers', ready, async (t) => {
  const m = await fresh(t);
  const first = m.prompt(PROMPT, { maxTokens: 20 });
  const copy = await m.clone(); // its turn comes after the answer
  t.after(() => copy.destroy());
  assert.deepEqual(copy.messages, m.messages);
  assert.equal(copy.messages[1].content, await first);
  assert.equal(copy.contextUsage, m.contextUsage);
  const [a, b] = await Promise.all([
    generate(m, 'And then?', { maxTokens: 20 }),
    generate(copy, 'And then?', { maxTokens: 20 }),
  ]);
  assert.deepEqual(a.tokens, b.tokens);
  assert.ok(b.timings.nReused > nPrompt, `${b.timings.nReused} tokens reused`);
  await m.prompt('Tell me about the ball.', { maxTokens: 5 });
  assert.equal(copy.messages.length, 4);
  assert.equal(m.messages.length, 6);
  const stopped = new AbortController();
  const running = m.prompt(PROMPT, { signal: stopped.signal });
  const cloning = m.clone({ signal: stopped.signal });
  stopped.abort();
  await assert.rejects(running, { name: 'AbortError' });
  await assert.rejects(cloning, { name: 'AbortError' });
});

test('a conversation is saved, and goes on elsewhere', ready, async (t) => {
  for (const kvType of [undefined, 'q8_0']) {
    const m = await create(t, { ...greedy, kvType, contextWindow: 300, initialPrompts: [SYSTEM] });
    await m.prompt(PROMPT, { maxTokens: 30 });
    const bytes = await m.save();
    const there = await create(t, { ...greedy, kvType, restore: bytes });
    assert.equal(there.contextWindow, 300);
    assert.equal(there.contextUsage, m.contextUsage);
    assert.deepEqual(there.messages, m.messages);
    const [a, b] = [
      await generate(m, 'And then?', { maxTokens: 30 }),
      await generate(there, 'And then?', { maxTokens: 30 }),
    ];
    assert.deepEqual(b.tokens, a.tokens);
    assert.equal(b.timings.nReused, a.timings.nReused);
    assert.ok(b.timings.nReused > nPrompt);
    t.diagnostic(`${kvType ?? 'f16'}: ${bytes.length} bytes`);
  }
});

test('bytes that are no saved conversation', ready, async (t) => {
  const m = await create(t, { ...greedy, contextWindow: 128 });
  await m.prompt(PROMPT, { maxTokens: 5 });
  const bytes = await m.save();
  const refused = (restore, message, options = {}) =>
    assert.rejects(sotto.LanguageModel.create({ ...greedy, ...options, restore }), {
      name: 'SottoError',
      code: 'format',
      message,
    });
  await refused(new Uint8Array(0), /no saved conversation/);
  await refused(new TextEncoder().encode('SOTTOLM1{}'), /no saved conversation/);
  for (const n of [10, 40, bytes.length - 1]) await refused(bytes.slice(0, n), /./);
  const damaged = bytes.slice();
  damaged[bytes.length - 100] ^= 1;
  await refused(damaged, /./);
  await refused(bytes, /./, { kvType: 'q8_0' });
  const lying = bytes.slice();
  new DataView(lying.buffer).setUint32(8, 0xffffffff, true);
  await refused(lying, /no saved conversation/);
  await assert.rejects(sotto.LanguageModel.create({ ...greedy, restore: bytes, initialPrompts: [SYSTEM] }), {
    code: 'argument',
  });
});

test('prompts to a model and its clones all come, each in the order of its calls', ready, async (t) => {
  const m = await fresh(t);
  const copies = [m, await fresh(t), await fresh(t)];
  const order = [];
  await Promise.all(
    copies.flatMap((copy, c) =>
      [1, 2, 3].map(async (i) => {
        await copy.prompt(i === 1 ? PROMPT : 'And then?', { maxTokens: 4 });
        order.push([c, i]);
      }),
    ),
  );
  assert.equal(order.length, 9);
  for (const c of [0, 1, 2])
    assert.deepEqual(
      order.filter(([who]) => who === c).map(([, i]) => i),
      [1, 2, 3],
    );
  assert.deepEqual(copies[1].messages, copies[0].messages);
});

test('an abort in the middle of the prompt is heard; progress is told', ready, async (t) => {
  const m = await fresh(t);
  const text = `${PROMPT} `.repeat(120);
  const told = [];
  await m.prompt(text, { maxTokens: 1, onProgress: (done, total) => told.push([done, total]) });
  assert.ok(told.length > 2);
  assert.ok(told.every(([done], i) => i === 0 || done > told[i - 1][0]));
  const [done, total] = told.at(-1);
  assert.equal(done, total);
  const other = await fresh(t);
  const controller = new AbortController();
  let seen = 0;
  const running = other.prompt(text, {
    signal: controller.signal,
    onProgress: () => ++seen === 1 && controller.abort(),
  });
  await assert.rejects(running, { name: 'AbortError' });
  assert.equal(other.contextUsage, 0);
  assert.ok(vectors[0].text.startsWith(await other.prompt(PROMPT, { maxTokens: 10 })));
});

test('what the Prompt API has and these models have not is refused by its name', ready, async (t) => {
  const { LanguageModel } = sotto;
  const m = await fresh(t);
  const refused = (promise, message) => assert.rejects(promise, { name: 'NotSupportedError', message });
  await refused(m.prompt('a', { responseConstraint: { type: 'object' } }), /responseConstraint/);
  await refused(m.prompt([{ role: 'user', content: [{ type: 'image', value: new Blob([]) }] }]), /"image"/);
  await refused(LanguageModel.create({ ...greedy, expectedInputs: [{ type: 'audio' }] }), /"audio"/);
  await refused(LanguageModel.create({ ...greedy, tools: [{ name: 'x' }] }), /tools/);
  assert.equal(await LanguageModel.availability({ ...greedy, expectedInputs: [{ type: 'audio' }] }), 'unavailable');
  assert.equal(
    await LanguageModel.availability({ ...greedy, expectedInputs: [{ type: 'text', languages: ['en'] }] }),
    'available',
  );
  const g = await generate(
    m,
    [
      {
        role: 'user',
        content: [
          { type: 'text', value: PROMPT.slice(0, 10) },
          { type: 'text', value: PROMPT.slice(10) },
        ],
      },
    ],
    { maxTokens: 5 },
  );
  assert.deepEqual(g.promptTokens, vectors[0].prompt_ids);
  const params = await LanguageModel.params();
  assert.deepEqual([params.defaultTemperature, params.defaultTopK], [1, 64]);
  assert.deepEqual([m.temperature, m.topK], [0, 64]);
});

test('what a destroyed model is asked fails, and what was waiting too', ready, async (t) => {
  const m = await create(t, { model: TELLER });
  const waiting = [m.prompt(PROMPT), m.prompt(PROMPT), m.clone(), m.save()];
  const settled = Promise.allSettled(waiting);
  await m.destroy();
  for (const { status, reason } of await settled) {
    assert.equal(status, 'rejected');
    assert.equal(reason.name, 'AbortError');
  }
  await assert.rejects(m.tokenize('a'), { code: 'closed' });
  await assert.rejects(m.clone(), { code: 'closed' });
});
