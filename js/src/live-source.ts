// Where live sound comes from: a microphone, a tab, another MediaStream, or samples that the caller has.
import { SottoError } from './errors.js';
import { streamPieces, type Pieces } from './stream.js';

/** What of a MediaStream is used; spelled out, as Node's types have none. */
export interface MediaStreamLike {
  getAudioTracks(): MediaTrackLike[];
}

export interface MediaTrackLike {
  readonly readyState: string;
  stop(): void;
  addEventListener(type: 'ended', listener: () => void): void;
}

export type LiveSource =
  /** Asked for here, and let go at the end. */
  | 'microphone'
  /** The sound of a tab or window that the user chooses. */
  | 'tab'
  | MediaStreamLike
  /** What listen() hears already. */
  | Listening
  /** Samples in [-1, 1] as they come; needs the option sampleRate. */
  | ReadableStream<Float32Array>
  | AsyncIterable<Float32Array>;

/** Sound that comes already. */
export interface Listening {
  /** In Hz. */
  readonly rate: number;
  /** Samples, one channel. Until the first are asked for, the last minute is kept. */
  readonly pieces: Pieces<Float32Array>;
  /** What came before that minute and is lost, in s. */
  readonly skipped: number;
  /** No more sound: what came is still given out. Lets a device go that was asked for here. */
  stop(): void;
}

export interface ListenOptions {
  /** Stops it. */
  signal?: AbortSignal | undefined;
  /** The loudest sample of each piece of sound, 0 to 1: about ten times a second. */
  onLevel?: ((level: number) => void) | undefined;
}

/** What the browser's refusals mean. */
const REFUSALS: Record<string, string> = {
  NotAllowedError: 'Permission was denied: allow this page to hear it, in the settings beside the address.',
  SecurityError: 'This page may not ask for it: it must come by https, or from this machine.',
  NotFoundError: 'There is none: plug in a microphone.',
  NotReadableError: 'It cannot be opened: another program may be using it.',
  AbortError: 'It could not be opened; try again.',
};

async function ask(source: 'microphone' | 'tab'): Promise<MediaStream> {
  const what = source === 'tab' ? 'The sound of a tab' : 'The microphone';
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices)
    throw new SottoError('environment', `${what} cannot be had here: pages have it over https alone, and Node has none.`);
  try {
    if (source === 'tab') return await devices.getDisplayMedia({ audio: true, video: true });
    return await devices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
  } catch (error) {
    const why = error instanceof DOMException ? REFUSALS[error.name] : undefined;
    throw new SottoError('environment', `${what} cannot be heard. ${why ?? String(error)}`, { cause: error });
  }
}

const isStream = (source: LiveSource): source is MediaStreamLike =>
  (source as Partial<MediaStreamLike> | null)?.getAudioTracks !== undefined;

export const isListening = (source: LiveSource): source is Listening => (source as Partial<Listening> | null)?.pieces !== undefined;

/**
 * Listens from now on, for a live() that comes later: while a model is loaded, nothing that is said is lost. live() stops it at its end;
 * where none comes, stop() or `signal` does.
 */
export async function listen(
  source: 'microphone' | 'tab' | MediaStreamLike,
  { signal, onLevel }: ListenOptions = {},
): Promise<Listening> {
  signal?.throwIfAborted();
  const open = await openSource(source, undefined, onLevel);
  signal?.addEventListener('abort', open.stop);
  if (!signal?.aborted) return open;
  open.stop();
  throw signal.reason;
}

export async function openSource(
  source: LiveSource,
  sampleRate: number | undefined,
  onLevel: ListenOptions['onLevel'],
): Promise<Listening> {
  if (isListening(source)) return source;
  if (source === 'microphone' || source === 'tab') {
    const stream = await ask(source);
    return openStream(stream as MediaStreamLike, () => stream.getTracks().forEach((track) => track.stop()), onLevel);
  }
  if (isStream(source)) return openStream(source, () => {}, onLevel);
  const samples = source instanceof ReadableStream ? streamPieces(source) : source;
  if (typeof samples !== 'object' || samples === null || !(Symbol.asyncIterator in samples))
    throw new SottoError('argument', 'live() hears "microphone", "tab", a MediaStream, or a stream of Float32Arrays.');
  if (sampleRate === undefined || !(sampleRate >= 1000 && sampleRate <= 768000))
    throw new SottoError('argument', 'Samples need the option sampleRate, 1000 to 768000 Hz.');
  return untilStopped(samples, sampleRate, onLevel);
}

/** The loudest sample. */
function levelOf(piece: Float32Array): number {
  let level = 0;
  for (const sample of piece) level = Math.max(level, Math.abs(sample));
  return Math.min(level, 1);
}

function untilStopped(
  samples: AsyncIterable<Float32Array>,
  rate: number,
  onLevel: ListenOptions['onLevel'],
): Listening {
  let stop!: () => void;
  const stopped = new Promise<undefined>((resolve) => (stop = () => resolve(undefined)));
  async function* pieces(): Pieces<Float32Array> {
    const iterator = samples[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), stopped]);
        if (!next || next.done) return;
        if (!(next.value instanceof Float32Array))
          throw new SottoError('argument', 'A live stream must give Float32Arrays of samples.');
        onLevel?.(levelOf(next.value));
        yield next.value;
      }
    } finally {
      void iterator.return?.();
    }
  }
  return { rate, pieces: pieces(), skipped: 0, stop };
}

// ---- a MediaStream ----

/** Pieces that are kept while nobody asks: a minute of them. */
const MOST_PIECES = 600;

/** Pieces that came, joined to one when they are asked for: whoever is late catches up. */
class Inbox {
  /** Samples that came too long before they were asked for. */
  skipped = 0;
  #asked = false;
  #pieces: Float32Array[] = [];
  #wake: () => void = () => {};
  #ended = false;
  #error: Error | undefined;

  give(piece: Float32Array): void {
    this.#pieces.push(piece);
    if (!this.#asked && this.#pieces.length > MOST_PIECES) this.skipped += this.#pieces.shift()!.length;
    this.#wake();
  }

  end(error?: Error): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Float32Array> {
    this.#asked = true;
    for (;;) {
      if (this.#pieces.length > 0) {
        const pieces = this.#pieces.splice(0);
        const joined = new Float32Array(pieces.reduce((n, { length }) => n + length, 0));
        let at = 0;
        for (const piece of pieces) {
          joined.set(piece, at);
          at += piece.length;
        }
        yield joined;
      } else if (this.#error) throw this.#error;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

async function openStream(
  stream: MediaStreamLike,
  letGo: () => void,
  onLevel: ListenOptions['onLevel'],
): Promise<Listening> {
  const [track] = stream.getAudioTracks();
  if (!track) {
    letGo();
    throw new SottoError('argument', 'The stream has no sound: share a tab with its sound, or choose a microphone.');
  }
  const context = new AudioContext();
  const inbox = new Inbox();
  let stopped = false;
  const stop = (error?: Error): void => {
    if (stopped) return;
    stopped = true;
    letGo();
    void context.close();
    inbox.end(error);
  };
  try {
    await context.audioWorklet.addModule(new URL('./live-worklet.js', import.meta.url).href);
    const node = new AudioWorkletNode(context, 'sotto-live', { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      onLevel?.(levelOf(data));
      inbox.give(data);
    };
    node.onprocessorerror = () => stop(new SottoError('internal', 'Sound comes no more: the audio thread failed.'));
    context.createMediaStreamSource(stream as unknown as MediaStream).connect(node);
    await context.resume();
  } catch (error) {
    stop();
    const words = error instanceof Error ? error.message : String(error);
    throw new SottoError('environment', `The sound cannot be taken from this page (${words}).`, { cause: error });
  }
  const unplugged = (): void =>
    stop(new SottoError('environment', 'The sound has ended: the device was unplugged, or its permission taken back.'));
  if (track.readyState === 'ended') unplugged();
  track.addEventListener('ended', unplugged);
  async function* pieces(): Pieces<Float32Array> {
    try {
      yield* inbox;
    } finally {
      stop();
    }
  }
  const rate = context.sampleRate;
  return {
    rate,
    pieces: pieces(),
    get skipped() {
      return inbox.skipped / rate;
    },
    stop: () => stop(),
  };
}
