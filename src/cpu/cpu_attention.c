/* Attention: y = softmax(q kᵀ * scale) v by heads. Keys and values lie as cpu_kv.h says.
 *
 * KV_WHOLE: an item is one head and a block of queries:
 *
 *     q [block, d] ─quantize─> left panels · key panels ─> scores [block, places] ─softmax─> int16 left panels · value panels ─> y
 *
 * The scores of a block fit the second cache. Probabilities have a unit for each stretch of places, so that one place which
 * takes nearly all of the weight does not blur the many others.
 *
 * KV_SLOTS: a query reads its places through a table. */
#include "cpu_kv.h"

#define KEY_PANELS 16 /* panels of keys that all left panels of an item pass before the next come */

typedef struct attend_job {
  const cpu *c;
  const kv *a;
  tensor y, q;
  float scale;
  int32_t blocks; /* of queries, KV_WHOLE */
  const kv_view *view;
  int32_t n_head; /* of queries */
} attend_job;

static void *take(char **at, size_t bytes) {
  void *p = *at;
  *at += align_64(bytes);
  return p;
}

static void whole_item(void *context, int32_t item, int32_t thread) {
  const attend_job *j = context;
  const kernels *kernel = j->c->k;
  const kv *a = j->a;
  const int32_t mr = kernel->mr, nr = kernel->nr, head = item / j->blocks, column = head * a->head_dim;
  const int32_t first = item % j->blocks * KV_BLOCK_PANELS * mr,
                rows = min_i32(KV_BLOCK_PANELS * mr, j->q.rows - first);
  const int32_t d_pairs = divide_up(a->head_dim, 2);
  const size_t slots = (size_t)a->padded_slots, dims = (size_t)a->padded_dim;

  char *at = cpu_scratch(j->c, thread);
  const int32_t stretches = divide_up(max_i32(a->n_slots, a->head_dim), UNIT_LENGTH);
  float *unit = take(&at, (size_t)(stretches * rows) * sizeof *unit); /* of q, then of probabilities */
  int16_t *left =
      take(&at, (size_t)rows * 4 * (size_t)max_i32(d_pairs, divide_up(a->n_slots, 2))); /* q, then probabilities */
  float *scores = take(&at, (size_t)rows * slots * sizeof *scores);                     /* [rows, slots] */
  float *out = take(&at, (size_t)rows * dims * sizeof *out);                            /* [rows, dims] */

  for (int32_t i = 0; i < rows; i++) {
    const int32_t top = i / mr * mr, m = min_i32(mr, rows - top);
    for (int32_t d = 0; d < a->head_dim; d += UNIT_LENGTH)
      unit[d / UNIT_LENGTH * rows + i] =
          quantize_left(kernel, tensor_at(j->q, first + i) + column + d, min_i32(UNIT_LENGTH, a->head_dim - d),
                        left + (size_t)top * (size_t)d_pairs * 2 + 2 * (i - top) + d * m, (size_t)m);
  }
  const int16_t *keys = a->k + (size_t)head * kv_key_size(a);
  const float *k_scale = a->k_scale + (size_t)head * slots;
  for (int32_t s = 0; s < a->padded_slots; s += KEY_PANELS * nr, keys += KEY_PANELS * nr * 2 * d_pairs) {
    const int32_t n_panels = min_i32(KEY_PANELS, (a->padded_slots - s) / nr);
    for (int32_t top = 0; top < rows; top += mr)
      kernel->tile[min_i32(mr, rows - top) - 1](left + (size_t)top * (size_t)d_pairs * 2, unit + top, (size_t)rows,
                                                keys, k_scale + s, a->head_dim, n_panels,
                                                scores + (size_t)top * slots + s, slots);
  }
  const int32_t pairs = divide_up(a->n_slots, 2);
  for (int32_t i = 0; i < rows; i++) {
    const int32_t top = i / mr * mr, m = min_i32(mr, rows - top);
    float *p = scores + (size_t)i * slots;
    const float inverse = 1.0f / kernel->exp_sum(p, a->n_slots, j->scale);
    for (int32_t s = 0; s < a->n_slots; s += UNIT_LENGTH)
      unit[s / UNIT_LENGTH * rows + i] =
          inverse * quantize_left(kernel, p + s, min_i32(UNIT_LENGTH, a->n_slots - s),
                                  left + (size_t)top * (size_t)pairs * 2 + 2 * (i - top) + s * m, (size_t)m);
  }
  const int16_t *values = a->v + (size_t)head * kv_value_size(a);
  for (int32_t d = 0; d < a->padded_dim; d += nr, values += (size_t)pairs * 2 * (size_t)nr) {
    for (int32_t top = 0; top < rows; top += mr)
      kernel->tile[min_i32(mr, rows - top) - 1](left + (size_t)top * (size_t)pairs * 2, unit + top, (size_t)rows,
                                                values, a->v_scale + (size_t)head * dims + d, a->n_slots, 1,
                                                out + (size_t)top * dims + d, dims);
  }
  for (int32_t i = 0; i < rows; i++)
    memcpy(tensor_at(j->y, first + i) + column, out + (size_t)i * dims, (size_t)a->head_dim * sizeof(float));
}

static void slots_item(void *context, int32_t item, int32_t thread) {
  const attend_job *j = context;
  const kv *a = j->a;
  const kv_view *view = j->view;
  const int32_t query = item / j->n_head, head = item % j->n_head, column = head * a->head_dim, d = a->padded_dim;
  const int32_t kv_head = head / (j->n_head / a->n_head);
  char *at = cpu_scratch(j->c, thread);
  int16_t *q = take(&at, (size_t)d * sizeof *q);
  float *y = take(&at, (size_t)d * sizeof *y), *scores = take(&at, 0);
  memset(q, 0, (size_t)d * sizeof *q);
  const float unit = quantize_left(j->c->k, tensor_at(j->q, query) + column, a->head_dim, q, 1);
  const size_t place = (size_t)kv_head * (size_t)a->n_slots, row = place * (size_t)d;
  const int32_t *slots =
      view->slots + (size_t)query * (size_t)view->slot_stride + (view->first ? view->first[query] : 0);
  j->c->k->attention->slots(y, q, unit * j->scale, view->softcap, a->k + row, a->k_scale + place, a->v + row,
                            a->v_scale + place, d, slots, view->length[query], scores);
  memcpy(tensor_at(j->y, query) + column, y, (size_t)a->head_dim * sizeof *y);
}

void cpu_attention(backend *be, tensor y, tensor q, const kv *a, float scale, const kv_view *view) {
  attend_job j = {.c = (cpu *)be, .a = a, .y = y, .q = q, .scale = scale, .view = view, .n_head = q.cols / a->head_dim};
  const double per_query = 2.0 * j.n_head * a->head_dim;
  if (a->kind == KV_WHOLE) {
    j.blocks = divide_up(q.rows, KV_BLOCK_PANELS * j.c->k->mr);
    cpu_run(j.c, whole_item, &j, j.n_head * j.blocks, per_query * a->n_slots * q.rows);
    return;
  }
  double work = 0;
  for (int32_t i = 0; i < q.rows; i++) work += per_query * view->length[i];
  cpu_run(j.c, slots_item, &j, j.n_head * q.rows, work);
}
