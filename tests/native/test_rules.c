/* Rules over the next token, choices among what they leave, loops, and the cutting of segments. */
#include "../../src/models/whisper_rules.h"
#include "../../src/models/whisper_segments.h"
#include "check.h"

enum { N = 51865, EOT = 50257, T0 = 50364 };

static whisper_vocab *vocab;
static float logits[N], raw[N];

static whisper_vocab *bytes_vocab(void) {
  whisper_vocab *v = whisper_vocab_open(N);
  for (int32_t i = 0; i < 256; i++) {
    char c = (char)i;
    whisper_vocab_add(v, i, &c, 1, NULL);
  }
  whisper_vocab_seal(v, NULL);
  return v;
}

static whisper_rules rules_for(const sotto_transcribe_options *o) {
  whisper_rules r;
  CHECK(whisper_rules_open(&r, vocab, o, 0.02, NULL) == SOTTO_OK);
  return r;
}

static double log_sum(const float *x, int32_t first, int32_t end) {
  double sum = 0;
  for (int32_t i = first; i < end; i++) sum += exp((double)x[i]);
  return log(sum);
}

/* Applies the rules after sampled[n] to equal logits, text more likely than timestamps together; returns how many tokens are left. */
static int32_t left(const whisper_rules *r, const int32_t *sampled, int32_t n) {
  for (int32_t i = 0; i < N; i++) logits[i] = i < T0 ? 0 : -20;
  whisper_rules_apply(r, logits, sampled, n);
  int32_t count = 0;
  for (int32_t i = 0; i < N; i++) count += logits[i] > -INFINITY;
  return count;
}

static bool allowed(int32_t first, int32_t end) {
  for (int32_t i = first; i < end; i++) {
    if (logits[i] == -INFINITY) return false;
  }
  return true;
}
static bool forbidden(int32_t first, int32_t end) {
  for (int32_t i = first; i < end; i++) {
    if (logits[i] > -INFINITY) return false;
  }
  return true;
}

#define AFTER(...) (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

static void test_timestamps(void) {
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  o.suppress_symbols = 0;
  whisper_rules r = rules_for(&o);
  const int32_t specials = 7; /* always suppressed below T0 */

  /* The first: a timestamp of at most 1 s. */
  CHECK(left(&r, NULL, 0) == 51 && allowed(T0, T0 + 51));
  /* After the opening one: text or the end, no second one. */
  CHECK(left(&r, AFTER(T0)) == T0 - specials && forbidden(T0, N));
  /* Within text: text, or a later timestamp; a segment has a length. */
  CHECK(left(&r, AFTER(T0 + 10, 65)) == T0 - specials + 1501 - 11 && forbidden(T0, T0 + 11) && allowed(T0 + 11, N));
  /* After a closing one: its twin or a later one, or the end; no text. */
  CHECK(forbidden(T0, T0 + 11));
  CHECK(left(&r, AFTER(T0, 65, T0 + 20)) > 0 && forbidden(0, EOT) && allowed(EOT, EOT + 1));
  CHECK(forbidden(T0, T0 + 20) && allowed(T0 + 20, N));
  /* After a pair: text. */
  CHECK(left(&r, AFTER(T0, 65, T0 + 20, T0 + 20)) == T0 - specials && forbidden(T0, N));
  /* The last moment. */
  left(&r, AFTER(T0, 65, N - 1));
  CHECK(forbidden(0, EOT) && forbidden(T0, N - 1) && allowed(N - 1, N));
  left(&r, AFTER(T0, 65, N - 1, N - 1, 65));
  CHECK(forbidden(T0, N) && allowed(0, EOT));

  /* Together the timestamps are likelier than the best text: one of them is forced. */
  const int32_t text[] = {T0, 65};
  for (int32_t i = 0; i < N; i++) logits[i] = i < T0 ? -5 : -3;
  logits[66] = 0; /* 1500 * e^-3 > e^0 */
  whisper_choice c = whisper_rules_apply(&r, logits, text, 2);
  CHECK(c.best == T0 + 1 && c.first == T0 && c.end == N);
  CHECK_NEAR(c.log_sum, log(1500) - 3, 1e-4);
  for (int32_t i = 0; i < N; i++) logits[i] = i < T0 ? -30 : -8;
  logits[66] = 0; /* 1500 * e^-8 < e^0 */
  c = whisper_rules_apply(&r, logits, text, 2);
  CHECK(c.best == 66 && c.first == 0);
  CHECK_NEAR(c.log_sum, log(1 + 1500 * exp(-8)), 1e-4);
  whisper_rules_close(&r);

  o.max_initial_timestamp = 0; /* any */
  r = rules_for(&o);
  CHECK(left(&r, NULL, 0) == 1501);
  whisper_rules_close(&r);
  o.timestamps = 0;
  r = rules_for(&o);
  CHECK(left(&r, NULL, 0) == N - 6 - 2); /* special tokens, blank and end */
  CHECK(left(&r, AFTER(65)) == N - 6);
  whisper_rules_close(&r);
}

static void test_suppression(void) {
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  const int32_t mine[] = {65, 66, 66};
  o.suppress_tokens = mine;
  o.n_suppress_tokens = 3;
  o.timestamps = 0;
  whisper_rules r = rules_for(&o);
  left(&r, NULL, 0);
  CHECK(logits[65] == -INFINITY && logits[66] == -INFINITY && logits[67] == 0);
  CHECK(logits['('] == -INFINITY && logits['#'] == -INFINITY && logits['.'] == 0 && logits['-'] == 0);
  CHECK(logits[' '] == -INFINITY && logits[EOT] == -INFINITY); /* at the start only */
  left(&r, AFTER(67));
  CHECK(logits[EOT] == 0);
  const whisper_special *s = whisper_vocab_special(vocab);
  CHECK(forbidden(s->translate, s->no_speech + 1) && logits[s->sot] == -INFINITY);
  whisper_rules_close(&r);

  error err;
  const int32_t wrong = N;
  o.suppress_tokens = &wrong;
  o.n_suppress_tokens = 1;
  CHECK(whisper_rules_open(&r, vocab, &o, 0.02, &err) == SOTTO_ERR_ARGUMENT && strlen(err.text) > 0);
  o.suppress_tokens = NULL;
  CHECK(whisper_rules_open(&r, vocab, &o, 0.02, &err) == SOTTO_ERR_ARGUMENT);
}

/* Sums and the best token against plain loops, over logits of all kinds. */
static void test_numbers(void) {
  random_state random = {5};
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  whisper_rules r = rules_for(&o);
  static const int32_t seqs[4][4] = {{0}, {T0}, {T0, 300, 400}, {T0, 300, T0 + 9}};
  static const int32_t lengths[4] = {0, 1, 3, 3};
  for (int32_t round = 0; round < 24; round++) {
    const float spread = (float)(1 << round % 6), times = random_uniform(&random, -30, 5);
    random_fill(&random, raw, N, -spread, spread);
    for (int32_t i = T0; i < N; i++) raw[i] += times;
    if (round % 5 == 4) raw[EOT + 1] = 90; /* what is most likely is suppressed */
    memcpy(logits, raw, sizeof raw);
    const int32_t kind = round % 4;
    whisper_choice c = whisper_rules_apply(&r, logits, seqs[kind], lengths[kind]);
    int32_t best = c.first;
    for (int32_t i = c.first; i < c.end; i++) best = logits[i] > logits[best] ? i : best;
    CHECK(c.best == best && c.best_logit == raw[best]);
    CHECK_NEAR(c.log_sum, log_sum(logits, c.first, c.end), 1e-4);
    CHECK_NEAR(c.model_log_sum, log_sum(raw, 0, N), 1e-4);
    CHECK(c.first > 0 || (log_sum(logits, T0, N) <= logits[best]));
  }

  /* No numbers, and nothing left: the end. */
  for (int32_t i = 0; i < N; i++) logits[i] = NAN;
  whisper_choice c = whisper_rules_apply(&r, logits, seqs[2], 3);
  CHECK(c.best == EOT && whisper_choice_sample(&c, logits, 0.5f, 0.5f) == EOT);
  for (int32_t i = 0; i < N; i++) logits[i] = -INFINITY;
  c = whisper_rules_apply(&r, logits, seqs[2], 3);
  whisper_candidate none;
  CHECK(c.best == EOT && whisper_choice_top(&c, logits, 1, &none) == 0);
  whisper_rules_close(&r);
}

static void test_choices(void) {
  whisper_choice c = {.best = 700, .first = 3, .end = N, .best_logit = 9};
  whisper_candidate top[17];
  for (int32_t i = 0; i < N; i++) logits[i] = -INFINITY;
  logits[1] = 99; /* outside */
  logits[700] = 9;
  logits[3] = logits[701] = 8;
  logits[N - 1] = 7;
  CHECK(whisper_choice_top(&c, logits, 17, top) == 4);
  CHECK(top[0].token == 700 && top[1].token == 3 && top[2].token == 701 && top[3].token == N - 1 && top[3].logit == 7);

  /* Samples come as often as their probabilities say, at the temperature. */
  int32_t counts[3] = {0};
  random_state random = {1};
  for (int32_t i = 0; i < N; i++) logits[i] = -INFINITY;
  logits[10] = 2;
  logits[20000] = 1;
  logits[N - 1] = 0;
  c = (whisper_choice){.best = 10, .first = 0, .end = N, .best_logit = 2};
  const double weights[3] = {1, exp(-2), exp(-4)}, sum = weights[0] + weights[1] + weights[2]; /* at 0.5 */
  for (int32_t i = 0; i < 4000; i++) {
    int32_t token = whisper_choice_sample(&c, logits, 0.5f, random_uniform(&random, 0, 1));
    counts[token == 10 ? 0 : token == 20000 ? 1 : 2]++;
    if (token != 10 && token != 20000 && token != N - 1) CHECK(false);
  }
  for (int32_t i = 0; i < 3; i++) CHECK_NEAR(counts[i] / 4000.0, weights[i] / sum, 0.02);
  CHECK(whisper_choice_sample(&c, logits, 0.5f, 0) == 10);
  CHECK(whisper_choice_sample(&c, logits, 1, 0.99999994f) == N - 1);
}

/* ---- loops ---- */

static void test_loops(void) {
  const whisper_special *s = whisper_vocab_special(vocab);
  int32_t tokens[300], scratch[300], n = 0;
  tokens[n++] = T0;
  for (int32_t i = 0; i < 20; i++) tokens[n++] = 1000 + i; /* a sentence */
  const int32_t sentence = n;
  CHECK(whisper_loop_cut(s, tokens, n, scratch) == n);
  for (int32_t turn = 0; turn < 8; turn++) { /* then eight turns of four words and times that go on */
    tokens[n++] = T0 + 100 + 10 * turn;
    tokens[n++] = T0 + 100 + 10 * turn;
    for (int32_t i = 0; i < 4; i++) tokens[n++] = 500 + i;
    if (turn < 7) CHECK(whisper_loop_cut(s, tokens, n, scratch) == n); /* a few turns are speech */
  }
  CHECK(whisper_loop_cut(s, tokens, n, scratch) == sentence + 13); /* two turns and the time after them */
  tokens[n++] = 77;                                                /* it went on to something else */
  CHECK(whisper_loop_cut(s, tokens, n, scratch) == n);
  for (int32_t i = 0; i < 40; i++) tokens[i] = 5;
  CHECK(whisper_loop_cut(s, tokens, 31, scratch) == 31 && whisper_loop_cut(s, tokens, 32, scratch) == 2);
  CHECK(whisper_loop_cut(s, tokens, 0, scratch) == 0);
}

/* ---- segments ---- */

static int32_t advance;
static whisper_slice slices[16];

static int32_t cut(int32_t n_frames, bool timestamps, const int32_t *tokens, size_t n) {
  return whisper_segments_cut(tokens, (int32_t)n, T0, 2, n_frames, timestamps, slices, &advance);
}

static bool is_slice(int32_t i, int32_t first, int32_t n, int32_t begin, int32_t end) {
  const whisper_slice *s = &slices[i];
  return s->first == first && s->n == n && s->begin_frame == begin && s->end_frame == end;
}

static void test_segments(void) {
  /* Two segments, and one that is not finished: it is left to the next window. */
  CHECK(cut(3000, true, AFTER(T0, 1, 2, T0 + 120, T0 + 120, 3, T0 + 250, T0 + 260, 4)) == 2);
  CHECK(is_slice(0, 0, 4, 0, 240) && is_slice(1, 4, 3, 240, 500) && advance == 500);
  /* A time at the end: nothing is said after it. */
  CHECK(cut(3000, true, AFTER(T0, 1, T0 + 120, T0 + 120, 3, T0 + 250)) == 2);
  CHECK(is_slice(1, 3, 3, 240, 500) && advance == 3000);
  /* Only one segment. */
  CHECK(cut(1100, true, AFTER(T0 + 5, 1, T0 + 250)) == 1 && is_slice(0, 0, 3, 0, 500) && advance == 1100);
  CHECK(cut(1100, true, AFTER(T0, 1, 2)) == 1 && is_slice(0, 0, 3, 0, 1100) && advance == 1100);
  CHECK(cut(1100, true, AFTER(T0 + 5, 1, 2)) == 1 && is_slice(0, 0, 3, 0, 10));
  /* The end pairs up too. */
  CHECK(cut(3000, true, AFTER(T0, 1, T0 + 120, T0 + 120)) == 1 && is_slice(0, 0, 3, 0, 240) && advance == 240);
  /* Without times; nothing at all; a pair that would stay where it is. */
  CHECK(cut(700, false, AFTER(1, 2, T0 + 3, T0 + 4)) == 1 && is_slice(0, 0, 4, 0, 700) && advance == 700);
  CHECK(cut(700, true, NULL, 0) == 0 && advance == 700);
  CHECK(cut(700, true, AFTER(T0, T0)) == 1 && advance == 700);
}

int main(void) {
  vocab = bytes_vocab();
  test_timestamps();
  test_suppression();
  test_numbers();
  test_choices();
  test_loops();
  test_segments();
  whisper_vocab_close(vocab);
  return check_end();
}
