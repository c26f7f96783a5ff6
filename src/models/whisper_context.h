/* What the next window is told of the text before it.
 *
 *     initial prompt ─> [last 223 tokens] <─ tokens of each segment; empty again after a text that is not to be trusted
 *
 * A text that once repeats itself in the context tends to go on doing so; so the context is also dropped when segments with the same
 * text follow each other, within a window or from one to the next. */
#ifndef SOTTO_WHISPER_CONTEXT_H
#define SOTTO_WHISPER_CONTEXT_H

#include "../base/base.h"

typedef struct whisper_context {
  int32_t *tokens; /* [capacity] */
  int32_t n, capacity;
  uint64_t last_text; /* hash of the last segment's text */
  int32_t n_same;     /* segments in a row with it */
} whisper_context;

bool whisper_context_open(whisper_context *c, int32_t capacity); /* false: no memory */
void whisper_context_close(whisper_context *c);

/* Appends tokens; the oldest go when there is no room. */
void whisper_context_add(whisper_context *c, const int32_t *tokens, int32_t n);
void whisper_context_reset(whisper_context *c);

/* Notes the text of a segment; true when it is one too many of the same. */
bool whisper_context_repeats(whisper_context *c, const char *text);

#endif
