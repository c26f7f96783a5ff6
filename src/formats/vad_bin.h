/* Reader of the ggml file of a network that tells speech from silence (Silero VAD for 16 kHz, as whisper.cpp takes it).
 *
 *     "lmgg" [size, "silero-16k"] [version] [header: sizes of the layers] ([rank, size of the name, type][dims][name][data])...
 *
 * The file is small and comes whole. Every count and size is checked before use. No I/O. */
#ifndef SOTTO_VAD_BIN_H
#define SOTTO_VAD_BIN_H

#include "../base/base.h"

/* A tensor that the caller wants: its values go to `out` as f32, in the order of the file (the last dimension is contiguous). */
typedef struct vad_bin_want {
  const char *name;
  int32_t dims[3]; /* outermost first; unused ones are 1 */
  float *out;      /* [dims[0] * dims[1] * dims[2]] */
} vad_bin_want;

/* Reads a file of exactly these tensors, n at most 32, whose header holds exactly these numbers.
 * Errors: FORMAT (foreign, truncated, corrupt), UNSUPPORTED (a network of another shape). */
sotto_status vad_bin_read(const void *bytes, size_t size, const int32_t *header, size_t n_header,
                          const vad_bin_want *wants, size_t n, error *err);

#endif
