/* sotto info for language models: GGUF and safetensors files, and folders as on Hugging Face. */
#ifndef CLI_INFO_LANGUAGE_H
#define CLI_INFO_LANGUAGE_H

#include "mapped_file.h"

/* Whether the bytes begin as such a file does. */
bool info_is_language(const mapped_file *f);

/* Prints the description; false, with a sentence, when the file cannot be read as a model. */
bool info_language_file(const char *path, const mapped_file *f, bool as_json, error *err);
bool info_language_folder(const char *path, bool as_json, error *err);

#endif
