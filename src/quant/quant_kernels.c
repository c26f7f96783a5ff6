/* The table for every processor, and the choice of one. */
#define KERNELS      quant_kernels_base
#define KERNELS_NAME "base"
#include "quant_kernels_body.h"

const quant_kernels *quant_kernels_available(int32_t index) {
  if (index == 0) return &quant_kernels_base;
#if defined(__x86_64__)
  if (index == 1 && __builtin_cpu_supports("avx2")) return &quant_kernels_avx2; /* these processors convert f16 too */
#endif
  return NULL;
}

const quant_kernels *quant_kernels_best(void) {
  int32_t last = 0;
  while (quant_kernels_available(last + 1)) last++;
  return quant_kernels_available(last);
}
