/* What the tests of SentencePiece vocabularies share. */
#ifndef SOTTO_TEST_SPM_CHECKS_H
#define SOTTO_TEST_SPM_CHECKS_H

#include "../../src/text/merge.h"
#include "../../src/text/spm_vocab.h"
#include "check.h"

#define MARK "\xe2\x96\x81" /* U+2581 */
/* Writes "<0x41>" or, for odd ones, "<0x6b>"; returns its length. */
static inline size_t byte_name(int byte, char out[8]) {
  const char *digits = byte % 2 ? "0123456789abcdef" : "0123456789ABCDEF";
  memcpy(out, "<0x..>", 7);
  out[3] = digits[byte / 16];
  out[4] = digits[byte % 16];
  return 6;
}

static inline bool encodes(const spm_vocab *v, const char *text, size_t bytes, unsigned flags, const int32_t *ids,
                           size_t n) {
  id_list list = {0};
  bool ok = spm_encode(v, text, bytes, flags, &list, NULL) == SOTTO_OK && list.count == n;
  for (size_t i = 0; ok && i < n; i++) ok = list.ids[i] == ids[i];
  if (!ok) {
    fprintf(stderr, "  \"%.60s\" gives", text);
    for (size_t i = 0; i < list.count && i < 20; i++) fprintf(stderr, " %d", (int)list.ids[i]);
    fprintf(stderr, "\n");
  }
  id_list_free(&list);
  return ok;
}

#define ENCODES(v, flags, text, ...)                                          \
  CHECK(encodes(v, text, strlen(text), flags, (const int32_t[]){__VA_ARGS__}, \
                sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static inline bool round_trips(const spm_vocab *v, const char *text, size_t bytes) {
  id_list list = {0};
  char *back = malloc(bytes + 1);
  bool ok = spm_encode(v, text, bytes, SPM_ADD_BOS, &list, NULL) == SOTTO_OK &&
            spm_decode(v, list.ids, list.count, false, back, bytes) == bytes && memcmp(back, text, bytes) == 0;
  free(back);
  id_list_free(&list);
  return ok;
}

/* The vocabulary of teller; NULL, and a failed check, when it cannot be read. */
static inline spm_vocab *read_teller(void) {
  size_t size;
  spm_vocab *v = NULL;
  error err = {""};
  char *bytes = read_file("tests/fixtures/teller/tokenizer.model", &size);
  if (!CHECK(bytes && spm_read_model(&v, bytes, size, &err) == SOTTO_OK)) fprintf(stderr, "  %s\n", err.text);
  free(bytes);
  return v;
}

#endif
