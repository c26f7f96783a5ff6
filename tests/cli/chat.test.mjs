// sotto chat: conversations through a pipe, commands, files; and on a terminal (a pseudo-terminal of the program `script`): the line
// editor, the history, Ctrl-C.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { done, env, fails, model, noCommand, run, scratchFolder, sotto } from './command.mjs';
import { noTerminal, onPseudoTerminal } from '../terminal.mjs';

const scratch = scratchFolder('chat');
const file = (name) => path.join(scratch, name);
const lines = (...list) => ({ input: list.map((line) => `${line}\n`).join('') });
const chat = (args, ...list) => run(['chat', '-m', model, '--seed', '1', ...args], lines(...list));
// An object for each answer.
function answers(args, ...list) {
  const r = chat(['--json', ...args], ...list);
  assert.equal(r.status, 0, r.stderr);
  return r.stdout.trimEnd().split('\n').filter(Boolean).map((line) => JSON.parse(line));
}
const messages = (at) => JSON.parse(fs.readFileSync(at, 'utf8')).messages;
const dog = 'Tell me a story about a dog.';
const cat = 'Tell me a story about a cat.';

/* ---- through a pipe ---- */

test('each line is a message, the answers alone are printed', { skip: noCommand }, () => {
  const r = chat(['--temperature', '0', '-n', '30'], dog, '', cat);
  assert.equal(r.status, 0, r.stderr);
  assert.equal(r.stderr, '');
  const [first, second] = answers(['--temperature', '0', '-n', '30'], dog, cat);
  assert.equal(r.stdout, `${first.text}\n${second.text}\n`);
  const alone = JSON.parse(done(['generate', '-m', model, '--chat', '-p', dog, '--temperature', '0', '-n', '30', '--json']));
  assert.deepEqual([first.text, first.prompt_tokens, first.tokens], [alone.text, alone.prompt_tokens, alone.tokens]);
  // The second answer's prompt holds the whole conversation, of which only what is new is evaluated.
  assert.deepEqual(second.prompt_tokens.slice(0, first.prompt_tokens.length), first.prompt_tokens);
  assert.ok(second.timings.n_prefill < 40 && second.prompt_tokens.length > 70);
});

test('a conversation answers alike whether its beginning is evaluated or kept', { skip: noCommand }, () => {
  const saved = file('kept.json');
  const [, second] = answers(['--temperature', '0', '--save', saved], dog, cat);
  const before = messages(saved).slice(0, 3);
  const begun = file('begun.json');
  fs.writeFileSync(begun, JSON.stringify(before)); // ends with a message, which is answered
  const [again] = answers(['--temperature', '0', '--load', begun]);
  assert.deepEqual(again.prompt_tokens, second.prompt_tokens);
  assert.equal(again.text.slice(0, 60), second.text.slice(0, 60));
  assert.equal(again.timings.n_prefill, again.prompt_tokens.length);
});

test('lines that belong together', { skip: noCommand }, () => {
  const saved = file('together.json');
  answers(['-n', '1', '--save', saved], 'one \\', 'two', '"""', 'three', '', ' four', '"""', '"""five"""', '//slash', '"""six', 'seven');
  assert.deepEqual(messages(saved).filter((m) => m.role === 'user').map((m) => m.content), ['one \ntwo', 'three\n\n four', 'five', '/slash', 'six\nseven']);
});

test('commands', { skip: noCommand }, () => {
  const saved = file('commands.json');
  const list = answers(['-n', '12', '--save', saved, '--system', 'Be kind.'], dog, '/retry', `/edit ${cat}`, '/set temperature 0', '/retry', '/retry', '/undo', dog);
  assert.equal(list.length, 6);
  assert.notDeepEqual(list[0].tokens, list[1].tokens); // another draw
  assert.deepEqual(list[0].prompt_tokens, list[1].prompt_tokens);
  assert.notDeepEqual(list[2].prompt_tokens, list[1].prompt_tokens);
  assert.deepEqual(list[3].tokens, list[4].tokens); // at temperature 0
  assert.deepEqual(list[5].prompt_tokens, list[0].prompt_tokens); // after the undo
  assert.deepEqual(messages(saved), [{ role: 'system', content: 'Be kind.' }, { role: 'user', content: dog }, { role: 'assistant', content: list[5].text }]);
  assert.deepEqual(answers(['-n', '12'], dog, '/retry').map((r) => r.tokens), answers(['-n', '12'], dog, '/retry').map((r) => r.tokens)); // a seed

  const r = chat(['-n', '4'], '/help', '/system', '/system Be brief.', '/system', '/system ""', '/system', '/set', '/set top_k 3', dog, '/stats', '/clear', '/stats', '/exit', cat);
  assert.equal(r.status, 0);
  for (const said of [/\/retry +answers the last message again/, /there is no system text\)/, /\nBe brief\.\n/, /no system text any more/, /top-k +64/, /context: \d+ of 2048 tokens in use; 2 turns/, /begins anew\)/, /; 0 turns/])
    assert.match(r.stderr, said);
  assert.equal(r.stdout.trimEnd().split('\n').length, 1); // nothing after /exit
});

test('what cannot be done is said, and the conversation goes on', { skip: noCommand }, () => {
  const damaged = file('damaged.json');
  fs.writeFileSync(damaged, '[{"role":"user","content":"a"},{"role":"user","content":"b"}]');
  const r = chat(['-n', '3'], '/nope', '/undo', '/retry', '/edit', '/set warmth 3', '/set temperature hot', '/load nowhere.json', `/load ${damaged}`, '/save', '/save /nowhere/x.json', dog);
  assert.equal(r.status, 1);
  assert.equal(r.stdout.trimEnd().split('\n').length, 1);
  for (const said of [/no command \/nope/, /nothing to undo/, /nothing to answer/, /no message to edit/, /no setting 'warmth'/, /'temperature' needs a number/, /nowhere\.json: No such file/, /message 2 has to be the assistant's/, /name the file/, /could not write \/nowhere\/x\.json: No such file/])
    assert.match(r.stderr, said);
  fails(2, ['chat', '-m', model, 'hello'], /first message is given with --prompt/);
  fails(2, ['chat', '-m', model, '--history', 'a', '--no-history'], /exclude each other/);
  fails(1, ['chat', '-m', model, '--load', damaged], /message 2/);
  fails(1, ['chat', '-m', 'tests/fixtures/golden/gemma3-1b-shape'], /no vocabulary/, { input: '' });
  assert.match(done(['chat', '--help']), /^Usage: sotto chat/);
  for (const wrong of ['{"messages":3}', '{}', '[{"role":"user"}]', '[{"role":"user","content":[]}]', '[{"role":"system","content":"a"},{"role":"system","content":"b"}]', '[', '']) {
    fs.writeFileSync(damaged, wrong);
    fails(1, ['chat', '-m', model, '--load', damaged], /damaged\.json: /, { input: '' });
  }
});

test('when the context is full, the oldest turns are left out and the system text stays', { skip: noCommand }, () => {
  const r = chat(['--json', '-n', '40', '--ctx', '192', '--system', 'Tell of the moon.'], dog, cat, dog, cat, dog, cat);
  assert.equal(r.status, 0, r.stderr);
  const list = r.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(list.length, 6);
  assert.match(r.stderr, /the context of 192 tokens is full: the model no longer sees the \d+ oldest turns/);
  const system = list[0].prompt_tokens.slice(0, 12);
  for (const { prompt_tokens } of list) {
    assert.ok(prompt_tokens.length <= 192 - 40);
    assert.deepEqual(prompt_tokens.slice(0, 12), system);
  }
  // Room is made for more than the next turn, so that most turns find what came before them evaluated.
  assert.ok(list.filter((x) => x.timings.n_prefill < x.prompt_tokens.length).length >= 2);
  const long = chat(['--ctx', '64', '-n', '5'], `Tell me ${'a long story '.repeat(40)}`, dog);
  assert.equal(long.status, 1); // what does not fit alone is refused, and taken back
  assert.match(long.stderr, /^sotto: [^\n]+\n$/);
  assert.equal(long.stdout.trimEnd().split('\n').length, 1);
});

test('an interrupt ends a conversation through a pipe', { skip: noCommand }, async () => {
  const child = spawn(sotto, ['chat', '-m', model, '--logit-bias', '1=-inf,5=-inf'], { stdio: ['pipe', 'pipe', 'pipe'], env });
  child.stdin.write(`${dog}\n`);
  let text = '';
  child.stdout.on('data', (piece) => {
    if (text === '') child.kill('SIGINT');
    text += piece;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 130);
  assert.ok(text.length > 1 && text.endsWith('\n'));
});

/* ---- on a terminal ---- */

const terminal = (args) =>
  onPseudoTerminal([sotto, 'chat', '-m', model, '--seed', '1', ...args], { env: { ...env, XDG_STATE_HOME: scratch } });

const prompt = /\x1b\[0K> \r\x1b\[2C$/; // an empty line to be edited
const onTerminal = (name, run_) => test(name, { skip: noCommand || noTerminal, timeout: 120_000 }, run_);

onTerminal('messages are edited, completed and remembered', async () => {
  const t = terminal(['-n', '20']);
  await t.until(/teller-q8_0\.gguf: gemma3, 12\.5 M parameters, q8_0; context of 2048 tokens/);
  await t.until(prompt);
  await t.type('Tell me a story about a dägx', /dägx/);
  await t.type('\x7f\x7f\x7fog.', /about a dog\./);
  t.enter();
  await t.until(prompt);
  await t.type('/st\t', /\/stats/);
  t.enter();
  await t.until(/context: \d+ of 2048 tokens in use; 2 turns/);
  await t.until(prompt);
  await t.type('\x1b[A', /> \/stats/); // up
  await t.type('\x1b[A', /> Tell me a story about a dog\./);
  await t.type('\x01\x1b[C\x1b[CX', /> TeXll me a story about a dog\./); // start of the line, right, right
  await t.type('\x03', /Ctrl-D or \/exit ends/);
  await t.until(prompt);
  await t.type('/edit\r', /> Tell me a story about a dog\./);
  await t.type('\x7f now', /about a dog now/);
  t.enter();
  await t.until(prompt);
  await t.type('\x04');
  assert.equal(await t.code, 0);
  const history = path.join(scratch, 'sotto/chat_history');
  assert.equal(fs.readFileSync(history, 'utf8'), 'Tell me a story about a dog.\n/stats\n/edit\nTell me a story about a dog now\n');
  assert.equal(fs.statSync(history).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(history)).mode & 0o777, 0o700);

  const next = terminal(['-n', '5']); // another day
  await next.until(prompt);
  await next.type('\x1b[A', /> Tell me a story about a dog now/);
  await next.type('\x03', /Ctrl-D/);
  await next.until(prompt);
  await next.type('\x04');
  assert.equal(await next.code, 0);
});

onTerminal('Ctrl-C stops the answer, and the conversation goes on', async () => {
  const saved = file('stopped.json');
  const t = terminal(['--no-history', '--save', saved, '--logit-bias', '1=-inf,5=-inf']); // it would write until the context is full
  await t.until(prompt);
  await t.type(`${dog}\r`, /\r\n[A-Z][^]{20}/);
  await t.type('\x03', /\(stopped\)/);
  await t.until(prompt);
  const [, answer] = messages(saved);
  assert.ok(answer.content.length > 20); // what was written stays
  await t.type('/set tokens 8\r');
  await t.until(prompt);
  await t.type(`${cat}\r`);
  await t.until(prompt);
  assert.equal(messages(saved).length, 4);
  await t.type('/exit\r');
  assert.equal(await t.code, 0);
});

onTerminal('what is pasted at once is one message', async () => {
  const saved = file('pasted.json');
  const t = terminal(['--no-history', '-n', '3', '--save', saved]);
  await t.until(prompt);
  await t.type('first line\rsecond line', /second line/);
  t.enter();
  await t.until(prompt);
  await t.type('one\\\r', /\. \r/);
  await t.type('two\r');
  await t.until(prompt);
  await t.type('\x04');
  assert.equal(await t.code, 0);
  assert.deepEqual(messages(saved).filter((m) => m.role === 'user').map((m) => m.content), ['first line\nsecond line', 'one\ntwo']);
});
