/* The public API over the parts: an engine owns the threads and the last error, a model its weights, a transcription its state.
 * What works on text is in sotto_text.c. */
#include "base/pool.h"
#include "models/speech_only.h"
#include "models/transcribe.h"
#include "sotto_internal.h"
#include "sotto_vad.h"
#include "text/whisper_vocab.h"

struct sotto_transcription {
  sotto_engine *engine;
  transcribe *t;
  speech_only *speech; /* NULL: it hears everything */
  bool ended;
  sotto_segment segment; /* the last one given out, with the times of the audio */
};

const char *sotto_version(void) { return SOTTO_VERSION; }

/* ---- engine ---- */

static sotto_status open_backend(sotto_engine *e, int32_t which) {
  if (which == SOTTO_BACKEND_WEBGPU) return gpu_backend_open(&e->be, &e->err);
  e->be = cpu_backend_open(e->threads);
  return e->be != NULL ? SOTTO_OK : SOTTO_ERR_MEMORY;
}

sotto_status sotto_engine_open(sotto_engine **out, const sotto_engine_options *options) {
  if (out == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  const sotto_engine_options o = options != NULL ? *options : (sotto_engine_options){0};
  int32_t n_threads = o.n_threads;
  if (n_threads < 0 || n_threads > POOL_MAX_THREADS) return SOTTO_ERR_ARGUMENT;
  if (o.backend < SOTTO_BACKEND_CPU || o.backend > SOTTO_BACKEND_WEBGPU) return SOTTO_ERR_ARGUMENT;
  if (n_threads == 0) n_threads = o.backend == SOTTO_BACKEND_CPU ? min_i32(pool_cores(), 8) : 1;
  sotto_engine *e = mem_alloc(1, sizeof *e);
  if (e == NULL) return SOTTO_ERR_MEMORY;
  e->threads = pool_open(n_threads);
  sotto_status status = e->threads != NULL ? SOTTO_OK : SOTTO_ERR_MEMORY;
  if (status == SOTTO_OK) status = open_backend(e, o.backend);
  if (status == SOTTO_OK)
    *out = e;
  else
    sotto_engine_close(e);
  return status;
}

void sotto_engine_close(sotto_engine *e) {
  if (e == NULL) return;
  if (e->be != NULL) e->be->ops->close(e->be);
  if (e->threads != NULL) pool_close(e->threads);
  mem_free(e);
}

const char *sotto_engine_error(const sotto_engine *e) { return e != NULL ? e->err.text : ""; }
int32_t sotto_engine_threads(const sotto_engine *e) { return e != NULL ? pool_threads(e->threads) : 0; }

const char *sotto_engine_backend(const sotto_engine *e) { return e != NULL ? e->be->ops->name : ""; }

const char *sotto_engine_isa(const sotto_engine *e) {
  (void)e;
  return cpu_backend_isa();
}

pool *sotto_engine_pool(sotto_engine *e) { return e->threads; }

sotto_status check_device(sotto_engine *e, sotto_status status) {
  if (status != SOTTO_AGAIN || !e->be->lost) return status;
  return fail(&e->err, SOTTO_ERR_DEVICE, "the GPU is gone, or its memory ran out: open another engine");
}

/* ---- model ---- */

sotto_status sotto_model_open(sotto_model **out, sotto_engine *engine) {
  if (out != NULL) *out = NULL;
  if (out == NULL || engine == NULL) return SOTTO_ERR_ARGUMENT;
  sotto_model *m = mem_alloc(1, sizeof *m);
  if (m == NULL) return fail(&engine->err, SOTTO_ERR_MEMORY, "out of memory for a model");
  m->engine = engine;
  *out = m;
  return SOTTO_OK;
}

static bool finished(const sotto_model *m) {
  return (m->speech != NULL && whisper_finished(m->speech)) || (m->language != NULL && gemma_finished(m->language));
}

static sotto_status feed(sotto_model *m, const void *bytes, size_t size) {
  error *err = &m->engine->err;
  return m->language != NULL ? gemma_feed(m->language, bytes, size, err) : whisper_feed(m->speech, bytes, size, err);
}

static sotto_status become_language(sotto_model *m) {
  m->language = gemma_open(m->engine->be);
  return m->language != NULL ? SOTTO_OK : fail(&m->engine->err, SOTTO_ERR_MEMORY, "out of memory for a model");
}

/* Opens the kind of model that the first bytes belong to, and gives it these. */
static sotto_status become(sotto_model *m) {
  if (m->n_magic == sizeof m->magic && memcmp(m->magic, "GGUF", 4) == 0) {
    TRY(become_language(m));
    TRY(gemma_file(m->language, "model.gguf", &m->engine->err));
  } else {
    m->speech = whisper_open(m->engine->be);
    if (m->speech == NULL) return fail(&m->engine->err, SOTTO_ERR_MEMORY, "out of memory for a model");
  }
  return feed(m, m->magic, m->n_magic);
}

static sotto_status take(sotto_model *m, const uint8_t *bytes, size_t size) {
  if (m->speech == NULL && m->language == NULL) {
    const size_t n = min_size(size, sizeof m->magic - m->n_magic);
    if (n > 0) memcpy(m->magic + m->n_magic, bytes, n);
    m->n_magic += n;
    if (m->n_magic < sizeof m->magic) return SOTTO_OK;
    TRY(become(m));
    bytes += n;
    size -= n;
  }
  return size > 0 ? feed(m, bytes, size) : SOTTO_OK;
}

sotto_status sotto_model_file(sotto_model *m, const char *name) {
  if (m == NULL) return SOTTO_ERR_ARGUMENT;
  if (m->failed < 0) return m->failed;
  error *err = &m->engine->err;
  if (name == NULL || name[0] == '\0') return fail(err, SOTTO_ERR_ARGUMENT, "the model's file has no name: give one");
  if (finished(m)) return fail(err, SOTTO_ERR_ARGUMENT, "the model is finished: it takes no more files");
  if (m->speech != NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "a Whisper model is one file: feed its bytes without naming it");
  if (m->n_magic > 0) return fail(err, SOTTO_ERR_ARGUMENT, "bytes were fed before the file %.100s was named", name);
  if (m->language == NULL) m->failed = become_language(m);
  if (m->failed == SOTTO_OK) m->failed = gemma_file(m->language, name, err);
  return m->failed;
}

sotto_status sotto_model_feed(sotto_model *m, const void *bytes, size_t size) {
  if (m == NULL) return SOTTO_ERR_ARGUMENT;
  if (m->failed < 0) return m->failed;
  if (bytes == NULL && size > 0) return fail(&m->engine->err, SOTTO_ERR_ARGUMENT, "no bytes were given to the model");
  if (finished(m)) return fail(&m->engine->err, SOTTO_ERR_ARGUMENT, "the model is finished: it takes no more bytes");
  return m->failed = take(m, bytes, size);
}

static sotto_status finish(sotto_model *m) {
  if (m->speech == NULL && m->language == NULL) TRY(become(m)); /* fewer than four bytes: says so */
  error *err = &m->engine->err;
  return m->language != NULL ? gemma_finish(m->language, err) : whisper_finish(m->speech, err);
}

sotto_status sotto_model_finish(sotto_model *m) {
  if (m == NULL) return SOTTO_ERR_ARGUMENT;
  if (m->failed < 0 || finished(m)) return m->failed;
  return m->failed = finish(m);
}

void sotto_model_close(sotto_model *m) {
  if (m == NULL) return;
  whisper_close(m->speech);
  gemma_close(m->language);
  mem_free(m);
}

void sotto_model_describe(const sotto_model *m, sotto_model_info *info) {
  if (m == NULL || info == NULL) return;
  *info = (sotto_model_info){0};
  if (m->speech != NULL) whisper_describe(m->speech, info);
  if (m->language != NULL) gemma_describe(m->language, info);
}

int32_t sotto_model_tensor(const sotto_model *m, int32_t index, const char **name, const char **type, int64_t dims[4]) {
  if (m == NULL || dims == NULL || index < 0) return 0;
  if (m->language != NULL) return gemma_tensor(m->language, index, name, type, dims);
  return m->speech != NULL ? whisper_tensor(m->speech, index, name, type, dims) : 0;
}

int32_t sotto_language(int32_t index, const char **code, const char **name) {
  const char *c, *n;
  if (!whisper_language(index, &c, &n)) return 0;
  if (code != NULL) *code = c;
  if (name != NULL) *name = n;
  return 1;
}

/* ---- transcription ---- */

sotto_status sotto_transcription_open(sotto_transcription **out, sotto_model *model,
                                      const sotto_transcribe_options *options) {
  if (out != NULL) *out = NULL;
  if (out == NULL || model == NULL) return SOTTO_ERR_ARGUMENT;
  error *err = &model->engine->err;
  sotto_transcribe_options defaults;
  sotto_transcribe_options_default(&defaults);
  if (model->language != NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "this is a language model: it does not hear, open a session on it");
  if (model->speech == NULL) return fail(err, SOTTO_ERR_ARGUMENT, "the model is empty: feed and finish it first");
  sotto_transcription *t = mem_alloc(1, sizeof *t);
  if (t == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription");
  t->engine = model->engine;
  const sotto_status status = transcribe_open(&t->t, model->speech, options != NULL ? options : &defaults, err);
  if (status < 0) {
    mem_free(t);
    return status;
  }
  *out = t;
  return SOTTO_OK;
}

void sotto_transcription_close(sotto_transcription *t) {
  if (t == NULL) return;
  speech_only_close(t->speech);
  transcribe_close(t->t);
  mem_free(t);
}

sotto_status sotto_transcription_skip_silence(sotto_transcription *t, sotto_vad *v) {
  if (t == NULL) return SOTTO_ERR_ARGUMENT;
  error *err = &t->engine->err;
  sotto_progress progress;
  transcribe_progress(t->t, &progress);
  if (v == NULL || t->speech != NULL || t->ended || progress.pushed_s > 0)
    return fail(err, SOTTO_ERR_ARGUMENT,
                "silence is skipped from the start: give the network before the first samples");
  sotto_vad_reset(v);
  t->speech = speech_only_open(v->network, &v->speech);
  return t->speech != NULL ? SOTTO_OK : fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription");
}

/* Gives the transcription what is known to be speech, as far as it takes it. */
static bool give_speech(sotto_transcription *t) {
  size_t n;
  for (const float *ready; (ready = speech_only_ready(t->speech, &n)) != NULL;) {
    const size_t taken = transcribe_push(t->t, ready, n);
    if (!speech_only_take(t->speech, taken)) return false;
    if (taken < n) return true;
  }
  if (t->ended) transcribe_end(t->t);
  return true;
}

size_t sotto_transcription_push(sotto_transcription *t, const float *samples, size_t n) {
  if (t == NULL || samples == NULL) return 0;
  if (t->speech == NULL) return transcribe_push(t->t, samples, n);
  size_t taken = 0;
  for (size_t count = 1; taken < n && count > 0; taken += count) {
    if (!give_speech(t)) break; /* step says so */
    count = speech_only_push(t->speech, samples + taken, n - taken);
  }
  return taken;
}

void sotto_transcription_end(sotto_transcription *t) {
  if (t == NULL) return;
  t->ended = true;
  if (t->speech != NULL)
    speech_only_end(t->speech);
  else
    transcribe_end(t->t);
}

sotto_status sotto_transcription_step(sotto_transcription *t) {
  if (t == NULL) return SOTTO_ERR_ARGUMENT;
  if (t->speech != NULL && !give_speech(t))
    return fail(&t->engine->err, SOTTO_ERR_MEMORY, "out of memory for a transcription");
  return check_device(t->engine, transcribe_step(t->t, &t->engine->err));
}

/* Seconds of what was heard as seconds of the audio. */
static double origin_s(const sotto_transcription *t, double heard_s, bool begins) {
  const int64_t sample = (int64_t)(heard_s * SOTTO_SAMPLE_RATE + 0.5);
  return (double)speech_only_origin(t->speech, sample, begins) / SOTTO_SAMPLE_RATE;
}

const sotto_segment *sotto_transcription_segment(sotto_transcription *t) {
  const sotto_segment *segment = t != NULL ? transcribe_segment(t->t) : NULL;
  if (segment == NULL || t->speech == NULL) return segment;
  t->segment = *segment;
  t->segment.start_s = origin_s(t, segment->start_s, true);
  t->segment.end_s = origin_s(t, segment->end_s, false);
  if (t->segment.end_s < t->segment.start_s) t->segment.end_s = t->segment.start_s;
  return &t->segment;
}

const char *sotto_transcription_language(const sotto_transcription *t, float *p) {
  return t != NULL ? transcribe_language(t->t, p) : "";
}

float sotto_transcription_language_p(const sotto_transcription *t, int32_t index) {
  return t != NULL ? transcribe_language_p(t->t, index) : 0;
}

void sotto_transcription_progress(const sotto_transcription *t, sotto_progress *progress) {
  if (t == NULL || progress == NULL) return;
  transcribe_progress(t->t, progress);
  if (t->speech == NULL) return;
  progress->done_s = origin_s(t, progress->done_s, true);
  progress->pushed_s = (double)speech_only_heard(t->speech) / SOTTO_SAMPLE_RATE;
  if (progress->fraction >= 1) progress->done_s = progress->pushed_s;
}

void sotto_transcription_timings(const sotto_transcription *t, sotto_timings *timings) {
  if (t != NULL && timings != NULL) transcribe_timings(t->t, timings);
}
