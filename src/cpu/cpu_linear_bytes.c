/* The matrix products of cpu_linear.c in bytes (kernels_bytes_body.h), for many rows of a network that bears rounding to 8 and 7 bits.
 *
 *     x [n, in] ──quantize──> left panels of MR rows, int8 ────────────┐
 *     weight rows ──> right panels of int16, one at a time ──> bytes ──┴─> tiles ─> strip [MR, columns] ─finish─> y */
#include "cpu_linear.h"

/* Elements along k, with those that fill a run. */
static int32_t padded(const cpu *c, int32_t n) { return divide_up(n, c->k->byte_run) * c->k->byte_run; }

size_t cpu_bytes_row(const cpu *c, int32_t in) { return (size_t)padded(c, in); }

/* What a thread needs for a weight: the strip, units, the block's panels, and one of 16 bits with its units and a row. */
size_t cpu_bytes_scratch(const cpu *c, int32_t in) {
  if (c->k->byte_run == 0) return 0;
  const size_t nr = (size_t)c->k->nr, columns = BYTE_PANELS * nr, stretches = (size_t)divide_up(in, UNIT_LENGTH);
  return columns * (MAX_TILE_ROWS + stretches) * sizeof(float) + columns * cpu_bytes_row(c, in) +
         nr * ((size_t)divide_up(in, 2) * 4 + sizeof(float)) + (size_t)in * sizeof(float);
}

void cpu_bytes_left_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const linear_job *j = context;
  const cpu *c = j->c;
  const int32_t mr = c->k->mr, in = j->x.cols, first = item * LEFT_PANELS_PER_ITEM * mr;
  const int32_t end = min_i32(first + LEFT_PANELS_PER_ITEM * mr, j->rows);
  for (int32_t i = first; i < end; i++) {
    const int32_t top = i / mr * mr, m = min_i32(mr, j->rows - top); /* the last panel may have fewer rows */
    int8_t *panel = (int8_t *)c->left + (size_t)top * cpu_bytes_row(c, in) + 8 * (i - top);
    const float *row = linear_row(j, j->first + i);
    for (int32_t k = 0; k < in; k += UNIT_LENGTH) {
      const size_t at = (size_t)(k / UNIT_LENGTH) * (size_t)j->rows + (size_t)i;
      c->left_scales[at] = c->k->quantize_bytes(row + k, min_i32(UNIT_LENGTH, in - k), panel + (size_t)k * (size_t)m,
                                                8 * (size_t)m, &c->left_begins[at]);
    }
  }
}

void cpu_bytes_tile_item(void *context, int32_t item, int32_t thread) {
  const linear_job *j = context;
  const cpu *c = j->c;
  const linear_part *p = linear_part_of(j, &item);
  const weight *w = p->w;
  const linear_block b = linear_block_of(j, p, item);
  const int32_t mr = c->k->mr, nr = c->k->nr, n = padded(c, w->in), stretches = divide_up(w->in, UNIT_LENGTH);

  float *strip = cpu_scratch(c, thread);                         /* [mr, width] */
  float *units = strip + MAX_TILE_ROWS * b.width;                /* [n_panels][stretches][nr] */
  float *wide_units = units + stretches * b.width;               /* [nr] */
  float *row = wide_units + nr;                                  /* [in] */
  int16_t *wide = (int16_t *)(row + w->in);                      /* one panel of 16 bits */
  uint8_t *bytes = (uint8_t *)(wide + 2 * nr * weight_pairs(w)); /* [n_panels][n * nr] */
  for (int32_t i = 0; i < b.n_panels; i++) {
    const float *from_units;
    const int16_t *from = cpu_right_panels(c, w, b.first_column + i * nr, nr, wide, wide_units, row, &from_units);
    c->k->narrow_panel(from, from_units, w->in, bytes + (size_t)i * (size_t)(n * nr), units + i * stretches * nr);
  }
  for (int32_t top = b.begin; top < b.end; top += mr) {
    const int32_t m = min_i32(mr, b.end - top);
    c->k->byte_tile[m - 1]((const int8_t *)c->left + (size_t)top * (size_t)n, c->left_scales + top,
                           c->left_begins + top, (size_t)j->rows, bytes, units, n, b.n_panels, strip, (size_t)b.width);
    linear_finish(j, p, &b, top, m, strip);
  }
}
