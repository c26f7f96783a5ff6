// What a model makes of given tokens, for checking it against others.
//
//   ids [n] ─> measure.ts ─┬─> rows [n_vocab] ─> logits: an array [n, n_vocab] in a .npy file
//                          └─> log p of each next token ─> perplexity: means
//   ids ─> two models ─> cli-compare.ts: how far one is from the other
import { parse, UsageError, type OptionSpec } from './args.js';
import { attempt, FileError, interruptSignal, millionths, Output, ProgressLine, write } from './cli-common.js';
import { withLocalModel, type LocalModel } from './cli-engine.js';
import { Comparison, sideBySide } from './cli-compare.js';
import { GPU_SPECS } from './cli-gpu.js';
import { readIds } from './cli-ids.js';
import {
  HELP_SPEC,
  KV_SPEC,
  languageOption,
  MODEL_SPEC,
  requiredModel,
  THREADS_SPEC,
  type LanguageOptions,
} from './cli-language.js';
import { Measure } from './measure.js';
import type { FromWorker, LanguageAnswer } from './protocol.js';

const SHARED_HELP = `      --kv TYPE       of the stored keys and values: f16 (default) or q8_0
  -t, --threads N     threads to use (default: one for each core, at most 8)
      --backend BACKEND  cpu (default), webgpu, or auto; needs the npm package webgpu
      --dawn OPTION,...  of that package, such as backend=vulkan
  -h, --help          this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
`;

const LOGITS_HELP = `Usage: sotto logits -m MODEL --ids FILE -o OUT.npy
Writes the logits of each token as a NumPy array of float32, [tokens, vocabulary].

  -m, --model MODEL   GGUF file, folder as on Hugging Face, address, or name
      --ids FILE      token ids: a JSON array, or ids between white space; - is standard input
  -o, --output FILE   the array; - is standard output
${SHARED_HELP}`;

const PERPLEXITY_HELP = `Usage: sotto perplexity -m MODEL --ids FILE [--json]
Prints how badly the model predicts texts: the mean negative log-likelihood of a token given those
before it in its text, averaged over the texts.
With --compare both models are evaluated side by side: their perplexities over all tokens, the mean
Kullback-Leibler divergence of the model's distributions from the base's, in nats, and the share of tokens
that both find likeliest.

  -m, --model MODEL   GGUF file, folder as on Hugging Face, address, or name
      --ids FILE      token ids: a JSON array for each text in a JSON array, or one text as a JSON
                      array, or as ids between white space; - is standard input
      --compare BASE  another model with the same vocabulary, usually the one before quantization
      --json          one line of JSON, with the mean over all tokens, and of each text
${SHARED_HELP}`;

interface Request {
  language: LanguageOptions;
  model: string;
  ids: string;
  output: string;
  compare: string | undefined;
  json: boolean;
}

/** undefined: help is wanted. `output`: where what is written goes, where there is no option for it. */
function readRequest(argv: readonly string[], more: Record<string, OptionSpec>, output?: string): Request | undefined {
  const { options, operands } = parse(argv, {
    ...{ help: HELP_SPEC, model: MODEL_SPEC, threads: THREADS_SPEC, kv: KV_SPEC, ids: { value: true } },
    ...GPU_SPECS,
    ...more,
  });
  if (options.some(({ name }) => name === 'help')) return undefined;
  const language: LanguageOptions = { gpu: {} };
  const of: Record<string, string> = {};
  for (const { name, shown, value } of options) if (!languageOption(language, name, shown, value)) of[name] = value;
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}': ids are given with --ids`);
  const model = requiredModel(language);
  if (!('ids' in of)) throw new UsageError('no token ids: give a file with --ids');
  const to = of['output'] ?? output;
  if (to === undefined) throw new UsageError('no file to write: give one with --output');
  return { language, model, ids: of['ids'], output: to, compare: of['compare'], json: 'json' in of };
}

// ---- the work ----

interface Run {
  signal: AbortSignal;
  r: Request;
}

/** Evaluates one text: what measure.ts answers. `ready` is awaited before each part. */
function evaluate(
  model: LocalModel,
  type: 'score' | 'logits',
  ids: readonly number[],
  { r, signal }: Run,
  on: (message: FromWorker) => void,
  ready = async (): Promise<void> => {},
): Promise<LanguageAnswer> {
  const options: [string, number][] = [['kv_type', r.language.kv === 'q8_0' ? 1 : 0]];
  const context = { ...model, platform: { ...model.platform, post: on } };
  const task = { cancelled: () => signal.aborted, room: ready };
  return new Measure(context, { type, id: 0, ids: Int32Array.from(ids), options }, task).run();
}

/** The header of a NumPy file of version 1, 64 bytes or a multiple. */
function npyHeader(rows: number, columns: number): Buffer {
  const words = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const size = Math.ceil((10 + words.length + 1) / 64) * 64;
  const header = Buffer.from('\x93NUMPY\x01\x00??' + words.padEnd(size - 11) + '\n', 'latin1');
  header.writeUInt16LE(size - 10, 8);
  return header;
}

/** Writes while the next rows are computed. */
async function writeLogits(model: LocalModel, ids: number[], run: Run): Promise<void> {
  await using out = await Output.open(run.r.output);
  const line = new ProgressLine();
  let written = out.write(npyHeader(ids.length, model.nVocab));
  try {
    await evaluate(
      model,
      'logits',
      ids,
      run,
      (message) => {
        if (message.type !== 'rows') return;
        const { first, rows, data } = message.rows;
        line.percent('reading the text', first + rows, ids.length);
        written = written.then(() => out.write(new Uint8Array(data.buffer)));
        written.catch(() => {}); // is heard of when the next rows are wanted
      },
      () => written,
    );
    await written;
    await out.commit();
  } finally {
    line.hide();
  }
}

export async function logits(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv, { output: { letter: 'o', value: true } });
  if (!r) {
    await write(LOGITS_HELP);
    return 0;
  }
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const [ids, ...others] = await readIds(r.ids, signal);
    if (others.length > 0 || ids.length === 0) throw new FileError(r.ids, 'give the ids of one text');
    const { threads, gpu } = r.language;
    await withLocalModel(r.model, { threads, ...gpu, signal }, (model) => writeLogits(model, ids, { r, signal }));
  });
}

/** The sum of -log p of ids[1..]. */
async function score(model: LocalModel, ids: number[], run: Run, line: ProgressLine): Promise<number> {
  const scores = await evaluate(model, 'score', ids, run, (message) => {
    if (message.type === 'evaluated') line.percent('reading the text', message.done, message.total);
  });
  return (scores as Float32Array).reduce((sum, logprob) => sum - logprob, 0);
}

const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;

async function printPerplexity(model: LocalModel, texts: number[][], run: Run): Promise<void> {
  const line = new ProgressLine();
  const sums: number[] = [];
  try {
    for (const ids of texts) sums.push(await score(model, ids, run, line));
  } finally {
    line.hide();
  }
  const each = sums.map((sum, i) => sum / (texts[i].length - 1));
  const nTokens = texts.reduce((n, ids) => n + ids.length - 1, 0);
  const byToken = sums.reduce((sum, x) => sum + x, 0) / nTokens;
  const object = {
    nll: millionths(mean(each)),
    nll_by_token: millionths(byToken),
    perplexity: millionths(Math.exp(byToken)),
    n_texts: texts.length,
    n_tokens: nTokens,
    texts: each.map(millionths),
  };
  await write(run.r.json ? JSON.stringify(object) + '\n' : mean(each).toFixed(6) + '\n');
}

/** Both models read the same tokens in the same parts. */
async function printComparison(model: LocalModel, base: LocalModel, texts: number[][], run: Run): Promise<void> {
  if (base.nVocab !== model.nVocab)
    throw new FileError(run.r.model, `${run.r.compare} has another vocabulary: compare models of one kind`);
  const line = new ProgressLine();
  const comparison = new Comparison(model.nVocab);
  try {
    for (const ids of texts) {
      const rows = (m: LocalModel, take: (data: Float32Array) => void, ready: () => Promise<void>) =>
        evaluate(m, 'logits', ids, run, (message) => message.type === 'rows' && take(message.rows.data), ready);
      await sideBySide(
        (take, ready) => rows(model, take, ready),
        (take, ready) => rows(base, take, ready),
        (ofModel, ofBase, first) => {
          comparison.add(ofModel, ofBase, ids.slice(first + 1));
          line.percent('reading the text', first + ofModel.length / model.nVocab, ids.length);
        },
        model.nVocab,
      );
    }
  } finally {
    line.hide();
  }
  await write(run.r.json ? comparison.json() : comparison.text());
}

export async function perplexity(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv, { compare: { value: true }, json: {} }, '-');
  if (!r) {
    await write(PERPLEXITY_HELP);
    return 0;
  }
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const texts = await readIds(r.ids, signal);
    const short = texts.findIndex((ids) => ids.length < 2);
    if (short >= 0 || texts.length === 0)
      throw new FileError(r.ids, `text ${short + 1} has fewer than two tokens: there is nothing to predict`);
    const { threads, gpu } = r.language;
    const [options, run] = [{ threads, ...gpu, signal }, { r, signal }];
    const { compare } = r;
    await withLocalModel(r.model, options, (model) =>
      compare === undefined
        ? printPerplexity(model, texts, run)
        : withLocalModel(compare, options, (base) => printComparison(model, base, texts, run)),
    );
  });
}
