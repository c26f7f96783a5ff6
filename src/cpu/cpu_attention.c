/* Attention: y = softmax(q kᵀ * scale) v by heads. Keys and values lie as cpu_kv.h says.
 *
 * KV_WHOLE: an item is one head and a block of queries:
 *
 *     q [block, d] ─quantize─> left panels · key panels ─> scores [block, places] ─softmax─> int16 left panels · value panels ─> y
 *
 * The scores of a block fit the second cache. Probabilities have a unit for each stretch of places, so that one place which
 * takes nearly all of the weight does not blur the many others.
 *
 * KV_SLOTS: an item is a tile of rows, each a query of one head, that share a head of keys and, with one table, most of their places. It takes these
 * block by block (kernels_attention.h), each row with the largest of its scores so far:
 *
 *     for a block of places:   scores = q · keys,   weights = exp(scores - largest),   y = y * shrink + weights · values
 *     at the end:              y / sum of weights
 *
 * Few tiles are cut along the places, too; then each run leaves y, largest and sum in memory, to be joined. A few tokens of one sequence are taken one by
 * one, and so have the bits that they have alone: guesses are checked so (sotto_speculate.h). */
#include "cpu_kv.h"

#define TILE_QUERIES 16 /* queries of an item, at most: those at its end see places that the first do not */
#define MAX_RUNS     8
#define PARTIAL_ROWS 256 /* queries x heads x runs, at most */

#define KEY_PANELS 16 /* panels of keys that all left panels of an item pass before the next come */

typedef struct attend_job {
  const cpu *c;
  const kv *a;
  tensor y, q;
  float scale;
  int32_t n_head; /* of queries */

  int32_t blocks; /* KV_WHOLE: of queries */

  const kv_view *view;  /* KV_SLOTS */
  int32_t heads, parts; /* query heads of an item, items that share a head of keys */
  int32_t queries;      /* of an item */
  int32_t runs;         /* items that share a query's places */
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
  const size_t kv_head = (size_t)(head / (j->n_head / a->n_head));
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
  const int16_t *keys = (int16_t *)a->k + kv_head * kv_key_size(a);
  const float *k_scale = a->k_scale + kv_head * slots;
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
  const int16_t *values = (int16_t *)a->v + kv_head * kv_value_size(a);
  for (int32_t d = 0; d < a->padded_dim; d += nr, values += (size_t)pairs * 2 * (size_t)nr) {
    for (int32_t top = 0; top < rows; top += mr)
      kernel->tile[min_i32(mr, rows - top) - 1](left + (size_t)top * (size_t)pairs * 2, unit + top, (size_t)rows,
                                                values, a->v_scale + kv_head * dims + d, a->n_slots, 1,
                                                out + (size_t)top * dims + d, dims);
  }
  for (int32_t i = 0; i < rows; i++)
    memcpy(tensor_at(j->y, first + i) + column, out + (size_t)i * dims, (size_t)a->head_dim * sizeof(float));
}

/* -- places -- */

/* What one item does: rows = queries x heads, row r is query r / heads. */
typedef struct slots_item_plan {
  int32_t kv_head, head, heads, query, queries;
  const int32_t *slots; /* the table's row that these queries share */
  int32_t first, end;   /* of the table: what they see */
} slots_item_plan;

static int32_t view_first(const kv_view *view, int32_t query) { return view->first ? view->first[query] : 0; }

static slots_item_plan plan_of(const attend_job *j, int32_t item) {
  const int32_t group = j->n_head / j->a->n_head, per_tile = j->a->n_head * j->parts, part = item % per_tile;
  slots_item_plan p = {.kv_head = part / j->parts, .query = item / per_tile * j->queries, .end = 0};
  p.head = p.kv_head * group + part % j->parts * j->heads;
  p.heads = min_i32(j->heads, (p.kv_head + 1) * group - p.head);
  p.queries = min_i32(j->queries, j->q.rows - p.query);
  p.slots = j->view->slots + (size_t)p.query * (size_t)j->view->slot_stride;
  p.first = view_first(j->view, p.query);
  for (int32_t i = p.query; i < p.query + p.queries; i++) {
    p.first = min_i32(p.first, view_first(j->view, i));
    p.end = max_i32(p.end, view_first(j->view, i) + j->view->length[i]);
  }
  return p;
}

/* Where a run leaves what it found: y [padded_dim], the largest score, the sum of weights. */
static float *partial_row(const attend_job *j, int32_t query, int32_t head, int32_t run) {
  const size_t row = ((size_t)query * (size_t)j->n_head + (size_t)head) * (size_t)j->runs + (size_t)run;
  return j->c->partial + row * ((size_t)j->a->padded_dim + 2);
}

/* y [padded_dim], its sum of weights not yet divided by. */
static void leave_row(const attend_job *j, int32_t query, int32_t head, int32_t run, const float *y, float top,
                      float sum) {
  const kv *a = j->a;
  if (j->runs == 1) {
    float *out = tensor_at(j->y, query) + head * a->head_dim;
    const float inverse = 1.0f / sum;
    for (int32_t i = 0; i < a->head_dim; i++) out[i] = y[i] * inverse;
  } else {
    float *out = partial_row(j, query, head, run);
    memcpy(out, y, (size_t)a->padded_dim * sizeof *out);
    out[a->padded_dim] = top;
    out[a->padded_dim + 1] = sum;
  }
}

static void slots_item(void *context, int32_t item, int32_t thread) {
  const attend_job *j = context;
  const kv *a = j->a;
  const kernels *kernel = j->c->k;
  const kv_view *view = j->view;
  const slots_item_plan p = plan_of(j, item / j->runs);
  const int32_t run = item % j->runs, run_places = divide_up(divide_up(p.end - p.first, KV_BLOCK), j->runs) * KV_BLOCK;
  const int32_t begin = p.first + run * run_places, end = min_i32(begin + run_places, p.end);
  const int32_t rows = p.queries * p.heads;
  const size_t d = (size_t)a->padded_dim;
  const kv_row head = kv_row_at(a, p.kv_head, 0);

  char *at = cpu_scratch(j->c, thread);
  int16_t *q = take(&at, (size_t)rows * d * sizeof *q);                    /* [rows, d] */
  float *y = take(&at, (size_t)rows * d * sizeof *y);                      /* [rows, d] */
  float *x = take(&at, (size_t)rows * KV_BLOCK * sizeof *x);               /* [rows, KV_BLOCK]: scores, weights */
  int16_t *weights = take(&at, (size_t)rows * KV_BLOCK * sizeof *weights); /* the same as integers */
  float factor[KV_ROWS], top[KV_ROWS], sum[KV_ROWS], shrink[KV_ROWS];
  int32_t first[KV_ROWS], last[KV_ROWS];
  memset(q, 0, (size_t)rows * d * sizeof *q);
  memset(y, 0, (size_t)rows * d * sizeof *y);
  for (int32_t r = 0; r < rows; r++) {
    const float *row = tensor_at(j->q, p.query + r / p.heads) + (p.head + r % p.heads) * a->head_dim;
    const float unit = a->type == KV_Q8_0 ? quantize_by_largest(kernel, row, a->head_dim, q + (size_t)r * d)
                                          : kv_quantize(kernel, row, a->head_dim, FIXED_NORM_A, q + (size_t)r * d);
    factor[r] = unit * j->scale;
    top[r] = -3.4028234e38f;
    sum[r] = 0;
  }
  kv_block b = {.rows = rows,
                .d = a->padded_dim,
                .k = head.k,
                .v = head.v,
                .k_scale = head.k_scale,
                .v_scale = head.v_scale,
                .v_stride = (size_t)a->n_slots,
                .q = q,
                .begin = first,
                .end = last,
                .x = x,
                .weights = weights,
                .shrink = shrink,
                .y = y};
  for (int32_t place = begin; place < end; place += KV_BLOCK) {
    b.n = min_i32(KV_BLOCK, end - place);
    b.slots = p.slots + place;
    kernel->attention->scores[a->type](&b);
    for (int32_t r = 0; r < rows; r++) {
      const int32_t query = p.query + r / p.heads, from = view_first(view, query) - place;
      first[r] = max_i32(0, min_i32(b.n, from));
      last[r] = max_i32(first[r], min_i32(b.n, from + view->length[query]));
      float *scores = x + r * KV_BLOCK + first[r];
      const int32_t n = last[r] - first[r];
      if (view->softcap > 0) kernel->softcap(scores, n, factor[r], view->softcap);
      shrink[r] = kernel->attention->weigh(scores, n, view->softcap > 0 ? 1.0f : factor[r], &top[r], &sum[r]);
    }
    kernel->attention->values[a->type](&b);
  }
  for (int32_t r = 0; r < rows; r++)
    leave_row(j, p.query + r / p.heads, p.head + r % p.heads, run, y + (size_t)r * d,
              top[r] * (view->softcap > 0 ? 1.0f : factor[r]), sum[r]);
}

/* The runs of a query's head made one. */
static void join_runs(const attend_job *j, int32_t query, int32_t head) {
  const int32_t d = j->a->padded_dim;
  float *out = tensor_at(j->y, query) + head * j->a->head_dim, share[MAX_RUNS], sum = 0;
  for (int32_t run = 0; run < j->runs; run++) share[run] = partial_row(j, query, head, run)[d];
  j->c->k->exp_sum(share, j->runs, 1.0f);
  for (int32_t run = 0; run < j->runs; run++) sum += share[run] * partial_row(j, query, head, run)[d + 1];
  for (int32_t run = 0; run < j->runs; run++) {
    const float *from = partial_row(j, query, head, run), w = share[run] / sum;
    for (int32_t i = 0; i < j->a->head_dim; i++) out[i] = (run ? out[i] : 0) + w * from[i];
  }
}

bool cpu_attention_grow(cpu *c, int32_t padded_dim) {
  const size_t d = (size_t)padded_dim, partial = PARTIAL_ROWS * (d + 2);
  if (partial > c->partial_size) {
    mem_free(c->partial);
    c->partial = mem_alloc(partial, sizeof *c->partial);
    c->partial_size = c->partial ? partial : 0;
  }
  return c->partial && cpu_grow_scratch(c, KV_ROWS * (d * 6 + KV_BLOCK * 6) + 4 * 64);
}

static void attend(backend *be, tensor y, tensor q, const kv *a, float scale, const kv_view *view) {
  attend_job j = {.c = (cpu *)be, .a = a, .y = y, .q = q, .scale = scale, .n_head = q.cols / a->head_dim, .view = view};
  const int32_t group = j.n_head / a->n_head;
  j.heads = min_i32(group, KV_ROWS);
  j.parts = divide_up(group, j.heads);
  j.queries = view->slot_stride != 0 ? 1 : min_i32(TILE_QUERIES, KV_ROWS / j.heads);
  const int32_t items = divide_up(q.rows, j.queries) * a->n_head * j.parts;
  double work = 0;
  int32_t blocks = 0;
  for (int32_t i = 0; i < q.rows; i++) {
    work += 2.0 * j.n_head * a->head_dim * view->length[i];
    blocks = max_i32(blocks, divide_up(view->length[i], KV_BLOCK));
  }
  /* Few items share out the places, too. How many depends on shapes alone: results are the same with any number of threads. */
  j.runs = max_i32(1, min_i32(min_i32(MAX_RUNS / items, blocks), PARTIAL_ROWS / (q.rows * j.n_head)));
  cpu_run(j.c, slots_item, &j, items * j.runs, work);
  for (int32_t i = 0; j.runs > 1 && i < q.rows * j.n_head; i++) join_runs(&j, i / j.n_head, i % j.n_head);
}

void cpu_attend(backend *be, tensor y, tensor q, const kv *a, float scale, const kv_view *view) {
  if (view->slot_stride != 0 || q.rows > MAX_FEW_ROWS) {
    attend(be, y, q, a, scale, view);
    return;
  }
  for (int32_t i = 0; i < q.rows; i++) {
    kv_view one = *view;
    one.first = view->first ? view->first + i : NULL;
    one.length = view->length + i;
    attend(be, tensor_rows(y, i, 1), tensor_rows(q, i, 1), a, scale, &one);
  }
}

/* -- rotation, and storing -- */

#define ROWS_PER_ITEM 8

typedef struct place_job {
  const kernels *k;
  kv *a;
  tensor q, keys, values;
  const int32_t *slots;
  const rotation *turn;
} place_job;

/* Heads x [n], each an RMS norm with its gain, if any, then turned by the angles of cosine and sine [d / 2]. */
static void rotate(const kernels *k, float *x, int32_t n, int32_t d, const tensor *gain, float eps,
                   const float *cosine) {
  const int32_t half = d / 2;
  const float *sine = cosine + half;
  for (float *head = x; head < x + n; head += d) {
    if (gain) k->rms_norm(head, head, d, tensor_at(*gain, 0), eps, NULL);
    for (int32_t i = 0; i < half; i++) {
      const float a = head[i], b = head[i + half];
      head[i] = a * cosine[i] - b * sine[i];
      head[i + half] = b * cosine[i] + a * sine[i];
    }
  }
}

static void place_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const place_job *j = context;
  const rotation *turn = j->turn;
  const int32_t first = item * ROWS_PER_ITEM, end = min_i32(first + ROWS_PER_ITEM, j->keys.rows), d = j->a->head_dim;
  for (int32_t i = first; i < end; i++) {
    float *k = tensor_at(j->keys, i);
    if (turn) {
      const float *angles = tensor_at(turn->table, i);
      rotate(j->k, tensor_at(j->q, i), j->q.cols, d, turn->q_gain, turn->eps, angles);
      rotate(j->k, k, j->keys.cols, d, turn->k_gain, turn->eps, angles);
    }
    cpu_kv_store_row(j->k, j->a, k, tensor_at(j->values, i), j->slots[i]);
  }
}

void cpu_place(backend *be, tensor q, tensor k, tensor v, kv *a, const int32_t *slots, const rotation *turn) {
  const cpu *c = (cpu *)be;
  place_job job = {c->k, a, q, k, v, slots, turn};
  cpu_run(c, place_item, &job, divide_up(k.rows, ROWS_PER_ITEM), (double)k.rows * (q.cols + 3.0 * k.cols));
}

/* -- operations -- */

static void follow(backend *be, tensor y, const attended *then) {
  if (then != NULL) cpu_linear(be, then->out.y, y, then->out.w, then->out.bias, ACT_NONE, then->residual);
}

void cpu_self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *a, const int32_t *slots,
                        const rotation *turn, float scale, const kv_view *view, const attended *then) {
  cpu_place(be, q, k, v, a, slots, turn);
  cpu_attend(be, y, q, a, scale, view);
  follow(be, y, then);
}

void cpu_cross_attention(backend *be, tensor y, tensor q, const kv *a, float scale, const attended *then) {
  attend_job j = {.c = (cpu *)be, .a = a, .y = y, .q = q, .scale = scale, .n_head = q.cols / a->head_dim};
  j.blocks = divide_up(q.rows, KV_BLOCK_PANELS * j.c->k->mr);
  cpu_run(j.c, whole_item, &j, j.n_head * j.blocks, 2.0 * j.n_head * a->head_dim * a->n_slots * q.rows);
  follow(be, y, then);
}
