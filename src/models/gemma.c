/* The forward pass of Gemma 1, 2 and 3, for every backend. The configuration steers what a family has.
 *
 *     ids [n]
 *       │ embedding * scale
 *     x [n, d]
 *       │ n_layer x { x += post_norm(attention(rotate(norm(x)))),   rotate: q/k norm by heads (Gemma 3), rotary positions
 *       │             x += post_norm(down(gelu(gate) * up)) }       post norms: Gemma 2 and 3
 *       │ norm, · embeddingᵀ, soft cap
 *     logits [n_logits, n_vocab]
 *
 * A local layer sees the last `window` tokens; its keys and values lie in a ring of window + n_batch places, so that a whole batch finds what its
 * first token needs. A global layer has a place for every position. */
#include <math.h>

#include "gemma_model.h"

struct gemma_state {
  gemma *g;
  backend *be;
  int32_t n_ctx, n_batch, max_logits, ring;
  int32_t length; /* tokens held */

  buffer *x_buf, *norm_buf, *work_buf, *hidden_buf, *rope_buf, *frequency_buf, *logits_buf;
  kv **past;                                                         /* [n_layer] */
  tensor global_frequencies, local_frequencies;                      /* [1, head_dim / 2] */
  tensor logits;                                                     /* [n_logits, n_vocab] of the last call */
  int32_t *global_slots, *local_slots;                               /* [n_ctx]: place of a position */
  int32_t *positions, *slots, *first, *global_length, *local_length; /* [n_batch] */

  void (*watch)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols);
  void *watch_context;
};

static bool is_global(const gemma_config *c, int32_t layer) {
  return c->window == 0 || (layer + 1) % c->global_every == 0;
}

/* ---- forward ---- */

/* x += f(x), where `out` [n, d] is what f gave: through a norm of its own, where the family has one. */
static void add_residual(gemma_state *s, tensor x, tensor in, const weight *w, tensor scratch,
                         const tensor *post_norm) {
  const ops *o = s->be->ops;
  if (post_norm->buf == NULL) {
    o->linear(s->be, x, in, w, NULL, ACT_NONE, &x);
    return;
  }
  o->linear(s->be, scratch, in, w, NULL, ACT_NONE, NULL);
  o->rms_norm(s->be, x, scratch, *post_norm, s->g->c.norm_eps, &x);
}

static void attention(gemma_state *s, int32_t layer, tensor x, tensor norm) {
  const gemma_config *c = &s->g->c;
  const gemma_layer *l = &s->g->layers[layer];
  const ops *o = s->be->ops;
  const bool global = is_global(c, layer);
  const int32_t n = x.rows, d_q = c->n_head * c->head_dim, d_kv = c->n_kv_head * c->head_dim;
  const size_t n_rows = (size_t)s->n_batch;
  tensor q = tensor_matrix(s->work_buf, 0, n, d_q);                         /* [n, n_head * head_dim] */
  tensor a = tensor_matrix(s->work_buf, n_rows * (size_t)d_q, n, d_q);      /* the same */
  tensor k = tensor_matrix(s->work_buf, n_rows * 2 * (size_t)d_q, n, d_kv); /* [n, n_kv_head * head_dim] */
  tensor v = tensor_matrix(s->work_buf, n_rows * (2 * (size_t)d_q + (size_t)d_kv), n, d_kv); /* the same */
  tensor rope = tensor_matrix(s->rope_buf, global ? 0 : n_rows * (size_t)c->head_dim, n, c->head_dim);
  const tensor *q_gain = c->qk_norm ? &l->query_norm : NULL, *k_gain = c->qk_norm ? &l->key_norm : NULL;
  const kv_view view = {.slots = global ? s->global_slots : s->local_slots,
                        .first = global ? NULL : s->first,
                        .length = global ? s->global_length : s->local_length,
                        .softcap = c->attention_cap};

  o->rms_norm(s->be, norm, x, l->attention_norm, c->norm_eps, NULL);
  o->linear(s->be, q, norm, l->query, NULL, ACT_NONE, NULL);
  o->linear(s->be, k, norm, l->key, NULL, ACT_NONE, NULL);
  o->linear(s->be, v, norm, l->value, NULL, ACT_NONE, NULL);
  o->rotate(s->be, q, rope, q_gain, c->norm_eps);
  o->rotate(s->be, k, rope, k_gain, c->norm_eps);
  for (int32_t i = 0; i < n; i++) s->slots[i] = view.slots[s->positions[i]];
  o->kv_store(s->be, s->past[layer], k, v, s->slots);
  o->attention(s->be, a, q, s->past[layer], c->attention_scale, &view);
  add_residual(s, x, a, l->out, norm, &l->post_attention_norm);
}

static void mlp(gemma_state *s, int32_t layer, tensor x, tensor norm) {
  const gemma_config *c = &s->g->c;
  const gemma_layer *l = &s->g->layers[layer];
  const ops *o = s->be->ops;
  tensor gate = tensor_matrix(s->hidden_buf, 0, x.rows, c->d_ff);                                  /* [n, d_ff] */
  tensor up = tensor_matrix(s->hidden_buf, (size_t)s->n_batch * (size_t)c->d_ff, x.rows, c->d_ff); /* [n, d_ff] */
  o->rms_norm(s->be, norm, x, l->mlp_norm, c->norm_eps, NULL);
  o->linear(s->be, gate, norm, l->gate, NULL, ACT_NONE, NULL);
  o->linear(s->be, up, norm, l->up, NULL, ACT_NONE, NULL);
  o->geglu(s->be, gate, gate, up);
  add_residual(s, x, gate, l->down, norm, &l->post_mlp_norm);
}

static void watch(gemma_state *s, int32_t i, tensor x) {
  if (s->watch != NULL) s->watch(s->watch_context, i, s->be->ops->read(s->be, x), x.rows, x.cols);
}

sotto_status gemma_eval(gemma_state *s, const int32_t *tokens, int32_t n, int32_t n_logits) {
  const gemma *g = s->g;
  const gemma_config *c = &g->c;
  const ops *o = s->be->ops;
  if (n < 1 || n > s->n_batch || n > s->n_ctx - s->length || n_logits < 0 || n_logits > min_i32(n, s->max_logits))
    return SOTTO_ERR_ARGUMENT;
  for (int32_t i = 0; i < n; i++) {
    const int32_t position = s->positions[i] = s->length + i;
    if (tokens[i] < 0 || tokens[i] >= c->n_vocab) return SOTTO_ERR_ARGUMENT;
    s->global_length[i] = position + 1;
    s->local_length[i] = min_i32(position + 1, c->window);
    s->first[i] = position + 1 - s->local_length[i];
  }
  tensor x = tensor_matrix(s->x_buf, 0, n, c->d_model);
  tensor norm = tensor_matrix(s->norm_buf, 0, n, c->d_model);
  tensor global_rope = tensor_matrix(s->rope_buf, 0, n, c->head_dim);
  tensor local_rope = tensor_matrix(s->rope_buf, (size_t)s->n_batch * (size_t)c->head_dim, n, c->head_dim);

  o->rope_table(s->be, global_rope, s->global_frequencies, s->positions);
  if (c->window > 0) o->rope_table(s->be, local_rope, s->local_frequencies, s->positions);
  o->embed(s->be, x, g->embedding, tokens, c->embedding_scale, NULL, NULL);
  for (int32_t i = 0; i < c->n_layer; i++) {
    watch(s, i, x);
    attention(s, i, x, norm);
    mlp(s, i, x, norm);
  }
  s->logits = tensor_matrix(s->logits_buf, 0, n_logits, c->n_vocab);
  if (n_logits > 0) {
    tensor last = tensor_rows(norm, 0, n_logits);
    o->rms_norm(s->be, last, tensor_rows(x, n - n_logits, n_logits), g->output_norm, c->norm_eps, NULL);
    watch(s, c->n_layer, last);
    o->linear(s->be, s->logits, last, g->embedding, NULL, ACT_NONE, NULL);
    if (c->logit_cap > 0) o->softcap(s->be, s->logits, c->logit_cap);
  }
  s->length += n;
  return SOTTO_OK;
}

float *gemma_logits(gemma_state *s, int32_t i) {
  if (i < 0 || i >= s->logits.rows) return NULL;
  return s->be->ops->read(s->be, tensor_rows(s->logits, i, 1));
}

int32_t gemma_length(const gemma_state *s) { return s->length; }

bool gemma_truncate(gemma_state *s, int32_t n) {
  const int32_t window = s->g->c.window;
  if (n < 0 || n > s->length) return false;
  /* The next token, at n, looks back to n + 1 - window; the ring holds the positions from length - ring on. */
  const bool kept = window == 0 || n == 0 || max_i32(n + 1 - window, 0) >= s->length - s->ring;
  if (kept) s->length = n;
  return kept;
}

void gemma_watch(gemma_state *s, void (*watch_)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols),
                 void *context) {
  s->watch = watch_;
  s->watch_context = context;
}

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
    s->past[i] = o->kv_open(s->be, KV_SLOTS, is_global(c, i) ? s->n_ctx : s->ring, c->n_kv_head, c->head_dim);
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
  for (int32_t i = 0; i < c->n_layer; i++) places += (uint64_t)(is_global(c, i) ? n_ctx : ring_of(c, n_ctx, n_batch));
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
