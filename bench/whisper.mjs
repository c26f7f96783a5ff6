// Transcription of one clip in all of the engine's homes: natively, through the package in Node and in Chromium.
//
// Medians of --repeats runs after one to warm up. "of floor": the share of the encoder's time that its multiplications alone take, at the
// rate that the matrix tile reaches on this machine with its operands in cache (bench/kernels.c, run first, one thread; in Node for the
// browser, whose compiler is the same).
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { median } from './rounds.js';
import { megabytes, newestNode, openChromium, output, percent, root, shown, table } from './places.mjs';

/** Multiply-adds of one window (30 s): encoder with the cross attention's keys and values. */
function encoderMultiplications(model) {
  const info = JSON.parse(execFileSync(process.execPath, [path.join(root, 'js/bin/sotto.js'), 'info', '--json', model], { encoding: 'utf8' }));
  const { n_mel, n_audio_ctx: t, n_audio_state: d, n_audio_layer, n_text_layer } = info;
  const convolutions = 2 * t * d * 3 * n_mel + t * d * 3 * d;
  const layer = 12 * t * d * d + 2 * t * t * d;
  const cross = 2 * t * d * d;
  return convolutions + n_audio_layer * layer + n_text_layer * cross;
}

/** Multiply-adds a second of the best tile, one thread; undefined where it is not built. */
function tileRate(native, variant) {
  const [command, ...args] = native
    ? [path.join(root, 'build/bench/kernels')]
    : [newestNode(), '--no-liftoff', path.join(root, 'tests/wasm/run.mjs'), path.join(root, `build/wasm-tests/${variant}-single/bench_kernels.wasm`)];
  if (!existsSync(args.at(-1) ?? command)) return undefined;
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  const rates = [...stdout.matchAll(/tile \d+ x \d+, k +384 +([\d.]+) GMAC/g)].map((match) => Number(match[1]));
  return rates.length > 0 ? 1e9 * Math.max(...rates.slice(-2)) : undefined;
}

async function native({ model, audio, beam, repeats }, threads) {
  const runs = [];
  for (let i = 0; i <= repeats; i++) {
    const args = ['transcribe', '-m', model, '-l', 'en', '--beam', String(beam), '--threads', String(threads), '--json', '--quiet', audio];
    runs.push(JSON.parse(await output(path.join(root, 'build/sotto'), args)));
  }
  const of = (name) => median(runs.slice(1).map((run) => run.timings[name]));
  const { n_encode, n_decode } = runs[0].timings;
  return {
    variant: 'native', threads, load_ms: of('load_ms'), mel_ms: of('mel_ms'), encode_ms: of('encode_ms') / n_encode,
    decode_ms_per_step: of('decode_ms') / n_decode, decode_steps: n_decode, windows: n_encode, whole_ms: of('total_ms'),
    memory_bytes: Math.max(...runs.map((run) => run.peak_memory_bytes)), text: runs[0].text,
  };
}

/** All rows, and what they are of; `progress(line)` is told of each row as it comes. */
export async function benchWhisper(options, { where, threads: threadCounts }, progress) {
  const { model, audio, beam, repeats, variant } = options;
  const rows = [];
  const multiplications = encoderMultiplications(model);
  const rates = {};
  const add = (place, row) => {
    const kind = place === 'native' ? 'native' : row.variant.split('-')[0];
    rates[kind] ??= tileRate(kind === 'native', kind);
    const floor_ms = rates[kind] && (1e3 * multiplications) / (rates[kind] * row.threads);
    rows.push({
      where: place, ...row, encode_gflops: (2e-6 * multiplications) / row.encode_ms,
      ...(floor_ms && { encode_share_of_floor: floor_ms / row.encode_ms }),
    });
    progress(`${path.basename(model)}, ${place}, ${row.variant}, ${row.threads} ${row.threads === 1 ? 'thread' : 'threads'}: ${shown(row.whole_ms)} ms`);
  };
  const what = (threads) => ({ model, audio, threads, variant, repeats, options: { beamSize: beam } });
  for (const threads of where.includes('native') ? threadCounts : []) add('native', await native(options, threads));
  for (const threads of where.includes('node') ? threadCounts : []) {
    add('node', JSON.parse(await output(newestNode(), ['bench/in-node.mjs', 'speech', JSON.stringify(what(threads))])));
  }
  const browser = where.includes('chromium') ? await openChromium() : undefined;
  try {
    for (const threads of browser ? threadCounts : []) {
      add('chromium', await browser.run('speech', { ...what(threads), model: browser.address(model), audio: browser.address(audio) }));
    }
  } finally {
    await browser?.close();
  }
  return {
    model: path.basename(model), model_bytes: statSync(model).size, audio: path.basename(audio), repeats,
    tile_gmacs: Object.fromEntries(Object.entries(rates).map(([kind, rate]) => [kind, rate && rate / 1e9])),
    rows,
  };
}

export function whisperTable({ rows }) {
  const head = ['where', 'variant', 'threads', 'load ms', 'mel ms', 'encode ms', 'of floor', 'ms/step', 'whole ms', 'memory MB', 'process MB'];
  const cells = (row) => [
    row.where, row.variant, row.threads, shown(row.load_ms), shown(row.mel_ms, 1), shown(row.encode_ms), percent(row.encode_share_of_floor),
    shown(row.decode_ms_per_step, 2), shown(row.whole_ms), megabytes(row.memory_bytes), megabytes(row.renderer_bytes ?? row.resident_bytes),
  ];
  return table(head, rows.map(cells));
}
