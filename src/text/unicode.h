/* UTF-8 and the three classes of characters that pre-tokenization asks for. */
#ifndef SOTTO_UNICODE_H
#define SOTTO_UNICODE_H

#include "../base/base.h"

typedef enum unicode_class {
  UNICODE_OTHER = 0,
  UNICODE_LETTER = 1,
  UNICODE_NUMBER = 2,
  UNICODE_SPACE = 3
} unicode_class;

#define UNICODE_REPLACEMENT 0xfffdu

/* Class of a code point: \p{L}, \p{N}, \p{White_Space}, or none of them. */
unicode_class unicode_class_of(uint32_t code_point);

/* Reads the character at the start of text[n], n >= 1. Returns its bytes. Where the bytes are no UTF-8, returns the length of the
 * longest prefix that begins a character (at least 1), as Python's errors='replace' counts them, and
 * *code_point is UNICODE_REPLACEMENT, *valid false. */
size_t utf8_read(const char *text, size_t n, uint32_t *code_point, bool *valid);

/* Copies text[n] to out with every broken sequence replaced by U+FFFD, NUL-terminated. `out` has room for 3 n + 1 bytes.
 * Returns the bytes without the NUL. */
size_t utf8_repair(const char *text, size_t n, char *out);

/* Narrows text[n] to what Python's str.strip() leaves: *n is the new length, the result the new start. Valid UTF-8 only. */
const char *utf8_strip(const char *text, size_t *n);

#endif
