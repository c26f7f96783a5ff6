/* Audio of any kind and rate as 16 kHz mono, pulled piece by piece in constant memory.
 *
 *     bytes ─> decoder ─> frames (rate, channels) ─> resampler and downmixer ─> samples */
#ifndef CLI_AUDIO_IN_H
#define CLI_AUDIO_IN_H

#include "decode.h"

typedef struct audio_in audio_in;

/* As decoder_open. */
audio_in *audio_in_open(decoder_read_bytes *read, void *context, char *problem, size_t problem_size);
void audio_in_close(audio_in *a); /* NULL is allowed */

/* Writes up to `capacity` samples (16 kHz, mono); 0: the end, or a failure. */
size_t audio_in_read(audio_in *a, float *samples, size_t capacity);

/* The sentence of the failure that ended reading; NULL when none did. */
const char *audio_in_problem(const audio_in *a);

/* What the file is: "wav", ..., and the format of the frames decoded last (zeros before the first). */
const char *audio_in_name(const audio_in *a);
decoder_format audio_in_format(const audio_in *a);

#endif
