/* Every kernel of every instruction set that runs here against float64: sizes that fit no tile, values that are extreme. */
#include "../../src/cpu/cpu_kv.h"
#include "check.h"

static random_state rng = {2026};

static void *need(size_t count, size_t size) {
  void *p = mem_alloc(count, size);
  if (p) return p;
  CHECK(!"no memory");
  exit(check_end());
}

/* -- kernels by themselves -- */

static void test_tile(const kernels *k) {
  static const int32_t lengths[] = {1, 2, 3, 33, 64, UNIT_LENGTH, UNIT_LENGTH + 1, 3 * UNIT_LENGTH - 5};
  enum { PANELS = 3, STRETCHES = 3 };
  for (int32_t m = 1; m <= k->mr; m++) {
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
      const int32_t n = lengths[l], k2 = (n + 1) / 2, nr = k->nr, width = PANELS * nr, ldc = width + 3;
      int16_t *a = need((size_t)(k2 * m * 2), sizeof *a), *b = need((size_t)(k2 * width * 2), sizeof *b);
      float *c = need((size_t)(m * ldc), sizeof *c), unit_a[STRETCHES * 9],
            *unit_b = need((size_t)width, sizeof *unit_b);
      for (int32_t i = 0; i < k2 * m * 2; i++) a[i] = (int16_t)((int32_t)random_below(&rng, 4001) - 2000);
      for (int32_t i = 0; i < k2 * width * 2; i++) b[i] = (int16_t)((int32_t)random_below(&rng, 8001) - 4000);
      random_fill(&rng, unit_a, STRETCHES * 9, 0.5f, 2);
      random_fill(&rng, unit_b, (size_t)width, 0.5f, 2);
      k->tile[m - 1](a, unit_a, 9, b, unit_b, n, PANELS, c, (size_t)ldc);
      bool ok = true;
      for (int32_t i = 0; i < m; i++) {
        for (int32_t j = 0; j < width; j++) {
          double sum = 0, size = 0;
          for (int32_t e = 0; e < 2 * k2; e++) {
            const double term = (double)a[(e / 2 * m + i) * 2 + e % 2] *
                                b[((j / nr * k2 + e / 2) * nr + j % nr) * 2 + e % 2] * unit_a[e / UNIT_LENGTH * 9 + i] *
                                unit_b[j];
            sum += term, size += fabs(term);
          }
          ok = ok && fabs(c[i * ldc + j] - sum) <= 1e-6 * size;
        }
      }
      CHECK(ok);
      mem_free(a), mem_free(b), mem_free(c), mem_free(unit_b);
    }
  }
}

/* The same in bytes: quads of 8, of which both sides hold the same elements. */
static void test_byte_tile(const kernels *k) {
  static const int32_t runs[] = {1, 2, UNIT_LENGTH / 32, 9};
  enum { PANELS = 3, STRIDE = 9 };
  if (k->byte_run == 0) return;
  for (int32_t m = 1; m <= k->mr; m++) {
    for (size_t l = 0; l < sizeof runs / sizeof runs[0]; l++) {
      const int32_t n = runs[l] * k->byte_run, nr = k->nr, width = PANELS * nr, ldc = width + 3;
      const int32_t stretches = (n + UNIT_LENGTH - 1) / UNIT_LENGTH;
      int8_t *a = need((size_t)(n * m), 1);
      uint8_t *b = need((size_t)(n * width), 1);
      float *c = need((size_t)(m * ldc), sizeof *c), *unit_a = need((size_t)(stretches * STRIDE), sizeof *unit_a),
            *unit_b = need((size_t)(stretches * width), sizeof *unit_b);
      int32_t *begin = need((size_t)(stretches * STRIDE), sizeof *begin);
      for (int32_t i = 0; i < n * m; i++) a[i] = (int8_t)((int32_t)random_below(&rng, 129) - 64);
      for (int32_t i = 0; i < n * width; i++) b[i] = (uint8_t)(1 + random_below(&rng, 127));
      random_fill(&rng, unit_a, (size_t)(stretches * STRIDE), 0.5f, 2);
      random_fill(&rng, unit_b, (size_t)(stretches * width), 0.5f, 2);
      for (int32_t i = 0; i < stretches * STRIDE; i++) begin[i] = (int32_t)random_below(&rng, 2001) - 1000;
      k->byte_tile[m - 1](a, unit_a, begin, STRIDE, b, unit_b, n, PANELS, c, (size_t)ldc);
      bool ok = true;
      for (int32_t i = 0; i < m; i++) {
        for (int32_t j = 0; j < width; j++) {
          double sum = 0, size = 1e-30;
          for (int32_t s = 0; s < stretches; s++) {
            int64_t dot = begin[s * STRIDE + i];
            for (int32_t e = s * UNIT_LENGTH; e < min_i32(n, (s + 1) * UNIT_LENGTH); e++)
              dot += a[(e / 8 * m + i) * 8 + e % 8] *
                     b[(size_t)(j / nr * n * nr) + (size_t)(((e / 8 * 2 + e % 8 / 4) * nr + j % nr) * 4 + e % 4)];
            const double term = (double)dot * unit_a[s * STRIDE + i] * unit_b[(j / nr * stretches + s) * nr + j % nr];
            sum += term, size += fabs(term);
          }
          ok = ok && fabs(c[i * ldc + j] - sum) <= 1e-6 * size;
        }
      }
      CHECK(ok);
      mem_free(a), mem_free(b), mem_free(c), mem_free(unit_a), mem_free(unit_b), mem_free(begin);
    }
  }
}

/* Rows of every kind, by number. */
static const char *fill_kind(float *x, int32_t n, int kind) {
  static const char *names[] = {"random",   "all largest", "one outlier", "tiny",    "huge",
                                "denormal", "zero",        "alternating", "constant"};
  for (int32_t i = 0; i < n; i++) {
    switch (kind) {
      case 0:
        x[i] = random_uniform(&rng, -1, 1);
        break;
      case 1:
        x[i] = 1e4f;
        break;
      case 2:
        x[i] = i == n / 2 ? 1e4f : random_uniform(&rng, -1e-3f, 1e-3f);
        break;
      case 3:
        x[i] = random_uniform(&rng, -1e-25f, 1e-25f);
        break;
      case 4:
        x[i] = random_uniform(&rng, -1, 1) * 3e38f / (float)n;
        break;
      case 5:
        x[i] = random_uniform(&rng, -1e-39f, 1e-39f);
        break;
      case 6:
        x[i] = 0;
        break;
      case 7:
        x[i] = i % 2 ? 1.0f : -1.0f;
        break;
      default:
        x[i] = -0.3f;
        break;
    }
  }
  return names[kind];
}
enum { N_KINDS = 9 };

/* Which element of a row byte `at` of quads is. */
static int32_t byte_element(const kernels *k, int32_t at) {
  const int32_t lanes = k->byte_run / 8, group = at / 8;
  return group / lanes * k->byte_run + at % 8 * lanes + group % lanes;
}

/* Both operands of the products in bytes: near what they round, the same elements in the same places, and no sum of four products leaves 16 bits. */
static void test_bytes(const kernels *k) {
  enum { MAX = 3 * UNIT_LENGTH };
  static const int32_t lengths[] = {1, 3, 31, 65, UNIT_LENGTH, MAX - 5, MAX};
  if (k->byte_run == 0) return;
  float x[MAX];
  int8_t quads[MAX];
  for (int kind = 0; kind < N_KINDS; kind++) {
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
      const int32_t n = lengths[l];
      const char *name = fill_kind(x, n, kind);
      bool fits = true, close = true;
      for (int32_t at = 0; at < n; at += UNIT_LENGTH) {
        const int32_t length = min_i32(UNIT_LENGTH, n - at);
        const int32_t padded = (length + k->byte_run - 1) / k->byte_run * k->byte_run;
        int32_t begin = 0, sum = 0;
        const float unit = k->quantize_bytes(x + at, length, quads, 8, &begin);
        for (int32_t i = 0; i < padded; i++) {
          const int32_t e = byte_element(k, i);
          close = close && fabs((double)quads[i] * unit - (e < length ? x[at + e] : 0)) <= 0.51 * unit + 1e-32;
          sum += quads[i];
        }
        for (int32_t i = 0; i < padded; i += i % 8 == 2 ? 6 : 2) /* 0, 2, 8, 10 ... */
          fits = fits && (abs(quads[i]) + abs(quads[i + 1]) + abs(quads[i + 4]) + abs(quads[i + 5])) * 127 <= INT16_MAX;
        fits = fits && begin == -64 * sum;
      }
      if (!CHECK(fits) || !CHECK(close)) fprintf(stderr, "bytes of %s, %d elements\n", name, n);

      enum { MAX_NR = 16 };
      int16_t panel[(MAX + 1) * MAX_NR];
      uint8_t bytes[(MAX + 8 * 8) * MAX_NR];
      float scales[MAX_NR], units[MAX / UNIT_LENGTH * MAX_NR];
      for (int32_t c = 0; c < k->nr; c++) scales[c] = quantize_right(k, x, n, panel + 2 * c, (size_t)k->nr);
      k->narrow_panel(panel, scales, n, bytes, units);
      close = true;
      for (int32_t i = 0; i < (n + k->byte_run - 1) / k->byte_run * k->byte_run; i++) {
        const int32_t e = byte_element(k, i);
        for (int32_t c = 0; c < k->nr; c++) {
          const int u = bytes[((i / 8 * 2 + i % 8 / 4) * k->nr + c) * 4 + i % 4];
          const float unit = units[e / UNIT_LENGTH * k->nr + c];
          close = close && u >= 1 && u <= 127;
          close = close &&
                  (e < n ? fabs((double)(u - 64) * unit - x[e]) <= 0.51 * unit + 0.51 * scales[c] + 1e-32 : u == 64);
        }
      }
      if (!CHECK(close)) fprintf(stderr, "panel of %s, %d elements\n", name, n);
    }
  }
}

/* The claim that 32-bit accumulators rest on: whatever the rows, no partial sum of a stretch reaches 2^31. */
static void test_no_overflow(const kernels *k) {
  enum { MAX = 3 * UNIT_LENGTH };
  static const int32_t lengths[] = {1, 2, 3, 5, 31, 63, 64, UNIT_LENGTH - 1, UNIT_LENGTH, UNIT_LENGTH + 1, MAX};
  float x[MAX], w[MAX];
  int16_t a[MAX + 1], b[MAX + 1];
  for (int kx = 0; kx < N_KINDS; kx++) {
    for (int kw = 0; kw < N_KINDS; kw++) {
      for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        const int32_t n = lengths[l];
        const char *name_x = fill_kind(x, n, kx), *name_w = fill_kind(w, n, kw);
        memset(a, 0, sizeof a), memset(b, 0, sizeof b);
        const float unit_b = quantize_right(k, w, n, b, 1);
        bool ok = true, close = true;
        for (int32_t at = 0; at < n; at += UNIT_LENGTH) {
          const int32_t length = min_i32(UNIT_LENGTH, n - at);
          const float unit_a = quantize_left(k, x + at, length, a + at, 1);
          int64_t sum = 0;
          for (int32_t i = at; i < at + length; i++) {
            sum += llabs((int64_t)a[i] * b[i]);
            ok = ok && a[i] != -32768 && b[i] != -32768;
            close = close && fabs((double)a[i] * unit_a - x[i]) <= 0.51 * unit_a + 1e-32;
            close = close && fabs((double)b[i] * unit_b - w[i]) <= 0.51 * unit_b + 1e-32;
          }
          ok = ok && sum <= INT32_MAX;
        }
        CHECK(ok);
        if (!CHECK(close)) fprintf(stderr, "%s times %s, %d elements\n", name_x, name_w, n);
      }
    }
  }
}

static void test_columns(const kernels *k) {
  static const int32_t heights[] = {1, 2, 7, UNIT_LENGTH, UNIT_LENGTH + 33};
  for (size_t h = 0; h < sizeof heights / sizeof heights[0]; h++) {
    for (int32_t cols = 1; cols <= k->nr; cols++) {
      const int32_t n = heights[h], stride = k->nr + 5;
      float *x = need((size_t)(n * stride), sizeof *x), *scales = need((size_t)k->nr, sizeof *scales);
      int16_t *panel = need((size_t)((n + 1) / 2 * 2 * k->nr), sizeof *panel);
      random_fill(&rng, x, (size_t)(n * stride), -3, 3);
      k->quantize_columns(x, (size_t)stride, n, cols, panel, scales);
      bool ok = true;
      for (int32_t i = 0; i < (n + 1) / 2 * 2; i++) {
        for (int32_t c = 0; c < k->nr; c++) {
          const double got = (double)panel[(i / 2 * k->nr + c) * 2 + i % 2] * scales[c];
          const double expected = i < n && c < cols ? x[i * stride + c] : 0;
          ok = ok && fabs(got - expected) <= 0.51 * scales[c];
        }
      }
      CHECK(ok);
      mem_free(x), mem_free(scales), mem_free(panel);
    }
  }
}

static void test_elementwise(const kernels *k) {
  enum { MAX = 1300 };
  static float x[MAX], y[MAX], bias[MAX], residual[MAX];
  static const int32_t lengths[] = {1, 2, 3, 4, 5, 8, 9, 31, 384, 1281};
  for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
    const int32_t n = lengths[l];
    for (int gelu = 0; gelu <= 1; gelu++) {
      for (int with = 0; with <= 3; with++) {
        random_fill(&rng, x, MAX, -9, 9);
        random_fill(&rng, bias, MAX, -1, 1);
        random_fill(&rng, residual, MAX, -5, 5);
        k->finish(y, x, n, with & 1 ? bias : NULL, gelu, with & 2 ? residual : NULL);
        double worst = 0;
        for (int32_t i = 0; i < n; i++) {
          double v = (double)x[i] + (with & 1 ? bias[i] : 0);
          if (gelu) v = 0.5 * v * (1 + erf(v / sqrt(2.0)));
          worst = fmax(worst, fabs(y[i] - (v + (with & 2 ? residual[i] : 0))));
        }
        CHECK_NEAR(worst, 0, 3e-6);
      }
    }

    /* softmax: the sum is 1, the values are those of exp, for scores from flat to a single peak */
    for (int spread = 0; spread < 3; spread++) {
      const float width = spread == 0 ? 1e-3f : spread == 1 ? 8.0f : 400.0f, factor = 0.125f;
      random_fill(&rng, x, MAX, -width, width);
      memcpy(y, x, sizeof y);
      const float sum = k->exp_sum(y, n, factor);
      double top = -1e30, expected = 0, worst = 0;
      for (int32_t i = 0; i < n; i++) top = fmax(top, x[i]);
      for (int32_t i = 0; i < n; i++) {
        const double e = exp(((double)x[i] - top) * factor);
        expected += e;
        worst = fmax(worst, fabs(y[i] - e) / (e + 1e-30));
      }
      CHECK_NEAR(sum / expected, 1, 3e-6);
      CHECK_NEAR(worst, 0, 4e-6);
    }

    for (int kind = 0; kind < 3; kind++) {
      for (int32_t i = 0; i < n; i++)
        x[i] = kind == 0 ? random_uniform(&rng, -2, 2) : kind == 1 ? 7.5f : 300 + random_uniform(&rng, -1, 1);
      random_fill(&rng, bias, MAX, -1, 1);
      random_fill(&rng, residual, MAX, 0.5f, 2);
      memcpy(y, x, sizeof y);
      k->layer_norm(y, y, n, residual, bias, 1e-5f);
      double mean = 0, variance = 0, worst = 0;
      for (int32_t i = 0; i < n; i++) mean += x[i] / (double)n;
      for (int32_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / n;
      for (int32_t i = 0; i < n; i++)
        worst = fmax(worst, fabs(y[i] - ((x[i] - mean) / sqrt(variance + 1e-5) * residual[i] + bias[i])));
      CHECK_NEAR(worst, 0, kind == 2 ? 5e-4 : 2e-5);
    }
  }
}

/* -- operations, over a backend that uses the given kernels -- */

static tensor new_tensor(backend *be, int32_t rows, int32_t cols, float low, float high) {
  tensor t = {be->ops->buffer_open(be, (size_t)rows * (size_t)cols), 0, rows, cols, cols};
  if (!CHECK(t.buf != NULL)) exit(check_end());
  float *x = need((size_t)rows * (size_t)cols, sizeof *x);
  random_fill(&rng, x, (size_t)rows * (size_t)cols, low, high);
  be->ops->upload(be, t, x);
  mem_free(x);
  return t;
}

/* A weight of random rows; *values gets what its blocks say, as f32 [out, in]. NULL where the type cannot be written. */
static weight *new_weight(backend *be, uint32_t type, int32_t out, int32_t in, float **values) {
  const size_t row_bytes = dtype_row_bytes(type, (size_t)in);
  float *row = need((size_t)in, sizeof *row), *x = need((size_t)out * (size_t)in, sizeof *x);
  uint8_t *rows = need((size_t)out, row_bytes);
  bool ok = true;
  for (int32_t i = 0; i < out; i++) {
    random_fill(&rng, row, (size_t)in, -0.2f, 0.2f);
    ok = ok && quantize_row(type, row, rows + (size_t)i * row_bytes, (size_t)in);
    if (ok) dequantize_row(type, rows + (size_t)i * row_bytes, x + (size_t)i * (size_t)in, (size_t)in);
  }
  weight *w = ok ? be->ops->weight_open(be, type, out, in) : NULL;
  if (w) {
    for (int32_t i = 0; i < out; i += 7)
      be->ops->weight_rows(be, w, i, min_i32(7, out - i), rows + (size_t)i * row_bytes);
    be->ops->weight_seal(be, w);
  }
  mem_free(row), mem_free(rows);
  *values = x;
  return w;
}

/* The worst error over rows of y against x wᵀ, measured by |x| |w| / sqrt(in), which is the size of a usual element. */
static double linear_error(tensor y, tensor x, const float *w, int32_t in, const float *bias, bool gelu,
                           const float *residual) {
  double worst = 0;
  for (int32_t i = 0; i < x.rows; i++) {
    const float *row = tensor_at(x, i);
    double norm_x = 0;
    for (int32_t k = 0; k < in; k++) norm_x += (double)row[k] * row[k];
    for (int32_t j = 0; j < y.cols; j++) {
      const float *column = w + (size_t)j * (size_t)in;
      double sum = 0, norm_w = 0;
      for (int32_t k = 0; k < in; k++) sum += (double)row[k] * column[k], norm_w += (double)column[k] * column[k];
      if (bias) sum += bias[j];
      if (gelu) sum = 0.5 * sum * (1 + erf(sum / sqrt(2.0)));
      if (residual) sum += residual[i * y.cols + j];
      const double off = fabs(tensor_at(y, i)[j] - sum) / (sqrt(norm_x * norm_w / in) + 1e-3);
      worst = !(off <= worst) ? off : worst;
    }
  }
  return worst;
}

static void test_linear(backend *be) {
  static const uint32_t types[] = {DTYPE_F32,  DTYPE_F16,  DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1,
                                   DTYPE_Q8_0, DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
  static const int32_t rows[] = {1, 2, 5, 9, 16, 17, 61};
  static const int32_t shapes[][2] = {{1, 256}, {37, 256}, {64, 768}, {331, 512}};
  static const int32_t odd_shapes[][2] = {{5, 1}, {13, 3}, {40, 240}, {33, 387}, {9, 1153}};
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
    const bool any_length = dtype_block_elements(types[t]) == 1;
    for (size_t s = 0; s < (any_length ? 9 : 4); s++) {
      const int32_t out = s < 4 ? shapes[s][0] : odd_shapes[s - 4][0], in = s < 4 ? shapes[s][1] : odd_shapes[s - 4][1];
      float *values;
      weight *w = new_weight(be, types[t], out, in, &values);
      if (w == NULL) {
        skip(dtype_name(types[t]));
        mem_free(values);
        break;
      }
      tensor bias = new_tensor(be, 1, out, -1, 1);
      for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        tensor x = new_tensor(be, rows[r], in, -2, 2), y = new_tensor(be, rows[r], out, -1, 1);
        be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
        const double plain = linear_error(y, x, values, in, NULL, false, NULL);
        const size_t n = (size_t)rows[r] * (size_t)out;
        tensor z = new_tensor(be, rows[r], out, -1, 1);
        float *before = need(n, sizeof *before);
        memcpy(before, be->ops->read(be, z), n * sizeof *before);
        be->ops->linear(be, z, x, w, &bias, ACT_GELU_ERF, &z); /* in place of the residual */
        const double all = linear_error(z, x, values, in, tensor_at(bias, 0), true, before);
        /* 8-bit activations, where blocks are multiplied as they are: half a unit each, as noise, the worst of thousands of sums */
        const double limit = any_length ? 6e-3 : 2.5e-2;
        if (!CHECK(plain < limit) || !CHECK(all < limit))
          fprintf(stderr, "%s, %d rows, out %d, in %d: %g, %g\n", dtype_name(types[t]), rows[r], out, in, plain, all);
        mem_free(before);
        be->ops->buffer_close(be, x.buf), be->ops->buffer_close(be, y.buf), be->ops->buffer_close(be, z.buf);
      }

      /* rows of the table, by the ids of tokens */
      const int32_t ids[] = {out - 1, 0, out / 2}, pos[] = {1, 0, 1};
      tensor positions = new_tensor(be, 2, in, -1, 1), e = new_tensor(be, 3, in, 0, 0);
      be->ops->embed(be, e, w, ids, 1.0f, &positions, pos);
      double worst = 0;
      for (int i = 0; i < 3; i++)
        for (int32_t k = 0; k < in; k++)
          worst = fmax(worst, fabs((double)tensor_at(e, i)[k] - values[(size_t)ids[i] * (size_t)in + (size_t)k] -
                                   tensor_at(positions, pos[i])[k]));
      CHECK_NEAR(worst, 0, 1e-4);
      be->ops->buffer_close(be, positions.buf), be->ops->buffer_close(be, e.buf), be->ops->buffer_close(be, bias.buf);
      be->ops->weight_close(be, w);
      mem_free(values);
    }
  }
}

/* A convolution as overlapping rows; more rows than the left panels hold; rows that are not numbers harm only themselves. */
static void test_linear_views(backend *be) {
  float *values;
  weight *w = new_weight(be, DTYPE_F16, 21, 240, &values);
  tensor x = new_tensor(be, 1, 80 * 302, -1, 1), y = new_tensor(be, 300, 21, 0, 0);
  x.rows = 300, x.cols = 240, x.stride = 80;
  be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
  CHECK_NEAR(linear_error(y, x, values, 240, NULL, false, NULL), 0, 6e-3);
  const float special[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e-42f};
  tensor a = tensor_rows(x, 0, 40);
  a.stride = 240;
  for (int i = 0; i < 5; i++) tensor_at(a, 7 * i)[3 * i] = special[i];
  tensor b = tensor_rows(y, 0, 40);
  be->ops->linear(be, b, a, w, NULL, ACT_GELU_ERF, NULL);
  bool ok = true;
  for (int i = 0; i < 40; i++)
    for (int c = 0; c < 21; c++) ok = ok && (i % 7 == 0 || fabsf(tensor_at(b, i)[c]) < 100);
  CHECK(ok);
  CHECK(isnan(tensor_at(b, 0)[0]));
  be->ops->buffer_close(be, x.buf), be->ops->buffer_close(be, y.buf), be->ops->weight_close(be, w);
  mem_free(values);

  w = new_weight(be, DTYPE_Q8_0, 3, 5120, &values); /* 5 MB hold 512 such rows */
  x = new_tensor(be, 1201, 5120, -1, 1), y = new_tensor(be, 1201, 3, 0, 0);
  be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
  CHECK_NEAR(linear_error(y, x, values, 5120, NULL, false, NULL), 0, 6e-3);
  be->ops->buffer_close(be, x.buf), be->ops->buffer_close(be, y.buf), be->ops->weight_close(be, w);
  mem_free(values);
}

/* What may round to bytes: weights of every form, in pieces, with rows that are not numbers. */
static void test_rounded(backend *be) {
  static const uint32_t types[] = {DTYPE_F16, DTYPE_Q5_1, DTYPE_Q2_K};
  be->ops->round_to_bytes(be, true);
  for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
    float *values;
    weight *w = new_weight(be, types[t], 77, 512, &values);
    tensor x = new_tensor(be, 133, 512, -2, 2), y = new_tensor(be, 133, 77, 0, 0);
    be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
    const double off = linear_error(y, x, values, 512, NULL, false, NULL);
    if (!CHECK(off < 6e-2)) fprintf(stderr, "%s in bytes: %g\n", dtype_name(types[t]), off);
    tensor_at(x, 100)[7] = NAN, tensor_at(x, 101)[8] = -INFINITY;
    memset(tensor_at(x, 102), 0, 512 * sizeof(float));
    be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
    CHECK(isnan(tensor_at(y, 100)[0]) && isnan(tensor_at(y, 101)[76]) && tensor_at(y, 102)[3] == 0 &&
          isfinite(tensor_at(y, 99)[0]) && isfinite(tensor_at(y, 103)[0]));
    be->ops->buffer_close(be, x.buf), be->ops->buffer_close(be, y.buf), be->ops->weight_close(be, w);
    mem_free(values);
  }
  float *values;
  weight *w = new_weight(be, DTYPE_F16, 3, 387, &values);
  tensor x = new_tensor(be, 61, 387, -1, 1), y = new_tensor(be, 61, 3, 0, 0);
  be->ops->linear(be, y, x, w, NULL, ACT_NONE, NULL);
  CHECK_NEAR(linear_error(y, x, values, 387, NULL, false, NULL), 0, 6e-2);
  be->ops->buffer_close(be, x.buf), be->ops->buffer_close(be, y.buf), be->ops->weight_close(be, w);
  mem_free(values);
  be->ops->round_to_bytes(be, false);
}

static void test_refused(backend *be) {
  CHECK(be->ops->weight_open(be, 4, 8, 256) == NULL); /* no such type */
  CHECK(be->ops->weight_open(be, DTYPE_Q4_0, 8, 33) == NULL);
  CHECK(be->ops->weight_open(be, DTYPE_F16, INT32_MAX, 1 << 17) == NULL);
  CHECK(be->ops->weight_open(be, DTYPE_F32, 0, 4) == NULL);
}

/* One head of one query in float64; slots NULL: places in order. */
static void attend(double *y, const float *q, tensor k, tensor v, int32_t column, int32_t d, double scale,
                   const int32_t *slots, int32_t length) {
  double *p = need((size_t)length, sizeof *p), top = -1e300, sum = 0;
  for (int32_t i = 0; i < length; i++) {
    const float *key = tensor_at(k, slots ? slots[i] : i) + column;
    for (int32_t c = 0; c < d; c++) p[i] += (double)q[c] * key[c] * scale;
    top = fmax(top, p[i]);
  }
  for (int32_t i = 0; i < length; i++) sum += p[i] = exp(p[i] - top);
  for (int32_t c = 0; c < d; c++) {
    y[c] = 0;
    for (int32_t i = 0; i < length; i++) y[c] += p[i] / sum * tensor_at(v, slots ? slots[i] : i)[column + c];
  }
  mem_free(p);
}

static double attention_error(tensor y, tensor q, tensor k, tensor v, int32_t n_head, int32_t d, double scale,
                              const int32_t *slots, int32_t slot_stride, const int32_t *length) {
  double worst = 0, expected[128];
  for (int32_t i = 0; i < q.rows; i++) {
    for (int32_t h = 0; h < n_head; h++) {
      attend(expected, tensor_at(q, i) + h * d, k, v, h * d, d, scale, slots ? slots + i * slot_stride : NULL,
             slots ? length[i] : k.rows);
      for (int32_t c = 0; c < d; c++) {
        const double off = fabs(tensor_at(y, i)[h * d + c] - expected[c]);
        worst = !(off <= worst) ? off : worst;
      }
    }
  }
  return worst;
}

static void test_attention(backend *be) {
  static const int32_t places[] = {1, 2, 17, 129, 300, 1500}, queries[] = {1, 3, 7, 26, 41}, dims[] = {64, 64, 6, 80};
  for (size_t p = 0; p < 6; p++) {
    for (size_t n = 0; n < 5; n++) {
      for (size_t s = 0; s < 4; s++) {
        if (places[p] > 200 && (s > 1 || n % 2)) continue;
        const int32_t d = dims[s], n_head = s == 1 ? 1 : 3;
        /* the second: sharp, so that one place takes nearly all */
        tensor q = new_tensor(be, queries[n], n_head * d, s == 1 ? -9 : -1, s == 1 ? 9 : 1),
               y = new_tensor(be, queries[n], n_head * d, 0, 0);
        tensor k = new_tensor(be, places[p], n_head * d, -1, 1), v = new_tensor(be, places[p], n_head * d, -1, 1);
        kv *c = be->ops->kv_open(be, KV_WHOLE, KV_16, places[p], n_head, d);
        if (!CHECK(c != NULL)) return;
        be->ops->kv_fill(be, c, k, v);
        be->ops->cross_attention(be, y, q, c, 0.125f, NULL);
        CHECK_NEAR(attention_error(y, q, k, v, n_head, d, 0.125, NULL, 0, NULL), 0, 1.5e-3);
        be->ops->kv_close(be, c);

        c = be->ops->kv_open(be, KV_SLOTS, KV_16, places[p], n_head, d);
        int32_t *slots = need((size_t)(queries[n] * places[p]), sizeof *slots), length[64], order[1500];
        for (int32_t i = 0; i < places[p]; i++) order[i] = i;
        cpu_place(be, k, k, v, c, order, NULL);
        for (int32_t i = 0; i < queries[n]; i++) {
          length[i] = 1 + (int32_t)random_below(&rng, (uint32_t)places[p]);
          for (int32_t j = 0; j < places[p]; j++)
            slots[i * places[p] + j] = (int32_t)random_below(&rng, (uint32_t)places[p]);
        }
        const kv_view view = {.slots = slots, .slot_stride = places[p], .length = length};
        cpu_attend(be, y, q, c, 0.125f, &view);
        CHECK_NEAR(attention_error(y, q, k, v, n_head, d, 0.125, slots, places[p], length), 0, 1.5e-3);
        be->ops->kv_close(be, c);
        mem_free(slots);
        be->ops->buffer_close(be, q.buf), be->ops->buffer_close(be, y.buf);
        be->ops->buffer_close(be, k.buf), be->ops->buffer_close(be, v.buf);
      }
    }
  }
}

static void test_memory(backend *be) {
  tensor t = new_tensor(be, 6, 10, 0, 0), view = {t.buf, 3, 4, 5, 10};
  float x[20];
  for (int i = 0; i < 20; i++) x[i] = (float)i;
  be->ops->upload(be, view, x);
  CHECK(memcmp(be->ops->read(be, view), x, sizeof x) == 0);
  CHECK(t.buf->data[0] == 0 && t.buf->data[3] == 0 && t.buf->data[4] == 1 && t.buf->data[13] == 5 &&
        t.buf->data[8] == 0);
  be->ops->buffer_close(be, t.buf);
  be->ops->buffer_close(be, NULL);
  CHECK(be->ops->buffer_open(be, SIZE_MAX / 2) == NULL);
}

int main(void) {
  pool *threads = pool_open(2);
  if (!CHECK(threads != NULL)) return check_end();
  for (int32_t i = 0; kernels_available(i); i++) {
    const kernels *k = kernels_available(i);
    test_tile(k);
    test_byte_tile(k);
    test_bytes(k);
    test_no_overflow(k);
    test_columns(k);
    test_elementwise(k);
    backend *be = cpu_backend_open(threads);
    if (!CHECK(be != NULL)) break;
    ((cpu *)be)->k = k;
    test_memory(be);
    test_linear(be);
    test_linear_views(be);
    test_rounded(be);
    test_refused(be);
    test_attention(be);
    cpu_backend_close(be);
    printf("%s: %d checks so far\n", k->name, check_n_passed + check_n_failed);
  }
  CHECK(strcmp(cpu_backend_isa(), kernels_best()->name) == 0);
  pool_close(threads);
  return check_end();
}
