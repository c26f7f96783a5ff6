/* The fast kernels of quantizing: each table against the plain functions, on random, extreme, odd and impossible input; searches alike in all tables, and
 * no worse than rounding; each type within its bound. */
#include "../../src/quant/quant_kernels.h"
#include "check.h"

#include <float.h>

enum { N = 2048 };

static const uint32_t rounded[] = {DTYPE_F16, DTYPE_BF16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0};
static const uint32_t searched[] = {DTYPE_Q2_K, DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
static const uint32_t by_importance[] = {DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1};

/* ---- input ---- */

static float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

enum { NORMAL, TINY, HUGE_VALUES, HALVES, TIES, ZEROS, NEGATIVE, ANY_BITS, N_KINDS };

static void fill(float *x, int kind, random_state *r) {
  for (int i = 0; i < N; i++) {
    const float u = (float)(int32_t)random_u32(r) * 0x1p-31f, v = u * u * u;
    switch (kind) {
      case NORMAL:
        x[i] = v;
        break;
      case TINY:
        x[i] = v * 1e-40f;
        break;
      case HUGE_VALUES:
        x[i] = v * FLT_MAX;
        break;
      case HALVES: /* of what q8_0 rounds to: the largest is 127 */
        x[i] = i % 32 == 7 ? -127.0f : (float)((int)(random_u32(r) % 253) - 126) + 0.5f;
        break;
      case TIES: /* two of largest magnitude, of either sign */
        x[i] = i % 32 == (i / 32) % 32 ? 1.0f : i % 32 == (i / 32 * 5) % 32 ? -1.0f : v * 0.5f;
        break;
      case ZEROS:
        x[i] = i / 64 % 2 == 0 ? 0.0f : i % 3 == 0 ? -0.0f : v;
        break;
      case NEGATIVE:
        x[i] = -1.0f - v * 0.01f;
        break;
      default:
        x[i] = from_bits(random_u32(r));
        if (x[i] != x[i]) x[i] = INFINITY; /* rows with a NaN are refused: what becomes of it is left open */
    }
  }
}

/* ---- rounding ---- */

static void check_rounding(const quant_kernels *k, const float *x) {
  static uint8_t plain[4 * N], fast[4 * N];
  for (size_t t = 0; t < sizeof rounded / sizeof *rounded; t++) {
    const size_t bytes = dtype_row_bytes(rounded[t], N);
    memset(fast, 0xee, sizeof fast);
    quantize_row(rounded[t], x, plain, N);
    CHECK(k->round(rounded[t], x, fast, N));
    CHECK(memcmp(plain, fast, bytes) == 0 && fast[bytes] == 0xee);
  }
  CHECK(!k->round(DTYPE_Q4_K, x, fast, N) && !k->search(DTYPE_Q8_0, x, x, fast, N) &&
        !k->search(DTYPE_Q4_0, x, NULL, fast, N));
}

static void check_widening(const quant_kernels *k) {
  static uint16_t all[65536];
  static float plain[65536], fast[65536];
  for (uint32_t i = 0; i < 65536; i++) all[i] = (uint16_t)i;
  for (int t = 0; t < 2; t++) {
    const uint32_t type = t == 0 ? DTYPE_F16 : DTYPE_BF16;
    int wrong = 0;
    dequantize_row(type, all, plain, 65536);
    k->widen(type, all, fast, 65536);
    for (int i = 0; i < 65536; i++)
      wrong += plain[i] != plain[i] ? fast[i] == fast[i] : memcmp(&plain[i], &fast[i], 4) != 0;
    CHECK(wrong == 0);
  }
  k->widen(DTYPE_F32, plain, fast, 64);
  CHECK(memcmp(plain, fast, 64 * sizeof *plain) == 0);
  for (int i = 0; i < 64; i++) fast[i] = (float)-i;
  const float most = 63;
  uint32_t bits;
  memcpy(&bits, &most, sizeof bits);
  CHECK(k->largest(fast, 64) == bits && k->largest(fast, 0) == 0);
  fast[33] = -INFINITY;
  CHECK(k->largest(fast, 64) == 0x7f800000u);
  fast[1] = NAN;
  CHECK(k->largest(fast, 64) > 0x7f800000u);
}

/* ---- searching ---- */

static double error_of(uint32_t type, const float *x, const float *importance, const uint8_t *row) {
  static float back[N];
  double sum = 0;
  dequantize_row(type, row, back, N);
  for (int i = 0; i < N; i++)
    sum += (importance != NULL ? (double)importance[i] : 1) * ((double)back[i] - x[i]) * ((double)back[i] - x[i]);
  return sum;
}

static void check_search(const quant_kernels *k, uint32_t type, const float *x, const float *importance, int kind) {
  static uint8_t plain[4 * N], found[4 * N], base[4 * N];
  const size_t bytes = dtype_row_bytes(type, N);
  quantize_row(type, x, plain, N);
  memset(found, 0xee, sizeof found);
  CHECK(k->search(type, x, importance, found, N) && found[bytes] == 0xee);
  if (kind == HUGE_VALUES || kind == ANY_BITS) return; /* what comes of them is of no use, but for no harm */
  CHECK(quant_kernels_available(0)->search(type, x, importance, base, N) && memcmp(base, found, bytes) == 0);
  if (kind != NORMAL && kind != NEGATIVE && kind != ZEROS) return;
  const double before = error_of(type, x, importance, plain), after = error_of(type, x, importance, found);
  if (!CHECK(after <= before)) printf("%s, kind %d: %g > %g\n", dtype_name(type), kind, after, before);
  if (kind == NORMAL)
    printf("%s%s: square error %.3f of that of rounding\n", dtype_name(type),
           importance != NULL ? " by importance" : "", after / before);
}

static void check_searches(const quant_kernels *k, const float *x, int kind, random_state *r) {
  static float importance[N];
  for (int i = 0; i < N; i++) {
    const float u = (float)random_u32(r) * 0x1p-32f;
    importance[i] = i % 97 == 0 ? 0.0f : u * u * u * u;
  }
  for (size_t t = 0; t < sizeof searched / sizeof *searched; t++) {
    check_search(k, searched[t], x, NULL, kind);
    check_search(k, searched[t], x, importance, kind);
  }
  for (size_t t = 0; t < sizeof by_importance / sizeof *by_importance; t++)
    check_search(k, by_importance[t], x, importance, kind);
}

/* ---- bounds: of a value of [-1, 1], by the width of a step; the square error's root ---- */

static void check_bounds(const quant_kernels *k, const float *x) {
  static const struct {
    uint32_t type;
    double bound; /* root of the mean square error, of that of the values */
  } bounds[] = {{DTYPE_BF16, 2e-3}, {DTYPE_F16, 3e-4},  {DTYPE_Q8_0, 7e-3}, {DTYPE_Q6_K, 2e-2},
                {DTYPE_Q5_1, 5e-2}, {DTYPE_Q5_0, 6e-2}, {DTYPE_Q5_K, 4e-2}, {DTYPE_Q4_1, 9e-2},
                {DTYPE_Q4_0, 0.12}, {DTYPE_Q4_K, 8e-2}, {DTYPE_Q3_K, 0.2},  {DTYPE_Q2_K, 0.4}};
  static uint8_t row[4 * N];
  double power = 0;
  for (int i = 0; i < N; i++) power += (double)x[i] * x[i];
  for (size_t t = 0; t < sizeof bounds / sizeof *bounds; t++) {
    if (!k->search(bounds[t].type, x, NULL, row, N) && !k->round(bounds[t].type, x, row, N)) CHECK(false);
    const double off = sqrt(error_of(bounds[t].type, x, NULL, row) / power);
    if (!CHECK(off <= bounds[t].bound)) printf("%s: %g\n", dtype_name(bounds[t].type), off);
  }
}

int main(void) {
  static float x[N];
  const quant_kernels *k;
  for (int32_t i = 0; (k = quant_kernels_available(i)) != NULL; i++) {
    random_state r = {1};
    printf("table %s\n", k->name);
    check_widening(k);
    for (int kind = 0; kind < N_KINDS; kind++) {
      fill(x, kind, &r);
      check_rounding(k, x);
      check_searches(k, x, kind, &r);
      if (kind == NORMAL) check_bounds(k, x);
    }
  }
  CHECK(quant_kernels_best() != NULL);
  return check_end();
}
