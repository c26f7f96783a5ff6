#!/usr/bin/env node
// sotto beside what people use, in headless Chromium: for each run a fresh profile and an isolated page, the same files, sotto before each peer.
//
//   node bench/peers/bench.mjs [OPTION]...
//     --only whisper|gemma         one of the two
//     --models tiny,270m-q8_0,...  default: tiny,base.en and {270m,1b}-{q4_0,q8_0,q4_K_M}; also tiny-q5_1, tiny-q8_0
//     --peers wllama-2,...         default: all of wllama-2, wllama-3, transformers, remotion, timur00kh, shout, and native-llama and native-whisper
//                                  where they are built; none: sotto alone
//     --threads 1,2                default
//     --rounds N                   default 3
//     --clips jfk,address          default: both; jfk is also what warms up
//     --prefill 128,512 --decode 64,256   default; the first goes with the first, the second with the second
//     --limit S                    seconds that one run may take: 300; a peer that takes longer is not run again
//     --quick                      one round, 2 threads, tiny and 270m-q4_0, jfk, prefill 128 and decode 64
//     --out DIR                    where DATE.json and DATE.md go: build/bench-peers
//     --check                      instead: do peers read our files, and do they write what sotto writes? (check.mjs)
//     --serve [--port 8080]        instead: serve the page for a browser of one's own, at /bench/peers/
//
// The packages are installed by `make bench-peers`, or npm ci in bench/peers; native engines are built by `make native-peers`. A peer that fails is told
// in the table.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { serve } from '../../tools/serve.mjs';
import { machine, madeModel, numbers, root } from '../places.mjs';
import { openBrowser } from './browser.mjs';
import { check } from './check.mjs';
import { builtPeer, runNative } from './native/engine.mjs';
import { CLIPS, MODELS, PEERS, plan } from './peers.js';
import { markdown } from './report.js';

const string = { type: 'string' };
const flag = { type: 'boolean', default: false };
const OPTIONS = {
  only: string, models: string, peers: string, threads: string, rounds: string, clips: string, prefill: string, decode: string, limit: string,
  out: string, port: string, quick: flag, check: flag, serve: flag, help: { ...flag, short: 'h' },
};

/** Names between commas, each one that there is. */
function names(text, known, option) {
  const list = text.split(',').filter(Boolean);
  const strange = list.find((name) => !known.includes(name));
  if (strange) throw new Error(`--${option}: there is no ${strange}; there are ${known.join(', ')}`);
  return list;
}

const kindsOf = ({ only = 'whisper,gemma' }) => names(only, ['whisper', 'gemma'], 'only');

/** The models asked for that are here; random weights are made, the others are told how to be fetched. */
async function modelsHere(wanted) {
  const here = [];
  for (const name of wanted) {
    const { address, shape, type, missing } = MODELS[name];
    if (shape) await madeModel(shape, type, (line) => console.error(line));
    if (existsSync(path.join(root, address))) here.push(name);
    else console.error(`skip: ${name} is not there (${missing})`);
  }
  return here;
}

function versionsOf(peers) {
  const version = (file) => JSON.parse(readFileSync(file, 'utf8')).version;
  return Object.fromEntries(peers.map((name) => {
    const { folder, native } = PEERS[name];
    if (native) return [name, builtPeer(name).version];
    const file = path.join(root, folder ? `bench/peers/node_modules/${folder}` : 'js', 'package.json');
    if (!existsSync(file)) throw new Error(`${name} is not installed: make bench-peers, or npm ci in bench/peers`);
    return [name, version(file)];
  }));
}

/** Peers by name that can run here: a native one that is not built is told, and the others go on. */
function peersHere(asked) {
  const others = Object.keys(PEERS).filter((name) => name !== 'sotto');
  return (asked === 'none' ? [] : names(asked ?? others.join(','), others, 'peers')).filter((name) => {
    const here = !PEERS[name].native || builtPeer(name) !== undefined;
    if (!here) console.error(`skip: ${name} is not built (make native-peers)`);
    return here;
  });
}

/** Runs pages in Chromium and native peers by themselves. Undefined: there is no Chromium. */
async function openPlaces() {
  const browser = await openBrowser();
  return browser && { version: browser.version, run: (what, limit_s) => (PEERS[what.peer].native ? runNative : browser.run)(what, limit_s) };
}

const lineOf = ({ measure }) =>
  measure.clip
    ? `${measure.clip} ${(measure.ms / 1e3).toFixed(2)} s, ${(100 * measure.word_error_rate).toFixed(1)} % of words wrong`
    : `prefill of ${measure.prefill} ${measure.prefill_per_s.toFixed(1)}, decode of ${measure.decode} ${measure.decode_per_s.toFixed(1)} tokens/s`;

async function measure(values) {
  const { quick } = values;
  const kinds = kindsOf(values);
  const usual = quick ? 'tiny,270m-q4_0' : Object.keys(MODELS).filter((name) => !MODELS[name].named).join(',');
  const wanted = names(values.models ?? usual, Object.keys(MODELS), 'models').filter((name) => kinds.includes(MODELS[name].kind));
  const peers = peersHere(values.peers);
  const prefills = numbers(values.prefill ?? (quick ? '128' : '128,512'), 'prefill');
  const decodes = numbers(values.decode ?? (quick ? '64' : '64,256'), 'decode');
  if (prefills.length !== decodes.length) throw new Error('--prefill and --decode must have the same number of sizes');
  const what = {
    models: await modelsHere(wanted), peers,
    threads: numbers(values.threads ?? (quick ? '2' : '1,2'), 'threads'),
    rounds: numbers(values.rounds ?? (quick ? '1' : '3'), 'rounds')[0],
    clips: names(values.clips ?? (quick ? 'jfk' : 'jfk,address'), Object.keys(CLIPS), 'clips'),
    pairs: prefills.map((prefill, i) => ({ prefill, decode: decodes[i] })),
    limit_s: numbers(values.limit ?? '300', 'limit')[0],
  };
  const versions = versionsOf(['sotto', ...peers]);
  const places = await openPlaces();
  if (!places) return;
  const report = { about: { ...machine(), browser: places.version, ...what }, versions, runs: [] };
  const folder = path.resolve(root, values.out ?? 'build/bench-peers');
  mkdirSync(folder, { recursive: true });
  const name = path.join(folder, new Date().toISOString().slice(0, 19).replace(/:/g, ''));
  const given_up = new Set();
  for (const step of plan(what)) {
    const mark = `${step.peer} ${step.model} ${step.threads}`;
    const label = `${step.model}, ${step.threads} ${step.threads === 1 ? 'thread' : 'threads'}, ${step.peer}`;
    if (given_up.has(mark) || given_up.has(`${step.against} ${step.model} ${step.threads}`)) continue;
    const size = statSync(path.join(root, MODELS[step.model].address)).size;
    const run = { ...step, kind: MODELS[step.model].kind, model_bytes: size, ...(await places.run({ ...what, ...step }, what.limit_s)) };
    report.runs.push(run);
    writeFileSync(`${name}.json`, JSON.stringify(report, null, 2) + '\n'); // after each run: an interrupted bench has what came until then
    writeFileSync(`${name}.md`, markdown(report));
    const told = [...run.measures.map((m) => lineOf({ measure: m })), ...(run.error ? [`failed: ${run.error}`] : [])];
    console.error(`${label}: ${told.join('; ')}`);
    if (run.error && step.peer !== 'sotto') given_up.add(mark);
  }
  console.log(markdown(report));
  console.error(`written: ${path.relative(process.cwd(), name)}.json and .md`);
}

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    const lines = readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n').slice(1);
    return console.log(lines.slice(0, lines.findIndex((line) => !line.startsWith('//'))).map((line) => line.slice(3)).join('\n'));
  }
  if (values.serve) {
    const { url } = await serve({ folder: root, port: values.port === undefined ? 8080 : Number(values.port) });
    return console.log(`the page is at ${url}bench/peers/ (Ctrl-C ends it)`);
  }
  if (values.check) return check(await openPlaces(), kindsOf(values), ['sotto', ...peersHere(values.peers)]);
  return measure(values);
}

try {
  await main();
} catch (error) {
  console.error(`bench-peers: ${error.message}`);
  process.exitCode = 1;
}
