/* A weight matrix [out, in] in CPU memory.
 *
 *   f32, f16                        right panels of int16, NR rows of the matrix (columns of the product) a panel
 *   q4_0 ... q8_0, q4_K ... q6_K    the same bits, rearranged in groups of rows (packing.h)
 *   q2_K, q3_K, iq4_nl, iq4_xs      the file's own rows
 *
 * Of the last two kinds panels are made block of columns by block of columns when many rows of activations come. */
#ifndef SOTTO_CPU_WEIGHT_H
#define SOTTO_CPU_WEIGHT_H

#include "cpu.h"

typedef enum weight_form { FORM_PANELS, FORM_PACKED, FORM_ROWS } weight_form;

struct weight {
  uint32_t type;
  weight_form form;
  packing packing; /* FORM_PACKED */
  int32_t out, in;
  size_t bytes, row_bytes;
  int16_t *panels; /* FORM_PANELS: [out / NR][in / 2][NR][2] */
  float *scales;   /* FORM_PANELS: [out], padded to NR */
  float *
      units; /* FORM_PACKED: [out], padded to groups: of the panels' columns; 0: not asked for yet; -1: the group has none */
  uint8_t *data; /* FORM_PACKED: [out / group] groups; FORM_ROWS: [out] rows of row_bytes */
};

static inline int32_t weight_pairs(const weight *w) { return divide_up(w->in, 2); }
/* FORM_PACKED: of the group of row `row`. */
static inline uint8_t *weight_group(const cpu *c, const weight *w, int32_t row) {
  return w->data + (size_t)(row / c->k->group) * packed_group_bytes(w->packing, w->in, (size_t)c->k->group);
}

/* FORM_PACKED: units of the panel columns of the group of row `row`, made at first; false: it has none. Any thread may ask. */
bool cpu_weight_units(const cpu *c, const weight *w, int32_t row, float *units);

/* Row `row` as f32 [in]. */
void cpu_weight_row(const cpu *c, const weight *w, int32_t row, float *out);

#endif
