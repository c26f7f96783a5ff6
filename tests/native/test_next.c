/* sotto_session_next: as step, sample and accept by turns, on the CPU and on a backend that chooses by itself, whose answers come late: whatever else is
 * asked of the session meanwhile. The backend is the CPU's, with choices of its own. */
#include "../../src/sotto_internal.h"
#include "golden_models.h"

enum { N_CTX = 64, N_BEGIN = 20 };

/* ---- a backend that chooses ---- */

static ops mock_ops;
static ops cpu_ops;
static struct {
  bool on; /* else it refuses, as for options that it does not know */
  int32_t id[MAX_CHOSEN];
  int32_t delay[MAX_CHOSEN];
  int n_chosen, n_pending, broken; /* choices made, answers that were late, choice that finds no number (from 1 on) */
  random_state random;
} mock;

static int32_t resolve(int32_t id) { return id >= 0 ? id : mock.id[-1 - id]; }

typedef struct likely {
  float x, weight;
  int32_t id;
} likely;

static int by_likeliness(const void *a, const void *b) {
  const likely *x = a, *y = b;
  if (x->x != y->x) return x->x > y->x ? -1 : 1;
  return x->id - y->id;
}

/* top-k, top-p, and a draw; the plain way. */
static int32_t pick(likely *all, int32_t n, const sotto_sampler_options *o, double draw) {
  double sum = 0, mass = 0, to = 0;
  int32_t kept = 0, k = min_i32(o->top_k, n), i = 0;
  qsort(all, (size_t)n, sizeof *all, by_likeliness);
  for (int32_t j = 0; j < k; j++)
    sum += all[j].weight = expf((all[j].x - all[0].x) / (o->temperature > 0 ? o->temperature : 1));
  while (kept < k && (mass < o->top_p * sum || o->top_p == 1)) mass += all[kept++].weight;
  if (o->top_k == 1) return all[0].id;
  while (i < kept - 1 && (to += all[i].weight) <= draw * mass) i++;
  return all[i].id;
}

static bool mock_choose(backend *be, tensor logits, const sotto_sampler_options *o, const int32_t *history,
                        int32_t n_history, double draw, int32_t place) {
  CHECK(place >= 0 && place < MAX_CHOSEN && logits.rows == 1 && draw >= 0 && draw < 1);
  if (!mock.on) return false;
  const int32_t n = logits.cols;
  float *x = cpu_ops.read(be, logits);
  for (int32_t i = 0; i < n_history; i++) {
    int32_t count = 0, earlier = 0;
    const int32_t id = resolve(history[i]);
    for (int32_t j = 0; j < n_history; j++)
      count += resolve(history[j]) == id, earlier += j < i && resolve(history[j]) == id;
    if (earlier > 0) continue;
    x[id] = x[id] > 0 ? x[id] / o->repetition_penalty : x[id] * o->repetition_penalty;
    x[id] -= o->presence_penalty + o->frequency_penalty * (float)count;
  }
  likely *all = malloc((size_t)n * sizeof *all);
  for (int32_t i = 0; i < n; i++) all[i] = (likely){.x = x[i], .id = i};
  mock.id[place] = pick(all, n, o, draw);
  mock.delay[place] = (int32_t)random_below(&mock.random, 4);
  if (++mock.n_chosen == mock.broken) mock.delay[place] = -1;
  free(all);
  for (int32_t i = 0; i < n; i++) x[i] = -1; /* choosing may change them */
  return true;
}

static sotto_status mock_chosen(backend *be, int32_t place, int32_t *id) {
  *id = -1;
  if (be->lost) return SOTTO_AGAIN;
  if (mock.delay[place] < 0) return SOTTO_ERR_FORMAT;
  if (mock.delay[place]-- > 0) {
    mock.n_pending++;
    return SOTTO_AGAIN;
  }
  mock.delay[place] = 0;
  *id = mock.id[place];
  return SOTTO_OK;
}

static void mock_forget(backend *be, int32_t place) {
  CHECK(be->places & 1u << place);
  mock.delay[place] = INT32_MAX; /* whoever asked now would wait for ever */
}

static void mock_embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale,
                       const tensor *positions, const int32_t *pos) {
  int32_t *real = malloc((size_t)y.rows * sizeof *real);
  for (int32_t i = 0; i < y.rows; i++) real[i] = resolve(ids[i]);
  cpu_ops.embed(be, y, table, real, scale, positions, pos);
  free(real);
}

/* ---- one token ---- */

static int32_t next(sotto_session *s, sotto_sampler *sampler, float *logprob) {
  int32_t id = -1;
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_next(s, sampler, &id, logprob);
  return CHECK(status == SOTTO_OK) ? id : -1;
}

/* The same by turns, of the text that the session is to hold. */
static int32_t turn(sotto_session *s, sotto_sampler *sampler, const int32_t *ids, size_t n, float *logprob) {
  int32_t id = -1;
  evaluate(s, ids, n);
  CHECK(sotto_sampler_sample(sampler, sotto_session_logits(s, 0), &id, logprob) == SOTTO_OK);
  sotto_sampler_accept(sampler, id);
  return id;
}

static sotto_sampler *sampler_of(sotto_model *m, const sotto_sampler_options *o, const int32_t *ids, size_t n) {
  sotto_sampler *s = NULL;
  CHECK(sotto_sampler_open(&s, m, o) == SOTTO_OK);
  for (size_t i = 0; i < n; i++) sotto_sampler_accept(s, ids[i]);
  return s;
}

/* ---- to the context's end ---- */

static void check_text(sotto_model *m, const golden *g, const sotto_session_options *o,
                       const sotto_sampler_options *how, bool with_logprob) {
  int32_t ids[N_CTX + 1], id;
  memcpy(ids, g->ids, N_BEGIN * sizeof *ids);
  sotto_session *s = session(m, o), *plain = session(m, o);
  sotto_sampler *a = sampler_of(m, how, ids, N_BEGIN), *b = sampler_of(m, how, ids, N_BEGIN);
  CHECK(sotto_session_next(s, a, &id, NULL) == SOTTO_ERR_ARGUMENT && says("sync"));
  CHECK(sotto_session_sync(s, ids, N_BEGIN) == SOTTO_OK);
  for (size_t n = N_BEGIN; n <= N_CTX; n++) {
    float logprob = 1, expected = 1;
    id = next(s, a, with_logprob ? &logprob : NULL);
    ids[n] = turn(plain, b, ids, n, &expected);
    if (!CHECK(id == ids[n]) || !CHECK(!with_logprob || logprob == expected)) break;
    CHECK(sotto_session_length(s) <= (int32_t)n + 1);
  }
  CHECK(sotto_session_next(s, a, &id, NULL) == SOTTO_ERR_ARGUMENT && says("full"));
  CHECK(sotto_session_step(s) == SOTTO_ERR_ARGUMENT);
  sotto_session_close(s);
  sotto_session_close(plain);
  sotto_sampler_close(a);
  sotto_sampler_close(b);
}

/* ---- whatever else is asked meanwhile ---- */

typedef struct pair {
  sotto_session *s, *plain;
  sotto_sampler *a, *b;
  int32_t ids[N_CTX + 1];
  size_t n; /* known */
} pair;

static void write_some(pair *p, int n) {
  for (int i = 0; i < n && p->n < N_CTX; i++) {
    const int32_t id = next(p->s, p->a, NULL);
    p->ids[p->n] = turn(p->plain, p->b, p->ids, p->n, NULL);
    CHECK(id == p->ids[p->n]);
    p->n++;
  }
}

/* The plain step goes on from there. */
static void check_logits(pair *p, size_t n_vocab) {
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_step(p->s);
  CHECK(status == SOTTO_DONE && sotto_session_length(p->s) == (int32_t)p->n && sotto_session_n_logits(p->s) > 0);
  evaluate(p->plain, p->ids, p->n);
  const float *x = sotto_session_logits(p->s, 0), *y = sotto_session_logits(p->plain, 0);
  CHECK(x != NULL && y != NULL && relative_error(x, y, n_vocab) < 1e-4);
}

static void go_elsewhere(pair *p, const golden *g, int32_t n_batch) {
  const size_t kept = p->n > 8 ? p->n - 3 : p->n;
  for (size_t i = 0; i < 5 && kept + i < N_CTX; i++) p->ids[kept + i] = g->ids[(kept + i * 7) % N_IDS];
  p->n = kept + 5 < N_CTX ? kept + 5 : N_CTX;
  CHECK(sotto_session_sync(p->s, p->ids, p->n) == SOTTO_OK);
  /* Rings hold what is needed to come back: nothing is evaluated twice but what was chosen ahead. */
  CHECK(n_batch < 8 || sotto_session_length(p->s) >= (int32_t)kept);
}

static void replace(sotto_session **s, sotto_session *by) {
  sotto_session_close(*s);
  *s = by;
}

static void save_and_restore(sotto_model *m, pair *p, const sotto_session_options *o) {
  const size_t bytes = sotto_session_save_bytes(p->s);
  const int32_t length = sotto_session_length(p->s);
  uint8_t *saved = malloc(bytes);
  size_t n = 0;
  CHECK(sotto_session_save(p->s, saved, bytes, &n) == SOTTO_OK && n == bytes);
  replace(&p->s, session(m, o));
  CHECK(sotto_session_restore(p->s, saved, n) == SOTTO_OK && sotto_session_length(p->s) == length);
  CHECK(sotto_session_sync(p->s, p->ids, p->n) == SOTTO_OK);
  free(saved);
}

static void check_meanwhile(sotto_model *m, const golden *g, const sotto_session_options *o,
                            const sotto_sampler_options *how, uint64_t seed) {
  random_state r = {seed};
  pair p = {.n = N_BEGIN};
  memcpy(p.ids, g->ids, N_BEGIN * sizeof *p.ids);
  p.s = session(m, o), p.plain = session(m, o);
  p.a = sampler_of(m, how, p.ids, p.n), p.b = sampler_of(m, how, p.ids, p.n);
  CHECK(sotto_session_sync(p.s, p.ids, p.n) == SOTTO_OK);
  for (int i = 0; i < 24; i++) {
    sotto_session *fork = NULL;
    sotto_sampler *other = NULL;
    write_some(&p, (int)random_below(&r, 4));
    if (p.n + 6 >= N_CTX) { /* anew */
      p.n = N_BEGIN;
      CHECK(sotto_session_sync(p.s, p.ids, p.n) == SOTTO_OK);
      continue;
    }
    switch (random_below(&r, 6)) {
      case 0:
        break;
      case 1:
        go_elsewhere(&p, g, o->n_batch);
        break;
      case 2:
        CHECK(sotto_session_fork(&fork, p.s) == SOTTO_OK);
        replace(&p.s, fork);
        break;
      case 3:
        save_and_restore(m, &p, o);
        break;
      case 4: /* another that will choose alike */
        CHECK(sotto_sampler_fork(&other, p.a) == SOTTO_OK);
        sotto_sampler_close(p.a);
        p.a = other;
        break;
      default: /* what the penalties see changes */
        sotto_sampler_accept(p.a, 7), sotto_sampler_accept(p.b, 7);
        break;
    }
    if (random_below(&r, 3) == 0) check_logits(&p, g->logits.shape[1]);
  }
  sotto_session_close(p.s);
  sotto_session_close(p.plain);
  sotto_sampler_close(p.a);
  sotto_sampler_close(p.b);
  CHECK(engine->be->places == 0);
}

/* ---- several sessions, and failures ---- */

/* Together they want more places than there are. */
static void check_several(sotto_model *m, const golden *g, const sotto_session_options *o,
                          const sotto_sampler_options *how) {
  enum { N = 4 };
  sotto_session *s[N];
  sotto_sampler *samplers[N];
  int32_t ids[N];
  for (int i = 0; i < N; i++) {
    s[i] = session(m, o);
    samplers[i] = sampler_of(m, how, g->ids, N_BEGIN);
    CHECK(sotto_session_sync(s[i], g->ids, N_BEGIN) == SOTTO_OK);
  }
  for (int k = 0; k < 12; k++) {
    for (int i = 0; i < N; i++) ids[i] = next(s[i], samplers[i], NULL);
    for (int i = 1; i < N; i++) CHECK(ids[i] == ids[0]);
  }
  for (int i = 0; i < N; i++) {
    sotto_session_close(s[i]);
    sotto_sampler_close(samplers[i]);
  }
  CHECK(engine->be->places == 0);
}

static void check_failures(sotto_model *m, const golden *g, const sotto_session_options *o) {
  int32_t id;
  sotto_session *s = session(m, o);
  sotto_sampler *a = sampler_of(m, NULL, g->ids, N_BEGIN);
  CHECK(sotto_session_next(NULL, a, &id, NULL) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_session_next(s, NULL, &id, NULL) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_session_next(s, a, NULL, NULL) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_session_sync(s, g->ids, N_BEGIN) == SOTTO_OK);
  mock.broken = mock.n_chosen + 3; /* the third token */
  next(s, a, NULL);
  next(s, a, NULL);
  sotto_status status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN) status = sotto_session_next(s, a, &id, NULL);
  CHECK(status == SOTTO_ERR_FORMAT && says("no probabilities") && engine->be->places == 0);
  next(s, a, NULL); /* and on from there */
  engine->be->lost = true;
  status = SOTTO_AGAIN;
  for (int i = 0; i < 99 && status >= 0; i++) status = sotto_session_next(s, a, &id, NULL);
  CHECK(status == SOTTO_ERR_DEVICE && says("GPU"));
  engine->be->lost = false;
  sotto_session_close(s);
  sotto_sampler_close(a);
}

static void check_model(const char *family) {
  static const int32_t batches[] = {1, 2, 16};
  golden g = golden_read(family);
  sotto_model *m = load(g.folder, NULL);
  sotto_sampler_options how[3];
  for (int i = 0; i < 3; i++) sotto_sampler_options_default(&how[i]);
  how[0].temperature = 0;
  how[1].temperature = 0, how[1].repetition_penalty = 1.3f, how[1].presence_penalty = 0.2f, how[1].penalty_window = 9;
  how[2].frequency_penalty = 0.5f, how[2].top_k = 20, how[2].seed = 3;
  for (int i = 0; i < 3; i++)
    for (int b = 0; b < 3; b++) {
      const sotto_session_options o = {.n_ctx = N_CTX, .n_batch = batches[b], .all_logits = b == 2};
      for (int way = 0; way < 4;
           way++) { /* without choices of the backend, where it refuses, where it need not, all its own */
        engine->be->ops = way == 0 ? &cpu_ops : &mock_ops;
        mock.on = way > 1;
        check_text(m, &g, &o, &how[i], way == 0 || way == 2);
      }
      check_meanwhile(m, &g, &o, &how[i], (uint64_t)(i + 3 * b));
      check_several(m, &g, &o, &how[i]);
      check_failures(m, &g, &o);
    }
  sotto_model_close(m);
  npy_free(&g.logits);
}

int main(void) {
  const sotto_engine_options options = {.n_threads = 2};
  CHECK(sotto_engine_open(&engine, &options) == SOTTO_OK);
  mock_ops = cpu_ops = *engine->be->ops;
  mock_ops.choose = mock_choose;
  mock_ops.chosen = mock_chosen;
  mock_ops.forget = mock_forget;
  mock_ops.embed = mock_embed;
  check_model("gemma3-1b");
  check_model("gemma2-2b");
  CHECK(mock.n_chosen > 1000 && mock.n_pending > 1000);
  engine->be->ops = &cpu_ops;
  sotto_engine_close(engine);
  return check_end();
}
