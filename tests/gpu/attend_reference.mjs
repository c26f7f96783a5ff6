// Attention as src/ops.h says it, in f64, for tests of the GPU's kernels.

/** Numbers of a fixed sequence, uniform in [-1, 1). */
export function random(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 31 - 1;
  };
}

export const randoms = (n, next, size = 1) => Float32Array.from({ length: n }, () => size * next());

const f16 = new Float16Array(1);
export const asHalf = (x) => {
  f16[0] = Math.max(-65504, Math.min(65504, x));
  return f16[0];
};

/** A head's row: RMS norm with `gain` (undefined: none), then the pairs (i, i + d / 2) turned by [cosines, sines]. */
export function turned(row, turns, gain, eps) {
  const d = row.length;
  const half = d / 2;
  let x = Array.from(row);
  if (gain) {
    const factor = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / d + eps);
    x = x.map((v, i) => v * factor * gain[i]);
  }
  if (!turns) return x;
  return x.map((v, i) =>
    i < half ? v * turns[i] - x[i + half] * turns[half + i] : v * turns[i - half] + x[i - half] * turns[i],
  );
}

/** y of one query's head. keys, values: the rows that it sees. */
export function attend(q, keys, values, scale, cap = 0) {
  const scores = keys.map((k) => {
    const score = k.reduce((sum, v, i) => sum + v * q[i], 0) * scale;
    return cap > 0 ? cap * Math.tanh(score / cap) : score;
  });
  const top = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return q.map((_, i) => weights.reduce((a, w, j) => a + w * values[j][i], 0) / sum);
}

/** Halves, two in a word. */
export function packHalves(list) {
  const out = new Float16Array(list.length);
  list.forEach((v, i) => (out[i] = asHalf(v)));
  return new Uint32Array(out.buffer);
}

export const unpackHalves = (words) => new Float16Array(words.buffer, words.byteOffset, words.length * 2);

/** The largest difference, in units of the largest expected size; Infinity where one of them is not finite. */
export function worst(got, expected) {
  let most = 0;
  let size = 1e-3;
  expected.forEach((e) => (size = Math.max(size, Math.abs(e))));
  expected.forEach((e, i) => {
    const difference = Math.abs(got[i] - e);
    most = Math.max(most, Number.isFinite(difference) ? difference / size : Infinity);
  });
  return most;
}

/** The variant of attend_matrix for these, as gpu_attention.c names it. */
export function attendMatrix(dim, blocks, places, across, subgroup = 32) {
  const threads = blocks * across * subgroup;
  const team = (across * subgroup) / 16;
  return (
    `attend_matrix dim=${dim} blocks=${blocks} places=${places} across=${across} subgroup=${subgroup} steps=${dim / 16} ` +
    `news=${places / 16 / across} olds=${places / 16} outs=${dim / 16 / across} ` +
    `loads=${Math.ceil((places * dim) / 8 / threads)} eights=${places / 8 / team}`
  );
}
