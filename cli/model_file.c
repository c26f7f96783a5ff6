#define _XOPEN_SOURCE 700

#include "model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES (256 << 10)

static char *joined(const char *a, const char *b, const char *c, const char *d) {
  size_t size = strlen(a) + strlen(b) + strlen(c) + strlen(d) + 1;
  char *s = malloc(size);
  if (s != NULL) snprintf(s, size, "%s%s%s%s", a, b, c, d);
  return s;
}

char *model_file_find(const char *given) {
  if (access(given, F_OK) == 0) return strdup(given);
  size_t size = strlen(given);
  if (strchr(given, '/') != NULL || (size > 4 && strcmp(given + size - 4, ".bin") == 0)) {
    fprintf(stderr, "sotto: %s: %s\n", given, strerror(errno));
    return NULL;
  }
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  bool xdg = cache != NULL && cache[0] != '\0';
  char *tried[2] = {
      joined("./models", "/ggml-", given, ".bin"),
      xdg ? joined(cache, "/sotto/ggml-", given, ".bin")
          : joined(home != NULL ? home : "", "/.cache/sotto/ggml-", given, ".bin"),
  };
  char *found = NULL;
  for (int i = 0; i < 2 && found == NULL; i++) {
    if (tried[i] != NULL && access(tried[i], F_OK) == 0) found = strdup(tried[i]);
  }
  if (found == NULL && tried[0] != NULL && tried[1] != NULL) {
    fprintf(stderr,
            "sotto: no model '%s' (tried %s and %s): get it with `curl -L --create-dirs -o %s "
            "https://huggingface.co/ggerganov/whisper.cpp/resolve/main/ggml-%s.bin`, or give a path\n",
            given, tried[0], tried[1], tried[1], given);
  }
  free(tried[0]);
  free(tried[1]);
  return found;
}

sotto_model *model_file_load(sotto_engine *engine, const char *path) {
  sotto_model *model = NULL;
  char *chunk = malloc(CHUNK_BYTES);
  int file = open(path, O_RDONLY);
  const char *problem = NULL;
  if (file < 0)
    problem = strerror(errno);
  else if (chunk == NULL || sotto_model_open(&model, engine) != SOTTO_OK)
    problem = "out of memory";
  while (problem == NULL) {
    ssize_t n = read(file, chunk, CHUNK_BYTES);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      problem = strerror(errno);
    else if ((n > 0 ? sotto_model_feed(model, chunk, (size_t)n) : sotto_model_finish(model)) < 0)
      problem = sotto_engine_error(engine);
    if (n <= 0) break;
  }
  if (problem != NULL) {
    fprintf(stderr, "sotto: %s: %s\n", path, problem);
    sotto_model_close(model);
    model = NULL;
  }
  if (file >= 0) close(file);
  free(chunk);
  return model;
}
