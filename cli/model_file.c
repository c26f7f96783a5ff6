#define _XOPEN_SOURCE 700

#include "model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "../src/formats/safetensors.h"
#include "mapped_file.h"
#include "terminal.h"

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

/* ---- the default language model ---- */

/* Path of the running program; false where the system does not tell. */
static bool own_path(char *path, size_t size) {
#ifdef __APPLE__
  uint32_t room = (uint32_t)size;
  return _NSGetExecutablePath(path, &room) == 0;
#else
  const ssize_t n = readlink("/proc/self/exe", path, size - 1);
  if (n > 0) path[n] = '\0';
  return n > 0;
#endif
}

char *model_file_beside(const char *const *places, size_t n) {
  char path[4096 + 64];
  if (!own_path(path, 4096)) return NULL;
  char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  for (size_t i = 0; i < n; i++) {
    snprintf(name, sizeof path - (size_t)(name - path), "%s", places[i]);
    char *plain = realpath(path, NULL); /* without the ".." */
    if (plain != NULL && access(plain, R_OK) == 0) return plain;
    free(plain);
  }
  return NULL;
}

const char *model_file_default(void) {
  static const char *const places[] = {"teller-q8_0.gguf", "../share/sotto/teller-q8_0.gguf",
                                       "../assets/teller-q8_0.gguf"};
  static char path[4096];
  const char *said = getenv("SOTTO_LANGUAGE_MODEL");
  if (said != NULL && said[0] != '\0') return said;
  char *found = model_file_beside(places, sizeof places / sizeof *places);
  const bool fits = found != NULL && strlen(found) < sizeof path;
  if (fits) memcpy(path, found, strlen(found) + 1);
  free(found);
  return fits ? path : NULL;
}

/* ---- loading ---- */

typedef struct loading {
  sotto_engine *engine;
  sotto_model *model;
  bool only_text, show_progress;
  char *chunk; /* [CHUNK_BYTES] */
} loading;

/* Prints `sotto: PATH: SENTENCE`. */
static bool complain(const char *path, const char *sentence) {
  fprintf(stderr, "sotto: %s: %s\n", path, sentence);
  return false;
}

static bool has_text(sotto_model *model) {
  size_t n;
  return sotto_tokenize(model, "", 0, 0, NULL, 0, &n) == SOTTO_OK;
}

/* Feeds one file, under its name when it is one of several. */
static bool feed_file(loading *l, const char *path, const char *name) {
  if (name != NULL && sotto_model_file(l->model, name) < 0) return complain(path, sotto_engine_error(l->engine));
  int file = open(path, O_RDONLY);
  const char *problem = file < 0 ? strerror(errno) : NULL;
  struct stat status;
  const double size = file >= 0 && fstat(file, &status) == 0 ? (double)status.st_size : 0;
  double fed = 0;
  terminal_progress progress = {0};
  while (problem == NULL && !(l->only_text && has_text(l->model))) {
    ssize_t n = read(file, l->chunk, CHUNK_BYTES);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      problem = strerror(errno);
    else if (n > 0 && sotto_model_feed(l->model, l->chunk, (size_t)n) < 0)
      problem = sotto_engine_error(l->engine);
    if (n <= 0) break;
    fed += (double)n;
    if (l->show_progress) terminal_progress_show(&progress, "loading", fed, size);
  }
  terminal_progress_hide(&progress);
  if (problem != NULL) complain(path, problem);
  if (file >= 0) close(file);
  return problem == NULL;
}

static bool feed_from_folder(loading *l, const char *folder, const char *name) {
  char *path = joined(folder, "/", name, "");
  bool ok = path != NULL ? feed_file(l, path, name) : complain(folder, "out of memory");
  free(path);
  return ok;
}

static bool exists(const char *folder, const char *name) {
  char *path = joined(folder, "/", name, "");
  bool yes = path != NULL && access(path, F_OK) == 0;
  free(path);
  return yes;
}

/* The shards that the index names. */
static bool feed_shards(loading *l, const char *folder, const char *index_name) {
  error err = {.text = "out of memory"};
  mapped_file f = {NULL, 0};
  safetensors_index *index = NULL;
  char *path = joined(folder, "/", index_name, "");
  bool ok = path != NULL && mapped_file_open(&f, path, &err) &&
            safetensors_index_open(&index, f.bytes, f.size, &err) == SOTTO_OK;
  if (!ok) complain(path != NULL ? path : folder, err.text);
  for (uint32_t i = 0; ok && i < safetensors_index_n_files(index); i++)
    ok = feed_from_folder(l, folder, safetensors_index_file(index, i));
  safetensors_index_close(index);
  mapped_file_close(&f);
  free(path);
  return ok;
}

static bool feed_folder(loading *l, const char *folder) {
  static const char index[] = "model.safetensors.index.json";
  const char *tokenizer = exists(folder, "tokenizer.model") ? "tokenizer.model" : "tokenizer.json";
  if (!feed_from_folder(l, folder, "config.json")) return false;
  const bool has_tokenizer = exists(folder, tokenizer);
  if (has_tokenizer && !feed_from_folder(l, folder, tokenizer)) return false;
  if (l->only_text) {
    if (!has_tokenizer)
      return complain(folder, "there is no vocabulary: put tokenizer.model or tokenizer.json beside the weights");
    /* Naming the next file ends the tokenizer's. */
    return sotto_model_file(l->model, "model.safetensors") == SOTTO_OK ||
           complain(folder, sotto_engine_error(l->engine));
  }
  return exists(folder, index) ? feed_shards(l, folder, index) : feed_from_folder(l, folder, "model.safetensors");
}

size_t model_file_split_suffix(const char *path, int *n_parts) {
  const size_t suffix = strlen("-00001-of-00003.gguf"), size = strlen(path);
  int part, length = 0;
  if (size <= suffix) return 0;
  if (sscanf(path + size - suffix, "-%5d-of-%5d.gguf%n", &part, n_parts, &length) != 2) return 0;
  return (size_t)length == suffix && *n_parts >= 1 ? suffix : 0;
}

char *model_file_part(const char *path, size_t suffix, int i, int n_parts) {
  char *part = strdup(path);
  if (part != NULL) snprintf(part + strlen(path) - suffix, suffix + 1, "-%05d-of-%05d.gguf", i, n_parts);
  return part;
}

static bool feed_parts(loading *l, const char *path, size_t suffix, int n_parts) {
  bool ok = true;
  for (int i = 1; ok && i <= n_parts; i++) {
    char *part = model_file_part(path, suffix, i, n_parts);
    const char *slash = part != NULL ? strrchr(part, '/') : NULL;
    ok = part != NULL ? feed_file(l, part, slash != NULL ? slash + 1 : part) : complain(path, "out of memory");
    free(part);
  }
  return ok;
}

sotto_model *model_file_load(sotto_engine *engine, const char *path, bool only_text, bool show_progress) {
  loading l = {.engine = engine, .only_text = only_text, .show_progress = show_progress, .chunk = malloc(CHUNK_BYTES)};
  struct stat status;
  int n_parts = 0;
  const size_t suffix = model_file_split_suffix(path, &n_parts);
  bool ok;
  if (l.chunk == NULL || sotto_model_open(&l.model, engine) != SOTTO_OK)
    ok = complain(path, "out of memory");
  else if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
    ok = feed_folder(&l, path);
  else if (suffix > 0)
    ok = feed_parts(&l, path, suffix, n_parts);
  else
    ok = feed_file(&l, path, NULL);
  if (ok && !(only_text && has_text(l.model)) && sotto_model_finish(l.model) < 0)
    ok = complain(path, sotto_engine_error(engine));
  if (!ok) {
    sotto_model_close(l.model);
    l.model = NULL;
  }
  free(l.chunk);
  return l.model;
}
