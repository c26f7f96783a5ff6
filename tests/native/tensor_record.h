/* What comes out of a reader of tensors, and whether the calls come in order: shared by the tests of GGUF and safetensors. */
#ifndef SOTTO_TEST_TENSOR_RECORD_H
#define SOTTO_TEST_TENSOR_RECORD_H

#include "../../src/formats/tensors.h"
#include "check.h"

typedef struct tensor_record {
  int n_headers, n_tensors, n_open;
  uint64_t hash; /* of everything delivered, in order; pieces of data do not matter */
  uint64_t left; /* of the open tensor */
  uint64_t last_offset;
  bool in_order;
  file_tensor tensor; /* the last one; its name goes with the reader */
  int stop_at;        /* the callback, counted from 1, that fails; 0: none */
  int n_calls;
  sotto_status (*at_header)(void *reader); /* may be NULL */
  void *reader;
} tensor_record;

static inline void record_bytes(tensor_record *r, const void *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) r->hash = (r->hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

static inline sotto_status record_call(tensor_record *r, error *err) {
  if (++r->n_calls == r->stop_at) return fail(err, SOTTO_ERR_MEMORY, "stopped by the sink");
  return SOTTO_OK;
}

static inline sotto_status record_header(void *context, error *err) {
  tensor_record *r = context;
  r->in_order &= r->n_headers++ == 0;
  if (r->at_header != NULL) CHECK(r->at_header(r->reader) == SOTTO_OK);
  return record_call(r, err);
}

static inline sotto_status record_begin(void *context, const file_tensor *t, error *err) {
  tensor_record *r = context;
  r->in_order &= r->n_headers == 1 && r->n_open++ == 0 && t->offset >= r->last_offset;
  r->left = t->bytes;
  r->last_offset = t->offset;
  r->tensor = *t;
  record_bytes(r, t->name, strlen(t->name));
  record_bytes(r, &t->type, sizeof t->type);
  record_bytes(r, t->dims, sizeof t->dims);
  return record_call(r, err);
}

static inline sotto_status record_data(void *context, const void *bytes, size_t size, error *err) {
  tensor_record *r = context;
  r->in_order &= r->n_open == 1 && size > 0 && size <= r->left;
  r->left -= size;
  record_bytes(r, bytes, size);
  return record_call(r, err);
}

static inline sotto_status record_end(void *context, error *err) {
  tensor_record *r = context;
  r->in_order &= r->n_open-- == 1 && r->left == 0;
  r->n_tensors++;
  return record_call(r, err);
}

static inline tensor_sink record_sink(tensor_record *r) {
  memset(r, 0, sizeof *r);
  r->in_order = true;
  return (tensor_sink){r, record_header, record_begin, record_data, record_end};
}

/* The address sanitizer ends a test that takes more than this at once: a lying header must not get it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "max_allocation_size_mb=64"; }

#endif
