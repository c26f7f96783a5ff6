/* Types of tensors in files as llama.cpp's quantize writes them.
 *
 *     output head, or the embedding that also is it: q6_K (but q8_0 and floats stay)   matrices: the recipe's, by its mix
 *
 * Rows that are no multiple of 256 take the nearest type with blocks of 32; of what even those do not divide, f16. */
#include "recipe.h"

static const recipe recipes[] = {
    {"f32", 0, DTYPE_F32, MIX_NONE, 0},
    {"f16", 1, DTYPE_F16, MIX_NONE, 0},
    {"bf16", 32, DTYPE_BF16, MIX_NONE, 0},
    {"q8_0", 7, DTYPE_Q8_0, MIX_NONE, 0},
    {"q6_K", 18, DTYPE_Q6_K, MIX_NONE, 0},
    {"q5_K_M", 17, DTYPE_Q5_K, MIX_M, DTYPE_Q6_K},
    {"q5_K_S", 16, DTYPE_Q5_K, MIX_NONE, 0},
    {"q5_K", 16, DTYPE_Q5_K, MIX_NONE, 0},
    {"q5_1", 9, DTYPE_Q5_1, MIX_NONE, 0},
    {"q5_0", 8, DTYPE_Q5_0, MIX_NONE, 0},
    {"q4_K_M", 15, DTYPE_Q4_K, MIX_M, DTYPE_Q6_K},
    {"q4_K_S", 14, DTYPE_Q4_K, MIX_S, DTYPE_Q5_K},
    {"q4_K", 14, DTYPE_Q4_K, MIX_NONE, 0},
    {"q4_1", 3, DTYPE_Q4_1, MIX_NONE, 0},
    {"q4_0", 2, DTYPE_Q4_0, MIX_NONE, 0},
    {"iq4_nl", 25, DTYPE_IQ4_NL, MIX_NONE, 0},
    {"iq4_xs", 30, DTYPE_IQ4_XS, MIX_NONE, 0},
    {"q3_K", 11, DTYPE_Q3_K, MIX_NONE, 0},
    {"q2_K", 10, DTYPE_Q2_K, MIX_NONE, 0},
};

enum { N_RECIPES = sizeof recipes / sizeof *recipes };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_name(const char *a, const char *b) {
  while (*a != '\0' && lower(*a) == lower(*b)) a++, b++;
  return *a == *b;
}

const recipe *recipe_at(int32_t index) { return index >= 0 && index < N_RECIPES ? &recipes[index] : NULL; }

const recipe *recipe_find(const char *name) {
  for (size_t i = 0; i < N_RECIPES; i++)
    if (same_name(recipes[i].name, name)) return &recipes[i];
  return NULL;
}

bool recipe_find_type(const char *name, uint32_t *type) {
  for (uint32_t t = 0; t < DTYPE_COUNT; t++) {
    if (dtype_block_elements(t) == 0 || !same_name(dtype_name(t), name)) continue;
    *type = t;
    return true;
  }
  return false;
}

/* The first and the last eighth of the layers, and every third between them. */
static bool matters_most(int32_t layer, int32_t n_layer) {
  const int32_t eighth = n_layer / 8;
  return layer < eighth || layer >= 7 * n_layer / 8 || (layer - eighth) % 3 == 2;
}

static bool gets_finer(const recipe *r, const char *part, int32_t layer, int32_t n_layer) {
  const bool value = strcmp(part, "attn_v") == 0, down = strcmp(part, "ffn_down") == 0;
  if (r->mix == MIX_M) return (value || down) && matters_most(layer, n_layer);
  if (r->mix == MIX_S) return (value && layer < 4) || (down && layer < n_layer / 8);
  return false;
}

static uint32_t in_blocks_of_32(uint32_t type) {
  switch (type) {
    case DTYPE_Q2_K:
    case DTYPE_Q3_K:
    case DTYPE_IQ4_XS:
      return DTYPE_IQ4_NL;
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

uint32_t recipe_fit(uint32_t type, int64_t cols) {
  if (cols % (int64_t)dtype_block_elements(type) != 0) type = in_blocks_of_32(type);
  return cols % (int64_t)dtype_block_elements(type) == 0 ? type : DTYPE_F16;
}

/* Of "blk.LAYER.PART.weight" the layer and the part; -1: the name is none of a layer. */
static int32_t layer_of(const char *name, char part[16]) {
  int32_t layer = 0;
  size_t n = 0;
  if (strncmp(name, "blk.", 4) != 0) return -1;
  for (name += 4; *name >= '0' && *name <= '9' && layer < 1000000; name++) layer = 10 * layer + (*name - '0');
  if (*name++ != '.') return -1;
  while (name[n] != '\0' && name[n] != '.') n++;
  n = min_size(n, 15);
  memcpy(part, name, n);
  part[n] = '\0';
  return layer;
}

uint32_t recipe_type(const recipe *r, const char *name, int64_t cols, int32_t n_layer, bool own_head) {
  uint32_t type = r->type;
  char part[16] = "";
  if (dtype_block_elements(type) == 1) return type;
  const int32_t layer = layer_of(name, part);
  const bool head = strcmp(name, own_head ? "output.weight" : "token_embd.weight") == 0;
  if (head && type != DTYPE_Q8_0) type = DTYPE_Q6_K;
  if (layer >= 0 && gets_finer(r, part, layer, n_layer)) type = r->finer;
  return recipe_fit(type, cols);
}
