// sotto chat of the package: conversations through a pipe, commands, files, next to the native command; and on a terminal (a
// pseudo-terminal of the program `script`): editing, the history, Ctrl-C.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { done, env, native, onTerminal, ready, run, TELLER, terminal, withNative } from './cli.mjs';
import { root, temporaryFolder } from './support.mjs';

const dog = 'Tell me a story about a dog.';
const cat = 'Tell me a story about a cat.';
const lines = (list) => ({ input: list.map((line) => `${line}\n`).join('') });
const chat = (args, list, program = run) => program(['chat', '-m', TELLER, '--seed', '1', ...args], lines(list));

/** An object for each answer. */
async function answers(args, list, program) {
  const { code, stdout, stderr } = await chat(['--json', ...args], list, program);
  assert.equal(code, 0, stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const messagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).messages;
const said = (file) =>
  messagesOf(file)
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content);

// ---- through a pipe ----

test('each line is a message, and the answers are those of the native command', withNative, async (t) => {
  const folder = temporaryFolder(t);
  const files = ['ours.json', 'theirs.json'].map((name) => path.join(folder, name));
  const args = (file) => ['--temperature', '0', '-n', '20', '--system', 'Be "kind".', '--save', file];
  const ours = await answers(args(files[0]), [dog, '', cat]);
  const theirs = await answers(args(files[1]), [dog, '', cat], native);
  assert.equal(ours.length, 2);
  const told = ({ text, prompt_tokens, tokens, stop_reason }) => [text, prompt_tokens, tokens, stop_reason];
  assert.deepEqual(ours.map(told), theirs.map(told));
  assert.deepEqual(
    ours.map(({ timings }) => timings.n_prefill),
    theirs.map(({ timings }) => timings.n_prefill),
  );
  assert.deepEqual(Object.keys(ours[0]), Object.keys(theirs[0]));
  assert.equal(readFileSync(files[0], 'utf8'), readFileSync(files[1], 'utf8'));
  const plain = await chat(['--temperature', '0', '-n', '20', '--system', 'Be "kind".'], [dog, cat]);
  assert.deepEqual([plain.stdout, plain.stderr], [ours.map(({ text }) => `${text}\n`).join(''), '']);
});

test('lines that belong together', ready, async (t) => {
  const saved = path.join(temporaryFolder(t), 'together.json');
  const typed = ['one \\', 'two', '"""', 'three', '', ' four', '"""', '"""five"""', '//slash', '"""six', 'seven'];
  await answers(['-n', '1', '--save', saved], typed);
  assert.deepEqual(said(saved), ['one \ntwo', 'three\n\n four', 'five', '/slash', 'six\nseven']);
});

test('commands', withNative, async (t) => {
  const saved = path.join(temporaryFolder(t), 'commands.json');
  const typed = [dog, '/retry', `/edit ${cat}`, '/set temperature 0', '/retry', '/retry', '/undo', dog];
  const list = await answers(['-n', '12', '--save', saved, '--system', 'Be kind.'], typed);
  assert.equal(list.length, 6);
  assert.notDeepEqual(list[0].tokens, list[1].tokens); // another draw
  assert.deepEqual(list[0].prompt_tokens, list[1].prompt_tokens);
  assert.notDeepEqual(list[2].prompt_tokens, list[1].prompt_tokens);
  assert.deepEqual(list[3].tokens, list[4].tokens); // at temperature 0
  assert.deepEqual(list[5].prompt_tokens, list[0].prompt_tokens); // after the undo
  assert.deepEqual(messagesOf(saved), [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: dog },
    { role: 'assistant', content: list[5].text },
  ]);

  const talk = [
    '/help',
    '/system',
    '/system Be brief.',
    '/system',
    '/system ""',
    '/system',
    '/set',
    '/set top_k 3',
    '/set',
  ];
  const more = [
    ...talk,
    dog,
    '/clear',
    '/undo',
    '/nope',
    '/set warmth 3',
    '/set temperature hot',
    '/edit',
    '/save',
    '/exit',
    cat,
  ];
  const [ours, theirs] = [await chat(['-n', '4'], more), await chat(['-n', '4'], more, native)];
  assert.equal(ours.stderr, theirs.stderr.replaceAll("; see 'sotto chat --help'", '')); // the same words, in the same order
  assert.deepEqual([ours.code, theirs.code], [1, 1]); // something could not be done
  assert.equal(ours.stdout.trimEnd().split('\n').length, 1); // nothing after /exit
});

test('conversations are saved and loaded, between the two commands too', withNative, async (t) => {
  const folder = temporaryFolder(t);
  const file = (name, content) => {
    const at = path.join(folder, name);
    if (content !== undefined) writeFileSync(at, content);
    return at;
  };
  const first = file('first.json');
  const [, second] = await answers(['--temperature', '0', '-n', '20', '--save', first], [dog, cat], native);
  const begun = file('begun.json', JSON.stringify(messagesOf(first).slice(0, 3))); // ends with a message, which is answered
  const [again] = await answers(['--temperature', '0', '-n', '20', '--load', begun], []);
  assert.deepEqual([again.prompt_tokens, again.text], [second.prompt_tokens, second.text]);
  const { stderr } = await chat(['-n', '1'], [`/load ${first}`, '/stats']);
  assert.match(stderr, /^\(4 turns were loaded\)\ncontext: 0 of 2048 tokens in use; 4 turns; \d+ threads, wasm/);

  for (const [content, pattern] of [
    ['[{"role":"user","content":"a"},{"role":"user","content":"b"}]', /message 2 has to be the assistant's/],
    ['[{"role":"user","content":7}]', /message 1 has no text/],
    ['[null]', /message 1 has no text/],
    ['{"a":1}', /no array of "messages"/],
    ['{', /this is no conversation/],
  ]) {
    const r = await chat(['-n', '1'], [`/load ${file('damaged.json', content)}`, '/retry']);
    assert.equal(r.code, 1);
    assert.match(r.stderr, pattern);
    assert.match(r.stderr, /nothing to answer again/); // the conversation is as it was
  }
});

test('when the context is full, the oldest turns are left out, and it is said', ready, async (t) => {
  const saved = path.join(temporaryFolder(t), 'long.json');
  const many = Array.from({ length: 8 }, (_, i) => `${dog} Number ${i}.`);
  const args = ['--json', '--ctx', '128', '-n', '16', '--system', 'Tell of the moon.', '--save', saved];
  const { code, stdout, stderr } = await chat(args, [...many, '/stats']);
  assert.equal(code, 0, stderr);
  const list = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(list.length, 8);
  for (const { prompt_tokens } of list) {
    assert.ok(prompt_tokens.length <= 128 - 16);
    assert.deepEqual(prompt_tokens.slice(0, 12), list[0].prompt_tokens.slice(0, 12)); // the system text stays
  }
  assert.match(stderr, /^\(the context of 128 tokens is full: the model no longer sees the \d oldest turns\)\n/);
  assert.match(stderr, /no longer sees the next \d oldest turns/);
  assert.match(stderr, /; 16 turns, of which the model no longer sees the first \d+;/);
  assert.equal(said(saved).length, 8); // all that was said is kept
  const long = await chat(['--ctx', '64', '-n', '4'], ['word '.repeat(100), dog]);
  assert.equal(long.code, 1);
  assert.match(long.stderr, /^sotto: \S+: \d+ tokens do not fit in a context of 64: /);
  assert.equal(long.stdout.trimEnd().split('\n').length, 1); // the next message is answered
});

test('an interrupt ends a chat through a pipe with 130', ready, async () => {
  const child = spawn(process.execPath, ['js/bin/sotto.js', 'chat', '--logit-bias', '1=-inf,5=-inf'], {
    cwd: root,
    env,
  });
  let stdout = '';
  child.stdout.on('data', (text) => {
    if (stdout === '') child.kill('SIGINT');
    stdout += text;
  });
  child.stdin.write(`${dog}\n`); // and it stays open
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 130);
  const waiting = spawn(process.execPath, ['js/bin/sotto.js', 'chat', '-p', dog, '-n', '2'], { cwd: root, env });
  waiting.stdout.once('data', () => setTimeout(() => waiting.kill('SIGTERM'), 100));
  assert.equal(await new Promise((resolve) => waiting.on('close', resolve)), 130);
});

// ---- on a terminal ----

const prompt = /\x1b\[0J> \x1b\[3G$/; // an empty line to be edited

test('messages are edited, completed and remembered', onTerminal, async (t) => {
  const state = temporaryFolder(t);
  const u = terminal(['chat', '-n', '20'], { XDG_STATE_HOME: state });
  await u.until(/teller-q8_0\.gguf: gemma3, 12\.5 M parameters, q8_0; context of 2048 tokens/);
  await u.until(prompt);
  await u.type('Tell me a story about a dägx', /dägx/);
  await u.type('\x7f\x7f\x7fog.', /og\./);
  await u.type('\r', prompt);
  await u.type('/st\t', /\/stats/);
  await u.type('\r', /context: \d+ of 2048 tokens in use; 2 turns/);
  await u.until(prompt);
  await u.type('\x1b[A', /> \/stats/); // up
  await u.type('\x1b[A', /> Tell me a story about a dog\./);
  await u.type('\x01\x1b[C\x1b[CX', /> TeXll me a story about a dog\./); // start of the line, right, right
  await u.type('\x03', /Ctrl-D or \/exit ends/);
  await u.until(prompt);
  await u.type('/edit\r', /> Tell me a story about a dog\./);
  await u.type('\x7f now', /now/);
  await u.type('\r', prompt);
  await u.type('\x04');
  assert.equal(await u.code, 0);
  const history = path.join(state, 'sotto/chat_history');
  const kept = 'Tell me a story about a dog.\n/stats\n/edit\nTell me a story about a dog now\n';
  assert.equal(readFileSync(history, 'utf8'), kept);
  assert.equal(statSync(history).mode & 0o777, 0o600);
  assert.equal(statSync(path.dirname(history)).mode & 0o777, 0o700);

  const next = terminal(['chat', '-n', '5'], { XDG_STATE_HOME: state }); // another day
  await next.until(prompt);
  await next.type('\x1b[A', /> Tell me a story about a dog now/);
  await next.type('\x03', /Ctrl-D/);
  await next.until(prompt);
  await next.type('\x04');
  assert.equal(await next.code, 0);
});

test('Ctrl-C stops the answer, and the conversation goes on', onTerminal, async (t) => {
  const saved = path.join(temporaryFolder(t), 'stopped.json');
  const u = terminal(['chat', '--no-history', '--save', saved, '--logit-bias', '1=-inf,5=-inf']); // it would go on
  await u.until(prompt);
  await u.type(`${dog}\r`, /\r\n[A-Z][^]{20}/);
  await u.type('\x03', /\(stopped\)/);
  await u.until(prompt);
  const [, answer] = messagesOf(saved);
  assert.ok(answer.content.length > 20); // what was written stays
  await u.type('/set tokens 8\r', prompt);
  await u.type(`${cat}\r`, prompt);
  assert.equal(messagesOf(saved).length, 4);
  await u.type('/exit\r');
  assert.equal(await u.code, 0);
});

test('what is pasted at once is one message, and comes back so', onTerminal, async (t) => {
  const folder = temporaryFolder(t);
  const [saved, history] = [path.join(folder, 'pasted.json'), path.join(folder, 'history')];
  const u = terminal(['chat', '--history', history, '-n', '3', '--save', saved]);
  await u.until(prompt);
  await u.type('first line\rsecond line', /second line/);
  await u.type('\r', prompt);
  await u.type('one\\\r', /\. \x1b\[3G$/);
  await u.type('two\r', prompt);
  await u.type('\x1b[A', /one\r\n(\| )?two/);
  const shown = await u.type('\x1b[A', /(one|first line)\r\n/); // newer versions of Node go through the lines first
  if (shown.startsWith('one')) await u.type('\x1b[A', /first line\r\n/);
  await u.type('!\r', prompt);
  await u.type('\x04');
  assert.equal(await u.code, 0);
  assert.deepEqual(said(saved), ['first line\nsecond line', 'one\ntwo', 'first line\nsecond line!']);
  assert.equal(readFileSync(history, 'utf8'), 'first line\\nsecond line\none\\ntwo\nfirst line\\nsecond line!\n');
});
