/* The types that weights can have, in words. */

export interface TypeChoice {
  type: string;
  words: string;
  common: boolean; // offered at first
}

export const TYPES: readonly TypeChoice[] = [
  { type: 'q8_0', words: 'Hardly to be told from the original', common: true },
  { type: 'q6_K', words: 'Very close to the original', common: true },
  { type: 'q5_K_M', words: 'Close, and a good deal smaller', common: true },
  { type: 'q4_K_M', words: 'Small, and good for its size', common: true },
  { type: 'q4_0', words: 'Small and quick, rougher', common: true },
  { type: 'q4_K_S', words: 'A little smaller than Q4_K_M', common: false },
  { type: 'q4_K', words: 'All matrices in four bits, with a search', common: false },
  { type: 'q4_1', words: 'Four bits with an offset', common: false },
  { type: 'q5_K', words: 'All matrices in five bits, with a search', common: false },
  { type: 'q5_1', words: 'Five bits with an offset', common: false },
  { type: 'q5_0', words: 'Five bits', common: false },
  { type: 'bf16', words: 'Not quantized: the range of 32 bits in 16', common: false },
  { type: 'f16', words: 'Not quantized: 16 bits', common: false },
];

export const typeInWords = (type: string): string => type.toUpperCase();

/** So few weights suffer more from few bits, and need little room anyway. */
const TINY_PARAMETERS = 1e8;

export const defaultType = (nParameters: number): string => (nParameters < TINY_PARAMETERS ? 'q8_0' : 'q4_K_M');
