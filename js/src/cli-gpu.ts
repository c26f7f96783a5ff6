// What the commands that compute share: the options that say where.
import { UsageError, type OptionSpec } from './args.js';
import type { Profile } from './gpu/profile.js';
import { BACKENDS, type BackendChoice, type EngineInfo } from './protocol.js';

export interface GpuOptions {
  backend?: BackendChoice;
  /** Of Dawn. */
  dawn?: string[];
}

export const GPU_SPECS: Record<string, OptionSpec> = { backend: { value: true }, dawn: { value: true } };

export const GPU_HELP = `      --backend BACKEND   cpu (default), webgpu, or auto: the GPU where there is a real one; needs the npm
                          package webgpu
      --dawn OPTION,...   of that package, such as backend=vulkan`;

/** KEY=VALUE, with commas between; what has no KEY belongs to the VALUE before. */
export const dawnOptions = (list: string): string[] => list.split(/,(?=[\w-]+=)/).filter(Boolean);

/** Takes an option that is one of these. */
export function gpuOption(o: GpuOptions, name: string, shown: string, value: string): boolean {
  if (name === 'backend') {
    if (!BACKENDS.includes(value as BackendChoice))
      throw new UsageError(`option '${shown}' needs cpu, webgpu or auto, not '${value}'`);
    o.backend = value as BackendChoice;
  } else if (name === 'dawn') {
    o.dawn = dawnOptions(value);
  } else {
    return false;
  }
  return true;
}

export type Place = Pick<EngineInfo, 'backend' | 'gpu' | 'whyCpu' | 'threads'>;

/** What computes, in words. */
export function placeInWords({ gpu, whyCpu, threads }: Place): string {
  if (!gpu) return `${threads} threads${whyCpu === undefined ? '' : ` (${whyCpu})`}`;
  const { adapter, software, features } = gpu;
  return `WebGPU on ${adapter}${software ? ' (software)' : ''}${features.length > 0 ? `, with ${features.join(', ')}` : ''}`;
}

/** The same for JSON. */
export const placeAsJson = ({ backend, gpu, whyCpu }: Omit<Place, 'threads'>): object => ({
  backend,
  ...(gpu && { adapter: gpu.adapter, software: gpu.software, features: gpu.features }),
  ...(whyCpu !== undefined && { why_cpu: whyCpu }),
});

/** Where the time went, most first. */
export function profileTable({ rows, missing }: Profile): string {
  const total = rows.reduce((sum, { ms }) => sum + ms, 0);
  const line = (cells: string[], kernel: string): string =>
    `  ${cells.map((cell) => cell.padStart(10)).join(' ')}  ${kernel}\n`;
  return (
    (missing === undefined ? '' : `  ${missing}\n`) +
    line(['ms', 'share', 'dispatches', 'us each', 'GB/s'], 'kernel') +
    rows
      .map(({ kernel, ms, count, bytes }) => {
        const share = total > 0 ? `${((100 * ms) / total).toFixed(1)} %` : '-';
        const rate = ms > 0 && bytes > 0 ? (bytes / ms / 1e6).toFixed(0) : '-';
        return line([ms.toFixed(2), share, String(count), ((1e3 * ms) / count).toFixed(1), rate], kernel);
      })
      .join('')
  );
}
