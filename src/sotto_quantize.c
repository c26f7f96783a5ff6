/* The public API: quantization. The work is in src/quantize; here errors become the engine's sentence, and stay. */
#include "quantize/quantizer.h"
#include "sotto_internal.h"

struct sotto_quantizer {
  sotto_engine *engine;
  quantizer *q;
  sotto_status failed; /* of the plan: every later call repeats it */
  error why;
};

int32_t sotto_quantize_type(int32_t index, const char **name, double *bits) {
  const recipe *r = recipe_at(index);
  if (r == NULL) return 0;
  if (name != NULL) *name = r->name;
  if (bits != NULL) *bits = 8.0 * (double)dtype_block_bytes(r->type) / (double)dtype_block_elements(r->type);
  return 1;
}

sotto_status sotto_quantizer_open(sotto_quantizer **out, sotto_engine *engine, const sotto_quantize_options *options) {
  if (out != NULL) *out = NULL;
  if (out == NULL || engine == NULL) return SOTTO_ERR_ARGUMENT;
  sotto_quantizer *q = mem_alloc(1, sizeof *q);
  if (q == NULL) return fail(&engine->err, SOTTO_ERR_MEMORY, "out of memory for a quantizer");
  q->engine = engine;
  const sotto_status status = quantizer_open(&q->q, engine->threads, options, &engine->err);
  if (status >= 0)
    *out = q;
  else
    mem_free(q);
  return status;
}

void sotto_quantizer_close(sotto_quantizer *q) {
  if (q == NULL) return;
  quantizer_close(q->q);
  mem_free(q);
}

static sotto_status repeat(sotto_quantizer *q) { return fail(&q->engine->err, q->failed, "%s", q->why.text); }

static sotto_status settle(sotto_quantizer *q, sotto_status status) {
  if (status >= 0) return status;
  q->failed = status;
  q->why = q->engine->err;
  return status;
}

int32_t sotto_quantizer_file(sotto_quantizer *q, const char *name, uint64_t bytes) {
  if (q == NULL) return SOTTO_ERR_ARGUMENT;
  if (q->failed < 0) return repeat(q);
  return quantizer_file(q->q, name, bytes, &q->engine->err);
}

sotto_status sotto_quantizer_wants(sotto_quantizer *q, int32_t *file, uint64_t *offset, uint64_t *bytes) {
  if (q == NULL || file == NULL || offset == NULL || bytes == NULL) return SOTTO_ERR_ARGUMENT;
  if (q->failed < 0) return repeat(q);
  return settle(q, quantizer_wants(q->q, file, offset, bytes, &q->engine->err));
}

sotto_status sotto_quantizer_give(sotto_quantizer *q, int32_t file, uint64_t offset, const void *bytes, size_t n) {
  if (q == NULL) return SOTTO_ERR_ARGUMENT;
  if (q->failed < 0) return repeat(q);
  return settle(q, quantizer_give(q->q, file, offset, bytes, n, &q->engine->err));
}

void sotto_quantizer_describe(const sotto_quantizer *q, sotto_quantize_info *info) {
  if (info == NULL) return;
  *info = (sotto_quantize_info){0};
  if (q == NULL || !q->q->planned) return;
  const quantizer *p = q->q;
  info->format = p->format;
  info->architecture = p->architecture;
  info->name = p->model_name;
  info->type = p->recipe->name;
  info->n_tensors = (int32_t)p->n_tensors;
  info->n_pieces = (int32_t)p->n_pieces;
  info->n_warnings = p->n_warnings;
  info->out_bytes = p->out_bytes;
  for (size_t i = 0; i < p->n_tensors; i++) {
    const planned_tensor *t = &p->tensors[i];
    const uint64_t of_row = (t->bytes > t->out_bytes ? t->bytes : t->out_bytes) / (uint64_t)t->rows;
    info->n_parameters += (uint64_t)t->rows * (uint64_t)t->cols;
    info->source_bytes += t->bytes;
    if (of_row > info->most_row_bytes) info->most_row_bytes = of_row;
  }
}

const char *sotto_quantizer_warning(const sotto_quantizer *q, int32_t index) {
  return q != NULL && q->q->planned && index >= 0 && index < q->q->n_warnings ? q->q->warnings[index] : NULL;
}

static const planned_tensor *tensor_at(const sotto_quantizer *q, int32_t index) {
  return q != NULL && q->q->planned && index >= 0 && (size_t)index < q->q->n_tensors ? &q->q->tensors[index] : NULL;
}

int32_t sotto_quantizer_tensor(const sotto_quantizer *q, int32_t index, sotto_quantize_tensor *out) {
  const planned_tensor *t = tensor_at(q, index);
  if (t == NULL || out == NULL) return 0;
  *out = (sotto_quantize_tensor){.name = t->name,
                                 .file = t->file,
                                 .offset = t->offset,
                                 .bytes = t->bytes,
                                 .source_type = dtype_name(t->source_type),
                                 .rows = t->rows,
                                 .cols = t->cols,
                                 .type = dtype_name(t->type),
                                 .out_offset = t->out_offset,
                                 .out_bytes = t->out_bytes,
                                 .plain = !t->plus_one,
                                 .importance = t->importance};
  return 1;
}

const void *sotto_quantizer_piece(const sotto_quantizer *q, int32_t index, uint64_t *out_offset, size_t *n) {
  if (q == NULL || !q->q->planned || index < 0 || (size_t)index >= q->q->n_pieces) return NULL;
  const planned_piece *p = &q->q->pieces[index];
  if (out_offset != NULL) *out_offset = p->out_offset;
  if (n != NULL) *n = p->n;
  return q->q->literal.at + p->at;
}

sotto_status sotto_quantizer_rows(sotto_quantizer *q, int32_t index, int64_t first, int64_t n, const void *source,
                                  void *out) {
  if (q == NULL) return SOTTO_ERR_ARGUMENT;
  const planned_tensor *t = tensor_at(q, index);
  if (t == NULL) return fail(&q->engine->err, SOTTO_ERR_ARGUMENT, "there is no tensor %d in the plan", (int)index);
  return quantizer_rows(q->q, t, first, n, source, out, &q->engine->err);
}
