/* Bytes that grow. */
#ifndef SOTTO_BYTE_LIST_H
#define SOTTO_BYTE_LIST_H

#include "base.h"

typedef struct byte_list {
  uint8_t *at; /* [size] of [capacity]; free with mem_free */
  size_t size, capacity;
} byte_list;

/* False: no memory, and nothing has changed. */
static inline bool byte_list_add(byte_list *b, const void *bytes, size_t n) {
  uint8_t *at = n <= SIZE_MAX / 2 - b->size ? mem_grow(b->at, 1, b->size, &b->capacity, b->size + n) : NULL;
  if (at == NULL) return false;
  b->at = at;
  if (n > 0) memcpy(b->at + b->size, bytes, n);
  b->size += n;
  return true;
}

static inline bool byte_list_add_u32(byte_list *b, uint32_t v) { return byte_list_add(b, &v, sizeof v); }

#endif
