/* The files of a model on the disk, for the quantizer: a folder's, a GGUF file's parts, or one file. */
#ifndef CLI_SOURCE_FILES_H
#define CLI_SOURCE_FILES_H

#include "../src/base/base.h"

typedef struct source_files {
  char **paths; /* [n] */
  int *handles; /* [n]; -1: not opened yet */
  size_t n;
} source_files;

/* Announces to the quantizer each file that belongs to the model at `path`. Close it after failure too.
 * Errors: ARGUMENT (what cannot be read), those of the quantizer. */
sotto_status source_files_open(source_files *f, const char *path, sotto_quantizer *q, const sotto_engine *engine,
                               error *err);
void source_files_close(source_files *f);

/* Reads bytes [offset, offset + n) of file `index`. Errors: ARGUMENT, FORMAT (the file is shorter than it was). */
sotto_status source_files_read(source_files *f, int32_t index, uint64_t offset, void *to, size_t n, error *err);

#endif
