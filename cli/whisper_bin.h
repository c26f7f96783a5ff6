/* A Whisper of a true shape with random weights, as a ggml .bin file. */
#ifndef CLI_WHISPER_BIN_H
#define CLI_WHISPER_BIN_H

#include "noise.h"
#include "../src/quantize/recipe.h"

typedef struct whisper_shape {
  const char *name; /* "whisper-tiny" */
  int32_t d, n_head, n_audio_layer, n_text_layer, n_vocab, n_mel;
} whisper_shape;

#define WHISPER_SHAPE_NAMES "whisper-tiny, whisper-small, whisper-large-v3-turbo"

const whisper_shape *whisper_shape_find(const char *name); /* NULL: unknown */

/* Writes the file, which appears whole or not at all. Errors: ARGUMENT (the format has no such type, or the file cannot be written). */
sotto_status whisper_bin_write(const char *path, const whisper_shape *shape, const recipe *r, noise *z, error *err);

#endif
