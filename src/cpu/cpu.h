/* What the files of the CPU backend share: the backend's memory and its tensors. */
#ifndef SOTTO_CPU_H
#define SOTTO_CPU_H

#include "../base/pool.h"
#include "../ops.h"
#include "kernels.h"

#define LEFT_BYTES         ((size_t)5 << 20) /* the left operand's panels; a longer one is done in pieces */
#define LEFT_SCALES        (1 << 15)         /* and its most units */
#define MAX_WEIGHT_COLUMNS (1 << 17)
#define MAX_BLOCK_PANELS   32                /* right panels that one item of a product works on, at most */
#define BYTE_PANELS        8                 /* and in bytes, always */
#define FEW_BYTES          ((size_t)2 << 20) /* rows of activations as blocks for the dot kernels; more are done in pieces */
#define MAX_FEW_ROWS       16 /* rows of activations that stream a weight of blocks instead of unpacking it into panels */
#define MAX_DOT8_ROWS      512 /* the same, where the dot kernels multiply int8 */

typedef struct cpu {
  backend base;
  pool *pool;
  const kernels *k;

  int16_t *left;        /* panels of the left operand, LEFT_BYTES */
  float *left_scales;   /* [LEFT_SCALES] */
  int32_t *left_begins; /* [LEFT_SCALES]: of rows in bytes, where sums begin */
  void *few;            /* rows of activations as blocks, few_bytes */
  size_t few_bytes;
  float *dense; /* dense_size elements: the copy that read gives of a tensor with gaps */
  size_t dense_size;
  float *partial; /* partial_size elements: what threads that share a query's places found */
  size_t partial_size;
  char *scratch; /* scratch_bytes for each thread */
  size_t scratch_bytes;
  bool bytes;         /* products of more than MAX_FEW_ROWS rows are in bytes, where there are kernels for it */
  row_watcher *watch; /* NULL: nobody looks at the rows of products */
  void *watch_context;
} cpu;

struct buffer {
  size_t n;
  float *data;
};

static inline float *tensor_at(tensor t, int32_t row) {
  return t.buf->data + t.offset + (size_t)row * (size_t)t.stride;
}
static inline int32_t divide_up(int32_t a, int32_t b) { return (a + b - 1) / b; }
/* Bytes that a row of activations takes in `few`, at most: integers, units, sums. */
static inline size_t few_row_bytes(int32_t in) {
  return (size_t)in * 2 + (size_t)(in / 32) * 4 + (size_t)(in / 16) * 4;
}
static inline size_t align_64(size_t n) { return (n + 63) & ~(size_t)63; }

static inline void *cpu_scratch(const cpu *c, int32_t thread) { return c->scratch + (size_t)thread * c->scratch_bytes; }

/* Makes the scratch of each thread at least this large; false: no memory. Only while opening: contents are lost. */
bool cpu_grow_scratch(cpu *c, size_t bytes);

/* pool_run_neighbours, or a plain loop where the work (in multiplications or the like) is too small to wake anybody. */
void cpu_run(const cpu *c, pool_fn *fn, void *context, int32_t n_items, double work);

/* Row i of in->rows, made. */
const float *cpu_norm_row(const cpu *c, const normed *in, int32_t i);

/* cpu_weight.c, cpu_linear.c, cpu_kv.c, cpu_attention.c */
weight *cpu_weight_open(backend *be, uint32_t type, int32_t out, int32_t in);
void cpu_weight_rows(backend *be, weight *w, int32_t first, int32_t n, const void *rows);
void cpu_weight_seal(backend *be, weight *w);
void cpu_weight_close(backend *be, weight *w);
size_t cpu_weight_bytes(const weight *w);
void cpu_linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                const tensor *residual);
void cpu_norm_linear(backend *be, const normed *in, const product *out, int32_t n_out, activation act);
void cpu_norm_geglu(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch);
kv *cpu_kv_open(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim);
void cpu_kv_close(backend *be, kv *c);
void cpu_kv_fill(backend *be, kv *c, tensor k, tensor v);
size_t cpu_kv_place_bytes(const kv *c);
bool cpu_kv_get(backend *be, const kv *c, const int32_t *slots, int32_t n, void *bytes);
void cpu_kv_put(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes);
void cpu_kv_copy(backend *be, kv *to, const kv *from, const int32_t *slots, int32_t n);
void cpu_cross_attention(backend *be, tensor y, tensor q, const kv *c, float scale, const attended *then);
void cpu_self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                        const rotation *turn, float scale, const kv_view *view, const attended *then);

#endif
