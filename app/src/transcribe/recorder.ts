/* The microphone:
 *
 *   getUserMedia ──> MediaRecorder ──> pieces ──> one file, when stopped
 *        └────────> AnalyserNode ──> level, while it runs */

import { Told } from '../ui/told.ts';

async function askForMicrophone(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    if (name === 'NotAllowedError') {
      throw new Told('The microphone is blocked for this page. Allow it beside the address bar, then record again.');
    }
    if (name === 'NotFoundError') throw new Told('No microphone was found. Connect one, then record again.');
    throw new Told('The microphone could not be opened. Another program may be using it; close that and try again.');
  }
}

async function askForTab(): Promise<MediaStream> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia({ audio: true, video: true });
  } catch {
    throw new Told('No tab was shared. Choose one, with its sound, to hear it.');
  }
  if (stream.getAudioTracks().length > 0) return stream;
  for (const track of stream.getTracks()) track.stop();
  throw new Told('What was shared has no sound. Choose a tab, and tick the box that shares its sound.');
}

/** What is recorded: the microphone, or the sound of a tab or window. */
export type Heard = 'microphone' | 'tab';

export class Recorder {
  #stream: MediaStream;
  /** What is heard, without pictures. */
  readonly sound: MediaStream;
  #context = new AudioContext();
  #analyser: AnalyserNode;
  #window: Float32Array<ArrayBuffer>;
  #recorder: MediaRecorder;
  #pieces: Blob[] = [];
  #startedAt = performance.now(); // ms
  #seconds: number | null = null; // null: it goes on
  /** Resolves when the recording is over: stopped, or the microphone went away. */
  readonly ended: Promise<unknown>;

  private constructor(stream: MediaStream) {
    this.#stream = stream;
    this.sound = new MediaStream(stream.getAudioTracks());
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#window = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(this.sound).connect(this.#analyser);
    this.#recorder = new MediaRecorder(this.sound, { audioBitsPerSecond: 128_000 });
    this.#recorder.ondataavailable = (event) => {
      if (event.data.size > 0) this.#pieces.push(event.data);
    };
    this.ended = new Promise((resolve) => (this.#recorder.onstop = resolve));
    this.#recorder.start(1000);
  }

  /** Asks for the sound and starts. Throws Told with a sentence where there is none. */
  static async start(what: Heard = 'microphone'): Promise<Recorder> {
    if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === 'undefined') {
      throw new Told('This browser records only on pages served over https or from this computer (localhost).');
    }
    return new Recorder(what === 'tab' ? await askForTab() : await askForMicrophone());
  }

  /** Loudness now: 0 (silence, below -60 dB) to 1 (full scale). */
  level(): number {
    if (this.#seconds !== null) return 0;
    this.#analyser.getFloatTimeDomainData(this.#window);
    let sum = 0;
    for (const x of this.#window) sum += x * x;
    const decibels = 10 * Math.log10(sum / this.#window.length + 1e-12);
    return Math.max(0, Math.min(1, (decibels + 60) / 60));
  }

  seconds(): number {
    return this.#seconds ?? (performance.now() - this.#startedAt) / 1000;
  }

  /** Stops and gives what was recorded; also once more. */
  async stop(): Promise<Blob> {
    this.discard();
    await this.ended;
    return new Blob(this.#pieces, { type: this.#recorder.mimeType });
  }

  /** Stops and lets the microphone go; stop() can still be asked for what was recorded. */
  discard(): void {
    if (this.#seconds !== null) return;
    this.#seconds = this.seconds();
    if (this.#recorder.state !== 'inactive') this.#recorder.stop();
    for (const track of this.#stream.getTracks()) track.stop();
    void this.#context.close();
  }
}
