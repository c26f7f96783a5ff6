#include "whisper_output.h"

#include "../text/unicode.h"

struct whisper_output {
  const whisper_vocab *vocab;
  sotto_segment common;
  sotto_segment *segments; /* [n_tokens / 2 + 1] */
  int32_t n_segments, n_taken;
  sotto_token *tokens; /* [n_tokens], those of all segments */
  int32_t n_tokens;
  char *bytes;    /* [n_tokens * longest] of one text, as the tokens have them */
  char *repaired; /* three times that: one text, valid */
  char *texts;    /* as much and a NUL for each segment: the texts of all segments */
  size_t n_texts;
};

whisper_output *whisper_output_open(const whisper_vocab *vocab, int32_t n_tokens) {
  whisper_output *o = mem_alloc(1, sizeof *o);
  if (o == NULL) return NULL;
  size_t n = (size_t)n_tokens + 1,
         longest = max_size(whisper_vocab_longest(vocab), 32); /* 32: names of special tokens */
  o->vocab = vocab;
  o->segments = mem_alloc(n / 2 + 1, sizeof *o->segments);
  o->tokens = mem_alloc(n, sizeof *o->tokens);
  o->bytes = mem_alloc(n, longest);
  o->repaired = mem_alloc(3 * n, longest);
  o->texts = mem_alloc(3 * n, longest);
  if (o->segments != NULL && o->tokens != NULL && o->bytes != NULL && o->repaired != NULL && o->texts != NULL) return o;
  whisper_output_close(o);
  return NULL;
}

void whisper_output_close(whisper_output *o) {
  if (o == NULL) return;
  mem_free(o->segments);
  mem_free(o->tokens);
  mem_free(o->bytes);
  mem_free(o->repaired);
  mem_free(o->texts);
  mem_free(o);
}

const char *whisper_output_text(whisper_output *o, const int32_t *tokens, int32_t n, int32_t end, size_t *bytes) {
  size_t length = 0;
  for (int32_t i = 0; i < n; i++) {
    uint32_t n_bytes;
    const char *text = whisper_vocab_text(o->vocab, tokens[i], &n_bytes);
    if (tokens[i] >= end) continue;
    memcpy(o->bytes + length, text, n_bytes);
    length += n_bytes;
  }
  /* A text is a C string: a NUL byte in it would hide the rest. */
  for (size_t i = 0; i < length; i++) o->bytes[i] = o->bytes[i] != 0 ? o->bytes[i] : ' ';
  length = utf8_repair(o->bytes, length, o->repaired);
  if (bytes != NULL) *bytes = length;
  return o->repaired;
}

void whisper_output_begin(whisper_output *o, const sotto_segment *common) {
  o->common = *common;
  o->n_segments = o->n_taken = o->n_tokens = 0;
  o->n_texts = 0;
}

const char *whisper_output_add(whisper_output *o, const int32_t *tokens, const float *p, int32_t n, double start_s,
                               double end_s) {
  size_t bytes, stripped;
  const char *text = whisper_output_text(o, tokens, n, whisper_vocab_special(o->vocab)->eot, &bytes);
  stripped = bytes;
  utf8_strip(text, &stripped);
  if (stripped == 0 || start_s == end_s) return NULL;

  sotto_segment *s = &o->segments[o->n_segments++];
  *s = o->common;
  s->start_s = start_s;
  s->end_s = end_s;
  s->text = memcpy(o->texts + o->n_texts, text, bytes + 1);
  o->n_texts += bytes + 1;
  s->tokens = o->tokens + o->n_tokens;
  s->n_tokens = n;
  for (int32_t i = 0; i < n; i++) {
    sotto_token *token = &o->tokens[o->n_tokens++];
    token->id = tokens[i];
    token->p = p[i];
    token->text = whisper_vocab_text(o->vocab, tokens[i], &token->text_bytes);
  }
  return s->text;
}

const sotto_segment *whisper_output_next(whisper_output *o) {
  return o->n_taken < o->n_segments ? &o->segments[o->n_taken++] : NULL;
}
