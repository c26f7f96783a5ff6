/// <reference lib="esnext.disposable" preserve="true" />
// The public class for text: an engine with a language model, and one conversation, shaped like the Prompt API.
//
//   prompt(input) ──> the conversation and the input ──> worker ──> text ... ──> both join the conversation
//
// The page holds the messages; the worker holds what was evaluated of them, and evaluates only what is new.
import { availabilityOf, Engine, removeModel, type Availability, type EngineOptions } from './engine.js';
import { abortError, SottoError } from './errors.js';
import { streamOf, type ModelInput, type ModelOptions } from './input.js';
import type { EngineInfo, FromWorker, Generation, Message, Prompt, ToWorker } from './protocol.js';

/** What the user says, or messages in a row. */
export type PromptInput = string | readonly Message[];

export interface SamplingOptions {
  /** 0: always the likeliest token. Default 1. */
  temperature?: number | undefined;
  /** Among so many of the likeliest tokens; 0: all. Default 64. */
  topK?: number | undefined;
  /** Among the likeliest tokens that have this probability together. Default 0.95. */
  topP?: number | undefined;
  /** Among tokens with this share of the likeliest one's probability. Default 0. */
  minP?: number | undefined;
  /** Divides logits of the last 256 tokens. Default 1: not at all. */
  repetitionPenalty?: number | undefined;
  /** The same seed, the same answer. Default: another one for every answer. */
  seed?: number | undefined;
}

export interface LanguageModelCreateOptions extends EngineOptions, SamplingOptions {
  /** A GGUF file with a Gemma model. */
  model: ModelInput;
  /** How the conversation begins: what the model is told ("system"), or examples. */
  initialPrompts?: readonly Message[] | undefined;
  /** Tokens that a conversation can have. Default: 4096, or what the model was trained for, if that is less. */
  contextWindow?: number | undefined;
}

export interface PromptOptions {
  /** Stops this answer; the conversation stays as it was before, and usable. */
  signal?: AbortSignal | undefined;
  /** Most tokens to write. Default: as many as the context takes. */
  maxTokens?: number | undefined;
  /** The answer ends before any of these strings. */
  stop?: string | readonly string[] | undefined;
  /** true: go on with the text as it is, outside the conversation and without the model's chat template. */
  raw?: boolean | undefined;
  /** Told at the end: tokens, timings, and why the text ended. */
  onFinish?: ((generation: Generation) => void) | undefined;
}

/** [name here, name in sotto.h, lowest, highest, whether whole] */
const SAMPLING: [keyof SamplingOptions, string, number, number, boolean][] = [
  ['temperature', 'temperature', 0, 100, false],
  ['topK', 'top_k', 0, 2 ** 31 - 1, true],
  ['topP', 'top_p', 0.0001, 1, false],
  ['minP', 'min_p', 0, 1, false],
  ['repetitionPenalty', 'repetition_penalty', 0.01, 100, false],
  ['seed', 'seed', 0, Number.MAX_SAFE_INTEGER, true],
];

function checkNumber(name: string, value: unknown, low: number, high: number, whole: boolean): number {
  if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
    throw new SottoError('argument', `${name} must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}.`);
  return value;
}

function samplingOf(options: SamplingOptions): [string, number][] {
  return SAMPLING.flatMap(([name, key, low, high, whole]): [string, number][] => {
    const value = options[name];
    return value === undefined ? [] : [[key, checkNumber(name, value, low, high, whole)]];
  });
}

function messagesOf(input: PromptInput): Message[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  const ok = (m: Message): boolean =>
    ['system', 'user', 'assistant'].includes(m?.role) && typeof m.content === 'string';
  if (!Array.isArray(input) || !input.every(ok))
    throw new SottoError(
      'argument',
      'The input must be a string, or an array of { role: "system", "user" or "assistant", content: a string }.',
    );
  return input.map(({ role, content }) => ({ role, content }));
}

/** One conversation out of two: messages in a row by the same speaker become one, as templates know only turns. */
function joined(before: readonly Message[], after: readonly Message[]): Message[] {
  const all = before.map((m) => ({ ...m }));
  for (const { role, content } of after) {
    const last = all.at(-1);
    if (last?.role === role) last.content += '\n\n' + content;
    else all.push({ role, content });
  }
  return all;
}

/** A conversation that a template takes: it ends with the user, if only with silence. */
const askable = (messages: Message[]): Message[] =>
  messages.at(-1)?.role === 'user' ? messages : [...messages, { role: 'user', content: '' }];

/** An engine and those who use it: a model and its clones. */
interface Shared {
  engine: Engine;
  info: EngineInfo;
  users: number;
  sessions: number;
}

export class LanguageModel {
  /** What runs: build, instruction set, threads, and the model. */
  readonly info: EngineInfo;
  readonly #shared: Shared;
  readonly #session: number;
  readonly #sampling: [string, number][];
  readonly #cancels = new Set<(error: unknown) => void>();
  #contextWindow = 0;
  #messages: Message[] = [];
  #usage = 0;
  #last: Promise<unknown> = Promise.resolve();
  #destroyed: Promise<void> | undefined;

  private constructor(shared: Shared, sampling: [string, number][]) {
    this.#shared = shared;
    this.#session = shared.sessions++;
    this.#sampling = sampling;
    this.info = shared.info;
    shared.users++;
  }

  /** Starts an engine, loads a model into it, and evaluates the initial prompts. */
  static async create(options: LanguageModelCreateOptions): Promise<LanguageModel> {
    if (options?.model === undefined)
      throw new SottoError('argument', 'LanguageModel.create() needs a model: the address or the bytes of a GGUF file.');
    const { initialPrompts = [], contextWindow, signal } = options;
    const sampling = samplingOf(options);
    const messages = messagesOf(initialPrompts);
    const context = contextWindow === undefined ? 0 : checkNumber('contextWindow', contextWindow, 1, 2 ** 31 - 1, true);
    const { engine, info } = await Engine.open('LanguageModel', 'language', options.model, options);
    const model = new LanguageModel({ engine, info, users: 0, sessions: 1 }, sampling);
    try {
      await model.#open(context, signal);
      if (messages.length > 0) await model.append(messages, { signal });
      return model;
    } catch (error) {
      await model.destroy();
      throw error;
    }
  }

  /** Whether a model is in the cache, can be fetched, or is unknown; other inputs than ids count as available. */
  static async availability(options: { model: ModelInput } & ModelOptions): Promise<Availability> {
    return availabilityOf(options.model, options);
  }

  /** Removes a model from the cache. */
  static remove(model: string | { url: string | URL; sha256: string }): Promise<void> {
    return removeModel(model);
  }

  /** Most tokens that the conversation can have. */
  get contextWindow(): number {
    return this.#contextWindow;
  }

  /** Tokens that the conversation has. */
  get contextUsage(): number {
    return this.#usage;
  }

  /** The conversation so far, a copy. While no answer is under way another one can be assigned; of it the next answer
   * evaluates only what comes after their common beginning. */
  get messages(): readonly Message[] {
    return this.#messages.map((message) => ({ ...message }));
  }

  set messages(messages: readonly Message[]) {
    this.#messages = joined([], messagesOf(messages));
  }

  /** Answers. Several calls queue; input and answer join the conversation when the answer is whole. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    return (await this.#generate(input, options, () => {})).text;
  }

  /** Answers in pieces as they are written, each of whole characters. Cancelling the stream stops the answer. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): ReadableStream<string> & AsyncIterable<string> {
    let cancel: (error: unknown) => void = () => {};
    const stream = new ReadableStream<string>({
      start: (controller) => {
        this.#generate(
          input,
          options,
          (text) => controller.enqueue(text),
          (c) => (cancel = c),
        ).then(
          () => controller.close(),
          (error) => controller.error(error),
        );
      },
      cancel: () => cancel(abortError()),
    });
    if (!(Symbol.asyncIterator in stream)) {
      // Safari
      Object.defineProperty(stream, Symbol.asyncIterator, { value: () => streamOf(stream as ReadableStream<string>) });
    }
    return stream as ReadableStream<string> & AsyncIterable<string>;
  }

  /** Adds messages to the conversation without an answer, and evaluates them, so that the next answer comes sooner. */
  async append(input: PromptInput, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const added = messagesOf(input);
    let messages: Message[] = [];
    const { promptTokens } = await this.#queue(
      (id) => {
        messages = joined(this.#messages, added);
        return this.#message(id, { messages: askable(messages) }, 0, []);
      },
      signal,
      () => {
        this.#messages = messages;
      },
    );
    this.#usage = promptTokens.length;
  }

  /** Tokens of a text alone, or of messages in the model's template. */
  async countTokens(input: PromptInput): Promise<number> {
    const prompt: Prompt = typeof input === 'string' ? { text: input } : { messages: askable(joined([], messagesOf(input))) };
    return new Promise((resolve, reject) => {
      this.#run((id) => ({ type: 'count', id, prompt }), undefined, reject, (message) => {
        if (message.type === 'counted') resolve(message.n);
      });
    });
  }

  /** A second conversation that begins as this one is now, with the same weights; it evaluates its messages anew. */
  async clone({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<LanguageModel> {
    if (this.#destroyed) throw this.#closed();
    const copy = new LanguageModel(this.#shared, this.#sampling);
    copy.#messages = this.#messages;
    copy.#usage = this.#usage;
    try {
      await copy.#open(this.#contextWindow, signal);
      return copy;
    } catch (error) {
      await copy.destroy();
      throw error;
    }
  }

  /** Ends what is under way with an AbortError and frees the memory; the workers end with the last clone. */
  destroy(): Promise<void> {
    this.#destroyed ??= (async () => {
      const { engine } = this.#shared;
      for (const cancel of [...this.#cancels]) cancel(abortError());
      if (--this.#shared.users === 0) await engine.destroy();
      else engine.closeSession(this.#session);
    })();
    return this.#destroyed;
  }

  [Symbol.dispose](): void {
    void this.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  #closed(): SottoError {
    return new SottoError('closed', 'This LanguageModel was destroyed.');
  }

  #open(context: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const session = this.#session;
      this.#run((id) => ({ type: 'open', id, session, context }), signal, reject, (message) => {
        if (message.type === 'opened') this.#contextWindow = message.contextWindow;
        resolve();
      });
    });
  }

  /** Hands a task to the engine; its message is made when its turn comes. */
  #run(
    make: (id: number) => ToWorker | Promise<ToWorker>,
    signal: AbortSignal | undefined,
    reject: (error: unknown) => void,
    receive: (message: FromWorker) => void,
  ): (error: unknown) => void {
    if (this.#destroyed) {
      reject(this.#closed());
      return () => {};
    }
    let cancel: (error: unknown) => void = () => {};
    cancel = this.#shared.engine.run(
      {
        prepare: async (id) => ({ message: await make(id) }),
        receive: (message) => {
          if (message.type !== 'text') this.#cancels.delete(cancel);
          receive(message);
        },
        reject: (error) => {
          this.#cancels.delete(cancel);
          reject(error);
        },
      },
      signal,
    );
    this.#cancels.add(cancel);
    return cancel;
  }

  /** A generation after those before it, as each begins where the last one left the conversation. */
  #queue(
    make: (id: number) => ToWorker,
    signal: AbortSignal | undefined,
    finish: (generation: Generation) => void,
    onText: (text: string) => void = () => {},
    onCancel: (cancel: (error: unknown) => void) => void = () => {},
  ): Promise<Generation> {
    const before = this.#last;
    const done = new Promise<Generation>((resolve, reject) => {
      const cancel = this.#run(
        async (id) => {
          await before;
          return make(id);
        },
        signal,
        reject,
        (message) => {
          if (message.type === 'text') onText(message.text);
          if (message.type !== 'generated') return;
          finish(message.generation);
          resolve(message.generation);
        },
      );
      onCancel(cancel);
    });
    this.#last = Promise.allSettled([before, done]);
    return done;
  }

  #message(id: number, prompt: Prompt, maxTokens: number, stop: string[]): ToWorker {
    const seed: [string, number] = ['seed', Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)];
    return { type: 'generate', id, session: this.#session, prompt, sampling: [seed, ...this.#sampling], maxTokens, stop };
  }

  async #generate(
    input: PromptInput,
    options: PromptOptions,
    onText: (text: string) => void,
    onCancel?: (cancel: (error: unknown) => void) => void,
  ): Promise<Generation> {
    const { signal, raw = false, onFinish } = options;
    const maxTokens = checkNumber('maxTokens', options.maxTokens ?? 2 ** 31 - 1, 0, 2 ** 31 - 1, true);
    const stop = typeof options.stop === 'string' ? [options.stop] : [...(options.stop ?? [])];
    if (!stop.every((s) => typeof s === 'string' && s !== '' && !s.includes('\0')))
      throw new SottoError('argument', 'stop must be a string that is not empty, or an array of such strings.');
    if (raw && typeof input !== 'string') throw new SottoError('argument', 'With raw the input must be a string.');
    const added = raw ? [] : messagesOf(input);
    let messages: Message[] = [];
    const make = (id: number): ToWorker => {
      if (raw) return this.#message(id, { text: input as string }, maxTokens, stop);
      messages = joined(this.#messages, added);
      return this.#message(id, { messages }, maxTokens, stop);
    };
    const finish = (generation: Generation): void => {
      if (raw) return;
      const { text, promptTokens, tokens } = generation;
      this.#messages = joined(messages, [{ role: 'assistant', content: text }]);
      this.#usage = Math.min(promptTokens.length + tokens.length, this.#contextWindow);
    };
    const generation = await this.#queue(make, signal, finish, onText, onCancel);
    onFinish?.(generation);
    return generation;
  }
}
