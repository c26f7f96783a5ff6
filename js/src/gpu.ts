// What the engine's worker loads when a GPU is wanted: a module of its own, so that others need not carry it.
import { openDevice, type AdapterAbout, type DeviceOptions } from './gpu/device.ts';
import { KERNELS } from './gpu/kernels.gen.ts';
import { Player } from './gpu/player.ts';

export interface GpuOptions extends DeviceOptions {
  /** Measures each dispatch; slower. */
  profile?: boolean | undefined;
}

export interface StartedGpu {
  player: Player;
  about: AdapterAbout;
}

/** Opens a GPU. Throws a SottoError with code `gpu` that says why there is none. */
export async function startGpu({ profile, ...options }: GpuOptions): Promise<StartedGpu> {
  const opened = await openDevice(options);
  return { player: new Player(opened, { sources: KERNELS, profile }), about: opened.about };
}
