// Whether the GPU still works. The first thing that goes wrong is kept, in words; what is asked of it from then on
// fails softly.
//
//   sound ──an error is heard──> not sound: nothing is believed any more ──its words are found──> error
import { SottoError } from '../errors.ts';

/** How long an error of the whole queue waits for a better explanation, in ms. */
export const EXPLAIN_MS = 200;

export class Health {
  #sound = true;
  #error: SottoError | undefined;
  #tell!: (error: SottoError) => void;
  /** Resolves, with the reason, when the GPU can be used no more. Never rejects. */
  readonly failed = new Promise<SottoError>((resolve) => (this.#tell = resolve));

  /** Promises of WebGPU that are open. */
  readonly #open = new Set<Promise<unknown>>();

  get error(): SottoError | undefined {
    return this.#error;
  }

  /** Remembers a promise of WebGPU until it is settled. */
  track<T>(promise: Promise<T>): Promise<T> {
    const over = (): void => void this.#open.delete(promise);
    this.#open.add(promise);
    promise.then(over, over);
    return promise;
  }

  /** Resolves when no promise of WebGPU is open: a worker of Node that ends with one takes the whole process along. */
  async quiet(): Promise<void> {
    while (this.#open.size > 0) await Promise.allSettled(this.#open);
  }

  /** False from the first error on, even before `error` says which. */
  get sound(): boolean {
    return this.#sound;
  }

  /** Something is wrong; fail() will soon say what. */
  doubt(): void {
    this.#sound = false;
  }

  fail(error: SottoError): void {
    this.#sound = false;
    if (this.#error) return;
    this.#error = error;
    this.#tell(error);
  }

  /** Hears of a device's loss, and of errors that no one waits for. */
  watch(device: GPUDevice): void {
    void device.lost.then(({ reason, message }) =>
      this.fail(
        new SottoError(
          'gpu',
          reason === 'destroyed' ? 'The GPU was given back.' : `The GPU was lost (${message || 'no reason is given'}).`,
        ),
      ),
    );
    device.addEventListener('uncapturederror', (event) => {
      event.preventDefault(); // Node and browsers would write it to the console
      const { error } = event;
      this.doubt();
      const memory = error.constructor.name === 'GPUOutOfMemoryError'; // the class itself is no global in Node
      const told = memory
        ? new SottoError('memory', 'The memory of the GPU ran out; close other tabs or choose a smaller model.')
        : new SottoError('gpu', `The GPU refused work (${firstLines(error.message)}).`);
      setTimeout(() => this.fail(told), EXPLAIN_MS);
    });
  }
}

/** What a message of the driver's begins with: they quote whole programs. */
export const firstLines = (message: string, n = 3): string => message.trim().split('\n').slice(0, n).join(' ');
