// The voice activity network in the engine's worker: samples in, a frame of 32 ms at a time out.
import { SottoError } from './errors.js';
import type { VadOptions } from './vad-options.js';
import type { Pointer, Wasm } from './wasm.js';

export type { VadOptions };

/** Samples of 16 kHz that a probability is for. */
export const FRAME = 512;
/** The network's file, which ships with this package. */
export const VAD_FILE = 'silero-vad-v6.2.0.bin';

/** A stretch of speech, in samples from the start. */
export interface Speech {
  start: number;
  end: number;
}

export interface Frame {
  probability: number;
  /** Stretches that are over, known with this frame. */
  over: Speech[];
  /** The stretch that is on: to where speech was heard last. */
  now: Speech | undefined;
}

/** Where silence is skipped: what lasts two seconds; speech keeps some at both ends, by which models know the ends of sentences. */
export const SKIP_SILENCE: VadOptions = { minSilenceMs: 2000, padMs: 400 };

const named = (o: VadOptions): [string, number][] =>
  (
    [
      ['threshold', o.threshold],
      ['min_speech_ms', o.minSpeechMs],
      ['min_silence_ms', o.minSilenceMs],
      ['pad_ms', o.padMs],
    ] as const
  ).flatMap(([name, value]): [string, number][] => (value === undefined ? [] : [[name, value]]));

export class Vad {
  readonly pointer: Pointer;
  readonly #wasm: Wasm;
  readonly #samples: Pointer;

  constructor(wasm: Wasm, engine: Pointer, bytes: Uint8Array, options: VadOptions = {}) {
    const { x } = wasm;
    this.#wasm = wasm;
    const o = x.sotto_wasm_vad_options();
    if (o === 0) throw new SottoError('memory', 'Memory ran out.');
    try {
      wasm.setOptions(named(options), (name, value) => x.sotto_wasm_vad_option(o, name, value));
      this.pointer = wasm.withText(bytes, (p, size) => x.sotto_wasm_vad_open(engine, p, size, o));
    } finally {
      wasm.free(o);
    }
    if (this.pointer === 0) throw new SottoError('argument', wasm.text(x.sotto_wasm_error(engine)));
    this.#samples = wasm.alloc(FRAME * 4);
  }

  close(): void {
    this.#wasm.x.sotto_wasm_vad_close(this.pointer);
    this.#wasm.free(this.#samples);
  }

  /** The frames that these samples complete. */
  *hear(samples: Float32Array): Generator<Frame> {
    const { x } = this.#wasm;
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + FRAME);
      this.#wasm.floats(this.#samples, part.length).set(part);
      const { values, result } = this.#wasm.row(1, (out) =>
        x.sotto_wasm_vad_push(this.pointer, this.#samples, part.length, out),
      );
      at += result;
      if (values[0] >= 0) yield this.#frame(values[0]);
    }
  }

  /** No more comes: the last frame, which may be none. */
  end(): Frame {
    const { values } = this.#wasm.row(1, (out) => this.#wasm.x.sotto_wasm_vad_push(this.pointer, 0, 0, out));
    return this.#frame(values[0]);
  }

  #frame(probability: number): Frame {
    const { x } = this.#wasm;
    const over: Speech[] = [];
    for (;;) {
      const { values, result } = this.#wasm.row(2, (out) => x.sotto_wasm_vad_next(this.pointer, out));
      if (result === 0) break;
      over.push({ start: values[0], end: values[1] });
    }
    const { values, result } = this.#wasm.row(2, (out) => x.sotto_wasm_vad_now(this.pointer, out));
    return { probability, over, now: result === 0 ? undefined : { start: values[0], end: values[1] } };
  }
}
