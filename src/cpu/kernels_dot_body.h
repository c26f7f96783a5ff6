/* Products of a few rows of activations with packed rows of a weight (packing.h), a part of kernels_body.h.
 *
 *     x [n, in] ─quantize_blocks─> integers, a unit for 32, sums ┐
 *     group of VW rows, block of 32: u [8][VW][4] ───────────────┴─> 32-bit sums, a lane for each row ─· d, unit, + m─> out
 *
 * With vi_dot8, activations are int8 and u unsigned of up to 7 bits: sums of two products stay 16 bits wide for as many vectors as cannot overflow, which is
 * what makes it fast: a multiplication and an addition for 16 products. Otherwise both are widened to int16. */

#ifdef HAS_DOT8
#define DOT_BITS 8
#else
#define DOT_BITS 16
#endif

typedef struct dot_constants {
  vi nibble, fifth, upper, ones;
} dot_constants;

/* u of vector v of a block; low and high: its bits. */
INLINE vi packed_vector(const packing p, const dot_constants *c, const uint8_t *low, const uint8_t *high, const int v) {
  const int bits = packed_bits(p);
  vi u = vi_load(low + 4 * VW * (v % 4));
  u = vi_and(v < 4 ? u : vi_shr16(u, 4), c->nibble);
  if (bits == 5) {
    const vi h = vi_load(high);
    u = vi_or(u, vi_and(v < 4 ? vi_shl16(h, 4 - v) : vi_shr16(h, v - 4), c->fifth));
  } else if (bits == 6) {
    const vi h = vi_load(high + 4 * VW * (v / 4));
    const int at = 2 * (v % 4);
    u = vi_or(u, vi_and(at <= 4 ? vi_shl16(h, 4 - at) : vi_shr16(h, at - 4), c->upper));
  }
  return u;
}

/* sum[i], i of n rows: of vectors [first, first + count) of a block. */
INLINE void dot_vectors(const packing p, const dot_constants *c, const int n, const uint8_t *block, const uint8_t *x,
                        size_t stride, const int first, const int count, vi sum[MOST_DOT_ROWS]) {
  const uint8_t *high = block + packed_low_bytes(p, VW);
#ifdef HAS_DOT8
  if (packed_bits(p) < 8) {
    const int fitting = packed_bits(p) == 4   ? 8
                        : packed_bits(p) == 5 ? 4
                                              : 2; /* (2^bits - 1) * 127 * 2 each fit in 2^15 */
    vi part[MOST_DOT_ROWS];
    UNROLL for (int v = first; v < first + count; v++) {
      const vi u = packed_vector(p, c, block, high, v);
      UNROLL for (int i = 0; i < n; i++) {
        const vi product = vi_dot8(vi_splat32(x + (size_t)i * stride + 4 * v), u);
        part[i] = (v - first) % fitting == 0 ? product : vi_add16(part[i], product);
        if ((v - first) % fitting == fitting - 1 || v == first + count - 1)
          sum[i] = vi_dot16_add(v - first < fitting ? vi_zero() : sum[i], part[i], c->ones);
      }
    }
    return;
  }
#endif
  vi left[MOST_DOT_ROWS], right[MOST_DOT_ROWS];
  UNROLL for (int i = 0; i < n; i++) left[i] = right[i] = vi_zero();
  UNROLL for (int v = first; v < first + count; v++) {
    vi u0 = vi_load8(block + 4 * VW * v), u1 = vi_load8(block + 4 * VW * v + 2 * VW);
#ifndef HAS_DOT8
    if (packed_bits(p) < 8) {
      const vi u = packed_vector(p, c, block, high, v);
      u0 = vi_low8(u), u1 = vi_high8(u);
    }
#endif
    UNROLL for (int i = 0; i < n; i++) {
      const vi four = vi_splat64(x + (size_t)i * stride + 8 * v);
      left[i] = vi_dot16_add(left[i], four, u0);
      right[i] = vi_dot16_add(right[i], four, u1);
    }
  }
  UNROLL for (int i = 0; i < n; i++) sum[i] = vi_add_pairs(left[i], right[i]);
}

INLINE void dot_group(const packing p, const int n, const uint8_t *w, int32_t blocks, const uint8_t *x, size_t stride,
                      const float *units, const uint8_t *sums, float *out, size_t stride_out) {
  const bool has_m = packed_m(p), has_zero = packed_zero(p) != 0;
  const int halves = packed_halves(p) ? 2 : 1, bytes_of_x = packed_bits(p) < 8 ? DOT_BITS / 8 : 2;
  const dot_constants c = {vi_held8(15), vi_held8(16), vi_held8(48), vi_held16(1)};
  vf total[MOST_DOT_ROWS];
  UNROLL for (int i = 0; i < n; i++) total[i] = vf_set1(0);
  const float *const end = units + blocks;
  NO_UNROLL while (units != end) {
    const vf d = vf_from_f16(w), m = has_m ? vf_from_f16(w + 2 * VW) : d;
    const uint8_t *scale = w + (has_m ? 4 : 2) * VW, *block = w + packed_scale_bytes(p, VW);
    NO_UNROLL for (int b = 0; b < packed_run(p); b++) {
      UNROLL for (int h = 0; h < halves; h++) {
        vi sum[MOST_DOT_ROWS];
        dot_vectors(p, &c, n, block, x, stride, h * 8 / halves, 8 / halves, sum);
        const vf factor = packed_k(p) ? vf_mul(d, vf_from_i8(scale)) : d;
        const vf offset = packed_k(p) && has_m ? vf_mul(m, vf_from_i8(scale + 8 * VW)) : m;
        UNROLL for (int i = 0; i < n; i++) {
          const uint8_t *sum_of_x = sums + 8 * (size_t)i * (size_t)blocks + 4 * h;
          const vi all = has_zero ? vi_add(sum[i], vi_splat32(sum_of_x)) : sum[i];
          total[i] = vf_fma(vf_mul(vi_to_vf(all), vf_splat(units + (size_t)i * (size_t)blocks)), factor, total[i]);
          if (has_m) total[i] = vf_fma(offset, vf_from_bits(vi_splat32(sum_of_x)), total[i]);
        }
        scale += VW;
      }
      block += packed_block_bytes(p, VW);
      x += 32 * bytes_of_x;
      sums += 4 * halves;
      units++;
    }
    w += packed_run_bytes(p, VW);
  }
  UNROLL for (int i = 0; i < n; i++) vf_store(out + (size_t)i * stride_out, total[i]);
}

/* Group by group: two at once would share what is broadcast, but two streams of a few KB each leave the memory's prefetching behind (SPEED.md). */
#define DOT(name, p, n)                                                                              \
  static void name(const uint8_t *w, int32_t n_groups, int32_t blocks, const void *x, size_t stride, \
                   const float *units, const void *sums, float *out, size_t stride_out) {            \
    const size_t bytes = packed_group_bytes(p, 32 * blocks, VW);                                     \
    for (; n_groups > 0; n_groups--, w += bytes, out += VW)                                          \
      dot_group(p, n, w, blocks, x, stride, units, sums, out, stride_out);                           \
  }
#define DOT_ALL(p)              \
  DOT(dot_##p##_1, PACK_##p, 1) \
  DOT(dot_##p##_2, PACK_##p, 2) DOT(dot_##p##_3, PACK_##p, 3) DOT(dot_##p##_4, PACK_##p, 4)
#define DOTS(p) \
  { dot_##p##_1, dot_##p##_2, dot_##p##_3, dot_##p##_4 }
DOT_ALL(4)
DOT_ALL(4_M)
DOT_ALL(5)
DOT_ALL(5_M)
DOT_ALL(8)
DOT_ALL(4_K)
DOT_ALL(5_K)
DOT_ALL(6_K)

/* -- packed rows as columns of a right panel -- */

/* What a block's (or half's) u becomes: u * factor + offset. */
typedef struct packed_line {
  vf factor, offset;
} packed_line;

INLINE packed_line line_of(const packing p, const uint8_t *run, const int block, const int half) {
  packed_line line = {vf_from_f16(run), vf_set1(0)};
  const uint8_t *s = run + (packed_m(p) ? 4 : 2) * VW;
  if (packed_m(p)) line.offset = vf_from_f16(run + 2 * VW);
  if (packed_k(p)) {
    line.factor = vf_mul(line.factor, vf_from_i8(s + (packed_halves(p) ? 2 * block + half : block) * VW));
    if (packed_m(p)) line.offset = vf_mul(line.offset, vf_mul(vf_set1(-1), vf_from_i8(s + (8 + block) * VW)));
  }
  if (packed_zero(p) != 0) line.offset = vf_mul(line.factor, vf_set1((float)-packed_zero(p)));
  return line;
}

/* Element e of 4 of vector v, a lane for each row. */
INLINE vf value_of(const packed_line *line, vi u, const int e) {
  return vf_fma(vi_to_vf(vi_sar(vi_shl(u, 24 - 8 * e), 24)), line->factor, line->offset);
}

INLINE vi bytes_of(const packing p, const dot_constants *c, const uint8_t *block, const int v) {
  return packed_bits(p) == 8 ? vi_load(block + 4 * VW * v)
                             : packed_vector(p, c, block, block + packed_low_bytes(p, VW), v);
}

INLINE bool group_panel(const packing p, const uint8_t *group, int32_t blocks, int16_t *panel, float *scales) {
  const dot_constants c = {vi_held8(15), vi_held8(16), vi_held8(48), vi_held16(1)};
  const int run = packed_run(p);
  vf worst = vf_set1(0), top = worst, sum = worst;
  for (int32_t b = 0; b < blocks; b++) {
    const uint8_t *at = group + (size_t)(b / run) * packed_run_bytes(p, VW);
    const uint8_t *block = at + packed_scale_bytes(p, VW) + (size_t)(b % run) * packed_block_bytes(p, VW);
    UNROLL for (int v = 0; v < 8; v++) {
      const packed_line line = line_of(p, at, b % run, v / 4);
      const vi u = bytes_of(p, &c, block, v);
      UNROLL for (int e = 0; e < 4; e++) {
        const vf x = value_of(&line, u, e);
        sum = vf_fma(x, x, sum);
        top = vf_max(vf_abs(x), top);
      }
    }
    if ((b + 1) % (UNIT_LENGTH / 32) == 0 || b + 1 == blocks) {
      worst = vf_max(worst, sum);
      sum = vf_set1(0);
    }
  }
  float largest[VW], inverse[VW], squares[VW];
  vf_store(largest, top);
  vf_store(squares, worst);
  for (int l = 0; l < VW; l++) {
    if (!squares_in_range(squares[l]) || !(largest[l] < 1e18f)) return false;
    scales[l] = fixed_unit(__builtin_sqrtf(squares[l]), largest[l], FIXED_NORM_B);
    inverse[l] = 1.0f / scales[l];
  }
  const vf per_unit = vf_load(inverse);
  for (int32_t b = 0; b < blocks; b++) {
    const uint8_t *at = group + (size_t)(b / run) * packed_run_bytes(p, VW);
    const uint8_t *block = at + packed_scale_bytes(p, VW) + (size_t)(b % run) * packed_block_bytes(p, VW);
    UNROLL for (int v = 0; v < 8; v++, panel += 4 * NR) {
      packed_line line = line_of(p, at, b % run, v / 4);
      line.factor = vf_mul(line.factor, per_unit), line.offset = vf_mul(line.offset, per_unit);
      const vi u = bytes_of(p, &c, block, v);
      vi_store(panel, vi_pair16(value_of(&line, u, 0), value_of(&line, u, 1)));
      vi_store(panel + 2 * NR, vi_pair16(value_of(&line, u, 2), value_of(&line, u, 3)));
    }
  }
  return true;
}

#define GROUP_PANEL(p)                                                                               \
  static bool group_panel_##p(const uint8_t *group, int32_t blocks, int16_t *panel, float *scales) { \
    return group_panel(PACK_##p, group, blocks, panel, scales);                                      \
  }
GROUP_PANEL(4)
GROUP_PANEL(4_M)
GROUP_PANEL(5)
GROUP_PANEL(5_M)
GROUP_PANEL(8)
GROUP_PANEL(4_K)
GROUP_PANEL(5_K)
GROUP_PANEL(6_K)

/* -- rows of activations as blocks -- */

static int32_t sum_lanes(vi a) {
  int32_t lanes[VW], sum = 0;
  vi_store(lanes, a);
  for (int l = 0; l < VW; l++) sum += lanes[l];
  return sum;
}

static void quantize_blocks(const float *x, int32_t n, int32_t bits, void *out, float *units, int32_t *sums) {
  const float most = bits == 8 ? 127.0f : FIXED_MAX;
  const vi ones = vi_held16(1);
  for (int32_t k = 0; k < n; k += 32, x += 32, units++) {
    vf top = vf_set1(0), finite = top;
    for (int i = 0; i < 32; i += VW) {
      top = vf_max(vf_abs(vf_load(x + i)), top);
      finite = vf_fma(vf_load(x + i), vf_set1(0), finite); /* 0, or NaN where an element is not finite */
    }
    *units = fixed_unit(0, vf_largest(top), 1) * (FIXED_MAX / most) + vf_sum(finite);
    const vf inverse = vf_set1(*units > 0 ? 1.0f / *units : 0.0f);
    vi part[32 / (2 * VW)];
    UNROLL for (int i = 0; i < 16 / VW; i++) part[i] =
        *units > 0
            ? vi_narrow16(vf_mul(vf_load(x + 2 * VW * i), inverse), vf_mul(vf_load(x + 2 * VW * i + VW), inverse))
            : vi_zero();
    UNROLL for (int half = 0; half < 2; half++) {
      vi sum = vi_zero();
      UNROLL for (int i = half * 8 / VW; i < (half + 1) * 8 / VW; i++) sum = vi_dot16_add(sum, part[i], ones);
      *sums++ = sum_lanes(sum);
    }
    if (bits == 8) {
      UNROLL for (int i = 0; i < 16 / VW; i += 2)
          vi_store((int8_t *)out + k + 2 * VW * i, vi_narrow8(part[i], part[i + 1]));
    } else {
      UNROLL for (int i = 0; i < 16 / VW; i++) vi_store((int16_t *)out + k + 2 * VW * i, part[i]);
    }
  }
}
