/* Where an engine computes, and how that is said. */

import type { EngineInfo, BackendChoice } from 'sotto';

export type { BackendChoice };

export type Place = Pick<EngineInfo, 'backend' | 'gpu' | 'whyCpu' | 'threads'>;

export const placeOf = ({ backend, gpu, whyCpu, threads }: EngineInfo): Place => ({ backend, gpu, whyCpu, threads });

/** A choice that was kept, or the default. */
export const backendOf = (value: unknown): BackendChoice => (value === 'webgpu' || value === 'cpu' ? value : 'auto');

const threadsInWords = (n: number): string => (n === 1 ? 'one thread' : `${n} threads`);

/** "GPU", "2 threads". */
export const placeInShort = ({ gpu, threads }: Place): string =>
  gpu ? (gpu.software ? 'GPU in software' : 'GPU') : threadsInWords(threads);

/** A sentence. */
export function placeInWords({ gpu, whyCpu, threads }: Place): string {
  if (!gpu) return `Runs on the processor, ${threadsInWords(threads)}.${whyCpu === undefined ? '' : ` ${whyCpu}.`}`;
  const { adapter, software, features } = gpu;
  const can = features.length > 0 ? `, with ${features.join(', ')}` : '';
  return `Runs on the GPU: ${adapter}${software ? ', played by the processor' : ''}${can}.`;
}
