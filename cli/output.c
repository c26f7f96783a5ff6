#define _XOPEN_SOURCE 700

#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool output_open(output *o, const char *path) {
  *o = (output){0};
  if (path == NULL) {
    o->file = stdout;
    return true;
  }
  size_t size = strlen(path) + 40;
  const char *slash = strrchr(path, '/');
  int directory = slash != NULL ? (int)(slash + 1 - path) : 0;
  o->path = strdup(path);
  o->temporary = malloc(size);
  if (o->path != NULL && o->temporary != NULL) {
    snprintf(o->temporary, size, "%.*s.%s.%ld.tmp", directory, path, path + directory, (long)getpid());
    o->file = fopen(o->temporary, "wbx");
  }
  if (o->file != NULL) return true;
  free(o->path);
  free(o->temporary);
  *o = (output){0};
  return false;
}

bool output_write(output *o, const char *bytes, size_t size) {
  return fwrite(bytes, 1, size, o->file) == size && fflush(o->file) == 0;
}

bool output_commit(output *o) {
  if (o->path == NULL) {
    o->file = NULL;
    return true;
  }
  bool ok = fclose(o->file) == 0;
  o->file = NULL;
  ok = ok && rename(o->temporary, o->path) == 0;
  int code = errno;
  if (!ok) unlink(o->temporary);
  free(o->path);
  free(o->temporary);
  *o = (output){0};
  errno = code;
  return ok;
}

void output_discard(output *o) {
  if (o->path != NULL) {
    if (o->file != NULL) fclose(o->file);
    unlink(o->temporary);
  }
  free(o->path);
  free(o->temporary);
  *o = (output){0};
}
