/* The CPU backend of ops.h: its memory, and the operations that are one loop over rows.
 *
 *     cpu_weight.c     weights in memory            cpu_linear*.c   matrix products
 *     cpu_kv.c         keys and values in memory    cpu_attention.c
 *     kernels*         the inner loops, one table for each instruction set */
#include "cpu.h"

#include "cpu_weight.h"

#include <math.h>

#define ROWS_PER_ITEM 16

bool cpu_grow_scratch(cpu *c, size_t bytes) {
  bytes = align_64(bytes);
  if (bytes <= c->scratch_bytes) return true;
  char *grown = mem_alloc((size_t)pool_threads(c->pool), bytes);
  if (!grown) return false;
  mem_free(c->scratch);
  c->scratch = grown;
  c->scratch_bytes = bytes;
  return true;
}

void cpu_run(const cpu *c, pool_fn *fn, void *context, int32_t n_items, double work) {
  if (work >= 40e3 && n_items > 1) {
    pool_run_neighbours(c->pool, fn, context, n_items);
    return;
  }
  for (int32_t i = 0; i < n_items; i++) fn(context, i, 0);
}

/* -- memory -- */

static bool reserve(backend *be, uint64_t bytes) {
  (void)be;
  return mem_reserve(bytes);
}

static buffer *buffer_open(backend *be, size_t n_elements) {
  (void)be;
  buffer *b = mem_alloc(1, sizeof *b);
  if (!b) return NULL;
  b->n = n_elements;
  b->data = mem_alloc(n_elements, sizeof(float));
  if (b->data) return b;
  mem_free(b);
  return NULL;
}

static void buffer_close(backend *be, buffer *b) {
  (void)be;
  if (!b) return;
  mem_free(b->data);
  mem_free(b);
}

static void upload(backend *be, tensor dst, const float *src) {
  (void)be;
  for (int32_t i = 0; i < dst.rows; i++)
    memcpy(tensor_at(dst, i), src + (size_t)i * (size_t)dst.cols, (size_t)dst.cols * sizeof *src);
}

static void copy(backend *be, tensor dst, tensor src) {
  (void)be;
  for (int32_t i = 0; i < dst.rows; i++) memcpy(tensor_at(dst, i), tensor_at(src, i), (size_t)dst.cols * sizeof(float));
}

/* The memory itself where rows lie side by side; else a dense copy. */
static float *read_tensor(backend *be, tensor src) {
  cpu *c = (cpu *)be;
  if (src.rows == 1 || src.stride == src.cols) return tensor_at(src, 0);
  const size_t cols = (size_t)src.cols, n = (size_t)src.rows * cols;
  if (n > c->dense_size) {
    mem_free(c->dense);
    c->dense = mem_alloc(n, sizeof(float));
    c->dense_size = c->dense ? n : 0;
  }
  if (!c->dense) return NULL;
  for (int32_t i = 0; i < src.rows; i++) memcpy(c->dense + (size_t)i * cols, tensor_at(src, i), cols * sizeof(float));
  return c->dense;
}

static void round_to_bytes(backend *be, bool on) { ((cpu *)be)->bytes = on; }

/* -- operations by rows -- */

const float *cpu_norm_row(const cpu *c, const normed *in, int32_t i) {
  const int32_t n = in->x.cols;
  const float *x = tensor_at(in->x, i), *gain = tensor_at(in->gain, 0);
  float *row = tensor_at(in->rows, i);
  if (in->add) {
    const float *add = tensor_at(*in->add, i);
    float *sum = tensor_at(in->sum, i);
    if (in->add_gain)
      c->k->rms_norm(sum, add, n, tensor_at(*in->add_gain, 0), in->eps, x);
    else
      c->k->finish(sum, add, n, NULL, false, x);
    x = sum;
  }
  if (in->bias)
    c->k->layer_norm(row, x, n, gain, tensor_at(*in->bias, 0), in->eps);
  else
    c->k->rms_norm(row, x, n, gain, in->eps, NULL);
  return row;
}

typedef struct norm_job {
  const cpu *c;
  const normed *in;
} norm_job;

static void norm_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const norm_job *j = context;
  const int32_t first = item * ROWS_PER_ITEM, end = min_i32(first + ROWS_PER_ITEM, j->in->x.rows);
  for (int32_t i = first; i < end; i++) cpu_norm_row(j->c, j->in, i);
}

static void norm(backend *be, const normed *in) {
  norm_job job = {(cpu *)be, in};
  cpu_run(job.c, norm_item, &job, divide_up(in->x.rows, ROWS_PER_ITEM), (double)in->x.rows * in->x.cols);
}

static void embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
                  const int32_t *pos) {
  const cpu *c = (cpu *)be;
  for (int32_t i = 0; i < y.rows; i++) {
    float *row = tensor_at(y, i);
    cpu_weight_row(c, table, ids[i], row);
    for (int32_t k = 0; k < y.cols && scale != 1.0f; k++) row[k] *= scale;
    if (positions) c->k->finish(row, row, y.cols, tensor_at(*positions, pos[i]), false, NULL);
  }
}

static void rope_table(backend *be, tensor y, tensor frequencies, const int32_t *pos) {
  (void)be;
  const float *f = tensor_at(frequencies, 0);
  for (int32_t i = 0; i < y.rows; i++) {
    float *row = tensor_at(y, i);
    for (int32_t k = 0; k < frequencies.cols; k++) {
      const float angle = (float)pos[i] * f[k];
      row[k] = cosf(angle);
      row[k + frequencies.cols] = sinf(angle);
    }
  }
}

static void softcap(backend *be, tensor x, float cap) {
  const cpu *c = (cpu *)be;
  for (int32_t i = 0; i < x.rows; i++) c->k->softcap(tensor_at(x, i), x.cols, 1.0f, cap);
}

/* -- the backend -- */

backend *cpu_backend_open(struct pool *threads) {
  static const ops cpu_ops = {
      .name = "cpu",
      .close = cpu_backend_close,
      .reserve = reserve,
      .buffer_open = buffer_open,
      .buffer_close = buffer_close,
      .upload = upload,
      .copy = copy,
      .read = read_tensor,
      .weight_open = cpu_weight_open,
      .weight_rows = cpu_weight_rows,
      .weight_seal = cpu_weight_seal,
      .weight_close = cpu_weight_close,
      .weight_bytes = cpu_weight_bytes,
      .round_to_bytes = round_to_bytes,
      .linear = cpu_linear,
      .norm = norm,
      .norm_linear = cpu_norm_linear,
      .norm_geglu = cpu_norm_geglu,
      .rope_table = rope_table,
      .softcap = softcap,
      .embed = embed,
      .kv_open = cpu_kv_open,
      .kv_close = cpu_kv_close,
      .kv_fill = cpu_kv_fill,
      .kv_place_bytes = cpu_kv_place_bytes,
      .kv_get = cpu_kv_get,
      .kv_put = cpu_kv_put,
      .kv_copy = cpu_kv_copy,
      .cross_attention = cpu_cross_attention,
      .self_attention = cpu_self_attention,
  };
  cpu *c = mem_alloc(1, sizeof *c);
  if (!c) return NULL;
  c->base.ops = &cpu_ops;
  c->pool = threads;
  c->k = kernels_best();
  c->left = mem_alloc(LEFT_BYTES, 1);
  c->left_scales = mem_alloc(LEFT_SCALES, sizeof(float));
  c->left_begins = mem_alloc(LEFT_SCALES, sizeof *c->left_begins);
  if (c->left && c->left_scales && c->left_begins) return &c->base;
  cpu_backend_close(&c->base);
  return NULL;
}

void cpu_backend_close(backend *be) {
  cpu *c = (cpu *)be;
  if (!c) return;
  mem_free(c->left);
  mem_free(c->left_scales);
  mem_free(c->left_begins);
  mem_free(c->few);
  mem_free(c->dense);
  mem_free(c->partial);
  mem_free(c->scratch);
  mem_free(c);
}

void cpu_watch_rows(backend *be, row_watcher *watch, void *context) {
  cpu *c = (cpu *)be;
  c->watch = watch;
  c->watch_context = context;
}

const char *cpu_backend_isa(void) { return kernels_best()->name; }
