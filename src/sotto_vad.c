/* The public API of voice activity: the network, the stretches of speech, and the frame that is being filled. */
#include "sotto_vad.h"

void sotto_vad_options_default(sotto_vad_options *options) {
  if (options == NULL) return;
  *options = (sotto_vad_options){.threshold = 0.5f, .min_speech_ms = 250, .min_silence_ms = 100, .pad_ms = 30};
}

sotto_status sotto_vad_open(sotto_vad **out, sotto_engine *engine, const void *bytes, size_t size,
                            const sotto_vad_options *options) {
  if (out != NULL) *out = NULL;
  if (out == NULL || engine == NULL) return SOTTO_ERR_ARGUMENT;
  error *err = &engine->err;
  if (bytes == NULL || size == 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "no bytes were given for the voice activity network");
  sotto_vad *v = mem_alloc(1, sizeof *v);
  if (v == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the voice activity network");
  v->engine = engine;
  sotto_status status = speech_open(&v->speech, options, err);
  if (status == SOTTO_OK) status = vad_open(&v->network, bytes, size, err);
  if (status == SOTTO_OK)
    *out = v;
  else
    mem_free(v);
  return status;
}

void sotto_vad_close(sotto_vad *v) {
  if (v == NULL) return;
  vad_close(v->network);
  mem_free(v);
}

void sotto_vad_reset(sotto_vad *v) {
  if (v == NULL) return;
  vad_reset(v->network);
  speech_reset(&v->speech);
  v->n_frame = 0;
  v->ended = false;
}

/* Probability of the frame, of which the first n_frame samples are sound. */
static float finish_frame(sotto_vad *v) {
  memset(v->frame + v->n_frame, 0, (VAD_FRAME - v->n_frame) * sizeof *v->frame);
  const float p = vad_frame(v->network, v->frame);
  speech_frame(&v->speech, p, (int64_t)v->n_frame);
  v->n_frame = 0;
  return p;
}

size_t sotto_vad_push(sotto_vad *v, const float *samples, size_t n, float *probability) {
  float p = -1;
  size_t taken = 0;
  if (v != NULL && samples != NULL && !v->ended && v->speech.n_queue == 0) {
    taken = min_size(n, VAD_FRAME - v->n_frame);
    if (taken > 0) memcpy(v->frame + v->n_frame, samples, taken * sizeof *samples);
    v->n_frame += taken;
    if (v->n_frame == VAD_FRAME) p = finish_frame(v);
  }
  if (probability != NULL) *probability = p;
  return taken;
}

void sotto_vad_end(sotto_vad *v, float *probability) {
  float p = -1;
  if (v != NULL && !v->ended) {
    if (v->n_frame > 0) p = finish_frame(v);
    speech_end(&v->speech);
    v->ended = true;
  }
  if (probability != NULL) *probability = p;
}

int32_t sotto_vad_next(sotto_vad *v, sotto_speech *out) {
  return v != NULL && out != NULL && speech_next(&v->speech, out);
}

int32_t sotto_vad_now(const sotto_vad *v, sotto_speech *out) {
  return v != NULL && out != NULL && speech_now(&v->speech, out);
}
