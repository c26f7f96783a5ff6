/* Which type each tensor of a quantized model gets, as in the files that people have. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include "../src/models/gemma_model.h"

typedef struct recipe {
  const char *name;   /* "q4_K_M" */
  uint32_t file_type; /* general.file_type */
  uint32_t type;      /* dtype of most matrices */
  uint32_t finer;     /* of values and MLP outputs in the layers that matter most */
} recipe;

#define RECIPE_NAMES "f32, f16, bf16, q8_0, q6_K, q5_K_M, q5_1, q5_0, q4_K_M, q4_1, q4_0"

/* By its name, in upper or lower case; NULL: unknown. */
const recipe *recipe_find(const char *name);

/* Type of a tensor; `n_layer` of its model. */
uint32_t recipe_type(const recipe *r, const gemma_slot *slot, int32_t n_layer);

#endif
