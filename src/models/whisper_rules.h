/* Which tokens may come next, and how likely they are.
 *
 *     logits ─> suppressed tokens, blank, timestamp rules (-inf) ─> log-sum-exp, best token, range that is left
 *
 * One row of 51865 logits takes three vectorized passes: the maximum of all, the sum of exponentials, and the maximum of what
 * is allowed (the score). */
#ifndef SOTTO_WHISPER_RULES_H
#define SOTTO_WHISPER_RULES_H

#include "../ops.h"
#include "../text/whisper_vocab.h"

typedef struct whisper_rules {
  const whisper_special *special;
  int32_t n_vocab;
  int32_t *suppressed; /* [n_suppressed] never allowed, then [n_blanks] not allowed as the first token */
  int32_t n_suppressed, n_blanks;
  bool timestamps;
  int32_t max_initial_timestamp; /* latest first timestamp, in steps of a timestamp token; -1: any */
} whisper_rules;

/* Builds the rules that the options ask for. seconds_per_timestamp: 0.02. On failure nothing is left behind.
 * Errors: MEMORY, ARGUMENT (a suppressed token that does not exist). */
sotto_status whisper_rules_open(whisper_rules *r, const whisper_vocab *v, const sotto_transcribe_options *options,
                                double seconds_per_timestamp, error *err);
void whisper_rules_close(whisper_rules *r);

/* Ids of notes, brackets and other symbols that stand for something else than speech; returns how many. out: [128] */
int32_t whisper_non_speech_tokens(const whisper_vocab *v, int32_t out[128]);

/* What the rules leave of a row of logits. */
typedef struct whisper_choice {
  int32_t best;       /* most likely token; eot when nothing is left */
  int32_t first, end; /* every token allowed is in [first, end) */
  float best_logit;
  float log_sum;       /* log of the sum of exp(logit) over the tokens allowed: log-probability = logit - log_sum */
  float model_log_sum; /* the same over all tokens, before the rules */
} whisper_choice;

/* Applies the rules to logits[n_vocab], which become -infinity where a token is not allowed. sampled[n]: the tokens of the sequence after its prompt. */
whisper_choice whisper_rules_apply(const whisper_rules *r, float *logits, const int32_t *sampled, int32_t n);

/* The same for a backend that chooses, for the first token or for those after it. */
speech_rules whisper_rules_told(const whisper_rules *r, bool first);

typedef struct whisper_candidate {
  int32_t token;
  float logit;
} whisper_candidate;

/* The `k` most likely tokens, best first; fewer when fewer are allowed. Those taken become -infinity. */
int32_t whisper_choice_top(const whisper_choice *c, float *logits, int32_t k, whisper_candidate *out);

/* Draws a token at temperature > 0; u is uniform in [0, 1). */
int32_t whisper_choice_sample(const whisper_choice *c, const float *logits, float temperature, float u);

/* Tokens to keep of tokens[n] where the text at the end is a short cycle that repeats many times: up to its second
 * turn; n where it does not. text[n]: scratch. */
int32_t whisper_loop_cut(const whisper_special *s, const int32_t *tokens, int32_t n, int32_t *text);

#endif
