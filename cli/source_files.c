#define _XOPEN_SOURCE 700

#include "source_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_file.h"

static sotto_status unreadable(const char *path, int code, error *err) {
  return fail(err, SOTTO_ERR_ARGUMENT, "%.300s: it cannot be read: %s", path, strerror(code));
}

static sotto_status add(source_files *f, char *path, sotto_quantizer *q, const sotto_engine *engine, error *err) {
  struct stat status;
  char **paths = path != NULL ? realloc(f->paths, (f->n + 1) * sizeof *paths) : NULL;
  if (paths != NULL) f->paths = paths;
  int *handles = paths != NULL ? realloc(f->handles, (f->n + 1) * sizeof *handles) : NULL;
  if (handles == NULL) {
    free(path);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory");
  }
  f->handles = handles;
  f->paths[f->n] = path;
  f->handles[f->n++] = -1;
  if (stat(path, &status) != 0) return unreadable(path, errno, err);
  const char *slash = strrchr(path, '/');
  const int32_t index = sotto_quantizer_file(q, slash != NULL ? slash + 1 : path, (uint64_t)status.st_size);
  return index >= 0 ? SOTTO_OK : fail(err, (sotto_status)index, "%s", sotto_engine_error(engine));
}

static char *joined(const char *folder, const char *name) {
  const size_t size = strlen(folder) + strlen(name) + 2;
  char *path = malloc(size);
  if (path != NULL) snprintf(path, size, "%s/%s", folder, name);
  return path;
}

static sotto_status add_folder(source_files *f, const char *path, sotto_quantizer *q, const sotto_engine *engine,
                               error *err) {
  DIR *folder = opendir(path);
  if (folder == NULL) return unreadable(path, errno, err);
  sotto_status status = SOTTO_OK;
  for (struct dirent *entry; status >= 0 && (entry = readdir(folder)) != NULL;) {
    struct stat kind;
    char *file = joined(path, entry->d_name);
    if (file != NULL && entry->d_name[0] != '.' && stat(file, &kind) == 0 && S_ISREG(kind.st_mode))
      status = add(f, file, q, engine, err);
    else
      free(file);
  }
  closedir(folder);
  return status;
}

sotto_status source_files_open(source_files *f, const char *path, sotto_quantizer *q, const sotto_engine *engine,
                               error *err) {
  struct stat status;
  *f = (source_files){0};
  if (stat(path, &status) != 0) return unreadable(path, errno, err);
  if (S_ISDIR(status.st_mode)) return add_folder(f, path, q, engine, err);
  if (!S_ISREG(status.st_mode))
    return fail(err, SOTTO_ERR_ARGUMENT, "%.300s: it is no file: models are read in any order, so streams will not do",
                path);
  int n_parts = 1;
  const size_t suffix = model_file_split_suffix(path, &n_parts);
  if (suffix == 0) return add(f, strdup(path), q, engine, err);
  for (int i = 1; i <= n_parts; i++) TRY(add(f, model_file_part(path, suffix, i, n_parts), q, engine, err));
  return SOTTO_OK;
}

void source_files_close(source_files *f) {
  for (size_t i = 0; i < f->n; i++) {
    if (f->handles[i] >= 0) close(f->handles[i]);
    free(f->paths[i]);
  }
  free(f->paths);
  free(f->handles);
  *f = (source_files){0};
}

sotto_status source_files_read(source_files *f, int32_t index, uint64_t offset, void *to, size_t n, error *err) {
  const char *path = f->paths[index];
  if (f->handles[index] < 0) f->handles[index] = open(path, O_RDONLY);
  if (f->handles[index] < 0) return unreadable(path, errno, err);
  for (size_t done = 0; done < n;) {
    const ssize_t got = pread(f->handles[index], (char *)to + done, n - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(path, errno, err);
    if (got == 0) return fail(err, SOTTO_ERR_FORMAT, "%.300s: it became shorter while it was read", path);
    done += (size_t)got;
  }
  return SOTTO_OK;
}
