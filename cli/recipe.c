/* Types of tensors in files as llama.cpp's quantize writes them.
 *
 *     vectors: f32   embedding, which is also the output head: q6_K (but q8_0 and floats stay)   matrices: the recipe's
 *
 * Rows that are no multiple of 256 take the nearest type with blocks of 32; of what even those do not divide, f16. */
#include "recipe.h"

#include <stdio.h>
#include <strings.h>

static const recipe recipes[] = {
    {"f32", 0, DTYPE_F32, DTYPE_F32},    {"f16", 1, DTYPE_F16, DTYPE_F16},     {"bf16", 32, DTYPE_BF16, DTYPE_BF16},
    {"q8_0", 7, DTYPE_Q8_0, DTYPE_Q8_0}, {"q6_K", 18, DTYPE_Q6_K, DTYPE_Q6_K}, {"q5_K_M", 17, DTYPE_Q5_K, DTYPE_Q6_K},
    {"q5_1", 9, DTYPE_Q5_1, DTYPE_Q5_1}, {"q5_0", 8, DTYPE_Q5_0, DTYPE_Q5_0},  {"q4_K_M", 15, DTYPE_Q4_K, DTYPE_Q6_K},
    {"q4_1", 3, DTYPE_Q4_1, DTYPE_Q4_1}, {"q4_0", 2, DTYPE_Q4_0, DTYPE_Q4_0},
};

const recipe *recipe_find(const char *name) {
  for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
    if (strcasecmp(recipes[i].name, name) == 0) return &recipes[i];
  return NULL;
}

/* The first and the last eighth of the layers, and every third between them. */
static bool gets_finer(int32_t layer, int32_t n_layer) {
  const int32_t eighth = n_layer / 8;
  return layer < eighth || layer >= 7 * n_layer / 8 || (layer - eighth) % 3 == 2;
}

static uint32_t in_blocks_of_32(uint32_t type) {
  switch (type) {
    case DTYPE_Q4_K:
      return DTYPE_Q5_0;
    case DTYPE_Q5_K:
      return DTYPE_Q5_1;
    case DTYPE_Q6_K:
      return DTYPE_Q8_0;
    default:
      return type;
  }
}

uint32_t recipe_type(const recipe *r, const gemma_slot *slot, int32_t n_layer) {
  if (slot->vector != NULL) return DTYPE_F32;
  uint32_t type = r->type;
  int layer = -1;
  char part[16] = "";
  sscanf(slot->gguf_name, "blk.%d.%15[^.]", &layer, part);
  if ((strcmp(part, "attn_v") == 0 || strcmp(part, "ffn_down") == 0) && gets_finer(layer, n_layer)) type = r->finer;
  if (layer < 0 && dtype_block_elements(type) > 1 && type != DTYPE_Q8_0) type = DTYPE_Q6_K;
  if ((size_t)slot->in % dtype_block_elements(type) != 0) type = in_blocks_of_32(type);
  return (size_t)slot->in % dtype_block_elements(type) == 0 ? type : DTYPE_F16;
}
