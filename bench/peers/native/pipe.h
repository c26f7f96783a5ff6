/* What the programs around native engines share: requests on standard input, answers on standard output.
 *
 *   request   a line of whole numbers, the first one the bytes that follow it
 *   answer    a line of whole numbers, the first one the bytes of text that follow it
 *
 * The first answer comes without a request, when the engine is loaded: its text says what it was compiled for. A program ends with its input; what
 * goes wrong is one line on standard error and status 1. */
#ifndef PIPE_H
#define PIPE_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIPE_MOST_BYTES (1u << 28) /* of a request: an hour of samples and more */

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

static inline long long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A whole number from least to most, as an argument or in a request; `end`: behind it, may be NULL where nothing may follow. */
static inline long whole(const char *text, char **end, long least, long most) {
  char *behind;
  errno = 0;
  const long n = strtol(text, &behind, 10);
  if (behind == text || errno || n < least || n > most || (end == NULL && *behind)) {
    fail("not a whole number from %ld to %ld: %.40s", least, most, text);
  }
  if (end) *end = behind;
  return n;
}

/* The next request: its bytes, with a zero behind them, which the caller frees, and n more numbers. NULL: there is none. */
static inline char *request(size_t *bytes, long *numbers, int n) {
  char line[256], *at;
  if (fgets(line, sizeof line, stdin) == NULL) return NULL;
  *bytes = (size_t)whole(line, &at, 0, PIPE_MOST_BYTES);
  for (int i = 0; i < n; i++) numbers[i] = whole(at, &at, 0, 1 << 30);
  char *body = malloc(*bytes + 1);
  if (body == NULL) fail("no memory for a request of %zu bytes", *bytes);
  if (fread(body, 1, *bytes, stdin) != *bytes) fail("the request ended early");
  body[*bytes] = 0;
  return body;
}

static inline void answer(const char *text, size_t bytes, const long long *numbers, int n) {
  printf("%zu", bytes);
  for (int i = 0; i < n; i++) printf(" %lld", numbers[i]);
  putchar('\n');
  fwrite(text, 1, bytes, stdout);
  if (fflush(stdout) != 0) fail("cannot write the answer");
}

#endif
