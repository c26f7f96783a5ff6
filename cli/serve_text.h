/* A text that a model writes for a request, token by token.
 *
 *     ids ─> session ─> sampler ─> token ─> text_stream ─> shown ─> whole answer, or an event for each piece */
#ifndef CLI_SERVE_TEXT_H
#define CLI_SERVE_TEXT_H

#include "../src/text/text_stream.h"
#include "serve.h"

typedef struct writing {
  work base;
  served_model *m;
  /* what was asked for */
  bool chat; /* else a completion */
  bool stream, include_usage;
  int64_t most;  /* tokens to write */
  int32_t n_top; /* likeliest tokens told of each place; -1: no log-probabilities */
  int32_t *ids;  /* [room for the context and one], n_ids of them; the prompt is the first n_prompt */
  size_t n_prompt, n_ids;
  sotto_sampler *sampler;
  text_stream *words;
  /* where it is */
  held_conversation *held; /* what holds it, once it has begun */
  bool begun, reading;     /* reading: the logits of the last token are not there yet */
  int32_t n_cached;        /* tokens of the prompt that the session held already */
  const char *finish;      /* why it ended; NULL: it has not */
  char id[48];
  int64_t created_s;
  text written;   /* not sent yet: all of it, where it is not streamed */
  text scores[4]; /* as `written`: content; or tokens, token_logprobs, top_logprobs, text_offset */
  size_t n_characters;
} writing;

/* One token, or a part of the prompt. */
bool writing_step(work *w);
void writing_close(work *w);

#endif
