// Kernels by the names that the engine gives them, compiled when they are first used.
//
//   "linear_few type=q4_0 rows=4" ──compose──> WGSL ──> shader module, layout of its bindings ──> pipeline
import { SottoError } from '../errors.ts';
import { bindingsOf, compose, type BindingKind, type Sources } from './compose.ts';
import { STAGE_COMPUTE } from './flags.ts';
import { firstLines, type Health } from './health.ts';

/** Bytes of parameters that a kernel sees. */
export const PARAM_BYTES = 256;

export interface Layout {
  /** Equal for kernels with equal bindings: their bind groups fit each other. */
  id: number;
  bindings: ReadonlyMap<number, BindingKind>;
  group: GPUBindGroupLayout;
  pipeline: GPUPipelineLayout;
}

export interface Kernel {
  name: string;
  layout: Layout;
  pipeline: GPUComputePipeline;
}

const bufferTypes: Record<BindingKind, GPUBufferBindingType> = {
  uniform: 'uniform',
  read: 'read-only-storage',
  read_write: 'storage',
};

export class Kernels {
  readonly #device: GPUDevice;
  readonly #sources: Sources;
  readonly #health: Health;
  readonly #ids = new Map<string, number>();
  /** By id; an id is 1 or more. */
  readonly #names: string[] = [''];
  readonly #made: (Kernel | undefined)[] = [];
  readonly #layouts = new Map<string, Layout>();
  /** Being compiled: several at once, beside whatever else is done. */
  readonly #coming = new Map<number, Promise<void>>();

  constructor(device: GPUDevice, sources: Sources, health: Health) {
    this.#device = device;
    this.#sources = sources;
    this.#health = health;
  }

  /** The id of a name, the same each time. */
  id(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#names.push(name) - 1;
      this.#ids.set(name, id);
    }
    return id;
  }

  /** One that was compiled. */
  get(id: number): Kernel | undefined {
    return this.#made[id];
  }

  /** Compiles; undefined: it was. When what it returns resolves, the kernel is there, or the health says why not. */
  start(id: number): Promise<void> | undefined {
    if (this.#made[id]) return undefined;
    let coming = this.#coming.get(id);
    if (!coming) {
      coming = this.#make(id, this.#names[id] ?? `number ${id}`);
      this.#coming.set(id, coming);
    }
    return coming;
  }

  /** Compiles kernels by their names. */
  async prepare(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.start(this.id(name))));
  }

  async #make(id: number, name: string): Promise<void> {
    let code: string;
    try {
      code = compose(name, this.#sources);
    } catch (error) {
      this.#health.fail(new SottoError('internal', `The kernel ${name} cannot be made: ${(error as Error).message}.`));
      return;
    }
    const device = this.#device;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code, label: name });
    const layout = this.#layout(bindingsOf(code));
    // What is wrong with the module, its pipeline says too.
    this.#health.track(device.popErrorScope()).catch(() => {});
    try {
      const compute = { module, entryPoint: 'main' };
      const pipeline = await this.#health.track(
        device.createComputePipelineAsync({ label: name, layout: layout.pipeline, compute }),
      );
      this.#made[id] = { name, layout, pipeline };
      this.#coming.delete(id);
    } catch (error) {
      await this.#explain(name, code, module, error as Error);
    }
  }

  async #explain(name: string, code: string, module: GPUShaderModule, error: Error): Promise<void> {
    this.#health.doubt();
    const info = await this.#health.track(module.getCompilationInfo()).catch(() => undefined);
    const first = info?.messages.find(({ type }) => type === 'error');
    const line = first && code.split('\n')[first.lineNum - 1]?.trim();
    const why = first ? `${first.message}, in "${line}"` : firstLines(error.message);
    this.#health.fail(new SottoError('gpu', `The GPU does not take the kernel "${name}": ${why}.`));
  }

  #layout(bindings: ReadonlyMap<number, BindingKind>): Layout {
    const key = [...bindings].map(([binding, kind]) => `${binding} ${kind}`).sort().join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const group = this.#device.createBindGroupLayout({
        entries: [...bindings].map(([binding, kind]) => ({
          binding,
          visibility: STAGE_COMPUTE,
          buffer: {
            type: bufferTypes[kind],
            minBindingSize: kind === 'uniform' ? PARAM_BYTES : 0,
          },
        })),
      });
      const pipeline = this.#device.createPipelineLayout({ bindGroupLayouts: [group] });
      layout = { id: this.#layouts.size, bindings, group, pipeline };
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
