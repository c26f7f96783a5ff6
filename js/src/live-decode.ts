// One piece of speech to text, for live transcription: a window no longer than the speech needs, decoded greedily and once.
import { abortError } from './errors.js';
import { repeatsItself } from './live-text.js';
import type { Options } from './options.js';
import type { Platform } from './platform.js';
import type { LoadedEngine } from './running.js';
import { AGAIN, DONE, settled } from './session.js';
import { openTranscription } from './transcribe.js';

const RATE = 16000;
const POSITIONS = 1500;
const POSITIONS_PER_S = 50;
/** Silence behind the speech that the encoder sees: with less of it, models trained on 30 s begin to repeat themselves. */
const MARGIN = 400;
/** Windows are of a few sizes, so that a GPU meets few shapes. */
const STEP = 64;
const BREATH_MS = 8;
/** More than anyone says: a text that repeats itself ends there. */
const TOKENS_PER_S = 10;
const MOST_TOKENS = 224;
/** A text that zlib makes smaller than this is taken for a loop, as in openai/whisper. */
const MOST_COMPRESSION = 2.4;

export interface Heard {
  text: string;
  /** Code of the language, and its probability where it was detected. */
  language: string;
  languageProbability: number;
  /** It repeats itself: the model lost its place. */
  loops: boolean;
}

export interface DecodeContext {
  engine: LoadedEngine;
  platform: Platform;
  cancelled: () => boolean;
}

/** `whole`: a window of 30 s. No other temperatures are tried: they take many times as long. */
export async function decodeSpeech(
  { engine: now, platform, cancelled }: DecodeContext,
  samples: Float32Array,
  options: Options,
  whole: boolean,
): Promise<Heard> {
  const { wasm, engine } = now;
  const { x } = wasm;
  const needed = Math.ceil((samples.length / RATE) * POSITIONS_PER_S) + MARGIN;
  const positions = Math.min(Math.ceil(needed / STEP) * STEP, POSITIONS);
  const t = openTranscription(now, [
    ...options,
    ['timestamps', 0],
    ['condition_on_previous_text', 0],
    ['temperature_increment', 0],
    ['max_tokens', Math.min(Math.ceil((samples.length / RATE) * TOKENS_PER_S) + 16, MOST_TOKENS)],
    ['audio_ctx', whole ? 0 : positions],
  ]);
  const p = wasm.alloc(samples.byteLength);
  try {
    wasm.floats(p, samples.length).set(samples);
    let at = 0;
    let text = '';
    let loops = false;
    let breathed = performance.now();
    for (;;) {
      if (cancelled()) throw abortError();
      if (at < samples.length) at += x.sotto_wasm_transcription_push(t, p + at * 4, samples.length - at);
      if (at === samples.length) x.sotto_wasm_transcription_end(t);
      const status = x.sotto_wasm_transcription_step(t);
      if (status < 0) wasm.fail(status, engine);
      for (;;) {
        const { values, result } = wasm.row(10, (out) => x.sotto_wasm_segment(t, out));
        if (result === 0) break;
        text += wasm.text(values[2]);
        loops ||= values[9] > MOST_COMPRESSION;
      }
      if (status === DONE) break;
      if (status === AGAIN) await settled(wasm);
      if (performance.now() - breathed >= BREATH_MS) {
        await platform.breathe();
        breathed = performance.now();
      }
    }
    const { values, result } = wasm.row(1, (out) => x.sotto_wasm_transcription_language(t, out));
    loops ||= repeatsItself(text);
    return { text: text.trim(), language: wasm.text(result), languageProbability: values[0], loops };
  } finally {
    wasm.free(p);
    x.sotto_wasm_transcription_close(t);
  }
}
