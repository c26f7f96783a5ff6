/* What guessing tokens ahead (src/sotto_speculate.h) can bring: milliseconds of a step of n rows of one model, and of one row of a smaller one, in turns, the best of some rounds; and from them how
 * often a guess must be right for k guesses at once to be worth it:
 *
 *     build/bench/speculation MODEL DRAFT [THREADS] [ROUNDS]
 *
 * A check of k guesses that are right with the probability a brings 1 + a + ... + a^k tokens and takes k steps of the draft and one of k + 1 rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/sotto.h"
#include "../src/base/base.h"

enum { MOST_ROWS = 9, N_BEFORE = 128, MOST_ROUNDS = 64, N_CTX = 1024 };

static sotto_engine *engine;

static void give_up(const char *what) {
  fprintf(stderr, "%s: %s\n", what, engine != NULL ? sotto_engine_error(engine) : "");
  exit(1);
}

static sotto_model *load(const char *path) {
  static uint8_t piece[1 << 20];
  sotto_model *m = NULL;
  FILE *f = fopen(path, "rb");
  if (f == NULL || sotto_model_open(&m, engine) != SOTTO_OK) give_up(path);
  for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
    if (sotto_model_feed(m, piece, n) != SOTTO_OK) give_up(path);
  fclose(f);
  if (sotto_model_finish(m) != SOTTO_OK) give_up(path);
  return m;
}

/* A session with some text, whose steps make logits of all rows. */
static sotto_session *begin(sotto_model *m, int32_t *ids) {
  sotto_session *s = NULL;
  const sotto_session_options o = {.n_ctx = N_CTX, .n_batch = 16, .all_logits = 1};
  if (sotto_session_open(&s, m, &o) != SOTTO_OK) give_up("session");
  sotto_model_info info;
  sotto_model_describe(m, &info);
  for (int32_t i = 0; i < N_CTX; i++) ids[i] = (int32_t)((uint32_t)i * 2654435761u % (uint32_t)info.n_vocab);
  if (sotto_session_sync(s, ids, N_BEFORE) != SOTTO_OK) give_up("sync");
  while (sotto_session_step(s) == SOTTO_AGAIN) continue;
  return s;
}

static double step_ms(sotto_session *s, const int32_t *ids, int32_t rows) {
  if (sotto_session_sync(s, ids, N_BEFORE + (size_t)rows) != SOTTO_OK) give_up("sync");
  const double begin_ms = now_ms();
  if (sotto_session_step(s) != SOTTO_DONE || sotto_session_n_logits(s) != rows) give_up("step");
  const double ms = now_ms() - begin_ms;
  if (sotto_session_sync(s, ids, N_BEFORE + 1) != SOTTO_OK) give_up("sync"); /* the last one is always evaluated anew */
  return ms;
}

static double best(const double *values, int32_t n) {
  double least = values[0];
  for (int32_t i = 1; i < n; i++) least = values[i] < least ? values[i] : least;
  return least;
}

/* The least probability with which k guesses pay; above 1: none. */
static double break_even(int32_t k, double check, double guess) {
  for (double a = 0; a <= 1; a += 0.001) {
    double tokens = 1, power = 1;
    for (int32_t i = 0; i < k; i++) tokens += power *= a;
    if (tokens >= check + k * guess) return a;
  }
  return 9.99;
}

/* Prints a table. */
static void measure(const char *model, const char *draft, int32_t threads, int32_t rounds) {
  static double rows_ms[MOST_ROWS][MOST_ROUNDS], draft_ms[MOST_ROUNDS];
  static int32_t ids[N_CTX], draft_ids[N_CTX];
  const sotto_engine_options options = {.n_threads = threads};
  if (sotto_engine_open(&engine, &options) != SOTTO_OK) give_up("engine");
  sotto_session *s = begin(load(model), ids), *d = begin(load(draft), draft_ids);
  for (int32_t r = -1; r < rounds; r++) /* the first warms up */
    for (int32_t n = 0; n < MOST_ROWS; n++) {
      rows_ms[n][max_i32(r, 0)] = step_ms(s, ids, n + 1);
      if (n == 0) draft_ms[max_i32(r, 0)] = step_ms(d, draft_ids, 1);
    }
  const double one = best(rows_ms[0], rounds), guess = best(draft_ms, rounds);
  printf("%s, %d threads: one row %.2f ms, a guess of the draft %.2f ms, %.2f of it\n", sotto_engine_isa(engine),
         (int)sotto_engine_threads(engine), one, guess, guess / one);
  printf("  guesses  ms of the check  of one row  looked up pay from  the draft's pay from\n");
  for (int32_t k = 1; k < MOST_ROWS; k++) {
    const double check = best(rows_ms[k], rounds);
    printf("  %7d  %15.2f  %10.2f  %18.2f  %20.2f\n", (int)k, check, check / one, break_even(k, check / one, 0),
           break_even(k, check / one, guess / one));
  }
}

#ifdef __wasm__ /* has no arguments: node tests/wasm/run.mjs build/wasm-tests/relaxed-threads/bench_speculation.wasm */
int main(void) {
  for (int32_t threads = 1; threads <= 2; threads++)
    measure("build/bench-models/gemma3-1b-q4_0.gguf", "build/bench-models/gemma3-270m-q4_0.gguf", threads, 9);
  return 0;
}
#else
int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: speculation MODEL DRAFT [THREADS] [ROUNDS]\n");
    return 2;
  }
  const int32_t rounds = argc > 4 ? atoi(argv[4]) : 9;
  measure(argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 1, min_i32(max_i32(rounds, 1), MOST_ROUNDS));
  return 0;
}
#endif
