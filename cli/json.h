/* A growing piece of text, and JSON written into it as JSON.stringify would write it.
 *
 * Growing can fail: `failed` then stays set, further text is dropped, and whoever sends the text off looks at it. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct text {
  char *data; /* not NUL-terminated; NULL while empty */
  size_t size, capacity;
  bool failed; /* memory ran out */
} text;

void text_free(text *t); /* and makes it empty again */
void text_bytes(text *t, const char *bytes, size_t size);
void text_string(text *t, const char *string);
void text_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3))); /* up to 255 bytes */

/* A string in quotes. Bytes that are not UTF-8 become U+FFFD, as TextDecoder replaces them. */
void json_string(text *t, const char *bytes, size_t size);

/* x rounded to 1 / scale (scale: 1e3, 1e6): shortest decimal form, no exponent; null when it is not finite. */
void json_number(text *t, double x, double scale);

#endif
