/* A Gemma's speed without its surroundings: build/bench/gemma FILE.gguf... loads each with one thread and with two, evaluates 128 tokens at
 * once and then 64 one by one, and prints the best of three rounds. In WebAssembly, where there are no arguments:
 *
 *     ln -s FILE.gguf build/bench.gguf
 *     node tests/wasm/run.mjs build/wasm-tests/relaxed-threads/bench_gemma.wasm */
#include "../src/base/pool.h"
#include "../src/models/gemma.h"

#include <stdio.h>

enum { N_PREFILL = 128, N_DECODE = 64, N_ROUNDS = 3 };

static char piece[1 << 20];

static gemma *load(backend *be, const char *path, double *ms) {
  error err = {""};
  FILE *f = fopen(path, "rb");
  if (f == NULL) {
    fprintf(stderr, "%s: cannot be opened\n", path);
    return NULL;
  }
  const double start = now_ms();
  gemma *g = gemma_open(be);
  sotto_status status = gemma_file(g, "model.gguf", &err);
  for (size_t n; status >= 0 && (n = fread(piece, 1, sizeof piece, f)) > 0;) status = gemma_feed(g, piece, n, &err);
  if (status >= 0) status = gemma_finish(g, &err);
  *ms = now_ms() - start;
  fclose(f);
  if (status >= 0) return g;
  fprintf(stderr, "%s: %s\n", path, err.text);
  gemma_close(g);
  return NULL;
}

static int32_t likeliest(const float *logits, int32_t n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; i++)
    if (logits[i] > logits[best]) best = i;
  return best;
}

/* Milliseconds of the 128 tokens and of the 64 after them. */
static bool round_of(gemma_state *s, int32_t n_vocab, double *prefill_ms, double *decode_ms) {
  int32_t ids[N_PREFILL];
  for (int32_t i = 0; i < N_PREFILL; i++) ids[i] = (i * 7919 + 2) % n_vocab;
  double start = now_ms();
  if (!gemma_truncate(s, 0) || gemma_eval(s, ids, N_PREFILL, 1) != SOTTO_OK) return false;
  *prefill_ms = now_ms() - start;
  start = now_ms();
  for (int32_t i = 0; i < N_DECODE; i++) {
    const int32_t id = likeliest(gemma_logits(s, 0), n_vocab);
    if (gemma_eval(s, &id, 1, 1) != SOTTO_OK) return false;
  }
  *decode_ms = now_ms() - start;
  return true;
}

static bool measure(const char *path, int32_t n_threads) {
  double load_ms, prefill_ms, decode_ms, best_prefill = 1e30, best_decode = 1e30;
  pool *threads = pool_open(n_threads);
  backend *be = cpu_backend_open(threads);
  gemma *g = load(be, path, &load_ms);
  gemma_state *s = NULL;
  bool ok = g != NULL && gemma_state_open(&s, g, N_PREFILL + N_DECODE, N_PREFILL, 1, NULL) == SOTTO_OK;
  for (int i = 0; ok && i < N_ROUNDS; i++) {
    ok = round_of(s, gemma_configuration(g)->n_vocab, &prefill_ms, &decode_ms);
    if (prefill_ms < best_prefill) best_prefill = prefill_ms;
    if (decode_ms < best_decode) best_decode = decode_ms;
  }
  if (ok)
    printf("%s, threads %d: load %.0f ms, prefill of %d %.1f tokens/s, decode of %d %.1f tokens/s\n", path,
           (int)n_threads, load_ms, N_PREFILL, N_PREFILL * 1e3 / best_prefill, N_DECODE, N_DECODE * 1e3 / best_decode);
  gemma_state_close(s);
  gemma_close(g);
  cpu_backend_close(be);
  pool_close(threads);
  return ok;
}

#ifdef __wasm__
int main(void) { return measure("build/bench.gguf", 1) && measure("build/bench.gguf", 2) ? 0 : 1; }
#else
int main(int argc, char **argv) {
  bool ok = argc > 1;
  if (!ok) fputs("usage: build/bench/gemma FILE.gguf...\n", stderr);
  for (int i = 1; ok && i < argc; i++) ok = measure(argv[i], 1) && measure(argv[i], 2);
  return ok ? 0 : 1;
}
#endif
