// Whole models on the GPU, against references in float64 and against the CPU: logits, greedy texts, sessions that move.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Engine, hasEngine, readNpy, readWav, relativeError, root } from './engine.mjs';
import { useAdapter, wholeModelAdapters } from './harness.mjs';

const adapters = wholeModelAdapters();
/** In software kernels take long to compile, and an encoder's half minute of audio to run: less of it. */
const software = (adapter) => adapter !== 'gpu' && !process.env.SOTTO_SLOW_TESTS;
const familiesOf = (adapter) =>
  software(adapter) ? ['gemma3-1b'] : ['gemma1-2b', 'gemma2-2b', 'gemma3-1b', 'gemma3-4b'];
/** Of logits: half-precision keys, values and products of many rows move them by less. */
const CLOSE = 0.1;
const inRoot = (name) => path.join(root, name);

async function checkFamily(engine, cpu, family) {
  const folder = inRoot(`tests/fixtures/golden/${family}-shape`);
  const vectors = JSON.parse(readFileSync(`${folder}/vectors.json`, 'utf8'));
  const { data, shape } = readNpy(`${folder}/logits.npy`);
  const [nIds, nVocab] = shape;
  const files = ['config.json', 'model.safetensors'].map((name) => `${folder}/${name}`);
  const model = engine.load(files);
  const session = engine.session(model, { n_ctx: 100, n_batch: nIds, all_logits: 1 });
  await engine.sync(session, vectors.ids);
  for (let i = 0; i < nIds; i++) {
    const error = relativeError(engine.logits(session, nVocab, nIds - 1 - i), data.subarray(i * nVocab, (i + 1) * nVocab));
    assert.ok(error < 5e-3, `${family}: logits of token ${i} are ${error} away`);
  }

  const prefix = vectors.ids.slice(0, vectors.greedy_prefix);
  const close = vectors.greedy_margin.findIndex((margin) => margin < CLOSE);
  const n = close < 0 ? 12 : Math.min(close, 12);
  const first = await engine.greedy(session, prefix, n, nVocab);
  assert.deepEqual(first, vectors.greedy.slice(0, n), family);

  // A copy, and a session of the CPU restored from what was saved, go on alike.
  const all = [...prefix, ...first];
  const fork = await engine.fork(session);
  const saved = await engine.save(session);
  const cpuModel = cpu.load(files);
  const moved = cpu.session(cpuModel, { n_ctx: 100, n_batch: 8 });
  cpu.restore(moved, saved);
  const back = engine.session(model, { n_ctx: 100, n_batch: 8 });
  await cpu.sync(moved, all);
  engine.restore(back, await cpu.save(moved));
  const next = [...all, vectors.ids[1]];
  await cpu.sync(moved, next);
  const should = cpu.logits(moved, nVocab);
  for (const s of [session, fork, back]) {
    await engine.sync(s, next);
    const error = relativeError(engine.logits(s, nVocab), should);
    assert.ok(error < 1e-2, `${family}: a session that moved is ${error} away`);
    engine.x.sotto_wasm_session_close(s);
  }
  engine.x.sotto_wasm_model_close(model);
  cpu.x.sotto_wasm_session_close(moved);
  cpu.x.sotto_wasm_model_close(cpuModel);
}

async function checkTeller(engine, cpu, brief) {
  const vectors = JSON.parse(readFileSync(inRoot('tests/fixtures/teller/vectors.json'), 'utf8')).vectors;
  const files = [inRoot('assets/teller-q8_0.gguf')];
  const n = brief ? 3 : 10;
  for (const e of [engine, cpu]) e.model = e.load(files);
  for (const { prompt_ids: prompt, greedy, margin } of vectors.slice(0, brief ? 1 : 5)) {
    const clear = margin.slice(0, n).findIndex((m) => m < 0.3);
    const texts = [];
    for (const e of [engine, cpu]) {
      const session = e.session(e.model, { n_ctx: prompt.length + n, n_batch: 32 });
      e.x.sotto_wasm_model_describe(e.model, e.row);
      texts.push(await e.greedy(session, prompt, n, e.values(4)[3]));
      e.x.sotto_wasm_session_close(session);
    }
    const same = clear < 0 ? n : clear;
    assert.deepEqual(texts[0].slice(0, same), greedy.slice(0, same));
    assert.deepEqual(texts[0].slice(0, same), texts[1].slice(0, same));
  }
  for (const e of [engine, cpu]) e.x.sotto_wasm_model_close(e.model);
}

async function checkWhisper(engine, cpu) {
  const name = inRoot('models/ggml-tiny-q5_1.bin');
  const samples = readWav(inRoot('tests/fixtures/audio/jfk.wav'));
  const texts = [];
  for (const e of [engine, cpu]) {
    const model = e.load([name], false);
    texts.push(await e.transcribe(model, samples));
    e.x.sotto_wasm_model_close(model);
  }
  assert.equal(texts[0], texts[1]);
  assert.match(texts[0], /ask not what your country can do for you/i);
}

if (!hasEngine || adapters.length === 0)
  test('whole models', { skip: hasEngine ? 'no Vulkan driver in software' : 'js/dist/sotto-relaxed-single.wasm is not made' }, () => {});
for (const adapter of hasEngine ? adapters : [])
  test(`whole models on ${adapter}`, async (t) => {
    useAdapter(adapter);
    const engine = await Engine.open({});
    const cpu = await Engine.open();
    assert.deepEqual([engine.backend, cpu.backend], ['webgpu', 'cpu']);
    for (const family of familiesOf(adapter)) await t.test(family, () => checkFamily(engine, cpu, family));
    const slow = software(adapter) && 'it takes minutes in software: SOTTO_SLOW_TESTS=1';
    await t.test('teller', { skip: adapter === 'lavapipe' && slow }, () => checkTeller(engine, cpu, software(adapter)));
    const missing = !existsSync(inRoot('models/ggml-tiny-q5_1.bin')) && 'models/ggml-tiny-q5_1.bin is not there (make models)';
    await t.test('whisper', { skip: slow || missing }, () => checkWhisper(engine, cpu));
    await engine.close();
    await cpu.close();
  });
