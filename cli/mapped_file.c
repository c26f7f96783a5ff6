#define _XOPEN_SOURCE 700

#include "mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool mapped_file_open(mapped_file *f, const char *path, error *err) {
  *f = (mapped_file){NULL, 0};
  int file = open(path, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0) {
    fail(err, SOTTO_ERR_ARGUMENT, "%s", strerror(errno));
  } else if (!S_ISREG(status.st_mode)) {
    fail(err, SOTTO_ERR_ARGUMENT, "it is not a file");
  } else if (status.st_size == 0) {
    fail(err, SOTTO_ERR_FORMAT, "the file is empty");
  } else {
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED)
      fail(err, SOTTO_ERR_MEMORY, "%s", strerror(errno));
    else
      *f = (mapped_file){bytes, (size_t)status.st_size};
  }
  if (file >= 0) close(file);
  return f->bytes != NULL;
}

void mapped_file_close(mapped_file *f) {
  if (f->bytes != NULL) munmap((void *)f->bytes, f->size);
  *f = (mapped_file){NULL, 0};
}
