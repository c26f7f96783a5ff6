/* What of the tape and of the reads only the backend itself (gpu.c, gpu_memory.c) uses. */
#ifndef SOTTO_GPU_TAPE_H
#define SOTTO_GPU_TAPE_H

#include "gpu.h"

enum { GPU_ALIGNMENT = 256 }; /* bytes: of the offset of a binding */

typedef struct gpu_tape gpu_tape;
typedef struct gpu_reads gpu_reads;

gpu_tape *gpu_tape_open(void); /* NULL: no memory */
void gpu_tape_close(gpu_tape *t);
bool gpu_tape_empty(const gpu_tape *t);
/* Recorded like a dispatch; offsets and bytes: multiples of 4. The buffers may not be the same. */
void gpu_copy(gpu *g, uint32_t from, size_t from_offset, uint32_t to, size_t to_offset, size_t bytes);

gpu_reads *gpu_reads_open(void); /* NULL: no memory */
void gpu_reads_close(gpu_reads *r);
/* These bytes are about to change: what was read of them counts no more. */
void gpu_changes(gpu *g, uint32_t id, size_t offset, size_t bytes);
/* A tensor's elements, dense, until they change; NULL while pending. */
float *gpu_read_tensor(gpu *g, tensor src);

#endif
