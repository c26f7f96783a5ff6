// Which backend computes, what becomes of a GPU that fails, and that a GPU makes no difference but in speed: the package in Node. Most is tested on
// a device of Dawn's that compiles all and computes nothing: what it answers is whatever its memory holds. What it should compute is tested once, on a
// device that the processor plays.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { fails, json } from './cli.mjs';
import { JFK, MODEL, needs, readSamples, root, sotto, temporaryFolder } from './support.mjs';
import { generate, greedy, PROMPT, ready, TELLER, texts } from './teller.mjs';

const DRIVERS = ['/usr/lib/chromium/vk_swiftshader_icd.json', '/usr/share/vulkan/icd.d/lvp_icd.json']; // the quicker one first
const driver = DRIVERS.find((file) => existsSync(file));
const noPackage = ready.skip ?? (existsSync(path.join(root, 'node_modules/webgpu')) ? undefined : 'the npm package webgpu is not installed');
const noDriver = noPackage ?? (driver ? undefined : 'there is no Vulkan driver that plays a GPU (chromium or mesa-vulkan-drivers)');
const noPatience = noDriver ?? (process.env.SOTTO_SLOW_TESTS ? undefined : 'it takes minutes: set SOTTO_SLOW_TESTS');
for (const why of new Set([noPackage, noPatience])) if (why) console.log(`skip: ${why}`);
const withPackage = { skip: noPackage, timeout: 240_000 };
const idle = { backend: 'webgpu', dawn: ['backend=null'] };
const NOWHERE = '/nowhere/webgpu.js';
const FAILING = path.join(root, 'tests/js/failing-webgpu.mjs');

process.env.XDG_CACHE_HOME = mkdtempSync(path.join(tmpdir(), 'sotto-test-')); // notes of what was measured
after(() => rmSync(process.env.XDG_CACHE_HOME, { recursive: true, force: true }));
if (driver) process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = driver;

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
    assert.equal(await sotto.detectGpu(), undefined);
  });

  test('a GPU is described without being opened', withPackage, async () => {
    const found = await sotto.detectGpu(idle);
    assert.deepEqual(Object.keys(found).sort(), ['adapter', 'features', 'software']);
    assert.equal(typeof found.software, 'boolean');
    assert.ok(found.adapter !== '' && !found.features.includes('timestamp-query'));
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

  test('a GPU in software is left alone by "auto"', { skip: noDriver }, async (t) => {
    const { info } = await create(t, { backend: 'auto' });
    assert.equal(info.backend, 'cpu');
    assert.match(info.whyCpu, /software/);
  });
});

const failing = (t, fates, adapter = '') =>
  within(t, { SOTTO_WEBGPU_MODULE: FAILING, SOTTO_TEST_GPU: fates, SOTTO_TEST_ADAPTER: adapter });

/** The processor chooses: of a GPU that computes nothing no choice is to be had. */
const scored = { logprobs: 0 };
const HARDWARE = 'hardware of a test';

describe('on a GPU that computes nothing', withPackage, () => {
  test('info names it', async (t) => {
    const { info } = await create(t, idle);
    assert.equal(info.backend, 'webgpu');
    assert.ok(info.gpu.adapter.length > 0 && Array.isArray(info.gpu.features));
    assert.equal(info.whyCpu, undefined);
  });

  test('every task ends: answers, copies, saving, scores, logits, an abort', async (t) => {
    const gpu = await create(t, idle);
    await answer(gpu, scored);
    const saved = await (await gpu.clone()).save();
    await answer(await create(t, { ...idle, restore: saved }), scored);
    const ids = texts[0].slice(0, 80); // more than are evaluated in one step
    const scores = await gpu.score(ids);
    assert.equal(scores.length, ids.length - 1);
    let rows = 0;
    for await (const part of gpu.logits(ids)) {
      assert.equal(part.first, rows);
      rows += part.rows;
    }
    assert.equal(rows, ids.length);
    await assert.rejects(gpu.prompt(PROMPT, { ...scored, signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
    await answer(gpu, scored);
  });

  test('profile() tells of kernels', async (t) => {
    const gpu = await create(t, { ...idle, profile: true });
    await answer(gpu, scored);
    const { rows } = await gpu.profile();
    assert.ok(rows.length > 3);
    for (const { kernel, count } of rows) assert.ok(kernel.length > 0 && count > 0);
    assert.match((await (await create(t, {})).profile()).missing, /not on a GPU/);
  });

  test('bench of the command names it and says where the time goes', async () => {
    const options = ['-m', TELLER, '--backend', 'webgpu', '--dawn', 'backend=null', '--prefill', '4', '--decode', '2', '--rounds', '1'];
    const bench = await json(['bench', ...options, '--profile', '--json']);
    assert.equal(bench.backend, 'webgpu');
    assert.ok(bench.adapter.length > 0 && Array.isArray(bench.features) && bench.profile.length > 3);
  });
});

describe('a GPU that fails', withPackage, () => {
  test('lost in an answer: another one goes on', async (t) => {
    failing(t, 'lose@8');
    const restarts = [];
    const gpu = await create(t, { ...idle, onRestart: (info) => restarts.push(info) });
    await answer(gpu, scored);
    assert.deepEqual([restarts.length, restarts[0] === gpu.info, gpu.info.backend], [1, true, 'webgpu']);
  });

  test('lost twice in one answer: an error with "webgpu"', async (t) => {
    failing(t, 'lose@1,lose@1');
    const gpu = await create(t, idle);
    await assert.rejects(gpu.prompt(PROMPT, scored), { code: 'gpu', message: /^The GPU was (lost|given back)/ });
    await answer(gpu, scored); // on a third one
  });

  test('lost twice in one answer: with "auto" the CPU goes on, and says why', async (t) => {
    const expected = await answer(await create(t, {}));
    const lost = path.join(temporaryFolder(t), 'lost');
    failing(t, `lose@${lost},lose@${lost}`, HARDWARE);
    const model = await create(t, { ...idle, backend: 'auto' });
    assert.equal(model.info.gpu.adapter, HARDWARE);
    writeFileSync(lost, '');
    assert.deepEqual(await answer(model), expected);
    assert.deepEqual([model.info.backend, model.info.gpu], ['cpu', undefined]);
    assert.match(model.info.whyCpu, /GPU was (lost|given back)/);
  });

  test('lost between two tasks: copies are made and saved all the same', async (t) => {
    const lost = path.join(temporaryFolder(t), 'lost');
    failing(t, `lose@${lost},lose@${lost}`, HARDWARE);
    const model = await create(t, { ...idle, backend: 'auto' });
    await answer(model, scored);
    writeFileSync(lost, '');
    const copy = await model.clone();
    const restored = await create(t, { backend: 'cpu', restore: await copy.save() });
    assert.equal(restored.contextUsage, model.contextUsage);
    assert.equal((await generate(copy, 'And then?', { maxTokens: 4 })).tokens.length, 4);
    assert.equal(copy.info.backend, 'cpu');
  });

  test('a model that cannot be read again: a sentence that says so', async (t) => {
    failing(t, 'lose@1');
    const gpu = await create(t, { ...idle, model: readFileSync(TELLER) });
    await assert.rejects(gpu.prompt(PROMPT), { code: 'gpu', message: /cannot be read again/ });
  });

  test('memory that runs out while a model is loaded: an error with "webgpu", the CPU with "auto"', async (t) => {
    failing(t, 'memory@4000000', HARDWARE);
    await assert.rejects(sotto.LanguageModel.create({ ...greedy, ...idle }), { code: 'memory' });
    const { info } = await create(t, { ...idle, backend: 'auto' });
    assert.equal(info.backend, 'cpu');
    assert.match(info.whyCpu, /memory of the GPU ran out/i);
  });

  test('lost in a transcription: the CPU goes on with the words', { ...withPackage, ...needs(MODEL) }, async (t) => {
    const lost = path.join(temporaryFolder(t), 'lost');
    failing(t, `lose@${lost},lose@${lost}`, HARDWARE);
    const transcriber = await sotto.Transcriber.create({ model: MODEL, ...idle, backend: 'auto' });
    t.after(() => transcriber.destroy());
    assert.equal(transcriber.info.backend, 'webgpu');
    writeFileSync(lost, '');
    const { samples, rate } = readSamples(JFK);
    const { text } = await transcriber.transcribe(samples, { sampleRate: rate, language: 'en' });
    assert.match(text, /ask not what your country can do for you/i);
    assert.equal(transcriber.info.backend, 'cpu');
  });
});

// Compiling for such a driver takes minutes of a processor: one model for all of it.
test('on a GPU that the processor plays: what the CPU computes, also when it is lost in the middle', { skip: noPatience, timeout: 290_000 }, async (t) => {
  const lost = path.join(temporaryFolder(t), 'lost');
  const cpu = await create(t, {});
  failing(t, `lose@${lost},lose@${lost}`, HARDWARE);
  const model = await create(t, { backend: 'auto' });
  assert.equal(model.info.backend, 'webgpu');
  assert.deepEqual(await answer(model), await answer(cpu));

  const next = async (m, options) => (await generate(m, 'And then?', { maxTokens: 10, ...options })).tokens;
  const restored = await create(t, { backend: 'cpu', restore: await model.save() });
  const expected = await next(cpu);
  assert.deepEqual(await next(restored), expected, 'saved on the GPU, restored on the CPU');

  let n = 0;
  let whole;
  for await (const _ of model.promptStreaming('And then?', { maxTokens: 10, onFinish: (g) => (whole = g) })) if (++n === 2) writeFileSync(lost, '');
  assert.deepEqual(whole.tokens, expected);
});
