// Samples for the engine, inside its memory: whatever comes in pieces goes out at 16 kHz, mono.
//
//   WAV bytes ──> wav reader ──┐
//   PCM pieces ────────────────┴─> resampler (unless 16 kHz mono already) ──> [address, count]
import { SottoError } from './errors.js';
import type { Pointer, Wasm } from './wasm.js';

const RATE = 16000;
/** Samples or bytes that are worked on at once. */
const BLOCK = 32768;

export type Block = readonly [samples: Pointer, n: number];

export class AudioReader {
  readonly #wasm: Wasm;
  readonly #in: Pointer;
  readonly #frames: Pointer;
  readonly #out: Pointer;
  #resampler: Pointer = 0;
  #wav: Pointer = 0;
  /** In s, once known. */
  duration: number | undefined;

  constructor(wasm: Wasm) {
    this.#wasm = wasm;
    this.#in = wasm.alloc(BLOCK);
    this.#frames = wasm.alloc(BLOCK * 4);
    this.#out = wasm.alloc(BLOCK * 4);
  }

  close(): void {
    const { x } = this.#wasm;
    if (this.#resampler) x.sotto_wasm_resampler_close(this.#resampler);
    if (this.#wav) x.sotto_wasm_wav_close(this.#wav);
    for (const p of [this.#in, this.#frames, this.#out]) this.#wasm.free(p);
  }

  /** A block that stays. */
  copy([samples, n]: Block): Float32Array {
    return this.#wasm.floats(samples, n).slice();
  }

  /** Each block is valid until the next is asked for. */
  async *pcm(pieces: AsyncIterable<Float32Array>, rate: number, channels: number): AsyncGenerator<Block> {
    this.#open(rate, channels);
    const step = BLOCK - (BLOCK % channels);
    for await (const piece of pieces) {
      if (piece.length % channels !== 0) {
        throw new SottoError(
          'argument',
          `A piece of ${piece.length} samples is not a whole number of frames of ${channels} channels.`,
        );
      }
      for (let at = 0; at < piece.length; at += step) {
        const part = piece.subarray(at, at + step);
        this.#wasm.floats(this.#frames, part.length).set(part);
        yield* this.#resample(part.length / channels, channels);
      }
    }
    yield* this.#drain();
  }

  async *wav(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
    this.#wav = this.#wasm.x.sotto_wasm_wav_open();
    if (this.#wav === 0) throw new SottoError('memory', 'Memory ran out.');
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; at += BLOCK) {
        const part = piece.subarray(at, at + BLOCK);
        this.#wasm.bytes(this.#in, part.length).set(part);
        yield* this.#wavBytes(this.#in, part.length);
      }
    }
    yield* this.#wavBytes(0, 0);
    yield* this.#drain();
  }

  *#wavBytes(bytes: Pointer, size: number): Generator<Block> {
    const { x } = this.#wasm;
    for (let at = 0; ;) {
      const from = bytes === 0 ? 0 : bytes + at;
      const { values, result: status } = this.#wasm.row(2, (out) =>
        x.sotto_wasm_wav_read(this.#wav, from, size - at, out, this.#frames, BLOCK),
      );
      if (status < 0)
        throw new SottoError(
          status === -4 ? 'unsupported' : 'format',
          this.#wasm.text(x.sotto_wasm_wav_error(this.#wav)),
        );
      const [taken, written] = values;
      at += taken;
      if (written > 0) {
        const [rate, channels, frames] = this.#wasm.row(3, (out) => x.sotto_wasm_wav_format(this.#wav, out)).values;
        if (frames > 0) this.duration = frames / rate;
        this.#open(rate, channels);
        yield* this.#resample(written / channels, channels);
      }
      if (written === 0 && (at >= size || taken === 0)) return;
    }
  }

  #rate = 0;

  #open(rate: number, channels: number): void {
    if (this.#rate === rate) return;
    this.#rate = rate;
    if (rate === RATE && channels === 1) return;
    this.#resampler = this.#wasm.x.sotto_wasm_resampler_open(rate, channels);
    if (this.#resampler === 0) {
      throw new SottoError(
        'unsupported',
        `Audio of ${rate} Hz with ${channels} channels cannot be taken: 1000 to 768000 Hz and 1 to 32 channels can.`,
      );
    }
  }

  *#resample(nFrames: number, channels: number): Generator<Block> {
    if (this.#resampler === 0) {
      yield [this.#frames, nFrames];
      return;
    }
    for (let at = 0; ;) {
      const { values, result: written } = this.#wasm.row(1, (out) =>
        this.#wasm.x.sotto_wasm_resampler_run(
          this.#resampler,
          this.#frames + at * channels * 4,
          nFrames - at,
          out,
          this.#out,
          BLOCK,
        ),
      );
      at += values[0];
      if (written > 0) yield [this.#out, written];
      if (at >= nFrames || (written === 0 && values[0] === 0)) return;
    }
  }

  *#drain(): Generator<Block> {
    if (this.#resampler === 0) return;
    for (;;) {
      const { result: written } = this.#wasm.row(1, (out) =>
        this.#wasm.x.sotto_wasm_resampler_run(this.#resampler, 0, 0, out, this.#out, BLOCK),
      );
      if (written === 0) return;
      yield [this.#out, written];
    }
  }
}
