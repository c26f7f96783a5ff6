/* See loading.h. */
#include "loading.h"

bool row_stage_begin(row_stage *s, size_t row_bytes) {
  if (s->capacity < row_bytes) {
    mem_free(s->bytes);
    s->bytes = mem_alloc(row_bytes, 1);
    s->capacity = s->bytes != NULL ? row_bytes : 0;
    if (s->bytes == NULL) return false;
  }
  s->row_bytes = row_bytes;
  s->held = 0;
  s->row = 0;
  return true;
}

sotto_status row_stage_feed(row_stage *s, const void *bytes, size_t size, row_sink *sink, void *context, error *err) {
  const uint8_t *p = bytes;
  while (size > 0) {
    const bool whole = s->held == 0 && size >= s->row_bytes;
    const size_t n_rows = whole ? size / s->row_bytes : 1;
    const size_t n = whole ? n_rows * s->row_bytes : min_size(size, s->row_bytes - s->held);
    if (!whole) memcpy(s->bytes + s->held, p, n);
    if (!whole) s->held += n;
    if (whole || s->held == s->row_bytes) {
      TRY(sink(context, s->row, (int32_t)n_rows, whole ? p : s->bytes, err));
      s->row += (int32_t)n_rows;
      s->held = 0;
    }
    p += n;
    size -= n;
  }
  return SOTTO_OK;
}

void row_stage_free(row_stage *s) {
  mem_free(s->bytes);
  *s = (row_stage){0};
}

void tensor_census_add(tensor_census *c, sotto_model_info *info, uint32_t type, uint64_t elements, uint64_t bytes) {
  info->n_tensors++;
  info->n_parameters += elements;
  info->weight_bytes += bytes;
  c->of_type[type] += elements;
  uint32_t most = 0; /* of equal ones the first */
  for (uint32_t t = 0; t < DTYPE_COUNT; t++)
    if (c->of_type[t] > c->of_type[most]) most = t;
  info->weight_type = dtype_name(most);
}
