// sotto chat: a conversation, turn by turn.
//
//     cli-lines ─> message ─┬─> conversation ─> LanguageModel ─> standard output
//                           └─> /command (cli-chat-commands)  └─> conversation
import path from 'node:path';
import { integer, parse, UsageError } from './args.js';
import { commandNames, runCommand } from './cli-chat-commands.js';
import { complain, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, mb, ProgressLine, shown, write } from './cli-common.js';
import { ACCESS_HELP, ACCESS_SPECS } from './cli-access.js';
import { GPU_HELP, GPU_SPECS, placeInWords } from './cli-gpu.js';
import { Conversation } from './cli-conversation.js';
import {
  checkLanguage,
  CONTEXT_SPEC,
  DRAFT_HELP,
  DRAFT_SPECS,
  explained,
  HELP_SPEC,
  KV_HELP,
  KV_SPEC,
  languageOption,
  MODEL_HELP,
  MODEL_SPEC,
  modelError,
  MOST_TOKENS,
  namedModel,
  openLanguage,
  stopOption,
  THREADS_HELP,
  THREADS_SPEC,
  type LanguageOptions,
} from './cli-language.js';
import { Messages } from './cli-lines.js';
import { replyJson, replyTimings } from './cli-reply.js';
import { SAMPLING_HELP, SAMPLING_SPECS, samplingOption } from './cli-sampling.js';
import type { ContextOverflowEvent, LanguageModel } from './language-model.js';
import type { SamplingOptions } from './prompt.js';
import type { Generation } from './protocol.js';

const HELP = `Usage: sotto chat -m MODEL [OPTION]...
A conversation with a language model (Gemma 1, 2, 3). On a terminal, messages are edited with the cursor
keys, /help lists commands, Ctrl-C stops an answer, Ctrl-D ends. From a pipe or file, each line is a
message or a command, and the answers alone go to standard output.

${MODEL_HELP}
      --system TEXT       what the model is told before the conversation
  -p, --prompt TEXT       the first message
  -n, --tokens N          most tokens of an answer (default: as many as the context takes)
      --stop STRING       end an answer before this string; can be given several times
      --load FILE         go on with a conversation that was saved
      --save FILE         save the conversation after each answer (JSON)
      --history FILE      of the messages typed (default: sotto/chat_history in $XDG_STATE_HOME or
                          ~/.local/state, readable by its owner alone)
      --no-history        keep none
      --ctx N             tokens of the conversation that the model sees (default: 4096, or what it was
                          trained for, if that is less); when it is full, the oldest turns are left out
${KV_HELP}
${DRAFT_HELP}
${THREADS_HELP}
${GPU_HELP}
${ACCESS_HELP}
      --json              one line of JSON for each answer, with tokens, timings and memory
      --timings           how long each answer took, on standard error

${SAMPLING_HELP}
      --seed N            the same seed and messages, the same answers (default: another each time)
  -h, --help              this help

Exit status: 0 done, 1 something could not be done, 2 wrong usage, 130 interrupted.
`;

const SPECS = {
  help: HELP_SPEC,
  model: MODEL_SPEC,
  ctx: CONTEXT_SPEC,
  threads: THREADS_SPEC,
  kv: KV_SPEC,
  ...DRAFT_SPECS,
  ...GPU_SPECS,
  ...ACCESS_SPECS,
  ...SAMPLING_SPECS,
  prompt: { letter: 'p', value: true },
  system: { value: true },
  tokens: { letter: 'n', value: true },
  stop: { value: true },
  history: { value: true },
  'no-history': {},
  load: { value: true },
  save: { value: true },
  json: {},
  timings: {},
};

export interface ChatRequest {
  language: LanguageOptions;
  sampling: SamplingOptions;
  prompt?: string;
  system?: string;
  load?: string;
  save?: string;
  /** "": the default file; undefined: none. */
  history: string | undefined;
  json: boolean;
  timings: boolean;
  tokens?: number;
  stop: string[];
}

/** undefined: help is wanted. */
function readRequest(argv: readonly string[]): ChatRequest | undefined {
  const { options, operands } = parse(argv, SPECS);
  const has = (wanted: string): boolean => options.some(({ name }) => name === wanted);
  if (has('help')) return undefined;
  const r: ChatRequest = { language: { gpu: {} }, sampling: {}, history: '', json: false, timings: false, stop: [] };
  for (const { name, shown: as, value } of options) {
    if (languageOption(r.language, name, as, value) || samplingOption(r.sampling, name, as, value)) continue;
    if (name === 'json' || name === 'timings') r[name] = true;
    else if (name === 'tokens') r.tokens = integer(as, value, 0, MOST_TOKENS);
    else if (name === 'stop') stopOption(r.stop, as, value);
    else if (name === 'no-history') r.history = undefined;
    else r[name as 'prompt' | 'system' | 'load' | 'save' | 'history'] = value;
  }
  checkLanguage(r.language);
  if (operands.length > 0)
    throw new UsageError(`unexpected argument '${operands[0]}': the first message is given with --prompt`);
  if (has('history') && has('no-history')) throw new UsageError('--history and --no-history exclude each other');
  r.sampling.seed ??= Math.floor(Math.random() * 2 ** 48); // each answer draws with the next one
  return r;
}

/** What comes after a message or a command. */
export type Next = 'read' | 'answer' | 'end';

export class Chat {
  readonly request: ChatRequest;
  readonly model: LanguageModel;
  readonly messages: Messages;
  conversation: Conversation;
  /** The last answer that was whole. */
  last: Generation | undefined;
  /** Something could not be done: what a script sees of it is the exit status. */
  failed = false;
  #nAnswers = 0;
  /** Of the answer that is written. */
  #stop = new AbortController();
  readonly #ended: AbortSignal;

  /** `ended`: ends the chat; a Ctrl-C on a terminal only an answer. */
  constructor(request: ChatRequest, model: LanguageModel, conversation: Conversation, ended: AbortSignal) {
    this.request = request;
    this.model = model;
    this.conversation = conversation;
    this.messages = new Messages({ history: request.history, words: commandNames, signal: ended });
    this.#ended = ended;
    ended.addEventListener('abort', () => this.#stop.abort());
    if (this.messages.onTerminal) process.on('SIGINT', () => this.#stop.abort());
  }

  /** As the user named it, or the path of the default one. */
  get modelName(): string {
    return namedModel(this.request.language);
  }

  /** Prints a sentence about the conversation. */
  note(sentence: string): void {
    process.stderr.write(`(${sentence})\n`);
  }

  /** Prints what could not be done. */
  complain(problem: unknown): Next {
    complain(problem);
    this.failed = true;
    return 'read';
  }

  async run(): Promise<void> {
    this.#greet();
    const { prompt } = this.request;
    let next: Next = this.conversation.awaitsAnswer ? 'answer' : prompt !== undefined ? this.#say(prompt) : 'read';
    while (next !== 'end') {
      if (next === 'answer') await this.#answer();
      next = this.#ended.aborted ? 'end' : await this.#read();
    }
    this.messages.close();
  }

  #greet(): void {
    if (!this.messages.onTerminal) return;
    const { model } = this.model.info;
    process.stderr.write(
      `${path.basename(this.modelName)}: ${model.architecture}, ${mb(model.nParameters)} M parameters, ${model.weightType}; ` +
        `context of ${this.model.contextWindow} tokens, ${placeInWords(this.model.info)}. /help lists commands, Ctrl-D ends.\n\n`,
    );
  }

  // ---- messages ----

  #say(message: string): Next {
    this.conversation.add(message);
    return 'answer';
  }

  async #read(): Promise<Next> {
    const line = await this.messages.read();
    if (line === 'end' || this.#ended.aborted) return 'end';
    if (line === 'interrupted') {
      this.note('Ctrl-D or /exit ends');
      return 'read';
    }
    const { text } = line;
    this.messages.remember(text);
    if (/^[ \t\n]*$/.test(text)) return 'read';
    if (text.startsWith('//')) return this.#say(text.slice(1));
    return text.startsWith('/') ? runCommand(this, text) : this.#say(text);
  }

  // ---- answers ----

  /** Answers the last message; one that cannot be answered is taken back. */
  async #answer(): Promise<void> {
    const { conversation, model } = this;
    const { first } = conversation;
    let text = '';
    let noted = 0; // turns left out, as the user knows
    let dropped = 0;
    const note = (): void => {
      if (dropped > noted)
        this.note(
          `the context of ${model.contextWindow} tokens is full: the model no longer sees the ${first + noted > 0 ? 'next ' : ''}${dropped - noted} oldest turns`,
        );
      noted = dropped;
    };
    const onOverflow = (event: Event): void => {
      ({ dropped } = event as ContextOverflowEvent);
      conversation.first = first + dropped;
      if (text === '') note(); // not in the middle of an answer
    };
    model.addEventListener('contextoverflow', onOverflow);
    this.#stop = new AbortController();
    try {
      const finished = await this.#write((piece) => (text += piece));
      await this.#keep(text, finished);
    } catch (error) {
      conversation.drop();
      this.complain(modelError(this.modelName, explained(error)));
    } finally {
      model.removeEventListener('contextoverflow', onOverflow);
      note();
    }
  }

  /** The answer, as it is written; undefined when it was stopped. */
  async #write(take: (piece: string) => void): Promise<Generation | undefined> {
    const { conversation, model, request } = this;
    const { signal } = this.#stop;
    const view = conversation.turns(conversation.first);
    let finished: Generation | undefined;
    const line = new ProgressLine();
    const { seed = 0, ...sampling } = request.sampling;
    try {
      model.messages = view.slice(0, -1);
      const pieces = model.promptStreaming(view.at(-1)!.content, {
        ...sampling,
        ...{ seed: (seed + this.#nAnswers++) % Number.MAX_SAFE_INTEGER },
        ...{ signal, stop: request.stop, maxTokens: request.tokens },
        onProgress: (done, total) => line.percent('reading the text', done, total),
        onFinish: (generation) => (finished = generation),
      });
      for await (const piece of pieces) {
        line.hide();
        take(piece);
        if (!request.json) await write(shown(piece));
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      line.hide();
    }
    return finished;
  }

  /** Adds the answer to the conversation; also one that was stopped, unless nothing was written. */
  async #keep(text: string, finished: Generation | undefined): Promise<void> {
    const { request, conversation } = this;
    const { onTerminal } = this.messages;
    const { loadMs } = this.model.info;
    if (finished) this.last = finished;
    if (!request.json) await write(onTerminal ? '\n\n' : '\n');
    else if (finished) await write(replyJson(finished, loadMs));
    if (request.timings && finished) process.stderr.write(replyTimings(finished, loadMs));
    if (!finished && text === '') {
      conversation.drop();
      this.note('stopped before the first word: the message is taken back');
      return;
    }
    conversation.add(text);
    if (!finished && onTerminal) this.note('stopped');
    if (finished?.stopReason === 'context') this.note('the context is full: the answer ends here');
    if (request.save !== undefined) await this.save(request.save);
  }

  /** Whether it could be done. */
  async save(file: string): Promise<boolean> {
    try {
      await this.conversation.save(file, this.modelName);
      return true;
    } catch (error) {
      this.complain(error);
      return false;
    }
  }
}

// ---- the command ----

async function open(request: ChatRequest, signal: AbortSignal): Promise<Chat> {
  const conversation = request.load === undefined ? new Conversation() : await Conversation.load(request.load);
  if (request.system !== undefined) conversation.system = request.system;
  const model = await openLanguage(request.language, { signal });
  try {
    await model.countTokens([{ role: 'user', content: '' }]); // has it a template?
    return new Chat(request, model, conversation, signal);
  } catch (error) {
    await model.destroy();
    throw modelError(namedModel(request.language), error);
  }
}

export async function chat(argv: readonly string[]): Promise<number> {
  const request = readRequest(argv);
  if (!request) {
    await write(HELP);
    return 0;
  }
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once('SIGINT', end).once('SIGTERM', end); // a second one ends the process
  try {
    const c = await open(request, ended.signal);
    await using _ = c.model;
    if (c.messages.onTerminal) process.removeListener('SIGINT', end);
    await c.run();
    if (ended.signal.aborted) return EXIT_INTERRUPTED;
    return c.failed && !process.stdin.isTTY ? EXIT_FAILED : EXIT_DONE;
  } catch (error) {
    return ended.signal.aborted ? EXIT_INTERRUPTED : complain(error);
  }
}
