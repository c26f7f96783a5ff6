/* A sotto_vad from the inside: sotto_vad.c fills it, a transcription that skips silence uses its parts. */
#ifndef SOTTO_VAD_INTERNAL_H
#define SOTTO_VAD_INTERNAL_H

#include "models/speech.h"
#include "models/vad.h"
#include "sotto_internal.h"

struct sotto_vad {
  sotto_engine *engine;
  vad *network;
  speech speech;
  float frame[VAD_FRAME]; /* the first n_frame samples are there */
  size_t n_frame;
  bool ended;
};

#endif
