/* Reader of whisper.cpp's ggml .bin model files, pushed as bytes arrive.
 *
 *     bytes ──feed──> [header] [mel filters] [vocabulary] [tensor header, data]... ──> callbacks
 *
 * Every count and size is checked before use; memory is taken only for what the checked header allows. Tensor data are handed on in pieces
 * as they come (whole rows are not guaranteed). No I/O. */
#ifndef SOTTO_GGML_BIN_H
#define SOTTO_GGML_BIN_H

#include "../quant/quant.h"

typedef struct ggml_bin_header {
  int32_t n_vocab, n_audio_ctx, n_audio_state, n_audio_head, n_audio_layer;
  int32_t n_text_ctx, n_text_state, n_text_head, n_text_layer, n_mel, ftype;
} ggml_bin_header;

typedef struct ggml_bin_tensor {
  char name[64];
  uint32_t type;   /* dtype */
  int32_t rank;    /* 1 to 3 */
  int64_t dims[4]; /* row-major: outermost first, dims[rank - 1] is contiguous; unused ones are 1 */
  size_t bytes;
} ggml_bin_tensor;

typedef struct ggml_bin_sink {
  void *context;
  /* Each returns a status < 0 to stop; the reader passes it on. */
  sotto_status (*header)(void *context, const ggml_bin_header *header, error *err);
  sotto_status (*filters)(void *context, const float *filters /* [n_mel, n_fft] */, int32_t n_mel, int32_t n_fft,
                          error *err);
  /* Tokens in rank order; `text` is not NUL-terminated, may hold any bytes, and is valid during the call. */
  sotto_status (*token)(void *context, int32_t id, const char *text, uint32_t bytes, error *err);
  sotto_status (*vocabulary_end)(void *context, int32_t n_tokens, error *err);
  sotto_status (*tensor_begin)(void *context, const ggml_bin_tensor *tensor, error *err);
  sotto_status (*tensor_data)(void *context, const void *bytes, size_t size, error *err);
  sotto_status (*tensor_end)(void *context, error *err);
} ggml_bin_sink;

typedef struct ggml_bin ggml_bin;

ggml_bin *ggml_bin_open(const ggml_bin_sink *sink); /* NULL: no memory */
void ggml_bin_close(ggml_bin *b);
sotto_status ggml_bin_feed(ggml_bin *b, const void *bytes, size_t size, error *err);
/* Inside of a tensor's data: passes over those that did not come yet and returns how many they are, for who wants the heads alone; else 0. Calls nothing. */
size_t ggml_bin_skip(ggml_bin *b);
sotto_status ggml_bin_finish(ggml_bin *b, error *err); /* FORMAT when the file stops in the middle of something */

#endif
