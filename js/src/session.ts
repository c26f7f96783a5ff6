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
  /** Options of sessions that write: how tokens are guessed ahead. */
  guessing: [string, number][];
  /** Lets messages in, where it is time. */
  breathe: () => Promise<void>;
}

/** Of a step and the like: more is to be done, or a GPU has not delivered yet. */
export const AGAIN = 1;
export const DONE = 4;

/** What of a model its sessions need. */
export type SessionContext = Pick<LanguageContext, 'wasm' | 'engine' | 'model'>;

/** What those need that write. */
export type WritingContext = SessionContext & Pick<LanguageContext, 'guessing'>;

/** Calls fn with session options, given by name. */
function withOptions<T>({ wasm }: SessionContext, options: [string, number][], fn: (o: Pointer) => T): T {
  const { x } = wasm;
  const o = x.sotto_wasm_session_options();
  if (o === 0) throw new SottoError('memory', 'Memory ran out.');
  try {
    wasm.setOptions(options, (name, value) => x.sotto_wasm_session_option(o, name, value));
    return fn(o);
  } finally {
    wasm.free(o);
  }
}

/** Closed with sotto_wasm_session_close. */
export function openSession(c: SessionContext, options: [string, number][]): Pointer {
  const { wasm, engine, model } = c;
  return withOptions(c, options, (o) => {
    const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_session_open(model, o, out));
    if (result < 0) wasm.fail(result, engine);
    return values[0];
  });
}

/** After AGAIN: resolves when the GPU, where there is one, has what a step waits for. Throws what is wrong with it. */
export async function settled({ gpu }: Wasm): Promise<void> {
  if (!gpu) return;
  await gpu.settled();
  if (gpu.error) throw gpu.error;
}

/** Calls until it is no longer AGAIN. */
export async function untilDone(wasm: Wasm, call: () => number): Promise<number> {
  for (;;) {
    const status = call();
    if (status !== AGAIN) return status;
    await settled(wasm);
  }
}

/** A row of the logits of the last step. */
export async function logitsOf(wasm: Wasm, session: Pointer, back: number): Promise<Pointer> {
  for (;;) {
    const p = wasm.x.sotto_wasm_session_logits(session, back);
    if (p !== 0) return p >>> 0;
    await settled(wasm);
  }
}

/** Memory that such a session would take, known as soon as the model's sizes are; 0: it cannot be. */
export const sessionBytes = (c: SessionContext, options: [string, number][]): number =>
  withOptions(c, options, (o) => c.wasm.x.sotto_wasm_session_bytes(c.model, o));
