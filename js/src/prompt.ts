// What a caller says to a language model: messages and options, as the Prompt API writes them and as the worker takes them.
import type { EngineOptions } from './engine.js';
import { notSupported, SottoError } from './errors.js';
import type { ModelInput } from './model-input.js';
import type { Generation, Role, Sampling, Turn } from './protocol.js';

/** A part of a message. The Prompt API also knows images and sound; the models here read text alone. */
export interface TextContent {
  type: 'text';
  value: string;
}

export interface Message {
  role: Role;
  content: string | readonly TextContent[];
  /** Of the last message of a prompt, by the assistant: how the answer begins; the model goes on from there. */
  prefix?: boolean | undefined;
}

/** What the user says, or messages in a row. */
export type PromptInput = string | readonly Message[];

/** Ids of tokens. */
export type TokenIds = ArrayLike<number>;

export interface SamplingOptions {
  /** 0: always the likeliest token. Default 1. */
  temperature?: number | undefined;
  /** Among so many of the likeliest tokens; 0: all. Default 64. */
  topK?: number | undefined;
  /** Among the likeliest tokens that have this probability together. Default 0.95. */
  topP?: number | undefined;
  /** Among tokens with this share of the likeliest one's probability. Default 0. */
  minP?: number | undefined;
  /** As topP, but those whose surprise is nearest to the expected one come first. Default 1: all. */
  typicalP?: number | undefined;
  /** Divides logits of the last tokens. Default 1: not at all. */
  repetitionPenalty?: number | undefined;
  /** Taken from the logits of tokens that are among the last ones. Default 0. */
  presencePenalty?: number | undefined;
  /** The same for each time that they are. Default 0. */
  frequencyPenalty?: number | undefined;
  /** How many of the last tokens the penalties are for. Default 256. */
  penaltyWindow?: number | undefined;
  /** Added to the logits of these tokens, by id; -Infinity: never. */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number> | undefined;
  /** The same seed, the same answer. Default: another one for every answer. */
  seed?: number | undefined;
}

/** What happens when a conversation outgrows the context: its oldest turns are left out, or the call fails. */
export type OverflowPolicy = 'drop' | 'stop';

export interface LanguageModelCreateOptions extends EngineOptions, SamplingOptions {
  /** A Gemma model: an id of the manifest, a GGUF file, or the files of a Hugging Face folder. Default "default". */
  model?: ModelInput | undefined;
  /** How the conversation begins: what the model is told ("system"), or examples. */
  initialPrompts?: readonly Message[] | undefined;
  /** Tokens that a conversation can have. Default: 4096, or what the model was trained for, if that is less. */
  contextWindow?: number | undefined;
  /** How keys and values are kept; q8_0 takes little more than half the memory. Default f16. */
  kvType?: 'f16' | 'q8_0' | undefined;
  /**
   * Tokens are guessed ahead, and several checked at once, where the processor computes: by a smaller model with the same vocabulary, whose memory comes on
   * top, or, with "lookup", by what followed the same words earlier in the text, which pays for summaries, corrections and code. Texts stay the same. Default: none.
   */
  draft?: ModelInput | 'lookup' | undefined;
  /** Most tokens guessed at once, 1 to 15. Default 4; how many are follows from what they bring. */
  draftTokens?: number | undefined;
  /** Default "drop". */
  onOverflow?: OverflowPolicy | undefined;
  /** What save() gave, of the same model: the conversation goes on from there. */
  restore?: Uint8Array | ArrayBuffer | undefined;
  /** Of the Prompt API; here text in, text out is all there is, and anything else is a NotSupportedError. */
  expectedInputs?: readonly { type: string; languages?: readonly string[] | undefined }[] | undefined;
  expectedOutputs?: readonly { type: string; languages?: readonly string[] | undefined }[] | undefined;
  tools?: readonly unknown[] | undefined;
}

/** Sampling options given here count for this answer alone. */
export interface PromptOptions extends SamplingOptions {
  /** Stops this answer; the conversation stays as it was before, and usable. */
  signal?: AbortSignal | undefined;
  /** Most tokens to write. Default: as many as the context takes. */
  maxTokens?: number | undefined;
  /** The answer ends before any of these strings. */
  stop?: string | readonly string[] | undefined;
  /** true: go on with the text as it is, outside the conversation and without the model's chat template. */
  raw?: boolean | undefined;
  /** Tell the log-probability of every token written, and of so many of the likeliest in its place (0 to 20). */
  logprobs?: number | undefined;
  /** Told while the prompt is evaluated: tokens done, of how many. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told at the end: tokens, timings, and why the text ended. */
  onFinish?: ((generation: Generation) => void) | undefined;
  /** Of the Prompt API; not supported: a NotSupportedError. */
  responseConstraint?: unknown;
}

const MOST = 2 ** 31 - 1;

/** [name here, name in sotto.h, lowest, highest, whether whole] */
export const SAMPLING: [Exclude<keyof SamplingOptions, 'logitBias'>, string, number, number, boolean][] = [
  ['temperature', 'temperature', 0, 100, false],
  ['topK', 'top_k', 0, MOST, true],
  ['topP', 'top_p', 0.0001, 1, false],
  ['minP', 'min_p', 0, 1, false],
  ['typicalP', 'typical_p', 0.0001, 1, false],
  ['repetitionPenalty', 'repetition_penalty', 0.01, 100, false],
  ['presencePenalty', 'presence_penalty', -100, 100, false],
  ['frequencyPenalty', 'frequency_penalty', -100, 100, false],
  ['penaltyWindow', 'penalty_window', 0, 1 << 20, true],
  ['seed', 'seed', 0, Number.MAX_SAFE_INTEGER, true],
];

export function checkNumber(name: string, value: unknown, low: number, high: number, whole: boolean): number {
  if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
    throw new SottoError('argument', `${name} must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}.`);
  return value;
}

function biasOf(given: NonNullable<SamplingOptions['logitBias']>): [number, number][] {
  const entries: [unknown, unknown][] = given instanceof Map ? [...given] : Object.entries(given);
  return entries.map(([id, bias]) => {
    if (typeof bias !== 'number' || Number.isNaN(bias) || bias === Infinity)
      throw new SottoError('argument', 'logitBias must have numbers, or -Infinity, by ids of tokens.');
    return [checkNumber('An id in logitBias', Number(id), 0, MOST, true), bias];
  });
}

/** Checked, and as the worker takes them; only what is given. */
export function samplingOf(options: SamplingOptions): Sampling {
  return {
    options: SAMPLING.flatMap(([name, key, low, high, whole]): [string, number][] => {
      const value = options[name];
      return value === undefined ? [] : [[key, checkNumber(name, value, low, high, whole)]];
    }),
    ...(options.logitBias !== undefined && { logitBias: biasOf(options.logitBias) }),
  };
}

/** The options of an answer over those of its session; without a seed, another one for every answer. */
export function combined(session: Sampling, answer: Sampling): Sampling {
  const seed: [string, number] = ['seed', Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)];
  const logitBias = answer.logitBias ?? session.logitBias;
  return { options: [seed, ...session.options, ...answer.options], ...(logitBias && { logitBias }) };
}

/** What an answer may be, checked. */
export interface Limits {
  maxTokens: number;
  stop: string[];
  logprobs?: number | undefined;
}

export function limitsOf({ maxTokens, stop, logprobs, responseConstraint }: PromptOptions): Limits {
  if (responseConstraint !== undefined && responseConstraint !== null)
    throw notSupported('responseConstraint is not supported: ask for the form in words, and check the answer.');
  const stops = typeof stop === 'string' ? [stop] : [...(stop ?? [])];
  if (!stops.every((s) => typeof s === 'string' && s !== '' && !s.includes('\0')))
    throw new SottoError('argument', 'stop must be a string that is not empty, or an array of such strings.');
  return {
    maxTokens: checkNumber('maxTokens', maxTokens ?? MOST, 0, MOST, true),
    stop: stops,
    ...(logprobs !== undefined && { logprobs: checkNumber('logprobs', logprobs, 0, 20, true) }),
  };
}

/** Refuses what the Prompt API has and these models have not. */
export function checkExpectations({
  expectedInputs = [],
  expectedOutputs = [],
  tools = [],
}: LanguageModelCreateOptions): void {
  const other = [...expectedInputs, ...expectedOutputs].find(({ type }) => type !== 'text');
  if (other) throw notSupported(`The models here read and write text alone, not "${other.type}".`);
  if (tools.length > 0) throw notSupported('tools are not supported.');
}

// ---- messages ----

function textOf(content: Message['content']): string | undefined {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  const other = content.find((part) => part?.type !== 'text');
  if (other?.type !== undefined) throw notSupported(`The models here read text alone, not "${other.type}".`);
  return content.every((part) => typeof part?.value === 'string')
    ? content.map((part) => part.value).join('')
    : undefined;
}

/** Turns, and how the answer is to begin. */
export function turnsOf(input: PromptInput): { turns: Turn[]; prefix: string } {
  if (typeof input === 'string') return { turns: [{ role: 'user', content: input }], prefix: '' };
  const wrong = new SottoError(
    'argument',
    'The input must be a string, or an array of { role: "system", "user" or "assistant", content: a string }.',
  );
  if (!Array.isArray(input)) throw wrong;
  const turns = (input as readonly Message[]).map((message) => {
    const content = textOf(message?.content);
    if (content === undefined || !['system', 'user', 'assistant'].includes(message.role)) throw wrong;
    return { role: message.role, content };
  });
  const at = (input as readonly Message[]).findIndex((message) => message.prefix);
  if (at < 0) return { turns, prefix: '' };
  if (at !== turns.length - 1 || turns[at].role !== 'assistant')
    throw new SottoError('argument', 'Only the last message of a prompt can have a prefix, and only as the assistant.');
  return { turns: turns.slice(0, -1), prefix: turns[at].content };
}

/** Messages that stay in a conversation. */
export function historyOf(input: PromptInput): Turn[] {
  const { turns, prefix } = turnsOf(input);
  if (prefix !== '') throw new SottoError('argument', 'A prefix is for prompt() and promptStreaming() alone.');
  return turns;
}

/** One conversation out of two: messages in a row by the same speaker become one, as templates know only turns. */
export function joined(before: readonly Turn[], after: readonly Turn[]): Turn[] {
  const all = before.map((turn) => ({ ...turn }));
  for (const { role, content } of after) {
    const last = all.at(-1);
    if (last?.role === role) last.content += '\n\n' + content;
    else all.push({ role, content });
  }
  return all;
}

/** A conversation that a template takes: it ends with the user, if only with silence. */
export const askable = (turns: Turn[]): Turn[] =>
  turns.at(-1)?.role === 'user' ? turns : [...turns, { role: 'user', content: '' }];

/** A conversation without its oldest turns after the system's. */
export function without(turns: Turn[], dropped: number): Turn[] {
  const nSystem = turns[0]?.role === 'system' ? 1 : 0;
  return [...turns.slice(0, nSystem), ...turns.slice(nSystem + dropped)];
}

/** Ids of tokens, as the worker takes them. */
export function idsOf(ids: TokenIds, least: number): Int32Array {
  const all = Array.from(ids);
  if (all.length < least || !all.every((id) => Number.isInteger(id) && id >= 0 && id <= MOST))
    throw new SottoError('argument', `ids must be the ids of tokens, ${least} at least.`);
  return Int32Array.from(all);
}
