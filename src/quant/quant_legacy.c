/* Blocks of 32 elements with one scale, and for the _1 types an offset.
 *
 *     q4_0  f16 d            | 16 B nibbles           (q - 8) d
 *     q4_1  f16 d, f16 m     | 16 B nibbles            q d + m
 *     q5_0  f16 d    | u32 h | 16 B nibbles           (q - 16) d
 *     q5_1  f16 d, m | u32 h | 16 B nibbles            q d + m
 *     q8_0  f16 d            | 32 B signed             q d
 *
 * Low nibble of byte j is element j, the high one element j + 16; bit i of h is the fifth bit of element i. */
#include "blocks.h"

#include <float.h>
#include <math.h>

static void set_scale(qblock32 *out, float scale, float offset) {
  out->scale[0] = out->scale[1] = scale;
  out->offset[0] = out->offset[1] = offset;
}

static void unpack_nibbles(const uint8_t *restrict qs, int8_t *restrict q, int subtract) {
  for (int j = 0; j < 16; j++) q[j] = (int8_t)((qs[j] & 15) - subtract);
  for (int j = 0; j < 16; j++) q[16 + j] = (int8_t)((qs[j] >> 4) - subtract);
}

/* Eight elements in a word of 64 bits. Where the bit of an element equals `when`, its upper nibble is `upper`, else 0:
 * so the fifth bit is added as it is (1, 0x10), or 16 is subtracted too (0, 0xf0). */
static void unpack_five_bits(const uint8_t *high, const uint8_t *qs, int8_t *q, int when, int upper) {
  uint64_t flip = when ? 0 : EACH_BYTE;
  for (int k = 0; k < 2; k++) {
    uint64_t nibbles, low, up;
    memcpy(&nibbles, qs + 8 * k, 8);
    low = (nibbles & EACH_BYTE * 15) | (spread_bits(high[k]) ^ flip) * (uint64_t)upper;
    up = (nibbles >> 4 & EACH_BYTE * 15) | (spread_bits(high[2 + k]) ^ flip) * (uint64_t)upper;
    memcpy(q + 8 * k, &low, 8);
    memcpy(q + 16 + 8 * k, &up, 8);
  }
}

void q4_0_unpack(const uint8_t *block, qblock32 *restrict out) {
  set_scale(out, load_f16(block), 0.0f);
  unpack_nibbles(block + 2, out->q, 8);
}

void q4_1_unpack(const uint8_t *block, qblock32 *restrict out) {
  set_scale(out, load_f16(block), load_f16(block + 2));
  unpack_nibbles(block + 4, out->q, 0);
}

void q5_0_unpack(const uint8_t *block, qblock32 *restrict out) {
  set_scale(out, load_f16(block), 0.0f);
  unpack_five_bits(block + 2, block + 6, out->q, 0, 0xf0);
}

void q5_1_unpack(const uint8_t *block, qblock32 *restrict out) {
  set_scale(out, load_f16(block), load_f16(block + 2));
  unpack_five_bits(block + 4, block + 8, out->q, 1, 0x10);
}

void q8_0_unpack(const uint8_t *block, qblock32 *restrict out) {
  set_scale(out, load_f16(block), 0.0f);
  memcpy(out->q, block + 2, 32);
}

/* The element of largest magnitude, with its sign. */
static float signed_max(const float *x) {
  float best = 0.0f;
  for (int j = 0; j < 32; j++)
    if (fabsf(x[j]) > fabsf(best)) best = x[j];
  return best;
}

static void range_of(const float *x, float *min, float *max) {
  *min = FLT_MAX;
  *max = -FLT_MAX;
  for (int j = 0; j < 32; j++) {
    if (x[j] < *min) *min = x[j];
    if (x[j] > *max) *max = x[j];
  }
}

/* Integers of 32 elements, (x - offset) * inv rounded: truncated after `bias` is added. In steps, so that no compiler fuses
 * the product with the sum: the same bytes come out everywhere. */
static void round_all(const float *x, float offset, float inv, float bias, int high, uint8_t *q) {
  for (int j = 0; j < 32; j++) {
    float scaled = (x[j] - offset) * inv;
    q[j] = (uint8_t)cut(scaled + bias, 0, high);
  }
}

static void pack_nibbles(const uint8_t *q, uint8_t *qs) {
  for (int j = 0; j < 16; j++) qs[j] = (uint8_t)((q[j] & 15) | (q[16 + j] & 15) << 4);
}

static void pack_fifth_bits(const uint8_t *q, uint8_t *high) {
  memset(high, 0, 4);
  for (int j = 0; j < 32; j++) high[j / 8] |= (uint8_t)((q[j] >> 4 & 1) << j % 8);
}

/* The scale is computed in f32, used so, and stored as f16. The signed maximum gets the lowest integer, which exists
 * only on the negative side: so it is exact, and the scale has the opposite sign. */
void q4_0_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  float d = signed_max(x) / -8.0f, inv = inverse(d);
  round_all(x, 0.0f, inv, 8.5f, 15, q);
  store_f16(block, d);
  pack_nibbles(q, block + 2);
}

void q4_1_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  float min, max;
  range_of(x, &min, &max);
  float d = (max - min) / 15.0f, inv = inverse(d);
  round_all(x, min, inv, 0.5f, 15, q);
  store_f16(block, d);
  store_f16(block + 2, min);
  pack_nibbles(q, block + 4);
}

void q5_0_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  float d = signed_max(x) / -16.0f, inv = inverse(d);
  round_all(x, 0.0f, inv, 16.5f, 31, q);
  store_f16(block, d);
  pack_fifth_bits(q, block + 2);
  pack_nibbles(q, block + 6);
}

void q5_1_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  float min, max;
  range_of(x, &min, &max);
  float d = (max - min) / 31.0f, inv = inverse(d);
  round_all(x, min, inv, 0.5f, 31, q);
  store_f16(block, d);
  store_f16(block + 2, min);
  pack_fifth_bits(q, block + 4);
  pack_nibbles(q, block + 8);
}

void q8_0_quantize(const float *x, uint8_t *block) {
  float d = fabsf(signed_max(x)) / 127.0f, inv = inverse(d);
  for (int j = 0; j < 32; j++) block[2 + j] = (uint8_t)(int8_t)cut(roundf(x[j] * inv), -127, 127);
  store_f16(block, d);
}
