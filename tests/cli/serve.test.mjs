// sotto serve: OpenAI's API by fetch, by raw sockets and by the openai package; the page; hostile requests; its end. The command is that with
// sanitizers where it was built.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { done, env, fails, model, noCommand, scratchFolder, sotto } from './command.mjs';

const tiny = 'models/ggml-tiny-q5_1.bin';
const jfk = 'tests/fixtures/audio/jfk.wav';
const command = fs.existsSync('build/asan/sotto') ? path.resolve('build/asan/sotto') : sotto;
const noTiny = noCommand || (fs.existsSync(tiny) ? false : `skip: ${tiny} is missing`);
const scratch = scratchFolder('serve');
const STORY = [{ role: 'user', content: 'Tell me a story about a dog and a ball.' }];

/** Starts a server on a free port; { url, port, log(), stop() }. */
async function start(args = [], more = {}) {
  const child = spawn(more.command ?? command, ['serve', '--port', '0', ...args], { env: { ...env, ...more.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, log, out })));
  const port = await new Promise((resolve, reject) => {
    child.stderr.on('data', (text) => {
      log += text;
      const found = /serving at http:\/\/\S+:(\d+)\//.exec(log);
      if (found) resolve(Number(found[1]));
    });
    ended.then(({ log }) => reject(new Error(log)));
  });
  const stop = (signal = 'SIGTERM') => (child.kill(signal), ended);
  return { url: `http://127.0.0.1:${port}`, port, log: () => log, stop, child };
}

let server;
let fast; // without sanitizers, for transcripts
const page = path.join(scratch, 'page');
before(async () => {
  if (noCommand) return;
  fs.mkdirSync(path.join(page, 'assets'), { recursive: true });
  fs.mkdirSync(path.join(page, '.git'));
  fs.writeFileSync(path.join(scratch, 'secret.txt'), 'secret');
  fs.writeFileSync(path.join(page, '.git/config'), 'secret');
  fs.writeFileSync(path.join(page, 'index.html'), '<!doctype html><title>page</title>');
  fs.writeFileSync(path.join(page, 'assets/a b-0123abcd.js'), 'export default 42;\n'.repeat(20000));
  fs.symlinkSync(path.join(scratch, 'secret.txt'), path.join(page, 'link.txt'));
  const models = ['-m', model, ...(noTiny ? [] : ['-m', `whisper=${tiny}`])];
  server = await start([...models, '--page', page, '--cors', 'https://app.example', '--ctx', '512', '--queue', '2']);
  fast = await start(models, { command: sotto });
});
after(async () => {
  for (const one of [server, fast].filter(Boolean)) {
    const { code, log, out } = await one.stop();
    assert.equal(code, 0, log);
    assert.equal(out, '', 'nothing is on standard output');
    assert.doesNotMatch(log, /Sanitizer|runtime error/);
  }
});

const ask = (body, { at = '/v1/chat/completions', ...options } = {}) =>
  fetch(server.url + at, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...options });

async function answer(body, options) {
  const response = await ask(body, options);
  const json = await response.json();
  assert.equal(response.status, 200, JSON.stringify(json));
  return json;
}

/** An error object with this status; gives it. */
async function refused(status, promise, pattern) {
  const response = await promise;
  const { error } = await response.json();
  assert.equal(response.status, status, error?.message);
  assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
  assert.equal(error.type, status >= 500 ? 'server_error' : 'invalid_request_error');
  if (pattern) assert.match(error.message, pattern);
  return error;
}

/** Events of a stream; checks that it ends with [DONE]. */
async function events(response) {
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const data = (await response.text()).split('\n\n').filter(Boolean);
  assert.ok(data.every((event) => event.startsWith('data: ')));
  assert.equal(data.pop(), 'data: [DONE]');
  return data.map((event) => JSON.parse(event.slice(6)));
}

/** Sends raw bytes; what comes until the connection ends. */
const raw = (bytes, { port = server.port, halfOpen = false, ms = 20_000 } = {}) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let got = '';
    const timer = setTimeout(() => (socket.destroy(), reject(new Error(`no end, got ${JSON.stringify(got)}`))), ms);
    socket.on('data', (text) => (got += text.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => (clearTimeout(timer), resolve(got)));
    socket.on('end', () => socket.end());
    socket.write(bytes);
    if (halfOpen) socket.end();
  });

const status = (text) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);

/** Waits until nothing is in work, which is soon where those who asked have left. */
async function idle(by = server) {
  for (let i = 0; ; i++) {
    const { working, waiting } = await (await fetch(`${by.url}/health`)).json();
    if (working + waiting === 0) return;
    assert.ok(i < 100, 'the work of those who left goes on');
    await wait(50);
  }
}

/** A server of its own for what would disturb the others. */
async function own(t, args, more) {
  const s = await start(args, more);
  t.after(() => s.stop());
  return s;
}

// ---- texts ----

test('health and models', { skip: noCommand }, async () => {
  assert.equal((await (await fetch(`${server.url}/health`)).json()).status, 'ok');
  const { object, data } = await (await fetch(`${server.url}/v1/models`)).json();
  assert.equal(object, 'list');
  assert.deepEqual(data.map(({ id }) => id), noTiny ? ['teller-q8_0'] : ['teller-q8_0', 'whisper']);
  assert.deepEqual(Object.keys(data[0]), ['id', 'object', 'created', 'owned_by']);
  assert.deepEqual(await (await fetch(`${server.url}/v1/models/teller-q8_0`)).json(), data[0]);
  await refused(404, fetch(`${server.url}/v1/models/other`));
  await refused(404, fetch(`${server.url}/v1/embeddings`, { method: 'POST' }));
  await refused(405, fetch(`${server.url}/v1/chat/completions`), /POST/);
});

test('a chat: whole and streamed are the same text; usage; the beginning is not read again', { skip: noCommand }, async () => {
  const body = { model: 'teller-q8_0', messages: STORY, temperature: 0, max_tokens: 30 };
  const whole = await answer(body);
  assert.equal(whole.object, 'chat.completion');
  assert.match(whole.id, /^chatcmpl-/);
  const [choice] = whole.choices;
  assert.deepEqual([choice.index, choice.finish_reason, choice.message.role, choice.logprobs], [0, 'length', 'assistant', null]);
  assert.ok(choice.message.content.length > 40);
  assert.equal(whole.usage.completion_tokens, 30);
  assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + 30);

  const chunks = await events(await ask({ ...body, max_tokens: undefined, max_completion_tokens: 30, stream: true, stream_options: { include_usage: true } }));
  assert.ok(chunks.every(({ id, object }) => id === chunks[0].id && object === 'chat.completion.chunk'));
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  const last = chunks.pop();
  assert.deepEqual([last.choices, last.usage.completion_tokens], [[], 30]);
  assert.equal(last.usage.prompt_tokens_details.cached_tokens, last.usage.prompt_tokens - 1, 'only the last token of the prompt is read again');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'length');
  assert.deepEqual(chunks.at(-1).choices[0].delta, {});
  assert.ok(chunks.length > 10);
  assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? '').join(''), choice.message.content);

  const more = [...STORY, choice.message, { role: 'user', content: [{ type: 'text', text: 'And ' }, { type: 'text', text: 'then?' }] }];
  const next = await answer({ ...body, messages: more });
  assert.ok(next.usage.prompt_tokens_details.cached_tokens > whole.usage.prompt_tokens, JSON.stringify(next.usage));
});

test('stop strings, seeds, biases, log-probabilities', { skip: noCommand }, async () => {
  const body = { messages: STORY, temperature: 0, max_tokens: 12 };
  const plain = (await answer(body)).choices[0].message.content;
  const [first, second] = plain.split(' ');
  const stopped = (await answer({ ...body, stop: [second, 'never there'] })).choices[0];
  assert.deepEqual([stopped.message.content.trim(), stopped.finish_reason], [first, 'stop']);

  const scored = (await answer({ ...body, logprobs: true, top_logprobs: 3 })).choices[0];
  assert.equal(scored.message.content, plain);
  assert.equal(scored.logprobs.content.length, 12);
  for (const { token, bytes, logprob, top_logprobs } of scored.logprobs.content) {
    assert.equal(Buffer.from(bytes).toString(), token);
    assert.ok(logprob <= 0 && top_logprobs.length === 3 && top_logprobs[0].logprob === logprob);
  }
  const streamed = await events(await ask({ ...body, logprobs: true, stream: true }));
  assert.deepEqual(streamed.flatMap(({ choices }) => choices[0].logprobs?.content ?? []).map(({ logprob }) => logprob), scored.logprobs.content.map(({ logprob }) => logprob));

  const whole = await answer({ prompt: 'Once upon a time', temperature: 0, logprobs: 2, max_tokens: 4 }, { at: '/v1/completions' });
  assert.equal(whole.object, 'text_completion');
  const { text, logprobs } = whole.choices[0];
  assert.equal(logprobs.tokens.join(''), text);
  assert.deepEqual(logprobs.text_offset, logprobs.tokens.map((_, i) => logprobs.tokens.slice(0, i).join('').length));
  assert.equal((await events(await ask({ prompt: 'Once upon a time', temperature: 0, max_tokens: 4, stream: true }, { at: '/v1/completions' }))).map(({ choices }) => choices[0].text).join(''), text);

  const drawn = async (seed) => (await answer({ messages: STORY, seed, max_tokens: 25 })).choices[0].message.content;
  assert.equal(await drawn(7), await drawn(7));
  assert.notEqual(await drawn(7), await drawn(8));
  const next = async (more) => (await answer({ prompt: 'Once upon a', temperature: 0, max_tokens: 1, ...more }, { at: '/v1/completions' })).choices[0].text;
  const time = JSON.parse(done(['tokenize', '-m', model, '-p', 'Once upon a time'])).at(-1);
  assert.equal(await next({}), ' time');
  assert.notEqual(await next({ logit_bias: { [time]: -100 } }), ' time');
});

test('what is wrong with a request is said, with its field', { skip: noCommand }, async () => {
  const wrong = async (more, param, pattern) => {
    const error = await refused(400, ask({ messages: STORY, max_tokens: 1, ...more }), pattern);
    assert.equal(error.param, param);
    return error;
  };
  await wrong({ messages: 'hello' }, 'messages');
  await wrong({ messages: [] }, 'messages');
  await wrong({ messages: [{ role: 'tool', content: 'x' }] }, 'messages');
  await wrong({ messages: [{ role: 'assistant', content: 'x' }] }, 'messages');
  await wrong({ messages: [...STORY, { role: 'assistant', content: 'x' }] }, 'messages');
  const many = Array(100_000).fill({ role: 'user', content: 'a' });
  const begin_ms = performance.now();
  await wrong({ messages: many }, 'messages', /context takes 512/);
  assert.ok(performance.now() - begin_ms < 10_000, 'many messages take the time of few');
  const joined = async (messages) => (await answer({ messages, max_tokens: 1 })).usage.prompt_tokens;
  const parts = ['A dog.', 'A ball.'].map((content) => ({ role: 'user', content }));
  assert.equal(await joined(parts), await joined([{ role: 'user', content: 'A dog.\n\nA ball.' }]));
  assert.equal(await joined([{ role: 'user', content: '' }, ...parts]), await joined([{ role: 'user', content: '\n\nA dog.\n\nA ball.' }]));
  await wrong({ messages: [...STORY, { role: 'system', content: 'x' }] }, 'messages', /comes first/);
  await wrong({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }, 'messages');
  await wrong({ temperature: 3 }, 'temperature', /from 0 to 2/);
  await wrong({ temperature: '1' }, 'temperature');
  await wrong({ top_p: -1 }, 'top_p');
  await wrong({ n: 2 }, 'n');
  await wrong({ max_tokens: 0 }, 'max_tokens');
  await wrong({ stream: 'yes' }, 'stream');
  await wrong({ stream_options: {} }, 'stream_options');
  await wrong({ top_logprobs: 2 }, 'top_logprobs');
  await wrong({ top_logprobs: 21, logprobs: true }, 'top_logprobs');
  await wrong({ stop: [''] }, 'stop');
  await wrong({ stop: Array(65).fill('a') }, 'stop');
  await wrong({ stop: { a: 1 } }, 'stop');
  await wrong({ logit_bias: { 'not an id': 1 } }, 'logit_bias');
  await wrong({ logit_bias: { 99999999999999: 1 } }, 'logit_bias');
  await wrong({ logit_bias: { 5: 101 } }, 'logit_bias');
  await wrong({ tools: [{ type: 'function' }] }, 'tools');
  await wrong({ response_format: { type: 'json_object' } }, 'response_format');
  const long = await wrong({ messages: [{ role: 'user', content: 'dog '.repeat(600) }] }, 'messages', /context takes 512/);
  assert.equal(long.code, 'context_length_exceeded');
  const unknown = await refused(404, ask({ model: 'gpt-5', messages: STORY }), /'teller-q8_0'/);
  assert.equal(unknown.code, 'model_not_found');
  if (!noTiny) await refused(400, ask({ model: 'whisper', messages: STORY }), /Whisper model/);
  await refused(400, fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"messages": [' }), /JSON/);
  await refused(400, ask([1]), /JSON object/);
  await refused(415, fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' }));
  for (const prompt of [[1e9], [-1], [], ['a', 'b'], 7, null]) await refused(400, ask({ prompt }, { at: '/v1/completions' }));
});

test('a client that leaves ends its text; others wait their turn, and more than may wait are refused', { skip: noCommand }, async () => {
  const body = { messages: STORY, stream: true, logit_bias: {}, ignored: true };
  const controllers = [0, 1, 2].map(() => new AbortController());
  const first = await ask(body, { signal: controllers[0].signal });
  const reader = first.body.getReader();
  await reader.read();
  const waiting = controllers.slice(1).map(({ signal }) => ask({ ...body, max_tokens: 400, min_p: 0 }, { signal }).catch((e) => e.name));
  await wait(100);
  controllers[0].abort();
  for (const controller of controllers.slice(1)) controller.abort();
  await Promise.all(waiting);
  await idle();
  const many = await Promise.all(Array.from({ length: 8 }, () => ask({ messages: STORY, max_tokens: 40 })));
  const codes = many.map(({ status }) => status).sort();
  assert.deepEqual([...new Set(codes)], [200, 503], String(codes));
  assert.ok(codes.filter((code) => code === 200).length >= 3);
  const full = many.find(({ status }) => status === 503);
  assert.ok(Number(full.headers.get('retry-after')) > 0);
  assert.equal((await full.json()).error.code, 'queue_full');
  await Promise.all(many.filter(({ bodyUsed }) => !bodyUsed).map((r) => r.text()));
});

// ---- speech ----

function form(fields, file = fs.readFileSync(jfk)) {
  const data = new FormData();
  data.append('file', new Blob([file]), 'jfk.wav');
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
}
const transcribe = (fields, { at = 'transcriptions', file, by = fast } = {}) => fetch(`${by.url}/v1/audio/${at}`, { method: 'POST', body: form(fields, file) });
const WORDS = /ask not.*what your country can do for you/is;

test('transcripts in every form, streamed, translated', { skip: noTiny }, async () => {
  const json = await (await transcribe({ model: 'whisper-1' })).json();
  assert.match(json.text, WORDS);
  assert.deepEqual(json.usage, { type: 'duration', seconds: 11 });
  const text = await transcribe({ model: 'whisper', response_format: 'text', language: 'english', temperature: '0' });
  assert.match(text.headers.get('content-type'), /^text\/plain/);
  assert.equal(await text.text(), `${json.text}\n`);
  const srt = await (await transcribe({ response_format: 'srt' })).text();
  assert.match(srt, /^1\n00:00:00,000 --> 00:00:\d\d,\d{3}\n.*\n\n2\n/);
  const vtt = await transcribe({ response_format: 'vtt' });
  assert.match(vtt.headers.get('content-type'), /^text\/vtt/);
  assert.match(await vtt.text(), /^WEBVTT\n\n00:00\.000 --> /);
  const verbose = await (await transcribe({ response_format: 'verbose_json', 'timestamp_granularities[]': 'segment', prompt: 'A speech.' })).json();
  assert.deepEqual([verbose.task, verbose.language, verbose.duration], ['transcribe', 'english', 11]);
  assert.match(verbose.text, WORDS);
  assert.deepEqual(verbose.segments.map(({ id }) => id), verbose.segments.map((_, i) => i));
  assert.ok(verbose.segments.every(({ start, end, tokens }) => start < end && tokens.length > 0));
  const streamed = (await (await transcribe({ stream: 'true' })).text()).split('\n\n').filter(Boolean).map((e) => JSON.parse(e.slice(6)));
  assert.equal(streamed.at(-1).type, 'transcript.text.done');
  assert.equal(streamed.filter(({ type }) => type === 'transcript.text.delta').map(({ delta }) => delta).join(''), streamed.at(-1).text);
  assert.equal((await (await transcribe({ response_format: 'verbose_json' }, { at: 'translations' })).json()).task, 'translate');
});

test('a transcript, and a client that leaves before it is whole', { skip: noTiny }, async () => {
  const short = fs.readFileSync(jfk).subarray(0, 44 + 32000 * 4);
  assert.match((await (await transcribe({ language: 'en' }, { by: server, file: short })).json()).text, /fellow Americans/);
  await assert.rejects(fetch(`${server.url}/v1/audio/transcriptions`, { method: 'POST', body: form({}), signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' });
  await idle();
});

test('wrong forms and files that are no audio', { skip: noTiny }, async () => {
  const wrong = async (fields, param, options) => assert.equal((await refused(400, transcribe(fields, { by: server, ...options }))).param, param);
  await wrong({}, 'file', { file: Buffer.from('Dear reader,') });
  await wrong({}, 'file', { file: Buffer.alloc(0) });
  await wrong({ response_format: 'pdf' }, 'response_format');
  await wrong({ language: 'xx' }, 'language');
  await wrong({ temperature: 'hot' }, 'temperature');
  await wrong({ 'timestamp_granularities[]': 'word' }, 'timestamp_granularities');
  await wrong({ stream: 'true', response_format: 'srt' }, 'stream');
  await refused(400, transcribe({ model: 'teller-q8_0' }, { by: server }), /language model/);
  await refused(415, fetch(`${server.url}/v1/audio/transcriptions`, { method: 'POST', headers: { 'content-type': 'audio/wav' }, body: 'x' }));
  const send = (body, type = 'multipart/form-data; boundary=XyZ') => refused(400, fetch(`${server.url}/v1/audio/transcriptions`, { method: 'POST', headers: { 'content-type': type }, body }));
  await send('--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF');
  await send('--XyZ\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n--XyZ--\r\n');
  await send('--XyZ\r\n\r\nnameless\r\n--XyZ--\r\n');
  await send('');
  await send('x', 'multipart/form-data');
  await send('x', `multipart/form-data; boundary=${'a'.repeat(71)}`);
});

// ---- the page ----

test('the page: headers, ranges, what has not changed, and nothing outside of its folder', { skip: noCommand }, async () => {
  const index = await fetch(`${server.url}/?x=1`);
  assert.equal(await index.text(), '<!doctype html><title>page</title>');
  assert.equal(index.headers.get('content-type'), 'text/html; charset=utf-8');
  assert.equal(index.headers.get('cross-origin-opener-policy'), 'same-origin');
  assert.equal(index.headers.get('cross-origin-embedder-policy'), 'require-corp');
  assert.equal(index.headers.get('x-content-type-options'), 'nosniff');
  assert.equal(index.headers.get('cache-control'), 'no-cache');
  const same = await fetch(`${server.url}/`, { headers: { 'if-none-match': index.headers.get('etag') } });
  assert.deepEqual([same.status, await same.text()], [304, '']);
  const script = await fetch(`${server.url}/assets/a%20b-0123abcd.js`);
  assert.match(script.headers.get('cache-control'), /immutable/);
  assert.equal(await script.text(), 'export default 42;\n'.repeat(20000));
  const range = async (value) => {
    const r = await fetch(`${server.url}/assets/a%20b-0123abcd.js`, { headers: { range: value } });
    return [r.status, r.headers.get('content-range'), await r.text()];
  };
  assert.deepEqual(await range('bytes=7-13'), [206, 'bytes 7-13/380000', 'default']);
  assert.deepEqual(await range('bytes=-4'), [206, 'bytes 379996-379999/380000', '42;\n']);
  assert.deepEqual(await range('bytes=379999-'), [206, 'bytes 379999-379999/380000', '\n']);
  assert.deepEqual(await range('bytes=380000-'), [416, 'bytes */380000', '']);
  for (const odd of ['bytes=a-b', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-', `bytes=${'9'.repeat(40)}-`]) assert.equal((await range(odd))[0], 200, odd);
  const head = await fetch(`${server.url}/`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '34', '']);
  assert.equal((await fetch(`${server.url}/`, { method: 'POST' })).status, 405);
  if (!noTiny) assert.equal((await fetch(`${server.url}/models/ggml-tiny-q5_1.bin`, { method: 'HEAD' })).headers.get('content-length'), String(fs.statSync(tiny).size));
  for (const at of ['/../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '/assets/../../secret.txt', '/assets/%2e%2e/%2e%2e/secret.txt', '/link.txt', '/.git/config', '//etc/passwd', '/%2fetc/passwd',
    '/..\\secret.txt', '/%5c..%5csecret.txt', '/index.html%00.js', '/%zz', '/%', '/assets', '/models/../serve', `/models/${encodeURIComponent('../assets/teller-q8_0.gguf')}`, `/${'a/'.repeat(600)}`]) {
    const got = await raw(`GET ${at} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.equal(status(got), 404, `${at}: ${got.slice(0, 200)}`);
    assert.doesNotMatch(got, /secret\b(?!\.)|root:/);
  }
});

// ---- who may ask ----

test('other hosts and other origins are refused; an allowed origin is told so', { skip: noCommand }, async () => {
  const get = (headers, at = '/v1/models') =>
    new Promise((resolve) => http.get({ port: server.port, host: '127.0.0.1', path: at, headers }, (r) => (r.resume(), resolve(r))));
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '127.evil', '192.168.0.1', '[::2]', 'evil.example:8080'])
    for (const at of ['/v1/models', '/', '/health']) assert.equal((await get({ host }, at)).statusCode, 403, host);
  for (const host of ['localhost', `localhost:${server.port}`, '127.0.0.1', '[::1]:80', 'LOCALHOST', 'sotto.localhost']) assert.equal((await get({ host })).statusCode, 200, host);
  for (const origin of ['https://evil.example', 'null', `https://127.0.0.1:${server.port}`, 'http://app.example', '']) assert.equal((await get({ origin })).statusCode, 403, origin);
  assert.equal((await get({ origin: server.url })).statusCode, 200);
  const allowed = await get({ origin: 'https://app.example' });
  assert.deepEqual([allowed.statusCode, allowed.headers['access-control-allow-origin'], allowed.headers.vary], [200, 'https://app.example', 'Origin']);
  const preflight = (origin) => fetch(`${server.url}/v1/chat/completions`, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type,x-stainless-os' } });
  const yes = await preflight('https://app.example');
  assert.deepEqual([yes.status, yes.headers.get('access-control-allow-headers')], [204, 'authorization,content-type,x-stainless-os']);
  const no = await preflight('https://evil.example');
  assert.deepEqual([no.status, no.headers.get('access-control-allow-origin')], [403, null]);
});

test('several conversations are held side by side', { skip: noCommand }, async (t) => {
  const s = await own(t, ['-m', model, '-q', '--ctx', '256', '--conversations', '2']);
  const talk = async (messages) => {
    const body = JSON.stringify({ messages, temperature: 0, max_tokens: 8 });
    const { choices, usage } = await (await fetch(`${s.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).json();
    return { messages: [...messages, choices[0].message], cached: usage.prompt_tokens_details.cached_tokens, prompt: usage.prompt_tokens };
  };
  const more = { role: 'user', content: 'And then?' };
  const cat = [{ role: 'user', content: 'Why does a cat like to sleep in the warm sun all day long?' }];
  const [one, two] = [await talk(STORY), await talk(cat)];
  const [again, too] = [await talk([...one.messages, more]), await talk([...two.messages, more])];
  assert.ok(again.cached >= one.prompt, `${again.cached} of ${one.prompt}`);
  assert.ok(too.cached >= two.prompt, `${too.cached} of ${two.prompt}`);
  const third = await talk([{ role: 'user', content: 'Sing me a song about the rain and the sea.' }]);
  assert.ok(third.cached < third.prompt / 2);
  assert.ok((await talk([...too.messages, more])).cached >= too.prompt, 'the one used longest ago made room');
});

test('a key', { skip: noCommand }, async (t) => {
  const s = await own(t, ['-m', model, '-q'], { env: { SOTTO_API_KEY: 'right' } });
  const get = async (headers, at = '/v1/models') => (await fetch(s.url + at, { headers })).status;
  for (const authorization of ['Bearer wrong', 'Bearer righ', 'Bearer rightright', 'Bearer ', 'right', 'Basic right']) assert.equal(await get({ authorization }), 401, authorization);
  assert.equal(await get({}), 401);
  assert.equal(await get({}, '/health'), 200);
  assert.equal(await get({ authorization: 'Bearer right' }), 200);
  assert.equal(await get({ authorization: 'bearer right' }), 200);
});

// ---- hostile requests ----

test('requests that are wrong are refused, and the server goes on', { skip: noCommand }, async () => {
  const H = 'Host: localhost\r\n';
  const cases = [
    [400, 'nonsense\r\n\r\n'],
    [400, `GET\r\n${H}\r\n`],
    [400, `GET / HTTP/1.1 x\r\n${H}\r\n`],
    [400, `GET http://localhost/ HTTP/1.1\r\n${H}\r\n`],
    [505, `GET / HTTP/2.0\r\n${H}\r\n`],
    [400, 'GET / HTTP/1.1\r\n\r\n'],
    [400, `GET / HTTP/1.1\r\n${H}${H}\r\n`],
    [400, `GET / HTTP/1.1\r\n${H} folded: 1\r\n\r\n`],
    [400, `GET / HTTP/1.1\r\n${H}Name : 1\r\n\r\n`],
    [400, `GET / HTTP/1.1\r\n${H}Bare: 1\nLine: 2\r\n\r\n`],
    [400, `GET / HTTP/1.1\r\n${H}Nul: \0\r\n\r\n`],
    [400, `G\x80T / HTTP/1.1\r\n${H}\r\n`],
    [431, `GET / HTTP/1.1\r\n${H}${'A: b\r\n'.repeat(65)}\r\n`],
    [431, `GET / HTTP/1.1\r\n${H}Long: ${'x'.repeat(40000)}\r\n\r\n`],
    [431, 'x'.repeat(40000)],
    [400, `GET /${' '.repeat(10)} HTTP/1.1\r\n${H}\r\n`],
    [417, `GET / HTTP/1.1\r\n${H}Expect: tea\r\n\r\n`],
  ];
  const post = (fields, body) => `POST /v1/chat/completions HTTP/1.1\r\n${H}Content-Type: application/json\r\n${fields}\r\n${body}`;
  const chunked = (body) => post('Transfer-Encoding: chunked\r\n', body);
  cases.push(
    [400, post('Content-Length: -1\r\n', '')],
    [400, post('Content-Length: 1x\r\n', '{}')],
    [400, post('Content-Length: 2\r\nContent-Length: 2\r\n', '{}')],
    [400, post('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '{}')],
    [501, post('Transfer-Encoding: gzip, chunked\r\n', '')],
    [413, post('Content-Length: 99999999999\r\n', '')],
    [400, post('Content-Length: 9999999999999999999999\r\n', '')],
    [400, chunked('zz\r\n')],
    [400, chunked('2\r\n{}x')],
    [400, chunked('2\n{}\r\n')],
    [400, chunked('\r\n')],
    [400, chunked('FFFFFFFFF\r\n')],
    [400, chunked(`2;${'e'.repeat(300)}\r\n{}\r\n`)],
    [400, chunked(`2\r\n{}\r\n0\r\nT: ${'t'.repeat(5000)}\r\n\r\n`)],
    [413, chunked(`${(5 << 20).toString(16)}\r\n${' '.repeat(5 << 20)}\r\n0\r\n\r\n`)],
    [400, post(`Content-Length: 200000\r\nConnection: close\r\n`, '['.repeat(200000))],
    [400, post(`Content-Length: 600\r\nConnection: close\r\n`, `{"a":${'['.repeat(297)}${']'.repeat(297)}}`)],
  );
  for (const [code, bytes] of cases) {
    const got = await raw(bytes);
    assert.equal(status(got), code, `${JSON.stringify(bytes.slice(0, 120))}: ${got.slice(0, 300)}`);
    assert.match(got, /"message":"[^"]+/);
  }
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
});

test('requests in a row, in one piece and byte by byte, in chunks, after 100-continue, of HTTP/1.0', { skip: noCommand }, async () => {
  const get = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const last = get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  assert.equal((await raw(get + get + last)).match(/HTTP\/1\.1 200/g).length, 3);
  const body = JSON.stringify({ prompt: 'Once', max_tokens: 1, temperature: 0 });
  const head = 'POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n';
  const pieces = [...body].map((c) => `1;x=y\r\n${c}\r\n`).join('');
  const both = await raw(`${head}Transfer-Encoding: chunked\r\n\r\n${pieces}0\r\nTrailer: 1\r\n\r\n${last}`);
  assert.match(both, /text_completion[^]*HTTP\/1\.1 200 OK[^]*"status":"ok"/);
  const slowly = await new Promise((resolve) => {
    const socket = net.connect(server.port, '127.0.0.1');
    let got = '';
    socket.on('data', (text) => (got += text));
    socket.on('close', () => resolve(got));
    (async () => {
      for (const c of last) {
        socket.write(c);
        await new Promise(setImmediate);
      }
    })();
  });
  assert.equal(status(slowly), 200);
  const continued = await new Promise((resolve) => {
    const socket = net.connect(server.port, '127.0.0.1');
    let got = '';
    socket.on('data', (text) => {
      if (got === '') socket.write(body);
      got += text;
    });
    socket.on('close', () => resolve(got));
    socket.write(`${head}Content-Length: ${body.length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`);
  });
  assert.match(continued, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  const old = await raw('GET /health HTTP/1.0\r\n\r\n');
  assert.match(old, /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close[^]*\{"status":"ok"/);
  const half = await raw(get, { halfOpen: true });
  assert.equal(status(half), 200);
  const streamed = await raw(`${head.replace('1.1', '1.0')}Content-Length: ${body.length + 14}\r\n\r\n${body.slice(0, -1)},"stream":true}`);
  assert.match(streamed, /^HTTP\/1\.1 200[^]*\r\n\r\ndata: \{[^]*data: \[DONE\]\n\n$/);
  assert.doesNotMatch(streamed, /chunked/);
});

test('connections that say nothing keep nobody out', { skip: noCommand }, async () => {
  const silent = Array.from({ length: 100 }, () => net.connect(server.port, '127.0.0.1').on('error', () => {}));
  await wait(200);
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  for (const socket of silent) socket.destroy();
});

test('requests put together, changed and cut at random, in random pieces, by clients that leave: the server goes on', { skip: noCommand }, async (t) => {
  const s = await own(t, ['-m', model, '-q', '--ctx', '128', '--queue', '4', '--conversations', '2']);
  let state = Date.now() >>> 0;
  t.diagnostic(`seed ${state}`);
  const below = (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0, Math.floor((state / 2 ** 32) * n));
  const body = JSON.stringify({ messages: STORY, max_tokens: 20, stream: true });
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
  const seeds = [
    ...fs.readdirSync('tests/fuzz/seeds/http').map((name) => fs.readFileSync(`tests/fuzz/seeds/http/${name}`).subarray(1)),
    Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n${body}`),
    Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`),
    Buffer.from('GET /models/teller-q8_0.gguf HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  ];
  const visit = () =>
    new Promise((resolve) => {
      const socket = net.connect({ port: s.port, host: '127.0.0.1', allowHalfOpen: below(2) === 0 }).on('error', () => {}).resume();
      setTimeout(() => resolve(socket.destroy()), 20 + below(300));
      let bytes = Buffer.concat(Array.from({ length: 1 + below(4) }, () => seeds[below(seeds.length)]));
      if (below(3) === 0) for (let i = below(3); i >= 0; i--) bytes[below(bytes.length)] = below(256);
      if (below(5) === 0) bytes = bytes.subarray(0, below(bytes.length));
      for (let at = 0, n; at < bytes.length; at += n) socket.write(bytes.subarray(at, at + (n = 1 + below(below(2) ? 20 : 2000))));
      if (below(4) === 0) socket.end();
      if (below(4) === 0) socket.destroy();
    });
  const end = Date.now() + 4000;
  await Promise.all(Array.from({ length: 12 }, async () => {
    while (Date.now() < end) await visit();
  }));
  await idle(s);
  const { code, log } = await s.stop();
  assert.equal(code, 0, log);
  assert.doesNotMatch(log, /Sanitizer|runtime error/);
});

// ---- the openai package ----

const OpenAI = await import('openai').then((m) => m.default, () => undefined);

test('the openai package', { skip: noTiny || (OpenAI ? false : 'skip: the package openai is not installed') }, async () => {
  const client = new OpenAI({ baseURL: `${fast.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const options = { model: 'teller-q8_0', messages: STORY, temperature: 0, max_tokens: 20 };
  const whole = await client.chat.completions.create(options);
  const stream = await client.chat.completions.create({ ...options, stream: true });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
  assert.equal(text, whole.choices[0].message.content);
  const runner = client.chat.completions.stream(options);
  assert.equal(await runner.finalContent(), text);
  const heard = await client.audio.transcriptions.create({ model: 'whisper', file: fs.createReadStream(jfk), response_format: 'verbose_json', timestamp_granularities: ['segment'] });
  assert.match(heard.text, WORDS);
  assert.ok(heard.segments.length > 0);
  assert.equal((await client.models.list()).data.length, 2);
  await assert.rejects(client.chat.completions.create({ ...options, model: 'other' }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ ...options, n: 3 }), OpenAI.BadRequestError);
});

// ---- its beginning and end ----

test('wrong usage', { skip: noCommand }, () => {
  fails(2, ['serve', 'operand'], /unexpected argument 'operand'/);
  fails(2, ['serve', '--port', '65536'], /--port/);
  fails(2, ['serve', '--page', 'no-such-folder'], /is no folder/);
  fails(1, ['serve', '-m', './no-such-model.gguf', '--port', '0'], /no-such-model/);
  fails(1, ['serve', '--host', '203.0.113.7', '--port', '0', '-q'], /cannot listen on 203\.0\.113\.7/);
  fails(1, ['serve', '-q', '--port', String(server.port)], /choose another port/);
});

test('an interrupt: what is in work is finished, what waits is told, and the exit status is 0', { skip: noCommand }, async () => {
  const s = await start(['-m', model, '-q']);
  const headers = { 'content-type': 'application/json' };
  const send = (body) => fetch(`${s.url}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify({ messages: STORY, max_tokens: 60, ...body }) });
  const running = await send({ stream: true });
  const waiting = send({});
  await wait(100);
  const ended = s.stop('SIGINT');
  const [text, refused] = await Promise.all([running.text(), waiting]);
  assert.match(text, /data: \[DONE\]\n\n$/);
  assert.ok(refused.status === 503 || refused.status === 200, String(refused.status));
  const { code, log } = await ended;
  assert.equal(code, 0, log);
  await assert.rejects(fetch(`${s.url}/health`));
});
