// Where the time of the GPU goes: each dispatch, or several in a row of one kernel, in a pass of its own, between two
// timestamps; summed by kernel.
import { BUFFER, MAP_READ } from './flags.ts';
import type { Health } from './health.ts';
import type { Profile, ProfileRow } from './profile.ts';

/** Timestamps of a query set: WebGPU allows no more. */
const MOST_QUERIES = 4096;

export class Profiler {
  readonly #device: GPUDevice;
  readonly #health: Health;
  readonly #rows = new Map<string, ProfileRow>();
  readonly #querySet: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer | undefined;
  /** Of the dispatches since the last resolve. */
  #open: ProfileRow[] = [];
  #staging: GPUBuffer | undefined;
  readonly #coming = new Set<Promise<void>>();

  constructor(device: GPUDevice, health: Health) {
    this.#device = device;
    this.#health = health;
    if (!device.features.has('timestamp-query')) return;
    this.#querySet = device.createQuerySet({ type: 'timestamp', count: MOST_QUERIES });
    this.#resolved = device.createBuffer({
      size: MOST_QUERIES * 8,
      usage: BUFFER.QUERY_RESOLVE | BUFFER.COPY_SRC,
    });
  }

  /** No more dispatches fit before a resolve. */
  get full(): boolean {
    return this.#open.length * 2 >= MOST_QUERIES;
  }

  /** Whether a dispatch belongs to the pass before it. */
  joins(kernel: string, bytes: number): boolean {
    const last = this.#open.at(-1);
    if (last?.kernel !== kernel) return false;
    last.count++;
    last.bytes += bytes;
    return true;
  }

  /** The pass of a dispatch. */
  pass(kernel: string, bytes: number): GPUComputePassDescriptor {
    const i = this.#open.push({ kernel, count: 1, ms: 0, bytes }) * 2 - 2;
    if (!this.#querySet) return {};
    return {
      timestampWrites: { querySet: this.#querySet, beginningOfPassWriteIndex: i, endOfPassWriteIndex: i + 1 },
    };
  }

  /** Before a submit. */
  resolve(encoder: GPUCommandEncoder): void {
    const n = this.#open.length * 2;
    if (n === 0 || !this.#querySet || !this.#resolved) return;
    this.#staging = this.#device.createBuffer({ size: n * 8, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
    encoder.resolveQuerySet(this.#querySet, 0, n, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, n * 8);
  }

  /** After it. */
  sent(): void {
    const staging = this.#staging;
    const open = this.#open;
    this.#open = [];
    this.#staging = undefined;
    if (!staging) {
      for (const row of open) this.#add(row);
      return;
    }
    const coming = this.#sum(staging, open).catch(() => {}); // a lost device: the player says so
    this.#coming.add(coming);
    void coming.then(() => this.#coming.delete(coming));
  }

  async #sum(staging: GPUBuffer, open: ProfileRow[]): Promise<void> {
    await this.#health.track(staging.mapAsync(MAP_READ));
    const times = new BigUint64Array(staging.getMappedRange()); // ns
    open.forEach((row, i) => {
      // Some drivers let a clock step back between two passes.
      row.ms = Math.max(0, Number(times[2 * i + 1] - times[2 * i])) / 1e6;
      this.#add(row);
    });
    staging.destroy();
  }

  #add({ kernel, count, ms, bytes }: ProfileRow): void {
    const row = this.#rows.get(kernel) ?? { kernel, count: 0, ms: 0, bytes: 0 };
    this.#rows.set(kernel, row);
    row.count += count;
    row.ms += ms;
    row.bytes += bytes;
  }

  close(): void {
    this.#querySet?.destroy();
    this.#resolved?.destroy();
  }

  async rows(): Promise<Profile> {
    await Promise.all(this.#coming);
    const rows = [...this.#rows.values()].sort((a, b) => b.ms - a.ms || b.count - a.count);
    const missing = this.#querySet
      ? undefined
      : 'this GPU, or this browser, gives no timestamps (timestamp-query): only counts are known';
    return { rows, missing };
  }
}
