/* Search, fallback, seeking and context over a network of a few lines: it says what a script tells it to. */
#include "../../src/models/transcribe.h"
#include "../../src/models/whisper_decode.h"
#include "check.h"

enum {
  N = 51865,
  EOT = 50257,
  SOT = 50258,
  EN = 50259,
  TRANSCRIBE = 50359,
  PREV = 50361,
  NO_SPEECH = 50362,
  NO_TIMES = 50363,
  T0 = 50364
};
enum { MAX_CALLS = 64, MAX_TOKENS = 448 };

typedef struct history {
  int32_t tokens[MAX_TOKENS + 1], n;
} history;

/* What the network is told to say, in order of its prompts. */
typedef struct fake_net {
  /* Fills logits[N], all -30 before, for a sequence; n_prompt of its tokens are the prompt. `call` counts the prompts of the transcript. */
  void (*say)(struct fake_net *net, int32_t call, const int32_t *tokens, int32_t n, int32_t n_prompt, float *logits);
  const int32_t *scripts[MAX_CALLS]; /* tokens up to 0; for say_script */
  float no_speech;                   /* logit at the start of transcript, over 0 of the others */
  float level[MAX_CALLS];            /* logit of the scripted tokens, 0: 20 */
  int32_t n_calls, n_encoded, n_prompt, most_rows;
  double begin_ms; /* of the last window */
  bool is_encoding;
  bool pending; /* logits are there at the second asking only */
  bool asked;
  history prompts[MAX_CALLS];
  float first_mel[MAX_CALLS];
  history rows[WHISPER_MAX_SEQS];
  int32_t n_rows, first_row; /* those in use, and the first one's logits */
  float *logits;             /* [WHISPER_MAX_SEQS + 1, N] */
} fake_net;

static void say_script(fake_net *net, int32_t call, const int32_t *tokens, int32_t n, int32_t n_prompt, float *logits) {
  (void)tokens;
  const int32_t *script = net->scripts[call];
  int32_t at = 0;
  while (at < n - n_prompt && script[at] != 0) at++;
  logits[script[at] != 0 ? script[at] : EOT] = net->level[call] != 0 ? net->level[call] : 20;
}

static void fill(fake_net *net, int32_t row, const history *h) {
  float *logits = net->logits + (size_t)row * N;
  for (int32_t i = 0; i < N; i++) logits[i] = -30;
  net->say(net, net->n_calls - 1, h->tokens, h->n, net->n_prompt, logits);
  net->asked = false;
}

static void fake_encode_begin(void *context, const float *frames) {
  fake_net *net = context;
  net->first_mel[net->n_encoded++ % MAX_CALLS] = frames[0];
  net->begin_ms = now_ms();
  net->is_encoding = true;
}
/* As a GPU: not at the first asking, and not before a millisecond has gone. */
static bool fake_encoded(void *context) {
  fake_net *net = context;
  if (net->is_encoding) return net->is_encoding = false;
  while (now_ms() - net->begin_ms < 1) continue;
  return true;
}
static sotto_status fake_encode(void *context, float *fraction) {
  fake_net *net = context;
  *fraction = 0.5f;
  net->asked = !net->asked;
  return net->asked ? SOTTO_AGAIN : SOTTO_OK;
}
/* A network that chooses, whose answers come late. */
typedef struct chosen_step {
  speech_choice list[MAX_SPEECH_CHOICES];
  speech_past past[MAX_SPEECH]; /* of those that go on */
  int32_t n, n_next, parents[MAX_SPEECH], keep, delay;
} chosen_step;

static struct {
  bool on;
  chosen_step at[MAX_CHOSEN];
  int32_t n_chosen, n_ended, most_ahead;
  uint32_t places;
} chooser;

/* For each sequence what is drawn from its row, or from the only one, as ops.h says. */
static void draw_step(const float *rows, const whisper_rules *rules, const speech_past *past, int32_t n,
                      const speech_draws *draws, chosen_step *step) {
  step->n = step->n_next = step->keep;
  for (int32_t i = 0; i < step->keep; i++) {
    const int32_t row = min_i32(i, n - 1);
    const int32_t tokens[] = {past[row].time, past[row].before, past[row].last};
    const int32_t first = past[row].last < 0 ? 3 : past[row].before < 0 ? 2 : past[row].time < 0 ? 1 : 0;
    float logits[N];
    memcpy(logits, rows + (size_t)row * N, sizeof logits);
    const whisper_choice c = whisper_rules_apply(rules, logits, tokens + first, 3 - first);
    const int32_t id =
        past[row].last == EOT ? EOT : whisper_choice_sample(&c, logits, draws->temperature, draws->at[i]);
    step->list[i] = (speech_choice){row, id, logits[id], c.log_sum, c.model_log_sum};
    step->parents[i] = row;
    step->past[i] = (speech_past){id, past[row].last, id >= T0 ? id : past[row].time, 0};
  }
}

/* The best of all that n sequences can become, as ops.h says. */
static void choose_step(const float *rows, const whisper_rules *rules, const speech_past *past, int32_t n,
                        chosen_step *step) {
  float scores[MAX_SPEECH * (MAX_SPEECH + 1)];
  speech_choice all[MAX_SPEECH * (MAX_SPEECH + 1)];
  int32_t n_all = 0;
  for (int32_t row = 0; row < n; row++) {
    const int32_t tokens[] = {past[row].time, past[row].before, past[row].last};
    const int32_t first = past[row].last < 0 ? 3 : past[row].before < 0 ? 2 : past[row].time < 0 ? 1 : 0;
    float logits[N];
    whisper_candidate top[MAX_SPEECH + 1];
    memcpy(logits, rows + (size_t)row * N, sizeof logits);
    const whisper_choice c = whisper_rules_apply(rules, logits, tokens + first, 3 - first);
    const int32_t n_top = whisper_choice_top(&c, logits, step->keep + 1, top);
    for (int32_t i = 0; i < n_top; i++) {
      const float score = past[row].score + (top[i].logit - c.log_sum);
      int32_t at = n_all++;
      for (; at > 0 && scores[at - 1] < score; at--) {
        scores[at] = scores[at - 1];
        all[at] = all[at - 1];
      }
      scores[at] = score;
      all[at] = (speech_choice){row, top[i].token, top[i].logit, c.log_sum, c.model_log_sum};
    }
  }
  step->n = step->n_next = 0;
  for (int32_t i = 0; i < n_all && step->n_next < step->keep; i++) {
    const speech_choice *c = &all[i];
    const speech_past *from = &past[c->parent];
    step->list[step->n++] = *c;
    if (c->id == EOT) continue;
    step->parents[step->n_next] = c->parent;
    step->past[step->n_next++] =
        (speech_past){c->id, from->last, c->id >= T0 ? c->id : from->time, scores[i] - scores[0]};
  }
}

static int32_t fake_choose(void *context, const speech_rules *rules, const speech_past *past, int32_t from,
                           int32_t keep, const speech_draws *draws) {
  const fake_net *net = context;
  const whisper_special special = {.eot = rules->end, .first_timestamp = rules->first_time};
  const whisper_rules own = {.special = &special,
                             .n_vocab = N,
                             .suppressed = (int32_t *)(uintptr_t)rules->suppressed,
                             .n_suppressed = rules->n_suppressed,
                             .max_initial_timestamp = rules->max_first - rules->first_time,
                             .timestamps = rules->timed};
  int32_t place = 0, n_ahead = 1;
  while (place < MAX_CHOSEN && (chooser.places & 1u << place)) place++;
  if (place == MAX_CHOSEN) return -1;
  for (int32_t i = 0; i < MAX_CHOSEN; i++) n_ahead += chooser.places >> i & 1;
  chooser.most_ahead = max_i32(chooser.most_ahead, n_ahead);
  CHECK(from < 0 || (chooser.places & 1u << from));
  for (int32_t i = 0; from < 0 && i < net->n_rows; i++) { /* what the search tells of the past is so */
    const history *h = &net->rows[i];
    const int32_t n = h->n - net->n_prompt;
    if (past[i].last == EOT) continue;               /* a sample that has ended, perhaps as a loop */
    const bool given = n < 2 && past[i].before >= 0; /* a prefix, which is the end of the prompt */
    CHECK(past[i].last == h->tokens[h->n - 1] || (n == 0 && past[i].last == -1));
    CHECK(past[i].before == (n > 1 || given ? h->tokens[h->n - 2] : -1));
    CHECK(past[i].time < 0 || past[i].time >= T0);
  }
  chosen_step *step = &chooser.at[place];
  step->keep = keep;
  step->delay = chooser.n_chosen++ % 4;
  const speech_past *of = from < 0 ? past : chooser.at[from].past;
  const int32_t n = from < 0 ? net->n_rows : chooser.at[from].n_next;
  const float *rows = net->logits + (size_t)net->first_row * N;
  if (draws != NULL)
    draw_step(rows, &own, of, n, draws, step);
  else
    choose_step(rows, &own, of, n, step);
  for (int32_t i = 0; i < step->n; i++) chooser.n_ended += step->list[i].id == EOT;
  chooser.places |= 1u << place;
  return place;
}

static sotto_status fake_chosen(void *context, int32_t place, speech_choice *choices, int32_t *n) {
  (void)context;
  CHECK(chooser.places & 1u << place);
  chosen_step *step = &chooser.at[place];
  if (step->delay-- > 0) return SOTTO_AGAIN;
  memcpy(choices, step->list, sizeof step->list);
  *n = step->n;
  chooser.places &= ~(1u << place);
  return SOTTO_OK;
}

static void fake_reset(void *context) {
  ((fake_net *)context)->rows[0].n = 0;
  chooser.places = 0;
}

static sotto_status fake_prompt(void *context, const int32_t *tokens, int32_t n, const int32_t *want, int32_t n_want) {
  fake_net *net = context;
  history *h = &net->rows[0];
  CHECK(h->n + n <= MAX_TOKENS);
  memcpy(h->tokens + h->n, tokens, (size_t)n * sizeof *tokens);
  h->n += n;
  net->n_prompt = h->n;
  net->n_rows = 1;
  CHECK(tokens[want[0]] == SOT);
  if (n == 1 && tokens[0] == SOT) { /* which language? */
    for (int32_t i = 0; i < N; i++) net->logits[i] = i == TRANSCRIBE ? 50 : 0;
    net->logits[EN + 2] = 5;
    return SOTTO_OK;
  }
  net->prompts[net->n_calls++] = *h;
  net->first_row = n_want - 1;
  fill(net, n_want - 1, h);
  if (n_want == 2) {
    CHECK(want[1] == n - 1);
    for (int32_t i = 0; i < N; i++) net->logits[i] = 0;
  }
  net->logits[NO_SPEECH] = net->no_speech;
  return SOTTO_OK;
}

static sotto_status fake_next(void *context, const int32_t *tokens, const int32_t *parent, int32_t n) {
  fake_net *net = context;
  static history old[WHISPER_MAX_SEQS];
  memcpy(old, net->rows, sizeof old);
  net->most_rows = max_i32(net->most_rows, n);
  for (int32_t i = 0; i < n; i++) {
    history *h = &net->rows[i];
    *h = old[parent[i]];
    CHECK(h->n < MAX_TOKENS);
    h->tokens[h->n++] = tokens[i];
    fill(net, i, h);
  }
  net->n_rows = n;
  net->first_row = 0;
  return SOTTO_OK;
}

/* Nothing comes of sequences that are not there. */
static sotto_status fake_follow(void *context, int32_t place, int32_t n) {
  const chosen_step *step = &chooser.at[place];
  int32_t tokens[MAX_SPEECH], parents[MAX_SPEECH] = {0};
  CHECK((chooser.places & 1u << place) && n == step->keep);
  for (int32_t i = 0; i < n; i++) {
    tokens[i] = i < step->n_next ? step->past[i].last : EOT;
    if (i < step->n_next) parents[i] = step->parents[i];
  }
  return fake_next(context, tokens, parents, n);
}

static float *fake_logits(void *context, int32_t row) {
  fake_net *net = context;
  if (net->pending && !net->asked) {
    net->asked = true;
    return NULL;
  }
  return net->logits + (size_t)row * N;
}

static float *fake_some_logits(void *context, int32_t row, int32_t first, int32_t n) {
  CHECK(first >= 0 && n > 0 && first + n <= N);
  float *logits = fake_logits(context, row);
  return logits == NULL ? NULL : logits + first;
}

static sotto_status fake_share(void *context, int32_t token, float *p) {
  const float *logits = fake_logits(context, 0);
  if (logits == NULL) return SOTTO_AGAIN;
  double sum = 0;
  for (int32_t i = 0; i < N; i++) sum += exp(logits[i]);
  *p = (float)(exp(logits[token]) / sum);
  return SOTTO_OK;
}

static whisper_vocab *vocab;
static float filters[80 * MEL_N_BINS];
static ggml_bin_header header = {.n_vocab = N, .n_audio_ctx = 1500, .n_text_ctx = MAX_TOKENS, .n_mel = 80};

static fake_net *net_open(void) {
  fake_net *net = calloc(1, sizeof *net);
  net->say = say_script;
  net->logits = malloc(sizeof(float) * N * (WHISPER_MAX_SEQS + 1));
  return net;
}
static void net_close(fake_net *net) {
  free(net->logits);
  free(net);
}
static whisper_net net_of(fake_net *net) {
  return (whisper_net){.context = net,
                       .encode_begin = fake_encode_begin,
                       .encode = fake_encode,
                       .encoded = fake_encoded,
                       .reset = fake_reset,
                       .prompt = fake_prompt,
                       .next = fake_next,
                       .logits = fake_logits,
                       .some_logits = fake_some_logits,
                       .share = fake_share,
                       .choose = chooser.on ? fake_choose : NULL,
                       .follow = fake_follow,
                       .chosen = fake_chosen};
}

/* ---- the search alone ---- */

typedef struct found {
  int32_t tokens[64], n;
  double sum_logprob;
  float p[64], no_speech;
} found;

static found search(fake_net *net, whisper_search_options o, float temperature, bool timestamps) {
  sotto_transcribe_options defaults;
  sotto_transcribe_options_default(&defaults);
  defaults.suppress_symbols = 0;
  defaults.timestamps = timestamps;
  whisper_rules rules;
  whisper_rules_open(&rules, vocab, &defaults, 0.02, NULL);
  if (o.sample_len == 0) o.sample_len = 60;
  if (o.beam_size == 0) o.beam_size = 1;
  if (o.best_of == 0) o.best_of = 1;
  if (o.patience == 0) o.patience = 1;
  o.n_ctx = MAX_TOKENS;
  const whisper_net table = net_of(net);
  whisper_search *s = whisper_search_open(&table, &rules, &o);
  const int32_t prompt[] = {SOT, EN, TRANSCRIBE, NO_TIMES};
  net->n_calls = 0;
  whisper_search_begin(s, prompt, timestamps ? 3 : 4, 0, 0, temperature);
  int32_t steps = 0;
  while (whisper_search_step(s) == SOTTO_AGAIN && steps < 5000) steps++;
  CHECK(steps < 5000);
  const whisper_hypothesis *h = whisper_search_result(s);
  found f = {.n = h->n, .sum_logprob = h->sum_logprob, .no_speech = whisper_search_no_speech(s)};
  memcpy(f.tokens, h->tokens, (size_t)min_i32(h->n, 64) * sizeof *f.tokens);
  memcpy(f.p, h->p, (size_t)min_i32(h->n, 64) * sizeof *f.p);
  whisper_search_close(s);
  whisper_rules_close(&rules);
  return f;
}

static bool is_text(const found *f, const char *text) {
  bool same = f->n == (int32_t)strlen(text);
  for (int32_t i = 0; same && i < f->n; i++) same = f->tokens[i] == (unsigned char)text[i];
  return same;
}

/* Probabilities of the next letter after each text; what is left over goes to the end.
 *   a (0.5)  -> b (0.4), c (0.35)    -> end
 *   d (0.4)  -> e (0.9)              -> end */
static void say_tree(fake_net *net, int32_t call, const int32_t *tokens, int32_t n, int32_t n_prompt, float *logits) {
  (void)net, (void)call;
  const int32_t length = n - n_prompt;
  if (length == 0) {
    logits['a'] = logf(0.5f);
    logits['d'] = logf(0.4f);
    logits['f'] = logf(0.1f);
  } else if (length == 1 && tokens[n - 1] == 'a') {
    logits['b'] = logf(0.4f);
    logits['c'] = logf(0.35f);
    logits[EOT] = logf(0.25f);
  } else if (length == 1 && tokens[n - 1] == 'd') {
    logits['e'] = logf(0.9f);
    logits[EOT] = logf(0.1f);
  } else { /* a beam whose past is another's goes astray */
    logits[length == 2 && tokens[n - 1] == 'e' && tokens[n - 2] != 'd' ? 'z' : EOT] = 0;
  }
}

static void test_search(void) {
  fake_net *net = net_open();
  net->say = say_tree;
  net->no_speech = logf(N - 1) + logf(3); /* 3 to 1 */

  found f = search(net, (whisper_search_options){.length_penalty = -1}, 0, false);
  CHECK(is_text(&f, "ab"));
  CHECK_NEAR(f.sum_logprob, log(0.5 * 0.4), 1e-4);
  CHECK_NEAR(f.p[0], 0.5, 1e-4);
  CHECK_NEAR(f.p[1], 0.4, 1e-4);
  CHECK_NEAR(f.no_speech, 0.75, 1e-4);

  f = search(net, (whisper_search_options){.beam_size = 2, .length_penalty = -1}, 0, false);
  CHECK(is_text(&f, "de"));
  CHECK_NEAR(f.sum_logprob, log(0.4 * 0.9), 1e-4);
  CHECK(net->most_rows == 2);
  net->pending = true; /* the same when logits come late */
  f = search(net, (whisper_search_options){.beam_size = 5, .patience = 2, .length_penalty = 0.6f}, 0, false);
  CHECK(is_text(&f, "de") && net->most_rows <= 5);
  f = search(net, (whisper_search_options){.length_penalty = -1}, 0, false);
  CHECK(is_text(&f, "ab"));
  net->pending = false;

  /* Samples: the seed decides, and the best of many is found. */
  const whisper_search_options one = {.length_penalty = -1, .seed = 3},
                               many = {.length_penalty = -1, .best_of = 16, .seed = 3};
  found a = search(net, one, 1, false), b = search(net, one, 1, false);
  CHECK(a.n == b.n && memcmp(a.tokens, b.tokens, (size_t)a.n * sizeof *a.tokens) == 0);
  int32_t differ = 0;
  for (uint64_t seed = 0; seed < 12; seed++) {
    b = search(net, (whisper_search_options){.length_penalty = -1, .seed = seed}, 1, false);
    differ += b.n != a.n || b.tokens[0] != a.tokens[0];
  }
  CHECK(differ > 0 && differ < 12);
  net->most_rows = 0;
  f = search(net, many, 1, false);
  CHECK(is_text(&f, "de") && net->most_rows <= 16 && net->most_rows > 8);

  /* The most tokens of a window. */
  static const int32_t longer[] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 0};
  net->say = say_script;
  net->scripts[0] = longer;
  f = search(net, (whisper_search_options){.length_penalty = -1, .sample_len = 5}, 0, false);
  CHECK(is_text(&f, "abcde"));
  f = search(net, (whisper_search_options){.length_penalty = -1, .sample_len = 5, .beam_size = 3}, 0, false);
  CHECK(is_text(&f, "abcde"));

  /* With times: the script may not break the rules. */
  static const int32_t disobedient[] = {'a', T0 + 100, 'b', T0 + 5, T0 + 90, 'c', 0};
  net->scripts[0] = disobedient;
  f = search(net, (whisper_search_options){.length_penalty = -1}, 0, true);
  CHECK(f.tokens[0] >= T0 && f.tokens[0] <= T0 + 50 && f.tokens[1] < EOT && f.tokens[2] == 'b' &&
        f.tokens[3] > f.tokens[0]);
  net_close(net);
}

/* What follows the last three tokens: a few words, the end and times, as a hash of them says. */
static void say_hash(fake_net *net, int32_t call, const int32_t *tokens, int32_t n, int32_t n_prompt, float *logits) {
  (void)call;
  uint32_t hash = 2166136261u + (uint32_t)net->level[0];
  for (int32_t i = max_i32(n - 3, n_prompt); i < n; i++) hash = (hash ^ (uint32_t)tokens[i]) * 16777619u;
  for (int32_t i = 0; i < 12; i++) {
    hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
    const int32_t id = i < 6 ? 'a' + i : i == 6 ? EOT : T0 + 10 * (n - n_prompt) + 20 * (i - 7);
    logits[id] = (float)(hash >> 8) / (float)(1 << 22) - (i == 6 ? 1.0f : 0.0f);
  }
}

/* The network's own choices lead to what is found by looking at its logits. */
static void test_choosers(void) {
  fake_net *net = net_open();
  net->say = say_hash;
  int32_t longest = 0;
  for (int32_t i = 0; i < 60; i++) {
    const whisper_search_options o = {.beam_size = (const int32_t[]){1, 2, 5}[i % 3],
                                      .best_of = (const int32_t[]){5, 1, 3}[i % 3],
                                      .seed = (uint64_t)i,
                                      .patience = i % 2 ? 1 : 2,
                                      .length_penalty = i % 4 ? -1 : 0.5f,
                                      .sample_len = i % 5 ? 25 : 3};
    found f[2];
    const float temperature = i < 30 ? 0 : 0.2f * (float)(1 + i % 5);
    net->level[0] = (float)i;
    net->pending = i % 2;
    for (int32_t on = 0; on < 2; on++) {
      chooser.on = on;
      f[on] = search(net, o, temperature, i % 7 < 4);
    }
    CHECK(f[0].n == f[1].n && memcmp(f[0].tokens, f[1].tokens, sizeof f[0].tokens) == 0);
    CHECK_NEAR(f[0].sum_logprob, f[1].sum_logprob, 1e-4);
    for (int32_t k = 0; k < f[0].n; k++) CHECK_NEAR(f[0].p[k], f[1].p[k], 1e-6);
    longest = max_i32(longest, f[0].n);
  }
  CHECK(longest > 10 && chooser.n_ended > 10 && chooser.most_ahead == 4);
  net_close(net);
}

/* ---- whole transcriptions ---- */

typedef struct transcript {
  char text[4096]; /* "[0.00 1.00] text" for each segment, joined */
  sotto_segment last;
  sotto_token tokens[256]; /* of the last segment */
  char language[8];
  float language_p;
  sotto_timings timings;
  int32_t n_segments;
} transcript;

/* Silence of `seconds`, pushed in pieces, with steps between. */
static transcript run(fake_net *net, const sotto_transcribe_options *o, double seconds) {
  static transcript out;
  static const float silence[16000];
  memset(&out, 0, sizeof out);
  const transcribe_model model = {vocab, &header, filters, net_of(net)};
  transcribe *t;
  error err;
  if (!CHECK(transcribe_open_on(&t, &model, o, &err) == SOTTO_OK)) return out;
  size_t n = (size_t)(seconds * 16000 + 0.5), pushed = 0;
  double fraction = 0;
  int32_t steps = 0;
  for (sotto_status status = SOTTO_AGAIN; status != SOTTO_DONE && steps < 100000; steps++) {
    status = transcribe_step(t, &err);
    CHECK(status >= 0);
    sotto_progress progress;
    transcribe_progress(t, &progress);
    CHECK(progress.fraction >= 0 && progress.fraction <= 1 && progress.done_s <= progress.pushed_s + 1e-9);
    if (pushed == n) {
      CHECK(progress.fraction >= fraction);
      fraction = progress.fraction;
    }
    for (const sotto_segment *s; (s = transcribe_segment(t)) != NULL; out.n_segments++) {
      CHECK(status == SOTTO_SEGMENT && s->n_tokens > 0);
      size_t used = strlen(out.text);
      snprintf(out.text + used, sizeof out.text - used, "[%.2f %.2f]%s", s->start_s, s->end_s, s->text);
      out.last = *s;
      memcpy(out.tokens, s->tokens, (size_t)s->n_tokens * sizeof *s->tokens);
      for (int32_t i = 0; i < s->n_tokens; i++) CHECK(strlen(s->tokens[i].text) == s->tokens[i].text_bytes);
    }
    if (status == SOTTO_STARVED) {
      while (pushed < n) {
        size_t taken = transcribe_push(t, silence, min_size(16000, n - pushed));
        pushed += taken;
        if (taken == 0) break;
      }
      if (pushed == n) transcribe_end(t);
    }
  }
  CHECK(steps < 100000 && fraction == 1);
  CHECK(transcribe_push(t, silence, 1) == 0 && transcribe_step(t, &err) == SOTTO_DONE);
  snprintf(out.language, sizeof out.language, "%s", transcribe_language(t, &out.language_p));
  transcribe_timings(t, &out.timings);
  transcribe_close(t);
  return out;
}

static sotto_transcribe_options plain(void) {
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  o.language = "en";
  o.suppress_symbols = 0;
  return o;
}

static const int32_t hello[] = {T0, 'h', 'i', T0 + 100, 0};
static const int32_t pair[] = {T0, 'a', T0 + 500, T0 + 500, 'b', T0 + 1000, T0 + 1000, 'c', 0};
static const int32_t nothing[] = {T0, 0};

static void test_windows(void) {
  fake_net *net = net_open();
  sotto_transcribe_options o = plain();
  transcript t = run(net, &o, 0);
  CHECK(t.n_segments == 0 && net->n_encoded == 0 && strcmp(t.language, "en") == 0 && t.language_p == 1);
  t = run(net, &o, 0.009);
  CHECK(net->n_encoded == 0);

  net->scripts[0] = hello;
  t = run(net, &o, 5);
  CHECK(strcmp(t.text, "[0.00 2.00]hi") == 0 && t.last.n_tokens == 4 && t.last.window == 0);
  CHECK(net->prompts[0].n == 3 && net->prompts[0].tokens[0] == SOT && net->prompts[0].tokens[1] == EN);
  CHECK(t.timings.n_encode == 1 && t.timings.n_decode == 5);
  CHECK(t.timings.encode_ms >= 1 && t.timings.decode_ms > 0);
  CHECK(strcmp(t.tokens[3].text, "<|2.00|>") == 0 && t.tokens[1].p > 0.99f);

  /* The second window begins where the first one's last pair is; its prompt is what was said. */
  net->n_calls = net->n_encoded = 0;
  net->scripts[0] = pair;
  net->scripts[1] = hello;
  t = run(net, &o, 35);
  CHECK(strcmp(t.text, "[0.00 10.00]a[10.00 20.00]b[20.00 22.00]hi") == 0 && net->n_encoded == 2 && t.last.window == 1);
  const int32_t prompt[] = {PREV, T0, 'a', T0 + 500, T0 + 500, 'b', T0 + 1000, SOT, EN, TRANSCRIBE};
  CHECK(net->prompts[1].n == 10 && memcmp(net->prompts[1].tokens, prompt, sizeof prompt) == 0);
  net->n_calls = 0;
  o.condition_on_previous_text = 0;
  run(net, &o, 35);
  CHECK(net->prompts[1].n == 3);

  /* Many windows: the prompt stays within its share; 30 s windows where no pair ends one. */
  o = plain();
  net->n_calls = net->n_encoded = 0;
  static int32_t words[40][64];
  for (int32_t i = 0; i < 40; i++) {
    for (int32_t j = 0; j < 60; j++) words[i][j] = j == 0 ? T0 : 33 + (i * 31 + j * j * 7) % 90;
    net->scripts[i] = words[i];
  }
  t = run(net, &o, 600);
  CHECK(net->n_encoded == 20 && t.n_segments == 20 && t.last.end_s == 600);
  CHECK(net->prompts[19].n == 1 + 223 + 3 && net->prompts[19].tokens[0] == PREV);

  /* No times: a segment a window. */
  net->n_calls = net->n_encoded = 0;
  static const int32_t text[] = {'x', 'y', 0};
  net->scripts[0] = net->scripts[1] = text;
  o.timestamps = 0;
  o.task = SOTTO_TRANSLATE;
  t = run(net, &o, 31);
  CHECK(strcmp(t.text, "[0.00 30.00]xy[30.00 31.00]xy") == 0);
  CHECK(net->prompts[0].tokens[3] == NO_TIMES && net->prompts[0].tokens[2] == TRANSCRIBE - 1);

  /* Empty text and broken UTF-8. */
  o = plain();
  net->n_calls = 0;
  net->scripts[0] = nothing;
  CHECK(run(net, &o, 3).n_segments == 0);
  net->n_calls = 0;
  static const int32_t broken[] = {T0, 'a', 0xe6, 0x97, 'b', 0, T0 + 50, 0};
  net->scripts[0] = broken;
  t = run(net, &o, 3);
  CHECK(strcmp(t.text,
               "[0.00 3.00]a\xef\xbf\xbd"
               "b") == 0);
  net_close(net);
}

static void test_language(void) {
  fake_net *net = net_open();
  sotto_transcribe_options o = plain();
  o.language = "auto";
  net->scripts[0] = hello;
  net->pending = true;
  transcript t = run(net, &o, 5);
  CHECK(strcmp(t.language, "de") == 0 && net->prompts[0].tokens[1] == EN + 2 && net->n_encoded == 1);
  CHECK_NEAR(t.language_p, exp(5) / (exp(5) + 98), 1e-5);
  CHECK(t.timings.n_decode == 6);
  net_close(net);
}

static void test_fallback(void) {
  fake_net *net = net_open();
  sotto_transcribe_options o = plain();
  static int32_t loop[200], unlikely[] = {T0, 'u', 'n', T0 + 60, 0};
  loop[0] = T0;
  for (int32_t i = 1; i < 190; i++) loop[i] = "ha "[i % 3];

  /* A loop, then something better at 0.2; the context is kept. */
  net->scripts[0] = loop;
  net->scripts[1] = net->scripts[2] = hello;
  transcript t = run(net, &o, 35);
  CHECK(strncmp(t.text, "[0.00 2.00]hi", 13) == 0 && net->n_encoded == 2 && net->prompts[2].n > 3);
  CHECK(t.timings.n_decode < 100); /* the loop was not followed to the end */

  /* Nothing better at any temperature: two turns, and the next window is not told. */
  net->n_calls = 0;
  for (int32_t i = 0; i < 6; i++) net->scripts[i] = loop;
  net->scripts[6] = hello;
  t = run(net, &o, 35);
  CHECK(strncmp(t.text, "[0.00 30.00]a ha h[30.00 32.00]hi", 40) == 0 && net->n_calls == 7 && net->prompts[6].n == 3);
  net->n_calls = 0;
  o.temperature_increment = 0;
  net->scripts[1] = hello;
  t = run(net, &o, 35);
  CHECK(net->n_calls == 2 && t.n_segments == 2 && net->prompts[1].n == 3);

  /* Unlikely text: 51865 tokens about as likely as the one that is said. */
  o = plain();
  net->n_calls = 0;
  net->level[0] = -29;
  net->scripts[0] = unlikely;
  net->scripts[1] = hello;
  t = run(net, &o, 5);
  CHECK(net->n_calls == 2 && strcmp(t.text, "[0.00 2.00]hi") == 0);
  CHECK_NEAR(t.last.temperature, 0.2, 1e-6);

  /* The same with no speech: silence, taken at once and skipped. */
  net->n_calls = 0;
  net->no_speech = 30;
  t = run(net, &o, 5);
  CHECK(net->n_calls == 1 && t.n_segments == 0);
  /* Likely text is kept whatever no-speech says. */
  net->n_calls = 0;
  net->level[0] = 0;
  net->scripts[0] = hello;
  t = run(net, &o, 5);
  CHECK(net->n_calls == 1 && t.n_segments == 1 && t.last.no_speech_prob > 0.99f);
  net->no_speech = 0;

  /* The same sentence again and again: the context is dropped. */
  net->n_calls = 0;
  for (int32_t i = 0; i < 5; i++) net->scripts[i] = hello;
  run(net, &o, 150);
  CHECK(net->n_calls == 5 && net->prompts[2].n > net->prompts[1].n && net->prompts[3].n == 3);

  /* A high temperature: the context is dropped. */
  net->n_calls = 0;
  o.temperature = 0.6f;
  run(net, &o, 31);
  CHECK(net->n_calls == 2 && net->prompts[1].n == 3);
  net_close(net);
}

static void test_prompts(void) {
  fake_net *net = net_open();
  sotto_transcribe_options o = plain();
  net->scripts[0] = net->scripts[1] = pair;
  o.initial_prompt = "  names\n";
  run(net, &o, 5);
  const int32_t prompt[] = {PREV, ' ', 'n', 'a', 'm', 'e', 's', SOT, EN, TRANSCRIBE};
  CHECK(net->prompts[0].n == 10 && memcmp(net->prompts[0].tokens, prompt, sizeof prompt) == 0);
  char *large = malloc(5001);
  memset(large, 'x', 5000);
  large[5000] = 0;
  o.initial_prompt = o.prefix = large;
  o.temperature_increment = 0; /* such a text is taken for a loop */
  net->n_calls = 0;
  run(net, &o, 5);
  CHECK(net->prompts[0].tokens[0] == PREV && net->prompts[0].tokens[224] == SOT && net->prompts[0].n < MAX_TOKENS);

  o.max_tokens = 1; /* leaves the prefix the largest share */
  net->n_calls = 0;
  run(net, &o, 5);
  CHECK(net->prompts[0].tokens[224] == SOT && net->prompts[0].n == MAX_TOKENS - 1);
  o.max_tokens = 0;

  /* Punctuation alone is no speech where nothing can be trusted; elsewhere it stays. */
  static const int32_t dots[] = {T0, '.', '.', T0 + 80, 0};
  net->scripts[0] = dots;
  o.initial_prompt = o.prefix = NULL;
  net->n_calls = 0;
  transcript t = run(net, &o, 5);
  CHECK(strcmp(t.text, "[0.00 1.60]..") == 0);
  o.compression_ratio_threshold = 0.01f; /* no text passes */
  net->n_calls = 0;
  t = run(net, &o, 5);
  CHECK(strcmp(t.text, "") == 0);
  net->scripts[0] = hello;
  net->n_calls = 0;
  t = run(net, &o, 5);
  CHECK(strcmp(t.text, "") != 0);
  o.compression_ratio_threshold = plain().compression_ratio_threshold;

  /* The first window's text begins with the prefix. */
  static const int32_t world[] = {'w', T0 + 80, 0};
  net->scripts[0] = world;
  net->scripts[1] = hello;
  o.initial_prompt = NULL;
  o.prefix = "he ";
  net->n_calls = 0;
  t = run(net, &o, 31);
  CHECK(strcmp(t.text, "[0.00 1.60] hew[30.00 31.00]hi" /* the end of the audio */) == 0);
  const int32_t given[] = {SOT, EN, TRANSCRIBE, T0, ' ', 'h', 'e'};
  CHECK(net->prompts[0].n == 7 && memcmp(net->prompts[0].tokens, given, sizeof given) == 0);
  net->n_calls = 0;
  net->scripts[0] = net->scripts[1] = world + 1; /* nothing but the prefix */
  o.timestamps = 0;
  o.beam_size = 3;
  t = run(net, &o, 3);
  CHECK(strncmp(t.text, "[0.00 3.00] he", 14) == 0);

  o = plain();
  net->scripts[0] = hello;
  o.initial_prompt = " ";
  o.prefix = "";
  net->n_calls = 0;
  run(net, &o, 5);
  CHECK(net->prompts[0].n == 3);
  free(large);
  net_close(net);
}

static bool refused(const sotto_transcribe_options *o) {
  fake_net *net = net_open();
  const transcribe_model model = {vocab, &header, filters, net_of(net)};
  transcribe *t;
  error err = {{0}};
  sotto_status status = transcribe_open_on(&t, &model, o, &err);
  net_close(net);
  return status == SOTTO_ERR_ARGUMENT && t == NULL && strlen(err.text) > 10;
}

static void test_options(void) {
  sotto_transcribe_options o = plain();
#define REFUSED(field, value)         \
  do {                                \
    sotto_transcribe_options bad = o; \
    bad.field = value;                \
    CHECK(refused(&bad));             \
  } while (0)
  REFUSED(language, "klingon");
  REFUSED(language, "yue"); /* large-v3 only */
  REFUSED(task, 2);
  REFUSED(beam_size, 17);
  REFUSED(beam_size, -1);
  REFUSED(best_of, 17);
  REFUSED(temperature, -0.1f);
  REFUSED(temperature, NAN);
  REFUSED(temperature_increment, -1);
  REFUSED(temperature_increment, 1e-9f);
  REFUSED(length_penalty, 1.5f);
  REFUSED(length_penalty, NAN);
  REFUSED(max_tokens, 449);
  REFUSED(max_tokens, -1);
  REFUSED(n_suppress_tokens, 1);
  o.beam_size = 5;
  REFUSED(patience, 0);
  REFUSED(patience, NAN);
  REFUSED(patience, 1e30f);
}

int main(void) {
  vocab = whisper_vocab_open(N);
  for (int32_t i = 0; i < 256; i++) {
    char c = (char)i;
    whisper_vocab_add(vocab, i, &c, 1, NULL);
  }
  whisper_vocab_seal(vocab, NULL);
  for (int32_t i = 0; i < 2; i++) { /* by logits; by choices that the network makes, where it can */
    chooser.on = i == 1;
    test_search();
    test_windows();
    test_language();
    test_fallback();
    test_prompts();
  }
  CHECK(chooser.n_chosen > 100);
  test_choosers();
  test_options();
  whisper_vocab_close(vocab);
  return check_end();
}
