/* A Gemma as a GGUF file: metadata and names as llama.cpp writes and reads them. */
#ifndef CLI_GEMMA_GGUF_H
#define CLI_GEMMA_GGUF_H

#include "../src/formats/gguf_write.h"
#include "../src/models/gemma_model.h"
#include "recipe.h"

/* Where the weights come from. */
typedef struct gemma_rows {
  void *context;
  /* Writes rows [first, first + n) of a tensor as `type` to `out`; weights of norms as 1 + w. */
  sotto_status (*read)(void *context, const gemma_slot *slot, uint32_t type, int32_t first, int32_t n, uint8_t *out,
                       error *err);
} gemma_rows;

typedef struct gemma_gguf {
  const gemma *model;     /* has its configuration; weights are not needed */
  const spm_vocab *vocab; /* NULL: the file gets no tokenizer */
  const char *name;       /* general.name */
  const char *chat_template;
  size_t chat_template_bytes; /* 0: our own, where the vocabulary has turns */
  const recipe *recipe;
} gemma_gguf;

/* Errors: UNSUPPORTED (a configuration that GGUF has no words for), FORMAT, MEMORY, those of `rows` and `out`. */
sotto_status gemma_gguf_write(const gemma_gguf *f, const gemma_rows *rows, const gguf_output *out, error *err);

#endif
