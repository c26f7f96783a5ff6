/* Inside of the matrix products: what the ways of computing them share.
 *
 * A job is some products of the same rows, which are prepared once, and whose items are handed out together. */
#ifndef SOTTO_CPU_LINEAR_H
#define SOTTO_CPU_LINEAR_H

#include "cpu_weight.h"

/* y[n, out] = act(x · wᵀ + bias) + residual */
typedef struct linear_part {
  const weight *w;
  tensor y;
  const float *bias;      /* [out], or NULL */
  const tensor *residual; /* [n, out], or NULL */

  int32_t items; /* of this part */
  int32_t block_panels, row_items,
      panels_per_item;          /* cpu_linear.c: right panels an item; items along the rows, and left panels of each */
  int32_t blocks, out_per_item; /* cpu_linear_few.c: which blocks of activations; rows of w an item */
} linear_part;

typedef struct linear_job {
  const cpu *c;
  tensor x;           /* [n, in] */
  const normed *norm; /* that leaves x, or NULL: x is there */
  bool gelu;
  bool
      geglu; /* two parts, of the same size: the first one's y gets gelu(first) * second, the second one's nothing; few rows only */
  int32_t n_parts;
  linear_part parts[MAX_PRODUCTS];
  int32_t first, rows; /* of x, those prepared */
} linear_job;

/* Row i of x, made first where that is to be done. */
static inline const float *linear_row(const linear_job *j, int32_t i) {
  return j->norm ? cpu_norm_row(j->c, j->norm, i) : tensor_at(j->x, i);
}

/* Which part an item is of; *item becomes its number there. */
static inline const linear_part *linear_part_of(const linear_job *j, int32_t *item) {
  const linear_part *p = j->parts;
  while (*item >= p->items) *item -= p++->items;
  return p;
}

/* Rows of the weight's blocks as they are, against a few rows of x. */
void cpu_linear_few(linear_job *j);

#endif
