/* The operations that only Gemma uses, of every instruction set, against float64: norms, rotary positions, gated GELU, soft caps, and attention with
 * shared key heads, windows in a ring and capped scores. Random, extreme and odd sizes. */
#include "../../src/base/pool.h"
#include "../../src/cpu/cpu.h"
#include "check.h"

static random_state rng = {7};

static tensor new_tensor(backend *be, int32_t rows, int32_t cols, float low, float high) {
  tensor t = {be->ops->buffer_open(be, (size_t)rows * (size_t)cols), 0, rows, cols, cols};
  if (!CHECK(t.buf != NULL)) exit(check_end());
  random_fill(&rng, t.buf->data, (size_t)rows * (size_t)cols, low, high);
  return t;
}

static void drop(backend *be, tensor t) { be->ops->buffer_close(be, t.buf); }

static double worse(double worst, double value, double expected, double scale) {
  const double off = fabs(value - expected) / fmax(scale, fabs(expected));
  return !(off <= worst) ? off : worst; /* NaN counts */
}

static void test_rms_norm(backend *be, int32_t rows, int32_t cols, float size) {
  tensor x = new_tensor(be, rows, cols, -size, size), gain = new_tensor(be, 1, cols, -2, 2),
         y = new_tensor(be, rows, cols, -1, 1);
  float *before = malloc((size_t)rows * (size_t)cols * sizeof *before);
  memcpy(before, y.buf->data, (size_t)rows * (size_t)cols * sizeof *before);
  double worst = 0;
  for (int with = 0; with < 2; with++) {
    be->ops->rms_norm(be, y, x, gain, 1e-6f, with ? &y : NULL);
    for (int32_t i = 0; i < rows; i++) {
      double squares = 0;
      for (int32_t c = 0; c < cols; c++) squares += (double)tensor_at(x, i)[c] * tensor_at(x, i)[c];
      const double inverse = 1 / sqrt(squares / cols + 1e-6);
      for (int32_t c = 0; c < cols; c++) {
        const double plain = tensor_at(x, i)[c] * inverse * tensor_at(gain, 0)[c];
        worst = worse(worst, tensor_at(y, i)[c], plain + (with ? plain : 0), 1);
      }
    }
  }
  CHECK_NEAR(worst, 0, 2e-6);
  free(before);
  drop(be, x), drop(be, gain), drop(be, y);
}

static void test_rotate(backend *be, int32_t rows, int32_t n_head, int32_t d, bool norm) {
  tensor x = new_tensor(be, rows, n_head * d, -3, 3), gain = new_tensor(be, 1, d, 0.5, 2),
         table = new_tensor(be, rows, d, 0, 0);
  tensor frequencies = new_tensor(be, 1, d / 2, 0, 1);
  int32_t pos[64];
  float *before = malloc((size_t)rows * (size_t)(n_head * d) * sizeof *before);
  memcpy(before, x.buf->data, (size_t)rows * (size_t)(n_head * d) * sizeof *before);
  for (int32_t i = 0; i < rows; i++) pos[i] = (int32_t)random_below(&rng, 2000);
  be->ops->rope_table(be, table, frequencies, pos);
  be->ops->rotate(be, x, table, norm ? &gain : NULL, 1e-6f);
  double worst = 0;
  for (int32_t i = 0; i < rows; i++) {
    for (int32_t h = 0; h < n_head; h++) {
      const float *in = before + (size_t)i * (size_t)(n_head * d) + h * d;
      double squares = 0;
      for (int32_t c = 0; c < d; c++) squares += (double)in[c] * in[c];
      const double inverse = norm ? 1 / sqrt(squares / d + 1e-6) : 1;
      for (int32_t c = 0; c < d / 2; c++) {
        const double g0 = norm ? tensor_at(gain, 0)[c] : 1, g1 = norm ? tensor_at(gain, 0)[c + d / 2] : 1;
        const double a = in[c] * inverse * g0, b = in[c + d / 2] * inverse * g1;
        const double angle = (float)pos[i] * tensor_at(frequencies, 0)[c]; /* as f32: that is the angle's definition */
        worst = worse(worst, tensor_at(x, i)[h * d + c], a * cos(angle) - b * sin(angle), 1);
        worst = worse(worst, tensor_at(x, i)[h * d + c + d / 2], b * cos(angle) + a * sin(angle), 1);
      }
    }
  }
  CHECK_NEAR(worst, 0, 4e-4); /* the product of position and frequency is rounded to f32 */
  free(before);
  drop(be, x), drop(be, gain), drop(be, table), drop(be, frequencies);
}

static void test_elementwise(backend *be, int32_t n, float size) {
  tensor gate = new_tensor(be, 2, n, -size, size), up = new_tensor(be, 2, n, -2, 2), y = new_tensor(be, 2, n, 0, 0);
  double worst = 0;
  be->ops->geglu(be, y, gate, up);
  for (int32_t i = 0; i < 2 * n; i++) {
    const double x = gate.buf->data[i];
    const double g = 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    worst = worse(worst, y.buf->data[i], g * up.buf->data[i], 1);
  }
  CHECK_NEAR(worst, 0, 2e-6);
  worst = 0;
  memcpy(y.buf->data, gate.buf->data, 2 * (size_t)n * sizeof(float));
  be->ops->softcap(be, y, 30);
  for (int32_t i = 0; i < 2 * n; i++) worst = worse(worst, y.buf->data[i], 30 * tanh(gate.buf->data[i] / 30.0), 1);
  CHECK_NEAR(worst, 0, 1e-5);
  drop(be, gate), drop(be, up), drop(be, y);
}

/* Query heads share key heads; a window of a ring; capped scores. */
static void test_attention(backend *be, int32_t n_head, int32_t n_kv_head, int32_t d, int32_t window, float cap) {
  enum { N = 9, RING = 40, TABLE = 100 };
  tensor q = new_tensor(be, N, n_head * d, -2, 2), y = new_tensor(be, N, n_head * d, 0, 0);
  tensor k = new_tensor(be, RING, n_kv_head * d, -2, 2), v = new_tensor(be, RING, n_kv_head * d, -1, 1);
  int32_t places[RING], slots[TABLE], first[N], length[N];
  for (int32_t i = 0; i < RING; i++) places[i] = i;
  for (int32_t i = 0; i < TABLE; i++) slots[i] = i % RING;
  for (int32_t i = 0; i < N; i++) first[i] = 50 + i, length[i] = window;
  kv *c = be->ops->kv_open(be, KV_SLOTS, KV_16, RING, n_kv_head, d);
  be->ops->kv_store(be, c, k, v, places);
  const kv_view view = {.slots = slots, .first = first, .length = length, .softcap = cap};
  be->ops->attention(be, y, q, c, 0.1f, &view);
  double worst = 0;
  for (int32_t i = 0; i < N; i++) {
    for (int32_t h = 0; h < n_head; h++) {
      const int32_t kv_column = h / (n_head / n_kv_head) * d;
      double p[RING], sum = 0, out[256] = {0};
      for (int32_t j = 0; j < window; j++) {
        const float *key = tensor_at(k, (50 + i + j) % RING) + kv_column;
        double score = 0;
        for (int32_t e = 0; e < d; e++) score += (double)tensor_at(q, i)[h * d + e] * key[e] * 0.1;
        sum += p[j] = exp(cap > 0 ? cap * tanh(score / cap) : score);
      }
      for (int32_t j = 0; j < window; j++)
        for (int32_t e = 0; e < d; e++) out[e] += p[j] / sum * tensor_at(v, (50 + i + j) % RING)[kv_column + e];
      for (int32_t e = 0; e < d; e++) worst = worse(worst, tensor_at(y, i)[h * d + e], out[e], 1);
    }
  }
  CHECK_NEAR(worst, 0, 1.5e-3);
  be->ops->kv_close(be, c);
  drop(be, q), drop(be, y), drop(be, k), drop(be, v);
}

int main(void) {
  pool *threads = pool_open(2);
  for (int32_t i = 0; kernels_available(i); i++) {
    backend *be = cpu_backend_open(threads);
    if (!CHECK(be != NULL)) break;
    ((cpu *)be)->k = kernels_available(i);
    static const int32_t sizes[] = {1, 3, 7, 16, 64, 129, 640, 1152};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      test_rms_norm(be, 1 + (int32_t)s * 5, sizes[s], 3);
      test_rms_norm(be, 3, sizes[s], 1e4f); /* Gemma 3's residual stream is large */
      test_elementwise(be, sizes[s], 6);
      test_elementwise(be, sizes[s], 1000);
    }
    test_rotate(be, 1, 4, 64, true);
    test_rotate(be, 33, 1, 256, true);
    test_rotate(be, 5, 3, 10, false);
    test_attention(be, 4, 1, 64, 16, 0);
    test_attention(be, 4, 2, 64, 40, 50);
    test_attention(be, 8, 4, 256, 1, 0);
    test_attention(be, 3, 3, 20, 17, 5);
    cpu_backend_close(be);
  }
  pool_close(threads);
  return check_end();
}
