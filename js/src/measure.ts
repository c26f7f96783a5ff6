// What a model thinks of a text that is there already: log-probabilities of its tokens, or all logits.
//
//   ids ─> a session of their own, some rows of logits a step ─> one number a row ─> scores
//                                                             └> the rows themselves ─> page, two parts ahead of it
import { abortError } from './errors.js';
import { openSession, type LanguageContext, type Task } from './session.js';
import type { LanguageAnswer, LanguageMessage } from './protocol.js';

const DONE = 4;
/** Of the rows of one step. */
const MOST_ROWS_BYTES = 32 << 20;
const MOST_ROWS = 64;

type MeasureMessage = Extract<LanguageMessage, { type: 'score' | 'logits' }>;

export async function measure(c: LanguageContext, message: MeasureMessage, task: Task): Promise<LanguageAnswer> {
  const { wasm, nVocab } = c;
  const { x } = wasm;
  const { id, ids, options = [] } = message;
  const scores = new Float32Array(ids.length - 1);
  const nRows = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_ROWS_BYTES / (nVocab * 4))));
  const session = openSession(c, [...options, ['n_ctx', ids.length], ['n_batch', nRows], ['all_logits', 1]]);
  const p = wasm.alloc(ids.length * 4);
  try {
    new Int32Array(wasm.memory.buffer, p, ids.length).set(ids);
    let status = x.sotto_wasm_session_sync(session, p, ids.length);
    for (let first = 0; status >= 0 && status !== DONE;) {
      if (message.type === 'logits') await task.room();
      await c.breathe();
      if (task.cancelled()) throw abortError();
      status = x.sotto_wasm_session_step(session);
      const rows = status < 0 ? 0 : x.sotto_wasm_session_n_logits(session);
      for (let i = 0; i < rows && message.type === 'score'; i++) {
        const at = first + i + 1;
        if (at < ids.length)
          scores[at - 1] = x.sotto_wasm_logprob(x.sotto_wasm_session_logits(session, rows - 1 - i), nVocab, ids[at]);
      }
      if (message.type === 'logits' && rows > 0) {
        const data = new Float32Array(rows * nVocab);
        for (let i = 0; i < rows; i++)
          data.set(wasm.floats(x.sotto_wasm_session_logits(session, rows - 1 - i) >>> 0, nVocab), i * nVocab);
        c.platform.post({ type: 'rows', id, rows: { first, rows, data } }, [data.buffer]);
      } else if (rows > 0) {
        c.platform.post({ type: 'evaluated', id, done: first + rows, total: ids.length });
      }
      first += rows;
    }
    if (status < 0) wasm.fail(status, c.engine);
    return message.type === 'score' ? scores : undefined;
  } finally {
    wasm.free(p);
    x.sotto_wasm_session_close(session);
  }
}
