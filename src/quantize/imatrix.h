/* Importances: how much the columns of each matrix matter, by the mean squares of what they are multiplied with. Files are GGUF, as llama.cpp's: for each matrix NAME a
 * tensor NAME.in_sum2 with the sums of squares, f32 [cols], and NAME.counts, f32 [1], with how many were summed. */
#ifndef SOTTO_IMATRIX_H
#define SOTTO_IMATRIX_H

#include "../base/base.h"

typedef struct imatrix imatrix;

/* Reads a whole file, which may go afterwards. On failure *out is NULL. Errors: FORMAT, UNSUPPORTED, MEMORY. */
sotto_status imatrix_read(imatrix **out, const void *bytes, size_t n, error *err);
void imatrix_close(imatrix *x); /* NULL is allowed */

/* *weights: mean squares [cols] of the columns of matrix `name`, none below zero; NULL: there are none of this name. Errors: FORMAT (another number of columns). */
sotto_status imatrix_find(const imatrix *x, const char *name, int64_t cols, const float **weights, error *err);

#endif
