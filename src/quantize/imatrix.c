/* Reading of importances: the file passes by a GGUF reader, sums and counts are kept, and sums become means. */
#include "imatrix.h"

#include <math.h>

#include "../formats/gguf.h"

enum { MAX_COLUMNS = 1 << 24, MAX_MATRICES = 1 << 13 };

struct imatrix {
  gguf *reader;   /* holds the names */
  float **values; /* [n_tensors], in the reader's order; NULL where a tensor is neither sums nor counts */
  size_t n_tensors, current, have; /* have: bytes of the tensor that comes */
};

static sotto_status no_memory(error *err) {
  return fail(err, SOTTO_ERR_MEMORY, "out of memory for the importances; close other programs or tabs");
}

static sotto_status on_header(void *context, error *err) {
  imatrix *x = context;
  if (gguf_n_tensors(x->reader) > 2 * MAX_MATRICES)
    return fail(err, SOTTO_ERR_FORMAT, "the importances are of more than %d matrices, which makes no sense",
                MAX_MATRICES);
  x->n_tensors = gguf_n_tensors(x->reader);
  x->values = mem_alloc(max_size(x->n_tensors, 1), sizeof *x->values);
  return x->values != NULL ? SOTTO_OK : no_memory(err);
}

static sotto_status on_begin(void *context, const file_tensor *t, error *err) {
  imatrix *x = context;
  const uint64_t n = t->bytes / sizeof(float);
  x->have = 0;
  if (t->type != DTYPE_F32 || n > MAX_COLUMNS)
    return fail(err, SOTTO_ERR_FORMAT, "the importances hold a tensor %.100s that is no list of sums", t->name);
  x->values[x->current] = mem_alloc((size_t)n, sizeof(float));
  return x->values[x->current] != NULL ? SOTTO_OK : no_memory(err);
}

static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  imatrix *x = context;
  (void)err;
  memcpy((char *)x->values[x->current] + x->have, bytes, size);
  x->have += size;
  return SOTTO_OK;
}

static sotto_status on_end(void *context, error *err) {
  (void)err;
  ((imatrix *)context)->current++;
  return SOTTO_OK;
}

/* Index of the tensor `name` with `end` behind it; n_tensors: there is none. */
static size_t find(const imatrix *x, const char *name, const char *end) {
  const size_t n = strlen(name);
  for (size_t i = 0; i < x->n_tensors; i++) {
    const char *t = gguf_tensor(x->reader, (uint32_t)i)->name;
    if (strncmp(t, name, n) == 0 && strcmp(t + n, end) == 0) return i;
  }
  return x->n_tensors;
}

static int64_t columns(const file_tensor *t) { return t->dims[t->rank - 1]; }

/* Sums to means; what is no number, or nothing, is refused. */
static sotto_status finish(imatrix *x, error *err) {
  static const char sums[] = ".in_sum2";
  for (size_t i = 0; i < x->n_tensors; i++) {
    const file_tensor *t = gguf_tensor(x->reader, (uint32_t)i);
    const size_t n = strlen(t->name), m = sizeof sums - 1;
    if (n <= m || strcmp(t->name + n - m, sums) != 0) continue;
    char name[160] = "";
    memcpy(name, t->name, min_size(n - m, sizeof name - 1));
    const size_t at = find(x, name, ".counts");
    const float count = at < x->n_tensors ? x->values[at][0] : 0;
    if (!(count > 0) || !(count < 1e30f))
      return fail(err, SOTTO_ERR_FORMAT, "the importances of %.100s have no count: make them again", name);
    for (int64_t c = 0; c < columns(t); c++) {
      float *v = &x->values[i][c];
      *v /= count;
      if (!(*v >= 0) || !(*v < 1e30f))
        return fail(err, SOTTO_ERR_FORMAT,
                    "the importances of %.100s hold a value that is no mean of squares: make them again", name);
    }
  }
  return SOTTO_OK;
}

sotto_status imatrix_read(imatrix **out, const void *bytes, size_t n, error *err) {
  *out = NULL;
  imatrix *x = mem_alloc(1, sizeof *x);
  if (x == NULL) return no_memory(err);
  const tensor_sink sink = {x, on_header, on_begin, on_data, on_end};
  x->reader = gguf_open(&sink);
  sotto_status status = x->reader != NULL ? gguf_feed(x->reader, bytes, n, err) : no_memory(err);
  if (status >= 0) status = gguf_finish(x->reader, err);
  if (status >= 0) status = finish(x, err);
  if (status >= 0)
    *out = x;
  else
    imatrix_close(x);
  return status;
}

void imatrix_close(imatrix *x) {
  if (x == NULL) return;
  for (size_t i = 0; i < x->n_tensors && x->values != NULL; i++) mem_free(x->values[i]);
  mem_free(x->values);
  gguf_close(x->reader);
  mem_free(x);
}

sotto_status imatrix_find(const imatrix *x, const char *name, int64_t cols, const float **weights, error *err) {
  *weights = NULL;
  const size_t at = find(x, name, ".in_sum2");
  if (at == x->n_tensors) return SOTTO_OK;
  if (columns(gguf_tensor(x->reader, (uint32_t)at)) != cols)
    return fail(err, SOTTO_ERR_FORMAT,
                "the importances of %.100s are of another number of columns: they are of another model", name);
  *weights = x->values[at];
  return SOTTO_OK;
}
