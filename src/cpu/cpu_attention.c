/* Attention: y = softmax(q kᵀ * scale) v by heads.
 *
 * KV_WHOLE keeps, for each head, keys as right panels whose columns are places and values as right panels whose columns are
 * dimensions, so that both products are tiles of the matrix kernel. An item is one head and a block of queries:
 *
 *     q [block, d] ─quantize─> left panels · key panels ─> scores [block, places] ─softmax─> int16 left panels · value panels ─> y
 *
 * The scores of a block fit the second cache. Probabilities have a unit for each stretch of places, so that one place which
 * takes nearly all of the weight does not blur the many others.
 *
 * KV_SLOTS keeps int16 rows with one unit each, [head][place][d]; a query reads its places through a table. */
#include "cpu.h"

#define BLOCK_PANELS 4  /* left panels of queries in an item */
#define KEY_PANELS   16 /* panels of keys that all of these pass before the next come */
#define SLOT_DIMS    64 /* a head's rows in KV_SLOTS are padded to multiples of this */

struct kv {
  int kind;
  int32_t n_slots, n_head, head_dim;
  int32_t padded_slots, padded_dim; /* columns of the panels; in KV_SLOTS, elements of a row */
  int16_t *k, *v;
  float *k_scale, *v_scale;
};

/* Elements of one head's keys and values. */
static size_t key_size(const kv *a) { return (size_t)divide_up(a->head_dim, 2) * 2 * (size_t)a->padded_slots; }
static size_t value_size(const kv *a) { return (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)a->padded_dim; }

static bool open_whole(cpu *c, kv *a) {
  const int32_t nr = c->k->nr, mr = c->k->mr;
  a->padded_slots = divide_up(a->n_slots, nr) * nr;
  a->padded_dim = divide_up(a->head_dim, nr) * nr;
  const size_t heads = (size_t)a->n_head;
  a->k = mem_alloc(heads, key_size(a) * sizeof(int16_t));
  a->v = mem_alloc(heads, value_size(a) * sizeof(int16_t));
  a->k_scale = mem_alloc(heads, (size_t)a->padded_slots * sizeof(float));
  a->v_scale = mem_alloc(heads, (size_t)a->padded_dim * sizeof(float));
  /* Scratch of an item, as whole_item takes it. */
  const size_t rows = (size_t)(BLOCK_PANELS * mr),
               stretches = (size_t)divide_up(max_i32(a->n_slots, a->head_dim), UNIT_LENGTH);
  return cpu_grow_scratch(c, 4 * 64 + rows * (stretches * 4 + ((size_t)max_i32(a->n_slots, a->head_dim) + 1) * 2 +
                                              (size_t)a->padded_slots * 4 + (size_t)a->padded_dim * 4));
}

static bool open_slots(cpu *c, kv *a) {
  a->padded_slots = a->n_slots;
  a->padded_dim = divide_up(a->head_dim, SLOT_DIMS) * SLOT_DIMS;
  const size_t rows = (size_t)a->n_head * (size_t)a->n_slots;
  a->k = mem_alloc(rows, (size_t)a->padded_dim * sizeof(int16_t));
  a->v = mem_alloc(rows, (size_t)a->padded_dim * sizeof(int16_t));
  a->k_scale = mem_alloc(rows, sizeof(float));
  a->v_scale = mem_alloc(rows, sizeof(float));
  return cpu_grow_scratch(c, (size_t)a->n_slots * 4 + (size_t)a->padded_dim * 6 + 64);
}

kv *cpu_kv_open(backend *be, int kind, int32_t n_slots, int32_t n_head, int32_t head_dim) {
  cpu *c = (cpu *)be;
  if (n_slots < 1 || n_head < 1 || head_dim < 1 || n_slots > 1 << 24 || head_dim > 1 << 16) return NULL;
  kv *a = mem_alloc(1, sizeof *a);
  if (!a) return NULL;
  *a = (kv){.kind = kind, .n_slots = n_slots, .n_head = n_head, .head_dim = head_dim};
  bool grown = kind == KV_WHOLE ? open_whole(c, a) : open_slots(c, a);
  if (grown && a->k && a->v && a->k_scale && a->v_scale) return a;
  cpu_kv_close(be, a);
  return NULL;
}

void cpu_kv_close(backend *be, kv *a) {
  (void)be;
  if (!a) return;
  mem_free(a->k);
  mem_free(a->v);
  mem_free(a->k_scale);
  mem_free(a->v_scale);
  mem_free(a);
}

/* -- filling -- */

typedef struct fill_job {
  const cpu *c;
  kv *a;
  tensor k, v;
} fill_job;

/* One head's keys (even items) or values (odd items). */
static void fill_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const fill_job *j = context;
  const kernels *kernel = j->c->k;
  kv *a = j->a;
  const int32_t head = item / 2, column = head * a->head_dim;
  const size_t nr = (size_t)kernel->nr;
  if (item % 2 == 0) {
    const size_t panel_size = (size_t)divide_up(a->head_dim, 2) * 2 * nr;
    for (int32_t s = 0; s < a->n_slots; s++)
      a->k_scale[(size_t)head * (size_t)a->padded_slots + (size_t)s] =
          quantize_right(kernel, tensor_at(j->k, s) + column, a->head_dim,
                         a->k + (size_t)head * key_size(a) + (size_t)s / nr * panel_size + (size_t)s % nr * 2, nr);
  } else {
    for (int32_t d = 0; d < a->head_dim; d += kernel->nr)
      kernel->quantize_columns(tensor_at(j->v, 0) + column + d, (size_t)j->v.stride, a->n_slots, a->head_dim - d,
                               a->v + (size_t)head * value_size(a) + (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)d,
                               a->v_scale + (size_t)head * (size_t)a->padded_dim + d);
  }
}

void cpu_kv_fill(backend *be, kv *a, tensor k, tensor v) {
  fill_job job = {(cpu *)be, a, k, v};
  cpu_run(job.c, fill_item, &job, 2 * a->n_head, 2.0 * k.rows * k.cols);
}

void cpu_kv_store(backend *be, kv *a, tensor k, tensor v, const int32_t *slots) {
  const cpu *c = (cpu *)be;
  for (int32_t i = 0; i < k.rows; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const size_t place = (size_t)head * (size_t)a->n_slots + (size_t)slots[i], at = place * (size_t)a->padded_dim;
      const int32_t column = head * a->head_dim;
      a->k_scale[place] = quantize_right(c->k, tensor_at(k, i) + column, a->head_dim, a->k + at, 1);
      a->v_scale[place] = quantize_right(c->k, tensor_at(v, i) + column, a->head_dim, a->v + at, 1);
    }
  }
}

/* -- attending -- */

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
  const int32_t first = item % j->blocks * BLOCK_PANELS * mr, rows = min_i32(BLOCK_PANELS * mr, j->q.rows - first);
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
  const int16_t *keys = a->k + (size_t)head * key_size(a);
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
  const int16_t *values = a->v + (size_t)head * value_size(a);
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
    j.blocks = divide_up(q.rows, BLOCK_PANELS * j.c->k->mr);
    cpu_run(j.c, whole_item, &j, j.n_head * j.blocks, per_query * a->n_slots * q.rows);
    return;
  }
  double work = 0;
  for (int32_t i = 0; i < q.rows; i++) work += per_query * view->length[i];
  cpu_run(j.c, slots_item, &j, j.n_head * q.rows, work);
}
