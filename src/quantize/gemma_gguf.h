/* What a Gemma's GGUF file says before its tensors: metadata as llama.cpp writes and reads them. */
#ifndef SOTTO_GEMMA_GGUF_H
#define SOTTO_GEMMA_GGUF_H

#include "../formats/gguf_write.h"
#include "../models/gemma_model.h"
#include "recipe.h"

typedef struct gemma_gguf {
  const gemma *model;     /* has its configuration; weights are not needed */
  const spm_vocab *vocab; /* NULL: the file gets no tokenizer */
  const char *name;       /* general.name */
  const char *chat_template;
  size_t chat_template_bytes; /* 0: our own, where the vocabulary has turns */
  const recipe *recipe;
} gemma_gguf;

/* Errors: UNSUPPORTED (a configuration that GGUF has no words for), FORMAT, MEMORY. */
sotto_status gemma_gguf_metadata(const gemma_gguf *f, gguf_writer *w, error *err);

/* Type of a tensor by the recipe. */
uint32_t gemma_gguf_type(const gemma_gguf *f, const gemma_slot *slot);

/* Announces a tensor of this type. */
void gemma_gguf_announce(gguf_writer *w, const gemma_slot *slot, uint32_t type);

#endif
