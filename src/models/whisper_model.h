/* Inside of a loaded Whisper model: what whisper_model.c fills and whisper.c multiplies with. */
#ifndef SOTTO_WHISPER_MODEL_H
#define SOTTO_WHISPER_MODEL_H

#include "../text/whisper_vocab.h"
#include "loading.h"
#include "whisper.h"

typedef struct whisper_linear {
  weight *w;   /* [out, in] */
  tensor bias; /* [1, out]; buf is NULL where there is none */
} whisper_linear;

typedef struct whisper_norm {
  tensor gain, bias; /* [1, d] */
} whisper_norm;

typedef struct whisper_attention {
  whisper_norm ln;
  whisper_linear query, key, value, out;
} whisper_attention;

typedef struct whisper_layer {
  whisper_attention self;
  whisper_attention cross; /* decoder only */
  whisper_norm mlp_ln;
  whisper_linear fc1, fc2; /* [4d, d], [d, 4d] */
} whisper_layer;

enum tensor_kind { KIND_VECTOR, KIND_TABLE, KIND_MATRIX, KIND_CONV };

/* One tensor that the file must hold, and where it goes. */
typedef struct whisper_slot {
  char name[64];
  enum tensor_kind kind;
  int32_t out,
      in; /* matrix: rows, columns; table: rows, columns; vector: 1, n; convolution: out, input channels (times 3) */
  tensor *param;   /* for vectors and tables */
  weight **matrix; /* for matrices and convolutions */
  uint32_t type;   /* dtype in the file */
  bool seen;
} whisper_slot;

struct whisper {
  backend *be;
  buffer *params; /* of all vectors and tables of positions */
  ggml_bin *reader;
  bool have_header, finished;
  ggml_bin_header h;
  whisper_vocab *vocab;
  float *filters; /* [n_mel, 201] */

  /* encoder */
  whisper_linear conv1, conv2; /* [d, 3 * n_mel], [d, 3 * d]: columns are (tap, channel) */
  tensor audio_positions;      /* [n_audio_ctx, d] */
  whisper_layer *encoder;      /* [n_audio_layer] */
  whisper_norm ln_post;
  /* decoder */
  weight *token_embedding; /* [n_vocab, d]: also the output head */
  tensor text_positions;   /* [n_text_ctx, d] */
  whisper_layer *decoder;  /* [n_text_layer] */
  whisper_norm ln;

  /* loading */
  whisper_slot *slots; /* [n_slots] */
  int32_t n_slots;
  whisper_slot *current; /* the tensor whose bytes are coming */
  row_stage stage;       /* of its rows; what needs converting as a whole is one row */
};

#endif
