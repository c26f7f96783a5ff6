/* Products of a few rows with weights of blocks, which are not worth making panels of: the rows become integers in blocks themselves, and are multiplied
 * with the weight's as they lie (kernels_dot_body.h).
 *
 *     x [n, in] ──quantize, once for each packing──> blocks ─┐
 *     weight, as it lies in memory ──────────────────────────┴─> strip [rows, columns] ─finish─> y
 *
 * Rows go in strips of about the same length, as many as a kernel takes at once: blocks of a strip's rows lie beside each other (kernels.h). */
#include "cpu_linear.h"

#define FEW_ROWS_PER_ITEM 8
#define LEAST_OUT         64  /* rows of the weight an item: the least, of which */
#define MOST_OUT          256 /* this is a multiple, and they of every VW */

/* Rows of activations as integers in blocks of 32, with what the dot kernels want of their sums (kernels.h): as weights like `like` want them. */
typedef struct few_blocks {
  const weight *like;
  int32_t bits;
  uint8_t *x;    /* [strip][in / 32][rows of the strip][32] */
  float *units;  /* [strip][in / 32][rows of the strip] */
  int32_t *sums; /* the same, two each */
} few_blocks;

typedef struct few_job {
  const linear_job *linear;
  int32_t strip; /* rows of all strips but the last, which may have fewer */
  int32_t n_blocks;
  few_blocks blocks[MAX_PRODUCTS];
} few_job;

/* Rows of the strip that begins at row `first`. */
static int32_t strip_rows(const few_job *f, int32_t first) { return min_i32(f->strip, f->linear->rows - first); }

/* From the sums of 16 integers what a packing's kernel adds, of one of `rows` rows beside each other. */
static void prepare_sums(packing p, int32_t blocks, int32_t rows, const float *units, int32_t *sums) {
  for (int32_t b = 0; b < blocks; b++, units += rows, sums += 2 * rows) {
    if (packed_halves(p)) {
      sums[0] *= -packed_zero(p);
      sums[1] *= -packed_zero(p);
      continue;
    }
    const int32_t sum = sums[0] + sums[1];
    const float m = packed_k(p) ? -*units * (float)sum : *units * (float)sum;
    sums[0] = -packed_zero(p) * sum;
    if (packed_m(p)) memcpy(sums, &m, 4);
  }
}

static void blocks_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const int32_t in = j->x.cols, blocks = in / 32, end = min_i32((item + 1) * FEW_ROWS_PER_ITEM, j->rows);
  for (int32_t i = item * FEW_ROWS_PER_ITEM; i < end; i++) {
    const float *row = linear_row(j, j->first + i);
    const int32_t first = i / f->strip * f->strip, rows = strip_rows(f, first), at = first * blocks + i - first;
    for (const few_blocks *b = f->blocks; b < f->blocks + f->n_blocks; b++) {
      float *units = b->units + at;
      int32_t *sums = b->sums + 2 * (size_t)at;
      j->c->k->quantize_blocks(row, in, b->bits, rows, b->x + (size_t)at * 4 * (size_t)b->bits, units, sums);
      if (b->like->form == FORM_PACKED) prepare_sums(b->like->packing, blocks, rows, units, sums);
    }
  }
}

/* The strip [n, MOST_OUT] of rows [row, row + n) times rows [first, first + n_out) of a packed weight. */
static void packed_strip(const few_job *f, const linear_part *p, int32_t row, int32_t n, int32_t first, int32_t n_out,
                         float *strip) {
  const cpu *c = f->linear->c;
  const few_blocks *x = &f->blocks[p->blocks];
  const int32_t blocks = p->w->in / 32;
  const size_t block = (size_t)row * (size_t)blocks;
  c->k->dot[p->w->packing][n - 1](weight_group(c, p->w, first), divide_up(n_out, c->k->group), blocks,
                                  x->x + block * 4 * (size_t)x->bits, x->units + block, x->sums + 2 * block, strip,
                                  MOST_OUT);
}

/* The same of the rare types, a row at a time, unpacked block by block. */
static void rows_strip(const few_job *f, const linear_part *p, int32_t row, int32_t n, int32_t first, int32_t n_out,
                       float *strip) {
  const weight *w = p->w;
  const few_blocks *x = &f->blocks[p->blocks];
  const int32_t blocks = w->in / 32;
  for (int32_t r = 0; r < n_out; r++) {
    const uint8_t *weights = w->data + (size_t)(first + r) * w->row_bytes;
    float total[MAX_FEW_ROWS] = {0};
    for (int32_t b = 0; b < blocks; b++) {
      qblock32 block;
      qblock_unpack(w->type, weights, (size_t)b, &block);
      for (int32_t i = 0; i < n; i++) {
        const int32_t at = row * blocks + b * n + i, *sums = x->sums + 2 * (size_t)at;
        const int16_t *q = (const int16_t *)x->x + 32 * (size_t)at;
        for (int half = 0; half < 2; half++) {
          int32_t dot = 0;
          for (int e = 16 * half; e < 16 * half + 16; e++) dot += block.q[e] * q[e];
          total[i] += (block.scale[half] * (float)dot + block.offset[half] * (float)sums[half]) * x->units[at];
        }
      }
    }
    for (int32_t i = 0; i < n; i++) strip[i * MOST_OUT + r] = total[i];
  }
}

static void make_strip(const few_job *f, const linear_part *p, int32_t row, int32_t n, int32_t first, int32_t n_out,
                       float *strip) {
  (p->w->form == FORM_PACKED ? packed_strip : rows_strip)(f, p, row, n, first, n_out, strip);
}

static void product_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const linear_part *p = linear_part_of(j, &item);
  const int32_t first = item * p->out_per_item, n_out = min_i32(p->out_per_item, p->w->out - first);
  float strip[MAX_FEW_ROWS * MOST_OUT];
  for (int32_t i = 0, n; i < j->rows; i += n) {
    n = strip_rows(f, i);
    make_strip(f, p, i, n, first, n_out, strip);
    for (int32_t r = 0; r < n; r++) {
      const int32_t row = j->first + i + r;
      j->c->k->finish(tensor_at(p->y, row) + first, strip + r * MOST_OUT, n_out, p->bias ? p->bias + first : NULL,
                      j->gelu, p->residual ? tensor_at(*p->residual, row) + first : NULL);
    }
  }
}

/* The same columns of both products, while they are warm. */
static void geglu_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const few_job *f = context;
  const linear_job *j = f->linear;
  const linear_part *gate = &j->parts[0], *up = &j->parts[1];
  const int32_t first = item * gate->out_per_item, n_out = min_i32(gate->out_per_item, gate->w->out - first);
  float gates[MAX_FEW_ROWS * MOST_OUT], ups[MAX_FEW_ROWS * MOST_OUT];
  for (int32_t i = 0, n; i < j->rows; i += n) {
    n = strip_rows(f, i);
    make_strip(f, gate, i, n, first, n_out, gates);
    make_strip(f, up, i, n, first, n_out, ups);
    for (int32_t r = 0; r < n; r++)
      j->c->k->geglu(tensor_at(gate->y, j->first + i + r) + first, gates + r * MOST_OUT, ups + r * MOST_OUT, n_out);
  }
}

/* Bytes of a row of blocks: integers, units, sums. */
static size_t row_bytes(const few_blocks *b, int32_t in) {
  return (size_t)in * (size_t)(b->bits / 8) + (size_t)(in / 32) * sizeof *b->units +
         (size_t)(in / 16) * sizeof *b->sums;
}

/* Finds out which blocks the parts want; those of one packing want the same. Gives the bytes of a row of all. */
static size_t want_blocks(few_job *f, linear_job *j) {
  size_t bytes = 0;
  for (linear_part *p = j->parts; p < j->parts + j->n_parts; p++) {
    const weight *w = p->w;
    const bool packed = w->form == FORM_PACKED;
    for (p->blocks = 0; p->blocks < f->n_blocks; p->blocks++) {
      const weight *like = f->blocks[p->blocks].like;
      if (like->form == w->form && (!packed || like->packing == w->packing)) break;
    }
    if (p->blocks < f->n_blocks) continue;
    few_blocks *b = &f->blocks[f->n_blocks++];
    b->like = w;
    b->bits = packed ? j->c->k->dot_bits[w->packing] : 16;
    bytes += row_bytes(b, w->in);
  }
  return bytes;
}

/* Shares out the memory for blocks of j->rows rows, and these into strips. */
static void take_blocks(few_job *f, const linear_job *j) {
  const size_t n = (size_t)j->rows, in = (size_t)j->x.cols;
  bool packed = false;
  for (int32_t i = 0; i < j->n_parts; i++) packed = packed || j->parts[i].w->form == FORM_PACKED;
  f->strip = divide_up(j->rows, divide_up(j->rows, packed ? MOST_DOT_ROWS : MAX_FEW_ROWS));
  char *at = j->c->few;
  for (few_blocks *b = f->blocks; b < f->blocks + f->n_blocks; b++) {
    b->sums = (int32_t *)at;
    b->units = (float *)(b->sums + n * (in / 16));
    b->x = (uint8_t *)(b->units + n * (in / 32));
    at += n * row_bytes(b, j->x.cols);
  }
}

/* An item's work: enough to pay for being handed out, and, where many rows come, rows of the weight that stay in a core's caches. */
static int32_t share_out(linear_job *j) {
  const int32_t threads = pool_threads(j->c->pool), together = j->geglu ? 2 : 1;
  int32_t out = 0, per_item = LEAST_OUT, items = 0;
  for (int32_t i = 0; i < j->n_parts; i++) out += j->parts[i].w->out;
  while (per_item < MOST_OUT && out / together >= 16 * per_item * threads &&
         (double)j->x.rows * j->x.cols * per_item * together < 200e3)
    per_item *= 2;
  for (linear_part *p = j->parts; p < j->parts + j->n_parts; p++) {
    p->out_per_item = per_item;
    p->items = divide_up(p->w->out, per_item);
    items += p->items;
  }
  return items / together;
}

void cpu_linear_few(linear_job *j) {
  const cpu *c = j->c;
  few_job f = {.linear = j};
  const int32_t in = j->x.cols, most_rows = (int32_t)(c->few_bytes / want_blocks(&f, j)), items = share_out(j);
  double out = 0;
  for (int32_t i = 0; i < j->n_parts; i++) out += j->parts[i].w->out;
  for (j->first = 0; j->first < j->x.rows; j->first += j->rows) {
    j->rows = min_i32(j->x.rows - j->first, most_rows);
    take_blocks(&f, j);
    cpu_run(c, blocks_item, &f, divide_up(j->rows, FEW_ROWS_PER_ITEM), (double)j->rows * in);
    cpu_run(c, j->geglu ? geglu_item : product_item, &f, items, (double)j->rows * in * out);
  }
}
