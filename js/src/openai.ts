/// <reference lib="esnext.disposable" preserve="true" />
// A client of OpenAI's shape whose models run here: for code that speaks that API already.
//
//   chat.completions.create ────> a LanguageModel, loaded when its name is asked for first ──> completion, chunks
//   audio.transcriptions.create ─> a Transcriber, the same ──────────────────────────────────> transcript
import {
  LanguageModel,
  Transcriber,
  models as comeAlong,
  readManifest,
  type AudioInput,
  type EngineOptions,
  type LanguageModelCreateOptions,
  type ManifestModel,
  type ModelInput,
} from './index.js';
import { speechRequest, transcribe } from './openai-audio.js';
import {
  chatRequest,
  chunksOf,
  completionOf,
  headingOf,
  write,
  type ChatRequest,
  type Heading,
  type Stream,
} from './openai-chat.js';
import {
  APIConnectionError,
  APIError,
  APIUserAbortError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  toAPIError,
} from './openai-errors.js';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatParams,
  Model,
  RequestOptions,
  SpeechAnswer,
  SpeechFormat,
  SpeechParams,
  TranscriptionParams,
} from './openai-types.js';

export interface ClientOptions
  extends Omit<EngineOptions, 'signal'>,
    Pick<LanguageModelCreateOptions, 'contextWindow' | 'kvType'> {
  /** Models by the names that requests use, as in { "gpt-4o-mini": "gemma-3-1b-q4_0" }; ids of `manifest`, and of the list that comes along, are names by themselves. */
  models?: Readonly<Record<string, ModelInput>> | undefined;
  /** Of OpenAI's client; there is no server, and these are not looked at. */
  apiKey?: unknown;
  baseURL?: string | null | undefined;
  organization?: string | null | undefined;
  project?: string | null | undefined;
  dangerouslyAllowBrowser?: boolean | undefined;
}

/** The one model of a kind that is loaded, under the name that it was asked for. Those who use it wait for each other. */
class Loaded<T extends { destroy(): Promise<void> }> {
  #name = '';
  #model: Promise<T> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `use` when it is its turn, with the model of this name: another one makes way for it. */
  async run<R>(
    name: string,
    load: () => Promise<T>,
    signal: AbortSignal | undefined,
    use: (model: T) => Promise<R>,
  ): Promise<R> {
    const before = this.#last;
    const turn = (async () => {
      await before;
      signal?.throwIfAborted();
      if (this.#name !== name || !this.#model) {
        await this.close();
        this.#name = name;
        this.#model = load();
        this.#model.catch(() => (this.#model = undefined)); // the next one tries again
      }
      return use(await this.#model);
    })();
    this.#last = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    const model = this.#model;
    this.#model = undefined;
    await model?.then(
      (m) => m.destroy(),
      () => {},
    );
  }
}

export class OpenAI {
  static readonly APIError = APIError;
  static readonly APIConnectionError = APIConnectionError;
  static readonly APIUserAbortError = APIUserAbortError;
  static readonly BadRequestError = BadRequestError;
  static readonly InternalServerError = InternalServerError;
  static readonly NotFoundError = NotFoundError;

  readonly chat: { readonly completions: Completions };
  readonly audio: { readonly transcriptions: Transcriptions; readonly translations: Translations };
  readonly models: Models;
  readonly #options: ClientOptions;
  readonly #language = new Loaded<LanguageModel>();
  readonly #speech = new Loaded<Transcriber>();
  #listed: Promise<readonly ManifestModel[]> | undefined;

  /** Nothing is loaded before it is asked for. */
  constructor(options: ClientOptions = {}) {
    this.#options = options;
    this.chat = { completions: new Completions(this) };
    this.audio = { transcriptions: new Transcriptions(this), translations: new Translations(this) };
    this.models = new Models(this);
  }

  /** @internal */
  async _names(): Promise<string[]> {
    return [...new Set([...Object.keys(this.#options.models ?? {}), ...(await this.#list()).map(({ id }) => id)])];
  }

  /** Models that can be named without being among the client's own. */
  #list(): Promise<readonly ManifestModel[]> {
    const { manifest, hub, headers } = this.#options;
    if (manifest === undefined) return Promise.resolve(comeAlong);
    this.#listed ??= readManifest(manifest, { hub, headers }).then(({ models }) => [...models, ...comeAlong]);
    this.#listed.catch(() => (this.#listed = undefined)); // the next one tries again
    return this.#listed;
  }

  async #inputOf(name: string, kind: 'language' | 'speech'): Promise<ModelInput> {
    const given = this.#options.models ?? {};
    if (Object.hasOwn(given, name)) return given[name];
    if (name === (kind === 'speech' ? 'whisper-1' : 'default')) return 'default';
    const known = (await this.#list()).find(({ id }) => id === name);
    if (!known)
      throw new NotFoundError(
        404,
        `There is no model '${name}' here: name it in the client's models, or take one of models.list().`,
        { code: 'model_not_found', param: 'model' },
      );
    if ((known.kind !== 'whisper') !== (kind === 'language'))
      throw new BadRequestError(400, `'${name}' is a model of another kind, which does not do this.`, {
        param: 'model',
      });
    return name;
  }

  /** @internal Loading is not aborted with a request: the next one wants the model too. */
  async _language<R>(name: string, signal: AbortSignal | undefined, use: (model: LanguageModel) => Promise<R>): Promise<R> {
    const model = await this.#inputOf(name, 'language');
    const load = (): Promise<LanguageModel> =>
      LanguageModel.create({ ...this.#options, model, onOverflow: 'stop' });
    return this.#language.run(name, load, signal, use);
  }

  /** @internal */
  async _speech<R>(name: string, signal: AbortSignal | undefined, use: (model: Transcriber) => Promise<R>): Promise<R> {
    const model = await this.#inputOf(name, 'speech');
    return this.#speech.run(name, () => Transcriber.create({ ...this.#options, model }), signal, use);
  }

  /** Frees the models; what is under way fails. The client stays usable. */
  async close(): Promise<void> {
    await Promise.all([this.#language.close(), this.#speech.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const signalOf = (options: RequestOptions | undefined): AbortSignal | undefined => options?.signal ?? undefined;

export class Completions {
  readonly #client: OpenAI;

  /** @internal */
  constructor(client: OpenAI) {
    this.#client = client;
  }

  /** An answer; with `stream: true` its chunks as they come. Fails with an APIError. */
  create(params: ChatParams & { stream: true }, options?: RequestOptions): Promise<Stream<ChatCompletionChunk>>;
  create(params: ChatParams & { stream?: false | null | undefined }, options?: RequestOptions): Promise<ChatCompletion>;
  create(params: ChatParams, options?: RequestOptions): Promise<ChatCompletion | Stream<ChatCompletionChunk>>;
  async create(params: ChatParams, options?: RequestOptions): Promise<ChatCompletion | Stream<ChatCompletionChunk>> {
    try {
      const request = chatRequest(params);
      const signal = signalOf(options);
      const heading = headingOf(params.model);
      if (params.stream) return await this.#stream(heading, request, signal);
      const generation = await this.#client._language(params.model, signal, (model) =>
        write(model, request, signal, () => {}),
      );
      return completionOf(heading, generation);
    } catch (error) {
      throw toAPIError(error);
    }
  }

  /** A stream, as soon as the model is there and it is its turn. */
  #stream(
    heading: Heading,
    request: ChatRequest,
    signal: AbortSignal | undefined,
  ): Promise<Stream<ChatCompletionChunk>> {
    const controller = new AbortController();
    signal?.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
    return new Promise((resolve, reject) => {
      this.#client
        ._language(heading.model, signal, (model) => {
          const { stream, written } = chunksOf(heading, request, controller, model);
          resolve(stream);
          return written; // the next one waits for it
        })
        .catch(reject);
    });
  }
}

export class Transcriptions {
  readonly #client: OpenAI;

  /** @internal */
  constructor(client: OpenAI) {
    this.#client = client;
  }

  /** What is said in a file: WAV, and whatever this browser decodes. Fails with an APIError. */
  async create<Format extends SpeechFormat | undefined = undefined>(
    params: TranscriptionParams<AudioInput, Format>,
    options?: RequestOptions,
  ): Promise<SpeechAnswer<Format>> {
    try {
      const request = speechRequest(params, 'transcribe');
      const signal = signalOf(options);
      const answer = await this.#client._speech(params.model, signal, (model) => transcribe(model, request, signal));
      return answer as SpeechAnswer<Format>;
    } catch (error) {
      throw toAPIError(error);
    }
  }
}

export class Translations {
  readonly #client: OpenAI;

  /** @internal */
  constructor(client: OpenAI) {
    this.#client = client;
  }

  /** What is said in a file, in English. */
  async create<Format extends SpeechFormat | undefined = undefined>(
    params: SpeechParams<AudioInput, Format>,
    options?: RequestOptions,
  ): Promise<SpeechAnswer<Format>> {
    try {
      const request = speechRequest(params, 'translate');
      const signal = signalOf(options);
      const answer = await this.#client._speech(params.model, signal, (model) => transcribe(model, request, signal));
      return answer as SpeechAnswer<Format>;
    } catch (error) {
      throw toAPIError(error);
    }
  }
}

export class Models {
  readonly #client: OpenAI;

  /** @internal */
  constructor(client: OpenAI) {
    this.#client = client;
  }

  /** Names that requests can use: those of the client's models, and ids of its manifest and of the list that comes along. */
  list(): Promise<{ object: 'list'; data: Model[] }> & AsyncIterable<Model> {
    const modelOf = (id: string): Model => ({ id, object: 'model', created: 0, owned_by: 'sotto' });
    const page = this.#client._names().then(
      (names) => ({ object: 'list' as const, data: names.map(modelOf) }),
      (error: unknown) => Promise.reject(toAPIError(error)),
    );
    page.catch(() => {}); // those who only iterate
    return Object.assign(page, {
      async *[Symbol.asyncIterator]() {
        yield* (await page).data;
      },
    });
  }
}

export default OpenAI;
export { APIConnectionError, APIError, APIUserAbortError, BadRequestError, InternalServerError, NotFoundError };
export type { Stream } from './openai-chat.js';
export type * from './openai-types.js';
