/* Finds and loads model files. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "../include/sotto.h"

/* Path of the Whisper model that `given` names: a path, or the NAME of a ggml-NAME.bin in ./models or the cache directory.
 * NULL after printing what was tried and how to get it. Free it. */
char *model_file_find(const char *given);

/* The first of these paths, seen from the folder of the command, at which there is something; NULL: nowhere. Free it. */
char *model_file_beside(const char *const *places, size_t n);

/* Path of the language model to take where none is named: what SOTTO_LANGUAGE_MODEL of the environment says, else the small model that comes
 * with sotto, beside the command. NULL: there is none. Valid until the next call. */
const char *model_file_default(void);

/* Bytes of "-00001-of-00003.gguf" at the end of the path of a part of a split model; 0: it is none. */
size_t model_file_split_suffix(const char *path, int *n_parts);
/* Path of part `i` of [1, n_parts] of the same model; free it. NULL: no memory. */
char *model_file_part(const char *path, size_t suffix, int i, int n_parts);

/* Feeds a model file, all parts of a split GGUF file (name-00001-of-00003.gguf, any of them is given), or the files of a Hugging Face
 * folder to a new model. With `only_text` no more than it takes to tokenize, and the model is not finished; with
 * `show_progress` a terminal shows how far each file is.
 * NULL after printing what is wrong. */
sotto_model *model_file_load(sotto_engine *engine, const char *path, bool only_text, bool show_progress);

#endif
