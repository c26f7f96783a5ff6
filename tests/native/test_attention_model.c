/* Attention's memory inside of whole models. Rings: a model whose local layers keep the last places only gives the bits of one that
 * keeps every place, over thousands of tokens and batches of every size. 8-bit keys and values: how far they move logits, and the likelihood that the
 * default model gives to its validation texts. */
#include "../../src/base/pool.h"
#include "../../src/formats/json.h"
#include "../../src/models/gemma.h"
#include "check.h"

static random_state rng = {3};

static bool feed(gemma *g, const char *folder, const char *name) {
  char path[160];
  size_t size = 0;
  error err = {""};
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *bytes = read_file(path, &size);
  const bool ok =
      bytes != NULL && gemma_file(g, name, &err) == SOTTO_OK && gemma_feed(g, bytes, size, &err) == SOTTO_OK;
  free(bytes);
  if (!CHECK(ok)) fprintf(stderr, "%s: %s\n", path, err.text);
  return ok;
}

static gemma *load(backend *be, const char *folder, const char *first, const char *second) {
  gemma *g = gemma_open(be);
  if (!feed(g, folder, first) || (second != NULL && !feed(g, folder, second)) ||
      !CHECK(gemma_finish(g, NULL) == SOTTO_OK))
    exit(check_end());
  return g;
}

static gemma_state *open_state(gemma *g, int32_t n_ctx, int32_t n_batch, kv_type type) {
  gemma_state *s = NULL;
  if (!CHECK(gemma_state_open(&s, g, &(gemma_plan){n_ctx, n_batch, 1, type}, NULL) == SOTTO_OK)) exit(check_end());
  return s;
}

/* Batches of 1 to n_batch tokens, each size about as often as the others; the ring goes round many times. */
static void check_ring(gemma *g, const char *family, int32_t n_ctx, int32_t n_batch, kv_type type) {
  const int32_t n_vocab = gemma_configuration(g)->n_vocab;
  gemma_state *ring = open_state(g, n_ctx, n_batch, type), *whole = open_state(g, n_ctx, n_ctx, type);
  int32_t *ids = malloc((size_t)n_batch * sizeof *ids), same = 0, batches = 0;
  for (int32_t n, at = 0; at < n_ctx; at += n, batches++) {
    n = min_i32(batches < 2 * n_batch ? 1 + batches % n_batch : 1 + (int32_t)random_below(&rng, (uint32_t)n_batch),
                n_ctx - at);
    for (int32_t i = 0; i < n; i++) ids[i] = (int32_t)random_below(&rng, (uint32_t)n_vocab);
    if (!CHECK(gemma_eval(ring, ids, n, 1) == SOTTO_OK && gemma_eval(whole, ids, n, 1) == SOTTO_OK)) break;
    same += memcmp(gemma_logits(ring, 0), gemma_logits(whole, 0), (size_t)n_vocab * sizeof(float)) == 0;
  }
  if (!CHECK(same == batches))
    fprintf(stderr, "%s: %d of %d batches of up to %d tokens\n", family, (int)same, (int)batches, (int)n_batch);
  free(ids);
  gemma_state_close(ring);
  gemma_state_close(whole);
}

/* All of the tokens by n at a time; logits of the last. */
static float *logits_by(gemma *g, const int32_t *ids, int32_t n_ids, int32_t n, kv_type type) {
  gemma_state *s = open_state(g, n_ids, n, type);
  const size_t bytes = (size_t)gemma_configuration(g)->n_vocab * sizeof(float);
  for (int32_t at = 0; at < n_ids; at += n) CHECK(gemma_eval(s, ids + at, min_i32(n, n_ids - at), 1) == SOTTO_OK);
  float *logits = memcpy(malloc(bytes), gemma_logits(s, 0), bytes);
  gemma_state_close(s);
  return logits;
}

/* However a text is cut, and in both types. */
static void check_cuts(gemma *g, const char *family, int32_t n_ids) {
  static const int32_t cuts[] = {1, 7, 16, 17, 128};
  const int32_t n_vocab = gemma_configuration(g)->n_vocab;
  int32_t *ids = malloc((size_t)n_ids * sizeof *ids);
  for (int32_t i = 0; i < n_ids; i++) ids[i] = (int32_t)random_below(&rng, (uint32_t)n_vocab);
  float *expected = logits_by(g, ids, n_ids, n_ids, KV_16);
  double worst[2] = {0};
  for (kv_type type = KV_16; type <= KV_Q8_0; type++) {
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
      float *logits = logits_by(g, ids, n_ids, cuts[i], type);
      worst[type] = fmax(worst[type], relative_error(logits, expected, n_vocab));
      free(logits);
    }
  }
  printf("%s: logits of token %d within %.2g, with 8-bit keys and values %.2g\n", family, (int)n_ids, worst[0],
         worst[1]);
  CHECK(worst[0] < 1e-3);
  CHECK(worst[1] < 3e-2);
  CHECK(worst[1] > worst[0]); /* it is another type */
  free(expected), free(ids);
}

/* The mean over the first texts of the mean negative log-likelihood of their tokens. */
static double likelihood(gemma *g, const json *j, kv_type type) {
  const int32_t n_vocab = gemma_configuration(g)->n_vocab;
  enum { MOST = 512, N_TEXTS = 8 };
  double sum = 0;
  int texts = 0;
  for (json_walk t = json_children(j, json_get(j, json_root(j), "ppl_ids")); json_next(&t) && texts < N_TEXTS;
       texts++) {
    int32_t ids[MOST], n = 0;
    double id, of_text = 0;
    for (json_walk w = json_children(j, t.value); json_next(&w) && n < MOST; n++)
      ids[n] = CHECK(json_read_number(j, w.value, &id)) ? (int32_t)id : 0;
    gemma_state *s = NULL;
    if (!CHECK(gemma_state_open(&s, g, &(gemma_plan){n, n, n, type}, NULL) == SOTTO_OK)) exit(check_end());
    CHECK(gemma_eval(s, ids, n, n) == SOTTO_OK);
    for (int32_t i = 0; i + 1 < n; i++) {
      const float *logits = gemma_logits(s, i);
      double total = 0;
      for (int32_t k = 0; k < n_vocab; k++) total += exp((double)logits[k] - logits[ids[i + 1]]);
      of_text += log(total);
    }
    sum += of_text / (n - 1);
    gemma_state_close(s);
  }
  CHECK(texts == N_TEXTS);
  return sum / texts;
}

static void check_likelihood(backend *be) {
  size_t size = 0;
  char *vectors = read_file("tests/fixtures/teller/vectors.json", &size);
  json *j = NULL;
  if (!CHECK(vectors != NULL && json_parse(&j, vectors, size, "vectors.json", NULL) == SOTTO_OK)) return;
  gemma *g = load(be, "assets", "teller-q8_0.gguf", NULL);
  const double sixteen = likelihood(g, j, KV_16), eight = likelihood(g, j, KV_Q8_0);
  printf("teller: mean negative log-likelihood %.6f, with 8-bit keys and values %.6f\n", sixteen, eight);
  CHECK_NEAR(eight, sixteen, 2e-3);
  gemma_close(g);
  json_close(j);
  free(vectors);
}

int main(void) {
  pool *threads = pool_open(2);
  backend *be = cpu_backend_open(threads);
  static const char *families[] = {"gemma2-2b", "gemma3-1b"};
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    char folder[96];
    snprintf(folder, sizeof folder, "tests/fixtures/golden/%s-shape", families[f]);
    gemma *g = load(be, folder, "config.json", "model.safetensors");
    CHECK(gemma_configuration(g)->window == 16);
    check_ring(g, families[f], f == 0 ? 900 : 4000, 40, KV_16);
    check_ring(g, families[f], 900, 40, KV_Q8_0);
    check_ring(g, families[f], 300, 1, KV_16);
    check_ring(g, families[f], 1000, 300, KV_16);
    check_cuts(g, families[f], 600);
    gemma_close(g);
  }
  check_likelihood(be);
  cpu_backend_close(be);
  pool_close(threads);
  return check_end();
}
