/* The kernels in plain C. */
#define KERNELS      kernels_scalar
#define KERNELS_NAME "scalar"
#define PLAIN        /* loops stay loops: one copy of each for all packings and sizes, else compilers work for a minute */
#include "vec_scalar.h"

#include "kernels_body.h"
