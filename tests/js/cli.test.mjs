// The package's command: usage, exit codes, outputs, and the native command beside it.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { BUILT, JFK, JFK_WORDS, MODEL, needs, root, runProgram, temporaryFolder, words } from './support.mjs';

const ready = needs(MODEL, 'js/dist/cli.js', ...BUILT);
const built = needs('js/dist/cli.js');
const run = (args, options) => runProgram(process.execPath, ['js/bin/sotto.js', ...args], options);
const transcribe = (args, options) => run(['transcribe', '-m', MODEL, ...args], options);
const NATIVE = 'build/sotto';

test('help and version', built, async () => {
  for (const args of [['--help'], ['-h'], ['transcribe', '--help'], ['info', '-h']]) {
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    assert.match(stdout, /^Usage: sotto/);
  }
  const { version } = JSON.parse(readFileSync(`${root}/js/package.json`, 'utf8'));
  assert.equal((await run(['--version'])).stdout, `sotto ${version}\n`);
});

test('wrong usage: exit code 2 and one sentence', built, async (t) => {
  const folder = temporaryFolder(t);
  for (const args of [
    [],
    ['sing'],
    ['--sing'],
    ['transcribe'],
    ['transcribe', '-m', MODEL],
    ['transcribe', JFK],
    ['transcribe', '-m', MODEL, JFK, '--beam'],
    ['transcribe', '-m', MODEL, JFK, '--beam', 'many'],
    ['transcribe', '-m', MODEL, JFK, '--beam', '0'],
    ['transcribe', '-m', MODEL, JFK, '--temperature=2'],
    ['transcribe', '-m', MODEL, JFK, '--logprob-threshold', 'x'],
    ['transcribe', '-m', MODEL, JFK, '-f', 'doc'],
    ['transcribe', '-m', MODEL, JFK, '-f', 'srt,vtt'],
    ['transcribe', '-m', MODEL, JFK, '-f', 'srt', '--json'],
    ['transcribe', '-m', MODEL, JFK, '--task', 'sing'],
    ['transcribe', '-m', MODEL, JFK, '--suppress-tokens', '1,x'],
    ['transcribe', '-m', MODEL, JFK, '--json=1'],
    ['transcribe', '-m', MODEL, JFK, '-z'],
    ['transcribe', '-m', MODEL, JFK, JFK, '-o', `${folder}/`],
    ['info'],
    ['info', '--beam', '5', MODEL],
  ]) {
    const { code, stdout, stderr } = await run(args, { env: { ...process.env, SOTTO_MODEL: '' } });
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /^sotto: [^\n]+; see 'sotto (transcribe |info )?--help'\n$/);
  }
});

test('what cannot be done: exit code 1 and one sentence', ready, async (t) => {
  const folder = temporaryFolder(t);
  const page = path.join(folder, 'page.bin');
  writeFileSync(page, '<!doctype html>');
  for (const args of [
    ['transcribe', '-m', 'no/such.bin', JFK],
    ['transcribe', '-m', page, JFK],
    ['transcribe', '-m', MODEL, 'no-such.wav'],
    ['transcribe', '-m', MODEL, page],
    ['info', page],
    ['info', 'no/such.bin'],
  ]) {
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stdout], [1, ''], args.join(' '));
    assert.match(stderr, /^sotto: [^\n]+\n$/, args.join(' '));
  }
});

test('an unknown language is wrong usage', ready, async () => {
  const { code, stderr } = await transcribe(['-l', 'klingon', JFK]);
  assert.equal(code, 2);
  assert.match(stderr, /unknown language 'klingon'/);
});

test('--json: the object that the contract says', ready, async () => {
  const { code, stdout, stderr } = await transcribe(['--json', '-q', JFK]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.equal(stdout.indexOf('\n'), stdout.length - 1, 'one line');
  const r = JSON.parse(stdout);
  assert.deepEqual(Object.keys(r), [
    'file',
    'language',
    'language_probability',
    'text',
    'segments',
    'timings',
    'peak_memory_bytes',
  ]);
  assert.deepEqual(Object.keys(r.segments[0]), [
    'start',
    'end',
    'text',
    'tokens',
    'no_speech_prob',
    'temperature',
    'avg_logprob',
    'compression_ratio',
  ]);
  assert.deepEqual(Object.keys(r.segments[0].tokens[0]), ['id', 'text', 'p']);
  assert.deepEqual(Object.keys(r.timings), [
    'load_ms',
    'mel_ms',
    'encode_ms',
    'decode_ms',
    'total_ms',
    'n_encode',
    'n_decode',
  ]);
  assert.equal(r.file, JFK);
  assert.equal(r.language, 'en');
  assert.deepEqual(words(r.text), JFK_WORDS);
  assert.ok(r.peak_memory_bytes > 32e6);
});

test('formats to files; standard input; several files', ready, async (t) => {
  const folder = temporaryFolder(t);
  const second = path.join(folder, 'second.wav');
  copyFileSync(JFK, second);
  const out = path.join(folder, 'out');
  const { code, stdout, stderr } = await transcribe([
    '-q',
    '-l',
    'en',
    '-f',
    'srt,vtt',
    '-f',
    'txt,json',
    '-o',
    out,
    JFK,
    second,
  ]);
  assert.deepEqual([code, stdout], [0, ''], stderr);
  assert.deepEqual(
    readdirSync(out).sort(),
    ['jfk', 'second'].flatMap((name) => ['json', 'srt', 'txt', 'vtt'].map((f) => `${name}.${f}`)),
  );
  assert.match(readFileSync(path.join(out, 'jfk.srt'), 'utf8'), /^1\n00:00:00,000 --> 00:00:\d\d,\d{3}\n/);
  assert.match(readFileSync(path.join(out, 'jfk.vtt'), 'utf8'), /^WEBVTT\n\n00:00\.000 --> /);
  assert.deepEqual(words(readFileSync(path.join(out, 'second.txt'), 'utf8')), JFK_WORDS);

  const piped = await transcribe(['-q', '-l', 'en', '-f', 'txt', '-'], { input: readFileSync(JFK) });
  assert.equal(piped.code, 0, piped.stderr);
  assert.equal(piped.stdout, readFileSync(path.join(out, 'jfk.txt'), 'utf8'));
});

test('mp3, ogg and flac', { ...ready, ...needs('js/dist/audio-decoders.wasm') }, async () => {
  for (const [file, count] of [
    ['jfk.mp3', 22],
    ['jfk.ogg', 22],
    ['jfk_4s.flac', 5],
  ]) {
    const { code, stdout, stderr } = await transcribe(['-q', '-l', 'en', '-f', 'txt', `tests/fixtures/audio/${file}`]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(words(stdout).slice(0, 5), JFK_WORDS.slice(0, 5), file);
    assert.ok(words(stdout).length >= count, stdout);
  }
});

test('an interrupt ends it with 130, what is final is kept', ready, async (t) => {
  const { spawn } = await import('node:child_process');
  const long = 'tests/fixtures/audio/radio_address_127s.wav';
  if (!existsSync(long)) return t.skip(`${long} is not there`);
  const child = spawn(process.execPath, ['js/bin/sotto.js', 'transcribe', '-q', '-m', MODEL, '-l', 'en', long], {
    cwd: root,
  });
  let stdout = '';
  child.stdout.on('data', (text) => {
    if (stdout === '') child.kill('SIGINT');
    stdout += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 130);
  assert.match(stdout, /^\[00:00\.\d{3} --> /);
});

test('info', ready, async () => {
  const { code, stdout } = await run(['info', '--json', MODEL]);
  assert.equal(code, 0);
  const r = JSON.parse(stdout);
  assert.equal(r.name, 'tiny');
  assert.equal(r.languages.length, 99);
  assert.equal(
    r.n_tensors,
    r.types.reduce((sum, { n_tensors }) => sum + n_tensors, 0),
  );
  assert.ok(r.weight_bytes < r.file_bytes);
});

test('the native command says the same', { ...ready, ...needs(NATIVE) }, async () => {
  for (const args of [
    ['info', MODEL],
    ['info', '--json', MODEL],
    ['transcribe', '--help'],
    ['generate', '--help'],
  ]) {
    const [ours, native] = await Promise.all([run(args), runProgram(NATIVE, args)]);
    assert.deepEqual([ours.code, native.code], [0, 0]);
    if (args[1] !== '--help') assert.equal(ours.stdout, native.stdout);
    else {
      const options = ours.stdout.match(/--[a-z-]+/g).filter((option) => !['--backend', '--dawn', '--hub', '--header', '--manifest'].includes(option)); // of GPUs and downloads
      assert.deepEqual(options, native.stdout.match(/--[a-z-]+/g), 'the same options');
    }
  }
  const args = ['transcribe', '-q', '-m', MODEL, '--json', JFK, 'tests/fixtures/audio/de.wav'];
  const [ours, native] = [await run(args), await runProgram(NATIVE, args)];
  assert.deepEqual([ours.code, native.code], [0, 0]);
  const read = ({ stdout }) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  read(ours).forEach((r, i) => {
    const n = read(native)[i];
    assert.deepEqual([r.file, r.language, r.text], [n.file, n.language, n.text]);
    assert.deepEqual(
      r.segments.map(({ text }) => text),
      n.segments.map(({ text }) => text),
    );
    // Kernels differ in their arithmetic, and so may a time by a few of its steps.
    for (const [j, { start, end }] of r.segments.entries())
      assert.ok(Math.abs(start - n.segments[j].start) <= 0.5 && Math.abs(end - n.segments[j].end) <= 0.5);
  });
});
