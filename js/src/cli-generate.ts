// sotto generate: a language model goes on with a text, or answers it.
//
//   text or message ─> LanguageModel ─> standard output, as it is written, or a line of JSON
import { integer, parse, UsageError } from './args.js';
import { ACCESS_HELP, ACCESS_SPECS } from './cli-access.js';
import { GPU_HELP, GPU_SPECS } from './cli-gpu.js';
import { attempt, interruptSignal, ProgressLine, readInput, shown, write } from './cli-common.js';
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
import { replyJson, replyTimings } from './cli-reply.js';
import { SAMPLING_HELP, SAMPLING_SPECS, samplingOption } from './cli-sampling.js';
import type { LanguageModel } from './language-model.js';
import type { PromptInput, PromptOptions, SamplingOptions } from './prompt.js';
import type { Generation } from './protocol.js';

const HELP = `Usage: sotto generate -m MODEL [OPTION]... [-p TEXT | -f FILE]
Goes on with a text, or answers it, with a language model (Gemma 1, 2, 3).

${MODEL_HELP}
  -p, --prompt TEXT       the text
  -f, --file FILE         the text in a file (default: -, standard input)
      --chat              the text is a message, and the model answers it
      --system TEXT       what the model is told before the message; with --chat
  -n, --tokens N          most tokens to write (default: as many as the context takes)
      --stop STRING       end before this string; can be given several times
      --ctx N             tokens of prompt and answer together (default: 4096, or what the
                          model was trained for, if that is less)
${KV_HELP}
${DRAFT_HELP}
${THREADS_HELP}
${GPU_HELP}
${ACCESS_HELP}
      --json              one line of JSON, with tokens, timings and memory
      --logprobs N        with --json: the log-probability of each token, and of the N likeliest
                          in its place (0 to 20)
      --timings           how long each part took, on standard error

${SAMPLING_HELP}
      --seed N            the same seed, the same text (default: 0)
  -h, --help              this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
Example: sotto generate --chat -p "Tell me a story about a dog and a ball."
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
  file: { letter: 'f', value: true },
  chat: {},
  system: { value: true },
  tokens: { letter: 'n', value: true },
  stop: { value: true },
  logprobs: { value: true },
  json: {},
  timings: {},
};

const MOST_TOP = 20;

interface Request {
  language: LanguageOptions;
  sampling: SamplingOptions;
  prompt?: string;
  file?: string;
  system?: string;
  chat: boolean;
  json: boolean;
  timings: boolean;
  tokens?: number;
  logprobs?: number;
  stop: string[];
}

function readOption(r: Request, name: string, shown: string, value: string): void {
  if (languageOption(r.language, name, shown, value) || samplingOption(r.sampling, name, shown, value)) return;
  switch (name) {
    case 'prompt':
    case 'file':
    case 'system':
      r[name] = value;
      break;
    case 'chat':
    case 'json':
    case 'timings':
      r[name] = true;
      break;
    case 'stop':
      stopOption(r.stop, shown, value);
      break;
    case 'tokens':
      r.tokens = integer(shown, value, 0, MOST_TOKENS);
      break;
    case 'logprobs':
      r.logprobs = integer(shown, value, 0, MOST_TOP);
      break;
  }
}

/** undefined: help is wanted. */
function readRequest(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, SPECS);
  if (options.some(({ name }) => name === 'help')) return undefined;
  const r: Request = { language: { gpu: {} }, sampling: { seed: 0 }, chat: false, json: false, timings: false, stop: [] };
  for (const { name, shown, value } of options) readOption(r, name, shown, value);
  checkLanguage(r.language);
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}': text is given with --prompt`);
  if (r.prompt !== undefined && r.file !== undefined) throw new UsageError('--prompt and --file exclude each other');
  if (r.system !== undefined && !r.chat) throw new UsageError('--system goes with --chat');
  if (r.logprobs !== undefined && !r.json) throw new UsageError('--logprobs goes with --json');
  return r;
}

async function readPrompt({ prompt, file = '-' }: Request, signal: AbortSignal): Promise<string> {
  if (prompt !== undefined) return prompt;
  return (await readInput(file, signal)).toString('utf8').replace(/\n$/, ''); // the end of a line, not of the text
}

/** What the model is given; with --chat, two messages at once, so that all of it counts as the prompt. */
function inputOf({ chat, system }: Request, text: string): PromptInput {
  if (!chat || system === undefined) return text;
  return [
    { role: 'system', content: system },
    { role: 'user', content: text },
  ];
}

async function answer(model: LanguageModel, r: Request, text: string, signal: AbortSignal): Promise<Generation> {
  let whole: Generation | undefined;
  const line = new ProgressLine();
  const options: PromptOptions = {
    ...r.sampling,
    ...{ signal, stop: r.stop, maxTokens: r.tokens, logprobs: r.logprobs, raw: !r.chat },
    onProgress: (done, total) => line.percent('reading the text', done, total),
    onFinish: (generation) => (whole = generation),
  };
  try {
    for await (const piece of model.promptStreaming(inputOf(r, text), options)) {
      line.hide();
      if (!r.json) await write(shown(piece));
    }
  } finally {
    line.hide();
  }
  return whole!;
}

export async function generate(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv);
  if (!r) {
    await write(HELP);
    return 0;
  }
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const text = await readPrompt(r, signal);
    await using model = await openLanguage(r.language, { signal, onOverflow: 'stop' });
    try {
      const whole = await answer(model, r, text, signal);
      await write(r.json ? replyJson(whole, model.info.loadMs) : '\n');
      if (r.timings) process.stderr.write(replyTimings(whole, model.info.loadMs));
    } catch (error) {
      if (signal.aborted && !r.json) await write('\n');
      throw modelError(namedModel(r.language), explained(error));
    }
  });
}
