/* Products of many rows in bytes, a part of kernels_body.h: for networks that bear rounding to 8 and 7 bits. Needs vi_dot8.
 *
 *     x [m, n] ─quantize_bytes─> int8 in [-127, 127] ┐
 *     right panel of int16 ─narrow_panel─> u, in [1, 127] ┴─> sums of 4 products in 16 bits ─> of a stretch in 32 ─· units─> f32
 *
 * u is the weight's integer in [-63, 63] and 64, whose part in the sum, -64 times the sum of the row's integers, is where sums begin. Four products fit in
 * 16 bits, whatever the weight, since four integers of a row that meet there have magnitudes of MOST_FOUR in all.
 *
 * Elements of a run of BYTE_RUN, by lanes: quad l has elements l, l + VW, ..., l + 7 VW, so that both operands are made a vector at a time. */
#ifdef HAS_DOT8

#define BYTE_RUN    (8 * VW)
#define BYTE_ZERO   64
#define WEIGHT_MOST 63
#define MOST_FOUR   256.0f /* (256 + 4 roundings of 1/2) * 127 < 2^15 */

INLINE void byte_tile_rows(const int m, const int8_t *a, const float *unit_a, const int32_t *begin_a,
                           size_t unit_stride, const uint8_t *b, const float *unit_b, int32_t n, int32_t n_panels,
                           float *c, size_t ldc) {
  const vi ones = vi_held16(1);
  NO_UNROLL for (int32_t p = 0; p < n_panels; p++, c += NR) {
    const int8_t *left = a;
    const float *units = unit_a;
    const int32_t *begins = begin_a;
    NO_UNROLL for (int32_t k = 0; k < n; k += UNIT_LENGTH, units += unit_stride, begins += unit_stride, unit_b += NR) {
      vi sum[MR][2];
      UNROLL for (int i = 0; i < m; i++) sum[i][0] = sum[i][1] = vi_splat32(begins + i);
      const int8_t *end = left + (size_t)min_i32(UNIT_LENGTH, n - k) * (size_t)m;
      NO_UNROLL while (left != end) {
        const vi u0 = vi_load(b), u1 = vi_load(b + 4 * VW), v0 = vi_load(b + 8 * VW), v1 = vi_load(b + 12 * VW);
        UNROLL for (int i = 0; i < m; i++) {
          const vi x = vi_splat32(left + 8 * i), y = vi_splat32(left + 8 * i + 4);
          sum[i][0] = vi_dot16_add(sum[i][0], vi_add16(vi_dot8(x, u0), vi_dot8(y, v0)), ones);
          sum[i][1] = vi_dot16_add(sum[i][1], vi_add16(vi_dot8(x, u1), vi_dot8(y, v1)), ones);
          IN_ORDER(sum[i][0]);
          IN_ORDER(sum[i][1]);
          KEEP(sum[i][0], sum[i][1]);
        }
        left += 8 * m;
        b += 16 * VW;
      }
      const vf w0 = vf_load(unit_b), w1 = vf_load(unit_b + VW);
      UNROLL for (int i = 0; i < m; i++) {
        const vf u = vf_splat(units + i);
        float *y = c + (size_t)i * ldc;
        vf y0 = vf_mul(vf_mul(vi_to_vf(sum[i][0]), u), w0), y1 = vf_mul(vf_mul(vi_to_vf(sum[i][1]), u), w1);
        if (k > 0) y0 = vf_add(y0, vf_load(y)), y1 = vf_add(y1, vf_load(y + VW));
        vf_store(y, y0);
        vf_store(y + VW, y1);
      }
    }
  }
}

#define BYTE_TILE(m)                                                                                          \
  static void byte_tile_##m(const int8_t *a, const float *unit_a, const int32_t *begin_a, size_t unit_stride, \
                            const uint8_t *b, const float *unit_b, int32_t n, int32_t n_panels, float *c,     \
                            size_t ldc) {                                                                     \
    byte_tile_rows(m, a, unit_a, begin_a, unit_stride, b, unit_b, n, n_panels, c, ldc);                       \
  }
BYTE_TILE(1)
BYTE_TILE(2)
BYTE_TILE(3)
BYTE_TILE(4)
#if MR > 4
BYTE_TILE(5)
#endif
#if MR > 5
BYTE_TILE(6)
#endif

/* Four vectors of f32 near integers in [-128, 255] become the bytes of one. */
INLINE vi bytes_of_four(const vf *x, vi low) {
  return vi_or(vi_or(vi_and(vf_round(x[0]), low), vi_shl(vi_and(vf_round(x[1]), low), 8)),
               vi_or(vi_shl(vi_and(vf_round(x[2]), low), 16), vi_shl(vf_round(x[3]), 24)));
}

/* A run's quads, `stride` bytes apart; gives `sum` and its integers, in lanes. */
INLINE vi store_run(const float *run, vf inverse, int8_t *bytes, size_t stride, vi sum, vi low) {
  vf x[8];
  UNROLL for (int e = 0; e < 8; e++) x[e] = vf_mul(vf_load(run + VW * e), inverse);
  const vi half[2] = {bytes_of_four(x, low), bytes_of_four(x + 4, low)}, one = vi_held8(1), ones = vi_held16(1);
  int32_t lanes[2][VW];
  vi_store(lanes[0], half[0]);
  vi_store(lanes[1], half[1]);
  UNROLL for (int l = 0; l < VW; l++) {
    memcpy(bytes + (size_t)l * stride, &lanes[0][l], 4);
    memcpy(bytes + (size_t)l * stride + 4, &lanes[1][l], 4);
  }
  return vi_dot16_add(sum, vi_add16(vi_dot8(half[0], one), vi_dot8(half[1], one)), ones);
}

static float quantize_bytes(const float *x, int32_t n, int8_t *bytes, size_t stride, int32_t *begin) {
  float tail[BYTE_RUN] = {0};
  const int32_t whole = n / BYTE_RUN * BYTE_RUN;
  if (whole < n) memcpy(tail, x + whole, (size_t)(n - whole) * sizeof *x);
  const vf share = vf_set1(1 / MOST_FOUR);
  vf top = vf_set1(0), four = top, finite = top;
  for (int32_t i = 0; i < n; i += BYTE_RUN) {
    const float *run = i < whole ? x + i : tail;
    vf sum[2] = {vf_set1(0), vf_set1(0)};
    UNROLL for (int e = 0; e < 8; e++) {
      const vf v = vf_load(run + VW * e), size = vf_abs(v);
      top = vf_max(size, top);
      finite = vf_fma(v, vf_set1(0), finite); /* 0, or NaN where an element is not finite */
      sum[e / 2 % 2] = vf_fma(size, share, sum[e / 2 % 2]);
    }
    four = vf_max(vf_max(sum[0], sum[1]), four);
  }
  const float by_four = vf_largest(four), by_top = vf_largest(top) * (1 / 127.0f);
  float unit = (by_four > by_top ? by_four : by_top) + vf_sum(finite);
  if (unit < 1e-36f) unit = 0; /* too small to invert */
  const bool usable = unit > 0;
  const vf inverse = vf_set1(usable ? 1.0f / unit : 0.0f);
  const vi low = vi_held32(255);
  vi sum = vi_zero();
  if (!usable) memset(tail, 0, sizeof tail);
  for (int32_t i = 0; i < n; i += BYTE_RUN)
    sum = store_run(usable && i < whole ? x + i : tail, inverse, bytes + (size_t)(i / 8) * stride, stride, sum, low);
  *begin = -BYTE_ZERO * sum_lanes(sum);
  return unit;
}

/* Columns [VW * vector, ...) of pairs [0, pairs) of a panel: the largest magnitude. */
INLINE vf panel_top(const int16_t *panel, int32_t pairs) {
  vf top = vf_set1(0);
  for (int32_t i = 0; i < pairs; i++, panel += 2 * NR) {
    const vi pair = vi_load(panel);
    top = vf_max(vf_max(vf_abs(vi_to_vf(vi_sar(vi_shl(pair, 16), 16))), vf_abs(vi_to_vf(vi_sar(pair, 16)))), top);
  }
  return top;
}

static void narrow_panel(const int16_t *panel, const float *scales, int32_t n, uint8_t *bytes, float *units) {
  const vi low = vi_held32(255);
  const vf zero = vf_held(BYTE_ZERO);
  const int16_t nothing[2 * VW] = {0};
  for (int32_t k = 0; k < n; k += UNIT_LENGTH, units += NR) {
    const int32_t pairs = (min_i32(UNIT_LENGTH, n - k) + 1) / 2;
    NO_UNROLL for (int h = 0; h < 2; h++) {
      const int16_t *at = panel + 2 * VW * h;
      uint8_t *out = bytes + 4 * VW * h;
      float inverse[VW], top[VW];
      vf_store(top, panel_top(at, pairs));
      for (int l = 0; l < VW; l++) {
        inverse[l] = top[l] > 0 ? (float)WEIGHT_MOST / top[l] : 0;
        units[h * VW + l] = scales[h * VW + l] * (top[l] / WEIGHT_MOST);
      }
      const vf factor = vf_load(inverse);
      for (int32_t run = 0; run < pairs; run += BYTE_RUN / 2) {
        NO_UNROLL for (int32_t l = 0; l < VW / 2; l++, out += 2 * 16 * VW) {
          vf x[2][8];
          UNROLL for (int e = 0; e < 8; e++) {
            const int32_t i = run + e * VW / 2 + l;
            const vi pair = vi_load(i < pairs ? at + (size_t)i * 2 * NR : nothing);
            x[0][e] = vf_fma(vi_to_vf(vi_sar(vi_shl(pair, 16), 16)), factor, zero);
            x[1][e] = vf_fma(vi_to_vf(vi_sar(pair, 16)), factor, zero);
          }
          UNROLL for (int odd = 0; odd < 2; odd++) {
            UNROLL for (int f = 0; f < 2; f++)
                vi_store(out + 16 * VW * odd + 8 * VW * f, bytes_of_four(x[odd] + 4 * f, low));
          }
        }
      }
    }
    panel += (size_t)pairs * 2 * NR;
    bytes += (size_t)((pairs * 2 + BYTE_RUN - 1) / BYTE_RUN * BYTE_RUN) * NR;
  }
}

#endif
