/* The public API of language models: text to tokens and back, sessions, samplers.
 *
 *     text ─> sotto_tokenize, sotto_chat_tokens ─> ids ─> session: sync, step ─> logits ─> sampler ─> id ─> sotto_token_piece */
#include "sotto_internal.h"
#include "text/chat_template.h"
#include "text/sampler.h"

struct sotto_session {
  sotto_engine *engine;
  gemma_state *state;
  int32_t n_vocab, capacity, n_batch;
  bool all_logits;
  int32_t *tokens; /* [capacity], of them n_tokens are wanted, and the first gemma_length are evaluated */
  int32_t n_tokens;
  int32_t n_logits; /* rows that the last step made */
};

struct sotto_sampler {
  sotto_engine *engine;
  sampler *s;
};

/* ---- what a call needs of the model ---- */

static sotto_status check_language(const sotto_model *m) {
  error *err = &m->engine->err;
  if (m->speech != NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "this is a Whisper model, which transcribes speech: load a language model");
  if (m->language == NULL || m->failed < 0 || !gemma_finished(m->language))
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not complete: feed all of its files and finish it first");
  return SOTTO_OK;
}

/* Text needs the vocabulary alone, which comes long before the last weight. */
static sotto_status check_vocabulary(const sotto_model *m) {
  if (m->language == NULL || m->failed < 0 || gemma_vocabulary(m->language) == NULL) {
    TRY(check_language(m));
    return fail(&m->engine->err, SOTTO_ERR_ARGUMENT,
                "the model has no vocabulary: put tokenizer.model or tokenizer.json beside its weights");
  }
  return SOTTO_OK;
}

/* The vocabulary, NULL where there is none (yet). */
static const spm_vocab *vocabulary(const sotto_model *m) {
  return m != NULL && m->language != NULL && m->failed == SOTTO_OK ? gemma_vocabulary(m->language) : NULL;
}

/* ---- text and tokens ---- */

/* Gives a list's ids to the caller, and frees it. */
static sotto_status hand_over(sotto_status status, id_list *list, int32_t *ids, size_t capacity, size_t *n) {
  if (status >= 0) {
    *n = list->count;
    const size_t fitting = min_size(list->count, capacity);
    if (fitting > 0) memcpy(ids, list->ids, fitting * sizeof *ids);
  }
  id_list_free(list);
  return status;
}

sotto_status sotto_tokenize(sotto_model *m, const char *text, size_t bytes, uint32_t flags, int32_t *ids,
                            size_t capacity, size_t *n) {
  if (m == NULL || n == NULL || (text == NULL && bytes > 0) || (ids == NULL && capacity > 0)) return SOTTO_ERR_ARGUMENT;
  *n = 0;
  TRY(check_vocabulary(m));
  const unsigned spm_flags =
      (flags & SOTTO_TEXT_BOS ? SPM_ADD_BOS : 0) | (flags & SOTTO_TEXT_SPECIAL ? SPM_PARSE_CONTROL : 0);
  id_list list = {0};
  const sotto_status status = spm_encode(gemma_vocabulary(m->language), text, bytes, spm_flags, &list, &m->engine->err);
  return hand_over(status, &list, ids, capacity, n);
}

const char *sotto_token_piece(const sotto_model *m, int32_t id, int32_t show_control, size_t *bytes) {
  const spm_vocab *v = vocabulary(m);
  size_t n = 0;
  const char *piece = v != NULL ? spm_piece(v, id, show_control != 0, &n) : "";
  if (bytes != NULL) *bytes = n;
  return piece;
}

sotto_status sotto_chat_tokens(sotto_model *m, const sotto_turn *turns, size_t n_turns, int32_t *ids, size_t capacity,
                               size_t *n) {
  if (m == NULL || n == NULL || (turns == NULL && n_turns > 0) || (ids == NULL && capacity > 0))
    return SOTTO_ERR_ARGUMENT;
  *n = 0;
  TRY(check_vocabulary(m));
  error *err = &m->engine->err;
  const char *architecture = gemma_configuration(m->language)->architecture;
  const chat_template *template = chat_template_find(architecture);
  if (template == NULL) return fail(err, SOTTO_ERR_UNSUPPORTED, "no chat template is known for %s", architecture);
  chat_turn *copy = mem_alloc(n_turns, sizeof *copy);
  if (copy == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the conversation");
  sotto_status status = SOTTO_OK;
  for (size_t i = 0; i < n_turns && status == SOTTO_OK; i++) {
    const sotto_turn *t = &turns[i];
    if (t->role < SOTTO_SYSTEM || t->role > SOTTO_MODEL || (t->text == NULL && t->bytes > 0))
      status = fail(err, SOTTO_ERR_ARGUMENT, "turn %zu has no known role, or no text", i + 1);
    const chat_role role = t->role == SOTTO_SYSTEM ? CHAT_SYSTEM : t->role == SOTTO_USER ? CHAT_USER : CHAT_MODEL;
    copy[i] = (chat_turn){role, t->text != NULL ? t->text : "", t->bytes};
  }
  id_list list = {0};
  if (status == SOTTO_OK)
    status = chat_template_ids(template, gemma_vocabulary(m->language), copy, n_turns, CHAT_REPLY, &list, err);
  mem_free(copy);
  return hand_over(status, &list, ids, capacity, n);
}

int32_t sotto_token_ends(const sotto_model *m, int32_t id) {
  const spm_vocab *v = vocabulary(m);
  if (v == NULL || id < 0) return 0;
  const chat_template *template = chat_template_find(gemma_configuration(m->language)->architecture);
  return id == spm_vocab_settings(v)->eos || (template != NULL && id == chat_template_end_of_turn(template, v));
}

/* ---- session ---- */

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

/* ---- sampler ---- */

void sotto_sampler_options_default(sotto_sampler_options *o) {
  if (o == NULL) return;
  const sampler_options d = sampler_default_options();
  *o = (sotto_sampler_options){.temperature = d.temperature,
                               .top_k = d.top_k,
                               .top_p = d.top_p,
                               .min_p = d.min_p,
                               .typical_p = d.typical_p,
                               .repetition_penalty = d.repetition_penalty,
                               .presence_penalty = d.presence_penalty,
                               .frequency_penalty = d.frequency_penalty,
                               .penalty_window = d.penalty_window,
                               .seed = d.seed};
}

sotto_status sotto_sampler_open(sotto_sampler **out, sotto_model *m, const sotto_sampler_options *options) {
  if (out == NULL || m == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  TRY(check_language(m));
  sotto_sampler_options o;
  sotto_sampler_options_default(&o);
  if (options != NULL) o = *options;
  const sampler_options inner = {.temperature = o.temperature,
                                 .top_k = o.top_k,
                                 .top_p = o.top_p,
                                 .min_p = o.min_p,
                                 .typical_p = o.typical_p,
                                 .repetition_penalty = o.repetition_penalty,
                                 .presence_penalty = o.presence_penalty,
                                 .frequency_penalty = o.frequency_penalty,
                                 .penalty_window = o.penalty_window,
                                 .seed = o.seed};
  error *err = &m->engine->err;
  sotto_sampler *s = mem_alloc(1, sizeof *s);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the sampler");
  const sotto_status status = sampler_open(&s->s, &inner, gemma_configuration(m->language)->n_vocab, err);
  if (status < 0) {
    mem_free(s);
    return status;
  }
  s->engine = m->engine;
  *out = s;
  return SOTTO_OK;
}

void sotto_sampler_close(sotto_sampler *s) {
  if (s == NULL) return;
  sampler_close(s->s);
  mem_free(s);
}

void sotto_sampler_accept(sotto_sampler *s, int32_t id) {
  if (s != NULL) sampler_accept(s->s, id);
}

sotto_status sotto_sampler_sample(sotto_sampler *s, float *logits, int32_t *id, float *logprob) {
  if (s == NULL || id == NULL) return SOTTO_ERR_ARGUMENT;
  if (logits == NULL)
    return fail(&s->engine->err, SOTTO_ERR_ARGUMENT,
                "there are no logits to choose by: step the session until it is done");
  sampler_result result;
  TRY(sampler_sample(s->s, logits, &result, &s->engine->err));
  *id = result.id;
  if (logprob != NULL) *logprob = sampler_logprob(s->s, logits, result.id);
  return SOTTO_OK;
}
