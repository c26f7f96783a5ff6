/* sotto convert and make-test-model: golden checkpoints as GGUF compute what their references say, in f16 and, roughly, in q8_0; types of
 * tensors as in people's files; what cannot be converted is refused and leaves no file. */
#include "../../cli/commands.h"
#include "../../src/base/pool.h"
#include "../../src/formats/json.h"
#include "../../src/models/gemma.h"
#include "../../src/quantize/recipe.h"
#include "../native/check.h"

#include <sys/stat.h>
#include <unistd.h>

#define MADE "build/asan/converted.gguf"

enum { N_IDS = 64 };

static backend *be;

static int run(int (*command)(char **), const char *a, const char *b, const char *c, const char *type) {
  char *argv[] = {(char *)a, (char *)b, (char *)c, (char *)"--type", (char *)type, NULL};
  remove(MADE);
  return command(argv);
}

/* What command_convert or command_make_test_model made; NULL when it cannot be loaded. */
static gemma *load(void) {
  error err = {""};
  size_t size = 0;
  char *bytes = read_file(MADE, &size);
  gemma *g = gemma_open(be);
  if (bytes != NULL && CHECK(gemma_file(g, MADE, &err) == SOTTO_OK && gemma_feed(g, bytes, size, &err) == SOTTO_OK) &&
      CHECK(gemma_finish(g, &err) == SOTTO_OK)) {
    free(bytes);
    return g;
  }
  fprintf(stderr, "%s\n", err.text);
  free(bytes);
  gemma_close(g);
  return NULL;
}

static double worst_logits(gemma *g, const char *folder) {
  char path[160];
  size_t size = 0;
  int32_t ids[N_IDS], n = 0;
  json *j = NULL;
  snprintf(path, sizeof path, "%s/vectors.json", folder);
  char *text = read_file(path, &size);
  snprintf(path, sizeof path, "%s/logits.npy", folder);
  npy reference = npy_read(path);
  double worst = 0;
  gemma_state *s = NULL;
  if (CHECK(text != NULL && reference.data != NULL) &&
      CHECK(json_parse(&j, text, size, "vectors.json", NULL) == SOTTO_OK)) {
    int64_t id;
    for (json_walk w = json_children(j, json_get(j, json_root(j), "ids")); json_next(&w) && n < N_IDS;)
      if (CHECK(json_read_integer(j, w.value, &id))) ids[n++] = (int32_t)id;
    const size_t n_vocab = (size_t)gemma_configuration(g)->n_vocab;
    CHECK(n == N_IDS && gemma_state_open(&s, g, &(gemma_plan){N_IDS, N_IDS, N_IDS, KV_16}, NULL) == SOTTO_OK);
    CHECK(gemma_eval(s, ids, N_IDS, N_IDS) == SOTTO_OK);
    for (int32_t i = 0; i < N_IDS; i++)
      worst = fmax(worst, relative_error(gemma_logits(s, i), reference.data + (size_t)i * n_vocab, n_vocab));
  }
  gemma_state_close(s);
  json_close(j);
  free(text);
  npy_free(&reference);
  return worst;
}

static void check_golden(void) {
  static const char *const families[] = {"gemma1-2b", "gemma2-2b", "gemma3-1b", "gemma3-4b"};
  static const struct {
    const char *type;
    double tolerance;
  } types[] = {{"f16", 2e-3},
               {"bf16", 2e-3},
               {"q8_0", 6e-2}}; /* q8_0 rounds weights by 0.5%; random layers, Gemma 2's above all, amplify it */
  for (size_t f = 0; f < 4; f++) {
    char folder[96];
    snprintf(folder, sizeof folder, "tests/fixtures/golden/%s-shape", families[f]);
    for (size_t t = 0; t < 3; t++) {
      CHECK(run(command_convert, folder, "-o", MADE, types[t].type) == 0);
      gemma *g = load();
      if (!CHECK(g != NULL)) continue;
      const double worst = worst_logits(g, folder);
      printf("%s as %s: logits within %.2g (relative)\n", families[f], types[t].type, worst);
      CHECK(worst <= types[t].tolerance);
      gemma_close(g);
    }
  }
}

/* ---- types of tensors ---- */

static uint32_t type_of(const char *recipe_name, const char *tensor_name, int32_t in, int32_t n_layer) {
  char name[64];
  snprintf(name, sizeof name, "%s.weight", tensor_name);
  return recipe_type(recipe_find(recipe_name), name, in, n_layer, false);
}

/* The 1B of Gemma 3 as q4_K_M: 117 q5_0, 39 q4_K, 14 q8_0 and 13 q6_K tensors. */
static void check_recipes(void) {
  static const struct {
    const char *name;
    int32_t in;
  } matrices[] = {{"attn_q", 1152}, {"attn_k", 1152},   {"attn_v", 1152},  {"attn_output", 1024},
                  {"ffn_up", 1152}, {"ffn_gate", 1152}, {"ffn_down", 6912}};
  int counts[DTYPE_COUNT] = {0};
  counts[type_of("q4_K_M", "token_embd", 1152, 26)]++;
  for (int layer = 0; layer < 26; layer++)
    for (size_t i = 0; i < 7; i++) {
      char name[40];
      snprintf(name, sizeof name, "blk.%d.%s", layer, matrices[i].name);
      counts[type_of("Q4_K_M", name, matrices[i].in, 26)]++;
    }
  CHECK(counts[DTYPE_Q5_0] == 117 && counts[DTYPE_Q4_K] == 39 && counts[DTYPE_Q8_0] == 14 && counts[DTYPE_Q6_K] == 13);
  CHECK(type_of("q4_0", "token_embd", 640, 18) == DTYPE_Q8_0);
  CHECK(type_of("q4_0", "token_embd", 2304, 26) == DTYPE_Q6_K);
  CHECK(type_of("q8_0", "token_embd", 2304, 26) == DTYPE_Q8_0);
  CHECK(type_of("bf16", "token_embd", 2304, 26) == DTYPE_BF16);
  CHECK(type_of("q4_0", "token_embd", 40, 26) == DTYPE_F16);
  CHECK(recipe_find("q9") == NULL);
}

/* ---- random weights ---- */

static void check_random(const char *type) {
  char *argv[] = {"--shape", "tiny", "-o", MADE, "--type", (char *)type, "--seed", "7", NULL};
  static const int32_t ids[] = {2, 105, 600, 700, 106};
  remove(MADE);
  CHECK(command_make_test_model(argv) == 0);
  gemma *g = load();
  if (!CHECK(g != NULL)) return;
  const spm_vocab *v = gemma_vocabulary(g);
  CHECK(v != NULL && spm_vocab_size(v) == 1024 && spm_vocab_find(v, "<end_of_turn>", 13) == 106);
  CHECK(spm_vocab_settings(v)->bos == 2 && !spm_vocab_settings(v)->dummy_prefix);
  gemma_state *s = NULL;
  CHECK(gemma_state_open(&s, g, &(gemma_plan){16, 16, 1, KV_16}, NULL) == SOTTO_OK &&
        gemma_eval(s, ids, 5, 1) == SOTTO_OK);
  const float *logits = gemma_logits(s, 0);
  double squares = 0;
  for (int i = 0; i < 1024; i++) squares += (double)logits[i] * logits[i];
  CHECK(squares / 1024 > 0.1 && squares / 1024 < 10); /* sane, and not all alike */
  gemma_state_close(s);
  gemma_close(g);
}

/* ---- what is refused ---- */

static void put_file(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  if (CHECK(f != NULL)) fputs(text, f);
  if (f != NULL) fclose(f);
}

static void check_errors(void) {
  static const char folder[] = "build/asan/odd-folder", config[] = "build/asan/odd-folder/config.json";
  mkdir(folder, 0777);
  CHECK(run(command_convert, "build/asan/no-such-folder", "-o", MADE, "f16") == 1);
  put_file(config, "{\"model_type\":\"llama\"}");
  CHECK(run(command_convert, folder, "-o", MADE, "f16") == 1);
  put_file(config,
           "{\"model_type\":\"gemma\",\"num_hidden_layers\":1,\"hidden_size\":8,\"num_attention_heads\":1,"
           "\"num_key_value_heads\":1,\"head_dim\":8,\"intermediate_size\":8,\"vocab_size\":8,"
           "\"max_position_embeddings\":8}");
  CHECK(run(command_convert, folder, "-o", MADE, "f16") == 1); /* no weights */
  put_file("build/asan/odd-folder/model.safetensors", "nonsense, and too little of it");
  CHECK(run(command_convert, folder, "-o", MADE, "f16") == 1);
  CHECK(run(command_convert, folder, "-o", MADE, "q9") == 2);
  CHECK(run(command_make_test_model, "--shape=huge", "-o", MADE, "f16") == 2);
  CHECK(!file_exists(MADE));
  CHECK(run(command_convert, "tests/fixtures/golden/gemma3-1b-shape", "-o", "build/asan/no-such-folder/x.gguf",
            "f16") == 1);
}

int main(void) {
  pool *threads = pool_open(2);
  be = cpu_backend_open(threads);
  check_golden();
  check_recipes();
  static const char *const types[] = {"q4_0", "q8_0", "q4_K_M", "q5_K_M", "q6_K", "f16", "bf16", "f32"};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) check_random(types[i]);
  check_errors();
  remove(MADE);
  cpu_backend_close(be);
  pool_close(threads);
  return check_end();
}
