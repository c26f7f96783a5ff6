// The native command on language models: logits of a golden checkpoint, wrong usage, text of the default model, whole and split; and,
// where the folder models/teller is that it was made of, greedy text against its references.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { done, fails, model, noCommand, scratchFolder, sotto, split } from './command.mjs';

const golden = 'tests/fixtures/golden/gemma3-1b-shape';
const teller = 'models/teller';
const vectors = JSON.parse(fs.readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));
const noTeller = noCommand || (fs.existsSync(`${teller}/model.safetensors`) ? false : `skip: ${teller} is missing`);
const scratch = scratchFolder('generate');

function file(name, content) {
  const at = path.join(scratch, name);
  fs.writeFileSync(at, content);
  return at;
}

function readNpy(bytes) {
  assert.equal(bytes.toString('latin1', 0, 8), '\x93NUMPY\x01\x00');
  const at = 10 + bytes.readUInt16LE(8);
  assert.equal(at % 64, 0);
  const header = bytes.toString('latin1', 10, at);
  assert.match(header, /'descr': '<f4', 'fortran_order': False/);
  const shape = header.match(/'shape': \((\d+), (\d+)\)/).slice(1).map(Number);
  assert.equal(bytes.length, at + 4 * shape[0] * shape[1]);
  return { shape, data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length)) };
}

const { ids } = JSON.parse(fs.readFileSync(`${golden}/vectors.json`, 'utf8'));

test('logits are those of the reference, from JSON, words and standard input', { skip: noCommand }, () => {
  const out = path.join(scratch, 'logits.npy');
  done(['logits', '-m', golden, '--ids', file('ids.json', JSON.stringify(ids)), '-o', out]);
  const ours = readNpy(fs.readFileSync(out));
  const reference = readNpy(fs.readFileSync(`${golden}/logits.npy`));
  assert.deepEqual(ours.shape, [64, 1024]);
  assert.deepEqual(reference.shape, [64, 1024]);
  for (let row = 0; row < 64; row++) {
    let difference = 0;
    let norm = 0;
    for (let i = row * 1024; i < (row + 1) * 1024; i++) {
      difference += (ours.data[i] - reference.data[i]) ** 2;
      norm += reference.data[i] ** 2;
    }
    assert.ok(Math.sqrt(difference / norm) <= 2e-3, `row ${row}`);
  }
  const words = spawnSync(sotto, ['logits', '-m', golden, '--ids', '-', '-o', '-'], { input: ` ${ids.join(' \n')}\n` });
  assert.equal(words.status, 0, String(words.stderr));
  assert.deepEqual(words.stdout, fs.readFileSync(out));
});

test('perplexity is what the logits say', { skip: noCommand }, () => {
  const { data } = readNpy(fs.readFileSync(`${golden}/logits.npy`));
  let nll = 0;
  for (let t = 0; t + 1 < 64; t++) {
    const row = data.subarray(t * 1024, (t + 1) * 1024);
    const greatest = Math.max(...row);
    nll += greatest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - greatest), 0)) - row[ids[t + 1]];
  }
  nll /= 63;
  const one = file('one.json', JSON.stringify(ids));
  assert.ok(Math.abs(Number(done(['perplexity', '-m', golden, '--ids', one])) - nll) < 2e-3 * nll);
  const two = JSON.parse(done(['perplexity', '-m', golden, '--json', '--ids', file('two.json', JSON.stringify([ids, ids]))]));
  assert.deepEqual([two.n_texts, two.n_tokens], [2, 126]);
  assert.equal(two.texts[0], two.texts[1]);
  assert.ok(Math.abs(two.nll - nll) < 2e-3 * nll && Math.abs(two.nll_by_token - two.nll) < 1e-5);
  assert.ok(Math.abs(two.perplexity / Math.exp(two.nll) - 1) < 1e-4);
});

test('what is wrong is said in a sentence', { skip: noCommand }, () => {
  const list = file('list.json', JSON.stringify(ids));
  for (const command of ['generate', 'logits', 'perplexity', 'tokenize', 'detokenize']) {
    assert.match(done([command, '--help']), new RegExp(`^Usage: sotto ${command} -m MODEL`));
    fails(2, [command, '--mdel', 'x'], /unknown option '--mdel'/);
    fails(2, [command, '-m', golden, 'x'], /unexpected argument 'x'/);
    if (command !== 'generate') fails(2, command === 'logits' || command === 'perplexity' ? [command, '--ids', list] : [command], /no model/, { input: '' });
  }
  fails(2, ['generate', '-m', golden, '--top-p', '0'], /'--top-p' needs a number/);
  fails(2, ['generate', '-m', golden, '--stop', ''], /not empty/);
  fails(2, ['generate', '-m', golden, '-p', 'a', '-f', 'b'], /exclude each other/);
  fails(2, ['generate', '-m', golden, '-p', 'a', '--system', 'b'], /goes with --chat/);
  fails(2, ['logits', '-m', golden, '--ids', list], /--output/);
  fails(1, ['generate', '-m', 'nowhere.gguf', '-p', 'a'], /nowhere\.gguf: No such file/);
  fails(1, ['generate', '-m', 'part-00001-of-00002.gguf', '-p', 'a'], /part-00001-of-00002\.gguf: No such file/);
  fails(1, ['generate', '-m', golden, '-p', 'a'], /no vocabulary: put tokenizer\.model or tokenizer\.json/);
  fails(1, ['generate', '-m', golden, '-p', 'a', '--ctx', '9999999'], /was trained for 1 to/);
  fails(1, ['detokenize', '-m', golden, '--ids', list], /no vocabulary/);
  fails(1, ['logits', '-m', golden, '--ids', file('bad.json', '[1, "2"]'), '-o', '-'], /no list of token ids/);
  fails(1, ['logits', '-m', golden, '--ids', file('mixed.json', '[1, [2]]'), '-o', '-'], /no list of token ids/);
  fails(1, ['logits', '-m', golden, '--ids', file('open.json', '[1, 2'), '-o', '-'], /list of ids/);
  fails(1, ['logits', '-m', golden, '--ids', file('words.txt', '1 2x 3'), '-o', '-'], /no list of token ids/);
  fails(1, ['logits', '-m', golden, '--ids', file('two.json', '[[1],[2]]'), '-o', '-'], /ids of one text/);
  fails(1, ['perplexity', '-m', golden, '--ids', file('short.json', '[[1, 2], [3]]')], /text 2 has fewer than two tokens/);
  fails(1, ['perplexity', '-m', golden, '--ids', file('large.json', '[1, 1024]')], /token 2 is 1024/);
  const out = path.join(scratch, 'never.npy');
  fails(1, ['logits', '-m', golden, '--ids', file('large2.json', '[1024]'), '-o', out], /token 1 is 1024/);
  assert.deepEqual(fs.readdirSync(scratch).filter((name) => name.includes('never')), []);
});

test('a folder is tokenized without its weights', { skip: noCommand }, () => {
  const folder = path.join(scratch, 'folder');
  fs.mkdirSync(folder);
  fs.copyFileSync(`${golden}/config.json`, `${folder}/config.json`);
  fs.copyFileSync('tests/fixtures/teller/tokenizer.model', `${folder}/tokenizer.model`);
  const text = 'A dog <end_of_turn> 🐕\n';
  const plain = JSON.parse(done(['tokenize', '-m', folder, '-p', text]));
  const special = JSON.parse(done(['tokenize', '-m', folder, '--special', '--bos', '-f', '-'], { input: text }));
  assert.ok(special[0] === 2 && special.includes(5) && !plain.includes(5) && plain[0] !== 2);
  assert.equal(done(['detokenize', '-m', folder, '--ids', '-'], { input: JSON.stringify(plain) }), text);
  assert.equal(done(['detokenize', '-m', folder], { input: special.join(' ') }), text.replace('<end_of_turn>', ''));
  assert.equal(done(['detokenize', '-m', folder, '--special'], { input: special.join(' ') }), `<s>${text}`); // its name in this vocabulary
  assert.equal(done(['tokenize', '-m', folder, '-p', '']), '[]\n');
});

test('greedy text of the small trained model is its reference', { skip: noTeller }, () => {
  for (const v of vectors.vectors) {
    const r = JSON.parse(done(['generate', '-m', teller, '--chat', '-p', v.prompt, '--temperature', '0', '--json']));
    assert.deepEqual(r.prompt_tokens, v.prompt_ids);
    assert.deepEqual(r.tokens, v.greedy);
    assert.equal(r.text, v.text.replace(/<end_of_turn>$/, ''));
    assert.equal(r.stop_reason, 'end');
    assert.deepEqual(Object.keys(r.timings), ['load_ms', 'prefill_ms', 'n_prefill', 'decode_ms', 'n_decode']);
    assert.deepEqual([r.timings.n_prefill, r.timings.n_decode], [v.prompt_ids.length, v.greedy.length - 1]);
    assert.ok(r.peak_memory_bytes > 1e6);
  }
});

test('text ends where it is told to', { skip: noCommand }, () => {
  const { prompt, prompt_ids, greedy, text: reference } = vectors.vectors[0];
  const generate = (...args) => done(['generate', '-m', model, '--chat', '--temperature', '0', ...args]);
  const { text, tokens, prompt_tokens, stop_reason } = JSON.parse(generate('-p', prompt, '--json'));
  assert.deepEqual(prompt_tokens, prompt_ids);
  assert.deepEqual(tokens.slice(0, 40), greedy.slice(0, 40)); // 8-bit weights part from the reference later on
  assert.deepEqual([stop_reason, tokens.at(-1)], ['end', 5]);
  assert.equal(generate('-p', prompt), `${text}\n`);
  const until = text.slice(0, text.indexOf(' ball'));
  assert.ok(until.length > 20 && reference.startsWith(until));
  assert.equal(generate('-p', prompt, '--stop', 'nowhere', '--stop', ' ball'), `${until}\n`);
  const stopped = JSON.parse(generate('-p', prompt, '--stop', ' ball', '--json'));
  assert.deepEqual([stopped.stop_reason, stopped.text], ['stop', until]);
  const short = JSON.parse(generate('-p', prompt, '-n', '5', '--json'));
  assert.deepEqual([short.stop_reason, short.tokens], ['length', greedy.slice(0, 5)]);
  assert.deepEqual([short.timings.n_prefill, short.timings.n_decode], [prompt_ids.length, 4]);
  const none = JSON.parse(generate('-p', prompt, '-n', '0', '--json'));
  assert.deepEqual([none.stop_reason, none.tokens, none.text], ['length', [], '']);
  const full = JSON.parse(generate('-p', prompt, '--ctx', String(prompt_ids.length + 3), '--json'));
  assert.deepEqual([full.stop_reason, full.tokens], ['context', greedy.slice(0, 4)]);
  fails(1, ['generate', '-m', model, '--chat', '-p', prompt, '--ctx', '4'], /do not fit in a context of 4/);
});

test('seeds repeat, prompts come from files and standard input', { skip: noCommand }, () => {
  const { prompt, prompt_ids } = vectors.vectors[1];
  const generate = (args, options) => done(['generate', '-m', model, '--chat', '-n', '30', ...args], options);
  const first = generate(['-p', prompt, '--seed', '7']);
  assert.equal(generate(['-f', file('prompt.txt', `${prompt}\n`), '--seed', '7']), first);
  assert.equal(generate(['--seed', '7'], { input: `${prompt}\n` }), first);
  const others = ['8', '9', '10'].map((seed) => generate(['-p', prompt, '--seed', seed]));
  assert.ok(new Set([first, ...others]).size > 1);
  const system = JSON.parse(generate(['-p', prompt, '--system', 'Be brief.', '--json']));
  assert.ok(system.prompt_tokens.length > prompt_ids.length);
  const raw = JSON.parse(done(['generate', '-m', model, '-p', 'Once upon', '-n', '1', '--json']));
  assert.deepEqual(raw.prompt_tokens, JSON.parse(done(['tokenize', '-m', model, '--bos', '-p', 'Once upon'])));
});

test('log-probabilities are those of the logits', { skip: noCommand }, () => {
  const ask = (...args) => JSON.parse(done(['generate', '-m', model, '-p', 'Once upon a', '-n', '3', '--json', '--temperature', '0', ...args]));
  const r = ask('--logprobs', '4');
  assert.equal(r.logprobs.length, 3);
  assert.deepEqual(r.logprobs.map(({ id }) => id), r.tokens);
  assert.equal(r.logprobs.map(({ text }) => text).join(''), r.text);
  const all = [...r.prompt_tokens, ...r.tokens];
  const npy = spawnSync(sotto, ['logits', '-m', model, '--ids', '-', '-o', '-'], { input: JSON.stringify(all) });
  const { shape, data } = readNpy(npy.stdout);
  for (const [i, { id, logprob, top }] of r.logprobs.entries()) {
    const row = data.subarray((r.prompt_tokens.length + i - 1) * shape[1], (r.prompt_tokens.length + i) * shape[1]);
    const greatest = row.reduce((a, b) => Math.max(a, b));
    const norm = greatest + Math.log(row.reduce((sum, x) => sum + Math.exp(x - greatest), 0));
    assert.ok(Math.abs(row[id] - norm - logprob) < 1e-2, `${row[id] - norm} and ${logprob}`);
    assert.deepEqual(top[0], { id, text: r.logprobs[i].text, logprob }); // greedy
    assert.equal(top.length, 4);
    for (let k = 1; k < 4; k++) assert.ok(top[k].logprob <= top[k - 1].logprob);
  }
  assert.deepEqual(ask('--logprobs', '0').logprobs.map(({ top }) => top), [[], [], []]);
  assert.equal(ask().logprobs, undefined);
  fails(2, ['generate', '-m', model, '-p', 'a', '--logprobs', '2'], /--logprobs goes with --json/);
  fails(2, ['generate', '-m', model, '-p', 'a', '--json', '--logprobs', '21'], /from 0 to 20/);
});

test('bias and penalties move what is chosen', { skip: noCommand }, () => {
  const ask = (...args) => JSON.parse(done(['generate', '-m', model, '-p', 'Once upon a', '-n', '60', '--json', '--temperature', '0', ...args]));
  const plain = ask();
  const [first] = plain.tokens;
  const banned = ask('--logit-bias', `${first}=-inf`);
  assert.ok(!banned.tokens.includes(first));
  assert.ok(ask('--logit-bias', '300=1e3,301=0').tokens.every((id) => id === 300));
  assert.equal(ask('--logit-bias', `${first}=-inf`, '--logit-bias', `${first}=0`).text, plain.text);
  const repeats = (tokens) => tokens.length - new Set(tokens).size;
  for (const option of ['--repetition-penalty', '--presence-penalty', '--frequency-penalty']) {
    const r = ask(option, option === '--repetition-penalty' ? '5' : '20');
    assert.ok(repeats(r.tokens) < repeats(plain.tokens), option);
    assert.equal(ask(option, option === '--repetition-penalty' ? '5' : '20', '--penalty-window', '0').text, plain.text);
  }
  const sampled = (...args) => JSON.parse(done(['generate', '-m', model, '-p', 'Once upon a', '-n', '30', '--json', '--seed', '4', ...args])).text;
  assert.notEqual(sampled('--temperature', '2', '--top-k', '0', '--top-p', '1'), sampled('--temperature', '2', '--top-k', '0', '--top-p', '1', '--typical-p', '0.2'));
  assert.equal(sampled('--top-k', '1'), JSON.parse(done(['generate', '-m', model, '-p', 'Once upon a', '-n', '30', '--json', '--temperature', '0'])).text);
  for (const bias of ['5', '5=', '=1', '5=nan', '5=1,', 'x=1', '-1=1', '5=1;6=1'])
    fails(2, ['generate', '-m', model, '-p', 'a', '--logit-bias', bias], /'--logit-bias' needs ID=NUMBER/);
  fails(1, ['generate', '-m', model, '-p', 'a', '--logit-bias', '999999=1'], /999999/);
  fails(2, ['generate', '-m', model, '-p', 'a', '--kv', 'f8'], /'--kv' needs f16 or q8_0/);
});

test('keys and values in 8 bits write nearly the same', { skip: noCommand }, () => {
  const list = file('kv.json', JSON.stringify(vectors.ppl_ids.slice(0, 8)));
  const nll = (kv) => Number(done(['perplexity', '-m', model, '--ids', list, '--kv', kv]));
  assert.ok(Math.abs(nll('q8_0') - nll('f16')) < 5e-3);
});

test('without a model the one that comes with sotto writes', { skip: noCommand }, () => {
  const args = ['generate', '--chat', '-p', 'Tell me a story.', '-n', '8'];
  const text = done(['generate', '-m', model, ...args.slice(1)]);
  assert.equal(done(args), text);
  assert.equal(done(args, { cwd: scratch }), text); // wherever it is called
  fails(1, args, /nowhere\.gguf: No such file/, { env: { ...process.env, SOTTO_LANGUAGE_MODEL: 'nowhere.gguf' } });
});

test('a split model is found by any of its parts', { skip: noCommand }, () => {
  const write = (from) => JSON.parse(done(['generate', '-m', from, '-p', 'Once upon a time', '--temperature', '0', '-n', '20', '--json'])).tokens;
  const parts = split(model, scratch, 3);
  const whole = write(model);
  assert.equal(whole.length, 20);
  assert.deepEqual(write(parts[0]), whole);
  assert.deepEqual(write(parts[2]), whole);
  fs.rmSync(parts[1]);
  fails(1, ['generate', '-m', parts[0], '-p', 'a'], /split-00002-of-00003\.gguf: No such file/);
});

test('guessing tokens changes nothing of a text', { skip: noCommand }, () => {
  const prompt = 'Tell me a story about a dog and a ball.';
  const write = (...more) => JSON.parse(done(['generate', '--chat', '-p', prompt, '-n', '100', '--json', ...more]));
  for (const sampling of [['--temperature', '0'], ['--seed', '3'], ['--seed', '4', '--repetition-penalty', '1.2']]) {
    const plain = write(...sampling);
    assert.equal(plain.guesses, undefined);
    for (const draft of [['lookup'], ['lookup', '--draft-tokens', '15'], [model], [model, '--draft-tokens', '2']]) {
      const guessed = write(...sampling, '--draft', ...draft);
      assert.deepEqual(guessed.tokens, plain.tokens);
      const { checks = 0, tokens = 0, accepted = 0 } = guessed.guesses ?? {};
      assert.ok(accepted <= tokens && checks <= tokens);
    }
  }
  const chat = (...more) => done(['chat', '-n', '30', '--seed', '1', '--no-history', '-p', prompt, ...more]);
  assert.equal(chat('--draft', model), chat());
});

test('what cannot guess is refused', { skip: noCommand }, () => {
  fails(2, ['generate', '-p', 'a', '--draft-tokens', '3'], /--draft-tokens goes with --draft/);
  fails(2, ['generate', '-p', 'a', '--draft', 'lookup', '--draft-tokens', '16'], /draft-tokens/);
  fails(1, ['generate', '-p', 'a', '--draft', 'nowhere.gguf'], /nowhere\.gguf: No such file/);
  fails(1, ['generate', '-p', 'a', '--draft', golden], /vocabulary/);
});

test('perplexity of the small trained model is its reference', { skip: noTeller }, () => {
  const r = JSON.parse(done(['perplexity', '-m', teller, '--json', '--ids', file('texts.json', JSON.stringify(vectors.ppl_ids))]));
  assert.ok(Math.abs(r.nll - 1.0928) < 1e-4, `${r.nll}`);
  r.texts.forEach((nll, i) => assert.ok(Math.abs(nll - vectors.nll[i]) < 1e-3));
});

test('an interrupt ends it cleanly', { skip: noCommand }, async () => {
  const child = spawn(sotto, ['generate', '-m', model, '-p', 'Once upon a time', '--threads', '1'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (piece) => {
    if (text === '') child.kill('SIGINT');
    text += piece;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 130);
  assert.ok(text.length > 1 && text.endsWith('\n'));
});
