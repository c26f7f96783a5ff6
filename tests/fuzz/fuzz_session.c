/* Fuzzes the restoring of sessions, on a tiny model of random weights. The first byte of an input chooses: saved bytes as they are, or with the
 * magic, the fingerprint and the hash made right, so that what lies between them is reached. What may not happen: an error without words, a
 * session that an error has changed, and, whatever was restored, all that the sanitizers see when the session goes on. */
#include "../native/make_gemma.h"
#include "require.h"

enum { N_CTX = 40, N_BATCH = 8, HEADER = 32, HASH = 8 };

static sotto_engine *engine;
static sotto_model *model;

static void begin(void) {
  const sotto_engine_options options = {.n_threads = 1};
  byte_list file = tiny_gemma(N_CTX);
  REQUIRE(sotto_engine_open(&engine, &options) == SOTTO_OK && sotto_model_open(&model, engine) == SOTTO_OK);
  const bool loaded =
      sotto_model_feed(model, file.bytes, file.size) == SOTTO_OK && sotto_model_finish(model) == SOTTO_OK;
  if (!loaded) fprintf(stderr, "%s\n", sotto_engine_error(engine));
  REQUIRE(loaded);
  byte_list_free(&file);
}

static void go_on(sotto_session *s, const int32_t *ids, size_t n) {
  REQUIRE(sotto_session_sync(s, ids, n) == SOTTO_OK);
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_step(s);
  REQUIRE(status == SOTTO_DONE && sotto_session_length(s) == (int32_t)n && sotto_session_logits(s, 0) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size == 0) return 0;
  static const int32_t ids[N_CTX] = {2, 7, 1, 9, 30, 31, 63, 5, 5, 5, 8, 13, 21};
  const sotto_session_options options = {.n_ctx = N_CTX, .n_batch = N_BATCH, .kv_type = bytes[0] >> 1 & 1};
  if (engine == NULL) begin();
  sotto_session *s = NULL;
  REQUIRE(sotto_session_open(&s, model, &options) == SOTTO_OK);
  const bool mended = bytes[0] & 1;
  size_t n = size - 1, n_own;
  uint8_t own[HEADER + HASH], *saved = malloc(n); /* of its exact size */
  if (n > 0) memcpy(saved, bytes + 1, n);
  REQUIRE(sotto_session_save(s, own, sizeof own, &n_own) == SOTTO_OK && n_own == sizeof own);
  if (mended && n >= HEADER + HASH) {
    memcpy(saved, own, 24);
    const uint64_t hash = hash_bytes(HASH_START, saved, n - HASH);
    memcpy(saved + n - HASH, &hash, sizeof hash);
  }
  go_on(s, ids, 13);
  const sotto_status status = sotto_session_restore(s, saved, n);
  const int32_t length = sotto_session_length(s);
  REQUIRE(status == SOTTO_OK || (status == SOTTO_ERR_FORMAT && sotto_engine_error(engine)[0] != 0 && length == 13));
  int32_t held[N_CTX] = {0};
  if (status == SOTTO_OK) memcpy(held, saved + HEADER, (size_t)length * sizeof *held);
  if (length < N_CTX) go_on(s, status == SOTTO_OK ? held : ids, (size_t)length + 1);
  if (length > 3) go_on(s, status == SOTTO_OK ? held : ids, (size_t)length - 2);
  if (status == SOTTO_OK) { /* what was taken can be given */
    const size_t capacity = sotto_session_save_bytes(s);
    uint8_t *again = malloc(capacity);
    REQUIRE(sotto_session_save(s, again, capacity, &n_own) == SOTTO_OK && n_own == capacity);
    REQUIRE(sotto_session_restore(s, again, n_own) == SOTTO_OK);
    free(again);
  }
  free(saved);
  sotto_session_close(s);
  return 0;
}
