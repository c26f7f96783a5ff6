// sotto bench: how fast a language model is on this machine, in Node.
//
//   ids, random ─> session: prefill of N in batches ─> decode of N, one by one ─┐
//               └──────────────────── rounds ────────────────────────────────────┴─> medians and bests
import { integer, parse, UsageError } from './args.js';
import { attempt, interruptSignal, mb, peakMemoryBytes, rate, thousandths, write } from './cli-common.js';
import { withLocalModel, type LocalModel } from './cli-engine.js';
import { ACCESS_HELP, ACCESS_SPECS } from './cli-access.js';
import { GPU_HELP, GPU_SPECS, placeAsJson, placeInWords, profileTable, type Place } from './cli-gpu.js';
import {
  HELP_SPEC,
  KV_HELP,
  KV_SPEC,
  languageOption,
  MODEL_HELP,
  MODEL_SPEC,
  namedModel,
  THREADS_HELP,
  THREADS_SPEC,
  type LanguageOptions,
} from './cli-language.js';
import { abortError } from './errors.js';
import type { Profile } from './gpu/profile.js';
import { gpuInfo } from './running.js';
import { AGAIN, openSession, sessionBytes, settled } from './session.js';
import type { Pointer } from './wasm.js';

const HELP = `Usage: sotto bench -m MODEL [OPTION]...
Measures how fast a language model reads (prefill) and writes (decode) on this machine.

${MODEL_HELP}
      --prefill N         tokens read at once (default: 128)
      --decode N          tokens evaluated one by one after them (default: 64)
      --rounds N          rounds after one that warms up (default: 5)
${KV_HELP}
${THREADS_HELP}
${GPU_HELP}
${ACCESS_HELP}
      --profile           with a GPU: where its time goes, of all rounds and the one that warms up
      --json              one line of JSON
  -h, --help              this help

The tokens are random, the same ones each time; choosing tokens is not part of it.
Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
`;

const MOST_ROUNDS = 1000;
const MOST_TOKENS = 1 << 24;

interface Request {
  language: LanguageOptions;
  prefill: number;
  decode: number;
  rounds: number;
  json: boolean;
  profile: boolean;
}

/** undefined: help is wanted. */
function readRequest(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, {
    ...{ help: HELP_SPEC, model: MODEL_SPEC, threads: THREADS_SPEC, kv: KV_SPEC },
    ...GPU_SPECS,
    ...ACCESS_SPECS,
    profile: {},
    ...{ prefill: { value: true }, decode: { value: true }, rounds: { value: true }, json: {} },
  });
  if (options.some(({ name }) => name === 'help')) return undefined;
  const r: Request = { language: { gpu: {} }, prefill: 128, decode: 64, rounds: 5, json: false, profile: false };
  for (const { name, shown, value } of options) {
    if (languageOption(r.language, name, shown, value)) continue;
    if (name === 'json' || name === 'profile') r[name] = true;
    else if (name === 'rounds') r.rounds = integer(shown, value, 1, MOST_ROUNDS);
    else r[name as 'prefill' | 'decode'] = integer(shown, value, 0, MOST_TOKENS);
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}'`);
  if (r.prefill + r.decode === 0) throw new UsageError('there is nothing to measure: --prefill and --decode are 0');
  return r;
}

// ---- measuring ----

/** Times of the rounds in ms, sorted. */
interface Times {
  prefill: number[];
  decode: number[];
}

/** Numbers of a xorshift generator, the same ones each time. */
function* draws(below: number): Generator<number, never> {
  for (let x = 0x9e3779b9; ;) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield (x >>> 0) % below;
  }
}

class Bench {
  readonly #m: LocalModel;
  readonly #r: Request;
  readonly #signal: AbortSignal;
  readonly #session: Pointer;
  /** [prefill + decode] */
  readonly #ids: Pointer;
  readonly #draws: Generator<number, never>;

  constructor(m: LocalModel, r: Request, signal: AbortSignal) {
    this.#m = m;
    this.#r = r;
    this.#signal = signal;
    this.#session = openSession(m, sessionOptions(r));
    this.#ids = m.wasm.alloc((r.prefill + r.decode) * 4);
    this.#draws = draws(m.nVocab);
  }

  async #steps(step: () => number): Promise<void> {
    const { wasm, engine, breathe } = this.#m;
    let status = AGAIN;
    while (status === AGAIN) {
      await breathe();
      if (this.#signal.aborted) throw abortError();
      status = step();
      if (status === AGAIN) await settled(wasm);
    }
    if (status < 0) wasm.fail(status, engine);
  }

  /** Evaluates the first n ids. */
  async #evaluate(n: number): Promise<void> {
    const { wasm, engine } = this.#m;
    const status = wasm.x.sotto_wasm_session_sync(this.#session, this.#ids, n);
    if (status < 0) wasm.fail(status, engine);
    await this.#steps(() => wasm.x.sotto_wasm_session_step(this.#session));
  }

  /** Writes n + 1 tokens, for which n are evaluated, as an answer is written: a GPU runs ahead of those that have come. */
  async #write(n: number): Promise<void> {
    const { wasm, engine, model } = this.#m;
    const sampler = wasm.x.sotto_wasm_sampler_open(model, 0);
    if (sampler === 0) wasm.fail(-1, engine);
    try {
      for (let i = 0; i <= n; i++)
        await this.#steps(() => wasm.row(1, (out) => wasm.x.sotto_wasm_session_next(this.#session, sampler, out)).result);
    } finally {
      wasm.x.sotto_wasm_sampler_close(sampler);
    }
  }

  /** One round on ids of its own, so that nothing of the one before is reused: [prefill, decode] in ms. */
  async #round(): Promise<[number, number]> {
    const { prefill, decode } = this.#r;
    const { wasm, nVocab } = this.#m;
    const view = (): Int32Array => new Int32Array(wasm.memory.buffer, this.#ids, prefill + decode);
    const [before] = view();
    view().set(Int32Array.from({ length: prefill + decode }, () => this.#draws.next().value));
    if (view()[0] === before) view()[0] = (before + 1) % nVocab;
    const begin = performance.now();
    if (prefill > 0) await this.#evaluate(prefill);
    const middle = performance.now();
    if (wasm.gpu && prefill > 0 && decode > 0) await this.#write(decode);
    else for (let i = 1; i <= decode; i++) await this.#evaluate(prefill + i);
    return [middle - begin, performance.now() - middle];
  }

  async run(): Promise<Times> {
    await this.#round(); // warms up
    const rounds: [number, number][] = [];
    for (let i = 0; i < this.#r.rounds; i++) rounds.push(await this.#round());
    const sorted = (at: 0 | 1): number[] => rounds.map((times) => times[at]).sort((a, b) => a - b);
    return { prefill: sorted(0), decode: sorted(1) };
  }
}

const sessionOptions = ({ prefill, decode, language }: Request): [string, number][] => [
  ['n_ctx', prefill + decode],
  ['kv_type', language.kv === 'q8_0' ? 1 : 0],
];

// ---- telling ----

const median = (ms: number[]): number => (ms[(ms.length - 1) >> 1] + ms[ms.length >> 1]) / 2;

const placeOf = ({ started, nThreads }: LocalModel): Place => ({
  backend: started.gpu ? 'webgpu' : 'cpu',
  gpu: gpuInfo(started),
  whyCpu: started.whyCpu,
  threads: nThreads,
});

function asJson(name: string, m: LocalModel, r: Request, times: Times, profile: Profile | undefined): string {
  const of = (part: 'prefill' | 'decode'): Record<string, number> => ({
    [`n_${part}`]: r[part],
    [`${part}_ms`]: thousandths(median(times[part])),
    [`${part}_tokens_per_s`]: thousandths(rate(r[part], median(times[part]))),
    [`${part}_tokens_per_s_best`]: thousandths(rate(r[part], times[part][0])),
  });
  const object = {
    model: name,
    architecture: m.info.architecture,
    name: m.info.name,
    weight_type: m.info.weightType,
    isa: m.isa,
    kv: r.language.kv ?? 'f16',
    threads: m.nThreads,
    ...placeAsJson(placeOf(m)),
    rounds: r.rounds,
    n_parameters: m.info.nParameters,
    weight_bytes: m.info.weightBytes,
    session_bytes: sessionBytes(m, sessionOptions(r)),
    peak_memory_bytes: peakMemoryBytes(),
    load_ms: thousandths(m.loadMs),
    ...of('prefill'),
    ...of('decode'),
    ...(profile && { profile: profile.rows }),
  };
  return JSON.stringify(object) + '\n';
}

function row(name: string, n: number, ms: number[]): string {
  const cells = [median(ms), rate(n, median(ms)), rate(n, ms[0])].map((x) => x.toFixed(1).padStart(12));
  return n > 0 ? `  ${name.padEnd(10)} ${String(n).padStart(6)} ${cells.join(' ')}\n` : '';
}

function asTable(name: string, m: LocalModel, r: Request, times: Times, profile: Profile | undefined): string {
  const { info } = m;
  const heads = ['median ms', 'tokens/s', 'at best'].map((head) => head.padStart(12));
  return (
    `${name}: ${info.architecture}, ${mb(info.nParameters)} M parameters, ${info.weightType}\n` +
    `  ${m.isa}, ${placeInWords(placeOf(m))}, keys and values in ${r.language.kv ?? 'f16'}, ${r.rounds} rounds\n\n` +
    `  ${''.padEnd(10)} ${'tokens'.padStart(6)} ${heads.join(' ')}\n` +
    row('prefill', r.prefill, times.prefill) +
    row('decode', r.decode, times.decode) +
    `\n  load ${m.loadMs.toFixed(1)} ms; weights ${mb(info.weightBytes)} MB, ` +
    `context ${mb(sessionBytes(m, sessionOptions(r)))} MB, peak memory ${mb(peakMemoryBytes())} MB\n` +
    (profile ? `\n${profileTable(profile)}` : '')
  );
}

export async function bench(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv);
  if (!r) {
    await write(HELP);
    return 0;
  }
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const name = namedModel(r.language);
    const { threads, gpu, access } = r.language;
    await withLocalModel(name, { threads, ...gpu, access, profile: r.profile, signal }, async (model) => {
      const times = await new Bench(model, r, signal).run();
      const profile = await model.started.gpu?.player.profile();
      await write((r.json ? asJson : asTable)(name, model, r, times, profile));
    });
  });
}
