#include "whisper_context.h"

enum { SAME_IN_A_ROW = 3 };

bool whisper_context_open(whisper_context *c, int32_t capacity) {
  *c = (whisper_context){.capacity = capacity};
  c->tokens = mem_alloc((size_t)capacity, sizeof *c->tokens);
  return c->tokens != NULL;
}

void whisper_context_close(whisper_context *c) {
  mem_free(c->tokens);
  c->tokens = NULL;
}

void whisper_context_add(whisper_context *c, const int32_t *tokens, int32_t n) {
  if (n == 0) return;
  if (n > c->capacity) {
    tokens += n - c->capacity;
    n = c->capacity;
  }
  int32_t kept = min_i32(c->n, c->capacity - n);
  memmove(c->tokens, c->tokens + c->n - kept, (size_t)kept * sizeof *c->tokens);
  memcpy(c->tokens + kept, tokens, (size_t)n * sizeof *c->tokens);
  c->n = kept + n;
}

void whisper_context_reset(whisper_context *c) { c->n = 0; }

bool whisper_context_repeats(whisper_context *c, const char *text) {
  uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
  c->n_same = hash == c->last_text ? c->n_same + 1 : 1;
  c->last_text = hash;
  return c->n_same >= SAME_IN_A_ROW;
}
