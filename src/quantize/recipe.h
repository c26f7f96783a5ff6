/* Which type each tensor of a quantized model gets, as in the files that people have. */
#ifndef SOTTO_RECIPE_H
#define SOTTO_RECIPE_H

#include "../quant/quant.h"

/* How the types of single tensors differ from the main one. */
typedef enum recipe_mix {
  MIX_NONE, /* the output head alone */
  MIX_S,    /* values and MLP outputs of the first layers are finer */
  MIX_M     /* and of every third layer, and of the last ones */
} recipe_mix;

typedef struct recipe {
  const char *name;   /* "q4_K_M" */
  uint32_t file_type; /* general.file_type */
  uint32_t type;      /* dtype of most matrices */
  recipe_mix mix;
  uint32_t finer; /* of those that the mix picks out */
} recipe;

#define RECIPE_NAMES                                                                                                 \
  "f32, f16, bf16, q8_0, q6_K, q5_K_M, q5_K_S, q5_K, q5_1, q5_0, q4_K_M, q4_K_S, q4_K, q4_1, q4_0, iq4_xs, iq4_nl, " \
  "q3_K, q2_K"

/* Recipe `index` of [0, n), finest first; NULL past the end. */
const recipe *recipe_at(int32_t index);
/* By its name, in upper or lower case; NULL: unknown. */
const recipe *recipe_find(const char *name);
/* Type of a tensor by its name, in upper or lower case; false: unknown, or not one that can be written. */
bool recipe_find_type(const char *name, uint32_t *type);

/* Type of the tensor `name` (as in GGUF files) with rows of `cols`, of a model of n_layer layers; own_head: it has an output head of its own beside the embedding. Vectors are the caller's business. */
uint32_t recipe_type(const recipe *r, const char *name, int64_t cols, int32_t n_layer, bool own_head);

/* Of the caller's wish for a tensor: `type`, or what is nearest to it and has blocks that divide rows of `cols`. */
uint32_t recipe_fit(uint32_t type, int64_t cols);

#endif
