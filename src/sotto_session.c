/* The public API of sessions: one sequence of tokens, which is synced to what it is to hold, and stepped until it does.
 *
 *     tokens ─> sync: the common prefix stays ─> step: a batch at a time ─> logits
 *                             └─> fork, save, restore
 *
 * sotto_next.c and sotto_speculate.c go on from there, and may have run ahead: whoever wants anything else of the session brings it back first. */
#include "sotto_session.h"

/* Guesses at once; 0: none are made. Negative: what is wrong. */
static int32_t plan_guesses(const sotto_model *m, const sotto_session_options *o) {
  error *err = &m->engine->err;
  if (o->draft == NULL && !o->lookup) return 0;
  if (o->draft != NULL && o->lookup)
    return fail(err, SOTTO_ERR_ARGUMENT, "guesses come from a draft or are looked up: choose one of the two");
  if (m->engine->be->ops->choose != NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "tokens are guessed on the CPU alone: leave the draft out, or the GPU");
  if (o->n_draft < 0 || o->n_draft > MOST_DRAFT)
    return fail(err, SOTTO_ERR_ARGUMENT, "%d guesses at once are out of range: give 1 to %d", (int)o->n_draft,
                MOST_DRAFT);
  if (o->draft != NULL && o->draft->engine != m->engine)
    return fail(err, SOTTO_ERR_ARGUMENT, "the draft belongs to another engine: load it with the one of the model");
  if (o->draft != NULL && (o->draft->language == NULL || gemma_configuration(o->draft->language) == NULL))
    return fail(err, SOTTO_ERR_ARGUMENT, "the draft is no language model that was loaded");
  return o->n_draft != 0 ? o->n_draft : USUAL_DRAFT;
}

/* The options with their defaults filled in, for a model whose configuration is known. *n_draft: guesses at once. */
static sotto_status plan_session(const sotto_model *m, const sotto_session_options *options, gemma_plan *plan,
                                 int32_t *n_draft) {
  error *err = &m->engine->err;
  const int32_t n_ctx_train = gemma_configuration(m->language)->n_ctx_train;
  const sotto_session_options o = options != NULL ? *options : (sotto_session_options){0};
  plan->n_ctx = o.n_ctx != 0 ? o.n_ctx : min_i32(4096, n_ctx_train);
  plan->n_batch = o.n_batch != 0 ? o.n_batch : 256;
  if (plan->n_ctx < 1 || plan->n_ctx > n_ctx_train)
    return fail(err, SOTTO_ERR_ARGUMENT, "a context of %d tokens is out of range: the model was trained for 1 to %d",
                (int)plan->n_ctx, (int)n_ctx_train);
  if (plan->n_batch < 1)
    return fail(err, SOTTO_ERR_ARGUMENT, "a batch of %d tokens is out of range: give 1 or more", (int)plan->n_batch);
  if (o.kv_type < SOTTO_KV_F16 || o.kv_type > SOTTO_KV_Q8_0)
    return fail(err, SOTTO_ERR_ARGUMENT,
                "there is no storage %d of keys and values: give SOTTO_KV_F16 or SOTTO_KV_Q8_0", (int)o.kv_type);
  plan->n_batch = min_i32(plan->n_batch, plan->n_ctx);
  *n_draft = plan_guesses(m, &o);
  if (*n_draft < 0) return (sotto_status)*n_draft;
  *n_draft = min_i32(*n_draft, plan->n_batch - 1);
  plan->n_logits = o.all_logits ? plan->n_batch : 1 + *n_draft;
  plan->kv = (kv_type)o.kv_type;
  return SOTTO_OK;
}

uint64_t sotto_session_bytes(const sotto_model *m, const sotto_session_options *options) {
  gemma_plan plan;
  int32_t n_draft;
  if (m == NULL || m->failed < 0 || m->language == NULL || gemma_configuration(m->language) == NULL) return 0;
  if (plan_session(m, options, &plan, &n_draft) < 0) return 0;
  const gemma *draft = n_draft > 0 && options->draft != NULL ? options->draft->language : NULL;
  return gemma_state_bytes(m->language, &plan) + ((uint64_t)plan.n_ctx + 1) * sizeof(int32_t) +
         (n_draft > 0 ? speculation_bytes(m->language, draft, &plan) : 0);
}

/* A session without its state. */
static sotto_session *bare_session(sotto_engine *engine, int32_t n_vocab, int32_t n_ctx, int32_t n_batch,
                                   bool all_logits) {
  sotto_session *s = mem_alloc(1, sizeof *s);
  if (s == NULL) return NULL;
  *s = (sotto_session){
      .engine = engine, .n_vocab = n_vocab, .capacity = n_ctx, .n_batch = n_batch, .all_logits = all_logits};
  s->tokens = mem_alloc((size_t)n_ctx + 1, sizeof *s->tokens);
  if (s->tokens != NULL) return s;
  sotto_session_close(s);
  return NULL;
}

/* Gives the session to the caller, or closes it. */
static sotto_status hand_over(sotto_status status, sotto_session **out, sotto_session *s) {
  if (status == SOTTO_OK)
    *out = s;
  else
    sotto_session_close(s);
  return status;
}

sotto_status sotto_session_open(sotto_session **out, sotto_model *m, const sotto_session_options *options) {
  if (out != NULL) *out = NULL;
  if (out == NULL || m == NULL) return SOTTO_ERR_ARGUMENT;
  gemma_plan plan;
  int32_t n_draft;
  TRY(check_language(m));
  TRY(plan_session(m, options, &plan, &n_draft));
  if (n_draft > 0 && options->draft != NULL) TRY(check_language(options->draft));
  error *err = &m->engine->err;
  const int32_t n_vocab = gemma_configuration(m->language)->n_vocab;
  sotto_session *s = bare_session(m->engine, n_vocab, plan.n_ctx, plan.n_batch, options != NULL && options->all_logits);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a session: choose a smaller context");
  sotto_status status = gemma_state_open(&s->state, m->language, &plan, err);
  gemma *draft = n_draft > 0 && options->draft != NULL ? options->draft->language : NULL;
  if (status == SOTTO_OK && n_draft > 0)
    status = speculation_open(&s->speculation, m->language, draft, &plan, n_draft, err);
  return hand_over(status, out, s);
}

sotto_status sotto_session_fork(sotto_session **out, sotto_session *from) {
  if (out != NULL) *out = NULL;
  if (out == NULL || from == NULL) return SOTTO_ERR_ARGUMENT;
  session_come_back(from);
  error *err = &from->engine->err;
  sotto_session *s = bare_session(from->engine, from->n_vocab, from->capacity, from->n_batch, from->all_logits);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a copy of the session");
  s->n_tokens = from->n_tokens;
  s->n_logits = from->n_logits;
  memcpy(s->tokens, from->tokens, (size_t)from->n_tokens * sizeof *s->tokens);
  sotto_status status = check_device(from->engine, gemma_state_fork(&s->state, from->state, err));
  if (status == SOTTO_OK && from->speculation != NULL)
    status = speculation_fork(&s->speculation, from->speculation, from->n_vocab, err);
  return hand_over(status, out, s);
}

void sotto_session_close(sotto_session *s) {
  if (s == NULL) return;
  session_come_back(s);
  gemma_state_close(s->state);
  speculation_close(s->speculation);
  mem_free(s->tokens);
  mem_free(s);
}

int32_t sotto_session_capacity(const sotto_session *s) { return s != NULL ? s->capacity : 0; }
int32_t sotto_session_length(const sotto_session *s) {
  return s != NULL ? min_i32(gemma_length(s->state), s->n_tokens) : 0;
}
void sotto_session_speculation(const sotto_session *s, sotto_speculation *out) {
  if (out != NULL) *out = s != NULL && s->speculation != NULL ? s->speculation->tally : (sotto_speculation){0};
}
int32_t sotto_session_n_logits(const sotto_session *s) { return s != NULL && s->n_ahead == 0 ? s->n_logits : 0; }

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
  session_come_back(s);
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

sotto_status session_evaluate(sotto_session *s) {
  if (s->n_tokens == 0) return fail(&s->engine->err, SOTTO_ERR_ARGUMENT, "the session holds no tokens: sync it first");
  if (s->n_tokens > s->capacity)
    return fail(&s->engine->err, SOTTO_ERR_ARGUMENT, "the context of %d tokens is full: sync it to fewer",
                (int)s->capacity);
  if (gemma_length(s->state) == s->n_tokens && s->n_logits == 0 && !gemma_truncate(s->state, s->n_tokens - 1))
    gemma_truncate(s->state, 0);
  const int32_t at = gemma_length(s->state), n = min_i32(s->n_batch, s->n_tokens - at);
  if (n == 0) return SOTTO_OK;
  const bool last = at + n == s->n_tokens;
  s->n_logits = s->all_logits ? n : last;
  const sotto_status status = gemma_eval(s->state, s->tokens + at, n, s->n_logits);
  if (status < 0) {
    s->n_logits = 0;
    return fail(&s->engine->err, status, "the model could not take %d tokens: open a new session", (int)n);
  }
  return last ? SOTTO_OK : SOTTO_AGAIN;
}

sotto_status sotto_session_step(sotto_session *s) {
  if (s == NULL) return SOTTO_ERR_ARGUMENT;
  session_come_back(s);
  const sotto_status status = session_evaluate(s);
  if (status != SOTTO_OK) return status;
  return gemma_logits(s->state, s->n_logits - 1) != NULL ? SOTTO_DONE : check_device(s->engine, SOTTO_AGAIN);
}

float *sotto_session_logits(sotto_session *s, int32_t back) {
  return s != NULL && s->n_ahead == 0 && back >= 0 && back < s->n_logits
             ? gemma_logits(s->state, s->n_logits - 1 - back)
             : NULL;
}

/* ---- a session as bytes ---- */

size_t sotto_session_save_bytes(sotto_session *s) {
  if (s == NULL) return 0;
  session_come_back(s);
  return gemma_save_bytes(s->state);
}

sotto_status sotto_session_save(sotto_session *s, void *bytes, size_t capacity, size_t *n) {
  if (s == NULL || n == NULL || (bytes == NULL && capacity > 0)) return SOTTO_ERR_ARGUMENT;
  *n = sotto_session_save_bytes(s);
  if (capacity < *n)
    return fail(&s->engine->err, SOTTO_ERR_ARGUMENT, "the saved session has %zu bytes, and there is room for %zu", *n,
                capacity);
  return check_device(s->engine, gemma_save(s->state, s->tokens, bytes));
}

sotto_status sotto_session_restore(sotto_session *s, const void *bytes, size_t n) {
  if (s == NULL || (bytes == NULL && n > 0)) return SOTTO_ERR_ARGUMENT;
  session_come_back(s);
  TRY(gemma_restore(s->state, s->tokens, bytes, n, &s->engine->err));
  s->n_tokens = gemma_length(s->state);
  s->n_logits = 0;
  return SOTTO_OK;
}
