// Whether there is a GPU, found out without opening it.
import { describeAdapter } from './gpu/device.js';
import { SottoError } from './errors.js';
import type { GpuInfo } from './protocol.js';

/**
 * The GPU that `backend: "webgpu"` would compute on, with what the browser tells of it; `software`: the processor plays one, which "auto"
 * leaves alone. undefined: there is none. In Node it needs the package `webgpu`, and `dawn` are options of it.
 */
export async function detectGpu({ dawn }: { dawn?: readonly string[] | undefined } = {}): Promise<GpuInfo | undefined> {
  try {
    return await describeAdapter({ dawn });
  } catch (error) {
    if (error instanceof SottoError && error.code === 'gpu') return undefined;
    throw error;
  }
}
