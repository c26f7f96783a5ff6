// sotto transcribe: the model is loaded once, then file after file goes through it.
import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { integer, number, parse, UsageError, type OptionSpec } from './args.js';
import { EXIT_FAILED, EXIT_INTERRUPTED, peakMemoryBytes, problemOf, ProgressLine, write } from './cli-common.js';
import { SottoError } from './errors.js';
import {
  format,
  FORMATS,
  toJsonLine,
  toLine,
  toLines,
  type Format,
  type FormatTranscript,
  type JsonExtras,
} from './format.js';
import { findModel } from './models.js';
import { Transcriber, type TranscribeOptions } from './transcriber.js';
import type { Progress, Timings } from './protocol.js';
import type { Transcript, Transcription } from './transcription.js';

const HELP = `Usage: sotto transcribe -m MODEL [OPTION]... FILE...
Writes down what is said in audio files (WAV, MP3, FLAC, Ogg Vorbis; - is standard input).

  -m, --model MODEL       model file, address, or NAME of ggml-NAME.bin: in ./models or
                          ~/.cache/sotto, or fetched; by default what SOTTO_MODEL says
  -l, --language LANG     spoken language, such as de or german (default: auto)
      --task TASK         transcribe (default), or translate: into English
  -t, --threads N         threads to use (default: one for each core, at most 8)

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
  format: { letter: 'f', ...value },
  json: {},
  output: { letter: 'o', ...value },
  quiet: { letter: 'q' },
  verbose: { letter: 'v' },
  help: { letter: 'h' },
};

type OutputFormat = Format | 'lines' | 'json-line';

interface Request {
  model: string;
  threads: number | undefined;
  options: TranscribeOptions;
  formats: OutputFormat[];
  /** undefined: standard output. */
  output: string | undefined;
  outputIsFolder: boolean;
  quiet: boolean;
  verbose: boolean;
  files: string[];
}

// ---- what the command line asks for ----

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
function readRequest(argv: readonly string[]): Request | undefined {
  const { options, operands } = parse(argv, SPECS);
  const o: TranscribeOptions = {};
  const r: Request = {
    model: process.env['SOTTO_MODEL'] ?? '',
    threads: undefined,
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

function outputPath(r: Request, file: string, f: OutputFormat): string {
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

// ---- the model ----

/** A path where there is one; else an id or an address for the Transcriber. */
function findModelFile(given: string): string | URL {
  if (existsSync(given)) return pathToFileURL(path.resolve(given));
  const local = path.join('models', `ggml-${given}.bin`);
  if (!given.includes('/') && existsSync(local)) return pathToFileURL(path.resolve(local));
  if (/^https?:/.test(given) || findModel(given)) return given;
  const hint = given.includes('/') || given.endsWith('.bin') ? '' : `; no model has this name`;
  throw new SottoError('argument', `${given}: No such file or directory${hint}`);
}

// ---- writing ----

function render(f: OutputFormat, transcript: FormatTranscript, extras: JsonExtras): string {
  if (f === 'lines') return toLines(transcript);
  if (f === 'json-line') return toJsonLine(transcript, extras);
  return format(transcript, f, { file: extras.file! });
}

async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomUUID()}.tmp`);
  try {
    await fs.writeFile(temporary, text, { flag: 'wx' });
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}

function progressText(file: string, { done, duration, fraction }: Progress): string {
  const share = duration ? `${Math.round(fraction * 100)}%, ` : '';
  return `${file}: ${share}${Math.floor(done / 60)}:${String(Math.floor(done) % 60).padStart(2, '0')} done`;
}

const jsonTimings = (t: Timings): Record<string, number> => ({
  load_ms: t.loadMs,
  mel_ms: t.melMs,
  encode_ms: t.encodeMs,
  decode_ms: t.decodeMs,
  total_ms: t.totalMs,
  n_encode: t.nEncode,
  n_decode: t.nDecode,
});

// ---- the work ----

const openRecording = (file: string): AsyncIterable<Uint8Array> =>
  file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });

/** Whether it went well. */
async function transcribeFile(
  r: Request,
  file: string,
  transcriber: Transcriber,
  signal: AbortSignal,
): Promise<boolean> {
  const line = new ProgressLine(!r.quiet);
  const complain = (problem: string): false => {
    line.hide();
    process.stderr.write(`sotto: ${file}: ${problem}\n`);
    return false;
  };
  const begin = performance.now();
  let running: Transcription | undefined;
  let whole: Transcript | undefined;
  // What is read line by line is written as it comes.
  const live = r.output === undefined && (r.formats[0] === 'lines' || r.formats[0] === 'txt');
  try {
    if (file !== '-') await fs.access(file);
    running = transcriber.transcribe(openRecording(file), {
      ...r.options,
      signal,
      onProgress: (p) => line.show(progressText(file, p)),
    });
    for await (const segment of running) {
      const text = r.formats[0] === 'lines' ? toLine(segment) : format({ segments: [segment] }, 'txt');
      if (live && text !== '') {
        line.hide();
        await write(text);
      }
    }
    whole = await running;
  } catch (error) {
    if (!signal.aborted) return complain(problemOf(error));
  }
  line.hide();
  // After an interrupt what is final is kept.
  const transcript: FormatTranscript = whole ?? running ?? { segments: [] };
  const timings = {
    ...(whole?.timings ?? NO_TIMINGS),
    loadMs: transcriber.info.loadMs,
    totalMs: performance.now() - begin,
  };
  const peak = peakMemoryBytes();
  const extras: JsonExtras = { file, timings: jsonTimings(timings), peak_memory_bytes: peak };
  for (const f of r.formats) {
    const text = render(f, transcript, extras);
    if (r.output === undefined) {
      if (!live) await write(text);
      continue;
    }
    const target = outputPath(r, file, f);
    try {
      await writeWhole(target, text);
    } catch (error) {
      process.stderr.write(`sotto: could not write ${target}: ${problemOf(error)}\n`);
      return false;
    }
  }
  if (r.verbose && whole) {
    const t = timings;
    process.stderr.write(
      `${file}: language ${whole.language} (${whole.languageProbability.toFixed(2)}); mel ${t.melMs.toFixed(0)} ms, ` +
        `encode ${t.encodeMs.toFixed(0)} ms (${t.nEncode} windows), decode ${t.decodeMs.toFixed(0)} ms (${t.nDecode} steps), ` +
        `in all ${t.totalMs.toFixed(0)} ms; peak memory ${(peak / 1e6).toFixed(1)} MB\n`,
    );
  }
  return true;
}

const NO_TIMINGS: Timings = { loadMs: 0, melMs: 0, encodeMs: 0, decodeMs: 0, totalMs: 0, nEncode: 0, nDecode: 0 };

export async function transcribe(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv);
  if (!r) {
    process.stdout.write(HELP);
    return 0;
  }
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupt.abort()); // a second one ends the process
  const line = new ProgressLine(!r.quiet);
  let transcriber: Transcriber;
  try {
    if (r.outputIsFolder) await fs.mkdir(r.output!, { recursive: true });
    transcriber = await Transcriber.create({
      model: findModelFile(r.model),
      threads: r.threads,
      signal: interrupt.signal,
      monitor: (m) =>
        m.addEventListener('downloadprogress', ({ loaded, total }) =>
          line.show(`${r.model}: ${Math.round((100 * loaded) / total)}% of ${(total / 1e6).toFixed(0)} MB`),
        ),
    });
  } catch (error) {
    line.hide();
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
    process.stderr.write(`sotto: ${problemOf(error)}\n`);
    return EXIT_FAILED;
  }
  line.hide();
  const { model, variant, threads, loadMs, whySingle } = transcriber.info;
  if (r.options.language !== undefined && !knows(r.options.language, transcriber)) {
    await transcriber.destroy();
    throw new UsageError(`unknown language '${r.options.language}': give a code such as en, de or ja, or auto`);
  }
  if (r.verbose) {
    const why = whySingle !== undefined ? ` (${whySingle})` : '';
    process.stderr.write(
      `${model.architecture} ${model.name}, ${model.weightType}, loaded in ${loadMs.toFixed(0)} ms; ${threads} threads${why}, ${variant}\n`,
    );
  }
  let status = 0;
  for (const file of r.files) {
    if (interrupt.signal.aborted) break;
    if (!(await transcribeFile(r, file, transcriber, interrupt.signal))) status = EXIT_FAILED;
  }
  await transcriber.destroy();
  return interrupt.signal.aborted ? EXIT_INTERRUPTED : status;
}

function knows(language: string, { info }: Transcriber): boolean {
  if (language === 'auto') return true;
  return info.languages.some(({ code, name }) => code === language || name === language);
}
