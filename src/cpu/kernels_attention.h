/* The part of the table of kernels (kernels.h) that works on keys and values in places.
 *
 * A block is some rows, each a query of one head, and up to KV_BLOCK places of the one head of keys and values that they share. Each
 * key and each value is loaded once for several rows:
 *
 *     scores    x[row][place] = q[row] · k[place]
 *     weigh     x = exp(x - the row's largest so far); the running sum of x; by what y must shrink because the largest grew
 *     values    y[row] = y[row] * shrink[row] + sum over places of x[row][place] * v[place]
 *
 * q, k and v are integers with scales. q is int16 and keeps |q · k| of a row (KV_16: norms FIXED_NORM_A, FIXED_NORM_B) or of 32
 * elements (KV_Q8_0: at most FIXED_MAX) below 2^31. For the second product x times the scale of v becomes int16 with a unit for each row, so
 * that x adds up to WEIGHT_SUM at most and the sum stays below 2^31 whatever v is. */
#ifndef SOTTO_CPU_KERNELS_ATTENTION_H
#define SOTTO_CPU_KERNELS_ATTENTION_H

#include "../base/base.h"

#define KV_ROWS    32       /* rows of a block, at most */
#define KV_BLOCK   128      /* and places */
#define KV_GROUP   32       /* KV_Q8_0: elements that share a scale */
#define WEIGHT_SUM 65000.0f /* times 32768, with KV_BLOCK roundings: less than 2^31 */

typedef struct kv_block {
  int32_t rows, n, d;   /* rows, places, elements of a row: a multiple of 64 */
  const int32_t *slots; /* [n]: place i is row slots[i] of k and v */
  const void *k, *v;    /* of the head: int16 or int8 [place][d] */
  const float *k_scale; /* KV_16: [place]; KV_Q8_0: [place][d / KV_GROUP] */
  const float *v_scale; /* KV_16: [place]; KV_Q8_0: [d / KV_GROUP][v_stride] */
  size_t v_stride;
  const int16_t *q;           /* [rows][d] */
  const int32_t *begin, *end; /* [rows]: row r sees places [begin, end) of the n, nothing where begin >= end */
  float *x;                   /* [rows][KV_BLOCK] */
  int16_t *weights;           /* scratch [rows][KV_BLOCK] */
  const float *shrink;        /* [rows] */
  float *y;                   /* [rows][d] */
} kv_block;

typedef struct attention_kernels {
  /* By type of the keys and values (kv_type). */
  void (*scores[2])(const kv_block *b);
  void (*values[2])(const kv_block *b);
  /* x[n] = exp((x - top) * factor), where top [1] becomes the largest of itself and x; sum [1] follows. Gives what sums made with the old top must be
   * multiplied by. */
  float (*weigh)(float *x, int32_t n, float factor, float *top, float *sum);
} attention_kernels;

#endif
