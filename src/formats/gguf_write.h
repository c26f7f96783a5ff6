/* Writer of GGUF model files (version 3, little-endian), to wherever the caller puts bytes.
 *
 *     values, tensors (name, type, shape) ──> memory ──first data──> [header][padding] ─┐
 *     data of one tensor after the other, in pieces of any size ──> [data][padding]... ─┴─> write callback
 *
 * Memory is bounded by the metadata. A call that fails is remembered: further ones do nothing, and gguf_write_end says why. No I/O. */
#ifndef SOTTO_GGUF_WRITE_H
#define SOTTO_GGUF_WRITE_H

#include "gguf.h"

typedef struct gguf_output {
  void *context;
  sotto_status (*write)(void *context, const void *bytes, size_t size, error *err); /* a status < 0 stops the writer */
} gguf_output;

typedef struct gguf_writer gguf_writer;

gguf_writer *gguf_write_open(const gguf_output *out); /* NULL: no memory */
void gguf_write_close(gguf_writer *w);                /* NULL is allowed */

/* ---- metadata, in any order; each key once ---- */

void gguf_write_u32(gguf_writer *w, const char *key, uint32_t value);
void gguf_write_f32(gguf_writer *w, const char *key, float value);
void gguf_write_bool(gguf_writer *w, const char *key, bool value);
void gguf_write_string(gguf_writer *w, const char *key, const char *text, size_t size);
/* [count] numbers or bools of `type`, as they lie in memory. */
void gguf_write_numbers(gguf_writer *w, const char *key, gguf_type type, const void *values, size_t count);
/* A value as it was read from another file. */
void gguf_write_value(gguf_writer *w, const char *key, const gguf_value *value);
/* An array of strings: its `count`, then each of them by gguf_write_item. */
void gguf_write_strings(gguf_writer *w, const char *key, size_t count);
void gguf_write_item(gguf_writer *w, const char *text, size_t size);

/* Announces a tensor: dims as in tensors.h. Data come in the order of these calls. */
void gguf_write_tensor(gguf_writer *w, const char *name, uint32_t type, int32_t rank, const int64_t dims[4]);

/* ---- data ---- */

/* Writes what stands before the data, which then may be put behind it by others: each tensor's at the next multiple of 32 bytes. Errors: as gguf_write_end. */
sotto_status gguf_write_head(gguf_writer *w, error *err);
/* The next bytes of the tensors' data; pieces may reach over the end of a tensor. Errors: as gguf_write_end. */
sotto_status gguf_write_data(gguf_writer *w, const void *bytes, size_t size, error *err);
/* Errors: ARGUMENT (a tensor that cannot be, data missing or left over, items missing), MEMORY, those of the callback. */
sotto_status gguf_write_end(gguf_writer *w, error *err);

#endif
