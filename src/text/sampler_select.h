/* Selecting from a vocabulary without sorting it. */
#ifndef SOTTO_SAMPLER_SELECT_H
#define SOTTO_SAMPLER_SELECT_H

#include "../base/base.h"

typedef struct candidate {
  float x;      /* (logit - the greatest) / temperature; before that is known, the logit */
  float weight; /* exp(x) */
  float key;    /* keep_mass takes the lowest first */
  int32_t id;
} candidate;

/* The k greatest of logits[n], of equal ones those with the lowest ids, to out[k] in no order of use. Returns how
 * many there are: NaN and -infinity are none. */
int32_t select_top(const float *logits, int32_t n, int32_t k, candidate *out);

/* weights[i] = exp((logits[i] - greatest) * scale); 0 for NaN and where it is below exp(-87). */
void select_weights(const float *logits, int32_t n, float greatest, float scale, float *weights);

/* Sum of select_weights over all, and, where `out` is not NULL, the candidates with a weight above 0 that is at
 * least `floor`, in order of their ids; *count their number. */
double select_all(const float *logits, int32_t n, float greatest, float scale, float floor, candidate *out,
                  int32_t *count);

/* Moves to the front the fewest candidates that weigh `goal` or more together, lowest keys first, of equal ones
 * lowest ids first. Returns their number: all, when they weigh less, and at least one. Linear time on average. */
int32_t select_mass(candidate *c, int32_t n, double goal);

#endif
