/* The seam between models and backends: handles of tensors, and the operations a forward pass is made of.
 *
 * A model fills a weight once, allocates its activations at open, and then calls operations in order. The CPU executes each call;
 * a GPU backend records it. A model never looks into a tensor's memory: it uploads and reads.
 *
 * Activations are f32 matrices [rows, cols], row-major, with a stride, so that views cost nothing:
 *   columns [a, b) of x        view(x, ...): offset a, cols b - a, same stride
 *   1-D convolution            rows that overlap: linear over x viewed with cols = k * channels, stride = hop * channels */
#ifndef SOTTO_OPS_H
#define SOTTO_OPS_H

#include "base/base.h"
#include "quant/quant.h"

typedef struct backend backend;
typedef struct buffer buffer; /* backend memory of f32 */
typedef struct weight weight; /* a matrix [out, in] in whatever layout the backend likes best */
typedef struct kv kv;         /* keys and values of one layer's attention */

typedef struct tensor {
  buffer *buf;
  size_t offset; /* of the first element, in f32 elements */
  int32_t rows, cols;
  int32_t stride; /* elements from a row to the next; may be less than cols (rows overlap) */
} tensor;

/* A dense matrix in `buf`, from element `offset` on. */
static inline tensor tensor_matrix(buffer *buf, size_t offset, int32_t rows, int32_t cols) {
  return (tensor){.buf = buf, .offset = offset, .rows = rows, .cols = cols, .stride = cols};
}

static inline tensor tensor_rows(tensor t, int32_t first, int32_t n) {
  t.offset += (size_t)first * (size_t)t.stride;
  t.rows = n;
  return t;
}

typedef enum activation { ACT_NONE = 0, ACT_GELU_ERF = 1 } activation;

/* Which places a query sees: query i the length[i] places slots[i * slot_stride + first[i] ...], at least one. It is a table, so that sequences share
 * their common past and are reordered without copying, and so that rings need no kernel of their own. With slot_stride 0 the queries look at one row of
 * it, all of whose entries from the least first to the greatest end are places. */
typedef struct kv_view {
  const int32_t *slots;
  int32_t slot_stride;
  const int32_t *first; /* NULL: 0 for all */
  const int32_t *length;
  float softcap; /* scores become cap * tanh(score / cap); 0: as they are */
} kv_view;

enum { KV_WHOLE = 0, KV_SLOTS = 1 };

/* How an element of a key or a value is kept; the numbers are those of sotto_kv_type. */
typedef enum kv_type {
  KV_16 = 0,   /* 16 bits */
  KV_Q8_0 = 1, /* 8 bits, 32 elements share a scale */
} kv_type;

typedef struct ops {
  const char *name; /* "cpu" */

  /* -- memory: all of it is taken while opening; NULL when it runs out -- */
  buffer *(*buffer_open)(backend *be, size_t n_elements); /* zeroed f32 */
  void (*buffer_close)(backend *be, buffer *buf);
  void (*upload)(backend *be, tensor dst, const float *src); /* src dense [rows, cols] */
  /* The tensor's elements as dense f32 in CPU memory, the caller's to change, valid until the next operation; NULL while pending: step again. */
  float *(*read)(backend *be, tensor src);

  /* -- weights: [out, in] of `type`, filled by rows in order, then sealed (repacked, made immutable) -- */
  weight *(*weight_open)(backend *be, uint32_t type, int32_t out, int32_t in);
  void (*weight_rows)(backend *be, weight *w, int32_t first, int32_t n,
                      const void *rows); /* in the type's own layout */
  void (*weight_seal)(backend *be, weight *w);
  void (*weight_close)(backend *be, weight *w);
  size_t (*weight_bytes)(const weight *w);

  /* -- operations -- */

  /* y[n, out] = act(x[n, in] · wᵀ + bias) + residual.  bias: [1, out] or NULL; residual: [n, out] or NULL, may be y itself. */
  void (*linear)(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                 const tensor *residual);

  /* y = (x - mean) / sqrt(variance + eps) * gain + bias, by rows.  gain, bias: [1, cols]. y may be x. */
  void (*layer_norm)(backend *be, tensor y, tensor x, tensor gain, tensor bias, float eps);

  /* y = x / sqrt(mean(x²) + eps) * gain + residual, by rows.  gain: [1, cols]; residual: [n, cols] or NULL, may be y. y may be x. */
  void (*rms_norm)(backend *be, tensor y, tensor x, tensor gain, float eps, const tensor *residual);

  /* y[i] = table[ids[i]] * scale + positions[pos[i]].  table is a weight [n_vocab, cols]; positions a tensor [n_ctx, cols], or NULL. */
  void (*embed)(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
                const int32_t *pos);

  /* y[i] = cos(pos[i] * frequencies), sin(pos[i] * frequencies).  frequencies: [1, d / 2]; y: [n, d]. */
  void (*rope_table)(backend *be, tensor y, tensor frequencies, const int32_t *pos);

  /* Each head of x [n, n_head * d], in place: RMS norm with gain [1, d] (NULL: none), then rotary positions: the pair of elements
   * (i, i + d / 2) turns by the angle of table [n, d]. */
  void (*rotate)(backend *be, tensor x, tensor table, const tensor *gain, float eps);

  /* y = gelu(gate) * up, gelu in its tanh form. y may be gate or up. */
  void (*geglu)(backend *be, tensor y, tensor gate, tensor up);

  /* x = cap * tanh(x / cap), in place. */
  void (*softcap)(backend *be, tensor x, float cap);

  /* -- attention -- */

  /* n_slots places for one key and one value of [n_head * head_dim] each; n_head counts those of keys and values.
   * KV_WHOLE: filled at once and then only read, by many queries (encoder, cross attention); of type KV_16. KV_SLOTS: filled place by place
   * (decoder). NULL: no memory. */
  kv *(*kv_open)(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim);
  void (*kv_close)(backend *be, kv *c);
  /* KV_WHOLE: k, v [n_slots, n_head * head_dim] replace everything. */
  void (*kv_fill)(backend *be, kv *c, tensor k, tensor v);
  /* KV_SLOTS: row i of k and v goes to place slots[i]. */
  void (*kv_store)(backend *be, kv *c, tensor k, tensor v, const int32_t *slots);
  /* KV_SLOTS: the content of places as bytes, to copy or to keep: n * kv_place_bytes, the same on every machine, for a kv of the
   * same type, n_head and head_dim. kv_get returns false while pending: step again. kv_put takes any bytes: those that no kv_get
   * made give wrong results, and nothing worse. */
  size_t (*kv_place_bytes)(const kv *c);
  bool (*kv_get)(backend *be, const kv *c, const int32_t *slots, int32_t n, void *bytes);
  void (*kv_put)(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes);

  /* y[n, n_q_head * head_dim] = softmax(softcap(q kᵀ * scale)) v, by heads; q [n, n_q_head * head_dim]; n_q_head is a multiple of the n_head of c,
   * and query heads share a key head with their neighbours.
   * KV_WHOLE: every query sees every place, without softcap; view is NULL. KV_SLOTS: what the view says. */
  void (*attention)(backend *be, tensor y, tensor q, const kv *c, float scale, const kv_view *view);
} ops;

struct backend {
  const ops *ops;
};

/* The CPU backend. `pool` is borrowed. NULL: no memory. */
struct pool;
backend *cpu_backend_open(struct pool *pool);
void cpu_backend_close(backend *be);
const char *cpu_backend_isa(void); /* as sotto_engine_isa */

#endif
