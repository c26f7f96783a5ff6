/* Reader of GGUF model files (versions 2 and 3, little-endian), pushed as bytes arrive.
 *
 *     bytes ──feed──> [counts] [key, value]... [tensor name, shape, type, offset]... ──> header callback
 *                     [padding] [data]... ──────────────────────────────────────────> tensor callbacks
 *
 * The bytes up to the data are kept, and values are read from them when asked for: memory is bounded by the bytes that came (at most
 * twice, and at most 256 MB), whatever counts the file claims. Data are handed on in pieces as they come. No I/O.
 *
 * A model may be split into several files, each complete in itself: `gguf_split_of` tells which part this is; feed each to a reader of
 * its own with the same sink. The first part has the metadata. */
#ifndef SOTTO_GGUF_H
#define SOTTO_GGUF_H

#include "tensors.h"

typedef enum gguf_type { /* numbers as in the file */
                         GGUF_U8 = 0,
                         GGUF_I8 = 1,
                         GGUF_U16 = 2,
                         GGUF_I16 = 3,
                         GGUF_U32 = 4,
                         GGUF_I32 = 5,
                         GGUF_F32 = 6,
                         GGUF_BOOL = 7,
                         GGUF_STRING = 8,
                         GGUF_ARRAY = 9,
                         GGUF_U64 = 10,
                         GGUF_I64 = 11,
                         GGUF_F64 = 12
} gguf_type;

typedef struct gguf gguf;

gguf *gguf_open(const tensor_sink *sink); /* NULL: no memory */
void gguf_close(gguf *g);                 /* NULL is allowed */
/* After an error every further call fails alike. Errors: FORMAT, UNSUPPORTED, MEMORY, those of the sink. */
sotto_status gguf_feed(gguf *g, const void *bytes, size_t size, error *err);
sotto_status gguf_finish(gguf *g, error *err); /* FORMAT when the file stops in the middle of something */

/* ---- what the file says: from the header callback on, until the reader is closed ---- */

uint32_t gguf_version(const gguf *g);
uint32_t gguf_n_tensors(const gguf *g);
const file_tensor *gguf_tensor(const gguf *g, uint32_t index); /* index of [0, n), in the order of offsets */
uint64_t gguf_file_bytes(const gguf *g); /* up to the end of the last tensor: the file has no less */

/* Key and type of value `index` of [0, n); `key` is NUL-terminated. */
uint32_t gguf_n_values(const gguf *g);
const char *gguf_key(const gguf *g, uint32_t index, gguf_type *type);

/* Any value by its index, as in the file: of a string or array of `count` bytes or elements the contents (of strings in an array: each behind its size);
 * `element` is the type of an array's elements. */
typedef struct gguf_value {
  gguf_type type, element;
  uint32_t count;
  const uint8_t *bytes;
  size_t size; /* of bytes */
} gguf_value;

gguf_value gguf_value_at(const gguf *g, uint32_t index);

/* A value by its key: false, and *out as it was, when there is no such key or the value is no such thing. Integers of any width are taken
 * for each other where they fit; a float takes integers too, and is finite; a bool takes the integers 0 and 1. */
bool gguf_u32(const gguf *g, const char *key, uint32_t *out);
bool gguf_u64(const gguf *g, const char *key, uint64_t *out);
bool gguf_f32(const gguf *g, const char *key, float *out);
bool gguf_bool(const gguf *g, const char *key, bool *out);
/* Not NUL-terminated, may hold any bytes; lives as long as the reader. */
bool gguf_string(const gguf *g, const char *key, const char **text, size_t *size);

typedef struct gguf_array {
  gguf_type type; /* of the elements; not GGUF_ARRAY */
  uint32_t count;
  const uint8_t
      *bytes;  /* as in the file: numbers packed, unaligned, little-endian; strings each behind its size (u64) */
  size_t size; /* of bytes */
  const uint32_t *strings; /* of strings: where in `bytes` each begins; NULL when there are none */
} gguf_array;

bool gguf_array_of(const gguf *g, const char *key, gguf_array *out);
/* Element `index` of [0, count), as above. */
bool gguf_array_u64(const gguf_array *a, uint32_t index, uint64_t *out);
bool gguf_array_f32(const gguf_array *a, uint32_t index, float *out);
const char *gguf_array_string(const gguf_array *a, uint32_t index, size_t *size); /* NULL: elements are no strings */

/* Which part of a split model this file is. */
typedef struct gguf_split {
  uint32_t part;      /* of [0, n_parts) */
  uint32_t n_parts;   /* 1: the model is in one file */
  uint32_t n_tensors; /* in all parts */
} gguf_split;

gguf_split gguf_split_of(const gguf *g);

#endif
