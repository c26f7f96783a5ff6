/* The part of <stdlib.h> that the engine uses, in WebAssembly: see ../libc.c.
 * Memory is taken and given back by one thread only, that of the engine's caller. */
#ifndef SOTTO_WASM_STDLIB_H
#define SOTTO_WASM_STDLIB_H

#include <stddef.h>

void *malloc(size_t n);
void *calloc(size_t count, size_t size);
void *realloc(void *p, size_t n);
void free(void *p);
void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));
static inline int abs(int x) { return x < 0 ? -x : x; }

#endif
