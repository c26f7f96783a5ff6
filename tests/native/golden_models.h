/* The golden checkpoints (tests/fixtures/README.md) through the public API: their vectors, loading, evaluating. */
#ifndef SOTTO_TEST_GOLDEN_MODELS_H
#define SOTTO_TEST_GOLDEN_MODELS_H

#include "../../src/formats/json.h"
#include "check.h"

enum { N_IDS = 64, N_GREEDY = 40 };

typedef struct golden {
  char folder[96];
  int32_t ids[N_IDS], greedy[N_GREEDY], n_prefix;
  double margins[N_GREEDY];
  npy logits; /* [64, n_vocab] */
} golden;

static sotto_engine *engine;

static inline int numbers(const json *j, const char *key, double *out, int capacity) {
  int n = 0;
  for (json_walk w = json_children(j, json_get(j, json_root(j), key)); n < capacity && json_next(&w);)
    CHECK(json_read_number(j, w.value, &out[n++]));
  return n;
}

static inline golden golden_read(const char *family) {
  golden g = {.n_prefix = 0};
  char path[160];
  double values[N_IDS], prefix = 0;
  size_t size = 0;
  json *j = NULL;
  snprintf(g.folder, sizeof g.folder, "tests/fixtures/golden/%s-shape", family);
  snprintf(path, sizeof path, "%s/vectors.json", g.folder);
  char *text = read_file(path, &size);
  if (!CHECK(text != NULL && json_parse(&j, text, size, "vectors.json", NULL) == SOTTO_OK)) exit(check_end());
  CHECK(numbers(j, "ids", values, N_IDS) == N_IDS);
  for (int i = 0; i < N_IDS; i++) g.ids[i] = (int32_t)values[i];
  CHECK(numbers(j, "greedy", values, N_GREEDY) == N_GREEDY);
  for (int i = 0; i < N_GREEDY; i++) g.greedy[i] = (int32_t)values[i];
  CHECK(numbers(j, "greedy_margin", g.margins, N_GREEDY) == N_GREEDY);
  CHECK(json_read_number(j, json_get(j, json_root(j), "greedy_prefix"), &prefix));
  g.n_prefix = (int32_t)prefix;
  json_close(j);
  free(text);
  snprintf(path, sizeof path, "%s/logits.npy", g.folder);
  g.logits = npy_read(path);
  if (!CHECK(g.logits.data != NULL && g.logits.shape[0] == N_IDS)) exit(check_end());
  return g;
}

static inline void feed(sotto_model *m, const char *folder, const char *name, size_t piece) {
  char path[160];
  size_t size = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *bytes = read_file(path, &size);
  if (!CHECK(bytes != NULL)) exit(check_end());
  CHECK(sotto_model_file(m, name) == SOTTO_OK);
  for (size_t at = 0; at < size; at += piece)
    if (!CHECK(sotto_model_feed(m, bytes + at, min_size(piece, size - at)) == SOTTO_OK)) break;
  free(bytes);
}

static inline sotto_model *load(const char *folder, const char *tokenizer) {
  sotto_model *m = NULL;
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  feed(m, folder, "config.json", 100);
  if (tokenizer != NULL) feed(m, tokenizer, "tokenizer.model", 5000);
  feed(m, folder, "model.safetensors", 65537);
  if (!CHECK(sotto_model_finish(m) == SOTTO_OK)) {
    fprintf(stderr, "%s\n", sotto_engine_error(engine));
    exit(check_end());
  }
  return m;
}

static inline sotto_session *session(sotto_model *m, const sotto_session_options *options) {
  sotto_session *s = NULL;
  if (!CHECK(sotto_session_open(&s, m, options) == SOTTO_OK)) {
    fprintf(stderr, "%s\n", sotto_engine_error(engine));
    exit(check_end());
  }
  return s;
}

/* Steps to the end; returns the number of steps. */
static inline int evaluate(sotto_session *s, const int32_t *ids, size_t n) {
  sotto_status status = SOTTO_AGAIN;
  int steps = 0;
  CHECK(sotto_session_sync(s, ids, n) == SOTTO_OK);
  while (status == SOTTO_AGAIN) status = sotto_session_step(s), steps++;
  CHECK(status == SOTTO_DONE && sotto_session_length(s) == (int32_t)n);
  return steps;
}

static inline bool says(const char *part) {
  const bool yes = strstr(sotto_engine_error(engine), part) != NULL;
  if (!yes) fprintf(stderr, "'%s' does not say '%s'\n", sotto_engine_error(engine), part);
  return yes;
}

#endif
