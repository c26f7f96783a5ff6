/* Which token comes next, from the model's logits.
 *
 *     logits ─> bias ─> penalties ─> temperature ─> top-k ─> top-p ─> min-p ─> typical ─> draw
 *
 * As in Hugging Face transformers, the temperature comes before the filters, and each filter sees the probabilities
 * of what the one before it left, summing to one. Temperature 0 takes the likeliest token after bias and penalties.
 *
 * Given the same logits, options and seed, choices are the same on every machine: weights are computed with + - *
 * alone, and the sums are taken in a fixed order. */
#ifndef SOTTO_SAMPLER_H
#define SOTTO_SAMPLER_H

#include "../base/base.h"

#define SAMPLER_MAX_TOP    20 /* tokens reported beside the chosen one */
#define SAMPLER_MAX_WINDOW (1 << 20)

typedef struct sampler_bias {
  int32_t id;
  float add; /* to its logit; -INFINITY: never */
} sampler_bias;

typedef struct sampler_options {
  float temperature;        /* 0: greedy */
  int32_t top_k;            /* the k likeliest; 0: all */
  float top_p;              /* the fewest likeliest with this much of the probability, (0, 1]; 1: all */
  float min_p;              /* those with at least this share of the likeliest one's probability, [0, 1]; 0: all */
  float typical_p;          /* as top_p, but those whose surprise is nearest to the expected one come first; 1: all */
  float repetition_penalty; /* divides the logits of tokens in the window, multiplies negative ones; 1: as is */
  float presence_penalty;   /* taken from the logits of tokens in the window; 0: as is */
  float frequency_penalty;  /* the same for each time that they are in it */
  int32_t penalty_window;   /* tokens: of those accepted, the last so many count */
  const sampler_bias *bias; /* [n_bias]; copied */
  int32_t n_bias;
  uint64_t seed;
  bool logprobs; /* report log-probabilities */
  int32_t n_top; /* and the likeliest n, up to SAMPLER_MAX_TOP */
} sampler_options;

/* What Gemma is published with: temperature 1, top-k 64, top-p 0.95; no penalties (window 256), seed 0, no
 * log-probabilities. */
sampler_options sampler_default_options(void);

typedef struct sampler_scored {
  int32_t id;
  float logprob;
} sampler_scored;

typedef struct sampler_result {
  int32_t id;
  /* With `logprobs`: of the model itself, before bias, penalties, temperature and filters. */
  float logprob;
  int32_t n_top;
  sampler_scored top[SAMPLER_MAX_TOP]; /* [n_top], likeliest first */
} sampler_result;

typedef struct sampler sampler;

/* Errors: ARGUMENT (an option out of range), MEMORY; *out is NULL then. */
sotto_status sampler_open(sampler **out, const sampler_options *options, int32_t n_vocab, error *err);
void sampler_close(sampler *s); /* NULL is allowed */
/* Another that goes on alike from here. NULL: no memory. */
sampler *sampler_clone(const sampler *s);

/* Tells of a token of the text, the prompt's or one that was sampled, for the penalties. Ids that do not exist are
 * passed over. */
void sampler_accept(sampler *s, int32_t id);

/* Chooses. logits[n_vocab] are changed and changed back. What is no number counts as -infinity.
 * Errors: FORMAT: no logit is a number, the model computes nonsense. */
sotto_status sampler_sample(sampler *s, float *logits, sampler_result *out, error *err);

/* Log-probability of a token under the model itself: before bias, penalties, temperature and filters. */
float sampler_logprob(const sampler *s, const float *logits, int32_t id);

#endif
