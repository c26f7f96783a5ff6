// sotto/openai in Node: chats whole and streamed, one after the other, aborted; transcripts in every form; what is wrong with a request; and
// types that OpenAI's package takes for its own.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { BUILT, JFK, JFK_WORDS, MODEL, needs, root, runProgram, serve, temporaryFolder, words } from './support.mjs';
import { PROMPT, TELLER, vectors } from './teller.mjs';

const BUNDLE = 'js/dist/openai.node.js';
const ready = needs(TELLER, BUNDLE, ...BUILT);
const readyToHear = needs(MODEL, BUNDLE, ...BUILT);
const { OpenAI, default: byDefault } = existsSync(path.join(root, BUNDLE)) ? await import(path.join(root, BUNDLE)) : {};

const client = OpenAI && new OpenAI({ models: { teller: TELLER, tiny: MODEL }, contextWindow: 512, apiKey: 'none', dangerouslyAllowBrowser: true });
after(() => client?.close());
const asked = { model: 'teller', messages: [{ role: 'user', content: PROMPT }], temperature: 0, max_tokens: 15 };
const { completions } = client?.chat ?? {};

test('an answer, and the same in chunks', ready, async () => {
  assert.equal(byDefault, OpenAI);
  const whole = await completions.create(asked);
  const [choice] = whole.choices;
  assert.equal(whole.object, 'chat.completion');
  assert.ok(vectors[0].text.startsWith(choice.message.content) && choice.message.content.length > 20);
  assert.deepEqual([choice.message.role, choice.finish_reason, choice.logprobs], ['assistant', 'length', null]);
  assert.deepEqual(whole.usage, { prompt_tokens: vectors[0].prompt_ids.length, completion_tokens: 15, total_tokens: vectors[0].prompt_ids.length + 15, prompt_tokens_details: { cached_tokens: 0 } });
  const stream = await completions.create({ ...asked, max_tokens: null, max_completion_tokens: 15, stream: true, stream_options: { include_usage: true } });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.prompt_tokens_details.cached_tokens, vectors[0].prompt_ids.length - 1);
  assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '' });
  assert.deepEqual([chunks.at(-1).choices[0].delta, chunks.at(-1).choices[0].finish_reason], [{}, 'length']);
  assert.ok(chunks.length >= 3, String(chunks.length)); // short texts may come in one piece
  assert.equal(chunks.map(({ choices }) => choices[0].delta.content ?? '').join(''), choice.message.content);
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
});

test('conversations do not mix; those asked at once come one after the other', ready, async () => {
  const talk = (messages) => completions.create({ ...asked, messages });
  const parts = [{ type: 'text', text: PROMPT.slice(0, 5) }, { type: 'text', text: PROMPT.slice(5) }];
  const [one, two, three] = await Promise.all([talk(asked.messages), talk([{ role: 'developer', content: 'Rhyme.' }, ...asked.messages]), talk([{ role: 'user', content: parts }])]);
  assert.equal(one.choices[0].message.content, three.choices[0].message.content);
  assert.notEqual(one.usage.prompt_tokens, two.usage.prompt_tokens);
  const next = await talk([...asked.messages, one.choices[0].message, { role: 'user', content: 'And then?' }]);
  assert.ok(next.usage.prompt_tokens > one.usage.total_tokens - 2);
});

test('stop strings, seeds, biases, log-probabilities', ready, async () => {
  const plain = (await completions.create(asked)).choices[0].message.content;
  const stopped = await completions.create({ ...asked, stop: plain.split(' ')[1] });
  assert.deepEqual([stopped.choices[0].message.content.trim(), stopped.choices[0].finish_reason], [plain.split(' ')[0], 'stop']);
  const { content } = (await completions.create({ ...asked, logprobs: true, top_logprobs: 2 })).choices[0].logprobs;
  assert.equal(content.length, 15);
  for (const { token, bytes, logprob, top_logprobs } of content) {
    assert.equal(Buffer.from(bytes).toString(), token);
    assert.ok(logprob <= 0 && top_logprobs.length === 2 && Math.abs(top_logprobs[0].logprob - logprob) < 1e-6);
  }
  const drawn = async (seed) => (await completions.create({ ...asked, temperature: 1, seed })).choices[0].message.content;
  assert.equal(await drawn(-5), await drawn(-5));
  assert.notEqual(await drawn(5), await drawn(6));
  const [never] = vectors[0].greedy;
  assert.notEqual((await completions.create({ ...asked, logit_bias: { [never]: -100 } })).choices[0].message.content, plain);
});

test('leaving the loop, the controller and a signal end an answer; the next one comes', ready, async () => {
  const endless = { ...asked, stream: true, max_tokens: 400, logit_bias: { 1: -100, 106: -100 } };
  const left = await completions.create(endless);
  for await (const chunk of left) if (chunk.choices[0].delta.content) break;
  assert.ok(left.controller.signal.aborted);
  const stream = await completions.create(endless);
  let n = 0;
  for await (const _ of stream) if (++n === 3) stream.controller.abort();
  assert.ok(n < 50, String(n));
  const signal = AbortSignal.timeout(20); // long before 400 tokens
  await assert.rejects(completions.create({ ...endless, stream: false }, { signal }), OpenAI.APIUserAbortError);
  await assert.rejects(completions.create(asked, { signal }), OpenAI.APIUserAbortError);
  await wait(0);
  assert.equal((await completions.create({ ...asked, max_tokens: 1 })).usage.completion_tokens, 1);
});

test('what is wrong with a request is said, with its field', ready, async () => {
  const wrong = (more, param) => assert.rejects(completions.create({ ...asked, ...more }), (e) => e instanceof OpenAI.BadRequestError && e instanceof OpenAI.APIError && e.status === 400 && e.param === param && e.type === 'invalid_request_error');
  await wrong({ messages: 'hello' }, 'messages');
  await wrong({ messages: [] }, 'messages');
  await wrong({ messages: [{ role: 'tool', content: 'x' }] }, 'messages');
  await wrong({ messages: [{ role: 'toString', content: 'x' }] }, 'messages');
  await wrong({ messages: [{ role: 'system', content: 'x' }] }, 'messages');
  await wrong({ messages: [...asked.messages, { role: 'assistant', content: 'x' }] }, 'messages');
  await wrong({ messages: [...asked.messages, { role: 'system', content: 'x' }, ...asked.messages] }, 'messages');
  await wrong({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages');
  await wrong({ messages: [{ role: 'user', content: 'dog '.repeat(600) }] }, 'messages');
  await wrong({ temperature: 3 }, 'temperature');
  await wrong({ top_p: -1 }, 'top_p');
  await wrong({ n: 2 }, 'n');
  await wrong({ max_tokens: 0 }, 'max_tokens');
  await wrong({ stream: 'yes' }, 'stream');
  await wrong({ stream_options: {} }, 'stream_options');
  await wrong({ top_logprobs: 2 }, 'top_logprobs');
  await wrong({ stop: [''] }, 'stop');
  await wrong({ logit_bias: { x: 1 } }, 'logit_bias');
  await wrong({ tools: [{}] }, 'tools');
  await wrong({ response_format: { type: 'json_object' } }, 'response_format');
  await wrong({ model: 'tiny-q5_1' }, 'model');
  await assert.rejects(completions.create({ ...asked, model: 'gpt-5' }), OpenAI.NotFoundError);
  await assert.rejects(completions.create({ ...asked, model: 'constructor' }), OpenAI.NotFoundError);
  const nowhere = new OpenAI({ models: { gone: 'no-such-file.gguf' } });
  await assert.rejects(nowhere.chat.completions.create({ ...asked, model: 'gone' }), OpenAI.APIError);
  await nowhere.close();
});

test('models', ready, async () => {
  const { object, data } = await client.models.list();
  assert.equal(object, 'list');
  assert.deepEqual(data.slice(0, 2).map(({ id }) => id), ['teller', 'tiny']);
  const ids = [];
  for await (const { id } of client.models.list()) ids.push(id);
  assert.deepEqual(ids, data.map(({ id }) => id));
  assert.ok(ids.includes('tiny-q5_1'));
});

test('models of a site’s manifest are names, too', ready, async (t) => {
  const bytes = readFileSync(TELLER);
  let down = true;
  const base = await serve(t, (request, response, name) => {
    if (down) return response.writeHead(503).end();
    response.end(name === '/models.json' ? JSON.stringify({ default_language: 'mine', models: [{ id: 'mine', kind: 'gemma3', file: 'x.gguf', size_bytes: bytes.length }] }) : bytes);
  });
  const own = new OpenAI({ manifest: `${base}/models.json`, contextWindow: 512, cache: false });
  t.after(() => own.close());
  await assert.rejects(own.models.list(), OpenAI.APIError);
  down = false;
  assert.equal((await own.models.list()).data[0].id, 'mine');
  for (const model of ['mine', 'default']) {
    const { choices } = await own.chat.completions.create({ ...asked, model, max_tokens: 4 });
    assert.ok(vectors[0].text.startsWith(choices[0].message.content));
  }
  await assert.rejects(own.chat.completions.create({ ...asked, model: 'yours' }), OpenAI.NotFoundError);
});

test('transcripts in every form', readyToHear, async () => {
  const { transcriptions, translations } = client.audio;
  const file = new File([readFileSync(JFK)], 'jfk.wav');
  const hear = (more) => transcriptions.create({ model: 'tiny', file, ...more });
  const { text } = await hear();
  assert.deepEqual(words(text), JFK_WORDS);
  assert.equal(await hear({ response_format: 'text', language: 'EN', temperature: 0 }), `${text}\n`);
  assert.match(await hear({ response_format: 'srt', file: new Response(file) }), /^1\n00:00:00,000 --> /);
  assert.match(await hear({ response_format: 'vtt', prompt: 'A speech.' }), /^WEBVTT\n\n00:00\.000 --> /);
  const verbose = await hear({ response_format: 'verbose_json', timestamp_granularities: ['segment'] });
  assert.deepEqual([verbose.task, verbose.language, Math.round(verbose.duration)], ['transcribe', 'english', 11]);
  assert.ok(verbose.segments.length > 0 && verbose.segments.every(({ seek, tokens }, i) => seek === 0 && tokens.length > 0 && verbose.segments[i].id === i));
  assert.equal((await translations.create({ model: 'tiny', file, response_format: 'verbose_json' })).task, 'translate');
  const wrong = (more, param) => assert.rejects(hear(more), (e) => e instanceof OpenAI.BadRequestError && e.param === param);
  await wrong({ file: undefined }, 'file');
  await wrong({ response_format: 'pdf' }, 'response_format');
  await wrong({ timestamp_granularities: ['word'] }, 'timestamp_granularities');
  await wrong({ temperature: 2 }, 'temperature');
  await wrong({ stream: true }, 'stream');
  await wrong({ model: 'gemma-3-270m-q4_0' }, 'model');
  await assert.rejects(hear({ file: new File(['no sound in here'], 'a.wav') }), OpenAI.BadRequestError);
  await assert.rejects(hear({ language: 'xx' }), OpenAI.BadRequestError);
});

// ---- types ----

const caller = `
import Theirs from 'openai';
import OpenAI, { type ChatCompletionChunk, type Stream } from 'sotto/openai';
const client = new OpenAI({ models: { 'gpt-4o-mini': 'default' }, threads: 2, apiKey: 'x' });
const params: Theirs.Chat.ChatCompletionCreateParamsNonStreaming = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] };
const whole: Theirs.Chat.ChatCompletion = await client.chat.completions.create(params);
const streaming: Theirs.Chat.ChatCompletionCreateParamsStreaming = { ...params, stream: true };
const stream: Stream<ChatCompletionChunk> = await client.chat.completions.create(streaming, { signal: AbortSignal.timeout(1) });
for await (const chunk of stream) {
  const theirs: Theirs.Chat.ChatCompletionChunk = chunk;
  console.log(theirs.choices[0]?.delta.content, whole.choices[0]?.message.content);
}
stream.controller.abort();
const file = new File([], 'a.wav');
const heard: Theirs.Audio.Transcription = await client.audio.transcriptions.create({ file, model: 'whisper-1' });
const verbose: Theirs.Audio.TranscriptionVerbose = { ...(await client.audio.transcriptions.create({ file, model: 'whisper-1', response_format: 'verbose_json' })), duration: 1 };
const cues: string = await client.audio.transcriptions.create({ file, model: 'whisper-1', response_format: 'srt', language: 'en' });
for await (const model of client.models.list()) {
  const theirs: Theirs.Model = model;
  console.log(theirs.id, heard.text, verbose.text, cues);
}
const same: Theirs.Chat.ChatCompletionCreateParams = params;
const either = await client.chat.completions.create(same);
console.log('choices' in either, new OpenAI.NotFoundError(404, '') instanceof OpenAI.APIError);
// @ts-expect-error no such format
await client.audio.transcriptions.create({ file, model: 'whisper-1', response_format: 'pdf' });
// @ts-expect-error messages are missing
await client.chat.completions.create({ model: 'x' });
`;

const ofTypes = needs('js/dist/types/openai.d.ts', 'node_modules/openai/package.json', 'node_modules/typescript/bin/tsc');
test("types: what comes can be taken for OpenAI's, and what theirs describe can be given", ofTypes, async (t) => {
  const folder = temporaryFolder(t);
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(path.join(folder, 'caller.ts'), caller);
  const compilerOptions = { strict: true, noEmit: true, target: 'es2022', lib: ['es2022', 'dom', 'dom.iterable', 'esnext.disposable'], types: [], module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['caller.ts'] }));
  const { code, stdout } = await runProgram(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]);
  assert.equal(code, 0, stdout);
});
