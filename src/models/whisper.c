/* The forward pass of Whisper, for every backend.
 *
 *     mel [3000, n_mel]                                tokens [n]
 *       │ conv k3 s1, GELU                               │ embedding + positions
 *       │ conv k3 s2, GELU, + sinusoids                  │
 *     x [1500, d]                                      x [n, d]
 *       │ n_audio_layer x { LN, self attention, +        │ n_text_layer x { LN, causal self attention, +
 *       │                   LN, MLP, + }                 │                  LN, cross attention, +
 *       │ LN                                             │                  LN, MLP, + }
 *     encoder output ── cross K/V of each layer ──────>  │ LN, · embeddingᵀ
 *                                                      logits [n_want, n_vocab]
 *
 * Sequences (beams) share their past: the value at position p of sequence i lives in K/V place p * n_seqs + i for ever, and a table of
 * places by sequence says which past is whose. To fork or reorder sequences is to copy rows of the table. */
#include "whisper_model.h"

#include <math.h>

enum { HALO = 1 }; /* zero rows before and after a convolution's input */

struct whisper_state {
  whisper *w;
  backend *be;
  int32_t n_seqs;

  /* encoder */
  buffer *mel_buf, *x_buf, *norm_buf, *work_buf;
  tensor mel;    /* [1 + 3000 + 1, n_mel], halo rows are zero */
  tensor x;      /* [1500, d]: residual stream, at the end the output */
  tensor norm;   /* [1500, d] */
  kv *self;      /* of the layer in work */
  kv **cross;    /* [n_text_layer], KV_WHOLE */
  float *zeros;  /* [d] */
  int32_t stage; /* next piece of the encoder */

  /* decoder */
  buffer *tx_buf, *tnorm_buf, *twork_buf, *logits_buf;
  kv **past;                            /* [n_text_layer], KV_SLOTS */
  tensor logits;                        /* [n_rows, n_vocab] of the last call */
  int32_t *places, *new_places;         /* [n_seqs, n_text_ctx] */
  int32_t *positions, *slots, *lengths; /* [n_text_ctx] */
  int32_t length;                       /* tokens held by each live sequence */
};

/* Rows that overlap: row t is `taps` rows of x from t * hop on, one after another. */
static tensor windows(tensor x, int32_t rows, int32_t taps, int32_t hop) {
  x.rows = rows;
  x.cols = taps * x.stride;
  x.stride = hop * x.stride;
  return x;
}

static void linear(backend *be, tensor y, tensor x, const whisper_linear *l, activation act, const tensor *residual) {
  be->ops->linear(be, y, x, l->w, l->bias.buf != NULL ? &l->bias : NULL, act, residual);
}

static void layer_norm(backend *be, tensor y, tensor x, const whisper_norm *n) {
  be->ops->layer_norm(be, y, x, n->gain, n->bias, 1e-5f);
}

/* Both of Whisper's stacks scale q and k by head_dim^(-1/4) each. */
static float attention_scale(int32_t d, int32_t n_head) { return 1.0f / sqrtf((float)(d / n_head)); }

/* ---- encoder ---- */

static void mlp(backend *be, tensor x, tensor norm, buffer *work, const whisper_layer *l) {
  tensor hidden = tensor_matrix(work, 0, x.rows, 4 * x.cols); /* [n, 4d] */
  layer_norm(be, norm, x, &l->mlp_ln);
  linear(be, hidden, norm, &l->fc1, ACT_GELU_ERF, NULL);
  linear(be, x, hidden, &l->fc2, ACT_NONE, &x);
}

static void encode_convolutions(whisper_state *s) {
  const whisper *w = s->w;
  const int32_t n_ctx = w->h.n_audio_ctx, d = w->h.n_audio_state;
  tensor hidden = tensor_matrix(s->work_buf, 0, 2 * n_ctx + 2 * HALO, d); /* [3002, d] */
  s->be->ops->upload(s->be, tensor_rows(hidden, 0, 1), s->zeros);
  s->be->ops->upload(s->be, tensor_rows(hidden, 2 * n_ctx + HALO, 1), s->zeros);
  linear(s->be, tensor_rows(hidden, HALO, 2 * n_ctx), windows(s->mel, 2 * n_ctx, 3, 1), &w->conv1, ACT_GELU_ERF, NULL);
  linear(s->be, s->x, windows(hidden, n_ctx, 3, 2), &w->conv2, ACT_GELU_ERF, &w->audio_positions);
}

static void encode_layer(whisper_state *s, const whisper_layer *l) {
  const int32_t n = s->x.rows, d = s->x.cols;
  const size_t size = (size_t)n * (size_t)d;
  tensor q = tensor_matrix(s->work_buf, 0, n, d);        /* [1500, d] */
  tensor k = tensor_matrix(s->work_buf, size, n, d);     /* [1500, d] */
  tensor v = tensor_matrix(s->work_buf, 2 * size, n, d); /* [1500, d] */
  tensor a = tensor_matrix(s->work_buf, 3 * size, n, d); /* [1500, d] */
  layer_norm(s->be, s->norm, s->x, &l->self.ln);
  linear(s->be, q, s->norm, &l->self.query, ACT_NONE, NULL);
  linear(s->be, k, s->norm, &l->self.key, ACT_NONE, NULL);
  linear(s->be, v, s->norm, &l->self.value, ACT_NONE, NULL);
  s->be->ops->kv_fill(s->be, s->self, k, v);
  s->be->ops->attention(s->be, a, q, s->self, attention_scale(d, s->w->h.n_audio_head), NULL);
  linear(s->be, s->x, a, &l->self.out, ACT_NONE, &s->x);
  mlp(s->be, s->x, s->norm, s->work_buf, l);
}

static void encode_cross(whisper_state *s, int32_t layer) {
  const whisper_attention *c = &s->w->decoder[layer].cross;
  const int32_t n = s->x.rows, d = s->x.cols;
  tensor k = tensor_matrix(s->work_buf, 0, n, d);                     /* [1500, d] */
  tensor v = tensor_matrix(s->work_buf, (size_t)n * (size_t)d, n, d); /* [1500, d] */
  linear(s->be, k, s->x, &c->key, ACT_NONE, NULL);
  linear(s->be, v, s->x, &c->value, ACT_NONE, NULL);
  s->be->ops->kv_fill(s->be, s->cross[layer], k, v);
}

void whisper_encode_begin(whisper_state *s, const float *frames) {
  s->be->ops->upload(s->be, tensor_rows(s->mel, HALO, WHISPER_WINDOW_FRAMES), frames);
  s->stage = 0;
}

sotto_status whisper_encode(whisper_state *s, float *fraction) {
  const whisper *w = s->w;
  const int32_t n_enc = w->h.n_audio_layer, n_dec = w->h.n_text_layer;
  const int32_t n_stages = 1 + n_enc + n_dec;
  const int32_t stage = s->stage;
  if (stage == 0)
    encode_convolutions(s);
  else if (stage <= n_enc)
    encode_layer(s, &w->encoder[stage - 1]);
  else if (stage < n_stages)
    encode_cross(s, stage - 1 - n_enc);
  if (stage == n_enc) layer_norm(s->be, s->x, s->x, &w->ln_post);
  if (stage < n_stages) s->stage++;
  if (fraction != NULL) *fraction = (float)s->stage / (float)n_stages;
  return s->stage < n_stages ? SOTTO_AGAIN : SOTTO_OK;
}

const float *whisper_encoder_output(whisper_state *s) { return s->be->ops->read(s->be, s->x); }

/* ---- decoder ---- */

/* n tokens at s->positions; their K/V go to s->slots, and query i sees the s->lengths[i] places of row i of the
 * table (row 0 for all when slot_stride is 0). Leaves the residual stream [n, d] in tx_buf. */
static void decode_layers(whisper_state *s, const int32_t *tokens, int32_t n, int32_t slot_stride) {
  const whisper *w = s->w;
  const int32_t d = w->h.n_text_state;
  const float scale = attention_scale(d, w->h.n_text_head);
  const size_t size = (size_t)n * (size_t)d;
  backend *be = s->be;
  const kv_view view = {.slots = s->places, .slot_stride = slot_stride, .length = s->lengths};
  tensor x = tensor_matrix(s->tx_buf, 0, n, d);
  tensor norm = tensor_matrix(s->tnorm_buf, 0, n, d);
  tensor q = tensor_matrix(s->twork_buf, 0, n, d);
  tensor k = tensor_matrix(s->twork_buf, size, n, d);
  tensor v = tensor_matrix(s->twork_buf, 2 * size, n, d);
  tensor a = tensor_matrix(s->twork_buf, 3 * size, n, d);

  be->ops->embed(be, x, w->token_embedding, tokens, 1.0f, &w->text_positions, s->positions);
  for (int32_t i = 0; i < w->h.n_text_layer; i++) {
    const whisper_layer *l = &w->decoder[i];
    layer_norm(be, norm, x, &l->self.ln);
    linear(be, q, norm, &l->self.query, ACT_NONE, NULL);
    linear(be, k, norm, &l->self.key, ACT_NONE, NULL);
    linear(be, v, norm, &l->self.value, ACT_NONE, NULL);
    be->ops->kv_store(be, s->past[i], k, v, s->slots);
    be->ops->attention(be, a, q, s->past[i], scale, &view);
    linear(be, x, a, &l->self.out, ACT_NONE, &x);

    layer_norm(be, norm, x, &l->cross.ln);
    linear(be, q, norm, &l->cross.query, ACT_NONE, NULL);
    be->ops->attention(be, a, q, s->cross[i], scale, NULL);
    linear(be, x, a, &l->cross.out, ACT_NONE, &x);

    mlp(be, x, norm, s->twork_buf, l);
  }
}

/* Logits of the rows want[n_want] (NULL: the first n_want) of the residual stream. */
static void decode_logits(whisper_state *s, const int32_t *want, int32_t n_want) {
  const whisper *w = s->w;
  const int32_t d = w->h.n_text_state;
  tensor x = tensor_matrix(s->tx_buf, 0, w->h.n_text_ctx, d);
  tensor norm = tensor_matrix(s->tnorm_buf, 0, n_want, d);
  if (want == NULL) layer_norm(s->be, norm, tensor_rows(x, 0, n_want), &w->ln);
  for (int32_t i = 0; want != NULL && i < n_want; i++)
    layer_norm(s->be, tensor_rows(norm, i, 1), tensor_rows(x, want[i], 1), &w->ln);
  s->logits = tensor_matrix(s->logits_buf, 0, n_want, w->h.n_vocab);
  s->be->ops->linear(s->be, s->logits, norm, w->token_embedding, NULL, ACT_NONE, NULL);
}

void whisper_decode_reset(whisper_state *s) {
  s->length = 0;
  s->logits.rows = 0;
}

sotto_status whisper_decode_prompt(whisper_state *s, const int32_t *tokens, int32_t n, const int32_t *want,
                                   int32_t n_want) {
  if (n < 1 || n > s->w->h.n_text_ctx - s->length || n_want < 0 || n_want > max_i32(s->n_seqs, 2))
    return SOTTO_ERR_ARGUMENT;
  for (int32_t i = 0; i < n; i++) {
    const int32_t position = s->length + i;
    s->positions[i] = position;
    s->slots[i] = s->places[position] = position * s->n_seqs;
    s->lengths[i] = position + 1;
  }
  decode_layers(s, tokens, n, 0);
  if (n_want > 0) decode_logits(s, want, n_want);
  s->length += n;
  return SOTTO_OK;
}

sotto_status whisper_decode_next(whisper_state *s, const int32_t *tokens, const int32_t *parent, int32_t n) {
  const int32_t n_ctx = s->w->h.n_text_ctx;
  if (n < 1 || n > s->n_seqs || s->length >= n_ctx) return SOTTO_ERR_ARGUMENT;
  for (int32_t i = 0; i < n; i++) {
    int32_t *row = s->new_places + (size_t)i * (size_t)n_ctx;
    memcpy(row, s->places + (size_t)parent[i] * (size_t)n_ctx, (size_t)s->length * sizeof *row);
    s->positions[i] = s->length;
    s->slots[i] = row[s->length] = s->length * s->n_seqs + i;
    s->lengths[i] = s->length + 1;
  }
  int32_t *swap = s->places;
  s->places = s->new_places;
  s->new_places = swap;
  decode_layers(s, tokens, n, n_ctx);
  decode_logits(s, NULL, n);
  s->length++;
  return SOTTO_OK;
}

float *whisper_logits(whisper_state *s, int32_t i) {
  if (i < 0 || i >= s->logits.rows) return NULL;
  return s->be->ops->read(s->be, tensor_rows(s->logits, i, 1));
}

/* ---- open and close ---- */

static void *take_buffer(whisper_state *s, buffer **buf, size_t rows, size_t cols) {
  return *buf = s->be->ops->buffer_open(s->be, rows * cols);
}

static bool take_all(whisper_state *s) {
  const ggml_bin_header *h = &s->w->h;
  const size_t n_ctx = (size_t)h->n_audio_ctx, d = (size_t)h->n_audio_state;
  const size_t n_text = (size_t)h->n_text_ctx, dt = (size_t)h->n_text_state, n_seqs = (size_t)s->n_seqs;
  const size_t n_layer = (size_t)h->n_text_layer;
  const int32_t head = h->n_audio_state / h->n_audio_head, text_head = h->n_text_state / h->n_text_head;
  const ops *o = s->be->ops;

  bool ok = take_buffer(s, &s->mel_buf, 2 * n_ctx + 2 * HALO, (size_t)h->n_mel) &&
            take_buffer(s, &s->x_buf, n_ctx, d) && take_buffer(s, &s->norm_buf, n_ctx, d) &&
            /* q, k, v and attention side by side, or the MLP's hidden layer, or the convolution's */
            take_buffer(s, &s->work_buf, n_ctx, 4 * d) && take_buffer(s, &s->tx_buf, n_text, dt) &&
            take_buffer(s, &s->tnorm_buf, n_text, dt) && take_buffer(s, &s->twork_buf, n_text, 4 * dt) &&
            take_buffer(s, &s->logits_buf, max_size(n_seqs, 2), (size_t)h->n_vocab);
  s->self = o->kv_open(s->be, KV_WHOLE, KV_16, h->n_audio_ctx, h->n_audio_head, head);
  s->cross = mem_alloc(n_layer, sizeof *s->cross);
  s->past = mem_alloc(n_layer, sizeof *s->past);
  s->zeros = mem_alloc(d, sizeof *s->zeros);
  s->places = mem_alloc(n_seqs * n_text, sizeof *s->places);
  s->new_places = mem_alloc(n_seqs * n_text, sizeof *s->new_places);
  s->positions = mem_alloc(n_text, sizeof *s->positions);
  s->slots = mem_alloc(n_text, sizeof *s->slots);
  s->lengths = mem_alloc(n_text, sizeof *s->lengths);
  ok = ok && s->self != NULL && s->cross != NULL && s->past != NULL && s->zeros != NULL && s->places != NULL &&
       s->new_places != NULL && s->positions != NULL && s->slots != NULL && s->lengths != NULL;
  for (size_t i = 0; ok && i < n_layer; i++) {
    s->cross[i] = o->kv_open(s->be, KV_WHOLE, KV_16, h->n_audio_ctx, h->n_text_head, text_head);
    s->past[i] = o->kv_open(s->be, KV_SLOTS, KV_16, h->n_text_ctx * s->n_seqs, h->n_text_head, text_head);
    ok = s->cross[i] != NULL && s->past[i] != NULL;
  }
  return ok;
}

sotto_status whisper_state_open(whisper_state **out, whisper *w, int32_t n_seqs, error *err) {
  *out = NULL;
  if (!w->finished)
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not loaded yet: feed it its whole file and finish");
  if (n_seqs < 1 || n_seqs > WHISPER_MAX_SEQS)
    return fail(err, SOTTO_ERR_ARGUMENT, "%d sequences at once: choose 1 to %d", (int)n_seqs, WHISPER_MAX_SEQS);
  whisper_state *s = mem_alloc(1, sizeof *s);
  if (s == NULL)
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription: close others, or use a smaller model");
  s->w = w;
  s->be = w->be;
  s->n_seqs = n_seqs;
  if (!take_all(s)) {
    whisper_state_close(s);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription: close others, or use a smaller model");
  }
  s->mel = tensor_matrix(s->mel_buf, 0, 2 * w->h.n_audio_ctx + 2 * HALO, w->h.n_mel);
  s->x = tensor_matrix(s->x_buf, 0, w->h.n_audio_ctx, w->h.n_audio_state);
  s->norm = tensor_matrix(s->norm_buf, 0, w->h.n_audio_ctx, w->h.n_audio_state);
  *out = s;
  return SOTTO_OK;
}

void whisper_state_close(whisper_state *s) {
  if (s == NULL) return;
  const ops *o = s->be->ops;
  buffer *buffers[] = {s->mel_buf, s->x_buf,     s->norm_buf,  s->work_buf,
                       s->tx_buf,  s->tnorm_buf, s->twork_buf, s->logits_buf};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
    if (buffers[i] != NULL) o->buffer_close(s->be, buffers[i]);
  if (s->self != NULL) o->kv_close(s->be, s->self);
  for (int32_t i = 0; i < s->w->h.n_text_layer; i++) {
    if (s->cross != NULL && s->cross[i] != NULL) o->kv_close(s->be, s->cross[i]);
    if (s->past != NULL && s->past[i] != NULL) o->kv_close(s->be, s->past[i]);
  }
  mem_free(s->cross);
  mem_free(s->past);
  mem_free(s->zeros);
  mem_free(s->places);
  mem_free(s->new_places);
  mem_free(s->positions);
  mem_free(s->slots);
  mem_free(s->lengths);
  mem_free(s);
}
