/* Which table of kernels runs here. */
#include "kernels.h"

const kernels *kernels_available(int32_t index) {
  if (index == 0) return &kernels_scalar;
#if defined(__x86_64__)
  if (index == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#elif defined(__aarch64__)
  if (index == 1) return &kernels_neon;
#elif defined(__wasm_simd128__)
  if (index == 1) return &kernels_wasm;
#endif
  return NULL;
}

const kernels *kernels_best(void) {
#if defined(__wasm_simd128__)
  return &kernels_wasm; /* named here alone, so that the package comes without the scalar ones */
#else
  int32_t last = 0;
  while (kernels_available(last + 1)) last++;
  return kernels_available(last);
#endif
}
