/* What the files of the GPU backend share: its memory, and the tape on which operations are recorded.
 *
 *     operations ──> gpu_kernel, gpu_param, gpu_bind, gpu_dispatch ──> tape ──play──> the host's WebGPU (js/src/gpu/player.ts)
 *
 * A dispatch names its kernel as text, "NAME key=value ...": a file of src/gpu/wgsl and the variant of it. Its bindings, all of group 0:
 *
 *     0        the parameters, at most 64 words
 *     1 act    f32, read and written: the one buffer of a session's activations
 *     2 vec    f32: the model's vectors
 *     3 ints   i32: tables that came with the tape
 *     4 + 2i   quants of weight i, as vec4<u32>;  5 + 2i  its scales, as u32 (weights.wgsl)
 *     10, 11   keys, values
 *     12       scratch f32, whose content lives from one dispatch to the next
 *     13       chosen: u32 [CHOSEN_WORDS], as said below */
#ifndef SOTTO_GPU_H
#define SOTTO_GPU_H

#include "../ops.h"

enum {
  BIND_ACT = 1,
  BIND_VEC = 2,
  BIND_INTS = 3,
  BIND_WEIGHT = 4,
  BIND_KEYS = 10,
  BIND_VALUES = 11,
  BIND_SCRATCH = 12,
  BIND_CHOSEN = 13
};

/* What the device can do; the host fills it in, word by word (js/src/gpu/device.ts). */
typedef struct gpu_traits {
  uint32_t max_binding_bytes; /* of one storage binding; at most 2^32 - 4 */
  uint32_t max_buffer_bytes;
  uint32_t max_workgroup_bytes, max_invocations; /* of a workgroup */
  uint32_t f16;                                  /* shader-f16 */
  uint32_t subgroup_min, subgroup_max;           /* 0: no subgroups */
  uint32_t matrix;                               /* subgroup matrices: f16 16x16x16 with f32 sums (0: none) */
  uint32_t packed_dot; /* dot4I8Packed: products of many rows are fastest with it, where the weight's type allows */
  uint32_t many_path;  /* what was measured best for linear_many else: 0 f32, 1 f16, 2 subgroup matrices */
  uint32_t software;   /* it computes on the CPU: compiling is what takes long there */
  uint32_t reserved[5];
} gpu_traits;

typedef struct gpu {
  backend base;
  gpu_traits traits;
  uint32_t scratch;     /* buffer id */
  size_t scratch_bytes; /* grown while opening */
  tensor prepared;      /* whose rows the scratch holds for products; rows 0: none */
  bool prepared_bytes;  /* as linear_many_bytes.wgsl makes them; else as f16 (half_row.wgsl) */
  uint32_t chosen;      /* buffer id */
  struct gpu_tape *tape;
  struct gpu_reads *reads;
  double work,
      piece;   /* multiplications recorded since the last flush for them, about, and at how many the next one is */
  bool waited; /* something was read since then */
} gpu;

struct buffer {
  uint32_t id; /* of the host's buffer; 0: none */
  size_t n;    /* f32 elements */
};

enum { MAX_PARTS = 64 };

/* Words of `chosen` by place; of choose: the id. Of choose_speech: ids, [MAX_SPEECH]; what decides what follows, [MAX_SPEECH, 4]; how many choices
 * there are, and each of them; tables of places, [MAX_SPEECH, MOST_PLACES]. choose_speech_rules.wgsl says the same. */
enum {
  SPEECH_CHOICE_WORDS = sizeof(speech_choice) / sizeof(uint32_t),
  SPEECH_LIST_WORDS = 1 + SPEECH_CHOICE_WORDS * MAX_SPEECH_CHOICES,
  MOST_PLACES = 512, /* of a sequence */
  SPEECH_IDS = MAX_CHOSEN,
  SPEECH_PASTS = SPEECH_IDS + MAX_CHOSEN * MAX_SPEECH,
  SPEECH_LISTS = SPEECH_PASTS + MAX_CHOSEN * MAX_SPEECH * 4,
  SPEECH_TABLES = SPEECH_LISTS + MAX_CHOSEN * SPEECH_LIST_WORDS,
  CHOSEN_WORDS = SPEECH_TABLES + MAX_CHOSEN * MAX_SPEECH * MOST_PLACES
};

/* Rows [first, first + n) of a weight: quants from the buffer's start, scales from scales_at on, both multiples of 256 bytes long. */
typedef struct weight_part {
  uint32_t id;
  int32_t first, n;
  size_t quant_bytes, scales_at, scale_bytes;
} weight_part;

struct weight {
  uint32_t type; /* dtype as it lies on the GPU: types without a kernel are converted while loading */
  uint32_t file_type;
  int32_t out, in;
  size_t bytes;
  int32_t n_parts; /* one, where the adapter's limits allow */
  weight_part parts[MAX_PARTS];
};

/* f16 elements [n_slots, n_head, head_dim], for keys and for values. */
struct kv {
  int kind;
  kv_type type;
  int32_t n_slots, n_head, head_dim;
  uint32_t k, v; /* buffer ids */
};

/* -- a dispatch: kernel, then parameters in order and bindings, then the grid -- */
/* `format` is a literal; it may have %d, %u and %s. */
void gpu_kernel(gpu *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gpu_param(gpu *g, uint32_t word);
void gpu_param_f32(gpu *g, float value);
/* offset: a multiple of 256; bytes 0: to its end. Who binds the scratch is taken to write it: g->prepared is gone. */
void gpu_bind(gpu *g, uint32_t binding, uint32_t id, size_t offset, size_t bytes);
void gpu_bind_weight(gpu *g, int32_t index, const weight *w, int32_t part);
/* n workgroups in a row; past the limit of a dimension in a square: index = x + y * num_workgroups.x, which may be n or more. */
void gpu_dispatch(gpu *g, uint32_t n);
void gpu_dispatch_3d(gpu *g, uint32_t x, uint32_t y, uint32_t z);
/* Copies integers onto the tape; returns the index of the first in `ints`. The same integers given again share a place. */
uint32_t gpu_ints(gpu *g, const int32_t *values, size_t n);
/* Sends what was recorded to the device. */
void gpu_flush(gpu *g);
/* Makes the scratch at least this large; false: no memory. Only while opening. */
bool gpu_grow_scratch(gpu *g, size_t bytes);

/* gpu_weight.c: the file's rows as they lie on the GPU. */
weight *gpu_weight_open(backend *be, uint32_t type, int32_t out, int32_t in);
void gpu_weight_rows(backend *be, weight *w, int32_t first, int32_t n, const void *rows);
void gpu_weight_seal(backend *be, weight *w);
void gpu_weight_close(backend *be, weight *w);
size_t gpu_weight_bytes(const weight *w);
const char *gpu_weight_type_name(const weight *w); /* the `type` of kernels: "q4_0" ... */

/* What attention left in the scratch of x [n, n_head * dim], which is the sum of `stretches` parts: attend_few.wgsl. */
typedef struct stretched {
  tensor x;
  int32_t n_head, dim, stretches;
  uint32_t stats; /* in scratch: pairs of largest score and sum */
} stretched;

enum { MOST_JOINED = 32 }; /* rows times stretches that a product joins, rather than attend_combine */

/* gpu_linear.c: products of few rows, and embed; gpu_linear_many.c: of many */
/* A product of rows that are not joined yet; they are few, and the weight has one part. */
void gpu_linear_stretched(gpu *g, const stretched *x, const attended *then);
void gpu_linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                const tensor *residual);
void gpu_norm_linear(backend *be, const normed *in, const product *out, int32_t n_out, activation act);
void gpu_norm_geglu(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch);
void gpu_embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
               const int32_t *pos);
/* Products of the same rows. */
void gpu_linear_many(gpu *g, tensor x, const product *out, int32_t n_out, activation act, const tensor *residual);
/* Leaves the normalized rows in the scratch alone, for those products. False: nothing was done, as they need them in in->rows. */
bool gpu_norm_half(gpu *g, const normed *in, const product *out, int32_t n_out);
/* Makes the scratch large enough for the products of many rows with w; false: no memory. Only while opening. */
bool gpu_linear_many_grow(gpu *g, const weight *w);

/* gpu_rows.c */
/* What is added before a norm, as its kernels name it: 0 nothing, 1 as it is, 2 with a norm of its own. */
static inline int normed_add(const normed *in) { return in->add == NULL ? 0 : in->add_gain == NULL ? 1 : 2; }
void gpu_norm(backend *be, const normed *in);
void gpu_geglu(gpu *g, tensor y, tensor gate, tensor up);
void gpu_rope_table(backend *be, tensor y, tensor frequencies, const int32_t *pos);
void gpu_softcap(backend *be, tensor x, float cap);

/* gpu_attention.c */
kv *gpu_kv_open(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim);
void gpu_kv_close(backend *be, kv *c);
void gpu_kv_fill(backend *be, kv *c, tensor k, tensor v);
size_t gpu_kv_place_bytes(const kv *c);
bool gpu_kv_get(backend *be, const kv *c, const int32_t *slots, int32_t n, void *bytes);
void gpu_kv_put(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes);
void gpu_cross_attention(backend *be, tensor y, tensor q, const kv *c, float scale, const attended *then);
void gpu_self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                        const rotation *turn, float scale, const kv_view *view, const attended *then);

/* gpu_choose.c */
bool gpu_choose(backend *be, tensor logits, const sotto_sampler_options *options, const int32_t *history,
                int32_t n_history, double draw, int32_t place);
sotto_status gpu_chosen(backend *be, int32_t place, int32_t *id);
void gpu_share(backend *be, tensor y, tensor x, int32_t column);
bool gpu_choose_speech(backend *be, tensor logits, const speech_rules *rules, const speech_state *state, int32_t keep,
                       int32_t place);
sotto_status gpu_chosen_speech(backend *be, int32_t place, speech_choice *choices, int32_t *n);

/* gpu_memory.c: buffers of the host. Reads are asynchronous: true once `bytes` are in `to`; the same read is asked for again until then. */
uint32_t gpu_buffer_new(gpu *g, size_t bytes); /* zeroed; 0: no memory */
void gpu_buffer_free(gpu *g, uint32_t id);
void gpu_write(gpu *g, uint32_t id, size_t offset, const void *from,
               size_t bytes); /* offset and bytes: multiples of 4 */
bool gpu_read(gpu *g, uint32_t id, size_t offset, void *to, size_t bytes);

#endif
