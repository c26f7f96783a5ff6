// Reads of GPU memory: copies into buffers that the CPU can map, from a pool of them.
//
//   reserve ──> ticket ──begin: the copy is under way──(the GPU gets there)──> take: 1 and the bytes
import { BUFFER, MAP_READ } from './flags.ts';
import type { Health } from './health.ts';

/** Tickets as the engine knows them. */
export const PENDING = 0;
export const DONE = 1;
export const FAILED = -1;

const LEAST_BYTES = 1 << 10;
/** Of buffers that are kept for the next reads. */
const MOST_IDLE_BYTES = 64 << 20;

interface Ticket {
  /** Once it has begun. */
  staging?: GPUBuffer;
  /** When WebGPU maps it no more, be it in vain. Node's WebGPU crashes where a buffer is destroyed while news of that is on its way. */
  mapped?: Promise<void>;
  bytes: number;
  state: typeof PENDING | typeof DONE | typeof FAILED;
  /** No one waits for it any more. */
  dropped: boolean;
  /** When the state is no longer PENDING. */
  ready: Promise<void>;
  settle: () => void;
}

export class Reads {
  readonly #device: GPUDevice;
  readonly #health: Health;
  readonly #tickets = new Map<number, Ticket>();
  /** By size. */
  readonly #idle = new Map<number, GPUBuffer[]>();
  #idleBytes = 0;
  #next = 1;

  constructor(device: GPUDevice, health: Health) {
    this.#device = device;
    this.#health = health;
    void health.failed.then(() => {
      for (const ticket of this.#tickets.values()) this.#settle(ticket, FAILED);
    });
  }

  /** A ticket, 1 or more. */
  reserve(bytes: number): number {
    let settle!: () => void;
    const ready = new Promise<void>((resolve) => (settle = resolve));
    const number = this.#next++;
    this.#tickets.set(number, { bytes, state: PENDING, dropped: false, ready, settle });
    return number;
  }

  /** Asks the GPU. offset: a multiple of 4. */
  begin(number: number, from: GPUBuffer, offset: number): void {
    const ticket = this.#tickets.get(number);
    if (!ticket) return; // dropped before
    const size = (ticket.bytes + 3) & ~3;
    const staging = this.#staging(size);
    ticket.staging = staging;
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, offset, staging, 0, size);
    this.#device.queue.submit([encoder.finish()]);
    ticket.mapped = this.#health.track(staging.mapAsync(MAP_READ, 0, size)).then(
      () => this.#settle(ticket, DONE),
      () => this.#settle(ticket, FAILED),
    );
  }

  #settle(ticket: Ticket, state: typeof DONE | typeof FAILED): void {
    if (ticket.state === PENDING) ticket.state = state;
    ticket.settle();
    if (ticket.dropped) this.#release(ticket);
  }

  /** DONE: the bytes are in `to`, and the ticket is gone. FAILED: it is gone too. */
  take(number: number, to: (bytes: Uint8Array) => void): number {
    const ticket = this.#tickets.get(number);
    if (!ticket) return FAILED;
    if (ticket.state === PENDING) return PENDING;
    this.#tickets.delete(number);
    const { state, staging, bytes } = ticket;
    if (state === DONE) to(new Uint8Array(staging!.getMappedRange(0, (bytes + 3) & ~3), 0, bytes));
    this.#release(ticket);
    return state;
  }

  drop(number: number): void {
    const ticket = this.#tickets.get(number);
    if (!ticket) return;
    this.#tickets.delete(number);
    ticket.dropped = true;
    if (ticket.state !== PENDING) this.#release(ticket);
  }

  /**
   * When the oldest ticket that is pending is ready; at once where there is none. Those that are ready may wait long for
   * who takes them.
   */
  settled(): Promise<void> {
    for (const { state, ready } of this.#tickets.values()) if (state === PENDING) return ready;
    return Promise.resolve();
  }

  close(): void {
    for (const ticket of this.#tickets.values()) this.#destroy(ticket);
    for (const buffers of this.#idle.values()) for (const buffer of buffers) buffer.destroy();
    this.#tickets.clear();
    this.#idle.clear();
  }

  #staging(bytes: number): GPUBuffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, LEAST_BYTES)));
    const idle = this.#idle.get(size)?.pop();
    if (idle) {
      this.#idleBytes -= size;
      return idle;
    }
    return this.#device.createBuffer({ size, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
  }

  #destroy({ staging, mapped }: Ticket): void {
    void mapped?.then(() => staging!.destroy());
  }

  #release(ticket: Ticket): void {
    const { staging, state } = ticket;
    if (!staging) return;
    const { size } = staging;
    if (state === FAILED || this.#idleBytes + size > MOST_IDLE_BYTES) return this.#destroy(ticket);
    staging.unmap();
    this.#idleBytes += size;
    const same = this.#idle.get(size);
    if (same) same.push(staging);
    else this.#idle.set(size, [staging]);
  }
}
