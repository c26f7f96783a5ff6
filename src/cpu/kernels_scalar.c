/* The kernels in plain C. */
#define KERNELS      kernels_scalar
#define KERNELS_NAME "scalar"
#include "vec_scalar.h"

#include "kernels_body.h"
