// Language models in the engine's worker: their sessions, and what is asked of them.
//
//   tokenize, detokenize ──> codec.ts
//   open, fork, save ──────> sessions, here
//   generate ──────────────> write.ts
//   score, logits ─────────> measure.ts
import { Codec } from './codec.js';
import { measure } from './measure.js';
import type { Platform } from './platform.js';
import type { LanguageAnswer, LanguageMessage, ModelInfo } from './protocol.js';
import { openSession, type LanguageContext, type Task } from './session.js';
import type { Pointer, Wasm } from './wasm.js';
import { write } from './write.js';

/** Tokens of a prompt that are evaluated in one step: fewer with larger models, so that an abort is heard soon. */
const MOST_BATCH = 256;
const LEAST_BATCH = 64;
/** Weights up to which MOST_BATCH tokens are soon done. */
const SMALL_MODEL_BYTES = 500e6;
/** How long the worker may be deaf between two steps, in ms. */
const BREATH_MS = 40;

export class Language {
  readonly #c: LanguageContext;
  readonly #nBatch: number;
  readonly #sessions = new Map<number, Pointer>();

  constructor(wasm: Wasm, engine: Pointer, model: Pointer, platform: Platform, { nVocab, weightBytes }: ModelInfo) {
    let breathed = performance.now();
    const breathe = async (): Promise<void> => {
      if (performance.now() - breathed < BREATH_MS) return;
      await platform.breathe();
      breathed = performance.now();
    };
    this.#c = { wasm, engine, model, platform, codec: new Codec(wasm, engine, model), nVocab, breathe };
    const wanted = (MOST_BATCH * SMALL_MODEL_BYTES) / Math.max(weightBytes, 1);
    this.#nBatch = Math.max(LEAST_BATCH, Math.min(MOST_BATCH, 2 ** Math.floor(Math.log2(wanted))));
  }

  async run(message: LanguageMessage, task: Task): Promise<LanguageAnswer> {
    const { codec } = this.#c;
    switch (message.type) {
      case 'open':
        return this.#open(message.session, message.options, message.saved);
      case 'fork':
        return this.#fork(message.session, message.from);
      case 'save':
        return this.#save(message.session);
      case 'tokenize':
        return 'text' in message.prompt
          ? codec.text(message.prompt.text, message.special, message.bos)
          : codec.prompt(message.prompt);
      case 'count':
        return 'text' in message.prompt
          ? codec.text(message.prompt.text, false, false).length
          : codec.prompt(message.prompt).length;
      case 'detokenize':
        return codec.decode(message.ids, message.special);
      case 'generate':
        return write(this.#c, this.#sessions.get(message.session)!, message, task);
      case 'score':
      case 'logits':
        return measure(this.#c, message, task);
    }
  }

  closeSession(session: number): void {
    this.#c.wasm.x.sotto_wasm_session_close(this.#sessions.get(session) ?? 0);
    this.#sessions.delete(session);
  }

  #fail(status: number): never {
    return this.#c.wasm.fail(status, this.#c.engine);
  }

  #open(session: number, options: [string, number][], saved: Uint8Array | undefined): number {
    const s = openSession(this.#c, [['n_batch', this.#nBatch], ...options]);
    this.#sessions.set(session, s);
    if (saved) this.#restore(s, saved);
    return this.#c.wasm.x.sotto_wasm_session_capacity(s);
  }

  #fork(session: number, from: number): undefined {
    const { wasm } = this.#c;
    const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_session_fork(this.#sessions.get(from)!, out));
    if (result < 0) this.#fail(result);
    this.#sessions.set(session, values[0]);
  }

  #save(session: number): Uint8Array {
    const { wasm } = this.#c;
    const s = this.#sessions.get(session)!;
    const capacity = wasm.x.sotto_wasm_session_save_bytes(s);
    const p = wasm.alloc(capacity);
    try {
      const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_session_save(s, p, capacity, out));
      if (result < 0) this.#fail(result);
      return wasm.bytes(p, values[0]).slice();
    } finally {
      wasm.free(p);
    }
  }

  #restore(s: Pointer, saved: Uint8Array): void {
    const { wasm } = this.#c;
    const p = wasm.alloc(saved.length);
    try {
      wasm.bytes(p, saved.length).set(saved);
      const status = wasm.x.sotto_wasm_session_restore(s, p, saved.length);
      if (status < 0) this.#fail(status);
    } finally {
      wasm.free(p);
    }
  }
}
