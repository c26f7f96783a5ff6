/* The CPU's quantization, row by row, in WebAssembly: quantize.test.mjs compares the kernels with it.
 *
 *     room(bytes) ─> address, valid until the next rooms_free();   quantized or searched(type, x, ..., row);   values(type, row, n, x) */
#include "../../src/quant/quant_kernels.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { MAX_ROOMS = 16 };
static void *rooms[MAX_ROOMS];
static int n_rooms;

/* NULL: there is no memory, or no room more. */
void *EXPORT(room)(size_t bytes) {
  void *p = n_rooms < MAX_ROOMS ? mem_alloc(bytes, 1) : NULL;
  if (p != NULL) rooms[n_rooms++] = p;
  return p;
}

void EXPORT(rooms_free)(void) {
  while (n_rooms > 0) mem_free(rooms[--n_rooms]);
}

size_t EXPORT(row_bytes)(uint32_t type, size_t n) { return dtype_row_bytes(type, n); }

/* x[n] as a row of a type; 0 where n does not fit it. */
int32_t EXPORT(quantized)(uint32_t type, const float *x, size_t n, void *row) { return quantize_row(type, x, row, n); }

/* x[n] with the scales that the CPU's search finds; importance [n], or NULL. 0 where there is no search. */
int32_t EXPORT(searched)(uint32_t type, const float *x, const float *importance, size_t n, void *row) {
  return quant_kernels_best()->search(type, x, importance, row, n);
}

/* And back. */
void EXPORT(values)(uint32_t type, const void *row, size_t n, float *x) { dequantize_row(type, row, x, n); }
