// Whether the GPU still works. The first thing that goes wrong is kept, in words; what is asked of it from then on fails softly.
import { SottoError } from '../errors.ts';

export class Health {
  #error: SottoError | undefined;
  #tell!: (error: SottoError) => void;
  /** Resolves, with the reason, when the GPU can be used no more. Never rejects. */
  readonly failed = new Promise<SottoError>((resolve) => (this.#tell = resolve));

  get error(): SottoError | undefined {
    return this.#error;
  }

  fail(error: SottoError): void {
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
      const memory = error.constructor.name === 'GPUOutOfMemoryError'; // the class itself is no global in Node
      this.fail(
        memory
          ? new SottoError('memory', 'The memory of the GPU ran out; close other tabs or choose a smaller model.')
          : new SottoError('gpu', `The GPU refused work (${firstLines(error.message)}).`),
      );
    });
  }
}

/** What a message of the driver's begins with: they quote whole programs. */
export const firstLines = (message: string, n = 3): string => message.trim().split('\n').slice(0, n).join(' ');
