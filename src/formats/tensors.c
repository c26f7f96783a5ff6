#include "tensors.h"

#include <stdlib.h>

uint64_t file_tensor_bytes(uint32_t type, int32_t rank, const int64_t dims[4]) {
  size_t elements = dtype_block_elements(type);
  if (rank < 1 || rank > 4 || elements == 0 || dims[rank - 1] < 1 || dims[rank - 1] % (int64_t)elements != 0) return 0;
  uint64_t bytes = dtype_block_bytes(type), count = (uint64_t)dims[rank - 1] / elements;
  for (int32_t i = 0; i < rank; i++) {
    if (i > 0) count = (uint64_t)dims[i - 1];
    if (dims[i] < 1 || count > (uint64_t)INT64_MAX / bytes) return 0;
    bytes *= count;
  }
  return bytes;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const file_tensor *const *)a)->name, (*(const file_tensor *const *)b)->name);
}

static int by_offset(const void *a, const void *b) {
  const file_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

const char *file_tensors_sort(file_tensor *tensors, const file_tensor **scratch, size_t n) {
  if (n < 2) return NULL;
  for (size_t i = 0; i < n; i++) scratch[i] = &tensors[i];
  qsort(scratch, n, sizeof *scratch, by_name);
  for (size_t i = 1; i < n; i++)
    if (strcmp(scratch[i - 1]->name, scratch[i]->name) == 0) return scratch[i]->name;
  qsort(tensors, n, sizeof *tensors, by_offset);
  return NULL;
}

/* Begins and ends what begins and ends at the present position. */
static sotto_status settle_borders(tensor_stream *s, error *err) {
  for (; s->next < s->n_tensors; s->next++) {
    const file_tensor *t = &s->tensors[s->next];
    if (!s->open && s->position < t->offset) break;
    if (!s->open) TRY(s->sink->tensor_begin(s->sink->context, t, err));
    s->open = true;
    if (s->position < t->offset + t->bytes) break;
    s->open = false;
    TRY(s->sink->tensor_end(s->sink->context, err));
  }
  return SOTTO_OK;
}

sotto_status tensor_stream_feed(tensor_stream *s, const void *bytes, size_t size, error *err) {
  const uint8_t *p = bytes;
  for (;;) {
    TRY(settle_borders(s, err));
    if (size == 0) return SOTTO_OK;
    uint64_t border = UINT64_MAX; /* bytes behind the last tensor are passed over */
    if (s->next < s->n_tensors) border = s->tensors[s->next].offset + (s->open ? s->tensors[s->next].bytes : 0);
    size_t n = border - s->position < size ? (size_t)(border - s->position) : size;
    if (s->open) TRY(s->sink->tensor_data(s->sink->context, p, n, err));
    p += n;
    size -= n;
    s->position += n;
  }
}

sotto_status tensor_stream_finish(const tensor_stream *s, error *err) {
  if (s->next == s->n_tensors) return SOTTO_OK;
  return fail(err, SOTTO_ERR_FORMAT,
              "the file ends %s tensor %s, after %u of %u tensors: it is truncated; download it again",
              s->open ? "inside" : "before", s->tensors[s->next].name, (unsigned)s->next, (unsigned)s->n_tensors);
}
