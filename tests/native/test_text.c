/* The public API of language models, through include/sotto.h alone: files of a folder, sessions on golden checkpoints of four families,
 * text and chat with a real vocabulary, sampling, and the sentences of what goes wrong. See tests/fixtures/README.md. */
#include "golden_models.h"

static int32_t argmax(const float *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return (int32_t)best;
}

/* Logits of all tokens, however many are evaluated at a time. */
static void check_logits(sotto_model *m, const golden *g, const char *family) {
  static const int32_t batches[] = {1, 5, 64};
  const size_t n_vocab = g->logits.shape[1];
  double worst = 0;
  for (size_t k = 0; k < sizeof batches / sizeof *batches; k++) {
    sotto_session *s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = batches[k], .all_logits = 1});
    int32_t at = 0;
    CHECK(sotto_session_sync(s, g->ids, N_IDS) == SOTTO_OK);
    for (sotto_status status = SOTTO_AGAIN; status == SOTTO_AGAIN;) {
      status = sotto_session_step(s);
      const int32_t n = sotto_session_n_logits(s), length = sotto_session_length(s);
      if (!CHECK(status >= 0 && n == min_i32(batches[k], N_IDS - at) && length == at + n)) break;
      for (int32_t back = 0; back < n; back++)
        worst = fmax(worst, relative_error(sotto_session_logits(s, back),
                                           g->logits.data + (size_t)(length - 1 - back) * n_vocab, n_vocab));
      CHECK(sotto_session_logits(s, n) == NULL && sotto_session_logits(s, -1) == NULL);
      at = length;
    }
    CHECK(at == N_IDS);
    sotto_session_close(s);
  }
  printf("%s: logits within %.2g (relative)\n", family, worst);
  CHECK(worst <= 2e-3);
}

/* Goes on from the first `n_prefix` ids by the likeliest token; `out` [N_GREEDY]. */
static void go_on(sotto_model *m, sotto_session *s, const golden *g, int32_t *out) {
  const sotto_sampler_options greedy = {.temperature = 0, .top_p = 1, .typical_p = 1, .repetition_penalty = 1};
  sotto_sampler *sampler = NULL;
  int32_t ids[N_IDS + N_GREEDY];
  size_t n = (size_t)g->n_prefix;
  memcpy(ids, g->ids, n * sizeof *ids);
  CHECK(sotto_sampler_open(&sampler, m, &greedy) == SOTTO_OK);
  evaluate(s, ids, n);
  for (int i = 0; i < N_GREEDY; i++) {
    float *logits = sotto_session_logits(s, 0), logprob = 1;
    CHECK(sotto_sampler_sample(sampler, logits, &out[i], &logprob) == SOTTO_OK);
    CHECK(out[i] == argmax(logits, g->logits.shape[1]) && logprob <= 0);
    ids[n++] = out[i];
    if (i + 1 < N_GREEDY) CHECK(evaluate(s, ids, n) == 1); /* what is held is not evaluated again */
  }
  sotto_sampler_close(sampler);
}

static void check_greedy(sotto_model *m, const golden *g, const char *family) {
  int32_t first[N_GREEDY], again[N_GREEDY];
  const int32_t n_ctx = N_IDS + N_GREEDY;
  sotto_session *s = session(m, &(sotto_session_options){.n_ctx = n_ctx, .n_batch = 16, .all_logits = 0});
  go_on(m, s, g, first);
  int same = 0;
  while (same < N_GREEDY && (first[same] == g->greedy[same])) same++;
  CHECK(same == N_GREEDY || g->margins[same] < 0.02); /* after a choice of equals, texts differ */
  printf("%s: %d of %d greedy tokens\n", family, same, N_GREEDY);

  /* From the same beginning again: what the session holds changes nothing. */
  go_on(m, s, g, again);
  CHECK(memcmp(first, again, sizeof first) == 0);

  /* Another text, then back: nothing of it is left. */
  evaluate(s, g->ids + 1, N_IDS - 1);
  go_on(m, s, g, again);
  CHECK(memcmp(first, again, sizeof first) == 0);

  /* A cancelled evaluation leaves a session that can be used. */
  CHECK(sotto_session_sync(s, g->ids, N_IDS) == SOTTO_OK && sotto_session_step(s) >= 0);
  go_on(m, s, g, again);
  CHECK(memcmp(first, again, sizeof first) == 0);
  sotto_session_close(s);
}

/* The common beginning is kept, and the logits are those of a session that began anew. */
static void check_prefix(sotto_model *m, const golden *g) {
  const size_t n_vocab = g->logits.shape[1];
  sotto_session *s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = 8, .all_logits = 0});
  CHECK(evaluate(s, g->ids, 40) == 5);
  CHECK(sotto_session_n_logits(s) == 1 && sotto_session_logits(s, 1) == NULL);
  CHECK(evaluate(s, g->ids, 40) == 1); /* the last token alone */
  CHECK(relative_error(sotto_session_logits(s, 0), g->logits.data + 39 * n_vocab, n_vocab) <= 2e-3);
  CHECK(evaluate(s, g->ids, N_IDS) == 3);
  CHECK(relative_error(sotto_session_logits(s, 0), g->logits.data + (N_IDS - 1) * n_vocab, n_vocab) <= 2e-3);
  int32_t other[N_IDS];
  memcpy(other, g->ids, sizeof other);
  other[2] = other[2] == 7 ? 8 : 7;
  evaluate(s, other, N_IDS); /* parts at the third token, which rings no longer hold */
  CHECK(relative_error(sotto_session_logits(s, 0), g->logits.data + (N_IDS - 1) * n_vocab, n_vocab) > 1e-4);
  evaluate(s, g->ids, N_IDS);
  CHECK(relative_error(sotto_session_logits(s, 0), g->logits.data + (N_IDS - 1) * n_vocab, n_vocab) <= 2e-3);
  sotto_session_close(s);
}

static void check_session_errors(sotto_model *m, const golden *g) {
  sotto_session_options options = {.n_ctx = -1};
  sotto_session *s = NULL;
  CHECK(sotto_session_open(&s, m, &options) == SOTTO_ERR_ARGUMENT && s == NULL && says("context of -1"));
  options.n_ctx = INT32_MAX;
  CHECK(sotto_session_open(&s, m, &options) == SOTTO_ERR_ARGUMENT && says("trained for"));
  CHECK(sotto_session_bytes(m, &options) == 0);
  options.n_ctx = 0, options.n_batch = -5;
  CHECK(sotto_session_open(&s, m, &options) == SOTTO_ERR_ARGUMENT && says("batch"));
  CHECK(sotto_session_open(NULL, m, NULL) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_session_open(&s, NULL, NULL) == SOTTO_ERR_ARGUMENT);

  s = session(m, &(sotto_session_options){.n_ctx = 10, .n_batch = 4, .all_logits = 0});
  const sotto_session_options small = {.n_ctx = 10, .n_batch = 4}, large = {.n_ctx = 60, .n_batch = 4};
  CHECK(sotto_session_bytes(m, &small) > 0 && sotto_session_bytes(m, &large) > sotto_session_bytes(m, &small));
  CHECK(sotto_session_capacity(s) == 10 && sotto_session_length(s) == 0 && sotto_session_logits(s, 0) == NULL);
  CHECK(sotto_session_step(s) == SOTTO_ERR_ARGUMENT && says("sync"));
  CHECK(sotto_session_sync(s, g->ids, 0) == SOTTO_ERR_ARGUMENT && says("no tokens"));
  CHECK(sotto_session_sync(s, g->ids, 11) == SOTTO_ERR_ARGUMENT && says("do not fit in a context of 10"));
  int32_t wrong[2] = {1, (int32_t)g->logits.shape[1]};
  CHECK(sotto_session_sync(s, wrong, 2) == SOTTO_ERR_ARGUMENT && says("token 2 is 1024"));
  wrong[1] = -1;
  CHECK(sotto_session_sync(s, wrong, 2) == SOTTO_ERR_ARGUMENT && says("token 2 is -1"));
  CHECK(evaluate(s, g->ids, 10) == 3);
  CHECK(sotto_session_step(s) == SOTTO_DONE && sotto_session_logits(s, 0) != NULL); /* nothing left to do */
  sotto_session_close(s);
  sotto_session_close(NULL);

  sotto_sampler *sampler = NULL;
  sotto_sampler_options sampling;
  sotto_sampler_options_default(&sampling);
  CHECK(sampling.temperature == 1 && sampling.top_k == 64 && sampling.top_p == 0.95f);
  sampling.top_p = 2;
  CHECK(sotto_sampler_open(&sampler, m, &sampling) == SOTTO_ERR_ARGUMENT && sampler == NULL && says("top-p"));
  int32_t id;
  CHECK(sotto_sampler_open(&sampler, m, NULL) == SOTTO_OK);
  CHECK(sotto_sampler_sample(sampler, NULL, &id, NULL) == SOTTO_ERR_ARGUMENT && says("no logits"));
  sotto_sampler_close(sampler);

  /* No vocabulary came with the weights. */
  size_t n = 5, bytes = 5;
  CHECK(sotto_tokenize(m, "a", 1, 0, NULL, 0, &n) == SOTTO_ERR_ARGUMENT && n == 0 && says("tokenizer.model"));
  CHECK(sotto_token_piece(m, 5, 1, &bytes)[0] == 0 && bytes == 0 && sotto_token_ends(m, 1) == 0);
  sotto_transcription *t = NULL;
  CHECK(sotto_transcription_open(&t, m, NULL) == SOTTO_ERR_ARGUMENT && t == NULL && says("language model"));
}

/* The same seed and logits, the same token; its log-probability by the definition. */
static void check_sampling(sotto_model *m, const golden *g) {
  const size_t n_vocab = g->logits.shape[1];
  float *logits = malloc(n_vocab * sizeof *logits);
  sotto_sampler *a = NULL, *b = NULL;
  sotto_sampler_options options;
  sotto_sampler_options_default(&options);
  options.seed = 11;
  options.repetition_penalty = 1.3f;
  CHECK(sotto_sampler_open(&a, m, &options) == SOTTO_OK && sotto_sampler_open(&b, m, &options) == SOTTO_OK);
  for (size_t i = 0; i < N_IDS; i++) {
    int32_t id = -1, other = -1;
    float logprob = 1;
    memcpy(logits, g->logits.data + i * n_vocab, n_vocab * sizeof *logits);
    CHECK(sotto_sampler_sample(a, logits, &id, &logprob) == SOTTO_OK);
    CHECK(memcmp(logits, g->logits.data + i * n_vocab, n_vocab * sizeof *logits) == 0);
    CHECK(sotto_sampler_sample(b, logits, &other, NULL) == SOTTO_OK && id == other);
    if (!CHECK(id >= 0 && (size_t)id < n_vocab)) break;
    double sum = 0;
    for (size_t k = 0; k < n_vocab; k++) sum += exp((double)logits[k] - (double)logits[id]);
    CHECK_NEAR(logprob, -log(sum), 1e-4);
    sotto_sampler_accept(a, id);
    sotto_sampler_accept(b, id);
  }
  sotto_sampler *fork = NULL; /* goes on alike */
  fork = a;
  CHECK(sotto_sampler_fork(&fork, NULL) == SOTTO_ERR_ARGUMENT && fork == NULL);
  CHECK(sotto_sampler_fork(&fork, a) == SOTTO_OK);
  for (int i = 0; i < 20; i++) {
    int32_t id = -1, other = -1;
    CHECK(sotto_sampler_sample(a, logits, &id, NULL) == SOTTO_OK &&
          sotto_sampler_sample(fork, logits, &other, NULL) == SOTTO_OK);
    CHECK(id == other);
    sotto_sampler_accept(a, id);
    sotto_sampler_accept(fork, id);
  }
  sotto_sampler_close(fork);
  sotto_sampler_close(a);
  sotto_sampler_close(b);

  /* The likeliest tokens, and the next one where they are forbidden. */
  sotto_logprob top[SOTTO_MAX_TOP];
  sotto_logit_bias forbidden[3];
  sotto_sampler_options_default(&options);
  options.temperature = 0;
  CHECK(sotto_sampler_open(&a, m, &options) == SOTTO_OK);
  CHECK(sotto_sampler_top(a, logits, top, SOTTO_MAX_TOP) == SOTTO_MAX_TOP && sotto_sampler_top(a, NULL, top, 1) == 0);
  for (int i = 1; i < SOTTO_MAX_TOP; i++)
    CHECK(top[i].logprob <= top[i - 1].logprob && logits[top[i].id] <= logits[top[i - 1].id]);
  int32_t id = -1;
  float logprob = 0;
  CHECK(sotto_sampler_sample(a, logits, &id, &logprob) == SOTTO_OK && id == top[0].id && logprob == top[0].logprob);
  sotto_sampler_close(a);
  for (int i = 0; i < 3; i++) forbidden[i] = (sotto_logit_bias){top[i].id, -INFINITY};
  options.logit_bias = forbidden;
  options.n_logit_bias = 3;
  CHECK(sotto_sampler_open(&a, m, &options) == SOTTO_OK);
  forbidden[0].id = top[3].id; /* it was copied */
  CHECK(sotto_sampler_sample(a, logits, &id, &logprob) == SOTTO_OK && id == top[3].id && logprob == top[3].logprob);
  sotto_sampler_close(a);
  forbidden[1].id = (int32_t)n_vocab;
  CHECK(sotto_sampler_open(&a, m, &options) == SOTTO_ERR_ARGUMENT && a == NULL && says("bias for token"));
  free(logits);
}

static void check_family(const char *family, const char *architecture) {
  golden g = golden_read(family);
  sotto_model *m = load(g.folder, NULL);
  sotto_model_info info;
  sotto_model_describe(m, &info);
  CHECK(info.architecture != NULL && strcmp(info.architecture, architecture) == 0);
  CHECK(info.weight_type != NULL && info.name != NULL);
  CHECK(info.n_vocab == (int32_t)g.logits.shape[1] && info.n_text_layer > 0 && info.n_text_state > 0);
  CHECK(info.n_text_head >= info.n_kv_head && info.n_kv_head > 0 && info.head_dim > 0 && info.n_ff > 0);
  CHECK(info.n_text_ctx > 0 && info.n_parameters > 0 && info.weight_bytes > 0 && info.n_tensors > 0);
  CHECK((info.window > 0) == (strcmp(architecture, "gemma") != 0));
  uint64_t elements = 0;
  for (int32_t i = 0; i < info.n_tensors; i++) {
    const char *name = NULL, *type = NULL;
    int64_t dims[4] = {0};
    const int32_t rank = sotto_model_tensor(m, i, &name, &type, dims);
    CHECK((rank == 1 || rank == 2) && strncmp(name, "model.", 6) == 0 && strcmp(type, "bf16") == 0);
    if (i == 0) CHECK(dims[0] == info.n_vocab && dims[1] == info.n_text_state && rank == 2);
    elements += (uint64_t)(dims[0] * dims[1] * dims[2] * dims[3]);
  }
  int64_t none[4];
  CHECK(elements == info.n_parameters && sotto_model_tensor(m, info.n_tensors, NULL, NULL, none) == 0);
  CHECK(sotto_model_tensor(m, -1, NULL, NULL, none) == 0);
  check_logits(m, &g, family);
  check_greedy(m, &g, family);
  check_prefix(m, &g);
  check_session_errors(m, &g);
  check_sampling(m, &g);
  sotto_model_close(m);
  npy_free(&g.logits);
}

/* Conversations lose their oldest turns, two at a time, until they fit; what is left is as if the rest had never been. */
static void check_fitting(sotto_model *m) {
  enum { N_TURNS = 20 };
  static const char system[] = "Be kind.", words[] = "a dog and a red ball and a blue cat and the sun and the sea";
  sotto_turn turns[N_TURNS] = {{SOTTO_SYSTEM, system, sizeof system - 1}};
  for (int i = 1; i < N_TURNS; i++) turns[i] = (sotto_turn){i % 2 ? SOTTO_USER : SOTTO_MODEL, words, 5 + (size_t)i * 2};
  int32_t ids[1024], expected[1024];
  size_t whole = 0, n = 0, n_expected = 0, n_dropped = 9, drops_seen = 0;
  for (size_t first = 0; first < 2; first++) { /* with the system's turn and without */
    const size_t n_turns = N_TURNS - first;
    CHECK(sotto_chat_tokens(m, turns + first, n_turns, ids, 1024, &whole) == SOTTO_OK && whole < 1024);
    for (size_t most = whole + 1; most > 0; most--) {
      const sotto_status status = sotto_chat_fit(m, turns + first, n_turns, most, ids, 1024, &n, &n_dropped);
      size_t needed = 0;
      if (status < 0) { /* not even the last turn */
        CHECK(status == SOTTO_ERR_ARGUMENT && says("the last turn alone") && n == 0 && n_dropped == 0);
        needed = n_turns - 1 - !first; /* all of them */
      }
      sotto_turn left[N_TURNS];
      const size_t dropped = status < 0 ? needed : n_dropped;
      size_t n_left = 0;
      for (size_t i = 0; i < n_turns; i++)
        if ((i == 0 && !first) || i >= dropped + !first) left[n_left++] = turns[first + i];
      CHECK(dropped % 2 == 0 && sotto_chat_tokens(m, left, n_left, expected, 1024, &n_expected) == SOTTO_OK);
      if (status < 0) {
        CHECK(n_expected > most);
        continue;
      }
      CHECK(n == n_expected && n <= most && memcmp(ids, expected, n * sizeof *ids) == 0);
      if (dropped > 0) { /* two fewer would be too many */
        left[!first] = turns[dropped - 2 + !first + first], left[1 + !first] = turns[dropped - 1 + !first + first];
        for (size_t i = dropped + !first, k = 2 + !first; i < n_turns; i++) left[k++] = turns[first + i];
        CHECK(sotto_chat_tokens(m, left, n_left + 2, NULL, 0, &n_expected) == SOTTO_OK && n_expected > most);
      }
      drops_seen |= (size_t)1 << dropped / 2;
    }
  }
  CHECK(drops_seen == 0x3ff); /* from none to nine pairs */
  CHECK(sotto_chat_fit(m, turns, 2, 1000, ids, 3, &n, &n_dropped) == SOTTO_OK && n > 3 && n_dropped == 0);
  CHECK(sotto_chat_fit(m, turns, 3, 5, ids, 3, &n, &n_dropped) == SOTTO_ERR_ARGUMENT && says("the model's"));
  CHECK(sotto_chat_fit(m, turns, 2, 1000, ids, 3, &n, NULL) == SOTTO_ERR_ARGUMENT);
}

/* ---- text: the vocabulary of a small chat model, before any weight came ---- */

static void check_text(void) {
  sotto_model *m = NULL;
  int32_t ids[64];
  size_t n = 0, bytes = 0;
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  feed(m, "tests/fixtures/golden/gemma3-1b-shape", "config.json", 1000);
  CHECK(sotto_tokenize(m, "a", 1, 0, NULL, 0, &n) == SOTTO_ERR_ARGUMENT && says("not complete"));
  feed(m, "tests/fixtures/teller", "tokenizer.model", 1000);
  CHECK(sotto_model_file(m, "generation_config.json") == SOTTO_OK); /* ends the file before it */

  static const char text[] = "Hello <end_of_turn> w\xc3\xb6rld \xf0\x9f\x98\x80";
  char back[128];
  for (uint32_t flags = 0; flags < 4; flags++) {
    CHECK(sotto_tokenize(m, text, sizeof text - 1, flags, NULL, 0, &n) == SOTTO_OK && n > 4 && n < 64);
    const size_t wanted = n;
    CHECK(sotto_tokenize(m, text, sizeof text - 1, flags, ids, 64, &n) == SOTTO_OK && n == wanted);
    bool ends = false;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
      const char *piece = sotto_token_piece(m, ids[i], 0, &bytes);
      memcpy(back + used, piece, bytes);
      used += bytes;
      ends = ends || sotto_token_ends(m, ids[i]);
    }
    CHECK((ids[0] == 2) == ((flags & SOTTO_TEXT_BOS) != 0));
    CHECK(ends == ((flags & SOTTO_TEXT_SPECIAL) != 0));
    if (!(flags & SOTTO_TEXT_SPECIAL)) CHECK(used == sizeof text - 1 && memcmp(back, text, used) == 0);
  }
  ids[2] = 77;
  CHECK(sotto_tokenize(m, text, sizeof text - 1, 0, ids, 2, &n) == SOTTO_OK && n > 2 && ids[2] == 77);
  CHECK(strcmp(sotto_token_piece(m, 5, 1, &bytes), "<end_of_turn>") == 0 && bytes == 13);
  CHECK(sotto_token_piece(m, 5, 0, &bytes)[0] == 0 && sotto_token_piece(m, -1, 1, NULL)[0] == 0);
  CHECK(sotto_token_ends(m, 1) && sotto_token_ends(m, 5) && !sotto_token_ends(m, 4) && !sotto_token_ends(m, -1));

  /* <bos> <start_of_turn> user \n ... <end_of_turn> \n <start_of_turn> model \n */
  static const char said[] = "Tell me a story about a dog and a ball.";
  static const int32_t expected[] = {2,   4,   1207, 291,  6, 3869, 654, 560,  265,  1003, 625, 265, 505,
                                     273, 265, 523,  3861, 5, 6,    4,   3858, 3849, 3853, 424, 6};
  sotto_turn turns[] = {{SOTTO_USER, said, sizeof said - 1}, {SOTTO_MODEL, "No.", 3}, {SOTTO_USER, "Do.", 3}};
  CHECK(sotto_chat_tokens(m, turns, 1, ids, 64, &n) == SOTTO_OK && n == sizeof expected / sizeof *expected);
  CHECK(memcmp(ids, expected, sizeof expected) == 0);
  const size_t alone = n;
  CHECK(sotto_chat_tokens(m, turns, 3, NULL, 0, &n) == SOTTO_OK && n > alone);
  CHECK(sotto_chat_tokens(m, turns, 2, ids, 64, &n) == SOTTO_ERR_ARGUMENT && says("the model's"));
  CHECK(sotto_chat_tokens(m, NULL, 0, ids, 64, &n) == SOTTO_ERR_ARGUMENT && says("turn of the user"));
  check_fitting(m);
  turns[0].role = 9;
  CHECK(sotto_chat_tokens(m, turns, 1, ids, 64, &n) == SOTTO_ERR_ARGUMENT && says("role"));

  sotto_session *s = NULL; /* the weights never came */
  CHECK(sotto_session_open(&s, m, NULL) == SOTTO_ERR_ARGUMENT && says("not complete"));
  CHECK(sotto_model_finish(m) < 0 && sotto_model_feed(m, "x", 1) < 0);
  sotto_model_close(m);
}

/* ---- which kind of model it is ---- */

static void check_kinds(void) {
  sotto_model *m = NULL;
  sotto_session *s = NULL;
  size_t n;
  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  CHECK(sotto_session_open(&s, m, NULL) == SOTTO_ERR_ARGUMENT && says("not complete"));
  sotto_transcription *t = NULL;
  CHECK(sotto_transcription_open(&t, m, NULL) == SOTTO_ERR_ARGUMENT && says("empty"));
  CHECK(sotto_model_file(m, "") == SOTTO_ERR_ARGUMENT && sotto_model_file(m, NULL) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_model_feed(m, "GG", 2) == SOTTO_OK);
  CHECK(sotto_model_file(m, "config.json") == SOTTO_ERR_ARGUMENT && says("before"));
  CHECK(sotto_model_feed(m, "UF\x63", 3) == SOTTO_OK); /* GGUF, by the byte */
  static const char rest_of_start[19] = {0};           /* of the version, and two counts */
  CHECK(sotto_model_feed(m, rest_of_start, sizeof rest_of_start) == SOTTO_ERR_UNSUPPORTED && says("version 99"));
  CHECK(sotto_model_finish(m) == SOTTO_ERR_UNSUPPORTED); /* as before */
  sotto_model_close(m);

  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  CHECK(sotto_model_feed(m, "lmgg", 4) == SOTTO_OK); /* Whisper */
  CHECK(sotto_model_file(m, "config.json") == SOTTO_ERR_ARGUMENT && says("Whisper"));
  CHECK(sotto_tokenize(m, "a", 1, 0, NULL, 0, &n) == SOTTO_ERR_ARGUMENT && says("Whisper"));
  CHECK(sotto_session_open(&s, m, NULL) == SOTTO_ERR_ARGUMENT && s == NULL && says("Whisper"));
  sotto_model_close(m);

  CHECK(sotto_model_open(&m, engine) == SOTTO_OK);
  CHECK(sotto_model_feed(m, "lm", 2) == SOTTO_OK);
  CHECK(sotto_model_finish(m) == SOTTO_ERR_FORMAT); /* two bytes are no model */
  sotto_model_close(m);
}

int main(void) {
  const sotto_engine_options options = {.n_threads = 2};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_OK);
  check_kinds();
  check_text();
  check_family("gemma1-2b", "gemma");
  check_family("gemma2-2b", "gemma2");
  check_family("gemma3-1b", "gemma3");
  check_family("gemma3-4b", "gemma3");
  sotto_engine_close(engine);
  return check_end();
}
