/// <reference lib="esnext.disposable" preserve="true" />
// The public class for text: an engine with a language model, and one conversation, shaped like the Prompt API.
//
//   prompt(input) ──> the conversation and the input ──> worker ──> text ... ──> both join the conversation
//
// The page holds what was said; the worker holds what was evaluated of it, and evaluates only what is new.
import { availabilityOf, Engine, removeModel, type Availability, type Draft } from './engine.js';
import { abortError, SottoError } from './errors.js';
import type { Profile } from './gpu/profile.js';
import type { ModelInput, ModelOptions } from './model-input.js';
import { languageModels, type ManifestModel } from './models.js';
import {
  askable,
  checkExpectations,
  checkNumber,
  combined,
  historyOf,
  idsOf,
  joined,
  limitsOf,
  samplingOf,
  turnsOf,
  without,
  type LanguageModelCreateOptions,
  type Limits,
  type Message,
  type PromptInput,
  type PromptOptions,
  type TokenIds,
} from './prompt.js';
import type { EngineInfo, FromWorker, Generation, LogitRows, Prompt, Sampling, TensorInfo, Turn } from './protocol.js';
import { pack, unpack } from './saved.js';
import { iterable } from './stream.js';
import { Tasks, type Cancel, type Watch } from './tasks.js';

export type { PromptInput, PromptOptions, SamplingOptions } from './prompt.js';

/** The conversation outgrew the context, and its oldest turns were left out. */
export class ContextOverflowEvent extends Event {
  /** Turns left out for this prompt: those of the user, and the answers to them. */
  readonly dropped: number;

  constructor(dropped: number) {
    super('contextoverflow');
    this.dropped = dropped;
  }
}

/** Most of `options` can be undefined: then a default counts. */
const NOTHING: { signal?: AbortSignal | undefined } = {};
const DEFAULTS = { temperature: 1, topK: 64 };

/** How tokens are to be guessed; undefined: not at all. */
function draftOf({ draft, draftTokens }: LanguageModelCreateOptions): Draft | undefined {
  if (draftTokens !== undefined) {
    checkNumber('draftTokens', draftTokens, 1, 15, true);
    if (draft === undefined) throw new SottoError('argument', 'draftTokens goes with draft.');
  }
  if (draft === undefined) return undefined;
  return { model: draft === 'lookup' ? undefined : draft, most: draftTokens };
}

/** An engine and those who use it: a model and its clones. */
interface Shared {
  engine: Engine;
  info: EngineInfo;
  users: number;
  sessions: number;
}

/** What a clone has of its model. */
interface Settings {
  sampling: Sampling;
  drop: boolean;
  /** Options of sessions: how keys and values are kept. */
  kept: [string, number][];
}

export class LanguageModel extends EventTarget {
  /** What runs: build, instruction set, threads, and the model. */
  readonly info: EngineInfo;
  readonly #shared: Shared;
  readonly #session: number;
  readonly #settings: Settings;
  readonly #tasks: Tasks;
  #contextWindow = 0;
  #turns: Turn[] = [];
  #usage = 0;
  #destroyed: Promise<void> | undefined;
  #onOverflow: ((event: ContextOverflowEvent) => void) | null = null;

  private constructor(shared: Shared, settings: Settings) {
    super();
    this.#shared = shared;
    this.#session = shared.sessions++;
    this.#settings = settings;
    this.#tasks = new Tasks(shared.engine);
    this.info = shared.info;
    shared.users++;
    this.addEventListener('contextoverflow', (event) => this.#onOverflow?.(event as ContextOverflowEvent));
  }

  // ---- models ----

  /** Starts an engine, loads a model into it, and evaluates the initial prompts. */
  static async create(options: LanguageModelCreateOptions = {}): Promise<LanguageModel> {
    const {
      model: input = 'default',
      initialPrompts = [],
      contextWindow,
      kvType,
      signal,
      onOverflow = 'drop',
    } = options;
    checkExpectations(options);
    if (!['drop', 'stop'].includes(onOverflow))
      throw new SottoError('argument', 'onOverflow must be "drop" or "stop".');
    if (kvType !== undefined && !['f16', 'q8_0'].includes(kvType))
      throw new SottoError('argument', 'kvType must be "f16" or "q8_0".');
    const saved = options.restore === undefined ? undefined : unpack(options.restore);
    if (saved && initialPrompts.length > 0)
      throw new SottoError('argument', 'A conversation that is restored has its messages: leave initialPrompts out.');
    const context = contextWindow ?? saved?.contextWindow;
    const kept: [string, number][] = kvType === undefined ? [] : [['kv_type', kvType === 'q8_0' ? 1 : 0]];
    const settings = { sampling: samplingOf(options), drop: onOverflow === 'drop', kept };
    const session = [...kept];
    if (context !== undefined) session.push(['n_ctx', checkNumber('contextWindow', context, 1, 2 ** 31 - 1, true)]);
    const turns = historyOf(initialPrompts);

    const { engine, info } = await Engine.open('LanguageModel', 'language', input, options, draftOf(options));
    const model = new LanguageModel({ engine, info, users: 0, sessions: 1 }, settings);
    try {
      model.#contextWindow = await model.#tasks.ask<number>(
        (id) => ({ type: 'open', id, session: model.#session, options: session, saved: saved?.session }),
        { signal },
      );
      if (saved) [model.#turns, model.#usage] = [saved.turns, saved.usage];
      if (turns.length > 0) await model.append(turns, { signal });
      return model;
    } catch (error) {
      await model.destroy();
      throw error;
    }
  }

  /** Whether a model is here, can be fetched, or is unknown or not able to do what is expected. */
  static async availability(options: LanguageModelCreateOptions & ModelOptions = {}): Promise<Availability> {
    try {
      checkExpectations(options);
    } catch {
      return 'unavailable';
    }
    return availabilityOf(options.model ?? 'default', options, 'language');
  }

  /** The language models of the manifest, small to large, with sizes and licences: what `model: ID` can name. */
  static models(): readonly ManifestModel[] {
    return languageModels;
  }

  /** Defaults and bounds of the sampling. */
  static async params(): Promise<{
    defaultTemperature: number;
    maxTemperature: number;
    defaultTopK: number;
    maxTopK: number;
  }> {
    return {
      defaultTemperature: DEFAULTS.temperature,
      maxTemperature: 100,
      defaultTopK: DEFAULTS.topK,
      maxTopK: 2 ** 31 - 1,
    };
  }

  /** Removes a model from the cache. */
  static remove(model: ModelInput, options: ModelOptions = {}): Promise<void> {
    return removeModel(model, options, 'language');
  }

  // ---- the conversation ----

  /** Most tokens that the conversation can have. */
  get contextWindow(): number {
    return this.#contextWindow;
  }

  /** Tokens that the conversation has. */
  get contextUsage(): number {
    return this.#usage;
  }

  get temperature(): number {
    return this.#sampling('temperature') ?? DEFAULTS.temperature;
  }

  get topK(): number {
    return this.#sampling('top_k') ?? DEFAULTS.topK;
  }

  /** The conversation so far, a copy, without turns that were left out. While no answer is under way another one can be
   * assigned; of it the next answer evaluates only what comes after their common beginning. */
  get messages(): readonly Turn[] {
    return this.#turns.map((turn) => ({ ...turn }));
  }

  set messages(messages: readonly Message[]) {
    const turns = joined([], historyOf(messages));
    this.#turns = turns;
    this.#usage = 0;
    if (turns.length === 0) return;
    const measure = async (watch: Watch): Promise<void> => {
      const n = await this.#count(askable(turns), '', watch);
      this.#usage = Math.min(n, this.#contextWindow);
    };
    this.#tasks.inTurn(measure, {}).catch(() => {}); // a conversation that no template takes: the next prompt says so
  }

  /** Called when turns are left out. */
  get oncontextoverflow(): ((event: ContextOverflowEvent) => void) | null {
    return this.#onOverflow;
  }

  set oncontextoverflow(handler: ((event: ContextOverflowEvent) => void) | null) {
    this.#onOverflow = typeof handler === 'function' ? handler : null;
  }

  /** Answers. Several calls queue; input and answer join the conversation when the answer is whole. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    return (await this.#generate(input, options, {})).text;
  }

  /** Answers in pieces as they are written, each of whole characters. Cancelling the stream stops the answer. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): ReadableStream<string> & AsyncIterable<string> {
    let cancel: Cancel = () => {};
    const stream = new ReadableStream<string>({
      start: (controller) => {
        const watch: Watch = {
          on: (message) => message.type === 'text' && controller.enqueue(message.text),
          onCancel: (c) => (cancel = c),
        };
        this.#generate(input, options, watch).then(
          () => controller.close(),
          (error) => controller.error(error),
        );
      },
      cancel: () => cancel(abortError()),
    });
    return iterable(stream);
  }

  /** Adds messages to the conversation without an answer, and evaluates them, so that the next answer comes sooner. */
  async append(input: PromptInput, { signal } = NOTHING): Promise<void> {
    const added = historyOf(input);
    const limits = { maxTokens: 0, stop: [] };
    await this.#tasks.inTurn(
      async (watch) => {
        const turns = joined(this.#turns, added);
        const { generation, dropped } = await this.#write(
          { turns: askable(turns), prefix: '' },
          this.#settings.sampling,
          limits,
          watch,
        );
        this.#turns = without(turns, dropped);
        this.#usage = generation.promptTokens.length;
      },
      { signal },
    );
  }

  /** Tokens that the input would add to the conversation as it is now, turn marks included. */
  async measureContextUsage(input: PromptInput, { signal } = NOTHING): Promise<number> {
    const { turns, prefix } = turnsOf(input);
    return this.#tasks.inTurn(
      async (watch) => {
        const n = await this.#count(askable(joined(this.#turns, turns)), prefix, watch);
        return Math.max(n - this.#usage, 0);
      },
      { signal },
    );
  }

  /** A second conversation that begins as this one is when its turn comes, with the same weights; nothing is evaluated anew. */
  async clone({ signal } = NOTHING): Promise<LanguageModel> {
    if (this.#destroyed) throw this.#closed();
    const copy = new LanguageModel(this.#shared, this.#settings);
    copy.#contextWindow = this.#contextWindow;
    try {
      await this.#tasks.inTurn(
        async (watch) => {
          const [from, session] = [this.#session, copy.#session];
          copy.#turns = this.#turns;
          copy.#usage = this.#usage;
          await this.#tasks.ask((id) => ({ type: 'fork', id, session, from }), watch);
        },
        { signal },
      );
      return copy;
    } catch (error) {
      await copy.destroy();
      throw error;
    }
  }

  /** The conversation as bytes, for create({ restore }), here or on another day. */
  async save({ signal } = NOTHING): Promise<Uint8Array> {
    return this.#tasks.inTurn(
      async (watch) => {
        const session = await this.#tasks.ask<Uint8Array>(
          (id) => ({ type: 'save', id, session: this.#session }),
          watch,
        );
        return pack({ turns: this.#turns, usage: this.#usage, contextWindow: this.#contextWindow, session });
      },
      { signal },
    );
  }

  /** Ends what is under way with an AbortError and frees the memory; the workers end with the last clone. */
  destroy(): Promise<void> {
    this.#destroyed ??= (async () => {
      const { engine } = this.#shared;
      this.#tasks.end(this.#closed());
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

  // ---- the model itself ----

  /** Ids of a text; `special`: names of control tokens in it become those tokens; `bos`: begins with the token that begins texts. */
  async tokenize(
    text: string,
    options: { special?: boolean; bos?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<number[]> {
    if (typeof text !== 'string') throw new SottoError('argument', 'The text to tokenize must be a string.');
    const { special = false, bos = false, signal } = options;
    return this.#tasks.ask<number[]>((id) => ({ type: 'tokenize', id, prompt: { text }, special, bos }), { signal });
  }

  /** The text of ids; `special`: control tokens are shown by their names. */
  async detokenize(
    ids: TokenIds,
    options: { special?: boolean; signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const { special = false, signal } = options;
    const all = idsOf(ids, 0);
    return this.#tasks.ask<string>((id) => ({ type: 'detokenize', id, ids: all, special }), { signal });
  }

  /** Tokens of a text alone, or of messages in the model's template. */
  async countTokens(input: PromptInput, { signal } = NOTHING): Promise<number> {
    if (typeof input === 'string')
      return this.#tasks.ask<number>((id) => ({ type: 'count', id, prompt: { text: input } }), { signal });
    const { turns, prefix } = turnsOf(input);
    return this.#count(askable(joined([], turns)), prefix, { signal });
  }

  /** Log-probabilities of ids[1], ids[2], ... after those before them, outside the conversation. */
  async score(
    ids: TokenIds,
    {
      signal,
      onProgress,
    }: { signal?: AbortSignal | undefined; onProgress?: (done: number, total: number) => void } = {},
  ): Promise<Float32Array> {
    const all = idsOf(ids, 2);
    const on = (message: FromWorker): void => {
      if (message.type === 'evaluated') onProgress?.(message.done, message.total);
    };
    return this.#tasks.ask<Float32Array>((id) => ({ type: 'score', id, ids: all, options: this.#settings.kept }), {
      signal,
      on,
    });
  }

  /** Logits of every token of a text, outside the conversation, some rows at a time; the next are computed while they are used. */
  async *logits(
    ids: TokenIds,
    {
      signal,
      onProgress,
    }: { signal?: AbortSignal | undefined; onProgress?: (done: number, total: number) => void } = {},
  ): AsyncGenerator<LogitRows, void> {
    const all = idsOf(ids, 1);
    const ready: LogitRows[] = [];
    let task = 0;
    let over = false;
    let failure: unknown;
    let cancel: Cancel = () => {};
    let wake = (): void => {};
    const end = (error?: unknown): void => {
      [over, failure] = [true, error];
      wake();
    };
    this.#tasks
      .ask((id) => ({ type: 'logits', id: (task = id), ids: all, options: this.#settings.kept }), {
        signal,
        onCancel: (c) => (cancel = c),
        on: (message) => {
          if (message.type === 'rows') ready.push(message.rows);
          wake();
        },
      })
      .then(() => end(), end);
    try {
      for (;;) {
        while (ready.length === 0 && !over) await new Promise<void>((resolve) => (wake = resolve));
        if (failure !== undefined) throw failure;
        const rows = ready.shift();
        if (!rows) return;
        this.#shared.engine.more(task);
        yield rows;
        onProgress?.(rows.first + rows.rows, all.length);
      }
    } finally {
      if (!over) cancel(abortError());
    }
  }

  /** Names, types and shapes of the model's tensors. */
  tensors(): Promise<TensorInfo[]> {
    return this.#shared.engine.tensors();
  }

  /** Where the time of the GPU went so far, by kernel, of all clones together; with `profile: true`. */
  profile(): Promise<Profile> {
    return this.#shared.engine.profile();
  }

  // ---- tasks ----

  #closed(): SottoError {
    return new SottoError('closed', 'This LanguageModel was destroyed.');
  }

  #sampling(name: string): number | undefined {
    return this.#settings.sampling.options.find(([key]) => key === name)?.[1];
  }

  #count(turns: Turn[], prefix: string, watch: Watch): Promise<number> {
    return this.#tasks.ask<number>((id) => ({ type: 'count', id, prompt: { turns, prefix } }), watch);
  }

  /** Has the worker write. */
  async #write(
    prompt: Prompt,
    sampling: Sampling,
    limits: Limits,
    watch: Watch,
  ): Promise<{ generation: Generation; dropped: number }> {
    let dropped = 0;
    const on = (message: FromWorker): void => {
      if (message.type === 'overflow') {
        dropped = message.dropped;
        this.dispatchEvent(new ContextOverflowEvent(dropped));
      } else watch.on?.(message);
    };
    const generation = await this.#tasks.ask<Generation>(
      (id) => ({
        ...{ type: 'generate', id, session: this.#session, prompt, drop: this.#settings.drop },
        ...{ sampling: combined(this.#settings.sampling, sampling), ...limits },
      }),
      { ...watch, on },
    );
    return { generation, dropped };
  }

  async #generate(input: PromptInput, options: PromptOptions, { on, onCancel }: Watch): Promise<Generation> {
    const { signal, raw = false, onFinish, onProgress } = options;
    const limits = limitsOf(options);
    const sampling = samplingOf(options);
    if (raw && typeof input !== 'string') throw new SottoError('argument', 'With raw the input must be a string.');
    const { turns: added, prefix } = raw ? { turns: [], prefix: '' } : turnsOf(input);
    const listen = (message: FromWorker): void => {
      if (message.type === 'evaluated') onProgress?.(message.done, message.total);
      else on?.(message);
    };
    const generation = await this.#tasks.inTurn(
      async (watch) => {
        const turns = joined(this.#turns, added);
        const prompt = raw ? { text: input as string } : { turns, prefix };
        const written = await this.#write(prompt, sampling, limits, watch);
        if (!raw) {
          const { text, promptTokens, tokens } = written.generation;
          this.#turns = joined(without(turns, written.dropped), [{ role: 'assistant', content: prefix + text }]);
          this.#usage = Math.min(promptTokens.length + tokens.length, this.#contextWindow);
        }
        return written.generation;
      },
      { signal, on: listen, ...(onCancel && { onCancel }) },
    );
    onFinish?.(generation);
    return generation;
  }
}
