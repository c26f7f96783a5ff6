/* Sessions that are forked, saved, restored and synced back and forth go on bit for bit as the one that they come from: on golden checkpoints of
 * four families, whose rings wrap within a few tokens, and on the model that comes with the project. And what saved bytes may not be. */
#include "golden_models.h"
#include "make_gemma.h"

enum { N_MOST = 512, N_ON = 12 };

static int32_t argmax(const float *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return (int32_t)best;
}

/* Where all go on from. */
typedef struct text {
  int32_t ids[N_MOST + N_ON + 1];
  size_t n, n_vocab;
} text;

/* Both take the same further tokens, and give the same logits. */
static bool go_on_alike(sotto_session *a, sotto_session *b, const text *t) {
  text own = *t;
  for (int i = 0; i < N_ON; i++) {
    own.ids[own.n++] = i == 0 ? 3 : argmax(sotto_session_logits(a, 0), t->n_vocab);
    evaluate(a, own.ids, own.n);
    evaluate(b, own.ids, own.n);
    const float *x = sotto_session_logits(a, 0), *y = sotto_session_logits(b, 0);
    if (x == NULL || y == NULL || memcmp(x, y, t->n_vocab * sizeof *x) != 0) return false;
  }
  return true;
}

static uint8_t *save(sotto_session *s, size_t *n) {
  const size_t bytes = sotto_session_save_bytes(s);
  uint8_t *saved = malloc(bytes); /* of its exact size, so that writing past it is seen */
  CHECK(sotto_session_save(s, saved, bytes - 1, n) == SOTTO_ERR_ARGUMENT && *n == bytes && says("room for"));
  CHECK(sotto_session_save(s, saved, bytes, n) == SOTTO_OK && *n == bytes);
  return saved;
}

static void check_fork(sotto_model *m, const text *t, const sotto_session_options *o) {
  sotto_session *s = session(m, o), *fork = NULL, *second = NULL;
  evaluate(s, t->ids, t->n);
  CHECK(sotto_session_fork(&fork, s) == SOTTO_OK && sotto_session_fork(&second, s) == SOTTO_OK);
  CHECK(sotto_session_length(fork) == (int32_t)t->n && sotto_session_capacity(fork) == sotto_session_capacity(s));
  CHECK(sotto_session_n_logits(fork) == sotto_session_n_logits(s));
  CHECK(memcmp(sotto_session_logits(s, 0), sotto_session_logits(fork, 0), t->n_vocab * sizeof(float)) == 0);
  CHECK(go_on_alike(s, fork, t)); /* by turns: what one takes, the other does not see */
  text other = *t;
  other.ids[other.n++] = 9;
  evaluate(fork, other.ids, other.n);
  sotto_session_close(s); /* the others do without it */
  sotto_session *anew = session(m, o);
  evaluate(anew, t->ids, t->n);
  CHECK(go_on_alike(anew, second, t));
  sotto_session_close(anew);
  sotto_session_close(second);
  sotto_session_close(fork);

  s = session(m, o); /* before anything was evaluated, and halfway */
  CHECK(sotto_session_fork(&fork, s) == SOTTO_OK && sotto_session_length(fork) == 0);
  CHECK(sotto_session_step(fork) == SOTTO_ERR_ARGUMENT && sotto_session_logits(fork, 0) == NULL);
  sotto_session_close(fork);
  CHECK(sotto_session_sync(s, t->ids, t->n) == SOTTO_OK && sotto_session_step(s) == SOTTO_AGAIN);
  CHECK(sotto_session_fork(&fork, s) == SOTTO_OK && sotto_session_length(fork) == sotto_session_length(s));
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_step(fork);
  CHECK(status == SOTTO_DONE && sotto_session_length(fork) == (int32_t)t->n);
  evaluate(s, t->ids, t->n);
  CHECK(go_on_alike(s, fork, t));
  sotto_session_close(s);
  sotto_session_close(fork);
  CHECK(sotto_session_fork(&fork, NULL) == SOTTO_ERR_ARGUMENT);
}

static void check_save(sotto_model *m, const text *t, const sotto_session_options *o) {
  sotto_session *s = session(m, o);
  size_t n = 0;
  evaluate(s, t->ids, t->n);
  uint8_t *saved = save(s, &n);
  sotto_session_options others[3] = {*o, *o, *o}; /* the same; longer and with other rings; as long as can be */
  others[1].n_ctx += 9, others[1].n_batch += 5;
  others[2].n_ctx = (int32_t)t->n + N_ON, others[2].n_batch = 1;
  for (int i = 0; i < 3; i++) {
    sotto_session *restored = session(m, &others[i]);
    if (i == 1) evaluate(restored, t->ids + 1, 5); /* which is gone then */
    CHECK(sotto_session_restore(restored, saved, n) == SOTTO_OK);
    CHECK(sotto_session_length(restored) == (int32_t)t->n && sotto_session_logits(restored, 0) == NULL);
    sotto_session *fork = NULL; /* of the one that was saved, so that each goes on from there */
    CHECK(sotto_session_fork(&fork, s) == SOTTO_OK);
    CHECK(go_on_alike(fork, restored, t));
    sotto_session_close(fork);
    /* Restored, and saved again, it is the same bytes where rings are as long. */
    CHECK(sotto_session_restore(restored, saved, n) == SOTTO_OK);
    size_t again = 0;
    uint8_t *resaved = save(restored, &again);
    if (i == 0) CHECK(again == n && memcmp(saved, resaved, n) == 0);
    CHECK(sotto_session_restore(restored, resaved, again) == SOTTO_OK);
    free(resaved);
    sotto_session_close(restored);
  }
  /* What lies behind the context. */
  others[0].n_ctx = (int32_t)t->n - 1, others[0].n_batch = 4;
  sotto_session *small = session(m, &others[0]);
  CHECK(sotto_session_restore(small, saved, n) == SOTTO_ERR_FORMAT && says("larger"));
  sotto_session_close(small);
  free(saved);

  sotto_session *empty = session(m, o), *restored = session(m, o);
  saved = save(empty, &n);
  evaluate(restored, t->ids, 7);
  CHECK(sotto_session_restore(restored, saved, n) == SOTTO_OK && sotto_session_length(restored) == 0);
  evaluate(restored, t->ids, t->n);
  CHECK(go_on_alike(s, restored, t));
  free(saved);
  sotto_session_close(empty);
  sotto_session_close(restored);
  sotto_session_close(s);
}

/* Saved bytes that are damaged are refused, with a sentence, and the session goes on as if nothing had been. */
static void check_damage(sotto_model *m, const text *t, const sotto_session_options *o) {
  sotto_session *s = session(m, o), *same = session(m, o);
  size_t n = 0;
  evaluate(s, t->ids, t->n);
  evaluate(same, t->ids, t->n);
  uint8_t *saved = save(s, &n);
  random_state r = {n};
  for (int i = 0; i < 200; i++) {
    const size_t at = i < 40 ? (size_t)i : random_below(&r, (uint32_t)n);
    saved[at] ^= (uint8_t)(1u << i % 8);
    CHECK(sotto_session_restore(s, saved, n) == SOTTO_ERR_FORMAT && sotto_engine_error(engine)[0] != 0);
    saved[at] ^= (uint8_t)(1u << i % 8);
    const size_t cut = i < 50 ? (size_t)i : random_below(&r, (uint32_t)n);
    uint8_t *part = malloc(cut + 1);
    memcpy(part, saved, cut);
    CHECK(sotto_session_restore(s, part, cut) == SOTTO_ERR_FORMAT);
    free(part);
  }
  CHECK(sotto_session_restore(s, "GGUF, this is not", 17) == SOTTO_ERR_FORMAT && says("no saved session"));
  CHECK(sotto_session_restore(s, NULL, 0) == SOTTO_ERR_FORMAT &&
        sotto_session_restore(s, NULL, 9) == SOTTO_ERR_ARGUMENT);
  CHECK(go_on_alike(s, same, t));
  sotto_session_close(same);

  sotto_session_options other_type = *o;
  other_type.kv_type = o->kv_type == SOTTO_KV_F16 ? SOTTO_KV_Q8_0 : SOTTO_KV_F16;
  same = session(m, &other_type);
  CHECK(sotto_session_restore(same, saved, n) == SOTTO_ERR_FORMAT && says("storage"));
  sotto_session_close(same);
  free(saved);
  sotto_session_close(s);
}

/* A text, another with the same beginning, and the first again: as if the other had not been. */
static void check_prefix(sotto_model *m, const text *t, const sotto_session_options *o) {
  const size_t common = t->n - 10;
  sotto_session *s = session(m, o), *straight = session(m, o);
  text other = *t;
  for (size_t i = common; i < t->n; i++) other.ids[i] = (t->ids[i] + 1) % (int32_t)t->n_vocab;
  evaluate(s, t->ids, common);
  evaluate(s, other.ids, other.n);
  evaluate(s, t->ids, t->n);
  evaluate(straight, t->ids, common);
  evaluate(straight, t->ids, t->n);
  CHECK(memcmp(sotto_session_logits(s, 0), sotto_session_logits(straight, 0), t->n_vocab * sizeof(float)) == 0);
  CHECK(go_on_alike(s, straight, t));
  sotto_session_close(s);
  sotto_session_close(straight);
}

static void check_all(sotto_model *m, const text *t, int32_t n_batch) {
  for (int32_t type = SOTTO_KV_F16; type <= SOTTO_KV_Q8_0; type++) {
    const sotto_session_options o = {.n_ctx = (int32_t)t->n + N_ON + 3, .n_batch = n_batch, .kv_type = type};
    check_fork(m, t, &o);
    check_save(m, t, &o);
    check_damage(m, t, &o);
    check_prefix(m, t, &o);
  }
}

/* Back twice: what the first of the two tokens that remain in a ring needs was overwritten before the first step back. */
static void check_back_twice(sotto_model *m, const golden *g) {
  const size_t n_vocab = g->logits.shape[1];
  sotto_session *s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = 16});
  static const int32_t lengths[] = {N_IDS, 55, 40, 25, 60, 12, 11};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    evaluate(s, g->ids, (size_t)lengths[i]);
    CHECK(relative_error(sotto_session_logits(s, 0), g->logits.data + (size_t)(lengths[i] - 1) * n_vocab, n_vocab) <=
          2e-3);
  }
  sotto_session_close(s);
}

static void check_families(void) {
  static const char *families[] = {"gemma1-2b", "gemma2-2b", "gemma3-1b", "gemma3-4b"};
  uint8_t *of_first = NULL;
  size_t n_of_first = 0;
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    golden g = golden_read(families[f]);
    sotto_model *m = load(g.folder, NULL);
    text t = {.n = 50, .n_vocab = g.logits.shape[1]};
    memcpy(t.ids, g.ids, 50 * sizeof *t.ids);
    check_all(m, &t, 16);
    check_back_twice(m, &g);
    sotto_session *s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = 8});
    evaluate(s, t.ids, 20);
    if (f == 0)
      of_first = save(s, &n_of_first);
    else
      CHECK(sotto_session_restore(s, of_first, n_of_first) == SOTTO_ERR_FORMAT && says("another model"));
    sotto_session_close(s);
    sotto_model_close(m);
    npy_free(&g.logits);
  }
  free(of_first);
}

static void check_teller(void) {
  sotto_model *m = NULL;
  size_t size = 0;
  char *bytes = read_file("assets/teller-q8_0.gguf", &size);
  if (!CHECK(bytes != NULL)) return;
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK && sotto_model_feed(m, bytes, size) == SOTTO_OK);
  CHECK(sotto_model_finish(m) == SOTTO_OK);
  free(bytes);
  text t = {.n = 300}; /* more than the window of 128 and a batch of 64 */
  static const char story[] = "Once upon a time there was a little dog who had a red ball. ";
  char *told = malloc(40 * (sizeof story - 1));
  for (size_t i = 0; i < 40; i++) memcpy(told + i * (sizeof story - 1), story, sizeof story - 1);
  int32_t ids[2048];
  size_t n = 0;
  CHECK(sotto_tokenize(m, told, 40 * (sizeof story - 1), SOTTO_TEXT_BOS, ids, 2048, &n) == SOTTO_OK && n >= t.n);
  free(told);
  memcpy(t.ids, ids, t.n * sizeof *ids);
  sotto_model_info info;
  sotto_model_describe(m, &info);
  t.n_vocab = (size_t)info.n_vocab;
  check_all(m, &t, 64);
  sotto_model_close(m);
}

/* What needs more memory than there is says how much, before any of it is taken. */
static void check_too_large(void) {
  sotto_model *m = NULL;
  sotto_session *s = NULL;
  byte_list file = tiny_gemma(1 << 24);
  sotto_session_options o = {.n_ctx = 1 << 24, .n_batch = 1 << 24, .all_logits = 1};
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK && sotto_session_bytes(m, &o) == 0);
  CHECK(sotto_model_feed(m, file.bytes, file.size / 2) == SOTTO_OK);
  const uint64_t bytes = sotto_session_bytes(m, &o); /* known before the weights are there */
  CHECK(bytes > (uint64_t)1 << 34);
  CHECK(sotto_model_feed(m, file.bytes + file.size / 2, file.size - file.size / 2) == SOTTO_OK);
  CHECK(sotto_model_finish(m) == SOTTO_OK && sotto_session_bytes(m, &o) == bytes);
  CHECK(sotto_session_open(&s, m, &o) == SOTTO_ERR_MEMORY && s == NULL && says("16777216 tokens needs 4"));
  o.n_ctx = 100, o.n_batch = 0;
  CHECK(sotto_session_open(&s, m, &o) == SOTTO_OK && sotto_session_capacity(s) == 100);
  sotto_session_close(s);
  sotto_model_close(m);
  byte_list_free(&file);

  gguf_maker maker = {0}; /* of a model of 70 GB, the beginning */
  gguf_put_string(&maker, "general.architecture", "gemma");
  gguf_put_u32(&maker, "gemma.block_count", 1);
  gguf_put_u32(&maker, "gemma.embedding_length", 16384);
  gguf_put_u32(&maker, "gemma.feed_forward_length", 64);
  gguf_put_u32(&maker, "gemma.context_length", 64);
  gguf_put_u32(&maker, "gemma.attention.head_count", 64);
  gguf_put_info(&maker, "token_embd.weight", DTYPE_F32, 2, (int64_t[]){1 << 20, 16384}, 0);
  gguf_put_info(&maker, "blk.0.ffn_up.weight", DTYPE_F32, 2, (int64_t[]){1 << 20, 16384}, (uint64_t)1 << 36);
  file = gguf_made(&maker);
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  CHECK(sotto_model_feed(m, file.bytes, file.size) == SOTTO_ERR_MEMORY && says("needs 68719 MB of memory"));
  sotto_model_close(m);
  byte_list_free(&file);
}

int main(void) {
  const sotto_engine_options options = {.n_threads = 2};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_OK);
  check_families();
  check_teller();
  check_too_large();
  sotto_engine_close(engine);
  return check_end();
}
