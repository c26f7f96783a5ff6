/* k-quants: blocks of 256 elements whose sub-blocks of 16 or 32 have scales of their own, quantized too.
 *
 *     q2_K  scales[16] | qs[64] | f16 d, dmin              4-bit scale and minimum for 16;  q d s - dmin m
 *     q3_K  high[32] | qs[64] | scales[12] | f16 d         6-bit signed scale for 16;       (q - 4) d (s - 32)
 *     q4_K  f16 d, dmin | scales[12] | qs[128]             6-bit scale and minimum for 32;  q d s - dmin m
 *     q5_K  f16 d, dmin | scales[12] | high[32] | qs[128]  as q4_K with a fifth bit
 *     q6_K  low[128] | high[64] | scales[16] | f16 d       8-bit signed scale for 16;       (q - 32) d s
 *
 * Element 32 g + j (group g of 8, j of 32) has
 *     two bits     in byte 32 (g / 4) + j, at bit 2 (g % 4)                      (q2_K, q3_K; upper ones of q6_K)
 *     a nibble     in byte 32 (g / 2) + j, low where g is even                   (q4_K, q5_K)
 *     a nibble     in byte 64 (g / 4) + 32 (g % 2) + j, low where g % 4 < 2      (q6_K)
 *     a high bit   in byte j, at bit g                                           (q3_K, q5_K)
 *
 * Quantizing rounds to nearest with scales from the range; kernels_body.h searches for better ones. */
#include "blocks.h"

#include <math.h>

void q45_k_scale(const uint8_t *s, size_t i, int *scale, int *min) {
  if (i < 4) {
    *scale = s[i] & 63;
    *min = s[i + 4] & 63;
  } else {
    *scale = (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
    *min = s[i + 4] >> 4 | s[i] >> 6 << 4;
  }
}

static void q45_k_set_scale(uint8_t *s, size_t i, int scale, int min) {
  if (i < 4) {
    s[i] |= (uint8_t)scale;
    s[i + 4] |= (uint8_t)min;
  } else {
    s[i + 4] |= (uint8_t)((scale & 15) | (min & 15) << 4);
    s[i - 4] |= (uint8_t)(scale >> 4 << 6);
    s[i] |= (uint8_t)(min >> 4 << 6);
  }
}

int q3_k_scale(const uint8_t *s, size_t i) {
  int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;
  int high = s[8 + i % 4] >> 2 * (i / 4) & 3;
  return (low | high << 4) - 32;
}

static void q3_k_set_scale(uint8_t *s, size_t i, int scale) {
  int u = scale + 32;
  s[i % 8] |= (uint8_t)((u & 15) << (i < 8 ? 0 : 4));
  s[8 + i % 4] |= (uint8_t)(u >> 4 << 2 * (i / 4));
}

void q2_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  const uint8_t *qs = block + 16 + 32 * (group / 4);
  float d = load_f16(block + 80), dmin = load_f16(block + 82);
  int shift = 2 * (int)(group % 4);
  for (int j = 0; j < 32; j++) out->q[j] = (int8_t)(qs[j] >> shift & 3);
  for (size_t half = 0; half < 2; half++) {
    uint8_t s = block[2 * group + half];
    out->scale[half] = d * (float)(s & 15);
    out->offset[half] = -(dmin * (float)(s >> 4));
  }
}

void q3_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  const uint8_t *high = block, *qs = block + 32 + 32 * (group / 4);
  float d = load_f16(block + 108);
  int shift = 2 * (int)(group % 4);
  for (int j = 0; j < 32; j++) out->q[j] = (int8_t)((qs[j] >> shift & 3) + 4 * (high[j] >> group & 1) - 4);
  for (size_t half = 0; half < 2; half++) {
    out->scale[half] = d * (float)q3_k_scale(block + 96, 2 * group + half);
    out->offset[half] = 0.0f;
  }
}

static void q45_k_set(qblock32 *out, const uint8_t *block, size_t group) {
  int scale, min;
  q45_k_scale(block + 4, group, &scale, &min);
  out->scale[0] = out->scale[1] = load_f16(block) * (float)scale;
  out->offset[0] = out->offset[1] = -(load_f16(block + 2) * (float)min);
}

void q4_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  const uint8_t *qs = block + 16 + 32 * (group / 2);
  int shift = 4 * (int)(group % 2);
  for (int j = 0; j < 32; j++) out->q[j] = (int8_t)(qs[j] >> shift & 15);
  q45_k_set(out, block, group);
}

void q5_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  const uint8_t *high = block + 16, *qs = block + 48 + 32 * (group / 2);
  int shift = 4 * (int)(group % 2);
  for (int j = 0; j < 32; j++) out->q[j] = (int8_t)((qs[j] >> shift & 15) | (high[j] >> group & 1) << 4);
  q45_k_set(out, block, group);
}

void q6_k_unpack(const uint8_t *block, size_t group, qblock32 *restrict out) {
  const uint8_t *low = block + 64 * (group / 4) + 32 * (group % 2), *high = block + 128 + 32 * (group / 4);
  float d = load_f16(block + 208);
  int low_shift = 4 * (int)(group % 4 / 2), high_shift = 2 * (int)(group % 4);
  for (int j = 0; j < 32; j++)
    out->q[j] = (int8_t)(((low[j] >> low_shift & 15) | (high[j] >> high_shift & 3) << 4) - 32);
  for (size_t half = 0; half < 2; half++) {
    out->scale[half] = d * (float)(int8_t)block[192 + 2 * group + half];
    out->offset[half] = 0.0f;
  }
}

/* ---- pack: integers [256] and scales into a block ---- */

void q2_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block) {
  memset(block, 0, 84);
  for (size_t i = 0; i < 16; i++) block[i] = (uint8_t)(scale[i] | min[i] << 4);
  for (size_t e = 0; e < 256; e++) block[16 + e / 128 * 32 + e % 32] |= (uint8_t)(q[e] << 2 * (e / 32 % 4));
  store_f16(block + 80, d);
  store_f16(block + 82, dmin);
}

void q3_k_pack(const uint8_t *q, const int *scale, float d, uint8_t *block) {
  memset(block, 0, 110);
  for (size_t e = 0; e < 256; e++) {
    block[e % 32] |= (uint8_t)(q[e] >> 2 << e / 32);
    block[32 + e / 128 * 32 + e % 32] |= (uint8_t)((q[e] & 3) << 2 * (e / 32 % 4));
  }
  for (size_t i = 0; i < 16; i++) q3_k_set_scale(block + 96, i, scale[i]);
  store_f16(block + 108, d);
}

void q4_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block) {
  memset(block, 0, 144);
  store_f16(block, d);
  store_f16(block + 2, dmin);
  for (size_t i = 0; i < 8; i++) q45_k_set_scale(block + 4, i, scale[i], min[i]);
  for (size_t e = 0; e < 256; e++) block[16 + e / 64 * 32 + e % 32] |= (uint8_t)(q[e] << 4 * (e / 32 % 2));
}

void q5_k_pack(const uint8_t *q, const int *scale, const int *min, float d, float dmin, uint8_t *block) {
  memset(block, 0, 176);
  store_f16(block, d);
  store_f16(block + 2, dmin);
  for (size_t i = 0; i < 8; i++) q45_k_set_scale(block + 4, i, scale[i], min[i]);
  for (size_t e = 0; e < 256; e++) {
    block[16 + e % 32] |= (uint8_t)(q[e] >> 4 << e / 32);
    block[48 + e / 64 * 32 + e % 32] |= (uint8_t)((q[e] & 15) << 4 * (e / 32 % 2));
  }
}

void q6_k_pack(const uint8_t *q, const int *scale, float d, uint8_t *block) {
  memset(block, 0, 210);
  for (size_t e = 0; e < 256; e++) {
    size_t group = e / 32;
    block[64 * (group / 4) + 32 * (group % 2) + e % 32] |= (uint8_t)((q[e] & 15) << 4 * (group % 4 / 2));
    block[128 + 32 * (group / 4) + e % 32] |= (uint8_t)(q[e] >> 4 << 2 * (group % 4));
  }
  for (size_t i = 0; i < 16; i++) block[192 + i] = (uint8_t)(int8_t)scale[i];
  store_f16(block + 208, d);
}

/* ---- quantize ---- */

static int nearest(float x, int low, int high) { return cut(roundf(x), low, high); }

/* The element of largest magnitude, with its sign. */
static float signed_max(const float *x, size_t n) {
  float best = 0.0f;
  for (size_t i = 0; i < n; i++)
    if (fabsf(x[i]) > fabsf(best)) best = x[i];
  return best;
}

/* Formats with a minimum: sub-blocks of `n` elements, integers [0, levels], scales and minima [0, scale_levels].
 * Fills q[256], scale[256 / n], min[256 / n]; *d and *dmin are as they will be read back from f16. */
static void quantize_with_min(const float *x, size_t n, int levels, int scale_levels, uint8_t *q, int *scale, int *min,
                              float *d, float *dmin) {
  float step[16], low[16]; /* of each sub-block: size of one integer; -minimum */
  float max_step = 0.0f, max_low = 0.0f;
  for (size_t i = 0; i < 256 / n; i++) {
    float lo = 0.0f, hi = 0.0f; /* the minimum is stored unsigned: it cannot lie above 0 */
    for (size_t j = 0; j < n; j++) {
      float v = x[i * n + j];
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
    step[i] = (hi - lo) / (float)levels;
    low[i] = -lo;
    if (step[i] > max_step) max_step = step[i];
    if (low[i] > max_low) max_low = low[i];
  }
  *d = f16_to_f32(f32_to_f16(max_step / (float)scale_levels));
  *dmin = f16_to_f32(f32_to_f16(max_low / (float)scale_levels));
  for (size_t i = 0; i < 256 / n; i++) {
    scale[i] = nearest(step[i] * inverse(*d), 0, scale_levels);
    min[i] = nearest(low[i] * inverse(*dmin), 0, scale_levels);
    float inv = inverse(*d * (float)scale[i]), offset = *dmin * (float)min[i];
    for (size_t j = 0; j < n; j++) q[i * n + j] = (uint8_t)nearest((x[i * n + j] + offset) * inv, 0, levels);
  }
}

/* Formats without: sub-blocks of 16, integers [-half, half), scales [-scale_half, scale_half).
 * Fills q[256] with the integers + half. */
static void quantize_signed(const float *x, int half, int scale_half, uint8_t *q, int *scale /* [16] */, float *d) {
  float step[16];
  for (size_t i = 0; i < 16; i++) step[i] = signed_max(x + 16 * i, 16) / (float)-half;
  *d = f16_to_f32(f32_to_f16(signed_max(step, 16) / (float)-scale_half));
  for (size_t i = 0; i < 16; i++) {
    scale[i] = nearest(step[i] * inverse(*d), -scale_half, scale_half - 1);
    float inv = inverse(*d * (float)scale[i]);
    for (size_t j = 0; j < 16; j++) q[16 * i + j] = (uint8_t)(nearest(x[16 * i + j] * inv, -half, half - 1) + half);
  }
}

void q2_k_quantize(const float *x, uint8_t *block) {
  uint8_t q[256];
  int scale[16], min[16];
  float d, dmin;
  quantize_with_min(x, 16, 3, 15, q, scale, min, &d, &dmin);
  q2_k_pack(q, scale, min, d, dmin, block);
}

void q3_k_quantize(const float *x, uint8_t *block) {
  uint8_t q[256];
  int scale[16];
  float d;
  quantize_signed(x, 4, 32, q, scale, &d);
  q3_k_pack(q, scale, d, block);
}

void q4_k_quantize(const float *x, uint8_t *block) {
  uint8_t q[256];
  int scale[8], min[8];
  float d, dmin;
  quantize_with_min(x, 32, 15, 63, q, scale, min, &d, &dmin);
  q4_k_pack(q, scale, min, d, dmin, block);
}

void q5_k_quantize(const float *x, uint8_t *block) {
  uint8_t q[256];
  int scale[8], min[8];
  float d, dmin;
  quantize_with_min(x, 32, 31, 63, q, scale, min, &d, &dmin);
  q5_k_pack(q, scale, min, d, dmin, block);
}

void q6_k_quantize(const float *x, uint8_t *block) {
  uint8_t q[256];
  int scale[16];
  float d;
  quantize_signed(x, 32, 128, q, scale, &d);
  q6_k_pack(q, scale, d, block);
}
