/* What the search asks of a network: the calls of whisper.h as a table, so that tests can put a network of a few lines in its place. */
#ifndef SOTTO_WHISPER_NET_H
#define SOTTO_WHISPER_NET_H

#include "whisper.h"

typedef struct whisper_net {
  void *context;
  void (*encode_begin)(void *context, const float *frames);
  sotto_status (*encode)(void *context, float *fraction);
  bool (*encoded)(void *context);
  void (*reset)(void *context);
  sotto_status (*prompt)(void *context, const int32_t *tokens, int32_t n, const int32_t *want, int32_t n_want);
  sotto_status (*next)(void *context, const int32_t *tokens, const int32_t *parent, int32_t n);
  float *(*logits)(void *context, int32_t row);
  float *(*some_logits)(void *context, int32_t row, int32_t first, int32_t n);
  sotto_status (*share)(void *context, int32_t token, float *p);
  int32_t (*choose)(void *context, const speech_rules *rules, const speech_past *past, int32_t from, int32_t keep,
                    const speech_draws *draws); /* NULL: it does not */
  sotto_status (*follow)(void *context, int32_t place, int32_t n);
  sotto_status (*chosen)(void *context, int32_t place, speech_choice *choices, int32_t *n);
} whisper_net;

whisper_net whisper_net_of(whisper_state *state);

#endif
