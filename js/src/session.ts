// What the tasks of a language model share in the engine's worker: the model, the page, and how sessions are opened.
import type { Codec } from './codec.js';
import { SottoError } from './errors.js';
import type { Platform } from './platform.js';
import type { Pointer, Wasm } from './wasm.js';

/** What a task can know of the page. */
export interface Task {
  cancelled: () => boolean;
  /** Resolves when the page can take another part. */
  room: () => Promise<void>;
}

/** What those who compute share. */
export interface LanguageContext {
  wasm: Wasm;
  engine: Pointer;
  model: Pointer;
  codec: Codec;
  platform: Platform;
  nVocab: number;
  /** Lets messages in, where it is time. */
  breathe: () => Promise<void>;
}

/** Options by name; closed with sotto_wasm_session_close. */
export function openSession({ wasm, engine, model }: LanguageContext, options: [string, number][]): Pointer {
  const { x } = wasm;
  const o = x.sotto_wasm_session_options();
  if (o === 0) throw new SottoError('memory', 'Memory ran out.');
  try {
    wasm.setOptions(options, (name, value) => x.sotto_wasm_session_option(o, name, value));
    const { values, result } = wasm.row(1, (out) => x.sotto_wasm_session_open(model, o, out));
    if (result < 0) wasm.fail(result, engine);
    return values[0];
  } finally {
    wasm.free(o);
  }
}
