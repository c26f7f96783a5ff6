/* A Gemma to a GGUF file on the disk, which appears whole or not at all. */
#ifndef CLI_GGUF_FILE_H
#define CLI_GGUF_FILE_H

#include "args.h"
#include "../src/quantize/gemma_gguf.h"

/* ---- the options of commands that make one ---- */

typedef struct gguf_file_options {
  const char *path;
  const recipe *recipe;
} gguf_file_options;

enum { GGUF_FILE_OUTPUT = 1200, GGUF_FILE_TYPE };

#define GGUF_FILE_OPTIONS \
  {"output", 'o', true, GGUF_FILE_OUTPUT}, { "type", 0, true, GGUF_FILE_TYPE }

#define GGUF_FILE_HELP(more)                                             \
  "  -o, --output FILE  the GGUF file; it appears whole or not at all\n" \
  "      --type TYPE    " RECIPE_NAMES                                   \
  "\n"                                                                   \
  "                     (default: " more "\n"

/* Takes the option that args_next found, when it is one of these: *taken. False after printing what is wrong with it. */
bool gguf_file_option(gguf_file_options *o, const args *a, int id, bool *taken);

/* ---- the file ---- */

/* Where the weights come from. */
typedef struct gemma_rows {
  void *context;
  /* Writes rows [first, first + n) of a tensor as `type` to `out`; weights of norms as 1 + w. */
  sotto_status (*read)(void *context, const gemma_slot *slot, uint32_t type, int32_t first, int32_t n, uint8_t *out,
                       error *err);
} gemma_rows;

/* Errors: as gemma_gguf_metadata, ARGUMENT (the file cannot be written), those of `rows`. */
sotto_status gguf_file_write(const char *path, const gemma_gguf *model, const gemma_rows *rows, error *err);

#endif
