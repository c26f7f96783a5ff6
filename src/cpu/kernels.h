/* The table of kernels. kernels_body.h is compiled once for each instruction set (kernels_scalar.c, kernels_avx2.c ...), over the
 * vocabulary of vec_*.h, and gives one table; kernels_best() picks the best one that this processor runs.
 *
 * Matrix products are in 16-bit fixed point. A stretch of UNIT_LENGTH elements along k of the left operand is int16 with an f32 unit; a
 * column of the right operand has one. Units are chosen by 2-norms: of every stretch, |a| <= FIXED_NORM_A and |w| <= FIXED_NORM_B, in
 * units. By Cauchy and Schwarz every partial sum of products stays below 32440 * 64225 + rounding < 2^31, for any input, so
 * 32-bit accumulators need no care within a stretch; between stretches sums are f32. Short stretches keep the rounding of a
 * large element away from most of the small ones.
 *
 *   left panel   [k / 2][m][2] int16: m <= MR rows, k in pairs, an odd k is padded with 0
 *   right panel  [k / 2][NR][2] int16: NR = 2 * VW columns */
#ifndef SOTTO_CPU_KERNELS_H
#define SOTTO_CPU_KERNELS_H

#include "../base/base.h"
#include "packing.h"
#include "kernels_attention.h"

#define FIXED_NORM_A  32440.0f /* 0.99 * 2^15 */
#define FIXED_NORM_B  64225.0f /* 0.98 * 2^16 */
#define FIXED_MAX     32767.0f
#define MAX_TILE_ROWS 8
#define UNIT_LENGTH   128

#define MOST_DOT_ROWS 5

typedef struct kernels {
  const char *name;
  int32_t mr, nr; /* rows and columns of a tile */
  int32_t group;  /* rows of a packed group */

  /* c[m, n_panels * nr] = (a · b) in units; tile[m - 1], m in [1, mr]. a: a left panel of n elements along k, with units of
   * stretch s at unit_a[s * unit_stride]; b: right panels, one after the other, with a unit for each column; c: row stride ldc. */
  void (*tile[MAX_TILE_ROWS])(const int16_t *a, const float *unit_a, size_t unit_stride, const int16_t *b,
                              const float *unit_b, int32_t n, int32_t n_panels, float *c, size_t ldc);

  /* The same in bytes (kernels_bytes_body.h); byte_run is 0 where there is none of it. n: a multiple of byte_run, which divides UNIT_LENGTH. a: quads of
   * 8 bytes, [n / 8][m]; begin_a: where sums begin, in the places of unit_a. b: right panels of n * nr bytes; unit_b: [n_panels][stretches][nr]. */
  int32_t byte_run;
  void (*byte_tile[MAX_TILE_ROWS])(const int8_t *a, const float *unit_a, const int32_t *begin_a, size_t unit_stride,
                                   const uint8_t *b, const float *unit_b, int32_t n, int32_t n_panels, float *c,
                                   size_t ldc);
  /* A stretch of a row, n <= UNIT_LENGTH, as quads `stride` bytes apart, the last run padded with zeros; gives its unit, NaN when an element is not finite. */
  float (*quantize_bytes)(const float *x, int32_t n, int8_t *bytes, size_t stride, int32_t *begin);
  /* A right panel of n elements along k, with its units, as one of bytes, with units [stretches][nr]. */
  void (*narrow_panel)(const int16_t *panel, const float *scales, int32_t n, uint8_t *bytes, float *units);

  /* |x[n]|, and the largest magnitude; NaN when an element is not finite. */
  float (*norm)(const float *x, int32_t n, float *largest);
  /* x[n] / unit as int16, written in pairs `stride` pairs apart, an odd n padded; zeros where unit is 0 or NaN. */
  void (*quantize_pairs)(const float *x, int32_t n, float unit, int16_t *pairs, size_t stride);
  /* The transpose: columns [0, nr) of x[n, >= cols] become a right panel of n / 2 pairs; columns from `cols` on are zero. */
  void (*quantize_columns)(const float *x, size_t stride, int32_t n, int32_t cols, int16_t *panel, float *scales);

  /* A few rows of activations x, in blocks of 32 integers with a unit each, times packed rows: out[i * stride_out + l], i in [0, n), n in [1, MOST_DOT_ROWS],
   * l in [0, n_groups * group). Blocks of the n rows lie beside each other: x [blocks][n][32] int8 or int16, as dot_bits says; units [blocks][n]; sums [blocks][n][2]:
   * -zero times the sum of the integers as int32, of the first (where scales are of 16 elements: of each) of two; where the packing has m, the sum times the unit as
   * f32, negative for k-quants. */
  int32_t dot_bits[N_PACKINGS];
  void (*dot[N_PACKINGS][MOST_DOT_ROWS])(const uint8_t *w, int32_t n_groups, int32_t blocks, const void *x,
                                         const float *units, const void *sums, float *out, size_t stride_out);
  /* x[n] as blocks for dot: int8 or int16, units, sums of 16 integers. n: a multiple of 32. Between its blocks is room for those of the other rows of `rows`. */
  void (*quantize_blocks)(const float *x, int32_t n, int32_t bits, int32_t rows, void *out, float *units,
                          int32_t *sums);

  /* Units of a packed group's rows as columns of a right panel, above 0; false, and nothing of use, where a row is zero or its squares leave f32. */
  bool (*group_units[N_PACKINGS])(const uint8_t *group, int32_t blocks, float *units);
  /* The columns. */
  void (*group_panel[N_PACKINGS])(const uint8_t *group, int32_t blocks, const float *units, int16_t *panel);

  /* softmax of x[n] * factor in place without the division; returns the sum. */
  float (*exp_sum)(float *x, int32_t n, float factor);
  /* y = act(x + bias) + residual; gelu: whether; bias, residual may be NULL; y may be residual. */
  void (*finish)(float *y, const float *x, int32_t n, const float *bias, bool gelu, const float *residual);
  void (*layer_norm)(float *y, const float *x, int32_t n, const float *gain, const float *bias, float eps);

  /* y = x / sqrt(mean(x²) + eps) * gain + residual; residual may be NULL or y. */
  void (*rms_norm)(float *y, const float *x, int32_t n, const float *gain, float eps, const float *residual);
  /* y = gelu(gate) * up, tanh form. */
  void (*geglu)(float *y, const float *gate, const float *up, int32_t n);
  /* x = cap * tanh(x * factor / cap), in place. */
  void (*softcap)(float *x, int32_t n, float factor, float cap);

  const attention_kernels *attention;
} kernels;

/* The unit for stretches of at most this norm and largest element: NaN stays NaN (so that products say so), one too small to invert is 0. */
static inline float fixed_unit(float norm, float largest, float norm_limit) {
  const float by_norm = norm / norm_limit, by_largest = largest / FIXED_MAX;
  if (norm != norm) return norm;
  const float unit = by_norm > by_largest ? by_norm : by_largest;
  return unit >= 1e-36f ? unit : 0.0f;
}

/* A stretch of the left operand, n <= UNIT_LENGTH; gives its unit. */
static inline float quantize_left(const kernels *k, const float *x, int32_t n, int16_t *pairs, size_t stride) {
  float largest, norm = k->norm(x, n, &largest), unit = fixed_unit(norm, largest, FIXED_NORM_A);
  k->quantize_pairs(x, n, unit, pairs, stride);
  return unit;
}

/* A row whose products are with so few bits, or so few at a time, that only the largest element bounds the unit. */
static inline float quantize_by_largest(const kernels *k, const float *x, int32_t n, int16_t *out) {
  float largest, norm = k->norm(x, n, &largest);
  const float unit = norm == norm ? fixed_unit(0, largest, 1) : norm;
  k->quantize_pairs(x, n, unit, out, 1);
  return unit;
}

/* A column of the right operand, of any length; gives its unit. */
static inline float quantize_right(const kernels *k, const float *x, int32_t n, int16_t *pairs, size_t stride) {
  float worst = 0, most = 0;
  for (int32_t i = 0; i < n; i += UNIT_LENGTH) {
    float largest, norm = k->norm(x + i, min_i32(UNIT_LENGTH, n - i), &largest);
    if (!(norm <= worst)) worst = norm; /* a NaN stays: nothing compares with it */
    if (worst != worst) break;
    most = largest > most ? largest : most;
  }
  const float unit = fixed_unit(worst, most, FIXED_NORM_B);
  k->quantize_pairs(x, n, unit, pairs, stride);
  return unit;
}

extern const kernels kernels_scalar, kernels_avx2, kernels_neon, kernels_wasm;

/* The tables that this processor can run: index 0 is the scalar one, the last is the best. NULL past the end. */
const kernels *kernels_available(int32_t index);
const kernels *kernels_best(void);

#endif
