/* The sampler against exact distributions: computed here in double precision by sorting, compared by Pearson's
 * chi-square. */
#include "../../src/text/sampler.h"
#include "../../src/text/sampler_select.h"
#include "check.h"

#define MAX_VOCAB 20000

/* ---- the plain way ---- */

typedef struct outcome {
  double x, p, key;
  int32_t id;
} outcome;

static int by_key(const void *a, const void *b) {
  const outcome *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return x->id - y->id;
}

static int32_t keep(outcome *o, int32_t n, double share) { /* the first by key, renormalised */
  double sum = 0, kept = 0;
  int32_t count = 0;
  qsort(o, (size_t)n, sizeof *o, by_key);
  for (int32_t i = 0; i < n; i++) sum += o[i].p;
  while (count < n && kept < share * sum) kept += o[count++].p;
  for (int32_t i = 0; i < count; i++) o[i].p /= kept;
  return count;
}

/* Probabilities of all tokens. */
static void expect(const sotto_sampler_options *s, const float *logits, int32_t n_vocab, double *p) {
  static outcome o[MAX_VOCAB];
  double greatest = -INFINITY;
  for (int32_t i = 0; i < n_vocab; i++) greatest = fmax(greatest, logits[i]);
  for (int32_t i = 0; i < n_vocab; i++) {
    o[i].x = (logits[i] - greatest) / s->temperature;
    o[i] = (outcome){.x = o[i].x, .p = exp(o[i].x), .key = -o[i].x, .id = i};
  }
  int32_t n = keep(o, n_vocab, 1);
  if (s->top_k > 0) n = min_i32(n, s->top_k);
  n = keep(o, n, 1);
  if (s->top_p < 1) n = keep(o, n, s->top_p);
  double first = o[0].p;
  while (n > 1 && o[n - 1].p < s->min_p * first) n--;
  n = keep(o, n, 1);
  if (s->typical_p < 1) {
    double entropy = 0;
    for (int32_t i = 0; i < n; i++) entropy -= o[i].p > 0 ? o[i].p * log(o[i].p) : 0;
    for (int32_t i = 0; i < n; i++) o[i].key = fabs(-log(o[i].p) - entropy);
    n = keep(o, n, s->typical_p);
  }
  for (int32_t i = 0; i < n_vocab; i++) p[i] = 0;
  for (int32_t i = 0; i < n; i++) p[o[i].id] = o[i].p;
}

/* Draws after what was accepted, and compares how often each token came. */
static bool fits(const sotto_sampler_options *options, const float *logits, const double *p, int32_t n_vocab,
                 int n_draws, const int32_t *accepted, int n_accepted) {
  static float scratch[MAX_VOCAB];
  static int32_t counts[MAX_VOCAB];
  sampler *s;
  int32_t id;
  bool ok = sampler_open(&s, options, n_vocab, NULL) == SOTTO_OK;
  memcpy(scratch, logits, (size_t)n_vocab * sizeof *scratch);
  memset(counts, 0, sizeof counts);
  for (int i = 0; ok && i < n_accepted; i++) sampler_accept(s, accepted[i]);
  for (int i = 0; ok && i < n_draws; i++) {
    ok = sampler_sample(s, scratch, &id, NULL) == SOTTO_OK && id >= 0 && id < n_vocab;
    if (ok) counts[id]++;
  }
  ok = ok && memcmp(scratch, logits, (size_t)n_vocab * sizeof *scratch) == 0;
  sampler_close(s);

  double chi2 = 0, rest_expected = 0, rest = 0, seen_impossible = 0;
  int n_bins = 0;
  for (int32_t i = 0; i < n_vocab; i++) {
    double expected = p[i] * n_draws;
    if (expected == 0) seen_impossible += counts[i];
    if (expected >= 10) {
      chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
      n_bins++;
    } else {
      rest_expected += expected;
      rest += counts[i];
    }
  }
  if (rest_expected >= 10) {
    chi2 += (rest - rest_expected) * (rest - rest_expected) / rest_expected;
    n_bins++;
  }
  double limit = n_bins + 4 * sqrt(2.0 * n_bins) + 10; /* passed once in tens of thousands; the seeds are fixed */
  bool good = ok && chi2 < limit && seen_impossible == 0;
  if (!good) fprintf(stderr, "  chi-square %.1f of %d bins, %g impossible\n", chi2, n_bins, seen_impossible);
  return good;
}

static sotto_sampler_options plain(void) { /* no filters */
  return (sotto_sampler_options){
      .temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1, .penalty_window = 16, .seed = 1};
}

/* ---- filters ---- */

static void test_filters(int32_t n_vocab, float spread, int n_draws) {
  static float logits[MAX_VOCAB];
  static double p[MAX_VOCAB];
  random_state r = {(uint64_t)n_vocab};
  sotto_sampler_options o[16];
  int n = 0;
  for (int i = 0; i < 16; i++) {
    o[i] = plain();
    o[i].seed = (uint64_t)i;
  }
  n++; /* as it is */
  o[n++].temperature = 0.4f;
  o[n++].temperature = 3;
  o[n++].top_k = 5;
  o[n++].top_k = n_vocab;
  o[n++].top_p = 0.7f;
  o[n++].top_p = 0.999f;
  o[n++].top_p = 1e-6f;
  o[n++].min_p = 0.2f;
  o[n++].min_p = 1;
  o[n++].typical_p = 0.5f;
  o[n++].typical_p = 0.95f;
  o[n].top_k = 7, o[n++].top_p = 0.8f;
  o[n].temperature = 1.7f, o[n].top_k = 12, o[n].top_p = 0.9f, o[n].min_p = 0.1f, o[n++].typical_p = 0.8f;
  o[n].temperature = 0.7f, o[n].top_p = 0.9f, o[n++].min_p = 0.01f;
  o[n].top_p = 0.9f, o[n].min_p = 0.3f, o[n++].typical_p = 0.6f;
  for (int i = 0; i < n; i++) {
    random_fill(&r, logits, (size_t)n_vocab, -spread, spread);
    for (int k = 0; k < n_vocab / 20; k++) logits[random_below(&r, (uint32_t)n_vocab)] += spread;
    expect(&o[i], logits, n_vocab, p);
    if (!CHECK(fits(&o[i], logits, p, n_vocab, n_draws, NULL, 0)))
      fprintf(stderr, "  options %d of vocabulary %d\n", i, (int)n_vocab);
  }
}

/* By hand: which tokens are left. */
static uint32_t support(const sotto_sampler_options *o, const float *logits, int32_t n) {
  float copy[32];
  uint32_t seen = 0;
  sampler *s;
  int32_t id;
  memcpy(copy, logits, (size_t)n * sizeof *copy);
  if (!CHECK(sampler_open(&s, o, n, NULL) == SOTTO_OK)) return 0;
  for (int i = 0; i < 4000; i++)
    if (sampler_sample(s, copy, &id, NULL) == SOTTO_OK) seen |= 1u << id;
  sampler_close(s);
  return seen;
}

static void test_by_hand(void) {
  const float quarters[] = {0, 0, 0, 0}, halves[] = {logf(0.125f), logf(0.5f), logf(0.125f), logf(0.25f)};
  sotto_sampler_options o = plain();
  CHECK(support(&o, quarters, 4) == 15);
  o.top_k = 2;
  CHECK(support(&o, quarters, 4) == 3); /* of equal ones the lowest ids */
  CHECK(support(&o, halves, 4) == 10);
  o = plain();
  o.top_p = 0.5f;
  CHECK(support(&o, quarters, 4) == 3);
  o.top_p = 0.51f;
  CHECK(support(&o, quarters, 4) == 7);
  o.top_p = 0.6f;
  CHECK(support(&o, halves, 4) == 10);
  o = plain();
  o.min_p = 0.4f;
  CHECK(support(&o, halves, 4) == 10);
  o = plain();
  o.typical_p = 0.2f; /* the entropy is 1.75 bits: 0.25 with its 2 is nearest */
  CHECK(support(&o, halves, 4) == 8);
  o = plain();
  o.temperature = 0;
  CHECK(support(&o, halves, 4) == 2 && support(&o, quarters, 4) == 1);
  o.temperature = 1e-7f;
  CHECK(support(&o, halves, 4) == 2);
}

/* ---- bias and penalties ---- */

/* The logits that the sampler sees, told by its choice between a token and one whose logit is known. */
static float seen_logit(sotto_sampler_options o, float logit, const int32_t *accepted, int n_accepted) {
  float low = -200, high = 200;
  o.temperature = 0;
  for (int i = 0; i < 40; i++) {
    float middle = (low + high) / 2, logits[] = {middle, logit, -INFINITY};
    sampler *s;
    int32_t id;
    if (!CHECK(sampler_open(&s, &o, 3, NULL) == SOTTO_OK)) return 0;
    for (int k = 0; k < n_accepted; k++) sampler_accept(s, accepted[k]);
    CHECK(sampler_sample(s, logits, &id, NULL) == SOTTO_OK);
    if (id == 0)
      high = middle;
    else
      low = middle;
    sampler_close(s);
  }
  return low;
}

static void test_penalties(void) {
  const int32_t tokens[] = {1, 2, 1, -5, 99, 1, 2}; /* three times 1; some that do not exist */
  sotto_sampler_options o = plain();
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 3, 1e-4);
  o.repetition_penalty = 2;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 1.5, 1e-4);
  CHECK_NEAR(seen_logit(o, -3, tokens, 7), -6, 1e-4);
  CHECK_NEAR(seen_logit(o, 3, tokens, 0), 3, 1e-4);
  o.presence_penalty = 0.5f;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 1, 1e-4);
  o.frequency_penalty = 0.25f;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 0.25, 1e-4);
  o.penalty_window = 4; /* 2 1 1 2: those that do not exist take no room */
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 0.5, 1e-4);
  o.penalty_window = 1;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 3, 1e-4);
  o.penalty_window = 0;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 3, 1e-4);
  o = plain();
  o.frequency_penalty = -1; /* repetition wanted */
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 6, 1e-4);

  const sotto_logit_bias bias[] = {{1, 2}, {1, 0.5f}, {2, -INFINITY}};
  o = plain();
  o.logit_bias = bias;
  o.n_logit_bias = 3;
  CHECK_NEAR(seen_logit(o, 3, tokens, 7), 5.5, 1e-4);
  o.repetition_penalty = 2; /* after the bias */
  CHECK_NEAR(seen_logit(o, -3, tokens, 7), -1, 1e-4);
  const float equal[] = {0, 0, 0, 0};
  o = plain();
  o.logit_bias = bias + 2;
  o.n_logit_bias = 1;
  CHECK(support(&o, equal, 4) == 11);
}

/* All of them together, drawn: as filters see the logits that they leave. */
static void test_changed_draws(int n_draws) {
  enum { N = 12 };
  const int32_t accepted[] = {3, 5, 3, 7, 3, 9};
  const sotto_logit_bias bias[] = {{0, 1.5f}, {3, 2}, {5, -0.5f}, {11, -INFINITY}};
  float logits[N], changed[N];
  double p[N];
  random_state r = {11};
  for (int i = 0; i < 6; i++) {
    sotto_sampler_options o = plain();
    o.seed = (uint64_t)i;
    o.logit_bias = bias, o.n_logit_bias = 4;
    o.repetition_penalty = 1.4f, o.presence_penalty = 0.3f, o.frequency_penalty = 0.2f;
    o.temperature = i % 2 ? 0.8f : 1;
    if (i == 2) o.top_k = 6;
    if (i == 3) o.top_p = 0.8f;
    if (i == 4) o.min_p = 0.1f;
    if (i == 5) o.typical_p = 0.7f;
    random_fill(&r, logits, N, -1.5f, 1.5f);
    memcpy(changed, logits, sizeof changed);
    for (size_t b = 0; b < 4; b++) changed[bias[b].id] += bias[b].bias;
    for (int32_t id = 0; id < N; id++) {
      int n = 0;
      for (int a = 0; a < 6; a++) n += accepted[a] == id;
      if (n == 0) continue;
      changed[id] = changed[id] > 0 ? changed[id] / o.repetition_penalty : changed[id] * o.repetition_penalty;
      changed[id] -= o.presence_penalty + (float)n * o.frequency_penalty;
    }
    expect(&o, changed, N, p);
    if (!CHECK(fits(&o, logits, p, N, n_draws, accepted, 6))) fprintf(stderr, "  changed logits, options %d\n", i);
  }
}

/* ---- reproducible, log-probabilities, bad input ---- */

static void test_determinism(void) {
  float logits[100], again[100];
  int32_t ids[64];
  random_state r = {3};
  random_fill(&r, logits, 100, -2, 2);
  memcpy(again, logits, sizeof logits);
  sotto_sampler_options o = plain();
  o.repetition_penalty = 1.3f;
  o.top_p = 0.95f;
  o.seed = 42;
  sampler *s, *same, *other;
  int32_t a, b;
  CHECK(sampler_open(&s, &o, 100, NULL) == SOTTO_OK && sampler_open(&same, &o, 100, NULL) == SOTTO_OK);
  o.seed = 43;
  CHECK(sampler_open(&other, &o, 100, NULL) == SOTTO_OK);
  int n_same = 0;
  for (int i = 0; i < 64; i++) {
    CHECK(sampler_sample(s, logits, &a, NULL) == SOTTO_OK && sampler_sample(same, logits, &b, NULL) == SOTTO_OK &&
          a == b);
    CHECK(sampler_sample(other, logits, &b, NULL) == SOTTO_OK);
    n_same += a == b;
    sampler_accept(s, a);
    sampler_accept(same, a);
    ids[i] = a;
  }
  CHECK(n_same < 20 && memcmp(logits, again, sizeof logits) == 0);
  /* on every machine and by every compiler */
  static const int32_t expected[] = {9, 36, 72, 95, 39, 85, 79, 90};
  if (!CHECK(memcmp(ids, expected, sizeof expected) == 0))
    for (int i = 0; i < 8; i++) fprintf(stderr, "  %d\n", (int)ids[i]);

  sampler *copy = sampler_clone(s);
  for (int i = 0; i < 64; i++) {
    CHECK(sampler_sample(s, logits, &a, NULL) == SOTTO_OK && sampler_sample(copy, logits, &b, NULL) == SOTTO_OK &&
          a == b);
    sampler_accept(s, a);
    sampler_accept(copy, a);
  }
  sampler_close(s);
  sampler_close(same);
  sampler_close(other);
  sampler_close(copy);
}

static void test_logprobs(void) {
  float logits[] = {1, 3, -2, 3, 0, NAN, -INFINITY, 2};
  double sum = exp(1) + exp(3) + exp(-2) + exp(3) + exp(0) + exp(2);
  const sotto_logit_bias bias[] = {{4, 100}};
  sotto_sampler_options o = plain();
  o.logit_bias = bias;
  o.n_logit_bias = 1;
  o.temperature = 0.5f;
  sampler *s;
  sotto_logprob top[SOTTO_MAX_TOP + 1];
  int32_t id = -1;
  CHECK(sampler_open(&s, &o, 8, NULL) == SOTTO_OK && sampler_sample(s, logits, &id, NULL) == SOTTO_OK);
  CHECK(id == 4); /* the bias chose it; its probability is the model's */
  CHECK_NEAR(sampler_logprob(s, logits, id), 0 - log(sum), 1e-5);
  CHECK(sampler_top(s, logits, top, 4) == 4);
  CHECK(top[0].id == 1 && top[1].id == 3 && top[2].id == 7 && top[3].id == 0);
  CHECK_NEAR(top[0].logprob, 3 - log(sum), 1e-5);
  CHECK_NEAR(top[3].logprob, 1 - log(sum), 1e-5);
  CHECK(sampler_top(s, logits, top, INT32_MAX) == 6 && sampler_top(s, logits, top, 0) == 0);
  CHECK(sampler_top(s, logits, top, -1) == 0);
  logits[5] = INFINITY; /* certain, and nothing else is */
  CHECK(sampler_top(s, logits, top, 2) == 2 && top[0].id == 5 && top[0].logprob == 0 && top[1].logprob == -INFINITY);
  CHECK(sampler_logprob(s, logits, 5) == 0 && sampler_logprob(s, logits, 1) == -INFINITY);
  sampler_close(s);
}

static void test_bad(void) {
  error err;
  sampler *s;
  int32_t id;
  sotto_sampler_options o;
  const sotto_logit_bias beyond = {8, 1}, nan = {0, NAN};
#define REFUSED(change) \
  o = plain();          \
  o.change;             \
  CHECK(sampler_open(&s, &o, 8, &err) == SOTTO_ERR_ARGUMENT && s == NULL && err.text[0])
  REFUSED(temperature = -1);
  REFUSED(temperature = NAN);
  REFUSED(temperature = INFINITY);
  REFUSED(top_k = -1);
  REFUSED(top_p = 0);
  REFUSED(top_p = 1.5f);
  REFUSED(min_p = -0.1f);
  REFUSED(typical_p = NAN);
  REFUSED(repetition_penalty = 0);
  REFUSED(presence_penalty = INFINITY);
  REFUSED(frequency_penalty = NAN);
  REFUSED(penalty_window = -1);
  REFUSED(penalty_window = SAMPLER_MAX_WINDOW + 1);
  REFUSED(logit_bias = &beyond; o.n_logit_bias = 1);
  REFUSED(logit_bias = &nan; o.n_logit_bias = 1);
  REFUSED(n_logit_bias = 1); /* of nowhere */
  float nothing[] = {NAN, -INFINITY, NAN, -INFINITY, NAN, NAN, NAN, NAN},
        infinite[] = {1, INFINITY, NAN, 2, 3, 4, 5, 6};
  static const float temperatures[] = {0, 1};
  for (int k = 0; k < 2; k++) {
    for (int t = 0; t < 2; t++) {
      o = plain();
      o.top_k = k * 3;
      o.temperature = temperatures[t];
      CHECK(sampler_open(&s, &o, 8, NULL) == SOTTO_OK);
      CHECK(sampler_sample(s, nothing, &id, &err) == SOTTO_ERR_FORMAT && id == -1);
      CHECK(sampler_sample(s, infinite, &id, &err) == SOTTO_OK && id == 1);
      sampler_close(s);
    }
  }
}

/* ---- parts ---- */

static void test_weights(void) {
  double worst = 0;
  for (int i = 0; i <= 200000; i++) {
    float x = -87.0f * (float)i / 200001, w;
    select_weights(&x, 1, 0, 1, &w);
    worst = fmax(worst, fabs(w - exp(x)) / exp(x));
  }
  if (!CHECK(worst < 2.5e-7)) fprintf(stderr, "  %g\n", worst);
  float odd[] = {-87, -88, -1e30f, -INFINITY, NAN, 0}, w[6];
  select_weights(odd, 6, 0, 1, w);
  CHECK(w[0] == 0 && w[1] == 0 && w[2] == 0 && w[3] == 0 && w[4] == 0 && w[5] == 1);
}

static void test_select(void) {
  static candidate c[5000], top[5000];
  static float logits[5000];
  random_state r = {9};
  int n_bad = 0;
  for (int round = 0; round < 300; round++) {
    int32_t n = 1 + (int32_t)random_below(&r, round < 250 ? 40 : 5000), k = 1 + (int32_t)random_below(&r, (uint32_t)n);
    for (int32_t i = 0; i < n; i++) {
      logits[i] = round % 3 == 0 ? (float)random_below(&r, 5) : round % 3 == 1 ? (float)i : random_uniform(&r, -9, 9);
      c[i] = (candidate){
          .weight = round % 2 ? 0.25f : random_uniform(&r, 0, 1), .key = (float)random_below(&r, 10), .id = i};
    }
    n_bad += select_top(logits, n, k, top) != k;
    for (int32_t i = 0; i < k; i++) { /* fewer than k are ahead of each */
      int32_t ahead = 0;
      for (int32_t m = 0; m < n; m++)
        ahead += logits[m] > logits[top[i].id] || (logits[m] == logits[top[i].id] && m < top[i].id);
      n_bad += ahead >= k || top[i].x != logits[top[i].id];
      if (round >= 250 && i > 20) break;
    }
    double all = 0, taken = 0, last = 0;
    for (int32_t i = 0; i < n; i++) all += c[i].weight;
    double goal = all * random_uniform(&r, 0.01f, 0.99f);
    int32_t count = select_mass(c, n, goal), worst = 0;
    for (int32_t i = 0; i < count; i++) {
      taken += c[i].weight;
      if (c[i].key > c[worst].key || (c[i].key == c[worst].key && c[i].id > c[worst].id)) worst = i;
    }
    last = c[worst].weight;
    n_bad += taken < goal - 1e-9 * all || taken - last >= goal + 1e-9 * all;
    for (int32_t i = count; i < n; i++)
      n_bad += c[i].key < c[worst].key || (c[i].key == c[worst].key && c[i].id < c[worst].id);
  }
  CHECK(n_bad == 0);
}

/* A vocabulary as large as Gemma's, flat and peaked: all ways end soon. */
static void test_large(void) {
  enum { N = 262144 };
  float *logits = malloc(N * sizeof *logits);
  random_state r = {4};
  sotto_sampler_options o[4] = {sampler_default_options(), plain(), plain(), plain()};
  o[1].top_p = 0.95f;
  o[2].typical_p = 0.9f;
  o[3].temperature = 0;
  for (int flat = 0; flat < 2; flat++) {
    for (int32_t i = 0; i < N; i++) logits[i] = flat ? 0 : random_uniform(&r, -20, 5);
    for (int i = 0; i < 4; i++) {
      sampler *s;
      int32_t id;
      CHECK(sampler_open(&s, &o[i], N, NULL) == SOTTO_OK && sampler_sample(s, logits, &id, NULL) == SOTTO_OK);
      sampler_close(s);
    }
  }
  free(logits);
}

int main(void) {
  test_filters(24, 2, 20000);
  test_filters(3000, 4, 2000);
  test_by_hand();
  test_penalties();
  test_changed_draws(20000);
  test_determinism();
  test_logprobs();
  test_bad();
  test_weights();
  test_select();
  test_large();
  return check_end();
}
