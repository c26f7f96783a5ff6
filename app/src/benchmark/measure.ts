/* One run: a model in one place, opened, warmed up, measured some rounds, closed.
 *
 *   model ──> engine (on the processor or the GPU) ──> a round to warm up ──> rounds ──> median, least, most
 *
 * A round is that of the benches (bench/rounds.js). Signals stop it at any time. */

import { LanguageModel, Transcriber, type EngineInfo, type Monitor } from 'sotto';
import { median, speechRound, textRound } from '../../../bench/rounds.js';
import { Told } from '../ui/told.ts';
import type { Candidate } from './models.ts';
import { languageRates, rounded, speechRates, type LanguageRun, type Run, type SpeechRun, type Spread, type Where } from './result.ts';

export const TOKENS = { prefill: 128, decode: 64 };
/** Where the processor plays a GPU. */
const FEW_TOKENS = { prefill: 16, decode: 8 };

export interface Job {
  model: Candidate;
  where: Where;
  rounds: number;
  signal: AbortSignal;
  onBytes: (loaded: number, total: number) => void; // of the model
  onRound: (done: number) => void; // the one that warms up is the first
}

const options = ({ model, where, signal, onBytes }: Job) => ({
  model: model.input,
  sources: model.sources,
  backend: where === 'gpu' ? ('webgpu' as const) : ('cpu' as const),
  ...(where === 'one' && { threads: 1 }),
  signal,
  monitor: (m: Monitor) => m.addEventListener('downloadprogress', ({ loaded, total }) => onBytes(loaded, total || model.bytes)),
});

const spread = (ms: number[]): Spread => {
  const s = (one: number) => rounded(one / 1e3);
  return { median: s(median(ms)), min: s(Math.min(...ms)), max: s(Math.max(...ms)) };
};

/** A model that was fetched first says nothing about loading. */
const facts = ({ backend, threads, variant, gpu, loadMs, cached }: EngineInfo, model: Candidate, memory_bytes: number): Run => ({
  ...{ backend, threads, variant },
  ...(gpu && { gpu: { adapter: gpu.adapter, software: gpu.software, features: gpu.features } }),
  ...((cached || model.stored) && { load_s: rounded(loadMs / 1e3) }),
  memory_bytes,
});

/** Rounds after one that warms up. */
async function measured<T>({ rounds, signal, onRound }: Job, round: (i: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let i = 0; i <= rounds; i++) {
    onRound(i);
    signal.throwIfAborted();
    all.push(await round(i));
  }
  return all.slice(1);
}

/** Measures transcribing a clip. Throws what the package throws. */
export async function measureSpeech(job: Job, clip: Blob, duration_s: number): Promise<SpeechRun> {
  const { signal, model } = job;
  const transcriber = await Transcriber.create(options(job));
  try {
    const all = await measured(job, () => speechRound(transcriber, clip, { signal }));
    const of = (name: 'encode_ms' | 'step_ms' | 'whole_ms') => spread(all.map((run) => run[name]));
    const whole_s = of('whole_ms');
    return {
      ...facts(transcriber.info, model, Math.max(...all.map((run) => run.memory_bytes))),
      ...{ encode_s: of('encode_ms'), step_s: of('step_ms'), whole_s },
      ...speechRates(duration_s, whole_s),
    };
  } finally {
    await transcriber.destroy(); // before the next engine starts
  }
}

/** Measures reading and writing tokens. Throws what the package throws, or Told. */
export async function measureLanguage(job: Job): Promise<LanguageRun> {
  const { signal, model } = job;
  const session = await LanguageModel.create(options(job));
  try {
    const tokens = session.info.gpu?.software ? FEW_TOKENS : TOKENS;
    const all = await measured(job, (seed) => textRound(session, { ...tokens, seed, signal }));
    const decode_tokens = Math.min(...all.map((run) => run.n_decode));
    if (decode_tokens < 1) throw new Told(`${model.name} ended its text at once, so that nothing can be measured. Choose another model.`);
    const found = {
      prefill_tokens: tokens.prefill,
      prefill_s: spread(all.map((run) => run.prefill_ms)),
      decode_tokens,
      decode_s: spread(all.map((run) => run.decode_ms / run.n_decode)),
    };
    return {
      ...facts(session.info, model, Math.max(...all.map((run) => run.memory_bytes))),
      ...found,
      ...languageRates(found),
    };
  } finally {
    await session.destroy(); // before the next engine starts
  }
}
