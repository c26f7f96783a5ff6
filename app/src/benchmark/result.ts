/* What a benchmark found, as it is shown, kept and shared: docs/benchmark.md has its JSON. Times in s, sizes in bytes. Results that others wrote
 * are read here too: everything is checked, and what is not known is left out. */

import { Told } from '../ui/told.ts';

export const FORMAT = 'sotto-benchmark';
export const VERSION = 1;

/** Of the rounds. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

export interface ModelFacts {
  id: string;
  name: string;
  bytes: number;
  weights?: string; // type of most of them
  sha256?: string;
}

export interface GpuFacts {
  adapter: string;
  software: boolean; // the processor plays it
  features: string[];
}

export interface Run {
  backend: 'cpu' | 'webgpu';
  threads: number;
  variant: string; // of the four builds
  gpu?: GpuFacts;
  load_s?: number; // of a model that was on the device
  memory_bytes: number; // the engine's linear memory, without that of a GPU
  hidden?: true; // the page was in the background for a time
}

export interface SpeechRun extends Run {
  encode_s: Spread; // a window of 30 s
  step_s: Spread; // a token
  whole_s: Spread; // the clip
  times_real_time: number;
}

export interface LanguageRun extends Run {
  prefill_tokens: number; // of the prompt
  prefill_s: Spread; // all of them
  prefill_tokens_per_s: number;
  decode_tokens: number; // fewer than asked for where the model ended its text
  decode_s: Spread; // a token
  decode_tokens_per_s: number;
}

/** What could not be measured. */
export interface Failure {
  backend: 'cpu' | 'webgpu';
  threads?: number;
  why: string;
}

export interface Part<R extends Run> {
  model: ModelFacts;
  runs: R[];
  failed: Failure[];
}

export interface Result {
  format: typeof FORMAT;
  version: typeof VERSION;
  date: string; // ISO 8601, UTC
  sotto: string; // version
  rounds: number; // after one that warms up
  device: {
    browser: string;
    system: string;
    cores: number;
    memory_bytes?: number; // at least, as browsers tell it
    threads: boolean;
    simd: boolean;
    relaxed_simd: boolean;
    power?: 'mains' | 'battery';
  };
  speech?: Part<SpeechRun> & { clip: { name: string; duration_s: number } };
  language?: Part<LanguageRun>;
}

export type Kind = 'speech' | 'language';

/** Where a run computed, to compare it with another's. */
export type Where = 'one' | 'all' | 'gpu';

export const whereOf = ({ backend, threads }: Pick<Run, 'backend' | 'threads'>): Where =>
  backend === 'webgpu' ? 'gpu' : threads === 1 ? 'one' : 'all';

/* ---- rates ---- */

/** A measured number, to the digits that mean something. */
export const rounded = (x: number): number => Number(x.toPrecision(6));

export const speechRates = (duration_s: number, whole_s: Spread): Pick<SpeechRun, 'times_real_time'> => ({
  times_real_time: rounded(duration_s / whole_s.median),
});

export const languageRates = ({
  prefill_tokens,
  prefill_s,
  decode_s,
}: Pick<LanguageRun, 'prefill_tokens' | 'prefill_s' | 'decode_s'>): Pick<LanguageRun, 'prefill_tokens_per_s' | 'decode_tokens_per_s'> => ({
  prefill_tokens_per_s: rounded(prefill_tokens / prefill_s.median),
  decode_tokens_per_s: rounded(1 / decode_s.median),
});

/** What is done per second, of times that it takes. */
export const rate = (n: number, { median, min, max }: Spread): Spread => ({ median: n / median, min: n / max, max: n / min });

/* ---- writing and reading ---- */

export const jsonOf = (result: Result): string => `${JSON.stringify(result, null, 2)}\n`;

export const LONGEST = 1_000_000; // characters of a result, far more than any has
const MOST_RUNS = 3; // one a place

/** Reads a result. Throws Told with what is wrong. */
export function resultFrom(json: string): Result {
  if (json.length > LONGEST) throw new Told('This is too long to be a result of a benchmark.');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new Told('This is not JSON. Copy the whole result, from the first brace to the last.');
  }
  return checked(value);
}

/** A result of what JSON.parse made; rates are computed anew. Throws Told. */
export function checked(value: unknown): Result {
  const it = new Fields(value, '');
  if (it.any('format') !== FORMAT) throw new Told('This is no result of a sotto benchmark: its "format" is not "sotto-benchmark".');
  const version = it.number('version', 1, 1e6);
  if (version !== VERSION) throw new Told(`This result has version ${version} of the format, and this page reads version ${VERSION}: reload the page to update it.`);
  const device = it.fields('device');
  const result: Result = {
    format: FORMAT,
    version: VERSION,
    date: it.date('date'),
    sotto: it.text('sotto'),
    rounds: it.whole('rounds', 1, 1000),
    device: {
      browser: device.text('browser'),
      system: device.text('system'),
      cores: device.whole('cores', 1, 65536),
      ...device.maybe('memory_bytes', () => ({ memory_bytes: device.number('memory_bytes', 1, 1e15) })),
      threads: device.flag('threads'),
      simd: device.flag('simd'),
      relaxed_simd: device.flag('relaxed_simd'),
      ...device.maybe('power', () => ({ power: device.one('power', ['mains', 'battery'] as const) })),
    },
    ...it.maybe('speech', () => ({ speech: speechPart(it.fields('speech')) })),
    ...it.maybe('language', () => ({ language: languagePart(it.fields('language')) })),
  };
  if (!result.speech && !result.language) throw new Told('This result is empty: it has neither "speech" nor "language".');
  return result;
}

function speechPart(it: Fields): NonNullable<Result['speech']> {
  const clip = it.fields('clip');
  const duration_s = clip.number('duration_s', 0.01, 1e6);
  return {
    model: modelFacts(it.fields('model')),
    clip: { name: clip.text('name'), duration_s },
    runs: runs(it, (run) => {
      const whole_s = spread(run.fields('whole_s'));
      return {
        ...plainRun(run),
        ...{ encode_s: spread(run.fields('encode_s')), step_s: spread(run.fields('step_s')), whole_s },
        ...speechRates(duration_s, whole_s),
      };
    }),
    failed: failures(it),
  };
}

const languagePart = (it: Fields): Part<LanguageRun> => ({
  model: modelFacts(it.fields('model')),
  runs: runs(it, (run) => {
    const measured = {
      prefill_tokens: run.whole('prefill_tokens', 1, 1e9),
      prefill_s: spread(run.fields('prefill_s')),
      decode_tokens: run.whole('decode_tokens', 1, 1e9),
      decode_s: spread(run.fields('decode_s')),
    };
    return { ...plainRun(run), ...measured, ...languageRates(measured) };
  }),
  failed: failures(it),
});

const modelFacts = (it: Fields): ModelFacts => ({
  id: it.text('id'),
  name: it.text('name'),
  bytes: it.number('bytes', 1, 1e15),
  ...it.maybe('weights', () => ({ weights: it.text('weights') })),
  ...it.maybe('sha256', () => ({ sha256: it.hash('sha256') })),
});

function plainRun(it: Fields): Run {
  const backend = it.one('backend', ['cpu', 'webgpu'] as const);
  return {
    backend,
    threads: it.whole('threads', 1, 65536),
    variant: it.text('variant'),
    ...(backend === 'webgpu' && { gpu: gpuFacts(it.fields('gpu')) }),
    ...it.maybe('load_s', () => ({ load_s: it.time('load_s') })),
    memory_bytes: it.number('memory_bytes', 0, 1e15),
    ...it.maybe('hidden', () => it.flag('hidden') && { hidden: true }),
  };
}

const gpuFacts = (it: Fields): GpuFacts => ({
  adapter: it.text('adapter'),
  software: it.flag('software'),
  features: it.list('features', 64).map((_, i, all) => new Fields(all, `${it.path}features`).text(String(i))),
});

function runs<R extends Run>(it: Fields, read: (run: Fields) => R): R[] {
  const all = it.list('runs', MOST_RUNS).map((run, i) => read(new Fields(run, `${it.path}runs.${i}`)));
  if (new Set(all.map(whereOf)).size < all.length) throw new Told(`This result cannot be read: two of ${it.path}runs are of one place.`);
  return all;
}

const failures = (it: Fields): Failure[] =>
  it.list('failed', MOST_RUNS).map((value, i) => {
    const failure = new Fields(value, `${it.path}failed.${i}`);
    return {
      backend: failure.one('backend', ['cpu', 'webgpu'] as const),
      ...failure.maybe('threads', () => ({ threads: failure.whole('threads', 1, 65536) })),
      why: failure.text('why', 1000),
    };
  });

function spread(it: Fields): Spread {
  const [median, min, max] = [it.time('median'), it.time('min'), it.time('max')];
  if (!(min <= median && median <= max)) throw new Told(`This result cannot be read: ${it.path.slice(0, -1)} is not in order (min, median, max).`);
  return { median, min, max };
}

/** The fields of an object in JSON, each read as what it must be. */
class Fields {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly path: string; // with a dot at its end, '' for the whole

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null) throw new Told(`This result cannot be read: ${path || 'it'} is not an object.`);
    this.#value = value as Record<string, unknown>;
    this.path = path && `${path}.`;
  }

  any(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  #wrong(name: string, what: string): never {
    throw new Told(`This result cannot be read: ${this.path}${name} ${this.any(name) === undefined ? 'is missing' : `must be ${what}`}.`);
  }

  /** What `read` gives where the field is there. */
  maybe<T extends object>(name: string, read: () => T | false): T | false {
    return this.any(name) !== undefined && read();
  }

  fields(name: string): Fields {
    return new Fields(this.any(name) ?? this.#wrong(name, 'an object'), `${this.path}${name}`);
  }

  list(name: string, most: number): unknown[] {
    const value = this.any(name);
    if (!Array.isArray(value) || value.length > most) this.#wrong(name, `a list of at most ${most}`);
    return value;
  }

  text(name: string, longest = 200): string {
    const value = this.any(name);
    if (typeof value !== 'string' || value === '' || value.length > longest) this.#wrong(name, `a text of at most ${longest} characters`);
    return value;
  }

  hash(name: string): string {
    const value = this.any(name);
    if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) this.#wrong(name, '64 hexadecimal digits');
    return value;
  }

  date(name: string): string {
    const value = this.text(name, 40);
    const time = Date.parse(value);
    if (Number.isNaN(time)) this.#wrong(name, 'a date as in 2026-01-31T12:00:00.000Z');
    return new Date(time).toISOString();
  }

  one<T extends string>(name: string, of: readonly T[]): T {
    const value = of.find((each) => each === this.any(name));
    return value ?? this.#wrong(name, `one of ${of.join(', ')}`);
  }

  flag(name: string): boolean {
    const value = this.any(name);
    if (typeof value !== 'boolean') this.#wrong(name, 'true or false');
    return value;
  }

  number(name: string, low: number, high: number): number {
    const value = this.any(name);
    if (typeof value !== 'number' || !(value >= low && value <= high)) this.#wrong(name, `a number from ${low} to ${high}`);
    return value;
  }

  whole(name: string, low: number, high: number): number {
    const value = this.number(name, low, high);
    if (!Number.isInteger(value)) this.#wrong(name, 'a whole number');
    return value;
  }

  /** In s; no computer is faster than a nanosecond, and nobody waits for days. */
  time(name: string): number {
    return this.number(name, 1e-9, 1e6);
  }
}
