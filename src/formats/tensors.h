/* The tensors of a model file, and where a reader delivers their data: the same for GGUF and safetensors. */
#ifndef SOTTO_TENSORS_H
#define SOTTO_TENSORS_H

#include "../quant/quant.h"

typedef struct file_tensor {
  const char *name; /* NUL-terminated, printable ASCII; lives as long as the reader */
  uint32_t type;    /* dtype */
  int32_t rank;     /* 1 to 4 */
  int64_t dims[4];  /* row-major: outermost first, dims[rank - 1] is contiguous; unused ones are 1 */
  uint64_t offset;  /* in the file */
  uint64_t bytes;
} file_tensor;

/* Each returns a status < 0 to stop; the reader passes it on. */
typedef struct tensor_sink {
  void *context;
  /* Once, before the first data: all that the file says about itself can be asked from the reader. */
  sotto_status (*header)(void *context, error *err);
  /* Tensors come in the order of their offsets. Data come in pieces of any size (whole rows are not guaranteed). */
  sotto_status (*tensor_begin)(void *context, const file_tensor *tensor, error *err);
  sotto_status (*tensor_data)(void *context, const void *bytes, size_t size, error *err);
  sotto_status (*tensor_end)(void *context, error *err);
} tensor_sink;

/* Bytes of a tensor from its type and dims. Returns 0 when a dimension is not positive, when rows do not consist of whole blocks, and on
 * overflow. */
uint64_t file_tensor_bytes(uint32_t type, int32_t rank, const int64_t dims[4]);

/* Orders tensors by their offsets. Returns NULL, or the name of a tensor that is there twice. `scratch` has room for n pointers. */
const char *file_tensors_sort(file_tensor *tensors, const file_tensor **scratch, size_t n);

/* Lets data through to a sink, tensor by tensor. */
typedef struct tensor_stream {
  const tensor_sink *sink;
  const file_tensor *tensors; /* in the order of offsets, not overlapping */
  uint32_t n_tensors, next;   /* next: the open tensor, or the one that comes */
  bool open;
  uint64_t position; /* in the file, of the bytes that come */
} tensor_stream;

sotto_status tensor_stream_feed(tensor_stream *s, const void *bytes, size_t size, error *err);
/* FORMAT when the file ends before all data came. */
sotto_status tensor_stream_finish(const tensor_stream *s, error *err);

#endif
