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
 * places by sequence says which past is whose. To fork or reorder sequences is to copy rows of the table. Where the backend chooses the tokens it keeps
 * such tables too, and the one here follows when the choice is known. */
#include "whisper_model.h"

#include <math.h>

#include "arena.h"
#include "logits.h"

enum { HALO = 1 }; /* zero rows before and after a convolution's input */

struct whisper_state {
  whisper *w;
  backend *be;
  int32_t n_seqs;
  int32_t n_audio_ctx; /* positions of the encoder: 1500, or fewer for a shorter window */
  buffer *memory;      /* of all tensors here */

  /* encoder */
  tensor mel;        /* [1 + 3000 + 1, n_mel], halo rows are zero */
  tensor x;          /* [1500, d]: residual stream */
  tensor rows;       /* [1500, d]: normalized; at the end the output */
  tensor q, k, v, a; /* [1500, d] */
  tensor hidden;     /* [1500, 4d], where q, k, v and a are */
  tensor conv;       /* [1 + 3000 + 1, d], there too; halo rows are zero */
  kv *self;          /* of the layer in work */
  kv **cross;        /* [n_text_layer], KV_WHOLE */
  float *zeros;      /* [d] */
  int32_t stage;     /* next piece of the encoder */
  bool bytes;        /* its products may round to bytes */

  /* decoder */
  tensor tx, trows;                     /* [n_text_ctx, d], as in the encoder */
  tensor tq, tk, tv, ta;                /* [n_text_ctx, d] */
  tensor thidden;                       /* [n_text_ctx, 4d], where tq ... ta are */
  tensor all_logits;                    /* [n_seqs, n_vocab] */
  kv **past;                            /* [n_text_layer], KV_SLOTS */
  tensor logits;                        /* [n_rows, n_vocab] of the last call */
  tensor share;                         /* [1, 1] of a token */
  bool shared;                          /* it is of the last prompt */
  int32_t n_live;                       /* sequences of the last call: its last rows */
  uint32_t chosen;                      /* places of what the backend chooses: bits */
  int32_t end;                          /* a choice of this token does not go on; -1: all do */
  int32_t *places, *new_places;         /* [n_seqs, n_text_ctx] */
  int32_t *positions, *slots, *lengths; /* [n_text_ctx] */
  int32_t length;                       /* tokens held by each live sequence */
  int32_t n_known;                      /* those that `places` tells; the others are as the backend chooses */
};

/* Rows that overlap: row t is `taps` rows of x from t * hop on, one after another. */
static tensor windows(tensor x, int32_t rows, int32_t taps, int32_t hop) {
  x.rows = rows;
  x.cols = taps * x.stride;
  x.stride = hop * x.stride;
  return x;
}

static const tensor *bias_of(const whisper_linear *l) { return l->bias.buf != NULL ? &l->bias : NULL; }

static void linear(backend *be, tensor y, tensor x, const whisper_linear *l, activation act, const tensor *residual) {
  be->ops->linear(be, y, x, l->w, bias_of(l), act, residual);
}

static product product_of(tensor y, const whisper_linear *l) { return (product){y, l->w, bias_of(l)}; }

static normed layer_norm(tensor x, const whisper_norm *n, tensor rows) {
  return (normed){.x = x, .gain = n->gain, .bias = &n->bias, .eps = 1e-5f, .rows = rows};
}

/* Both of Whisper's stacks scale q and k by head_dim^(-1/4) each. */
static float attention_scale(int32_t d, int32_t n_head) { return 1.0f / sqrtf((float)(d / n_head)); }

/* ---- encoder ---- */

static void mlp(backend *be, tensor x, tensor rows, tensor hidden, const whisper_layer *l) {
  const normed in = layer_norm(x, &l->mlp_ln, rows);        /* [n, d] */
  const product products[] = {product_of(hidden, &l->fc1)}; /* [n, 4d] */
  be->ops->norm_linear(be, &in, products, 1, ACT_GELU_ERF);
  linear(be, x, hidden, &l->fc2, ACT_NONE, &x);
}

static void encode_convolutions(whisper_state *s) {
  const whisper *w = s->w;
  const int32_t n_ctx = s->n_audio_ctx;
  const tensor positions = tensor_rows(w->audio_positions, 0, n_ctx);
  s->be->ops->upload(s->be, tensor_rows(s->conv, 0, 1), s->zeros);
  s->be->ops->upload(s->be, tensor_rows(s->conv, 2 * n_ctx + HALO, 1), s->zeros);
  linear(s->be, tensor_rows(s->conv, HALO, 2 * n_ctx), windows(s->mel, 2 * n_ctx, 3, 1), &w->conv1, ACT_GELU_ERF, NULL);
  linear(s->be, s->x, windows(s->conv, n_ctx, 3, 2), &w->conv2, ACT_GELU_ERF, &positions);
}

static void encode_layer(whisper_state *s, const whisper_layer *l) {
  const ops *o = s->be->ops;
  const normed in = layer_norm(s->x, &l->self.ln, s->rows); /* [1500, d] */
  const product products[] = {product_of(s->q, &l->self.query), product_of(s->k, &l->self.key),
                              product_of(s->v, &l->self.value)};
  o->norm_linear(s->be, &in, products, 3, ACT_NONE);
  o->kv_fill(s->be, s->self, s->k, s->v);
  const attended out = {product_of(s->x, &l->self.out), &s->x};
  o->cross_attention(s->be, s->a, s->q, s->self, attention_scale(s->x.cols, s->w->h.n_audio_head), &out);
  mlp(s->be, s->x, s->rows, s->hidden, l);
}

static void encode_end(whisper_state *s) {
  const normed in = layer_norm(s->x, &s->w->ln_post, s->rows);
  s->be->ops->norm(s->be, &in);
}

static void encode_cross(whisper_state *s, int32_t layer) {
  const whisper_attention *c = &s->w->decoder[layer].cross;
  linear(s->be, s->k, s->rows, &c->key, ACT_NONE, NULL);
  linear(s->be, s->v, s->rows, &c->value, ACT_NONE, NULL);
  s->be->ops->kv_fill(s->be, s->cross[layer], s->k, s->v);
}

void whisper_round_to_bytes(whisper_state *s, bool on) { s->bytes = on && s->be->ops->round_to_bytes != NULL; }

void whisper_encode_begin(whisper_state *s, const float *frames) {
  s->be->ops->upload(s->be, tensor_rows(s->mel, HALO, 2 * s->n_audio_ctx), frames);
  s->stage = 0;
}

sotto_status whisper_encode(whisper_state *s, float *fraction) {
  const whisper *w = s->w;
  const int32_t n_enc = w->h.n_audio_layer, n_dec = w->h.n_text_layer;
  const int32_t n_stages = 1 + n_enc + n_dec;
  const int32_t stage = s->stage;
  if (s->bytes) s->be->ops->round_to_bytes(s->be, true);
  if (stage == 0)
    encode_convolutions(s);
  else if (stage <= n_enc)
    encode_layer(s, &w->encoder[stage - 1]);
  else if (stage < n_stages)
    encode_cross(s, stage - 1 - n_enc);
  if (stage == n_enc) encode_end(s);
  if (s->bytes) s->be->ops->round_to_bytes(s->be, false);
  if (stage < n_stages) s->stage++;
  if (fraction != NULL) *fraction = (float)s->stage / (float)n_stages;
  return s->stage < n_stages ? SOTTO_AGAIN : SOTTO_OK;
}

bool whisper_encoded(whisper_state *s) {
  tensor last = tensor_rows(s->v, 0, 1); /* made last of all */
  last.cols = 1;
  return s->be->ops->read(s->be, last) != NULL;
}

const float *whisper_encoder_output(whisper_state *s) { return s->be->ops->read(s->be, s->rows); }

/* ---- decoder ---- */

/* n tokens at s->positions; their K/V go to s->slots, and queries see what the view says. Leaves the residual stream [n, d] in tx. */
static void decode_layers(whisper_state *s, const int32_t *tokens, int32_t n, const kv_view *view) {
  const whisper *w = s->w;
  const ops *o = s->be->ops;
  const float scale = attention_scale(w->h.n_text_state, w->h.n_text_head);
  const tensor x = tensor_rows(s->tx, 0, n), rows = tensor_rows(s->trows, 0, n); /* [n, d] */
  const tensor q = tensor_rows(s->tq, 0, n), k = tensor_rows(s->tk, 0, n);       /* [n, d] */
  const tensor v = tensor_rows(s->tv, 0, n), a = tensor_rows(s->ta, 0, n);       /* [n, d] */
  const tensor hidden = tensor_rows(s->thidden, 0, n);                           /* [n, 4d] */

  o->embed(s->be, x, w->token_embedding, tokens, 1.0f, &w->text_positions, s->positions);
  for (int32_t i = 0; i < w->h.n_text_layer; i++) {
    const whisper_layer *l = &w->decoder[i];
    const normed self = layer_norm(x, &l->self.ln, rows), cross = layer_norm(x, &l->cross.ln, rows);
    const product products[] = {product_of(q, &l->self.query), product_of(k, &l->self.key),
                                product_of(v, &l->self.value)};
    const product query = product_of(q, &l->cross.query);
    const attended self_out = {product_of(x, &l->self.out), &x}, cross_out = {product_of(x, &l->cross.out), &x};
    o->norm_linear(s->be, &self, products, 3, ACT_NONE);
    o->self_attention(s->be, a, q, k, v, s->past[i], s->slots, NULL, scale, view, &self_out);

    o->norm_linear(s->be, &cross, &query, 1, ACT_NONE);
    o->cross_attention(s->be, a, q, s->cross[i], scale, &cross_out);

    mlp(s->be, x, rows, hidden, l);
  }
}

/* Logits of the rows want[n_want] (NULL: the first n_want) of the residual stream. */
static void decode_logits(whisper_state *s, const int32_t *want, int32_t n_want) {
  const whisper *w = s->w;
  const tensor rows = tensor_rows(s->trows, 0, n_want); /* [n_want, d] */
  const int32_t n_each = want == NULL ? n_want : 1;
  for (int32_t i = 0; i < n_want; i += n_each) {
    const normed in =
        layer_norm(tensor_rows(s->tx, want == NULL ? 0 : want[i], n_each), &w->ln, tensor_rows(rows, i, n_each));
    s->be->ops->norm(s->be, &in);
  }
  s->logits = tensor_rows(s->all_logits, 0, n_want); /* [n_want, n_vocab] */
  s->be->ops->linear(s->be, s->logits, rows, w->token_embedding, NULL, ACT_NONE, NULL);
}

static void leave_places(whisper_state *s) {
  for (int32_t i = 0; i < MAX_CHOSEN; i++)
    if (s->chosen & 1u << i) backend_leave_place(s->be, i);
  s->chosen = 0;
}

void whisper_decode_reset(whisper_state *s) {
  leave_places(s);
  s->length = s->n_known = 0;
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
  const kv_view view = {.slots = s->places, .length = s->lengths}; /* one row for all */
  decode_layers(s, tokens, n, &view);
  if (n_want > 0) decode_logits(s, want, n_want);
  s->shared = false;
  s->n_live = 1;
  s->length = s->n_known += n;
  return SOTTO_OK;
}

/* The table after the next token of n sequences. */
static void know_next(whisper_state *s, const int32_t *parent, int32_t n) {
  const size_t n_ctx = (size_t)s->w->h.n_text_ctx;
  for (int32_t i = 0; i < n; i++) {
    int32_t *row = s->new_places + (size_t)i * n_ctx;
    memcpy(row, s->places + (size_t)parent[i] * n_ctx, (size_t)s->n_known * sizeof *row);
    row[s->n_known] = s->n_known * s->n_seqs + i;
  }
  int32_t *swap = s->places;
  s->places = s->new_places;
  s->new_places = swap;
  s->n_known++;
}

/* A token for each of n sequences, whose table is what the view says but for its lengths. */
static void decode_step(whisper_state *s, const int32_t *tokens, int32_t n, kv_view view) {
  for (int32_t i = 0; i < n; i++) {
    s->positions[i] = s->length;
    s->slots[i] = s->length * s->n_seqs + i;
    s->lengths[i] = s->length + 1;
  }
  view.length = s->lengths;
  decode_layers(s, tokens, n, &view);
  decode_logits(s, NULL, n);
  s->n_live = n;
  s->length++;
}

sotto_status whisper_decode_next(whisper_state *s, const int32_t *tokens, const int32_t *parent, int32_t n) {
  const int32_t n_ctx = s->w->h.n_text_ctx;
  if (n < 1 || n > s->n_seqs || s->length >= n_ctx || s->n_known < s->length) return SOTTO_ERR_ARGUMENT;
  know_next(s, parent, n);
  decode_step(s, tokens, n, (kv_view){.slots = s->places, .slot_stride = n_ctx});
  return SOTTO_OK;
}

sotto_status whisper_decode_follow(whisper_state *s, int32_t place, int32_t n) {
  int32_t tokens[MAX_SPEECH];
  if (n < 1 || n > min_i32(s->n_seqs, MAX_SPEECH) || s->length >= s->w->h.n_text_ctx || !(s->chosen >> place & 1))
    return SOTTO_ERR_ARGUMENT;
  for (int32_t i = 0; i < n; i++) tokens[i] = CHOSEN_SPEECH(place, i);
  decode_step(s, tokens, n, (kv_view){.place = place});
  return SOTTO_OK;
}

float *whisper_logits(whisper_state *s, int32_t i) {
  if (i < 0 || i >= s->logits.rows) return NULL;
  float *all = s->be->ops->read(s->be, s->logits); /* one read for all rows */
  return all != NULL ? all + (size_t)i * (size_t)s->logits.cols : NULL;
}

float *whisper_some_logits(whisper_state *s, int32_t i, int32_t first, int32_t n) {
  if (i < 0 || i >= s->logits.rows || first < 0 || n < 1 || n > s->logits.cols - first) return NULL;
  tensor some = tensor_rows(s->logits, i, 1);
  some.offset += (size_t)first;
  some.cols = n;
  return s->be->ops->read(s->be, some);
}

sotto_status whisper_share(whisper_state *s, int32_t token, float *p) {
  const ops *o = s->be->ops;
  const tensor row = tensor_rows(s->logits, 0, 1);
  const float *got;
  if (o->share != NULL) {
    if (!s->shared) o->share(s->be, s->share, row, token);
    s->shared = true;
    if ((got = o->read(s->be, s->share)) == NULL) return SOTTO_AGAIN;
    *p = *got;
    return SOTTO_OK;
  }
  if ((got = o->read(s->be, row)) == NULL) return SOTTO_AGAIN;
  *p = expf(got[token] - log_sum_exp(got, row.cols));
  return SOTTO_OK;
}

int32_t whisper_decode_choose(whisper_state *s, const speech_rules *rules, const speech_past *past, int32_t from,
                              int32_t keep, const speech_draws *draws) {
  const ops *o = s->be->ops;
  const int32_t place = o->choose_speech != NULL && keep <= s->n_seqs ? backend_take_place(s->be) : -1;
  if (place < 0) return -1;
  const speech_state state = {.from = from,
                              .past = past,
                              .slots = s->places,
                              .slot_stride = s->w->h.n_text_ctx,
                              .length = s->length,
                              .next_slot = s->length * s->n_seqs,
                              .draws = draws};
  const tensor rows = tensor_rows(s->logits, s->logits.rows - s->n_live, s->n_live);
  if (s->logits.rows < s->n_live || !o->choose_speech(s->be, rows, rules, &state, keep, place)) {
    backend_leave_place(s->be, place);
    return -1;
  }
  s->chosen |= 1u << place;
  s->end = draws != NULL ? -1 : rules->end;
  speech_choice choices[MAX_SPEECH_CHOICES];
  int32_t n;
  o->chosen_speech(s->be, place, choices, &n); /* asking is what makes the answer come */
  return place;
}

sotto_status whisper_decode_chosen(whisper_state *s, int32_t place, speech_choice *choices, int32_t *n) {
  int32_t parents[MAX_SPEECH], n_next = 0;
  const sotto_status status = s->be->ops->chosen_speech(s->be, place, choices, n);
  if (status != SOTTO_OK) return status;
  for (int32_t i = 0; i < *n; i++) {
    const speech_choice *c = &choices[i];
    if (c->parent < 0 || c->parent >= s->n_seqs || c->id < 0 || c->id >= s->w->h.n_vocab || n_next == s->n_seqs)
      return SOTTO_ERR_FORMAT;
    if (c->id != s->end) parents[n_next++] = c->parent;
  }
  know_next(s, parents, n_next);
  s->chosen &= ~(1u << place);
  backend_leave_place(s->be, place);
  return SOTTO_OK;
}

/* ---- open and close ---- */

/* Two shapes of one place: four tensors [rows, cols] side by side, or one [rows, 4 * cols]. */
static tensor take_four(arena *a, int32_t rows, int32_t cols, tensor four[4]) {
  const tensor whole = arena_take(a, rows, 4 * cols);
  for (int32_t i = 0; i < 4; i++)
    four[i] = tensor_matrix(whole.buf, whole.offset + (size_t)i * (size_t)rows * (size_t)cols, rows, cols);
  return whole;
}

/* Gives the tensors their places in `buf`. */
static arena lay_out(whisper_state *s, buffer *buf) {
  const ggml_bin_header *h = &s->w->h;
  const int32_t n_ctx = s->n_audio_ctx, n_text = h->n_text_ctx, d = h->n_audio_state, dt = h->n_text_state;
  arena a = {.buf = buf};
  tensor four[4];
  s->mel = arena_take(&a, 2 * n_ctx + 2 * HALO, h->n_mel);
  s->x = arena_take(&a, n_ctx, d);
  s->rows = arena_take(&a, n_ctx, d);
  s->hidden = take_four(&a, n_ctx, d, four);
  s->conv = tensor_matrix(buf, s->hidden.offset, 2 * n_ctx + 2 * HALO, d);
  s->q = four[0], s->k = four[1], s->v = four[2], s->a = four[3];
  s->tx = arena_take(&a, n_text, dt);
  s->trows = arena_take(&a, n_text, dt);
  s->thidden = take_four(&a, n_text, dt, four);
  s->tq = four[0], s->tk = four[1], s->tv = four[2], s->ta = four[3];
  s->all_logits = arena_take(&a, max_i32(s->n_seqs, 2), h->n_vocab);
  s->share = arena_take(&a, 1, 1);
  return a;
}

static bool take_all(whisper_state *s) {
  const ggml_bin_header *h = &s->w->h;
  const size_t n_text = (size_t)h->n_text_ctx, n_seqs = (size_t)s->n_seqs, n_layer = (size_t)h->n_text_layer;
  const int32_t head = h->n_audio_state / h->n_audio_head, text_head = h->n_text_state / h->n_text_head;
  const ops *o = s->be->ops;

  const arena size = lay_out(s, NULL);
  s->memory = arena_open(&size, s->be);
  lay_out(s, s->memory);
  s->self = o->kv_open(s->be, KV_WHOLE, KV_16, s->n_audio_ctx, h->n_audio_head, head);
  s->cross = mem_alloc(n_layer, sizeof *s->cross);
  s->past = mem_alloc(n_layer, sizeof *s->past);
  s->zeros = mem_alloc((size_t)h->n_audio_state, sizeof *s->zeros);
  s->places = mem_alloc(n_seqs * n_text, sizeof *s->places);
  s->new_places = mem_alloc(n_seqs * n_text, sizeof *s->new_places);
  s->positions = mem_alloc(n_text, sizeof *s->positions);
  s->slots = mem_alloc(n_text, sizeof *s->slots);
  s->lengths = mem_alloc(n_text, sizeof *s->lengths);
  bool ok = s->memory != NULL && s->self != NULL && s->cross != NULL && s->past != NULL && s->zeros != NULL &&
            s->places != NULL && s->new_places != NULL && s->positions != NULL && s->slots != NULL &&
            s->lengths != NULL;
  for (size_t i = 0; ok && i < n_layer; i++) {
    s->cross[i] = o->kv_open(s->be, KV_WHOLE, KV_16, s->n_audio_ctx, h->n_text_head, text_head);
    s->past[i] = o->kv_open(s->be, KV_SLOTS, KV_16, h->n_text_ctx * s->n_seqs, h->n_text_head, text_head);
    ok = s->cross[i] != NULL && s->past[i] != NULL;
  }
  return ok;
}

sotto_status whisper_state_open(whisper_state **out, whisper *w, int32_t n_seqs, int32_t n_audio_ctx, error *err) {
  *out = NULL;
  if (!w->finished)
    return fail(err, SOTTO_ERR_ARGUMENT, "the model is not loaded yet: feed it its whole file and finish");
  if (n_seqs < 1 || n_seqs > WHISPER_MAX_SEQS)
    return fail(err, SOTTO_ERR_ARGUMENT, "%d sequences at once: choose 1 to %d", (int)n_seqs, WHISPER_MAX_SEQS);
  if (n_audio_ctx < 0 || n_audio_ctx > w->h.n_audio_ctx)
    return fail(err, SOTTO_ERR_ARGUMENT, "%d positions of audio: choose 1 to %d, or 0 for all", (int)n_audio_ctx,
                (int)w->h.n_audio_ctx);
  whisper_state *s = mem_alloc(1, sizeof *s);
  if (s == NULL)
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription: close others, or use a smaller model");
  s->w = w;
  s->be = w->be;
  s->n_seqs = n_seqs;
  s->n_audio_ctx = n_audio_ctx > 0 ? n_audio_ctx : w->h.n_audio_ctx;
  if (!take_all(s)) {
    whisper_state_close(s);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription: close others, or use a smaller model");
  }
  *out = s;
  return SOTTO_OK;
}

void whisper_state_close(whisper_state *s) {
  if (s == NULL) return;
  leave_places(s);
  const ops *o = s->be->ops;
  if (s->memory != NULL) o->buffer_close(s->be, s->memory);
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
