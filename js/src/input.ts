// What a caller may give as recording, and how it travels to the worker: as a Blob, or in pieces.
import { host } from '@host';
import { SottoError } from './errors.js';
import type { Decoded } from './host.js';
import type { AudioSpec } from './protocol.js';
import { bytePieces, streamPieces, type Pieces } from './stream.js';

export type AudioInput =
  /** A file: WAV, and whatever this browser decodes (mp3, m4a, ogg, webm, mp4, ...). */
  | Blob
  | ArrayBuffer
  | Uint8Array
  /** Samples in [-1, 1]; needs the option sampleRate. */
  | Float32Array
  | AudioBufferLike
  /** Samples as they come (needs sampleRate), or the bytes of a file. */
  | ReadableStream<Float32Array | Uint8Array>
  | AsyncIterable<Float32Array | Uint8Array>
  /** The address of a file, or (Node) a path. */
  | string
  | URL
  | Response;

/** What of an AudioBuffer is used; spelled out, as Node's types have none. */
export interface AudioBufferLike {
  readonly sampleRate: number;
  readonly length: number;
  readonly duration: number;
  readonly numberOfChannels: number;
  getChannelData(channel: number): Float32Array;
}

export interface AudioOptions {
  /** Of Float32Array samples, in Hz. */
  sampleRate?: number | undefined;
  /** Of interleaved Float32Array samples. Default 1. */
  channels?: number | undefined;
}

export interface ResolvedAudio {
  spec: AudioSpec;
  pieces?: Pieces<Float32Array | Uint8Array> | undefined;
}

/** Samples a piece: some seconds of sound. */
const PIECE_SAMPLES = 1 << 18;

export async function resolveAudio(audio: AudioInput, options: AudioOptions): Promise<ResolvedAudio> {
  if (typeof audio === 'string' || audio instanceof URL)
    return resolveAudio(await host.openAudio(String(audio)), options);
  if (typeof Response !== 'undefined' && audio instanceof Response) {
    if (!audio.ok) throw new SottoError('network', `${audio.url} could not be fetched (HTTP status ${audio.status}).`);
    return resolveAudio(await audio.blob(), options);
  }
  if (audio instanceof Float32Array) return samples(audio, options);
  if (audio instanceof ArrayBuffer) return resolveAudio(new Uint8Array(audio), options);
  if (audio instanceof Uint8Array) {
    if (audio.length === 0) throw empty();
    if (isWav(audio)) return { spec: { kind: 'wav' }, pieces: bytePieces(audio) };
    return decoded(await host.decode(new Blob([audio as Uint8Array<ArrayBuffer>])));
  }
  if (audio instanceof Blob) {
    if (audio.size === 0) throw empty();
    if (isWav(new Uint8Array(await audio.slice(0, 12).arrayBuffer())))
      return { spec: { kind: 'wavBlob', blob: audio } };
    return decoded(await host.decode(audio));
  }
  if (isAudioBuffer(audio)) return wholeBuffer(audio);
  if (audio instanceof ReadableStream) return resolveStream(streamPieces(audio), options);
  if (typeof audio === 'object' && audio !== null && Symbol.asyncIterator in audio)
    return resolveStream(audio, options);
  throw new SottoError(
    'argument',
    'audio must be a Blob, an AudioBuffer, a Float32Array, the bytes of a file, a stream or an address.',
  );
}

const empty = (): SottoError => new SottoError('format', 'The recording is empty.');

const isAudioBuffer = (audio: unknown): audio is AudioBufferLike =>
  typeof audio === 'object' && audio !== null && 'getChannelData' in audio && 'sampleRate' in audio;

function isWav(head: Uint8Array): boolean {
  const word = (at: number): string => String.fromCharCode(...head.subarray(at, at + 4));
  return ['RIFF', 'RF64', 'BW64'].includes(word(0)) && word(8) === 'WAVE';
}

function rateOf({ sampleRate, channels = 1 }: AudioOptions): { rate: number; channels: number } {
  if (sampleRate === undefined)
    throw new SottoError('argument', 'Float32Array samples need the option sampleRate, in Hz.');
  if (!(sampleRate >= 1000 && sampleRate <= 768000))
    throw new SottoError('argument', 'sampleRate must be 1000 to 768000 Hz.');
  if (!Number.isInteger(channels) || channels < 1 || channels > 32)
    throw new SottoError('argument', 'channels must be 1 to 32.');
  return { rate: sampleRate, channels };
}

function samples(audio: Float32Array, options: AudioOptions): ResolvedAudio {
  const { rate, channels } = rateOf(options);
  return {
    spec: { kind: 'pcm', rate, channels, duration: audio.length / channels / rate },
    pieces: samplePieces(audio, channels),
  };
}

const decoded = (sound: Decoded): ResolvedAudio =>
  'pieces' in sound
    ? { spec: { kind: 'pcm', rate: sound.rate, channels: 1 }, pieces: sound.pieces }
    : wholeBuffer(sound);

const wholeBuffer = (buffer: AudioBufferLike): ResolvedAudio => ({
  spec: { kind: 'pcm', rate: buffer.sampleRate, channels: 1, duration: buffer.duration },
  pieces: bufferPieces(buffer),
});

async function* samplePieces(audio: Float32Array, channels: number): Pieces<Float32Array> {
  const step = PIECE_SAMPLES - (PIECE_SAMPLES % channels);
  for (let at = 0; at < audio.length; at += step) yield audio.subarray(at, at + step);
}

/** Mono: the mean of the channels. */
async function* bufferPieces(buffer: AudioBufferLike): Pieces<Float32Array> {
  const n = buffer.numberOfChannels;
  for (let at = 0; at < buffer.length; at += PIECE_SAMPLES) {
    const mono = new Float32Array(Math.min(PIECE_SAMPLES, buffer.length - at));
    for (let c = 0; c < n; c++) {
      const channel = buffer.getChannelData(c);
      for (let i = 0; i < mono.length; i++) mono[i] += channel[at + i] / n;
    }
    yield mono;
  }
}

/** The first pieces tell samples from files, and WAV from other files. */
async function resolveStream(
  stream: AsyncIterable<Float32Array | Uint8Array>,
  options: AudioOptions,
): Promise<ResolvedAudio> {
  const iterator = stream[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw empty();
  if (first.value instanceof Float32Array) {
    const { rate, channels } = rateOf(options);
    return { spec: { kind: 'pcm', rate, channels }, pieces: withHead([first.value], iterator) };
  }
  if (!(first.value instanceof Uint8Array))
    throw new SottoError('argument', 'A stream with audio must give Float32Arrays or Uint8Arrays.');
  const head: Uint8Array[] = [first.value];
  let n = first.value.length;
  const take = async (): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done) return false;
    head.push(value as Uint8Array);
    n += value.length;
    return true;
  };
  while (n < 12 && (await take()));
  if (n === 0) throw empty();
  if (isWav(new Uint8Array(await new Blob(head as Uint8Array<ArrayBuffer>[]).slice(0, 12).arrayBuffer()))) {
    return { spec: { kind: 'wav' }, pieces: withHead(head, iterator) };
  }
  while (await take());
  return decoded(await host.decode(new Blob(head as Uint8Array<ArrayBuffer>[])));
}

async function* withHead<T>(head: T[], rest: AsyncIterator<T>): Pieces<T> {
  try {
    yield* head;
    for (;;) {
      const { done, value } = await rest.next();
      if (done) return;
      yield value;
    }
  } finally {
    await rest.return?.();
  }
}
