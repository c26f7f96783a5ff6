/* Fast quantizing: quant_kernels_body.h is compiled once for each instruction set, over vectors of eight lanes that compilers make of what there is, and gives one table.
 *
 * Sums are of eight lanes that are added in one order, products are rounded before they are added: results are the same bits in every table. */
#ifndef SOTTO_QUANT_KERNELS_H
#define SOTTO_QUANT_KERNELS_H

#include "quant.h"

typedef struct quant_kernels {
  const char *name;
  /* x [n] of a row's stretch in f32, f16 or bf16: as dequantize_row, but that a NaN may be another one. n: a multiple of 32. */
  void (*widen)(uint32_t type, const void *row, float *x, size_t n);
  /* Bits of the largest magnitude: 0x7f800000 for an infinity, more for a NaN. n: a multiple of 32. */
  uint32_t (*largest)(const float *x, size_t n);
  /* The bytes of quantize_row. False: not for this type. n: a multiple of 32. */
  bool (*round)(uint32_t type, const float *x, void *row, size_t n);
  /* Blocks [n / block] with the least weighted square error that the search finds. importance [n]: weights of columns; NULL: all count alike.
   * False: there is no search for this type (of those with blocks of 32 there is one only by importance). */
  bool (*search)(uint32_t type, const float *x, const float *importance, void *row, size_t n);
} quant_kernels;

extern const quant_kernels quant_kernels_base, quant_kernels_avx2;

/* The tables that this processor can run: index 0 is the base, the last is the best. NULL past the end. */
const quant_kernels *quant_kernels_available(int32_t index);
const quant_kernels *quant_kernels_best(void);

#endif
