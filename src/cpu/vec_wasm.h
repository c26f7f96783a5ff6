/* The vector vocabulary (see vec_scalar.h) for WebAssembly SIMD, with fused multiply-add where relaxed SIMD is there.
 *
 * The tile has 5 rows: V8 keeps one of the 16 XMM registers for itself, and 6 x 2 accumulators, two columns, a row and a product
 * do not fit in 15; 31 against 46 GMAC/s. V8 spills, too, when the loop over k is unrolled. */
#ifndef SOTTO_VEC_WASM_H
#define SOTTO_VEC_WASM_H

#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

#define VW            4
#define MR            5
#define GROUP_VECTORS 2

/* What comes after it in the source is computed after x: clang would bring all products of one row together, and V8 spill what the next one shares with it. */
#define IN_ORDER(x) __asm__ volatile("" : "+r"(x))

typedef v128_t vf;
typedef v128_t vi;

static inline vf vf_load(const float *p) { return wasm_v128_load(p); }
static inline void vf_store(float *p, vf a) { wasm_v128_store(p, a); }
static inline vf vf_set1(float x) { return wasm_f32x4_splat(x); }
static inline vf vf_splat(const float *p) { return wasm_v128_load32_splat(p); }
/* A constant that is to stay in a register: V8 makes a plain one from two immediates wherever it is used. */
static inline vf vf_held(float x) {
  vf v = wasm_f32x4_splat(x);
  __asm__("" : "+r"(v));
  return v;
}
static inline vf vf_add(vf a, vf b) { return wasm_f32x4_add(a, b); }
static inline vf vf_sub(vf a, vf b) { return wasm_f32x4_sub(a, b); }
static inline vf vf_mul(vf a, vf b) { return wasm_f32x4_mul(a, b); }
static inline vf vf_div(vf a, vf b) { return wasm_f32x4_div(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
#endif
}
static inline vf vf_max(vf a, vf b) { return wasm_f32x4_pmax(b, a); }
static inline vf vf_min(vf a, vf b) { return wasm_f32x4_pmin(b, a); }
static inline vf vf_abs(vf a) { return wasm_f32x4_abs(a); }
static inline vi vf_bits(vf a) { return a; }
static inline vf vf_from_bits(vi a) { return a; }

static inline vi vi_zero(void) { return wasm_i32x4_const_splat(0); }
static inline vi vi_load(const void *p) { return wasm_v128_load(p); }
static inline void vi_store(void *p, vi a) { wasm_v128_store(p, a); }
static inline vi vi_splat32(const void *p) { return wasm_v128_load32_splat(p); }
static inline vi vi_add(vi a, vi b) { return wasm_i32x4_add(a, b); }
static inline vi vi_shl(vi a, int n) { return wasm_i32x4_shl(a, (uint32_t)n); }
static inline vi vi_sar(vi a, int n) { return wasm_i32x4_shr(a, (uint32_t)n); }
static inline vf vi_to_vf(vi a) { return wasm_f32x4_convert_i32x4(a); }
static inline vi vi_and(vi a, vi b) { return wasm_v128_and(a, b); }
static inline vi vi_or(vi a, vi b) { return wasm_v128_or(a, b); }
static inline vi vi_held8(int x) {
  vi v = wasm_i8x16_splat((int8_t)x);
  __asm__("" : "+r"(v));
  return v;
}
static inline vi vi_shl16(vi a, int n) { return wasm_i16x8_shl(a, (uint32_t)n); }
static inline vi vi_shr16(vi a, int n) { return wasm_u16x8_shr(a, (uint32_t)n); }
#ifdef __wasm_relaxed_simd__
#define HAS_DOT8
static inline vi vi_dot8(vi x, vi u) { return wasm_i16x8_relaxed_dot_i8x16_i7x16(x, u); }
#endif
static inline vi vi_add16(vi a, vi b) { return wasm_i16x8_add(a, b); }
static inline vi vi_held16(int x) {
  vi v = wasm_i16x8_splat((int16_t)x);
  __asm__("" : "+r"(v));
  return v;
}
static inline vi vi_splat64(const void *p) { return wasm_v128_load64_splat(p); }
static inline vi vi_load8(const void *p) { return wasm_i16x8_load8x8(p); }
static inline vi vi_add_pairs(vi a, vi b) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}
static inline vi vi_narrow8(vi a, vi b) { return wasm_i8x16_narrow_i16x8(a, b); }
static inline vi vi_low8(vi a) { return wasm_u16x8_extend_low_u8x16(a); }
static inline vi vi_high8(vi a) { return wasm_u16x8_extend_high_u8x16(a); }
static inline vi vi_held32(uint32_t x) {
  vi v = wasm_u32x4_splat(x);
  __asm__("" : "+r"(v));
  return v;
}
static inline vf vf_from_f16(const void *p, vi mask, vf scale) {
  return wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(wasm_i32x4_load16x4(p), 13), mask), scale);
}
static inline vi vi_dot16_add(vi acc, vi a, vi b) { return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(a, b)); }

static inline vi vi_mul_q15(vi a, vi b) {
#ifdef __wasm_relaxed_simd__
  return wasm_i16x8_relaxed_q15mulr(a, b);
#else
  return wasm_i16x8_q15mulr_sat(a, b);
#endif
}
/* Shuffles would do, but V8 makes their masks anew at each use on x86. */
static inline vi vi_select16(vi a, vi b, vi which) {
#ifdef __wasm_relaxed_simd__
  return wasm_i16x8_relaxed_laneselect(a, b, which);
#else
  return wasm_v128_bitselect(a, b, which);
#endif
}
static inline vi vi_lows16(vi a, vi b, vi upper) { return vi_select16(wasm_i32x4_shl(b, 16), a, upper); }
static inline vi vi_highs16(vi a, vi b, vi upper) { return vi_select16(b, wasm_u32x4_shr(a, 16), upper); }

/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the mantissa: no conversion is needed. */
static inline vi vf_plus_magic(vf a) { return wasm_f32x4_add(a, wasm_f32x4_const_splat(12582912.0f)); }
static inline vi vf_round(vf a) { return wasm_i32x4_sub(vf_plus_magic(a), wasm_i32x4_const_splat(0x4B400000)); }
static inline vi vi_narrow16(vf lo, vf hi) {
  return wasm_i16x8_shuffle(vf_plus_magic(lo), vf_plus_magic(hi), 0, 2, 4, 6, 8, 10, 12, 14);
}
static inline vi vi_pair16(vf lo, vf hi, vi upper) { return vi_lows16(vf_plus_magic(lo), vf_plus_magic(hi), upper); }
static inline vf vf_from_i8(const void *p) {
  return wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p))));
}
static inline vf vf_from_i16(const int16_t *p) { return wasm_f32x4_convert_i32x4(wasm_i32x4_load16x4(p)); }

static inline vi vi_load_s8(const void *p) { return wasm_i16x8_load8x8(p); }
static inline vi vi_zip_low(vi a, vi b) { return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
static inline vi vi_zip_high(vi a, vi b) { return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
static inline void vf_unzip(vf *low, vf *high) { (void)low, (void)high; }
static inline void vi_sum4(int32_t *out, vi a, vi b, vi c, vi d) {
  const vi ab = wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  const vi cd = wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  vi_store(out, wasm_i32x4_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3)));
}
static inline void vf_sum4(float *out, vf a, vf b, vf c, vf d) {
  const vf ab = vf_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
  const vf cd = vf_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
  vf_store(out, vf_add(wasm_i64x2_shuffle(ab, cd, 0, 2), wasm_i64x2_shuffle(ab, cd, 1, 3)));
}
static inline float vf_sum(vf a) {
  vf s = wasm_f32x4_add(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
  return wasm_f32x4_extract_lane(s, 0) + wasm_f32x4_extract_lane(s, 1);
}
static inline float vf_largest(vf a) {
  vf s = vf_max(a, wasm_i32x4_shuffle(a, a, 2, 3, 0, 1));
  float x = wasm_f32x4_extract_lane(s, 0), y = wasm_f32x4_extract_lane(s, 1);
  return x > y ? x : y;
}

#endif
