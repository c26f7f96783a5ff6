#!/usr/bin/env node
// The engine in all its homes: native, Node and Chromium, with one thread and two; Whisper on one clip, Gemma on random weights of true shapes.
//
//   node bench/bench.mjs [--only whisper|gemma|gpu] [--quick] [--json] [--where native,node,chromium] [--threads 1,2] [--variant simd-single|...]
//     Whisper: [--model FILE.bin] [--audio FILE] [--beam N] [--repeats 7]
//     Gemma:   [--model FILE.gguf]... or [--shapes 270m,1b] [--types q4_0,q8_0,q4_K_M], made once in build/bench-models;
//              [--prefill 128,512] [--decode 64] [--rounds N] [--loads N] (0: leave loading out; default of both: 3, for 1b 1)
//
// --model alone also says which of the two runs. --quick: few rounds, and of Gemma only 270m q4_0. Progress goes to standard error. Machines
// are noisy: compare ratios within one run. What the columns are: whisper.mjs and gemma.mjs.
//
// --only gpu: gpu.mjs, with options of its own; it is not part of the rest.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchGemma, gemmaTable } from './gemma.mjs';
import { machine, megabytes, numbers, root } from './places.mjs';
import { benchWhisper, whisperTable } from './whisper.mjs';

const string = { type: 'string' };
const flag = { type: 'boolean', default: false };
const OPTIONS = {
  only: string, quick: flag, json: flag, where: string, threads: string, variant: string, model: { type: 'string', multiple: true },
  audio: string, beam: string, repeats: string,
  shapes: string, types: string, prefill: string, decode: string, rounds: string, loads: string,
  help: { type: 'boolean', short: 'h', default: false },
};

const number = (text, name) => (text === undefined ? undefined : numbers(text, name)[0]);

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    const lines = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n').slice(1);
    return console.log(lines.slice(0, lines.findIndex((line) => !line.startsWith('//'))).map((line) => line.slice(3)).join('\n'));
  }
  const { quick, model: models = [] } = values;
  const places = { where: (values.where ?? 'native,node,chromium').split(','), threads: numbers(values.threads ?? '1,2', 'threads') };
  const isGguf = (file) => file.endsWith('.gguf');
  const wanted = (name) => (values.only ? values.only === name : models.length === 0 || models.some(isGguf) === (name === 'gemma'));
  if (values.only && !['whisper', 'gemma'].includes(values.only)) throw new Error(`--only must be whisper or gemma: ${values.only}`);
  const progress = (line) => console.error(line);
  const report = machine();
  if (wanted('whisper')) {
    const options = {
      model: path.resolve(root, models.find((file) => !isGguf(file)) ?? 'models/ggml-tiny-q5_1.bin'),
      audio: path.resolve(root, values.audio ?? 'tests/fixtures/audio/jfk.wav'),
      beam: number(values.beam, 'beam') ?? 1,
      repeats: number(values.repeats, 'repeats') ?? (quick ? 2 : 7),
      variant: values.variant,
    };
    report.whisper = await benchWhisper(options, places, progress);
  }
  if (wanted('gemma')) {
    const options = {
      models: models.filter(isGguf),
      shapes: (values.shapes ?? (quick ? '270m' : '270m,1b')).split(','),
      types: (values.types ?? (quick ? 'q4_0' : 'q4_0,q8_0,q4_K_M')).split(','),
      prefill: numbers(values.prefill ?? '128,512', 'prefill'),
      decode: number(values.decode, 'decode') ?? 64,
      rounds: number(values.rounds, 'rounds') ?? (quick ? 1 : undefined),
      loads: values.loads === '0' ? 0 : (number(values.loads, 'loads') ?? (quick ? 1 : undefined)),
      variant: values.variant,
    };
    report.gemma = await benchGemma(options, places, progress);
  }
  if (values.json) return console.log(JSON.stringify(report, null, 2));
  console.log(`${report.machine}, ${report.cores} cores`);
  if (report.whisper) {
    const { model, model_bytes, audio, repeats } = report.whisper;
    console.log(`\n${model} (${megabytes(model_bytes)} MB) on ${audio}, medians of ${repeats}\n${whisperTable(report.whisper)}`);
  }
  if (report.gemma) console.log(`\nGemma, tokens/s at best (median)\n${gemmaTable(report.gemma)}`);
}

try {
  if (/ --only[ =]gpu\b/.test(process.argv.join(' '))) await import('./gpu.mjs');
  else await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
