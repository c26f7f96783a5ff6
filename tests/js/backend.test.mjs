// Which backend computes, and that it makes no difference but in speed: the package in Node, on the CPU and on lavapipe, which plays a GPU.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { done, fails, json } from './cli.mjs';
import { JFK, JFK_WORDS, MODEL, needs, readSamples, root, sotto, words } from './support.mjs';
import { generate, greedy, PROMPT, ready, TELLER, texts } from './teller.mjs';

const LAVAPIPE = '/usr/share/vulkan/icd.d/lvp_icd.json';
const why = ready.skip
  ? ready.skip
  : !existsSync(path.join(root, 'node_modules/webgpu'))
    ? 'the npm package webgpu is not installed'
    : !existsSync(LAVAPIPE)
      ? 'lavapipe (mesa-vulkan-drivers) is not installed'
      : undefined;
if (why) console.log(`skip: ${why}`);
const onGpu = { skip: why, timeout: 120_000 };
const NOWHERE = '/nowhere/webgpu.js';
const FAILING = path.join(root, 'tests/js/failing-webgpu.mjs');

process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = LAVAPIPE;

/** Sets environment variables for a test; workers and commands that it starts see them. */
function within(t, variables) {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => (before === undefined ? delete process.env[name] : (process.env[name] = before)));
  }
}

async function create(t, options) {
  const model = await sotto.LanguageModel.create({ ...greedy, ...options });
  t.after(() => model.destroy());
  return model;
}

const N = 12;
const answer = async (model, more) => (await generate(model, PROMPT, { maxTokens: N, ...more })).tokens;

describe('what is chosen', ready, () => {
  test('in Node the CPU computes, unless something else is said', async (t) => {
    const { info } = await create(t, {});
    assert.deepEqual([info.backend, info.gpu, info.whyCpu], ['cpu', undefined, undefined]);
  });

  test('an unknown backend is refused', async () => {
    await assert.rejects(sotto.LanguageModel.create({ ...greedy, backend: 'abacus' }), {
      code: 'argument',
      message: 'backend must be one of auto, webgpu, cpu.',
    });
    await assert.rejects(sotto.Transcriber.create({ backend: 'gpu' }), { code: 'argument' });
  });

  test('without WebGPU: "auto" is the CPU and says why, "webgpu" is an error that says what to do', async (t) => {
    within(t, { SOTTO_WEBGPU_MODULE: NOWHERE });
    const { info } = await create(t, { backend: 'auto' });
    assert.equal(info.backend, 'cpu');
    assert.match(info.whyCpu, /npm install webgpu/);
    await assert.rejects(sotto.LanguageModel.create({ ...greedy, backend: 'webgpu' }), {
      code: 'gpu',
      message: /npm install webgpu/,
    });
  });

  test('the command says so too', async (t) => {
    within(t, { SOTTO_WEBGPU_MODULE: NOWHERE });
    const env = { env: process.env };
    await fails(2, ['generate', '--backend', 'abacus'], /needs cpu, webgpu or auto, not 'abacus'/, env);
    await fails(1, ['generate', '-p', 'a', '-n', '1', '--backend', 'webgpu'], /npm install webgpu/, env);
    const bench = await json(['bench', '--backend', 'auto', '--prefill', '2', '--decode', '1', '--rounds', '1', '--json'], env);
    assert.equal(bench.backend, 'cpu');
    assert.match(bench.why_cpu, /npm install webgpu/);
  });

  test('a GPU in software is left alone by "auto"', onGpu, async (t) => {
    const { info } = await create(t, { backend: 'auto' });
    assert.equal(info.backend, 'cpu');
    assert.match(info.whyCpu, /software/);
  });
});

describe('on a GPU', onGpu, () => {
  test('a language model writes, is scored, forked, saved and restored as on the CPU', async (t) => {
    const [cpu, gpu] = [await create(t, {}), await create(t, { backend: 'webgpu' })];
    assert.equal(gpu.info.backend, 'webgpu');
    assert.match(gpu.info.gpu.adapter, /llvmpipe/);
    assert.equal(gpu.info.gpu.software, true);
    const expected = await answer(cpu);
    assert.deepEqual(await answer(gpu), expected);

    const copy = await gpu.clone();
    const saved = await copy.save();
    const more = [{ role: 'user', content: 'And then?' }];
    const next = async (model) => (await generate(model, more, { maxTokens: 8 })).tokens;
    const after = await next(cpu);
    assert.deepEqual(await next(copy), after);
    for (const backend of ['cpu', 'webgpu']) {
      const back = await create(t, { backend, restore: saved });
      assert.deepEqual(await next(back), after, `restored on ${backend}`);
    }

    const ids = texts[0].slice(0, 24);
    const [a, b] = [await cpu.score(ids), await gpu.score(ids)];
    a.forEach((logprob, i) => assert.ok(Math.abs(logprob - b[i]) < 0.05, `${logprob} and ${b[i]}`));
  });

  test('log-probabilities and sampling with a seed are those of the CPU', async (t) => {
    const options = { maxTokens: 6, temperature: 0.8, seed: 3, logprobs: 2 };
    const [cpu, gpu] = [await create(t, {}), await create(t, { backend: 'webgpu' })];
    const [a, b] = [await generate(cpu, PROMPT, options), await generate(gpu, PROMPT, options)];
    assert.deepEqual(b.tokens, a.tokens);
    a.logprobs.forEach(({ logprob }, i) => assert.ok(Math.abs(logprob - b.logprobs[i].logprob) < 0.05));
    assert.deepEqual(await answer(gpu, { temperature: 0.8, seed: 3, maxTokens: 6 }), a.tokens);
  });

  test('an abort ends an answer, and the next one is right', async (t) => {
    const gpu = await create(t, { backend: 'webgpu' });
    const abort = new AbortController();
    const running = gpu.prompt(PROMPT, { signal: abort.signal });
    setTimeout(() => abort.abort(), 300);
    await assert.rejects(running, { name: 'AbortError' });
    assert.deepEqual(await answer(gpu), await answer(await create(t, {})));
  });

  test('profile() tells of kernels', async (t) => {
    const gpu = await create(t, { backend: 'webgpu', profile: true });
    await answer(gpu, { maxTokens: 2 });
    const { rows } = await gpu.profile();
    assert.ok(rows.length > 3);
    for (const { kernel, count, ms } of rows) assert.ok(kernel.length > 0 && count > 0 && ms >= 0);
    const cpu = await create(t, {});
    assert.match((await cpu.profile()).missing, /not on a GPU/);
  });

  test('the command: bench names the GPU, generate writes what it writes on the CPU', async () => {
    const options = ['-m', TELLER, '--backend', 'webgpu', '--dawn', 'backend=vulkan'];
    const bench = await json(['bench', ...options, '--prefill', '4', '--decode', '2', '--rounds', '1', '--profile', '--json']);
    assert.equal(bench.backend, 'webgpu');
    assert.match(bench.adapter, /llvmpipe/);
    assert.ok(Array.isArray(bench.features) && bench.profile.length > 3);
    const write = ['generate', '--chat', '-p', PROMPT, '-n', '6', '--temperature', '0'];
    assert.equal(await done([...write, ...options]), await done([...write, '-m', TELLER]));
  });

  test('speech: the words are those of the recording', { ...onGpu, ...needs(MODEL) }, async (t) => {
    const transcriber = await sotto.Transcriber.create({ model: MODEL, backend: 'webgpu' });
    t.after(() => transcriber.destroy());
    const { samples, rate } = readSamples(JFK);
    const { text } = await transcriber.transcribe(samples, { sampleRate: rate, language: 'en' });
    assert.deepEqual(words(text), JFK_WORDS);
  });
});

describe('a GPU that fails', onGpu, () => {
  const failing = (t, fates, adapter = '') =>
    within(t, { SOTTO_WEBGPU_MODULE: FAILING, SOTTO_TEST_GPU: fates, SOTTO_TEST_ADAPTER: adapter });

  test('lost in an answer: it goes on, as if nothing had happened', async (t) => {
    const expected = await answer(await create(t, {}));
    failing(t, 'lose@20');
    let restarted = 0;
    const gpu = await create(t, { backend: 'webgpu', onRestart: (info) => (restarted += info === gpu.info) });
    let streamed = '';
    let whole;
    for await (const piece of gpu.promptStreaming(PROMPT, { maxTokens: N, onFinish: (g) => (whole = g) })) streamed += piece;
    assert.deepEqual(whole.tokens, expected);
    assert.equal(streamed, whole.text);
    assert.equal(restarted, 1);
    assert.equal(gpu.info.backend, 'webgpu');
  });

  test('lost in an answer that is drawn: the draws go on', async (t) => {
    const options = { temperature: 0.9, seed: 11 };
    const expected = await answer(await create(t, {}), options);
    failing(t, 'lose@18');
    assert.deepEqual(await answer(await create(t, { backend: 'webgpu' }), options), expected);
  });

  test('lost between two questions: the conversation and its copies go on', async (t) => {
    const cpu = await create(t, {});
    await answer(cpu);
    const expected = (await generate(cpu, 'And then?', { maxTokens: 6 })).tokens;
    failing(t, 'lose@30');
    const gpu = await create(t, { backend: 'webgpu' });
    await answer(gpu);
    const copy = await gpu.clone();
    assert.deepEqual((await generate(copy, 'And then?', { maxTokens: 6 })).tokens, expected);
    const restored = await create(t, { restore: await gpu.save() });
    assert.deepEqual((await generate(restored, 'And then?', { maxTokens: 6 })).tokens, expected);
  });

  test('lost twice in one answer: "webgpu" fails, with a sentence', async (t) => {
    failing(t, 'lose@20,lose@20');
    const gpu = await create(t, { backend: 'webgpu' });
    await assert.rejects(gpu.prompt(PROMPT), { code: 'gpu', message: /^The GPU was (lost|given back)/ });
    assert.deepEqual(await answer(gpu), await answer(await create(t, {})), 'a third GPU does the next one');
  });

  test('lost twice in one answer: with "auto" the CPU goes on', async (t) => {
    const expected = await answer(await create(t, {}));
    failing(t, 'lose@20,lose@20', 'hardware of a test');
    const model = await create(t, { backend: 'auto' });
    assert.equal(model.info.gpu.adapter, 'hardware of a test');
    assert.deepEqual(await answer(model), expected);
    assert.deepEqual([model.info.backend, model.info.gpu], ['cpu', undefined]);
    assert.match(model.info.whyCpu, /^The GPU was (lost|given back)/);
  });

  test('a model that cannot be read again: a sentence that says so', async (t) => {
    failing(t, 'lose@20');
    const bytes = await (await import('node:fs/promises')).readFile(TELLER);
    const gpu = await create(t, { model: bytes, backend: 'webgpu' });
    await assert.rejects(gpu.prompt(PROMPT), { code: 'gpu', message: /cannot be read again/ });
  });

  test('memory that runs out while a model is loaded: an error with "webgpu", the CPU with "auto"', async (t) => {
    failing(t, 'memory@4000000', 'hardware of a test');
    await assert.rejects(sotto.LanguageModel.create({ ...greedy, backend: 'webgpu' }), { code: 'memory' });
    const { info } = await create(t, { backend: 'auto' });
    assert.equal(info.backend, 'cpu');
    assert.match(info.whyCpu, /memory of the GPU ran out/);
  });

  test('lost in a transcription: it goes on', { ...onGpu, ...needs(MODEL) }, async (t) => {
    failing(t, 'lose@30');
    const transcriber = await sotto.Transcriber.create({ model: MODEL, backend: 'webgpu' });
    t.after(() => transcriber.destroy());
    const { samples, rate } = readSamples(JFK);
    const { text } = await transcriber.transcribe(samples, { sampleRate: rate, language: 'en' });
    assert.deepEqual(words(text), JFK_WORDS);
  });
});
