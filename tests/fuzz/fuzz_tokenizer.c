/* Fuzzes the readers of tokenizers, and with what they take, encoding and decoding. The first byte of an input
 * chooses: tokenizer.model, tokenizer.json, arrays, arrays with merges. What may not happen: an error without words,
 * text that does not come back, and all that the sanitizers see. */
#include "../../src/text/spm_vocab.h"
#include "require.h"

#include <stdlib.h>

/* The first two bytes are numbers of tokens and merges; then 8 bytes for each token's score and type; the rest are
 * the lists, the first half the tokens'. */
static sotto_status read_arrays(spm_vocab **v, const uint8_t *data, size_t size, bool with_merges, error *err) {
  *v = NULL;
  if (size < 2 || size - 2 < 8 * (size_t)data[0]) return fail(err, SOTTO_ERR_FORMAT, "too short");
  spm_arrays a = {.n_tokens = data[0], .n_merges = with_merges ? data[1] : 0};
  a.settings = (spm_settings){data[0] / 2, data[1] - 1, data[1] % 4, -1, data[0] % 2, data[1] % 2};
  a.scores = data + 2;
  a.types = data[0] % 3 ? data + 2 + 4 * a.n_tokens : NULL;
  size_t at = 2 + 8 * a.n_tokens;
  a.tokens_bytes = with_merges ? (size - at) / 2 : size - at;
  a.tokens = data + at;
  a.merges = data + at + a.tokens_bytes;
  a.merges_bytes = size - at - a.tokens_bytes;
  return spm_read_arrays(v, &a, err);
}

static void use(const spm_vocab *v, const char *text, size_t bytes) {
  const spm_settings *s = spm_vocab_settings(v);
  int32_t n = spm_vocab_size(v);
  REQUIRE(n > 0 && s->bos < n && s->eos < n && s->unk < n && s->pad < n);
  bool all_bytes = true;
  for (int byte = 0; byte < 256; byte++) all_bytes &= spm_vocab_byte(v, (unsigned char)byte) >= 0;
  for (unsigned flags = 0; flags < 4; flags++) {
    id_list ids = {0};
    REQUIRE(spm_encode(v, text, bytes, flags, &ids, NULL) == SOTTO_OK && ids.count <= bytes + 2);
    for (size_t i = 0; i < ids.count; i++) REQUIRE(ids.ids[i] >= 0 && ids.ids[i] < n);
    char *back = malloc(bytes + 1);
    size_t n_back = spm_decode(v, ids.ids, ids.count, false, back, bytes);
    if (all_bytes && flags == 0) REQUIRE(n_back == bytes && memcmp(back, text, bytes) == 0);
    free(back);
    id_list_free(&ids);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  int kind = data[0] % 4;
  data++;
  size--;
  error err = {""};
  spm_vocab *v = NULL;
  sotto_status status;
  if (kind == 0)
    status = spm_read_model(&v, data, size, &err);
  else if (kind == 1)
    status = spm_read_json(&v, (const char *)data, size, &err);
  else
    status = read_arrays(&v, data, size, kind == 3, &err);
  REQUIRE((status < 0) == (v == NULL) && (status == SOTTO_OK) == (err.text[0] == 0));
  if (v) use(v, (const char *)data, size < 4096 ? size : 4096);
  spm_vocab_close(v);
  return 0;
}
