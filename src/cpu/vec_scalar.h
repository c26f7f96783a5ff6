/* The vector vocabulary in plain C: four lanes as arrays. It is the specification of what each word does. */
#ifndef SOTTO_VEC_SCALAR_H
#define SOTTO_VEC_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VW            4 /* f32 lanes; twice as many int16, four times as many int8 */
#define MR            4 /* rows of a tile of the matrix product */
#define GROUP_VECTORS 2 /* vectors of rows that lie beside each other in a packed weight */

typedef struct vf {
  float f[VW];
} vf;
typedef struct vi {
  int32_t i[VW];
} vi;

#define VEC_LANES(T, EXPRESSION)             \
  T r;                                       \
  for (int l = 0; l < VW; l++) r EXPRESSION; \
  return r

static inline vf vf_load(const float *p) {
  vf r;
  memcpy(&r, p, sizeof r);
  return r;
}
static inline void vf_store(float *p, vf a) { memcpy(p, &a, sizeof a); }
static inline vf vf_set1(float x) { VEC_LANES(vf, .f[l] = x); }
static inline vf vf_splat(const float *p) { return vf_set1(*p); }
static inline vf vf_held(float x) { return vf_set1(x); } /* a constant to keep in a register */
static inline vf vf_add(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] + b.f[l]); }
static inline vf vf_sub(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] - b.f[l]); }
static inline vf vf_mul(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] * b.f[l]); }
static inline vf vf_div(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] / b.f[l]); }
static inline vf vf_fma(vf a, vf b, vf c) {
  VEC_LANES(vf, .f[l] = a.f[l] * b.f[l] + c.f[l]);
} /* rounded once or twice */
/* Where a lane is not a number, the second argument is taken. */
static inline vf vf_max(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] > b.f[l] ? a.f[l] : b.f[l]); }
static inline vf vf_min(vf a, vf b) { VEC_LANES(vf, .f[l] = a.f[l] < b.f[l] ? a.f[l] : b.f[l]); }
static inline vf vf_abs(vf a) { VEC_LANES(vf, .f[l] = fabsf(a.f[l])); }
static inline vi vf_bits(vf a) {
  vi r;
  memcpy(&r, &a, sizeof r);
  return r;
}
static inline vf vf_from_bits(vi a) {
  vf r;
  memcpy(&r, &a, sizeof r);
  return r;
}

static inline vi vi_zero(void) { VEC_LANES(vi, .i[l] = 0); }
static inline vi vi_load(const void *p) {
  vi r;
  memcpy(&r, p, sizeof r);
  return r;
}
static inline void vi_store(void *p, vi a) { memcpy(p, &a, sizeof a); }
static inline vi vi_splat32(const void *p) {
  int32_t x;
  memcpy(&x, p, 4);
  VEC_LANES(vi, .i[l] = x);
} /* 4 bytes to each lane */
static inline vi vi_add(vi a, vi b) { VEC_LANES(vi, .i[l] = (int32_t)((uint32_t)a.i[l] + (uint32_t)b.i[l])); }
static inline vi vi_shl(vi a, int n) { VEC_LANES(vi, .i[l] = (int32_t)((uint32_t)a.i[l] << n)); }
static inline vi vi_sar(vi a, int n) { VEC_LANES(vi, .i[l] = a.i[l] >> n); } /* signed */
static inline vf vi_to_vf(vi a) { VEC_LANES(vf, .f[l] = (float)a.i[l]); }

static inline vi vi_and(vi a, vi b) { VEC_LANES(vi, .i[l] = a.i[l] & b.i[l]); }
static inline vi vi_or(vi a, vi b) { VEC_LANES(vi, .i[l] = a.i[l] | b.i[l]); }
static inline vi vi_held8(int x) { VEC_LANES(vi, .i[l] = x * 0x01010101); } /* x < 128, to each byte */
static inline vi vi_shl16(vi a, int n) {                                    /* each int16 */
  VEC_LANES(vi, .i[l] = (int32_t)(((uint32_t)a.i[l] << n & 0xffffu) | (((uint32_t)a.i[l] & 0xffff0000u) << n)));
}
static inline vi vi_shr16(vi a, int n) {
  VEC_LANES(vi, .i[l] = (int32_t)((((uint32_t)a.i[l] & 0xffffu) >> n) | ((uint32_t)a.i[l] >> n & 0xffff0000u)));
}
/* Where vi_dot8 is missing (HAS_DOT8 is not defined), vi_low8 and vi_high8 give the lower and the higher half of a vector's bytes, as unsigned, to int16. */
#define HAS_DOT8
/* int16: sums of two neighbours of int8 x times int8 u, u in [0, 127]; they fit. */
static inline vi vi_dot8(vi x, vi u) {
  int8_t a[16], b[16];
  int16_t out[8];
  vi r;
  memcpy(a, &x, 16), memcpy(b, &u, 16);
  for (int l = 0; l < 8; l++) out[l] = (int16_t)(a[2 * l] * b[2 * l] + a[2 * l + 1] * b[2 * l + 1]);
  memcpy(&r, out, 16);
  return r;
}
static inline vi vi_add16(vi a, vi b) { /* each int16; they fit */
  int16_t x[8], y[8];
  memcpy(x, &a, 16), memcpy(y, &b, 16);
  for (int l = 0; l < 8; l++) x[l] = (int16_t)(x[l] + y[l]);
  memcpy(&a, x, 16);
  return a;
}
static inline vi vi_held16(int x) { VEC_LANES(vi, .i[l] = x * 0x00010001); } /* 0 <= x, to each int16 */
static inline vi vi_splat64(const void *p) {                                 /* 8 bytes to each two lanes */
  vi r;
  memcpy(r.i, p, 8), memcpy(r.i + 2, p, 8);
  return r;
}
static inline vi vi_load8(const void *p) { /* 2 * VW int8 in memory to int16 */
  int8_t in[8];
  int16_t out[8];
  vi r;
  memcpy(in, p, 8);
  for (int l = 0; l < 8; l++) out[l] = in[l];
  memcpy(&r, out, 16);
  return r;
}
/* Sums of neighbours: first those of a, then those of b, where a and b are the products of vi_load8(p) and vi_load8(p + 2 * VW). */
static inline vi vi_add_pairs(vi a, vi b) {
  return (vi){{a.i[0] + a.i[1], a.i[2] + a.i[3], b.i[0] + b.i[1], b.i[2] + b.i[3]}};
}
static inline vi vi_narrow8(vi a, vi b) { /* int16 in [-128, 127] to int8: those of a, then those of b */
  int16_t in[16];
  int8_t out[16];
  memcpy(in, &a, 16), memcpy(in + 8, &b, 16);
  for (int l = 0; l < 16; l++) out[l] = (int8_t)in[l];
  memcpy(&a, out, 16);
  return a;
}
static inline vi vi_held32(uint32_t x) { VEC_LANES(vi, .i[l] = (int32_t)x); }
/* VW half floats; an infinity becomes a large number. mask: 0x8fffe000, scale: 2^112, both held: the sign and the other bits
 * in the places of an f32's, whose exponent is 112 larger. */
static inline vf vf_from_f16(const void *p, vi mask, vf scale) {
  vf r;
  for (int l = 0; l < VW; l++) {
    int16_t h;
    memcpy(&h, (const char *)p + 2 * l, 2);
    const uint32_t bits = (uint32_t)(int32_t)h << 13 & (uint32_t)mask.i[l];
    memcpy(&r.f[l], &bits, 4);
    r.f[l] *= scale.f[l];
  }
  return r;
}

/* acc + the sum of two int16 products a lane. */
static inline vi vi_dot16_add(vi acc, vi a, vi b) {
  for (int l = 0; l < VW; l++) {
    int16_t x[2], y[2];
    memcpy(x, &a.i[l], 4), memcpy(y, &b.i[l], 4);
    acc.i[l] = (int32_t)((uint32_t)acc.i[l] + (uint32_t)(x[0] * y[0]) + (uint32_t)(x[1] * y[1]));
  }
  return acc;
}

/* Each int16: a * b / 2^15, rounded; not both are -2^15. */
static inline vi vi_mul_q15(vi a, vi b) {
  int16_t x[8], y[8];
  memcpy(x, &a, 16), memcpy(y, &b, 16);
  for (int l = 0; l < 8; l++) x[l] = (int16_t)((x[l] * y[l] + 0x4000) >> 15);
  memcpy(&a, x, 16);
  return a;
}
/* Each lane: the low (high) int16 of a, then that of b. upper: 0xffff0000, held. */
static inline vi vi_lows16(vi a, vi b, vi upper) {
  (void)upper;
  VEC_LANES(vi, .i[l] = (a.i[l] & 0xffff) | (int32_t)((uint32_t)b.i[l] << 16));
}
static inline vi vi_highs16(vi a, vi b, vi upper) {
  (void)upper;
  VEC_LANES(vi, .i[l] = (int32_t)((uint32_t)a.i[l] >> 16 | ((uint32_t)b.i[l] & 0xffff0000u)));
}

/* Rounds to nearest integer: |a| < 2^22, else (NaN too) some value. */
static inline vi vf_round(vf a) {
  for (int l = 0; l < VW; l++) a.f[l] += 12582912.0f; /* 1.5 * 2^23: the mantissa's low bits are then the integer */
  vi r = vf_bits(a);
  for (int l = 0; l < VW; l++) r.i[l] = (int32_t)((uint32_t)r.i[l] - 0x4B400000u);
  return r;
}

/* 2 * VW floats in [-32767, 32767] to int16, in order. */
static inline vi vi_narrow16(vf lo, vf hi) {
  int16_t out[2 * VW];
  vi a = vf_round(lo), b = vf_round(hi), r;
  for (int l = 0; l < VW; l++)
    out[l] = (int16_t)(uint16_t)(uint32_t)a.i[l], out[VW + l] = (int16_t)(uint16_t)(uint32_t)b.i[l];
  memcpy(&r, out, sizeof r);
  return r;
}
/* Each lane: int16 `lo` in its low half, `hi` in its high half. */
static inline vi vi_pair16(vf lo, vf hi, vi upper) {
  (void)upper;
  vi a = vf_round(lo), b = vf_round(hi);
  VEC_LANES(vi, .i[l] = (int32_t)(((uint32_t)a.i[l] & 0xffffu) | (uint32_t)b.i[l] << 16));
}
/* VW int8, or int16, in memory, widened. */
static inline vf vf_from_i8(const void *p) { VEC_LANES(vf, .f[l] = (float)((const int8_t *)p)[l]); }
static inline vf vf_from_i16(const int16_t *p) { VEC_LANES(vf, .f[l] = (float)p[l]); }

/* 2 * VW int8 in memory, widened to int16. */
static inline vi vi_load_s8(const void *p) {
  int8_t in[2 * VW];
  int16_t out[2 * VW];
  vi r;
  memcpy(in, p, sizeof in);
  for (int l = 0; l < 2 * VW; l++) out[l] = in[l];
  memcpy(&r, out, sizeof r);
  return r;
}
/* Pairs of an int16 of a and the same of b: of every 8 (16 bytes) the lower (higher) 4. */
static inline vi vi_zip_low(vi a, vi b) {
  int16_t x[4], y[4];
  vi r;
  memcpy(x, &a, sizeof x), memcpy(y, &b, sizeof y);
  for (int l = 0; l < 4; l++) r.i[l] = (int32_t)((uint32_t)(uint16_t)x[l] | (uint32_t)(uint16_t)y[l] << 16);
  return r;
}
static inline vi vi_zip_high(vi a, vi b) {
  return vi_zip_low((vi){{a.i[2], a.i[3], 0, 0}}, (vi){{b.i[2], b.i[3], 0, 0}});
}
/* Lanes of the two vectors of pairs, put in order: 2 * VW floats. */
static inline void vf_unzip(vf *low, vf *high) { (void)low, (void)high; }

/* The sums of the lanes of each: out[4]. */
static inline void vi_sum4(int32_t *out, vi a, vi b, vi c, vi d) {
  const vi of[4] = {a, b, c, d};
  for (int s = 0; s < 4; s++) {
    uint32_t sum = 0;
    for (int l = 0; l < VW; l++) sum += (uint32_t)of[s].i[l];
    out[s] = (int32_t)sum;
  }
}
static inline void vf_sum4(float *out, vf a, vf b, vf c, vf d) {
  const vf of[4] = {a, b, c, d};
  for (int s = 0; s < 4; s++) out[s] = (of[s].f[0] + of[s].f[1]) + (of[s].f[2] + of[s].f[3]);
}
static inline float vf_sum(vf a) { return (a.f[0] + a.f[1]) + (a.f[2] + a.f[3]); }
static inline float vf_largest(vf a) {
  float m = a.f[0];
  for (int l = 1; l < VW; l++) m = a.f[l] > m ? a.f[l] : m;
  return m;
}

#endif
