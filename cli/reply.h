/* A text that a model writes after a prompt.
 *
 *     ids ─> prefill ─> logits ─> sampler ─> token ─> text_stream: whole characters, no stop string ─> show
 *               └─────────────── decode ──────┘ */
#ifndef CLI_REPLY_H
#define CLI_REPLY_H

#include <stdio.h>

#include "json.h"
#include "language.h"
#include "sampling.h"

typedef struct reply_options {
  const sotto_sampler_options *sampling;
  int64_t most; /* tokens to write */
  const char *const *stops;
  size_t n_stops;
  int32_t n_top; /* the likeliest tokens to tell of beside each written one; -1: no log-probabilities */
  /* Takes text that is final, in whole characters; false (errno says why) ends the work. */
  bool (*show)(void *context, const char *bytes, size_t size);
  void *context;
} reply_options;

typedef struct reply {
  int32_t *ids; /* [n_ids]: the prompt, then what was written, with the token that ended it */
  size_t n_prompt, n_ids;
  text written;            /* without what ended it */
  text logprobs;           /* elements of a JSON array */
  const char *stop_reason; /* "end", "stop", "length", "context", "interrupted" */
  double prefill_ms, decode_ms;
  int32_t n_prefill, n_decode; /* tokens evaluated before the first was written, and after it */
  sotto_speculation guessed;   /* of this reply; all zero where nothing was */
} reply;

/* Makes a reply to ids [n], copied. False after printing why not. Free it in either case. */
bool reply_open(reply *r, const int32_t *ids, size_t n, size_t capacity);
void reply_free(reply *r);

/* Writes until something ends it, an interrupt too. The session keeps what it holds already of the prompt. False after printing why. */
bool reply_write(reply *r, const language *l, sotto_session *session, const reply_options *o);

/* Appends a line of JSON: text, ids, why it ended, timings, memory. */
void reply_json(const reply *r, const language *l, text *out);
/* Prints how long each part took, in a line. */
void reply_print_timings(const reply *r, const language *l, FILE *file);

/* A stop string as an option: appends it to stops [*n]. False after printing what is wrong with it. */
bool reply_stop_option(const args *a, const char **stops, size_t *n);

#endif
