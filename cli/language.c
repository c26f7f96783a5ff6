#include "language.h"

#include <stdio.h>

#include "model_file.h"
#include "process.h"

bool language_open(language *l, const char *path, int32_t threads, bool only_text) {
  const double begin_ms = process_now_ms();
  const sotto_engine_options options = {.n_threads = only_text ? 1 : threads};
  *l = (language){.path = path};
  if (sotto_engine_open(&l->engine, &options) != SOTTO_OK) {
    fputs("sotto: out of memory\n", stderr);
    return false;
  }
  l->model = model_file_load(l->engine, path, only_text);
  size_t n;
  if (l->model == NULL) return false;
  if (only_text && sotto_tokenize(l->model, "", 0, 0, NULL, 0, &n) < 0) return language_complain(l);
  sotto_model_describe(l->model, &l->info);
  l->load_ms = process_now_ms() - begin_ms;
  return true;
}

void language_close(language *l) {
  sotto_model_close(l->model);
  sotto_engine_close(l->engine);
  *l = (language){0};
}

bool language_complain(const language *l) {
  fprintf(stderr, "sotto: %s: %s\n", l->path, sotto_engine_error(l->engine));
  return false;
}
