/* The log-mel frames of one window, filled from the stream of samples.
 *
 *     samples ─> mel ─> [3000 frames at most, raw] ─> normalized copy for the encoder
 *                        ^ advance drops the first ones
 *
 * openai/whisper raises the floor of the spectrogram to 8 below the maximum of the whole recording. A stream does not have that, so the
 * maximum of all frames so far is taken: the same where the loudest sound is in the first window, or where the recording has one
 * window. */
#ifndef SOTTO_MEL_WINDOW_H
#define SOTTO_MEL_WINDOW_H

#include "../audio/mel.h"

typedef struct mel_window mel_window;

/* NULL: no memory. filters: [n_mel, 201] */
mel_window *mel_window_open(const float *filters, int32_t n_mel, int32_t n_frames);
void mel_window_close(mel_window *w);

/* Takes samples until the window is full; returns how many. */
size_t mel_window_push(mel_window *w, const float *samples, size_t n);
/* After the end of the audio: fills up with the frames that are left. */
void mel_window_drain(mel_window *w);

/* Frames held. */
int32_t mel_window_frames(const mel_window *w);
/* The first n frames normalized, followed by zeros up to a whole window. Valid until the next call. */
const float *mel_window_normalized(mel_window *w, int32_t n);
/* Drops the first n frames. */
void mel_window_advance(mel_window *w, int32_t n);

#endif
