// Whether there is a GPU, found out without opening it.
import { host } from '@host';
import type { SottoError } from './errors.js';
import type { GpuInfo } from './protocol.js';

/**
 * The GPU that `backend: "webgpu"` would compute on, with what the browser tells of it; `software`: the processor plays one, which "auto"
 * leaves alone. undefined: there is none. In Node it needs the package `webgpu`, and `dawn` are options of it.
 */
export async function detectGpu({ dawn }: { dawn?: readonly string[] | undefined } = {}): Promise<GpuInfo | undefined> {
  try {
    return await (await host.loadGpu()).describeAdapter({ dawn });
  } catch (error) {
    if ((error as Partial<SottoError>).code === 'gpu') return undefined; // that module has a class of its own
    throw error;
  }
}
