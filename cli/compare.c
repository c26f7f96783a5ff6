/* Comparing of two models: a batch is evaluated by both, then its rows of logits are taken together. */
#include "compare.h"

#include <math.h>
#include <stdio.h>

#include "process.h"

enum { BATCH = 64 }; /* tokens: rows of logits held at a time, of each model */

static size_t likeliest(const float *logits, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (logits[i] > logits[best]) best = i;
  return best;
}

/* log of the sum of exponentials: what is taken from a logit for its log-probability. */
static double log_sum(const float *logits, size_t n, size_t best) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - (double)logits[best]);
  return (double)logits[best] + log(sum);
}

static void compare_rows(comparison *c, const float *model, const float *base, size_t n, int32_t next) {
  const size_t top = likeliest(model, n), base_top = likeliest(base, n);
  const double total = log_sum(model, n, top), base_total = log_sum(base, n, base_top);
  double divergence = 0;
  for (size_t i = 0; i < n; i++) {
    const double log_p = (double)base[i] - base_total;
    divergence += exp(log_p) * (log_p - ((double)model[i] - total));
  }
  c->divergence += divergence;
  c->nll += total - (double)model[next];
  c->base_nll += base_total - (double)base[next];
  c->n_same += top == base_top;
  c->n_tokens++;
}

static bool begin(sotto_session **s, const language *l, int32_t kv_type, const int32_t *ids, size_t n) {
  const sotto_session_options options = {
      .n_ctx = n < INT32_MAX ? (int32_t)n : INT32_MAX, .n_batch = BATCH, .all_logits = 1, .kv_type = kv_type};
  if (sotto_session_open(s, l->model, &options) == SOTTO_OK && sotto_session_sync(*s, ids, n) == SOTTO_OK) return true;
  return language_complain(l);
}

bool compare_text(comparison *c, const language *model, const language *base, int32_t kv_type, const int32_t *ids,
                  size_t n) {
  sotto_session *a = NULL, *b = NULL;
  bool ok = begin(&a, model, kv_type, ids, n) && begin(&b, base, kv_type, ids, n);
  size_t next = 0; /* token whose logits come next */
  while (ok && next < n && !process_interrupted()) {
    if (sotto_session_step(a) < 0) ok = language_complain(model);
    if (ok && sotto_session_step(b) < 0) ok = language_complain(base);
    for (int32_t i = ok ? sotto_session_n_logits(a) : 0; i-- > 0; next++)
      if (next + 1 < n)
        compare_rows(c, sotto_session_logits(a, i), sotto_session_logits(b, i), (size_t)model->info.n_vocab,
                     ids[next + 1]);
  }
  sotto_session_close(a);
  sotto_session_close(b);
  return ok && next == n;
}
