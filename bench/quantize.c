/* Speed of quantizing, from memory to memory: GB of bf16 input a second, by type. Pieces are small and the best counts, so that other programs disturb little. */
#include <stdio.h>

#include "../src/quantize/quantizer.h"

enum { ROWS = 256, COLS = 4096, ROUNDS = 50 };

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
    const sotto_status status = quantizer_rows(q, t, 0, rows, in, out, NULL);
    const double ms = now_ms() - begin;
    best = status == SOTTO_OK && ms < best ? ms : best;
  }
  return best;
}

static double gb_per_s(quantizer *q, const planned_tensor *t, const uint8_t *in, uint8_t *out) {
  const int64_t rows = dtype_block_elements(t->type) == 256 ? ROWS / 8 : ROWS;
  return (double)rows * COLS * 2 / 1e6 / best_ms(q, t, in, out, rows);
}

int main(void) {
  static const uint32_t types[] = {DTYPE_F16,  DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1,
                                   DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
  float *x = mem_alloc((size_t)ROWS * COLS, sizeof *x);
  uint8_t *in = mem_alloc((size_t)ROWS * COLS, 2), *out = mem_alloc((size_t)ROWS * COLS, 4);
  quantizer one = {.threads = pool_open(1)}, two = {.threads = pool_open(2)};
  if (x == NULL || in == NULL || out == NULL || one.threads == NULL || two.threads == NULL) return 1;
  fill(x, (size_t)ROWS * COLS);
  for (size_t i = 0; i < ROWS; i++) quantize_row(DTYPE_BF16, x + i * COLS, in + i * COLS * 2, COLS);
  printf("GB of bf16 a second    1 thread   2 threads   without a search: 1 thread   2 threads\n");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    const planned_tensor t = {.name = "x", .source_type = DTYPE_BF16, .type = types[i], .rows = ROWS, .cols = COLS};
    one.fast = two.fast = false;
    printf("%-20s %10.3f %11.3f", dtype_name(types[i]), gb_per_s(&one, &t, in, out), gb_per_s(&two, &t, in, out));
    one.fast = two.fast = true;
    if (dtype_block_elements(types[i]) == 256)
      printf(" %28.3f %11.3f", gb_per_s(&one, &t, in, out), gb_per_s(&two, &t, in, out));
    printf("\n");
  }
  pool_close(one.threads);
  pool_close(two.threads);
  mem_free(x);
  mem_free(in);
  mem_free(out);
  return 0;
}
