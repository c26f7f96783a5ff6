// A worker that helps with kernels: it takes its seat in the engine's memory and stays there.
import { onSeat } from '@thread-host';
import { runThread } from './wasm.js';

onSeat(runThread);
