// sotto imatrix: which columns of a model's matrices matter, from a sample of text.
//
//   text ─> ids ─> chunks, each from the start ─> session ─> sums of squares by column ─> FILE, for quantize --imatrix
import { integer, parse, UsageError, type OptionSpec } from './args.js';
import { attempt, EXIT_DONE, interruptSignal, Output, ProgressLine, readInput, write } from './cli-common.js';
import { withLocalModel, type LocalModel } from './cli-engine.js';
import { readIds } from './cli-ids.js';
import { HELP_SPEC, languageOption, MODEL_SPEC, requiredModel, THREADS_SPEC, type LanguageOptions } from './cli-language.js';
import { abortError, SottoError } from './errors.js';
import { openSession } from './session.js';
import type { Pointer } from './wasm.js';

const HELP = `Usage: sotto imatrix -m MODEL (-f TEXT | --ids FILE) -o FILE [OPTION]...
Runs a sample of text through a model and writes how much the columns of its matrices matter, for
'sotto quantize --imatrix'. The text should be like what the model will read and write, some ten thousand
tokens of it; names of control tokens in it become those tokens.

  -m, --model MODEL   GGUF file, folder as on Hugging Face, address, or name, best in bf16, f16 or f32
  -f, --file TEXT     the text; - is standard input
      --ids FILE      or token ids: a JSON array, or one of such arrays for several texts
  -o, --output FILE   the importances (GGUF); they appear whole or not at all
      --chunk N       tokens evaluated from one start (default: 512)
  -t, --threads N     threads to use (default: one for each core, at most 8)
  -h, --help          this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
Example: sotto imatrix -m gemma-3-270m-it -f sample.txt -o sample.imatrix
`;

const BATCH = 64;
const CHUNK = 512;
const AGAIN = 1;

const value = { value: true };
const SPECS: Record<string, OptionSpec> = {
  help: HELP_SPEC,
  model: MODEL_SPEC,
  threads: THREADS_SPEC,
  file: { letter: 'f', ...value },
  ids: value,
  output: { letter: 'o', ...value },
  chunk: value,
};

interface Request {
  language: LanguageOptions;
  model: string;
  file?: string | undefined;
  ids?: string | undefined;
  output: string;
  chunk: number;
}

/** undefined: help is wanted. */
function read(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, SPECS);
  const language: LanguageOptions = { gpu: {} };
  const of: Record<string, string> = {};
  let chunk = CHUNK;
  for (const { name, shown, value } of options) {
    if (name === 'help') return undefined;
    if (languageOption(language, name, shown, value)) continue;
    if (name === 'chunk') chunk = integer(shown, value, 8, 1 << 20);
    else of[name] = value;
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}'`);
  const { file, ids, output } = of;
  const model = requiredModel(language);
  if ((file === undefined) === (ids === undefined)) throw new UsageError('give a text with --file, or ids with --ids');
  if (output === undefined || output === '-') throw new UsageError('no file to write: name one with --output');
  return { language, model, file, ids, output, chunk };
}

/** Evaluates ids from the start of a context; the importances are summed up beside it. */
async function runChunk(model: LocalModel, ids: readonly number[], signal: AbortSignal): Promise<void> {
  const { wasm, engine } = model;
  const session = openSession(model, [
    ['n_ctx', ids.length],
    ['n_batch', BATCH],
  ]);
  const p = wasm.alloc(ids.length * 4);
  try {
    new Int32Array(wasm.memory.buffer, p, ids.length).set(ids);
    let status = wasm.x.sotto_wasm_session_sync(session, p, ids.length);
    if (status >= 0) status = AGAIN;
    while (status === AGAIN) {
      await model.breathe();
      if (signal.aborted) throw abortError();
      status = wasm.x.sotto_wasm_session_step(session);
    }
    if (status < 0) wasm.fail(status, engine);
  } finally {
    wasm.free(p);
    wasm.x.sotto_wasm_session_close(session);
  }
}

/** The file's bytes. */
function bytesOf({ wasm, engine }: LocalModel, x: Pointer): Uint8Array {
  const ask = (p: Pointer, capacity: number): { n: number; status: number } => {
    const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_imatrix_write(x, p, capacity, out));
    return { n: values[0], status: result };
  };
  const { n, status } = ask(0, 0);
  if (status < 0 && n === 0) wasm.fail(status, engine);
  const p = wasm.alloc(n);
  try {
    const written = ask(p, n);
    if (written.status < 0) wasm.fail(written.status, engine);
    return wasm.bytes(p, n).slice();
  } finally {
    wasm.free(p);
  }
}

async function collect(model: LocalModel, texts: readonly (readonly number[])[], chunk: number, signal: AbortSignal): Promise<Uint8Array> {
  const { wasm, engine, info } = model;
  const x = wasm.x.sotto_wasm_imatrix_open(model.model);
  if (x === 0) wasm.fail(-1, engine);
  const line = new ProgressLine();
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  const most = Math.min(chunk, info.nTextCtx);
  let done = 0;
  try {
    for (const ids of texts)
      for (let at = 0; at < ids.length; at += most) {
        const some = ids.slice(at, at + most);
        await runChunk(model, some, signal);
        line.percent('importances', (done += some.length), total);
      }
    return bytesOf(model, x);
  } finally {
    line.hide();
    wasm.x.sotto_wasm_imatrix_close(x);
  }
}

export async function imatrix(argv: readonly string[]): Promise<number> {
  const r = read(argv);
  if (!r) {
    await write(HELP);
    return EXIT_DONE;
  }
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const given = r.ids === undefined ? undefined : await readIds(r.ids, signal);
    const text = r.file === undefined ? undefined : await readInput(r.file, signal);
    const bytes = await withLocalModel(r.model, { threads: r.language.threads, signal }, async (model) => {
      const texts = given ?? [model.codec.text(text!, true, true)];
      if (texts.every(({ length }) => length === 0)) throw new SottoError('argument', 'the text is empty');
      return collect(model, texts, r.chunk, signal);
    });
    await using out = await Output.open(r.output);
    await out.write(bytes);
    await out.commit();
  });
}
