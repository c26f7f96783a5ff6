/* Whole files, and lists of token ids in them. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdint.h>

#include "json.h"

/* Appends the bytes of a file; "-" is standard input. False after printing why not. */
bool input_read(text *t, const char *path);

/* Token ids of one text or of several, one after the other. */
typedef struct id_texts {
  int32_t *ids;
  size_t *ends; /* [n_texts]: where in `ids` each ends */
  size_t n_texts;
} id_texts;

/* Reads a JSON array of ids, a JSON array of such arrays, or ids between white space. False after printing what is wrong. */
bool input_read_ids(id_texts *t, const char *path);
void id_texts_free(id_texts *t);

#endif
