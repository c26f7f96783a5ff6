// What the engine's worker loads when a model is to be quantized: a module of its own, so that others need not carry it.
export { QuantizeServer } from './quantize/serve.js';
