/* What is left of audio without its silence, and where in the audio that was.
 *
 *     samples ─> frames ─> vad ─> speech ─┐
 *        └─────> ring of those undecided ─┴─> speech, a tenth of a second of silence, speech ... ─> taken
 *
 * Memory: some seconds of samples, by the options of the speech; two numbers for every stretch. */
#ifndef SOTTO_SPEECH_ONLY_H
#define SOTTO_SPEECH_ONLY_H

#include "speech.h"
#include "vad.h"

typedef struct speech_only speech_only;

/* Both are the caller's and at their start. NULL: no memory. */
speech_only *speech_only_open(vad *network, speech *stretches);
void speech_only_close(speech_only *s); /* NULL is allowed */

/* Takes samples, fewer than n where what it has must be taken first. */
size_t speech_only_push(speech_only *s, const float *samples, size_t n);
void speech_only_end(speech_only *s);

/* What can be taken now: *n samples in a row, valid until the next call; 0: none. */
const float *speech_only_ready(speech_only *s, size_t *n);
/* Takes the first n of them. False: no memory. */
bool speech_only_take(speech_only *s, size_t n);

/* Where sample `taken` of what was taken lies in the audio; of the silence between two stretches, where the second begins, or else where the
 * first ended. */
int64_t speech_only_origin(const speech_only *s, int64_t taken, bool begins);
/* Samples pushed. */
int64_t speech_only_heard(const speech_only *s);

#endif
