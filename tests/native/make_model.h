/* Model files for tests, in memory: real ones taken apart and requantized, and small ones with random weights.
 *
 *     model_file f = model_file_read("models/ggml-base.en.bin");           what is in a file; tensors point into it
 *     byte_list m = model_requantize(&f, DTYPE_Q4_0);                      the same file, as whisper.cpp's quantize makes it
 *     byte_list m = model_random(model_shape_small(), DTYPE_Q5_0, seed);   every tensor of a Whisper model, random
 *     sotto_model_feed(model, m.bytes, m.size);
 *
 * Out of memory ends the test program. */
#ifndef SOTTO_TEST_MAKE_MODEL_H
#define SOTTO_TEST_MAKE_MODEL_H

#include "../../src/formats/ggml_bin.h"
#include "check.h"

/* ---- a growing list of bytes ---- */

typedef struct byte_list {
  uint8_t *bytes; /* freed by byte_list_free */
  size_t size, capacity;
} byte_list;

static inline void byte_list_free(byte_list *l) {
  free(l->bytes);
  memset(l, 0, sizeof *l);
}

/* Room for n more bytes, counted as used. */
static inline uint8_t *put_room(byte_list *l, size_t n) {
  if (l->capacity - l->size < n) {
    l->capacity = 2 * (l->size + n);
    l->bytes = realloc(l->bytes, l->capacity);
    if (!l->bytes) {
      fprintf(stderr, "no memory for a test model\n");
      exit(1);
    }
  }
  l->size += n;
  return l->bytes + l->size - n;
}

static inline void put_bytes(byte_list *l, const void *bytes, size_t n) {
  if (n > 0) memcpy(put_room(l, n), bytes, n);
}

static inline void put_i32(byte_list *l, int32_t v) { put_bytes(l, &v, 4); }

/* ---- the parts of a file ---- */

/* ftype of a quantized file: 2000 (version 2 of the layouts) and the number of its main type. */
static inline int32_t ftype_of(uint32_t type) {
  switch (type) {
    case DTYPE_F32:
      return 0;
    case DTYPE_F16:
      return 1;
    case DTYPE_Q4_0:
      return 2002;
    case DTYPE_Q4_1:
      return 2003;
    case DTYPE_Q8_0:
      return 2007;
    case DTYPE_Q5_0:
      return 2008;
    case DTYPE_Q5_1:
      return 2009;
    default:
      return 2000 + (int32_t)type; /* k-quants: the same number */
  }
}

static inline void put_header(byte_list *l, const ggml_bin_header *h) {
  put_bytes(l, "lmgg", 4);
  const int32_t fields[11] = {h->n_vocab,       h->n_audio_ctx, h->n_audio_state, h->n_audio_head,
                              h->n_audio_layer, h->n_text_ctx,  h->n_text_state,  h->n_text_head,
                              h->n_text_layer,  h->n_mel,       h->ftype};
  put_bytes(l, fields, sizeof fields);
}

/* Triangles over the 201 bins, evenly spaced: enough for shapes, not for speech. */
static inline void put_filters(byte_list *l, int32_t n_mel) {
  put_i32(l, n_mel);
  put_i32(l, 201);
  for (int32_t m = 0; m < n_mel; m++) {
    for (int32_t k = 0; k < 201; k++) {
      float distance = fabsf((float)k - 200.0f * (float)(m + 1) / (float)(n_mel + 1)) / 3.0f;
      float v = distance < 1.0f ? 1.0f - distance : 0.0f;
      put_bytes(l, &v, 4);
    }
  }
}

/* n different tokens: all single bytes (from '!' on, as Whisper's), then pairs, then triples. */
static inline void put_vocabulary(byte_list *l, int32_t n) {
  put_i32(l, n);
  for (int32_t i = 0; i < n; i++) {
    int32_t length = i < 256 ? 1 : i < 256 + 65536 ? 2 : 3;
    int32_t v = i < 256 ? i + '!' : i - 256;
    uint8_t text[3] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16)};
    put_i32(l, length);
    put_bytes(l, text, (size_t)length);
  }
}

static inline void put_tensor_header(byte_list *l, const char *name, uint32_t type, int32_t rank, const int64_t *dims) {
  put_i32(l, rank);
  put_i32(l, (int32_t)strlen(name));
  put_i32(l, (int32_t)type);
  for (int32_t i = 0; i < rank; i++) put_i32(l, (int32_t)dims[rank - 1 - i]);
  put_bytes(l, name, strlen(name));
}

/* `values` [dims], row-major, written as `type`. */
static inline void put_tensor(byte_list *l, const char *name, uint32_t type, int32_t rank, const int64_t *dims,
                              const float *values) {
  size_t n = (size_t)dims[rank - 1], rows = 1, row_bytes = dtype_row_bytes(type, n);
  for (int32_t i = 0; i + 1 < rank; i++) rows *= (size_t)dims[i];
  put_tensor_header(l, name, type, rank, dims);
  for (size_t r = 0; r < rows; r++) quantize_row(type, values + r * n, put_room(l, row_bytes), n);
}

/* The type a tensor gets in a file quantized to `type`: whisper.cpp quantizes matrices, but neither positions nor the
 * convolutions' biases; rows that the blocks do not divide stay f16. */
static inline uint32_t quantized_type(const char *name, int32_t rank, const int64_t *dims, uint32_t old,
                                      uint32_t type) {
  if (rank != 2 || strstr(name, "positional_embedding") || strstr(name, "conv")) return old;
  return dtype_row_bytes(type, (size_t)dims[1]) > 0 ? type : DTYPE_F16;
}

/* ---- taking a file apart ---- */

typedef struct model_tensor {
  ggml_bin_tensor is;
  const uint8_t *data; /* in the file's bytes */
} model_tensor;

typedef struct model_file {
  char *bytes; /* NULL: not read. Freed by model_file_free. */
  size_t size;
  ggml_bin_header header;
  int32_t n_tokens, n_tensors;
  size_t weights_at; /* offset of the first tensor's header */
  model_tensor *tensors;
  error err;
} model_file;

static inline sotto_status model_file_header(void *context, const ggml_bin_header *h, error *err) {
  (void)err;
  ((model_file *)context)->header = *h;
  return SOTTO_OK;
}

static inline sotto_status model_file_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft,
                                              error *err) {
  (void)filters, (void)err;
  ((model_file *)context)->weights_at = 48 + 8 + 4 * (size_t)n_mel * (size_t)n_fft + 4;
  return SOTTO_OK;
}

static inline sotto_status model_file_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  (void)id, (void)text, (void)err;
  ((model_file *)context)->weights_at += 4 + bytes;
  return SOTTO_OK;
}

static inline sotto_status model_file_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  (void)err;
  ((model_file *)context)->n_tokens = n_tokens;
  return SOTTO_OK;
}

static inline sotto_status model_file_tensor_begin(void *context, const ggml_bin_tensor *t, error *err) {
  model_file *f = context;
  model_tensor *more = realloc(f->tensors, (size_t)(f->n_tensors + 1) * sizeof *more);
  if (!more) return fail(err, SOTTO_ERR_MEMORY, "no memory");
  f->tensors = more;
  more[f->n_tensors].is = *t;
  more[f->n_tensors].data = NULL;
  return SOTTO_OK;
}

/* The file is fed in one piece, and so its tensors come whole. */
static inline sotto_status model_file_tensor_data(void *context, const void *bytes, size_t size, error *err) {
  model_file *f = context;
  (void)size, (void)err;
  f->tensors[f->n_tensors].data = bytes;
  return SOTTO_OK;
}

static inline sotto_status model_file_tensor_end(void *context, error *err) {
  (void)err;
  ((model_file *)context)->n_tensors++;
  return SOTTO_OK;
}

static inline void model_file_free(model_file *f) {
  free(f->bytes);
  free(f->tensors);
  f->bytes = NULL;
  f->tensors = NULL;
}

/* Takes `bytes` (of malloc) over. `bytes` of the result is NULL when it is no model: then `err` says why. */
static inline model_file model_file_of(char *bytes, size_t size) {
  model_file f = {0};
  f.bytes = bytes;
  f.size = size;
  const ggml_bin_sink sink = {&f,
                              model_file_header,
                              model_file_filters,
                              model_file_token,
                              model_file_vocabulary_end,
                              model_file_tensor_begin,
                              model_file_tensor_data,
                              model_file_tensor_end};
  ggml_bin *b = ggml_bin_open(&sink);
  if (!b || ggml_bin_feed(b, f.bytes, f.size, &f.err) < 0 || ggml_bin_finish(b, &f.err) < 0) model_file_free(&f);
  ggml_bin_close(b);
  return f;
}

/* `bytes` NULL when there is no such file, or when it is no model. */
static inline model_file model_file_read(const char *path) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  return bytes ? model_file_of(bytes, size) : (model_file){0};
}

static inline const model_tensor *model_file_tensor(const model_file *f, const char *name) {
  for (int32_t i = 0; i < f->n_tensors; i++)
    if (strcmp(f->tensors[i].is.name, name) == 0) return &f->tensors[i];
  return NULL;
}

/* The file with its matrices in `type`. */
static inline byte_list model_requantize(const model_file *f, uint32_t type) {
  byte_list out = {0};
  ggml_bin_header h = f->header;
  h.ftype = ftype_of(type);
  put_header(&out, &h);
  put_bytes(&out, f->bytes + out.size, f->weights_at - out.size); /* filters and vocabulary as they are */
  for (int32_t i = 0; i < f->n_tensors; i++) {
    const model_tensor *t = &f->tensors[i];
    uint32_t to = quantized_type(t->is.name, t->is.rank, t->is.dims, t->is.type, type);
    put_tensor_header(&out, t->is.name, to, t->is.rank, t->is.dims);
    if (to == t->is.type) {
      put_bytes(&out, t->data, t->is.bytes);
      continue;
    }
    size_t n = (size_t)t->is.dims[1], from_bytes = dtype_row_bytes(t->is.type, n), to_bytes = dtype_row_bytes(to, n);
    float *row = malloc(n * sizeof *row);
    for (size_t r = 0; row && r < (size_t)t->is.dims[0]; r++) {
      dequantize_row(t->is.type, t->data + r * from_bytes, row, n);
      quantize_row(to, row, put_room(&out, to_bytes), n);
    }
    free(row);
  }
  return out;
}

/* ---- a random model ---- */

/* A model of the real vocabulary and contexts, small otherwise; widths that all blocks divide. */
static inline ggml_bin_header model_shape_small(void) {
  return (ggml_bin_header){.n_vocab = 51865,
                           .n_audio_ctx = 1500,
                           .n_audio_state = 256,
                           .n_audio_head = 4,
                           .n_audio_layer = 2,
                           .n_text_ctx = 448,
                           .n_text_state = 256,
                           .n_text_head = 4,
                           .n_text_layer = 2,
                           .n_mel = 80};
}

typedef struct model_maker {
  byte_list out;
  uint32_t type; /* of matrices */
  random_state random;
} model_maker;

/* Uniform values around `centre`; cols or depth 0: fewer dimensions. */
static inline void put_random(model_maker *m, const char *prefix, const char *name, int64_t rows, int64_t cols,
                              int64_t depth, uint32_t type, float centre, float spread) {
  char full[64];
  snprintf(full, sizeof full, "%s%s", prefix, name);
  int64_t dims[3] = {rows, cols, depth};
  int32_t rank = depth ? 3 : cols ? 2 : 1;
  size_t n = (size_t)rows * (size_t)(cols ? cols : 1) * (size_t)(depth ? depth : 1);
  float *values = malloc(n * sizeof *values);
  if (!values) exit(1);
  random_fill(&m->random, values, n, centre - spread, centre + spread);
  put_tensor(&m->out, full, quantized_type(full, rank, dims, type, m->type), rank, dims, values);
  free(values);
}

/* Spread of a matrix that neither grows nor shrinks what goes through it: variance 1 / cols. */
static inline void put_random_matrix(model_maker *m, const char *prefix, const char *name, int64_t rows, int64_t cols) {
  put_random(m, prefix, name, rows, cols, 0, DTYPE_F16, 0.0f, sqrtf(3.0f / (float)cols));
}

static inline void put_random_norm(model_maker *m, const char *prefix, const char *norm, int64_t d) {
  char name[64];
  snprintf(name, sizeof name, "%s.weight", norm);
  put_random(m, prefix, name, d, 0, 0, DTYPE_F32, 1.0f, 0.1f);
  snprintf(name, sizeof name, "%s.bias", norm);
  put_random(m, prefix, name, d, 0, 0, DTYPE_F32, 0.0f, 0.1f);
}

static inline void put_random_attention(model_maker *m, const char *prefix, const char *attention, int64_t d) {
  static const char *const parts[] = {"query", "key", "value", "out"};
  char name[64];
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "%s.%s.weight", attention, parts[i]);
    put_random_matrix(m, prefix, name, d, d);
    if (i == 1) continue; /* keys have no bias */
    snprintf(name, sizeof name, "%s.%s.bias", attention, parts[i]);
    put_random(m, prefix, name, d, 0, 0, DTYPE_F32, 0.0f, 0.1f);
  }
  snprintf(name, sizeof name, "%s_ln", attention);
  put_random_norm(m, prefix, name, d);
}

static inline void put_random_block(model_maker *m, const char *prefix, int64_t d, bool cross) {
  put_random_attention(m, prefix, "attn", d);
  if (cross) put_random_attention(m, prefix, "cross_attn", d);
  put_random_norm(m, prefix, "mlp_ln", d);
  put_random_matrix(m, prefix, "mlp.0.weight", 4 * d, d);
  put_random(m, prefix, "mlp.0.bias", 4 * d, 0, 0, DTYPE_F32, 0.0f, 0.1f);
  put_random_matrix(m, prefix, "mlp.2.weight", d, 4 * d);
  put_random(m, prefix, "mlp.2.bias", d, 0, 0, DTYPE_F32, 0.0f, 0.1f);
}

/* Every tensor of a Whisper model of that shape, matrices in `type`. The vocabulary stores all but the special tokens. */
static inline byte_list model_random(ggml_bin_header h, uint32_t type, uint64_t seed) {
  model_maker m = {{0}, type, {seed}};
  char prefix[64];
  h.ftype = ftype_of(type);
  put_header(&m.out, &h);
  put_filters(&m.out, h.n_mel);
  put_vocabulary(&m.out, h.n_vocab > 51863 ? h.n_vocab - 1608 : h.n_vocab);

  int64_t d = h.n_audio_state;
  put_random(&m, "encoder.", "positional_embedding", h.n_audio_ctx, d, 0, DTYPE_F32, 0.0f, 1.0f);
  put_random(&m, "encoder.", "conv1.weight", d, h.n_mel, 3, DTYPE_F16, 0.0f, sqrtf(1.0f / (float)h.n_mel));
  put_random(&m, "encoder.", "conv1.bias", d, 1, 0, DTYPE_F32, 0.0f, 0.1f);
  put_random(&m, "encoder.", "conv2.weight", d, d, 3, DTYPE_F16, 0.0f, sqrtf(1.0f / (float)d));
  put_random(&m, "encoder.", "conv2.bias", d, 1, 0, DTYPE_F32, 0.0f, 0.1f);
  for (int32_t i = 0; i < h.n_audio_layer; i++) {
    snprintf(prefix, sizeof prefix, "encoder.blocks.%d.", (int)i);
    put_random_block(&m, prefix, d, false);
  }
  put_random_norm(&m, "encoder.", "ln_post", d);

  d = h.n_text_state;
  put_random(&m, "decoder.", "positional_embedding", h.n_text_ctx, d, 0, DTYPE_F32, 0.0f, 0.1f);
  put_random_matrix(&m, "decoder.", "token_embedding.weight", h.n_vocab, d);
  for (int32_t i = 0; i < h.n_text_layer; i++) {
    snprintf(prefix, sizeof prefix, "decoder.blocks.%d.", (int)i);
    put_random_block(&m, prefix, d, true);
  }
  put_random_norm(&m, "decoder.", "ln", d);
  return m.out;
}

#endif
