/* Errors, memory, half floats. */
#include "check.h"

/* Widening and narrowing by definition, from the bits of the format. */
static double half_value(uint16_t h) {
  int exponent = h >> 10 & 31, mantissa = h & 1023;
  double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                     : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                      : ldexp(1024 + mantissa, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

static void half_floats(void) {
  int32_t n_wide = 0, n_back = 0, n_nan = 0;
  for (uint32_t h = 0; h < 65536; h++) {
    double want = half_value((uint16_t)h);
    float got = f16_to_f32((uint16_t)h);
    n_wide += isnan(want) ? !isnan(got) : got != want || !signbit(got) != !signbit(want);
    if (isnan(want))
      n_nan += !isnan(f16_to_f32(f32_to_f16(got)));
    else
      n_back += f32_to_f16(got) != h;
  }
  CHECK(n_wide == 0);
  CHECK(n_back == 0);
  CHECK(n_nan == 0);

  /* Around the middle of every two neighbours: nearest, ties to even. */
  int32_t n_middle = 0;
  for (uint32_t h = 0; h < 0x7bff; h++) {
    float middle = (float)((half_value((uint16_t)h) + half_value((uint16_t)(h + 1))) / 2);
    n_middle += f32_to_f16(middle) != h + (h & 1);
    n_middle += f32_to_f16(nextafterf(middle, 0)) != h;
    n_middle += f32_to_f16(nextafterf(middle, INFINITY)) != h + 1;
    n_middle += f32_to_f16(-middle) != (0x8000 | (h + (h & 1)));
  }
  CHECK(n_middle == 0);
  CHECK(f32_to_f16(65519.996f) == 0x7bff);
  CHECK(f32_to_f16(65520.0f) == 0x7c00);
  CHECK(f32_to_f16(INFINITY) == 0x7c00);
  CHECK(f32_to_f16(-1e30f) == 0xfc00);
  CHECK(f32_to_f16(1e-30f) == 0);
  CHECK(f32_to_f16(-0.0f) == 0x8000);
  uint32_t only_low_bits = 0x7f800001u; /* a NaN whose mantissa does not fit */
  float nan_value;
  memcpy(&nan_value, &only_low_bits, 4);
  CHECK(isnan(f16_to_f32(f32_to_f16(nan_value))));
}

static void memory(void) {
  for (size_t n = 0; n < 300; n++) {
    unsigned char *p = mem_alloc(n, 3);
    if (!CHECK(p != NULL)) continue;
    CHECK((uintptr_t)p % 64 == 0);
    size_t n_set = 0;
    for (size_t i = 0; i < n * 3; i++) n_set += p[i] != 0;
    CHECK(n_set == 0);
    memset(p, 0xa5, n * 3);
    mem_free(p);
  }
  CHECK(mem_alloc(SIZE_MAX / 2, 3) == NULL);
  CHECK(mem_alloc(SIZE_MAX, 1) == NULL);
  CHECK(mem_alloc(1, SIZE_MAX - 63) == NULL);
  mem_free(NULL);
}

static void growing(void) {
  uint16_t *block = NULL;
  size_t capacity = 0;
  int32_t moved = 0, n_wrong = 0;
  for (size_t n = 0; n < 5000; n++) {
    uint16_t *grown = mem_grow(block, sizeof *block, n, &capacity, n + 1);
    if (!CHECK(grown != NULL)) return;
    moved += grown != block;
    block = grown;
    block[n] = (uint16_t)n;
  }
  for (size_t n = 0; n < 5000; n++) n_wrong += block[n] != n;
  CHECK(n_wrong == 0 && capacity >= 5000 && moved > 1 && moved < 10);
  const size_t before = capacity;
  CHECK(mem_grow(block, sizeof *block, 5000, &capacity, SIZE_MAX / 2 + 9) == NULL && capacity == before);
  CHECK(block[4999] == 4999); /* as it was */
  mem_free(block);
}

static void hashes(void) {
  /* The published values of FNV-1a. */
  CHECK(hash_bytes(HASH_START, "", 0) == 0xcbf29ce484222325u);
  CHECK(hash_bytes(HASH_START, "a", 1) == 0xaf63dc4c8601ec8cu);
  CHECK(hash_bytes(HASH_START, "foobar", 6) == 0x85944171f73967e8u);
  CHECK(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3) == 0x85944171f73967e8u);
  int32_t buckets[64] = {0}, fullest = 0; /* short keys spread */
  for (uint32_t i = 0; i < 4096; i++) {
    const char key[2] = {(char)('a' + i / 64), (char)('a' + i % 64)};
    fullest = max_i32(fullest, ++buckets[hash_key(key, 2) % 64]);
  }
  CHECK(fullest < 128);
}

int main(void) {
  error err;
  CHECK(fail(&err, SOTTO_ERR_FORMAT, "%d of %s", 3, "four") == SOTTO_ERR_FORMAT);
  CHECK(strcmp(err.text, "3 of four") == 0);
  CHECK(fail(NULL, SOTTO_ERR_MEMORY, "unheard") == SOTTO_ERR_MEMORY);
  fail(&err, SOTTO_ERR_FORMAT, "%01000d", 1); /* cut to the room there is */
  CHECK(strlen(err.text) == sizeof err.text - 1);

  double start = now_ms();
  CHECK(now_ms() >= start);
  half_floats();
  memory();
  growing();
  hashes();
  return check_end();
}
