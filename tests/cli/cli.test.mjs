// The native command, build/sotto: help, wrong usage, model files, every kind of audio, every format, real speech.
// What needs the model is skipped where models/ggml-tiny-q5_1.bin is missing.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { env, fails, noCommand, run, scratchFolder, sotto } from './command.mjs';

const audio = (name) => path.join('tests/fixtures/audio', name);
const model = 'models/ggml-tiny-q5_1.bin';
const jfk = audio('jfk.wav');

const noModel = noCommand || (fs.existsSync(model) ? false : `skip: ${model} is missing: tools/fetch-models`);

const scratch = scratchFolder('cli');
const transcribe = (...args) => run(['transcribe', '-m', model, '-l', 'en', ...args]);

const usage = (args, pattern) => fails(2, args, pattern);

// Words without case and punctuation: what a recording says, however it is encoded.
const words = (text) => text.toLowerCase().replace(/[^a-z\s]/g, '').split(/\s+/).filter(Boolean).join(' ');
const said = 'and so my fellow americans ask not what your country can do for you ask what you can do for your country';

/* ---- WAV files made here ---- */

function readPcm16(file) {
  const b = fs.readFileSync(file);
  for (let at = 12; at + 8 <= b.length; at += 8 + b.readUInt32LE(at + 4) + (b.readUInt32LE(at + 4) & 1)) {
    if (b.toString('latin1', at, at + 4) !== 'data') continue;
    const n = Math.min(b.readUInt32LE(at + 4), b.length - at - 8) >> 1;
    return Float32Array.from({ length: n }, (_, i) => b.readInt16LE(at + 8 + 2 * i) / 32768);
  }
  throw new Error(`${file}: no data`);
}

// Linear interpolation is enough for a test: speech has little above 8 kHz.
function resample(samples, from, to) {
  return Float32Array.from({ length: Math.floor((samples.length * to) / from) }, (_, i) => {
    const x = (i * from) / to;
    const k = Math.floor(x);
    const next = samples[Math.min(k + 1, samples.length - 1)];
    return samples[k] + (x - k) * (next - samples[k]);
  });
}

function writeWav(name, samples, { rate = 16000, channels = 1, bits = 16, float = false }) {
  const bytes = bits / 8;
  const data = Buffer.alloc(samples.length * channels * bytes);
  for (let i = 0; i < samples.length; i++) {
    for (let c = 0; c < channels; c++) {
      const at = (i * channels + c) * bytes;
      const x = samples[i];
      if (float && bits === 32) data.writeFloatLE(x, at);
      else if (float) data.writeDoubleLE(x, at);
      else if (bits === 8) data.writeUInt8(Math.round(x * 127) + 128, at);
      else data.writeIntLE(Math.round(x * (2 ** (bits - 1) - 1)), at, bytes);
    }
  }
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(float ? 3 : 1, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * channels * bytes, 28);
  head.writeUInt16LE(channels * bytes, 32);
  head.writeUInt16LE(bits, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  const file = path.join(scratch, name);
  fs.writeFileSync(file, Buffer.concat([head, data]));
  return file;
}

function write(name, bytes) {
  const file = path.join(scratch, name);
  fs.writeFileSync(file, bytes);
  return file;
}

/* ---- without a model ---- */

test('the writers give the bytes of tests/fixtures/formats', (t) => {
  const program = path.join(scratch, 'test_format');
  const cc = process.env.CC ?? 'cc';
  if (spawnSync(cc, ['--version']).error) return t.skip(`skip: no C compiler (${cc})`);
  execFileSync(cc, ['-std=c11', '-g', '-fsanitize=address,undefined', 'tests/cli/test_format.c', 'cli/format.c', 'cli/json.c', '-o', program, '-lm']);
  assert.equal(execFileSync(program, { encoding: 'utf8' }), 'ok\n');
});

test('help and version', { skip: noCommand }, () => {
  for (const args of [['--help'], ['-h'], ['transcribe', '--help'], ['info', '-h']]) {
    const r = run(args);
    assert.equal(r.status, 0);
    assert.match(r.stdout, /^Usage: sotto /);
    assert.equal(r.stderr, '');
    for (const line of r.stdout.split('\n')) assert.ok(line.length <= 100, line);
  }
  const version = /SOTTO_VERSION\s+"([^"]+)"/.exec(fs.readFileSync('include/sotto.h', 'utf8'))[1];
  assert.equal(run(['--version']).stdout, `sotto ${version}\n`);
});

test('wrong usage ends with status 2 and one sentence', { skip: noCommand }, () => {
  usage([], /no command/);
  usage(['transcrib'], /unknown command 'transcrib'/);
  usage(['--bem'], /unknown option '--bem'; see 'sotto --help'/);
  usage(['info'], /no model file/);
  const t = (...args) => ['transcribe', '-m', model, ...args];
  usage(t(), /no audio file/);
  usage(['transcribe', jfk], /no model: give one with --model, or set SOTTO_MODEL/);
  usage(t('--bem', '5', jfk), /unknown option '--bem'; see 'sotto transcribe --help'/);
  usage(t('--bem=5', jfk), /unknown option '--bem';/);
  usage(t('-x', jfk), /unknown option '-x'/);
  usage(t('-qx', jfk), /unknown option '-x'/);
  usage(t(jfk, '--beam'), /option '--beam' needs a value/);
  usage(t('--beam', 'many', jfk), /'--beam' needs a whole number from 1 to 16, not 'many'/);
  usage(t('--beam=17', jfk), /from 1 to 16, not '17'/);
  usage(t('--temperature', 'nan', jfk), /'--temperature' needs a number from 0 to 1, not 'nan'/);
  usage(t('--no-timestamps=yes', jfk), /'--no-timestamps' takes no value/);
  usage(t('--task', 'sing', jfk), /unknown task 'sing'/);
  usage(t('-l', 'klingon', jfk), /unknown language 'klingon'/);
  usage(t('-f', 'doc', jfk), /unknown format 'doc'/);
  usage(t('-f', 'srt,', jfk), /unknown format ''/);
  usage(t('-f', 'srt,vtt', jfk), /several formats need a directory/);
  usage(t('--json', '-f', 'srt', jfk), /exclude each other/);
  usage(t('--suppress-tokens', '1,x', jfk), /needs token ids/);
  usage(t('-o', jfk, jfk), /overwrite/);
  usage(t('-o', scratch, 'a/x.wav', 'b/x.mp3'), /would both be written to/);
});

test('a model that is not there, or is none', { skip: noCommand }, () => {
  const missing = run(['transcribe', '-m', 'no-such-model', jfk], { env: { ...env, XDG_CACHE_HOME: '/tmp/none' } });
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /^sotto: no model 'no-such-model' \(tried \.\/models\/ggml-no-such-model\.bin and \/tmp\/none\/sotto\/ggml-no-such-model\.bin\): get it with [^\n]+\n$/);
  assert.match(run(['transcribe', '-m', 'no/such.bin', jfk]).stderr, /^sotto: no\/such\.bin: No such file/);
  for (const bytes of ['', 'not a model', Buffer.alloc(100)]) {
    const file = write('foreign.bin', bytes);
    for (const args of [['transcribe', '-m', file, jfk], ['info', file]]) {
      const r = run(args);
      assert.equal(r.status, 1);
      assert.equal(r.stdout, '');
      assert.match(r.stderr, /^sotto: [^\n]+foreign\.bin: [^\n]+\n$/);
    }
  }
});

/* ---- language models, made here ---- */

const u32 = (v) => Buffer.from(Uint32Array.of(v).buffer);
const u64 = (v) => Buffer.from(BigUint64Array.of(BigInt(v)).buffer);
const ggufText = (text) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
const ggufNumber = (key, v) => Buffer.concat([ggufText(key), u32(4), u32(v)]);
const ggufString = (key, v) => Buffer.concat([ggufText(key), u32(8), ggufText(v)]);
const ggufStrings = (key, list) => Buffer.concat([ggufText(key), u32(9), u32(8), u64(list.length), ...list.map(ggufText)]);

// Two tensors: q8_0 [4, 64] and f32 [64].
function gguf(values) {
  const infos = [
    [ggufText('token_embd.weight'), u32(2), u64(64), u64(4), u32(8), u64(0)],
    [ggufText('output_norm.weight'), u32(1), u64(64), u32(0), u64(288)],
  ];
  const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(infos.length), u64(values.length), ...values, ...infos.flat()]);
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), Buffer.alloc(4 * 68 + 16 + 64 * 4)]);
}

test('info of GGUF files', { skip: noCommand }, () => {
  const values = [
    ggufString('general.architecture', 'gemma3'),
    ggufString('general.name', 'A \x1b[1mname'),
    ggufNumber('general.file_type', 15),
    ggufNumber('gemma3.block_count', 18),
    ggufNumber('gemma3.embedding_length', 640),
    ggufNumber('gemma3.context_length', 32768),
    ggufString('tokenizer.ggml.model', 'llama'),
    ggufStrings('tokenizer.ggml.tokens', ['<pad>', '<eos>', '<bos>']),
  ];
  const bytes = gguf(values);
  const file = write('small.gguf', bytes);
  const text = run(['info', file]);
  assert.equal(text.status, 0, text.stderr);
  assert.match(text.stdout, /small\.gguf: gemma3, A \?\[1mname, Q4_K_M\n/); // what could move a terminal's cursor is not shown
  assert.match(text.stdout, /layers +18, width 640\n/);
  assert.match(text.stdout, /tokenizer +llama, 3 tokens\n/);
  assert.match(text.stdout, /q8_0 +1 tensors, +0\.000 MB\n/);
  const json = JSON.parse(run(['info', '--json', file]).stdout);
  assert.equal(json.architecture, 'gemma3');
  assert.equal(json.n_ctx, 32768);
  assert.equal(json.n_vocab, 3);
  assert.equal(json.d_ff, null);
  assert.equal(json.n_parameters, 320);
  assert.deepEqual(json.types, [{ type: 'f32', n_tensors: 1, bytes: 256 }, { type: 'q8_0', n_tensors: 1, bytes: 272 }]);
  assert.equal(json.file_bytes, bytes.length);

  const part = run(['info', write('part.gguf', gguf([ggufNumber('split.no', 1), ggufNumber('split.count', 2), ggufNumber('split.tensors.count', 5)]))]);
  assert.match(part.stdout, /part 2 of 2 \(5 tensors in all\)/);
  const cut = run(['info', write('cut.gguf', bytes.subarray(0, bytes.length - 1))]);
  assert.equal(cut.status, 1);
  assert.match(cut.stderr, /^sotto: [^\n]+cut\.gguf: [^\n]+truncated[^\n]+\n$/);
});

test('info of checkpoints', { skip: noCommand }, () => {
  const fixture = 'tests/fixtures/golden/gemma3-1b-shape';
  const whole = JSON.parse(run(['info', '--json', fixture]).stdout);
  assert.equal(whole.architecture, 'gemma3_text');
  assert.equal(whole.n_layer, 7);
  assert.equal(whole.sliding_window, 16);
  assert.deepEqual(whole.types, [{ type: 'bf16', n_tensors: 93, bytes: 2794496 }]);
  const file = JSON.parse(run(['info', '--json', `${fixture}/model.safetensors`]).stdout);
  assert.deepEqual({ ...file, file: '' }, { ...whole, file: '' });

  // The same tensors in two files, by an index; with a tokenizer beside.
  const folder = path.join(scratch, 'sharded');
  fs.mkdirSync(folder);
  const one = (name) => {
    const header = Buffer.from(JSON.stringify({ [name]: { dtype: 'F16', shape: [2, 3], data_offsets: [0, 12] } }));
    return Buffer.concat([u64(header.length), header, Buffer.alloc(12)]);
  };
  const index = { metadata: { total_size: 24 }, weight_map: { a: 'one.safetensors', b: 'two.safetensors' } };
  fs.writeFileSync(path.join(folder, 'one.safetensors'), one('a'));
  fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify({ model: { type: 'BPE', vocab: { a: 0, '\u2581b': 1 } } }));
  const missing = run(['info', folder]);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /two\.safetensors, which the index names, is missing/);
  fs.writeFileSync(path.join(folder, 'two.safetensors'), one('b'));
  const sharded = JSON.parse(run(['info', '--json', folder]).stdout);
  assert.equal(sharded.n_tensors, 2);
  assert.equal(sharded.weight_bytes, 24);
  assert.equal(sharded.tokenizer, 'BPE');
  assert.equal(sharded.n_vocab, 2);
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), '{"model":');
  assert.match(run(['info', folder]).stderr, /tokenizer\.json ends in the middle/);
});

/* ---- with the model ---- */

test('info', { skip: noModel }, () => {
  const text = run(['info', model]);
  assert.equal(text.status, 0);
  assert.match(text.stdout, /whisper tiny\n/);
  assert.match(text.stdout, /q5_1 +65 tensors/);
  const json = JSON.parse(run(['info', '--json', model]).stdout);
  assert.equal(json.name, 'tiny');
  assert.equal(json.n_vocab, 51865);
  assert.equal(json.languages.length, 99);
  assert.equal(json.n_tensors, 167);
  assert.equal(json.types.reduce((sum, t) => sum + t.bytes, 0), json.weight_bytes);
  assert.equal(json.file_bytes, fs.statSync(model).size);
  const cut = write('cut.bin', fs.readFileSync(model).subarray(0, 3_000_000));
  const r = run(['info', cut, model]);
  assert.equal(r.status, 1);
  assert.match(r.stderr, /^sotto: [^\n]+cut\.bin: [^\n]+\n$/);
  assert.match(r.stdout, /whisper tiny\n/); // the other file all the same
});

test('speech, with times and without', { skip: noModel }, () => {
  const timed = transcribe(jfk);
  assert.equal(timed.status, 0, timed.stderr);
  assert.equal(timed.stderr, '');
  const lines = timed.stdout.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^\[\d\d:\d\d\.\d{3} --> \d\d:\d\d\.\d{3}\]  \S/);
  assert.equal(words(lines.map((line) => line.slice(line.indexOf(']') + 1)).join(' ')), said);
  const plain = transcribe('--no-timestamps', jfk);
  assert.equal(words(plain.stdout), said);
  assert.doesNotMatch(plain.stdout, /-->/);
});

test('every format, to files, in one run', { skip: noModel }, () => {
  const dir = path.join(scratch, 'out');
  const r = transcribe('-f', 'txt,srt', '--format=vtt', '-ftsv,lrc,json', '-o', dir, jfk);
  assert.equal(r.status, 0, r.stderr);
  assert.equal(r.stdout, '');
  assert.deepEqual(fs.readdirSync(dir).sort(), ['jfk.json', 'jfk.lrc', 'jfk.srt', 'jfk.tsv', 'jfk.txt', 'jfk.vtt']);
  const read = (ext) => fs.readFileSync(path.join(dir, `jfk.${ext}`), 'utf8');
  const json = JSON.parse(read('json'));
  const n = json.segments.length;
  assert.ok(n > 0);
  assert.equal(read('json'), JSON.stringify(json, null, 2) + '\n');
  assert.deepEqual(Object.keys(json), ['file', 'language', 'language_probability', 'text', 'segments']);
  assert.equal(words(json.text), said);
  assert.equal(words(read('txt')), said);
  assert.equal(read('txt').trimEnd().split('\n').length, n);
  assert.equal(read('srt').match(/^\d+\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n\S[^\n]*\n\n/gm).length, n);
  assert.ok(read('vtt').startsWith('WEBVTT\n\n00:'));
  assert.equal(read('vtt').match(/^\d\d:\d\d\.\d{3} --> \d\d:\d\d\.\d{3}\n\S[^\n]*\n\n/gm).length, n);
  assert.equal(read('tsv').split('\n')[0], 'start\tend\ttext');
  assert.equal(read('tsv').match(/^\d+\t\d+\t\S.*$/gm).length, n);
  assert.equal(read('lrc').match(/^\[\d\d:\d\d\.\d\d\]\S.*$/gm).length, n);
  const one = path.join(scratch, 'one.srt');
  assert.equal(transcribe('-o', one, jfk).status, 0); // the format by the extension
  assert.equal(fs.readFileSync(one, 'utf8'), read('srt'));
  assert.equal(transcribe('-f', 'srt', '-o', '-', jfk).stdout, read('srt'));
});

test('--json has what the contract says', { skip: noModel }, () => {
  const r = run(['transcribe', '-m', model, '--json', '--threads=1', jfk]);
  assert.equal(r.status, 0, r.stderr);
  assert.equal(r.stdout.indexOf('\n'), r.stdout.length - 1);
  const o = JSON.parse(r.stdout);
  assert.equal(r.stdout, JSON.stringify(o) + '\n');
  assert.deepEqual(Object.keys(o), ['file', 'language', 'language_probability', 'text', 'segments', 'timings', 'peak_memory_bytes']);
  assert.equal(o.file, jfk);
  assert.equal(o.language, 'en');
  assert.ok(o.language_probability > 0.9 && o.language_probability <= 1);
  assert.equal(words(o.text), said);
  let last = 0;
  for (const s of o.segments) {
    assert.deepEqual(Object.keys(s), ['start', 'end', 'text', 'tokens', 'no_speech_prob', 'temperature', 'avg_logprob', 'compression_ratio']);
    assert.ok(s.start >= last && s.end >= s.start && s.end <= 30);
    last = s.end;
    assert.ok(s.tokens.length > 0);
    for (const k of s.tokens) {
      assert.deepEqual(Object.keys(k), ['id', 'text', 'p']);
      assert.ok(k.p >= 0 && k.p <= 1);
    }
    assert.ok(s.avg_logprob < 0 && s.avg_logprob > -1);
    assert.ok(s.compression_ratio > 0.5 && s.compression_ratio < 2.4);
  }
  assert.deepEqual(Object.keys(o.timings), ['load_ms', 'mel_ms', 'encode_ms', 'decode_ms', 'total_ms', 'n_encode', 'n_decode']);
  assert.ok(o.timings.n_encode >= 1 && o.timings.n_decode > 20);
  assert.ok(o.peak_memory_bytes > 30e6);
});

test('mp3, ogg and flac', { skip: noModel }, () => {
  const r = run(['transcribe', '-m', model, '-l', 'en', '--json', audio('jfk.mp3'), audio('jfk.ogg'), audio('jfk_4s.flac'), audio('jfk_1s.oga')]);
  assert.equal(r.status, 0, r.stderr);
  const [mp3, ogg, flac, oga] = r.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(words(mp3.text), said);
  assert.equal(words(ogg.text), said);
  assert.match(words(flac.text), /^and so my fellow americans/);
  assert.match(words(oga.text), /^and so/);
});

test('WAV of every sample type, rate and number of channels', { skip: noModel }, () => {
  const samples = readPcm16(jfk);
  const files = [
    writeWav('24.wav', samples, { bits: 24 }),
    writeWav('32.wav', resample(samples, 16000, 48000), { rate: 48000, bits: 32 }),
    writeWav('float-stereo-44100.wav', resample(samples, 16000, 44100), { rate: 44100, channels: 2, bits: 32, float: true }),
    writeWav('double.wav', samples, { bits: 64, float: true }),
    writeWav('six-channels-8.wav', samples, { channels: 6, bits: 8 }),
  ];
  const r = transcribe('--json', ...files);
  assert.equal(r.status, 0, r.stderr);
  const results = r.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(results.map((o) => o.file), files);
  for (const o of results) assert.equal(words(o.text), said, o.file);
});

test('standard input, model by name and by SOTTO_MODEL', { skip: noModel }, () => {
  const byPath = transcribe(jfk).stdout;
  const input = fs.readFileSync(jfk);
  assert.equal(run(['transcribe', '-m', 'tiny-q5_1', '-l', 'en', '-'], { input }).stdout, byPath);
  assert.equal(run(['transcribe', '--language=English', '--', jfk], { env: { ...env, SOTTO_MODEL: model } }).stdout, byPath);
  const mp3 = run(['transcribe', '-m', model, '-f', 'txt', '-'], { input: fs.readFileSync(audio('jfk.mp3')) });
  assert.equal(words(mp3.stdout), said);
});

test('a file that fails does not stop the others', { skip: noModel }, () => {
  const names = {
    'empty.wav': ['', /the file is empty/],
    'text.wav': ['Dear reader, this is no audio at all.', /not audio that is known here/],
    'b.m4a': [Buffer.from('\0\0\0\x20ftypM4A \0\0\0\0', 'latin1'), /M4A \(AAC\) is not read here: convert it, as with `ffmpeg/],
    'c.webm': [Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0, 0, 0, 0]), /WebM or Matroska is not read here/],
    'd.opus': [Buffer.concat([Buffer.from('OggS'), Buffer.alloc(22), Buffer.from([1, 19]), Buffer.from('OpusHead')]), /Opus is not read here/],
    'cut.flac': [fs.readFileSync(audio('jfk_4s.flac')).subarray(0, 20), /FLAC header is damaged or cut off/],
    'cut-too.ogg': [fs.readFileSync(audio('jfk.ogg')).subarray(0, 100), /Vorbis header is damaged or cut off/],
    'head.wav': [fs.readFileSync(jfk).subarray(0, 30), /./],
  };
  const files = Object.entries(names).map(([name, [bytes]]) => write(name, bytes));
  const dir = path.join(scratch, 'some');
  const r = transcribe('-f', 'txt', '-o', dir, ...files, path.join(scratch, 'missing.wav'), scratch, jfk);
  assert.equal(r.status, 1);
  const problems = r.stderr.trimEnd().split('\n');
  assert.equal(problems.length, files.length + 2, r.stderr);
  Object.values(names).forEach(([, pattern], i) => {
    assert.ok(problems[i].startsWith(`sotto: ${files[i]}: `), problems[i]);
    assert.match(problems[i], pattern);
  });
  assert.deepEqual(fs.readdirSync(dir), ['jfk.txt']);
  assert.equal(words(fs.readFileSync(path.join(dir, 'jfk.txt'), 'utf8')), said);
});

test('damaged audio never crashes the command', { skip: noModel }, () => {
  let state = 12345;
  const random = (n) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % n;
  const files = [];
  for (const name of ['jfk.wav', 'jfk.mp3', 'jfk.ogg', 'jfk_4s.flac', 'jfk_1s.oga']) {
    for (let k = 0; k < 3; k++) {
      const bytes = Buffer.from(fs.readFileSync(audio(name)).subarray(0, 2000 + random(3000)));
      for (let i = 0; i < 20; i++) bytes[random(bytes.length)] = random(256);
      files.push(write(`damaged-${k}-${name}`, bytes));
    }
  }
  const r = transcribe('-q', ...files);
  assert.ok(r.status === 0 || r.status === 1, `status ${r.status}: ${r.stderr}`);
});

test('an interrupt keeps what is final', { skip: noModel }, async () => {
  const file = path.join(scratch, 'long.txt');
  const child = spawn(sotto, ['transcribe', '-m', model, '-l', 'en', '-v', '-o', file, audio('radio_address_127s.wav')], { env });
  const status = await new Promise((resolve) => {
    child.on('exit', resolve);
    child.stderr.once('data', () => setTimeout(() => child.kill('SIGINT'), 300)); // the model is loaded
  });
  assert.equal(status, 130);
  assert.deepEqual(fs.readdirSync(scratch).filter((name) => name.endsWith('.tmp')), []);
  assert.ok(fs.existsSync(file));
});
