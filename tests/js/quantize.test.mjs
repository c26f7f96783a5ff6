// Quantization in the package and its command: the bytes are those of the native command, wherever they come from and go to,
// and however often the way there was cut.
import assert from 'node:assert/strict';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { done, fails, json, native, ready, run, TELLER, withNative } from './cli.mjs';
import { needs, root, serve, sotto, temporaryFolder } from './support.mjs';

const FOLDER = 'tests/fixtures/golden/gemma3-1b-shape';
const FILES = ['config.json', 'model.safetensors'];
const usable = { ...ready, ...needs(`${FOLDER}/model.safetensors`) };
const { quantize, estimateQuantization, quantizedModels, unfinishedQuantizations, LanguageModel } = sotto;

const blobs = (folder = FOLDER) =>
  FILES.map((name) => new File([readFileSync(path.join(folder, name))], name, { lastModified: 1 }));

/** What the package makes of the golden folder, whole in memory. */
const expected = new Map();
async function bytesOf(source, options) {
  const made = await quantize(source, { output: 'blob', ...options });
  return Buffer.from(await (await made.open()).arrayBuffer());
}
async function golden(type) {
  if (!expected.has(type)) expected.set(type, await bytesOf(FOLDER, { type, name: 'golden' }));
  return expected.get(type);
}

/** A store of its own for each test. */
function ownStore(t) {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = temporaryFolder(t);
  t.after(() => (before === undefined ? delete process.env.XDG_CACHE_HOME : (process.env.XDG_CACHE_HOME = before)));
  return path.join(process.env.XDG_CACHE_HOME, 'sotto/models');
}

/** A copy of the golden folder, changed. */
function changedFolder(t, change) {
  const folder = temporaryFolder(t);
  for (const name of FILES) {
    const bytes = Buffer.from(readFileSync(path.join(FOLDER, name)));
    writeFileSync(path.join(folder, name), change(name, bytes) ?? bytes);
  }
  return folder;
}

/** Serves a folder; `answer` may do what a server should not: it gets (request, response, { file, size, first, last }). */
function files(t, folder, answer = () => false) {
  return serve(t, (request, response, pathname) => {
    const file = path.join(folder, pathname);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    const { size } = statSync(file);
    const [, a, b] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const [first, last] = a === undefined ? [0, size - 1] : [Number(a), b === '' ? size - 1 : Number(b)];
    if (answer(request, response, { file, size, first, last })) return;
    const headers = { 'content-length': last - first + 1, etag: '"1"' };
    if (a === undefined) response.writeHead(200, headers);
    else response.writeHead(206, { ...headers, 'content-range': `bytes ${first}-${last}/${size}` });
    createReadStream(file, { start: first, end: last }).pipe(response);
  });
}

// ---- the command ----

for (const [type, ...more] of [['q4_0'], ['q8_0', '--tensor', '*attn*=q5_1', '--tensor', 'blk.1.*=f16'], ['q4_K_M'], ['q6_k', '--fast'], ['bf16']])
  test(`the command makes the bytes that the native one makes: ${type} ${more.join(' ')}`, { ...usable, ...withNative }, async (t) => {
    const out = temporaryFolder(t);
    const args = (name) => ['quantize', FOLDER, path.join(out, name), '--type', type, ...more, '--json'];
    const [ours, theirs] = [await json(args('ours')), await json(args('theirs'), undefined, native)];
    for (const told of [ours, theirs]) {
      assert.ok(told.seconds > 0);
      for (const key of ['seconds', 'file']) delete told[key];
    }
    assert.deepEqual(ours, theirs);
    assert.ok(readFileSync(path.join(out, 'ours')).equals(readFileSync(path.join(out, 'theirs'))));
    assert.deepEqual(readdirSync(out).sort(), ['ours', 'theirs']);
  });

test('the command says what is wrong, and leaves nothing behind', usable, async (t) => {
  const out = temporaryFolder(t);
  const to = path.join(out, 'x.gguf');
  await fails(2, ['quantize'], /no model was given/);
  await fails(2, ['quantize', FOLDER], /no output: name the file to write/);
  await fails(2, ['quantize', FOLDER, '-'], /cannot be standard output/);
  await fails(2, ['quantize', FOLDER, to, '--type', 'q3_X'], /unknown type 'q3_X'/);
  await fails(2, ['quantize', FOLDER, to, '--tensor', 'q4_0'], /needs PATTERN=TYPE/);
  await fails(2, ['quantize', TELLER, TELLER], /the output is the model itself/);
  await fails(1, ['quantize', 'tests/fixtures/audio', to], /There is no model among these files/);
  await fails(1, ['quantize', path.join(out, 'no.gguf'), to], /There is no file/);
  await fails(1, ['quantize', 'README.md', to], /x\.gguf: /);
  const { stdout } = await run(['quantize', '--help']);
  assert.match(stdout, /^Usage: sotto quantize IN OUT/);
  assert.deepEqual(readdirSync(out), []);
});

test('importances are those of the native command, and so is what comes of them', { ...usable, ...withNative, timeout: 60_000 }, async (t) => {
  const out = temporaryFolder(t);
  const ids = path.join(out, 'ids.json');
  const { vectors } = JSON.parse(readFileSync('tests/fixtures/teller/vectors.json', 'utf8'));
  writeFileSync(ids, JSON.stringify(vectors.slice(0, 2).map((v) => [...v.prompt_ids, ...v.greedy].slice(0, 60))));
  const of = async (name, program) => {
    const file = path.join(out, name);
    await done(['imatrix', '-m', TELLER, '--ids', ids, '-o', file], undefined, program);
    return readFileSync(file);
  };
  const [ours, theirs] = [await of('ours', run), await of('theirs', native)];
  assert.equal(ours.length, theirs.length);
  for (let at = 0; at < ours.length - 3; at += 4) {
    const [a, b] = [ours.readFloatLE(at), theirs.readFloatLE(at)];
    assert.ok(Object.is(a, b) || Math.abs(a - b) <= 0.1 * Math.abs(b), `${a} and ${b} at ${at}`);
  }
  const made = async (name, program) => {
    const file = path.join(out, name);
    await done(['quantize', TELLER, file, '--type', 'q4_K_M', '--imatrix', path.join(out, 'theirs')], undefined, program);
    return readFileSync(file);
  };
  const plain = await bytesOf(TELLER, { type: 'q4_K_M' });
  const weighed = await made('a', run);
  assert.ok(weighed.equals(await made('b', native)));
  assert.ok(!weighed.equals(plain));
  await fails(2, ['imatrix', '-m', TELLER, '-o', ids], /give a text with --file, or ids with --ids/);
  await fails(1, ['imatrix', '-m', TELLER, '-f', path.join(out, 'none'), '-o', path.join(out, 'x')], /none/);
  await assert.rejects(bytesOf(TELLER, { type: 'q4_K_M', imatrix: new Uint8Array([1, 2, 3]) }), sotto.SottoError);
});

// ---- from where it comes, to where it goes ----

test('files, handles, Blobs and addresses give the same bytes', { ...usable, timeout: 60_000 }, async (t) => {
  const url = await files(t, FOLDER);
  const handle = {
    ...{ kind: 'directory', name: 'golden' },
    async *values() {
      for (const file of blobs()) yield { kind: 'file', getFile: async () => file };
      yield { kind: 'directory', name: 'original' };
    },
  };
  const sources = {
    'a list of files': blobs(),
    'files by name': Object.fromEntries(blobs().map((file) => [file.name, file])),
    'a directory handle': handle,
    'an address of a folder': `${url}/`,
    'addresses of files': FILES.map((name) => `${url}/${name}`),
    'a path': path.join(root, FOLDER),
  };
  for (const [what, source] of Object.entries(sources)) {
    const bytes = await bytesOf(source, { type: 'q4_0', name: 'golden' });
    assert.ok(bytes.equals(await golden('q4_0')), what);
  }
});

/** Of the weights: the head's values are in another order when they come from a GGUF file. */
const tail = (bytes) => bytes.subarray(bytes.length >> 3);

test('a GGUF file that was made can be made again, smaller; threads change nothing', usable, async () => {
  const full = await golden('bf16');
  const whole = await bytesOf(new Blob([full]), { type: 'q5_0', threads: 1 });
  assert.ok(tail(whole).equals(tail(await golden('q5_0'))));
  assert.ok((await bytesOf(full, { type: 'q5_0', variant: 'simd-single' })).equals(whole));
});

test('streams get the bytes in order, and paths a whole file', usable, async (t) => {
  const out = temporaryFolder(t);
  const parts = [];
  let closed = false;
  const stream = new WritableStream({ write: (bytes) => void parts.push(bytes), close: () => void (closed = true) });
  const made = await quantize(FOLDER, { type: 'q4_0', name: 'golden', output: stream });
  assert.ok(closed && Buffer.concat(parts).equals(await golden('q4_0')));
  await assert.rejects(made.open(), /was written to a stream/);
  const file = path.join(out, 'x.gguf');
  const again = await quantize(FOLDER, { type: 'q4_0', name: 'golden', output: { path: file } });
  assert.equal(await again.open(), file);
  assert.ok(readFileSync(file).equals(await golden('q4_0')));
  assert.deepEqual(readdirSync(out), ['x.gguf']);
});

test('a stream that fails ends it with its error', usable, async () => {
  const stream = new WritableStream({ write: () => Promise.reject(new Error('the cable was cut')) });
  await assert.rejects(quantize(FOLDER, { type: 'q4_0', output: stream }).then(), /the cable was cut/);
});

test('an estimate tells sizes by type; types that a model cannot have are left out', usable, async () => {
  const { plans, freeBytes, memoryBytes } = await estimateQuantization(FOLDER);
  for (const type of ['q8_0', 'q4_0', 'f16']) {
    const { outBytes, architecture, sourceType } = plans.find((plan) => plan.type === type);
    assert.equal(outBytes, (await golden(type)).length);
    assert.deepEqual([architecture, sourceType], ['gemma3', 'bf16']);
  }
  assert.ok(freeBytes > 0 && memoryBytes > 0 && memoryBytes < 512 << 20);
  await assert.rejects(estimateQuantization(FOLDER, { types: ['q9'] }), /There is no type q9/);
});

// ---- over the network ----

test('connections that break everywhere are taken up; progress tells each tensor', { ...usable, timeout: 60_000 }, async (t) => {
  let broken = 0;
  const url = await files(t, FOLDER, (request, response, { file, size, first, last }) => {
    if (last === first || !file.endsWith('.safetensors') || request.method === 'HEAD') return false;
    const end = Math.min(last, first + 300_000 + 7 * broken++);
    response.writeHead(206, { etag: '"1"', 'content-length': last - first + 1, 'content-range': `bytes ${first}-${last}/${size}` });
    createReadStream(file, { start: first, end }).on('end', () => end < last && setTimeout(() => response.destroy(), 20)).pipe(response, { end: end === last });
    return true;
  });
  const seen = [];
  const bytes = await bytesOf(`${url}/`, { type: 'q4_0', name: 'golden', onProgress: (p) => seen.push(p) });
  assert.ok(bytes.equals(await golden('q4_0')));
  assert.ok(broken > 5, `${broken} answers`);
  const last = seen.at(-1);
  assert.deepEqual([last.phase, last.fraction, last.bytesRead, last.bytesWritten], ['converting', 1, last.sourceBytes, last.outBytes]);
  assert.match(last.tensor, /\w+\.\w+/);
  assert.deepEqual(last.device, { backend: 'cpu', threads: last.device.threads });
});

test('a server that gives no parts is read whole first, and it is said so', usable, async (t) => {
  ownStore(t);
  const whole = await files(t, FOLDER, (request, response, { file, size }) => {
    response.writeHead(200, { 'content-length': size });
    createReadStream(file).pipe(response);
    return true;
  });
  const phases = new Set();
  const onProgress = ({ phase, file }) => phases.add(phase === 'downloading' ? `${phase} ${file}` : phase);
  const bytes = await bytesOf(`${whole}/`, { type: 'q4_0', name: 'golden', onProgress });
  assert.ok(bytes.equals(await golden('q4_0')));
  assert.ok(phases.has('downloading model.safetensors'), [...phases].join());
});

test('a file that changes on its server ends it, and the error says so', usable, async (t) => {
  let answers = 0;
  const url = await files(t, FOLDER, (request, response, { file, size, first, last }) => {
    if (!file.endsWith('.safetensors') || last === first) return false;
    response.writeHead(206, { etag: `"${++answers}"`, 'content-length': last - first + 1, 'content-range': `bytes ${first}-${last}/${size}` });
    createReadStream(file, { start: first, end: last }).pipe(response);
    return true;
  });
  await assert.rejects(bytesOf(`${url}/`, { type: 'q4_0' }), /model\.safetensors changed while it was read/);
  await assert.rejects(bytesOf(`${url}/no/`, { type: 'q4_0' }), /There is no config.json in .*404/);
  await assert.rejects(bytesOf(`${url}/x.gguf`, { type: 'q4_0' }), /HTTP status 404/);
});

test('a model on huggingface.co is looked up by its list of files; what it says is told', usable, async (t) => {
  const real = globalThis.fetch;
  t.after(() => (globalThis.fetch = real));
  const asked = [];
  const answer = (make) => (globalThis.fetch = async (url) => (asked.push(String(url)), make()));
  const page = 'https://huggingface.co/some-one/a.model';
  answer(() => new Response('', { status: 401 }));
  await assert.rejects(bytesOf(page), /some-one\/a\.model could not be looked up .* accept its licence on https:\/\/huggingface\.co\/some-one\/a\.model, then give a token/);
  answer(() => new Response('', { status: 500 }));
  await assert.rejects(bytesOf(`${page}/tree/v2`), /HTTP status 500/);
  answer(() => new Response('{}'));
  await assert.rejects(bytesOf(page), /its answer is no list of files/);
  answer(() => Response.json([{ type: 'file', path: 'README.md' }, { type: 'file', path: 'a.png' }, { type: 'directory', path: 'model.safetensors' }, { path: 7 }]));
  await assert.rejects(bytesOf(page), /There is no model among these files/);
  assert.deepEqual(asked.slice(0, 2), [
    'https://huggingface.co/api/models/some-one/a.model/tree/main?recursive=true',
    'https://huggingface.co/api/models/some-one/a.model/tree/v2?recursive=true',
  ]);
});

// ---- what was cut is taken up again ----

/** Serves a GGUF file and holds back what lies behind `open.to`. */
async function slowly(t) {
  const open = { to: 4e6, held: [] };
  const url = await files(t, path.dirname(TELLER), (request, response, { file, size, first, last }) => {
    if (first < open.to || first === last) return false;
    open.held.push(() => {
      response.writeHead(206, { etag: '"1"', 'content-length': last - first + 1, 'content-range': `bytes ${first}-${last}/${size}` });
      createReadStream(file, { start: first, end: last }).pipe(response);
    });
    return true;
  });
  return { url: `${url}/${path.basename(TELLER)}`, open };
}

const untilTensor = (job, n) =>
  new Promise((resolve, reject) => {
    const end = (settle) => (value) => {
      clearInterval(look);
      settle(value);
    };
    const look = setInterval(() => (job.progress?.index ?? 0) >= n && end(resolve)(), 10);
    job.then(() => end(reject)(new Error('it was done too soon')), end(reject));
  });

test('what is cancelled is kept, or is not, as asked; what is kept is checked and taken over', { ...usable, timeout: 60_000 }, async (t) => {
  const folder = ownStore(t);
  const { url, open } = await slowly(t);
  const options = { type: 'q4_0', keepAs: 'Teller, small' };
  const begin = async (cancel) => {
    const job = quantize(url, options);
    await untilTensor(job, 20);
    cancel(job);
    await assert.rejects(job.then(), { name: 'AbortError' });
  };
  await begin((job) => job.cancel({ keep: false }));
  assert.deepEqual(readdirSync(folder), []);
  assert.deepEqual(await unfinishedQuantizations(), []);

  await begin((job) => job.cancel());
  const [entry, ...others] = await unfinishedQuantizations();
  assert.deepEqual([others.length, entry.name, entry.urls], [0, 'Teller, small', [url]]);
  assert.ok(entry.done >= 20 && entry.done < entry.nTensors, `${entry.done} of ${entry.nTensors}`);
  assert.deepEqual(await quantizedModels(), []);

  // One byte of a tensor that is done goes bad: it is made again, the others are not.
  const inside = path.join(folder, 'Teller, small');
  const data = path.join(inside, readdirSync(inside).find((name) => name.startsWith('data-')));
  const bytes = readFileSync(data);
  const at = bytes.findLastIndex((byte) => byte !== 0) - 20_000;
  bytes[at] ^= 1;
  writeFileSync(data, bytes);

  open.to = Infinity;
  const job = quantize(entry.urls, entry.options);
  const made = await job;
  assert.equal(job.outcome.resumedTensors, entry.done - 1);
  assert.deepEqual(await unfinishedQuantizations(), []);
  const whole = await bytesOf(TELLER, { type: 'q4_0' });
  assert.ok(readFileSync(await made.open()).equals(whole));
  assert.deepEqual((await quantizedModels()).map(({ name, bytes, type, kind }) => [name, bytes, type, kind]), [['Teller, small', whole.length, 'q4_0', 'language']]);

  const model = await LanguageModel.create({ model: made });
  assert.match(await model.prompt('Tell me a story about a dog.', { maxTokens: 8, temperature: 0 }), /\w+ \w+/);
  await model.destroy();
  await made.remove();
  assert.deepEqual(await quantizedModels(), []);
  await assert.rejects(made.open(), /no longer on this device/);
});

test('of another source, or another type, nothing is taken over', { ...usable, timeout: 60_000 }, async (t) => {
  ownStore(t);
  const { url, open } = await slowly(t);
  const job = quantize(url, { type: 'q4_0', keepAs: 'x' });
  await untilTensor(job, 20);
  job.cancel();
  await assert.rejects(job.then(), { name: 'AbortError' });
  open.to = Infinity;
  const other = quantize(url, { type: 'q4_1', keepAs: 'x' });
  const made = await other;
  assert.equal(other.outcome.resumedTensors, 0);
  assert.ok(readFileSync(await made.open()).equals(await bytesOf(TELLER, { type: 'q4_1' })));
});

test('a pause stops the work, and it goes on where it was; a signal ends it with its reason', { ...usable, timeout: 60_000 }, async (t) => {
  ownStore(t);
  const { url, open } = await slowly(t);
  const stop = new AbortController();
  const job = quantize(url, { type: 'q4_0', signal: stop.signal });
  await untilTensor(job, 20);
  job.pause();
  while (!job.progress.paused) await new Promise((resolve) => setTimeout(resolve, 10));
  open.to = Infinity;
  for (const answer of open.held) answer();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { index } = job.progress;
  assert.ok(job.paused && index < job.progress.nTensors);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(job.progress.index, index);
  job.resume();
  await job;
  assert.equal(job.progress.fraction, 1);
  assert.ok(job.outcome.seconds > 0.4);

  open.to = 0;
  const ended = quantize(url, { type: 'q4_0', signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(ended.then(), /enough/);
  await assert.rejects(quantize(url, { signal: stop.signal }).then(), /enough/);
});

test('the command goes on from OUT.part with --resume', { ...usable, timeout: 60_000 }, async (t) => {
  const out = temporaryFolder(t);
  const source = changedFolder(t, () => undefined);
  const to = path.join(out, 'x.gguf');
  const weights = path.join(source, 'model.safetensors');
  const good = readFileSync(weights);
  const bad = Buffer.from(good);
  bad.writeUInt16LE(0x7fc0, bad.length - 2); // no number, in the last tensor
  writeFileSync(weights, bad);
  utimesSync(weights, 1, 1);
  const first = await run(['quantize', source, to, '--type', 'q4_0', '--name', 'golden', '--resume']);
  assert.equal(first.code, 1, first.stderr);
  assert.deepEqual(readdirSync(out).sort(), ['x.gguf.part', 'x.gguf.part.journal']);
  const lines = readFileSync(`${to}.part.journal`, 'utf8').trim().split('\n').length;
  assert.ok(lines > 10, `${lines} lines`);
  writeFileSync(weights, good);
  utimesSync(weights, 1, 1);
  const second = await run(['quantize', source, to, '--type', 'q4_0', '--name', 'golden', '--resume']);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(readdirSync(out), ['x.gguf']);
  assert.ok(readFileSync(to).equals(await golden('q4_0')));
});

// ---- what cannot be ----

test('errors name the tensor or the file, and say what to do', usable, async (t) => {
  ownStore(t);
  const header = readFileSync(path.join(FOLDER, 'model.safetensors'));
  const begin = 8 + Number(header.readBigUInt64LE(0));
  const wrong = {
    'no number': [(name, bytes) => void (name.endsWith('.safetensors') && bytes.writeUInt16LE(0x7fc0, begin)), /the tensor token_embd\.weight .* no number/],
    truncated: [(name, bytes) => (name.endsWith('.safetensors') ? bytes.subarray(0, bytes.length - 100) : undefined), /truncated|ends|longer|short|outside|beyond/i],
    'a foreign header': [(name, bytes) => (name.endsWith('.safetensors') ? Buffer.alloc(1000, 0x7f) : undefined), /./],
    'no JSON': [(name) => (name === 'config.json' ? Buffer.from('{"model_type": ') : undefined), /config\.json/],
  };
  for (const [what, [change, pattern]] of Object.entries(wrong)) {
    const folder = changedFolder(t, change);
    await assert.rejects(bytesOf(folder, { type: 'q4_0' }), (error) => {
      assert.ok(error instanceof sotto.SottoError, `${what}: ${error}`);
      assert.match(error.message, pattern, what);
      return true;
    });
  }
  await assert.rejects(bytesOf([]), /The source has no files/);
  await assert.rejects(bytesOf([new File(['x'], 'model.safetensors')]), /config\.json/);
  await assert.rejects(bytesOf(42), /The source must be/);
  await assert.rejects(bytesOf(FOLDER, { type: 'q4_0', output: 7 }), /output must be/);
  await assert.rejects(bytesOf(FOLDER, { tensors: { '*': 'q4_K_M' } }), /q4_K_M/);
  assert.deepEqual(await unfinishedQuantizations(), []);
});

test('two that make the same model do not spoil it', { ...usable, timeout: 60_000 }, async (t) => {
  ownStore(t);
  const first = await quantize(FOLDER, { type: 'q4_0', name: 'golden', keepAs: 'same' });
  const second = await quantize(FOLDER, { type: 'q4_1', name: 'golden', keepAs: 'same' });
  assert.ok(readFileSync(await second.open()).equals(await golden('q4_1')));
  assert.equal((await quantizedModels()).length, 1);
  assert.ok(first.bytes !== second.bytes);
});


// ---- on a GPU ----

const DRIVERS = ['/usr/share/vulkan/icd.d/lvp_icd.json', '/usr/lib/chromium/vk_swiftshader_icd.json']; // the quicker one for these kernels first
const driver = DRIVERS.find((file) => existsSync(file));
const noGpu = usable.skip ?? (existsSync(path.join(root, 'node_modules/webgpu')) ? undefined : 'the npm package webgpu is not installed');
const withGpu = { skip: noGpu ?? (driver ? undefined : 'there is no Vulkan driver that plays a GPU'), timeout: 60_000 };
if (driver) process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = driver;

/** Variables of the failing package; see there. */
function failing(t, fates, adapter) {
  const variables = { SOTTO_WEBGPU_MODULE: path.join(root, 'tests/js/failing-webgpu.mjs'), SOTTO_TEST_GPU: fates, SOTTO_TEST_ADAPTER: adapter };
  Object.assign(process.env, variables);
  t.after(() => Object.keys(variables).forEach((name) => delete process.env[name]));
}

test('a GPU makes the same bytes, and says that it was one', withGpu, async () => {
  const job = quantize(FOLDER, { type: 'q4_0', name: 'golden', output: 'blob', backend: 'webgpu' });
  const made = await job;
  assert.ok(Buffer.from(await (await made.open()).arrayBuffer()).equals(await golden('q4_0')));
  const { device, gpuTensors } = job.outcome;
  assert.equal(device.backend, 'webgpu');
  assert.ok(device.gpu.adapter.length > 0 && gpuTensors > 10, `${gpuTensors} tensors`);
});

test('where a GPU is lost, the processor goes on, unless the GPU was asked for', withGpu, async (t) => {
  failing(t, 'lose@5', 'hardware of a test');
  const options = { type: 'q4_0', name: 'golden', output: 'blob' };
  const job = quantize(FOLDER, { ...options, backend: 'auto' });
  const made = await job;
  assert.ok(Buffer.from(await (await made.open()).arrayBuffer()).equals(await golden('q4_0')));
  const { device } = job.outcome;
  assert.equal(device.backend, 'cpu');
  assert.match(device.whyCpu, /GPU/);
  await assert.rejects(quantize(FOLDER, { ...options, backend: 'webgpu' }).then(), { code: 'gpu' });
});
