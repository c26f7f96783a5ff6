/* Transcription of audio of any length: windows, seeking, fallback, context. (search within one window: whisper_decode.h)
 *
 *     push ─> mel ring ─> window [3000 frames at seek] ─> encode ─> decode at T = 0, 0.2, ... ─> segments; seek moves on
 *
 * The engine of sotto_transcription_*: the public functions are thin over these. Memory is constant. */
#ifndef SOTTO_TRANSCRIBE_H
#define SOTTO_TRANSCRIBE_H

#include "whisper_net.h"

typedef struct transcribe transcribe;

/* What a transcription needs of a model. */
typedef struct transcribe_model {
  const whisper_vocab *vocab;
  const ggml_bin_header *header;
  const float *filters; /* [n_mel, 201] */
  whisper_net net;
} transcribe_model;

sotto_status transcribe_open(transcribe **out, whisper *w, const sotto_transcribe_options *options, error *err);
/* The same over any network; all of `model` is borrowed, and runs at most as many sequences as the options ask for. */
sotto_status transcribe_open_on(transcribe **out, const transcribe_model *model,
                                const sotto_transcribe_options *options, error *err);
void transcribe_close(transcribe *t);
size_t transcribe_push(transcribe *t, const float *samples, size_t n);
void transcribe_end(transcribe *t);
sotto_status transcribe_step(transcribe *t, error *err);
const sotto_segment *transcribe_segment(transcribe *t);
const char *transcribe_language(const transcribe *t, float *p);
float transcribe_language_p(const transcribe *t, int32_t index);
void transcribe_progress(const transcribe *t, sotto_progress *progress);
void transcribe_timings(const transcribe *t, sotto_timings *timings);

#endif
