/* A sink that aborts when a reader of tensors breaks its word: calls out of order, more data than announced. */
#ifndef SOTTO_FUZZ_TENSOR_CHECKS_H
#define SOTTO_FUZZ_TENSOR_CHECKS_H

#include "../../src/formats/tensors.h"
#include "require.h"

#include <stdlib.h>

typedef struct tensor_checks {
  int n_headers, n_open;
  uint32_t n_tensors;
  uint64_t left;      /* of the open tensor, bytes */
  uint64_t last_end;  /* in the file, of the last tensor */
  uint64_t delivered; /* bytes of data */
  float sum;          /* so that nothing read is optimised away */
} tensor_checks;

static inline sotto_status checks_header(void *context, error *err) {
  tensor_checks *c = context;
  (void)err;
  REQUIRE(c->n_headers++ == 0 && c->n_tensors == 0);
  return SOTTO_OK;
}

static inline sotto_status checks_begin(void *context, const file_tensor *t, error *err) {
  tensor_checks *c = context;
  REQUIRE(c->n_headers == 1 && c->n_open++ == 0);
  REQUIRE(t->name[0] != 0 && t->rank >= 1 && t->rank <= 4 && t->offset >= c->last_end);
  REQUIRE(t->bytes == file_tensor_bytes(t->type, t->rank, t->dims));
  for (int32_t i = t->rank; i < 4; i++) REQUIRE(t->dims[i] == 1);
  c->left = t->bytes;
  c->last_end = t->offset + t->bytes;
  return t->name[0] == '!' ? fail(err, SOTTO_ERR_UNSUPPORTED, "refused by the sink") : SOTTO_OK;
}

static inline sotto_status checks_data(void *context, const void *bytes, size_t size, error *err) {
  tensor_checks *c = context;
  (void)err;
  REQUIRE(c->n_open == 1 && size > 0 && size <= c->left);
  c->left -= size;
  c->delivered += size;
  for (size_t i = 0; i < size; i++) c->sum += ((const uint8_t *)bytes)[i];
  return SOTTO_OK;
}

static inline sotto_status checks_end(void *context, error *err) {
  tensor_checks *c = context;
  (void)err;
  REQUIRE(c->n_open-- == 1 && c->left == 0);
  c->n_tensors++;
  return SOTTO_OK;
}

static inline tensor_sink checks_sink(tensor_checks *c) {
  *c = (tensor_checks){0};
  return (tensor_sink){c, checks_header, checks_begin, checks_data, checks_end};
}

/* Feeds all but the first byte, which seeds the sizes of the pieces; returns how it ended. */
static inline sotto_status feed_in_pieces(sotto_status (*feed)(void *, const void *, size_t, error *), void *reader,
                                          const uint8_t *bytes, size_t size, error *err) {
  uint32_t random = bytes[0];
  size_t longest = bytes[0] % 3 == 0 ? 8 : bytes[0] % 3 == 1 ? 300 : 100000;
  sotto_status status = SOTTO_OK;
  for (size_t at = 1; at < size && status == SOTTO_OK;) {
    random = random * 1664525u + 1013904223u;
    size_t n = min_size(1 + (random >> 8) % longest, size - at);
    uint8_t *piece = malloc(n); /* of its exact size, so that reading past it is seen */
    REQUIRE(piece != NULL);
    memcpy(piece, bytes + at, n);
    status = feed(reader, piece, n, err);
    free(piece);
    at += n;
  }
  return status;
}

#endif
