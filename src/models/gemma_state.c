/* One sequence of a Gemma: its memory, and what is kept of its past. See gemma.c for what flows through it.
 *
 *     global layers    K/V of every position, at the place of its number
 *     local layers     K/V of the last `ring` positions, at position % ring
 *
 * A ring has window + n_batch places, so that a whole batch finds what its first token needs. */
#include "gemma_state.h"

#include <math.h>

/* ---- open and close ---- */

static int32_t ring_of(const gemma_config *c, int32_t n_ctx, int32_t n_batch) {
  return min_i32(n_ctx, c->window + n_batch);
}

static bool take_frequencies(gemma_state *s) {
  const gemma_config *c = &s->g->c;
  const int32_t half = c->head_dim / 2;
  float *values = mem_alloc((size_t)half, sizeof *values);
  if (values == NULL) return false;
  s->global_frequencies = tensor_matrix(s->frequency_buf, 0, 1, half);
  s->local_frequencies = tensor_matrix(s->frequency_buf, (size_t)half, 1, half);
  for (int32_t i = 0; i < half; i++) values[i] = (float)(pow(c->theta_global, -2.0 * i / c->head_dim) / c->rope_factor);
  s->be->ops->upload(s->be, s->global_frequencies, values);
  /* Gemma 2 has one base for both kinds of layers. */
  const double local = c->qk_norm ? c->theta_local : c->theta_global;
  for (int32_t i = 0; i < half; i++) values[i] = (float)pow(local, -2.0 * i / c->head_dim);
  s->be->ops->upload(s->be, s->local_frequencies, values);
  mem_free(values);
  return true;
}

static bool take_all(gemma_state *s) {
  const gemma_config *c = &s->g->c;
  const ops *o = s->be->ops;
  const size_t n = (size_t)s->n_batch, d = (size_t)c->d_model, head = (size_t)c->head_dim;
  const size_t d_q = (size_t)c->n_head * head, d_kv = (size_t)c->n_kv_head * head;
  s->x_buf = o->buffer_open(s->be, n * d);
  s->norm_buf = o->buffer_open(s->be, n * d);
  s->work_buf = o->buffer_open(s->be, n * 2 * (d_q + d_kv));      /* q, attention, k, v */
  s->hidden_buf = o->buffer_open(s->be, n * 2 * (size_t)c->d_ff); /* gate, up */
  s->rope_buf = o->buffer_open(s->be, n * 2 * head);
  s->frequency_buf = o->buffer_open(s->be, head);
  s->logits_buf = o->buffer_open(s->be, (size_t)s->max_logits * (size_t)c->n_vocab);
  s->past = mem_alloc((size_t)c->n_layer, sizeof *s->past);
  s->global_slots = mem_alloc((size_t)s->n_ctx, sizeof *s->global_slots);
  s->local_slots = mem_alloc((size_t)s->n_ctx, sizeof *s->local_slots);
  s->positions = mem_alloc(5 * n, sizeof *s->positions);
  bool ok = s->x_buf != NULL && s->norm_buf != NULL && s->work_buf != NULL && s->hidden_buf != NULL &&
            s->rope_buf != NULL && s->frequency_buf != NULL && s->logits_buf != NULL && s->past != NULL &&
            s->global_slots != NULL && s->local_slots != NULL && s->positions != NULL && take_frequencies(s);
  for (int32_t i = 0; ok && i < c->n_layer; i++) {
    s->past[i] =
        o->kv_open(s->be, KV_SLOTS, KV_16, gemma_layer_is_global(c, i) ? s->n_ctx : s->ring, c->n_kv_head, c->head_dim);
    ok = s->past[i] != NULL;
  }
  if (!ok) return false;
  s->slots = s->positions + n;
  s->first = s->positions + 2 * n;
  s->global_length = s->positions + 3 * n;
  s->local_length = s->positions + 4 * n;
  for (int32_t i = 0; i < s->n_ctx; i++) {
    s->global_slots[i] = i;
    s->local_slots[i] = i % s->ring;
  }
  return true;
}

uint64_t gemma_state_bytes(const gemma *g, int32_t n_ctx, int32_t n_batch, int32_t n_logits) {
  const gemma_config *c = &g->c;
  const uint64_t n = (uint64_t)n_batch, head = (uint64_t)c->head_dim;
  const uint64_t activations = n * (2 * (uint64_t)c->d_model + 2 * head * (uint64_t)(c->n_head + c->n_kv_head) +
                                    2 * (uint64_t)c->d_ff + 2 * head) +
                               (uint64_t)n_logits * (uint64_t)c->n_vocab;
  uint64_t places = 0;
  for (int32_t i = 0; i < c->n_layer; i++)
    places += (uint64_t)(gemma_layer_is_global(c, i) ? n_ctx : ring_of(c, n_ctx, n_batch));
  return 4 * activations + places * 2 * (uint64_t)c->n_kv_head * (2 * ((head + 63) & ~63ull) + 4) + 8 * (uint64_t)n_ctx;
}

sotto_status gemma_state_open(gemma_state **out, gemma *g, int32_t n_ctx, int32_t n_batch, int32_t n_logits,
                              error *err) {
  *out = NULL;
  if (!g->finished)
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not loaded yet: feed it its whole file and finish");
  if (n_ctx < 1 || n_ctx > 1 << 24 || n_batch < 1 || n_batch > n_ctx || n_logits < 1 || n_logits > n_batch)
    return fail(err, SOTTO_ERR_ARGUMENT, "a context of %d tokens in batches of %d makes no sense", (int)n_ctx,
                (int)n_batch);
  gemma_state *s = mem_alloc(1, sizeof *s);
  if (s != NULL) {
    s->g = g;
    s->be = g->be;
    s->n_ctx = n_ctx;
    s->n_batch = n_batch;
    s->max_logits = n_logits;
    s->ring = ring_of(&g->c, n_ctx, n_batch);
    if (take_all(s)) {
      *out = s;
      return SOTTO_OK;
    }
  }
  gemma_state_close(s);
  return fail(err, SOTTO_ERR_MEMORY, "out of memory for a context of %d tokens (about %.0f MB): choose a smaller one",
              (int)n_ctx, (double)gemma_state_bytes(g, n_ctx, n_batch, n_logits) / 1e6);
}

void gemma_state_close(gemma_state *s) {
  if (s == NULL) return;
  const ops *o = s->be->ops;
  buffer *buffers[] = {s->x_buf, s->norm_buf, s->work_buf, s->hidden_buf, s->rope_buf, s->frequency_buf, s->logits_buf};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    if (buffers[i] != NULL) o->buffer_close(s->be, buffers[i]);
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
