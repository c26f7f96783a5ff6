/* A Gemma to a GGUF file on the disk, which appears whole or not at all. */
#ifndef CLI_GGUF_FILE_H
#define CLI_GGUF_FILE_H

#include "gemma_gguf.h"

/* Errors: as gemma_gguf_write, ARGUMENT (the file cannot be written). */
sotto_status gguf_file_write(const char *path, const gemma_gguf *model, const gemma_rows *rows, error *err);

#endif
