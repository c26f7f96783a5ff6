// Do peers read what our tools write, and write what sotto writes? A line for each file and peer; the status says whether all is well.
//
//   assets/teller-q8_0.gguf, and models/teller by `sotto quantize`  llama.cpp's likeliest tokens must be those of the native command
//   `sotto make-test-model` of Gemma's shape                        random weights load and compute
//   models/ggml-tiny.bin by `sotto quantize`                        whisper.cpp's builds must hear what is said
//
// Every file is read by one thread: what is asked is whether, not how fast.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { root } from '../places.mjs';
import { REFERENCES } from './references.js';
import { wordErrorRate } from './words.js';

const FOLDER = 'build/bench-peers';
const LIMIT_S = 300;
const PROMPTS = ['Once upon a time', 'The dog and the little girl', 'One day, Tom saw 2 big birds.'];
const TOKENS = 48; // as GREEDY_TOKENS of run.js
/** Engines round differently, and may part where two tokens are nearly as likely: so far apart at most, in nats. */
const NEARLY = 0.25;
const MOST_WRONG_WORDS = 0.1;

function sotto(...args) {
  const { status, stdout, stderr } = spawnSync(path.join(root, 'build/sotto'), args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`sotto ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** Characters in which two texts begin alike. */
function alike(a, b) {
  let n = 0;
  while (n < Math.min(a.length, b.length) && a[n] === b[n]) n++;
  return n;
}

/** What one peer tells of a file; throws what went wrong. */
async function run(places, peer, kind, file, what) {
  const model = path.basename(file).replace(/^ggml-/, '');
  const told = await places.run({ peer, kind, model, address: `/${file}`, threads: 1, round: 0, ...what }, LIMIT_S);
  if (told.error) throw new Error(told.error);
  return told;
}

/** How much likelier the token at a character of our text was than the next likeliest one, in nats. */
function marginAt(logprobs, character) {
  let end = 0;
  const token = logprobs.find(({ text }) => (end += text.length) > character) ?? logprobs.at(-1);
  return token.top[0].logprob - token.top[1].logprob;
}

/** llama.cpp goes on with texts as the native command does, or parts from it where it may. */
async function sameText(places, peer, file) {
  const told = [];
  const { answers } = await run(places, peer, 'gemma', file, { ask: PROMPTS });
  for (const [i, prompt] of PROMPTS.entries()) {
    const options = ['-n', String(TOKENS), '--temperature', '0', '--logprobs', '2', '--json'];
    const { text, logprobs } = JSON.parse(sotto('generate', '-m', file, '-p', prompt, ...options));
    const n = alike(text, answers[i]);
    const same = n === text.length && n === answers[i].length;
    const margin = same ? 0 : marginAt(logprobs, n);
    if (margin > NEARLY) throw new Error(`after "${prompt}" it writes "${answers[i]}", sotto "${text}", which parts where sotto is sure by ${margin.toFixed(2)}`);
    told.push(same ? 'all' : `${n} of ${text.length} (margin ${margin.toFixed(2)})`);
  }
  return `the same text: ${told.join(', ')} characters`;
}

/** Random weights: there is nothing to compare, but tokens must come. */
async function computes(places, peer, file) {
  const { measures } = await run(places, peer, 'gemma', file, { pairs: [{ prefill: 16, decode: 8 }] });
  if (!(measures[0]?.decode_per_s > 0)) throw new Error('it wrote nothing');
  return 'loads and computes';
}

async function hears(places, peer, file) {
  const [text] = (await run(places, peer, 'whisper', file, { ask: ['jfk'] })).answers;
  const rate = wordErrorRate(text, REFERENCES.jfk);
  if (rate > MOST_WRONG_WORDS) throw new Error(`it hears "${text}"`);
  return `${(100 * rate).toFixed(1)} % of words wrong`;
}

/** What is written, in build/bench-peers, and who is to read it. */
function* cases() {
  const to = (name) => `${FOLDER}/${name}`;
  const llamas = ['wllama-2', 'wllama-3', 'native-llama'];
  yield { file: 'assets/teller-q8_0.gguf', peers: ['sotto', ...llamas], test: sameText };
  for (const type of ['f16', 'bf16', 'q8_0', 'q6_K', 'q5_K_M', 'q5_1', 'q5_0', 'q4_K_M', 'q4_1', 'q4_0', 'iq4_nl', 'iq4_xs', 'q3_K', 'q2_K']) {
    const file = to(`teller-${type}.gguf`);
    yield { file, peers: llamas, test: sameText, needs: 'models/teller', make: ['quantize', 'models/teller', file, '--type', type] };
  }
  for (const type of ['q4_0', 'q8_0', 'q4_K_M']) {
    const file = to(`random-${type}.gguf`);
    yield { file, peers: llamas, test: computes, make: ['make-test-model', '--shape', 'tiny', '--type', type, '-o', file] };
  }
  for (const type of ['q8_0', 'q5_1', 'q4_0']) {
    const file = to(`ggml-tiny-${type}.bin`);
    const make = ['quantize', 'models/ggml-tiny.bin', file, '--type', type];
    yield { file, peers: ['sotto', 'remotion', 'timur00kh', 'shout', 'native-whisper'], test: hears, needs: 'models/ggml-tiny.bin', make };
  }
}

/** Prints the answers; `places` runs peers, `kinds`: of models to look at, `asked`: names of peers. */
export async function check(places, kinds, asked) {
  if (!places) return;
  mkdirSync(path.join(root, FOLDER), { recursive: true });
  for (const { file, peers, test, needs, make } of cases()) {
    if (!kinds.includes(test === hears ? 'whisper' : 'gemma')) continue;
    if (needs && !existsSync(path.join(root, needs))) {
      console.log(`skip: ${file}: ${needs} is not there`);
      continue;
    }
    try {
      if (make) sotto(...make);
      for (const peer of peers.filter((name) => asked.includes(name))) {
        try {
          console.log(`ok: ${file}, ${peer}: ${await test(places, peer, file)}`);
        } catch (error) {
          console.log(`wrong: ${file}, ${peer}: ${error.message}`);
          process.exitCode = 1;
        }
      }
    } catch (error) {
      console.log(`wrong: ${error.message}`);
      process.exitCode = 1;
    }
  }
}
