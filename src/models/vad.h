/* Voice activity: the probability that 32 ms of sound are speech (Silero VAD for 16 kHz).
 *
 *     64 samples before, 512 samples ─> spectrum [4, 129] ─> convolutions ─> [128] ─> LSTM ─> probability
 *
 * The network remembers: frames are given in order. */
#ifndef SOTTO_VAD_H
#define SOTTO_VAD_H

#include "../base/base.h"

#define VAD_FRAME 512 /* samples */

typedef struct vad vad;

/* Reads the network's file (formats/vad_bin.h). Errors: FORMAT, UNSUPPORTED, MEMORY. */
sotto_status vad_open(vad **out, const void *bytes, size_t size, error *err);
void vad_close(vad *v); /* NULL is allowed */

/* Forgets what it heard. */
void vad_reset(vad *v);

/* Probability of speech in the next frame [VAD_FRAME], in [0, 1]. Samples are cut to [-1, 1]; those that are no numbers count as 0. */
float vad_frame(vad *v, const float *samples);

#endif
