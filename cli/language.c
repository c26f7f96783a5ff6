#include "language.h"

#include <stdio.h>
#include <string.h>

#include "model_file.h"
#include "process.h"

static bool read_kv(language_options *o, const args *a) {
  const bool f16 = strcmp(a->value, "f16") == 0;
  if (!f16 && strcmp(a->value, "q8_0") != 0)
    return args_wrong(a, "option '%s' needs f16 or q8_0, not '%s'", a->shown, a->value), false;
  o->kv_type = f16 ? SOTTO_KV_F16 : SOTTO_KV_Q8_0;
  return true;
}

bool language_option(language_options *o, const args *a, int id, bool *taken) {
  int64_t n = 0;
  *taken = true;
  switch (id) {
    case LANGUAGE_MODEL:
      o->model = a->value;
      return true;
    case LANGUAGE_CONTEXT:
      if (!args_integer(a, 1, INT32_MAX, &n)) return false;
      o->n_ctx = (int32_t)n;
      return true;
    case LANGUAGE_THREADS:
      if (!args_integer(a, 1, 64, &n)) return false;
      o->threads = (int32_t)n;
      return true;
    case LANGUAGE_KV:
      return read_kv(o, a);
    case LANGUAGE_DRAFT:
      o->draft = a->value;
      return true;
    case LANGUAGE_DRAFT_TOKENS:
      if (!args_integer(a, 1, 15, &n)) return false;
      o->n_draft = (int32_t)n;
      return true;
    default:
      *taken = false;
      return true;
  }
}

int language_default_model(language_options *o, const args *a) {
  if (o->n_draft > 0 && o->draft == NULL) return args_wrong(a, "--draft-tokens goes with --draft");
  if (o->model == NULL) o->model = model_file_default();
  return o->model != NULL ? 1 : args_wrong(a, "no model: give one with --model, or set SOTTO_LANGUAGE_MODEL");
}

bool language_open(language *l, const char *path, int32_t threads, bool only_text) {
  const double begin_ms = process_now_ms();
  const sotto_engine_options options = {.n_threads = only_text ? 1 : threads};
  *l = (language){.path = path};
  if (sotto_engine_open(&l->engine, &options) != SOTTO_OK) {
    fputs("sotto: out of memory\n", stderr);
    return false;
  }
  l->model = model_file_load(l->engine, path, only_text, !only_text);
  size_t n;
  if (l->model == NULL) return false;
  if (only_text && sotto_tokenize(l->model, "", 0, 0, NULL, 0, &n) < 0) return language_complain(l);
  sotto_model_describe(l->model, &l->info);
  l->load_ms = process_now_ms() - begin_ms;
  return true;
}

bool language_session(language *l, const language_options *o, sotto_session **out) {
  const double begin_ms = process_now_ms();
  sotto_session_options options = {.n_ctx = o->n_ctx, .kv_type = o->kv_type, .n_draft = o->n_draft};
  options.lookup = o->draft != NULL && strcmp(o->draft, "lookup") == 0;
  *out = NULL;
  if (o->draft != NULL && !options.lookup) {
    l->draft = options.draft = model_file_load(l->engine, o->draft, false, true);
    if (l->draft == NULL) return false;
    l->load_ms += process_now_ms() - begin_ms;
  }
  return sotto_session_open(out, l->model, &options) == SOTTO_OK || language_complain(l);
}

void language_close(language *l) {
  sotto_model_close(l->draft);
  sotto_model_close(l->model);
  sotto_engine_close(l->engine);
  *l = (language){0};
}

bool language_complain(const language *l) {
  fprintf(stderr, "sotto: %s: %s\n", l->path, sotto_engine_error(l->engine));
  return false;
}
