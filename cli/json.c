#include "json.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_free(text *t) {
  free(t->data);
  *t = (text){0};
}

void text_bytes(text *t, const char *bytes, size_t size) {
  if (size == 0 || t->failed) return;
  if (size > t->capacity - t->size) {
    size_t capacity = t->capacity > 0 ? t->capacity : 256;
    while (capacity - t->size < size && capacity <= SIZE_MAX / 2) capacity *= 2;
    char *data = capacity - t->size >= size ? realloc(t->data, capacity) : NULL;
    if (data == NULL) {
      t->failed = true;
      return;
    }
    t->data = data;
    t->capacity = capacity;
  }
  memcpy(t->data + t->size, bytes, size);
  t->size += size;
}

void text_string(text *t, const char *string) { text_bytes(t, string, strlen(string)); }

void text_format(text *t, const char *format, ...) {
  char piece[256];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(piece, sizeof piece, format, args);
  va_end(args);
  if (n > 0) text_bytes(t, piece, (size_t)n < sizeof piece ? (size_t)n : sizeof piece - 1);
}

/* Bytes of the character that `p` begins with; where it is none, 0 and *bad: how many bytes one U+FFFD stands for
 * (the longest beginning of a character, at least one byte: the practice that the Encoding standard follows). */
static size_t utf8_length(const unsigned char *p, size_t size, size_t *bad) {
  unsigned char lead = p[0], low = 0x80, high = 0xbf; /* bounds of the second byte */
  size_t n = lead < 0x80                    ? 1
             : lead >= 0xc2 && lead <= 0xdf ? 2
             : (lead & 0xf0) == 0xe0        ? 3
             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                            : 0;
  *bad = 1;
  if (n < 2) return n;
  if (lead == 0xe0) low = 0xa0;  /* overlong */
  if (lead == 0xed) high = 0x9f; /* surrogates */
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f; /* above U+10FFFF */
  for (size_t i = 1; i < n; i++) {
    if (i >= size || p[i] < low || p[i] > high) return 0;
    *bad = i + 1;
    low = 0x80;
    high = 0xbf;
  }
  return n;
}

void json_string(text *t, const char *bytes, size_t size) {
  const unsigned char *p = (const unsigned char *)bytes, *end = p + size;
  text_bytes(t, "\"", 1);
  while (p < end) {
    size_t bad, n = utf8_length(p, (size_t)(end - p), &bad);
    if (n == 0) {
      text_string(t, "\xef\xbf\xbd");
      p += bad;
      continue;
    }
    switch (*p) {
      case '"':
        text_string(t, "\\\"");
        break;
      case '\\':
        text_string(t, "\\\\");
        break;
      case '\b':
        text_string(t, "\\b");
        break;
      case '\f':
        text_string(t, "\\f");
        break;
      case '\n':
        text_string(t, "\\n");
        break;
      case '\r':
        text_string(t, "\\r");
        break;
      case '\t':
        text_string(t, "\\t");
        break;
      default:
        if (*p < 0x20)
          text_format(t, "\\u%04x", *p);
        else
          text_bytes(t, (const char *)p, n);
    }
    p += n;
  }
  text_bytes(t, "\"", 1);
}

void json_number(text *t, double x, double scale) {
  if (!isfinite(x)) {
    text_string(t, "null");
    return;
  }
  char digits[400]; /* the largest double has 309 before the point */
  double rounded = floor(x * scale + 0.5) / scale;
  int n = snprintf(digits, sizeof digits, "%.6f", rounded == 0 ? 0.0 : rounded); /* no minus zero */
  while (digits[n - 1] == '0') n--;
  if (digits[n - 1] == '.') n--;
  text_bytes(t, digits, (size_t)n);
}
