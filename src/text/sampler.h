/* Which token comes next, from the model's logits.
 *
 *     logits ─> bias ─> penalties ─> temperature ─> top-k ─> top-p ─> min-p ─> typical ─> draw
 *
 * As in Hugging Face transformers, the temperature comes before the filters, and each filter sees the probabilities
 * of what the one before it left, summing to one. Temperature 0 takes the likeliest token after bias and penalties.
 *
 * A draw goes through the candidates of top-k likeliest first, so that it is known where it falls however they were found; without top-k, by ids.
 *
 * Given the same logits, options and seed, choices are the same on every machine: weights are computed with + - *
 * alone, and the sums are taken in a fixed order. */
#ifndef SOTTO_SAMPLER_H
#define SOTTO_SAMPLER_H

#include "../base/base.h"

#define SAMPLER_MAX_WINDOW (1 << 20)

/* What Gemma is published with: temperature 1, top-k 64, top-p 0.95; no penalties (window 256), no bias, seed 0. */
sotto_sampler_options sampler_default_options(void);

typedef struct sampler sampler;

/* Errors: ARGUMENT (an option out of range), MEMORY; *out is NULL then. */
sotto_status sampler_open(sampler **out, const sotto_sampler_options *options, int32_t n_vocab, error *err);
void sampler_close(sampler *s); /* NULL is allowed */
/* Another that goes on alike from here. NULL: no memory. */
sampler *sampler_clone(const sampler *s);

/* Tells of a token of the text, the prompt's or one that was sampled, for the penalties. Ids that do not exist are
 * passed over. */
void sampler_accept(sampler *s, int32_t id);

/* Chooses *id; -1 after an error. logits[n_vocab] are changed and changed back. What is no number counts as -infinity.
 * Errors: FORMAT: no logit is a number, the model computes nonsense. */
sotto_status sampler_sample(sampler *s, float *logits, int32_t *id, error *err);

/* -- for choices that a backend makes: the same as here, up to rounding -- */

enum { SAMPLER_MOST_AHEAD = 8 };

/* Those in force: greedy is top_k 1. */
const sotto_sampler_options *sampler_options(const sampler *s);
/* Of [0, 1): the number that the choice after `ahead` further ones will be drawn by. */
double sampler_peek(const sampler *s, int32_t ahead);
/* The [*n] tokens that the penalties will look at once `ahead` are accepted too, at most SAMPLER_MOST_AHEAD of whatever values. Valid until the next
 * call. */
const int32_t *sampler_history(sampler *s, const int32_t *ahead, int32_t n_ahead, int32_t *n);
/* What sampler_sample would choose from logits[n_vocab] (changed and changed back) after `ahead` further choices, which penalties do not know of; nothing is chosen
 * by it. False: no logit is a number. */
bool sampler_guess(sampler *s, float *logits, int32_t ahead, int32_t *id);
/* A choice was made elsewhere: as if sampler_sample had given `id`, and then it was accepted. */
void sampler_chose(sampler *s, int32_t id);
/* No logit was a number: FORMAT. */
sotto_status sampler_no_numbers(error *err);

/* Log-probabilities are of the model itself: before bias, penalties, temperature and filters. */
float sampler_logprob(const sampler *s, const float *logits, int32_t id);
/* The likeliest n of [1, SOTTO_MAX_TOP] to top[n], likeliest first. Returns how many there are. */
int32_t sampler_top(const sampler *s, const float *logits, sotto_logprob *top, int32_t n);

#endif
