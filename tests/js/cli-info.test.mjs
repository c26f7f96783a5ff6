// sotto info of the package: what the native command says of the same files, byte for byte, and on its own.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { splitGguf } from '../split-gguf.mjs';
import { done, fails, json, native, ready, run, TELLER, withNative } from './cli.mjs';
import { MODEL, needs, temporaryFolder } from './support.mjs';

const golden = ['gemma1-2b-shape', 'gemma2-2b-shape', 'gemma3-1b-shape', 'gemma3-4b-shape'].map(
  (name) => `tests/fixtures/golden/${name}`,
);
const info = (...args) => json(['info', '--json', ...args]);

test('as text and as JSON, the native command’s', withNative, async () => {
  const files = [TELLER, ...golden, `${golden[2]}/model.safetensors`];
  for (const file of files) {
    for (const args of [
      ['info', file],
      ['info', '--tensors', '--ctx', '256', file],
    ])
      assert.equal(await done(args), await done(args, {}, native), args.join(' '));
    const args = ['info', '--json', '--tensors', '--metadata', file];
    const [ours, theirs] = [await json(args), await json(args, {}, native)];
    assert.deepEqual(ours, theirs);
    assert.deepEqual(Object.keys(ours), Object.keys(theirs));
  }
  const metadata = ['info', '--metadata', TELLER];
  assert.equal(await done(metadata), await done(metadata, {}, native));
});

test('Whisper models too', { ...withNative, ...needs(MODEL) }, async () => {
  for (const more of [[], ['--tensors'], ['--json', '--tensors']]) {
    const args = ['info', ...more, MODEL];
    assert.equal(await done(args), await done(args, {}, native), args.join(' '));
  }
});

test('the model that comes with sotto', ready, async () => {
  const r = await info(TELLER);
  assert.deepEqual([r.format, r.architecture, r.quantization], ['GGUF version 3', 'gemma3', 'Q8_0']);
  assert.deepEqual(r.special_tokens, { bos: 2, eos: 1, unk: 3, pad: 0 });
  assert.deepEqual(r.end_tokens, [
    { id: 1, text: '</s>' },
    { id: 5, text: '<end_of_turn>' },
  ]);
  assert.deepEqual([r.chat_template_known, r.problem, r.n_files, r.n_parts], [true, null, 1, 1]);
  assert.deepEqual(
    r.contexts.map(({ n_ctx }) => n_ctx),
    [2048],
  );
  const memory = async (n) => (await info(TELLER, '--ctx', String(n))).contexts[0];
  const [small, large] = [await memory(256), await memory(2048)];
  assert.ok(large.f16_bytes - small.f16_bytes >= 2 * (2048 - 256) * 2 * 64 * 2);
  assert.ok(large.q8_0_bytes < large.f16_bytes);
  const bench = await json(['bench', '-m', TELLER, '--prefill', '200', '--decode', '56', '--rounds', '1', '--json']);
  assert.equal(bench.session_bytes, small.f16_bytes);
});

test('a split model is described whole by any part, and by what there is', ready, async (t) => {
  const folder = temporaryFolder(t);
  const parts = splitGguf(readFileSync(TELLER), 'split', 3).map(([name, bytes]) => {
    writeFileSync(path.join(folder, name), bytes);
    return path.join(folder, name);
  });
  const whole = await info(TELLER);
  for (const part of parts) {
    const r = await info(part);
    assert.deepEqual([r.n_files, r.n_parts, r.n_tensors, r.weight_bytes], [3, 3, whole.n_tensors, whole.weight_bytes]);
    assert.deepEqual([r.types, r.contexts, r.end_tokens], [whole.types, whole.contexts, whole.end_tokens]);
  }
  assert.match(await done(['info', parts[1]]), /GGUF version 3, 3 files\n/);
  copyFileSync(parts[0], parts[2]);
  await fails(1, ['info', parts[0]], /part 3 of 3 does not belong to the others/);
  rmSync(parts[2]);
  const alone = await info(parts[1]);
  assert.deepEqual([alone.part, alone.n_parts, alone.n_files], [2, 3, 1]);
  assert.match(
    await done(['info', parts[1]]),
    /one part of several\n {2}format {7}GGUF version 3, part 2 of 3 \(158 tensors in all\)\n/,
  );
});

test('damaged and foreign files: one sentence each, the native command’s', withNative, async (t) => {
  const folder = temporaryFolder(t);
  const bytes = readFileSync(TELLER);
  const changed = (change) => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  const files = {
    'cut-weights.gguf': bytes.subarray(0, 1 << 20),
    'cut-header.gguf': bytes.subarray(0, 50_000),
    'cut-start.gguf': bytes.subarray(0, 20),
    'version.gguf': changed((b) => b.writeUInt32LE(9, 4)),
    'tensors.gguf': changed((b) => b.writeBigUInt64LE(1n << 40n, 8)),
    'values.gguf': changed((b) => b.writeBigUInt64LE(1n << 63n, 16)),
    'key.gguf': changed((b) => b.writeBigUInt64LE(1n << 62n, 24)),
    'page.gguf': Buffer.from('<!doctype html><title>Not found</title>'),
    'zeros.gguf': Buffer.alloc(100_000),
    'cut.safetensors': readFileSync(`${golden[2]}/model.safetensors`).subarray(0, 100_000),
    'header.safetensors': readFileSync(`${golden[2]}/model.safetensors`).subarray(0, 1000),
  };
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    const [ours, theirs] = [await run(['info', file]), await native(['info', file])];
    assert.deepEqual([ours.code, ours.stdout, theirs.code], [1, '', 1], name);
    assert.match(ours.stderr, /^sotto: [^\n]+\n$/, name);
    assert.equal(ours.stderr, theirs.stderr, name);
  }
  for (const file of ['nowhere.gguf', 'js/src'])
    assert.equal((await run(['info', file])).stderr, (await native(['info', file])).stderr);
  const several = await run(['info', 'nowhere.gguf', TELLER]);
  assert.equal(several.code, 1);
  assert.match(several.stdout, /gemma3, teller/); // one that fails does not stop the others
});

test('every byte of a header can be wrong', ready, async (t) => {
  // In one process, as each command takes a while to start: what cannot be read is an error in words, and nothing hangs.
  const folder = temporaryFolder(t);
  const bytes = readFileSync(TELLER).subarray(0, 160_000);
  const files = [];
  for (let i = 0; i < 24; i++) {
    const copy = Buffer.from(bytes);
    const at = Math.floor((i * 1200) / 24);
    copy.fill(0xff, at, at + 1 + (i % 4));
    files.push(path.join(folder, `${i}.gguf`));
    writeFileSync(files[i], copy);
  }
  const { code, stdout, stderr } = await run(['info', ...files]);
  assert.equal(code, 1);
  const said = stderr.trimEnd().split('\n');
  assert.equal(said.length + (stdout.match(/\n {2}format /g) ?? []).length, files.length);
  for (const line of said) assert.match(line, /^sotto: \S+\d+\.gguf: \S.* \S.*/);
});

test('a model of another kind is described, with why it is not run', ready, async (t) => {
  const bytes = readFileSync(TELLER);
  bytes.write('llama4', bytes.indexOf('gemma3'));
  const other = path.join(temporaryFolder(t), 'other.gguf');
  writeFileSync(other, bytes);
  const r = await info(other);
  assert.deepEqual([r.architecture, r.n_tensors, r.contexts], ['llama4', 158, []]);
  assert.match(r.problem, /the model is a llama4; Gemma 1, 2 and 3 are known/);
  assert.match(await done(['info', other]), /not run here +the model is a llama4/);
});
