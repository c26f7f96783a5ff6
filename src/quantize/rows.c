/* Rows of a tensor from one type to another, on the engine's threads.
 *
 *     rows ──shared out──> stretches of a row ──> f32 [STRETCH] ──checked──> blocks of the output: rounded, or searched for */
#include "../quant/quant_kernels.h"
#include "quantizer.h"

enum { STRETCH = 1024, ITEM_ELEMENTS = 1 << 16 };

typedef struct work {
  const planned_tensor *t;
  const quant_kernels *kernels;
  const uint8_t *source;
  uint8_t *out;
  size_t rows, rows_of_item, cols, in_bytes, out_bytes; /* bytes of a row */
  bool fast;
  int bad; /* an item held a value that cannot be; set by any thread */
} work;

/* Kernels take whole vectors; what is left of a row of single elements goes the plain way. */
static uint32_t read_stretch(const work *w, const uint8_t *in, float *x, size_t n) {
  const planned_tensor *t = w->t;
  const size_t fast = dtype_block_elements(t->source_type) == 1 ? n / 32 * 32 : 0;
  if (fast > 0) w->kernels->widen(t->source_type, in, x, fast);
  if (fast < n) dequantize_row(t->source_type, in + dtype_row_bytes(t->source_type, fast), x + fast, n - fast);
  for (size_t i = 0; t->plus_one && i < n; i++) x[i] += 1.0f;
  const size_t whole = n / 32 * 32;
  uint32_t most = w->kernels->largest(x, whole);
  for (size_t i = whole; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  return most;
}

static void write_stretch(const work *w, const float *x, const float *importance, uint8_t *out, size_t n) {
  const uint32_t type = w->t->type;
  const size_t whole = n / 32 * 32, whole_bytes = dtype_block_elements(type) == 1 ? dtype_row_bytes(type, whole) : 0;
  if (!w->fast && w->kernels->search(type, x, importance, out, n)) return;
  if (!w->kernels->round(type, x, out, whole))
    quantize_row(type, x, out, n);
  else if (whole < n)
    quantize_row(type, x + whole, out + whole_bytes, n - whole);
}

/* False: a value is no number, or too large for the type. */
static bool convert_row(const work *w, const uint8_t *in, uint8_t *out) {
  float x[STRETCH];
  const planned_tensor *t = w->t;
  uint32_t most = 0;
  for (size_t at = 0; at < w->cols; at += STRETCH) {
    const size_t n = min_size(STRETCH, w->cols - at);
    const uint32_t bits = read_stretch(w, in + dtype_row_bytes(t->source_type, at), x, n);
    most = bits > most ? bits : most;
    write_stretch(w, x, t->importance != NULL ? t->importance + at : NULL, out + dtype_row_bytes(t->type, at), n);
  }
  return most < (t->type == DTYPE_F32 || t->type == DTYPE_BF16 ? 0x7f800000u : 0x477ff000u);
}

static void convert_item(void *context, int32_t item, int32_t thread) {
  work *w = context;
  const size_t first = (size_t)item * w->rows_of_item, n = min_size(w->rows_of_item, w->rows - first);
  (void)thread;
  for (size_t i = first; i < first + n; i++)
    if (!convert_row(w, w->source + i * w->in_bytes, w->out + i * w->out_bytes))
      __atomic_store_n(&w->bad, 1, __ATOMIC_RELAXED);
}

sotto_status quantizer_rows(quantizer *q, const planned_tensor *t, int64_t first, int64_t n, const uint8_t *source,
                            uint8_t *out, error *err) {
  if (source == NULL || out == NULL || first < 0 || n < 1 || first > t->rows - n)
    return fail(err, SOTTO_ERR_ARGUMENT, "the tensor %.100s has %lld rows: others were asked for", t->name,
                (long long)t->rows);
  const size_t cols = (size_t)t->cols;
  work w = {.t = t,
            .source = source,
            .out = out,
            .rows = (size_t)n,
            .cols = cols,
            .rows_of_item = max_size(1, ITEM_ELEMENTS / cols),
            .in_bytes = dtype_row_bytes(t->source_type, cols),
            .out_bytes = dtype_row_bytes(t->type, cols),
            .fast = q->fast,
            .kernels = quant_kernels_best()};
  if ((uint64_t)n > SIZE_MAX / max_size(w.in_bytes, w.out_bytes))
    return fail(err, SOTTO_ERR_ARGUMENT, "the rows of %.100s do not fit in memory at once: give fewer", t->name);
  pool_run_neighbours(q->threads, convert_item, &w, (int32_t)((w.rows + w.rows_of_item - 1) / w.rows_of_item));
  if (!w.bad) return SOTTO_OK;
  return fail(
      err, SOTTO_ERR_FORMAT,
      "the tensor %.100s holds a value that is no number, or too large for %s: the model is damaged, or use bf16",
      t->name, dtype_name(t->type));
}
