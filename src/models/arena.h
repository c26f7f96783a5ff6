/* Tensors side by side in one buffer, as operations want those that they work on together. They are laid out twice: without a buffer, to learn its
 * size, and in it. */
#ifndef SOTTO_ARENA_H
#define SOTTO_ARENA_H

#include "../ops.h"

typedef struct arena {
  buffer *buf; /* NULL while only sizes matter */
  uint64_t n;  /* elements taken */
} arena;

/* A tensor [rows, cols] of its own memory, which begins at a multiple of 64 elements. */
static inline tensor arena_take(arena *a, int32_t rows, int32_t cols) {
  const tensor t = tensor_matrix(a->buf, (size_t)a->n, rows, cols);
  a->n += ((uint64_t)rows * (uint64_t)cols + 63) & ~(uint64_t)63;
  return t;
}

/* The buffer for all that was taken; NULL: no memory. */
static inline buffer *arena_open(const arena *a, backend *be) {
  return a->n <= SIZE_MAX / sizeof(float) ? be->ops->buffer_open(be, (size_t)a->n) : NULL;
}

#endif
