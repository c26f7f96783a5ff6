/* Finds and loads model files. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include <stdbool.h>

#include "../include/sotto.h"

/* Path of the Whisper model that `given` names: a path, or the NAME of a ggml-NAME.bin in ./models or the cache directory.
 * NULL after printing what was tried and how to get it. Free it. */
char *model_file_find(const char *given);

/* Feeds a model file, all parts of a split GGUF file (name-00001-of-00003.gguf, any of them is given), or the files of a Hugging Face
 * folder to a new model. With `only_text` no more than it takes to tokenize, and the model is not finished.
 * NULL after printing what is wrong. */
sotto_model *model_file_load(sotto_engine *engine, const char *path, bool only_text);

#endif
