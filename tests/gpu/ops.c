/* Every operation of ops.h on both backends, with the same input, in WebAssembly. ops.test.mjs calls
 *
 *     ops_open() ─> for each case: ops_run(i), then ops_check(i) until it is not 0 ─> ops_close()
 *
 * All activations are random before; what the operation does not write must stay so. Weights are exact on the CPU's side: f32 with the values of
 * their type. */
#include "../../src/base/pool.h"
#include "../../src/ops.h"

#include <math.h>
#include <stdio.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { ACT_SIZE = 1 << 19, VEC_SIZE = 1 << 16, MAX_REGIONS = 24, MAX_TABLE = 4096, GPU = 1 };

/* ---- random numbers ---- */

static uint64_t state;

static uint32_t random_u32(void) { /* splitmix64 */
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)(z >> 32);
}

static int32_t random_below(int32_t n) { return (int32_t)((uint64_t)random_u32() * (uint64_t)n >> 32); }
static float random_float(float size) { return size * ((float)(int32_t)random_u32() * 0x1p-31f); }

/* ---- both backends, and what an operation is given ---- */

typedef struct side {
  backend *be;
  buffer *act, *vec;
} side;

typedef struct region {
  tensor t;
  bool undefined; /* after the operation */
  double tolerance;
} region;

static side sides[2];
static const ops *o; /* of the side in work */
static side *now;
static bool on_gpu;
static float *content, *vectors; /* [ACT_SIZE], [VEC_SIZE] before the operation */
static size_t act_used, vec_used;
static region regions[MAX_REGIONS];
static int32_t n_regions;
static char message[512];

static float tensor_size = 1; /* of random elements */

/* Room for a matrix; `skew` elements lie before it and between its rows. Its content is the same on both sides. */
static tensor matrix(int32_t rows, int32_t cols, int32_t skew) {
  tensor t = tensor_matrix(now->act, act_used + (size_t)skew, rows, cols);
  t.stride += skew;
  act_used = t.offset + (size_t)rows * (size_t)t.stride;
  return t;
}

static tensor vector(int32_t rows, int32_t cols) {
  const tensor t = tensor_matrix(now->vec, vec_used + 1, rows, cols);
  vec_used = t.offset + (size_t)rows * (size_t)cols;
  return t;
}

/* The operation writes this, within `tolerance` of the CPU's root of the mean square. */
static void writes(tensor t, double tolerance) { regions[n_regions++] = (region){t, false, tolerance}; }
/* The operation leaves anything there. */
static void spoils(tensor t) { regions[n_regions++] = (region){t, true, 0}; }

/* A random weight of this type: on the CPU its values as f32. */
static weight *random_weight(uint32_t type, int32_t out, int32_t in, float size) {
  const size_t bytes = dtype_row_bytes(type, (size_t)in);
  float *row = mem_alloc((size_t)in, sizeof *row);
  uint8_t *packed = mem_alloc(bytes, 1);
  weight *w = o->weight_open(now->be, on_gpu ? type : DTYPE_F32, out, in);
  for (int32_t i = 0; i < out && w != NULL; i++) {
    for (int32_t k = 0; k < in; k++) row[k] = random_float(size);
    if (!quantize_row(type, row, packed, (size_t)in))
      for (size_t k = 0; k < bytes; k++)
        packed[k] = (uint8_t)(random_u32() & 0x37); /* any block is one, and none is large */
    dequantize_row(type, packed, row, (size_t)in);
    o->weight_rows(now->be, w, i, 1, on_gpu ? (const void *)packed : (const void *)row);
  }
  mem_free(row);
  mem_free(packed);
  if (w != NULL) o->weight_seal(now->be, w);
  return w;
}

/* ---- cases ---- */

typedef struct test_case {
  const char *name;
  void (*run)(const struct test_case *c);
  uint32_t type;
  int32_t n, in, out; /* of attention: in places, out the width of a head */
  int32_t a, b;       /* what they mean says the operation */
  float size;         /* of the input; 0: 1 */
} test_case;

/* Exact types in f32, and what a half-precision product of many rows may add. */
static double product_tolerance(const test_case *c) {
  return c->type == DTYPE_Q2_K ? 5e-3 : c->n > 8 ? 3e-3 : 2e-4; /* q2_K becomes q8_0 */
}

enum { BIAS = 1, GELU = 2, RESIDUAL = 4, RESIDUAL_VEC = 8, IN_PLACE = 16, OVERLAP = 32 };

static void run_linear(const test_case *c) {
  weight *w = random_weight(c->type, c->out, c->in, 1 / sqrtf((float)c->in));
  tensor x = c->a & OVERLAP ? matrix(c->n + 2, c->in / 3, 0) : matrix(c->n, c->in, c->b);
  tensor y = matrix(c->n, c->out, c->b), other = matrix(c->n, c->out, 3);
  tensor bias = vector(1, c->out), table = vector(c->a & RESIDUAL_VEC ? c->n : 0, c->out);
  if (c->a & OVERLAP) x.rows = c->n, x.cols = c->in;
  const tensor *residual = c->a & RESIDUAL ? &other : c->a & RESIDUAL_VEC ? &table : c->a & IN_PLACE ? &y : NULL;
  writes(y, product_tolerance(c));
  o->linear(now->be, y, x, w, c->a & BIAS ? &bias : NULL, c->a & GELU ? ACT_GELU_ERF : ACT_NONE, residual);
  o->weight_close(now->be, w);
}

/* b: 0, 1, 2: nothing is added, as it is, with a norm of its own. a: LAYER. */
enum { LAYER = 64 };

static tensor add, add_gain, bias_of_norm;

static normed random_normed(const test_case *c) {
  normed in = {.x = matrix(c->n, c->in, 2), .gain = vector(1, c->in), .eps = 1e-5f};
  add = matrix(c->n, c->in, 0);
  add_gain = vector(1, c->in);
  bias_of_norm = vector(1, c->in);
  in.sum = matrix(c->n, c->in, 1);
  in.rows = matrix(c->n, c->in, 5);
  if (c->b > 0) in.add = &add;
  if (c->b > 1) in.add_gain = &add_gain;
  if (c->a & LAYER) in.bias = &bias_of_norm;
  if (c->b > 0) writes(in.sum, 1e-5);
  return in;
}

static void run_norm(const test_case *c) {
  const normed in = random_normed(c);
  writes(in.rows, 1e-5);
  o->norm(now->be, &in);
}

static void run_norm_linear(const test_case *c) {
  const normed in = random_normed(c);
  product out[MAX_PRODUCTS];
  weight *w[MAX_PRODUCTS];
  tensor bias[MAX_PRODUCTS];
  const int32_t n_out = 1 + (c->a & 3);
  spoils(in.rows);
  for (int32_t i = 0; i < n_out; i++) {
    const int32_t width = i == 0 ? c->out : (c->out + 1) / 2;
    w[i] = random_weight(c->type, width, c->in, 1 / sqrtf((float)c->in));
    bias[i] = vector(1, width);
    out[i] = (product){matrix(c->n, width, i), w[i], c->a & BIAS << 8 && i != 1 ? &bias[i] : NULL};
    writes(out[i].y, product_tolerance(c));
  }
  o->norm_linear(now->be, &in, out, n_out, c->a & GELU << 8 ? ACT_GELU_ERF : ACT_NONE);
  for (int32_t i = 0; i < n_out; i++) o->weight_close(now->be, w[i]);
}

static void run_norm_geglu(const test_case *c) {
  const normed in = random_normed(c);
  weight *gate = random_weight(c->type, c->out, c->in, 1 / sqrtf((float)c->in));
  weight *up = random_weight(c->type, c->out, c->in, 1 / sqrtf((float)c->in));
  tensor y = matrix(c->n, c->out, 1), scratch = matrix(c->n, c->out, 0);
  spoils(in.rows);
  spoils(scratch);
  writes(y, 2 * product_tolerance(c));
  o->norm_geglu(now->be, y, &in, gate, up, scratch);
  o->weight_close(now->be, gate);
  o->weight_close(now->be, up);
}

/* a: with positions */
static void run_embed(const test_case *c) {
  static int32_t ids[64], pos[64];
  weight *w = random_weight(c->type, c->out, c->in, 1);
  tensor y = matrix(c->n, c->in, c->b), positions = vector(c->a ? 16 : 0, c->in);
  for (int32_t i = 0; i < c->n; i++) {
    ids[i] = i == 0 ? c->out - 1 : random_below(c->out);
    pos[i] = random_below(16);
  }
  writes(y, 5e-5);
  o->embed(now->be, y, w, ids, c->a ? 1.0f : 11.3f, c->a ? &positions : NULL, c->a ? pos : NULL);
  o->weight_close(now->be, w);
}

static void set_frequencies(tensor f, int32_t d) {
  float values[256];
  for (int32_t i = 0; i < d / 2; i++) values[i] = (float)pow(10000, -2.0 * i / d);
  o->upload(now->be, f, values);
}

/* Positions from `a` on: sines of large angles differ between machines by the angle's rounding. */
static void run_rope_table(const test_case *c) {
  static int32_t pos[64];
  tensor y = matrix(c->n, c->out, 1), f = vector(1, c->out / 2);
  set_frequencies(f, c->out);
  for (int32_t i = 0; i < c->n; i++) pos[i] = c->a + i;
  writes(y, c->a > 1000 ? 2e-3 : 1e-4);
  o->rope_table(now->be, y, f, pos);
}

static void run_softcap(const test_case *c) {
  tensor x = matrix(c->n, c->out, c->a);
  writes(x, 1e-5);
  o->softcap(now->be, x, 30.0f);
}

enum {
  ROTATE = 256,
  HEAD_NORM = 512,
  SOFTCAP = 1024,
  WINDOW = 2048,
  RING = 4096,
  TABLES = 8192,
  Q8 = 16384,
  THEN = 32768
};

/* The product that follows attention y, with a residual. */
typedef struct follower {
  weight *w;
  tensor z;
  attended then;
} follower;

static const attended *follow(follower *f, tensor y) {
  f->w = random_weight(DTYPE_F32, 37, y.cols, 1);
  f->z = matrix(y.rows, 37, 1);
  f->then = (attended){{f->z, f->w, NULL}, &f->z};
  spoils(y);
  writes(f->z, 4e-3);
  return f->w != NULL ? &f->then : NULL;
}

/* a: heads, of which each b share keys; THEN */
static void run_cross(const test_case *c) {
  const int32_t n_head = c->a & 255, n_kv = n_head / c->b;
  follower f = {.w = NULL};
  tensor k = matrix(c->in, n_kv * c->out, 1), v = matrix(c->in, n_kv * c->out, 0);
  tensor q = matrix(c->n, n_head * c->out, 2), y = matrix(c->n, n_head * c->out, 0);
  kv *cache = o->kv_open(now->be, KV_WHOLE, KV_16, c->in, n_kv, c->out);
  o->kv_fill(now->be, cache, k, v);
  const attended *then = c->a & THEN ? follow(&f, y) : NULL;
  if (then == NULL) writes(y, 4e-3);
  o->cross_attention(now->be, y, q, cache, 1 / sqrtf((float)c->out), then);
  o->kv_close(now->be, cache);
  o->weight_close(now->be, f.w);
}

/* A prompt in batches of n up to `in` places, each seeing what came before; a: flags, and heads in the low bits; b: as in cross. The last
 * batch is compared. */
static void run_self(const test_case *c) {
  static int32_t slots[64], table[MAX_TABLE], first[64], length[64], pos[64];
  const int32_t n_head = c->a & 255, n_kv = n_head / c->b, d = c->out, total = c->in, window = 7;
  const int32_t ring = c->a & RING ? window + c->n : 0, n_slots = ring ? ring : c->a & TABLES ? c->n * total : total;
  const kv_type type = c->a & Q8 ? KV_Q8_0 : KV_16;
  tensor q = matrix(c->n, n_head * d, 2), k = matrix(c->n, n_kv * d, 1), v = matrix(c->n, n_kv * d, 0);
  tensor y = matrix(c->n, n_head * d, 3), angles = matrix(c->n, d, 0), f = vector(1, d / 2);
  const tensor q_gain = vector(1, d), k_gain = vector(1, d);
  const bool norms = c->a & HEAD_NORM;
  const rotation turn = {angles, norms ? &q_gain : NULL, norms ? &k_gain : NULL, 1e-6f};
  kv *cache = o->kv_open(now->be, KV_SLOTS, type, n_slots, n_kv, d);
  float *fresh = mem_alloc((size_t)c->n * (size_t)(n_head * d), sizeof *fresh);
  set_frequencies(f, d);
  spoils(q);
  spoils(k);
  spoils(v);
  spoils(angles);
  writes(y, type == KV_Q8_0 ? 3e-2 : 4e-3);
  for (int32_t at = 0; at < total;) {
    const int32_t n = min_i32(c->n, total - at), stride = c->a & TABLES ? total : 0;
    for (int32_t i = 0; i < (stride ? n : 1) * total; i++)
      table[i] = ring     ? i % ring
                 : stride ? i % total * c->n + (i % total < at ? 0 : i / total)
                          : i; /* one past, then their own */
    for (int32_t i = 0; i < n; i++) {
      const int32_t position = stride ? at : at + i; /* with tables the rows are sequences of one position */
      pos[i] = position;
      length[i] = c->a & WINDOW ? min_i32(window, position + 1) : position + 1;
      first[i] = position + 1 - length[i];
      slots[i] = table[(stride ? i * stride : 0) + position];
    }
    /* Other content for each batch. */
    tensor parts[3] = {tensor_rows(q, 0, n), tensor_rows(k, 0, n), tensor_rows(v, 0, n)};
    for (int32_t p = 0; p < 3; p++) {
      for (int32_t i = 0; i < n * parts[p].cols; i++) fresh[i] = random_float(c->size > 0 ? c->size : 1);
      o->upload(now->be, parts[p], fresh);
    }
    if (c->a & ROTATE) o->rope_table(now->be, tensor_rows(angles, 0, n), f, pos);
    const kv_view view = {.slots = table,
                          .slot_stride = stride,
                          .ring = ring,
                          .first = c->a & WINDOW ? first : NULL,
                          .length = length,
                          .softcap = c->a & SOFTCAP ? 5.0f : 0};
    o->self_attention(now->be, tensor_rows(y, 0, n), parts[0], parts[1], parts[2], cache, slots,
                      c->a & ROTATE ? &turn : NULL, 1 / sqrtf((float)d), &view, NULL);
    at += stride ? 1 : n;
  }
  mem_free(fresh);
  o->kv_close(now->be, cache);
}

/* What the CPU's places hold, put into the other's, gives the same attention: places 3, 1, 2, in that order. */
static void run_put(const test_case *c) {
  static const int32_t order[] = {3, 1, 2}, own[] = {0};
  static const int32_t length[] = {4};
  const int32_t d = c->out, four[] = {0, 1, 2, 3};
  const kv_type type = c->a & Q8 ? KV_Q8_0 : KV_16;
  static uint8_t bytes[3 * 4096];
  const kv_view view = {.slots = four, .length = length};
  backend *cpu = sides[0].be;
  tensor q = matrix(1, 2 * d, 0), k = matrix(1, d, 0), v = matrix(1, d, 0), y = matrix(1, 2 * d, 0);
  kv *cache = o->kv_open(now->be, KV_SLOTS, type, 4, 1, d), *from = cpu->ops->kv_open(cpu, KV_SLOTS, type, 4, 1, d);
  const size_t place = cpu->ops->kv_place_bytes(from);
  for (size_t i = 0; i < 3 * place; i++) bytes[i] = (uint8_t)random_u32();
  const float scale = type == KV_Q8_0 ? 1 / 128.0f : 1 / 32768.0f;
  for (size_t i = 0; i < 3; i++) /* scales come first, of keys and of values */
    for (size_t part = 0, half = place / 2, groups = type == KV_Q8_0 ? ((size_t)d + 31) / 32 : 1; part < 2; part++)
      for (size_t g = 0; g < groups; g++) memcpy(bytes + i * place + part * half + 4 * g, &scale, 4);
  if (place == o->kv_place_bytes(cache)) o->kv_put(now->be, cache, order, 3, bytes);
  spoils(q);
  spoils(k);
  spoils(v);
  writes(y, 4e-3);
  o->self_attention(now->be, y, q, k, v, cache, own, NULL, 1, &view, NULL);
  o->kv_close(now->be, cache);
  cpu->ops->kv_close(cpu, from);
}

/* Places that are copied give the same attention; and a tensor of another buffer. */
static void run_copy(const test_case *c) {
  static const int32_t slots[] = {0, 1, 2, 3, 4, 5, 6, 7}, copied[] = {5, 6, 7, 0, 1, 3},
                       length[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const int32_t n = c->in, d = c->out, own[] = {2}, all[] = {8};
  tensor q = matrix(n, 2 * d, 0), k = matrix(n, 2 * d, 0), v = matrix(n, 2 * d, 0), y = matrix(n, 2 * d, 0);
  tensor last = matrix(1, 2 * d, 1), z = matrix(1, 2 * d, 0), part = matrix(3, 10, 4), from = vector(3, 10);
  kv *cache = o->kv_open(now->be, KV_SLOTS, KV_16, 8, 2, d), *other = o->kv_open(now->be, KV_SLOTS, KV_16, 9, 2, d);
  const kv_view view = {.slots = slots, .length = length}, whole = {.slots = slots, .length = all};
  o->self_attention(now->be, y, q, k, v, cache, slots, NULL, 0.2f, &view, NULL);
  o->kv_copy(now->be, other, cache, copied, 6);
  o->self_attention(now->be, z, last, last, tensor_rows(y, 1, 1), other, own, NULL, 0.2f, &whole, NULL);
  o->copy(now->be, part, from);
  spoils(q);
  spoils(k);
  spoils(v);
  spoils(y);
  spoils(last);
  writes(z, 4e-3);
  writes(part, 0);
  o->kv_close(now->be, cache);
  o->kv_close(now->be, other);
}

#define F32  DTYPE_F32
#define Q4_0 DTYPE_Q4_0

static const test_case cases[] = {
    {"linear 1", run_linear, F32, 1, 1, 1, 0, 0, 0},
    {"linear odd", run_linear, F32, 3, 37, 129, BIAS | RESIDUAL, 1, 0},
    {"linear f16", run_linear, DTYPE_F16, 1, 100, 70, BIAS | GELU, 0, 0},
    {"linear bf16", run_linear, DTYPE_BF16, 2, 64, 33, IN_PLACE, 0, 0},
    {"linear q4_0", run_linear, Q4_0, 1, 288, 131, IN_PLACE, 3, 0},
    {"linear q4_1", run_linear, DTYPE_Q4_1, 1, 96, 64, 0, 0, 0},
    {"linear q5_0", run_linear, DTYPE_Q5_0, 5, 96, 64, BIAS, 0, 0},
    {"linear q5_1", run_linear, DTYPE_Q5_1, 8, 160, 50, BIAS | GELU | RESIDUAL, 0, 0},
    {"linear q8_0", run_linear, DTYPE_Q8_0, 4, 224, 65, 0, 1, 0},
    {"linear q2_K", run_linear, DTYPE_Q2_K, 1, 256, 20, 0, 0, 0},
    {"linear q3_K", run_linear, DTYPE_Q3_K, 1, 256, 20, 0, 0, 0},
    {"linear q4_K", run_linear, DTYPE_Q4_K, 1, 512, 33, 0, 0, 0},
    {"linear q5_K", run_linear, DTYPE_Q5_K, 2, 256, 40, 0, 0, 0},
    {"linear q6_K", run_linear, DTYPE_Q6_K, 1, 256, 300, 0, 0, 0},
    {"linear iq4_nl", run_linear, DTYPE_IQ4_NL, 1, 64, 20, 0, 0, 0},
    {"linear iq4_xs", run_linear, DTYPE_IQ4_XS, 1, 256, 20, 0, 0, 0},
    {"linear large", run_linear, Q4_0, 1, 256, 200, BIAS, 0, 1e4f},
    {"linear 9", run_linear, F32, 9, 40, 65, BIAS | GELU | RESIDUAL, 1, 0},
    {"linear many f32", run_linear, F32, 70, 100, 129, BIAS | RESIDUAL, 0, 0},
    {"linear many f16", run_linear, DTYPE_F16, 65, 64, 64, IN_PLACE, 0, 0},
    {"linear many bf16", run_linear, DTYPE_BF16, 33, 90, 40, 0, 1, 0},
    {"linear many q4_0", run_linear, Q4_0, 64, 128, 96, IN_PLACE, 0, 0},
    {"linear many q4_1", run_linear, DTYPE_Q4_1, 17, 64, 40, 0, 0, 0},
    {"linear many q5_0", run_linear, DTYPE_Q5_0, 17, 64, 40, 0, 0, 0},
    {"linear many q5_1", run_linear, DTYPE_Q5_1, 130, 96, 70, BIAS | GELU, 0, 0},
    {"linear many q8_0", run_linear, DTYPE_Q8_0, 40, 64, 130, 0, 0, 0},
    {"linear many q4_K", run_linear, DTYPE_Q4_K, 12, 256, 40, 0, 0, 0},
    {"linear many q5_K", run_linear, DTYPE_Q5_K, 12, 256, 40, 0, 0, 0},
    {"linear many q6_K", run_linear, DTYPE_Q6_K, 12, 256, 40, 0, 0, 0},
    {"convolution", run_linear, DTYPE_F16, 50, 240, 64, BIAS | GELU | OVERLAP, 0, 0},
    {"convolution, positions", run_linear, F32, 20, 93, 33, BIAS | GELU | OVERLAP | RESIDUAL_VEC, 0, 0},
    {"linear positions", run_linear, F32, 4, 60, 33, RESIDUAL_VEC, 0, 0},

    {"norm rms", run_norm, 0, 3, 65, 0, 0, 0, 0},
    {"norm rms add", run_norm, 0, 17, 256, 0, 0, 1, 0},
    {"norm rms add norm", run_norm, 0, 2, 1152, 0, 0, 2, 0},
    {"norm layer", run_norm, 0, 5, 384, 0, LAYER, 0, 0},
    {"norm layer add", run_norm, 0, 1, 33, 0, LAYER, 1, 0},
    {"norm large", run_norm, 0, 2, 300, 0, 0, 2, 1e6f},
    {"norm small", run_norm, 0, 2, 300, 0, LAYER, 1, 1e-6f},

    {"norm_linear 1", run_norm_linear, Q4_0, 1, 96, 65, 0, 0, 0},
    {"norm_linear 3", run_norm_linear, Q4_0, 1, 288, 130, 2, 2, 0},
    {"norm_linear 3 rows", run_norm_linear, DTYPE_Q8_0, 3, 128, 64, 2, 1, 0},
    {"norm_linear layer", run_norm_linear, DTYPE_F16, 5, 100, 60, 2 | LAYER | BIAS << 8, 0, 0},
    {"norm_linear layer gelu", run_norm_linear, DTYPE_Q5_1, 1, 128, 200, 0 | LAYER | (BIAS | GELU) << 8, 1, 0},
    {"norm_linear many", run_norm_linear, DTYPE_Q4_K, 20, 256, 64, 2, 2, 0},
    {"norm_linear many layer", run_norm_linear, F32, 33, 90, 70, 1 | LAYER | (BIAS | GELU) << 8, 1, 0},
    {"norm_linear wide", run_norm_linear, DTYPE_Q6_K, 2, 5120, 9, 0, 0, 0},

    {"norm_geglu", run_norm_geglu, Q4_0, 1, 128, 200, 0, 2, 0},
    {"norm_geglu rows", run_norm_geglu, DTYPE_Q8_0, 8, 64, 65, 0, 0, 0},
    {"norm_geglu many", run_norm_geglu, F32, 30, 70, 66, 0, 1, 0},

    {"embed f32", run_embed, F32, 3, 37, 50, 1, 0, 0},
    {"embed f16", run_embed, DTYPE_F16, 1, 64, 50, 1, 1, 0},
    {"embed q4_0", run_embed, Q4_0, 20, 96, 50, 0, 3, 0},
    {"embed q5_1", run_embed, DTYPE_Q5_1, 2, 64, 50, 1, 0, 0},
    {"embed q6_K", run_embed, DTYPE_Q6_K, 5, 256, 30, 0, 0, 0},
    {"embed bf16", run_embed, DTYPE_BF16, 5, 33, 30, 0, 0, 0},

    {"rope_table", run_rope_table, 0, 5, 0, 64, 0, 0, 0},
    {"rope_table far", run_rope_table, 0, 3, 0, 256, 30000, 0, 0},
    {"softcap", run_softcap, 0, 3, 0, 301, 0, 0, 100},
    {"softcap large", run_softcap, 0, 1, 0, 1000, 0, 0, 1e8f},
    {"softcap strided", run_softcap, 0, 7, 0, 33, 2, 0, 0},

    {"cross 1", run_cross, 0, 1, 150, 64, 6, 1, 0},
    {"cross 5", run_cross, 0, 5, 333, 64, 4, 2, 0},
    {"cross one place", run_cross, 0, 2, 1, 16, 2, 1, 0},
    {"cross large", run_cross, 0, 3, 60, 32, 2, 1, 30},
    {"cross 1 and a product", run_cross, 0, 1, 300, 32, 6 | THEN, 2, 0},
    {"cross 5 and a product", run_cross, 0, 5, 1100, 64, 2 | THEN, 1, 0},
    {"cross many and a product", run_cross, 0, 9, 40, 16, 2 | THEN, 1, 0},
    {"cross many", run_cross, 0, 70, 130, 64, 2, 1, 0},
    {"cross many odd", run_cross, 0, 33, 65, 80, 4, 2, 0},

    {"self 1", run_self, 0, 1, 20, 32, 2, 2, 0},
    {"self 1 rotated", run_self, 0, 1, 40, 64, 4 | ROTATE | HEAD_NORM, 4, 0},
    {"self 1 long", run_self, 0, 1, 300, 16, 2, 1, 0},
    {"self 5 window", run_self, 0, 5, 33, 32, 4 | ROTATE | HEAD_NORM | WINDOW, 2, 0},
    {"self 4 ring", run_self, 0, 4, 41, 32, 2 | ROTATE | WINDOW | RING, 1, 0},
    {"self softcap", run_self, 0, 3, 30, 32, 4 | ROTATE | SOFTCAP, 2, 8},
    {"self tables", run_self, 0, 5, 40, 16, 2 | TABLES, 1, 0},
    {"self many", run_self, 0, 40, 90, 64, 2 | ROTATE | HEAD_NORM, 2, 0},
    {"self many ring", run_self, 0, 33, 100, 32, 2 | ROTATE | WINDOW | RING, 1, 0},
    {"self many softcap", run_self, 0, 20, 50, 80, 4 | ROTATE | SOFTCAP, 4, 4},
    {"self q8_0", run_self, 0, 2, 30, 64, 2 | ROTATE | Q8, 1, 0},
    {"self 256", run_self, 0, 1, 12, 256, 4 | ROTATE | HEAD_NORM, 4, 0},
    {"self many 256", run_self, 0, 24, 24, 256, 2 | ROTATE | HEAD_NORM, 1, 0},
    {"self large", run_self, 0, 2, 20, 32, 2 | ROTATE, 1, 100},
    {"linear parts", run_linear, F32, 1, 1024, 700, BIAS | RESIDUAL, 0, 0},
    {"linear many parts", run_linear, DTYPE_F16, 12, 1024, 1200, BIAS | GELU, 0, 0},
    {"norm_linear parts", run_norm_linear, F32, 2, 512, 1100, 2, 1, 0},
    {"norm_geglu parts", run_norm_geglu, F32, 1, 512, 1100, 0, 2, 0},
    {"embed parts", run_embed, F32, 40, 512, 1100, 0, 0, 0},

    {"put", run_put, 0, 1, 0, 32, 0, 0, 0},
    {"copy", run_copy, 0, 1, 8, 32, 0, 0, 0},
    {"put q8_0", run_put, 0, 1, 0, 64, Q8, 0, 0},
};

/* ---- running ---- */

int32_t EXPORT(ops_count)(void) { return sizeof cases / sizeof *cases; }
const char *EXPORT(ops_name)(int32_t i) { return cases[i].name; }
const char *EXPORT(ops_message)(void) { return message; }

int32_t EXPORT(ops_open)(void) {
  error err = {""};
  sides[0].be = cpu_backend_open(pool_open(1));
  const sotto_status status = gpu_backend_open(&sides[GPU].be, &err);
  snprintf(message, sizeof message, "%s", err.text);
  if (status < 0) return status;
  for (int i = 0; i < 2; i++) {
    sides[i].act = sides[i].be->ops->buffer_open(sides[i].be, ACT_SIZE);
    sides[i].vec = sides[i].be->ops->buffer_open(sides[i].be, VEC_SIZE);
    if (sides[i].act == NULL || sides[i].vec == NULL) return SOTTO_ERR_MEMORY;
  }
  content = mem_alloc(ACT_SIZE, sizeof *content);
  vectors = mem_alloc(VEC_SIZE, sizeof *vectors);
  return content != NULL && vectors != NULL ? SOTTO_OK : SOTTO_ERR_MEMORY;
}

void EXPORT(ops_close)(void) {
  for (int i = 0; i < 2; i++) {
    sides[i].be->ops->buffer_close(sides[i].be, sides[i].act);
    sides[i].be->ops->buffer_close(sides[i].be, sides[i].vec);
    sides[i].be->ops->close(sides[i].be);
  }
}

static void run_side(const test_case *c, int32_t index, int which) {
  now = &sides[which];
  on_gpu = which == GPU;
  o = now->be->ops;
  act_used = vec_used = 0;
  n_regions = 0;
  o->upload(now->be, tensor_matrix(now->act, 0, 1, ACT_SIZE), content);
  o->upload(now->be, tensor_matrix(now->vec, 0, 1, VEC_SIZE), vectors);
  state = (uint64_t)index << 32;
  c->run(c);
}

void EXPORT(ops_run)(int32_t i) {
  const test_case *c = &cases[i];
  tensor_size = c->size > 0 ? c->size : 1;
  state = 99 + (uint64_t)i;
  for (size_t k = 0; k < ACT_SIZE; k++) content[k] = random_float(tensor_size);
  for (size_t k = 0; k < VEC_SIZE; k++) vectors[k] = random_float(1);
  run_side(c, i, 0);
  run_side(c, i, GPU);
}

/* Compares a region that was written, and then takes it and those that are undefined out of `is`. */
static bool region_holds(const region *r, const float *should, float *is) {
  double squares = 0, worst = 0;
  for (int32_t row = 0; row < r->t.rows; row++)
    for (int32_t k = 0; k < r->t.cols; k++) {
      const double x = should[r->t.offset + (size_t)row * (size_t)r->t.stride + (size_t)k];
      squares += x * x;
    }
  const double rms = sqrt(squares / ((double)r->t.rows * r->t.cols)) + 1e-30;
  for (int32_t row = 0; row < r->t.rows; row++)
    for (int32_t k = 0; k < r->t.cols; k++) {
      const size_t at = r->t.offset + (size_t)row * (size_t)r->t.stride + (size_t)k;
      const double difference = fabs((double)is[at] - should[at]) / rms;
      if (!r->undefined && !(difference <= worst)) worst = difference >= 0 ? difference : INFINITY; /* NaN */
      is[at] = content[at];
    }
  if (r->undefined || worst <= 6 * r->tolerance) return true; /* the largest of many is some deviations away */
  snprintf(message, sizeof message, "a tensor [%d, %d] is %g of its size away", (int)r->t.rows, (int)r->t.cols, worst);
  return false;
}

/* 1: it holds; 0: the GPU is not done; -1: ops_message says what is wrong. */
int32_t EXPORT(ops_check)(int32_t i) {
  (void)i;
  const tensor all = tensor_matrix(sides[GPU].act, 0, 1, ACT_SIZE), same = tensor_matrix(sides[0].act, 0, 1, ACT_SIZE);
  float *is = sides[GPU].be->ops->read(sides[GPU].be, all);
  const float *should = sides[0].be->ops->read(sides[0].be, same);
  snprintf(message, sizeof message, "the device is gone");
  if (is == NULL) return sides[GPU].be->lost ? -1 : 0;
  message[0] = 0;
  for (int32_t k = 0; k < n_regions; k++)
    if (!region_holds(&regions[k], should, is)) return -1;
  for (size_t k = 0; k < ACT_SIZE; k++)
    if (memcmp(&is[k], &content[k], sizeof *is) != 0) {
      snprintf(message, sizeof message, "element %zu is written: %g, was %g", k, (double)is[k], (double)content[k]);
      return -1;
    }
  return 1;
}
