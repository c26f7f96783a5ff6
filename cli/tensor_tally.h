/* The tensors of a model's files, counted by type; each of them too, where that is wanted. */
#ifndef CLI_TENSOR_TALLY_H
#define CLI_TENSOR_TALLY_H

#include "../src/quant/quant.h"
#include "json.h"

typedef struct tensor_tally {
  uint64_t n_tensors, n_parameters, bytes;
  struct {
    uint64_t n_tensors, bytes;
  } types[DTYPE_COUNT];
  bool each, as_json; /* set before: a line or an element of a JSON array for each tensor goes to `list` */
  text list;
} tensor_tally;

/* `type` is a known one. */
void tensor_tally_add(tensor_tally *t, const char *name, uint32_t type, int32_t rank, const int64_t *dims,
                      uint64_t bytes);
void tensor_tally_free(tensor_tally *t);

/* The type with the most bytes. */
uint32_t tensor_tally_most(const tensor_tally *t);

/* Appends a line of a table for each type, then each tensor's. */
void tensor_tally_lines(const tensor_tally *t, text *out);
/* Appends `,"types":[...]`, and `,"tensors":[...]` where each is wanted. */
void tensor_tally_json(const tensor_tally *t, text *out);

#endif
