/* The CPU backend of ops.h: its memory, and the operations that are one loop over rows.
 *
 *     cpu_weight.c     weights in memory            cpu_linear.c   matrix products
 *     cpu_attention.c  keys, values, attention      kernels*       the inner loops, one table for each instruction set */
#include "cpu.h"

#include "cpu_weight.h"

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
    pool_run(c->pool, fn, context, n_items);
    return;
  }
  for (int32_t i = 0; i < n_items; i++) fn(context, i, 0);
}

/* -- memory -- */

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

/* -- operations by rows -- */

typedef struct norm_job {
  const kernels *k;
  tensor y, x;
  const float *gain, *bias;
  float eps;
} norm_job;

static void norm_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const norm_job *j = context;
  const int32_t first = item * ROWS_PER_ITEM, end = min_i32(first + ROWS_PER_ITEM, j->x.rows);
  for (int32_t i = first; i < end; i++)
    j->k->layer_norm(tensor_at(j->y, i), tensor_at(j->x, i), j->x.cols, j->gain, j->bias, j->eps);
}

static void layer_norm(backend *be, tensor y, tensor x, tensor gain, tensor bias, float eps) {
  const cpu *c = (cpu *)be;
  norm_job job = {c->k, y, x, tensor_at(gain, 0), tensor_at(bias, 0), eps};
  cpu_run(c, norm_item, &job, divide_up(x.rows, ROWS_PER_ITEM), (double)x.rows * x.cols);
}

static void embed(backend *be, tensor y, const weight *table, const int32_t *ids, tensor positions,
                  const int32_t *pos) {
  const cpu *c = (cpu *)be;
  for (int32_t i = 0; i < y.rows; i++) {
    float *row = tensor_at(y, i);
    cpu_weight_row(c, table, ids[i], row);
    c->k->finish(row, row, y.cols, tensor_at(positions, pos[i]), false, NULL);
  }
}

/* -- the backend -- */

backend *cpu_backend_open(struct pool *threads) {
  static const ops cpu_ops = {
      .name = "cpu",
      .buffer_open = buffer_open,
      .buffer_close = buffer_close,
      .upload = upload,
      .read = read_tensor,
      .weight_open = cpu_weight_open,
      .weight_rows = cpu_weight_rows,
      .weight_seal = cpu_weight_seal,
      .weight_close = cpu_weight_close,
      .weight_bytes = cpu_weight_bytes,
      .linear = cpu_linear,
      .layer_norm = layer_norm,
      .embed = embed,
      .kv_open = cpu_kv_open,
      .kv_close = cpu_kv_close,
      .kv_fill = cpu_kv_fill,
      .kv_store = cpu_kv_store,
      .attention = cpu_attention,
  };
  cpu *c = mem_alloc(1, sizeof *c);
  if (!c) return NULL;
  c->base.ops = &cpu_ops;
  c->pool = threads;
  c->k = kernels_best();
  c->left = mem_alloc(LEFT_BYTES, 1);
  c->left_scales = mem_alloc(LEFT_SCALES, sizeof(float));
  if (c->left && c->left_scales) return &c->base;
  cpu_backend_close(&c->base);
  return NULL;
}

void cpu_backend_close(backend *be) {
  cpu *c = (cpu *)be;
  if (!c) return;
  mem_free(c->left);
  mem_free(c->left_scales);
  mem_free(c->few);
  mem_free(c->dense);
  mem_free(c->scratch);
  mem_free(c);
}

const char *cpu_backend_isa(void) { return kernels_best()->name; }
