// Options of a transcription: their names here and in sotto.h, and what they may be.
import { SottoError } from './errors.js';

export interface DecodeOptions {
  /** A code ("en") or English name ("english"); left out or "auto": detected in the first 30 s. */
  language?: string | undefined;
  /** "translate": into English. Default "transcribe". */
  task?: 'transcribe' | 'translate' | undefined;
  /** false: no times within a window of 30 s. Default true. */
  timestamps?: boolean | undefined;
  /** Beams of the search at temperature 0; 0 or 1: greedy. */
  beamSize?: number | undefined;
  /** Of the beam search; 1 is the plain one. */
  patience?: number | undefined;
  /** Samples drawn at temperatures above 0. */
  bestOf?: number | undefined;
  /** Alpha of the length penalty; negative: rank by mean log-probability. */
  lengthPenalty?: number | undefined;
  /** Most tokens of a window; 0: half the text context. */
  maxTokens?: number | undefined;
  /** Positions of the encoder, of 20 ms each: a shorter window for short audio, which then costs less; 0: all, 30 s. */
  audioCtx?: number | undefined;
  /** The encoder may round to 8 bits on the processor: about a quarter less time for a window, a few more words wrong in noise. */
  fastEncoder?: boolean | undefined;
  /** Of the sampling. */
  seed?: number | undefined;
  /** The first one tried. */
  temperature?: number | undefined;
  /** Added up to 1.0 when a text is not trusted; 0: no fallback. */
  temperatureIncrement?: number | undefined;
  /** zlib ratio above which a text is taken for a loop; 0: off. */
  compressionRatioThreshold?: number | undefined;
  /** Mean log-probability below which a text is not trusted; 0: off. */
  logprobThreshold?: number | undefined;
  /** Probability above which an untrusted window is silence; 1: off. */
  noSpeechThreshold?: number | undefined;
  /** No blank at the start of a window. */
  suppressBlank?: boolean | undefined;
  /** No notes, brackets and other symbols that are not speech. */
  suppressSymbols?: boolean | undefined;
  /** Further token ids never to produce. */
  suppressTokens?: readonly number[] | undefined;
  /** Latest start of the first segment of a window, in s. */
  maxInitialTimestamp?: number | undefined;
  /** The text of a window is the prompt of the next. */
  conditionOnPreviousText?: boolean | undefined;
  /** Text before the first window: names, spelling, style. */
  initialPrompt?: string | undefined;
  /** The first window's text begins with this. */
  prefix?: string | undefined;
}

/** Name here -> kind of value. The name in sotto.h is the same in snake_case. */
const KINDS: Record<keyof DecodeOptions, 'string' | 'number' | 'boolean' | 'task' | 'tokens'> = {
  language: 'string',
  task: 'task',
  timestamps: 'boolean',
  beamSize: 'number',
  patience: 'number',
  bestOf: 'number',
  lengthPenalty: 'number',
  maxTokens: 'number',
  audioCtx: 'number',
  fastEncoder: 'boolean',
  seed: 'number',
  temperature: 'number',
  temperatureIncrement: 'number',
  compressionRatioThreshold: 'number',
  logprobThreshold: 'number',
  noSpeechThreshold: 'number',
  suppressBlank: 'boolean',
  suppressSymbols: 'boolean',
  suppressTokens: 'tokens',
  maxInitialTimestamp: 'number',
  conditionOnPreviousText: 'boolean',
  initialPrompt: 'string',
  prefix: 'string',
};

export type OptionValue = string | number | readonly number[];
/** As the engine takes them. */
export type Options = [string, OptionValue][];

/** The options as the engine takes them: [name in sotto.h, value]. Throws on one that cannot be. */
export function engineOptions(options: DecodeOptions): Options {
  const out: Options = [];
  for (const [name, kind] of Object.entries(KINDS)) {
    const value = options[name as keyof DecodeOptions];
    if (value === undefined || value === null) continue;
    const bad = (what: string): never => {
      throw new SottoError('argument', `The option ${name} must be ${what}.`);
    };
    const key = name.replace(/[A-Z]/g, (c) => '_' + c.toLowerCase());
    if (kind === 'task') {
      if (value !== 'transcribe' && value !== 'translate') bad('"transcribe" or "translate"');
      out.push([key, value === 'translate' ? 1 : 0]);
    } else if (kind === 'boolean') {
      if (typeof value !== 'boolean') bad('true or false');
      out.push([key, value ? 1 : 0]);
    } else if (kind === 'number') {
      if (typeof value !== 'number' || !Number.isFinite(value)) bad('a finite number');
      out.push([key, value as number]);
    } else if (kind === 'string') {
      if (typeof value !== 'string') bad('a string');
      out.push([key, value as string]);
    } else {
      if (!Array.isArray(value) || !value.every((id) => Number.isInteger(id))) bad('an array of token ids');
      out.push([key, value as number[]]);
    }
  }
  return out;
}
