/* Passes over a row of logits, in vectors of four. */
#ifndef SOTTO_LOGITS_H
#define SOTTO_LOGITS_H

#include "../base/base.h"

#include <math.h>

typedef float float4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));

static inline float4 float4_load(const float *x) {
  float4 v;
  memcpy(&v, x, sizeof v);
  return v;
}

static inline float4 float4_of(float x) { return (float4){x, x, x, x}; }

/* mask ? a : b; the mask is a comparison's result */
static inline float4 float4_select(int4 mask, float4 a, float4 b) {
  return (float4)((mask & (int4)a) | (~mask & (int4)b));
}

/* e^x for x <= 0 within 3e-7 of itself, 0 below -87 and for -infinity. 2^(x / ln 2): a whole power, and a polynomial for the rest. */
static inline float4 float4_exp(float4 x) {
  const float round_to_whole = 12582912.0f; /* 1.5 * 2^23: adding it leaves the whole part in the low bits */
  const float4 floor = float4_of(-87.0f);
  const int4 tiny = x < floor;
  const float4 clamped = float4_select(tiny, floor, x);
  const float4 shifted = clamped * 1.44269504f + round_to_whole;
  const float4 whole = shifted - round_to_whole;
  const float4 f = (clamped - whole * 0.693145752f) - whole * 1.42860677e-6f; /* x - whole * ln 2, in two pieces */
  float4 p = f * (1.0f / 720) + 1.0f / 120;
  p = p * f + 1.0f / 24;
  p = p * f + 1.0f / 6;
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  const int4 result = (int4)p + ((int4)shifted << 23);
  return (float4)(~tiny & result);
}

/* Largest of x[n]; -infinity for n = 0. NaN is passed over. */
static inline float row_max(const float *x, int32_t n) {
  float4 lane[4];
  float best = -INFINITY;
  int32_t i = 0;
  for (int32_t j = 0; j < 4; j++) lane[j] = float4_of(best);
  for (; i + 16 <= n; i += 16) {
    for (int32_t j = 0; j < 4; j++) {
      const float4 v = float4_load(x + i + 4 * j);
      lane[j] = float4_select(lane[j] < v, v, lane[j]);
    }
  }
  for (; i < n; i++) best = best < x[i] ? x[i] : best;
  for (int32_t j = 0; j < 16; j++) best = best < lane[j / 4][j % 4] ? lane[j / 4][j % 4] : best;
  return best;
}

/* Sum of exp((x - max) * scale) over x[n], where no x is above max. */
static inline float row_sum_exp(const float *x, int32_t n, float max, float scale) {
  float4 lane[2] = {float4_of(0), float4_of(0)};
  float sum = 0;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int32_t j = 0; j < 2; j++) lane[j] += float4_exp((float4_load(x + i + 4 * j) - max) * scale);
  }
  for (; i < n; i++) sum += float4_exp(float4_of((x[i] - max) * scale))[0];
  for (int32_t j = 0; j < 8; j++) sum += lane[j / 4][j % 4];
  return sum;
}

/* Log of the sum of exp(x), n >= 1. -infinity where all are. */
static inline float log_sum_exp(const float *x, int32_t n) {
  const float max = row_max(x, n);
  return max == -INFINITY ? max : max + logf(row_sum_exp(x, n, max, 1));
}

/* First place of `value` in x[n], n when it is not there. */
static inline int32_t row_find(const float *x, int32_t n, float value) {
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    int4 found = {0};
    for (int32_t j = 0; j < 4; j++) found |= float4_load(x + i + 4 * j) == value;
    if (found[0] | found[1] | found[2] | found[3]) break;
  }
  while (i < n && x[i] != value) i++;
  return i;
}

#endif
