/* Fuzzes the reader of GGUF files, in pieces of random sizes, and reads every value of what it takes in every way. The first byte of an
 * input seeds the sizes; the others are the file. */
#include "../../src/formats/gguf.h"
#include "tensor_checks.h"

static sotto_status feed(void *reader, const void *bytes, size_t size, error *err) {
  return gguf_feed(reader, bytes, size, err);
}

static void read_values(const gguf *g, tensor_checks *c) {
  for (uint32_t i = 0; i < gguf_n_values(g); i++) {
    gguf_type type;
    const char *key = gguf_key(g, i, &type), *text;
    uint32_t n32;
    uint64_t n64;
    float x;
    bool b;
    size_t size;
    gguf_array a;
    if (gguf_u32(g, key, &n32)) REQUIRE(gguf_u64(g, key, &n64) && n64 == n32 && gguf_f32(g, key, &x));
    if (gguf_f32(g, key, &x)) REQUIRE(x - x == 0);
    if (gguf_bool(g, key, &b)) c->sum += b;
    if (gguf_string(g, key, &text, &size))
      for (size_t k = 0; k < size; k++) c->sum += text[k];
    if (!gguf_array_of(g, key, &a)) continue;
    for (uint32_t k = 0; k < a.count; k++) {
      if (gguf_array_u64(&a, k, &n64)) REQUIRE(gguf_array_f32(&a, k, &x));
      if (gguf_array_f32(&a, k, &x)) REQUIRE(x - x == 0);
      text = gguf_array_string(&a, k, &size);
      REQUIRE((text != NULL) == (a.type == GGUF_STRING));
      for (size_t m = 0; text != NULL && m < size; m++) c->sum += text[m];
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size == 0) return 0;
  tensor_checks c;
  const tensor_sink sink = checks_sink(&c);
  gguf *g = gguf_open(&sink);
  if (!g) return 0;
  error err = {{0}};
  sotto_status status = feed_in_pieces(feed, g, bytes, size, &err), end = gguf_finish(g, &err);
  REQUIRE(status == SOTTO_OK || end == status);
  REQUIRE((end == SOTTO_OK) == (err.text[0] == 0));
  if (c.n_headers == 1) {
    read_values(g, &c);
    gguf_split split = gguf_split_of(g);
    REQUIRE(split.part < split.n_parts && split.n_tensors >= gguf_n_tensors(g));
    if (end == SOTTO_OK) REQUIRE(c.n_tensors == gguf_n_tensors(g) && gguf_file_bytes(g) <= size - 1);
  }
  gguf_close(g);
  return 0;
}
