/* Keys and values in places of either type, and attention over them, of every instruction set, against float64: random, extreme and odd
 * sizes; rings, windows, shared tables and tables of each query, capped scores; places as bytes. */
#include "../../src/base/pool.h"
#include "../../src/cpu/cpu_kv.h"
#include "check.h"

static random_state rng = {11};

static tensor new_tensor(backend *be, int32_t rows, int32_t cols, float low, float high) {
  tensor t = {be->ops->buffer_open(be, (size_t)rows * (size_t)cols), 0, rows, cols, cols};
  if (!CHECK(t.buf != NULL)) exit(check_end());
  random_fill(&rng, t.buf->data, (size_t)rows * (size_t)cols, low, high);
  return t;
}

static void drop(backend *be, tensor t) { be->ops->buffer_close(be, t.buf); }

/* What a kv holds, from its bytes: keys and values as [place][n_head * d] in float64. */
static void unpack(backend *be, const kv *a, kv_type type, int32_t n_slots, int32_t n_head, int32_t d, double *k,
                   double *v) {
  const size_t size = be->ops->kv_place_bytes(a);
  unsigned char *bytes = malloc(size);
  const int32_t group = type == KV_Q8_0 ? 32 : d, groups = (d + group - 1) / group;
  CHECK(size == (size_t)(n_head * 2 * (4 * groups + d * (type == KV_Q8_0 ? 1 : 2))));
  for (int32_t place = 0; place < n_slots; place++) {
    const unsigned char *at = bytes;
    CHECK(be->ops->kv_get(be, a, &place, 1, bytes));
    for (int32_t part = 0; part < 2 * n_head; part++) {
      double *out = (part % 2 ? v : k) + (size_t)place * (size_t)(n_head * d) + part / 2 * d;
      const unsigned char *scales = at;
      at += 4 * groups;
      for (int32_t c = 0; c < d; c++, at += type == KV_Q8_0 ? 1 : 2)
        out[c] = load_f32(scales + c / group * 4) * (type == KV_Q8_0 ? (int8_t)*at : (int16_t)load_u16(at));
    }
  }
  free(bytes);
}

typedef struct attention_case {
  int32_t n_head, n_kv_head, d, n_slots, n; /* n queries */
  float q_size, k_size, v_size, scale, cap;
  bool
      tables; /* each query has places of its own, in any order; else neighbours of a ring's table see windows of `window` */
  int32_t window;
  bool alike; /* each key is a multiple of a query */
} attention_case;

static double norm_of(const float *x, int32_t n, double *largest) {
  double squares = 0;
  *largest = 0;
  for (int32_t i = 0; i < n; i++) {
    squares += (double)x[i] * x[i];
    *largest = fmax(*largest, fabs((double)x[i]));
  }
  return sqrt(squares);
}

/* The largest difference of what is held to what was stored, in units of the last bit. */
static double rounding(tensor stored, const double *held, kv_type type, int32_t n_head, int32_t d, bool keys) {
  double worst = 0, largest;
  for (int32_t i = 0; i < stored.rows; i++) {
    for (int32_t part = 0; part < n_head * d;) {
      const int32_t n = type == KV_Q8_0 ? min_i32(KV_GROUP, d - part % d) : d;
      const float *x = tensor_at(stored, i) + part;
      const double norm = norm_of(x, n, &largest);
      const double unit = type == KV_Q8_0 ? largest / 127 : fmax(largest / FIXED_MAX, keys ? norm / FIXED_NORM_B : 0);
      for (int32_t c = 0; c < n; c++)
        worst = fmax(worst, fabs(held[(size_t)i * (size_t)(n_head * d) + (size_t)(part + c)] - (double)x[c]) / unit);
      part += n;
    }
  }
  return worst;
}

/* What a query's int16 do to its scores: the standard deviation. */
static double score_noise(const float *q, int32_t d, kv_type type, double k_norm, double scale) {
  double largest, norm = norm_of(q, d, &largest);
  return scale * k_norm * 0.29 *
         (type == KV_Q8_0 ? largest / FIXED_MAX : fmax(largest / FIXED_MAX, norm / FIXED_NORM_A));
}

/* Attention against what the kv holds; and that against what was stored. */
static void test_case(backend *be, kv_type type, const attention_case *t) {
  const int32_t n_head = t->n_head, d = t->d, n_slots = t->n_slots, d_kv = t->n_kv_head * d;
  const size_t size = (size_t)n_slots * (size_t)d_kv;
  tensor q = new_tensor(be, t->n, n_head * d, -t->q_size, t->q_size), y = new_tensor(be, t->n, n_head * d, 0, 0);
  tensor k = new_tensor(be, n_slots, d_kv, -t->k_size, t->k_size),
         v = new_tensor(be, n_slots, d_kv, -t->v_size, t->v_size);
  for (int32_t i = 0; t->alike && i < n_slots; i++)
    for (int32_t h = 0; h < t->n_kv_head; h++)
      for (int32_t c = 0; c < d; c++)
        tensor_at(k, i)[h * d + c] = tensor_at(q, i % t->n)[h * (n_head / t->n_kv_head) * d + c] * t->k_size /
                                     t->q_size * (i % 3 == 0 ? -1.0f : 1.0f);
  kv *a = be->ops->kv_open(be, KV_SLOTS, type, n_slots, t->n_kv_head, d);
  double *held_k = calloc(size, sizeof *held_k), *held_v = calloc(size, sizeof *held_v),
         *out = calloc((size_t)d, sizeof *out);
  const int32_t table = t->tables ? n_slots : 3 * n_slots;
  int32_t *slots = malloc((size_t)(t->n * table) * sizeof *slots), *first = malloc((size_t)t->n * sizeof *first),
          *length = malloc((size_t)t->n * sizeof *length), *order = malloc((size_t)n_slots * sizeof *order);
  double *p = malloc((size_t)table * sizeof *p);
  if (!CHECK(a != NULL)) exit(check_end());
  for (int32_t i = 0; i < n_slots; i++) order[i] = i;
  cpu_place(be, k, k, v, a, order, NULL);
  unpack(be, a, type, n_slots, t->n_kv_head, d, held_k, held_v);
  CHECK(rounding(k, held_k, type, t->n_kv_head, d, true) <= 0.51);
  CHECK(rounding(v, held_v, type, t->n_kv_head, d, false) <= 0.51);

  for (int32_t i = 0; i < t->n * table; i++)
    slots[i] = t->tables ? (int32_t)random_below(&rng, (uint32_t)n_slots) : i % n_slots;
  for (int32_t i = 0; i < t->n; i++) {
    const int32_t position = 2 * n_slots - t->n + i; /* the ring has gone round */
    first[i] = t->tables ? (int32_t)random_below(&rng, (uint32_t)n_slots) : position + 1 - t->window;
    length[i] = t->tables ? 1 + (int32_t)random_below(&rng, (uint32_t)(n_slots - first[i])) : t->window;
  }
  const kv_view view = {
      .slots = slots, .slot_stride = t->tables ? table : 0, .first = first, .length = length, .softcap = t->cap};
  cpu_attend(be, y, q, a, t->scale, &view);

  double worst = 0;
  for (int32_t i = 0; i < t->n; i++) {
    const int32_t *see = slots + i * view.slot_stride + first[i];
    for (int32_t h = 0; h < n_head; h++) {
      const int32_t column = h / (n_head / t->n_kv_head) * d;
      const double noise = score_noise(tensor_at(q, i) + h * d, d, type, t->k_size * sqrt(d / 3.0), (double)t->scale);
      double top = -1e300, sum = 0;
      memset(out, 0, (size_t)d * sizeof *out);
      for (int32_t j = 0; j < length[i]; j++) {
        double score = 0;
        for (int32_t c = 0; c < d; c++)
          score += (double)tensor_at(q, i)[h * d + c] * held_k[(size_t)see[j] * (size_t)d_kv + (size_t)(column + c)];
        score *= (double)t->scale;
        p[j] = t->cap > 0 ? t->cap * tanh(score / t->cap) : score;
        top = fmax(top, p[j]);
      }
      for (int32_t j = 0; j < length[i]; j++) {
        const double share = exp(p[j] - top);
        sum += share;
        for (int32_t c = 0; c < d; c++) out[c] += share * held_v[(size_t)see[j] * (size_t)d_kv + (size_t)(column + c)];
      }
      for (int32_t c = 0; c < d; c++) {
        const double off_by = fabs(tensor_at(y, i)[h * d + c] - out[c] / sum) / (t->v_size * (2e-4 + 2 * noise));
        worst = !(off_by <= worst) ? off_by : worst; /* NaN counts */
      }
    }
  }
  if (!CHECK(worst <= 1))
    fprintf(stderr, "  %.3g: type %d, %d heads on %d, d %d, %d queries, %d places, window %d\n", worst, (int)type,
            (int)n_head, (int)t->n_kv_head, (int)d, (int)t->n, (int)n_slots, (int)t->window);
  be->ops->kv_close(be, a);
  free(held_k), free(held_v), free(out), free(slots), free(first), free(length), free(order), free(p);
  drop(be, q), drop(be, y), drop(be, k), drop(be, v);
}

static void test_cases(backend *be, kv_type type, bool all) {
  static const int32_t heads[][2] = {{4, 1}, {1, 1}, {3, 3}, {6, 2}, {8, 1}, {5, 1}, {40, 1}, {70, 2}};
  static const int32_t dims[] = {64, 256, 20, 80, 6}, places[] = {1, 2, 3, 17, 127, 128, 129, 300, 700};
  static const int32_t queries[] = {1, 2, 7, 8, 9, 16, 33};
  for (size_t h = 0; h < 8; h++) {
    for (size_t n = 0; n < 9; n++) {
      const size_t s = h + 3 * n;
      attention_case t = {.n_head = heads[h][0],
                          .n_kv_head = heads[h][1],
                          .d = dims[s % 5],
                          .n_slots = places[n],
                          .n = min_i32(queries[s % 7], places[n]),
                          .q_size = 2,
                          .k_size = 2,
                          .v_size = 1,
                          .scale = 0.1f};
      t.window = places[n] - t.n + 1;
      if (!all && (t.n_head > 8 || places[n] > 300)) continue;
      test_case(be, type, &t);
      t.tables = true, t.cap = 5;
      test_case(be, type, &t);
      t.tables = false, t.window = (t.window + 1) / 2, t.q_size = 20, t.v_size = 1e4f;
      test_case(be, type, &t);
    }
  }
  /* Keys along queries: the largest products there are. Sharp: one place takes all. Tiny and huge. */
  attention_case t = {.n_head = 4,
                      .n_kv_head = 1,
                      .d = 256,
                      .n_slots = 200,
                      .n = 3,
                      .q_size = 1,
                      .k_size = 1,
                      .v_size = 1,
                      .scale = 0.02f,
                      .window = 198,
                      .alike = true};
  test_case(be, type, &t);
  t.scale = 1e3f, t.alike = false;
  test_case(be, type, &t);
  t.q_size = 1e-9f, t.k_size = 1e-6f, t.v_size = 1e-9f;
  test_case(be, type, &t);
  t.q_size = 1e12f, t.k_size = 1e12f, t.v_size = 1e12f, t.scale = 1e-24f;
  test_case(be, type, &t);
}

/* A query sees nothing of a place behind its end, whatever is in it; one whose place is not a number says so. */
static void test_not_numbers(backend *be, kv_type type) {
  enum { N = 9, D = 64 };
  tensor q = new_tensor(be, N, 2 * D, -1, 1), y = new_tensor(be, N, 2 * D, 0, 0), z = new_tensor(be, N, 2 * D, 0, 0);
  tensor k = new_tensor(be, N, D, -1, 1), v = new_tensor(be, N, D, -1, 1);
  int32_t order[N], length[N];
  for (int32_t i = 0; i < N; i++) order[i] = i, length[i] = i + 1;
  kv *a = be->ops->kv_open(be, KV_SLOTS, type, N, 1, D);
  const kv_view view = {.slots = order, .length = length};
  cpu_place(be, k, k, v, a, order, NULL);
  cpu_attend(be, y, q, a, 0.1f, &view);
  tensor_at(k, 5)[3] = NAN, tensor_at(v, 5)[7] = INFINITY;
  cpu_place(be, k, k, v, a, order, NULL);
  cpu_attend(be, z, q, a, 0.1f, &view);
  CHECK(memcmp(tensor_at(y, 0), tensor_at(z, 0), 5 * 2 * D * sizeof(float)) == 0);
  CHECK(isnan(tensor_at(z, 5)[7]) && isnan(tensor_at(z, 8)[7]));
  be->ops->kv_close(be, a);
  drop(be, q), drop(be, y), drop(be, z), drop(be, k), drop(be, v);
}

/* Places that travel as bytes into other places of another kv give the same attention, bit by bit. */
static void test_bytes(backend *be, kv_type type, int32_t n_head, int32_t d) {
  enum { N = 37, OTHER = 50 };
  tensor k = new_tensor(be, N, n_head * d, -2, 2), v = new_tensor(be, N, n_head * d, -1, 1);
  tensor q = new_tensor(be, 3, 2 * n_head * d, -1, 1), y = new_tensor(be, 3, 2 * n_head * d, 0, 0),
         z = new_tensor(be, 3, 2 * n_head * d, 0, 0);
  kv *a = be->ops->kv_open(be, KV_SLOTS, type, N, n_head, d),
     *b = be->ops->kv_open(be, KV_SLOTS, type, OTHER, n_head, d);
  if (!CHECK(a != NULL && b != NULL)) exit(check_end());
  int32_t here[N], there[N];
  const int32_t length[] = {N, 1, N - 5};
  for (int32_t i = 0; i < N; i++) here[i] = i, there[i] = (i * 7 + 3) % OTHER;
  cpu_place(be, k, k, v, a, here, NULL);
  const size_t size = N * be->ops->kv_place_bytes(a);
  CHECK(be->ops->kv_place_bytes(b) * N == size);
  unsigned char *bytes = malloc(size), *again = malloc(size);
  memset(bytes, 0xaa, size), memset(again, 0x55, size);
  CHECK(be->ops->kv_get(be, a, here, N, bytes));
  be->ops->kv_put(be, b, there, N, bytes);
  CHECK(be->ops->kv_get(be, b, there, N, again));
  CHECK(memcmp(bytes, again, size) == 0);
  cpu_attend(be, y, q, a, 0.2f, &(kv_view){.slots = here, .length = length});
  cpu_attend(be, z, q, b, 0.2f, &(kv_view){.slots = there, .length = length});
  CHECK(memcmp(y.buf->data, z.buf->data, (size_t)(3 * 2 * n_head * d) * sizeof(float)) == 0);
  /* Any bytes are taken. */
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)random_u32(&rng);
  be->ops->kv_put(be, b, there, N, bytes);
  cpu_attend(be, z, q, b, 0.2f, &(kv_view){.slots = there, .length = length});
  CHECK(be->ops->kv_get(be, b, there, N, again));
  CHECK(memcmp(bytes, again, size) == 0);
  free(bytes), free(again);
  be->ops->kv_close(be, a), be->ops->kv_close(be, b);
  drop(be, k), drop(be, v), drop(be, q), drop(be, y), drop(be, z);
}

/* The same bits with any number of threads: a token after many, and a batch. */
static void test_threads(kv_type type) {
  enum { PLACES = 1000, D = 64, N_HEAD = 4, N = 20 };
  static float results[3][2][N * N_HEAD * D];
  random_state same = {5};
  static float values[(PLACES + N * N_HEAD) * D];
  random_fill(&same, values, sizeof values / sizeof *values, -1, 1);
  for (int32_t n_threads = 1; n_threads <= 3; n_threads++) {
    pool *threads = pool_open(n_threads);
    backend *be = cpu_backend_open(threads);
    tensor k = new_tensor(be, PLACES, D, 0, 0), q = new_tensor(be, N, N_HEAD * D, 0, 0),
           y = new_tensor(be, N, N_HEAD * D, 0, 0);
    kv *a = be->ops->kv_open(be, KV_SLOTS, type, PLACES, 1, D);
    int32_t order[PLACES], length[N];
    be->ops->upload(be, k, values), be->ops->upload(be, q, values + PLACES * D);
    for (int32_t i = 0; i < PLACES; i++) order[i] = i;
    cpu_place(be, k, k, k, a, order, NULL);
    for (int32_t n = N, i = 0; i < 2; n = 1, i++) {
      for (int32_t r = 0; r < n; r++) length[r] = PLACES - n + 1 + r;
      cpu_attend(be, tensor_rows(y, 0, n), tensor_rows(q, 0, n), a, 0.3f, &(kv_view){.slots = order, .length = length});
      memcpy(results[n_threads - 1][i], y.buf->data, (size_t)(n * N_HEAD * D) * sizeof(float));
    }
    be->ops->kv_close(be, a);
    drop(be, k), drop(be, q), drop(be, y);
    cpu_backend_close(be);
    pool_close(threads);
  }
  CHECK(memcmp(results[0], results[1], sizeof results[0]) == 0);
  CHECK(memcmp(results[0], results[2], sizeof results[0]) == 0);
}

int main(void) {
  pool *threads = pool_open(2);
  for (int32_t i = 0; kernels_available(i); i++) {
    backend *be = cpu_backend_open(threads);
    if (!CHECK(be != NULL)) break;
    ((cpu *)be)->k = kernels_available(i);
    for (kv_type type = KV_16; type <= KV_Q8_0; type++) {
      test_bytes(be, type, 1, 256);
      test_bytes(be, type, 3, 20);
      test_cases(be, type, kernels_available(i + 1) == NULL);
      test_not_numbers(be, type);
    }
    CHECK(be->ops->kv_open(be, KV_WHOLE, KV_Q8_0, 10, 1, 64) == NULL);
    CHECK(be->ops->kv_open(be, KV_SLOTS, KV_16, 0, 1, 64) == NULL);
    cpu_backend_close(be);
  }
  pool_close(threads);
  test_threads(KV_16);
  test_threads(KV_Q8_0);
  return check_end();
}
