/* Passes over a row of logits. Loops run over LANES independent lanes, so that compilers make vector code of them. */
#ifndef SOTTO_LOGITS_H
#define SOTTO_LOGITS_H

#include "../base/base.h"

#include <math.h>

enum { LANES = 16 };

/* e^x for x <= 0 within 2e-7 of itself, 0 below -87. Branch-free: 2^(x / ln 2) as whole power times a polynomial. */
static inline float fast_exp(float x) {
  const float round_to_whole = 12582912.0f; /* 1.5 * 2^23: adding it leaves the whole part in the low bits */
  float clamped = x < -87.0f ? -87.0f : x;
  float shifted = clamped * 1.44269504f + round_to_whole;
  float whole = shifted - round_to_whole;
  float f = (clamped - whole * 0.693145752f) - whole * 1.42860677e-6f; /* x - whole * ln 2, in two pieces */
  float p = 1.0f / 720;
  p = p * f + 1.0f / 120;
  p = p * f + 1.0f / 24;
  p = p * f + 1.0f / 6;
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  uint32_t bits, exponent;
  memcpy(&bits, &p, 4);
  memcpy(&exponent, &shifted, 4);
  bits += exponent << 23;
  memcpy(&p, &bits, 4);
  return x < -87.0f ? 0.0f : p;
}

/* Largest of x[n]; -infinity for n = 0. NaN is passed over. */
static inline float row_max(const float *x, int32_t n) {
  float lane[LANES], best = -INFINITY;
  int32_t i = 0;
  for (int32_t j = 0; j < LANES; j++) lane[j] = -INFINITY;
  for (; i + LANES <= n; i += LANES) {
    for (int32_t j = 0; j < LANES; j++) lane[j] = lane[j] < x[i + j] ? x[i + j] : lane[j];
  }
  for (; i < n; i++) best = best < x[i] ? x[i] : best;
  for (int32_t j = 0; j < LANES; j++) best = best < lane[j] ? lane[j] : best;
  return best;
}

/* Sum of exp((x - max) * scale) over x[n], where no x is above max. */
static inline float row_sum_exp(const float *x, int32_t n, float max, float scale) {
  float lane[LANES] = {0}, sum = 0;
  int32_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (int32_t j = 0; j < LANES; j++) lane[j] += fast_exp((x[i + j] - max) * scale);
  }
  for (; i < n; i++) sum += fast_exp((x[i] - max) * scale);
  for (int32_t j = 0; j < LANES; j++) sum += lane[j];
  return sum;
}

/* First place of `value` in x[n], n when it is not there. */
static inline int32_t row_find(const float *x, int32_t n, float value) {
  int32_t i = 0;
  for (; i + LANES <= n; i += LANES) {
    uint32_t found = 0;
    for (int32_t j = 0; j < LANES; j++) found |= x[i + j] == value;
    if (found) break;
  }
  while (i < n && x[i] != value) i++;
  return i;
}

#endif
