/* Inside of a loaded Gemma: what gemma_model.c fills and gemma.c multiplies with. */
#ifndef SOTTO_GEMMA_MODEL_H
#define SOTTO_GEMMA_MODEL_H

#include "../formats/gguf.h"
#include "../formats/safetensors.h"
#include "gemma.h"
#include "loading.h"

typedef struct gemma_layer {
  tensor attention_norm, post_attention_norm, mlp_norm,
      post_mlp_norm;                 /* [1, d_model]; post norms: where the family has them */
  tensor query_norm, key_norm;       /* [1, head_dim]; where the family has them */
  weight *query, *key, *value, *out; /* [n_head * head_dim, d], [n_kv_head * head_dim, d] x 2, [d, ...] */
  weight *gate, *up, *down;          /* [d_ff, d] x 2, [d, d_ff] */
} gemma_layer;

/* One tensor that the files must hold, and where it goes. */
typedef struct gemma_slot {
  char gguf_name[64], hf_name[80];
  int32_t out, in; /* vectors: out 1 */
  tensor *vector;  /* NULL for matrices */
  weight **matrix;
  uint32_t type; /* dtype in the file */
  bool seen;
} gemma_slot;

enum gemma_file_kind {
  FILE_NONE,
  FILE_GGUF,
  FILE_SAFETENSORS,
  FILE_CONFIG,
  FILE_TOKENIZER_MODEL,
  FILE_TOKENIZER_JSON,
  FILE_OTHER
};

struct gemma {
  backend *be;
  gemma_config c;
  bool have_config, finished;
  spm_vocab *vocab;

  weight *embedding; /* [n_vocab, d_model]: also the output head */
  buffer *vectors;   /* of all norms */
  tensor output_norm;
  gemma_layer *layers; /* [n_layer] */

  /* loading */
  enum gemma_file_kind kind;
  gguf *gguf;
  safetensors *safetensors;
  bool from_gguf; /* norm weights are stored as 1 + w */
  uint8_t *text;  /* a small file that is read whole */
  size_t n_text, text_capacity;
  gemma_slot *slots; /* [n_slots] */
  int32_t n_slots;
  gemma_slot *current;  /* NULL: a tensor that is not needed */
  row_stage stage;      /* of its rows; a vector is one */
  uint64_t fingerprint; /* the sum of hashes: of the configuration, and of the beginning of each tensor */
  uint64_t current_hash;
  size_t unhashed; /* bytes of the beginning that are still to come */
};

/* A number that tells models from each other. */
uint64_t gemma_fingerprint(const gemma *g);

/* gemma_config.c: the configuration from either kind of file. */
sotto_status gemma_config_from_gguf(gemma_config *c, const gguf *g, error *err);
sotto_status gemma_config_from_json(gemma_config *c, const char *text, size_t size, error *err);

#endif
