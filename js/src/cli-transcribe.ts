// sotto transcribe: the model is loaded once, then file after file goes through it.
import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from './args.js';
import { accessOf, findModelPlace, type AccessArgs } from './cli-access.js';
import { EXIT_FAILED, EXIT_INTERRUPTED, peakMemoryBytes, problemOf, ProgressLine, write } from './cli-common.js';
import { placeInWords } from './cli-gpu.js';
import { SottoError } from './errors.js';
import { format, toJsonLine, toLine, toLines, type FormatTranscript, type JsonExtras } from './format.js';
import { HELP, outputPath, readRequest, type OutputFormat, type Request } from './cli-transcribe-request.js';
import { Transcriber } from './transcriber.js';
import type { Progress, Timings } from './protocol.js';
import type { Transcript, Transcription } from './transcription.js';

// ---- the model ----

/** A path where there is one; else what the Transcriber knows. */
function findModelFile(given: string, access: AccessArgs): string | URL {
  const local = path.join('models', `ggml-${given}.bin`);
  if (!given.includes('/') && !existsSync(given) && existsSync(local)) return pathToFileURL(path.resolve(local));
  const place = findModelPlace(given, access);
  if (place !== undefined) return place;
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
      model: findModelFile(r.model, r.access),
      ...accessOf(r.access, r.model),
      threads: r.threads,
      ...r.gpu,
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
  const { model, variant, loadMs, whySingle } = transcriber.info;
  if (r.options.language !== undefined && !knows(r.options.language, transcriber)) {
    await transcriber.destroy();
    throw new UsageError(`unknown language '${r.options.language}': give a code such as en, de or ja, or auto`);
  }
  if (r.verbose) {
    const why = whySingle !== undefined ? ` (${whySingle})` : '';
    process.stderr.write(
      `${model.architecture} ${model.name}, ${model.weightType}, loaded in ${loadMs.toFixed(0)} ms; ${placeInWords(transcriber.info)}${why}, ${variant}\n`,
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
