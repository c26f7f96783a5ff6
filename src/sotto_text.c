/* The public API of language models: text to tokens and back, samplers. Sessions are in sotto_session.c.
 *
 *     text ─> sotto_tokenize, sotto_chat_tokens ─> ids ─> session: sync, step ─> logits ─> sampler ─> id ─> sotto_token_piece */
#include "sotto_internal.h"
#include "text/chat_template.h"
#include "text/sampler.h"

/* ---- what a call needs of the model ---- */

sotto_status check_language(const sotto_model *m) {
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

/* The list becomes the ids of a conversation without the first `n_pairs` of user and model. */
static sotto_status encode_chat(sotto_model *m, const sotto_turn *turns, size_t n_turns, size_t n_pairs,
                                id_list *list) {
  error *err = &m->engine->err;
  const char *architecture = gemma_configuration(m->language)->architecture;
  const chat_template *template = chat_template_find(architecture);
  if (template == NULL) return fail(err, SOTTO_ERR_UNSUPPORTED, "no chat template is known for %s", architecture);
  chat_turn *copy = mem_alloc(n_turns, sizeof *copy);
  if (copy == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the conversation");
  sotto_status status = SOTTO_OK;
  size_t n = 0;
  const size_t first = n_turns > 0 && turns[0].role == SOTTO_SYSTEM;
  list->count = 0;
  for (size_t i = 0; i < n_turns && status == SOTTO_OK; i++) {
    const sotto_turn *t = &turns[i];
    if (t->role < SOTTO_SYSTEM || t->role > SOTTO_MODEL || (t->text == NULL && t->bytes > 0))
      status = fail(err, SOTTO_ERR_ARGUMENT, "turn %zu has no known role, or no text", i + 1);
    if (i >= first && i < first + 2 * n_pairs) continue;
    const chat_role role = t->role == SOTTO_SYSTEM ? CHAT_SYSTEM : t->role == SOTTO_USER ? CHAT_USER : CHAT_MODEL;
    copy[n++] = (chat_turn){role, t->text != NULL ? t->text : "", t->bytes};
  }
  if (status == SOTTO_OK)
    status = chat_template_ids(template, gemma_vocabulary(m->language), copy, n, CHAT_REPLY, list, err);
  mem_free(copy);
  return status;
}

sotto_status sotto_chat_tokens(sotto_model *m, const sotto_turn *turns, size_t n_turns, int32_t *ids, size_t capacity,
                               size_t *n) {
  size_t n_dropped;
  return sotto_chat_fit(m, turns, n_turns, SIZE_MAX, ids, capacity, n, &n_dropped);
}

sotto_status sotto_chat_fit(sotto_model *m, const sotto_turn *turns, size_t n_turns, size_t max_tokens, int32_t *ids,
                            size_t capacity, size_t *n, size_t *n_dropped) {
  if (m == NULL || n == NULL || n_dropped == NULL || (turns == NULL && n_turns > 0) || (ids == NULL && capacity > 0))
    return SOTTO_ERR_ARGUMENT;
  *n = *n_dropped = 0;
  TRY(check_vocabulary(m));
  id_list list = {0};
  sotto_status status = encode_chat(m, turns, n_turns, 0, &list);
  if (status == SOTTO_OK && list.count > max_tokens) {
    /* Of the pairs of turns, `low` are too few to leave out; `high`, at first all but the last turn, are enough. */
    size_t low = 0, high = (n_turns - 1 - (turns[0].role == SOTTO_SYSTEM)) / 2;
    status = encode_chat(m, turns, n_turns, high, &list);
    if (status == SOTTO_OK && list.count > max_tokens)
      status = fail(&m->engine->err, SOTTO_ERR_ARGUMENT,
                    "the last turn alone takes %zu tokens, and there is room for %zu: shorten it, or take a larger "
                    "context",
                    list.count, max_tokens);
    while (status == SOTTO_OK && high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      status = encode_chat(m, turns, n_turns, middle, &list);
      *(list.count <= max_tokens ? &high : &low) = middle;
    }
    if (status == SOTTO_OK) {
      status = encode_chat(m, turns, n_turns, high, &list);
      *n_dropped = 2 * high;
    }
  }
  return hand_over(status, &list, ids, capacity, n);
}

int32_t sotto_token_ends(const sotto_model *m, int32_t id) {
  const spm_vocab *v = vocabulary(m);
  if (v == NULL || id < 0) return 0;
  const chat_template *template = chat_template_find(gemma_configuration(m->language)->architecture);
  return id == spm_vocab_settings(v)->eos || (template != NULL && id == chat_template_end_of_turn(template, v));
}

/* ---- sampler ---- */

void sotto_sampler_options_default(sotto_sampler_options *options) {
  if (options != NULL) *options = sampler_default_options();
}

sotto_status sotto_sampler_open(sotto_sampler **out, sotto_model *m, const sotto_sampler_options *options) {
  if (out != NULL) *out = NULL;
  if (out == NULL || m == NULL) return SOTTO_ERR_ARGUMENT;
  TRY(check_language(m));
  const sotto_sampler_options defaults = sampler_default_options();
  error *err = &m->engine->err;
  sotto_sampler *s = mem_alloc(1, sizeof *s);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the sampler");
  const sotto_status status =
      sampler_open(&s->s, options != NULL ? options : &defaults, gemma_configuration(m->language)->n_vocab, err);
  if (status < 0) {
    mem_free(s);
    return status;
  }
  s->engine = m->engine;
  s->stamp = ++m->engine->stamps;
  *out = s;
  return SOTTO_OK;
}

sotto_status sotto_sampler_fork(sotto_sampler **out, const sotto_sampler *from) {
  if (out != NULL) *out = NULL;
  if (out == NULL || from == NULL) return SOTTO_ERR_ARGUMENT;
  sotto_sampler *s = mem_alloc(1, sizeof *s);
  if (s != NULL) {
    *s = (sotto_sampler){from->engine, sampler_clone(from->s), ++from->engine->stamps};
    *out = s;
    if (s->s != NULL) return SOTTO_OK;
    sotto_sampler_close(s);
    *out = NULL;
  }
  return fail(&from->engine->err, SOTTO_ERR_MEMORY, "out of memory for the sampler");
}

void sotto_sampler_close(sotto_sampler *s) {
  if (s == NULL) return;
  sampler_close(s->s);
  mem_free(s);
}

void sotto_sampler_accept(sotto_sampler *s, int32_t id) {
  if (s == NULL) return;
  s->stamp = ++s->engine->stamps;
  sampler_accept(s->s, id);
}

sotto_status sotto_sampler_sample(sotto_sampler *s, float *logits, int32_t *id, float *logprob) {
  if (s == NULL || id == NULL) return SOTTO_ERR_ARGUMENT;
  if (logits == NULL)
    return fail(&s->engine->err, SOTTO_ERR_ARGUMENT,
                "there are no logits to choose by: step the session until it is done");
  s->stamp = ++s->engine->stamps;
  TRY(sampler_sample(s->s, logits, id, &s->engine->err));
  if (logprob != NULL) *logprob = sampler_logprob(s->s, logits, *id);
  return SOTTO_OK;
}

int32_t sotto_sampler_top(const sotto_sampler *s, const float *logits, sotto_logprob *top, int32_t n) {
  return s != NULL && logits != NULL && top != NULL ? sampler_top(s->s, logits, top, n) : 0;
}
