/* One sequence of a Gemma: its memory, and what is kept of its past. See gemma.c for what flows through it.
 *
 *     global layers    K/V of every position, at the place of its number
 *     local layers     K/V of the last `ring` positions, at position % ring
 *
 * A ring has window + n_batch places, so that a whole batch finds what its first token needs. */
#include "gemma_state.h"

#include <math.h>

#include "arena.h"

/* ---- open and close ---- */

static int32_t ring_of(const gemma_config *c, int32_t n_ctx, int32_t n_batch) {
  return c->window < n_ctx - n_batch ? c->window + n_batch : n_ctx;
}

/* Gives the tensors their places in `buf`. */
static arena lay_out(gemma_work *t, buffer *buf, const gemma_config *c, int32_t n_batch, int32_t n_logits) {
  arena a = {.buf = buf};
  const int32_t d_q = c->n_head * c->head_dim, d_kv = c->n_kv_head * c->head_dim;
  t->x = arena_take(&a, n_batch, c->d_model);
  t->sum = arena_take(&a, n_batch, c->d_model);
  t->branch = arena_take(&a, n_batch, c->d_model);
  t->rows = arena_take(&a, n_batch, c->d_model);
  t->q = arena_take(&a, n_batch, d_q);
  t->attended = arena_take(&a, n_batch, d_q);
  t->k = arena_take(&a, n_batch, d_kv);
  t->v = arena_take(&a, n_batch, d_kv);
  t->hidden = arena_take(&a, n_batch, c->d_ff);
  t->scratch = arena_take(&a, n_batch, c->d_ff);
  t->global_rope = arena_take(&a, n_batch, c->head_dim);
  t->local_rope = arena_take(&a, n_batch, c->head_dim);
  t->global_frequencies = arena_take(&a, 1, c->head_dim / 2);
  t->local_frequencies = arena_take(&a, 1, c->head_dim / 2);
  t->logits = arena_take(&a, n_logits, c->n_vocab);
  return a;
}

static bool take_frequencies(gemma_state *s) {
  const gemma_config *c = &s->g->c;
  const int32_t half = c->head_dim / 2;
  float *values = mem_alloc((size_t)half, sizeof *values);
  if (values == NULL) return false;
  for (int32_t i = 0; i < half; i++) values[i] = (float)(pow(c->theta_global, -2.0 * i / c->head_dim) / c->rope_factor);
  s->be->ops->upload(s->be, s->work.global_frequencies, values);
  /* Gemma 2 has one base for both kinds of layers. */
  const double local = c->qk_norm ? c->theta_local : c->theta_global;
  for (int32_t i = 0; i < half; i++) values[i] = (float)pow(local, -2.0 * i / c->head_dim);
  s->be->ops->upload(s->be, s->work.local_frequencies, values);
  mem_free(values);
  return true;
}

static bool take_all(gemma_state *s) {
  const gemma_config *c = &s->g->c;
  const ops *o = s->be->ops;
  const size_t n = (size_t)s->n_batch;
  const arena size = lay_out(&s->work, NULL, c, s->n_batch, s->max_logits);
  s->memory = arena_open(&size, s->be);
  lay_out(&s->work, s->memory, c, s->n_batch, s->max_logits);
  s->past = mem_alloc((size_t)c->n_layer, sizeof *s->past);
  s->global_slots = mem_alloc((size_t)s->n_ctx, sizeof *s->global_slots);
  s->local_slots = mem_alloc((size_t)s->n_ctx, sizeof *s->local_slots);
  s->positions = mem_alloc(4 * n, sizeof *s->positions);
  bool ok = s->memory != NULL && s->past != NULL && s->global_slots != NULL && s->local_slots != NULL &&
            s->positions != NULL && take_frequencies(s);
  for (int32_t i = 0; ok && i < c->n_layer; i++) {
    const int32_t n_slots = gemma_layer_is_global(c, i) ? s->n_ctx : s->ring;
    s->past[i] = o->kv_open(s->be, KV_SLOTS, s->type, n_slots, c->n_kv_head, c->head_dim);
    ok = s->past[i] != NULL;
  }
  if (!ok) return false;
  s->first = s->positions + n;
  s->global_length = s->positions + 2 * n;
  s->local_length = s->positions + 3 * n;
  for (int32_t i = 0; i < s->n_ctx; i++) {
    s->global_slots[i] = i;
    s->local_slots[i] = i % s->ring;
  }
  return true;
}

/* Memory of one place of a layer's keys and values; 0: no memory to ask. */
static uint64_t place_bytes(const gemma *g, kv_type type) {
  const ops *o = g->be->ops;
  kv *one = o->kv_open(g->be, KV_SLOTS, type, 1, g->c.n_kv_head, g->c.head_dim);
  const uint64_t bytes = one != NULL ? o->kv_place_bytes(one) : 0;
  if (one != NULL) o->kv_close(g->be, one);
  return bytes;
}

uint64_t gemma_state_bytes(const gemma *g, const gemma_plan *plan) {
  const gemma_config *c = &g->c;
  const uint64_t n = (uint64_t)plan->n_batch, n_ctx = (uint64_t)plan->n_ctx;
  gemma_work work;
  const uint64_t activations = lay_out(&work, NULL, c, plan->n_batch, plan->n_logits).n;
  uint64_t places = 0;
  for (int32_t i = 0; i < c->n_layer; i++)
    places += gemma_layer_is_global(c, i) ? n_ctx : (uint64_t)ring_of(c, plan->n_ctx, plan->n_batch);
  return sizeof(float) * activations + places * place_bytes(g, plan->kv) + sizeof(int32_t) * (2 * n_ctx + 4 * n);
}

sotto_status gemma_state_open(gemma_state **out, gemma *g, const gemma_plan *plan, error *err) {
  *out = NULL;
  if (!g->finished)
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not loaded yet: feed it its whole file and finish");
  if (plan->n_ctx < 1 || plan->n_ctx > 1 << 24 || plan->n_batch < 1 || plan->n_batch > plan->n_ctx ||
      plan->n_logits < 1 || plan->n_logits > plan->n_batch)
    return fail(err, SOTTO_ERR_ARGUMENT, "a context of %d tokens in batches of %d makes no sense", (int)plan->n_ctx,
                (int)plan->n_batch);
  /* Asked for as a whole first, so that no size below overflows, and nothing is taken in vain. */
  const uint64_t bytes = gemma_state_bytes(g, plan);
  gemma_state *s = g->be->ops->reserve(g->be, bytes) ? mem_alloc(1, sizeof *s) : NULL;
  if (s != NULL) {
    s->g = g;
    s->be = g->be;
    s->n_ctx = plan->n_ctx;
    s->n_batch = plan->n_batch;
    s->max_logits = plan->n_logits;
    s->type = plan->kv;
    s->ring = ring_of(&g->c, plan->n_ctx, plan->n_batch);
    if (take_all(s)) {
      *out = s;
      return SOTTO_OK;
    }
  }
  gemma_state_close(s);
  return fail(err, SOTTO_ERR_MEMORY,
              "a context of %d tokens needs %.0f MB of memory, more than there is: choose a smaller one",
              (int)plan->n_ctx, (double)bytes / 1e6);
}

sotto_status gemma_state_fork(gemma_state **out, gemma_state *s, error *err) {
  const ops *o = s->be->ops;
  gemma_state *copy;
  *out = NULL;
  TRY(gemma_state_open(&copy, s->g, &(gemma_plan){s->n_ctx, s->n_batch, s->max_logits, s->type}, err));
  for (int32_t layer = 0; layer < s->g->c.n_layer; layer++) {
    int32_t n;
    const int32_t *places = gemma_places(s, layer, &n);
    o->kv_copy(s->be, copy->past[layer], s->past[layer], places, n);
  }
  copy->length = s->length;
  copy->kept = s->kept;
  copy->logits = tensor_rows(copy->work.logits, 0, s->logits.rows);
  o->copy(s->be, copy->logits, s->logits);
  *out = copy;
  return SOTTO_OK;
}

void gemma_state_close(gemma_state *s) {
  if (s == NULL) return;
  const ops *o = s->be->ops;
  if (s->memory != NULL) o->buffer_close(s->be, s->memory);
  for (int32_t i = 0; s->past != NULL && i < s->g->c.n_layer; i++)
    if (s->past[i] != NULL) o->kv_close(s->be, s->past[i]);
  mem_free(s->past);
  mem_free(s->global_slots);
  mem_free(s->local_slots);
  mem_free(s->positions);
  mem_free(s);
}

/* ---- what is kept ---- */

int32_t gemma_length(const gemma_state *s) { return s->length; }

const int32_t *gemma_places(const gemma_state *s, int32_t layer, int32_t *n) {
  const bool global = gemma_layer_is_global(&s->g->c, layer);
  const int32_t first = global ? 0 : s->kept;
  *n = s->length - first;
  return (global ? s->global_slots : s->local_slots) + first;
}

bool gemma_truncate(gemma_state *s, int32_t n) {
  const int32_t window = s->g->c.window;
  if (n < 0 || n > s->length) return false;
  /* The next token, at n, looks back to n + 1 - window. */
  const bool enough = window == 0 || n == 0 || max_i32(n + 1 - window, 0) >= s->kept;
  if (!enough) return false;
  s->length = n;
  s->kept = min_i32(s->kept, n);
  return true;
}
