/* Gemma 1, 2 and 3 (text): the loaded model and its forward pass.
 *
 *     ids [n] ─> embedding * sqrt(d) ─> layers { norm, attention, norm, +, norm, MLP, norm, + } ─> norm ─> · embeddingᵀ ─> logits
 *
 * A model comes from one GGUF file, from several (a split one), or from the files of a Hugging Face folder. */
#ifndef SOTTO_GEMMA_H
#define SOTTO_GEMMA_H

#include "../ops.h"
#include "../text/spm_vocab.h"

typedef struct gemma gemma;             /* a model: weights, vocabulary */
typedef struct gemma_state gemma_state; /* one sequence: activations, K/V */

typedef struct gemma_config {
  char architecture[32]; /* "gemma", "gemma2", "gemma3" */
  int32_t n_layer, d_model, n_head, n_kv_head, head_dim, d_ff, n_vocab, n_ctx_train;
  float norm_eps;
  float embedding_scale;
  float attention_scale;           /* of q kᵀ */
  float attention_cap, logit_cap;  /* 0: none */
  float theta_global, theta_local; /* bases of the rotary frequencies */
  float rope_factor;               /* positions of global layers are divided by it */
  int32_t window;                  /* of local layers; 0: all layers are global */
  int32_t global_every;            /* layer i is global when (i + 1) % global_every == 0 */
  bool qk_norm, post_norms;
} gemma_config;

/* -- model -- */

/* NULL: no memory. Without a backend it takes a description, and no weights. */
gemma *gemma_open(backend *be);
void gemma_close(gemma *g); /* NULL is allowed */

/* The bytes that follow are those of the file `name`: "x.gguf", "config.json", "tokenizer.model", "tokenizer.json", "*.safetensors"; other JSON files are
 * passed over. Ends the file before it. Errors: FORMAT, UNSUPPORTED, MEMORY. */
sotto_status gemma_file(gemma *g, const char *name, error *err);
sotto_status gemma_feed(gemma *g, const void *bytes, size_t size, error *err);
/* The end of the last file: checks that everything came. */
sotto_status gemma_finish(gemma *g, error *err);
bool gemma_finished(const gemma *g);

const gemma_config *gemma_configuration(const gemma *g); /* NULL before it came */
const spm_vocab *gemma_vocabulary(const gemma *g);       /* NULL: the files have none */
void gemma_describe(const gemma *g, sotto_model_info *info);
/* As sotto_model_tensor, of those that came. */
int32_t gemma_tensor(const gemma *g, int32_t index, const char **name, const char **type, int64_t dims[4]);

/* -- state -- */

typedef struct gemma_plan {
  int32_t n_ctx;    /* the most tokens held */
  int32_t n_batch;  /* the most given to one call */
  int32_t n_logits; /* the most rows of logits that a call makes */
  kv_type kv;
} gemma_plan;

/* What open takes. */
uint64_t gemma_state_bytes(const gemma *g, const gemma_plan *plan);
/* Errors: ARGUMENT, MEMORY. */
sotto_status gemma_state_open(gemma_state **out, gemma *g, const gemma_plan *plan, error *err);
/* Another that goes on alike from here: tokens held, keys and values, logits. AGAIN: they are not here yet, call again. Errors: MEMORY. */
sotto_status gemma_state_fork(gemma_state **out, gemma_state *s, error *err);
void gemma_state_close(gemma_state *s); /* NULL is allowed */

/* Evaluates tokens [n] at positions [length, length + n), n <= n_batch, and makes logits of the last n_logits of them (0 to n). Of a backend that
 * chooses, tokens may be CHOSEN. */
sotto_status gemma_eval(gemma_state *s, const int32_t *tokens, int32_t n, int32_t n_logits);
/* Logits [n_vocab] of row i of the n_logits; the caller's to change until the next call; NULL while pending. */
float *gemma_logits(gemma_state *s, int32_t i);
/* The backend, which can, chooses by the last row: ops.h. */
bool gemma_choose(gemma_state *s, const sotto_sampler_options *options, const int32_t *history, int32_t n_history,
                  double draw, int32_t place);
int32_t gemma_length(const gemma_state *s);
/* Calls watch(context, i, x) with the residual stream before layer i, and at n_layer after the last norm of the rows that get logits; for finding faults. */
void gemma_watch(gemma_state *s, void (*watch)(void *context, int32_t i, const float *x, int32_t rows, int32_t cols),
                 void *context);

/* Forgets all but the first n tokens. False when local layers no longer hold what is needed to go on from there: then nothing was forgotten, and
 * only n = 0 helps. */
bool gemma_truncate(gemma_state *s, int32_t n);

/* -- a state as bytes, with the tokens that it holds (gemma_save.c) -- */

size_t gemma_save_bytes(const gemma_state *s);
/* Writes gemma_save_bytes to `bytes`; tokens [length]. AGAIN: the keys and values are not here yet, call again. */
sotto_status gemma_save(gemma_state *s, const int32_t *tokens, void *bytes);
/* Puts saved bytes in the place of what is held; tokens [n_ctx] get gemma_length of them. Errors: FORMAT, and all is as it was. */
sotto_status gemma_restore(gemma_state *s, int32_t *tokens, const void *bytes, size_t n, error *err);

#endif
