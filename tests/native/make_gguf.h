/* GGUF files made in memory, for the tests:
 *
 *     gguf_maker m = {.version = 3};
 *     gguf_put_string(&m, "general.architecture", "gemma3");
 *     gguf_put_tensor(&m, "output_norm.weight", DTYPE_F32, 1, (int64_t[]){640}, values);
 *     byte_list file = gguf_made(&m);                                  frees the maker */
#ifndef SOTTO_TEST_MAKE_GGUF_H
#define SOTTO_TEST_MAKE_GGUF_H

#include "../../src/formats/gguf.h"
#include "make_model.h"

typedef struct gguf_maker {
  uint32_t version;   /* 0: 3 */
  uint64_t alignment; /* 0: 32, without its key */
  byte_list values, tensors, data;
  uint64_t n_values, n_tensors;
} gguf_maker;

static inline void put_u64(byte_list *l, uint64_t v) { put_bytes(l, &v, 8); }

static inline void put_gguf_string(byte_list *l, const char *text, size_t n) {
  put_u64(l, n);
  put_bytes(l, text, n);
}

/* A value of any type, from its bytes in the file. */
static inline void gguf_put(gguf_maker *m, const char *key, uint32_t type, const void *bytes, size_t n) {
  put_gguf_string(&m->values, key, strlen(key));
  put_i32(&m->values, (int32_t)type);
  put_bytes(&m->values, bytes, n);
  m->n_values++;
}

static inline void gguf_put_u32(gguf_maker *m, const char *key, uint32_t v) { gguf_put(m, key, GGUF_U32, &v, 4); }
static inline void gguf_put_f32(gguf_maker *m, const char *key, float v) { gguf_put(m, key, GGUF_F32, &v, 4); }

static inline void gguf_put_string(gguf_maker *m, const char *key, const char *text) {
  gguf_put(m, key, GGUF_STRING, NULL, 0);
  put_gguf_string(&m->values, text, strlen(text));
}

/* An array of numbers from `n` bytes; of strings: the caller appends them to m->values. */
static inline void gguf_put_array(gguf_maker *m, const char *key, uint32_t type, uint64_t count, const void *bytes,
                                  size_t n) {
  gguf_put(m, key, GGUF_ARRAY, NULL, 0);
  put_i32(&m->values, (int32_t)type);
  put_u64(&m->values, count);
  put_bytes(&m->values, bytes, n);
}

static inline void gguf_pad(gguf_maker *m) {
  uint64_t alignment = m->alignment ? m->alignment : 32;
  while (m->data.size % alignment != 0) put_bytes(&m->data, "", 1);
}

/* The entry of a tensor alone. */
static inline void gguf_put_info(gguf_maker *m, const char *name, uint32_t type, int32_t rank, const int64_t *dims,
                                 uint64_t offset) {
  put_gguf_string(&m->tensors, name, strlen(name));
  put_i32(&m->tensors, rank);
  for (int32_t i = 0; i < rank; i++) put_u64(&m->tensors, (uint64_t)dims[rank - 1 - i]);
  put_i32(&m->tensors, (int32_t)type);
  put_u64(&m->tensors, offset);
  m->n_tensors++;
}

/* `values` [dims], row-major, written as `type`. */
static inline void gguf_put_tensor(gguf_maker *m, const char *name, uint32_t type, int32_t rank, const int64_t *dims,
                                   const float *values) {
  size_t n = (size_t)dims[rank - 1], rows = 1, row_bytes = dtype_row_bytes(type, n);
  for (int32_t i = 0; i + 1 < rank; i++) rows *= (size_t)dims[i];
  gguf_pad(m);
  gguf_put_info(m, name, type, rank, dims, m->data.size);
  for (size_t r = 0; r < rows; r++) quantize_row(type, values + r * n, put_room(&m->data, row_bytes), n);
}

static inline byte_list gguf_made(gguf_maker *m) {
  byte_list l = {0};
  uint64_t alignment = m->alignment ? m->alignment : 32;
  if (m->alignment) gguf_put_u32(m, "general.alignment", (uint32_t)alignment);
  put_bytes(&l, "GGUF", 4);
  put_i32(&l, m->version ? (int32_t)m->version : 3);
  put_u64(&l, m->n_tensors);
  put_u64(&l, m->n_values);
  put_bytes(&l, m->values.bytes, m->values.size);
  put_bytes(&l, m->tensors.bytes, m->tensors.size);
  while (m->data.size > 0 && l.size % alignment != 0) put_bytes(&l, "", 1);
  put_bytes(&l, m->data.bytes, m->data.size);
  byte_list_free(&m->values);
  byte_list_free(&m->tensors);
  byte_list_free(&m->data);
  return l;
}

#endif
