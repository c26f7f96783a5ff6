/* Memory and strings in WebAssembly, where there is no C library.
 *
 *     | stack | constants, data | heap: blocks in use and free, each {size, ...} | not handed out yet: zero |
 *     0                         __heap_base                                      top        memory.size
 *
 * The heap is a list of free blocks by address, first fit, neighbours joined; it takes more from the host by memory.grow.
 * One thread allocates (that of the engine's caller), so there are no locks. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES      65536
#define BLOCK_ALIGNMENT 16

typedef struct block {
  size_t size;        /* bytes, this header included; a multiple of BLOCK_ALIGNMENT */
  struct block *next; /* of a free block */
  size_t unused[2];   /* so that what is handed out is aligned where pointers take four bytes */
} block;

extern unsigned char __heap_base;
static block *free_blocks;
static uintptr_t top; /* memory from here on was never handed out */

static uintptr_t align_up(uintptr_t n, uintptr_t alignment) { return (n + alignment - 1) & ~(alignment - 1); }

/* Makes sure that the untouched end of the memory has `size` bytes. */
static int grow(size_t size) {
  if (top == 0) top = align_up((uintptr_t)&__heap_base, BLOCK_ALIGNMENT);
  if (size > UINTPTR_MAX - top) return 0;
  size_t have = __builtin_wasm_memory_size(0) * (size_t)PAGE_BYTES; /* 0 where all of 4 GiB is taken */
  size_t left = have - top;
  return size <= left || __builtin_wasm_memory_grow(0, (size - left - 1) / PAGE_BYTES + 1) != SIZE_MAX;
}

/* A block from there. */
static block *extend(size_t size) {
  if (!grow(size)) return NULL;
  block *b = (block *)top;
  b->size = size;
  top += size;
  return b;
}

/* A block of `size` bytes; *fresh: its memory is zero. */
static block *take(size_t n, int *fresh) {
  *fresh = 0;
  if (n > SIZE_MAX - PAGE_BYTES) return NULL;
  size_t size = align_up(n + sizeof(block), BLOCK_ALIGNMENT);
  for (block **link = &free_blocks; *link != NULL; link = &(*link)->next) {
    block *b = *link;
    if (b->size < size) continue;
    if (b->size - size > sizeof(block)) { /* the rest stays free */
      block *rest = (block *)((char *)b + size);
      rest->size = b->size - size;
      rest->next = b->next;
      *link = rest;
      b->size = size;
    } else {
      *link = b->next;
    }
    return b;
  }
  *fresh = 1;
  return extend(size);
}

void *malloc(size_t n) {
  int fresh;
  block *b = take(n, &fresh);
  return b == NULL ? NULL : b + 1;
}

void *calloc(size_t count, size_t size) {
  int fresh;
  if (size != 0 && count > SIZE_MAX / size) return NULL;
  block *b = take(count * size, &fresh);
  if (b == NULL) return NULL;
  return fresh ? b + 1 : memset(b + 1, 0, count * size);
}

/* Whether so many bytes can be had, in parts (base.c); none are taken, but the memory has grown. */
bool heap_reserve(size_t n) {
  for (const block *b = free_blocks; b != NULL && n > 0; b = b->next) n -= b->size < n ? b->size : n;
  return grow(n);
}

static int touch(const block *a, const block *b) { return (const char *)a + a->size == (const char *)b; }

void free(void *p) {
  if (p == NULL) return;
  block *b = (block *)p - 1, *before = NULL, *after = free_blocks;
  while (after != NULL && after < b) {
    before = after;
    after = after->next;
  }
  b->next = after;
  if (after != NULL && touch(b, after)) {
    b->size += after->size;
    b->next = after->next;
  }
  if (before == NULL) {
    free_blocks = b;
  } else if (touch(before, b)) {
    before->size += b->size;
    before->next = b->next;
  } else {
    before->next = b;
  }
}

void *realloc(void *p, size_t n) {
  if (p == NULL) return malloc(n);
  size_t have = ((block *)p - 1)->size - sizeof(block);
  if (n <= have) return p;
  void *larger = malloc(n);
  if (larger == NULL) return NULL;
  memcpy(larger, p, have);
  free(p);
  return larger;
}

/* Heap sort: no memory, n log n whatever the order. */
static void swap(unsigned char *a, unsigned char *b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char byte = a[i];
    a[i] = b[i];
    b[i] = byte;
  }
}

void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *)) {
  unsigned char *base = items;
  for (size_t start = count / 2, end = count; end > 1;) {
    if (start > 0)
      start--;
    else
      swap(base, base + --end * size, size);
    for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
      if (child + 1 < end && compare(base + child * size, base + (child + 1) * size) < 0) child++;
      if (compare(base + root * size, base + child * size) >= 0) break;
      swap(base + root * size, base + child * size, size);
    }
  }
}

/* The compiler makes memory.copy and memory.fill of these. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) { return __builtin_memcpy(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
void *memset(void *p, int byte, size_t n) { return __builtin_memset(p, byte, n); }

int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (size_t i = 0; i < n; i++) {
    if (x[i] != y[i]) return x[i] - y[i];
  }
  return 0;
}

void *memchr(const void *p, int byte, size_t n) {
  const unsigned char *x = p;
  for (size_t i = 0; i < n; i++) {
    if (x[i] == (unsigned char)byte) return (void *)(uintptr_t)(x + i);
  }
  return NULL;
}

size_t strlen(const char *s) {
  size_t n = 0;
  while (s[n] != 0) n++;
  return n;
}

int strncmp(const char *a, const char *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];
    if (x != y || x == 0) return x - y;
  }
  return 0;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }

char *strcpy(char *restrict to, const char *restrict from) { return memcpy(to, from, strlen(from) + 1); }

char *strcat(char *restrict to, const char *restrict from) {
  strcpy(to + strlen(to), from);
  return to;
}

char *strchr(const char *s, int c) { return memchr(s, c, strlen(s) + 1); }

char *strrchr(const char *s, int c) {
  for (size_t i = strlen(s) + 1; i-- > 0;) {
    if (s[i] == (char)c) return (char *)(uintptr_t)(s + i);
  }
  return NULL;
}

char *strstr(const char *s, const char *part) {
  size_t n = strlen(part);
  for (;; s++) {
    if (strncmp(s, part, n) == 0) return (char *)(uintptr_t)s;
    if (*s == 0) return NULL;
  }
}
