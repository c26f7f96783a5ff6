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
      geglu; /* two parts, of the same size, that go one way: the first one's y gets gelu(first) * second, the second one's nothing; not in bytes */
  int32_t n_parts;
  linear_part parts[MAX_PRODUCTS];
  bool bytes;          /* many rows: in bytes, and not in 16 bits */
  int32_t first, rows; /* of x, those prepared */
} linear_job;

#define LEFT_PANELS_PER_ITEM 8

/* What an item of tiles works on: some right panels, and rows [begin, end) of those prepared. */
typedef struct linear_block {
  int32_t first_column, columns; /* of y */
  int32_t n_panels, width;       /* and their columns with those that fill the last */
  int32_t begin, end;
} linear_block;

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

static inline linear_block linear_block_of(const linear_job *j, const linear_part *p, int32_t item) {
  const int32_t mr = j->c->k->mr, nr = j->c->k->nr, first = item / p->row_items * p->block_panels;
  linear_block b = {.first_column = first * nr, .n_panels = min_i32(p->block_panels, divide_up(p->w->out, nr) - first)};
  b.width = b.n_panels * nr;
  b.columns = min_i32(b.width, p->w->out - b.first_column);
  b.begin = item % p->row_items * p->panels_per_item * mr;
  b.end = min_i32(b.begin + p->panels_per_item * mr, j->rows);
  return b;
}

/* The strip [m, width] becomes rows top ... of y. */
static inline void linear_finish(const linear_job *j, const linear_part *p, const linear_block *b, int32_t top,
                                 int32_t m, const float *strip) {
  for (int32_t i = 0; i < m; i++) {
    const int32_t row = j->first + top + i;
    j->c->k->finish(tensor_at(p->y, row) + b->first_column, strip + i * b->width, b->columns,
                    p->bias ? p->bias + b->first_column : NULL, j->gelu,
                    p->residual ? tensor_at(*p->residual, row) + b->first_column : NULL);
  }
}

/* Right panels of rows [first, first + n) of a weight, of 16 bits, with *scales: those of the weight where it has them, else made in panels, own_scales. `row`:
 * scratch for one row. */
const int16_t *cpu_right_panels(const cpu *c, const weight *w, int32_t first, int32_t n, int16_t *panels,
                                float *own_scales, float *row, const float **scales);

/* cpu_linear_bytes.c: bytes of a row of x, bytes of scratch for a weight, items. */
size_t cpu_bytes_row(const cpu *c, int32_t in);
size_t cpu_bytes_scratch(const cpu *c, int32_t in);
void cpu_bytes_left_item(void *context, int32_t item, int32_t thread);
void cpu_bytes_tile_item(void *context, int32_t item, int32_t thread);

/* Rows of the weight's blocks as they are, against a few rows of x. */
void cpu_linear_few(linear_job *j);

#endif
