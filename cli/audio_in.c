#include "audio_in.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../include/sotto.h"

#define BUFFER_FLOATS 16384

struct audio_in {
  decoder *source;
  decoder_format format;      /* of the resampler that is open, and of the frames in the buffer before a change */
  decoder_format next;        /* of the frames in the buffer */
  sotto_resampler *resampler; /* NULL before the first frames */
  bool at_end;                /* of the source */
  char problem[128];          /* of the resampler; "" while there is none */
  size_t at, n_frames;        /* frames [at, n_frames) of the buffer wait for the resampler */
  float buffer[BUFFER_FLOATS];
};

audio_in *audio_in_open(decoder_read_bytes *read, void *context, char *problem, size_t problem_size) {
  audio_in *a = calloc(1, sizeof *a);
  if (a == NULL) {
    snprintf(problem, problem_size, "out of memory");
    return NULL;
  }
  a->source = decoder_open(read, context, problem, problem_size);
  if (a->source == NULL) {
    free(a);
    return NULL;
  }
  return a;
}

void audio_in_close(audio_in *a) {
  if (a == NULL) return;
  sotto_resampler_close(a->resampler);
  decoder_close(a->source);
  free(a);
}

static bool same_format(decoder_format x, decoder_format y) { return x.rate == y.rate && x.channels == y.channels; }

/* Opens the resampler for the frames in the buffer. */
static bool start_resampler(audio_in *a) {
  sotto_resampler_close(a->resampler);
  a->resampler = NULL;
  a->format = a->next;
  sotto_status status = sotto_resampler_open(&a->resampler, a->format.rate, a->format.channels);
  if (status == SOTTO_OK) return true;
  if (status == SOTTO_ERR_MEMORY) {
    snprintf(a->problem, sizeof a->problem, "out of memory");
  } else {
    snprintf(a->problem, sizeof a->problem,
             "audio of %.0f Hz and %d channels is not supported: convert it to 16 kHz mono", a->format.rate,
             (int)a->format.channels);
  }
  return false;
}

size_t audio_in_read(audio_in *a, float *samples, size_t capacity) {
  for (;;) {
    if (audio_in_problem(a) != NULL) return 0;
    if (a->at == a->n_frames && !a->at_end) {
      a->at = 0;
      a->n_frames = decoder_read(a->source, a->buffer, BUFFER_FLOATS, &a->next);
      a->at_end = a->n_frames == 0;
      if (a->at_end) continue; /* to look whether it failed */
    }
    if (a->resampler == NULL) {
      if (a->at_end) return 0; /* no frame at all */
      if (!start_resampler(a)) continue;
    }
    bool drain = a->at_end || !same_format(a->format, a->next);
    const float *frames = drain ? NULL : a->buffer + a->at * (size_t)a->format.channels;
    size_t taken = 0;
    size_t n = sotto_resampler_run(a->resampler, frames, drain ? 0 : a->n_frames - a->at, &taken, samples, capacity);
    if (!drain) a->at += taken;
    if (n > 0) return n;
    if (drain) {
      if (a->at_end) return 0;
      if (!start_resampler(a)) continue;
    } else if (taken == 0) {
      return 0; /* never while there is room */
    }
  }
}

const char *audio_in_problem(const audio_in *a) {
  return a->problem[0] != '\0' ? a->problem : decoder_problem(a->source);
}

const char *audio_in_name(const audio_in *a) { return decoder_name(a->source); }
decoder_format audio_in_format(const audio_in *a) { return a->format; }
