/* Fuzzes the reader of model files, in pieces of random sizes, and the block formats with whatever data it delivers.
 * The first byte of an input seeds the sizes; the others are the file. What may not happen: calls out of order, more data than
 * announced, an error without words, and all that the sanitizers see. */
#include "../../src/formats/ggml_bin.h"
#include "require.h"

#include <stdlib.h>

typedef struct seen {
  int32_t n_mel, n_tokens;
  int n_headers, n_filters, n_vocabulary_ends, n_open;
  uint32_t type;
  size_t left; /* of the open tensor, bytes */
  float sum;   /* so that nothing read is optimised away */
} seen;

static sotto_status on_header(void *context, const ggml_bin_header *h, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_headers++ == 0 && h->n_mel > 0 && h->n_vocab > 0);
  s->n_mel = h->n_mel;
  return SOTTO_OK;
}

static sotto_status on_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_headers == 1 && s->n_filters++ == 0 && n_mel == s->n_mel);
  for (int32_t i = 0; i < n_mel * n_fft; i++) s->sum += filters[i];
  return SOTTO_OK;
}

static sotto_status on_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_filters == 1 && s->n_vocabulary_ends == 0 && id == s->n_tokens++);
  for (uint32_t i = 0; i < bytes; i++) s->sum += text[i];
  return SOTTO_OK;
}

static sotto_status on_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_vocabulary_ends++ == 0 && n_tokens == s->n_tokens);
  return SOTTO_OK;
}

static sotto_status on_tensor_begin(void *context, const ggml_bin_tensor *t, error *err) {
  seen *s = context;
  REQUIRE(s->n_vocabulary_ends == 1 && s->n_open++ == 0);
  REQUIRE(memchr(t->name, 0, sizeof t->name) != NULL && t->name[0] != 0);
  size_t row_bytes = dtype_row_bytes(t->type, (size_t)t->dims[t->rank - 1]);
  REQUIRE(row_bytes > 0 && t->bytes >= row_bytes && t->bytes % row_bytes == 0);
  s->type = t->type;
  s->left = t->bytes;
  return t->name[0] == '!' ? fail(err, SOTTO_ERR_UNSUPPORTED, "refused by the sink") : SOTTO_OK;
}

static sotto_status on_tensor_data(void *context, const void *bytes, size_t size, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_open == 1 && size > 0 && size <= s->left);
  s->left -= size;
  float values[256];
  size_t n = dtype_block_elements(s->type), step = dtype_block_bytes(s->type);
  for (size_t at = 0; at + step <= size; at += step) {
    dequantize_row(s->type, (const uint8_t *)bytes + at, values, n);
    s->sum += values[n - 1];
    uint8_t back[210];
    REQUIRE(quantize_row(s->type, values, back, n));
  }
  return SOTTO_OK;
}

static sotto_status on_tensor_end(void *context, error *err) {
  seen *s = context;
  (void)err;
  REQUIRE(s->n_open-- == 1 && s->left == 0);
  return SOTTO_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size == 0) return 0;
  seen s = {0};
  const ggml_bin_sink sink = {
      &s, on_header, on_filters, on_token, on_vocabulary_end, on_tensor_begin, on_tensor_data, on_tensor_end};
  ggml_bin *b = ggml_bin_open(&sink);
  if (!b) return 0;
  error err = {{0}};
  sotto_status status = SOTTO_OK;
  uint32_t random = bytes[0];
  size_t longest = bytes[0] % 3 == 0 ? 8 : bytes[0] % 3 == 1 ? 300 : 100000;
  for (size_t at = 1; at < size && status == SOTTO_OK;) {
    random = random * 1664525u + 1013904223u;
    size_t n = min_size(1 + (random >> 8) % longest, size - at);
    uint8_t *piece = malloc(n); /* of its exact size, so that reading past it is seen */
    REQUIRE(piece != NULL);
    memcpy(piece, bytes + at, n);
    status = ggml_bin_feed(b, piece, n, &err);
    free(piece);
    at += n;
  }
  sotto_status end = ggml_bin_finish(b, &err);
  REQUIRE(status == SOTTO_OK || end == status);
  REQUIRE((end == SOTTO_OK) == (err.text[0] == 0));
  ggml_bin_close(b);
  return 0;
}
