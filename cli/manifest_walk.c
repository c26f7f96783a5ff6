#define _XOPEN_SOURCE 700

#include "manifest_walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "model_file.h"

enum { MOST_DEPTH = 8 };

/* Names in a folder, sorted by their bytes. */
typedef struct listing {
  char **names;
  size_t n;
} listing;

char *manifest_path(const char *root, const char *name) {
  if (*root == '\0') return strdup(name);
  const size_t size = strlen(root) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL) snprintf(path, size, "%s/%s", root, name);
  return path;
}

static sotto_status no_memory(error *err) { return fail(err, SOTTO_ERR_MEMORY, "out of memory"); }

static void listing_free(listing *l) {
  for (size_t i = 0; i < l->n; i++) free(l->names[i]);
  free(l->names);
  *l = (listing){0};
}

static bool listing_add(listing *l, const char *name) {
  char **names = realloc(l->names, (l->n + 1) * sizeof *names);
  if (names == NULL) return false;
  l->names = names;
  return (l->names[l->n] = strdup(name)) != NULL && ++l->n > 0;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool ends_in(const char *name, const char *suffix) {
  const size_t n = strlen(name), m = strlen(suffix);
  return n >= m && strcasecmp(name + n - m, suffix) == 0;
}

static bool has(const listing *l, const char *name) {
  for (size_t i = 0; i < l->n; i++)
    if (strcmp(l->names[i], name) == 0) return true;
  return false;
}

/* Files and folders in "root/folder". */
static sotto_status list_folder(const char *root, const char *folder, listing *files, listing *folders, error *err) {
  char *path = *folder != '\0' ? manifest_path(root, folder) : strdup(root);
  DIR *dir = path != NULL ? opendir(path) : NULL;
  sotto_status status = path == NULL ? no_memory(err) : SOTTO_OK;
  if (path != NULL && dir == NULL) status = fail(err, SOTTO_ERR_ARGUMENT, "%s", strerror(errno));
  for (struct dirent *entry; status >= 0 && (entry = readdir(dir)) != NULL;) {
    struct stat kind;
    char *file = manifest_path(path, entry->d_name);
    bool ok = file != NULL;
    if (ok && entry->d_name[0] != '.' && lstat(file, &kind) == 0) {
      if (S_ISREG(kind.st_mode)) ok = listing_add(files, entry->d_name);
      if (S_ISDIR(kind.st_mode)) ok = listing_add(folders, entry->d_name);
    }
    free(file);
    if (!ok) status = no_memory(err);
  }
  if (dir != NULL) closedir(dir);
  free(path);
  if (files->n > 0) qsort(files->names, files->n, sizeof *files->names, by_bytes);
  if (folders->n > 0) qsort(folders->names, folders->n, sizeof *folders->names, by_bytes);
  return status;
}

/* Adds a file of the group that is last. */
static sotto_status add_file(manifest_groups *g, const char *folder, const char *name, error *err) {
  manifest_group *last = &g->groups[g->n - 1];
  char **files = realloc(last->files, (last->n + 1) * sizeof *files);
  if (files == NULL) return no_memory(err);
  last->files = files;
  if ((last->files[last->n] = manifest_path(folder, name)) == NULL) return no_memory(err);
  last->n++;
  return SOTTO_OK;
}

static sotto_status add_group(manifest_groups *g, error *err) {
  manifest_group *groups = realloc(g->groups, (g->n + 1) * sizeof *groups);
  if (groups == NULL) return no_memory(err);
  g->groups = groups;
  g->groups[g->n++] = (manifest_group){0};
  return SOTTO_OK;
}

/* A file that is a model, or a part of one. */
static sotto_status add_model(manifest_groups *g, const listing *files, const char *folder, const char *name,
                              error *err) {
  int n_parts = 1;
  const size_t suffix = model_file_split_suffix(name, &n_parts);
  if (suffix == 0) {
    TRY(add_group(g, err));
    return add_file(g, folder, name, err);
  }
  char *first = model_file_part(name, suffix, 1, n_parts);
  const bool counted = first != NULL && strcmp(first, name) != 0 && has(files, first); /* with its first part */
  free(first);
  if (counted) return SOTTO_OK;
  TRY(add_group(g, err));
  bool there = true;
  for (int i = 1; there && i <= n_parts; i++) {
    char *part = model_file_part(name, suffix, i, n_parts);
    sotto_status status = part != NULL ? SOTTO_OK : no_memory(err);
    there = part != NULL && has(files, part);
    if (status >= 0)
      status = add_file(g, folder, part, err); /* the first that is missing is the last: whoever opens it says so */
    free(part);
    TRY(status);
  }
  return SOTTO_OK;
}

/* A folder as on Hugging Face: configuration, vocabulary, weights. */
static sotto_status add_checkpoint(manifest_groups *g, const listing *files, const char *folder, error *err) {
  TRY(add_group(g, err));
  TRY(add_file(g, folder, "config.json", err));
  if (has(files, "tokenizer.model"))
    TRY(add_file(g, folder, "tokenizer.model", err));
  else if (has(files, "tokenizer.json"))
    TRY(add_file(g, folder, "tokenizer.json", err));
  if (has(files, "model.safetensors")) return add_file(g, folder, "model.safetensors", err);
  for (size_t i = 0; i < files->n; i++)
    if (ends_in(files->names[i], ".safetensors")) TRY(add_file(g, folder, files->names[i], err));
  return SOTTO_OK;
}

static sotto_status walk(manifest_groups *g, const char *root, const char *folder, int depth, error *err);

static sotto_status add_all(manifest_groups *g, const char *root, const char *folder, const listing *files,
                            const listing *folders, int depth, error *err) {
  bool checkpoint = false;
  for (size_t i = 0; i < files->n; i++) {
    const char *name = files->names[i];
    if (ends_in(name, ".safetensors")) checkpoint = has(files, "config.json");
    if (ends_in(name, ".gguf") || ends_in(name, ".bin")) TRY(add_model(g, files, folder, name, err));
  }
  if (checkpoint) TRY(add_checkpoint(g, files, folder, err));
  for (size_t i = 0; depth < MOST_DEPTH && i < folders->n; i++) {
    char *below = manifest_path(folder, folders->names[i]);
    sotto_status status = below != NULL ? walk(g, root, below, depth + 1, err) : no_memory(err);
    free(below);
    TRY(status);
  }
  return SOTTO_OK;
}

static sotto_status walk(manifest_groups *g, const char *root, const char *folder, int depth, error *err) {
  listing files = {0}, folders = {0};
  sotto_status status = list_folder(root, folder, &files, &folders, err);
  if (status >= 0) status = add_all(g, root, folder, &files, &folders, depth, err);
  listing_free(&files);
  listing_free(&folders);
  return status;
}

sotto_status manifest_walk(manifest_groups *g, const char *root, error *err) {
  *g = (manifest_groups){0};
  return walk(g, root, "", 0, err);
}

void manifest_groups_free(manifest_groups *g) {
  for (size_t i = 0; i < g->n; i++) {
    for (size_t k = 0; k < g->groups[i].n; k++) free(g->groups[i].files[k]);
    free(g->groups[i].files);
  }
  free(g->groups);
  *g = (manifest_groups){0};
}
