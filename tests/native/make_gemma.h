/* A language model that is as small as can be, in memory. */
#ifndef SOTTO_TEST_MAKE_GEMMA_H
#define SOTTO_TEST_MAKE_GEMMA_H

#include "make_gguf.h"

enum { TINY_N_VOCAB = 64, TINY_D = 32, TINY_D_FF = 64 };

static inline void put_gemma_weights(gguf_maker *m, random_state *r, const char *name, int32_t rows, int32_t cols) {
  static float values[TINY_N_VOCAB * TINY_D_FF];
  random_fill(r, values, (size_t)rows * (size_t)cols, -0.5f, 0.5f);
  gguf_put_tensor(m, name, DTYPE_F32, rows > 1 ? 2 : 1, rows > 1 ? (int64_t[]){rows, cols} : (int64_t[]){cols}, values);
}

/* A GGUF file of a Gemma 2 of two layers, a local one with a window of 6 and a global one, with random weights. */
static inline byte_list tiny_gemma(uint32_t n_ctx) {
  gguf_maker m = {0};
  random_state r = {1};
  gguf_put_string(&m, "general.architecture", "gemma2");
  gguf_put_u32(&m, "gemma2.block_count", 2);
  gguf_put_u32(&m, "gemma2.embedding_length", TINY_D);
  gguf_put_u32(&m, "gemma2.feed_forward_length", TINY_D_FF);
  gguf_put_u32(&m, "gemma2.context_length", n_ctx);
  gguf_put_u32(&m, "gemma2.attention.head_count", 2);
  gguf_put_u32(&m, "gemma2.attention.head_count_kv", 1);
  gguf_put_u32(&m, "gemma2.attention.key_length", TINY_D);
  gguf_put_u32(&m, "gemma2.attention.sliding_window", 6);
  put_gemma_weights(&m, &r, "token_embd.weight", TINY_N_VOCAB, TINY_D);
  put_gemma_weights(&m, &r, "output_norm.weight", 1, TINY_D);
  for (int layer = 0; layer < 2; layer++) {
    static const struct {
      const char *name;
      int32_t rows, cols;
    } tensors[] = {{"attn_norm", 1, TINY_D},      {"post_attention_norm", 1, TINY_D},  {"ffn_norm", 1, TINY_D},
                   {"post_ffw_norm", 1, TINY_D},  {"attn_q", 2 * TINY_D, TINY_D},      {"attn_k", TINY_D, TINY_D},
                   {"attn_v", TINY_D, TINY_D},    {"attn_output", TINY_D, 2 * TINY_D}, {"ffn_gate", TINY_D_FF, TINY_D},
                   {"ffn_up", TINY_D_FF, TINY_D}, {"ffn_down", TINY_D, TINY_D_FF}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
      char name[64];
      snprintf(name, sizeof name, "blk.%d.%s.weight", layer, tensors[i].name);
      put_gemma_weights(&m, &r, name, tensors[i].rows, tensors[i].cols);
    }
  }
  return gguf_made(&m);
}

#endif
