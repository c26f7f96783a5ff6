import { workerData } from 'node:worker_threads';
import type { ThreadSeat } from './wasm.js';

export function onSeat(sit: (seat: ThreadSeat) => void): void {
  sit(workerData as ThreadSeat);
}
