/* What the commands on language models share: the model, loaded, and where sentences about it go. */
#ifndef CLI_LANGUAGE_H
#define CLI_LANGUAGE_H

#include <stdbool.h>

#include "../include/sotto.h"

typedef struct language {
  const char *path;
  sotto_engine *engine;
  sotto_model *model;
  sotto_model_info info;
  double load_ms;
} language;

/* Loads the model; with `only_text` what it takes to tokenize. False after printing why not. Close it in either case.
 * `threads` 0: one for each core, at most 8. */
bool language_open(language *l, const char *path, int32_t threads, bool only_text);
void language_close(language *l);

/* Prints the engine's last error; false. */
bool language_complain(const language *l);

#endif
