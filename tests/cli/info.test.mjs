// sotto info on language models: the default model whole and in parts, checkpoints, tensors, metadata, memory; what is told beside.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { done, fails, model, noCommand, run, scratchFolder, split } from './command.mjs';

const golden = 'tests/fixtures/golden/gemma3-1b-shape';
const scratch = scratchFolder('info');
const info = (...args) => JSON.parse(done(['info', '--json', ...args]));

test('the default model', { skip: noCommand }, () => {
  const text = done(['info', model]);
  for (const line of [/gemma3, teller, Q8_0/, /special +bos 2, eos 1, unk 3, pad 0\n/, /ends at +1 <\/s>, 5 <end_of_turn>\n/, /chat +its template is known/, / 2048 tokens +\d+\.\d MB +\d+\.\d MB\n/, /q8_0 +85 tensors/])
    assert.match(text, line);
  const r = info(model);
  assert.deepEqual(r.special_tokens, { bos: 2, eos: 1, unk: 3, pad: 0 });
  assert.deepEqual(r.end_tokens, [{ id: 1, text: '</s>' }, { id: 5, text: '<end_of_turn>' }]);
  assert.deepEqual([r.chat_template_known, r.problem, r.n_files, r.tensors, r.metadata], [true, null, 1, undefined, undefined]);
  assert.deepEqual(r.contexts.map(({ n_ctx }) => n_ctx), [2048]);
});

test('memory of contexts', { skip: noCommand }, () => {
  const memory = (n) => info(model, '--ctx', String(n)).contexts;
  const [small] = memory(256);
  const [large] = memory(2048);
  assert.deepEqual([small.n_ctx, large.n_ctx], [256, 2048]);
  // What grows are the 2 layers that see everything: keys and values of 64 numbers, 2 bytes each at least.
  assert.ok(large.f16_bytes - small.f16_bytes >= 2 * (2048 - 256) * 2 * 64 * 2);
  assert.ok(large.f16_bytes < 64e6);
  assert.ok(large.q8_0_bytes < large.f16_bytes);
  assert.deepEqual(memory(2049), []); // more than it was trained for
  const bench = JSON.parse(done(['bench', '-m', model, '--prefill', '200', '--decode', '56', '--rounds', '1', '--json']));
  assert.equal(bench.session_bytes, small.f16_bytes);
});

test('tensors and metadata', { skip: noCommand }, () => {
  const r = info(model, '--tensors', '--metadata');
  assert.equal(r.tensors.length, r.n_tensors);
  assert.equal(r.tensors.reduce((sum, t) => sum + t.bytes, 0), r.weight_bytes);
  assert.equal(r.tensors.reduce((sum, t) => sum + t.shape.reduce((a, b) => a * b), 0), r.n_parameters);
  assert.deepEqual(r.tensors.find((t) => t.name === 'blk.3.ffn_down.weight'), { name: 'blk.3.ffn_down.weight', type: 'q8_0', shape: [256, 1024], bytes: 278528 });
  assert.equal(r.metadata['general.architecture'], 'gemma3');
  assert.equal(r.metadata['gemma3.rope.freq_base'], 1e6);
  assert.equal(r.metadata['tokenizer.ggml.add_bos_token'], true);
  assert.equal(r.metadata['tokenizer.chat_template'].length, r.chat_template_bytes);
  const tokens = r.metadata['tokenizer.ggml.tokens'];
  assert.deepEqual([tokens.type, tokens.count, tokens.first.slice(0, 3)], ['string', 4096, ['<pad>', '</s>', '<s>']]);
  const text = done(['info', '--tensors', '--metadata', model]);
  assert.match(text, /\n +q8_0 +256 x 1024 +0\.279 MB +blk\.3\.ffn_down\.weight\n/);
  assert.match(text, /\n +tokenizer\.ggml\.tokens = 4096 of string: \["<pad>", /);
  assert.match(text, /\n +gemma3\.attention\.layer_norm_rms_epsilon = 1e-06\n/);
});

test('a checkpoint', { skip: noCommand }, () => {
  const r = info(golden, '--metadata', '--tensors');
  assert.deepEqual(r.special_tokens, { bos: 2, eos: 1, unk: null, pad: 0 });
  assert.deepEqual(r.metadata, JSON.parse(fs.readFileSync(`${golden}/config.json`, 'utf8')));
  assert.equal(r.tensors.length, 93);
  assert.deepEqual(r.contexts.map(({ n_ctx }) => n_ctx), [512]);
  assert.deepEqual([r.chat_template_known, r.end_tokens], [false, []]); // it has no vocabulary
});

test('a split model is described whole by any part, and by what there is', { skip: noCommand }, () => {
  const parts = split(model, scratch, 3);
  const whole = info(model, '--tensors');
  for (const part of parts) {
    const r = info(part, '--tensors');
    assert.deepEqual([r.n_files, r.n_parts, r.n_tensors, r.weight_bytes], [3, 3, whole.n_tensors, whole.weight_bytes]);
    assert.deepEqual([r.types, r.contexts, r.end_tokens], [whole.types, whole.contexts, whole.end_tokens]);
    assert.deepEqual(r.tensors.map((t) => t.name).sort(), whole.tensors.map((t) => t.name).sort());
  }
  assert.match(done(['info', parts[1]]), /GGUF version 3, 3 files\n/);
  fs.copyFileSync(parts[0], parts[2]);
  fails(1, ['info', parts[0]], /part 3 of 3 does not belong to the others/);
  fs.rmSync(parts[2]);
  const alone = info(parts[1]);
  assert.deepEqual([alone.part, alone.n_parts, alone.n_files], [2, 3, 1]);
  assert.ok(alone.n_tensors < whole.n_tensors);
});

test('a model of another kind is described, with why it is not run', { skip: noCommand }, () => {
  const bytes = fs.readFileSync(model);
  const at = bytes.indexOf('gemma3');
  bytes.write('llama4', at);
  const other = path.join(scratch, 'other.gguf');
  fs.writeFileSync(other, bytes);
  const r = info(other);
  assert.deepEqual([r.architecture, r.n_tensors, r.contexts], ['llama4', 158, []]);
  assert.match(r.problem, /the model is a llama4; Gemma 1, 2 and 3 are known/);
  assert.match(done(['info', other]), /not run here +the model is a llama4/);
});

test('wrong usage', { skip: noCommand }, () => {
  fails(2, ['info', '--ctx', '0', model], /'--ctx' needs a whole number/);
  fails(2, ['info', '--tensor', model], /unknown option/);
  assert.equal(run(['info', '--help']).status, 0);
});
