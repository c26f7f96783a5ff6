/* Stretches of speech, from the probabilities of frames.
 *
 *     probability per frame ─> speech begins at one of `threshold`, and is over when `min_silence_ms` have passed below `end_threshold`
 *       ─> shorter than `min_speech_ms`: dropped ─> widened by `pad_ms`, where two would overlap to the middle ─> sotto_speech
 *
 * The rules are those of Silero's get_speech_timestamps. */
#ifndef SOTTO_SPEECH_H
#define SOTTO_SPEECH_H

#include "../base/base.h"

#define SPEECH_QUEUE 4 /* stretches that a last frame and the end can complete */

typedef struct speech {
  sotto_vad_options o;
  int64_t min_speech, min_silence, pad; /* samples */
  int64_t at;                           /* samples heard */
  bool on;
  int64_t start, silence_start; /* of the speech that is on; silence_start -1: there is none */
  bool waiting;                 /* a stretch is over, its padding not yet known */
  sotto_speech last;            /* that one, its start padded */
  int64_t last_end;             /* of the last one that was, padded; 0: there was none */
  sotto_speech queue[SPEECH_QUEUE];
  int32_t n_queue;
} speech;

/* ARGUMENT: an option out of range. `options` may be NULL for the defaults. */
sotto_status speech_open(speech *s, const sotto_vad_options *options, error *err);
void speech_reset(speech *s);

/* Hears a frame of n samples. The queue must have been emptied. */
void speech_frame(speech *s, float probability, int64_t n);
/* No more come. */
void speech_end(speech *s);

/* The next stretch that is over. */
bool speech_next(speech *s, sotto_speech *out);

/* The stretch that is on: from its start, padded, to where speech was heard last. */
bool speech_now(const speech *s, sotto_speech *out);
/* It is long enough not to be dropped. */
bool speech_is_sure(const speech *s);
/* No stretch to come begins before this sample. */
int64_t speech_earliest(const speech *s);

#endif
