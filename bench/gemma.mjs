#!/usr/bin/env node
// Language models in all of the engine's homes: natively, through the package in Node and in Chromium.
//
// A round evaluates each number of --prefill at once (in an empty context but for the token that begins texts), after the first of them
// --decode tokens one by one, greedily; one round more, the first, warms the JIT. Rates: best, then the median in brackets. Loading: to the
// first token, from where the model is kept (Chromium: the Cache API, checked by SHA-256; else the file) and from its bytes in memory.
// Memory: the engine's linear memory, and the peak of the renderer or process before anything is loaded twice; limit, which the engine is to
// stay under: 1.15 times the file, what a conversation takes, and 64 MB.
//
// "of floor": the share of a time that the multiplications alone take at the rate of the best kernel with operands in cache, or reading the
// weights from memory, whichever is longer; see CEILINGS.
//
// node bench/gemma.mjs is node bench/bench.mjs --only gemma.
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './rounds.js';
import { madeModel, megabytes, newestNode, openChromium, output, percent, root, shown, table } from './places.mjs';

/**
 * What one thread and two can do on 2 cores of a Zen 4 server: multiply-adds a second of kernels in a loop over operands in cache (weights of 4
 * bits times one row of 8 bits; the tile of several rows), and bytes read a second. On other machines the shares are of that machine's work.
 */
const CEILINGS = {
  wasm: { decode: [21e9, 42e9], prefill: [44.4e9, 88.8e9], memory: [31.8e9, 48e9] },
  native: { decode: [135e9, 268e9], prefill: [185e9, 368e9], memory: [34.5e9, 36e9] },
};

/** Tokens that a conversation of the package has room for, if nothing else is said. */
const PACKAGE_CONTEXT = 4096;

/** What a row is measured against, for the model that `info` describes. */
function bounds({ where, threads, session_bytes, prefill, decode }, info) {
  const conversation_bytes = session_bytes ?? info.contexts[0]?.f16_bytes; // not known of a model made for less context
  const memory_limit_bytes = conversation_bytes && 1.15 * info.file_bytes + conversation_bytes + 64e6;
  if (threads > 2) return { memory_limit_bytes };
  const of = (name) => CEILINGS[where === 'native' ? 'native' : 'wasm'][name][threads - 1];
  const floor_ms = (multiplications, rate) => 1e3 * Math.max(multiplications / rate, info.weight_bytes / of('memory'));
  const table_parameters = info.n_vocab * info.d_model; // of the embedding, which is also the output's matrix: once a prefill
  const layers = info.n_parameters - table_parameters;
  return {
    memory_limit_bytes,
    decode_share_of_floor: floor_ms(info.n_parameters, of('decode')) / decode.ms_per_token.best,
    prefill_shares_of_floor: prefill.map(({ n, ms }) => floor_ms(n * layers + table_parameters, of('prefill')) / ms.best),
  };
}

async function native(model, { prefill, decode, rounds, loads }, threads) {
  const sotto = async (...args) => JSON.parse(await output(path.join(root, 'build/sotto'), [...args, '-m', model, '--threads', String(threads), '--json']));
  const runs = [];
  for (const [i, n] of prefill.entries()) {
    runs.push(await sotto('bench', '--prefill', String(n), '--decode', String(i === 0 ? decode : 0), '--rounds', String(rounds)));
  }
  const first_tokens = [];
  for (let i = 0; i < loads; i++) {
    const { timings } = await sotto('generate', '-p', '1', '-n', '1', '--temperature', '0');
    first_tokens.push(timings.load_ms + timings.prefill_ms + timings.decode_ms);
  }
  return {
    variant: 'native', isa: runs[0].isa, threads: runs[0].threads, load_ms: runs[0].load_ms,
    prefill: runs.map((run) => ({ n: run.n_prefill, ms: { median: run.prefill_ms, best: (1e3 * run.n_prefill) / run.prefill_tokens_per_s_best } })),
    decode: { n: decode, ms_per_token: { median: runs[0].decode_ms / decode, best: 1e3 / runs[0].decode_tokens_per_s_best } },
    loads: loads > 0 ? { kept: { load_ms: median(runs.map((run) => run.load_ms)), first_token_ms: median(first_tokens) } } : undefined,
    resident_bytes: Math.max(...runs.map((run) => run.peak_memory_bytes)), session_bytes: Math.max(...runs.map((run) => run.session_bytes)),
  };
}

async function node(model, options, threads) {
  const run = async (kind, more) => JSON.parse(await output(newestNode(), ['bench/in-node.mjs', kind, JSON.stringify({ ...options, model, threads, ...more })]));
  const row = await run('text');
  return { ...row, loads: options.loads > 0 ? await run('textLoads', { address: model }) : undefined };
}

async function sha256(file) {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part);
  return hash.digest('hex');
}

/** A row for each number of threads. */
async function* chromium(file, options, threadCounts) {
  const browser = await openChromium();
  if (!browser) return;
  try {
    const address = browser.address(file);
    const what = { ...options, address, model: { url: address, sha256: await sha256(file), size: statSync(file).size } };
    const { fetch_ms } = await browser.run('textFetch', { ...what, threads: threadCounts.at(-1) });
    for (const threads of threadCounts) {
      const row = await browser.run('text', { ...what, threads });
      if (!row.cached) throw new Error('Chromium did not keep the model in its cache');
      yield { ...row, fetch_ms, loads: options.loads > 0 ? await browser.run('textLoads', { ...what, threads }) : undefined };
    }
  } finally {
    await browser.close();
  }
}

/** Rows of one model; `progress(row)` is told of each as it comes. */
async function benchModel(file, options, { where, threads: threadCounts }, progress) {
  const rows = [];
  const info = JSON.parse(await output(path.join(root, 'build/sotto'), ['info', '--json', '--ctx', String(PACKAGE_CONTEXT), file]));
  const add = (place, row) => {
    const whole = { model: path.basename(file), model_bytes: statSync(file).size, where: place, ...row };
    rows.push({ ...whole, ...bounds(whole, info) });
    progress(rows.at(-1));
  };
  const homes = { native, node };
  for (const [name, run] of Object.entries(homes)) {
    for (const threads of where.includes(name) ? threadCounts : []) add(name, await run(file, options, threads));
  }
  if (where.includes('chromium')) for await (const row of chromium(file, options, threadCounts)) add('chromium', row);
  return rows;
}

/** Rows of the models given, or of all shapes and types; `progress(line)` is told of each as it comes. */
export async function benchGemma({ models, shapes, types, ...options }, places, progress) {
  const rows = [];
  const run = async (file, most) => {
    const { rounds = most, loads = most } = options;
    rows.push(...(await benchModel(file, { ...options, rounds, loads }, places, (row) => progress(rowLine(row)))));
  };
  for (const file of models) await run(path.resolve(file), 3);
  if (models.length > 0) return { rows };
  for (const shape of shapes) for (const type of types) await run(await madeModel(`gemma3-${shape}`, type, progress), shape === '270m' ? 3 : 1);
  return { rows };
}

// ---- what is printed ----

const rate = ({ best, median }, n = 1) => `${shown((1e3 * n) / best, n === 1 ? 1 : 0)} (${shown((1e3 * n) / median, n === 1 ? 1 : 0)})`;

const rowLine = (row) =>
  `${row.model}, ${row.where}, ${row.variant}, ${row.threads} ${row.threads === 1 ? 'thread' : 'threads'}: ` +
  `${row.prefill.map(({ n, ms }) => `prefill of ${n} ${rate(ms, n)}`).join(', ')}, decode of ${row.decode.n} ${rate(row.decode.ms_per_token)} tokens/s`;

export function gemmaTable({ rows }) {
  const sizes = rows[0]?.prefill.map(({ n }) => n) ?? [];
  const head = [
    'model', 'where', 'variant', 'threads', ...sizes.flatMap((n) => [`prefill ${n}/s`, 'of floor']), 'decode/s', 'of floor',
    'kept to 1st token ms', 'bytes to it ms', 'linear MB', 'process MB', 'limit MB',
  ];
  const cells = (row) => [
    row.model.replace(/\.gguf$/, ''), row.where, row.variant, row.threads,
    ...row.prefill.flatMap(({ n, ms }, i) => [rate(ms, n), percent(row.prefill_shares_of_floor?.[i])]),
    rate(row.decode.ms_per_token), percent(row.decode_share_of_floor),
    shown(row.loads?.kept.first_token_ms ?? row.first_token_ms), shown(row.loads?.from_bytes?.first_token_ms),
    megabytes(row.memory_bytes), megabytes(row.renderer_bytes ?? row.resident_bytes), megabytes(row.memory_limit_bytes),
  ];
  return table(head, rows.map(cells));
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.argv.push('--only', 'gemma');
  void import('./bench.mjs');
}
