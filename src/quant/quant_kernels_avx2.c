/* The same for AVX2; this file alone is compiled for it. */
#if defined(__AVX2__)
#define KERNELS      quant_kernels_avx2
#define KERNELS_NAME "avx2"
#include "quant_kernels_body.h"
#else
typedef int quant_kernels_avx2_not_built;
#endif
