/* Fuzzes the loading of models through the public interface, and whatever was loaded: it is described, asked for tokens and run for some.
 *
 *     first byte ─> one file as it comes, or a folder: config.json, tokenizer, weights ─┐
 *     the others ─> runs of zeros made long ─> files ─> pieces of random sizes ─────────┴─> feed ... finish ─> session, sampler
 *
 * ZEROS n n stands for n zero bytes, so that small inputs hold whole models: weights may be zero. PART in a folder begins its next file. What may
 * not happen: an error without words, one that does not stay, and all that the sanitizers see. */
#include "../../include/sotto.h"
#include "tensor_checks.h"

enum { ZEROS = 0xf7, MOST_BYTES = 2 << 20, N_CTX = 12, MOST_PARAMETERS = 1 << 20 };

#define PART "\n--\n"

/* The bytes meant, of their exact size; freed by the caller. */
static uint8_t *expand(const uint8_t *bytes, size_t size, size_t *n) {
  static uint8_t all[MOST_BYTES];
  *n = 0;
  for (size_t i = 0; i < size && *n < MOST_BYTES; i++) {
    if (bytes[i] != ZEROS || i + 2 >= size) {
      all[(*n)++] = bytes[i];
      continue;
    }
    const size_t zeros = min_size(bytes[i + 1] | (size_t)bytes[i + 2] << 8, MOST_BYTES - *n);
    memset(all + *n, 0, zeros);
    *n += zeros;
    i += 2;
  }
  uint8_t *exact = malloc(*n + 1);
  REQUIRE(exact != NULL);
  memcpy(exact, all, *n);
  exact[*n] = 0;
  return exact;
}

static sotto_status feed(void *model, const void *bytes, size_t size, error *err) {
  (void)err;
  return sotto_model_feed(model, bytes, size);
}

/* The files of a folder; feed_in_pieces takes the byte before each as the seed of its pieces. */
static sotto_status feed_folder(sotto_model *m, const uint8_t *bytes, size_t size, bool json) {
  const char *const names[] = {"config.json", json ? "tokenizer.json" : "tokenizer.model",
                               "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  sotto_status status = SOTTO_OK;
  size_t at = 1;
  for (int i = 0; i < 4 && at <= size && status == SOTTO_OK; i++) {
    size_t end = at;
    while (end < size && (end + 4 > size || memcmp(bytes + end, PART, 4) != 0)) end++;
    status = sotto_model_file(m, names[i]);
    if (status == SOTTO_OK) status = feed_in_pieces(feed, m, bytes + at - 1, end - at + 1, NULL);
    at = end + 4;
  }
  return status;
}

static void run_text(sotto_model *m, const sotto_model_info *info) {
  static const char text[] = "A <bos>\xe2\x96\x81word\xff";
  const sotto_turn turns[] = {{SOTTO_SYSTEM, text, 4}, {SOTTO_USER, text, sizeof text - 1}};
  const sotto_session_options options = {.n_ctx = N_CTX, .n_batch = 5, .kv_type = info->n_vocab % 2};
  int32_t ids[64] = {0}, id;
  size_t n = 0, dropped, piece;
  if (sotto_tokenize(m, text, sizeof text - 1, SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL, ids, 64, &n) == SOTTO_OK) {
    for (size_t i = 0; i < min_size(n, 64); i++) REQUIRE(sotto_token_piece(m, ids[i], 1, &piece)[piece] == 0);
    sotto_chat_tokens(m, turns, 2, ids, 64, &n);
    sotto_chat_fit(m, turns, 2, 40, ids, 64, &n, &dropped);
  }
  for (size_t i = 0; i < N_CTX; i++) ids[i] = (int32_t)(i * 7) % info->n_vocab;
  sotto_session *s;
  sotto_sampler *sampler;
  if (sotto_session_open(&s, m, &options) != SOTTO_OK) return;
  REQUIRE(sotto_session_sync(s, ids, N_CTX - 2) == SOTTO_OK && sotto_sampler_open(&sampler, m, NULL) == SOTTO_OK);
  for (n = N_CTX - 2; n <= N_CTX; n++) {
    sotto_status status = sotto_session_sync(s, ids, n);
    REQUIRE(status == SOTTO_OK);
    while ((status = sotto_session_step(s)) == SOTTO_AGAIN)
      ;
    REQUIRE(status == SOTTO_DONE && sotto_session_length(s) == (int32_t)n);
    if (sotto_sampler_sample(sampler, sotto_session_logits(s, 0), &id, NULL) != SOTTO_OK)
      break; /* weights that are no numbers */
    REQUIRE(id >= 0 && id < info->n_vocab);
    if (n < N_CTX) ids[n] = id;
  }
  sotto_sampler_close(sampler);
  sotto_session_close(s);
}

static void use(sotto_model *m) {
  sotto_model_info info;
  int64_t dims[4];
  uint64_t parameters = 0;
  const char *name, *type;
  sotto_model_describe(m, &info);
  REQUIRE(info.architecture != NULL && info.name != NULL && info.n_tensors > 0 && info.n_vocab > 0);
  for (int32_t i = 0; i < info.n_tensors; i++) {
    REQUIRE(sotto_model_tensor(m, i, &name, &type, dims) > 0 && name[0] != 0 && type[0] != 0);
    parameters += (uint64_t)(dims[0] * dims[1] * dims[2] * dims[3]);
  }
  REQUIRE(sotto_model_tensor(m, info.n_tensors, &name, &type, dims) == 0 && parameters == info.n_parameters);
  if (info.n_ff > 0 && parameters <= MOST_PARAMETERS) run_text(m, &info);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static sotto_engine *engine;
  static const sotto_engine_options one_thread = {.n_threads = 1};
  if (size == 0) return 0;
  if (engine == NULL) REQUIRE(sotto_engine_open(&engine, &one_thread) == SOTTO_OK);
  size_t n;
  uint8_t *file = expand(bytes, size, &n);
  sotto_model *m;
  sotto_status status = sotto_model_open(&m, engine);
  REQUIRE(status == SOTTO_OK);
  if (bytes[0] >> 6 == 0)
    status = feed_in_pieces(feed, m, file, n, NULL);
  else
    status = feed_folder(m, file, n, bytes[0] >> 6 == 1);
  const sotto_status end = sotto_model_finish(m);
  REQUIRE(end <= SOTTO_OK && (status == SOTTO_OK || end == status));
  if (end == SOTTO_OK)
    use(m);
  else
    REQUIRE(sotto_engine_error(engine)[0] != 0);
  sotto_model_close(m);
  free(file);
  return 0;
}
