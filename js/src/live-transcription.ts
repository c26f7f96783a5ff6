// Live transcription under way: events as they come, the final texts so far, and a stop.
import type { LiveEvent } from './protocol.js';

export type FinalEvent = Extract<LiveEvent, { type: 'partial' | 'final' }>;

/**
 * Go through the events with `for await`; the loop ends after stop(), or when the sound ends, and throws what went wrong. Events that
 * came before the first loop wait for it.
 */
export class LiveTranscription implements AsyncIterable<LiveEvent> {
  /** The final texts so far. */
  readonly finals: FinalEvent[] = [];
  /** Resolves when all that was said is final; rejects with what went wrong. */
  readonly finished: Promise<void>;

  #settle!: { resolve(): void; reject(error: unknown): void };
  readonly #stop: () => void;
  readonly #onEvent: ((event: LiveEvent) => void) | undefined;
  readonly #readers = new Set<{ queue: LiveEvent[]; wake: () => void }>();
  #waiting: LiveEvent[] | undefined = [];
  #ended = false;

  /** @internal */
  constructor(stop: () => void, onEvent: ((event: LiveEvent) => void) | undefined) {
    this.#stop = stop;
    this.#onEvent = onEvent;
    this.finished = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.finished.catch(() => {}); // those who only iterate get the error there
  }

  /** All final texts, a space between them. */
  get text(): string {
    return this.finals.map(({ text }) => text).join(' ');
  }

  /** Hears no more; resolves when what was said is final. */
  stop(): Promise<void> {
    this.#stop();
    return this.finished;
  }

  /** @internal */
  _add(event: LiveEvent): void {
    if (event.type === 'final') this.finals.push(event);
    this.#waiting?.push(event);
    for (const reader of this.#readers) {
      reader.queue.push(event);
      reader.wake();
    }
    this.#onEvent?.(event);
  }

  /** @internal */
  _end(): void {
    this.#ended = true;
    this.#settle.resolve();
    for (const { wake } of this.#readers) wake();
  }

  /** @internal */
  _reject(error: unknown): void {
    this.#ended = true;
    this.#settle.reject(error);
    for (const { wake } of this.#readers) wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LiveEvent, void, undefined> {
    const reader = { queue: this.#waiting ?? [], wake: () => {} };
    this.#waiting = undefined;
    this.#readers.add(reader);
    try {
      for (;;) {
        while (reader.queue.length > 0) yield reader.queue.shift()!;
        if (this.#ended) break;
        await new Promise<void>((resolve) => (reader.wake = resolve));
      }
    } finally {
      this.#readers.delete(reader);
    }
    await this.finished; // throws what went wrong
  }
}
