/* The vector vocabulary (see vec_scalar.h) for AVX2 and FMA. */
#ifndef SOTTO_VEC_AVX2_H
#define SOTTO_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VW            8
#define MR            5 /* 6 leave no register for a product */
#define GROUP_VECTORS 1

typedef __m256 vf;
typedef __m256i vi;

static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
static inline vf vf_set1(float x) { return _mm256_set1_ps(x); }
static inline vf vf_splat(const float *p) { return _mm256_broadcast_ss(p); }
static inline vf vf_held(float x) { return _mm256_set1_ps(x); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline vi vf_bits(vf a) { return _mm256_castps_si256(a); }
static inline vf vf_from_bits(vi a) { return _mm256_castsi256_ps(a); }

static inline vi vi_zero(void) { return _mm256_setzero_si256(); }
static inline vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void vi_store(void *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline vi vi_splat32(const void *p) {
  int32_t x;
  memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
static inline vi vi_shl(vi a, int n) { return _mm256_slli_epi32(a, n); }
static inline vi vi_sar(vi a, int n) { return _mm256_srai_epi32(a, n); }
static inline vf vi_to_vf(vi a) { return _mm256_cvtepi32_ps(a); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi vi_held8(int x) { return _mm256_set1_epi8((char)x); }
static inline vi vi_shl16(vi a, int n) { return _mm256_slli_epi16(a, n); }
static inline vi vi_shr16(vi a, int n) { return _mm256_srli_epi16(a, n); }
#define HAS_DOT8
static inline vi vi_dot8(vi x, vi u) { return _mm256_maddubs_epi16(u, x); }
static inline vi vi_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
static inline vi vi_held16(int x) { return _mm256_set1_epi16((int16_t)x); }
static inline vi vi_splat64(const void *p) {
  int64_t x;
  memcpy(&x, p, 8);
  return _mm256_set1_epi64x(x);
}
static inline vi vi_load8(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vi_add_pairs(vi a, vi b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8); }
static inline vi vi_narrow8(vi a, vi b) { return _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8); }
static inline vi vi_held32(uint32_t x) { return _mm256_set1_epi32((int32_t)x); }
static inline vf vf_from_f16(const void *p, vi mask, vf scale) {
  const vi h = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p));
  return _mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(_mm256_slli_epi32(h, 13), mask)), scale);
}
static inline vi vi_dot16_add(vi acc, vi a, vi b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }
static inline vi vi_mul_q15(vi a, vi b) { return _mm256_mulhrs_epi16(a, b); }
static inline vi vi_lows16(vi a, vi b, vi upper) {
  (void)upper;
  return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xaa);
}
static inline vi vi_highs16(vi a, vi b, vi upper) {
  (void)upper;
  return _mm256_blend_epi16(_mm256_srli_epi32(a, 16), b, 0xaa);
}
static inline vi vf_round(vf a) { return _mm256_cvtps_epi32(a); }
static inline vi vi_narrow16(vf lo, vf hi) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(_mm256_cvtps_epi32(lo), _mm256_cvtps_epi32(hi)), 0xd8);
}
static inline vi vi_pair16(vf lo, vf hi, vi upper) {
  return vi_lows16(_mm256_cvtps_epi32(lo), _mm256_cvtps_epi32(hi), upper);
}
static inline vf vf_from_i8(const void *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline vf vf_from_i16(const int16_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline vi vi_load_s8(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vi_zip_low(vi a, vi b) { return _mm256_unpacklo_epi16(a, b); }
static inline vi vi_zip_high(vi a, vi b) { return _mm256_unpackhi_epi16(a, b); }
static inline void vf_unzip(vf *low, vf *high) {
  const vf first = _mm256_permute2f128_ps(*low, *high, 0x20);
  *high = _mm256_permute2f128_ps(*low, *high, 0x31);
  *low = first;
}
static inline void vi_sum4(int32_t *out, vi a, vi b, vi c, vi d) {
  const vi s = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  _mm_storeu_si128((__m128i *)out, _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1)));
}
static inline void vf_sum4(float *out, vf a, vf b, vf c, vf d) {
  const vf s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}
static inline float vf_sum(vf a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vf_largest(vf a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#endif
