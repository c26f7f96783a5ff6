/* Products of many rows: y[n, out] = act(x[n, in] · wᵀ + bias) + residual, in tiles (wgsl/linear_many*.wgsl).
 *
 *     f32      x, and the weight as f32
 *     f16      x ──linear_many_half──> scratch, both as f16, sums of a few products in f16
 *     matrix   the same by subgroup matrices, sums in f32
 *     packed   x ──linear_many_bytes──> scratch, two bytes an element with a scale for 32 of them; the weight's integers as they are, four
 *              products at a time. One byte an element would be off by half a percent of a result (SPEED.md), which is more than these may be
 *
 * All but the first are for weights that are not f32 themselves, and where the scratch has room for rows; rows that do not fit go one after another. Rows
 * that are to be normalized become f16 as they are (norm_half), and what the scratch holds serves all products of it. */
#include "gpu.h"

typedef enum way { WAY_F32 = 0, WAY_F16 = 1, WAY_MATRIX = 2, WAY_PACKED = 3 } many_way; /* as in traits.many_path */

/* A workgroup makes rows x cols results, an invocation (matrix: a subgroup, in matrices of 16 x 16) down x across of them. */
typedef struct tile {
  int32_t rows, cols, down, across;
  int32_t step; /* matrix: columns at a time */
} tile;

/* Of each way, larger ones first: they read less, smaller ones make more workgroups of little work. The last one runs everywhere. */
enum { MOST_TILES = 6 };
static const tile tiles[][MOST_TILES + 1] = {
    [WAY_F32] = {{128, 128, 8, 8, 0}, {64, 64, 8, 4, 0}, {64, 64, 4, 4, 0}, {64, 32, 4, 4, 0}},
    [WAY_F16] = {{128, 128, 8, 8, 0}, {128, 64, 8, 4, 0}, {64, 64, 4, 4, 0}},
    [WAY_MATRIX] = {{128, 128, 4, 2, 64},
                    {128, 64, 4, 2, 64},
                    {128, 64, 4, 2, 32},
                    {64, 64, 2, 2, 64},
                    {64, 64, 2, 2, 32},
                    {64, 32, 2, 2, 64}},
    [WAY_PACKED] = {{64, 128, 4, 8, 0}, {64, 64, 4, 4, 0}, {32, 32, 2, 2, 0}},
};

/* Enough workgroups to keep a GPU busy. */
#define ENOUGH 128

/* Rows of a whole encoder, for which the scratch is made. */
#define ROWS_IN_SCRATCH 1536

/* Bytes of a row of x as f16: columns in whole steps, and 16 bytes for its scale. */
static size_t half_bytes(int32_t in) { return ((size_t)in + 63) / 64 * 128 + 16; }

/* Of a row of x as bytes: linear_many_bytes.wgsl. */
static size_t packed_bytes(int32_t in) {
  const size_t blocks = (size_t)in / 32;
  return 64 * blocks + (blocks + 3) / 4 * 16;
}

static size_t prepared_bytes(int32_t in, many_way way) { return way == WAY_PACKED ? packed_bytes(in) : half_bytes(in); }

/* Types whose elements are an integer of a byte times a scale of 32 of them. */
static bool is_packed(const weight *w) {
  return w->type == DTYPE_Q4_0 || w->type == DTYPE_Q5_0 || w->type == DTYPE_Q8_0;
}

/* For weights that are not f32, but for those of packed products. */
static many_way best_way(const gpu *g) {
  const gpu_traits *t = &g->traits;
  if (t->f16 == 0 || t->many_path == WAY_F32) return WAY_F32;
  const bool subgroups = t->subgroup_min == t->subgroup_max && t->subgroup_max >= 32;
  return t->many_path == WAY_MATRIX && t->matrix != 0 && subgroups ? WAY_MATRIX : WAY_F16;
}

static many_way best_way_for(const gpu *g, const weight *w) {
  return w->type == DTYPE_F32 ? WAY_F32 : g->traits.packed_dot && is_packed(w) ? WAY_PACKED : best_way(g);
}

bool gpu_linear_many_grow(gpu *g, const weight *w) {
  const many_way way = best_way_for(g, w);
  const size_t bytes = ROWS_IN_SCRATCH * prepared_bytes(w->in, way);
  return way == WAY_F32 || bytes > g->traits.max_binding_bytes || gpu_grow_scratch(g, bytes);
}

static int32_t divide_up(int32_t a, int32_t b) { return (a + b - 1) / b; }

static int32_t n_tiles(const tile *t, int32_t n, int32_t out) {
  return divide_up(n, t->rows) * divide_up(out, t->cols);
}

/* In workgroup memory, and as many invocations. */
static bool fits(const gpu *g, many_way way, const tile *t) {
  const uint32_t rows = (uint32_t)t->rows, both = rows + (uint32_t)t->cols;
  if (way != WAY_MATRIX) return both * 64 <= g->traits.max_workgroup_bytes;
  const uint32_t across = (uint32_t)t->across,
                 subgroups = rows / (16 * (uint32_t)t->down) * ((uint32_t)t->cols / (16 * across));
  const uint32_t operands = both * ((uint32_t)t->step / 8 + 1), results = subgroups * 16 * (4 * across + 1);
  return subgroups * g->traits.subgroup_max <= g->traits.max_invocations &&
         (operands > results ? operands : results) * 16 + rows * 4 <= g->traits.max_workgroup_bytes;
}

/* For few columns of x, so that the first and the last step are little of the whole. */
enum { FEW_COLUMNS = 512 };
static const tile short_tiles[] = {{128, 64, 4, 2, 32}, {64, 64, 2, 2, 32}, {64, 32, 2, 2, 64}, {0}};

/* The largest one that makes enough workgroups, else the smallest. */
static const tile *choose_tile(const gpu *g, many_way way, int32_t n, int32_t in, int32_t out) {
  const tile *t = way == WAY_MATRIX && in <= FEW_COLUMNS ? short_tiles : tiles[way];
  while (t[1].rows > 0 && !(fits(g, way, t) && n_tiles(t, n, out) >= ENOUGH)) t++;
  return t;
}

/* Invocations of a workgroup that has a row of f16, and quads that each of them keeps. */
typedef struct row_share {
  int32_t threads, deep;
} row_share;

enum { MOST_DEEP = 8 };

static row_share share_row(int32_t in) {
  const int32_t quads = (int32_t)half_bytes(in) / 8 - 2;
  const int32_t threads = quads <= 128 ? 64 : quads <= 512 ? 128 : 256;
  return (row_share){threads, divide_up(quads, threads)};
}

static bool same_rows(tensor a, tensor b) {
  return a.buf == b.buf && a.offset == b.offset && a.rows == b.rows && a.cols == b.cols && a.stride == b.stride;
}

static void prepare_bytes(gpu *g, tensor x) {
  const int32_t blocks = x.cols / 32;
  gpu_kernel(g, "linear_many_bytes");
  gpu_param(g, (uint32_t)x.rows);
  gpu_param(g, (uint32_t)x.cols);
  gpu_param(g, (uint32_t)x.offset);
  gpu_param(g, (uint32_t)x.stride);
  gpu_param(g, (uint32_t)(packed_bytes(x.cols) / sizeof(uint32_t)));
  gpu_param(g, (uint32_t)blocks);
  gpu_bind(g, BIND_ACT, x.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_dispatch(g, (uint32_t)divide_up(x.rows * blocks, 64));
}

static void prepare_half(gpu *g, tensor x) {
  const row_share share = share_row(x.cols);
  gpu_kernel(g, "linear_many_half threads=%d deep=%d", (int)share.threads, (int)min_i32(share.deep, MOST_DEEP));
  gpu_param(g, (uint32_t)x.rows);
  gpu_param(g, (uint32_t)x.cols);
  gpu_param(g, (uint32_t)x.offset);
  gpu_param(g, (uint32_t)x.stride);
  gpu_param(g, (uint32_t)(half_bytes(x.cols) / 8));
  gpu_bind(g, BIND_ACT, x.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_dispatch(g, (uint32_t)x.rows);
}

/* Rows of x into the scratch as a way wants them, where they are not yet. */
static void prepare(gpu *g, many_way way, tensor x) {
  const bool bytes = way == WAY_PACKED;
  if (same_rows(g->prepared, x) && g->prepared_bytes == bytes) return;
  if (bytes)
    prepare_bytes(g, x);
  else
    prepare_half(g, x);
  g->prepared = x;
  g->prepared_bytes = bytes;
}

/* A part of a product of rows that were prepared. */
static void record_part(gpu *g, many_way way, tensor x, const product *out, int32_t part, activation act,
                        const tensor *residual) {
  const tensor y = out->y, *bias = out->bias;
  const weight_part *p = &out->w->parts[part];
  const tile *t = choose_tile(g, way, x.rows, x.cols, p->n);
  const uint32_t first = (uint32_t)p->first;
  const int res = residual == NULL ? 0 : residual->buf == y.buf ? 1 : 2;
  const char *type = gpu_weight_type_name(out->w), *act_name = act == ACT_NONE ? "none" : "gelu";
  if (way == WAY_PACKED)
    gpu_kernel(g, "linear_many_packed rolled=%d bm=%d bn=%d tm=%d tn=%d type0=%s bias=%d act=%s res=%d",
               g->traits.software != 0, t->rows, t->cols, t->down, t->across, type, bias != NULL, act_name, res);
  else if (way == WAY_MATRIX)
    gpu_kernel(g, "linear_many_matrix bm=%d bn=%d fm=%d fn=%d step=%d subgroup=%u type0=%s bias=%d act=%s res=%d",
               t->rows, t->cols, t->down, t->across, t->step, g->traits.subgroup_max, type, bias != NULL, act_name,
               res);
  else
    gpu_kernel(g, "linear_many path=%s bm=%d bn=%d tm=%d tn=%d rolled=%d type0=%s bias=%d act=%s res=%d",
               way == WAY_F16 ? "f16" : "f32", t->rows, t->cols, t->down, t->across, g->traits.software != 0, type,
               bias != NULL, act_name, res);
  gpu_param(g, (uint32_t)x.rows);
  gpu_param(g, (uint32_t)p->n);
  gpu_param(g, (uint32_t)x.cols);
  gpu_param(g, (uint32_t)x.offset);
  gpu_param(g, (uint32_t)x.stride);
  gpu_param(g, (uint32_t)y.offset + first);
  gpu_param(g, (uint32_t)y.stride);
  gpu_param(g, bias != NULL ? (uint32_t)bias->offset + first : 0);
  gpu_param(g, residual != NULL ? (uint32_t)residual->offset + first : 0);
  gpu_param(g, residual != NULL ? (uint32_t)residual->stride : 0);
  gpu_param(g, (uint32_t)divide_up(x.rows, t->rows));
  gpu_param(g, (uint32_t)(way == WAY_PACKED ? packed_bytes(x.cols) / 16 : half_bytes(x.cols) / 8));
  gpu_bind(g, BIND_ACT, y.buf->id, 0, 0);
  if (bias != NULL) gpu_bind(g, BIND_VEC, bias->buf->id, 0, 0);
  if (res == 2) gpu_bind(g, BIND_VEC, residual->buf->id, 0, 0);
  gpu_bind_weight(g, 0, out->w, part);
  const tensor prepared = g->prepared; /* it is only read here */
  if (way != WAY_F32) gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  g->prepared = prepared;
  gpu_dispatch(g, (uint32_t)n_tiles(t, x.rows, p->n));
}

/* The way of a product with a weight, as the scratch allows, and how many rows of x at a time. */
static many_way way_of(const gpu *g, tensor x, const weight *w, int32_t *most) {
  many_way way = best_way_for(g, w);
  const size_t room = g->scratch_bytes / prepared_bytes(x.cols, way);
  if (way != WAY_F32 && room < (size_t)min_i32(x.rows, 128)) way = WAY_F32;
  *most = way == WAY_F32 || room >= (size_t)x.rows ? x.rows : (int32_t)(room & ~(size_t)127);
  return way;
}

/* Rows [first, first + n) of the products, as many as all of their ways take at once; returns n. */
static int32_t record_rows(gpu *g, int32_t first, tensor x, const product *out, int32_t n_out, activation act,
                           const tensor *residual) {
  many_way ways[MAX_PRODUCTS];
  int32_t n = x.rows - first, most;
  for (int32_t i = 0; i < n_out; i++) {
    ways[i] = way_of(g, x, out[i].w, &most);
    n = min_i32(n, most);
  }
  const tensor rows = tensor_rows(x, first, n);
  tensor beside;
  if (residual != NULL) beside = tensor_rows(*residual, first, n);
  for (int32_t i = 0; i < n_out; i++) {
    const product of_rows = {tensor_rows(out[i].y, first, n), out[i].w, out[i].bias};
    if (ways[i] != WAY_F32) prepare(g, ways[i], rows);
    for (int32_t part = 0; part < out[i].w->n_parts; part++)
      record_part(g, ways[i], rows, &of_rows, part, act, residual != NULL ? &beside : NULL);
  }
  return n;
}

void gpu_linear_many(gpu *g, tensor x, const product *out, int32_t n_out, activation act, const tensor *residual) {
  for (int32_t i = 0; i < x.rows;) i += record_rows(g, i, x, out, n_out, act, residual);
}

bool gpu_norm_half(gpu *g, const normed *in, const product *out, int32_t n_out) {
  const tensor x = in->x;
  const row_share share = share_row(x.cols);
  int32_t most;
  if (share.deep > MOST_DEEP) return false;
  for (int32_t i = 0; i < n_out; i++) {
    const many_way way = way_of(g, x, out[i].w, &most);
    if ((way != WAY_F16 && way != WAY_MATRIX) || most < x.rows) return false;
  }
  const int add = normed_add(in);
  gpu_kernel(g, "norm_half kind=%s add=%d threads=%d deep=%d", in->bias != NULL ? "layer" : "rms", add,
             (int)share.threads, (int)share.deep);
  gpu_param(g, (uint32_t)x.rows);
  gpu_param(g, (uint32_t)x.cols);
  gpu_param(g, (uint32_t)x.offset);
  gpu_param(g, (uint32_t)x.stride);
  gpu_param(g, (uint32_t)(half_bytes(x.cols) / 8));
  gpu_param(g, (uint32_t)in->gain.offset);
  gpu_param(g, in->bias != NULL ? (uint32_t)in->bias->offset : 0);
  gpu_param_f32(g, in->eps);
  gpu_param(g, add > 0 ? (uint32_t)in->add->offset : 0);
  gpu_param(g, add > 0 ? (uint32_t)in->add->stride : 0);
  gpu_param(g, add == 2 ? (uint32_t)in->add_gain->offset : 0);
  gpu_param(g, add > 0 ? (uint32_t)in->sum.offset : 0);
  gpu_param(g, add > 0 ? (uint32_t)in->sum.stride : 0);
  gpu_bind(g, BIND_ACT, x.buf->id, 0, 0);
  gpu_bind(g, BIND_VEC, in->gain.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_dispatch(g, (uint32_t)x.rows);
  g->prepared = in->rows;
  g->prepared_bytes = false;
  return true;
}
