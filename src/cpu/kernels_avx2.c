/* The kernels for AVX2 and FMA; this file alone is compiled with -mavx2 -mfma. */
#if defined(__AVX2__) && defined(__FMA__)
#define KERNELS      kernels_avx2
#define KERNELS_NAME "avx2"
#include "vec_avx2.h"

#include "kernels_body.h"
#else
typedef int kernels_avx2_not_built;
#endif
