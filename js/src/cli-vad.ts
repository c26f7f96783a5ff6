// sotto vad: where speech is in recordings, as the native command tells it.
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import { platform } from '@platform';
import { host } from '@host';
import { integer, number, parse, UsageError, type OptionSpec } from './args.js';
import { AudioReader } from './audio.js';
import { EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, interruptSignal, millionths, problemOf, thousandths, write } from './cli-common.js';
import { startEngine, type StartedEngine } from './engine-start.js';
import { resolveAudio } from './input.js';
import { stopEngine } from './running.js';
import { streamPieces } from './stream.js';
import { Vad, type Frame, type Speech, type VadOptions } from './vad.js';

const HELP = `Usage: sotto vad [OPTION]... FILE...
Prints where speech is in audio files (WAV, MP3, FLAC, Ogg Vorbis; - is standard input): start and end in seconds.

      --threshold P     probability from which on sound is speech (default: 0.5)
      --min-speech MS   shorter speech is dropped (default: 250)
      --min-silence MS  shorter silence is part of the speech (default: 100)
      --pad MS          added before and after (default: 30)
      --json            one line of JSON a file, with the probability of every 32 ms
  -h, --help            this help

Exit status: 0 done, 1 a file could not be read, 2 wrong usage, 130 interrupted.
`;

const value = { value: true };
const SPECS: Record<string, OptionSpec> = {
  threshold: value,
  'min-speech': value,
  'min-silence': value,
  pad: value,
  json: {},
  help: { letter: 'h' },
};

interface VadRequest {
  options: VadOptions;
  json: boolean;
  files: string[];
}

/** undefined: help was asked for. */
function readRequest(argv: readonly string[]): VadRequest | undefined {
  const { options, operands } = parse(argv, SPECS);
  const r: VadRequest = { options: {}, json: false, files: operands };
  for (const { name, shown, value: text } of options) {
    if (name === 'help') return undefined;
    if (name === 'json') r.json = true;
    else if (name === 'threshold') r.options.threshold = number(shown, text, 0.01, 0.99);
    else {
      const key = ({ 'min-speech': 'minSpeechMs', 'min-silence': 'minSilenceMs', pad: 'padMs' } as const)[name];
      if (key) r.options[key] = integer(shown, text, 0, 60_000);
    }
  }
  if (operands.length === 0) throw new UsageError('no audio file was given');
  return r;
}

const RATE = 16000;
const seconds = (samples: number): number => thousandths(samples / RATE);

async function* blocksOf(reader: AudioReader, file: string): AsyncGenerator<Float32Array> {
  if (file !== '-') await fs.access(file);
  const { spec, pieces } = await resolveAudio(file === '-' ? process.stdin : createReadStream(file), {});
  const blocks =
    spec.kind === 'pcm'
      ? reader.pcm(pieces as AsyncIterable<Float32Array>, spec.rate, spec.channels)
      : reader.wav(spec.kind === 'wav' ? (pieces as AsyncIterable<Uint8Array>) : streamPieces(spec.blob.stream()));
  for await (const block of blocks) yield reader.copy(block);
}

async function hear({ wasm, engine }: StartedEngine, bytes: Uint8Array, r: VadRequest, file: string, signal: AbortSignal): Promise<void> {
  const vad = new Vad(wasm, engine, bytes, r.options);
  const reader = new AudioReader(wasm);
  const speech: Speech[] = [];
  const probabilities: number[] = [];
  let n = 0;
  const take = async ({ probability, over }: Frame): Promise<void> => {
    if (probability >= 0) probabilities.push(millionths(probability));
    for (const { start, end } of over) {
      if (r.json) speech.push({ start: seconds(start), end: seconds(end) });
      else await write(`${(start / RATE).toFixed(3)} ${(end / RATE).toFixed(3)}\n`);
    }
  };
  try {
    for await (const samples of blocksOf(reader, file)) {
      if (signal.aborted) return;
      n += samples.length;
      for (const frame of vad.hear(samples)) await take(frame);
    }
    await take(vad.end());
    if (r.json) await write(`${JSON.stringify({ file, duration: seconds(n), speech, probabilities })}\n`);
  } finally {
    reader.close();
    vad.close();
  }
}

export async function vad(argv: readonly string[]): Promise<number> {
  const r = readRequest(argv);
  if (!r) {
    await write(HELP);
    return EXIT_DONE;
  }
  const signal = interruptSignal();
  const started = await startEngine(platform, { threads: 1, backend: 'cpu' });
  let status = EXIT_DONE;
  try {
    const bytes = await host.readVad();
    for (const file of r.files) {
      if (signal.aborted) break;
      try {
        await hear(started, bytes, r, file, signal);
      } catch (error) {
        process.stderr.write(`sotto: ${file}: ${problemOf(error)}\n`);
        status = EXIT_FAILED;
      }
    }
  } finally {
    await stopEngine(started);
  }
  return signal.aborted ? EXIT_INTERRUPTED : status;
}
