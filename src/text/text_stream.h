/* From the bytes of tokens to text that can be shown at once: whole characters, and nothing that may become a stop
 * string.
 *
 *     " wor" "ld\xe2" "\x82\xac" "<en" "d>..."        stop string "<end>"
 *     " wor" "ld"     "€"        ""    stopped; what follows is dropped
 *
 * Bytes that are no UTF-8 come out as U+FFFD. */
#ifndef SOTTO_TEXT_STREAM_H
#define SOTTO_TEXT_STREAM_H

#include "../base/base.h"

#define TEXT_STREAM_MAX_STOPS      64
#define TEXT_STREAM_MAX_STOP_BYTES 1024

typedef struct text_stream text_stream;

/* `stops`: n_stops strings of `bytes[i]` bytes each, copied. Errors: ARGUMENT (an empty one, too many, too long),
 * MEMORY; *out is NULL then. */
sotto_status text_stream_open(text_stream **out, const char *const *stops, const size_t *bytes, size_t n_stops,
                              error *err);
void text_stream_close(text_stream *s); /* NULL is allowed */

/* Adds the bytes of a token. *text [*n] is what can be shown now, valid UTF-8, perhaps nothing; it lives until the
 * next call. Errors: MEMORY. */
sotto_status text_stream_push(text_stream *s, const char *bytes, size_t n_bytes, const char **text, size_t *n,
                              error *err);

/* At the end of generation, once: what was held back, up to a stop string in it. */
sotto_status text_stream_finish(text_stream *s, const char **text, size_t *n, error *err);

/* The index of the stop string that was met, -1: none so far. Once met, pushing does nothing. */
int32_t text_stream_stopped(const text_stream *s);

#endif
