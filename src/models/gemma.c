/* The forward pass of Gemma 1, 2 and 3, for every backend. The configuration steers what a family has.
 *
 *     ids [n]
 *       │ embedding * scale
 *     x [n, d]
 *       │ n_layer x { x += post_norm(out(attention(norm(x)))),    attention: q/k norm by heads (Gemma 3), rotary positions
 *       │             x += post_norm(down(gelu(gate) * up)) }     post norms: Gemma 2 and 3
 *       │ norm, · embeddingᵀ, soft cap
 *     logits [n_logits, n_vocab]
 *
 * A local layer sees the last `window` tokens, a global layer all. Where their keys and values lie says gemma_state.c. */
#include "gemma_state.h"

/* The residual stream of n tokens. What a part of a layer gave, `branch`, waits for the norm that reads the stream next: x + norm(branch) becomes sum,
 * and the two change places. Families without post norms add at once, and nothing waits. */
typedef struct stream {
  tensor x, sum, branch; /* [n, d_model] */
  const tensor *gain;    /* of the norm of branch; NULL: nothing waits */
} stream;

/* The stream on its way into products. */
static normed read_stream(const gemma_state *s, const stream *t, tensor gain) {
  return (normed){.x = t->x,
                  .add = t->gain != NULL ? &t->branch : NULL,
                  .add_gain = t->gain,
                  .sum = t->sum,
                  .gain = gain,
                  .eps = s->g->c.norm_eps,
                  .rows = tensor_rows(s->work.rows, 0, t->x.rows)};
}

/* After an operation that read the stream. */
static void take_sum(stream *t) {
  if (t->gain == NULL) return;
  const tensor x = t->x;
  t->x = t->sum;
  t->sum = x;
  t->gain = NULL;
}

/* x += · wᵀ of some rows: the product of that. */
static attended branch(const gemma_state *s, const stream *t, const weight *w) {
  const bool waits = s->g->c.post_norms;
  return (attended){{waits ? t->branch : t->x, w, NULL}, waits ? NULL : &t->x};
}

/* The sum goes through a norm with this gain, where the family has one, and so waits for who reads the stream. */
static void add_branch(const gemma_state *s, stream *t, const tensor *gain) {
  t->gain = s->g->c.post_norms ? gain : NULL;
}

static void attention(gemma_state *s, int32_t layer, stream *t) {
  const gemma_config *c = &s->g->c;
  const gemma_layer *l = &s->g->layers[layer];
  const ops *o = s->be->ops;
  const int32_t n = t->x.rows;
  const bool global = gemma_layer_is_global(c, layer);
  const tensor q = tensor_rows(s->work.q, 0, n), a = tensor_rows(s->work.attended, 0, n); /* [n, n_head * head_dim] */
  const tensor k = tensor_rows(s->work.k, 0, n), v = tensor_rows(s->work.v, 0, n); /* [n, n_kv_head * head_dim] */
  const normed in = read_stream(s, t, l->attention_norm);                          /* [n, d_model] */
  const product products[] = {{q, l->query, NULL}, {k, l->key, NULL}, {v, l->value, NULL}};
  const rotation turn = {.table = tensor_rows(global ? s->work.global_rope : s->work.local_rope, 0, n),
                         .q_gain = c->qk_norm ? &l->query_norm : NULL,
                         .k_gain = c->qk_norm ? &l->key_norm : NULL,
                         .eps = c->norm_eps};
  const kv_view view = {.slots = global ? s->global_slots : s->local_slots,
                        .ring = global ? s->n_ctx : s->ring,
                        .first = global ? NULL : s->first,
                        .length = global ? s->global_length : s->local_length,
                        .softcap = c->attention_cap};

  o->norm_linear(s->be, &in, products, 3, ACT_NONE);
  take_sum(t);
  const attended out = branch(s, t, l->out);
  o->self_attention(s->be, a, q, k, v, s->past[layer], view.slots + s->length, &turn, c->attention_scale, &view, &out);
  add_branch(s, t, &l->post_attention_norm);
}

static void mlp(gemma_state *s, int32_t layer, stream *t) {
  const gemma_layer *l = &s->g->layers[layer];
  const tensor hidden = tensor_rows(s->work.hidden, 0, t->x.rows); /* [n, d_ff] */
  const normed in = read_stream(s, t, l->mlp_norm);                /* [n, d_model] */
  s->be->ops->norm_geglu(s->be, hidden, &in, l->gate, l->up, tensor_rows(s->work.scratch, 0, t->x.rows));
  take_sum(t);
  const attended down = branch(s, t, l->down);
  s->be->ops->linear(s->be, down.out.y, hidden, l->down, NULL, ACT_NONE, down.residual);
  add_branch(s, t, &l->post_mlp_norm);
}

/* Shows the stream before a layer. A sum that waits is made for it, and once more by whoever reads the stream. */
static void watch(gemma_state *s, int32_t layer, const stream *t) {
  if (s->watch == NULL) return;
  const normed in = read_stream(s, t, s->g->layers[layer].attention_norm);
  s->be->ops->norm(s->be, &in);
  s->watch(s->watch_context, layer, s->be->ops->read(s->be, t->gain != NULL ? t->sum : t->x), t->x.rows, t->x.cols);
}

/* Logits of the last rows of the stream. */
static void make_logits(gemma_state *s, const stream *all) {
  const gemma *g = s->g;
  const ops *o = s->be->ops;
  const int32_t n = s->logits.rows, first = all->x.rows - n;
  const stream last = {.x = tensor_rows(all->x, first, n),
                       .sum = tensor_rows(all->sum, first, n),
                       .branch = tensor_rows(all->branch, first, n),
                       .gain = all->gain};
  const normed in = read_stream(s, &last, g->output_norm); /* [n_logits, d_model] */
  o->norm(s->be, &in);
  if (s->watch != NULL) s->watch(s->watch_context, g->c.n_layer, o->read(s->be, in.rows), n, g->c.d_model);
  o->linear(s->be, s->logits, in.rows, g->embedding, NULL, ACT_NONE, NULL);
  if (g->c.logit_cap > 0) o->softcap(s->be, s->logits, g->c.logit_cap);
}

sotto_status gemma_eval(gemma_state *s, const int32_t *tokens, int32_t n, int32_t n_logits) {
  const gemma *g = s->g;
  const gemma_config *c = &g->c;
  const ops *o = s->be->ops;
  if (n < 1 || n > s->n_batch || n > s->n_ctx - s->length || n_logits < 0 || n_logits > min_i32(n, s->max_logits))
    return SOTTO_ERR_ARGUMENT;
  for (int32_t i = 0; i < n; i++) {
    const int32_t position = s->positions[i] = s->length + i;
    if (tokens[i] < CHOSEN(MAX_CHOSEN - 1) || tokens[i] >= c->n_vocab) return SOTTO_ERR_ARGUMENT;
    s->global_length[i] = position + 1;
    s->local_length[i] = min_i32(position + 1, c->window);
    s->first[i] = position + 1 - s->local_length[i];
  }
  stream t = {.x = tensor_rows(s->work.x, 0, n), /* [n, d_model] each */
              .sum = tensor_rows(s->work.sum, 0, n),
              .branch = tensor_rows(s->work.branch, 0, n)};
  o->rope_table(s->be, tensor_rows(s->work.global_rope, 0, n), s->work.global_frequencies, s->positions);
  if (c->window > 0)
    o->rope_table(s->be, tensor_rows(s->work.local_rope, 0, n), s->work.local_frequencies, s->positions);
  o->embed(s->be, t.x, g->embedding, tokens, c->embedding_scale, NULL, NULL);
  for (int32_t i = 0; i < c->n_layer; i++) {
    watch(s, i, &t);
    attention(s, i, &t);
    mlp(s, i, &t);
  }
  s->logits = tensor_rows(s->work.logits, 0, n_logits); /* [n_logits, n_vocab] */
  if (n_logits > 0) make_logits(s, &t);
  s->length += n;
  s->kept = max_i32(s->kept, s->length - s->ring);
  return SOTTO_OK;
}

bool gemma_choose(gemma_state *s, const sotto_sampler_options *options, const int32_t *history, int32_t n_history,
                  double draw, int32_t place) {
  const tensor last = tensor_rows(s->logits, s->logits.rows - 1, 1);
  return s->be->ops->choose(s->be, last, options, history, n_history, draw, place);
}

float *gemma_logits(gemma_state *s, int32_t i) {
  if (i < 0 || i >= s->logits.rows) return NULL;
  float *all = s->be->ops->read(s->be, s->logits); /* one read for all rows */
  return all != NULL ? all + (size_t)i * (size_t)s->logits.cols : NULL;
}

void gemma_watch(gemma_state *s, void (*watch_)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols),
                 void *context) {
  s->watch = watch_;
  s->watch_context = context;
}
