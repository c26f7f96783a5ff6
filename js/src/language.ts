// Language models in the engine's worker: their sessions, and what is asked of them.
//
//   tokenize, detokenize ──> codec.ts
//   open, fork, save ──────> sessions, here
//   generate ──────────────> write.ts
//   score, logits ─────────> measure.ts
import { Codec } from './codec.js';
import { Measure } from './measure.js';
import type { Platform } from './platform.js';
import type { LanguageAnswer, LanguageMessage, ModelInfo } from './protocol.js';
import { AGAIN, DONE, openSession, settled, untilDone, type LanguageContext, type Task, type WritingContext } from './session.js';
import type { Pointer } from './wasm.js';
import { Writer } from './write.js';

/** Tokens of a prompt that are evaluated in one step: fewer with larger models, so that an abort is heard soon. */
const MOST_BATCH = 256;
const LEAST_BATCH = 64;
/** On a GPU, which is fast enough for all of them. */
const GPU_BATCH = 512;
/** Weights up to which MOST_BATCH tokens are soon done. */
const SMALL_MODEL_BYTES = 500e6;
/** How long the worker may be deaf between two steps, in ms. */
const BREATH_MS = 40;

/** A session, and what it takes to make it again. */
interface Session {
  p: Pointer;
  options: [string, number][];
  /** What it was restored from, until it holds something else. */
  saved?: Uint8Array | undefined;
  /** What it holds, after an answer. */
  ids: readonly number[];
}

export class Language {
  readonly #c: LanguageContext;
  readonly #nBatch: number;
  readonly #sessions = new Map<number, Session>();

  constructor(
    c: WritingContext,
    platform: Platform,
    { nVocab, weightBytes }: ModelInfo,
  ) {
    let breathed = performance.now();
    const breathe = async (): Promise<void> => {
      if (performance.now() - breathed < BREATH_MS) return;
      await platform.breathe();
      breathed = performance.now();
    };
    const { wasm, engine, model, guessing } = c;
    this.#c = { wasm, engine, model, guessing, platform, codec: new Codec(wasm, engine, model), nVocab, breathe };
    const wanted = (MOST_BATCH * SMALL_MODEL_BYTES) / Math.max(weightBytes, 1);
    const onCpu = Math.max(LEAST_BATCH, Math.min(MOST_BATCH, 2 ** Math.floor(Math.log2(wanted))));
    this.#nBatch = wasm.gpu ? GPU_BATCH : onCpu;
  }

  /** Goes on in an engine that was started anew, with sessions that hold nothing yet: their next task evaluates what they need. */
  move({ wasm, engine, model, guessing }: WritingContext): void {
    Object.assign(this.#c, { wasm, engine, model, guessing, codec: new Codec(wasm, engine, model) });
    for (const session of this.#sessions.values()) {
      session.p = this.#openWriting(session.options);
      if (session.saved) this.#restore(session.p, session.saved);
    }
  }

  /** What answers a message. After it threw it can be called again, once it was moved. */
  answer(message: LanguageMessage, task: Task): () => Promise<LanguageAnswer> {
    switch (message.type) {
      case 'generate': {
        const writer = new Writer(this.#c, message, task);
        return async () => {
          const session = this.#sessions.get(message.session)!;
          const generation = await writer.run(session.p);
          session.ids = [...generation.promptTokens, ...generation.tokens].slice(
            0,
            this.#c.wasm.x.sotto_wasm_session_length(session.p),
          );
          session.saved = undefined;
          return generation;
        };
      }
      case 'score':
      case 'logits': {
        const measure = new Measure(this.#c, message, task);
        return () => measure.run();
      }
      default:
        return async () => this.#run(message);
    }
  }

  async #run(message: Exclude<LanguageMessage, { type: 'generate' | 'score' | 'logits' }>): Promise<LanguageAnswer> {
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
    }
  }

  closeSession(session: number): void {
    this.#c.wasm.x.sotto_wasm_session_close(this.#sessions.get(session)?.p ?? 0);
    this.#sessions.delete(session);
  }

  #fail(status: number): never {
    return this.#c.wasm.fail(status, this.#c.engine);
  }

  #open(session: number, given: [string, number][], saved: Uint8Array | undefined): number {
    const options: [string, number][] = [['n_batch', this.#nBatch], ...given];
    const p = this.#openWriting(options);
    this.#sessions.set(session, { p, options, saved, ids: [] });
    if (saved) this.#restore(p, saved);
    return this.#c.wasm.x.sotto_wasm_session_capacity(p);
  }

  #openWriting(options: [string, number][]): Pointer {
    return openSession(this.#c, [...options, ...this.#c.guessing]);
  }

  async #fork(session: number, from: number): Promise<undefined> {
    const { wasm } = this.#c;
    const before = this.#sessions.get(from)!;
    let p: Pointer = 0;
    const status = await untilDone(wasm, () => {
      const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_session_fork(before.p, out));
      p = values[0];
      return result;
    });
    if (status < 0) this.#fail(status);
    this.#sessions.set(session, { ...before, p });
  }

  async #save(session: number): Promise<Uint8Array> {
    const { wasm } = this.#c;
    const { p: s, ids } = this.#sessions.get(session)!;
    if (wasm.x.sotto_wasm_session_length(s) < ids.length) await this.#evaluate(s, ids);
    const capacity = wasm.x.sotto_wasm_session_save_bytes(s);
    const p = wasm.alloc(capacity);
    try {
      let n = 0;
      const status = await untilDone(wasm, () => {
        const { values, result } = wasm.row(1, (out) => wasm.x.sotto_wasm_session_save(s, p, capacity, out));
        n = values[0];
        return result;
      });
      if (status < 0) this.#fail(status);
      return wasm.bytes(p, n).slice();
    } finally {
      wasm.free(p);
    }
  }

  /** Of a session that was lost with its engine. */
  async #evaluate(s: Pointer, ids: readonly number[]): Promise<void> {
    const { wasm, breathe } = this.#c;
    const p = wasm.alloc(ids.length * 4);
    new Int32Array(wasm.memory.buffer, p, ids.length).set(ids);
    let status = wasm.x.sotto_wasm_session_sync(s, p, ids.length);
    wasm.free(p);
    while (status >= 0 && status !== DONE) {
      await breathe();
      status = wasm.x.sotto_wasm_session_step(s);
      if (status === AGAIN) await settled(wasm);
    }
    if (status < 0) this.#fail(status);
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
