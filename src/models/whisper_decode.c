#include "whisper_decode.h"

#include <math.h>

enum {
  MOST_AHEAD = 4,
  MOST_SAMPLED = 4096 /* more than a window can have */
};

struct whisper_search {
  whisper_net net;
  const whisper_rules *rules;
  whisper_search_options o;
  int32_t max_finished; /* hypotheses that end the search; samples do not look at it */

  int32_t *prompt; /* [n_ctx] */
  int32_t n_prompt, sot_index, n_given;
  float temperature, no_speech;
  enum { PROMPT, CHOOSE, FINISHED } phase;
  uint64_t n_begun; /* searches: each draws numbers of its own */
  bool heard;       /* no_speech is known */
  int32_t n_steps;

  /* Sequences in work; beams are copied from one generation to the other. */
  whisper_hypothesis generations[2][WHISPER_MAX_SEQS];
  whisper_hypothesis *live, *spare;
  int32_t n_live;
  int32_t n_rows; /* of the last forward pass, or after the prompt of the next one */
  whisper_hypothesis finished[WHISPER_MAX_FINISHED];
  int32_t n_finished;
  const whisper_hypothesis *result;

  int32_t
      ahead[MOST_AHEAD]; /* places of what the network chooses by itself: the steps after those of the live sequences */
  int32_t n_ahead;

  int32_t *text; /* [n_ctx + 1] scratch of the loop guard */
  int32_t *token_memory;
  float *p_memory;
};

/* ---- life ---- */

whisper_search *whisper_search_open(const whisper_net *net, const whisper_rules *rules,
                                    const whisper_search_options *o) {
  whisper_search *s = mem_alloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->net = *net;
  s->rules = rules;
  s->o = *o;
  s->max_finished = min_i32(WHISPER_MAX_FINISHED, (int32_t)rint((double)o->beam_size * o->patience));
  if (o->beam_size == 1) s->max_finished = 1; /* greedy: the first end is the end */

  int32_t n_finished = max_i32(max_i32(s->max_finished, o->beam_size), o->best_of);
  size_t n = (size_t)n_finished + 2 * WHISPER_MAX_SEQS, length = (size_t)o->n_ctx + 1;
  s->prompt = mem_alloc((size_t)o->n_ctx, sizeof *s->prompt);
  s->text = mem_alloc(length, sizeof *s->text);
  s->token_memory = mem_alloc(n * length, sizeof *s->token_memory);
  s->p_memory = mem_alloc(n * length, sizeof *s->p_memory);
  if (s->prompt == NULL || s->text == NULL || s->token_memory == NULL || s->p_memory == NULL) {
    whisper_search_close(s);
    return NULL;
  }
  for (size_t i = 0; i < n; i++) {
    whisper_hypothesis *h =
        i < 2 * WHISPER_MAX_SEQS ? &s->generations[0][0] + i : &s->finished[i - 2 * WHISPER_MAX_SEQS];
    h->tokens = s->token_memory + i * length;
    h->p = s->p_memory + i * length;
  }
  return s;
}

void whisper_search_close(whisper_search *s) {
  if (s == NULL) return;
  mem_free(s->prompt);
  mem_free(s->text);
  mem_free(s->token_memory);
  mem_free(s->p_memory);
  mem_free(s);
}

void whisper_search_begin(whisper_search *s, const int32_t *prompt, int32_t n, int32_t sot_index, int32_t n_given,
                          float temperature) {
  memcpy(s->prompt, prompt, (size_t)n * sizeof *prompt);
  s->n_prompt = n;
  s->sot_index = sot_index;
  s->n_given = n_given;
  s->temperature = temperature;
  s->phase = PROMPT;
  s->live = s->generations[0];
  s->spare = s->generations[1];
  s->n_live = s->n_rows = temperature > 0 ? s->o.best_of : 1;
  s->n_finished = 0;
  s->n_ahead = 0;
  s->n_begun++;
  for (int32_t i = 0; i < s->n_live; i++) {
    whisper_hypothesis *h = &s->live[i];
    memcpy(h->tokens, prompt + n - n_given, (size_t)n_given * sizeof *prompt);
    for (int32_t k = 0; k < n_given; k++) h->p[k] = 1;
    h->n = n_given;
    h->sum_logprob = 0;
    h->row = h->sample = i;
  }
}

/* ---- hypotheses ---- */

static void copy_hypothesis(whisper_hypothesis *to, const whisper_hypothesis *from) {
  memcpy(to->tokens, from->tokens, (size_t)from->n * sizeof *from->tokens);
  memcpy(to->p, from->p, (size_t)from->n * sizeof *from->p);
  to->n = from->n;
  to->sum_logprob = from->sum_logprob;
}

static void extend(whisper_hypothesis *h, int32_t token, float logit, float model_log_sum) {
  float p = expf(logit - model_log_sum);
  h->tokens[h->n] = token;
  h->p[h->n++] = p >= 0 && p <= 1 ? p : p > 1; /* a rounding above 1; NaN is 0 */
}

static void add_finished(whisper_search *s, const whisper_hypothesis *h, double sum_logprob) {
  copy_hypothesis(&s->finished[s->n_finished], h);
  s->finished[s->n_finished++].sum_logprob = sum_logprob;
}

static bool is_loop(whisper_search *s, const whisper_hypothesis *h) {
  return whisper_loop_cut(s->rules->special, h->tokens, h->n, s->text) < h->n;
}

/* No further token fits after so many: the window's share is used up, or the network's positions. */
static bool fills(const whisper_search *s, int32_t n_sampled) {
  return n_sampled >= s->o.sample_len || s->n_prompt + n_sampled > s->o.n_ctx;
}

static bool is_full(const whisper_search *s, const whisper_hypothesis *h) { return fills(s, h->n - s->n_given); }

/* All sequences start from the one prompt. */
static bool is_first(const whisper_search *s) { return s->live[0].n == s->n_given; }

/* The best of the finished hypotheses by mean log-probability or with the length penalty. */
static void rank(whisper_search *s) {
  double best = -INFINITY;
  s->result = &s->finished[0];
  for (int32_t i = 0; i < s->n_finished; i++) {
    const whisper_hypothesis *h = &s->finished[i];
    double length = h->n - s->n_given;
    double penalty = s->o.length_penalty < 0 ? fmax(length, 1) : pow((5 + length) / 6, s->o.length_penalty);
    if (h->sum_logprob / penalty > best) {
      best = h->sum_logprob / penalty;
      s->result = h;
    }
  }
  s->phase = FINISHED;
}

/* ---- greedy and samples ---- */

/* For a sample's next token, the one after n_sampled: of [0, 1), by itself, so that it does not matter which other samples there still are, nor what ran
 * ahead and was forgotten. */
static float draw(const whisper_search *s, int32_t n_sampled, int32_t sample) { /* splitmix64 */
  const uint64_t at = (s->n_begun * MOST_SAMPLED + (uint64_t)n_sampled) * WHISPER_MAX_SEQS + (uint64_t)sample;
  uint64_t z = s->o.seed + at * 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (float)((z ^ z >> 31) >> 40) * 0x1p-24f;
}

/* For each row a token by its logits: the best one, or a sample. */
static void choose_each(whisper_search *s, float *const *rows, speech_choice *choices) {
  const bool first = is_first(s);
  whisper_choice c = {0};
  for (int32_t i = 0; i < s->n_live; i++) {
    const whisper_hypothesis *h = &s->live[i];
    const int32_t row = first ? 0 : h->row;
    float *logits = rows[row];
    if (i == 0 || !first) c = whisper_rules_apply(s->rules, logits, h->tokens, h->n);
    const int32_t token = s->temperature > 0
                              ? whisper_choice_sample(&c, logits, s->temperature, draw(s, h->n - s->n_given, h->sample))
                              : c.best;
    choices[h->row] =
        (speech_choice){row, token, token == c.best ? c.best_logit : logits[token], c.log_sum, c.model_log_sum};
  }
}

/* Extends every sequence by the choice of its row; those that end leave. Returns false when none is left. */
static bool extend_each(whisper_search *s, const speech_choice *choices) {
  const int32_t n = s->n_live;
  s->n_live = 0;
  for (int32_t i = 0; i < n; i++) {
    whisper_hypothesis *h = &s->live[i];
    const speech_choice *c = &choices[h->row];
    const bool ends = c->id == s->rules->special->eot;
    h->sum_logprob += c->logit - c->log_sum;
    if (!ends) extend(h, c->id, c->logit, c->model_log_sum);
    if (ends || is_full(s, h) || is_loop(s, h)) {
      add_finished(s, h, h->sum_logprob);
      continue;
    }
    /* Its place among the live ones: the places before it are free, for sequences only leave. */
    const whisper_hypothesis moved = s->live[s->n_live];
    s->live[s->n_live++] = *h;
    *h = moved;
  }
  return s->n_live > 0;
}

/* ---- beams ---- */

typedef struct extension {
  int32_t beam, token;
  float logit, model_log_sum;
  double sum_logprob;
} extension;

enum { MAX_EXTENSIONS = WHISPER_MAX_SEQS * (WHISPER_MAX_SEQS + 1) };

/* The best extensions of all beams, best first. Returns how many. */
static int32_t extend_beams(whisper_search *s, float *const *rows, extension all[MAX_EXTENSIONS]) {
  int32_t n = 0;
  for (int32_t beam = 0; beam < s->n_live; beam++) {
    const whisper_hypothesis *h = &s->live[beam];
    whisper_candidate top[WHISPER_MAX_SEQS + 1];
    const whisper_choice c = whisper_rules_apply(s->rules, rows[beam], h->tokens, h->n);
    int32_t n_top = whisper_choice_top(&c, rows[beam], s->o.beam_size + 1, top);
    for (int32_t i = 0; i < n_top; i++) {
      extension e = {beam, top[i].token, top[i].logit, c.model_log_sum, h->sum_logprob + (top[i].logit - c.log_sum)};
      int32_t at = n++; /* sorted, equal ones in order of their coming */
      for (; at > 0 && all[at - 1].sum_logprob < e.sum_logprob; at--) all[at] = all[at - 1];
      all[at] = e;
    }
  }
  return n;
}

/* Keeps the best beam_size extensions; those that end before them go to the finished ones. Returns false when enough are
 * finished. Extensions that the rules exclude are never kept, so there may be fewer beams. */
static bool keep_best(whisper_search *s, const extension *all, int32_t n_all) {
  int32_t n_next = 0;
  for (int32_t i = 0; i < n_all && n_next < s->o.beam_size; i++) {
    const extension *e = &all[i];
    const whisper_hypothesis *from = &s->live[e->beam];
    if (e->token == s->rules->special->eot) {
      if (s->n_finished < s->max_finished) add_finished(s, from, e->sum_logprob);
      continue;
    }
    whisper_hypothesis *h = &s->spare[n_next];
    copy_hypothesis(h, from);
    extend(h, e->token, e->logit, e->model_log_sum);
    h->sum_logprob = e->sum_logprob;
    h->row = e->beam;
    n_next++;
  }
  whisper_hypothesis *old = s->live;
  s->live = s->spare;
  s->spare = old;
  s->n_live = n_next;

  if (n_next > 0 && s->n_finished < s->max_finished && !is_full(s, &s->live[0]) && !is_loop(s, &s->live[0]))
    return true;
  if (s->n_live == 0 && s->n_finished == 0) add_finished(s, &s->spare[0], s->spare[0].sum_logprob); /* no way on */
  /* Where too few are finished, unfinished ones make up for them; they are sorted already. */
  for (int32_t i = 0; i < s->n_live && s->n_finished < s->o.beam_size; i++)
    add_finished(s, &s->live[i], s->live[i].sum_logprob);
  return false;
}

/* ---- what the network chooses by itself; greedy is one beam ---- */

/* The end: nothing that runs ahead is wanted. */
static sotto_status finish(whisper_search *s) {
  if (s->n_ahead > 0) s->net.reset(s->net.context);
  s->n_ahead = 0;
  rank(s);
  return SOTTO_OK;
}

/* Scores are told by their distance from the best one, as floats have few digits; those of samples do not matter. */
static speech_past past_of(const whisper_search *s, const whisper_hypothesis *h) {
  speech_past past = {
      .last = h->n > 0 ? h->tokens[h->n - 1] : -1, .before = h->n > 1 ? h->tokens[h->n - 2] : -1, .time = -1};
  if (s->temperature <= 0) past.score = (float)(h->sum_logprob - s->live[0].sum_logprob);
  for (int32_t i = h->n - 1; i >= 0 && past.time < 0; i--) {
    if (h->tokens[i] >= s->rules->special->first_timestamp) past.time = h->tokens[i];
  }
  return past;
}

/* One more step, of which only the choice where no further token fits; false: it cannot be. */
static bool run_ahead(whisper_search *s) {
  const int32_t n_sampled = s->live[0].n - s->n_given + s->n_ahead;
  const int32_t from = s->n_ahead > 0 ? s->ahead[s->n_ahead - 1] : -1;
  const int32_t keep = s->temperature > 0 ? s->n_rows : s->o.beam_size;
  if (s->n_ahead == MOST_AHEAD || fills(s, n_sampled)) return false;
  const speech_rules rules = whisper_rules_told(s->rules, s->live[0].n + s->n_ahead == 0);
  const speech_past ended = {.last = rules.end, .before = rules.end, .time = -1};
  speech_past past[WHISPER_MAX_SEQS];
  speech_draws draws = {.temperature = s->temperature};
  for (int32_t i = 0; i < s->n_rows; i++) past[i] = ended;
  for (int32_t i = 0; i < s->n_live; i++) {
    past[s->live[i].row] = past_of(s, &s->live[i]);
    draws.at[s->live[i].row] = draw(s, n_sampled, s->live[i].sample);
  }
  const int32_t place = s->net.choose(s->net.context, &rules, past, from, keep, s->temperature > 0 ? &draws : NULL);
  if (place < 0) return false;
  s->ahead[s->n_ahead++] = place;
  return !fills(s, n_sampled + 1) && s->net.follow(s->net.context, place, keep) == SOTTO_OK;
}

/* The first step of those ahead becomes one of the live sequences. */
static sotto_status take_ahead(whisper_search *s) {
  speech_choice choices[MAX_SPEECH_CHOICES];
  extension all[MAX_SPEECH_CHOICES];
  int32_t n;
  const sotto_status status = s->net.chosen(s->net.context, s->ahead[0], choices, &n);
  if (status != SOTTO_OK) return status;
  memmove(s->ahead, s->ahead + 1, (size_t)--s->n_ahead * sizeof *s->ahead);
  bool more;
  if (s->temperature > 0) {
    if (n != s->n_rows) return SOTTO_ERR_FORMAT;
    more = extend_each(s, choices);
  } else {
    for (int32_t i = 0; i < n; i++) {
      const speech_choice *c = &choices[i];
      if (c->parent >= s->n_live) return SOTTO_ERR_FORMAT;
      all[i] = (extension){c->parent, c->id, c->logit, c->model_log_sum,
                           s->live[c->parent].sum_logprob + (c->logit - c->log_sum)};
    }
    more = keep_best(s, all, n);
    for (int32_t i = 0; i < s->n_live; i++) s->live[i].row = i;
    s->n_rows = s->n_live;
  }
  if (!more) return finish(s);
  s->n_steps++;
  return SOTTO_AGAIN;
}

/* ---- steps ---- */

static sotto_status start(whisper_search *s) {
  int32_t last = s->n_prompt - 1, want[2] = {s->sot_index, last};
  s->net.reset(s->net.context);
  TRY(s->net.prompt(s->net.context, s->prompt, s->n_prompt, s->sot_index < last ? want : &last,
                    s->sot_index < last ? 2 : 1));
  s->n_steps++;
  s->heard = false;
  s->phase = CHOOSE;
  return SOTTO_AGAIN;
}

/* The live sequences go through the network, in rows of their own order. */
static sotto_status go_on(whisper_search *s, bool first) {
  int32_t tokens[WHISPER_MAX_SEQS], parents[WHISPER_MAX_SEQS];
  for (int32_t i = 0; i < s->n_live; i++) {
    whisper_hypothesis *h = &s->live[i];
    tokens[i] = h->tokens[h->n - 1];
    parents[i] = first ? 0 : h->row;
    h->row = i;
  }
  s->n_rows = s->n_live;
  TRY(s->net.next(s->net.context, tokens, parents, s->n_live));
  s->n_steps++;
  return SOTTO_AGAIN;
}

sotto_status whisper_search_step(whisper_search *s) {
  if (s->phase == PROMPT) return start(s);
  if (s->phase == FINISHED) return SOTTO_OK;

  if (!s->heard) { /* asked for before other steps, so that it comes before them */
    const sotto_status status = s->net.share(s->net.context, s->rules->special->no_speech, &s->no_speech);
    if (status < 0) return status;
    s->heard = status == SOTTO_OK;
  }
  while (s->net.choose != NULL && run_ahead(s)) continue;
  if (!s->heard) return SOTTO_AGAIN;
  if (s->n_ahead > 0) return take_ahead(s);

  float *rows[WHISPER_MAX_SEQS];
  const bool first = is_first(s);
  for (int32_t i = 0; i < (first ? 1 : s->n_rows); i++) {
    rows[i] = s->net.logits(s->net.context, first && s->sot_index < s->n_prompt - 1 ? 1 : i);
    if (rows[i] == NULL) return SOTTO_AGAIN;
  }
  bool more;
  if (s->temperature <= 0 && s->o.beam_size > 1) {
    extension all[MAX_EXTENSIONS];
    more = keep_best(s, all, extend_beams(s, rows, all));
  } else {
    speech_choice choices[WHISPER_MAX_SEQS];
    choose_each(s, rows, choices);
    more = extend_each(s, choices);
  }
  return more ? go_on(s, first) : finish(s);
}

const whisper_hypothesis *whisper_search_result(const whisper_search *s) { return s->result; }
float whisper_search_no_speech(const whisper_search *s) { return s->no_speech; }
int32_t whisper_search_steps(const whisper_search *s) { return s->n_steps; }

int32_t whisper_search_timestamp(const whisper_search *s) {
  const whisper_hypothesis *h = &s->live[0];
  for (int32_t i = h->n - 1; i >= 0; i--) {
    if (h->tokens[i] >= s->rules->special->first_timestamp) return h->tokens[i];
  }
  return -1;
}
