/* Inside of one sequence of a Gemma: what gemma_state.c opens, copies and forgets, and gemma.c computes with. */
#ifndef SOTTO_GEMMA_STATE_H
#define SOTTO_GEMMA_STATE_H

#include "gemma_model.h"

/* The tensors of a forward pass, side by side in one buffer: n tokens use the first n rows of most. */
typedef struct gemma_work {
  tensor x, sum;                                /* [n_batch, d_model]: the residual stream, in turns */
  tensor branch;                                /* the same: what waits to be added to it, behind its norm */
  tensor rows;                                  /* the same: normalized */
  tensor q, attended;                           /* [n_batch, n_head * head_dim] */
  tensor k, v;                                  /* [n_batch, n_kv_head * head_dim] */
  tensor hidden, scratch;                       /* [n_batch, d_ff] */
  tensor global_rope, local_rope;               /* [n_batch, head_dim] */
  tensor global_frequencies, local_frequencies; /* [1, head_dim / 2] */
  tensor logits;                                /* [max_logits, n_vocab] */
} gemma_work;

struct gemma_state {
  gemma *g;
  backend *be;
  int32_t n_ctx, n_batch, max_logits, ring;
  kv_type type;   /* of keys and values */
  int32_t length; /* tokens held */
  int32_t kept;   /* local layers hold the positions [kept, length): those before were overwritten in their rings */

  buffer *memory; /* of work */
  gemma_work work;
  kv **past;                                                 /* [n_layer] */
  tensor logits;                                             /* [n_logits, n_vocab] of the last call */
  int32_t *global_slots, *local_slots;                       /* [n_ctx]: place of a position */
  int32_t *positions, *first, *global_length, *local_length; /* [n_batch] */

  void (*watch)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols);
  void *watch_context;
};

/* Places [*n] of the positions that a layer holds, in order: of all in global layers, of those from `kept` on in local ones. */
const int32_t *gemma_places(const gemma_state *s, int32_t layer, int32_t *n);

static inline bool gemma_layer_is_global(const gemma_config *c, int32_t layer) {
  return c->window == 0 || (layer + 1) % c->global_every == 0;
}

#endif
