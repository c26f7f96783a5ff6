/* Tokens guessed ahead: texts are the same as without, token by token, for every sampler and seed, whatever is guessed and whatever else is asked of the session
 * meanwhile; and rows evaluated together have the bits that they have alone, which is why. */
#include "../../src/sotto_session.h"
#include "golden_models.h"

enum { N_CTX = 96, N_BEGIN = 20, N_SEEDS = 3 };

/* ---- rows together ---- */

/* Logits of tokens evaluated n at a time, against those one by one. */
static void check_rows(sotto_model *m, const golden *g, int32_t type) {
  const size_t n_vocab = g->logits.shape[1];
  float *alone = malloc(N_IDS * n_vocab * sizeof *alone);
  sotto_session *s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = 16, .kv_type = type});
  for (size_t i = 0; i < N_IDS; i++) {
    evaluate(s, g->ids, i + 1);
    memcpy(alone + i * n_vocab, sotto_session_logits(s, 0), n_vocab * sizeof *alone);
  }
  sotto_session_close(s);
  for (int32_t n = 2; n <= 16; n += n < 6 ? 1 : 5) {
    s = session(m, &(sotto_session_options){.n_ctx = N_IDS, .n_batch = 16, .all_logits = 1, .kv_type = type});
    for (int32_t i = 0, step = 1; i < N_IDS; i += step, step = min_i32(n, N_IDS - i)) {
      evaluate(s, g->ids, (size_t)(i + step));
      CHECK(sotto_session_n_logits(s) == step);
      for (int32_t r = 0; r < step; r++)
        CHECK(memcmp(sotto_session_logits(s, step - 1 - r), alone + (size_t)(i + r) * n_vocab,
                     n_vocab * sizeof *alone) == 0);
    }
    sotto_session_close(s);
  }
  free(alone);
}

/* ---- texts ---- */

/* As if guesses were always worth it, or not at all, in turns: what they are worth here is a matter of noise. */
static void set_pace(sotto_session *s, int turn) {
  s->speculation->pace = (speculation_pace){
      .one_ms = 1, .row_ms = 0.01, .guess_ms = 0.01, .hits = turn % 7 == 6 ? 0 : 0.99, .tries = 1, .patience = 1 << 20};
}

static int32_t next(sotto_session *s, sotto_sampler *sampler, float *logprob) {
  int32_t id = -1;
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_next(s, sampler, &id, logprob);
  return CHECK(status == SOTTO_OK) ? id : -1;
}

static sotto_sampler *sampler_of(sotto_model *m, const sotto_sampler_options *o, const int32_t *ids, size_t n) {
  sotto_sampler *s = NULL;
  CHECK(sotto_sampler_open(&s, m, o) == SOTTO_OK);
  for (size_t i = 0; i < n; i++) sotto_sampler_accept(s, ids[i]);
  return s;
}

typedef struct pair {
  sotto_session *s, *plain;
  sotto_sampler *a, *b;
  int32_t ids[N_CTX + 1];
  size_t n; /* known */
} pair;

static void write_some(pair *p, int n, bool with_logprob) {
  for (int i = 0; i < n && p->n <= N_CTX; i++) {
    float x = 1, y = 1;
    set_pace(p->s, i);
    const int32_t id = next(p->plain, p->b, with_logprob ? &y : NULL);
    CHECK(next(p->s, p->a, with_logprob ? &x : NULL) == id && x == y);
    p->ids[p->n++] = id;
    CHECK(sotto_session_length(p->s) <= (int32_t)p->n);
  }
}

static pair begin(sotto_model *m, const golden *g, const sotto_session_options *o, const sotto_sampler_options *how) {
  sotto_session_options plain = *o;
  plain.draft = NULL;
  plain.lookup = 0;
  pair p = {.s = session(m, o), .plain = session(m, &plain), .n = N_BEGIN};
  for (size_t i = 0; i < N_BEGIN; i++) p.ids[i] = g->ids[o->lookup ? i % 7 : i]; /* with something to find */
  p.a = sampler_of(m, how, p.ids, p.n);
  p.b = sampler_of(m, how, p.ids, p.n);
  CHECK(sotto_session_sync(p.s, p.ids, p.n) == SOTTO_OK && sotto_session_sync(p.plain, p.ids, p.n) == SOTTO_OK);
  return p;
}

static void end(pair *p) {
  sotto_session_close(p->s);
  sotto_session_close(p->plain);
  sotto_sampler_close(p->a);
  sotto_sampler_close(p->b);
}

/* To the context's end, where one more token can be had; *tally gets what was guessed. */
static void check_text(sotto_model *m, const golden *g, const sotto_session_options *o,
                       const sotto_sampler_options *how, sotto_speculation *tally) {
  pair p = begin(m, g, o, how);
  int32_t id;
  write_some(&p, N_CTX, how->seed % 2 == 1);
  CHECK(p.n == N_CTX + 1);
  CHECK(sotto_session_next(p.s, p.a, &id, NULL) == SOTTO_ERR_ARGUMENT && says("full"));
  sotto_speculation done;
  sotto_session_speculation(p.s, &done);
  CHECK(done.n_accepted <= done.n_guesses && done.n_checks <= done.n_guesses);
  tally->n_checks += done.n_checks;
  tally->n_guesses += done.n_guesses;
  tally->n_accepted += done.n_accepted;
  end(&p);
}

/* Copies, saved ones, other texts, steps, another sampler, in the middle of checks. */
static void check_meanwhile(sotto_model *m, const golden *g, const sotto_session_options *o,
                            const sotto_sampler_options *how) {
  pair p = begin(m, g, o, how);
  for (int i = 0; p.n < N_CTX - 8; i++) {
    write_some(&p, 1 + i % 4, false);
    const int32_t length = sotto_session_length(p.s);
    CHECK(length >= (int32_t)p.n - 1 && length <= (int32_t)p.n);
    sotto_session *copy = NULL;
    if (i % 5 == 0) {
      CHECK(sotto_session_fork(&copy, p.s) == SOTTO_OK);
      sotto_session_close(p.s);
      p.s = copy;
    } else if (i % 5 == 1) {
      const size_t bytes = sotto_session_save_bytes(p.s);
      size_t n = 0;
      void *saved = malloc(bytes);
      CHECK(sotto_session_save(p.s, saved, bytes, &n) == SOTTO_OK && n == bytes);
      CHECK(sotto_session_restore(p.s, saved, n) == SOTTO_OK && sotto_session_sync(p.s, p.ids, p.n) == SOTTO_OK);
      free(saved);
    } else if (i % 5 == 2) {
      for (size_t k = p.n - 3; k < p.n; k++) p.ids[k] = g->ids[(k + (size_t)i) % N_IDS];
      CHECK(sotto_session_sync(p.s, p.ids, p.n) == SOTTO_OK && sotto_session_sync(p.plain, p.ids, p.n) == SOTTO_OK);
    } else if (i % 5 == 3) {
      sotto_status status = SOTTO_AGAIN;
      while (status == SOTTO_AGAIN) status = sotto_session_step(p.s);
      evaluate(p.plain, p.ids, p.n);
      CHECK(status == SOTTO_DONE && sotto_session_n_logits(p.s) == 1);
      CHECK(memcmp(sotto_session_logits(p.s, 0), sotto_session_logits(p.plain, 0),
                   g->logits.shape[1] * sizeof(float)) == 0);
    } else {
      sotto_sampler_close(p.a);
      sotto_sampler_close(p.b);
      p.a = sampler_of(m, how, p.ids, p.n);
      p.b = sampler_of(m, how, p.ids, p.n);
    }
  }
  end(&p);
}

/* ---- what cannot be ---- */

static void check_refusals(sotto_model *m, sotto_model *other) {
  sotto_session *s = NULL;
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.draft = m, .lookup = 1}) == SOTTO_ERR_ARGUMENT &&
        s == NULL && says("choose one"));
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.lookup = 1, .n_draft = 16}) == SOTTO_ERR_ARGUMENT &&
        says("16 guesses"));
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.lookup = 1, .n_draft = -1}) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.draft = other}) == SOTTO_ERR_ARGUMENT &&
        says("vocabulary"));
  sotto_engine *elsewhere = NULL;
  sotto_model *foreign = NULL, *empty = NULL;
  CHECK(sotto_engine_open(&elsewhere, NULL) == SOTTO_OK && sotto_model_open(&foreign, elsewhere) == SOTTO_OK);
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.draft = foreign}) == SOTTO_ERR_ARGUMENT && says("engine"));
  sotto_model_close(foreign);
  sotto_engine_close(elsewhere);
  CHECK(sotto_model_open(&empty, engine) == SOTTO_OK);
  CHECK(sotto_session_open(&s, m, &(sotto_session_options){.draft = empty}) == SOTTO_ERR_ARGUMENT &&
        says("no language"));
  sotto_model_close(empty);

  const sotto_session_options plain = {.n_ctx = N_CTX}, looked_up = {.n_ctx = N_CTX, .lookup = 1},
                              drafted = {.n_ctx = N_CTX, .draft = m};
  CHECK(sotto_session_bytes(m, &looked_up) > sotto_session_bytes(m, &plain));
  CHECK(sotto_session_bytes(m, &drafted) > sotto_session_bytes(m, &looked_up) + sotto_session_bytes(m, &plain) / 2);
}

static void check_model(const char *family, sotto_model *other) {
  golden g = golden_read(family);
  sotto_model *m = load(g.folder, NULL);
  check_rows(m, &g, SOTTO_KV_F16);
  check_rows(m, &g, SOTTO_KV_Q8_0);
  for (int draft = 0; draft < 2; draft++) {
    sotto_speculation greedy = {0}, drawn = {0};
    sotto_sampler_options how;
    sotto_sampler_options_default(&how);
    for (int32_t n = 1; n <= 15; n += 7) {
      const sotto_session_options o = {
          .n_ctx = N_CTX, .n_batch = 16, .draft = draft ? m : NULL, .lookup = !draft, .n_draft = n};
      how.temperature = 0, how.repetition_penalty = 1;
      check_text(m, &g, &o, &how, &greedy);
      check_meanwhile(m, &g, &o, &how);
      how.repetition_penalty = 1.3f, how.penalty_window = 9;
      check_text(m, &g, &o, &how, &drawn);
      how.temperature = 0.7f, how.repetition_penalty = 1;
      for (how.seed = 0; how.seed < N_SEEDS; how.seed++) check_text(m, &g, &o, &how, &drawn);
      check_meanwhile(m, &g, &o, &how);
    }
    CHECK(greedy.n_guesses > 100);
    if (draft) CHECK(greedy.n_accepted == greedy.n_guesses && drawn.n_accepted > drawn.n_guesses * 9 / 10);
  }
  check_refusals(m, other);
  sotto_model_close(m);
  npy_free(&g.logits);
}

int main(void) {
  const sotto_engine_options options = {.n_threads = 2};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_OK);
  golden g = golden_read("gemma2-2b");
  sotto_model *other = load(g.folder, NULL);
  check_model("gemma3-1b", other);
  check_model("gemma2-2b", other);
  sotto_model_close(other);
  npy_free(&g.logits);
  sotto_engine_close(engine);
  return check_end();
}
