/* The bodies of the kernels, over the vocabulary of a vec_*.h that was included before. KERNELS names the table that results.
 *
 * A tile keeps MR x 2 vectors of 32-bit sums in registers; for each pair of k it loads two vectors of the right panel and, row by row,
 * one pair of the left panel, broadcast. */
#include "kernels.h"

#define NR (2 * VW)

#if defined(PLAIN)
#define UNROLL
#define NO_UNROLL
#elif defined(__clang__)
#define UNROLL    _Pragma("clang loop unroll(full)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define NO_UNROLL
#endif
#if defined(PLAIN)
#define INLINE static
#else
#define INLINE static inline __attribute__((always_inline))
#endif
/* Two sums stay in registers, row after row: gcc would take the loads of all rows to the front and spill the sums. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__AVX2__)
#define KEEP(a, b) __asm__ volatile("" : "+x"(a), "+x"(b))
#else
#define KEEP(a, b) (void)0
#endif

INLINE void tile_rows(const int m, const int16_t *a, const float *unit_a, size_t unit_stride, const int16_t *b,
                      const float *unit_b, int32_t n, int32_t n_panels, float *c, size_t ldc) {
  NO_UNROLL for (int32_t p = 0; p < n_panels; p++, unit_b += NR, c += NR) {
    const int16_t *left = a;
    const float *units = unit_a;
    NO_UNROLL for (int32_t k = 0; k < n; k += UNIT_LENGTH, units += unit_stride) {
      const int32_t pairs = (min_i32(UNIT_LENGTH, n - k) + 1) / 2;
      vi sum[MR][2];
      UNROLL for (int i = 0; i < m; i++) sum[i][0] = sum[i][1] = vi_zero();
      const int16_t *end = left + (size_t)pairs * 2 * (size_t)m;
      NO_UNROLL while (left != end) {
        const vi b0 = vi_load(b), b1 = vi_load(b + NR);
        UNROLL for (int i = 0; i < m; i++) {
          const vi x = vi_splat32(left + 2 * i);
          sum[i][0] = vi_dot16_add(sum[i][0], x, b0);
          sum[i][1] = vi_dot16_add(sum[i][1], x, b1);
          KEEP(sum[i][0], sum[i][1]);
        }
        left += 2 * m;
        b += 2 * NR;
      }
      const vf u0 = vf_load(unit_b), u1 = vf_load(unit_b + VW);
      UNROLL for (int i = 0; i < m; i++) {
        const vf u = vf_splat(units + i);
        float *y = c + (size_t)i * ldc;
        vf y0 = vf_mul(vf_mul(vi_to_vf(sum[i][0]), u), u0), y1 = vf_mul(vf_mul(vi_to_vf(sum[i][1]), u), u1);
        if (k > 0) y0 = vf_add(y0, vf_load(y)), y1 = vf_add(y1, vf_load(y + VW));
        vf_store(y, y0);
        vf_store(y + VW, y1);
      }
    }
  }
}

#define TILE(m)                                                                                     \
  static void tile_##m(const int16_t *a, const float *unit_a, size_t unit_stride, const int16_t *b, \
                       const float *unit_b, int32_t n, int32_t n_panels, float *c, size_t ldc) {    \
    tile_rows(m, a, unit_a, unit_stride, b, unit_b, n, n_panels, c, ldc);                           \
  }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
#if MR > 4
TILE(5)
#endif
#if MR > 5
TILE(6)
#endif

/* -- quantization -- */

static bool squares_in_range(float sum) { return sum > 1e-30f && sum < 1e37f; }

/* For values whose squares leave the range of f32. */
static float careful_norm(const float *x, int32_t n, size_t stride) {
  double sum = 0;
  for (int32_t i = 0; i < n; i++, x += stride) sum += (double)*x * *x;
  const float norm = (float)__builtin_sqrt(sum);
  return norm <= 3.4028234e38f ? norm : __builtin_nanf("");
}

static float norm(const float *x, int32_t n, float *largest) {
  vf sum0 = vf_set1(0), sum1 = sum0, top = sum0;
  int32_t i = 0;
  for (; i + 2 * VW <= n; i += 2 * VW) {
    const vf x0 = vf_load(x + i), x1 = vf_load(x + i + VW);
    sum0 = vf_fma(x0, x0, sum0);
    sum1 = vf_fma(x1, x1, sum1);
    top = vf_max(vf_max(vf_abs(x0), vf_abs(x1)), top);
  }
  float sum = vf_sum(vf_add(sum0, sum1)), most = vf_largest(top);
  for (; i < n; i++) {
    const float magnitude = x[i] < 0 ? -x[i] : x[i];
    sum += magnitude * magnitude;
    most = magnitude > most ? magnitude : most;
  }
  *largest = most;
  return squares_in_range(sum) ? __builtin_sqrtf(sum) : careful_norm(x, n, 1);
}

static void quantize_pairs(const float *x, int32_t n, float unit, int16_t *pairs, size_t stride) {
  int16_t *out = pairs;
  if (!(unit > 0)) {
    for (int32_t k = 0; k < n; k += 2, out += 2 * stride) out[0] = out[1] = 0;
    return;
  }
  const vf v = vf_set1(1.0f / unit);
  int16_t block[2 * VW];
  int32_t i = 0;
  for (; i + 2 * VW <= n; i += 2 * VW) {
    vi_store(block, vi_narrow16(vf_mul(vf_load(x + i), v), vf_mul(vf_load(x + i + VW), v)));
    UNROLL for (int p = 0; p < VW; p++, out += 2 * stride) memcpy(out, block + 2 * p, 4);
  }
  if (i < n) {
    float tail[2 * VW] = {0};
    memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
    vi_store(block, vi_narrow16(vf_mul(vf_load(tail), v), vf_mul(vf_load(tail + VW), v)));
    for (int p = 0; i + 2 * p < n; p++, out += 2 * stride) memcpy(out, block + 2 * p, 4);
  }
}

static void quantize_columns(const float *x, size_t stride, int32_t n, int32_t cols, int16_t *panel, float *scales) {
  float worst[NR] = {0}, top[NR] = {0}, inverse[NR], row[2][NR] = {{0}};
  const bool whole = cols >= NR;
  for (int32_t begin = 0; begin < n; begin += UNIT_LENGTH) {
    float sum[NR] = {0};
    const int32_t end = min_i32(begin + UNIT_LENGTH, n);
    for (int32_t i = begin; i < end; i++) {
      const float *p = x + (size_t)i * stride;
      if (!whole) p = memcpy(row[0], p, (size_t)cols * sizeof *x);
      for (int h = 0; h < NR; h += VW) {
        const vf a = vf_load(p + h);
        vf_store(sum + h, vf_fma(a, a, vf_load(sum + h)));
        vf_store(top + h, vf_max(vf_abs(a), vf_load(top + h)));
      }
    }
    for (int c = 0; c < min_i32(cols, NR); c++) {
      const float size = squares_in_range(sum[c]) ? __builtin_sqrtf(sum[c])
                                                  : careful_norm(x + (size_t)begin * stride + c, end - begin, stride);
      if (!(size <= worst[c])) worst[c] = size;
    }
  }
  bool finite = true;
  for (int c = 0; c < NR; c++) {
    scales[c] = fixed_unit(worst[c], top[c], FIXED_NORM_B);
    inverse[c] = scales[c] > 0 ? 1.0f / scales[c] : 0.0f;
    finite = finite && scales[c] == scales[c];
  }
  const vf v0 = vf_load(inverse), v1 = vf_load(inverse + VW);
  const vi upper = vi_held32(0xffff0000u);
  for (int32_t i = 0; i < n; i += 2, panel += 2 * NR) {
    const float *p = x + (size_t)i * stride, *q = p + stride;
    if (!whole || !finite || i + 1 == n) {
      memset(row, 0, sizeof row);
      for (int c = 0; c < min_i32(cols, NR); c++) {
        if (inverse[c] == 0) continue;
        row[0][c] = p[c];
        if (i + 1 < n) row[1][c] = q[c];
      }
      p = row[0], q = row[1];
    }
    vi_store(panel, vi_pair16(vf_mul(vf_load(p), v0), vf_mul(vf_load(q), v0), upper));
    vi_store(panel + NR, vi_pair16(vf_mul(vf_load(p + VW), v1), vf_mul(vf_load(q + VW), v1), upper));
  }
}

#include "kernels_dot_body.h"
#include "kernels_bytes_body.h"

/* -- elementwise -- */

/* Constants of exp and gelu, made before a loop: compilers and V8 would make them again in each round. */
typedef struct exp_constants {
  vf lowest, magic, log2_e, ln2_high, ln2_low, c5, c4, c3, c2, c1;
} exp_constants;

static inline exp_constants exp_prepare(void) {
  return (exp_constants){
      .lowest = vf_held(-87.0f),
      .magic = vf_held(12582912.0f), /* 1.5 * 2^23 */
      .log2_e = vf_held(1.44269504f),
      .ln2_high = vf_held(-0.693145752f),
      .ln2_low = vf_held(-1.42860677e-6f),
      .c5 = vf_held(8.369148491e-3f),
      .c4 = vf_held(4.191750725e-2f),
      .c3 = vf_held(0.1666650526f),
      .c2 = vf_held(0.4999886938f),
      .c1 = vf_held(1.0f),
  };
}

/* exp(x), x <= 88, relative error below 3e-7: 2^n by the exponent's bits, n the nearest integer to x / log 2, times a polynomial
 * on [-log 2 / 2, log 2 / 2]. Below -87 it is 1e-38. */
INLINE vf vf_exp(vf x, const exp_constants *e) {
  x = vf_max(x, e->lowest);
  const vf shifted = vf_fma(x, e->log2_e, e->magic), n = vf_sub(shifted, e->magic);
  const vf r = vf_fma(n, e->ln2_low, vf_fma(n, e->ln2_high, x));
  vf p = vf_fma(e->c5, r, e->c4);
  p = vf_fma(p, r, e->c3);
  p = vf_fma(p, r, e->c2);
  p = vf_fma(p, r, e->c1);
  p = vf_fma(p, r, e->c1);
  return vf_from_bits(vi_add(vf_bits(p), vi_shl(vf_bits(shifted), 23)));
}

typedef struct gelu_constants {
  exp_constants exp;
  vf half, root_half, p, a1, a2, a3, a4, a5;
} gelu_constants;

static inline gelu_constants gelu_prepare(void) {
  return (gelu_constants){
      .exp = exp_prepare(),
      .half = vf_held(0.5f),
      .root_half = vf_held(0.70710678f),
      .p = vf_held(0.3275911f),
      .a1 = vf_held(0.254829592f),
      .a2 = vf_held(-0.284496736f),
      .a3 = vf_held(1.421413741f),
      .a4 = vf_held(-1.453152027f),
      .a5 = vf_held(1.061405429f),
  };
}

/* 0.5 x (1 + erf(x / sqrt 2)), absolute error below 1e-6 * max(1, |x|): Abramowitz and Stegun 7.1.26 for erf. */
INLINE vf vf_gelu(vf x, const gelu_constants *g) {
  const vf one = g->exp.c1, z = vf_mul(vf_abs(x), g->root_half);
  const vf t = vf_div(one, vf_fma(z, g->p, one));
  vf p = vf_fma(g->a5, t, g->a4);
  p = vf_fma(p, t, g->a3);
  p = vf_fma(p, t, g->a2);
  p = vf_fma(p, t, g->a1);
  const vf far = vf_mul(vf_mul(p, t), vf_exp(vf_mul(vf_sub(vf_set1(0), z), z), &g->exp)); /* 1 - erf(z) */
  const vf half = vf_mul(x, g->half);
  return vf_fma(vf_abs(half), vf_sub(one, far), half);
}

static float exp_sum(float *x, int32_t n, float factor) {
  vf top = vf_set1(-3.4028234e38f);
  int32_t i = 0;
  for (; i + VW <= n; i += VW) top = vf_max(vf_load(x + i), top);
  float largest = vf_largest(top);
  for (int32_t j = i; j < n; j++) largest = x[j] > largest ? x[j] : largest;
  /* exp(factor * x - factor * largest); the difference first: it is exact where it matters */
  const vf f = vf_set1(factor), m = vf_set1(largest);
  const exp_constants constants = exp_prepare();
  vf sum = vf_set1(0);
  for (i = 0; i + VW <= n; i += VW) {
    const vf e = vf_exp(vf_mul(vf_sub(vf_load(x + i), m), f), &constants);
    vf_store(x + i, e);
    sum = vf_add(sum, e);
  }
  float total = vf_sum(sum);
  if (i < n) {
    float tail[VW] = {0};
    memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
    vf_store(tail, vf_exp(vf_mul(vf_sub(vf_load(tail), m), f), &constants));
    memcpy(x + i, tail, (size_t)(n - i) * sizeof *x);
    for (int32_t j = 0; j < n - i; j++) total += tail[j];
  }
  return total;
}

INLINE void finish_rows(float *y, const float *x, int32_t n, const float *bias, const gelu_constants *gelu,
                        const float *residual) {
  for (int32_t i = 0; i < n; i += VW) {
    vf v = vf_load(x + i);
    if (bias) v = vf_add(v, vf_load(bias + i));
    if (gelu) v = vf_gelu(v, gelu);
    vf_store(y + i, residual ? vf_add(v, vf_load(residual + i)) : v);
  }
}

static void finish(float *y, const float *x, int32_t n, const float *bias, bool gelu, const float *residual) {
  const int32_t whole = n / VW * VW, rest = n - whole;
  gelu_constants constants;
  if (gelu) {
    constants = gelu_prepare();
    finish_rows(y, x, whole, bias, &constants, residual);
  } else {
    finish_rows(y, x, whole, bias, NULL, residual);
  }
  if (rest > 0) {
    const size_t bytes = (size_t)rest * sizeof *x;
    float a[VW] = {0}, b[VW] = {0}, r[VW] = {0};
    memcpy(a, x + whole, bytes);
    if (bias) memcpy(b, bias + whole, bytes);
    if (residual) memcpy(r, residual + whole, bytes);
    finish_rows(a, a, VW, b, gelu ? &constants : NULL, r);
    memcpy(y + whole, a, bytes);
  }
}

static void layer_norm(float *y, const float *x, int32_t n, const float *gain, const float *bias, float eps) {
  int32_t i = 0;
  vf sum = vf_set1(0), squares = sum;
  for (; i + VW <= n; i += VW) sum = vf_add(sum, vf_load(x + i));
  float total = vf_sum(sum);
  for (; i < n; i++) total += x[i];
  const float mean = total / (float)n;
  const vf m = vf_set1(mean);
  for (i = 0; i + VW <= n; i += VW) {
    const vf d = vf_sub(vf_load(x + i), m);
    squares = vf_fma(d, d, squares);
  }
  float variance = vf_sum(squares);
  for (; i < n; i++) variance += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.0f / __builtin_sqrtf(variance / (float)n + eps);
  const vf v = vf_set1(inverse);
  for (i = 0; i + VW <= n; i += VW)
    vf_store(y + i, vf_fma(vf_mul(vf_sub(vf_load(x + i), m), v), vf_load(gain + i), vf_load(bias + i)));
  for (; i < n; i++) y[i] = (x[i] - mean) * inverse * gain[i] + bias[i];
}

static void rms_norm(float *y, const float *x, int32_t n, const float *gain, float eps, const float *residual) {
  int32_t i = 0;
  vf squares = vf_set1(0);
  for (; i + VW <= n; i += VW) squares = vf_fma(vf_load(x + i), vf_load(x + i), squares);
  float sum = vf_sum(squares);
  for (; i < n; i++) sum += x[i] * x[i];
  const float inverse = 1.0f / __builtin_sqrtf(sum / (float)n + eps);
  const vf v = vf_set1(inverse), zero = vf_set1(0);
  for (i = 0; i + VW <= n; i += VW)
    vf_store(y + i, vf_fma(vf_mul(vf_load(x + i), v), vf_load(gain + i), residual ? vf_load(residual + i) : zero));
  for (; i < n; i++) y[i] = x[i] * inverse * gain[i] + (residual ? residual[i] : 0);
}

/* 1 / (1 + exp(-2 x)), which is (1 + tanh x) / 2 */
static inline vf vf_half_tanh(vf x, const exp_constants *e) {
  const vf one = vf_set1(1.0f), z = vf_min(vf_max(vf_mul(x, vf_set1(-2.0f)), vf_set1(-80.0f)), vf_set1(80.0f));
  return vf_div(one, vf_add(one, vf_exp(z, e)));
}

/* gelu(x) * up with 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³))) */
static inline vf vf_geglu(vf x, vf up, const exp_constants *e) {
  const vf cube = vf_mul(vf_mul(x, x), x);
  const vf inner = vf_mul(vf_fma(cube, vf_set1(0.044715f), x), vf_set1(0.797884561f));
  return vf_mul(vf_mul(x, vf_half_tanh(inner, e)), up);
}

static void geglu(float *y, const float *gate, const float *up, int32_t n) {
  const exp_constants e = exp_prepare();
  int32_t i = 0;
  for (; i + VW <= n; i += VW) vf_store(y + i, vf_geglu(vf_load(gate + i), vf_load(up + i), &e));
  if (i < n) {
    float g[VW] = {0}, u[VW] = {0};
    memcpy(g, gate + i, (size_t)(n - i) * sizeof *g);
    memcpy(u, up + i, (size_t)(n - i) * sizeof *u);
    vf_store(g, vf_geglu(vf_load(g), vf_load(u), &e));
    memcpy(y + i, g, (size_t)(n - i) * sizeof *g);
  }
}

static void softcap(float *x, int32_t n, float factor, float cap) {
  const exp_constants e = exp_prepare();
  const vf in = vf_set1(factor / cap), twice = vf_set1(2 * cap), once = vf_set1(-cap);
  int32_t i = 0;
  for (; i + VW <= n; i += VW) vf_store(x + i, vf_fma(vf_half_tanh(vf_mul(vf_load(x + i), in), &e), twice, once));
  if (i < n) {
    float tail[VW] = {0};
    memcpy(tail, x + i, (size_t)(n - i) * sizeof *x);
    vf_store(tail, vf_fma(vf_half_tanh(vf_mul(vf_load(tail), in), &e), twice, once));
    memcpy(x + i, tail, (size_t)(n - i) * sizeof *x);
  }
}

#include "kernels_attention_body.h"

const kernels KERNELS = {
    .name = KERNELS_NAME,
    .mr = MR,
    .nr = NR,
    .tile =
        {
            tile_1,
            tile_2,
            tile_3,
            tile_4,
#if MR > 4
            tile_5,
#endif
#if MR > 5
            tile_6,
#endif
        },
#ifdef HAS_DOT8
    .byte_run = BYTE_RUN,
    .quantize_bytes = quantize_bytes,
    .narrow_panel = narrow_panel,
    .byte_tile =
        {
            byte_tile_1,
            byte_tile_2,
            byte_tile_3,
            byte_tile_4,
#if MR > 4
            byte_tile_5,
#endif
#if MR > 5
            byte_tile_6,
#endif
        },
#endif
    .group = ROWS,
    .norm = norm,
    .dot_bits = {DOT_BITS, DOT_BITS, DOT_BITS, DOT_BITS, 16, DOT_BITS, DOT_BITS, DOT_BITS},
    .dot = {DOTS(4), DOTS(4_M), DOTS(5), DOTS(5_M), DOTS(8), DOTS(4_K), DOTS(5_K), DOTS(6_K)},
    .quantize_blocks = quantize_blocks,
    .group_units = {group_units_4, group_units_4_M, group_units_5, group_units_5_M, group_units_8, group_units_4_K,
                    group_units_5_K, group_units_6_K},
    .group_panel = {group_panel_4, group_panel_4_M, group_panel_5, group_panel_5_M, group_panel_8, group_panel_4_K,
                    group_panel_5_K, group_panel_6_K},
    .quantize_pairs = quantize_pairs,
    .quantize_columns = quantize_columns,
    .exp_sum = exp_sum,
    .finish = finish,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .geglu = geglu,
    .softcap = softcap,
    .attention = &attention,
};
