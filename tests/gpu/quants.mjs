// Random weights as they lie on the GPU (src/gpu/wgsl/weights.wgsl), with the values they stand for.

export const TYPES = ['f32', 'f16', 'bf16', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q8_0', 'q4_K', 'q5_K', 'q6_K'];
const BITS = { q4_0: 4, q4_1: 4, q4_K: 4, q5_0: 5, q5_1: 5, q5_K: 5, q6_K: 6, q8_0: 8 };
const ZERO = { q4_0: 8, q5_0: 16, q6_K: 32, q8_0: 128 };

/** Columns come in multiples of this. */
export const blockOf = (type) => (BITS[type] ? (type.endsWith('K') ? 256 : 32) : 1);

/** Uniform in [0, 1), the same for the same seed. */
export function randomSource(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normal numbers from uniform ones. */
export const gaussian = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const scratch = new DataView(new ArrayBuffer(4));

function f32Bits(value) {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}

function bitsF32(bits) {
  scratch.setUint32(0, bits);
  return scratch.getFloat32(0);
}

/** Bits of the f16 next to a number. */
export function f16Bits(value) {
  const f = f32Bits(value);
  const sign = (f >>> 16) & 0x8000;
  const x = Math.abs(value);
  if (!(x < 65520)) return sign | (x !== x ? 0x7e00 : 0x7c00);
  const exponent = Math.max(-14, Math.floor(Math.log2(x || 2 ** -14)));
  const units = Math.round((x / 2 ** exponent) * 1024);
  return sign | ((exponent + 14) * 1024 + units);
}

export function f16Value(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const x = exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 0x8000 ? -x : x;
}

function dense(type, rows, cols, number) {
  const perWord = type === 'f32' ? 1 : 2;
  const perRow = Math.ceil(cols / (4 * perWord)) * 4;
  const quants = new Uint32Array(rows * perRow);
  const values = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++) {
      let bits = f32Bits(number());
      if (type === 'f16') bits = f16Bits(bitsF32(bits));
      if (type === 'bf16') bits >>>= 16;
      values[r * cols + c] = type === 'f32' ? bitsF32(bits) : type === 'f16' ? f16Value(bits) : bitsF32((bits << 16) >>> 0);
      quants[r * perRow + Math.floor(c / perWord)] |= perWord === 1 ? bits : bits << (16 * (c % 2));
    }
  return { quants, scales: new Uint32Array(4), values };
}

/**
 * { quants, scales: Uint32Array; values: Float64Array [rows, cols] } of about `size`. `number` makes the elements of dense types; blocks are of
 * random bits.
 */
export function randomWeight(type, rows, cols, random, size = 0.1) {
  if (!BITS[type]) return dense(type, rows, cols, () => gaussian(random) * size);
  const bits = BITS[type];
  const n = (rows * cols) / 32;
  const whole = (levels) => Math.floor(random() * levels);
  const integers = Uint8Array.from({ length: n * 32 }, () => whole(2 ** bits));
  const quants = new Uint32Array(n * (bits === 8 ? 8 : 4));
  const high = new Uint32Array(n * 2);
  for (let b = 0; b < n; b++)
    for (let e = 0; e < 32; e++) {
      const q = integers[32 * b + e];
      const quad = e >> 2;
      const j = e & 3;
      if (bits === 8) quants[8 * b + quad] |= q << (8 * j);
      else quants[4 * b + (quad & 3)] |= (q & 15) << (8 * j + (quad & 4));
      if (bits === 5) high[2 * b] |= (q >> 4) << (8 * j + quad);
      if (bits === 6) high[2 * b + (quad >> 2)] |= (q >> 4) << (8 * j + 2 * (quad & 3));
    }

  // Scale and offset of each half block, and the words they come from.
  const half = (range) => f16Bits((0.5 + random()) * range * (ZERO[type] && random() < 0.5 ? -1 : 1));
  const scale = new Float64Array(2 * n);
  const offset = new Float64Array(2 * n);
  const step = size / 2 ** (bits - 2);
  const words = [];
  if (type === 'q4_0' || type === 'q8_0' || type === 'q5_0') {
    for (let b = 0; b < n; b += 2) {
      const d = [half(step), half(step)];
      if (type === 'q5_0') words.push(high[2 * b], b + 1 < n ? high[2 * b + 2] : 0);
      words.push(d[0] | (d[1] << 16));
      scale.fill(f16Value(d[0]), 2 * b, 2 * b + 2);
      if (b + 1 < n) scale.fill(f16Value(d[1]), 2 * b + 2, 2 * b + 4);
    }
  } else if (type === 'q4_1' || type === 'q5_1') {
    for (let b = 0; b < n; b++) {
      const d = half(step);
      const m = f16Bits(-size * random() * 3);
      if (type === 'q5_1') words.push(high[2 * b]);
      words.push(d | (m << 16));
      scale.fill(f16Value(d), 2 * b, 2 * b + 2);
      offset.fill(f16Value(m), 2 * b, 2 * b + 2);
    }
  } else {
    for (let b = 0; b < n; b += 8) {
      const d = half(step / (type === 'q6_K' ? 80 : 40));
      const m = type === 'q6_K' ? 0 : half(size / 30);
      words.push(d | (m << 16));
      for (let i = 0; i < 8; i += 2) {
        const bytes = [0, 1, 2, 3].map(() => whole(type === 'q6_K' ? 256 : 64));
        words.push(bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24));
        for (let h = 0; h < 4; h++) {
          const at = 2 * (b + i) + h;
          if (type === 'q6_K') {
            scale[at] = Math.fround(f16Value(d) * ((bytes[h] << 24) >> 24));
          } else {
            scale[at] = Math.fround(f16Value(d) * bytes[h & 2]);
            offset[at] = -Math.fround(f16Value(m) * bytes[(h & 2) + 1]);
          }
        }
      }
      for (let i = 0; i < 8 && bits > 4; i++) words.push(...high.subarray(2 * (b + i), 2 * (b + i) + (bits === 6 ? 2 : 1)));
    }
  }
  const values = Float64Array.from(integers, (q, e) => scale[e >> 4] * (q - (ZERO[type] ?? 0)) + offset[e >> 4]);
  return { quants, scales: Uint32Array.from(words), values };
}
