import type { ThreadSeat } from './wasm.js';

export function onSeat(sit: (seat: ThreadSeat) => void): void {
  addEventListener('message', (event: MessageEvent<ThreadSeat>) => sit(event.data), { once: true });
}
