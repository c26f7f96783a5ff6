/* The public API: importances. The CPU backend shows each row that it multiplies with a matrix; its squares are added up column by column. */
#include "base/byte_list.h"
#include "formats/gguf_write.h"
#include "models/gemma_model.h"
#include "sotto_internal.h"

#include <stdio.h>

struct sotto_imatrix {
  sotto_engine *engine;
  gemma *model;
  double **sums;    /* [n_slots]: [in] of matrices, else NULL */
  uint64_t *counts; /* [n_slots]: rows */
};

static void watch(void *context, const weight *w, const float *row, int32_t n) {
  sotto_imatrix *x = context;
  for (int32_t i = 0; i < x->model->n_slots; i++) {
    if (x->sums[i] == NULL || *x->model->slots[i].matrix != w) continue;
    for (int32_t j = 0; j < n; j++) x->sums[i][j] += (double)row[j] * row[j];
    x->counts[i]++;
    return;
  }
}

static bool take_memory(sotto_imatrix *x) {
  const size_t n = (size_t)x->model->n_slots;
  x->sums = mem_alloc(n, sizeof *x->sums);
  x->counts = mem_alloc(n, sizeof *x->counts);
  if (x->sums == NULL || x->counts == NULL) return false;
  for (size_t i = 0; i < n; i++) {
    if (x->model->slots[i].matrix == NULL) continue;
    x->sums[i] = mem_alloc((size_t)x->model->slots[i].in, sizeof *x->sums[i]);
    if (x->sums[i] == NULL) return false;
  }
  return true;
}

sotto_status sotto_imatrix_open(sotto_imatrix **out, sotto_model *model) {
  if (out != NULL) *out = NULL;
  if (out == NULL || model == NULL) return SOTTO_ERR_ARGUMENT;
  sotto_status status = check_language(model);
  if (status < 0) return status;
  error *err = &model->engine->err;
  if (strcmp(sotto_engine_backend(model->engine), "cpu") != 0)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "importances are collected on the CPU: open the engine there");
  sotto_imatrix *x = mem_alloc(1, sizeof *x);
  if (x == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the importances");
  x->engine = model->engine;
  x->model = model->language;
  if (!take_memory(x)) {
    sotto_imatrix_close(x);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for the importances");
  }
  cpu_watch_rows(x->engine->be, watch, x);
  *out = x;
  return SOTTO_OK;
}

void sotto_imatrix_close(sotto_imatrix *x) {
  if (x == NULL) return;
  cpu_watch_rows(x->engine->be, NULL, NULL);
  for (int32_t i = 0; x->sums != NULL && i < x->model->n_slots; i++) mem_free(x->sums[i]);
  mem_free(x->sums);
  mem_free(x->counts);
  mem_free(x);
}

/* ---- the file ---- */

static sotto_status to_list(void *context, const void *bytes, size_t size, error *err) {
  return byte_list_add(context, bytes, size) ? SOTTO_OK
                                             : fail(err, SOTTO_ERR_MEMORY, "out of memory for the importances");
}

static void announce(const sotto_imatrix *x, gguf_writer *w) {
  for (int32_t i = 0; i < x->model->n_slots; i++) {
    const gemma_slot *s = &x->model->slots[i];
    const int64_t columns[4] = {s->in, 1, 1, 1}, one[4] = {1, 1, 1, 1};
    char name[96];
    if (x->sums[i] == NULL || x->counts[i] == 0) continue;
    snprintf(name, sizeof name, "%s.in_sum2", s->gguf_name);
    gguf_write_tensor(w, name, DTYPE_F32, 1, columns);
    snprintf(name, sizeof name, "%s.counts", s->gguf_name);
    gguf_write_tensor(w, name, DTYPE_F32, 1, one);
  }
}

static sotto_status put_sums(const sotto_imatrix *x, gguf_writer *w, error *err) {
  for (int32_t i = 0; i < x->model->n_slots; i++) {
    if (x->sums[i] == NULL || x->counts[i] == 0) continue;
    for (int32_t j = 0; j < x->model->slots[i].in; j++) {
      const float sum = (float)x->sums[i][j];
      TRY(gguf_write_data(w, &sum, sizeof sum, err));
    }
    const float count = (float)x->counts[i];
    TRY(gguf_write_data(w, &count, sizeof count, err));
  }
  return gguf_write_end(w, err);
}

static sotto_status make_file(const sotto_imatrix *x, byte_list *to, error *err) {
  const gguf_output out = {to, to_list};
  uint64_t rows = 0;
  for (int32_t i = 0; i < x->model->n_slots; i++) rows = x->counts[i] > rows ? x->counts[i] : rows;
  if (rows == 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "nothing was evaluated since the importances were opened: evaluate a text");
  gguf_writer *w = gguf_write_open(&out);
  if (w == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the importances");
  gguf_write_string(w, "general.type", "imatrix", 7);
  gguf_write_strings(w, "imatrix.datasets", 1); /* readers want a name of the text and a number of pieces */
  gguf_write_item(w, "text", 4);
  gguf_write_u32(w, "imatrix.chunk_count", 1);
  gguf_write_u32(w, "imatrix.chunk_size", rows < UINT32_MAX ? (uint32_t)rows : UINT32_MAX);
  announce(x, w);
  const sotto_status status = put_sums(x, w, err);
  gguf_write_close(w);
  return status;
}

sotto_status sotto_imatrix_write(sotto_imatrix *x, void *bytes, size_t capacity, size_t *n) {
  if (x == NULL || n == NULL || (bytes == NULL && capacity > 0)) return SOTTO_ERR_ARGUMENT;
  byte_list file = {0};
  error *err = &x->engine->err;
  sotto_status status = make_file(x, &file, err);
  *n = file.size;
  if (status >= 0 && file.size > capacity)
    status = fail(err, SOTTO_ERR_ARGUMENT, "the importances take %zu bytes: give as many", file.size);
  if (status >= 0) memcpy(bytes, file.at, file.size);
  mem_free(file.at);
  return status;
}
