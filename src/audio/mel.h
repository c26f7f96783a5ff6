/* Log-mel spectrogram as openai/whisper computes it, incrementally.
 *
 *     16 kHz samples ─> reflect padding ─> frames of 400, hop 160 ─> Hann ─> |FFT|^2 ─> mel filters ─> log10
 *
 * Frames come out as raw log10 (clamped at 1e-10); the window's clamp to (max - 8) and scaling are separate, because the maximum is
 * only known later. */
#ifndef SOTTO_MEL_H
#define SOTTO_MEL_H

#include "../base/base.h"

#define MEL_N_FFT  400
#define MEL_HOP    160
#define MEL_N_BINS 201

typedef struct mel mel;

/* filters: [n_mel, 201], copied. NULL: no memory. */
mel *mel_open(const float *filters, int32_t n_mel);
void mel_close(mel *m);
void mel_reset(mel *m); /* to the start of another audio */

/* Takes samples and writes frames, time-major [n, n_mel] f32 of log10(max(power, 1e-10)), at most `capacity` frames; returns their
 * number. *taken: samples taken. samples NULL: the end of the audio, drain (at most a few frames): the audio is then taken to be followed
 * by zeros, as openai pads 30 s of them, and the total number of frames drained and written is ceil(samples / 160). */
size_t mel_run(mel *m, const float *samples, size_t n, size_t *taken, float *frames, size_t capacity);

/* In place: x = (max(x, maximum - 8) + 4) / 4 over n values, where maximum is the largest raw value of the audio. */
void mel_normalize(float *frames, size_t n, float maximum);

#endif
