/* Speed of quantizing, on two threads: GB of bf16 or f32 input a second, from memory to memory, by type. */
#include <stdio.h>
#include <stdlib.h>

#include "../src/quantize/quantizer.h"

enum { ROWS = 2048, COLS = 4096, THREADS = 2, ROUNDS = 3 };

static void fill(float *x, size_t n) {
  uint64_t state = 1;
  for (size_t i = 0; i < n; i++) { /* about normal: the sum of four uniform numbers */
    float sum = 0;
    for (int k = 0; k < 4; k++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
    x[i] = 0.02f * sum;
  }
}

static double best_ms(quantizer *q, const planned_tensor *t, const uint8_t *in, uint8_t *out, int64_t rows) {
  double best = 1e30;
  for (int i = 0; i < ROUNDS; i++) {
    const double begin = now_ms();
    if (quantizer_rows(q, t, 0, rows, in, out, NULL) != SOTTO_OK) abort();
    const double ms = now_ms() - begin;
    best = ms < best ? ms : best;
  }
  return best;
}

int main(int argc, char **argv) {
  static const uint32_t types[] = {DTYPE_F16,  DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1,
                                   DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
  const bool as_json = argc > 1 && strcmp(argv[1], "--json") == 0;
  float *x = mem_alloc((size_t)ROWS * COLS, sizeof *x);
  uint8_t *in = mem_alloc((size_t)ROWS * COLS, 2), *out = mem_alloc((size_t)ROWS * COLS, 4);
  quantizer q = {.threads = pool_open(THREADS)};
  if (x == NULL || in == NULL || out == NULL || q.threads == NULL) return 1;
  fill(x, (size_t)ROWS * COLS);
  for (size_t i = 0; i < ROWS; i++) quantize_row(DTYPE_BF16, x + i * COLS, in + i * COLS * 2, COLS);
  if (as_json) printf("{");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    const bool k_quant = dtype_block_elements(types[i]) == 256;
    const int64_t rows = k_quant ? ROWS / 16 : ROWS;
    planned_tensor t = {.name = "x", .source_type = DTYPE_BF16, .type = types[i], .rows = ROWS, .cols = COLS};
    const double gb = (double)rows * COLS * 2 / 1e9, searched = gb / best_ms(&q, &t, in, out, rows) * 1e3;
    q.fast = true;
    const double rounded = gb / best_ms(&q, &t, in, out, rows) * 1e3;
    q.fast = false;
    if (as_json)
      printf("%s\"%s\":{\"gb_per_s\":%.3f,\"fast_gb_per_s\":%.3f}", i > 0 ? "," : "", dtype_name(types[i]), searched,
             rounded);
    else if (k_quant)
      printf("bf16 to %-5s %7.3f GB/s with a search, %.3f without\n", dtype_name(types[i]), searched, rounded);
    else
      printf("bf16 to %-5s %7.3f GB/s\n", dtype_name(types[i]), searched > rounded ? searched : rounded);
  }
  if (as_json) printf("}\n");
  pool_close(q.threads);
  mem_free(x);
  mem_free(in);
  mem_free(out);
  return 0;
}
