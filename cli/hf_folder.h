/* A Gemma's folder as on Hugging Face, open for reading: configuration, vocabulary, and the rows of any tensor. */
#ifndef CLI_HF_FOLDER_H
#define CLI_HF_FOLDER_H

#include "gemma_gguf.h"
#include "mapped_file.h"

typedef struct hf_weights { /* one .safetensors file */
  mapped_file file;
  safetensors *reader;
} hf_weights;

typedef struct hf_folder {
  const char *path;
  gemma *model;        /* its configuration and vocabulary; no weights */
  hf_weights *weights; /* [n_weights] */
  uint32_t n_weights;
  mapped_file chat_template; /* chat_template.jinja; empty: there is none */
  float *row;                /* [row_capacity] */
  size_t row_capacity;
} hf_folder;

/* Checks that every tensor is there with its shape. Close it after failure too.
 * Errors: ARGUMENT (a file that cannot be read), FORMAT, UNSUPPORTED, MEMORY. */
sotto_status hf_folder_open(hf_folder *f, const char *path, error *err);
void hf_folder_close(hf_folder *f);

/* Weights as gemma_gguf_write takes them, converted row by row. */
gemma_rows hf_folder_rows(hf_folder *f);

#endif
