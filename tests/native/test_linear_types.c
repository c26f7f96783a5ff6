/* Matrix products with weights of every type that a model file can have, of every instruction set, against the reference dequantization in
 * float64: from one row of activations to a hundred, odd numbers of outputs, blocks as quantizers make them and blocks of any bits.
 *
 * What an output may be off: activations may become 8-bit integers, each 32 of them with a unit of their own, or finer; weights count as they are.
 * That leaves an error of half a unit for each element, which adds up as noise does where activations are random. Rows, columns and blocks
 * differ in size by powers of two, so that a scale, a lane or a row taken for another is far outside. */
#include "../../src/base/pool.h"
#include "../../src/cpu/cpu.h"
#include "check.h"

static random_state rng = {5};

enum { MOST_ROWS = 100 };

static void *need(size_t count, size_t size) {
  void *p = mem_alloc(count, size);
  if (p) return p;
  CHECK(!"no memory");
  exit(check_end());
}

/* ---- weights ---- */

typedef struct type_case {
  uint32_t type;
  int scale_at, offset_at; /* of a block's f16 factors, -1: it has none */
} type_case;

static const type_case types[] = {
    {DTYPE_F32, -1, -1}, {DTYPE_F16, -1, -1}, {DTYPE_BF16, -1, -1},  {DTYPE_Q4_0, 0, -1},   {DTYPE_Q4_1, 0, 2},
    {DTYPE_Q5_0, 0, -1}, {DTYPE_Q5_1, 0, 2},  {DTYPE_Q8_0, 0, -1},   {DTYPE_Q2_K, 80, 82},  {DTYPE_Q3_K, 108, -1},
    {DTYPE_Q4_K, 0, 2},  {DTYPE_Q5_K, 0, 2},  {DTYPE_Q6_K, 208, -1}, {DTYPE_IQ4_NL, 0, -1}, {DTYPE_IQ4_XS, 0, -1},
};

typedef enum bits { BITS_QUANTIZED, BITS_RANDOM, BITS_ZERO, BITS_ONE, BITS_LOWEST } bits; /* LOWEST: bytes 0x80 */

/* A row as a quantizer makes it: every 32 elements have a size of their own, and a mean that is not 0. */
static void fill_quantized(uint32_t type, uint8_t *row, float *x, int32_t in, int32_t index) {
  for (int32_t k = 0; k < in; k += 32) {
    const float size = ldexpf(0.05f, index % 5 + (int)random_below(&rng, 3)), mean = random_uniform(&rng, -size, size);
    for (int32_t e = k; e < min_i32(in, k + 32); e++) x[e] = mean + random_uniform(&rng, -size, size);
  }
  CHECK(quantize_row(type, x, row, (size_t)in));
}

/* A row of any bits, with factors that are numbers of either sign. */
static void fill_bits(const type_case *t, uint8_t *row, int32_t in, int32_t index, bits kind) {
  const size_t block = dtype_block_bytes(t->type), n = dtype_row_bytes(t->type, (size_t)in);
  static const int bytes[] = {[BITS_ZERO] = 0, [BITS_ONE] = 0xff, [BITS_LOWEST] = 0x80};
  for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(kind == BITS_RANDOM ? (int)random_below(&rng, 256) : bytes[kind]);
  for (size_t i = 0; i < n; i += block) {
    const uint16_t scale = f32_to_f16(ldexpf(random_uniform(&rng, -0.01f, 0.01f), index % 5));
    const uint16_t offset = f32_to_f16(random_uniform(&rng, -0.05f, 0.05f));
    memcpy(row + i + t->scale_at, &scale, 2);
    if (t->offset_at >= 0) memcpy(row + i + t->offset_at, &offset, 2);
  }
}

/* A weight [out, in]; *values gets what its rows say, as f32. */
static weight *new_weight(backend *be, const type_case *t, int32_t out, int32_t in, bits kind, float **values) {
  const size_t row_bytes = dtype_row_bytes(t->type, (size_t)in);
  uint8_t *rows = need((size_t)out, row_bytes);
  float *x = *values = need((size_t)out * (size_t)in, sizeof *x);
  for (int32_t i = 0; i < out; i++, x += in) {
    uint8_t *row = rows + (size_t)i * row_bytes;
    if (kind == BITS_QUANTIZED)
      fill_quantized(t->type, row, x, in, i);
    else
      fill_bits(t, row, in, i, kind);
    dequantize_row(t->type, row, x, (size_t)in);
  }
  weight *w = be->ops->weight_open(be, t->type, out, in);
  if (w == NULL) {
    skip(dtype_name(t->type));
    mem_free(*values);
  } else {
    for (int32_t i = 0, n = 1; i < out;
         i += n, n = min_i32(n % 4 + 1, out - i)) /* by 1, 2, 3, 4 rows, as files are read */
      be->ops->weight_rows(be, w, i, n, rows + (size_t)i * row_bytes);
    be->ops->weight_seal(be, w);
  }
  mem_free(rows);
  return w;
}

/* ---- activations ---- */

typedef enum kind { RANDOM, LARGEST, ALTERNATING, OUTLIER, TINY, ZERO, N_KINDS } kind;

static void fill_row(float *x, int32_t n, int32_t index, kind k) {
  const float size = ldexpf(1, index * 5 % 7 - 3); /* rows next to each other differ */
  for (int32_t i = 0; i < n; i++) {
    const float random = random_uniform(&rng, -size, size);
    switch (k) {
      case LARGEST:
        x[i] = 1e4f;
        break;
      case ALTERNATING:
        x[i] = i % 2 ? size : -size;
        break;
      case OUTLIER:
        x[i] = i == (index * 37 + 5) % n ? 3e4f : random;
        break;
      case TINY:
        x[i] = random * 1e-25f;
        break;
      case ZERO:
        x[i] = 0;
        break;
      default:
        x[i] = random;
        break;
    }
  }
}

/* What output x · w may be off. */
static double allowed(const float *x, const float *w, int32_t n, kind k) {
  double most = 0, noise = 0, norm_x = 0, norm_w = 0;
  for (int32_t b = 0; b < n; b += 32) {
    double top = 0, size = 0, squares = 0;
    for (int32_t i = b; i < min_i32(n, b + 32); i++) {
      top = fmax(top, fabs(x[i])), size += fabs(w[i]), squares += (double)w[i] * w[i];
      norm_x += (double)x[i] * x[i];
    }
    most += 0.501 / 127 * top * size, noise += top * top / (127.0 * 127 * 12) * squares, norm_w += squares;
  }
  if (k == RANDOM || k == TINY) most = fmin(most, 6.5 * sqrt(noise)); /* else errors may all have one sign */
  return most + 1.6e-5 * sqrt(n * norm_x * norm_w) + 1e-30;           /* 16-bit operands with one unit a row */
}

/* ---- products ---- */

typedef struct product_case {
  const type_case *t;
  int32_t out, in;
  kind kind;
  bits bits;
  const weight *w;
  tensor x;                 /* [MOST_ROWS, in], with a gap after each row */
  double *expected, *limit; /* [MOST_ROWS, out] */
} product_case;

static void expect(product_case *p, const float *values, int32_t rows) {
  for (int32_t i = 0; i < rows; i++) {
    const float *x = tensor_at(p->x, i);
    for (int32_t j = 0; j < p->out; j++) {
      const float *w = values + (size_t)j * (size_t)p->in;
      double sum = 0;
      for (int32_t k = 0; k < p->in; k++) sum += (double)x[k] * w[k];
      p->expected[i * p->out + j] = sum;
      p->limit[i * p->out + j] = allowed(x, w, p->in, p->kind);
    }
  }
}

static double gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2.0))); }

/* The first `rows` rows; with bias, GELU and a residual in place, or without. The columns after the last output stay as they are. */
static void check_rows(backend *be, const product_case *p, int32_t rows, bool with) {
  enum { GAP = 3 };
  const int32_t stride = p->out + GAP;
  const float guard = 12345.5f;
  tensor y = {be->ops->buffer_open(be, (size_t)(rows * stride)), 0, rows, p->out, stride};
  tensor bias = {be->ops->buffer_open(be, (size_t)p->out), 0, 1, p->out, p->out};
  if (!CHECK(y.buf != NULL && bias.buf != NULL)) exit(check_end());
  random_fill(&rng, bias.buf->data, (size_t)p->out, -1, 1);
  for (int32_t i = 0; i < rows * stride; i++) y.buf->data[i] = i % stride < p->out ? (float)(i % 7) : guard;
  be->ops->linear(be, y, tensor_rows(p->x, 0, rows), p->w, with ? &bias : NULL, with ? ACT_GELU_ERF : ACT_NONE,
                  with ? &y : NULL);
  double worst = 0; /* of what is allowed */
  int32_t at = 0;
  bool guarded = true;
  for (int32_t i = 0; i < rows; i++) {
    for (int32_t j = 0; j < stride; j++) {
      const float got = y.buf->data[i * stride + j];
      if (j >= p->out) {
        guarded = guarded && got == guard;
        continue;
      }
      double expected = p->expected[i * p->out + j], limit = p->limit[i * p->out + j];
      if (with) {
        expected = gelu(expected + bias.buf->data[j]) + (i * stride + j) % 7;
        limit = 1.2 * limit + 1e-5 + 1e-6 * fabs(expected);
      }
      const double off = fabs(got - expected) / limit;
      if (!(off <= worst)) worst = off, at = i * p->out + j; /* NaN counts */
    }
  }
  if (!CHECK(worst <= 1) || !CHECK(guarded))
    fprintf(stderr,
            "%s %s, %d rows, out %d, in %d, activations %d, bits %d%s: %g times the allowed error at [%d, %d]\n",
            be->ops->name, dtype_name(p->t->type), (int)rows, (int)p->out, (int)p->in, p->kind, p->bits,
            with ? ", with all" : "", worst, (int)(at / p->out), (int)(at % p->out));
  be->ops->buffer_close(be, y.buf), be->ops->buffer_close(be, bias.buf);
}

/* Rows of the matrix by index, as for the embedding of tokens. */
static void check_embed(backend *be, const product_case *p, const float *values) {
  const int32_t ids[] = {p->out - 1, 0, p->out / 2};
  tensor y = tensor_matrix(be->ops->buffer_open(be, (size_t)(3 * p->in)), 0, 3, p->in);
  if (!CHECK(y.buf != NULL)) exit(check_end());
  be->ops->embed(be, y, p->w, ids, 1.0f, NULL, NULL);
  bool ok = true;
  for (int i = 0; i < 3; i++) {
    const float *row = values + (size_t)ids[i] * (size_t)p->in;
    double squares = 0;
    for (int32_t k = 0; k < p->in; k++) squares += (double)row[k] * row[k];
    const double limit = p->t->scale_at < 0 ? 2e-5 * sqrt(squares) : 1e-6 * sqrt(squares);
    for (int32_t k = 0; k < p->in; k++) ok = ok && fabs((double)tensor_at(y, i)[k] - row[k]) <= limit;
  }
  CHECK(ok);
  be->ops->buffer_close(be, y.buf);
}

static bool check_products(backend *be, const type_case *t, int32_t out, int32_t in, kind k, bits b,
                           const int32_t *rows, size_t n_rows) {
  enum { GAP = 5 };
  float *values;
  product_case p = {.t = t, .out = out, .in = in, .kind = k, .bits = b};
  weight *w = new_weight(be, t, out, in, b, &values);
  if (w == NULL) return false;
  const int32_t most = rows[n_rows - 1];
  p.w = w;
  p.x = (tensor){be->ops->buffer_open(be, (size_t)(most * (in + GAP))), 0, most, in, in + GAP};
  p.expected = need((size_t)(most * out), sizeof *p.expected), p.limit = need((size_t)(most * out), sizeof *p.limit);
  if (!CHECK(p.x.buf != NULL)) exit(check_end());
  for (int32_t i = 0; i < most * (in + GAP); i++) p.x.buf->data[i] = 1e6f; /* not to be read */
  for (int32_t i = 0; i < most; i++) fill_row(tensor_at(p.x, i), in, i, k);
  expect(&p, values, most);
  for (size_t r = 0; r < n_rows; r++) {
    check_rows(be, &p, rows[r], false);
    if (k == RANDOM && r % 3 == 0) check_rows(be, &p, rows[r], true);
  }
  if (k == RANDOM) check_embed(be, &p, values);
  be->ops->buffer_close(be, p.x.buf);
  be->ops->weight_close(be, w);
  mem_free(p.expected), mem_free(p.limit), mem_free(values);
  return true;
}

static void test_type(backend *be, const type_case *t) {
  static const int32_t all[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, MOST_ROWS}, some[] = {1, 5, 17};
  enum { N_ALL = sizeof all / sizeof *all, N_SOME = sizeof some / sizeof *some };
  const int32_t block = (int32_t)dtype_block_elements(t->type), step = block == 1 ? 1 : block;
  const int32_t ins[] = {block == 1 ? 33 : block, block == 256 ? 768 : 640, block == 256 ? 2048 : 1152};
  if (!check_products(be, t, 37, ins[0], RANDOM, BITS_QUANTIZED, all, N_ALL)) return;
  check_products(be, t, 101, ins[1], RANDOM, BITS_QUANTIZED, all, N_ALL);
  check_products(be, t, 3, ins[2], RANDOM, BITS_QUANTIZED, all, N_ALL);
  check_products(be, t, 1, 3 * step, RANDOM, BITS_QUANTIZED, some, N_SOME);
  check_products(be, t, 300, step, RANDOM, BITS_QUANTIZED, some, N_SOME);
  for (kind k = LARGEST; k < N_KINDS; k++) check_products(be, t, 19, 2 * ins[0], k, BITS_QUANTIZED, some, N_SOME);
  if (block == 1) return;
  for (bits b = BITS_RANDOM; b <= BITS_LOWEST; b++)
    for (kind k = RANDOM; k <= OUTLIER; k++) check_products(be, t, 34, 3 * step, k, b, some, N_SOME);
  check_products(be, t, 70, ins[1], RANDOM, BITS_RANDOM, all, N_ALL);
}

int main(void) {
  pool *threads = pool_open(2);
  if (!CHECK(threads != NULL)) return check_end();
  for (int32_t i = 0; kernels_available(i); i++) {
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
      backend *be = cpu_backend_open(threads);
      if (!CHECK(be != NULL)) break;
      ((cpu *)be)->k = kernels_available(i);
      test_type(be, &types[t]);
      cpu_backend_close(be);
    }
    printf("%s: %d checks so far\n", kernels_available(i)->name, check_n_passed + check_n_failed);
  }
  pool_close(threads);
  return check_end();
}
