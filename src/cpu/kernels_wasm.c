/* The kernels for WebAssembly SIMD, plain or relaxed as the file is compiled. */
#if defined(__wasm_simd128__)
#define KERNELS kernels_wasm
#ifdef __wasm_relaxed_simd__
#define KERNELS_NAME "wasm-relaxed-simd"
#else
#define KERNELS_NAME "wasm-simd"
#endif
#include "vec_wasm.h"

#include "kernels_body.h"
#else
typedef int kernels_wasm_not_built;
#endif
