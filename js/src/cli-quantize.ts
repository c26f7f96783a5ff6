// sotto quantize: the files of a model to one file with smaller weights, as the native command does it.
import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { integer, parse, UsageError, type OptionSpec } from './args.js';
import { attempt, EXIT_DONE, FileError, interruptSignal, problemOf, ProgressLine, readInput, thousandths, write } from './cli-common.js';
import { accessOf, accessOption, ACCESS_SPECS, HUB_HELP, type AccessArgs } from './cli-access.js';
import { GPU_HELP, gpuOption, GPU_SPECS, placeAsJson, placeInWords, type GpuOptions } from './cli-gpu.js';
import { HELP_SPEC } from './cli-language.js';
import { quantize as start } from './quantize/quantize.js';
import { QUANTIZE_TYPES, type QuantizeOutcome, type QuantizeProgress } from './quantize/types.js';

const HELP = `Usage: sotto quantize IN OUT [--type TYPE] [OPTION]...
Makes one model file with smaller weights. From a Gemma's folder as on Hugging Face (config.json,
safetensors, tokenizer) or a GGUF file of any kind comes a GGUF file; from a Whisper's folder or ggml .bin
file a ggml .bin file. IN may be an address, too: of a file, of a folder, or of a model on huggingface.co
(hf:OWNER/REPO, or its page).
OUT appears whole or not at all.

      --type TYPE       of the weights, see below (default: q8_0)
      --tensor PATTERN=TYPE
                        of tensors with such names in OUT, * for any characters; may be repeated,
                        the last that matches counts: --tensor '*ffn_down*=q6_K'
      --imatrix FILE    importances of columns, made by 'sotto imatrix': errors count by them
      --fast            k-quants rounded at once, without a search for better scales
      --name NAME       of the model, for folders (default: the folder's)
      --resume          keep what is done when it is interrupted or fails, in OUT.part, and go on from there
                        the next time
      --json            one line of JSON about what was made
  -t, --threads N       threads to use (default: one for each core, at most 8)
${GPU_HELP}
${HUB_HELP}
  -o, --output FILE     OUT
  -h, --help            this help

Types: ${QUANTIZE_TYPES.slice(0, 7).join(', ')},
       ${QUANTIZE_TYPES.slice(7).join(', ')}

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
Example: sotto quantize gemma-3-270m-it gemma-3-270m-it-q4_K_M.gguf --type q4_K_M
`;

const value = { value: true };
const SPECS: Record<string, OptionSpec> = {
  help: HELP_SPEC,
  type: value,
  tensor: value,
  imatrix: value,
  fast: {},
  name: value,
  resume: {},
  json: {},
  threads: { letter: 't', ...value },
  output: { letter: 'o', ...value },
  ...GPU_SPECS,
  hub: ACCESS_SPECS.hub,
  header: ACCESS_SPECS.header,
};

interface Request extends GpuOptions {
  from: string;
  to: string;
  type: string;
  tensors: Record<string, string>;
  imatrix?: string;
  name?: string;
  fast: boolean;
  resume: boolean;
  json: boolean;
  threads?: number;
  access: AccessArgs;
}

const typeOf = (name: string): string => {
  const known = QUANTIZE_TYPES.find((type) => type.toLowerCase() === name.toLowerCase());
  if (!known) throw new UsageError(`unknown type '${name}'`);
  return known;
};

function sameFile(a: string, b: string): boolean {
  const [x, y] = [a, b].map((file) => statSync(file, { throwIfNoEntry: false }));
  return !!x && !!y && x.dev === y.dev && x.ino === y.ino;
}

/** The last part of a path, as the native command has it; undefined: it is none. */
function lastPart(from: string): string | undefined {
  try {
    return path.basename(realpathSync(from));
  } catch {
    return undefined; // an address, or nothing: whoever opens it says so
  }
}

/** undefined: help was asked for. */
function read(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, SPECS);
  const r: Request = { from: '', to: '', type: 'q8_0', tensors: {}, fast: false, resume: false, json: false, access: {} };
  let output: string | undefined;
  for (const { name, shown, value } of options) {
    if (name === 'help') return undefined;
    if (gpuOption(r, name, shown, value) || accessOption(r.access, name, shown, value)) continue;
    if (name === 'type') r.type = typeOf(value);
    else if (name === 'tensor') {
      const [, pattern, type] = /^(.+)=([^=]+)$/.exec(value) ?? [];
      if (pattern === undefined) throw new UsageError(`option '${shown}' needs PATTERN=TYPE, not '${value}'`);
      delete r.tensors[pattern]; // the last one counts
      r.tensors[pattern] = type;
    } else if (name === 'threads') r.threads = integer(shown, value, 1, 64);
    else if (name === 'output') output = value;
    else if (name === 'imatrix' || name === 'name') r[name] = value;
    else if (name === 'fast' || name === 'json' || name === 'resume') r[name] = true;
  }
  const [from, ...rest] = operands;
  if (from === undefined) throw new UsageError('no model was given');
  const to = rest.length > 0 ? rest[0] : output;
  if (to === undefined) throw new UsageError('no output: name the file to write');
  const extra = output === undefined ? rest[1] : rest[0];
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}': one model at a time`);
  if (to === '-') throw new UsageError('the output cannot be standard output: it appears whole or not at all, so name a file');
  if (sameFile(from, to)) throw new UsageError('the output is the model itself: name another file');
  return { ...r, from, to };
}

function show(line: ProgressLine, p: QuantizeProgress): void {
  if (p.phase === 'reading') return;
  const what = p.phase === 'downloading' ? `downloading ${p.file}` : p.phase === 'checking' ? `checking ${p.tensor}` : p.tensor;
  line.percent(what, p.fraction, 1);
}

const bitsOf = ({ outBytes, nParameters }: QuantizeOutcome['plan']): number => (8 * outBytes) / nParameters;

function asJson(to: string, { plan, device, gpuTensors }: QuantizeOutcome, seconds: number): string {
  const { format, architecture, type, nTensors, nParameters, sourceBytes, outBytes, warnings } = plan;
  const gpu = device.backend === 'webgpu' || device.whyCpu !== undefined;
  return JSON.stringify({
    ...{ file: to, format, architecture, type, n_tensors: nTensors, n_parameters: nParameters },
    ...{ source_bytes: sourceBytes, bytes: outBytes, bits_per_weight: thousandths(bitsOf(plan)), seconds: thousandths(seconds) },
    warnings,
    ...(gpu && { ...placeAsJson(device), gpu_tensors: gpuTensors }),
  });
}

async function run(r: Request, signal: AbortSignal): Promise<void> {
  const begin = performance.now();
  const line = new ProgressLine();
  const { from, to, type, tensors, fast, resume, threads, backend, dawn, json } = r;
  const imatrix = r.imatrix === undefined ? undefined : new Uint8Array(await readInput(r.imatrix, signal));
  const job = start(from, {
    ...accessOf(r.access, from),
    ...{ type, tensors, imatrix, fast, threads, backend, dawn, signal, name: r.name ?? lastPart(from), keepPart: resume },
    output: { path: to },
    onProgress: (progress) => show(line, progress),
  });
  try {
    await job;
  } catch (error) {
    line.hide();
    if (signal.aborted) throw error;
    throw new FileError(to, problemOf(error));
  }
  line.hide();
  const outcome = job.outcome!;
  const { plan, device } = outcome;
  const seconds = (performance.now() - begin) / 1e3;
  if (json) return write(`${asJson(to, outcome, seconds)}\n`);
  for (const warning of plan.warnings) process.stderr.write(`sotto: ${from}: ${warning}\n`);
  const where = device.backend === 'webgpu' ? `, on ${placeInWords(device)}` : '';
  await write(`${to}: ${plan.type}, ${(plan.outBytes / 1e6).toFixed(1)} MB, ${bitsOf(plan).toFixed(2)} bits a weight, in ${seconds.toFixed(1)} s${where}\n`);
}

export async function quantize(argv: readonly string[]): Promise<number> {
  const request = read(argv);
  if (!request) {
    await write(HELP);
    return EXIT_DONE;
  }
  const signal = interruptSignal();
  return attempt(signal, () => run({ ...request, to: path.normalize(request.to) }, signal));
}
