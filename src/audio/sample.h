/* A sample as it may come from outside: NaN, infinities and values that no recording holds count as 0, so that
 * no sum of them overflows further on. */
#ifndef SOTTO_SAMPLE_H
#define SOTTO_SAMPLE_H

#include <math.h>

static inline float sample_or_zero(float x) { return fabsf(x) <= 1e9f ? x : 0.0f; }

#endif
