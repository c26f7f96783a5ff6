/* Products of few rows on the GPU (wgsl/linear_few.wgsl), and rows of tables.
 *
 *     x.rows <= FEW_ROWS   one dispatch: sum, norm, products of up to three weights, and what follows
 *     more                 norm into in->rows, or as f16 into the scratch, then linear_many for each weight
 *
 * A weight of several parts, or weights whose units differ, take a dispatch each. */
#include "gpu.h"

#include <stdio.h>

enum {
  FEW_ROWS = 8,
  SHARES = 16,               /* as in linear_few_x.wgsl */
  LEAST_GROUPS = 80,         /* then: workgroups for the cores of a large device */
  MOST_GROUPS = 2048,        /* workgroups that fill any device: from there on each takes more rows, for one norm */
  MOST_GROUPS_OF_ROWS = 264, /* with several rows of x, which each workgroup has to read */
};

/* How a product of few rows is shared out: see linear_few.wgsl. */
typedef struct way {
  int32_t threads, lanes, each, deep;
} way;

/* What to aim at, by the elements of the weights together (bench/gpu/few.mjs measures). The lanes follow: a row's units divided by those that a thread
 * holds, or a whole part of that. */
typedef struct aim {
  int64_t least;    /* elements */
  int32_t threads;  /* at most */
  int32_t each;     /* rows of a thread, of one or two rows of x */
  int32_t of_rows;  /* of more: at most */
  int32_t of_lanes; /* of more: at most */
  int32_t elements; /* of a row that a thread holds, each */
} aim;

static const aim aims[] = {
    {64000000, 256, 2, 4, 10, 128},
    {3000000, 256, 2, 4, 20, 64},
    {0, 256, 1, 4, 20, 32},
};

enum { MOST_HELD = 8 }; /* units of a thread, so that they stay in registers */

/* a, b > 0 */
static int32_t divide_up(int32_t a, int32_t b) { return 1 + (a - 1) / b; }

static int32_t quads_of(uint32_t type) { /* of a unit: w0_quads of weights.wgsl */
  switch (type) {
    case DTYPE_F32:
      return 1;
    case DTYPE_F16:
    case DTYPE_BF16:
      return 2;
    case DTYPE_Q8_0:
      return 4;
    default:
      return 8;
  }
}

static int32_t units_of(const weight *w) { return divide_up(w->in, 4 * quads_of(w->type)); }

/* Products in one dispatch. */
typedef struct job {
  const normed *in;
  bool norm, geglu; /* without norm only in->x counts */
  const product *out;
  int32_t n;
  activation act;
  const tensor *residual;
  int32_t part;               /* of the weights */
  const stretched *stretched; /* x is not joined yet; NULL: it is */
} job;

static int32_t add_kind(const job *j) { return j->norm ? normed_add(j->in) : 0; }

static bool is_layer(const job *j) { return j->norm && j->in->bias != NULL; }

static const char *norm_kind(const job *j) { return !j->norm ? "0" : is_layer(j) ? "layer" : "rms"; }

/* Workgroup memory apart from that of x. */
static int32_t bytes_besides(const gpu *g, const job *j, way w) {
  const int32_t rows = j->in->x.rows, sg = (int32_t)g->traits.subgroup_min;
  int32_t n = w.each * rows * w.threads * (j->geglu ? 2 : 1);
  if (is_layer(j))
    n += rows * (sg > 0 ? 2 * (w.threads / sg + 1) : w.threads + 2 * SHARES);
  else if (j->norm)
    n += rows * (w.threads + SHARES);
  if (add_kind(j) == 2) n += rows * (w.threads + SHARES);
  if (j->stretched != NULL) n += 2 * MOST_JOINED * j->stretched->n_head;
  return 4 * n + 64; /* and what alignment takes */
}

/* Rows of the weights. */
static int32_t weight_rows(const job *j) {
  int32_t n = 0;
  for (int32_t i = 0; i < (j->geglu ? 1 : j->n); i++) n += j->out[i].w->parts[j->part].n;
  return n;
}

static const aim *aim_of(const job *j) {
  int64_t elements = 0;
  for (int32_t i = 0; i < j->n; i++) elements += (int64_t)j->out[i].w->out * j->out[i].w->in;
  const aim *a = aims;
  while (elements < a->least) a++;
  return a;
}

/* With `each` rows of the weight for a thread, and so many lanes at most. */
static way share_with(const gpu *g, const job *j, const aim *a, int32_t each, int32_t lanes, int32_t *room,
                      int32_t *piece) {
  const weight *first = j->out[0].w;
  const int32_t rows = j->in->x.rows, units = units_of(first), quads = quads_of(first->type);
  way w = {.each = each};
  int32_t threads = min_i32(a->threads, (int32_t)g->traits.max_invocations);
  w.deep = min_i32(min_i32(a->elements / (4 * quads), MOST_HELD / w.each), units);
  w.lanes = divide_up(units, w.deep * divide_up(units, w.deep * min_i32(lanes, threads)));
  for (;;) {
    w.threads = threads / w.lanes * w.lanes;
    const int32_t vectors = ((int32_t)g->traits.max_workgroup_bytes - bytes_besides(g, j, w)) / 16;
    const int32_t batch = w.lanes * w.deep;
    const int32_t line = (vectors / (rows * quads) - 1) | 1; /* units; odd, as in the kernel */
    *piece = line >= units ? units : line / batch * batch;
    *room = rows * quads * (*piece | 1);
    if (*piece > 0) return w;
    /* A batch of units does not fit. */
    if (w.deep > 1)
      w.deep = divide_up(w.deep, 2);
    else if (w.lanes > 8)
      w.lanes = divide_up(w.lanes, 2);
    else
      threads /= 2;
    w.lanes = min_i32(w.lanes, threads);
  }
}

/* Several rows of x are read again for each batch of rows of the weight: those are as large as leaves every core of a device something to do. */
static way share_out(const gpu *g, const job *j, int32_t *room, int32_t *piece) {
  const aim *a = aim_of(j);
  const bool many = j->in->x.rows > 2;
  int32_t lanes = many ? a->of_lanes : a->threads, each = many ? a->of_rows : a->each;
  way w = share_with(g, j, a, each, lanes, room, piece);
  while (many && each > 1 && weight_rows(j) / (w.threads / w.lanes * each) < LEAST_GROUPS) {
    each /= 2, lanes *= 2;
    w = share_with(g, j, a, each, lanes, room, piece);
  }
  return w;
}

static void rows_param(gpu *g, const tensor *t) {
  gpu_param(g, t != NULL ? (uint32_t)t->offset : 0);
  gpu_param(g, t != NULL ? (uint32_t)t->stride : 0);
}

static uint32_t offset_of(const tensor *t) { return t != NULL ? (uint32_t)t->offset : 0; }

static void dispatch(gpu *g, const job *j) {
  const normed *in = j->in;
  int32_t room, piece;
  const way w = share_out(g, j, &room, &piece);
  const int32_t add = add_kind(j), rows = in->x.rows, units = units_of(j->out[0].w);
  bool bias = false;
  const tensor *vec = j->norm ? &in->gain : NULL; /* any tensor of the model's vectors */
  for (int32_t i = 0; i < j->n; i++) {
    if (j->out[i].bias == NULL) continue;
    bias = true;
    vec = j->out[i].bias;
  }
  const int res = j->residual == NULL ? 0 : j->residual->buf->id == j->out[0].y.buf->id ? 1 : 2;
  if (res == 2) vec = j->residual;

  char types[64] = "";
  for (int32_t i = 0; i < j->n; i++) {
    const size_t used = strlen(types);
    snprintf(types + used, sizeof types - used, " type%d=%s", (int)i, gpu_weight_type_name(j->out[i].w));
  }
  gpu_kernel(g,
             "linear_few rows=%d n=%d%s norm=%s add=%d act=%s bias=%d res=%d geglu=%d threads=%d lanes=%d each=%d "
             "deep=%d room=%d whole=%d sg=%u heads=%d",
             (int)rows, (int)j->n, types, norm_kind(j), (int)add, j->act == ACT_GELU_ERF ? "gelu" : "0", bias, res,
             j->geglu, (int)w.threads, (int)w.lanes, (int)w.each, (int)w.deep, (int)room,
             piece == units ? (int)units : 0, (unsigned)(is_layer(j) ? g->traits.subgroup_min : 0),
             j->stretched != NULL ? (int)j->stretched->n_head : 0);
  gpu_param(g, (uint32_t)in->x.cols);
  rows_param(g, &in->x);
  rows_param(g, add > 0 ? in->add : NULL);
  gpu_param(g, add == 2 ? offset_of(in->add_gain) : 0);
  rows_param(g, add > 0 ? &in->sum : NULL);
  gpu_param(g, j->norm ? offset_of(&in->gain) : 0);
  gpu_param(g, j->norm ? offset_of(in->bias) : 0);
  gpu_param_f32(g, j->norm ? in->eps : 0.0f);
  const int32_t first = j->out[0].w->parts[j->part].first;
  gpu_param(g, offset_of(j->residual) + (j->residual != NULL ? (uint32_t)first : 0));
  gpu_param(g, j->residual != NULL ? (uint32_t)j->residual->stride : 0);
  gpu_param(g, (uint32_t)piece);
  const int32_t tile = w.threads / w.lanes * w.each;
  const int32_t tiles = rows > 1 ? divide_up(weight_rows(j), tile * MOST_GROUPS_OF_ROWS)
                                 : max_i32(1, j->out[0].w->parts[j->part].n / tile / MOST_GROUPS);
  gpu_param(g, (uint32_t)tiles);
  int32_t groups = 0;
  for (int32_t i = 0; i < j->n; i++) {
    const product *p = &j->out[i];
    const int32_t n = p->w->parts[j->part].n;
    if (!j->geglu || i == 0) groups += divide_up(n, tiles * tile);
    gpu_param(g, (uint32_t)p->y.offset + (uint32_t)first);
    gpu_param(g, (uint32_t)p->y.stride);
    gpu_param(g, p->bias != NULL ? offset_of(p->bias) + (uint32_t)first : UINT32_MAX);
    gpu_param(g, (uint32_t)n);
    gpu_param(g, (uint32_t)groups);
  }
  if (j->stretched != NULL) {
    for (int32_t i = j->n; i < MAX_PRODUCTS; i++)
      for (int32_t k = 0; k < 5; k++) gpu_param(g, 0);
    gpu_param(g, (uint32_t)j->stretched->dim);
    gpu_param(g, (uint32_t)j->stretched->stretches);
    gpu_param(g, j->stretched->stats);
    gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  }
  gpu_bind(g, BIND_ACT, in->x.buf->id, 0, 0);
  if (vec != NULL) gpu_bind(g, BIND_VEC, vec->buf->id, 0, 0);
  for (int32_t i = 0; i < j->n; i++) gpu_bind_weight(g, i, j->out[i].w, j->part);
  gpu_dispatch(g, (uint32_t)groups);
}

/* Whether the weights may share a dispatch. */
static bool together(const product *out, int32_t n) {
  for (int32_t i = 0; i < n; i++)
    if (out[i].w->n_parts > 1 || quads_of(out[i].w->type) != quads_of(out[0].w->type)) return false;
  return true;
}

static void few(gpu *g, job j) {
  if (together(j.out, j.n)) {
    dispatch(g, &j);
    return;
  }
  const product *out = j.out;
  const int32_t n = j.n;
  j.n = 1;
  for (int32_t i = 0; i < n; i++) {
    j.out = &out[i];
    for (j.part = 0; j.part < out[i].w->n_parts; j.part++) dispatch(g, &j);
  }
}

void gpu_linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                const tensor *residual) {
  gpu *g = (gpu *)be;
  const product out = {y, w, bias};
  if (x.rows > FEW_ROWS) {
    gpu_linear_many(g, x, &out, 1, act, residual);
    return;
  }
  const normed in = {.x = x};
  few(g, (job){.in = &in, .out = &out, .n = 1, .act = act, .residual = residual});
}

void gpu_linear_stretched(gpu *g, const stretched *x, const attended *then) {
  const normed in = {.x = x->x};
  dispatch(g, &(job){.in = &in, .out = &then->out, .n = 1, .residual = then->residual, .stretched = x});
}

void gpu_norm_linear(backend *be, const normed *in, const product *out, int32_t n_out, activation act) {
  gpu *g = (gpu *)be;
  if (in->x.rows <= FEW_ROWS) {
    few(g, (job){.in = in, .norm = true, .out = out, .n = n_out, .act = act});
    return;
  }
  if (!gpu_norm_half(g, in, out, n_out)) gpu_norm(be, in);
  gpu_linear_many(g, in->rows, out, n_out, act, NULL);
}

void gpu_norm_geglu(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch) {
  gpu *g = (gpu *)be;
  const product out[2] = {{y, gate, NULL}, {scratch, up, NULL}};
  if (in->x.rows <= FEW_ROWS && together(out, 2)) {
    dispatch(g, &(job){.in = in, .norm = true, .geglu = true, .out = out, .n = 2});
    return;
  }
  gpu_norm_linear(be, in, out, 2, ACT_NONE);
  gpu_geglu(g, y, y, scratch);
}

void gpu_embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
               const int32_t *pos) {
  gpu *g = (gpu *)be;
  bool chosen = false;
  for (int32_t i = 0; i < y.rows; i++) chosen = chosen || ids[i] < 0;
  const uint32_t ids_at = gpu_ints(g, ids, (size_t)y.rows);
  const uint32_t pos_at = positions != NULL ? gpu_ints(g, pos, (size_t)y.rows) : 0;
  for (int32_t i = 0; i < table->n_parts; i++) {
    const weight_part *part = &table->parts[i];
    gpu_kernel(g, "embed type=%s pos=%d chosen=%d", gpu_weight_type_name(table), positions != NULL, chosen);
    gpu_param(g, (uint32_t)y.rows);
    gpu_param(g, (uint32_t)y.cols);
    rows_param(g, &y);
    gpu_param(g, ids_at);
    gpu_param(g, (uint32_t)part->first);
    gpu_param(g, (uint32_t)part->n);
    gpu_param_f32(g, scale);
    rows_param(g, positions);
    gpu_param(g, pos_at);
    gpu_bind(g, BIND_ACT, y.buf->id, 0, 0);
    if (positions != NULL) gpu_bind(g, BIND_VEC, positions->buf->id, 0, 0);
    if (chosen) gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
    gpu_bind_weight(g, 0, table, i);
    gpu_dispatch_3d(g, (uint32_t)divide_up(y.cols, 256), (uint32_t)y.rows, 1);
  }
}
