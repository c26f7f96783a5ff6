/* sotto manifest: the models in a folder as a manifest, which a site puts beside them.
 *
 *     folder ─> manifest_walk.c: files, grouped to models ─> header: what it is ─┐
 *                                                        └─> bytes: SHA-256 ─────┴─> JSON */
#define _XOPEN_SOURCE 700

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../src/base/sha256.h"
#include "args.h"
#include "commands.h"
#include "info_language.h"
#include "manifest_walk.h"
#include "output.h"
#include "process.h"
#include "terminal.h"

enum { MOST_ID = 100, HASH_DIGITS = 64, PIECE_BYTES = 1 << 20 };

typedef struct entry {
  char id[MOST_ID + 8];
  bool speech;
  uint64_t bytes;
  size_t order; /* as it was found */
  text json;    /* what follows the id */
} entry;

typedef struct job {
  const char *root;
  const char *base; /* ends in "/" */
  entry *entries;   /* [n] */
  size_t n;
  double done_bytes, total_bytes;
  terminal_progress progress;
} job;

static const char *last_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static bool is_folder_model(const manifest_group *g) { return strcmp(last_of(g->files[0]), "config.json") == 0; }

/* ---- names ---- */

/* "ggml-tiny-q5_1.bin" is "tiny-q5_1", "x-00001-of-00002.gguf" is "x"; of a folder its name. */
static void id_of(const manifest_group *g, const char *root, char id[MOST_ID + 8]) {
  char *path = NULL, *real = NULL;
  const char *from = last_of(g->files[0]);
  size_t size = strlen(from);
  if (is_folder_model(g)) {
    path = manifest_path(root, g->files[0]);
    if (path != NULL) path[strlen(path) - strlen("/config.json")] = '\0';
    real = path != NULL ? realpath(path, NULL) : NULL;
    from = real != NULL ? last_of(real) : "";
    size = strlen(from);
  } else {
    const char *dot = strrchr(from, '.');
    size = (size_t)(dot - from);
    int part, parts, length = 0;
    const size_t split = strlen("-00001-of-00002");
    if (size > split && sscanf(from + size - split, "-%5d-of-%5d%n", &part, &parts, &length) == 2 &&
        (size_t)length == split)
      size -= split;
    if (strncmp(from, "ggml-", 5) == 0 && size > 5) from += 5, size -= 5;
  }
  size_t n = 0;
  for (size_t i = 0; i < size && n < MOST_ID; i++) {
    const unsigned char c = (unsigned char)from[i];
    const bool letter = isalnum(c) || c >= 0x80;
    if (letter || (n > 0 && strchr(" ._+-", c) != NULL))
      id[n++] = (char)c;
    else if (n > 0)
      id[n++] = '-';
  }
  id[n] = '\0';
  if (n == 0) strcpy(id, "model");
  free(path);
  free(real);
}

/* A path as an address has it. */
static void put_encoded(text *out, const char *path) {
  for (; *path != '\0'; path++) {
    const unsigned char c = (unsigned char)*path;
    if (isalnum(c) || strchr("/-_.!~*'()", c) != NULL)
      text_bytes(out, path, 1);
    else
      text_format(out, "%%%02X", c);
  }
}

/* ---- files ---- */

static sotto_status hash_file(job *j, const char *path, const char *name, char hex[HASH_DIGITS + 1], uint64_t *bytes,
                              error *err) {
  FILE *file = fopen(path, "rb");
  char *piece = malloc(PIECE_BYTES);
  sotto_status status = piece == NULL ? fail(err, SOTTO_ERR_MEMORY, "out of memory") : SOTTO_OK;
  if (status >= 0 && file == NULL) status = fail(err, SOTTO_ERR_ARGUMENT, "%s", strerror(errno));
  sha256 h;
  sha256_begin(&h);
  *bytes = 0;
  for (size_t n; status >= 0 && (n = fread(piece, 1, PIECE_BYTES, file)) > 0;) {
    if (process_interrupted()) status = SOTTO_ERR_ARGUMENT;
    sha256_add(&h, piece, n);
    *bytes += n;
    j->done_bytes += (double)n;
    terminal_progress_show(&j->progress, name, j->done_bytes, j->total_bytes);
  }
  if (status >= 0 && ferror(file)) status = fail(err, SOTTO_ERR_ARGUMENT, "%s", strerror(errno));
  if (file != NULL) fclose(file);
  free(piece);
  uint8_t digest[32];
  sha256_end(&h, digest);
  for (int i = 0; i < 32; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return status;
}

/* Appends `"files":[...],` of a model that has several; `size` and `hash` are of the last one. */
static sotto_status put_files(job *j, const manifest_group *g, text *out, uint64_t *total, char hash[HASH_DIGITS + 1],
                              error *err) {
  *total = 0;
  if (g->n > 1) text_string(out, "\"files\":[");
  for (size_t i = 0; i < g->n; i++) {
    uint64_t bytes = 0;
    const char *name = last_of(g->files[i]);
    char *path = manifest_path(j->root, g->files[i]);
    sotto_status status = path != NULL ? hash_file(j, path, g->files[i], hash, &bytes, err)
                                       : fail(err, SOTTO_ERR_MEMORY, "out of memory");
    free(path);
    TRY(status);
    *total += bytes;
    if (g->n == 1) continue;
    text_string(out, i > 0 ? ",{\"file\":" : "{\"file\":");
    json_string(out, name, strlen(name));
    text_format(out, ",\"size_bytes\":%llu,\"sha256\":\"%s\"}", (unsigned long long)bytes, hash);
  }
  if (g->n > 1) text_string(out, "],");
  return SOTTO_OK;
}

static bool is_weights(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot != NULL && strcmp(dot, ".json") != 0 && strcmp(dot, ".model") != 0;
}

static sotto_status put_entry(job *j, const manifest_group *g, const model_about *about, entry *e, error *err) {
  text *out = &e->json;
  const char *name = about->name[0] != '\0' ? about->name : e->id;
  text_string(out, ",\"name\":");
  json_string(out, name, strlen(name));
  text_string(out, ",\"kind\":");
  json_string(out, about->kind, strlen(about->kind));
  text_format(out, ",\"weights\":\"%s\",\"file\":", about->weights);
  size_t weights = 0;
  while (weights + 1 < g->n && !is_weights(last_of(g->files[weights]))) weights++;
  json_string(out, last_of(g->files[weights]), strlen(last_of(g->files[weights])));
  text_string(out, ",");
  if (about->n_languages > 0) text_format(out, "\"languages\":%d,", (int)about->n_languages);
  if (about->n_ctx > 0) text_format(out, "\"context\":%llu,", (unsigned long long)about->n_ctx);
  char hash[HASH_DIGITS + 1];
  TRY(put_files(j, g, out, &e->bytes, hash, err));
  text_format(out, "\"size_bytes\":%llu,\"sha256\":", (unsigned long long)e->bytes);
  if (g->n > 1)
    text_string(out, "null");
  else
    text_format(out, "\"%s\"", hash);
  text_string(out, ",\"sources\":[{\"type\":\"url\",\"url\":\"");
  text_string(out, j->base);
  if (g->n == 1) {
    put_encoded(out, g->files[0]);
  } else { /* their folder */
    const char *slash = strrchr(g->files[0], '/');
    char *folder = slash != NULL ? strndup(g->files[0], (size_t)(slash + 1 - g->files[0])) : strdup("");
    if (folder == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory");
    put_encoded(out, folder);
    free(folder);
  }
  text_string(out, "\"}]}");
  return out->failed ? fail(err, SOTTO_ERR_MEMORY, "out of memory") : SOTTO_OK;
}

/* ---- models ---- */

static sotto_status describe(const job *j, const manifest_group *g, model_about *about, error *err) {
  sotto_status status = SOTTO_OK;
  for (size_t i = 0; status >= 0 && i < g->n; i++) {
    struct stat kind;
    char *path = manifest_path(j->root, g->files[i]);
    if (path == NULL)
      status = fail(err, SOTTO_ERR_MEMORY, "out of memory");
    else if (stat(path, &kind) != 0)
      status = fail(err, SOTTO_ERR_ARGUMENT, "%.200s is missing", last_of(g->files[i]));
    free(path);
  }
  TRY(status);
  char *path = manifest_path(j->root, g->files[0]);
  if (path == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory");
  if (is_folder_model(g)) path[strlen(path) - strlen("/config.json")] = '\0';
  status = info_about(path, about, err) ? SOTTO_OK : SOTTO_ERR_FORMAT;
  free(path);
  return status;
}

/* False: memory ran out, or it was interrupted. What is no model is left out, and said. */
static bool add_model(job *j, const manifest_group *g) {
  entry *entries = realloc(j->entries, (j->n + 1) * sizeof *entries);
  if (entries == NULL) return false;
  j->entries = entries;
  entry *e = &entries[j->n];
  *e = (entry){.order = j->n};
  id_of(g, j->root, e->id);
  error err = {.text = ""};
  model_about about;
  if (describe(j, g, &about, &err) >= 0 && put_entry(j, g, &about, e, &err) >= 0) {
    e->speech = strcmp(about.kind, "whisper") == 0;
    j->n++;
    return true;
  }
  text_free(&e->json);
  if (process_interrupted()) return false;
  terminal_progress_hide(&j->progress);
  size_t size = strlen(err.text);
  if (size > 0 && err.text[size - 1] == '.') err.text[size - 1] = '\0';
  fprintf(stderr, "sotto: %s/%s: left out: %s\n", j->root, g->files[0], err.text);
  return true;
}

static int by_size(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->speech != y->speech) return x->speech ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return x->order < y->order ? -1 : 1;
}

/* Ids that are there already get a number. */
static void number_ids(job *j) {
  for (size_t i = j->n; i-- > 0;) {
    int same = 1;
    for (size_t k = 0; k < i; k++) same += strcmp(j->entries[k].id, j->entries[i].id) == 0;
    const size_t size = strlen(j->entries[i].id);
    if (same > 1) snprintf(j->entries[i].id + size, sizeof j->entries[i].id - size, "-%d", same);
  }
}

/* `"default":ID,` where there is one model of the kind. */
static void put_default(const job *j, bool speech, const char *key, text *out) {
  const entry *only = NULL;
  size_t n = 0;
  for (size_t i = 0; i < j->n; i++)
    if (j->entries[i].speech == speech) only = &j->entries[i], n++;
  if (n != 1) return;
  text_format(out, "  \"%s\": ", key);
  json_string(out, only->id, strlen(only->id));
  text_string(out, ",\n");
}

static void put_all(job *j, text *out) {
  qsort(j->entries, j->n, sizeof *j->entries, by_size);
  number_ids(j);
  text_string(out, "{\n");
  put_default(j, true, "default", out);
  put_default(j, false, "default_language", out);
  text_string(out, "  \"models\": [\n");
  for (size_t i = 0; i < j->n; i++) {
    text_string(out, "    {\"id\":");
    json_string(out, j->entries[i].id, strlen(j->entries[i].id));
    text_bytes(out, j->entries[i].json.data, j->entries[i].json.size);
    out->failed = out->failed || j->entries[i].json.failed;
    text_string(out, i + 1 < j->n ? ",\n" : "\n");
  }
  text_string(out, "  ]\n}\n");
}

static double bytes_of(const char *root, const manifest_groups *g) {
  double total = 0;
  for (size_t i = 0; i < g->n; i++) {
    for (size_t k = 0; k < g->groups[i].n; k++) {
      struct stat status;
      char *path = manifest_path(root, g->groups[i].files[k]);
      if (path != NULL && stat(path, &status) == 0) total += (double)status.st_size;
      free(path);
    }
  }
  return total;
}

/* The exit status; where it fails, it says why. */
static int list_models(const char *root, const char *base, text *out) {
  error err = {.text = ""};
  manifest_groups groups;
  job j = {.root = root, .base = base};
  bool ok = manifest_walk(&groups, root, &err) >= 0;
  if (!ok) fprintf(stderr, "sotto: %s: %s\n", root, err.text);
  j.total_bytes = bytes_of(root, &groups);
  for (size_t i = 0; ok && i < groups.n; i++) {
    ok = add_model(&j, &groups.groups[i]);
    if (!ok && !process_interrupted()) fprintf(stderr, "sotto: %s: out of memory\n", root);
  }
  terminal_progress_hide(&j.progress);
  if (ok && j.n == 0) fprintf(stderr, "sotto: %s: there is no model in it\n", root);
  ok = ok && j.n > 0;
  if (ok) put_all(&j, out);
  for (size_t i = 0; i < j.n; i++) text_free(&j.entries[i].json);
  free(j.entries);
  manifest_groups_free(&groups);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}

static int write_out(const char *path, const text *t) {
  output o;
  bool ok = !t->failed && output_open(&o, path);
  if (ok && !(ok = output_write(&o, t->data, t->size))) output_discard(&o);
  ok = ok && output_commit(&o);
  if (ok) return EXIT_DONE;
  fprintf(stderr, "sotto: could not write %s: %s\n", path != NULL ? path : "standard output",
          t->failed ? "out of memory" : strerror(errno));
  return EXIT_FAILED;
}

static const char help[] =
    "Usage: sotto manifest [OPTION]... FOLDER\n"
    "Lists the models in a folder as JSON: what each is, its size and its SHA-256. A site that serves the\n"
    "folder with this file in it gives its address as manifest to create(), or to --manifest. Models are GGUF\n"
    "files (also split), Whisper's ggml .bin files, and folders as on Hugging Face; what is none is left out.\n"
    "\n"
    "      --base ADDRESS    where the files will be, if not beside the manifest\n"
    "  -o, --output FILE     default: -, standard output\n"
    "  -h, --help            this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n"
    "Example: sotto manifest models -o models/manifest.json\n";

static bool is_base(const char *base) {
  const char *host = strncmp(base, "http://", 7) == 0 ? base + 7 : strncmp(base, "https://", 8) == 0 ? base + 8 : "";
  return *host != '\0' && *host != '/' && strpbrk(base, " \"\\<>?#") == NULL;
}

int command_manifest(char **argv) {
  enum { HELP = 1, BASE, OUTPUT };
  static const option_spec options[] = {
      {"help", 'h', false, HELP}, {"base", 0, true, BASE}, {"output", 'o', true, OUTPUT}, {NULL, 0, false, 0}};
  args a = {.command = "manifest ", .options = options, .argv = argv};
  const char *root = NULL, *to = NULL;
  char base[2048] = "./";
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return EXIT_DONE;
      case BASE:
        if (!is_base(a.value) || strlen(a.value) + 2 > sizeof base) {
          args_wrong(&a, "option '--base' needs an address of http or https, not '%s'", a.value);
          return EXIT_USAGE;
        }
        snprintf(base, sizeof base, "%s%s", a.value, a.value[strlen(a.value) - 1] == '/' ? "" : "/");
        break;
      case OUTPUT:
        to = strcmp(a.value, "-") != 0 ? a.value : NULL;
        break;
      case ARGS_OPERAND:
        if (root != NULL) {
          args_wrong(&a, "unexpected argument '%s': one folder at a time", a.value);
          return EXIT_USAGE;
        }
        root = a.value;
        break;
      default:
        return EXIT_USAGE;
    }
  }
  if (root == NULL) {
    args_wrong(&a, "no folder was given");
    return EXIT_USAGE;
  }
  process_catch_interrupts();
  text out = {0};
  int status = list_models(root, base, &out);
  if (status == EXIT_DONE) status = write_out(to, &out);
  text_free(&out);
  return status;
}
