/* Fuzzes the reader of safetensors files, in pieces of random sizes, and of their index. The first byte of an input seeds the sizes; the
 * others are the file. */
#include "../../src/formats/safetensors.h"
#include "tensor_checks.h"

static sotto_status feed(void *reader, const void *bytes, size_t size, error *err) {
  return safetensors_feed(reader, bytes, size, err);
}

static void read_index(const uint8_t *bytes, size_t size) {
  safetensors_index *x;
  error err = {{0}};
  sotto_status status = safetensors_index_open(&x, (const char *)bytes, size, &err);
  REQUIRE((status == SOTTO_OK) == (err.text[0] == 0) && (status == SOTTO_OK) == (x != NULL));
  if (x == NULL) return;
  REQUIRE(safetensors_index_n_files(x) > 0 && safetensors_index_n_files(x) <= safetensors_index_n_tensors(x));
  for (uint32_t i = 0; i < safetensors_index_n_files(x); i++)
    REQUIRE(safetensors_index_file(x, i)[0] != '.' && strchr(safetensors_index_file(x, i), '/') == NULL);
  safetensors_index_close(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size == 0) return 0;
  tensor_checks c;
  const tensor_sink sink = checks_sink(&c);
  safetensors *s = safetensors_open(&sink);
  if (!s) return 0;
  error err = {{0}};
  sotto_status status = feed_in_pieces(feed, s, bytes, size, &err), end = safetensors_finish(s, &err);
  REQUIRE(status == SOTTO_OK || end == status);
  REQUIRE((end == SOTTO_OK) == (err.text[0] == 0));
  if (end == SOTTO_OK) REQUIRE(c.n_tensors == safetensors_n_tensors(s) && safetensors_file_bytes(s) == size - 1);
  safetensors_close(s);
  read_index(bytes + 1, size - 1);
  return 0;
}
