// Tokens that the GPU chooses by itself, some steps ahead, against those that the sampler takes from the same GPU's logits.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Engine, hasEngine, root } from './engine.mjs';
import { useAdapter, wholeModelAdapters } from './harness.mjs';

const N_CTX = 6;
const N_PROMPT = 1; // kernels for many rows take software long to compile, and are tested elsewhere

const samplings = [
  { temperature: 0, repetition_penalty: 1.5, frequency_penalty: 0.3, penalty_window: 30, bias: [[3, 2], [9, -Infinity]] },
  { temperature: 4, top_k: 30, top_p: 0.9, min_p: 0.01, presence_penalty: 0.5, seed: 9 },
  { top_k: 0, seed: 1 }, // which the GPU leaves to the sampler
];

function openSampler({ x, ...engine }, model, { bias = [], ...options }, prompt) {
  const o = x.sotto_wasm_sampler_options();
  const biases = x.sotto_wasm_logit_biases(bias.length) >>> 0;
  bias.forEach(([id, by], i) => x.sotto_wasm_logit_bias(biases, i, id, by));
  for (const [name, value] of Object.entries({ ...options, logit_bias: biases, n_logit_bias: bias.length }))
    engine.name(name, (p) => assert.ok(x.sotto_wasm_sampler_option(o, p, value), name));
  const sampler = x.sotto_wasm_sampler_open(model, o);
  x.sotto_wasm_free(biases);
  x.sotto_wasm_free(o);
  for (const id of prompt) x.sotto_wasm_sampler_accept(sampler, id);
  return sampler;
}

function hold(engine, session, ids) {
  engine.with(new Uint8Array(Int32Array.from(ids).buffer), (p) =>
    engine.check(engine.x.sotto_wasm_session_sync(session, p, ids.length)),
  );
}

async function next(engine, session, sampler) {
  await engine.finish(() => engine.x.sotto_wasm_session_next(session, sampler, engine.row));
  return engine.values(1)[0];
}

async function step(engine, session, sampler, ids, nVocab) {
  await engine.sync(session, ids);
  assert.ok(engine.logits(session, nVocab));
  const id = engine.check(engine.x.sotto_wasm_sampler_sample(sampler, engine.x.sotto_wasm_session_logits(session, 0), 0));
  engine.x.sotto_wasm_sampler_accept(sampler, id);
  return id;
}

async function checkSampling(engine, model, ids, sampling, nVocab, reads) {
  const { x } = engine;
  const prompt = ids.slice(0, N_PROMPT);
  const [ahead, plain] = [0, 1].map(() => engine.session(model, { n_ctx: N_CTX, n_batch: 16 }));
  const with_ = { x, name: (name, fn) => engine.with(Buffer.from(`${name}\0`), fn) };
  const [a, b] = [0, 1].map(() => openSampler(with_, model, sampling, prompt));
  let text = [...prompt];
  hold(engine, ahead, text);
  for (let i = 0; text.length <= N_CTX; i++) {
    reads.length = 0;
    const got = await next(engine, ahead, a);
    if (sampling.top_k !== 0) assert.ok(reads.every((bytes) => bytes === 4), `reads of ${reads} bytes`);
    assert.equal(got, await step(engine, plain, b, text, nVocab), `token ${i} of ${JSON.stringify(sampling)}`);
    text.push(got);
    if (i === 2) {
      // Elsewhere, with some tokens under way.
      text = [...text.slice(0, -1), ids[0]];
      hold(engine, ahead, text);
      assert.equal(x.sotto_wasm_session_length(ahead), text.length - 1);
    }
  }
  for (const session of [ahead, plain]) x.sotto_wasm_session_close(session);
  for (const sampler of [a, b]) x.sotto_wasm_sampler_close(sampler);
}

if (!hasEngine) test('tokens chosen ahead', { skip: 'js/dist/sotto-relaxed-single.wasm is not made' }, () => {});
for (const adapter of hasEngine ? wholeModelAdapters() : [])
  test(`tokens chosen ahead on ${adapter}`, async () => {
    useAdapter(adapter);
    const engine = await Engine.open({});
    const reads = [];
    const { openRead } = engine.player;
    engine.player.openRead = function (id, offset, bytes) {
      reads.push(bytes);
      return openRead.call(this, id, offset, bytes);
    };
    const folder = path.join(root, 'tests/fixtures/golden/gemma3-1b-shape');
    const { ids } = JSON.parse(readFileSync(`${folder}/vectors.json`, 'utf8'));
    const model = engine.load(['config.json', 'model.safetensors'].map((name) => `${folder}/${name}`));
    engine.x.sotto_wasm_model_describe(model, engine.row);
    const nVocab = engine.values(4)[3];
    for (const sampling of samplings) await checkSampling(engine, model, ids, sampling, nVocab, reads);
    engine.x.sotto_wasm_model_close(model);
    await engine.close();
  });
