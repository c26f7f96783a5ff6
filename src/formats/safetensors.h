/* Reader of safetensors files, pushed as bytes arrive, and of the index that lists the files of a model in several.
 *
 *     bytes ──feed──> [size of the JSON][JSON: name, dtype, shape, offsets]... ──> header callback
 *                     [data]... ────────────────────────────────────────────────> tensor callbacks
 *
 * As the format demands, the JSON has at most 100 MB, and data follow each other without holes or overlaps to the end of the file.
 * Memory is bounded by the bytes of the JSON that came (up to some times as much). F32, F16 and BF16 are read. No I/O. */
#ifndef SOTTO_SAFETENSORS_H
#define SOTTO_SAFETENSORS_H

#include "tensors.h"

typedef struct safetensors safetensors;

safetensors *safetensors_open(const tensor_sink *sink); /* NULL: no memory */
void safetensors_close(safetensors *s);                 /* NULL is allowed */
/* After an error every further call fails alike. Errors: FORMAT, UNSUPPORTED, MEMORY, those of the sink. */
sotto_status safetensors_feed(safetensors *s, const void *bytes, size_t size, error *err);
sotto_status safetensors_finish(safetensors *s, error *err); /* FORMAT when the file stops in the middle of something */

/* From the header callback on, until the reader is closed. A tensor without dimensions has one of 1. */
uint32_t safetensors_n_tensors(const safetensors *s);
const file_tensor *safetensors_tensor(const safetensors *s, uint32_t index); /* in the order of offsets */
uint64_t safetensors_file_bytes(const safetensors *s);

/* ---- model.safetensors.index.json ---- */

typedef struct safetensors_index safetensors_index;

/* Reads the whole text, which may go afterwards. On failure *out is NULL. Errors: FORMAT, MEMORY. */
sotto_status safetensors_index_open(safetensors_index **out, const char *text, size_t size, error *err);
void safetensors_index_close(safetensors_index *x); /* NULL is allowed */

uint32_t safetensors_index_n_tensors(const safetensors_index *x); /* in all files */
uint32_t safetensors_index_n_files(const safetensors_index *x);
/* Name of file `index` of [0, n_files), in the order of first mention: a plain name in the folder of the index. */
const char *safetensors_index_file(const safetensors_index *x, uint32_t index);

#endif
