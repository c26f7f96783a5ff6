/* The kernels for AArch64 NEON. */
#if defined(__aarch64__)
#define KERNELS      kernels_neon
#define KERNELS_NAME "neon"
#include "vec_neon.h"

#include "kernels_body.h"
#else
typedef int kernels_neon_not_built;
#endif
