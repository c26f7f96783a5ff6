/* Block formats of weights: layout, reference quantize and dequantize. Bit layouts are those of ggml files.
 *
 * A row of n elements is n / block_elements blocks of block_bytes each, without padding. */
#ifndef SOTTO_QUANT_H
#define SOTTO_QUANT_H

#include "../base/base.h"

typedef enum dtype { /* numbers as in ggml files */
                     DTYPE_F32 = 0,
                     DTYPE_F16 = 1,
                     DTYPE_Q4_0 = 2,
                     DTYPE_Q4_1 = 3,
                     DTYPE_Q5_0 = 6,
                     DTYPE_Q5_1 = 7,
                     DTYPE_Q8_0 = 8,
                     DTYPE_Q2_K = 10,
                     DTYPE_Q3_K = 11,
                     DTYPE_Q4_K = 12,
                     DTYPE_Q5_K = 13,
                     DTYPE_Q6_K = 14,
                     DTYPE_IQ4_NL = 20,
                     DTYPE_IQ4_XS = 23,
                     DTYPE_BF16 = 30,
                     DTYPE_COUNT = 31
} dtype;

/* Name ("q5_1"), sizes; block_elements is 0 for a number that is no known type. */
const char *dtype_name(uint32_t type);
size_t dtype_block_elements(uint32_t type); /* 1, 32 or 256 */
size_t dtype_block_bytes(uint32_t type);

/* Bytes of a row of n elements; 0 when the type is unknown, n is not a multiple of the block, or the size overflows. */
size_t dtype_row_bytes(uint32_t type, size_t n);

/* dst[n] f32 from one row. The specification of every faster reader of these formats. */
void dequantize_row(uint32_t type, const void *row, float *dst, size_t n);

/* Row of n elements from f32, rounding to nearest as ggml's reference does; false where the type cannot be written yet. */
bool quantize_row(uint32_t type, const float *src, void *row, size_t n);

/* Every block format in one form: 32 elements, in two halves of 16: value = scale[half] * q + offset[half]
 * with q an integer of [-128, 127] (for iq4 types the value of the table). Feeds the integer kernels. */
typedef struct qblock32 {
  int8_t q[32];
  float scale[2], offset[2];
} qblock32;

/* Unpacks elements [32 * index, 32 * index + 32) of a row of a block format (not f32, f16, bf16). Exact: scale * q + offset rounded
 * once in f32 equals dequantize_row within 1 ulp of the larger term. */
void qblock_unpack(uint32_t type, const void *row, size_t index, qblock32 *out);

/* bfloat16: the upper half of an f32. */
static inline float bf16_to_f32(uint16_t h) {
  uint32_t u = (uint32_t)h << 16;
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

/* To nearest even; every NaN stays one. */
static inline uint16_t f32_to_bf16(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
  return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}

#endif
