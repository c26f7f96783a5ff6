/* Block formats: against a second description of each layout, bit by bit; against blocks made by hand; and against the
 * quantized file that whisper.cpp publishes. */
#include "../../src/quant/quant.h"
#include "check.h"
#include "make_model.h"

#include <float.h>

static const uint32_t block_types[] = {DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0,   DTYPE_Q2_K,
                                       DTYPE_Q3_K, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_IQ4_XS};
enum { N_BLOCK_TYPES = sizeof block_types / sizeof *block_types, MAX_BLOCK_BYTES = 210 };

/* ---- the second description: one element of one block, from its bits ---- */

static int bits(const uint8_t *p, size_t first, int n) {
  int v = 0;
  for (int i = 0; i < n; i++) v |= (p[(first + (size_t)i) / 8] >> (first + (size_t)i) % 8 & 1) << i;
  return v;
}

static double half(const uint8_t *p) {
  int fraction = bits(p, 0, 10), exponent = bits(p, 10, 5), sign = bits(p, 15, 1) ? -1 : 1;
  if (exponent == 31) return fraction ? (double)NAN : sign * (double)INFINITY;
  return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static int iq4_value(int index) { /* as published: closer together around 0 */
  const int steps[16] = {-127, 23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};
  int v = 0;
  for (int i = 0; i <= index; i++) v += steps[i];
  return v;
}

typedef struct element {
  double scale, offset; /* value = scale * q + offset */
  int q;
} element;

static element element_of(uint32_t type, const uint8_t *b, size_t e) {
  element r = {0, 0, 0};
  size_t nibble = e < 16 ? 8 * e : 8 * (e - 16) + 4; /* bit of element e of 32 */
  size_t g = e / 32, j = e % 32, sub = e / 16;       /* of 256 */
  size_t pair = 8 * (32 * (g / 4) + j) + 2 * (g % 4);
  switch (type) {
    case DTYPE_Q4_0:
      r = (element){half(b), 0, bits(b + 2, nibble, 4) - 8};
      break;
    case DTYPE_Q4_1:
      r = (element){half(b), half(b + 2), bits(b + 4, nibble, 4)};
      break;
    case DTYPE_Q5_0:
      r = (element){half(b), 0, bits(b + 6, nibble, 4) + 16 * bits(b + 2, e, 1) - 16};
      break;
    case DTYPE_Q5_1:
      r = (element){half(b), half(b + 2), bits(b + 8, nibble, 4) + 16 * bits(b + 4, e, 1)};
      break;
    case DTYPE_Q8_0:
      r = (element){half(b), 0, b[2 + e] < 128 ? b[2 + e] : b[2 + e] - 256};
      break;
    case DTYPE_Q2_K:
      r.scale = half(b + 80) * bits(b, 8 * sub, 4);
      r.offset = -half(b + 82) * bits(b, 8 * sub + 4, 4);
      r.q = bits(b + 16, pair, 2);
      break;
    case DTYPE_Q3_K:
      r.scale = half(b + 108) * (bits(b + 96, sub < 8 ? 8 * sub : 8 * (sub - 8) + 4, 4) +
                                 16 * bits(b + 104, 8 * (sub % 4) + 2 * (sub / 4), 2) - 32);
      r.q = bits(b + 32, pair, 2) + 4 * bits(b, 8 * j + g, 1) - 4;
      break;
    case DTYPE_Q4_K:
    case DTYPE_Q5_K: {
      const uint8_t *s = b + 4;
      int scale = g < 4 ? bits(s, 8 * g, 6) : bits(s, 8 * (g + 4), 4) + 16 * bits(s, 8 * (g - 4) + 6, 2);
      int min = g < 4 ? bits(s, 8 * (g + 4), 6) : bits(s, 8 * (g + 4) + 4, 4) + 16 * bits(s, 8 * g + 6, 2);
      r.scale = half(b) * scale;
      r.offset = -half(b + 2) * min;
      size_t low = 8 * (32 * (g / 2) + j) + 4 * (g % 2);
      r.q = type == DTYPE_Q4_K ? bits(b + 16, low, 4) : bits(b + 48, low, 4) + 16 * bits(b + 16, 8 * j + g, 1);
      break;
    }
    case DTYPE_Q6_K: {
      int8_t scale = (int8_t)b[192 + sub];
      size_t low = 8 * (64 * (g / 4) + 32 * (g % 2) + j) + (g % 4 < 2 ? 0 : 4);
      r = (element){half(b + 208) * scale, 0, bits(b, low, 4) + 16 * bits(b + 128, pair, 2) - 32};
      break;
    }
    case DTYPE_IQ4_NL:
      r = (element){half(b), 0, iq4_value(bits(b + 2, nibble, 4))};
      break;
    case DTYPE_IQ4_XS: {
      int scale = bits(b + 4, 4 * g, 4) + 16 * bits(b + 2, 2 * g, 2) - 32;
      size_t low = 8 * (16 * g + j % 16) + (j < 16 ? 0 : 4);
      r = (element){half(b) * scale, 0, iq4_value(bits(b + 8, low, 4))};
      break;
    }
  }
  return r;
}

/* Equal but for roundings of the scale, the product and the sum; NaN and infinity only where they belong. */
static bool close_to(double is, double should, double largest) {
  if (isnan(should)) return isnan(is);
  if (isinf(should)) return is == should;
  return fabs(is - should) <= 3 * FLT_EPSILON * largest;
}

/* ---- tests ---- */

static void test_sizes(void) {
  const struct {
    uint32_t type;
    const char *name;
    size_t elements, bytes;
  } known[] = {{0, "f32", 1, 4},       {1, "f16", 1, 2},         {2, "q4_0", 32, 18},    {3, "q4_1", 32, 20},
               {6, "q5_0", 32, 22},    {7, "q5_1", 32, 24},      {8, "q8_0", 32, 34},    {10, "q2_K", 256, 84},
               {11, "q3_K", 256, 110}, {12, "q4_K", 256, 144},   {13, "q5_K", 256, 176}, {14, "q6_K", 256, 210},
               {20, "iq4_nl", 32, 18}, {23, "iq4_xs", 256, 136}, {30, "bf16", 1, 2}};
  size_t n_known = sizeof known / sizeof *known;
  for (size_t i = 0; i < n_known; i++) {
    CHECK(strcmp(dtype_name(known[i].type), known[i].name) == 0);
    CHECK(dtype_block_elements(known[i].type) == known[i].elements);
    CHECK(dtype_block_bytes(known[i].type) == known[i].bytes);
    CHECK(dtype_row_bytes(known[i].type, 3 * known[i].elements) == 3 * known[i].bytes);
    if (known[i].elements > 1) CHECK(dtype_row_bytes(known[i].type, known[i].elements + 1) == 0);
  }
  for (uint32_t type = 0; type < 100; type++) {
    bool is_known = false;
    for (size_t i = 0; i < n_known; i++) is_known |= known[i].type == type;
    CHECK(is_known == (dtype_block_elements(type) > 0));
    CHECK(is_known == (dtype_row_bytes(type, 256) > 0));
  }
  CHECK(dtype_block_elements(UINT32_MAX) == 0 && strcmp(dtype_name(UINT32_MAX), "unknown") == 0);
  CHECK(dtype_row_bytes(DTYPE_F32, SIZE_MAX / 2) == 0); /* would overflow */
  CHECK(dtype_row_bytes(DTYPE_Q8_0, SIZE_MAX - 31) == 0);
}

/* Random bytes, with scales of every kind: NaN, infinite, subnormal, negative. */
static void test_layouts(void) {
  enum { N = 7 * 256, MAX_ROW = 56 * 34 };
  random_state random = {1};
  static float values[N];
  uint8_t row[MAX_ROW];
  for (int i = 0; i < N_BLOCK_TYPES; i++) {
    uint32_t type = block_types[i];
    size_t elements = dtype_block_elements(type), bytes = dtype_block_bytes(type);
    int n_wrong = 0, n_wrong_unpacked = 0, n_infinite = 0;
    for (int round = 0; round < 200; round++) {
      for (size_t k = 0; k < dtype_row_bytes(type, N); k++) row[k] = (uint8_t)random_u32(&random);
      dequantize_row(type, row, values, N);
      for (size_t e = 0; e < N; e++) {
        element should = element_of(type, row + e / elements * bytes, e % elements);
        double product = should.scale * should.q, value = product + should.offset;
        double largest = fmax(fmax(fabs(product), fabs(should.offset)), fabs(value));
        n_infinite += !isfinite(value);
        n_wrong += !close_to(values[e], value, largest);

        qblock32 u;
        if (e % 32 == 0) qblock_unpack(type, row, e / 32, &u);
        size_t j = e % 32;
        n_wrong_unpacked += u.q[j] != should.q || !close_to(u.scale[j / 16], should.scale, fabs(should.scale)) ||
                            !close_to(u.offset[j / 16], should.offset, fabs(should.offset));
        float unpacked = u.scale[j / 16] * (float)u.q[j] + u.offset[j / 16];
        n_wrong_unpacked += !close_to(unpacked, values[e], largest);
      }
    }
    if (!CHECK(n_wrong == 0 && n_wrong_unpacked == 0))
      printf("%s: %d, %d\n", dtype_name(type), n_wrong, n_wrong_unpacked);
    CHECK(n_infinite > 0); /* they were among the scales */
  }
}

static float one(uint32_t type, const uint8_t *block, size_t e) {
  float values[256];
  dequantize_row(type, block, values, dtype_block_elements(type));
  return values[e];
}

/* Worked out on paper from the published layouts. Scales are exact halves: 0x3800 is 0.5, 0xbc00 -1, 0x4000 2. */
static void test_hand_made_blocks(void) {
  uint8_t b[MAX_BLOCK_BYTES];

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[2] = 0x1f, b[17] = 0xa0;
  CHECK(one(DTYPE_Q4_0, b, 0) == 3.5f && one(DTYPE_Q4_0, b, 16) == -3.5f);
  CHECK(one(DTYPE_Q4_0, b, 15) == -4.0f && one(DTYPE_Q4_0, b, 31) == 1.0f);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[3] = 0xbc, b[4 + 3] = 0x2f;
  CHECK(one(DTYPE_Q4_1, b, 3) == 6.5f && one(DTYPE_Q4_1, b, 19) == 0.0f && one(DTYPE_Q4_1, b, 0) == -1.0f);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[2] = 0x01, b[5] = 0x80, b[6] = 0x05, b[21] = 0xf0;
  CHECK(one(DTYPE_Q5_0, b, 0) == 2.5f && one(DTYPE_Q5_0, b, 31) == 7.5f && one(DTYPE_Q5_0, b, 1) == -8.0f);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[3] = 0xbc, b[5] = 0x01, b[8 + 8] = 0x1f;
  CHECK(one(DTYPE_Q5_1, b, 8) == 14.5f && one(DTYPE_Q5_1, b, 24) == -0.5f && one(DTYPE_Q5_1, b, 0) == -1.0f);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[2] = 0x80, b[33] = 0x7f;
  CHECK(one(DTYPE_Q8_0, b, 0) == -64.0f && one(DTYPE_Q8_0, b, 31) == 63.5f);

  memset(b, 0, sizeof b); /* element 250 = 128 + 3 * 32 + 26: byte 32 + 26, top two bits; sub-block 15 */
  b[81] = 0x38, b[83] = 0x40, b[15] = 0x3f, b[16 + 58] = 0x80;
  CHECK(one(DTYPE_Q2_K, b, 250) == 0.5f * 15 * 2 - 2.0f * 3 && one(DTYPE_Q2_K, b, 240) == -6.0f);

  memset(b, 0, sizeof b); /* sub-block 15: scale 0x3f - 32 = 31; high bit clear: 2 - 4 */
  b[109] = 0x38, b[96 + 7] = 0xf0, b[96 + 11] = 0xc0, b[32 + 58] = 0x80, b[27] = 0x80;
  CHECK(one(DTYPE_Q3_K, b, 250) == 0.5f * 31 * -2 && one(DTYPE_Q3_K, b, 251) == 0.0f);
  CHECK(one(DTYPE_Q3_K, b, 0) == 0.5f * -32 * -4);

  memset(b, 0, sizeof b); /* group 7: scale 0b110101, minimum 0b100011 */
  b[1] = 0x38, b[3] = 0x40, b[4 + 11] = 0x35, b[4 + 3] = 0xc0, b[4 + 7] = 0x80, b[16 + 96 + 2] = 0x90;
  CHECK(one(DTYPE_Q4_K, b, 226) == 0.5f * 53 * 9 - 2.0f * 35);
  b[4 + 1] = 7, b[4 + 5] = 9, b[16 + 4] = 0x3a; /* group 1 */
  CHECK(one(DTYPE_Q4_K, b, 36) == 0.5f * 7 * 3 - 2.0f * 9);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[3] = 0x40, b[4 + 1] = 7, b[4 + 5] = 9, b[16 + 4] = 0x02, b[48 + 4] = 0x3a;
  CHECK(one(DTYPE_Q5_K, b, 36) == 0.5f * 7 * 19 - 2.0f * 9 && one(DTYPE_Q5_K, b, 4) == 0.0f);

  memset(b, 0, sizeof b); /* element 226 = 128 + 3 * 32 + 2: low 64 + 32 + 2, upper nibble; high 32 + 2, top bits */
  b[209] = 0x38, b[192 + 14] = 0xfd, b[98] = 0xd0, b[128 + 34] = 0x40;
  CHECK(one(DTYPE_Q6_K, b, 226) == 0.5f * -3 * (13 + 16 - 32) && one(DTYPE_Q6_K, b, 227) == 0.5f * -3 * -32);

  memset(b, 0, sizeof b);
  b[1] = 0x38, b[2] = 0x1f, b[17] = 0x80;
  CHECK(one(DTYPE_IQ4_NL, b, 0) == 56.5f && one(DTYPE_IQ4_NL, b, 16) == -52.0f && one(DTYPE_IQ4_NL, b, 31) == 0.5f);

  memset(b, 0, sizeof b); /* group 7: scale 0b110101 - 32 = 21; group 0: 0 - 32 */
  b[1] = 0x38, b[7] = 0x50, b[3] = 0xc0, b[8 + 16 * 7 + 3] = 0x97;
  CHECK(one(DTYPE_IQ4_XS, b, 227) == 0.5f * 21 * -10 && one(DTYPE_IQ4_XS, b, 243) == 0.5f * 21 * 13);
  CHECK(one(DTYPE_IQ4_XS, b, 5) == 0.5f * -32 * -127);
}

/* A legacy block by the rule in words: the integers first, then every bit put in its place. */
static void set_bits(uint8_t *p, size_t first, int n, int v) {
  for (int i = 0; i < n; i++) p[(first + (size_t)i) / 8] |= (uint8_t)((v >> i & 1) << (first + (size_t)i) % 8);
}

static void quantize_by_rule(uint32_t type, const float *x, uint8_t *b) {
  float low = x[0], high = x[0], largest = 0;
  for (int j = 0; j < 32; j++) {
    low = fminf(low, x[j]);
    high = fmaxf(high, x[j]);
    if (fabsf(x[j]) > fabsf(largest)) largest = x[j];
  }
  bool has_min = type == DTYPE_Q4_1 || type == DTYPE_Q5_1, five = type == DTYPE_Q5_0 || type == DTYPE_Q5_1;
  int levels = type == DTYPE_Q8_0 ? 127 : five ? 32 : 16;
  float d = type == DTYPE_Q8_0 ? fabsf(largest) / 127
            : has_min          ? (high - low) / (float)(levels - 1)
                               : -largest / (float)(levels / 2);
  float inv = d == 0 ? 0 : 1 / d;
  size_t at = has_min ? 4 : 2;
  memset(b, 0, dtype_block_bytes(type));
  uint16_t h = f32_to_f16(d);
  memcpy(b, &h, 2);
  h = f32_to_f16(low);
  if (has_min) memcpy(b + 2, &h, 2);
  for (size_t j = 0; j < 32; j++) {
    if (type == DTYPE_Q8_0) {
      double v = (double)(x[j] * inv);
      b[2 + j] = (uint8_t)(int)(v < 0 ? ceil(v - 0.5) : floor(v + 0.5));
      continue;
    }
    float v = has_min ? (x[j] - low) * inv : x[j] * inv;
    v += has_min ? 0.5f : (float)(levels / 2) + 0.5f;
    int q = v >= (float)levels ? levels - 1 : (int)v;
    if (five) set_bits(b + at, j, 1, q >> 4);
    set_bits(b + at + (five ? 4 : 0), j < 16 ? 8 * j : 8 * (j - 16) + 4, 4, q & 15);
  }
}

static void test_quantize_by_rule(void) {
  enum { N = 64 * 32 };
  static float x[N];
  uint8_t row[64 * 34], should[64 * 34];
  random_state random = {2};
  for (int i = 0; i < 5; i++) {
    uint32_t type = block_types[i];
    for (int round = 0; round < 60; round++) {
      float spread = ldexpf(1.0f, round % 30 - 20);
      random_fill(&random, x, N, -spread, spread);
      if (round % 3 == 1) /* ties, zeros, repeated extremes */
        for (int k = 0; k < N; k++) x[k] = roundf(x[k] / spread * 16) / 32;
      if (round % 3 == 2) memset(x, 0, sizeof x / 2); /* blocks of zeros */
      CHECK(quantize_row(type, x, row, N));
      for (size_t k = 0; k < N / 32; k++) quantize_by_rule(type, x + 32 * k, should + k * dtype_block_bytes(type));
      if (!CHECK(memcmp(row, should, dtype_row_bytes(type, N)) == 0)) printf("%s, round %d\n", dtype_name(type), round);
    }
  }
}

/* iq4_nl by the rule in words: the largest element is -127, the others the nearest, and the scale is the best for them where errors
 * count by the square of the element. In double: a scale may round to the half beside. */
static void test_quantize_iq4_nl(void) {
  random_state random = {9};
  for (int round = 0; round < 500; round++) {
    float x[32], largest = 0;
    uint8_t b[18];
    random_fill(&random, x, 32, -1, 1);
    if (round % 4 == 1) x[round % 32] = -3;
    if (round % 4 == 2) x[round % 32] = 3;
    for (int j = 0; j < 32; j++)
      if (fabsf(x[j]) > fabsf(largest)) largest = x[j];
    CHECK(quantize_row(DTYPE_IQ4_NL, x, b, 32));
    double along = 0, norm = 0;
    int n_wrong = 0;
    for (size_t j = 0; j < 32; j++) {
      double at = x[j] / (double)largest * -127;
      int q = element_of(DTYPE_IQ4_NL, b, j).q;
      for (int i = 0; i < 16; i++) n_wrong += fabs(at - iq4_value(i)) < fabs(at - q) - 1e-4;
      along += (double)x[j] * x[j] * x[j] * q;
      norm += (double)x[j] * x[j] * q * q;
    }
    CHECK(n_wrong == 0);
    CHECK_NEAR(half(b), along / norm, fabs(along / norm) / 1000);
  }
}

/* Error after quantizing and back, as root mean square over that of the values: of normal values, as weights are. The bounds
 * lie a tenth above what was measured. */
static void test_error(void) {
  enum { N = 64 * 256 };
  static float x[N], y[N];
  static uint8_t row[N / 32 * 34];
  const double bound[N_BLOCK_TYPES] = {0.094, 0.085, 0.047, 0.041, 0.0058, 0.36,
                                       0.17,  0.085, 0.042, 0.021, 0.086,  0.086};
  random_state random = {3};
  for (int i = 0; i < N; i++) {
    float sum = 0;
    for (int k = 0; k < 12; k++) sum += random_uniform(&random, -0.5f, 0.5f);
    x[i] = 0.02f * sum + 0.001f;
  }
  for (int i = 0; i < N_BLOCK_TYPES; i++) {
    uint32_t type = block_types[i];
    CHECK(quantize_row(type, x, row, N));
    dequantize_row(type, row, y, N);
    double lost = 0, power = 0;
    for (int k = 0; k < N; k++) {
      lost += (x[k] - y[k]) * (double)(x[k] - y[k]);
      power += x[k] * (double)x[k];
    }
    double relative = sqrt(lost / power);
    if (!CHECK(relative < bound[i])) printf("%s: %.5f\n", dtype_name(type), relative);

    /* What can be represented comes back: quantizing twice changes no value by more than the scales' rounding. */
    static float z[N];
    CHECK(quantize_row(type, y, row, N));
    dequantize_row(type, row, z, N);
    double again = 0;
    for (int k = 0; k < N; k++) again += (z[k] - y[k]) * (double)(z[k] - y[k]);
    if (!CHECK(again <= lost)) printf("%s: again %.5f\n", dtype_name(type), sqrt(again / power));
  }
}

static void test_plain_types(void) {
  uint16_t halves[1024], back[1024];
  float values[1024];
  int n_wrong = 0;
  for (uint32_t base = 0; base < 65536; base += 1024) {
    for (uint32_t i = 0; i < 1024; i++) halves[i] = (uint16_t)(base + i);
    dequantize_row(DTYPE_F16, halves, values, 1024);
    quantize_row(DTYPE_F16, values, back, 1024);
    for (uint32_t i = 0; i < 1024; i++) {
      double should = half((const uint8_t *)&halves[i]);
      n_wrong += isnan(should) ? !isnan(values[i]) || (back[i] & 0x7fff) <= 0x7c00
                               : values[i] != should || back[i] != halves[i];
    }
  }
  CHECK(n_wrong == 0);

  n_wrong = 0;
  for (uint32_t u = 0; u < 65536; u++) { /* every bf16, and its neighbours in f32 */
    uint16_t h = (uint16_t)u, again;
    uint32_t wide = u << 16, next;
    float v, w;
    memcpy(&v, &wide, 4);
    dequantize_row(DTYPE_BF16, &h, &w, 1);
    quantize_row(DTYPE_BF16, &v, &again, 1);
    n_wrong += isnan(v) ? !isnan(w) || (again & 0x7fff) <= 0x7f80 : memcmp(&v, &w, 4) != 0 || again != h;
    if (!isfinite(v)) continue;
    for (uint32_t low = 0x7fff; low <= 0x8001; low++) { /* a little less than half, half (to even), a little more */
      next = wide | low;
      memcpy(&v, &next, 4);
      quantize_row(DTYPE_BF16, &v, &again, 1);
      n_wrong += again != (uint16_t)(u + (low > 0x8000 || (low == 0x8000 && (u & 1))));
    }
  }
  CHECK(n_wrong == 0);

  float x[5] = {1, -2.5f, INFINITY, 1e-42f, 0}, y[5], z[5];
  CHECK(quantize_row(DTYPE_F32, x, y, 5));
  dequantize_row(DTYPE_F32, y, z, 5);
  CHECK(memcmp(x, z, sizeof x) == 0);
  CHECK(!quantize_row(4, x, y, 5) && !quantize_row(DTYPE_Q8_0, x, y, 5)); /* no type; no whole block */
}

/* Values no weight should have: nothing undefined happens (the sanitizers watch), integers stay in range. */
static void test_hostile_values(void) {
  const float hostile[] = {NAN,    INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN,
                           1e-45f, -1e-45f,  0.0f,      -0.0f,   70000.0f, 1.0f};
  random_state random = {4};
  float x[256], y[256];
  uint8_t row[8 * 34];
  for (int i = 0; i < N_BLOCK_TYPES; i++) {
    for (int round = 0; round < 500; round++) {
      for (int k = 0; k < 256; k++) {
        uint32_t pick = random_below(&random, round % 2 ? 1000 : 12);
        x[k] = pick < 12 ? hostile[pick] : random_uniform(&random, -1, 1);
      }
      CHECK(quantize_row(block_types[i], x, row, 256));
      dequantize_row(block_types[i], row, y, 256);
    }
  }
}

/* whisper.cpp's published q5_1 file was made from its f16 file: so can ours be, to the bit. */
static void test_published_file(void) {
  model_file plain = model_file_read("models/ggml-tiny.bin"), packed = model_file_read("models/ggml-tiny-q5_1.bin");
  if (!plain.bytes || !packed.bytes) {
    skip("models/ggml-tiny.bin or models/ggml-tiny-q5_1.bin is not there (tools/fetch-models)");
  } else {
    byte_list made = model_requantize(&plain, DTYPE_Q5_1);
    size_t header = 48;
    CHECK(made.size == packed.size);
    if (made.size == packed.size) CHECK(memcmp(made.bytes + header, packed.bytes + header, made.size - header) == 0);
    byte_list_free(&made);
  }
  model_file_free(&plain);
  model_file_free(&packed);
}

int main(void) {
  test_sizes();
  test_layouts();
  test_hand_made_blocks();
  test_quantize_by_rule();
  test_quantize_iq4_nl();
  test_error();
  test_plain_types();
  test_hostile_values();
  test_published_file();
  return check_end();
}
