/* A weight matrix [out, in] in CPU memory.
 *
 *   f32, f16     right panels of int16, NR rows of the matrix (columns of the product) a panel, made as rows arrive
 *   blocks       the file's own rows; panels are made from them block of columns by block of columns when many rows come */
#ifndef SOTTO_CPU_WEIGHT_H
#define SOTTO_CPU_WEIGHT_H

#include "cpu.h"

struct weight {
  uint32_t type;
  int32_t out, in;
  size_t bytes;
  int16_t *panels; /* [out / NR][in / 2][NR][2], or NULL */
  float *scales;   /* [out], padded to NR, with the panels */
  uint8_t *rows;   /* [out] rows of row_bytes, or NULL */
  size_t row_bytes;
};

static inline bool weight_is_blocks(const weight *w) { return w->rows != NULL; }
static inline int32_t weight_pairs(const weight *w) { return divide_up(w->in, 2); }

/* Row `row` as f32 [in]. */
void cpu_weight_row(const cpu *c, const weight *w, int32_t row, float *out);

#endif
