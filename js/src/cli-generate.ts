// sotto generate: a language model goes on with a text, or answers it. Options and output are those of the native command.
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { integer, number, parse, UsageError } from './args.js';
import { problemOf } from './cli-info.js';
import { SottoError } from './errors.js';
import { LanguageModel, type PromptOptions, type SamplingOptions } from './language-model.js';
import type { Generation } from './protocol.js';

const HELP = `Usage: sotto generate -m MODEL [OPTION]... [-p TEXT | -f FILE]
Goes on with a text, or answers it, with a language model (Gemma 1, 2, 3).

  -m, --model MODEL       GGUF file, or its address
  -p, --prompt TEXT       the text
  -f, --file FILE         the text in a file (default: -, standard input)
      --chat              the text is a message, and the model answers it
      --system TEXT       what the model is told before the message; with --chat
  -n, --tokens N          most tokens to write (default: as many as the context takes)
      --stop STRING       end before this string; can be given several times
      --ctx N             tokens of prompt and answer together (default: 4096, or what the
                          model was trained for, if that is less)
  -t, --threads N         threads to use (default: one for each core, at most 8)
      --json              one line of JSON, with tokens, timings and memory
      --timings           how long each part took, on standard error

Sampling
      --temperature F     0: always the likeliest token (default: 1)
      --top-k N           among the N likeliest tokens; 0: all (default: 64)
      --top-p F           among the likeliest with this much probability together (0.95)
      --min-p F           among those with this share of the likeliest one's probability (0)
      --repetition-penalty F  divides logits of the last 256 tokens (default: 1, none)
      --seed N            the same seed, the same text (default: 0)
  -h, --help              this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
`;

const SPECS = {
  help: { letter: 'h' },
  model: { letter: 'm', value: true },
  prompt: { letter: 'p', value: true },
  file: { letter: 'f', value: true },
  chat: {},
  system: { value: true },
  tokens: { letter: 'n', value: true },
  stop: { value: true },
  ctx: { value: true },
  threads: { letter: 't', value: true },
  json: {},
  timings: {},
  temperature: { value: true },
  'top-k': { value: true },
  'top-p': { value: true },
  'min-p': { value: true },
  'repetition-penalty': { value: true },
  seed: { value: true },
};

const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;
const MOST = 2 ** 31 - 1;

interface Request {
  model?: string;
  prompt?: string;
  file?: string;
  system?: string;
  chat: boolean;
  json: boolean;
  timings: boolean;
  tokens?: number;
  ctx?: number;
  threads?: number;
  stop: string[];
  sampling: SamplingOptions;
}

function readOption(r: Request, name: string, shown: string, value: string): void {
  const s = r.sampling;
  switch (name) {
    case 'model':
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
      if (value === '') throw new UsageError(`option '--stop' needs a string that is not empty`);
      r.stop.push(value);
      break;
    case 'tokens':
      r.tokens = integer(shown, value, 0, MOST);
      break;
    case 'ctx':
      r.ctx = integer(shown, value, 1, MOST);
      break;
    case 'threads':
      r.threads = integer(shown, value, 1, 64);
      break;
    case 'temperature':
      s.temperature = number(shown, value, 0, 100);
      break;
    case 'top-k':
      s.topK = integer(shown, value, 0, MOST);
      break;
    case 'top-p':
      s.topP = number(shown, value, 0.0001, 1);
      break;
    case 'min-p':
      s.minP = number(shown, value, 0, 1);
      break;
    case 'repetition-penalty':
      s.repetitionPenalty = number(shown, value, 0.01, 100);
      break;
    case 'seed':
      s.seed = integer(shown, value, 0, Number.MAX_SAFE_INTEGER);
      break;
  }
}

/** undefined: help is wanted. */
function readRequest(argv: readonly string[]): (Request & { model: string }) | undefined {
  const { options, operands } = parse(argv, SPECS);
  if (options.some(({ name }) => name === 'help')) return undefined;
  const r: Request = { chat: false, json: false, timings: false, stop: [], sampling: { seed: 0 } };
  for (const { name, shown, value } of options) readOption(r, name, shown, value);
  if (operands.length > 0)
    throw new UsageError(`unexpected argument '${operands[0]}': text is given with --prompt`);
  const { model } = r;
  if (model === undefined) throw new UsageError('no model: give one with --model');
  if (r.prompt !== undefined && r.file !== undefined) throw new UsageError('--prompt and --file exclude each other');
  if (r.system !== undefined && !r.chat) throw new UsageError('--system goes with --chat');
  return { ...r, model };
}

async function readPrompt({ prompt, file = '-' }: Request): Promise<string> {
  if (prompt !== undefined) return prompt;
  try {
    const text = file === '-' ? await readAll(process.stdin) : await fs.readFile(file, 'utf8');
    return text.replace(/\n$/, ''); // the end of a line, not of the text
  } catch (error) {
    throw new Error(`${file}: ${problemOf(error)}`, { cause: error });
  }
}

function findModelFile(given: string): string | URL {
  if (/^https?:/.test(given)) return given;
  if (!existsSync(given)) throw new SottoError('argument', `${given}: No such file or directory`);
  return pathToFileURL(path.resolve(given));
}

const peakMemoryBytes = (): number => process.resourceUsage().maxRSS * 1024;

function toJson({ text, promptTokens, tokens, stopReason, timings }: Generation, loadMs: number): string {
  const ms = (x: number): number => Math.round(x * 1e3) / 1e3;
  const object = {
    text,
    prompt_tokens: promptTokens,
    tokens,
    stop_reason: stopReason,
    timings: {
      load_ms: ms(loadMs),
      prefill_ms: ms(timings.prefillMs),
      n_prefill: timings.nPrefill,
      decode_ms: ms(timings.decodeMs),
      n_decode: timings.nDecode,
    },
    peak_memory_bytes: peakMemoryBytes(),
  };
  return JSON.stringify(object) + '\n';
}

function toTimings({ promptTokens, tokens, stopReason, timings }: Generation, loadMs: number): string {
  const rate = (n: number, ms: number): string => `${ms.toFixed(0)} ms (${(ms > 0 ? (n / ms) * 1e3 : 0).toFixed(1)} a second)`;
  return (
    `load ${loadMs.toFixed(0)} ms; prompt ${promptTokens.length} tokens, ${rate(promptTokens.length, timings.prefillMs)}; ` +
    `written ${tokens.length} tokens, ${rate(timings.nDecode, timings.decodeMs)}; ${stopReason}; ` +
    `peak memory ${(peakMemoryBytes() / 1e6).toFixed(1)} MB\n`
  );
}

export async function generate(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv);
  if (!r) {
    process.stdout.write(HELP);
    return 0;
  }
  const interrupt = new AbortController();
  const { signal } = interrupt;
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort()); // a second one ends the process
  try {
    const prompt = await readPrompt(r);
    await using model = await LanguageModel.create({
      ...r.sampling,
      model: findModelFile(r.model),
      contextWindow: r.ctx,
      threads: r.threads,
      initialPrompts: r.system === undefined ? [] : [{ role: 'system', content: r.system }],
      signal,
    });
    let whole: Generation | undefined;
    const options: PromptOptions = {
      ...{ signal, stop: r.stop, maxTokens: r.tokens, raw: !r.chat },
      onFinish: (generation) => (whole = generation),
    };
    for await (const text of model.promptStreaming(prompt, options)) if (!r.json) process.stdout.write(text);
    process.stdout.write(r.json ? toJson(whole!, model.info.loadMs) : '\n');
    if (r.timings) process.stderr.write(toTimings(whole!, model.info.loadMs));
    return 0;
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    process.stderr.write(`sotto: ${problemOf(error)}\n`);
    return EXIT_FAILED;
  }
}
