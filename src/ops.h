/* The seam between models and backends: handles of tensors, and the operations a forward pass is made of.
 *
 * A model fills a weight once, allocates its activations at open, and then calls operations in order. The CPU executes each call;
 * a GPU backend records it. A model never looks into a tensor's memory: it uploads and reads.
 *
 * Activations are f32 matrices [rows, cols], row-major, with a stride, so that views cost nothing. Those of one operation lie in one buffer; the
 * model's own vectors (gains, biases, tables of positions) in another one, which all operations share:
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

/* Rows on their way into products: x, after a sum of its own, normalized.
 *
 *     x ──(+ rms(add) * add_gain)──> sum ──norm * gain──> rows
 *
 * The sum waits for the norm that follows it, so that one operation reads both. A layer norm is (v - mean) / sqrt(variance + eps) * gain + bias, an RMS
 * norm v / sqrt(mean(v²) + eps) * gain. norm() leaves the normalized rows in `rows`; after other operations its content is undefined. */
typedef struct normed {
  tensor x;               /* [n, cols] */
  const tensor *add;      /* [n, cols], or NULL: there is nothing to add, and sum is not touched */
  const tensor *add_gain; /* [1, cols] of an RMS norm of add, or NULL: it is added as it is */
  tensor sum;             /* [n, cols]: gets x + add; apart from x and add */
  tensor gain;            /* [1, cols] */
  const tensor *bias;     /* [1, cols] of a layer norm, NULL: an RMS norm */
  float eps;              /* of both norms */
  tensor rows;            /* [n, cols]: room for the normalized rows, apart from all others */
} normed;

/* One product of normalized rows: y[n, out] = act(rows · wᵀ + bias). */
typedef struct product {
  tensor y;
  const weight *w;
  const tensor *bias; /* [1, out], or NULL */
} product;

enum { MAX_PRODUCTS = 3 };

/* The product that follows attention: out.y = rows · wᵀ + bias + residual, as of linear. */
typedef struct attended {
  product out;
  const tensor *residual; /* [n, out], or NULL; may be out.y */
} attended;

/* Queries and keys before attention: each head an RMS norm with its gain [1, head_dim] (NULL: none), then rotary positions: the pair of elements
 * (i, i + head_dim / 2) turns by the angle of table [n, head_dim], which rope_table made. */
typedef struct rotation {
  tensor table;
  const tensor *q_gain, *k_gain;
  float eps;
} rotation;

/* Which places a query sees: query i the length[i] places slots[i * slot_stride + first[i] ...], at least one. It is a table, so that sequences share
 * their common past and are reordered without copying, and so that rings need no kernel of their own. With slot_stride 0 the queries look at one row of
 * it, all of whose entries from the least first to the greatest end are places. */
typedef struct kv_view {
  const int32_t *slots; /* NULL, without a ring: the table that choose_speech keeps in `place`, row by row */
  int32_t place;
  int32_t slot_stride;
  int32_t ring;         /* not 0: slots[i] is i % ring, for all rows of the table */
  const int32_t *first; /* NULL: 0 for all */
  const int32_t *length;
  float softcap; /* scores become cap * tanh(score / cap); 0: as they are */
} kv_view;

enum { KV_WHOLE = 0, KV_SLOTS = 1 };

enum {
  MAX_CHOSEN = 8,
  MAX_SPEECH = 16,                              /* sequences of a transcript that are chosen together */
  MAX_SPEECH_CHOICES = MAX_SPEECH + MAX_SPEECH, /* those that go on, and those that end */
};
#define CHOSEN(place)           (-1 - (place)) /* an id for embed: that which choose keeps in this place */
#define CHOSEN_SPEECH(place, i) (-1 - (MAX_CHOSEN + (place)*MAX_SPEECH + (i))) /* of sequence i of choose_speech */

/* What may follow in a transcript: tokens of text, then those of times, from first_time on. src/models/whisper_rules.c says how. */
typedef struct speech_rules {
  int32_t end, first_time;
  int32_t max_first;         /* the latest time that may be the first token */
  bool timed;                /* times are wanted */
  const int32_t *suppressed; /* [n_suppressed]: never */
  int32_t n_suppressed;
} speech_rules;

/* A sequence of a transcript, as far as it decides what follows. */
typedef struct speech_past {
  int32_t last, before; /* its last two tokens; -1: there is none */
  int32_t time;         /* its last time; -1: none */
  float score;          /* sum of log-probabilities, apart from what all sequences have in common */
} speech_past;

/* To sample, at a temperature above 0: sequence i goes on with the token that its draw gives. */
typedef struct speech_draws {
  float temperature, at[MAX_SPEECH]; /* of [0, 1) */
} speech_draws;

/* Sequences before a choice. */
typedef struct speech_state {
  int32_t from;            /* they are what was chosen in this place; -1: they are known, as follows */
  const speech_past *past; /* [n] */
  const int32_t *slots;    /* their table of places (kv_view), a row for each */
  int32_t slot_stride;
  int32_t length;            /* tokens, and so places, of each */
  int32_t next_slot;         /* the next token of sequence i will be in place next_slot + i */
  const speech_draws *draws; /* NULL: for the likeliest */
} speech_state;

/* A sequence and a token after it. */
typedef struct speech_choice {
  int32_t parent, id;
  float logit;
  float log_sum, model_log_sum; /* log of the sum of exp(logit): of those that it was chosen from, and of all */
} speech_choice;

/* How an element of a key or a value is kept; the numbers are those of sotto_kv_type. */
typedef enum kv_type {
  KV_16 = 0,   /* 16 bits */
  KV_Q8_0 = 1, /* 8 bits, 32 elements share a scale */
} kv_type;

typedef struct ops {
  const char *name;           /* "cpu", "webgpu" */
  void (*close)(backend *be); /* after all that was opened on it */

  /* -- memory: all of it is taken while opening; NULL when it runs out -- */
  bool (*reserve)(backend *be, uint64_t bytes);           /* whether this much more can be had, in parts; takes none */
  buffer *(*buffer_open)(backend *be, size_t n_elements); /* zeroed f32 */
  void (*buffer_close)(backend *be, buffer *buf);
  void (*upload)(backend *be, tensor dst, const float *src); /* src dense [rows, cols] */
  void (*copy)(backend *be, tensor dst, tensor src);         /* of one shape, in two buffers */
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

  /* From here on, products of many rows may round to bytes where that is faster; NULL: it never is. */
  void (*round_to_bytes)(backend *be, bool on);

  /* y[n, out] = act(x[n, in] · wᵀ + bias) + residual.  bias: [1, out] or NULL; residual: [n, out] or NULL, may be y itself, or one of the
   * model's own vectors. */
  void (*linear)(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                 const tensor *residual);

  /* in->rows = the normalized rows. */
  void (*norm)(backend *be, const normed *in);

  /* n_out products, at most MAX_PRODUCTS, of the same normalized rows. */
  void (*norm_linear)(backend *be, const normed *in, const product *out, int32_t n_out, activation act);

  /* y[n, d_ff] = gelu(rows · gateᵀ) * (rows · upᵀ), gelu in its tanh form. scratch: [n, d_ff], apart from y. */
  void (*norm_geglu)(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch);

  /* y[i] = table[ids[i]] * scale + positions[pos[i]].  table is a weight [n_vocab, cols]; positions a tensor [n_ctx, cols], or NULL. */
  void (*embed)(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
                const int32_t *pos);

  /* y[i] = cos(pos[i] * frequencies), sin(pos[i] * frequencies).  frequencies: [1, d / 2]; y: [n, d]. */
  void (*rope_table)(backend *be, tensor y, tensor frequencies, const int32_t *pos);

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
  /* KV_SLOTS: the content of places as bytes, to copy or to keep: n * kv_place_bytes, the same on every machine, for a kv of the
   * same type, n_head and head_dim. kv_get returns false while pending: step again. kv_put takes any bytes: those that no kv_get
   * made give wrong results, and nothing worse. */
  size_t (*kv_place_bytes)(const kv *c);
  bool (*kv_get)(backend *be, const kv *c, const int32_t *slots, int32_t n, void *bytes);
  void (*kv_put)(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes);
  /* KV_SLOTS: places of `to` become those of `from`, another one of the same type, n_head and head_dim. */
  void (*kv_copy)(backend *be, kv *to, const kv *from, const int32_t *slots, int32_t n);

  /* y[n, n_q_head * head_dim] = softmax(softcap(q kᵀ * scale)) v, by heads; q [n, n_q_head * head_dim]; n_q_head is a multiple of the n_head of c,
   * and query heads share a key head with their neighbours. y may be neither q, k nor v. then: NULL, or what follows at once; y is undefined then.
   * KV_WHOLE: every query sees every place of c. */
  void (*cross_attention)(backend *be, tensor y, tensor q, const kv *c, float scale, const attended *then);
  /* KV_SLOTS: first q and k are rotated (NULL: stay as they are), and row i of k and v [n, n_head * head_dim] goes to place slots[i]; then each query
   * sees what the view says. q, k and v are undefined afterwards. */
  void (*self_attention)(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                         const rotation *turn, float scale, const kv_view *view, const attended *then);

  /* -- choosing tokens where the logits are (NULL: not here; read them) -- */

  /* Chooses from logits [1, n_vocab], which it may change, and keeps the id in place `place` of [0, MAX_CHOSEN): embed takes it from there where
   * ids[i] is CHOSEN(place); what was there is forgotten. history: the tokens that penalties look at, of which some may be CHOSEN; `draw`: uniform in [0, 1). False: these options
   * need the logits to be read, and nothing was done. */
  bool (*choose)(backend *be, tensor logits, const sotto_sampler_options *options, const int32_t *history,
                 int32_t n_history, double draw, int32_t place);
  /* The id in `place`; AGAIN while pending. Errors: FORMAT: no logit was a number. */
  sotto_status (*chosen)(backend *be, int32_t place, int32_t *id);
  /* Nobody will ask for what is in `place`, so that a wait for what is pending does not end by its coming. */
  void (*forget)(backend *be, int32_t place);
  /* y[0] = exp(x[column]) / sum of exp(x): the share of a token in logits x [1, n]. */
  void (*share)(backend *be, tensor y, tensor x, int32_t column);
  /* The same for transcripts: a step of a search for the likeliest. Of all that the n = logits.rows sequences can become by one
   * token, in order of score + logit - log_sum, takes the best ones until `keep`, at most MAX_SPEECH, go on; those that end do not count. They are the
   * sequences in `place`: sequence i has the id CHOSEN_SPEECH(place, i), and its table is that of its parent and next_slot + i. Where fewer can go on the
   * others are there too, but nothing comes of them. The logits stay as they are. False: not this time.
   * With draws, each sequence takes the token that is drawn for it from its own row, or from the only one, by ids: all `keep` are taken, in their order, and
   * all go on; of those that ended before nothing comes. */
  bool (*choose_speech)(backend *be, tensor logits, const speech_rules *rules, const speech_state *state, int32_t keep,
                        int32_t place);
  /* What was taken, in order; choices: [MAX_SPEECH_CHOICES]. AGAIN while pending. */
  sotto_status (*chosen_speech)(backend *be, int32_t place, speech_choice *choices, int32_t *n);
} ops;

struct backend {
  const ops *ops;
  bool lost; /* the device is gone, or there was no memory for what a step needs: what is pending stays so for ever */
  uint32_t places; /* of chosen tokens, those in use: bits */
};

/* A place for a token to be chosen; -1: all are in use. */
static inline int32_t backend_take_place(backend *be) {
  for (int32_t i = 0; i < MAX_CHOSEN; i++) {
    if (be->places & 1u << i) continue;
    be->places |= 1u << i;
    return i;
  }
  return -1;
}

static inline void backend_leave_place(backend *be, int32_t place) {
  be->ops->forget(be, place);
  be->places &= ~(1u << place);
}

/* The CPU backend. `pool` is borrowed. NULL: no memory. */
struct pool;
backend *cpu_backend_open(struct pool *pool);
void cpu_backend_close(backend *be);
/* The GPU backend, on the device of the host. Errors: UNSUPPORTED (there is none), MEMORY. */
sotto_status gpu_backend_open(backend **out, error *err);
/* From here on the CPU backend calls watch(context, w, row, n) for each row [n] that it multiplies with a weight; NULL: no longer. */
typedef void row_watcher(void *context, const weight *w, const float *row, int32_t n);
void cpu_watch_rows(backend *be, row_watcher *watch, void *context);
const char *cpu_backend_isa(void); /* as sotto_engine_isa */

#endif
