/* What the loading of every model shares.
 *
 *     bytes of a tensor, in pieces ──> row_stage ──whole rows──> the model
 *     tensors that came ──> tensor_census ──> sotto_model_info */
#ifndef SOTTO_LOADING_H
#define SOTTO_LOADING_H

#include "../quant/quant.h"

/* Rows as they come: whole ones go on straight from the caller's bytes, one that came in part waits here. Zero it to begin. */
typedef struct row_stage {
  uint8_t *bytes;
  size_t capacity, held, row_bytes;
  int32_t row; /* the next one */
} row_stage;

/* Takes `n` rows, from the first on. */
typedef sotto_status row_sink(void *context, int32_t first, int32_t n, const void *rows, error *err);

/* The bytes that follow are rows of this many. False: no memory. */
bool row_stage_begin(row_stage *s, size_t row_bytes);
sotto_status row_stage_feed(row_stage *s, const void *bytes, size_t size, row_sink *sink, void *context, error *err);
void row_stage_free(row_stage *s);

/* Counts the tensors that came: n_tensors, n_parameters, weight_bytes and weight_type of a description. Zero it to begin. */
typedef struct tensor_census {
  uint64_t of_type[DTYPE_COUNT]; /* elements */
} tensor_census;

void tensor_census_add(tensor_census *c, sotto_model_info *info, uint32_t type, uint64_t elements, uint64_t bytes);

#endif
