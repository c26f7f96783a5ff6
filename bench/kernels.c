/* Each kernel of each instruction set that runs here, on sizes of Whisper tiny, operands in cache, one thread: the best of many short
 * runs, which a busy machine disturbs least. */
#include "../src/cpu/kernels.h"

#include <stdio.h>

#define RUN_MS     2.0
#define N_RUNS     60
#define MAX_RIGHT  (1 << 19)
#define DOT_GROUPS 8

static int16_t left[MAX_TILE_ROWS * 1536], right[MAX_RIGHT];
static float units[4096], values[1536], other[1536], out[MAX_TILE_ROWS * 16 * 32];
static int32_t sums[MOST_DOT_ROWS * 128];

typedef struct bench_case {
  const kernels *k;
  int32_t m, n, panels; /* of a tile; m, n also of a dot */
  packing packing;
} bench_case;

static void run_tile(const bench_case *c) {
  c->k->tile[c->m - 1](left, units, 8, right, units, c->n, c->panels, out, (size_t)(c->panels * c->k->nr));
}
static void run_dot(const bench_case *c) {
  c->k->dot[c->packing][c->m - 1]((const uint8_t *)right, DOT_GROUPS, c->n / 32, left, units, sums, out, 256);
}
static void run_panel(const bench_case *c) {
  c->k->group_panel[c->packing]((const uint8_t *)right + (1 << 19), c->n / 32, units, right);
}
static void run_exp(const bench_case *c) {
  memcpy(values, other, sizeof values);
  c->k->exp_sum(values, c->n, 0.125f);
}
static void run_gelu(const bench_case *c) { c->k->finish(values, other, c->n, units, true, NULL); }
static void run_finish(const bench_case *c) { c->k->finish(values, other, c->n, units, false, other); }
static void run_layer_norm(const bench_case *c) { c->k->layer_norm(values, other, c->n, units, units, 1e-5f); }
static void run_quantize(const bench_case *c) {
  for (int32_t i = 0; i + UNIT_LENGTH <= c->n; i += UNIT_LENGTH)
    units[0] += 1e-9f * quantize_left(c->k, other + i, UNIT_LENGTH, left + i * c->k->mr, (size_t)c->k->mr);
}

/* Nanoseconds of one call. */
static double best_ns(void (*run)(const bench_case *), const bench_case *c) {
  double best = 1e30;
  int32_t calls = 1;
  for (int i = 0; i < N_RUNS; i++) {
    const double start = now_ms();
    for (int32_t j = 0; j < calls; j++) run(c);
    const double ms = now_ms() - start;
    if (ms < RUN_MS / 2) {
      calls *= 2, i = 0;
      continue;
    }
    if (ms * 1e6 / calls < best) best = ms * 1e6 / calls;
  }
  return best;
}

int main(void) {
  for (int32_t i = 0; i < MAX_RIGHT; i++) right[i] = 0x2c2c /* as half floats: 0.07 */;
  for (int32_t i = 0; i < 1536; i++) other[i] = (float)(i * 7919 % 1000) * 0.01f - 5.0f;
  for (int32_t i = 0; i < 4096; i++) units[i] = 1e-3f;

  static const char *packings[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_K", "q5_K", "q6_K"};
  static const int32_t lengths[] = {64, 384, 1500};
  for (int32_t t = 0; kernels_available(t); t++) {
    bench_case c = {.k = kernels_available(t)};
    printf("%s\n", c.k->name);
    for (size_t l = 0; l < 3; l++) {
      c.n = lengths[l], c.panels = c.n > 1000 ? 1 : 4;
      for (c.m = 1; c.m <= c.k->mr; c.m += c.k->mr - 1)
        printf("  tile %d x %d, k %4d      %7.2f GMAC/s\n", c.m, c.k->nr, c.n,
               (double)c.m * c.panels * c.k->nr * c.n / best_ns(run_tile, &c));
    }
    c.n = 768;
    for (int p = 0; p < N_PACKINGS; p++) {
      c.packing = (packing)p;
      for (c.m = 1; c.m <= MOST_DOT_ROWS; c.m++)
        printf("  dot %s, %d rows          %7.2f GMAC/s\n", packings[p], c.m,
               (double)(c.m * DOT_GROUPS * c.k->group) * c.n / best_ns(run_dot, &c));
    }
    for (int p = 0; p < N_PACKINGS; p++) {
      c.packing = (packing)p;
      printf("  panel of %s            %7.3f ns an element\n", packings[p],
             best_ns(run_panel, &c) / (c.n * c.k->group));
    }
    c.n = 1500;
    printf("  softmax                  %7.3f ns an element\n", best_ns(run_exp, &c) / c.n);
    printf("  quantize                 %7.3f ns\n", best_ns(run_quantize, &c) / c.n);
    printf("  bias and GELU            %7.3f ns\n", best_ns(run_gelu, &c) / c.n);
    printf("  bias and residual        %7.3f ns\n", best_ns(run_finish, &c) / c.n);
    c.n = 384;
    printf("  layer norm               %7.3f ns\n", best_ns(run_layer_norm, &c) / c.n);
  }
  return 0;
}
