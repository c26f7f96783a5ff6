/* What the engine says of a model whose weights it has not seen: whether it runs it, its vocabulary and chat template, and the memory that
 * contexts need.
 *
 *     configuration and vocabulary ─> sotto_model ─> sotto_tokenize, sotto_chat_tokens, sotto_token_ends, sotto_session_bytes */
#include <stdio.h>

#include "info_language.h"

typedef struct view {
  sotto_engine *engine;
  sotto_model *model;
} view;

static bool open_view(view *v) {
  const sotto_engine_options one = {.n_threads = 1};
  *v = (view){NULL, NULL};
  return sotto_engine_open(&v->engine, &one) == SOTTO_OK && sotto_model_open(&v->model, v->engine) == SOTTO_OK;
}

static void close_view(view *v) {
  sotto_model_close(v->model);
  sotto_engine_close(v->engine);
}

/* ---- asking ---- */

static void ask_vocabulary(description *d, sotto_model *m) {
  sotto_model_info info;
  sotto_model_describe(m, &info);
  for (int32_t i = 0; i < info.n_vocab && d->n_ends < INFO_ENDS; i++) {
    if (!sotto_token_ends(m, i)) continue;
    size_t size;
    const char *name = sotto_token_piece(m, i, 1, &size);
    info_copy_text(d->end_names[d->n_ends], sizeof d->end_names[0], name, size);
    d->ends[d->n_ends++] = i;
  }
  size_t n;
  const sotto_turn turn = {SOTTO_USER, "", 0};
  d->chats = sotto_chat_tokens(m, &turn, 1, NULL, 0, &n) == SOTTO_OK;
}

static void ask_memory(description *d, const sotto_model *m) {
  sotto_model_info info;
  sotto_model_describe(m, &info);
  const int32_t trained = info.n_text_ctx, usual[INFO_CONTEXTS] = {2048, 8192, trained};
  size_t n = 0;
  for (size_t i = 0; i < INFO_CONTEXTS; i++) {
    const bool wanted = d->request->n_ctx > 0 ? i == 0 : usual[i] < trained || i == INFO_CONTEXTS - 1;
    const int32_t n_ctx = d->request->n_ctx > 0 ? d->request->n_ctx : usual[i];
    sotto_session_options options = {.n_ctx = n_ctx, .kv_type = SOTTO_KV_F16};
    const uint64_t f16 = wanted ? sotto_session_bytes(m, &options) : 0;
    options.kv_type = SOTTO_KV_Q8_0;
    if (f16 == 0) continue;
    d->contexts[n].n_ctx = n_ctx;
    d->contexts[n].f16_bytes = f16;
    d->contexts[n++].q8_0_bytes = sotto_session_bytes(m, &options);
  }
}

static void ask(description *d, const view *v, bool ok) {
  if (!ok) {
    const char *sentence = v->engine != NULL ? sotto_engine_error(v->engine) : "out of memory";
    snprintf(d->problem, sizeof d->problem, "%s", sentence);
    return;
  }
  ask_vocabulary(d, v->model);
  ask_memory(d, v->model);
}

/* ---- feeding ---- */

void info_ask_gguf(description *d, const char *head, size_t size) {
  view v;
  ask(d, &v, open_view(&v) && sotto_model_feed(v.model, head, size) >= 0);
  close_view(&v);
}

static bool feed(const view *v, const char *name, const mapped_file *f) {
  return sotto_model_file(v->model, name) >= 0 && sotto_model_feed(v->model, f->bytes, f->size) >= 0;
}

void info_ask_folder(description *d, const mapped_file *config, const mapped_file *tokenizer,
                     const char *tokenizer_name) {
  view v;
  bool ok = open_view(&v) && feed(&v, "config.json", config);
  if (tokenizer != NULL) ok = ok && feed(&v, tokenizer_name, tokenizer);
  ask(d, &v, ok && sotto_model_file(v.model, "model.safetensors") >= 0); /* ends the file before it */
  close_view(&v);
}
