/* What every part of the engine stands on: errors, memory, half floats, time. No I/O.
 *
 * Errors: a function that can fail takes an `error *` and returns a sotto_status. Where the failure is found,
 * `return fail(err, SOTTO_ERR_..., "one sentence: what is wrong and what to do")`; on the way up, TRY(call). */
#ifndef SOTTO_BASE_H
#define SOTTO_BASE_H

#include "../../include/sotto.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct error {
  char text[512];
} error;

/* Writes the sentence (printf form; err may be NULL) and returns `status`. */
sotto_status fail(error *err, sotto_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define TRY(call)                            \
  do {                                       \
    sotto_status try_status_ = (call);       \
    if (try_status_ < 0) return try_status_; \
  } while (0)

/* Zeroed memory, aligned to 64 bytes; NULL when there is none or when count * size overflows. Free with mem_free(NULL is allowed). */
void *mem_alloc(size_t count, size_t size);
void mem_free(void *p);

/* Whether this many bytes more can be had, in parts. Takes none. */
bool mem_reserve(uint64_t bytes);

/* A block with room for `need` elements of `size` bytes: `block` (NULL at first) while *capacity elements are enough, else one of at least
 * twice as many, to which the first `used` have moved. NULL when there is no memory: then nothing has changed. */
void *mem_grow(void *block, size_t size, size_t used, size_t *capacity, size_t need);

/* FNV-1a of 64 bits over bytes that may come in pieces: begin with HASH_START, go on with the last result. */
#define HASH_START 0xcbf29ce484222325u
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n);
/* The same of a key, mixed so that the low bits depend on all: for tables. */
uint32_t hash_key(const void *bytes, size_t n);

/* Monotonic wall time. */
double now_ms(void);

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline int32_t min_i32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t max_i32(int32_t a, int32_t b) { return a > b ? a : b; }

/* Little-endian loads from unaligned bytes. */
static inline uint16_t load_u16(const void *p) {
  uint16_t v;
  memcpy(&v, p, 2);
  return v;
}
static inline uint32_t load_u32(const void *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}
static inline uint64_t load_u64(const void *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}
static inline float load_f32(const void *p) {
  float v;
  memcpy(&v, p, 4);
  return v;
}

/* IEEE 754 half precision, by integer arithmetic (bit exact with F16C; every NaN stays one). */
static inline float f16_to_f32(uint16_t h) {
  union {
    uint32_t u;
    float f;
  } out, magic = {.u = 113u << 23};
  const uint32_t exponent = 0x7c00u << 13;
  out.u = (uint32_t)(h & 0x7fffu) << 13;
  uint32_t e = exponent & out.u;
  out.u += (127 - 15) << 23;
  if (e == exponent)
    out.u += (128 - 16) << 23; /* infinity, NaN */
  else if (e == 0) {
    out.u += 1u << 23;
    out.f -= magic.f;
  } /* subnormal */
  out.u |= (uint32_t)(h & 0x8000u) << 16;
  return out.f;
}
uint16_t f32_to_f16(float f); /* to nearest even */

#endif
