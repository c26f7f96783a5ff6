/* Matrix products: y = act(x · wᵀ + bias) + residual.
 *
 *     x [n, in] ──quantize──> left panels of MR rows ─┐
 *     weight rows ─(blocks: dequantize)─> right panels ┴─> tiles ─> strip [MR, columns] ─finish─> y
 *
 * Work is handed out by (block of columns, range of rows). A block's right panels stay in a core's caches while all left panels pass by.
 * A few rows against a weight of blocks do not pay for making panels: there, each row of the weight is unpacked block by block
 * and multiplied at once. */
#include "cpu_weight.h"

typedef struct linear_job {
  const cpu *c;
  const weight *w;
  tensor y, x;
  const float *bias;
  bool gelu;
  const tensor *residual;
  int32_t first, rows;                /* of x, in the left panels */
  int32_t block_panels;               /* right panels an item */
  int32_t row_items, panels_per_item; /* items along the rows, and left panels of each */
} linear_job;

/* -- left panels -- */

#define LEFT_PANELS_PER_ITEM 8

static void left_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const linear_job *j = context;
  const cpu *c = j->c;
  const int32_t mr = c->k->mr, pairs = weight_pairs(j->w);
  const int32_t begin = item * LEFT_PANELS_PER_ITEM * mr, end = min_i32(begin + LEFT_PANELS_PER_ITEM * mr, j->rows);
  for (int32_t i = begin; i < end; i++) {
    const int32_t top = i / mr * mr, m = min_i32(mr, j->rows - top); /* the last panel may have fewer rows */
    int16_t *panel = c->left + (size_t)top * (size_t)pairs * 2 + 2 * (i - top);
    const float *row = tensor_at(j->x, j->first + i);
    for (int32_t k = 0; k < j->x.cols; k += UNIT_LENGTH)
      c->left_scales[(size_t)(k / UNIT_LENGTH) * (size_t)j->rows + (size_t)i] =
          quantize_left(c->k, row + k, min_i32(UNIT_LENGTH, j->x.cols - k), panel + (size_t)k * (size_t)m, (size_t)m);
  }
}

/* -- tiles -- */

/* Makes right panels of rows [first, first + n) of a weight of blocks. */
static void right_panels(const linear_job *j, int32_t first, int32_t n, int16_t *panels, float *scales, float *row) {
  const weight *w = j->w;
  const size_t nr = (size_t)j->c->k->nr, panel_size = (size_t)weight_pairs(w) * nr * 2;
  for (int32_t i = 0; i < n; i++) {
    int16_t *pairs = panels + (size_t)i / nr * panel_size + (size_t)i % nr * 2;
    if (first + i < w->out) {
      cpu_weight_row(j->c, w, first + i, row);
      scales[i] = quantize_right(j->c->k, row, w->in, pairs, nr);
    } else {
      for (int32_t k = 0; k < weight_pairs(w); k++, pairs += 2 * nr) pairs[0] = pairs[1] = 0;
      scales[i] = 0;
    }
  }
}

static void tile_item(void *context, int32_t item, int32_t thread) {
  const linear_job *j = context;
  const cpu *c = j->c;
  const weight *w = j->w;
  const int32_t mr = c->k->mr, nr = c->k->nr, pairs = weight_pairs(w), out = w->out;
  const int32_t first_panel = item / j->row_items * j->block_panels, first_column = first_panel * nr;
  const int32_t n_panels = min_i32(j->block_panels, divide_up(out, nr) - first_panel);
  const int32_t columns = min_i32(n_panels * nr, out - first_column), width = n_panels * nr;
  const size_t panel_size = (size_t)pairs * (size_t)nr * 2;

  float *strip = cpu_scratch(c, thread); /* [mr, width] */
  const int16_t *panels;
  const float *scales;
  if (w->form != FORM_PANELS) {
    float *own_scales = strip + MAX_TILE_ROWS * width, *row = own_scales + width;
    int16_t *own = (int16_t *)(row + ((w->in + 15) & ~15));
    right_panels(j, first_column, width, own, own_scales, row);
    panels = own, scales = own_scales;
  } else {
    panels = w->panels + (size_t)first_panel * panel_size, scales = w->scales + first_column;
  }

  const int32_t begin = item % j->row_items * j->panels_per_item * mr,
                end = min_i32(begin + j->panels_per_item * mr, j->rows);
  for (int32_t top = begin; top < end; top += mr) {
    const int32_t m = min_i32(mr, end - top);
    const int16_t *left = c->left + (size_t)top * (size_t)pairs * 2;
    c->k->tile[m - 1](left, c->left_scales + top, (size_t)j->rows, panels, scales, w->in, n_panels, strip,
                      (size_t)width);
    for (int32_t i = 0; i < m; i++) {
      const int32_t row = j->first + top + i;
      c->k->finish(tensor_at(j->y, row) + first_column, strip + i * width, columns,
                   j->bias ? j->bias + first_column : NULL, j->gelu,
                   j->residual ? tensor_at(*j->residual, row) + first_column : NULL);
    }
  }
}

static void linear_by_panels(linear_job *j) {
  const cpu *c = j->c;
  const weight *w = j->w;
  const int32_t mr = c->k->mr, nr = c->k->nr, threads = pool_threads(c->pool), n_panels = divide_up(w->out, nr);
  const size_t left_row = (size_t)weight_pairs(w) * 4;
  const int32_t most_rows =
      min_i32((int32_t)(LEFT_BYTES / left_row), LEFT_SCALES / divide_up(w->in, UNIT_LENGTH)) / mr * mr;
  for (j->first = 0; j->first < j->x.rows; j->first += j->rows) {
    j->rows = min_i32(most_rows, j->x.rows - j->first);
    const double work = (double)j->rows * w->in;
    cpu_run(c, left_item, j, divide_up(j->rows, LEFT_PANELS_PER_ITEM * mr), work);

    /* Blocks of columns: 4 panels, more when there are too few rows to fill an item's time; then rows are split, if
     * that is what gives each thread a few items. */
    const int32_t left_panels = divide_up(j->rows, mr);
    j->block_panels = 4;
    while (j->block_panels < MAX_BLOCK_PANELS && (double)j->block_panels * nr * work < 64e3 &&
           n_panels >= 2 * j->block_panels * 4 * threads && w->form == FORM_PANELS)
      j->block_panels *= 2;
    const int32_t blocks = divide_up(n_panels, j->block_panels);
    j->row_items = max_i32(1, min_i32(divide_up(4 * threads, blocks), divide_up(left_panels, 8)));
    j->panels_per_item = divide_up(left_panels, j->row_items);
    cpu_run(c, tile_item, j, blocks * j->row_items, work * w->out);
  }
}

/* -- few rows against blocks -- */

/* The rows of activations as int16 with one unit each, and the sums of every 16 or 32 of them. */
typedef struct few_job {
  const linear_job *linear;
  int16_t *x; /* [n][in] */
  void *sums; /* FORM_ROWS: int32 [n][in / 16]; FORM_PACKED: [n][in / 32] as the kernels want them */
  float unit[MAX_FEW_ROWS];
} few_job;

#define FEW_OUT_PER_ITEM 64 /* a multiple of every VW */

static void finish_few(const few_job *f, const float *strip, int32_t first,
                       int32_t n_out) { /* strip [n, FEW_OUT_PER_ITEM] */
  const linear_job *j = f->linear;
  for (int32_t i = 0; i < j->x.rows; i++)
    j->c->k->finish(tensor_at(j->y, i) + first, strip + i * FEW_OUT_PER_ITEM, n_out, j->bias ? j->bias + first : NULL,
                    j->gelu, j->residual ? tensor_at(*j->residual, i) + first : NULL);
}

static void packed_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const cpu *c = j->c;
  const weight *w = j->w;
  const int32_t n = j->x.rows, blocks = w->in / 32, vw = c->k->vw;
  const int32_t first = item * FEW_OUT_PER_ITEM, end = min_i32(first + FEW_OUT_PER_ITEM, w->out);
  float strip[MAX_FEW_ROWS * FEW_OUT_PER_ITEM], out[5 * 16];
  for (int32_t r = first; r < end; r += vw) {
    const uint8_t *group = weight_group(c, w, r);
    for (int32_t i = 0, size; i < n; i += size) {
      const int kind = n - i >= 5 ? 2 : n - i >= 2 ? 1 : 0;
      size = dot_sizes[kind];
      c->k->dot[w->packing][kind](group, blocks, f->x + (size_t)i * (size_t)w->in, (size_t)w->in,
                                  (const uint8_t *)f->sums + 4 * (size_t)i * (size_t)blocks, out);
      for (int32_t a = 0; a < size; a++)
        for (int32_t l = 0; l < vw; l++)
          strip[(i + a) * FEW_OUT_PER_ITEM + r - first + l] = out[a * vw + l] * f->unit[i + a];
    }
  }
  finish_few(f, strip, first, end - first);
}

static void rows_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const weight *w = j->w;
  const int32_t n = j->x.rows, in = w->in;
  const int32_t first = item * FEW_OUT_PER_ITEM, end = min_i32(first + FEW_OUT_PER_ITEM, w->out);
  float strip[MAX_FEW_ROWS * FEW_OUT_PER_ITEM];
  for (int32_t r = first; r < end; r++) {
    const uint8_t *row = w->data + (size_t)r * w->row_bytes;
    float total[MAX_FEW_ROWS] = {0};
    for (int32_t b = 0; b < in / 32; b++) {
      qblock32 block;
      qblock_unpack(w->type, row, (size_t)b, &block);
      for (int32_t i = 0; i < n; i++) {
        const int16_t *x = f->x + (size_t)i * (size_t)in + 32 * b;
        const int32_t *sums = (const int32_t *)f->sums + (size_t)i * (size_t)(in / 16) + 2 * b;
        for (int half = 0; half < 2; half++) {
          int32_t dot = 0;
          for (int e = 16 * half; e < 16 * half + 16; e++) dot += block.q[e] * x[e];
          total[i] += block.scale[half] * (float)dot + block.offset[half] * (float)sums[half];
        }
      }
    }
    for (int32_t i = 0; i < n; i++) strip[i * FEW_OUT_PER_ITEM + r - first] = total[i] * f->unit[i];
  }
  finish_few(f, strip, first, end - first);
}

static void linear_few(linear_job *j) {
  const cpu *c = j->c;
  const weight *w = j->w;
  const int32_t n = j->x.rows, in = w->in, length = w->form == FORM_PACKED ? 32 : 16;
  few_job f = {.linear = j, .sums = c->few};
  f.x = (int16_t *)((int32_t *)c->few + (size_t)MAX_FEW_ROWS * (size_t)(in / 16));
  int32_t *sums = c->few;
  for (int32_t i = 0; i < n; i++) {
    int16_t *x = f.x + (size_t)i * (size_t)in;
    f.unit[i] = quantize_by_largest(c->k, tensor_at(j->x, i), in, x);
    for (int32_t k = 0; k < in; k += length, sums++) {
      int32_t sum = 0;
      for (int e = 0; e < length; e++) sum += x[k + e];
      const float as_float = (float)sum;
      *sums = -packed_zero(w->packing) * sum;
      if (w->form == FORM_ROWS)
        *sums = sum;
      else if (packed_m(w->packing))
        memcpy(sums, &as_float, 4);
    }
  }
  cpu_run(c, w->form == FORM_PACKED ? packed_item : rows_item, &f, divide_up(w->out, FEW_OUT_PER_ITEM),
          (double)n * in * w->out);
}

void cpu_linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                const tensor *residual) {
  linear_job job = {.c = (cpu *)be,
                    .w = w,
                    .y = y,
                    .x = x,
                    .bias = bias ? tensor_at(*bias, 0) : NULL,
                    .gelu = act == ACT_GELU_ERF,
                    .residual = residual};
  if (w->form != FORM_PANELS && x.rows <= MAX_FEW_ROWS)
    linear_few(&job);
  else
    linear_by_panels(&job);
}
