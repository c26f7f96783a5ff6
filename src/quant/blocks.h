/* The block formats behind quant.h: one pair of functions a type, for one block.
 *
 * unpack: block -> 32 integers with scale and offset.   quantize: f32 -> block.
 * Legacy blocks and iq4_nl hold 32 elements; k-quant and iq4_xs blocks hold 256, and `group` of [0, 8) picks 32 of them. */
#ifndef SOTTO_QUANT_BLOCKS_H
#define SOTTO_QUANT_BLOCKS_H

#include "quant.h"

void q4_0_unpack(const uint8_t *block, qblock32 *restrict out);
void q4_1_unpack(const uint8_t *block, qblock32 *restrict out);
void q5_0_unpack(const uint8_t *block, qblock32 *restrict out);
void q5_1_unpack(const uint8_t *block, qblock32 *restrict out);
void q8_0_unpack(const uint8_t *block, qblock32 *restrict out);

void q2_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);
void q3_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);
void q4_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);
void q5_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);
void q6_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);

/* Of q4_K and q5_K: 6-bit scale and minimum of sub-block i of [0, 8), packed in 12 bytes:
 * bytes 0-3 and 4-7 have those of the first four; bytes 8-11 the low nibbles of the last four, whose upper two bits are
 * the upper two of bytes 0-7. */
void q45_k_scale(const uint8_t *s, size_t i, int *scale, int *min);

/* Signed 6-bit scale i of [0, 16) of q3_K: nibbles in bytes 0-7, upper two bits in bytes 8-11. */
int q3_k_scale(const uint8_t *s, size_t i);

void iq4_nl_unpack(const uint8_t *block, qblock32 *restrict out);
void iq4_xs_unpack(const uint8_t *block, size_t group, qblock32 *restrict out);

void q4_0_quantize(const float *x /* [32] */, uint8_t *block);
void q4_1_quantize(const float *x, uint8_t *block);
void q5_0_quantize(const float *x, uint8_t *block);
void q5_1_quantize(const float *x, uint8_t *block);
void q8_0_quantize(const float *x, uint8_t *block);

void q2_k_quantize(const float *x /* [256] */, uint8_t *block);
void q3_k_quantize(const float *x, uint8_t *block);
void q4_k_quantize(const float *x, uint8_t *block);
void q5_k_quantize(const float *x, uint8_t *block);
void q6_k_quantize(const float *x, uint8_t *block);

void iq4_nl_quantize(const float *x /* [32] */, uint8_t *block);
void iq4_xs_quantize(const float *x /* [256] */, uint8_t *block);

/* Integers [256], 0 and up, with scales and minima [16] or [8] of sub-blocks, into a block. */
void q2_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block);
void q3_k_pack(const uint8_t *q, const int *scale, float d, uint8_t *block);
void q4_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block);
void q5_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block);
void q6_k_pack(const uint8_t *q, const int *scale, float d, uint8_t *block);

static inline float load_f16(const uint8_t *p) { return f16_to_f32(load_u16(p)); }

static inline void store_f16(uint8_t *p, float x) {
  uint16_t h = f32_to_f16(x);
  memcpy(p, &h, 2);
}

/* 1 / x, and 0 for 0: blocks of zeros have scale 0. */
static inline float inverse(float x) { return x != 0.0f ? 1.0f / x : 0.0f; }

/* x cut towards zero, kept in [low, high]; NaN is `low`. (A plain cast is undefined for what does not fit.) */
static inline int cut(float x, int low, int high) {
  if (!(x > (float)low)) return low;
  return x < (float)high ? (int)x : high;
}

#define EACH_BYTE 0x0101010101010101u

/* Eight bits to eight bytes: byte i is bit i, 0 or 1. */
static inline uint64_t spread_bits(uint8_t bits) {
  uint64_t each = (bits * EACH_BYTE) & 0x8040201008040201u; /* byte i: bit i, in place i */
  return ((each + EACH_BYTE * 0x7f) >> 7) & EACH_BYTE;      /* any bit carries into the top one */
}

#endif
