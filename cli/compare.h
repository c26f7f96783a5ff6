/* Two models side by side on the same tokens: how far the distributions of one are from those of the other. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include "language.h"

typedef struct comparison {
  double nll, base_nll; /* sums over the tokens that are predicted, of the model and of the base */
  double divergence;    /* sum of the Kullback-Leibler divergences of the model from the base, in nats */
  size_t n_same;        /* predictions whose likeliest token is the same */
  size_t n_tokens;      /* predicted */
} comparison;

/* Adds what one text, ids [n], n > 1, says. False after printing why not, or when interrupted. */
bool compare_text(comparison *c, const language *model, const language *base, int32_t kv_type, const int32_t *ids,
                  size_t n);

#endif
