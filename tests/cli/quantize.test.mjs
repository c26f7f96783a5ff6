// The native command quantizes: Whisper's published files and folders, the small model in other types, importances, wrong usage.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { done, fails, model, noCommand, run, scratchFolder, split } from './command.mjs';

const scratch = scratchFolder('quantize');
const at = (name) => path.join(scratch, name);
const tiny = 'models/ggml-tiny.bin';
const published = 'models/ggml-tiny-q5_1.bin';
const without = (...files) => noCommand || files.map((file) => (fs.existsSync(file) ? false : `skip: ${file} is missing`)).find(Boolean) || false;
const { ppl_ids: texts } = JSON.parse(fs.readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));

// ---- Whisper ----

/** Head and tensors of a ggml .bin file. */
function readBin(bytes) {
  const fields = Array.from({ length: 11 }, (_, i) => bytes.readInt32LE(4 + 4 * i));
  const nMel = bytes.readInt32LE(48);
  let p = 56 + nMel * 201 * 4;
  const tokens = Array.from({ length: bytes.readInt32LE(p) });
  p += 4;
  for (let i = 0; i < tokens.length; i++) {
    const n = bytes.readUInt32LE(p);
    tokens[i] = bytes.subarray(p + 4, p + 4 + n);
    p += 4 + n;
  }
  const head = bytes.subarray(0, p);
  const tensors = new Map();
  while (p < bytes.length) {
    const [rank, nameBytes, type] = [0, 4, 8].map((i) => bytes.readInt32LE(p + i));
    const dims = Array.from({ length: rank }, (_, i) => bytes.readInt32LE(p + 12 + 4 * i)).reverse();
    p += 12 + 4 * rank;
    const name = bytes.toString('latin1', p, p + nameBytes);
    p += nameBytes;
    const size = dims.reduce((a, b) => a * b) * (type === 0 ? 4 : 2);
    tensors.set(name, { type, dims, data: bytes.subarray(p, p + size) });
    p += size;
  }
  return { fields, head, tokens, tensors };
}

const NAMES = [
  [/^(en|de)coder\.positional_embedding$/, '$1coder.embed_positions.weight'], [/token_embedding/, 'embed_tokens'], [/(encoder\.ln_post|decoder\.ln)\./, (_, a) => `${a.slice(0, 7)}.layer_norm.`],
  ['blocks', 'layers'], ['cross_attn_ln', 'encoder_attn_layer_norm'], ['cross_attn.', 'encoder_attn.'], ['.attn_ln', '.self_attn_layer_norm'], ['.attn.', '.self_attn.'],
  ['.query.', '.q_proj.'], ['.key.', '.k_proj.'], ['.value.', '.v_proj.'], ['.out.', '.out_proj.'], ['mlp_ln', 'final_layer_norm'], ['mlp.0', 'fc1'], ['mlp.2', 'fc2'],
];

function writeSafetensors(file, tensors) {
  let end = 0;
  const header = Object.fromEntries(tensors.map(([name, { type, dims, data }]) => [name, { dtype: type === 0 ? 'F32' : 'F16', shape: dims, data_offsets: [end, (end += data.length)] }]));
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  fs.writeFileSync(file, Buffer.concat([size, json, ...tensors.map(([, { data }]) => data)]));
}

/** The same model as on Hugging Face, in two shards. */
function writeFolder(folder, { fields, tokens, tensors }) {
  fs.mkdirSync(folder);
  const renamed = [...tensors].map(([name, t]) => {
    const dims = t.dims.length === 2 && t.dims[1] === 1 ? [t.dims[0]] : t.dims; // biases of convolutions
    return [`model.${NAMES.reduce((s, [from, to]) => s.replace(from, to), name)}`, { ...t, dims }];
  });
  const half = renamed.length >> 1;
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  writeSafetensors(path.join(folder, files[0]), renamed.slice(half));
  writeSafetensors(path.join(folder, files[1]), renamed.slice(0, half));
  const map = Object.fromEntries(renamed.map(([name], i) => [name, files[i < half ? 1 : 0]]));
  fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  const [vocab_size, max_source_positions, d_model, encoder_attention_heads, encoder_layers, max_target_positions, , decoder_attention_heads, decoder_layers, num_mel_bins] = fields;
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ model_type: 'whisper', vocab_size, max_source_positions, d_model, encoder_attention_heads, encoder_layers, max_target_positions, decoder_attention_heads, decoder_layers, num_mel_bins }));
  let next = 256;
  const shown = Array.from({ length: 256 }, (_, b) => String.fromCodePoint((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : next++));
  const vocab = Object.fromEntries(tokens.map((token, i) => [Array.from(token, (b) => shown[b]).join(''), i]));
  fs.writeFileSync(path.join(folder, 'vocab.json'), JSON.stringify({ ...vocab, '<|endoftext|>': tokens.length }));
  fs.writeFileSync(path.join(folder, 'pytorch_model.bin'), 'passed over');
}

test('q5_1 of tiny is the published file, but for the layout version in its head', { skip: without(tiny, published) }, () => {
  done(['quantize', tiny, at('q5_1.bin'), '--type', 'q5_1']);
  const [ours, theirs] = [at('q5_1.bin'), published].map((file) => fs.readFileSync(file));
  assert.equal(ours.readInt32LE(44) % 1000, theirs.readInt32LE(44) % 1000);
  theirs.copy(ours, 44, 44, 48);
  assert.ok(ours.equals(theirs));
});

test("a Whisper's folder becomes the .bin file that it was made of: tensors and vocabulary alike, filters to rounding", { skip: without(tiny) }, () => {
  const original = readBin(fs.readFileSync(tiny));
  writeFolder(at('whisper'), original);
  done(['quantize', at('whisper'), at('f16.bin'), '--type', 'f16']);
  const ours = readBin(fs.readFileSync(at('f16.bin')));
  assert.deepEqual(ours.fields, original.fields);
  assert.deepEqual(ours.tokens, original.tokens);
  assert.deepEqual([...ours.tensors.keys()].sort(), [...original.tensors.keys()].sort());
  for (const [name, { type, dims, data }] of original.tensors) {
    const t = ours.tensors.get(name);
    assert.deepEqual([t.type, t.dims], [type, dims], name);
    assert.ok(t.data.equals(data), name);
  }
  for (let i = 56; i < 56 + 80 * 201 * 4; i += 4) {
    const [a, b] = [ours, original].map(({ head }) => head.readFloatLE(i));
    assert.ok(Math.abs(a - b) <= 1e-8, `filter ${(i - 56) / 4}: ${a} ${b}`);
  }
  fails(1, ['quantize', at('whisper'), at('k.bin'), '--type', 'q4_K'], /no whole blocks of q4_K/);
  assert.ok(!fs.existsSync(at('k.bin')));
});

// ---- the small model ----

const divergence = (file, ids) => JSON.parse(done(['perplexity', '-m', file, '--ids', ids, '--compare', model, '--json']));

test('types requantize, open and tell; finer ones are nearer, and importances help', { skip: noCommand }, () => {
  fs.writeFileSync(at('sample.json'), JSON.stringify(texts.slice(0, 16)));
  fs.writeFileSync(at('ids.json'), JSON.stringify(texts.slice(40, 56)));
  done(['imatrix', '-m', model, '--ids', at('sample.json'), '-o', at('sample.imatrix')]);
  const of = (type, ...more) => {
    const report = JSON.parse(done(['quantize', model, at(`${type}.gguf`), '--type', type, '--json', ...more]));
    assert.equal(report.bytes, fs.statSync(at(`${type}.gguf`)).size);
    assert.match(report.warnings.join(), /quantized already/);
    return divergence(at(`${type}.gguf`), at('ids.json'));
  };
  const q6 = of('q6_K');
  const q4 = of('q4_K');
  const rounded = of('q4_K', '--fast');
  const weighted = of('q4_K', '--imatrix', at('sample.imatrix'));
  const q2 = of('Q2_K');
  assert.ok(q6.divergence < q4.divergence && q4.divergence < q2.divergence);
  assert.ok(q4.divergence < rounded.divergence, `${q4.divergence} ${rounded.divergence}`);
  assert.ok(weighted.divergence < q4.divergence, `${weighted.divergence} ${q4.divergence}`);
  assert.ok(q4.same_argmax > 0.9 && q4.n_tokens === q6.n_tokens);
  assert.match(done(['generate', '-m', at('q4_K.gguf'), '-p', 'Tell me a story about a dog.', '--chat', '-n', '20', '--temperature', '0']), /\w+ \w+ \w+/);
});

test('a split file is whole again; patterns choose types; the older name works', { skip: noCommand }, () => {
  const folder = at('parts');
  fs.mkdirSync(folder);
  const parts = split(model, folder, 3);
  done(['quantize', parts[1], at('joined.gguf'), '--type', 'q4_0', '--tensor', '*attn_v*=q8_0']);
  done(['convert', model, '-o', at('whole.gguf'), '--type', 'q4_0', '--tensor', '*attn_v*=q8_0']);
  const types = (file) => JSON.parse(done(['info', file, '--json', '--tensors'])).tensors.map(({ name, type }) => `${name} ${type}`).sort();
  assert.deepEqual(types(at('joined.gguf')), types(at('whole.gguf')));
  assert.ok(types(at('joined.gguf')).includes('blk.3.attn_v.weight q8_0'));
});

test('wrong usage and what cannot be done are told in a sentence, and leave no file', { skip: noCommand }, () => {
  fails(2, ['quantize'], /no model was given/);
  fails(2, ['quantize', model], /no output/);
  fails(2, ['quantize', model, '-'], /cannot be standard output/);
  fails(2, ['quantize', model, model], /is the model itself/);
  fails(2, ['quantize', model, at('x'), '--type', 'q9'], /unknown type 'q9'/);
  fails(2, ['quantize', model, at('x'), '--tensor', 'q4_0'], /PATTERN=TYPE/);
  fails(1, ['quantize', at('nothing'), at('x')], /cannot be read/);
  fails(1, ['quantize', '/dev/null', at('x')], /no file/);
  fails(1, ['quantize', model, at('no/such/folder')], /cannot be written/);
  fails(1, ['quantize', model, at('x'), '--imatrix', model, '--type', 'q4_0'], /importances/);
  fails(2, ['imatrix', '-m', model, '-o', at('x')], /give a text/);
  fs.writeFileSync(at('empty.json'), '[[]]');
  fs.writeFileSync(at('cut.gguf'), fs.readFileSync(model).subarray(0, 5_000_000));
  fails(1, ['quantize', at('cut.gguf'), at('x')], /truncated/);
  assert.ok(!fs.existsSync(at('x')));
  assert.deepEqual(fs.readdirSync(scratch).filter((name) => name.endsWith('.tmp')), []);
  assert.match(run(['quantize', '--help']).stdout, /q4_K_M +4\.50/);
});
