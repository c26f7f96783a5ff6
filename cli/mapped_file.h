/* A file's bytes, as the system pages them in. */
#ifndef CLI_MAPPED_FILE_H
#define CLI_MAPPED_FILE_H

#include "../src/base/base.h"

typedef struct mapped_file {
  const char *bytes;
  size_t size; /* > 0 */
} mapped_file;

/* False, with a sentence, when it cannot be read, is no file, or is empty. */
bool mapped_file_open(mapped_file *f, const char *path, error *err);
void mapped_file_close(mapped_file *f);

#endif
