// The worker's side of a quantization: messages in, progress and bytes out.
import { toErrorData } from '../errors.js';
import type { Platform } from '../platform.js';
import { QuantizeJob } from './job.js';
import type { QuantizeMessage } from './types.js';

/** Pieces on their way to the page, which it has not written yet. */
const SENT_AHEAD = 3;

export class QuantizeServer {
  readonly #platform: Platform;
  readonly #message: QuantizeMessage;
  readonly #controller = new AbortController();
  readonly #job: QuantizeJob;
  readonly #done: Promise<void>;
  #credit = SENT_AHEAD;
  #wake = (): void => {};

  constructor(platform: Platform, message: QuantizeMessage) {
    [this.#platform, this.#message] = [platform, message];
    const { signal } = this.#controller;
    this.#job = new QuantizeJob(message, {
      ...{ platform, signal },
      report: (progress) => platform.post({ type: 'quantizing', progress }),
      send: async (at, data) => {
        while (this.#credit === 0 && !signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
        signal.throwIfAborted();
        this.#credit--;
        platform.post({ type: 'bytes', at, data }, [data.buffer]);
      },
    });
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    try {
      if (this.#message.output) {
        const outcome = await this.#job.run();
        while (this.#credit < SENT_AHEAD && !this.#controller.signal.aborted) await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#platform.post({ type: 'quantized', outcome });
      } else {
        this.#platform.post({ type: 'plans', plans: await this.#job.plans() });
      }
    } catch (error) {
      this.#platform.post({ type: 'failed', id: 0, error: toErrorData(error) });
    }
  }

  pause(paused: boolean): void {
    this.#job.pause(paused);
  }

  /** The page wrote a piece. */
  more(): void {
    this.#credit++;
    this.#wake();
  }

  cancel(keep = this.#message.keepPart): void {
    this.#message.keepPart = keep;
    this.#controller.abort();
    this.#wake();
  }

  /** Ends it, and resolves when everything is put away. */
  async stop(): Promise<void> {
    this.cancel();
    await this.#done;
  }
}
