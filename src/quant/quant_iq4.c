/* Four bits that pick one of 16 values, closer together around 0 as weights are.
 *
 *     iq4_nl  f16 d | qs[16]                                    32 elements;  value[q] d
 *     iq4_xs  f16 d | u16 high | low[4] | qs[16] times 8       256 elements;  value[q] d (s - 32), s of 6 bits for 32
 *
 * Nibbles of 32 elements lie as in q4_0: the low one of byte j is element j, the high one element j + 16. Scale s of group g has its
 * lower four bits in byte g / 2 of low (low nibble where g is even), its upper two at bit 2 g of high.
 *
 * Quantizing gives the largest element the first value, every other one the nearest, and then takes the scale with the least error
 * weighted by the squares of the elements; no search for better scales. */
#include "blocks.h"

#include <math.h>

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static void unpack_values(const uint8_t *restrict qs, int8_t *restrict q) {
  for (int j = 0; j < 16; j++) q[j] = iq4_values[qs[j] & 15];
  for (int j = 0; j < 16; j++) q[16 + j] = iq4_values[qs[j] >> 4];
}

void iq4_nl_unpack(const uint8_t *block, qblock32 *restrict out) {
  out->scale[0] = out->scale[1] = load_f16(block);
  out->offset[0] = out->offset[1] = 0.0f;
  unpack_values(block + 2, out->q);
}

void iq4_xs_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  int low = block[4 + group / 2] >> 4 * (group % 2) & 15, high = load_u16(block + 2) >> 2 * group & 3;
  out->scale[0] = out->scale[1] = load_f16(block) * (float)((low | high << 4) - 32);
  out->offset[0] = out->offset[1] = 0.0f;
  unpack_values(block + 8 + 16 * group, out->q);
}

/* ---- quantize ---- */

/* Of the value nearest to x; in the middle of two, the upper one. */
static uint8_t nearest_index(float x) {
  int low = 0, high = 15;
  if (!(x > (float)iq4_values[0])) return 0; /* NaN too */
  while (high - low > 1) {
    int middle = (low + high) / 2;
    if (x < (float)iq4_values[middle])
      high = middle;
    else
      low = middle;
  }
  return (uint8_t)(x - (float)iq4_values[low] < (float)iq4_values[high] - x ? low : high);
}

static void pick_values(const float *x /* [32] */, float scale, uint8_t *q) {
  float inv = inverse(scale);
  for (int j = 0; j < 32; j++) q[j] = nearest_index(x[j] * inv);
}

/* Picks the values of 32 elements and returns the scale that fits them best. Each sum is a step of its own, so that no compiler fuses it
 * with a product. */
static float fit(const float *x, uint8_t *q) {
  float largest = 0.0f, along = 0.0f, norm = 0.0f;
  for (int j = 0; j < 32; j++)
    if (fabsf(x[j]) > fabsf(largest)) largest = x[j];
  if (fabsf(largest) < 1e-15f) { /* the squares would vanish */
    memset(q, 8, 32);
    return 0.0f;
  }
  pick_values(x, largest / (float)iq4_values[0], q);
  for (int j = 0; j < 32; j++) {
    float value = (float)iq4_values[q[j]], weighted = x[j] * x[j] * value;
    float a = weighted * x[j], n = weighted * value;
    along += a;
    norm += n;
  }
  return norm > 0.0f ? along / norm : 0.0f;
}

static void pack_indices(const uint8_t *q, uint8_t *qs) {
  for (int j = 0; j < 16; j++) qs[j] = (uint8_t)(q[j] | q[16 + j] << 4);
}

void iq4_nl_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  store_f16(block, fit(x, q));
  pack_indices(q, block + 2);
}

/* The scale of largest magnitude becomes -32, which has no positive twin; the values are picked again for the rounded scales. */
void iq4_xs_quantize(const float *x, uint8_t *block) {
  uint8_t q[32];
  float scale[8], largest = 0.0f;
  unsigned high = 0;
  for (size_t g = 0; g < 8; g++) {
    scale[g] = fit(x + 32 * g, q);
    if (fabsf(scale[g]) > fabsf(largest)) largest = scale[g];
  }
  float d = f16_to_f32(f32_to_f16(largest / -32.0f)), inv = inverse(d);
  memset(block, 0, 8);
  store_f16(block, d);
  for (size_t g = 0; g < 8; g++) {
    int s = cut(roundf(scale[g] * inv), -32, 31);
    block[4 + g / 2] |= (uint8_t)(((s + 32) & 15) << 4 * (g % 2));
    high |= (unsigned)(s + 32) >> 4 << 2 * g;
    pick_values(x + 32 * g, d * (float)s, q);
    pack_indices(q, block + 8 + 16 * g);
  }
  block[2] = (uint8_t)high;
  block[3] = (uint8_t)(high >> 8);
}
