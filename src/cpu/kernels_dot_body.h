/* Products of a few rows of activations with packed rows of a weight (packing.h), a part of kernels_body.h.
 *
 *     x [n, in] ─quantize_blocks─> integers, a unit for 32, sums ┐    block by block, of these the n rows: one pointer reaches all
 *     group of rows, block of 32: u [8][rows][4]  ───────────────┴─> 32-bit sums, a lane for each row ─· d, unit, + m─> out
 *
 * With vi_dot8, activations are int8 and u unsigned of up to 7 bits: sums of two products stay 16 bits wide for as many vectors as cannot overflow, which is
 * what makes it fast: a multiplication and an addition for 16 products. Otherwise both are widened to int16. */

#ifdef HAS_DOT8
#define DOT_BITS 8
#else
#define DOT_BITS 16
#endif

#ifndef IN_ORDER
#define IN_ORDER(x) (void)0
#endif

#define ROWS (GROUP_VECTORS * VW) /* of a group */

/* Masks of bytes, and what half floats are made of. */
typedef struct dot_constants {
  vi low4, low5, low3, bits34, bit3, bit4, low6, bits01, bits23, bits45;
  vi ones, half_mask, upper16;
  vf half_scale;
} dot_constants;

INLINE dot_constants dot_prepare(void) {
  return (dot_constants){
      .low4 = vi_held8(15),
      .low5 = vi_held8(31),
      .low3 = vi_held8(7),
      .bits34 = vi_held8(24),
      .bit3 = vi_held8(8),
      .bit4 = vi_held8(16),
      .low6 = vi_held8(63),
      .bits01 = vi_held8(3),
      .bits23 = vi_held8(12),
      .bits45 = vi_held8(48),
      .ones = vi_held16(1),
      .half_mask = vi_held32(0x8fffe000u),
      .upper16 = vi_held32(0xffff0000u),
      .half_scale = vf_held(0x1p112f),
  };
}

/* VW factors of a group. */
INLINE vf half_floats(const dot_constants *c, const uint8_t *p) { return vf_from_f16(p, c->half_mask, c->half_scale); }

/* Part of u: bits of vector v of a block, moved to where they belong. */
INLINE vi packed_part(const uint8_t *block, const int v, const int shift, vi mask) {
  const vi bytes = vi_load(block + 4 * ROWS * v);
  return vi_and(shift > 0 ? vi_shr16(bytes, shift) : bytes, mask);
}

/* u_v of a block (packing.h), of 4 to 6 bits. */
INLINE vi packed_vector(const packing p, const dot_constants *c, const uint8_t *block, const int v) {
  const int bits = packed_bits(p);
  if (bits == 4) return packed_part(block, v % 4, v < 4 ? 0 : 4, c->low4);
  if (v < bits) return packed_part(block, v, 0, bits == 5 ? c->low5 : c->low6);
  if (bits == 6) {
    const int from = 3 * (v - 6);
    return vi_or(vi_or(packed_part(block, from, 6, c->bits01), packed_part(block, from + 1, 4, c->bits23)),
                 packed_part(block, from + 2, 2, c->bits45));
  }
  const vi low = packed_part(block, v - 5, 5, c->low3);
  if (v < 7) return vi_or(low, packed_part(block, v - 2, 2, c->bits34));
  return vi_or(vi_or(low, packed_part(block, 3, 4, c->bit3)), packed_part(block, 4, 3, c->bit4));
}

/* sum[a][i], a of at_once vectors of rows beside each other, i of n rows of activations: of vectors [first, first + count) of a block, in the order of the
 * source. */
INLINE void dot_vectors(const packing p, const dot_constants *c, const int at_once, const int n, const uint8_t *block,
                        const uint8_t *x, const int first, const int count, vi sum[GROUP_VECTORS][MOST_DOT_ROWS]) {
#ifdef HAS_DOT8
  if (packed_bits(p) < 8) {
    const int fitting = packed_bits(p) == 4   ? 8
                        : packed_bits(p) == 5 ? 4
                                              : 2; /* (2^bits - 1) * 127 * 2 each fit in 2^15 */
    vi part[GROUP_VECTORS][MOST_DOT_ROWS];
    UNROLL for (int v = first; v < first + count; v++) {
      vi u[GROUP_VECTORS];
      UNROLL for (int a = 0; a < at_once; a++) u[a] = packed_vector(p, c, block + 4 * VW * a, v);
      UNROLL for (int i = 0; i < n; i++) {
        const vi four = vi_splat32(x + 32 * i + 4 * v);
        UNROLL for (int a = 0; a < at_once; a++) {
          const vi product = vi_dot8(four, u[a]);
          part[a][i] = (v - first) % fitting == 0 ? product : vi_add16(part[a][i], product);
          if ((v - first) % fitting == fitting - 1 || v == first + count - 1)
            sum[a][i] = vi_dot16_add(v - first < fitting ? vi_zero() : sum[a][i], part[a][i], c->ones);
          IN_ORDER(part[a][i]);
        }
      }
    }
    return;
  }
#endif
  vi left[GROUP_VECTORS][MOST_DOT_ROWS], right[GROUP_VECTORS][MOST_DOT_ROWS];
  UNROLL for (int a = 0; a < at_once; a++) { UNROLL for (int i = 0; i < n; i++) left[a][i] = right[a][i] = vi_zero(); }
  UNROLL for (int v = first; v < first + count; v++) {
    vi u0[GROUP_VECTORS], u1[GROUP_VECTORS];
    UNROLL for (int a = 0; a < at_once; a++) {
      const uint8_t *bytes = block + 4 * ROWS * v + 4 * VW * a;
      u0[a] = vi_load8(bytes), u1[a] = vi_load8(bytes + 2 * VW);
#ifndef HAS_DOT8
      if (packed_bits(p) < 8) {
        const vi u = packed_vector(p, c, block + 4 * VW * a, v);
        u0[a] = vi_low8(u), u1[a] = vi_high8(u);
      }
#endif
    }
    UNROLL for (int i = 0; i < n; i++) {
      const vi four = vi_splat64(x + 64 * i + 8 * v);
      UNROLL for (int a = 0; a < at_once; a++) {
        left[a][i] = vi_dot16_add(left[a][i], four, u0[a]);
        right[a][i] = vi_dot16_add(right[a][i], four, u1[a]);
        IN_ORDER(left[a][i]);
        IN_ORDER(right[a][i]);
      }
    }
  }
  UNROLL for (int a = 0; a < at_once; a++) {
    UNROLL for (int i = 0; i < n; i++) sum[a][i] = vi_add_pairs(left[a][i], right[a][i]);
  }
}

/* Vectors [vector, vector + at_once) of a group's rows. */
INLINE void dot_group(const packing p, const int at_once, const int n, const int vector, const uint8_t *w,
                      int32_t blocks, const uint8_t *x, const float *units, const uint8_t *sums, float *out,
                      size_t stride_out) {
  const bool has_m = packed_m(p), has_zero = packed_zero(p) != 0;
  const int halves = packed_halves(p) ? 2 : 1, bytes_of_x = packed_bits(p) < 8 ? DOT_BITS / 8 : 2;
  const dot_constants c = dot_prepare();
  vf total[GROUP_VECTORS][MOST_DOT_ROWS];
  UNROLL for (int a = 0; a < at_once; a++) { UNROLL for (int i = 0; i < n; i++) total[a][i] = vf_set1(0); }
  const float *const end = units + (size_t)n * (size_t)blocks;
  NO_UNROLL while (units != end) {
    vf d[GROUP_VECTORS], m[GROUP_VECTORS];
    UNROLL for (int a = 0; a < at_once; a++) {
      d[a] = half_floats(&c, w + 2 * VW * (vector + a));
      m[a] = has_m ? half_floats(&c, w + 2 * ROWS + 2 * VW * (vector + a)) : d[a];
    }
    const uint8_t *scale = w + (has_m ? 4 : 2) * ROWS + VW * vector;
    const uint8_t *block = w + packed_scale_bytes(p, ROWS) + 4 * VW * vector;
    NO_UNROLL for (int b = 0; b < packed_run(p); b++) {
      UNROLL for (int h = 0; h < halves; h++) {
        vi sum[GROUP_VECTORS][MOST_DOT_ROWS];
        dot_vectors(p, &c, at_once, n, block, x, h * 8 / halves, 8 / halves, sum);
        UNROLL for (int a = 0; a < at_once; a++) {
          const vf factor = packed_k(p) ? vf_mul(d[a], vf_from_i8(scale + VW * a)) : d[a];
          const vf offset = packed_k(p) && has_m ? vf_mul(m[a], vf_from_i8(scale + 8 * ROWS + VW * a)) : m[a];
          UNROLL for (int i = 0; i < n; i++) {
            const uint8_t *sum_of_x = sums + 8 * i + 4 * h;
            const vi all = has_zero ? vi_add(sum[a][i], vi_splat32(sum_of_x)) : sum[a][i];
            const vf dot = vf_mul(vi_to_vf(all), vf_splat(units + i));
            total[a][i] = vf_fma(dot, factor, total[a][i]);
            if (has_m) total[a][i] = vf_fma(offset, vf_from_bits(vi_splat32(sum_of_x)), total[a][i]);
          }
        }
        scale += ROWS;
      }
      block += packed_block_bytes(p, ROWS);
      x += 32 * bytes_of_x * n;
      sums += 8 * n;
      units += n;
    }
    w += packed_run_bytes(p, ROWS);
  }
  UNROLL for (int i = 0; i < n; i++) {
    UNROLL for (int a = 0; a < at_once; a++) vf_store(out + (size_t)i * stride_out + VW * (vector + a), total[a][i]);
  }
}

/* Vectors of a group that are computed together, and share what is broadcast: all, but where the sums of bytes, which are two for each row of
 * activations, would leave no register. (Two groups at once would share it too, but two streams of a few KB each leave the memory's prefetching
 * behind: SPEED.md.) */
#define AT_ONCE(p, n) ((packed_bits(p) == 8 || DOT_BITS == 16) && (n) > 2 ? 1 : GROUP_VECTORS)
#define DOT(name, p, n)                                                                                   \
  static void name(const uint8_t *w, int32_t n_groups, int32_t blocks, const void *x, const float *units, \
                   const void *sums, float *out, size_t stride_out) {                                     \
    const int at_once = AT_ONCE(p, n);                                                                    \
    const size_t bytes = packed_group_bytes(p, 32 * blocks, ROWS);                                        \
    for (; n_groups > 0; n_groups--, w += bytes, out += ROWS)                                             \
      NO_UNROLL for (int vector = 0; vector < GROUP_VECTORS; vector += at_once)                           \
          dot_group(p, at_once, n, vector, w, blocks, x, units, sums, out, stride_out);                   \
  }
#define DOT_ALL(p)              \
  DOT(dot_##p##_1, PACK_##p, 1) \
  DOT(dot_##p##_2, PACK_##p, 2) \
  DOT(dot_##p##_3, PACK_##p, 3) DOT(dot_##p##_4, PACK_##p, 4) DOT(dot_##p##_5, PACK_##p, 5)
#define DOTS(p) \
  { dot_##p##_1, dot_##p##_2, dot_##p##_3, dot_##p##_4, dot_##p##_5 }
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

INLINE packed_line line_of(const packing p, const dot_constants *c, const uint8_t *run, const int vector,
                           const int block, const int half) {
  packed_line line = {half_floats(c, run + 2 * VW * vector), vf_set1(0)};
  const uint8_t *s = run + (packed_m(p) ? 4 : 2) * ROWS + VW * vector;
  if (packed_m(p)) line.offset = half_floats(c, run + 2 * ROWS + 2 * VW * vector);
  if (packed_k(p)) {
    line.factor = vf_mul(line.factor, vf_from_i8(s + (packed_halves(p) ? 2 * block + half : block) * ROWS));
    if (packed_m(p)) line.offset = vf_mul(line.offset, vf_mul(vf_set1(-1), vf_from_i8(s + (8 + block) * ROWS)));
  }
  if (packed_zero(p) != 0) line.offset = vf_mul(line.factor, vf_set1((float)-packed_zero(p)));
  return line;
}

/* Element e of 4 of vector v, a lane for each row. */
INLINE vf value_of(const packed_line *line, vi u, const int e) {
  return vf_fma(vi_to_vf(vi_sar(vi_shl(u, 24 - 8 * e), 24)), line->factor, line->offset);
}

/* Units of VW rows by their largest elements and squares; false: see group_units. */
INLINE bool units_of(vf top, vf squares, float *units) {
  float largest[VW], square[VW];
  vf_store(largest, top);
  vf_store(square, squares);
  for (int l = 0; l < VW; l++) {
    if (!squares_in_range(square[l]) || !(largest[l] < 1e18f)) return false;
    units[l] = fixed_unit(__builtin_sqrtf(square[l]), largest[l], FIXED_NORM_B);
  }
  return true;
}

/* An element, q * d / unit, is the upper half of q * 2^8 times d / unit * 2^7. Both are int16, as no unit is below 128 d / 2^15. */
INLINE void byte_panel(const uint8_t *group, const int vector, int32_t blocks, vf per_unit, int16_t *panel) {
  const dot_constants c = dot_prepare();
  const vi odd_bytes = vi_held32(0xff00ff00u);
  const size_t to_block = packed_scale_bytes(PACK_8, ROWS) + 4 * VW * (size_t)vector;
  per_unit = vf_mul(per_unit, vf_set1(128));
  for (int32_t b = 0; b < blocks; b++, group += packed_run_bytes(PACK_8, ROWS)) {
    const vf d = vf_mul(half_floats(&c, group + 2 * VW * vector), per_unit);
    const vi factor = vi_pair16(d, d, c.upper16);
    UNROLL for (int v = 0; v < 8; v++, panel += 4 * NR) {
      const vi q = vi_load(group + to_block + 4 * ROWS * v);
      const vi even = vi_mul_q15(vi_shl16(q, 8), factor), odd = vi_mul_q15(vi_and(q, odd_bytes), factor);
      vi_store(panel, vi_lows16(even, odd, c.upper16));
      vi_store(panel + 2 * NR, vi_highs16(even, odd, c.upper16));
    }
  }
}

/* Adds the squares of block `b` of a run's rows to *sum, and their largest elements to *top; those of 8 bits in integers, and their largest possible. */
INLINE void block_squares(const packing p, const dot_constants *c, const uint8_t *run, const int vector, const int b,
                          vf *sum, vf *top) {
  const uint8_t *block = run + packed_scale_bytes(p, ROWS) + 4 * VW * vector + (size_t)b * packed_block_bytes(p, ROWS);
  if (p == PACK_8) {
    const vf d = half_floats(c, run + 2 * VW * vector);
    vi left = vi_zero(), right = left;
    UNROLL for (int v = 0; v < 8; v++) {
      const vi q0 = vi_load8(block + 4 * ROWS * v), q1 = vi_load8(block + 4 * ROWS * v + 2 * VW);
      left = vi_dot16_add(left, q0, q0);
      right = vi_dot16_add(right, q1, q1);
    }
    *sum = vf_fma(vi_to_vf(vi_add_pairs(left, right)), vf_mul(d, d), *sum);
    *top = vf_max(vf_mul(vf_abs(d), vf_set1(128)), *top);
    return;
  }
  UNROLL for (int v = 0; v < 8; v++) {
    const packed_line line = line_of(p, c, run, vector, b, v / 4);
    const vi u = packed_vector(p, c, block, v);
    UNROLL for (int e = 0; e < 4; e++) {
      const vf x = value_of(&line, u, e);
      *sum = vf_fma(x, x, *sum);
      *top = vf_max(vf_abs(x), *top);
    }
  }
}

/* Of vector `vector` of a group's rows. With 8 bits elements of a panel are made in integers (byte_panel): where that is coarse for a row (no quantizer leaves
 * all q of a block small) there are no units. */
INLINE bool vector_units(const packing p, const uint8_t *group, const int vector, int32_t blocks, float *units) {
  const dot_constants c = dot_prepare();
  const int run = packed_run(p);
  vf worst = vf_set1(0), top = worst, sum = worst;
  for (int32_t b = 0; b < blocks; b++) {
    block_squares(p, &c, group + (size_t)(b / run) * packed_run_bytes(p, ROWS), vector, b % run, &sum, &top);
    if ((b + 1) % (UNIT_LENGTH / 32) == 0 || b + 1 == blocks) {
      worst = vf_max(worst, sum);
      sum = vf_set1(0);
    }
  }
  if (!units_of(top, worst, units)) return false;
  float squares[VW];
  vf_store(squares, worst);
  for (int l = 0; p == PACK_8 && l < VW; l++)
    if (units[l] > 4 * __builtin_sqrtf(squares[l]) / FIXED_NORM_B) return false;
  return true;
}

INLINE void vector_panel(const packing p, const uint8_t *group, const int vector, int32_t blocks, const float *units,
                         int16_t *panel) {
  const vf per_unit = vf_div(vf_set1(1), vf_load(units));
  if (p == PACK_8) {
    byte_panel(group, vector, blocks, per_unit, panel);
    return;
  }
  const dot_constants c = dot_prepare();
  const int run = packed_run(p);
  for (int32_t b = 0; b < blocks; b++) {
    const uint8_t *at = group + (size_t)(b / run) * packed_run_bytes(p, ROWS);
    const uint8_t *block =
        at + packed_scale_bytes(p, ROWS) + 4 * VW * vector + (size_t)(b % run) * packed_block_bytes(p, ROWS);
    UNROLL for (int v = 0; v < 8; v++, panel += 4 * NR) {
      packed_line line = line_of(p, &c, at, vector, b % run, v / 4);
      line.factor = vf_mul(line.factor, per_unit), line.offset = vf_mul(line.offset, per_unit);
      const vi u = packed_vector(p, &c, block, v);
      vi_store(panel, vi_pair16(value_of(&line, u, 0), value_of(&line, u, 1), c.upper16));
      vi_store(panel + 2 * NR, vi_pair16(value_of(&line, u, 2), value_of(&line, u, 3), c.upper16));
    }
  }
}

#define GROUP_PANEL(p)                                                                                    \
  static bool group_units_##p(const uint8_t *group, int32_t blocks, float *units) {                       \
    bool made = true;                                                                                     \
    NO_UNROLL for (int a = 0; made && a < GROUP_VECTORS; a++) made =                                      \
        vector_units(PACK_##p, group, a, blocks, units + VW * a);                                         \
    return made;                                                                                          \
  }                                                                                                       \
  static void group_panel_##p(const uint8_t *group, int32_t blocks, const float *units, int16_t *panel) { \
    NO_UNROLL for (int a = 0; a < GROUP_VECTORS; a++)                                                     \
        vector_panel(PACK_##p, group, a, blocks, units + VW * a, panel + 2 * VW * a);                     \
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

static void quantize_blocks(const float *x, int32_t n, int32_t bits, int32_t rows, void *out, float *units,
                            int32_t *sums) {
  const float most = bits == 8 ? 127.0f : FIXED_MAX;
  const vi ones = vi_held16(1);
  uint8_t *at = out;
  for (int32_t k = 0; k < n; k += 32, x += 32, at += rows * 4 * bits, units += rows, sums += 2 * rows) {
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
      sums[half] = sum_lanes(sum);
    }
    if (bits == 8) {
      UNROLL for (int i = 0; i < 16 / VW; i += 2) vi_store(at + 2 * VW * i, vi_narrow8(part[i], part[i + 1]));
    } else {
      UNROLL for (int i = 0; i < 16 / VW; i++) vi_store(at + 4 * VW * i, part[i]);
    }
  }
}
