/* Finds and loads model files. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include "../include/sotto.h"

/* Path of the model that `given` names: a path, or the NAME of a ggml-NAME.bin in ./models or the cache directory.
 * NULL after printing what was tried and how to get it. Free it. */
char *model_file_find(const char *given);

/* Feeds the file to a new model. NULL after printing what is wrong with it. */
sotto_model *model_file_load(sotto_engine *engine, const char *path);

#endif
