// What the engine's worker loads when a GPU is wanted: a module of its own, so that others need not carry it.
import { describeAdapter, openDevice, type AdapterAbout, type DeviceOptions } from './gpu/device.ts';
import { KERNELS } from './gpu/kernels.gen.ts';
import { Player } from './gpu/player.ts';
import { GpuQuantizer } from './gpu/quantize.ts';
import { tune } from './gpu/tune.ts';
import { VERSION } from './models.gen.js';
import type { Notes } from './platform.js';

export { describeAdapter };
export { isSource, isTarget, type Piece } from './gpu/quantize.ts';

export interface GpuOptions extends DeviceOptions {
  /** Measures each dispatch; slower. */
  profile?: boolean | undefined;
  /** Where it is noted what was measured. */
  notes: Notes;
}

export interface StartedGpu {
  player: Player;
  about: AdapterAbout;
}

/** Opens a GPU. Throws a SottoError with code `gpu` that says why there is none. */
export async function startGpu({ profile, notes, ...options }: GpuOptions): Promise<StartedGpu> {
  const opened = await openDevice(options);
  await tune(opened, KERNELS, VERSION, notes);
  return { player: new Player(opened, { sources: KERNELS, profile }), about: opened.about };
}

/** Opens a GPU to quantize on. Throws as startGpu does. */
export async function startQuantizer(options: DeviceOptions & { profile?: boolean | undefined } = {}): Promise<GpuQuantizer> {
  const { profile, ...device } = options;
  return new GpuQuantizer(await openDevice(device), { sources: KERNELS, profile });
}
