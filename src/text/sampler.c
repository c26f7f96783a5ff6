/* See sampler.h for the order of things.
 *
 *     logits, a few of them changed ─┬─ top-k: the k greatest ────────────┐
 *                                    └─ all: those that a filter can keep ┴─> candidates ─> filters ─> draw
 *
 * One pass over the vocabulary with top-k, two without; nothing is sorted. */
#include "sampler.h"

#include <float.h>
#include <math.h>

#include "sampler_select.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* choices are the same everywhere; gcc has it off in ISO C */
#endif

typedef struct change { /* of a logit, to be undone */
  int32_t id;
  float was;
} change;

struct sampler {
  sotto_sampler_options options;
  int32_t n_vocab;
  uint64_t random[4];     /* xoshiro256** */
  sotto_logit_bias *bias; /* [options.n_logit_bias] */
  int32_t *window;        /* [penalty_window] ring of the last tokens accepted */
  int32_t *history;       /* [penalty_window + SAMPLER_MOST_AHEAD] the same in order, and those ahead */
  int32_t n_window, at;   /* tokens in it; where the next one goes */
  int32_t *counts;        /* [n_vocab] how often each is in it; NULL without penalties, as `window` is */
  change *changes;        /* [n_logit_bias + penalty_window] */
  size_t n_changes;
  candidate *candidates; /* [n_candidates] */
  int32_t n_candidates;
};

sotto_sampler_options sampler_default_options(void) {
  return (sotto_sampler_options){
      .temperature = 1, .top_k = 64, .top_p = 0.95f, .typical_p = 1, .repetition_penalty = 1, .penalty_window = 256};
}

/* ---- random numbers ---- */

static void seed(sampler *s, uint64_t state) {
  for (int i = 0; i < 4; i++) { /* splitmix64 */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    s->random[i] = z ^ z >> 31;
  }
}

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

/* Of [0, 1), 53 bits. */
static double uniform(sampler *s) {
  uint64_t *r = s->random, result = rotate(r[1] * 5, 7) * 9, shifted = r[1] << 17;
  r[2] ^= r[0];
  r[3] ^= r[1];
  r[1] ^= r[2];
  r[0] ^= r[3];
  r[2] ^= shifted;
  r[3] = rotate(r[3], 45);
  return (double)(result >> 11) * 0x1p-53;
}

/* ---- opening ---- */

static sotto_status out_of_range(const char *option, const char *range, error *err) {
  return fail(err, SOTTO_ERR_ARGUMENT, "%s is out of range: give %s", option, range);
}

static bool within(float x, float low, float high) { return x >= low && x <= high; } /* false for NaN */

static sotto_status check(const sotto_sampler_options *o, int32_t n_vocab, error *err) {
  if (!within(o->temperature, 0, 100)) return out_of_range("the temperature", "0 to 100", err);
  if (o->top_k < 0) return out_of_range("top-k", "0 (all tokens) or more", err);
  if (!within(o->top_p, 0, 1) || o->top_p == 0) return out_of_range("top-p", "more than 0, up to 1", err);
  if (!within(o->min_p, 0, 1)) return out_of_range("min-p", "0 to 1", err);
  if (!within(o->typical_p, 0, 1) || o->typical_p == 0) return out_of_range("typical-p", "more than 0, up to 1", err);
  if (!within(o->repetition_penalty, 0.01f, 100)) return out_of_range("the repetition penalty", "0.01 to 100", err);
  if (!within(o->presence_penalty, -100, 100)) return out_of_range("the presence penalty", "-100 to 100", err);
  if (!within(o->frequency_penalty, -100, 100)) return out_of_range("the frequency penalty", "-100 to 100", err);
  if (o->penalty_window < 0 || o->penalty_window > SAMPLER_MAX_WINDOW)
    return out_of_range("the penalty window", "0 to 1048576", err);
  if (o->logit_bias == NULL && o->n_logit_bias > 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "the bias of %zu tokens is missing", o->n_logit_bias);
  for (size_t i = 0; i < o->n_logit_bias; i++) {
    const sotto_logit_bias *b = &o->logit_bias[i];
    if (b->id < 0 || b->id >= n_vocab)
      return fail(err, SOTTO_ERR_ARGUMENT, "there is a bias for token %d, and the model has tokens 0 to %d", (int)b->id,
                  (int)n_vocab - 1);
    if (isnan(b->bias) || b->bias == INFINITY) return out_of_range("a bias", "a number or -infinity", err);
  }
  return SOTTO_OK;
}

static bool penalizes(const sotto_sampler_options *o) {
  return o->penalty_window > 0 && (o->repetition_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0);
}

sotto_status sampler_open(sampler **out, const sotto_sampler_options *options, int32_t n_vocab, error *err) {
  *out = NULL;
  TRY(check(options, n_vocab, err));
  sampler *s = mem_alloc(1, sizeof *s);
  if (!s) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the sampler");
  s->options = *options;
  sotto_sampler_options *o = &s->options;
  s->n_vocab = n_vocab;
  if (o->top_k >= n_vocab) o->top_k = 0;
  if (o->temperature < 1e-6f) o->top_k = 1;
  if (!penalizes(o)) o->penalty_window = 0;
  s->n_candidates = o->top_k > 0 ? o->top_k : n_vocab;
  s->bias = mem_alloc(o->n_logit_bias, sizeof *s->bias);
  s->window = mem_alloc((size_t)o->penalty_window, sizeof *s->window);
  s->history = mem_alloc((size_t)o->penalty_window + SAMPLER_MOST_AHEAD, sizeof *s->history);
  s->counts = mem_alloc(o->penalty_window > 0 ? (size_t)n_vocab : 0, sizeof *s->counts);
  s->changes = mem_alloc(o->n_logit_bias + (size_t)o->penalty_window, sizeof *s->changes);
  s->candidates = mem_alloc((size_t)s->n_candidates, sizeof *s->candidates);
  if (!s->bias || !s->window || !s->history || !s->counts || !s->changes || !s->candidates) {
    sampler_close(s);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for the sampler");
  }
  if (o->n_logit_bias > 0) memcpy(s->bias, options->logit_bias, o->n_logit_bias * sizeof *s->bias);
  o->logit_bias = s->bias;
  seed(s, o->seed);
  *out = s;
  return SOTTO_OK;
}

void sampler_close(sampler *s) {
  if (!s) return;
  mem_free(s->bias);
  mem_free(s->window);
  mem_free(s->history);
  mem_free(s->counts);
  mem_free(s->changes);
  mem_free(s->candidates);
  mem_free(s);
}

sampler *sampler_clone(const sampler *s) {
  sampler *copy;
  if (sampler_open(&copy, &s->options, s->n_vocab, NULL) < 0) return NULL;
  memcpy(copy->random, s->random, sizeof copy->random);
  if (s->options.penalty_window > 0) {
    memcpy(copy->window, s->window, (size_t)s->options.penalty_window * sizeof *copy->window);
    memcpy(copy->counts, s->counts, (size_t)s->n_vocab * sizeof *copy->counts);
  }
  copy->n_window = s->n_window;
  copy->at = s->at;
  return copy;
}

/* ---- bias and penalties ---- */

void sampler_accept(sampler *s, int32_t id) {
  int32_t size = s->options.penalty_window;
  if (size == 0 || id < 0 || id >= s->n_vocab) return;
  if (s->n_window == size)
    s->counts[s->window[s->at]]--;
  else
    s->n_window++;
  s->window[s->at] = id;
  s->counts[id]++;
  s->at = s->at + 1 < size ? s->at + 1 : 0;
}

static void change_logit(sampler *s, float *logits, int32_t id, float to) {
  s->changes[s->n_changes++] = (change){id, logits[id]};
  logits[id] = to;
}

static void change_logits(sampler *s, float *logits) {
  const sotto_sampler_options *o = &s->options;
  for (size_t i = 0; i < o->n_logit_bias; i++)
    change_logit(s, logits, s->bias[i].id, logits[s->bias[i].id] + s->bias[i].bias);
  for (int32_t i = 0; i < s->n_window; i++) {
    int32_t id = s->window[i], count = s->counts[id];
    if (count < 0) continue; /* done: a token counts once, its number is negative meanwhile */
    float logit = logits[id];
    logit = logit > 0 ? logit / o->repetition_penalty : logit * o->repetition_penalty;
    change_logit(s, logits, id, logit - o->presence_penalty - o->frequency_penalty * (float)count);
    s->counts[id] = -count;
  }
  for (int32_t i = 0; i < s->n_window; i++)
    s->counts[s->window[i]] = max_i32(s->counts[s->window[i]], -s->counts[s->window[i]]);
}

static void change_back(sampler *s, float *logits) {
  while (s->n_changes > 0) {
    change c = s->changes[--s->n_changes];
    logits[c.id] = c.was;
  }
}

/* ---- filters: each keeps the first so many of c[n], reordered ---- */

static double mass(const candidate *c, int32_t n) {
  double sum = 0;
  for (int32_t i = 0; i < n; i++) sum += c[i].weight;
  return sum;
}

static int32_t keep_likeliest(candidate *c, int32_t n, double goal) {
  for (int32_t i = 0; i < n; i++) c[i].key = -c[i].weight;
  return select_mass(c, n, goal);
}

static int32_t keep_heavy(candidate *c, int32_t n, float least) {
  int32_t kept = 0;
  for (int32_t i = 0; i < n; i++)
    if (c[i].weight >= least) c[kept++] = c[i];
  return kept;
}

/* A token's surprise is -ln p = ln(sum) - x; the expected one, ln(sum) - mean x: the logarithms cancel. */
static int32_t keep_typical(candidate *c, int32_t n, double share) {
  double sum = 0, weighted = 0;
  for (int32_t i = 0; i < n; i++) {
    sum += c[i].weight;
    weighted += (double)c[i].weight * c[i].x;
  }
  float mean = (float)(weighted / sum);
  for (int32_t i = 0; i < n; i++) c[i].key = fabsf(c[i].x - mean);
  return select_mass(c, n, share * sum);
}

/* ---- sampling ---- */

/* An infinite logit leaves no choice. */
static int32_t certain(candidate *c, int32_t id, double *sum) {
  c[0] = (candidate){.weight = 1, .id = id};
  *sum = 1;
  return 1;
}

/* What can be chosen, with weights relative to the likeliest one's; *sum of all that top-k leaves. */
static int32_t gather(sampler *s, const float *logits, double *sum) {
  const sotto_sampler_options *o = &s->options;
  candidate *c = s->candidates;
  float scale = 1 / o->temperature;
  if (o->top_k > 0) {
    int32_t n = select_top(logits, s->n_vocab, o->top_k, c);
    float greatest = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
      if (c[i].x == INFINITY) return certain(c, c[i].id, sum);
      if (c[i].x > greatest) greatest = c[i].x;
    }
    for (int32_t i = 0; i < n; i++) {
      select_weights(&c[i].x, 1, greatest, scale, &c[i].weight);
      c[i].x = (c[i].x - greatest) * scale;
    }
    *sum = mass(c, n);
    return n;
  }
  candidate best;
  if (select_top(logits, s->n_vocab, 1, &best) == 0) return 0;
  if (best.x == INFINITY) return certain(c, best.id, sum);
  /* What is below this is kept by no filter. For top-p: all tokens with less than (1 - p) / n weigh less than 1 - p
   * together, so the rest has the p; and the likeliest token has the weight 1, so the sum is no less. */
  float least = (1 - o->top_p) / (float)s->n_vocab;
  int32_t n;
  *sum = select_all(logits, s->n_vocab, best.x, scale, least > o->min_p ? least : o->min_p, c, &n);
  return n;
}

/* Where a draw falls: the one that brings the weight of those likelier and itself past `at`. */
static int32_t drawn(candidate *c, int32_t n, double at) {
  n = keep_likeliest(c, n, at > 0 ? at : DBL_MIN);
  const candidate *last = c;
  for (int32_t i = 1; i < n; i++) {
    const bool later =
        last->weight == 0 || c[i].weight < last->weight || (c[i].weight == last->weight && c[i].id > last->id);
    if (c[i].weight > 0 && later) last = &c[i];
  }
  return last->id;
}

/* Where a draw falls, by ids: of a whole vocabulary, which takes long to order. */
static int32_t drawn_by_id(const candidate *c, int32_t n, double left) {
  int32_t chosen = c[0].id;
  for (int32_t i = 0; i < n; i++) {
    if (c[i].weight > 0) chosen = c[i].id;
    left -= c[i].weight;
    if (left < 0) break;
  }
  return chosen;
}

static bool greedy(const sampler *s) { return s->options.top_k == 1; }

static int32_t draw(sampler *s, const float *logits) {
  const sotto_sampler_options *o = &s->options;
  candidate *c = s->candidates;
  if (greedy(s)) return select_top(logits, s->n_vocab, 1, c) > 0 ? c[0].id : -1;

  double sum;
  int32_t n = gather(s, logits, &sum);
  if (n == 0) return -1;
  if (o->top_p < 1) n = keep_likeliest(c, n, o->top_p * sum);
  if (o->min_p > 0) n = keep_heavy(c, n, o->min_p); /* the likeliest weighs 1 */
  if (o->typical_p < 1) n = keep_typical(c, n, o->typical_p);

  const double at = uniform(s) * mass(c, n);
  return o->top_k > 0 ? drawn(c, n, at) : drawn_by_id(c, n, at);
}

sotto_status sampler_no_numbers(error *err) {
  return fail(err, SOTTO_ERR_FORMAT, "the model gives no probabilities: its file is damaged, fetch it again");
}

sotto_status sampler_sample(sampler *s, float *logits, int32_t *id, error *err) {
  change_logits(s, logits);
  *id = draw(s, logits);
  change_back(s, logits);
  return *id >= 0 ? SOTTO_OK : sampler_no_numbers(err);
}

/* ---- choices made elsewhere ---- */

const sotto_sampler_options *sampler_options(const sampler *s) { return &s->options; }

double sampler_peek(const sampler *s, int32_t ahead) {
  sampler later = *s; /* of which only the random numbers are used */
  for (int32_t i = 0; i < ahead; i++) uniform(&later);
  return uniform(&later);
}

const int32_t *sampler_history(sampler *s, const int32_t *ahead, int32_t n_ahead, int32_t *n) {
  const int32_t size = s->options.penalty_window;
  *n = 0;
  if (size == 0) return s->history;
  const int32_t oldest = s->n_window == size ? s->at : 0;
  for (int32_t i = 0; i < s->n_window; i++) s->history[i] = s->window[(oldest + i) % size];
  for (int32_t i = 0; i < n_ahead; i++) s->history[s->n_window + i] = ahead[i];
  *n = min_i32(s->n_window + n_ahead, size);
  return s->history + s->n_window + n_ahead - *n;
}

bool sampler_guess(sampler *s, float *logits, int32_t ahead, int32_t *id) {
  uint64_t random[4];
  memcpy(random, s->random, sizeof random);
  for (int32_t i = 0; i < ahead && !greedy(s); i++) uniform(s);
  const bool chosen = sampler_sample(s, logits, id, NULL) == SOTTO_OK;
  memcpy(s->random, random, sizeof random);
  return chosen;
}

void sampler_chose(sampler *s, int32_t id) {
  if (!greedy(s)) uniform(s);
  sampler_accept(s, id);
}

/* ---- log-probabilities: they are told, not chosen by, so the C library's logarithm will do ---- */

/* Of one token with this logit, where `greatest` is the greatest of all. An infinite logit is certain. */
static float logprob_of(double log_sum, float greatest, float logit) {
  if (greatest == INFINITY) return logit == INFINITY ? 0 : -INFINITY;
  return (float)((double)logit - greatest - log_sum);
}

static double log_sum_of(const sampler *s, const float *logits, float greatest) {
  return greatest < INFINITY ? log(select_all(logits, s->n_vocab, greatest, 1, 0, NULL, NULL)) : 0;
}

float sampler_logprob(const sampler *s, const float *logits, int32_t id) {
  candidate best;
  if (select_top(logits, s->n_vocab, 1, &best) == 0) return 0;
  return logprob_of(log_sum_of(s, logits, best.x), best.x, logits[id]);
}

int32_t sampler_top(const sampler *s, const float *logits, sotto_logprob *out, int32_t n) {
  candidate top[SOTTO_MAX_TOP];
  n = select_top(logits, s->n_vocab, min_i32(n, SOTTO_MAX_TOP), top);
  for (int32_t i = 1; i < n; i++) { /* likeliest first */
    const candidate moved = top[i];
    int32_t k = i;
    for (; k > 0 && (top[k - 1].x < moved.x || (top[k - 1].x == moved.x && top[k - 1].id > moved.id)); k--)
      top[k] = top[k - 1];
    top[k] = moved;
  }
  if (n <= 0) return 0;
  const double log_sum = log_sum_of(s, logits, top[0].x);
  for (int32_t i = 0; i < n; i++) out[i] = (sotto_logprob){top[i].id, logprob_of(log_sum, top[0].x, top[i].x)};
  return n;
}
