// sotto manifest: what it lists of a folder, and that create() takes what it writes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { splitGguf } from '../split-gguf.mjs';
import { done, env, fails, json, native, ready, run, TELLER, withNative } from './cli.mjs';
import { MODEL, needs, serve, sotto, temporaryFolder } from './support.mjs';

const GOLDEN = 'tests/fixtures/golden/gemma3-1b-shape';
const usable = { ...ready, ...needs(MODEL, `${GOLDEN}/model.safetensors`) };
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** One model of each kind, in folders, among what is none. */
function fill(folder) {
  const at = (name) => path.join(folder, name);
  copyFileSync(MODEL, at('ggml-tiny-q5_1.bin'));
  copyFileSync('assets/silero-vad-v6.2.0.bin', at('vad.bin'));
  mkdirSync(at('a b/deep'), { recursive: true });
  copyFileSync(TELLER, at('a b/my teller.gguf'));
  for (const [name, bytes] of splitGguf(readFileSync(TELLER), 'teller', 2)) writeFileSync(at(`a b/deep/${name}`), bytes);
  mkdirSync(at('gemma'));
  for (const name of ['config.json', 'model.safetensors']) copyFileSync(`${GOLDEN}/${name}`, at(`gemma/${name}`));
  writeFileSync(at('gemma/README.md'), 'no model');
  writeFileSync(at('half.gguf'), readFileSync(TELLER).subarray(0, 1000));
  writeFileSync(at('lost-00001-of-00002.gguf'), 'GGUF');
  writeFileSync(at('.hidden.gguf'), 'GGUF');
}

test('the models of a folder, with what a site wants to know; create() takes them from there', usable, async (t) => {
  const folder = temporaryFolder(t);
  fill(folder);
  const file = path.join(folder, 'models.json');
  const { code, stdout, stderr } = await run(['manifest', folder, '-o', file]);
  assert.deepEqual([code, stdout], [0, '']);
  assert.deepEqual(stderr.match(/[^/]+(?=: left out)/g).sort(), ['half.gguf', 'lost-00001-of-00002.gguf', 'vad.bin']);
  assert.match(stderr, /lost-00002-of-00002\.gguf is missing/);
  const { default: speech, models } = JSON.parse(readFileSync(file, 'utf8'));
  assert.equal(speech, 'tiny-q5_1');
  assert.deepEqual(models.map((m) => [m.id, m.name, m.kind, m.weights, m.sources[0].url]), [
    ['tiny-q5_1', 'Whisper tiny', 'whisper', 'q5_1', './ggml-tiny-q5_1.bin'],
    ['gemma', 'gemma', 'gemma3', 'bf16', './gemma/'],
    ['my teller', 'teller', 'gemma3', 'q8_0', './a%20b/my%20teller.gguf'],
    ['teller', 'teller', 'gemma3', 'q8_0', './a%20b/deep/'],
  ]);
  const [tiny, gemma, one, split] = models;
  const bytes = readFileSync(TELLER);
  assert.deepEqual([one.size_bytes, one.sha256, one.context], [bytes.length, hashOf(bytes), 2048]);
  assert.equal(tiny.languages, 99);
  assert.deepEqual(gemma.files.map((f) => [f.file, f.sha256]), ['config.json', 'model.safetensors'].map((name) => [name, hashOf(readFileSync(`${GOLDEN}/${name}`))]));
  assert.equal(split.files.length, 2);

  if (!withNative.skip) {
    const theirs = await native(['manifest', folder]);
    assert.equal(theirs.stdout, readFileSync(file, 'utf8'));
    assert.deepEqual(theirs.stderr.match(/[^/]+(?=: left out)/g).sort(), stderr.match(/[^/]+(?=: left out)/g).sort());
    assert.equal(await done(['manifest', '--help'], {}, native), await done(['manifest', '--help']));
  }

  const base = await serve(t, (request, response) => {
    const name = path.join(folder, decodeURIComponent(new URL(request.url, 'http://x').pathname));
    response.end(readFileSync(name));
  });
  env.XDG_CACHE_HOME = temporaryFolder(t);
  t.after(() => delete env.XDG_CACHE_HOME);
  const args = ['generate', '-p', 'Once', '-n', '2', '--temperature', '0'];
  const expected = await done([...args, '-m', TELLER]);
  for (const id of ['my teller', 'teller']) assert.equal(await done([...args, '-m', id, '--manifest', `${base}/models.json`]), expected);
  assert.equal(await done([...args, '-m', 'teller', '--manifest', file]), expected);
  const read = await sotto.readManifest(`${base}/models.json`);
  assert.deepEqual(read.models.map(({ id }) => id), models.map(({ id }) => id));

  const based = JSON.parse(await done(['manifest', path.join(folder, 'a b'), '--base', 'https://models.example/x']));
  if (!withNative.skip) assert.deepEqual(await json(['manifest', path.join(folder, 'a b'), '--base', 'https://models.example/x'], {}, native), based);
  assert.deepEqual(based.models.map((m) => m.sources[0].url), ['https://models.example/x/my%20teller.gguf', 'https://models.example/x/deep/']);
});

test('what cannot be listed is said in a sentence', usable, async (t) => {
  const folder = temporaryFolder(t);
  await fails(1, ['manifest', folder], /there is no model in it/);
  await fails(1, ['manifest', path.join(folder, 'none')], /none: No such file or directory/);
  await fails(2, ['manifest'], /no folder was given/);
  await fails(2, ['manifest', folder, folder], /one folder at a time/);
  await fails(2, ['manifest', folder, '--base', 'here'], /option '--base' needs an address/);
  const file = path.join(folder, 'out.json');
  for (const program of withNative.skip ? [run] : [run, native]) {
    const { code, stdout, stderr } = await program(['manifest', folder, '-o', file]);
    assert.deepEqual([code, stdout, stderr], [1, '', `sotto: ${folder}: there is no model in it\n`]);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal((await program(['manifest', folder, '--base', 'ftp://x'])).code, 2);
    assert.equal((await program(['manifest', path.join(folder, 'none')])).stderr, `sotto: ${path.join(folder, 'none')}: No such file or directory\n`);
  }
});
