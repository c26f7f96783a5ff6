/* The public API of sessions: one sequence of tokens, which is synced to what it is to hold, and stepped until it does.
 *
 *     tokens ─> sync: the common prefix stays ─> step: a batch at a time ─> logits
 *                             └─> fork, save, restore */
#include "sotto_internal.h"

struct sotto_session {
  sotto_engine *engine;
  gemma_state *state;
  int32_t n_vocab, capacity, n_batch;
  bool all_logits;
  int32_t *tokens; /* [capacity], of them n_tokens are wanted, and the first gemma_length are evaluated */
  int32_t n_tokens;
  int32_t n_logits; /* rows that the last step made */
};

/* The options with their defaults filled in. */
static sotto_status plan_session(const sotto_model *m, const sotto_session_options *options,
                                 sotto_session_options *plan) {
  TRY(check_language(m));
  error *err = &m->engine->err;
  const int32_t n_ctx_train = gemma_configuration(m->language)->n_ctx_train;
  *plan = options != NULL ? *options : (sotto_session_options){0};
  if (plan->n_ctx == 0) plan->n_ctx = min_i32(4096, n_ctx_train);
  if (plan->n_batch == 0) plan->n_batch = 256;
  if (plan->n_ctx < 1 || plan->n_ctx > n_ctx_train)
    return fail(err, SOTTO_ERR_ARGUMENT, "a context of %d tokens is out of range: the model was trained for 1 to %d",
                (int)plan->n_ctx, (int)n_ctx_train);
  if (plan->n_batch < 1)
    return fail(err, SOTTO_ERR_ARGUMENT, "a batch of %d tokens is out of range: give 1 or more", (int)plan->n_batch);
  plan->n_batch = min_i32(plan->n_batch, plan->n_ctx);
  return SOTTO_OK;
}

static int32_t logits_rows(const sotto_session_options *plan) { return plan->all_logits ? plan->n_batch : 1; }

uint64_t sotto_session_bytes(const sotto_model *m, const sotto_session_options *options) {
  sotto_session_options plan;
  if (m == NULL || plan_session(m, options, &plan) < 0) return 0;
  return gemma_state_bytes(m->language, plan.n_ctx, plan.n_batch, logits_rows(&plan)) +
         (uint64_t)plan.n_ctx * sizeof(int32_t);
}

sotto_status sotto_session_open(sotto_session **out, sotto_model *m, const sotto_session_options *options) {
  if (out == NULL || m == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  sotto_session_options plan;
  TRY(plan_session(m, options, &plan));
  error *err = &m->engine->err;
  sotto_session *s = mem_alloc(1, sizeof *s);
  int32_t *tokens = mem_alloc((size_t)plan.n_ctx, sizeof *tokens);
  sotto_status status = s != NULL && tokens != NULL ? SOTTO_OK : SOTTO_ERR_MEMORY;
  if (status == SOTTO_OK)
    status = gemma_state_open(&s->state, m->language, plan.n_ctx, plan.n_batch, logits_rows(&plan), err);
  else
    fail(err, status, "out of memory for a session");
  if (status < 0) {
    mem_free(tokens);
    mem_free(s);
    return status;
  }
  s->engine = m->engine;
  s->n_vocab = gemma_configuration(m->language)->n_vocab;
  s->capacity = plan.n_ctx;
  s->n_batch = plan.n_batch;
  s->all_logits = plan.all_logits != 0;
  s->tokens = tokens;
  *out = s;
  return SOTTO_OK;
}

void sotto_session_close(sotto_session *s) {
  if (s == NULL) return;
  gemma_state_close(s->state);
  mem_free(s->tokens);
  mem_free(s);
}

int32_t sotto_session_capacity(const sotto_session *s) { return s != NULL ? s->capacity : 0; }
int32_t sotto_session_length(const sotto_session *s) { return s != NULL ? gemma_length(s->state) : 0; }
int32_t sotto_session_n_logits(const sotto_session *s) { return s != NULL ? s->n_logits : 0; }

sotto_status sotto_session_sync(sotto_session *s, const int32_t *tokens, size_t n) {
  if (s == NULL) return SOTTO_ERR_ARGUMENT;
  error *err = &s->engine->err;
  if (tokens == NULL || n == 0) return fail(err, SOTTO_ERR_ARGUMENT, "the session got no tokens: give it one at least");
  if (n > (size_t)s->capacity)
    return fail(err, SOTTO_ERR_ARGUMENT,
                "%zu tokens do not fit in a context of %d: shorten the text, or take a larger one", n,
                (int)s->capacity);
  for (size_t i = 0; i < n; i++)
    if (tokens[i] < 0 || tokens[i] >= s->n_vocab)
      return fail(err, SOTTO_ERR_ARGUMENT, "token %zu is %d, and the model has tokens 0 to %d", i + 1, (int)tokens[i],
                  (int)s->n_vocab - 1);
  const int32_t wanted = (int32_t)n, held = gemma_length(s->state);
  int32_t kept = 0;
  while (kept < held && kept < wanted - 1 && s->tokens[kept] == tokens[kept]) kept++;
  if (kept < held && !gemma_truncate(s->state, kept)) {
    kept = 0;
    gemma_truncate(s->state, 0);
  }
  memcpy(s->tokens + kept, tokens + kept, (n - (size_t)kept) * sizeof *tokens);
  s->n_tokens = wanted;
  s->n_logits = 0;
  return SOTTO_OK;
}

sotto_status sotto_session_step(sotto_session *s) {
  if (s == NULL) return SOTTO_ERR_ARGUMENT;
  if (s->n_tokens == 0) return fail(&s->engine->err, SOTTO_ERR_ARGUMENT, "the session holds no tokens: sync it first");
  const int32_t at = gemma_length(s->state), n = min_i32(s->n_batch, s->n_tokens - at);
  if (n > 0) {
    const bool last = at + n == s->n_tokens;
    s->n_logits = s->all_logits ? n : last;
    const sotto_status status = gemma_eval(s->state, s->tokens + at, n, s->n_logits);
    if (status < 0) {
      s->n_logits = 0;
      return fail(&s->engine->err, status, "the model could not take %d tokens: open a new session", (int)n);
    }
    if (!last) return SOTTO_AGAIN;
  }
  return gemma_logits(s->state, s->n_logits - 1) != NULL ? SOTTO_DONE : SOTTO_AGAIN;
}

float *sotto_session_logits(sotto_session *s, int32_t back) {
  return s != NULL && back >= 0 && back < s->n_logits ? gemma_logits(s->state, s->n_logits - 1 - back) : NULL;
}
