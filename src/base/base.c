/* Errors, memory, half floats, time: see base.h. */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* madvise */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define EXACT_BOUNDS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BOUNDS 1
#endif
#endif

#define ALIGNMENT 64 /* bytes: a cache line, and the widest vector */

sotto_status fail(error *err, sotto_status status, const char *format, ...) {
  if (err != NULL) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
  }
  return status;
}

#ifdef EXACT_BOUNDS /* the sanitizer sees the first byte behind the block */

void *mem_alloc(size_t count, size_t size) {
  void *p = NULL;
  if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size) return NULL;
  if (posix_memalign(&p, ALIGNMENT, max_size(count * size, 1)) != 0) return NULL;
  memset(p, 0, count * size);
  return p;
}

void mem_free(void *p) { free(p); }

#else

/* Large pages for what is large: reading weights from memory is a fifth faster (SPEED.md). Only a wish: failing changes nothing. */
static void wish_for_large_pages(char *p, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  const size_t page = 4096, skip = (page - (uintptr_t)p % page) % page;
  if (bytes >= (size_t)1 << 20) madvise(p + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
#else
  (void)p, (void)bytes;
#endif
}

/* calloc takes fresh pages from the system as they are, zero; its address is kept right below the block. */

void *mem_alloc(size_t count, size_t size) {
  if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size) return NULL;
  char *raw = calloc(1, count * size + ALIGNMENT);
  if (raw == NULL) return NULL;
  wish_for_large_pages(raw, count * size + ALIGNMENT);
  char *p =
      raw + (ALIGNMENT - (uintptr_t)raw % ALIGNMENT); /* malloc aligns to 8 at least, so there is room for a pointer */
  memcpy(p - sizeof raw, &raw, sizeof raw);
  return p;
}

void mem_free(void *p) {
  char *raw;
  if (p == NULL) return;
  memcpy(&raw, (char *)p - sizeof raw, sizeof raw);
  free(raw);
}

#endif

void *mem_grow(void *block, size_t size, size_t used, size_t *capacity, size_t need) {
  if (need <= *capacity) return block;
  const size_t larger = max_size(max_size(need, 64), *capacity <= SIZE_MAX / 2 ? 2 * *capacity : need);
  void *grown = mem_alloc(larger, size);
  if (grown == NULL) return NULL;
  if (used > 0) memcpy(grown, block, used * size);
  mem_free(block);
  *capacity = larger;
  return grown;
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n) {
  const uint8_t *p = bytes;
  for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
  return hash;
}

uint32_t hash_key(const void *bytes, size_t n) {
  const uint64_t hash = hash_bytes(HASH_START, bytes, n);
  return (uint32_t)(hash ^ hash >> 32);
}

#ifdef __wasm__

bool heap_reserve(size_t bytes); /* src/wasm/libc.c */
bool mem_reserve(uint64_t bytes) { return bytes <= SIZE_MAX && heap_reserve((size_t)bytes); }

__attribute__((import_module("env"), import_name("now_ms"))) double host_now_ms(void);
double now_ms(void) { return host_now_ms(); }

#else

#include <time.h>

#ifdef EXACT_BOUNDS
#define MOST_BYTES ((uint64_t)1 << 34) /* the sanitizer ends programs that ask for what no machine has */
#else
#define MOST_BYTES (SIZE_MAX / 2)
#endif

bool mem_reserve(uint64_t bytes) {
  void *volatile p =
      bytes < MOST_BYTES ? malloc((size_t)bytes + 1) : NULL; /* volatile: compilers leave such pairs out */
  const bool had = p != NULL;
  free(p);
  return had;
}

double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

#endif

uint16_t f32_to_f16(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  uint32_t sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x1ffu)); /* a quiet NaN */
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
  if (magnitude < 0x33000001u) return (uint16_t)sign;              /* 2^-25 and less round to zero */
  uint32_t exponent = magnitude >> 23, mantissa = magnitude & 0x7fffffu, drop = 13, half = 0;
  if (exponent > 112) {
    half = (exponent - 112) << 10;
  } else { /* subnormal: the leading one becomes explicit, and more bits are dropped */
    mantissa |= 0x800000u;
    drop = 126 - exponent;
  }
  uint32_t rest = mantissa & ((1u << drop) - 1), middle = 1u << (drop - 1);
  half += mantissa >> drop;
  if (rest > middle || (rest == middle && (half & 1))) half++; /* a carry into the exponent is right */
  return (uint16_t)(sign | half);
}
