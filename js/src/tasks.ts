// What one conversation asks of the engine: at once, or after what was asked of it before.
import type { Engine } from './engine.js';
import { abortError } from './errors.js';
import type { FromWorker, LanguageAnswer, ToWorker } from './protocol.js';

export type Cancel = (error: unknown) => void;

/** What happens on the way to an answer. */
export interface Watch {
  signal?: AbortSignal | undefined;
  on?: (message: FromWorker) => void;
  /** Is given what ends the task with an error. */
  onCancel?: (cancel: Cancel) => void;
}

export class Tasks {
  readonly #engine: Engine;
  readonly #cancels = new Set<Cancel>();
  #last: Promise<unknown> = Promise.resolve();
  #ended: Error | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Ends what is under way with an AbortError; what is asked from now on fails with `error`. */
  end(error: Error): void {
    this.#ended = error;
    for (const cancel of [...this.#cancels]) cancel(abortError());
  }

  /** Asks the engine, and gives its answer. */
  ask<T extends LanguageAnswer>(make: (id: number) => ToWorker, { signal, on, onCancel }: Watch): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      let cancel: Cancel = () => {};
      const over = (): void => void this.#cancels.delete(cancel);
      cancel = this.#engine.run(
        {
          prepare: async (id) => ({ message: make(id) }),
          receive: (message) => {
            if (message.type !== 'answer') return on?.(message);
            over();
            resolve(message.answer as T);
          },
          reject: (error) => {
            over();
            reject(error);
          },
        },
        signal,
      );
      this.#cancels.add(cancel);
      onCancel?.(cancel);
    });
  }

  /** Work that begins where the work before left the conversation. An abort while it waits ends it at once. */
  inTurn<T>(work: (watch: Watch) => Promise<T>, { signal, on, onCancel }: Watch): Promise<T> {
    const before = this.#last;
    const done = new Promise<T>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      let cancelTask: Cancel | undefined;
      const cancel = (error: unknown): void => {
        stop();
        reject(error);
        cancelTask?.(error);
      };
      const onAbort = (): void => cancel(signal!.reason ?? abortError());
      const stop = (): void => {
        this.#cancels.delete(cancel);
        signal?.removeEventListener('abort', onAbort);
      };
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#cancels.add(cancel);
      onCancel?.(cancel);
      const begin = async (): Promise<T> => {
        await before;
        if (!this.#cancels.has(cancel)) throw abortError(); // said to the caller already
        return work({ ...(on && { on }), onCancel: (c) => (cancelTask = c) });
      };
      begin().then(resolve, reject).finally(stop);
    });
    this.#last = Promise.allSettled([before, done]).then(() => {}); // without what they gave
    return done;
  }
}
