/* Operations that models are made of, of every instruction set, against float64 or against the smaller operations that they join: norms with a sum
 * before them, products of normalized rows, gated GELU, rotary positions, soft caps, and attention with shared key heads, windows in a ring and capped
 * scores. Random, extreme and odd sizes. */
#include "../../src/base/pool.h"
#include "../../src/cpu/cpu_kv.h"
#include "check.h"

static random_state rng = {7};

/* A matrix with a gap of 3 behind each row. */
static tensor new_tensor(backend *be, int32_t rows, int32_t cols, float low, float high) {
  tensor t = {be->ops->buffer_open(be, (size_t)rows * (size_t)(cols + 3)), 0, rows, cols, cols + 3};
  if (!CHECK(t.buf != NULL)) exit(check_end());
  random_fill(&rng, t.buf->data, (size_t)rows * (size_t)(cols + 3), low, high);
  return t;
}

static void drop(backend *be, tensor t) { be->ops->buffer_close(be, t.buf); }

static double worse(double worst, double value, double expected, double scale) {
  const double off = fabs(value - expected) / fmax(scale, fabs(expected));
  return !(off <= worst) ? off : worst; /* NaN counts */
}

static bool equal(tensor a, tensor b) {
  bool same = true;
  for (int32_t i = 0; i < a.rows; i++)
    same = same && memcmp(tensor_at(a, i), tensor_at(b, i), (size_t)a.cols * sizeof(float)) == 0;
  return same;
}

/* -- norms -- */

enum { ADD_NOTHING, ADD_PLAIN, ADD_NORMED };

/* Normalized rows of random ones; `in` borrows add, gain, bias and post. */
typedef struct norm_case {
  normed in;
  tensor add, post, bias;
} norm_case;

static void open_norm(backend *be, norm_case *t, int32_t rows, int32_t cols, float size, int add, bool layer) {
  t->add = new_tensor(be, rows, cols, -size, size);
  t->post = new_tensor(be, 1, cols, -2, 2);
  t->bias = new_tensor(be, 1, cols, -1, 1);
  t->in = (normed){.x = new_tensor(be, rows, cols, -size, size),
                   .add = add != ADD_NOTHING ? &t->add : NULL,
                   .add_gain = add == ADD_NORMED ? &t->post : NULL,
                   .sum = new_tensor(be, rows, cols, 7, 8),
                   .gain = new_tensor(be, 1, cols, -2, 2),
                   .bias = layer ? &t->bias : NULL,
                   .eps = layer ? 1e-5f : 1e-6f,
                   .rows = new_tensor(be, rows, cols, -1, 1)};
}

static void close_norm(backend *be, norm_case *t) {
  const tensor all[] = {t->add, t->post, t->bias, t->in.x, t->in.sum, t->in.gain, t->in.rows};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(be, all[i]);
}

static double inverse_rms(const double *x, int32_t n, double eps) {
  double squares = 0;
  for (int32_t i = 0; i < n; i++) squares += x[i] * x[i];
  return 1 / sqrt(squares / n + eps);
}

static void test_norm(backend *be, int32_t rows, int32_t cols, float size, int add, bool layer) {
  norm_case t;
  open_norm(be, &t, rows, cols, size, add, layer);
  const normed *in = &t.in;
  be->ops->norm(be, in);
  bool untouched = true;
  double worst = 0, *x = malloc((size_t)cols * sizeof *x), *extra = malloc((size_t)cols * sizeof *extra);
  for (int32_t i = 0; i < rows; i++) {
    double mean = 0;
    for (int32_t c = 0; c < cols; c++) x[c] = tensor_at(in->x, i)[c], extra[c] = tensor_at(t.add, i)[c];
    const double inverse_add = inverse_rms(extra, cols, in->eps);
    for (int32_t c = 0; c < cols; c++) {
      if (add != ADD_NOTHING) x[c] += add == ADD_PLAIN ? extra[c] : extra[c] * inverse_add * tensor_at(t.post, 0)[c];
      const float sum = tensor_at(in->sum, i)[c];
      if (add != ADD_NOTHING)
        worst = worse(worst, sum, x[c], size);
      else
        untouched = untouched && sum >= 7 && sum < 8;
      mean += x[c] / cols;
    }
    for (int32_t c = 0; c < cols && layer; c++) x[c] -= mean;
    const double inverse = inverse_rms(x, cols, in->eps);
    for (int32_t c = 0; c < cols; c++)
      worst = worse(worst, tensor_at(in->rows, i)[c],
                    x[c] * inverse * tensor_at(in->gain, 0)[c] + (layer ? tensor_at(t.bias, 0)[c] : 0), 1);
  }
  CHECK_NEAR(worst, 0, layer ? 2e-5 : 4e-6);
  CHECK(untouched);
  free(x), free(extra);
  close_norm(be, &t);
}

/* -- products of normalized rows: the same bits as from norm and linear -- */

static weight *new_weight(backend *be, uint32_t type, int32_t out, int32_t in) {
  const size_t bytes = dtype_row_bytes(type, (size_t)in);
  uint8_t *row = malloc(bytes);
  weight *w = be->ops->weight_open(be, type, out, in);
  if (!CHECK(w != NULL)) exit(check_end());
  for (int32_t i = 0; i < out; i++) {
    for (size_t b = 0; b < bytes; b++) row[b] = (uint8_t)(random_u32(&rng) & 0x2f); /* factors are small numbers */
    be->ops->weight_rows(be, w, i, 1, row);
  }
  be->ops->weight_seal(be, w);
  free(row);
  return w;
}

static const uint32_t type_sets[][MAX_PRODUCTS] = {{DTYPE_Q4_0, DTYPE_Q4_0, DTYPE_Q4_0},
                                                   {DTYPE_Q4_K, DTYPE_Q4_K, DTYPE_Q6_K},
                                                   {DTYPE_Q5_0, DTYPE_F16, DTYPE_Q8_0},
                                                   {DTYPE_Q3_K, DTYPE_Q5_1, DTYPE_Q3_K},
                                                   {DTYPE_F16, DTYPE_F16, DTYPE_F32}};
enum { N_TYPE_SETS = sizeof type_sets / sizeof *type_sets };

static void test_norm_linear(backend *be, int32_t rows, int32_t in, const uint32_t types[MAX_PRODUCTS], int add) {
  static const int32_t outs[] = {200, 64, 33};
  norm_case t;
  open_norm(be, &t, rows, in, 3, add, add == ADD_NOTHING);
  tensor bias = new_tensor(be, 1, 200, -1, 1), sum = new_tensor(be, rows, in, 0, 0);
  const tensor expected_sum = t.in.sum;
  product products[MAX_PRODUCTS];
  tensor expected[MAX_PRODUCTS];
  weight *weights[MAX_PRODUCTS];
  const activation act = add == ADD_PLAIN ? ACT_GELU_ERF : ACT_NONE;
  be->ops->norm(be, &t.in);
  for (int32_t i = 0; i < MAX_PRODUCTS; i++) {
    weights[i] = new_weight(be, types[i], outs[i], in);
    products[i] = (product){new_tensor(be, rows, outs[i], 0, 0), weights[i], i == 1 ? NULL : &bias};
    expected[i] = new_tensor(be, rows, outs[i], 0, 0);
    be->ops->linear(be, expected[i], t.in.rows, weights[i], products[i].bias, act, NULL);
  }
  t.in.sum = sum;
  for (int32_t n = 1; n <= MAX_PRODUCTS; n++) {
    for (int32_t i = 0; i < n; i++) memset(products[i].y.buf->data, 0, products[i].y.buf->n * sizeof(float));
    be->ops->norm_linear(be, &t.in, products, n, act);
    for (int32_t i = 0; i < n; i++)
      if (!CHECK(equal(products[i].y, expected[i])))
        fprintf(stderr, "  %d rows, product %d of %d, type %u\n", (int)rows, (int)i, (int)n, (unsigned)types[i]);
    CHECK(add == ADD_NOTHING || equal(sum, expected_sum));
  }
  t.in.sum = expected_sum;
  for (int32_t i = 0; i < MAX_PRODUCTS; i++) {
    drop(be, products[i].y), drop(be, expected[i]);
    be->ops->weight_close(be, weights[i]);
  }
  drop(be, bias), drop(be, sum);
  close_norm(be, &t);
}

static double gelu_tanh(double x) { return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

static void test_norm_geglu(backend *be, int32_t rows, int32_t in, int32_t out, uint32_t gate_type, uint32_t up_type) {
  norm_case t;
  open_norm(be, &t, rows, in, 3, ADD_NORMED, false);
  weight *gate = new_weight(be, gate_type, out, in), *up = new_weight(be, up_type, out, in);
  tensor y = new_tensor(be, rows, out, 0, 0), scratch = new_tensor(be, rows, out, 0, 0),
         g = new_tensor(be, rows, out, 0, 0), u = new_tensor(be, rows, out, 0, 0);
  be->ops->norm(be, &t.in);
  be->ops->linear(be, g, t.in.rows, gate, NULL, ACT_NONE, NULL);
  be->ops->linear(be, u, t.in.rows, up, NULL, ACT_NONE, NULL);
  be->ops->norm_geglu(be, y, &t.in, gate, up, scratch);
  double worst = 0;
  for (int32_t i = 0; i < rows; i++)
    for (int32_t c = 0; c < out; c++)
      worst = worse(worst, tensor_at(y, i)[c], gelu_tanh(tensor_at(g, i)[c]) * tensor_at(u, i)[c], 1);
  if (!CHECK_NEAR(worst, 0, 4e-6))
    fprintf(stderr, "  %d rows, types %u and %u\n", (int)rows, (unsigned)gate_type, (unsigned)up_type);
  drop(be, y), drop(be, scratch), drop(be, g), drop(be, u);
  be->ops->weight_close(be, gate), be->ops->weight_close(be, up);
  close_norm(be, &t);
}

static void test_products(backend *be) {
  static const int32_t rows[] = {1, 3, 9, 17, 40};
  for (size_t r = 0; r < 5; r++) {
    for (int32_t s = 0; s < N_TYPE_SETS; s++) {
      const uint32_t *types = type_sets[s];
      test_norm_linear(be, rows[r], 256, types, (int)((r + (size_t)s) % 3));
      test_norm_geglu(be, rows[r], 256, 333, types[0], types[s % 3]);
    }
    test_norm_linear(be, rows[r], 37, type_sets[N_TYPE_SETS - 1], ADD_NORMED);
  }
}

/* -- small kernels of attention and of the MLP -- */

static void test_elementwise(backend *be, int32_t n, float size) {
  tensor gate = new_tensor(be, 2, n, -size, size), up = new_tensor(be, 2, n, -2, 2), y = new_tensor(be, 2, n, 0, 0);
  double worst = 0;
  for (int32_t r = 0; r < 2; r++) {
    const float *g = tensor_at(gate, r), *u = tensor_at(up, r);
    ((cpu *)be)->k->geglu(tensor_at(y, r), g, u, n);
    for (int32_t i = 0; i < n; i++) worst = worse(worst, tensor_at(y, r)[i], gelu_tanh(g[i]) * u[i], 1);
  }
  CHECK_NEAR(worst, 0, 2e-6);
  worst = 0;
  memcpy(y.buf->data, gate.buf->data, gate.buf->n * sizeof(float));
  be->ops->softcap(be, y, 30);
  for (int32_t r = 0; r < 2; r++)
    for (int32_t i = 0; i < n; i++)
      worst = worse(worst, tensor_at(y, r)[i], 30 * tanh(tensor_at(gate, r)[i] / 30.0), 1);
  CHECK_NEAR(worst, 0, 1e-5);
  drop(be, gate), drop(be, up), drop(be, y);
}

/* -- attention -- */

typedef struct attention_case {
  int32_t n_head, n_kv_head, d, window;
  float cap;
  bool turn, norm; /* rotary positions; norms of heads */
} attention_case;

enum { POSITIONS = 59, BATCH = 9, RING = 40 };

/* Heads x [n], as rotated by one row of the table. */
static void rotate(const float *x, double *out, int32_t n, int32_t d, const float *table, const tensor *gain) {
  for (int32_t h = 0; h < n; h += d) {
    double head[256];
    for (int32_t c = 0; c < d; c++) head[c] = x[h + c];
    const double inverse = inverse_rms(head, d, 1e-6);
    for (int32_t c = 0; c < d && gain; c++) head[c] *= inverse * tensor_at(*gain, 0)[c];
    for (int32_t c = 0; c < d / 2; c++) {
      const double a = head[c], b = head[c + d / 2], cosine = table ? table[c] : 1, sine = table ? table[c + d / 2] : 0;
      out[h + c] = a * cosine - b * sine;
      out[h + c + d / 2] = b * cosine + a * sine;
    }
  }
}

/* Positions come in batches, as a model gives them, into a ring; the last batch is checked. */
static void test_self_attention(backend *be, const attention_case *t) {
  const int32_t n_head = t->n_head, d = t->d, d_q = n_head * d, d_kv = t->n_kv_head * d;
  tensor q = new_tensor(be, POSITIONS, d_q, -2, 2), k = new_tensor(be, POSITIONS, d_kv, -2, 2),
         v = new_tensor(be, POSITIONS, d_kv, -1, 1), y = new_tensor(be, POSITIONS, d_q, 0, 0);
  tensor q_gain = new_tensor(be, 1, d, 0.5, 1.5), k_gain = new_tensor(be, 1, d, 0.5, 1.5);
  tensor frequencies = new_tensor(be, 1, d / 2, 0, 1), table = new_tensor(be, POSITIONS, d, 0, 0);
  int32_t slots[POSITIONS], pos[POSITIONS], first[POSITIONS], length[POSITIONS];
  double worst = 0, *turned_q = malloc((size_t)(POSITIONS * d_q) * sizeof *turned_q),
         *turned_k = malloc((size_t)(POSITIONS * d_kv) * sizeof *turned_k),
         *values = malloc((size_t)(POSITIONS * d_kv) * sizeof *values);
  for (int32_t i = 0; i < POSITIONS; i++) {
    pos[i] = i;
    slots[i] = i % RING;
    length[i] = min_i32(i + 1, t->window);
    first[i] = i + 1 - length[i];
  }
  be->ops->rope_table(be, table, frequencies, pos);
  for (int32_t i = 0; i < POSITIONS; i++) {
    const float *angles = t->turn ? tensor_at(table, i) : NULL;
    for (int32_t c = 0; c < d / 2; c++) {
      const double angle = (float)pos[i] * tensor_at(frequencies, 0)[c]; /* as f32: that is the angle's definition */
      worst = worse(worst, tensor_at(table, i)[c], cos(angle), 1);
      worst = worse(worst, tensor_at(table, i)[c + d / 2], sin(angle), 1);
    }
    rotate(tensor_at(q, i), turned_q + i * d_q, d_q, d, angles, t->norm ? &q_gain : NULL);
    rotate(tensor_at(k, i), turned_k + i * d_kv, d_kv, d, angles, t->norm ? &k_gain : NULL);
    for (int32_t c = 0; c < d_kv; c++) values[i * d_kv + c] = tensor_at(v, i)[c];
  }
  CHECK_NEAR(worst, 0, 1e-6);

  kv *a = be->ops->kv_open(be, KV_SLOTS, KV_16, RING, t->n_kv_head, d);
  if (!CHECK(a != NULL)) exit(check_end());
  for (int32_t i = 0, n; i < POSITIONS; i += n) {
    n = i == 0 ? POSITIONS % BATCH : BATCH;
    const rotation turn = {.table = tensor_rows(table, i, n),
                           .q_gain = t->norm ? &q_gain : NULL,
                           .k_gain = t->norm ? &k_gain : NULL,
                           .eps = 1e-6f};
    const kv_view view = {.slots = slots, .ring = RING, .first = first + i, .length = length + i, .softcap = t->cap};
    be->ops->self_attention(be, tensor_rows(y, i, n), tensor_rows(q, i, n), tensor_rows(k, i, n), tensor_rows(v, i, n),
                            a, slots + i, t->turn ? &turn : NULL, 0.1f, &view, NULL);
  }
  worst = 0;
  for (int32_t i = POSITIONS - BATCH; i < POSITIONS; i++) {
    for (int32_t h = 0; h < n_head; h++) {
      const int32_t kv_column = h / (n_head / t->n_kv_head) * d;
      double p[RING], sum = 0, out[256] = {0};
      for (int32_t j = 0; j < length[i]; j++) {
        double score = 0;
        for (int32_t e = 0; e < d; e++)
          score += turned_q[i * d_q + h * d + e] * turned_k[(first[i] + j) * d_kv + kv_column + e] * 0.1;
        sum += p[j] = exp(t->cap > 0 ? t->cap * tanh(score / t->cap) : score);
      }
      for (int32_t j = 0; j < length[i]; j++)
        for (int32_t e = 0; e < d; e++) out[e] += p[j] / sum * values[(first[i] + j) * d_kv + kv_column + e];
      for (int32_t e = 0; e < d; e++) worst = worse(worst, tensor_at(y, i)[h * d + e], out[e], 1);
    }
  }
  CHECK_NEAR(worst, 0, 1.5e-3);
  free(turned_q), free(turned_k), free(values);
  be->ops->kv_close(be, a);
  drop(be, q), drop(be, k), drop(be, v), drop(be, y);
  drop(be, q_gain), drop(be, k_gain), drop(be, frequencies), drop(be, table);
}

int main(void) {
  pool *threads = pool_open(2);
  for (int32_t i = 0; kernels_available(i); i++) {
    backend *be = cpu_backend_open(threads);
    if (!CHECK(be != NULL)) break;
    ((cpu *)be)->k = kernels_available(i);
    static const int32_t sizes[] = {1, 3, 7, 16, 64, 129, 640, 1152};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      for (int add = ADD_NOTHING; add <= ADD_NORMED; add++) {
        test_norm(be, 1 + (int32_t)s * 5, sizes[s], 3, add, false);
        test_norm(be, 3, sizes[s], 1e4f, add, false); /* Gemma 3's residual stream is large */
        test_norm(be, 2, sizes[s], 5, add, true);
      }
      test_elementwise(be, sizes[s], 6);
      test_elementwise(be, sizes[s], 1000);
    }
    test_products(be);
    static const attention_case cases[] = {{4, 1, 64, 16, 0, true, true},
                                           {4, 2, 64, 31, 50, true, false},
                                           {8, 4, 256, 1, 0, true, true},
                                           {3, 3, 20, 17, 5, false, false},
                                           {1, 1, 10, 31, 0, true, true}};
    for (size_t t = 0; t < sizeof cases / sizeof *cases; t++) test_self_attention(be, &cases[t]);
    cpu_backend_close(be);
  }
  pool_close(threads);
  return check_end();
}
