// chat.completions: what is asked, checked and as LanguageModel takes it; what it writes, as a completion or as chunks.
import { VERSION, type Generation, type LanguageModel, type Message, type PromptOptions } from './index.js';
import { toAPIError, wrong } from './openai-errors.js';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatMessage,
  ChatParams,
  FinishReason,
  Logprobs,
  TopLogprob,
  Usage,
} from './openai-types.js';

// ---- what is asked ----

export interface ChatRequest {
  messages: Message[];
  options: PromptOptions;
  logprobs: boolean;
  includeUsage: boolean;
}

function textOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw wrong('messages', 'has one whose content is neither a string nor text parts.');
  return content
    .map((part) => {
      if (part?.type !== 'text' || typeof part.text !== 'string')
        throw wrong('messages', 'has a part that is no text: the models here read nothing else.');
      return part.text;
    })
    .join('');
}

const ROLES: Record<string, Message['role']> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  assistant: 'assistant',
};

function messagesOf(given: unknown): Message[] {
  if (!Array.isArray(given)) throw wrong('messages', 'has to be an array of messages.');
  const messages = (given as ChatMessage[]).map((message): Message => {
    const role = Object.hasOwn(ROLES, message?.role) ? ROLES[message.role] : undefined;
    if (!role) throw wrong('messages', 'has a role that is none of system, developer, user and assistant.');
    return { role, content: textOf(message.content) };
  });
  const first = messages.findIndex(({ role }) => role !== 'system');
  if (messages.slice(first).some(({ role }) => role === 'system'))
    throw wrong('messages', 'has a system message behind others: it comes first.');
  if (messages[first]?.role !== 'user') throw wrong('messages', "has to begin with a user's message.");
  if (messages.at(-1)?.role !== 'user') throw wrong('messages', "has to end with a user's message.");
  return messages;
}

function number(params: ChatParams, name: keyof ChatParams, low: number, high: number, whole = false): number | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
    throw wrong(name, `has to be ${whole ? 'an integer' : 'a number'} from ${low} to ${high}.`);
  return value;
}

function boolean(params: ChatParams, name: 'stream' | 'logprobs'): boolean {
  const value = params[name] ?? false;
  if (typeof value !== 'boolean') throw wrong(name, 'has to be true or false.');
  return value;
}

function biasOf(given: ChatParams['logit_bias']): Record<number, number> | undefined {
  if (given === undefined || given === null) return undefined;
  const entries = Object.entries(given).map(([id, bias]): [number, number] => {
    if (!/^\d{1,9}$/.test(id) || typeof bias !== 'number' || !(bias >= -100 && bias <= 100))
      throw wrong('logit_bias', 'has to be an object of token ids and numbers from -100 to 100.');
    return [Number(id), bias === -100 ? -Infinity : bias];
  });
  return Object.fromEntries(entries);
}

function stopOf(stop: ChatParams['stop']): string[] {
  const stops = typeof stop === 'string' ? [stop] : [...(stop ?? [])];
  if (stops.length > 64 || !stops.every((s) => typeof s === 'string' && s !== ''))
    throw wrong('stop', 'has to be a string that is not empty, or up to 64 of them.');
  return stops;
}

/** Negative seeds are as good as others. */
const seedOf = (seed: number | undefined): number | undefined => (seed !== undefined && seed < 0 ? seed + 2 ** 53 : seed);

/** Throws a BadRequestError that names the field. */
export function chatRequest(params: ChatParams): ChatRequest {
  const logprobs = boolean(params, 'logprobs');
  const top = number(params, 'top_logprobs', 0, 20, true);
  const stream = boolean(params, 'stream');
  number(params, 'n', 1, 1, true);
  if (top && !logprobs) throw wrong('top_logprobs', 'goes with logprobs: true.');
  if (params.stream_options && !stream) throw wrong('stream_options', 'goes with stream: true.');
  if (params.tools && params.tools.length > 0) throw wrong('tools', 'are not supported.');
  if (params.response_format && params.response_format.type !== 'text')
    throw wrong('response_format', 'can only be of type text.');
  const most = 2 ** 31 - 1;
  const maxTokens = number(params, 'max_tokens', 1, most, true);
  const topP = number(params, 'top_p', 0, 1);
  return {
    messages: messagesOf(params.messages),
    logprobs,
    includeUsage: params.stream_options?.include_usage === true,
    options: {
      temperature: number(params, 'temperature', 0, 2),
      topP: topP === undefined ? undefined : Math.max(topP, 0.0001),
      topK: number(params, 'top_k', 0, most, true),
      presencePenalty: number(params, 'presence_penalty', -2, 2),
      frequencyPenalty: number(params, 'frequency_penalty', -2, 2),
      seed: seedOf(number(params, 'seed', -(2 ** 53), Number.MAX_SAFE_INTEGER, true)),
      maxTokens: number(params, 'max_completion_tokens', 1, most, true) ?? maxTokens,
      stop: stopOf(params.stop),
      logitBias: biasOf(params.logit_bias),
      ...(logprobs && { logprobs: top ?? 0 }),
    },
  };
}

// ---- what is answered ----

/** Writes an answer; `onText` gets it in pieces. The conversation is the request's, whatever was said before. */
export async function write(
  model: LanguageModel,
  request: ChatRequest,
  signal: AbortSignal | undefined,
  onText: (text: string) => void,
): Promise<Generation> {
  let generation: Generation | undefined;
  model.messages = [];
  const options: PromptOptions = { ...request.options, signal, onFinish: (g) => (generation = g) };
  for await (const text of model.promptStreaming(request.messages, options)) onText(text);
  if (!generation) throw new Error('the answer has no end');
  return generation;
}

const encoder = new TextEncoder();
const tokenOf = ({ text, logprob }: { text: string; logprob: number }): TopLogprob => ({
  token: text,
  logprob,
  bytes: text.includes('\ufffd') ? null : [...encoder.encode(text)],
});

/** Of the tokens that can be seen: that which ends an answer is none of them. */
function logprobsOf({ logprobs, stopReason }: Generation): Logprobs | null {
  const told = stopReason === 'end' ? logprobs?.slice(0, -1) : logprobs;
  if (!told) return null;
  return { content: told.map((token) => ({ ...tokenOf(token), top_logprobs: token.top.map(tokenOf) })), refusal: null };
}

const finishOf = ({ stopReason }: Generation): FinishReason =>
  stopReason === 'end' || stopReason === 'stop' ? 'stop' : 'length';

const usageOf = ({ promptTokens, tokens, timings }: Generation): Usage => ({
  prompt_tokens: promptTokens.length,
  completion_tokens: tokens.length,
  total_tokens: promptTokens.length + tokens.length,
  prompt_tokens_details: { cached_tokens: timings.nReused },
});

/** What a completion and its chunks begin with. */
export interface Heading {
  id: string;
  created: number;
  model: string;
  system_fingerprint: string;
}

export const headingOf = (model: string): Heading => ({
  id: `chatcmpl-${crypto.randomUUID()}`,
  created: Math.floor(Date.now() / 1000),
  model,
  system_fingerprint: `sotto-${VERSION}`,
});

export const completionOf = ({ id, ...heading }: Heading, generation: Generation): ChatCompletion => ({
  id,
  object: 'chat.completion',
  ...heading,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: generation.text, refusal: null },
      logprobs: logprobsOf(generation),
      finish_reason: finishOf(generation),
    },
  ],
  usage: usageOf(generation),
});

/** Chunks as they come: iterate once; `controller` or leaving the loop ends the answer. */
export class Stream<Item> implements AsyncIterable<Item> {
  readonly controller: AbortController;
  readonly #source: ReadableStream<Item>;

  constructor(source: ReadableStream<Item>, controller: AbortController) {
    this.#source = source;
    this.controller = controller;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    const reader = this.#source.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      this.controller.abort();
    }
  }
}

/** The answer as chunks; `written` settles when the model is free again, and never fails. */
export function chunksOf(
  heading: Heading,
  request: ChatRequest,
  controller: AbortController,
  model: LanguageModel,
): { stream: Stream<ChatCompletionChunk>; written: Promise<void> } {
  const { id, ...rest } = heading;
  const head = { id, object: 'chat.completion.chunk' as const, ...rest };
  const usage = request.includeUsage ? { usage: null } : {};
  type Choice = ChatCompletionChunk['choices'][number];
  const chunk = (delta: Choice['delta'], last: Partial<Choice> = {}): ChatCompletionChunk => ({
    ...head,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...last }],
    ...usage,
  });
  let sink!: ReadableStreamDefaultController<ChatCompletionChunk>;
  const source = new ReadableStream<ChatCompletionChunk>({
    start: (s) => void (sink = s),
    cancel: () => controller.abort(),
  });
  const { signal } = controller;
  const written = (async () => {
    try {
      sink.enqueue(chunk({ role: 'assistant', content: '' }));
      const onText = (content: string): void => void (signal.aborted || sink.enqueue(chunk({ content })));
      const generation = await write(model, request, signal, onText);
      sink.enqueue(chunk({}, { logprobs: logprobsOf(generation), finish_reason: finishOf(generation) }));
      if (request.includeUsage) sink.enqueue({ ...head, choices: [], usage: usageOf(generation) });
      sink.close();
    } catch (error) {
      if (!signal.aborted) sink.error(toAPIError(error));
      else end(sink); // as in OpenAI's client, an aborted stream ends, and does not fail
    }
  })();
  return { stream: new Stream(source, controller), written };
}

/** Closes a stream that may have been cancelled. */
function end(sink: ReadableStreamDefaultController<ChatCompletionChunk>): void {
  try {
    sink.close();
  } catch {}
}
