// One transcription under way: a promise of the whole, and a row of segments as they become final.
import type { Outcome, Segment } from './protocol.js';

export interface Transcript extends Outcome {
  text: string;
  segments: Segment[];
}

/**
 * `await` it for the whole transcript, or go through the segments with `for await` while they come; both work, also
 * together, and each loop starts at the first segment.
 */
export class Transcription implements PromiseLike<Transcript>, AsyncIterable<Segment> {
  readonly segments: Segment[] = [];
  /** Code of the language, "" before it is known. */
  language = '';
  languageProbability = 0;

  readonly #promise: Promise<Transcript>;
  #settle!: { resolve(transcript: Transcript): void; reject(error: unknown): void };
  #ended = false;
  #news: (() => void)[] = [];

  /** @internal */
  constructor() {
    this.#promise = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.#promise.catch(() => {}); // those who only iterate get the error there
  }

  /** @internal */
  _add(segments: Segment[], language: string, probability: number): void {
    this.segments.push(...segments);
    this.language = language;
    this.languageProbability = probability;
    this.#tell();
  }

  /** @internal */
  _resolve(outcome: Outcome): void {
    this.language = outcome.language;
    this.languageProbability = outcome.languageProbability;
    this.#ended = true;
    this.#settle.resolve({ text: textOf(this.segments), segments: this.segments, ...outcome });
    this.#tell();
  }

  /** @internal */
  _reject(error: unknown): void {
    this.#ended = true;
    this.#settle.reject(error);
    this.#tell();
  }

  #tell(): void {
    for (const wake of this.#news.splice(0)) wake();
  }

  then<A = Transcript, B = never>(
    onFulfilled?: ((transcript: Transcript) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise.then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Transcript | B> {
    return this.#promise.catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<Transcript> {
    return this.#promise.finally(onFinally);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Segment, void, undefined> {
    for (let i = 0; ;) {
      while (i < this.segments.length) yield this.segments[i++];
      if (this.#ended) break;
      await new Promise<void>((resolve) => this.#news.push(resolve));
    }
    await this.#promise; // throws what went wrong
  }
}

/** The segments' texts one after the other, without white space at both ends. */
export const textOf = (segments: readonly { text: string }[]): string =>
  segments
    .map((segment) => segment.text)
    .join('')
    .replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
