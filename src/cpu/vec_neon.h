/* The vector vocabulary (see vec_scalar.h) for AArch64 NEON. */
#ifndef SOTTO_VEC_NEON_H
#define SOTTO_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define VW            4
#define MR            6
#define GROUP_VECTORS 2

typedef float32x4_t vf;
typedef int32x4_t vi;

static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf vf_set1(float x) { return vdupq_n_f32(x); }
static inline vf vf_splat(const float *p) { return vld1q_dup_f32(p); }
static inline vf vf_held(float x) { return vdupq_n_f32(x); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vf_abs(vf a) { return vabsq_f32(a); }
static inline vi vf_bits(vf a) { return vreinterpretq_s32_f32(a); }
static inline vf vf_from_bits(vi a) { return vreinterpretq_f32_s32(a); }

static inline vi vi_zero(void) { return vdupq_n_s32(0); }
static inline vi vi_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)p)); }
static inline void vi_store(void *p, vi a) { vst1q_u8((uint8_t *)p, vreinterpretq_u8_s32(a)); }
static inline vi vi_splat32(const void *p) {
  int32_t x;
  memcpy(&x, p, 4);
  return vdupq_n_s32(x);
}
static inline vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
static inline vi vi_shl(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
static inline vi vi_sar(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(-n)); }
static inline vf vi_to_vf(vi a) { return vcvtq_f32_s32(a); }
static inline vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
static inline vi vi_held8(int x) { return vreinterpretq_s32_s8(vdupq_n_s8((int8_t)x)); }
static inline vi vi_shl16(vi a, int n) {
  return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(a), vdupq_n_s16((int16_t)n)));
}
static inline vi vi_shr16(vi a, int n) {
  return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(a), vdupq_n_s16((int16_t)-n)));
}
#define HAS_DOT8
static inline vi vi_dot8(vi x, vi u) {
  const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(u);
  return vreinterpretq_s32_s16(vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b)));
}
static inline vi vi_add16(vi a, vi b) {
  return vreinterpretq_s32_s16(vaddq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi vi_held16(int x) { return vreinterpretq_s32_s16(vdupq_n_s16((int16_t)x)); }
static inline vi vi_splat64(const void *p) {
  int64_t x;
  memcpy(&x, p, 8);
  return vreinterpretq_s32_s64(vdupq_n_s64(x));
}
static inline vi vi_load8(const void *p) { return vreinterpretq_s32_s16(vmovl_s8(vld1_s8((const int8_t *)p))); }
static inline vi vi_add_pairs(vi a, vi b) { return vpaddq_s32(a, b); }
static inline vi vi_narrow8(vi a, vi b) {
  return vreinterpretq_s32_s8(vcombine_s8(vqmovn_s16(vreinterpretq_s16_s32(a)), vqmovn_s16(vreinterpretq_s16_s32(b))));
}
static inline vi vi_held32(uint32_t x) { return vdupq_n_s32((int32_t)x); }
static inline vf vf_from_f16(const void *p, vi mask, vf scale) {
  const int16x4_t h = vreinterpret_s16_u8(vld1_u8((const uint8_t *)p));
  return vmulq_f32(vreinterpretq_f32_s32(vandq_s32(vshlq_n_s32(vmovl_s16(h), 13), mask)), scale);
}
static inline vi vi_dot16_add(vi acc, vi a, vi b) {
  int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
  int32x4_t lo = vmull_s16(vget_low_s16(x), vget_low_s16(y)), hi = vmull_high_s16(x, y);
  return vaddq_s32(acc, vpaddq_s32(lo, hi));
}
static inline vi vi_mul_q15(vi a, vi b) {
  return vreinterpretq_s32_s16(vqrdmulhq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi vi_lows16(vi a, vi b, vi upper) {
  (void)upper;
  return vreinterpretq_s32_s16(vtrn1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi vi_highs16(vi a, vi b, vi upper) {
  (void)upper;
  return vreinterpretq_s32_s16(vtrn2q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi vf_round(vf a) { return vcvtnq_s32_f32(a); }
static inline vi vi_narrow16(vf lo, vf hi) {
  return vreinterpretq_s32_s16(vcombine_s16(vmovn_s32(vf_round(lo)), vmovn_s32(vf_round(hi))));
}
static inline vi vi_pair16(vf lo, vf hi, vi upper) {
  (void)upper;
  return vsliq_n_s32(vf_round(lo), vf_round(hi), 16);
}
static inline vf vf_from_i8(const void *p) {
  uint32_t four;
  memcpy(&four, p, 4);
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four)))));
}
static inline vf vf_from_i16(const int16_t *p) { return vcvtq_f32_s32(vmovl_s16(vld1_s16(p))); }

static inline vi vi_load_s8(const void *p) {
  return vreinterpretq_s32_s16(vmovl_s8(vreinterpret_s8_u8(vld1_u8((const uint8_t *)p))));
}
static inline vi vi_zip_low(vi a, vi b) {
  return vreinterpretq_s32_s16(vzip1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline vi vi_zip_high(vi a, vi b) {
  return vreinterpretq_s32_s16(vzip2q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
}
static inline void vf_unzip(vf *low, vf *high) { (void)low, (void)high; }
static inline void vi_sum4(int32_t *out, vi a, vi b, vi c, vi d) {
  vst1q_s32(out, vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
}
static inline void vf_sum4(float *out, vf a, vf b, vf c, vf d) {
  vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
static inline float vf_sum(vf a) { return vaddvq_f32(a); }
static inline float vf_largest(vf a) { return vmaxnmvq_f32(a); }

#endif
