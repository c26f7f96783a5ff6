/* The bodies of the kernels. KERNELS names the table that results.
 *
 *     f32, f16, bf16 ──widen──> f32 [n] ──largest──> bits
 *                                  ├──round──> blocks of 32: scale of the range, rounded
 *                                  └──search─> quant_search_body.h */
#include "quant_kernels.h"

#include "blocks.h"

#include <math.h>

#if defined(__F16C__)
#include <immintrin.h>
#endif

typedef float v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef uint16_t v8h __attribute__((vector_size(16)));
typedef uint8_t v8b __attribute__((vector_size(8)));

#define INLINE               static inline __attribute__((always_inline))
#define EACH(x)              ((v8f){0} + (x))
#define EACH_I(x)            ((v8i){0} + (x))
#define LOAD(v, p)           memcpy(&(v), (p), sizeof(v))
#define STORE(p, v)          memcpy((p), &(v), sizeof(v))
#define BITS(v)              ((v8i)(v))
#define SELECT(mask, a, b)   ((v8f)((BITS(a) & (mask)) | (BITS(b) & ~(mask))))
#define SELECT_I(mask, a, b) (((a) & (mask)) | ((b) & ~(mask)))

/* ---- to f32 ---- */

static void widen_bf16(const uint8_t *p, float *x, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    v8h h;
    LOAD(h, p + 2 * i);
    const v8i bits = __builtin_convertvector(h, v8i) << 16;
    STORE(x + i, bits);
  }
}

/* Exponents are 112 larger in f32; multiplying by 2^112 also makes normal numbers of subnormal ones. */
static void widen_f16(const uint8_t *p, float *x, size_t n) {
  const v8f scale = EACH(0x1p112f);
  for (size_t i = 0; i < n; i += 8) {
    v8h h;
    LOAD(h, p + 2 * i);
    const v8i wide = __builtin_convertvector(h, v8i), magnitude = (wide & 0x7fff) << 13, sign = (wide & 0x8000) << 16;
    const v8i beyond = magnitude >= EACH_I(0x0f800000); /* infinity, NaN */
    const v8i finite = BITS((v8f)magnitude * scale);
    const v8i bits = SELECT_I(beyond, magnitude | 0x7f800000, finite) | sign;
    STORE(x + i, bits);
  }
}

static void widen(uint32_t type, const void *row, float *x, size_t n) {
  if (type == DTYPE_F32)
    memcpy(x, row, n * sizeof *x);
  else if (type == DTYPE_F16)
    widen_f16(row, x, n);
  else
    widen_bf16(row, x, n);
}

static uint32_t largest(const float *x, size_t n) {
  v8i most = EACH_I(0);
  uint32_t lanes[8], best = 0;
  for (size_t i = 0; i < n; i += 8) {
    v8f v;
    LOAD(v, x + i);
    const v8i bits = BITS(v) & 0x7fffffff, more = bits > most;
    most = SELECT_I(more, bits, most);
  }
  STORE(lanes, most);
  for (int l = 0; l < 8; l++) best = lanes[l] > best ? lanes[l] : best;
  return best;
}

/* ---- rounding, as quant_legacy.c has it ---- */

typedef struct block32 {
  v8f v[4];
} block32;

INLINE block32 load_block(const float *x) {
  block32 b;
  LOAD(b, x);
  return b;
}

/* The element of largest magnitude, of equal ones the first; a NaN is none. */
INLINE float signed_max(const float *x, const block32 *b) {
  v8i most = EACH_I(0);
  for (int k = 0; k < 4; k++) {
    const v8i bits = BITS(b->v[k]) & 0x7fffffff, more = (bits > most) & (bits <= EACH_I(0x7f800000));
    most = SELECT_I(more, bits, most);
  }
  int32_t lanes[8], best = 0, first[8], at = 31;
  STORE(lanes, most);
  for (int l = 0; l < 8; l++) best = lanes[l] > best ? lanes[l] : best;
  v8i index = EACH_I(31);
  for (int k = 3; k >= 0; k--) {
    const v8i here = (v8i){0, 1, 2, 3, 4, 5, 6, 7} + 8 * k, equal = (BITS(b->v[k]) & 0x7fffffff) == EACH_I(best);
    index = SELECT_I(equal, here, index);
  }
  STORE(first, index);
  for (int l = 0; l < 8; l++) at = first[l] < at ? first[l] : at;
  return best != 0 ? x[at] : 0.0f;
}

INLINE void range_of(const block32 *b, float *min, float *max) {
  v8f low = EACH(3.4028234664e38f), high = -low;
  float lows[8], highs[8];
  for (int k = 0; k < 4; k++) {
    const v8i less = b->v[k]<low, more = b->v[k]> high;
    low = SELECT(less, b->v[k], low);
    high = SELECT(more, b->v[k], high);
  }
  STORE(lows, low);
  STORE(highs, high);
  *min = lows[0];
  *max = highs[0];
  for (int l = 1; l < 8; l++) {
    *min = lows[l] < *min ? lows[l] : *min;
    *max = highs[l] > *max ? highs[l] : *max;
  }
}

/* v cut towards zero, kept in [0, high]; NaN is 0. */
INLINE v8i cut8(v8f v, int high) {
  const v8f zero = EACH(0.0f), top = EACH((float)high);
  const v8i positive = v > zero;
  v = SELECT(positive, v, zero);
  const v8i below = v < top;
  v = SELECT(below, v, top);
  return __builtin_convertvector(v, v8i);
}

INLINE void round_block(const block32 *b, float offset, float inv, float bias, int high, uint8_t *q) {
  for (int k = 0; k < 4; k++) {
    const v8f scaled = (b->v[k] - offset) * inv;
    const v8b bytes = __builtin_convertvector(cut8(scaled + bias, high), v8b);
    STORE(q + 8 * k, bytes);
  }
}

INLINE void pack_nibbles(const uint8_t *q, uint8_t *qs) {
  uint64_t low[2], high[2];
  memcpy(low, q, 16);
  memcpy(high, q + 16, 16);
  for (int i = 0; i < 2; i++) low[i] = (low[i] & EACH_BYTE * 15) | (high[i] & EACH_BYTE * 15) << 4;
  memcpy(qs, low, 16);
}

/* Bit i of the four bytes is bit 4 of q[i]: a product gathers those of eight bytes in the top one. */
INLINE void pack_fifth_bits(const uint8_t *q, uint8_t *high) {
  for (int i = 0; i < 4; i++) {
    uint64_t eight;
    memcpy(&eight, q + 8 * i, 8);
    high[i] = (uint8_t)((eight >> 4 & EACH_BYTE) * 0x0102040810204080u >> 56);
  }
}

/* What a block of 32 is in the file: d, min (NULL: the type has none), the fifth bits where q has them, nibbles. */
INLINE void store_block(const uint8_t *q, float d, const float *min, bool fifth_bits, uint8_t *block) {
  store_f16(block, d), block += 2;
  if (min) store_f16(block, *min), block += 2;
  if (fifth_bits) pack_fifth_bits(q, block), block += 4;
  pack_nibbles(q, block);
}

/* half: 8 of q4_0, 16 of q5_0. */
INLINE void round_q45_0(const float *x, int half, uint8_t *block) {
  const block32 b = load_block(x);
  uint8_t q[32];
  const float d = signed_max(x, &b) / -(float)half;
  round_block(&b, 0.0f, inverse(d), (float)half + 0.5f, 2 * half - 1, q);
  store_block(q, d, NULL, half > 8, block);
}

/* levels: 15 of q4_1, 31 of q5_1. */
INLINE void round_q45_1(const float *x, int levels, uint8_t *block) {
  const block32 b = load_block(x);
  uint8_t q[32];
  float min, max;
  range_of(&b, &min, &max);
  const float d = (max - min) / (float)levels;
  round_block(&b, min, inverse(d), 0.5f, levels, q);
  store_block(q, d, &min, levels > 15, block);
}

static void round_q4_0(const float *x, uint8_t *block) { round_q45_0(x, 8, block); }
static void round_q4_1(const float *x, uint8_t *block) { round_q45_1(x, 15, block); }
static void round_q5_0(const float *x, uint8_t *block) { round_q45_0(x, 16, block); }
static void round_q5_1(const float *x, uint8_t *block) { round_q45_1(x, 31, block); }

/* Halves go away from zero: the number below 0.5 is added, and the rest cut off. */
static void round_q8_0(const float *x, uint8_t *block) {
  const block32 b = load_block(x);
  const float d = fabsf(signed_max(x, &b)) / 127.0f, inv = inverse(d);
  for (int k = 0; k < 4; k++) {
    const v8f scaled = b.v[k] * inv, high = EACH(127.0f), low = -high;
    v8f v = scaled + (v8f)((BITS(scaled) & (int32_t)0x80000000) | 0x3effffff);
    const v8i above = v > low; /* not NaN, which is the lowest */
    v = SELECT(above, v, low);
    const v8i below = v < high;
    v = SELECT(below, v, high);
    const v8b bytes = __builtin_convertvector(__builtin_convertvector(v, v8i), v8b);
    STORE(block + 2 + 8 * k, bytes);
  }
  store_f16(block, d);
}

#if defined(__F16C__)

static void round_f16(const float *x, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i += 8)
    _mm_storeu_si128((__m128i *)(void *)(out + 2 * i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
}

#else

/* Numbers that f16 has as normal ones lose 13 bits; in the sum of a smaller one with 0.5 the last bit is its unit. */
static void round_f16(const float *x, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    v8f v;
    LOAD(v, x + i);
    const v8i sign = BITS(v) >> 16 & 0x8000, magnitude = BITS(v) & 0x7fffffff, rest = magnitude - (112 << 23);
    const v8i normal = (rest + 0xfff + (rest >> 13 & 1)) >> 13;
    const v8i subnormal = BITS((v8f)magnitude + 0.5f) - 0x3f000000;
    const v8i is_small =
        magnitude<EACH_I(113 << 23), is_large = magnitude >= EACH_I(0x477ff000), is_nan = magnitude> EACH_I(0x7f800000);
    const v8i finite = SELECT_I(is_small, subnormal, normal), number = SELECT_I(is_large, EACH_I(0x7c00), finite);
    const v8i half = SELECT_I(is_nan, (magnitude >> 13 & 0x1ff) | 0x7e00, number) | sign;
    const v8h h = __builtin_convertvector(half, v8h);
    STORE(out + 2 * i, h);
  }
}

#endif

static void round_bf16(const float *x, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    v8f v;
    LOAD(v, x + i);
    const v8i bits = BITS(v), nan = (bits & 0x7fffffff) > EACH_I(0x7f800000);
    const v8i up = bits >> 16 & 0xffff, half = (bits >> 16 & 1) + 0x7fff, low = bits & 0xffff;
    const v8i rounded = up + ((low + half) >> 16 & 0xffff), whole = SELECT_I(nan, up | 0x40, rounded);
    const v8h h = __builtin_convertvector(whole, v8h);
    STORE(out + 2 * i, h);
  }
}

static bool round_row(uint32_t type, const float *x, void *row, size_t n) {
  static void (*const of_type[DTYPE_COUNT])(const float *, uint8_t *) = {[DTYPE_Q4_0] = round_q4_0,
                                                                         [DTYPE_Q4_1] = round_q4_1,
                                                                         [DTYPE_Q5_0] = round_q5_0,
                                                                         [DTYPE_Q5_1] = round_q5_1,
                                                                         [DTYPE_Q8_0] = round_q8_0};
  uint8_t *p = row;
  if (type == DTYPE_F16) return round_f16(x, p, n), true;
  if (type == DTYPE_BF16) return round_bf16(x, p, n), true;
  if (type >= DTYPE_COUNT || of_type[type] == NULL) return false;
  const size_t bytes = dtype_block_bytes(type);
  for (size_t i = 0; i < n; i += 32, p += bytes) of_type[type](x + i, p);
  return true;
}

#include "quant_search_body.h"

const quant_kernels KERNELS = {KERNELS_NAME, widen, largest, round_row, search_row};
