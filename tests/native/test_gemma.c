/* Gemma's forward pass on small random checkpoints of each family's exact architecture, against references in float64: hidden states by
 * layer, logits, greedy continuations. See tests/fixtures/README.md for where they come from. */
#include "../../src/base/pool.h"
#include "../../src/formats/json.h"
#include "../../src/models/gemma.h"
#include "check.h"

enum { N_IDS = 64, MAX_LAYERS = 16, N_HIDDEN = 4 };

typedef struct golden {
  char folder[96];
  char *text; /* vectors.json */
  json *j;
  npy logits, hidden; /* [64, n_vocab]; [n_layer + 1, 4, d] */
  int32_t ids[N_IDS], hidden_at[N_HIDDEN];
} golden;

static char *path_in(const golden *g, const char *name) {
  static char path[160];
  snprintf(path, sizeof path, "%s/%s", g->folder, name);
  return path;
}

static int numbers(const golden *g, const char *key, double *out, int capacity) {
  int n = 0;
  for (json_walk w = json_children(g->j, json_get(g->j, json_root(g->j), key)); json_next(&w) && n < capacity;)
    CHECK(json_read_number(g->j, w.value, &out[n++]));
  return n;
}

static golden golden_read(const char *family) {
  golden g = {.text = NULL};
  size_t size = 0;
  double values[N_IDS];
  snprintf(g.folder, sizeof g.folder, "tests/fixtures/golden/%s-shape", family);
  g.text = read_file(path_in(&g, "vectors.json"), &size);
  if (!CHECK(g.text != NULL) || !CHECK(json_parse(&g.j, g.text, size, "vectors.json", NULL) == SOTTO_OK))
    exit(check_end());
  g.logits = npy_read(path_in(&g, "logits.npy"));
  g.hidden = npy_read(path_in(&g, "hidden.npy"));
  if (!CHECK(g.logits.data != NULL && g.hidden.data != NULL)) exit(check_end());
  CHECK(numbers(&g, "ids", values, N_IDS) == N_IDS);
  for (int i = 0; i < N_IDS; i++) g.ids[i] = (int32_t)values[i];
  CHECK(numbers(&g, "hidden_positions", values, N_HIDDEN) == N_HIDDEN);
  for (int i = 0; i < N_HIDDEN; i++) g.hidden_at[i] = (int32_t)values[i];
  return g;
}

static void golden_free(golden *g) {
  json_close(g->j);
  free(g->text);
  npy_free(&g->logits);
  npy_free(&g->hidden);
}

static void feed_file(gemma *m, const golden *g, const char *name, size_t piece) {
  error err = {""};
  size_t size = 0;
  char *bytes = read_file(path_in(g, name), &size);
  if (!CHECK(bytes != NULL)) exit(check_end());
  CHECK(gemma_file(m, name, &err) == SOTTO_OK);
  for (size_t at = 0; at < size; at += piece) {
    if (!CHECK(gemma_feed(m, bytes + at, min_size(piece, size - at), &err) == SOTTO_OK)) break;
  }
  if (err.text[0] != 0) fprintf(stderr, "%s\n", err.text);
  free(bytes);
}

typedef struct watched {
  const golden *g;
  double worst[MAX_LAYERS + 1];
} watched;

static void compare_hidden(void *context, int32_t layer, const float *x, int32_t rows, int32_t cols) {
  watched *w = context;
  for (int i = 0; i < N_HIDDEN && layer <= MAX_LAYERS; i++) {
    if (w->g->hidden_at[i] >= rows) continue;
    const float *reference = w->g->hidden.data + ((size_t)layer * N_HIDDEN + (size_t)i) * (size_t)cols;
    const double e = relative_error(x + (size_t)w->g->hidden_at[i] * (size_t)cols, reference, (size_t)cols);
    w->worst[layer] = fmax(w->worst[layer], e);
  }
}

static int32_t argmax(const float *x, int32_t n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* All of the tokens at once, hidden states and logits. */
static void check_whole(gemma *m, const golden *g, const char *family) {
  const int32_t n_vocab = gemma_configuration(m)->n_vocab, n_layer = gemma_configuration(m)->n_layer;
  gemma_state *s;
  watched w = {.g = g};
  if (!CHECK(gemma_state_open(&s, m, &(gemma_plan){N_IDS, N_IDS, N_IDS, KV_16}, NULL) == SOTTO_OK)) return;
  gemma_watch(s, compare_hidden, &w);
  CHECK(gemma_eval(s, g->ids, N_IDS, N_IDS) == SOTTO_OK);
  double worst = 0;
  for (int32_t i = 0; i < N_IDS; i++)
    worst =
        fmax(worst, relative_error(gemma_logits(s, i), g->logits.data + (size_t)i * (size_t)n_vocab, (size_t)n_vocab));
  double hidden = 0;
  for (int32_t i = 0; i <= n_layer; i++) {
    hidden = fmax(hidden, w.worst[i]);
    if (w.worst[i] > 2e-3) fprintf(stderr, "%s: hidden state %d: %.2g\n", family, (int)i, w.worst[i]);
  }
  printf("%s: logits within %.2g, hidden states within %.2g (relative)\n", family, worst, hidden);
  CHECK(worst <= 2e-3);
  CHECK(hidden <= 2e-3);
  gemma_state_close(s);
}

/* In batches of `batch`, through rings that wrap: the same logits of the last token. */
static void check_batches(gemma *m, const golden *g, int32_t batch) {
  const int32_t n_vocab = gemma_configuration(m)->n_vocab;
  gemma_state *s;
  if (!CHECK(gemma_state_open(&s, m, &(gemma_plan){N_IDS, batch, 1, KV_16}, NULL) == SOTTO_OK)) return;
  for (int32_t at = 0; at < N_IDS; at += batch)
    CHECK(gemma_eval(s, g->ids + at, min_i32(batch, N_IDS - at), 1) == SOTTO_OK);
  CHECK(gemma_length(s) == N_IDS);
  CHECK(relative_error(gemma_logits(s, 0), g->logits.data + (size_t)(N_IDS - 1) * (size_t)n_vocab, (size_t)n_vocab) <=
        2e-3);
  CHECK(gemma_eval(s, g->ids, 1, 1) == SOTTO_ERR_ARGUMENT); /* full */

  /* Back to where the rings still hold everything, and on again. */
  CHECK(gemma_truncate(s, N_IDS - 1));
  CHECK(gemma_eval(s, g->ids + N_IDS - 1, 1, 1) == SOTTO_OK);
  CHECK(relative_error(gemma_logits(s, 0), g->logits.data + (size_t)(N_IDS - 1) * (size_t)n_vocab, (size_t)n_vocab) <=
        2e-3);
  const bool rings = gemma_configuration(m)->window > 0;
  CHECK(gemma_truncate(s, 20) == !rings || batch >= 48); /* 20 is long gone from rings of 16 + batch places */
  CHECK(gemma_truncate(s, 0));
  gemma_state_close(s);
}

static void check_greedy(gemma *m, const golden *g, const char *family) {
  double tokens[64], margins[64], prefix = 0;
  const int32_t n_vocab = gemma_configuration(m)->n_vocab;
  const int n = numbers(g, "greedy", tokens, 64);
  CHECK(numbers(g, "greedy_margin", margins, 64) == n && n > 0);
  CHECK(json_read_number(g->j, json_get(g->j, json_root(g->j), "greedy_prefix"), &prefix));
  gemma_state *s;
  if (!CHECK(gemma_state_open(&s, m, &(gemma_plan){(int32_t)prefix + n, (int32_t)prefix, 1, KV_16}, NULL) == SOTTO_OK))
    return;
  CHECK(gemma_eval(s, g->ids, (int32_t)prefix, 1) == SOTTO_OK);
  int same = 0;
  for (int i = 0; i < n; i++) {
    const int32_t id = argmax(gemma_logits(s, 0), n_vocab), expected = (int32_t)tokens[i];
    if (id == expected) same++;
    CHECK(id == expected || margins[i] < 0.02);
    if (i + 1 < n) CHECK(gemma_eval(s, &expected, 1, 1) == SOTTO_OK);
  }
  printf("%s: %d of %d greedy tokens\n", family, same, n);
  gemma_state_close(s);
}

static void check_errors(backend *be, const golden *g) {
  error err = {""};
  gemma *m = gemma_open(be);
  CHECK(gemma_feed(m, "x", 1, &err) == SOTTO_ERR_ARGUMENT);
  CHECK(gemma_finish(m, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "configuration") != NULL);
  CHECK(gemma_file(m, "notes.txt", &err) == SOTTO_ERR_UNSUPPORTED);
  gemma_close(m);

  m = gemma_open(be); /* weights without their configuration */
  CHECK(gemma_file(m, "model.safetensors", &err) == SOTTO_OK);
  size_t size = 0;
  char *bytes = read_file(path_in(g, "model.safetensors"), &size);
  CHECK(gemma_feed(m, bytes, size, &err) == SOTTO_ERR_ARGUMENT && strstr(err.text, "config.json") != NULL);
  gemma_close(m);

  m = gemma_open(be); /* truncated */
  feed_file(m, g, "config.json", 7);
  CHECK(gemma_file(m, "model.safetensors", &err) == SOTTO_OK);
  CHECK(gemma_feed(m, bytes, size / 2, &err) == SOTTO_OK);
  CHECK(gemma_finish(m, &err) == SOTTO_ERR_FORMAT);
  gemma_close(m);
  free(bytes);

  m = gemma_open(be); /* another architecture */
  static const char config[] = "{\"model_type\":\"llama\"}";
  CHECK(gemma_file(m, "config.json", &err) == SOTTO_OK);
  CHECK(gemma_feed(m, config, sizeof config - 1, &err) == SOTTO_OK);
  CHECK(gemma_finish(m, &err) == SOTTO_ERR_UNSUPPORTED && strstr(err.text, "llama") != NULL);
  gemma_close(m);
}

int main(void) {
  pool *threads = pool_open(2);
  backend *be = cpu_backend_open(threads);
  static const char *families[] = {"gemma1-2b", "gemma2-2b", "gemma3-1b", "gemma3-4b"};
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    golden g = golden_read(families[f]);
    gemma *m = gemma_open(be);
    feed_file(m, &g, "config.json", 100);
    feed_file(m, &g, "model.safetensors", f == 0 ? 999 : 100003); /* pieces that end anywhere */
    error err = {""};
    if (CHECK(gemma_finish(m, &err) == SOTTO_OK)) {
      check_whole(m, &g, families[f]);
      static const int32_t batches[] = {1, 5, 16, 64};
      for (size_t b = 0; b < 4; b++) check_batches(m, &g, batches[b]);
      check_greedy(m, &g, families[f]);
      if (f == 0) check_errors(be, &g);
    } else {
      fprintf(stderr, "%s\n", err.text);
    }
    gemma_close(m);
    golden_free(&g);
  }
  cpu_backend_close(be);
  pool_close(threads);
  return check_end();
}
