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
 * A local layer sees the last `window` tokens, a global layer all. Where their keys and values lie says gemma_state.c. */
#include "gemma_state.h"

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
  const bool global = gemma_layer_is_global(c, layer);
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
  s->kept = max_i32(s->kept, s->length - s->ring);
  return SOTTO_OK;
}

float *gemma_logits(gemma_state *s, int32_t i) {
  if (i < 0 || i >= s->logits.rows) return NULL;
  return s->be->ops->read(s->be, tensor_rows(s->logits, i, 1));
}

void gemma_watch(gemma_state *s, void (*watch_)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols),
                 void *context) {
  s->watch = watch_;
  s->watch_context = context;
}
