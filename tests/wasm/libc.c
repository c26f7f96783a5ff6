/* What the C tests need of a C library beyond src/wasm/, over a handful of imports from tests/wasm/run.mjs. */
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("test"), import_name(#name)))

IMPORT(write) void host_write(int fd, const char *text, size_t n);
IMPORT(exit) _Noreturn void host_exit(int code);
IMPORT(file_open) int host_file_open(const char *path, size_t n); /* a descriptor, -1: it cannot be read */
IMPORT(file_size) double host_file_size(int fd);
IMPORT(file_read) size_t host_file_read(int fd, double at, void *to, size_t n);
IMPORT(file_close) void host_file_close(int fd);
IMPORT(fmod) double host_fmod(double x, double y);
IMPORT(number) double host_number(const char *text, size_t n);

/* A test's main, which the Makefile renames. */
int test_main(void);
__attribute__((export_name("test_run"))) int test_run(void) { return test_main(); }

double fmod(double x, double y) { return host_fmod(x, y); }

/* Of finite numbers, one is a step in the bits away. */
float nextafterf(float from, float to) {
  int32_t bits;
  if (from == to) return to;
  if (from == 0) return copysignf(0x1p-149f, to);
  memcpy(&bits, &from, sizeof bits);
  bits += (from < to) == (from > 0) ? 1 : -1;
  memcpy(&from, &bits, sizeof bits);
  return from;
}
void exit(int code) { host_exit(code); }

/* ---- files and printing ---- */

struct FILE {
  int fd;
  long at;
};

static FILE standard[] = {{.fd = 1}, {.fd = 2}};
FILE *const stdout = &standard[0], *const stderr = &standard[1];

static int print(int fd, const char *format, va_list arguments) {
  char line[2048];
  int n = vsnprintf(line, sizeof line, format, arguments);
  host_write(fd, line, strlen(line));
  return n;
}

int printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = print(1, format, arguments);
  va_end(arguments);
  return n;
}

int fprintf(FILE *f, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = print(f->fd, format, arguments);
  va_end(arguments);
  return n;
}

/* The compiler makes these of calls of printf and fprintf. */
size_t fwrite(const void *from, size_t size, size_t count, FILE *f) {
  host_write(f->fd, from, size * count);
  return count;
}

int fputc(int c, FILE *f) {
  host_write(f->fd, &(char){(char)c}, 1);
  return c;
}

int putchar(int c) { return fputc(c, stdout); }
int puts(const char *s) { return printf("%s\n", s); }

FILE *fopen(const char *path, const char *mode) {
  if (strcmp(mode, "rb") != 0) return NULL;
  int fd = host_file_open(path, strlen(path));
  FILE *f = fd < 0 ? NULL : malloc(sizeof *f);
  if (f != NULL) *f = (FILE){.fd = fd};
  return f;
}

int fseek(FILE *f, long offset, int from) {
  const double start = from == SEEK_SET ? 0 : from == SEEK_CUR ? f->at : host_file_size(f->fd), at = start + offset;
  if (at < 0 || at > INT32_MAX) return -1;
  f->at = (long)at;
  return 0;
}

long ftell(FILE *f) { return f->at; }

size_t fread(void *to, size_t size, size_t count, FILE *f) {
  if (size == 0 || count > SIZE_MAX / size) return 0;
  const size_t n = host_file_read(f->fd, f->at, to, size * count);
  f->at += (long)n;
  return n / size;
}

int fclose(FILE *f) {
  host_file_close(f->fd);
  free(f);
  return 0;
}

/* ---- strings and numbers ---- */

static size_t span(const char *s, const char *set, int member) {
  size_t n = 0;
  while (s[n] != 0 && (strchr(set, s[n]) != NULL) == member) n++;
  return n;
}

size_t strspn(const char *s, const char *of) { return span(s, of, 1); }
size_t strcspn(const char *s, const char *none_of) { return span(s, none_of, 0); }

unsigned long strtoul(const char *text, char **end, int base) {
  unsigned long value = 0;
  for (; *text >= '0' && *text < '0' + base; text++) value = value * (unsigned long)base + (unsigned long)(*text - '0');
  if (end != NULL) *end = (char *)(uintptr_t)text;
  return value;
}

/* Decimal numbers; *end is `text` where there is none. JavaScript reads them, rounded to nearest. */
double strtod(const char *text, char **end) {
  const char *at = text + strspn(text, " \t\n"), *begin = at;
  at += *at == '-' || *at == '+';
  const size_t whole = strspn(at, "0123456789"), point = at[whole] == '.',
               part = point ? strspn(at + whole + 1, "0123456789") : 0;
  at += whole + point + part;
  if (whole + part > 0 && (*at == 'e' || *at == 'E')) {
    const size_t sign = at[1] == '-' || at[1] == '+', exponent = strspn(at + 1 + sign, "0123456789");
    if (exponent > 0) at += 1 + sign + exponent;
  }
  if (end != NULL) *end = (char *)(uintptr_t)(whole + part > 0 ? at : text);
  return whole + part > 0 ? host_number(begin, (size_t)(at - begin)) : 0;
}
