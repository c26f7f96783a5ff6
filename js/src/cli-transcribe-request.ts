// sotto transcribe: what its command line asks for, and where its output goes.
import { statSync } from 'node:fs';
import path from 'node:path';
import { integer, number, parse, UsageError, type OptionSpec } from './args.js';
import { ACCESS_HELP, accessOption, ACCESS_SPECS, type AccessArgs } from './cli-access.js';
import { GPU_HELP, gpuOption, GPU_SPECS, type GpuOptions } from './cli-gpu.js';
import { FORMATS, type Format } from './format.js';
import type { TranscribeOptions } from './transcriber.js';

export const HELP = `Usage: sotto transcribe -m MODEL [OPTION]... FILE...
Writes down what is said in audio files (WAV, MP3, FLAC, Ogg Vorbis; - is standard input).

  -m, --model MODEL       model file, address, hf:OWNER/REPO/FILE.bin, or NAME of ggml-NAME.bin: in
                          ./models or ~/.cache/sotto, or fetched; by default what SOTTO_MODEL says
  -l, --language LANG     spoken language, such as de or german (default: auto)
      --task TASK         transcribe (default), or translate: into English
  -t, --threads N         threads to use (default: one for each core, at most 8)
${GPU_HELP}
${ACCESS_HELP}
      --vad               skip silence: only what is speech is transcribed
      --audio-ctx N       windows of N times 20 ms, 1500 at most: faster for short audio
      --fast-encoder      the encoder rounds to 8 bits: faster, a little less exact

Output
  -f, --format FORMAT     txt, srt, vtt, tsv, lrc or json; several: -f srt,vtt (default:
                          lines with times)
  -o, --output PATH       file, or directory that gets FILE's name with the format's
                          extension (default: -, standard output)
      --json              one line of JSON a file, with tokens, timings and memory
      --no-timestamps     text without times
  -q, --quiet             no progress and no notes
  -v, --verbose           what was loaded, and how long each part took

Search
      --beam N            beam search of N beams (default: greedy)
      --patience F        of the beam search (default: 1)
      --length-penalty F  rank by Google's length penalty (default: mean log-probability)
      --temperature F     first temperature (default: 0)
      --temperature-increment F  step to the next when a text looks wrong; 0: never (0.2)
      --best-of N         samples at temperatures above 0 (default: 5)
      --seed N            of the sampling (default: 0)
      --compression-ratio-threshold F  a text above it is taken for a loop (2.4)
      --logprob-threshold F            a mean log-probability below it is not trusted (-1)
      --no-speech-threshold F          no-speech probability of silence (0.6)

Text
      --prompt TEXT       text that came before: names, spelling, style
      --prefix TEXT       the transcript begins with this
      --no-condition      each window is decoded without the text before it
      --max-initial-timestamp S  latest begin of the first segment (default: 1)
      --suppress-tokens ID,ID...  tokens never to write
      --no-suppress-symbols  allow notes, brackets and other symbols
  -h, --help              this help

Exit status: 0 done, 1 a file could not be transcribed, 2 wrong usage, 130 interrupted.
`;

const value = { value: true };
const SPECS: Record<string, OptionSpec> = {
  model: { letter: 'm', ...value },
  language: { letter: 'l', ...value },
  task: value,
  beam: value,
  'best-of': value,
  patience: value,
  'length-penalty': value,
  temperature: value,
  'temperature-increment': value,
  'compression-ratio-threshold': value,
  'logprob-threshold': value,
  'no-speech-threshold': value,
  prompt: value,
  prefix: value,
  'no-condition': {},
  'no-timestamps': {},
  'max-initial-timestamp': value,
  'suppress-tokens': value,
  'no-suppress-symbols': {},
  seed: value,
  threads: { letter: 't', ...value },
  ...GPU_SPECS,
  ...ACCESS_SPECS,
  vad: {},
  'audio-ctx': value,
  'fast-encoder': {},
  format: { letter: 'f', ...value },
  json: {},
  output: { letter: 'o', ...value },
  quiet: { letter: 'q' },
  verbose: { letter: 'v' },
  help: { letter: 'h' },
};

export type OutputFormat = Format | 'lines' | 'json-line';

export interface Request {
  model: string;
  threads: number | undefined;
  gpu: GpuOptions;
  access: AccessArgs;
  options: TranscribeOptions;
  formats: OutputFormat[];
  /** undefined: standard output. */
  output: string | undefined;
  outputIsFolder: boolean;
  quiet: boolean;
  verbose: boolean;
  files: string[];
}

function readFormats(list: string): Format[] {
  return list.split(',').map((name) => {
    if (!FORMATS.includes(name as Format))
      throw new UsageError(`unknown format '${name}': txt, srt, vtt, tsv, lrc or json`);
    return name as Format;
  });
}

function readTokens(shown: string, list: string): number[] {
  const ids = list.split(',').map((id) => (/^\d+$/.test(id) ? Number(id) : NaN));
  if (!ids.every((id) => id <= 100000))
    throw new UsageError(`option '${shown}' needs token ids such as 50,51, not '${list}'`);
  return ids;
}

/** undefined: help was asked for. */
export function readRequest(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, SPECS);
  const o: TranscribeOptions = {};
  const r: Request = {
    model: process.env['SOTTO_MODEL'] ?? '',
    threads: undefined,
    gpu: {},
    access: {},
    options: o,
    formats: [],
    output: undefined,
    outputIsFolder: false,
    quiet: false,
    verbose: false,
    files: operands,
  };
  const chosen = new Set<OutputFormat>();
  let json = false;
  for (const { name, shown, value: text } of options) {
    if (gpuOption(r.gpu, name, shown, text) || accessOption(r.access, name, shown, text)) continue;
    switch (name) {
      case 'help':
        return undefined;
      case 'model':
        r.model = text;
        break;
      case 'language':
        o.language = text.toLowerCase();
        break;
      case 'task':
        if (text !== 'transcribe' && text !== 'translate')
          throw new UsageError(`unknown task '${text}': transcribe or translate`);
        o.task = text;
        break;
      case 'beam':
        o.beamSize = integer(shown, text, 1, 16);
        break;
      case 'best-of':
        o.bestOf = integer(shown, text, 1, 16);
        break;
      case 'seed':
        o.seed = integer(shown, text, 0, Number.MAX_SAFE_INTEGER);
        break;
      case 'threads':
        r.threads = integer(shown, text, 1, 64);
        break;
      case 'patience':
        o.patience = number(shown, text, 0.1, 10);
        break;
      case 'length-penalty':
        o.lengthPenalty = number(shown, text, 0, 1);
        break;
      case 'temperature':
        o.temperature = number(shown, text, 0, 1);
        break;
      case 'temperature-increment':
        o.temperatureIncrement = number(shown, text, 0, 1);
        break;
      case 'compression-ratio-threshold':
        o.compressionRatioThreshold = number(shown, text, 0, 1000);
        break;
      case 'logprob-threshold':
        o.logprobThreshold = number(shown, text, -1000, 0);
        break;
      case 'no-speech-threshold':
        o.noSpeechThreshold = number(shown, text, 0, 1);
        break;
      case 'max-initial-timestamp':
        o.maxInitialTimestamp = number(shown, text, 0, 30);
        break;
      case 'prompt':
        o.initialPrompt = text;
        break;
      case 'prefix':
        o.prefix = text;
        break;
      case 'no-condition':
        o.conditionOnPreviousText = false;
        break;
      case 'no-timestamps':
        o.timestamps = false;
        break;
      case 'suppress-tokens':
        o.suppressTokens = readTokens(shown, text);
        break;
      case 'no-suppress-symbols':
        o.suppressSymbols = false;
        break;
      case 'vad':
        o.vad = true;
        break;
      case 'audio-ctx':
        o.audioCtx = integer(shown, text, 0, 1500);
        break;
      case 'fast-encoder':
        o.fastEncoder = true;
        break;
      case 'format':
        readFormats(text).forEach((f) => chosen.add(f));
        break;
      case 'json':
        json = true;
        break;
      case 'output':
        r.output = text;
        break;
      case 'quiet':
        r.quiet = true;
        break;
      case 'verbose':
        r.verbose = true;
        break;
    }
  }
  if (r.files.length === 0) throw new UsageError('no audio file was given');
  if (r.model === '') throw new UsageError('no model: give one with --model, or set SOTTO_MODEL');
  r.formats = [...chosen];
  planOutput(r, json);
  return r;
}

const isFolder = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;

function planOutput(r: Request, json: boolean): void {
  if (json && r.formats.length > 0) throw new UsageError('--json and --format exclude each other');
  if (json) r.formats = ['json-line'];
  if (r.output === '-') r.output = undefined;
  if (r.output === undefined) {
    if (r.formats.length > 1) throw new UsageError('several formats need a directory: --output DIR');
    if (r.formats.length === 0) r.formats = [r.options.timestamps === false ? 'txt' : 'lines'];
    return;
  }
  if (r.output === '') throw new UsageError("option '--output' needs a file or a directory");
  r.outputIsFolder = isFolder(r.output) || r.output.endsWith('/') || r.files.length > 1 || r.formats.length > 1;
  if (r.formats.length === 0) {
    const extension = path.extname(r.output).slice(1) as Format;
    r.formats = [!r.outputIsFolder && FORMATS.includes(extension) ? extension : 'txt'];
  }
  checkOutputs(r);
}

export function outputPath(r: Request, file: string, f: OutputFormat): string {
  if (!r.outputIsFolder) return r.output!;
  const stem = file === '-' ? 'stdin' : path.basename(file, path.extname(file));
  return path.join(r.output!, `${stem}.${f === 'json-line' ? 'json' : f}`);
}

/** No output may be written over an input, or over another output. */
function checkOutputs(r: Request): void {
  const writers = new Map<string, string>();
  for (const file of r.files) {
    const target = outputPath(r, file, r.formats[0]);
    if (writers.has(target))
      throw new UsageError(`${writers.get(target)} and ${file} would both be written to ${target}`);
    writers.set(target, file);
    for (const f of r.formats) {
      const stat = statSync(outputPath(r, file, f), { throwIfNoEntry: false });
      if (!stat) continue;
      for (const other of r.files) {
        const input = other === '-' ? undefined : statSync(other, { throwIfNoEntry: false });
        if (input && input.dev === stat.dev && input.ino === stat.ino)
          throw new UsageError(`the output would overwrite ${other}`);
      }
    }
  }
}
