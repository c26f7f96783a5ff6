/* What the files of the public API share, and what the WebAssembly glue may know beside the public header. */
#ifndef SOTTO_INTERNAL_H
#define SOTTO_INTERNAL_H

#include "models/gemma.h"
#include "models/whisper.h"

struct pool;
struct sampler;

struct sotto_engine {
  struct pool *threads;
  backend *be;
  error err;
  uint64_t stamps; /* given out to samplers */
};

struct sotto_sampler {
  sotto_engine *engine;
  struct sampler *s;
  uint64_t stamp; /* one that no sampler of the engine had before, whenever the caller changes what will be chosen */
};

/* Either of the two, once the first bytes or the name of a file have said which. */
struct sotto_model {
  sotto_engine *engine;
  whisper *speech;
  gemma *language;
  uint8_t magic[4]; /* the first bytes, until there are four */
  size_t n_magic;
  sotto_status failed; /* the first error: every later call repeats it */
};

/* ARGUMENT, with its sentence, where the model is not a language model that has come whole (sotto_text.c). */
sotto_status check_language(const sotto_model *m);

/* DEVICE, with its sentence, in the place of an AGAIN that would stay for ever (sotto.c). */
sotto_status check_device(sotto_engine *e, sotto_status status);

/* The pool whose workers the host starts. */
struct pool *sotto_engine_pool(sotto_engine *engine);

#endif
