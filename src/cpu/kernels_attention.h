/* The part of the table of kernels (kernels.h) that attention over scattered places uses. */
#ifndef SOTTO_CPU_KERNELS_ATTENTION_H
#define SOTTO_CPU_KERNELS_ATTENTION_H

#include "../base/base.h"

typedef struct attention_kernels {
  /* One query over `length` places of one head: y[d] = softmax(q kᵀ * scale) v, scores softcapped where cap > 0. k, v: int16 [place][d] with one f32 scale a place;
   * d a multiple of 32, places through slots[]; q int16 [d] with its scale; scores: scratch [length]. */
  void (*slots)(float *y, const int16_t *q, float q_scale, float cap, const int16_t *k, const float *k_scale,
                const int16_t *v, const float *v_scale, int32_t d, const int32_t *slots, int32_t length, float *scores);
} attention_kernels;

#endif
