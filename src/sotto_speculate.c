/* See sotto_speculate.h. One call gives one token: from the logits of a check that is under way, else from a check that it begins, or a plain step. */
#include "sotto_speculate.h"

#include <math.h>

#include "sotto_session.h"
#include "text/sampler.h"

enum { LEAST_MATCH = 3, MOST_MATCH = 8, FIRST_PATIENCE = 16, MOST_PATIENCE = 256, CHECKS_BETWEEN_STEPS = 64 };

/* ---- open and close ---- */

static gemma_plan draft_plan(const gemma *draft, const gemma_plan *plan) {
  const int32_t n_ctx = min_i32(plan->n_ctx, gemma_configuration(draft)->n_ctx_train);
  return (gemma_plan){n_ctx, min_i32(plan->n_batch, n_ctx), 1, plan->kv};
}

uint64_t speculation_bytes(const gemma *model, const gemma *draft, const gemma_plan *plan) {
  if (draft == NULL) return sizeof(speculation);
  const gemma_plan of_draft = draft_plan(draft, plan);
  const int32_t n_vocab = gemma_configuration(model)->n_vocab;
  const uint64_t padded = gemma_configuration(draft)->n_vocab < n_vocab ? (uint64_t)n_vocab * sizeof(float) : 0;
  return sizeof(speculation) + gemma_state_bytes(draft, &of_draft) + (uint64_t)of_draft.n_ctx * sizeof(int32_t) +
         padded;
}

/* The same tokens, but for those at the end that only one has. */
static sotto_status check_vocabulary(const gemma *model, const gemma *draft, error *err) {
  const spm_vocab *a = gemma_vocabulary(model), *b = gemma_vocabulary(draft);
  if (model == draft) return SOTTO_OK;
  if (a == NULL || b == NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "a model without vocabulary cannot be checked against its draft");
  const int32_t n = min_i32(spm_vocab_size(a), spm_vocab_size(b));
  for (int32_t i = 0; i < n; i++) {
    size_t bytes, other_bytes;
    const char *text = spm_vocab_text(a, i, &bytes), *other = spm_vocab_text(b, i, &other_bytes);
    if (bytes != other_bytes || memcmp(text, other, bytes) != 0)
      return fail(err, SOTTO_ERR_ARGUMENT,
                  "the draft has another vocabulary than the model (token %d): take a smaller model of the same family",
                  (int)i);
  }
  return SOTTO_OK;
}

static sotto_status no_memory(error *err) { return fail(err, SOTTO_ERR_MEMORY, "out of memory for the draft"); }

static void take_pace(speculation_pace *p) {
  *p = (speculation_pace){.hits = 2.8, .tries = 4, .patience = FIRST_PATIENCE};
}

static sotto_status open_draft(speculation *p, const gemma *model, gemma *draft, const gemma_plan *plan, error *err) {
  const gemma_plan of_draft = draft_plan(draft, plan);
  const int32_t n_vocab = gemma_configuration(model)->n_vocab;
  p->draft_vocab = gemma_configuration(draft)->n_vocab;
  p->draft_ctx = of_draft.n_ctx;
  p->draft_batch = of_draft.n_batch;
  p->held = mem_alloc((size_t)p->draft_ctx, sizeof *p->held);
  p->logits = p->draft_vocab < n_vocab ? mem_alloc((size_t)n_vocab, sizeof *p->logits) : NULL;
  if (p->held == NULL || (p->draft_vocab < n_vocab && p->logits == NULL)) return no_memory(err);
  for (int32_t i = 0; p->logits != NULL && i < n_vocab; i++) p->logits[i] = -INFINITY;
  return gemma_state_open(&p->draft, draft, &of_draft, err);
}

sotto_status speculation_open(speculation **out, const gemma *model, gemma *draft, const gemma_plan *plan, int32_t most,
                              error *err) {
  *out = NULL;
  if (draft != NULL) TRY(check_vocabulary(model, draft, err));
  speculation *p = mem_alloc(1, sizeof *p);
  if (p == NULL) return no_memory(err);
  *p = (speculation){.most = most};
  take_pace(&p->pace);
  const sotto_status status = draft != NULL ? open_draft(p, model, draft, plan, err) : SOTTO_OK;
  if (status < 0)
    speculation_close(p);
  else
    *out = p;
  return status;
}

sotto_status speculation_fork(speculation **out, speculation *from, int32_t n_vocab, error *err) {
  *out = NULL;
  speculation *p = mem_alloc(1, sizeof *p);
  if (p == NULL) return no_memory(err);
  *p = *from;
  p->draft = NULL;
  p->held = NULL;
  p->logits = NULL;
  sotto_status status = SOTTO_OK;
  if (from->draft != NULL) {
    p->held = mem_alloc((size_t)p->draft_ctx, sizeof *p->held);
    p->logits = from->logits != NULL ? mem_alloc((size_t)n_vocab, sizeof *p->logits) : NULL;
    if (p->held == NULL || (from->logits != NULL && p->logits == NULL))
      status = no_memory(err);
    else
      status = gemma_state_fork(&p->draft, from->draft, err);
    if (p->held != NULL) memcpy(p->held, from->held, (size_t)p->draft_ctx * sizeof *p->held);
    if (p->logits != NULL) memcpy(p->logits, from->logits, (size_t)n_vocab * sizeof *p->logits);
  }
  if (status != SOTTO_OK)
    speculation_close(p);
  else
    *out = p;
  return status;
}

void speculation_close(speculation *p) {
  if (p == NULL) return;
  gemma_state_close(p->draft);
  mem_free(p->held);
  mem_free(p->logits);
  mem_free(p);
}

/* ---- how many guesses ---- */

static double follow(double mean, double ms) { return mean > 0 ? mean + 0.25 * (ms - mean) : ms; }

/* The number of guesses for which the most tokens come in a millisecond: a check of k brings 1 + a + a² ... + a^k tokens, where a guess is right
 * with the probability a. */
static int32_t worthwhile(const speculation_pace *p, int32_t most) {
  const double a = p->hits / p->tries, row = p->row_ms > 0 ? p->row_ms : p->one_ms / 4;
  double tokens = 1, power = 1, best = 1 / p->one_ms;
  int32_t k = 0;
  for (int32_t i = 1; i <= most; i++) {
    power *= a;
    tokens += power;
    const double rate = tokens / (p->one_ms + i * (row + p->guess_ms));
    if (rate > best) best = rate, k = i;
  }
  return k;
}

/* Guesses to make now, at most `most`. Where they do not pay, it is tried anew from time to time, ever more seldom. */
static int32_t plan_guesses(const speculation_pace *p, int32_t most) {
  if (p->one_ms == 0 || p->checks >= CHECKS_BETWEEN_STEPS) return 0;
  const int32_t k = worthwhile(p, most);
  return k == 0 && p->plain >= p->patience ? min_i32(most, 2) : k;
}

static void measure_step(speculation_pace *p, double ms) {
  p->one_ms = follow(p->one_ms, ms);
  p->plain++;
  p->checks = 0;
}

static void measure_check(speculation_pace *p, int32_t rows, double ms) {
  const double further = (ms - p->one_ms) / (rows - 1);
  p->row_ms = follow(p->row_ms, further > 0.01 * p->one_ms ? further : 0.01 * p->one_ms);
  if (p->plain >= p->patience) p->patience = min_i32(2 * p->patience, MOST_PATIENCE);
  p->plain = 0;
  p->checks++;
}

/* A check is over: `right` guesses were chosen, and after them, where there were more, one was not. */
static void judge(speculation *p, int32_t right) {
  speculation_pace *t = &p->pace;
  t->hits = 0.9 * t->hits + right;
  t->tries = 0.9 * t->tries + right + (right < p->n_guesses);
  if (right == p->n_guesses) t->patience = FIRST_PATIENCE;
  p->tally.n_accepted += right;
}

/* ---- guesses ---- */

/* What followed the longest stretch of tokens that is also the end of the text, the last time that it came. */
static int32_t look_up(const int32_t *tokens, int32_t n, int32_t most, int32_t *guesses) {
  int32_t longest = LEAST_MATCH - 1, from = n;
  for (int32_t end = n - 1; end >= LEAST_MATCH && longest < MOST_MATCH; end--) {
    int32_t length = 0;
    while (length < min_i32(end, MOST_MATCH) && tokens[end - 1 - length] == tokens[n - 1 - length]) length++;
    if (length > longest) longest = length, from = end;
  }
  if (from == n) return 0;
  for (int32_t i = 0; i < most; i++) guesses[i] = from + i < n ? tokens[from + i] : guesses[from + i - n];
  return most;
}

/* The draft holds what the session holds, as far as that goes in one step: AGAIN while more is to come, OK with the logits of the last token. False in *able:
 * it cannot. */
static sotto_status draw_level(speculation *p, const int32_t *tokens, int32_t n, bool *able) {
  int32_t kept = 0;
  *able = true;
  for (const int32_t most = min_i32(gemma_length(p->draft), n - 1); kept < most && p->held[kept] == tokens[kept];)
    kept++;
  if (!gemma_truncate(p->draft, kept)) gemma_truncate(p->draft, kept = 0);
  const int32_t count = min_i32(n - kept, p->draft_batch);
  for (int32_t i = kept; i < kept + count; i++) {
    if (tokens[i] >= p->draft_vocab) *able = false;
    p->held[i] = tokens[i];
  }
  if (!*able) return SOTTO_OK;
  TRY(gemma_eval(p->draft, tokens + kept, count, kept + count == n));
  return kept + count == n ? SOTTO_OK : SOTTO_AGAIN;
}

static float *draft_logits(speculation *p) {
  float *logits = gemma_logits(p->draft, 0);
  if (p->logits == NULL) return logits;
  memcpy(p->logits, logits, (size_t)p->draft_vocab * sizeof *p->logits);
  return p->logits;
}

/* Has the draft write `most` tokens, drawn by the numbers that the sampler will draw by. */
static sotto_status draft(sotto_session *s, sotto_sampler *chooser, int32_t most) {
  speculation *p = s->speculation;
  bool able;
  most = min_i32(most, p->draft_ctx - s->n_tokens + 1);
  if (most < 1) return SOTTO_OK;
  TRY(draw_level(p, s->tokens, s->n_tokens, &able));
  if (gemma_length(p->draft) < s->n_tokens && able) return SOTTO_AGAIN;
  while (able && p->n_guesses < most) {
    int32_t *guess = &p->guesses[p->n_guesses];
    if (!sampler_guess(chooser->s, draft_logits(p), p->n_guesses, guess)) break;
    p->n_guesses++;
    if (p->n_guesses == most || *guess >= p->draft_vocab) break;
    p->held[gemma_length(p->draft)] = *guess;
    TRY(gemma_eval(p->draft, guess, 1, 1));
  }
  return SOTTO_OK;
}

/* Fills p->guesses. AGAIN: the draft has more to read first. */
static sotto_status guess(sotto_session *s, sotto_sampler *chooser) {
  speculation *p = s->speculation;
  /* Of the tokens evaluated together the last may be the context's last. */
  const int32_t room = min_i32(p->most, s->capacity - s->n_tokens), k = plan_guesses(&p->pace, room);
  p->n_guesses = 0;
  if (k < 1) return SOTTO_OK;
  /* What it takes to catch up is no guess's price. */
  const bool level = p->draft == NULL || s->n_tokens - gemma_length(p->draft) <= 2;
  const double begin_ms = now_ms();
  if (p->draft == NULL)
    p->n_guesses = look_up(s->tokens, s->n_tokens, k, p->guesses);
  else
    TRY(draft(s, chooser, k));
  if (p->n_guesses > 0 && level) p->pace.guess_ms = follow(p->pace.guess_ms, (now_ms() - begin_ms) / p->n_guesses);
  return SOTTO_OK;
}

/* ---- checks ---- */

/* Evaluates the last token and the guesses after it. */
static sotto_status check(sotto_session *s) {
  speculation *p = s->speculation;
  int32_t tokens[MOST_DRAFT + 1];
  const int32_t rows = p->n_guesses + 1;
  tokens[0] = s->tokens[s->n_tokens - 1];
  memcpy(tokens + 1, p->guesses, (size_t)p->n_guesses * sizeof *tokens);
  const double begin_ms = now_ms();
  const sotto_status status = gemma_eval(s->state, tokens, rows, rows);
  if (status < 0)
    return fail(&s->engine->err, status, "the model could not take %d tokens: open a new session", (int)rows);
  if (rows == 1) {
    measure_step(&p->pace, now_ms() - begin_ms);
  } else {
    measure_check(&p->pace, rows, now_ms() - begin_ms);
    p->tally.n_checks++;
    p->tally.n_guesses += p->n_guesses;
  }
  p->row = 0;
  p->rows = rows;
  return SOTTO_OK;
}

sotto_status speculation_next(sotto_session *s, sotto_sampler *chooser, int32_t *id, float *logprob) {
  speculation *p = s->speculation;
  if (p->rows == 0 &&
      (s->n_tokens == 0 || s->n_logits > 0 || s->n_tokens > s->capacity || gemma_length(s->state) != s->n_tokens - 1)) {
    const sotto_status status = session_evaluate(s);
    return status != SOTTO_OK ? status : session_sample(s, chooser, s->n_logits - 1, id, logprob);
  }
  if (p->rows == 0) {
    const sotto_status status = guess(s, chooser);
    if (status == SOTTO_AGAIN) return status;
    if (status < 0)
      return fail(&s->engine->err, status, "the draft could not take the text: open a session without it");
    TRY(check(s));
  }
  TRY(session_sample(s, chooser, p->row, id, logprob));
  if (p->row < p->n_guesses && p->guesses[p->row] == *id) {
    p->row++;
    return SOTTO_OK;
  }
  if (p->n_guesses > 0) judge(p, p->row);
  p->rows = 0;
  gemma_truncate(s->state,
                 s->n_tokens - 1); /* a ring holds a batch more than it looks back to, and a check is no larger */
  return SOTTO_OK;
}
