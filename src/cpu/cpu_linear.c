/* Matrix products: y = act(x · wᵀ + bias) + residual.
 *
 *     x [n, in] ──quantize──> left panels of MR rows ─┐
 *     weight rows ─(blocks: dequantize)─> right panels ┴─> tiles ─> strip [MR, columns] ─finish─> y
 *
 * Work is handed out by (block of columns, range of rows). A block's right panels stay in a core's caches while all left panels pass by.
 * A few rows against a weight of blocks do not pay for making panels: cpu_linear_few.c. */
#include "cpu_linear.h"

/* -- left panels -- */

static void left_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const linear_job *j = context;
  const cpu *c = j->c;
  const int32_t mr = c->k->mr, pairs = divide_up(j->x.cols, 2);
  const int32_t begin = item * LEFT_PANELS_PER_ITEM * mr, end = min_i32(begin + LEFT_PANELS_PER_ITEM * mr, j->rows);
  for (int32_t i = begin; i < end; i++) {
    const int32_t top = i / mr * mr, m = min_i32(mr, j->rows - top); /* the last panel may have fewer rows */
    int16_t *panel = c->left + (size_t)top * (size_t)pairs * 2 + 2 * (i - top);
    const float *row = linear_row(j, j->first + i);
    for (int32_t k = 0; k < j->x.cols; k += UNIT_LENGTH)
      c->left_scales[(size_t)(k / UNIT_LENGTH) * (size_t)j->rows + (size_t)i] =
          quantize_left(c->k, row + k, min_i32(UNIT_LENGTH, j->x.cols - k), panel + (size_t)k * (size_t)m, (size_t)m);
  }
}

/* -- tiles -- */

const int16_t *cpu_right_panels(const cpu *c, const weight *w, int32_t first, int32_t n, int16_t *panels,
                                float *own_scales, float *row, const float **scales) {
  const kernels *kernel = c->k;
  const int32_t group = kernel->group, nr = kernel->nr;
  const size_t panel_size = (size_t)weight_pairs(w) * (size_t)nr * 2;
  if (w->form == FORM_PANELS) {
    *scales = w->scales + first;
    return w->panels + (size_t)(first / nr) * panel_size;
  }
  for (int32_t i = 0; i < n; i += group) {
    int16_t *columns = panels + (size_t)(i / nr) * panel_size + i % nr * 2;
    if (w->form == FORM_PACKED && first + i < w->out && cpu_weight_units(c, w, first + i, own_scales + i)) {
      kernel->group_panel[w->packing](weight_group(c, w, first + i), w->in / 32, own_scales + i, columns);
      continue;
    }
    for (int32_t l = 0; l < group; l++) {
      if (first + i + l < w->out)
        cpu_weight_row(c, w, first + i + l, row);
      else
        memset(row, 0, (size_t)w->in * sizeof *row);
      own_scales[i + l] = quantize_right(kernel, row, w->in, columns + 2 * l, (size_t)nr);
    }
  }
  *scales = own_scales;
  return panels;
}

/* gelu(first strip) * second, rows top ... of y. */
static void geglu_rows(const linear_job *j, const linear_block *b, int32_t top, int32_t m, const float *strips) {
  for (int32_t i = 0; i < m; i++)
    j->c->k->geglu(tensor_at(j->parts[0].y, j->first + top + i) + b->first_column, strips + i * b->width,
                   strips + (MAX_TILE_ROWS + i) * b->width, b->columns);
}

static void tile_item(void *context, int32_t item, int32_t thread) {
  const linear_job *j = context;
  const cpu *c = j->c;
  const linear_part *p = linear_part_of(j, &item);
  const linear_block b = linear_block_of(j, p, item);
  const int32_t mr = c->k->mr, nr = c->k->nr, pairs = weight_pairs(p->w), together = j->geglu ? 2 : 1;

  float *strips = cpu_scratch(c, thread); /* [together][MAX_TILE_ROWS, width] */
  float *own_scales = strips + together * MAX_TILE_ROWS * b.width, *row = own_scales + together * b.width;
  int16_t *own_panels = (int16_t *)(row + ((p->w->in + 15) & ~15));
  const float *scales[2];
  const int16_t *panels[2];
  for (int32_t i = 0; i < together; i++)
    panels[i] =
        cpu_right_panels(c, p[i].w, b.first_column, b.width, own_panels + (size_t)i * b.n_panels * pairs * nr * 2,
                         own_scales + i * b.width, row, &scales[i]);
  for (int32_t top = b.begin; top < b.end; top += mr) {
    const int32_t m = min_i32(mr, b.end - top);
    const int16_t *left = c->left + (size_t)top * (size_t)pairs * 2;
    for (int32_t i = 0; i < together; i++)
      c->k->tile[m - 1](left, c->left_scales + top, (size_t)j->rows, panels[i], scales[i], p->w->in, b.n_panels,
                        strips + i * MAX_TILE_ROWS * b.width, (size_t)b.width);
    if (j->geglu)
      geglu_rows(j, &b, top, m, strips);
    else
      linear_finish(j, p, &b, top, m, strips);
  }
}

/* Blocks of columns: 4 panels, two and two for geglu, as many bytes where they are of bytes; more when there are too few rows to fill an item's time; then rows
 * are split, if that is what gives each thread a few items. */
static void share_out(const linear_job *j, linear_part *p) {
  const int32_t mr = j->c->k->mr, nr = j->c->k->nr, threads = pool_threads(j->c->pool);
  const int32_t n_panels = divide_up(p->w->out, nr), left_panels = divide_up(j->rows, mr);
  p->block_panels = j->bytes ? BYTE_PANELS : j->geglu ? 2 : 4;
  while (!j->bytes && !j->geglu && p->block_panels < MAX_BLOCK_PANELS &&
         (double)p->block_panels * nr * j->rows * p->w->in < 64e3 && n_panels >= 2 * p->block_panels * 4 * threads &&
         p->w->form == FORM_PANELS)
    p->block_panels *= 2;
  const int32_t blocks = divide_up(n_panels, p->block_panels);
  p->row_items = max_i32(1, min_i32(divide_up(4 * threads, blocks), divide_up(left_panels, 8)));
  p->panels_per_item = divide_up(left_panels, p->row_items);
  p->items = blocks * p->row_items;
}

/* Whether so many rows of activations are multiplied in bytes. */
static bool in_bytes(const cpu *c, int32_t rows) { return c->bytes && c->k->byte_run > 0 && rows > MAX_FEW_ROWS; }

static void linear_by_panels(linear_job *j) {
  const cpu *c = j->c;
  const int32_t mr = c->k->mr, in = j->x.cols;
  j->bytes = in_bytes(c, j->x.rows);
  const size_t left_row = j->bytes ? cpu_bytes_row(c, in) : (size_t)divide_up(in, 2) * 4;
  const int32_t most_rows =
      min_i32((int32_t)(LEFT_BYTES / left_row), LEFT_SCALES / divide_up(in, UNIT_LENGTH)) / mr * mr;
  for (j->first = 0; j->first < j->x.rows; j->first += j->rows) {
    j->rows = min_i32(most_rows, j->x.rows - j->first);
    const double work = (double)j->rows * in;
    int32_t items = 0;
    double out = 0;
    for (int32_t i = 0; i < j->n_parts; i++) {
      share_out(j, &j->parts[i]);
      if (!j->geglu || i == 0) items += j->parts[i].items;
      out += j->parts[i].w->out;
    }
    cpu_run(c, j->bytes ? cpu_bytes_left_item : left_item, j, divide_up(j->rows, LEFT_PANELS_PER_ITEM * mr), work);
    cpu_run(c, j->bytes ? cpu_bytes_tile_item : tile_item, j, items, work * out);
  }
}

/* -- choosing the way -- */

/* Whether rows of activations are multiplied with a weight's blocks as they are. */
static bool is_few(const cpu *c, const weight *w, int32_t rows) {
  if (w->form == FORM_PANELS || in_bytes(c, rows)) return false;
  return rows <= (w->form == FORM_PACKED && c->k->dot_bits[w->packing] == 8 ? MAX_DOT8_ROWS : MAX_FEW_ROWS);
}

/* The parts of a job that go one way or the other. */
static linear_job parts_of(const linear_job *j, bool few) {
  linear_job some = *j;
  some.n_parts = 0;
  for (int32_t i = 0; i < j->n_parts; i++)
    if (is_few(j->c, j->parts[i].w, j->x.rows) == few) some.parts[some.n_parts++] = j->parts[i];
  return some;
}

/* Rows of a norm are made for it, and once more by the products. */
static void show_rows(const linear_job *j) {
  for (int32_t i = 0; i < j->x.rows; i++) {
    const float *row = linear_row(j, i);
    for (int32_t p = 0; p < j->n_parts; p++) j->c->watch(j->c->watch_context, j->parts[p].w, row, j->x.cols);
  }
}

static void run(const linear_job *j) {
  if (j->c->watch != NULL) show_rows(j);
  linear_job few = parts_of(j, true), many = parts_of(j, false);
  if (few.n_parts > 0) cpu_linear_few(&few);
  if (few.n_parts > 0) many.norm = NULL; /* it has been done */
  if (many.n_parts > 0) linear_by_panels(&many);
}

void cpu_linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                const tensor *residual) {
  const linear_job job = {.c = (cpu *)be,
                          .x = x,
                          .gelu = act == ACT_GELU_ERF,
                          .n_parts = 1,
                          .parts = {{.w = w, .y = y, .bias = bias ? tensor_at(*bias, 0) : NULL, .residual = residual}}};
  run(&job);
}

void cpu_norm_linear(backend *be, const normed *in, const product *out, int32_t n_out, activation act) {
  linear_job job = {.c = (cpu *)be, .x = in->rows, .norm = in, .gelu = act == ACT_GELU_ERF, .n_parts = n_out};
  for (int32_t i = 0; i < n_out; i++)
    job.parts[i] = (linear_part){.w = out[i].w, .y = out[i].y, .bias = out[i].bias ? tensor_at(*out[i].bias, 0) : NULL};
  run(&job);
}

typedef struct geglu_job {
  const kernels *k;
  tensor y, up;
} geglu_job;

static void geglu_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const geglu_job *j = context;
  float *y = tensor_at(j->y, item);
  j->k->geglu(y, y, tensor_at(j->up, item), j->y.cols);
}

void cpu_norm_geglu(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch) {
  cpu *c = (cpu *)be;
  linear_job job = {.c = c,
                    .x = in->rows,
                    .norm = in,
                    .n_parts = 2,
                    .parts = {{.w = gate, .y = y}, {.w = up, .y = scratch}},
                    .geglu = is_few(c, gate, y.rows) == is_few(c, up, y.rows) && !in_bytes(c, y.rows)};
  run(&job);
  if (job.geglu) return;
  geglu_job rest = {c->k, y, scratch};
  cpu_run(c, geglu_item, &rest, y.rows, 2.0 * y.rows * y.cols);
}
