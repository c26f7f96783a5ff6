// What a model thinks of a text that is there already: log-probabilities of its tokens, or all logits.
//
//   ids ─> a session of their own, some rows of logits a step ─> one number a row ─> scores
//                                                             └> the rows themselves ─> page, two parts ahead of it
import { abortError } from './errors.js';
import { logitsOf, openSession, type LanguageContext, type Task } from './session.js';
import type { LanguageAnswer, LanguageMessage } from './protocol.js';
import type { Pointer } from './wasm.js';

/** Of the rows of one step. */
const MOST_ROWS_BYTES = 32 << 20;
const MOST_ROWS = 64;

type MeasureMessage = Extract<LanguageMessage, { type: 'score' | 'logits' }>;

export class Measure {
  readonly #c: LanguageContext;
  readonly #message: MeasureMessage;
  readonly #task: Task;
  readonly #scores: Float32Array;
  /** Rows that the page has: not to be sent again. */
  #told = 0;

  constructor(c: LanguageContext, message: MeasureMessage, task: Task) {
    this.#c = c;
    this.#message = message;
    this.#task = task;
    this.#scores = new Float32Array(message.ids.length - 1);
  }

  /** After it threw it can be run again, in an engine that was started anew: it evaluates all of the text, and goes on telling. */
  async run(): Promise<LanguageAnswer> {
    const { wasm, nVocab } = this.#c;
    const { x } = wasm;
    const { type, ids, options = [] } = this.#message;
    const nRows = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_ROWS_BYTES / (nVocab * 4))));
    const session = openSession(this.#c, [...options, ['n_ctx', ids.length], ['n_batch', nRows], ['all_logits', 1]]);
    const p = wasm.alloc(ids.length * 4);
    try {
      new Int32Array(wasm.memory.buffer, p, ids.length).set(ids);
      let status = x.sotto_wasm_session_sync(session, p, ids.length);
      for (let first = 0; status >= 0 && first < ids.length;) {
        const known = first < this.#told;
        if (type === 'logits' && !known) await this.#task.room();
        await this.#c.breathe();
        if (this.#task.cancelled()) throw abortError();
        status = x.sotto_wasm_session_step(session);
        if (status < 0) break;
        const rows = x.sotto_wasm_session_n_logits(session);
        if (!known) await (type === 'score' ? this.#score(session, first, rows) : this.#tell(session, first, rows));
        first += rows;
      }
      if (status < 0) wasm.fail(status, this.#c.engine);
      return type === 'score' ? this.#scores : undefined;
    } finally {
      wasm.free(p);
      x.sotto_wasm_session_close(session);
    }
  }

  async #score(session: Pointer, first: number, rows: number): Promise<void> {
    const { wasm, nVocab, platform } = this.#c;
    const { id, ids } = this.#message;
    for (let i = 0; i < rows; i++) {
      const at = first + i + 1;
      if (at === ids.length) break;
      const logits = await logitsOf(wasm, session, rows - 1 - i);
      this.#scores[at - 1] = wasm.x.sotto_wasm_logprob(logits, nVocab, ids[at]);
    }
    this.#told = first + rows;
    platform.post({ type: 'evaluated', id, done: this.#told, total: ids.length });
  }

  async #tell(session: Pointer, first: number, rows: number): Promise<void> {
    const { wasm, nVocab, platform } = this.#c;
    const data = new Float32Array(rows * nVocab);
    for (let i = 0; i < rows; i++)
      data.set(wasm.floats(await logitsOf(wasm, session, rows - 1 - i), nVocab), i * nVocab);
    this.#told = first + rows;
    platform.post({ type: 'rows', id: this.#message.id, rows: { first, rows, data } }, [data.buffer]);
  }
}
