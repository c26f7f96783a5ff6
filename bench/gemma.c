/* A Gemma's speed without its surroundings: loads it, then in each round evaluates some tokens at once and others one by one.
 *
 *     build/bench/gemma FILE.gguf [THREADS [ROUNDS [DECODE [PREFILL...]]]]     prints JSON, as bench/gemma.mjs reads it
 *
 * In WebAssembly, where there are no arguments, with one thread and with two:
 *
 *     ln -s FILE.gguf build/bench.gguf
 *     node tests/wasm/run.mjs build/wasm-tests/relaxed-threads/bench_gemma.wasm */
#include "../src/base/pool.h"
#include "../src/models/gemma.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_PREFILL = 128, N_DECODE = 64, N_ROUNDS = 3, N_BATCH = 256, MOST_SIZES = 4, MOST_ROUNDS = 99 };

typedef struct plan {
  const char *path;
  int32_t threads, rounds, decode, n_sizes, sizes[MOST_SIZES];
} plan;

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

static bool evaluate(gemma_state *s, const int32_t *ids, int32_t n) {
  for (int32_t at = 0, batch; at < n; at += batch) {
    batch = min_i32(n - at, N_BATCH);
    if (gemma_eval(s, ids + at, batch, 1) != SOTTO_OK) return false;
  }
  return true;
}

/* Milliseconds of `n` tokens in an empty context. */
static bool prefill(gemma_state *s, int32_t n_vocab, int32_t n, double *ms) {
  int32_t *ids = mem_alloc((size_t)n, sizeof *ids);
  if (ids == NULL) return false;
  for (int32_t i = 0; i < n; i++) ids[i] = (int32_t)((i * (int64_t)7919 + 2) % n_vocab);
  const double start = now_ms();
  const bool ok = gemma_truncate(s, 0) && evaluate(s, ids, n);
  *ms = now_ms() - start;
  mem_free(ids);
  return ok;
}

/* Milliseconds of each of `n` tokens after what the context holds. */
static bool decode(gemma_state *s, int32_t n_vocab, int32_t n, double *ms) {
  const double start = now_ms();
  for (int32_t i = 0; i < n; i++) {
    const int32_t id = likeliest(gemma_logits(s, 0), n_vocab);
    if (gemma_eval(s, &id, 1, 1) != SOTTO_OK) return false;
  }
  *ms = (now_ms() - start) / n;
  return true;
}

static void print_times(double *ms, int32_t n) {
  for (int32_t i = 1; i < n; i++) /* sorted */
    for (int32_t j = i; j > 0 && ms[j] < ms[j - 1]; j--) {
      const double smaller = ms[j];
      ms[j] = ms[j - 1];
      ms[j - 1] = smaller;
    }
  printf("{\"median\":%.4f,\"best\":%.4f}", (ms[(n - 1) / 2] + ms[n / 2]) / 2, ms[0]);
}

static bool measure(const plan *p) {
  static double prefill_ms[MOST_SIZES][MOST_ROUNDS], decode_ms[MOST_ROUNDS];
  double load_ms;
  int32_t most = 0;
  for (int i = 0; i < p->n_sizes; i++) most = max_i32(most, p->sizes[i]);
  const int32_t capacity = most + p->decode;
  pool *threads = pool_open(p->threads);
  backend *be = cpu_backend_open(threads);
  gemma *g = load(be, p->path, &load_ms);
  gemma_state *s = NULL;
  bool ok = g != NULL &&
            gemma_state_open(&s, g, &(gemma_plan){capacity, min_i32(N_BATCH, capacity), 1, KV_16}, NULL) == SOTTO_OK;
  for (int round = 0; ok && round < p->rounds; round++) {
    const int32_t n_vocab = gemma_configuration(g)->n_vocab;
    for (int i = 0; ok && i < p->n_sizes; i++) {
      ok = prefill(s, n_vocab, p->sizes[i], &prefill_ms[i][round]);
      if (ok && i == 0) ok = decode(s, n_vocab, p->decode, &decode_ms[round]);
    }
  }
  if (ok) {
    printf("{\"threads\":%d,\"load_ms\":%.1f,\"prefill\":[", (int)p->threads, load_ms);
    for (int i = 0; i < p->n_sizes; i++) {
      printf("%s{\"n\":%d,\"ms\":", i > 0 ? "," : "", (int)p->sizes[i]);
      print_times(prefill_ms[i], p->rounds);
      printf("}");
    }
    printf("],\"decode\":{\"n\":%d,\"ms_per_token\":", (int)p->decode);
    print_times(decode_ms, p->rounds);
    printf("}}\n");
  }
  if (!ok && g != NULL) fprintf(stderr, "%s: out of memory, or tokens that it does not have\n", p->path);
  gemma_state_close(s);
  gemma_close(g);
  cpu_backend_close(be);
  pool_close(threads);
  return ok;
}

#ifdef __wasm__
int main(void) {
  plan p = {"build/bench.gguf", 1, N_ROUNDS, N_DECODE, 1, {N_PREFILL}};
  const bool ok = measure(&p);
  p.threads = 2;
  return ok && measure(&p) ? 0 : 1;
}
#else
/* Argument `i` as a number from 1 to `most`, or its default; 0: neither. */
static int32_t number(int argc, char **argv, int i, int32_t most, int32_t by_default) {
  const long n = i < argc ? strtol(argv[i], NULL, 10) : by_default;
  return n >= 1 && n <= most ? (int32_t)n : 0;
}

int main(int argc, char **argv) {
  plan p = {.path = argc > 1 ? argv[1] : NULL,
            .threads = number(argc, argv, 2, POOL_MAX_THREADS, 1),
            .rounds = number(argc, argv, 3, MOST_ROUNDS, N_ROUNDS),
            .decode = number(argc, argv, 4, 4096, N_DECODE),
            .n_sizes = argc > 6 ? min_i32(argc - 5, MOST_SIZES) : 1};
  bool ok = p.path != NULL && p.threads > 0 && p.rounds > 0 && p.decode > 0;
  for (int i = 0; i < p.n_sizes; i++) ok = (p.sizes[i] = number(argc, argv, 5 + i, 1 << 15, N_PREFILL)) > 0 && ok;
  if (!ok) fputs("usage: build/bench/gemma FILE.gguf [THREADS [ROUNDS [DECODE [PREFILL...]]]]\n", stderr);
  return ok && measure(&p) ? 0 : 1;
}
#endif
