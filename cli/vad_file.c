#define _XOPEN_SOURCE 700

#include "vad_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_file.h"

enum { MAX_BYTES = 4 << 20 };

static char *find(void) {
  static const char *const places[] = {"silero-vad-v6.2.0.bin", "../share/sotto/silero-vad-v6.2.0.bin",
                                       "../assets/silero-vad-v6.2.0.bin"};
  const char *said = getenv("SOTTO_VAD");
  if (said != NULL && said[0] != '\0') return strdup(said);
  return model_file_beside(places, sizeof places / sizeof *places);
}

sotto_vad *vad_file_open(sotto_engine *engine, const sotto_vad_options *options) {
  sotto_vad *v = NULL;
  char *path = find(), *bytes = malloc(MAX_BYTES);
  FILE *f = path != NULL && bytes != NULL ? fopen(path, "rb") : NULL;
  if (f == NULL) {
    fprintf(stderr, "sotto: %s: %s\n", path != NULL ? path : "silero-vad-v6.2.0.bin",
            path != NULL ? strerror(errno) : "not found beside the command; name one by SOTTO_VAD");
  } else {
    const size_t n = fread(bytes, 1, MAX_BYTES, f);
    fclose(f);
    if (sotto_vad_open(&v, engine, bytes, n, options) != SOTTO_OK)
      fprintf(stderr, "sotto: %s: %s\n", path, sotto_engine_error(engine));
  }
  free(bytes);
  free(path);
  return v;
}
