/* snprintf in WebAssembly, for sentences: %d %i %u %x %X %c %s %p %f %e %g %% with flags - 0 + space, width, precision, and the lengths hh h l ll z j t.
 * Digits of floating point are right to about 15 places, and %f to below 2^64. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct output {
  char *to;
  size_t size, length; /* length: of the whole text, also where it is cut */
} output;

typedef struct spec {
  bool left, zero, plus, space;
  int width, precision; /* precision -1: none given */
} spec;

static void put(output *o, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++, o->length++) {
    if (o->length + 1 < o->size) o->to[o->length] = s[i];
  }
}

static void fill(output *o, char c, int n) {
  for (; n > 0; n--) put(o, &c, 1);
}

/* Sign and digits, padded to the width. */
static void put_padded(output *o, const spec *f, const char *sign, const char *text, size_t n) {
  int padding = f->width - (int)(n + strlen(sign));
  if (!f->left && !f->zero) fill(o, ' ', padding);
  put(o, sign, strlen(sign));
  if (!f->left && f->zero) fill(o, '0', padding);
  put(o, text, n);
  if (f->left) fill(o, ' ', padding);
}

/* Writes the digits before `end`, at least `n_min`; returns their start. */
static char *digits_before(char *end, uint64_t value, unsigned base, bool upper, int n_min) {
  for (; value != 0 || n_min > 0; value /= base, n_min--) {
    unsigned digit = (unsigned)(value % base);
    *--end = (char)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
  }
  return end;
}

#define MAX_DECIMALS 15

/* At `to`: value >= 0 with n decimals (below 2^64); returns the length. */
static size_t fixed(char *to, double value, int n) {
  double scale = 1;
  for (int i = 0; i < n; i++) scale *= 10;
  double whole = n == 0 ? rint(value) : floor(value), part = n == 0 ? 0 : rint((value - whole) * scale);
  if (part >= scale) {
    whole += 1;
    part = 0;
  }
  char buffer[48], *end = buffer + sizeof buffer, *start = end;
  if (n > 0) {
    start = digits_before(end, (uint64_t)part, 10, false, n);
    *--start = '.';
  }
  start = digits_before(start, (uint64_t)whole, 10, false, 1);
  memcpy(to, start, (size_t)(end - start));
  return (size_t)(end - start);
}

static size_t without_trailing_zeros(const char *text, size_t n) {
  if (memchr(text, '.', n) == NULL) return n;
  while (text[n - 1] == '0') n--;
  return text[n - 1] == '.' ? n - 1 : n;
}

static void put_double(output *o, spec f, char kind, double value) {
  char text[64];
  const char *sign = signbit(value) ? "-" : f.plus ? "+" : f.space ? " " : "";
  value = fabs(value);
  if (!isfinite(value)) {
    f.zero = false;
    put_padded(o, &f, sign, isnan(value) ? "nan" : "inf", 3);
    return;
  }
  int precision = f.precision < 0 ? 6 : f.precision > MAX_DECIMALS ? MAX_DECIMALS : f.precision;
  if (kind == 'g' && precision == 0) precision = 1;
  if (kind == 'f' && value < 0x1p63) {
    put_padded(o, &f, sign, text, fixed(text, value, precision));
    return;
  }
  /* value = mantissa 10^exponent, the mantissa in [1, 10) after rounding */
  int n_decimals = kind == 'g' ? precision - 1 : precision, exponent = value == 0 ? 0 : (int)floor(log10(value));
  double mantissa = exponent < -300 ? value * 1e200 / pow(10, exponent + 200) : value / pow(10, exponent);
  double half = 0.5 / pow(10, n_decimals);
  if (mantissa + half >= 10) {
    mantissa /= 10;
    exponent++;
  } else if (value != 0 && mantissa < 1) {
    mantissa *= 10;
    exponent--;
  }
  if (kind == 'g' && exponent >= -4 && exponent < precision && precision - 1 - exponent <= MAX_DECIMALS) {
    size_t n = fixed(text, value, precision - 1 - exponent);
    put_padded(o, &f, sign, text, without_trailing_zeros(text, n));
    return;
  }
  size_t n = fixed(text, mantissa, n_decimals);
  if (kind == 'g') n = without_trailing_zeros(text, n);
  text[n++] = 'e';
  text[n++] = exponent < 0 ? '-' : '+';
  char *end = text + sizeof text,
       *start = digits_before(end, (uint64_t)(exponent < 0 ? -exponent : exponent), 10, false, 2);
  memmove(text + n, start, (size_t)(end - start));
  put_padded(o, &f, sign, text, n + (size_t)(end - start));
}

static void put_integer(output *o, spec f, char kind, uint64_t magnitude, bool negative) {
  char buffer[72], *end = buffer + sizeof buffer;
  const char *sign = negative ? "-" : kind != 'd' ? "" : f.plus ? "+" : f.space ? " " : "";
  if (f.precision >= 0) f.zero = false;
  int n_min = f.precision < 0 ? 1 : f.precision > 64 ? 64 : f.precision;
  char *start = digits_before(end, magnitude, kind == 'x' || kind == 'X' ? 16 : 10, kind == 'X', n_min);
  put_padded(o, &f, sign, start, (size_t)(end - start));
}

static int number(const char **at) {
  int n = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) n = n < 10000 ? n * 10 + (**at - '0') : n;
  return n;
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments) {
  output o = {to, size, 0};
  for (const char *at = format; *at != 0; at++) {
    if (*at != '%') {
      put(&o, at, 1);
      continue;
    }
    spec f = {.precision = -1};
    for (at++;; at++) {
      if (*at == '-')
        f.left = true;
      else if (*at == '0')
        f.zero = true;
      else if (*at == '+')
        f.plus = true;
      else if (*at == ' ')
        f.space = true;
      else
        break;
    }
    if (*at == '*') {
      f.width = va_arg(arguments, int), at++;
      if (f.width < 0) f.left = true, f.width = -f.width;
    } else {
      f.width = number(&at);
    }
    if (*at == '.') {
      at++;
      if (*at == '*')
        f.precision = va_arg(arguments, int), at++;
      else
        f.precision = number(&at);
    }
    int n_long = 0; /* two: 64 bits; long, size_t and pointers have 32 */
    for (;; at++) {
      if (*at == 'l')
        n_long++;
      else if (*at == 'j')
        n_long = 2;
      else if (*at != 'h' && *at != 'z' && *at != 't')
        break;
    }
    switch (*at) {
      case 'd':
      case 'i': {
        int64_t v = n_long >= 2 ? va_arg(arguments, int64_t) : va_arg(arguments, int32_t);
        put_integer(&o, f, 'd', v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0);
        break;
      }
      case 'p':
        put(&o, "0x", 2);
        put_integer(&o, f, 'x', (uintptr_t)va_arg(arguments, void *), false);
        break;
      case 'u':
      case 'x':
      case 'X':
        put_integer(&o, f, *at, n_long >= 2 ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t), false);
        break;
      case 'c': {
        char c = (char)va_arg(arguments, int);
        put_padded(&o, &f, "", &c, 1);
        break;
      }
      case 's': {
        const char *s = va_arg(arguments, const char *);
        const char *end = f.precision < 0 ? NULL : memchr(s, 0, (size_t)f.precision);
        f.zero = false;
        put_padded(&o, &f, "", s, end != NULL ? (size_t)(end - s) : f.precision < 0 ? strlen(s) : (size_t)f.precision);
        break;
      }
      case 'f':
      case 'e':
      case 'g':
        put_double(&o, f, *at, va_arg(arguments, double));
        break;
      case 0:
        at--;
        break; /* a format that stops in the middle */
      default:
        put(&o, at, 1);
    }
  }
  if (size > 0) to[o.length < size ? o.length : size - 1] = 0;
  return (int)o.length;
}

int snprintf(char *to, size_t size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(to, size, format, arguments);
  va_end(arguments);
  return n;
}
