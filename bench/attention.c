/* Attention over places as the models run it, one layer at a time and each instruction set that runs here: the best of many short runs, which a
 * busy machine disturbs least. Prompts in batches, one token after a long past, Whisper's beams. */
#include "../src/base/pool.h"
#include "../src/cpu/cpu_kv.h"

#include <stdio.h>

#define RUN_MS 5.0
#define N_RUNS 30

typedef struct shape {
  const char *name;
  int32_t n_head, n_kv_head, head_dim;
  int32_t n;      /* queries, the last tokens of ... */
  int32_t length; /* ... so many */
  int32_t window; /* 0: all */
  bool beams;     /* each query has a table of its own */
} shape;

static const shape shapes[] = {
    {"Gemma 3 270M, prompt of 512", 4, 1, 256, 512, 512, 512, false},
    {"Gemma 3 270M, 512 after 3584, window 512", 4, 1, 256, 512, 4096, 512, false},
    {"Gemma 3 270M, 512 after 3584, all", 4, 1, 256, 512, 4096, 0, false},
    {"Gemma 3 270M, a token, window 512", 4, 1, 256, 1, 4096, 512, false},
    {"Gemma 3 270M, a token after 4095", 4, 1, 256, 1, 4096, 0, false},
    {"Gemma 2 2B, prompt of 256", 8, 4, 256, 256, 256, 0, false},
    {"teller, a token after 300", 4, 1, 64, 1, 301, 0, false},
    {"Whisper tiny, prompt of 4", 6, 6, 64, 4, 4, 0, false},
    {"Whisper tiny, a token after 30", 6, 6, 64, 1, 31, 0, true},
    {"Whisper tiny, 5 beams after 100", 6, 6, 64, 5, 101, 0, true},
    {"Whisper tiny, prompt of 224", 6, 6, 64, 224, 224, 0, false},
};
enum { MOST = 4096, MOST_QUERIES = 512, MOST_BEAMS = 5 };

static int32_t slots[MOST * MOST_BEAMS], first[MOST_QUERIES], length[MOST_QUERIES];

static void fill(tensor t, uint32_t seed) {
  for (size_t i = 0; i < t.buf->n; i++) {
    seed = seed * 1664525u + 1013904223u;
    t.buf->data[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
  }
}

static double best_us(backend *be, tensor y, tensor q, kv *c, const kv_view *view) {
  double best = 1e30;
  int32_t calls = 1;
  for (int i = 0; i < N_RUNS; i++) {
    const double start = now_ms();
    for (int32_t j = 0; j < calls; j++) cpu_attend(be, y, q, c, 0.05f, view);
    const double ms = now_ms() - start;
    if (ms < RUN_MS / 2) {
      calls *= 2, i = 0;
      continue;
    }
    if (ms * 1e3 / calls < best) best = ms * 1e3 / calls;
    if (ms > 20 * RUN_MS) i += N_RUNS / 10;
  }
  return best;
}

static bool measure(backend *be, const shape *s, kv_type type) {
  const int32_t n_slots = s->length * (s->beams ? MOST_BEAMS : 1), d = s->head_dim;
  kv *c = be->ops->kv_open(be, KV_SLOTS, type, n_slots, s->n_kv_head, d);
  tensor q = tensor_matrix(be->ops->buffer_open(be, (size_t)(s->n * s->n_head * d)), 0, s->n, s->n_head * d);
  tensor y = tensor_matrix(be->ops->buffer_open(be, (size_t)(s->n * s->n_head * d)), 0, s->n, s->n_head * d);
  tensor k =
      tensor_matrix(be->ops->buffer_open(be, (size_t)(n_slots * s->n_kv_head * d)), 0, n_slots, s->n_kv_head * d);
  if (c == NULL || q.buf == NULL || y.buf == NULL || k.buf == NULL) return false;
  fill(q, 1), fill(k, 2);
  for (int32_t i = 0; i < n_slots; i++) slots[i] = i;
  cpu_place(be, k, k, k, c, slots, NULL);
  double places = 0;
  for (int32_t i = 0; i < s->n; i++) {
    const int32_t end = s->beams ? s->length : s->length - s->n + i + 1;
    length[i] = s->window > 0 && s->window < end ? s->window : end;
    first[i] = end - length[i];
    places += length[i];
    for (int32_t j = 0; s->beams && j < s->length; j++) slots[i * s->length + j] = j * MOST_BEAMS + (j < 4 ? 0 : i);
  }
  const kv_view view = {.slots = slots, .slot_stride = s->beams ? s->length : 0, .first = first, .length = length};
  const double us = best_us(be, y, q, c, &view);
  printf("  %-42s %10.1f us %8.2f GMAC/s\n", s->name, us, 2e-3 * places * s->n_head * d / us);
  be->ops->kv_close(be, c);
  be->ops->buffer_close(be, q.buf), be->ops->buffer_close(be, y.buf), be->ops->buffer_close(be, k.buf);
  return true;
}

int main(void) {
  static const char *types[] = {"16 bits", "q8_0"};
  bool ok = true;
  for (int32_t n_threads = 1; ok && n_threads <= min_i32(2, pool_cores()); n_threads++) {
    pool *threads = pool_open(n_threads);
    backend *be = threads ? cpu_backend_open(threads) : NULL;
    if (be == NULL) break; /* WebAssembly without threads */
    for (int32_t t = 0; ok && kernels_available(t); t++) {
      ((cpu *)be)->k = kernels_available(t);
      if (t == 0 && kernels_available(1) != NULL) continue; /* scalar kernels only where there are no others */
      for (int type = KV_16; ok && type <= KV_Q8_0; type++) {
        printf("%s, threads %d, %s\n", kernels_available(t)->name, (int)n_threads, types[type]);
        for (size_t i = 0; ok && i < sizeof shapes / sizeof *shapes; i++) ok = measure(be, &shapes[i], (kv_type)type);
      }
    }
    cpu_backend_close(be);
    pool_close(threads);
  }
  return ok ? 0 : 1;
}
