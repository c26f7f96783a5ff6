#!/usr/bin/env node
// The engine on a GPU: the package in Node, on the npm package `webgpu`, with models of true shapes and random weights.
//
//   node bench/gpu.mjs [--json] [--module PATH] [--dawn OPTION,...] [--backend webgpu|cpu|auto] [--profile]
//     [--shapes gemma3-270m,gemma3-1b,whisper-tiny,whisper-small,whisper-large-v3-turbo] [--types q4_0,q5_1] [--models build/bench-models]
//     [--model FILE]... [--prefill 512] [--decode 128] [--beams 1,5] [--rounds 3] [--limit SECONDS]
//
// --module: where the package `webgpu` is, if it is not installed. Models are made once by build/sotto in the folder of --models; --types: of
// Gemma's weights, then of Whisper's; --model instead measures files that are there. Each model has a process of its own, of --limit (300 s) at most.
//
// Gemma: best of the rounds after one to warm up, of a prompt of --prefill tokens and of --decode tokens after it, always the likeliest.
// Whisper: windows of 30 s of noise; encoder ms (from the upload of the spectrogram until the keys and values of the decoder are there), what a window more
// takes but for its steps, and ms of a decoder step for each number of beams. Load: from a file that was read before, with the engine's start. --profile adds the time of each kernel (it is slower then).
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './rounds.js';
import { machine, megabytes, numbers, output, root, shown, table } from './places.mjs';

const string = { type: 'string' };
const flag = { type: 'boolean', default: false };
const OPTIONS = {
  json: flag, module: string, dawn: string, backend: string, profile: flag, shapes: string, types: string, models: string,
  model: { type: 'string', multiple: true }, prefill: string, decode: string, beams: string, rounds: string, limit: string,
  only: string, run: string, help: { type: 'boolean', short: 'h', default: false },
};

// ---- one model, in a process of its own ----

const best = (values) => Math.min(...values);

/** Into the cache of files, so that loading measures no disk. */
async function readOnce(file) {
  for await (const _ of createReadStream(file, { highWaterMark: 1 << 22 }));
}

const placeOf = ({ backend, gpu, whyCpu, threads }) => ({ backend, ...gpu, why_cpu: whyCpu, threads });

async function language({ LanguageModel }, { model, prefill, decode, rounds, engine }) {
  const session = await LanguageModel.create({ model, temperature: 0, contextWindow: prefill + decode + 8, ...engine });
  const goOn = async (text, maxTokens) => {
    let generation;
    await session.prompt(text, { raw: true, maxTokens, onFinish: (g) => (generation = g) });
    return generation;
  };
  const prefills = [];
  const decodes = [];
  let n_prefill;
  for (let round = 0; round <= rounds; round++) {
    // Digits are tokens of their own, or nearly: the number that counts is what is told afterwards.
    const digits = Array.from({ length: prefill }, (_, i) => (round + 7 * i + i * i) % 10).join('');
    const { timings } = await goOn(digits, decode + 1);
    if (round === 0) continue;
    n_prefill = timings.nPrefill - timings.nReused;
    prefills.push(timings.prefillMs / n_prefill);
    if (timings.nDecode > 0) decodes.push(timings.decodeMs / timings.nDecode);
  }
  const { info } = session;
  return {
    kind: 'language', ...placeOf(info), load_ms: info.loadMs, n_prefill,
    prefill_tokens_per_s: 1e3 / best(prefills), prefill_tokens_per_s_median: 1e3 / median(prefills),
    decode_tokens_per_s: 1e3 / best(decodes), decode_tokens_per_s_median: 1e3 / median(decodes), decode_ms: best(decodes),
    profile: engine.profile ? await session.profile() : undefined,
    close: () => session.destroy(),
  };
}

/** Seconds of a window, and samples a second. */
const WINDOW_S = 30;
const N_WINDOWS = 5;
const RATE = 16000;

async function speech({ Transcriber }, { model, beams, rounds, engine }) {
  const transcriber = await Transcriber.create({ model, ...engine });
  let seed = 1;
  const noise = Float32Array.from({ length: WINDOW_S * RATE }, () => ((seed = (seed * 48271) % 0x7fffffff) / 0x7fffffff - 0.5) / 5);
  const windows = new Float32Array(N_WINDOWS * noise.length);
  for (let i = 0; i < N_WINDOWS; i++) windows.set(noise, i * noise.length);
  const eot = 50257; // of all multilingual models: never chosen, so that every window is decoded to the end
  const options = {
    sampleRate: RATE, language: 'en', timestamps: false, temperatureIncrement: 0, noSpeechThreshold: 1, suppressTokens: [eot],
  };
  // What a GPU was told is done later, so that only wholes tell, by their differences: a window of one token, several such, one of many tokens.
  const whole = async (beamSize, maxTokens, audio = noise) => {
    const start = performance.now();
    const { timings } = await transcriber.transcribe(audio, { ...options, beamSize, maxTokens });
    const { nEncode, nDecode, melMs, encodeMs } = timings;
    return { ms: performance.now() - start, steps: nDecode, mel_ms: melMs / nEncode, encode_ms: encodeMs / nEncode };
  };
  const encodes = [];
  const windowsMs = [];
  const mels = [];
  const decode_ms = {};
  for (const beamSize of beams) {
    const runs = { one: [], several: [], many: [] };
    for (let round = 0; round <= rounds; round++) {
      const one = await whole(beamSize, 1);
      const several = await whole(beamSize, 1, windows);
      const many = await whole(beamSize, 100);
      if (round > 0) for (const [name, run] of Object.entries({ one, several, many })) runs[name].push(run);
    }
    const ms = (name) => best(runs[name].map((run) => run.ms));
    const steps = (name) => runs[name][0].steps;
    const step = (decode_ms[beamSize] = (ms('many') - ms('one')) / (steps('many') - steps('one')));
    windowsMs.push((ms('several') - ms('one') - (steps('several') - steps('one')) * step) / (N_WINDOWS - 1));
    encodes.push(...runs.several.map((run) => run.encode_ms));
    mels.push(best(runs.several.map((run) => run.mel_ms)));
  }
  const { info } = transcriber;
  return {
    kind: 'speech', ...placeOf(info), load_ms: info.loadMs, mel_ms: best(mels), encode_ms: best(encodes), encode_ms_median: median(encodes),
    window_ms: best(windowsMs), decode_ms,
    profile: engine.profile ? await transcriber.profile() : undefined,
    close: () => transcriber.destroy(),
  };
}

async function runHere(what) {
  const sotto = await import('../js/dist/index.node.js');
  await readOnce(what.model);
  const { close, ...row } = await (what.model.endsWith('.gguf') ? language : speech)(sotto, what);
  console.log(JSON.stringify({ ...row, resident_bytes: process.resourceUsage().maxRSS * 1024 }));
  await close();
}

// ---- all models ----

/** What a process of its own measures; its error where it fails. */
function measured(what, env, limit_s) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--run', JSON.stringify(what)], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limit_s * 1e3);
    let out = '';
    let words = '';
    child.stdout.on('data', (part) => (out += part));
    child.stderr.on('data', (part) => (words += part));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      try {
        resolve(JSON.parse(out.split('\n')[0])); // it may end badly after it has told: drivers do
      } catch {
        resolve({ error: words.trim().slice(-800) || `it ended with ${code ?? signal}` });
      }
    });
  });
}

/** What can be imported of a package's folder. */
const moduleAt = (place) => (statSync(place).isDirectory() ? createRequire(path.join(place, 'package.json')).resolve(place) : place);

const SHAPES = 'gemma3-270m,gemma3-1b,whisper-tiny,whisper-small,whisper-large-v3-turbo';

async function made(shape, [gemmaType, whisperType = gemmaType], folder) {
  const [type, extension] = shape.startsWith('whisper') ? [whisperType, 'bin'] : [gemmaType, 'gguf'];
  const file = path.join(folder, `${shape}-${type}.${extension}`);
  if (existsSync(file)) return file;
  console.error(`making ${file}`);
  mkdirSync(folder, { recursive: true });
  await output(path.join(root, 'build/sotto'), ['make-test-model', '--shape', shape, '--type', type, '-o', file]);
  return file;
}

const perSecond = (row, name) => `${shown(row[`${name}_tokens_per_s`])} (${shown(row[`${name}_tokens_per_s_median`])})`;

function tables(rows) {
  const of = (kind, head, cells) => {
    const some = rows.filter((row) => row.kind === kind);
    return some.length > 0 ? `\n${table(['model', 'MB', 'load ms', 'GB/s', ...head], some.map((row) => [...begin(row), ...cells(row)]))}\n` : '';
  };
  const begin = (row) => [row.model, megabytes(row.model_bytes), shown(row.load_ms), shown(row.load_gb_per_s, 2)];
  const language = of('language', ['prefill', 'prefill/s', 'decode/s', 'decode ms'], (row) => [
    row.n_prefill, perSecond(row, 'prefill'), perSecond(row, 'decode'), shown(row.decode_ms, 3),
  ]);
  const beams = Object.keys(rows.find(({ kind }) => kind === 'speech')?.decode_ms ?? {});
  const others = beams.slice(1); // beside the first
  const speech = of('speech', ['mel ms', 'encode ms', 'window ms', ...beams.map((n) => `step ms, beam ${n}`), ...others.map((n) => `${n} / ${beams[0]}`)], (row) => [
    shown(row.mel_ms, 1), `${shown(row.encode_ms, 1)} (${shown(row.encode_ms_median, 1)})`, shown(row.window_ms, 1), ...beams.map((n) => shown(row.decode_ms[n], 2)),
    ...others.map((n) => shown(row.decode_ms[n] / row.decode_ms[beams[0]], 2)),
  ]);
  const failed = rows.filter(({ error }) => error).map(({ model, error }) => `\n${model}: ${error}\n`).join('');
  return language + speech + failed;
}

/** Dispatches of a decoder's layer for a step: those of few rows, but for embedding and logits, by those of attention that keep a new token. */
function perLayer(profile) {
  const count = (pattern) => profile.rows.reduce((sum, { kernel, count }) => sum + (pattern.test(kernel) ? count : 0), 0);
  return (count(/^(linear_few|attend_few|attend_combine|rotate_store)\b/) - count(/^embed\b/)) / count(/^attend_few .*fresh=1/);
}

function profiles(rows) {
  const line = ({ kernel, ms, count, bytes }, total) => [
    shown(ms, 2), `${shown((100 * ms) / total, 1)} %`, count, shown((1e3 * ms) / count, 1), bytes && ms ? shown(bytes / ms / 1e6) : '-', kernel,
  ];
  return rows.filter(({ profile }) => profile).map(({ model, profile }) => {
    const total = profile.rows.reduce((sum, { ms }) => sum + ms, 0);
    const head = ['ms', 'share', 'dispatches', 'us each', 'GB/s', 'kernel'];
    return `\n${model}${profile.missing ? `: ${profile.missing}` : ''}: ${shown(perLayer(profile), 1)} dispatches a layer for a token\n${table(head, profile.rows.map((row) => line(row, total)))}\n`;
  }).join('');
}

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.run) return runHere(JSON.parse(values.run));
  if (values.help) {
    const lines = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n').slice(1);
    return console.log(lines.slice(0, lines.findIndex((line) => !line.startsWith('//'))).map((line) => line.slice(3)).join('\n'));
  }
  const number = (name, otherwise) => numbers(values[name] ?? otherwise, name);
  const [[prefill], [decode], [rounds], [limit_s]] = [number('prefill', '512'), number('decode', '128'), number('rounds', '3'), number('limit', '300')];
  const engine = { backend: values.backend ?? 'webgpu', dawn: values.dawn?.split(/,(?=[\w-]+=)/), profile: values.profile };
  const env = { ...process.env, ...(values.module && { SOTTO_WEBGPU_MODULE: moduleAt(path.resolve(values.module)) }) };
  const folder = path.resolve(root, values.models ?? 'build/bench-models');
  const types = (values.types ?? 'q4_0,q5_1').split(',');
  const wanted = values.model?.map((file) => async () => path.resolve(file)) ?? (values.shapes ?? SHAPES).split(',').map((shape) => () => made(shape, types, folder));
  const report = { ...machine(), rows: [] };
  for (const find of wanted) {
    const model = await find();
    const model_bytes = statSync(model).size;
    const row = await measured({ model, prefill, decode, rounds, beams: number('beams', '1,5'), engine }, env, limit_s);
    report.rows.push({ model: path.basename(model), model_bytes, ...row, load_gb_per_s: row.load_ms && model_bytes / row.load_ms / 1e6 });
    console.error(row.error ? `${path.basename(model)}: ${row.error}` : `${path.basename(model)}: ${row.adapter ?? row.backend}`);
  }
  if (values.json) return console.log(JSON.stringify(report, null, 2));
  const { adapter = 'no GPU', features = [], backend } = report.rows.find((row) => !row.error) ?? {};
  console.log(`${report.machine}, ${report.cores} cores, Node ${report.node}\n${backend}: ${adapter}; ${features.join(', ')}\n${tables(report.rows)}${profiles(report.rows)}`);
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
