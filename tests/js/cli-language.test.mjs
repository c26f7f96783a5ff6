// The package's command on language models: text, tokens, logits, speed; what the native command says to the same, and errors.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { splitGguf } from '../split-gguf.mjs';
import { done, env, fails, json, native, ready, run, TELLER, withNative } from './cli.mjs';
import { needs, root, runProgram, serve, temporaryFolder } from './support.mjs';
import { nll, PROMPT, texts, vectors } from './teller.mjs';

const golden = 'tests/fixtures/golden/gemma3-1b-shape';
const { ids } = JSON.parse(readFileSync(`${golden}/vectors.json`, 'utf8'));
const COMMANDS = ['generate', 'chat', 'info', 'tokenize', 'detokenize', 'logits', 'perplexity', 'bench'];
const greedy = ['--temperature', '0'];

function file(t, name, content) {
  const at = path.join(temporaryFolder(t), name);
  writeFileSync(at, content);
  return at;
}

const idsFile = (t, list) => file(t, 'ids.json', JSON.stringify(list));

/** A NumPy file of one row for each token. */
function readNpy(bytes) {
  assert.equal(bytes.toString('latin1', 0, 8), '\x93NUMPY\x01\x00');
  const at = 10 + bytes.readUInt16LE(8);
  assert.equal(at % 64, 0);
  const header = bytes.toString('latin1', 10, at);
  assert.match(header, /^{'descr': '<f4', 'fortran_order': False, 'shape': \(\d+, \d+\), } *\n$/);
  const shape = header
    .match(/\((\d+), (\d+)\)/)
    .slice(1)
    .map(Number);
  assert.equal(bytes.length, at + 4 * shape[0] * shape[1]);
  return { shape, data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length)) };
}

/** The largest relative error of a row, by norms. */
function worstRow({ shape: [rows, columns], data }, reference) {
  let worst = 0;
  for (let row = 0; row < rows; row++) {
    let difference = 0;
    let norm = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      difference += (data[i] - reference.data[i]) ** 2;
      norm += reference.data[i] ** 2;
    }
    worst = Math.max(worst, Math.sqrt(difference / norm));
  }
  return worst;
}

/** Options that only this command has: of GPUs, and of models that are fetched. */
const OF_THE_PACKAGE = /^ --(backend|dawn|profile|hub|header|manifest)$/;

test('help: the options of the native command', withNative, async () => {
  for (const command of COMMANDS) {
    const [ours, theirs] = [await done([command, '--help']), await done([command, '-h'], {}, native)];
    assert.match(ours, new RegExp(`^Usage: sotto ${command} `));
    const options = ours.match(/(^| )--?[a-z-]+/gm).filter((option) => !OF_THE_PACKAGE.test(option));
    assert.deepEqual(options, theirs.match(/(^| )--?[a-z-]+/gm), command);
  }
});

test('greedy text is the reference’s and the native command’s', withNative, async () => {
  const args = ['generate', '-m', TELLER, '--chat', '-p', PROMPT, '-n', '50', '--json', ...greedy];
  const [ours, theirs] = [await json(args), await json(args, {}, native)];
  assert.deepEqual(Object.keys(ours), Object.keys(theirs));
  assert.deepEqual(Object.keys(ours.timings), Object.keys(theirs.timings));
  assert.deepEqual([ours.text, ours.tokens, ours.stop_reason], [theirs.text, theirs.tokens, 'length']);
  assert.deepEqual(ours.prompt_tokens, vectors[0].prompt_ids);
  assert.deepEqual(ours.tokens, vectors[0].greedy.slice(0, 50));
  assert.deepEqual([ours.timings.n_prefill, ours.timings.n_decode], [vectors[0].prompt_ids.length, 49]);
  assert.ok(ours.timings.load_ms > 0 && ours.timings.prefill_ms > 0 && ours.timings.decode_ms > 0);
  assert.ok(ours.peak_memory_bytes > 13e6);
  assert.equal(await done(['generate', '-p', PROMPT, '--chat', '-n', '50', ...greedy]), `${ours.text}\n`); // the default model
});

test('text from an argument, a file, standard input; system text; stop strings; a seed', ready, async (t) => {
  const args = ['generate', '-m', TELLER, '-n', '12', ...greedy];
  const text = 'Once upon a time, there was a';
  const [argument, fromFile, piped] = [
    await done([...args, '-p', text]),
    await done([...args, '-f', file(t, 'prompt.txt', `${text}\n`)]),
    await done([...args, '-f', '-'], { input: text }),
  ];
  assert.deepEqual([fromFile, piped], [argument, argument]);
  const told = await json([...args, '--chat', '--system', 'Be kind.', '-p', PROMPT, '--json']);
  assert.ok(told.prompt_tokens.length > vectors[0].prompt_ids.length);
  assert.equal(told.timings.n_prefill, told.prompt_tokens.length);
  const stopped = await json([...args, '-n', '40', '-p', text, '--stop', 'named', '--stop', 'never', '--json']);
  assert.equal(stopped.stop_reason, 'stop');
  assert.ok(!stopped.text.includes('named'));
  const drawn = (seed) => done(['generate', '-p', text, '-n', '30', '--seed', seed]);
  assert.equal(await drawn('7'), await drawn('7'));
  assert.notEqual(await drawn('7'), await drawn('8'));
  const { stderr } = await run([...args, '-p', text, '--timings']);
  assert.match(stderr, /^load \d+ ms; prompt 9 tokens, 9 evaluated in \d+ ms \([\d.]+ a second\); written 12 tokens, /);
});

test('log-probabilities and biases, as the native command tells them', withNative, async () => {
  const args = ['generate', '-m', TELLER, '-p', 'Once upon a', '-n', '4', '--json', '--logprobs', '3', ...greedy];
  const [ours, theirs] = [await json(args), await json(args, {}, native)];
  assert.deepEqual(Object.keys(ours), Object.keys(theirs));
  assert.equal(ours.logprobs.length, 4);
  ours.logprobs.forEach((token, i) => {
    const other = theirs.logprobs[i];
    assert.deepEqual([token.id, token.text], [other.id, other.text]);
    assert.deepEqual(token.top.map(({ id }) => id).slice(0, 1), [token.id]);
    assert.ok(Math.abs(token.logprob - other.logprob) < 0.05);
  });
  const [first] = ours.tokens;
  const biased = await json([...args, '--logit-bias', `${first}=-inf`]);
  assert.notEqual(biased.tokens[0], first);
});

test('tokens and text, to the byte', ready, async (t) => {
  const text = 'Once upon <end_of_turn> é🦊\n';
  const tokenize = (...more) => json(['tokenize', '-m', TELLER, ...more]);
  const plain = await tokenize('-p', text);
  assert.deepEqual(await tokenize('-f', file(t, 'text', text)), plain);
  const special = await tokenize('-p', text, '--special', '--bos');
  assert.deepEqual([special[0], special.includes(5), plain.includes(5)], [2, true, false]);
  assert.equal(await done(['detokenize', '-m', TELLER, '--ids', idsFile(t, plain)]), text);
  const words = { input: special.join(' \n') };
  assert.equal(await done(['detokenize', '-m', TELLER, '--special'], words), `<s>${text}`);
  const bytes = Buffer.from([0x61, 0xff, 0xc3]); // no UTF-8
  const odd = await json(['tokenize', '-m', TELLER, '-f', '-'], { input: bytes });
  assert.deepEqual(await done(['detokenize', '-m', TELLER], { input: JSON.stringify(odd), encoding: 'buffer' }), bytes);
});

test('tokens are those of the native command', withNative, async () => {
  const text = { input: readFileSync('README.md') };
  for (const more of [[], ['--special'], ['--bos']]) {
    const args = ['tokenize', '-m', TELLER, '-f', '-', ...more];
    assert.equal(await done(args, text), await done(args, text, native));
  }
});

test('logits of a folder as on Hugging Face are the reference’s', ready, async (t) => {
  const out = path.join(temporaryFolder(t), 'logits.npy');
  await done(['logits', '-m', golden, '--ids', idsFile(t, ids), '-o', out]);
  const ours = readNpy(readFileSync(out));
  assert.deepEqual(ours.shape, [64, 1024]);
  assert.ok(worstRow(ours, readNpy(readFileSync(`${golden}/logits.npy`))) <= 2e-3);
  assert.deepEqual(readdirSync(path.dirname(out)), ['logits.npy']); // nothing else is left
  const piped = { input: ids.join('\n'), encoding: 'buffer' };
  assert.deepEqual(await done(['logits', '-m', golden, '--ids', '-', '-o', '-', '-t', '1'], piped), readFileSync(out));
});

test('logits and perplexity are near the native command’s', withNative, async (t) => {
  const list = idsFile(t, texts[0].slice(0, 100));
  const logits = async (program, ...more) => {
    const args = ['logits', '-m', TELLER, '--ids', list, '-o', '-', ...more];
    return readNpy(await done(args, { encoding: 'buffer' }, program));
  };
  const [ours, theirs] = [await logits(run), await logits(native)];
  assert.deepEqual(ours.shape, theirs.shape);
  assert.ok(worstRow(ours, theirs) < 0.02);
  assert.ok(worstRow(await logits(run, '--kv', 'q8_0'), ours) > 0); // another way to keep keys and values
  const some = texts.slice(0, 12);
  const all = idsFile(t, some);
  const perplexity = (program) => json(['perplexity', '-m', TELLER, '--json', '--ids', all], {}, program);
  const [p, q] = [await perplexity(run), await perplexity(native)];
  assert.deepEqual(Object.keys(p), Object.keys(q));
  assert.deepEqual([p.n_texts, p.n_tokens, p.texts.length], [q.n_texts, q.n_tokens, some.length]);
  assert.ok(Math.abs(p.nll - q.nll) < 5e-3 * q.nll);
  p.texts.forEach((x, i) => assert.ok(Math.abs(x - nll[i]) < 0.02, `text ${i}: ${x}, not ${nll[i]}`)); // q8_0
  assert.ok(Math.abs(p.perplexity / Math.exp(p.nll_by_token) - 1) < 1e-4);
  assert.match(await done(['perplexity', '-m', TELLER, '--ids', list]), /^\d+\.\d{6}\n$/);
  const compare = (program) => json(['perplexity', '-m', TELLER, '--json', '--ids', all, '--compare', TELLER, '--kv', 'q8_0'], {}, program);
  const [here, there] = [await compare(run), await compare(native)];
  assert.deepEqual(Object.keys(here), Object.keys(there));
  assert.ok(Math.abs(here.divergence) < 1e-6 && here.same_argmax === 1 && here.n_tokens === p.n_tokens);
  for (const key of ['perplexity', 'base_perplexity', 'nll_by_token']) assert.ok(Math.abs(here[key] / there[key] - 1) < 1e-3, key);
  const text = await done(['perplexity', '-m', TELLER, '--ids', list, '--compare', TELLER]);
  assert.match(text, /^perplexity     \d+\.\d{4}\nof the base    \d+\.\d{4}\ndivergence     -?0\.000000\nsame argmax    100\.000 %\n$/);
});

test('bench: the keys of the native command, and the backend', withNative, async () => {
  const args = ['bench', '-m', TELLER, '--prefill', '16', '--decode', '4', '--rounds', '2', '--threads', '1', '--json'];
  const [ours, theirs] = [await json(args), await json(args, {}, native)];
  assert.deepEqual(Object.keys(ours).filter((key) => key !== 'backend'), Object.keys(theirs));
  assert.equal(ours.backend, 'cpu');
  for (const same of ['model', 'architecture', 'name', 'weight_type', 'kv', 'threads', 'rounds', 'n_parameters'])
    assert.equal(ours[same], theirs[same], same);
  assert.match(ours.isa, /^wasm/);
  assert.ok(ours.session_bytes > 1e5 && ours.prefill_ms > 0 && ours.decode_ms > 0);
  assert.ok(Math.abs(ours.decode_tokens_per_s - 4e3 / ours.decode_ms) < 0.01 * ours.decode_tokens_per_s);
  assert.ok(ours.prefill_tokens_per_s_best >= ours.prefill_tokens_per_s);
  const table = await done(['bench', '--prefill', '16', '--decode', '0', '--rounds', '1']);
  assert.match(table, /teller-q8_0\.gguf: gemma3, 12\.5 M parameters, q8_0\n/);
  assert.match(table, /\n +prefill +16 +[\d.]+ +[\d.]+ +[\d.]+\n/);
  assert.doesNotMatch(table, /\n +decode/);
});

test('models: a split file by any part, an address, a name, the environment', ready, async (t) => {
  const folder = temporaryFolder(t);
  for (const [name, bytes] of splitGguf(readFileSync(TELLER), 'teller', 3))
    writeFileSync(path.join(folder, name), bytes);
  const base = await serve(t, (request, response, pathname) => {
    if (pathname !== '/teller.gguf') return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': statSync(TELLER).size }).end(readFileSync(TELLER));
  });
  const args = (model) => ['generate', ...(model ? ['-m', model] : []), '-p', 'Once upon a', '-n', '8', ...greedy];
  const text = await done(args(TELLER));
  const part = path.join(folder, 'teller-00002-of-00003.gguf');
  for (const model of [part, `${base}/teller.gguf`, 'teller']) assert.equal(await done(args(model)), text, model);
  assert.equal(await done(args(), { env: { ...env, SOTTO_LANGUAGE_MODEL: part } }), text);
  const tokens = await done(['tokenize', '-m', TELLER, '-p', 'Hello']);
  for (const model of [part, `${base}/teller.gguf`])
    assert.equal(await done(['tokenize', '-m', model, '-p', 'Hello']), tokens);
  await fails(1, args(`${base}/none.gguf`), /none\.gguf.*404/);
});

test('the models that can be named are listed, and removed', ready, async (t) => {
  const cache = temporaryFolder(t);
  const at = { env: { ...env, XDG_CACHE_HOME: cache } };
  const list = await json(['models', '--json'], at);
  const here = () => list.filter((m) => m.here).map(({ id }) => id);
  assert.deepEqual(here(), ['teller']); // it ships with the package
  assert.ok(list.every((m) => m.size_bytes > 0 && m.license));
  const { id } = list.find(({ kind }) => kind.startsWith('gemma'));
  const file = path.join(cache, 'sotto', 'ggml-tiny-q5_1.bin');
  mkdirSync(path.dirname(file));
  writeFileSync(file, '');
  truncateSync(file, list.find((m) => m.id === 'tiny-q5_1').size_bytes); // of the right size, as far as one looks
  const table = await done(['models'], at);
  assert.match(table, /\ntiny-q5_1 +32\.2 MB +MIT +here\n/);
  assert.match(table, new RegExp(`\n${id} +`));
  assert.equal(await done(['models', '--remove', 'tiny-q5_1'], at), '');
  assert.ok(!existsSync(file));
  await fails(2, ['models', '--remove', 'nope'], /no model has the name 'nope'/);
});

test('wrong usage: exit code 2 and one sentence', ready, async (t) => {
  const list = idsFile(t, ids);
  for (const [args, pattern] of [
    [['generate', '--mdel', 'x'], /unknown option '--mdel'/],
    [['generate', 'x'], /unexpected argument 'x': text is given with --prompt/],
    [['generate', '-p', 'x', '-f', 'y'], /--prompt and --file exclude each other/],
    [['generate', '-p', 'x', '--system', 'y'], /--system goes with --chat/],
    [['generate', '-p', 'x', '--logprobs', '2'], /--logprobs goes with --json/],
    [['generate', '-p', 'x', '--top-k', '-1'], /'--top-k' needs a whole number from 0 to/],
    [['generate', '-p', 'x', '--temperature', 'hot'], /'--temperature' needs a number from 0 to 100, not 'hot'/],
    [['generate', '-p', 'x', '--logit-bias', '5'], /'--logit-bias' needs ID=NUMBER/],
    [['generate', '-p', 'x', '--logit-bias', '5=inf'], /'--logit-bias' needs ID=NUMBER/],
    [['generate', '-p', 'x', '--stop', ''], /a string that is not empty/],
    [['generate', '-p', 'x', '--kv', 'f8'], /'--kv' needs f16 or q8_0, not 'f8'/],
    [['generate', '-p', 'x', '-n'], /'-n' needs a value/],
    [['chat', 'x'], /unexpected argument 'x': the first message is given with --prompt/],
    [['chat', '--history', 'x', '--no-history'], /exclude each other/],
    [['bench', '--prefill', '0', '--decode', '0'], /nothing to measure/],
    [['bench', '--rounds', '0'], /'--rounds' needs/],
    [['bench', 'x'], /unexpected argument 'x'/],
    [['tokenize', '-p', 'x'], /no model/],
    [['tokenize', '-m', TELLER, 'x'], /unexpected argument 'x'/],
    [['detokenize', '--ids', list], /no model/],
    [['logits', '-m', TELLER, '-o', 'x'], /no token ids: give a file with --ids/],
    [['logits', '-m', TELLER, '--ids', list], /no file to write: give one with --output/],
    [['perplexity', '--ids', list], /no model/],
    [['info', '--ctx', '0', TELLER], /'--ctx' needs a whole number/],
  ])
    await fails(2, args, pattern);
});

test('what cannot be done: exit code 1 and one sentence', ready, async (t) => {
  const folder = temporaryFolder(t);
  const page = path.join(folder, 'page.gguf');
  writeFileSync(page, '<!doctype html>');
  const cut = path.join(folder, 'cut.gguf');
  writeFileSync(cut, readFileSync(TELLER).subarray(0, 1 << 20));
  const lone = path.join(folder, 'lone-00001-of-00002.gguf');
  copyFileSync(TELLER, lone);
  const list = idsFile(t, ids);
  const logits = ['logits', '-m', TELLER, '-o', `${folder}/x.npy`, '--ids'];
  for (const [args, pattern, input] of [
    [['generate', '-m', 'no/such.gguf', '-p', 'x'], /no\/such\.gguf: No such file or directory/],
    [['generate', '-m', 'no-such-name', '-p', 'x'], /no-such-name: No such file or directory/],
    [['generate', '-m', page, '-p', 'x'], /page\.gguf: this is a web page/],
    [['generate', '-m', cut, '-p', 'x'], /cut\.gguf: the file ends/],
    [['generate', '-m', lone, '-p', 'x'], /lone-00002-of-00002\.gguf/],
    [['generate', '-m', folder, '-p', 'x'], /two models|no model among/],
    [['generate', '-f', `${folder}/none`], /none: No such file or directory/],
    [['generate', '-f', folder], /: Is a directory/],
    [['generate', '-p', 'Once upon a time '.repeat(40), '--ctx', '64'], /\d+ tokens do not fit in a context of 64/],
    [['generate', '-p', 'x', '--ctx', '4000'], /trained for 1 to 2048/],
    [['bench', '--prefill', '4000'], /trained for 1 to 2048/],
    [[...logits, `${folder}/none`], /none: No such file or directory/],
    [[...logits, '-'], /standard input: is no list of token ids/, '[1, [2]]'],
    [[...logits, '-'], /standard input: is no list of token ids/, '[1, 2'],
    [[...logits, '-'], /standard input: is no list of token ids/, '1 2 x'],
    [[...logits, '-'], /standard input: give the ids of one text/, '[]'],
    [[...logits, '-'], /token 2 is 999999/, '1 999999'],
    [
      ['logits', '-m', TELLER, '--ids', list, '-o', '/no/x.npy'],
      /could not write \/no\/x\.npy: No such file or directory/,
    ],
    [['perplexity', '-m', TELLER, '--ids', '-'], /text 2 has fewer than two tokens/, '[[2, 3], [2]]'],
    [['tokenize', '-m', golden, '-p', 'x'], /there is no vocabulary/],
    [['chat', '--load', page], /this is no conversation/],
  ])
    await fails(1, args, pattern, { input: input ?? '' });
  assert.deepEqual(readdirSync(folder).sort(), ['cut.gguf', 'lone-00001-of-00002.gguf', 'page.gguf']);
});

test('an interrupt ends an answer with 130', ready, async () => {
  const endless = ['--logit-bias', '1=-inf,5=-inf']; // it would write until the context is full
  const child = spawn(process.execPath, ['js/bin/sotto.js', 'generate', '-p', 'Once', ...endless], { cwd: root, env });
  let stdout = '';
  child.stdout.on('data', (text) => {
    if (stdout === '') child.kill('SIGINT');
    stdout += text;
  });
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 130);
  assert.ok(stdout.length > 0 && stdout.endsWith('\n'));
});

test('a Whisper model is refused in words', { ...ready, ...needs('models/ggml-tiny-q5_1.bin') }, async () => {
  for (const command of ['generate', 'tokenize', 'bench'])
    await fails(
      1,
      [command, '-m', 'models/ggml-tiny-q5_1.bin', ...(command === 'bench' ? [] : ['-p', 'x'])],
      /Whisper model/,
    );
});

test('standard output that is closed early', ready, async () => {
  const command = `"${process.execPath}" js/bin/sotto.js generate -p Once | head -c 4`;
  const { code, stdout, stderr } = await runProgram('sh', ['-c', command], { env });
  assert.deepEqual([code, stdout.length, stderr], [0, 4, '']);
});
