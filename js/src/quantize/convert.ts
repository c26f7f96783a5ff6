// Rows of tensors to their new type: on the GPU where it can, else on the processor; when a GPU fails, the processor goes on.
import { SottoError } from '../errors.js';
import { nameOf } from '../gpu/device.js';
import type { GpuQuantizer, Piece } from '../gpu/quantize.js';
import type { Platform } from '../platform.js';
import type { BackendChoice } from '../protocol.js';
import type { PlanTensor, Quantizer } from './plan.js';
import type { QuantizeDevice } from './types.js';

type Gpu = Pick<GpuQuantizer, 'about' | 'quantize' | 'close'> & { takes(from: string, to: string): boolean };

export class Converter {
  /** What converts what is plain from now on. */
  readonly device: QuantizeDevice;
  /** Tensors of which a GPU converted rows. */
  readonly onGpu = new Set<number>();
  #gpu: Gpu | undefined;
  readonly #backend: BackendChoice;
  readonly #signal: AbortSignal;

  private constructor(gpu: Gpu | undefined, device: QuantizeDevice, backend: BackendChoice, signal: AbortSignal) {
    [this.#gpu, this.device, this.#backend, this.#signal] = [gpu, device, backend, signal];
  }

  static async open(
    platform: Platform,
    { backend, dawn, threads }: { backend: BackendChoice; dawn?: readonly string[] | undefined; threads: number },
    signal: AbortSignal,
  ): Promise<Converter> {
    if (backend === 'cpu') return new Converter(undefined, { backend, threads }, backend, signal);
    try {
      const { startQuantizer, isSource, isTarget } = await platform.loadGpu();
      const gpu = await startQuantizer({ dawn, hardwareOnly: backend === 'auto' });
      const { about } = gpu;
      const info = { adapter: nameOf(about), software: about.software, features: about.features.filter((f) => f !== 'timestamp-query') };
      const takes = (from: string, to: string): boolean => isSource(from) && isTarget(to);
      const using = { about, takes, quantize: gpu.quantize.bind(gpu), close: gpu.close.bind(gpu) };
      return new Converter(using, { backend: 'webgpu', gpu: info, threads }, backend, signal);
    } catch (error) {
      if (backend === 'webgpu') throw error;
      return new Converter(undefined, { backend: 'cpu', whyCpu: reason(error), threads }, backend, signal);
    }
  }

  /** Rows [first, first + n) of a tensor. `source` must not change until the bytes are there. */
  async convert(q: Quantizer, t: PlanTensor, first: number, n: number, source: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    // With importances only k-quants are the same there: others are searched for then, on the processor.
    const weighs = t.importance === undefined || t.type.endsWith('_K');
    if (this.#gpu && t.plain && weighs && this.#gpu.takes(t.sourceType, t.type)) {
      try {
        const types = { from: t.sourceType, to: t.type } as Pick<Piece, 'from' | 'to'>;
        const piece = { name: t.name, ...types, cols: t.cols, data: source, weights: t.importance };
        const out = await this.#gpu.quantize(piece, this.#signal);
        this.onGpu.add(t.index);
        return out;
      } catch (error) {
        this.#signal.throwIfAborted();
        const failed = error instanceof SottoError && ['gpu', 'memory', 'internal', 'closed'].includes(error.code);
        if (!failed || this.#backend === 'webgpu') throw error;
        this.#leave(error);
      }
    }
    return q.rows(t, first, n, source);
  }

  /** The processor goes on from here. */
  #leave(error: Error): void {
    if (!this.#gpu) return;
    void this.#gpu.close().catch(() => {});
    this.#gpu = undefined;
    Object.assign(this.device, { backend: 'cpu', gpu: undefined, whyCpu: reason(error) });
  }

  async close(): Promise<void> {
    await this.#gpu?.close();
    this.#gpu = undefined;
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
