/* Matrix products: y = act(x · wᵀ + bias) + residual.
 *
 *     x [n, in] ──quantize──> left panels of MR rows ─┐
 *     weight rows ─(blocks: dequantize)─> right panels ┴─> tiles ─> strip [MR, columns] ─finish─> y
 *
 * Work is handed out by (block of columns, range of rows). A block's right panels stay in a core's caches while all left panels pass by.
 * A few rows against a weight of blocks do not pay for making panels: they become integers in blocks themselves, and are multiplied with the weight's as
 * they lie (kernels_dot_body.h). */
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

/* Makes right panels of rows [first, first + n) of a weight of blocks. `row`: scratch for one of them. */
static void right_panels(const linear_job *j, int32_t first, int32_t n, int16_t *panels, float *scales, float *row) {
  const weight *w = j->w;
  const kernels *kernel = j->c->k;
  const int32_t group = kernel->group, nr = kernel->nr;
  const size_t panel_size = (size_t)weight_pairs(w) * (size_t)nr * 2;
  for (int32_t i = 0; i < n; i += group) {
    int16_t *columns = panels + (size_t)(i / nr) * panel_size + i % nr * 2;
    if (w->form == FORM_PACKED && first + i < w->out &&
        kernel->group_panel[w->packing](weight_group(j->c, w, first + i), w->in / 32, columns, scales + i))
      continue;
    for (int32_t l = 0; l < group; l++) {
      if (first + i + l < w->out)
        cpu_weight_row(j->c, w, first + i + l, row);
      else
        memset(row, 0, (size_t)w->in * sizeof *row);
      scales[i + l] = quantize_right(kernel, row, w->in, columns + 2 * l, (size_t)nr);
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

/* Rows of activations as integers in blocks of 32, with what the dot kernels want of their sums (kernels.h). */
typedef struct few_job {
  const linear_job *linear;
  int32_t first, rows; /* of x */
  int32_t bits, out_per_item;
  uint8_t *x; /* [rows] of `stride` bytes */
  size_t stride;
  float *units;  /* [rows][in / 32] */
  int32_t *sums; /* [rows][in / 16] */
} few_job;

#define FEW_ROWS_PER_ITEM 8
#define LEAST_OUT         64  /* rows of the weight an item: the least, of which */
#define MOST_OUT          256 /* this is a multiple, and they of every VW */

/* From the sums of 16 integers what a packing's kernel adds. */
static void prepare_sums(packing p, int32_t blocks, const float *units, int32_t *sums) {
  if (packed_halves(p)) {
    for (int32_t i = 0; i < 2 * blocks; i++) sums[i] *= -packed_zero(p);
    return;
  }
  for (int32_t b = 0; b < blocks; b++) {
    const int32_t sum = sums[2 * b] + sums[2 * b + 1];
    const float m = packed_k(p) ? -units[b] * (float)sum : units[b] * (float)sum;
    sums[b] = -packed_zero(p) * sum;
    if (packed_m(p)) memcpy(sums + b, &m, 4);
  }
}

static void blocks_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const int32_t in = j->w->in, blocks = in / 32, end = min_i32((item + 1) * FEW_ROWS_PER_ITEM, f->rows);
  for (int32_t i = item * FEW_ROWS_PER_ITEM; i < end; i++) {
    float *units = f->units + (size_t)i * (size_t)blocks;
    int32_t *sums = f->sums + (size_t)i * (size_t)blocks * 2;
    j->c->k->quantize_blocks(tensor_at(j->x, f->first + i), in, f->bits, f->x + (size_t)i * f->stride, units, sums);
    if (j->w->form == FORM_PACKED) prepare_sums(j->w->packing, blocks, units, sums);
  }
}

/* strip [n, MOST_OUT] of columns [first, first + n_out) and rows [row, row + n) of the product. */
static void finish_few(const few_job *f, const float *strip, int32_t row, int32_t n, int32_t first, int32_t n_out) {
  const linear_job *j = f->linear;
  for (int32_t i = 0; i < n; i++)
    j->c->k->finish(tensor_at(j->y, f->first + row + i) + first, strip + i * MOST_OUT, n_out,
                    j->bias ? j->bias + first : NULL, j->gelu,
                    j->residual ? tensor_at(*j->residual, f->first + row + i) + first : NULL);
}

static void packed_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const weight *w = j->w;
  const int32_t blocks = w->in / 32, group = j->c->k->group;
  const int32_t first = item * f->out_per_item, n_out = min_i32(f->out_per_item, w->out - first);
  const uint8_t *groups = weight_group(j->c, w, first);
  float strip[MOST_DOT_ROWS * MOST_OUT];
  for (int32_t i = 0, n; i < f->rows; i += n) {
    n = min_i32(MOST_DOT_ROWS, f->rows - i);
    const size_t block = (size_t)i * (size_t)blocks;
    j->c->k->dot[w->packing][n - 1](groups, divide_up(n_out, group), blocks, f->x + (size_t)i * f->stride, f->stride,
                                    f->units + block, f->sums + 2 * block, strip, MOST_OUT);
    finish_few(f, strip, i, n, first, n_out);
  }
}

/* A row at a time, unpacked block by block: for the rare types. */
static void rows_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const weight *w = j->w;
  const int32_t blocks = w->in / 32, first = item * f->out_per_item, n_out = min_i32(f->out_per_item, w->out - first);
  float strip[MAX_FEW_ROWS * MOST_OUT];
  for (int32_t r = 0; r < n_out; r++) {
    const uint8_t *row = w->data + (size_t)(first + r) * w->row_bytes;
    float total[MAX_FEW_ROWS] = {0};
    for (int32_t b = 0; b < blocks; b++) {
      qblock32 block;
      qblock_unpack(w->type, row, (size_t)b, &block);
      for (int32_t i = 0; i < f->rows; i++) {
        const int16_t *x = (const int16_t *)(f->x + (size_t)i * f->stride) + 32 * b;
        const int32_t *sums = f->sums + 2 * (i * blocks + b);
        for (int half = 0; half < 2; half++) {
          int32_t dot = 0;
          for (int e = 16 * half; e < 16 * half + 16; e++) dot += block.q[e] * x[e];
          total[i] +=
              (block.scale[half] * (float)dot + block.offset[half] * (float)sums[half]) * f->units[i * blocks + b];
        }
      }
    }
    for (int32_t i = 0; i < f->rows; i++) strip[i * MOST_OUT + r] = total[i];
  }
  finish_few(f, strip, 0, f->rows, first, n_out);
}

static void linear_few(linear_job *j) {
  const cpu *c = j->c;
  const weight *w = j->w;
  const bool packed = w->form == FORM_PACKED;
  const int32_t blocks = w->in / 32, most_rows = (int32_t)(c->few_bytes / few_row_bytes(w->in));
  few_job f = {.linear = j, .bits = packed ? c->k->dot_bits[w->packing] : 16};
  f.stride = (size_t)w->in * (size_t)(f.bits / 8);
  /* An item's work: enough to pay for being handed out, and, where many rows come, rows of the weight that stay in a core's caches. */
  f.out_per_item = LEAST_OUT;
  while (f.out_per_item < MOST_OUT && w->out >= 16 * f.out_per_item * pool_threads(c->pool) &&
         (double)j->x.rows * w->in * f.out_per_item < 200e3)
    f.out_per_item *= 2;
  for (f.first = 0; f.first < j->x.rows; f.first += f.rows) {
    f.rows = min_i32(j->x.rows - f.first, packed ? most_rows : MAX_FEW_ROWS);
    f.sums = c->few;
    f.units = (float *)(f.sums + (size_t)f.rows * (size_t)blocks * 2);
    f.x = (uint8_t *)(f.units + (size_t)f.rows * (size_t)blocks);
    cpu_run(c, blocks_item, &f, divide_up(f.rows, FEW_ROWS_PER_ITEM), (double)f.rows * w->in);
    cpu_run(c, packed ? packed_item : rows_item, &f, divide_up(w->out, f.out_per_item),
            (double)f.rows * w->in * w->out);
  }
}

/* Whether rows of activations are multiplied with a weight's blocks as they are. */
static bool is_few(const cpu *c, const weight *w, int32_t rows) {
  if (w->form == FORM_PANELS) return false;
  return rows <= (w->form == FORM_PACKED && c->k->dot_bits[w->packing] == 8 ? MAX_DOT8_ROWS : MAX_FEW_ROWS);
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
  if (is_few(job.c, w, x.rows))
    linear_few(&job);
  else
    linear_by_panels(&job);
}
