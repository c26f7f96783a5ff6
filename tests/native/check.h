/* The harness of the native tests. A test is a program:
 *
 *     int main(void) { CHECK(1 + 1 == 2); CHECK_NEAR(sqrt(2), 1.41421, 1e-5); return check_end(); }
 *
 * It runs from the root of the repository, goes on after a failed check, and its last line reads
 * "N passed, N failed, N skipped", which the runner adds up. */
#ifndef SOTTO_TEST_CHECK_H
#define SOTTO_TEST_CHECK_H

#include "../../src/base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int check_n_passed, check_n_failed, check_n_skipped;

static inline bool check_that(bool ok, const char *file, int line, const char *what) {
  if (ok) {
    check_n_passed++;
  } else if (++check_n_failed <= 50) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
  }
  return ok;
}

static inline bool check_near_that(double a, double b, double tolerance, const char *file, int line, const char *what) {
  bool ok = fabs(a - b) <= tolerance || a == b; /* false for NaN, true for equal infinities */
  if (!ok && check_n_failed < 50)
    fprintf(stderr, "%s:%d: %.9g is not within %.3g of %.9g\n", file, line, a, tolerance, b);
  return check_that(ok, file, line, what);
}

/* Both are expressions: true when the check holds. */
#define CHECK(condition)            check_that((condition), __FILE__, __LINE__, #condition)
#define CHECK_NEAR(a, b, tolerance) check_near_that((a), (b), (tolerance), __FILE__, __LINE__, #a " ~ " #b)

/* Says that a part of the test cannot run here; the rest goes on. */
static inline void skip(const char *why) {
  check_n_skipped++;
  printf("skip: %s\n", why);
}

/* Prints the counts; the value for main to return. */
static inline int check_end(void) {
  printf("%d passed, %d failed, %d skipped\n", check_n_passed, check_n_failed, check_n_skipped);
  return check_n_failed != 0;
}

/* -- random numbers, the same on every machine (splitmix64); start from any seed -- */

typedef struct random_state {
  uint64_t state;
} random_state;

static inline uint32_t random_u32(random_state *r) {
  uint64_t z = r->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)(z >> 32);
}

/* Of [0, n). */
static inline uint32_t random_below(random_state *r, uint32_t n) {
  return (uint32_t)((uint64_t)random_u32(r) * n >> 32);
}

/* Of [low, high). */
static inline float random_uniform(random_state *r, float low, float high) {
  return low + (high - low) * (float)(random_u32(r) >> 8) * 0x1p-24f;
}

static inline void random_fill(random_state *r, float *x, size_t n, float low, float high) {
  for (size_t i = 0; i < n; i++) x[i] = random_uniform(r, low, high);
}

/* -- readers that are pushed -- */

typedef struct pushed_reader {
  void *reader;
  sotto_status (*feed)(void *reader, const void *bytes, size_t size, error *err);
  sotto_status (*finish)(void *reader, error *err);
} pushed_reader;

/* Pushes `size` bytes in pieces of `piece` (0: one to 40, at random) and finishes; the first error ends it, must stay, and has a sentence. */
static inline sotto_status push_pieces(const pushed_reader *r, const void *bytes, size_t size, size_t piece,
                                       error *err) {
  random_state random = {size};
  const char *p = bytes;
  error ignored;
  sotto_status status = SOTTO_OK;
  err->text[0] = 0;
  while (size > 0 && status == SOTTO_OK) {
    size_t n = min_size(size, piece ? piece : 1 + random_below(&random, 40));
    char *copy = malloc(n); /* of its exact size, so that reading past it is seen */
    memcpy(copy, p, n);
    status = r->feed(r->reader, copy, n, err);
    free(copy);
    p += n;
    size -= n;
  }
  sotto_status end = r->finish(r->reader, status < 0 ? &ignored : err);
  if (status < 0)
    CHECK(end == status && strcmp(ignored.text, err->text) == 0); /* a failure stays */
  else
    status = end;
  CHECK((status == SOTTO_OK) == (err->text[0] == 0)); /* a sentence with every error */
  return status;
}

/* -- files -- */

/* The whole file, to be freed by free(); NULL when it cannot be read. One NUL is put behind the bytes. `n_bytes` may be NULL. */
static inline char *read_file(const char *path, size_t *n_bytes) {
  char *bytes = NULL;
  long size = 0;
  FILE *f = fopen(path, "rb");
  if (f == NULL) return NULL;
  if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
    bytes = malloc((size_t)size + 1);
    if (bytes != NULL && fread(bytes, 1, (size_t)size, f) != (size_t)size) {
      free(bytes);
      bytes = NULL;
    }
  }
  fclose(f);
  if (bytes == NULL) return NULL;
  bytes[size] = 0;
  if (n_bytes != NULL) *n_bytes = (size_t)size;
  return bytes;
}

static inline bool file_exists(const char *path) {
  FILE *f = fopen(path, "rb");
  if (f != NULL) fclose(f);
  return f != NULL;
}

/* A NumPy array of little-endian float32 or float16 in C order, widened to float32. */
typedef struct npy {
  float *data; /* NULL: not read. Freed by npy_free. */
  int rank;
  size_t shape[4]; /* unused ones are 1 */
  size_t count;
} npy;

static inline npy npy_read(const char *path) {
  npy a = {NULL, 0, {1, 1, 1, 1}, 1};
  size_t n_bytes = 0;
  char *bytes = read_file(path, &n_bytes);
  const char *shape, *header = bytes == NULL ? NULL : bytes + 10;
  if (bytes != NULL && n_bytes > 10 && memcmp(bytes, "\x93NUMPY\x01", 7) == 0) {
    size_t data_at = 10 + load_u16(bytes + 8);
    bool f4 = strstr(header, "'<f4'") != NULL, f2 = strstr(header, "'<f2'") != NULL;
    shape = strstr(header, "'shape': (");
    if ((f4 || f2) && shape != NULL && strstr(header, "'fortran_order': False") != NULL && data_at <= n_bytes) {
      char *at = strchr(header, '(') + 1;
      while (a.rank < 4 && *at >= '0' && *at <= '9') {
        a.shape[a.rank] = strtoul(at, &at, 10);
        a.count *= a.shape[a.rank++];
        while (*at == ',' || *at == ' ') at++;
      }
      size_t width = f4 ? 4 : 2;
      if (a.count <= (n_bytes - data_at) / width) a.data = malloc(a.count * sizeof(float) + 1);
      for (size_t i = 0; a.data != NULL && i < a.count; i++) {
        const char *p = bytes + data_at + i * width;
        a.data[i] = f4 ? load_f32(p) : f16_to_f32(load_u16(p));
      }
    }
  }
  free(bytes);
  return a;
}

/* The 2-norm of a - b over that of b. */
static inline double relative_error(const float *a, const float *b, size_t n) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < n; i++) {
    difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    norm += (double)b[i] * b[i];
  }
  return sqrt(difference / norm);
}

static inline void npy_free(npy *a) {
  free(a->data);
  a->data = NULL;
}

#endif
