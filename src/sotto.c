/* The public API over the parts: an engine owns the threads and the last error, a model its weights, a transcription its state. */
#include "base/pool.h"
#include "models/transcribe.h"
#include "sotto_internal.h"
#include "text/whisper_vocab.h"

struct sotto_engine {
  pool *threads;
  backend *be;
  error err;
};

struct sotto_model {
  sotto_engine *engine;
  whisper *w;
  sotto_status failed; /* the first error: every later call repeats it */
};

struct sotto_transcription {
  sotto_engine *engine;
  transcribe *t;
};

const char *sotto_version(void) { return SOTTO_VERSION; }

/* ---- engine ---- */

sotto_status sotto_engine_open(sotto_engine **out, const sotto_engine_options *options) {
  if (out == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  int32_t n_threads = options != NULL ? options->n_threads : 0;
  if (n_threads < 0 || n_threads > POOL_MAX_THREADS) return SOTTO_ERR_ARGUMENT;
  if (n_threads == 0) n_threads = min_i32(pool_cores(), 8);
  sotto_engine *e = mem_alloc(1, sizeof *e);
  if (e == NULL) return SOTTO_ERR_MEMORY;
  e->threads = pool_open(n_threads);
  if (e->threads != NULL) e->be = cpu_backend_open(e->threads);
  if (e->be == NULL) {
    sotto_engine_close(e);
    return SOTTO_ERR_MEMORY;
  }
  *out = e;
  return SOTTO_OK;
}

void sotto_engine_close(sotto_engine *e) {
  if (e == NULL) return;
  if (e->be != NULL) cpu_backend_close(e->be);
  if (e->threads != NULL) pool_close(e->threads);
  mem_free(e);
}

const char *sotto_engine_error(const sotto_engine *e) { return e != NULL ? e->err.text : ""; }
int32_t sotto_engine_threads(const sotto_engine *e) { return e != NULL ? pool_threads(e->threads) : 0; }

const char *sotto_engine_isa(const sotto_engine *e) {
  (void)e;
  return cpu_backend_isa();
}

pool *sotto_engine_pool(sotto_engine *e) { return e->threads; }

/* ---- model ---- */

sotto_status sotto_model_open(sotto_model **out, sotto_engine *engine) {
  if (out == NULL || engine == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  sotto_model *m = mem_alloc(1, sizeof *m);
  whisper *w = m != NULL ? whisper_open(engine->be) : NULL;
  if (w == NULL) {
    mem_free(m);
    return fail(&engine->err, SOTTO_ERR_MEMORY, "out of memory for a model");
  }
  m->engine = engine;
  m->w = w;
  *out = m;
  return SOTTO_OK;
}

sotto_status sotto_model_feed(sotto_model *m, const void *bytes, size_t size) {
  if (m == NULL) return SOTTO_ERR_ARGUMENT;
  if (m->failed < 0) return m->failed;
  if (bytes == NULL && size > 0) return fail(&m->engine->err, SOTTO_ERR_ARGUMENT, "no bytes were given to the model");
  if (whisper_finished(m->w))
    return fail(&m->engine->err, SOTTO_ERR_ARGUMENT, "the model is finished: it takes no more bytes");
  return m->failed = whisper_feed(m->w, bytes, size, &m->engine->err);
}

sotto_status sotto_model_finish(sotto_model *m) {
  if (m == NULL) return SOTTO_ERR_ARGUMENT;
  if (m->failed < 0 || whisper_finished(m->w)) return m->failed;
  return m->failed = whisper_finish(m->w, &m->engine->err);
}

void sotto_model_close(sotto_model *m) {
  if (m == NULL) return;
  whisper_close(m->w);
  mem_free(m);
}

void sotto_model_describe(const sotto_model *m, sotto_model_info *info) {
  if (m != NULL && info != NULL) whisper_describe(m->w, info);
}

int32_t sotto_model_tensor(const sotto_model *m, int32_t index, const char **name, const char **type, int64_t dims[4]) {
  return m != NULL && dims != NULL && index >= 0 ? whisper_tensor(m->w, index, name, type, dims) : 0;
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
  if (out == NULL || model == NULL) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  error *err = &model->engine->err;
  sotto_transcribe_options defaults;
  sotto_transcribe_options_default(&defaults);
  sotto_transcription *t = mem_alloc(1, sizeof *t);
  if (t == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for a transcription");
  t->engine = model->engine;
  const sotto_status status = transcribe_open(&t->t, model->w, options != NULL ? options : &defaults, err);
  if (status < 0) {
    mem_free(t);
    return status;
  }
  *out = t;
  return SOTTO_OK;
}

void sotto_transcription_close(sotto_transcription *t) {
  if (t == NULL) return;
  transcribe_close(t->t);
  mem_free(t);
}

size_t sotto_transcription_push(sotto_transcription *t, const float *samples, size_t n) {
  return t != NULL && samples != NULL ? transcribe_push(t->t, samples, n) : 0;
}

void sotto_transcription_end(sotto_transcription *t) {
  if (t != NULL) transcribe_end(t->t);
}

sotto_status sotto_transcription_step(sotto_transcription *t) {
  return t != NULL ? transcribe_step(t->t, &t->engine->err) : SOTTO_ERR_ARGUMENT;
}

const sotto_segment *sotto_transcription_segment(sotto_transcription *t) {
  return t != NULL ? transcribe_segment(t->t) : NULL;
}

const char *sotto_transcription_language(const sotto_transcription *t, float *p) {
  return t != NULL ? transcribe_language(t->t, p) : "";
}

float sotto_transcription_language_p(const sotto_transcription *t, int32_t index) {
  return t != NULL ? transcribe_language_p(t->t, index) : 0;
}

void sotto_transcription_progress(const sotto_transcription *t, sotto_progress *progress) {
  if (t != NULL && progress != NULL) transcribe_progress(t->t, progress);
}

void sotto_transcription_timings(const sotto_transcription *t, sotto_timings *timings) {
  if (t != NULL && timings != NULL) transcribe_timings(t->t, timings);
}
