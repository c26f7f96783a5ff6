/* Reader of whisper.cpp's ggml .bin files: a machine that collects the few bytes it needs next, and lets weights through.
 *
 *     START ─> FILTERS_SIZE ─> FILTERS ─> VOCABULARY_SIZE ─> TOKEN_SIZE <─> TOKEN ─> TENSOR ─> TENSOR_NAME ─> TENSOR_DATA
 *                                                                                      ^──────────────────────────┘
 * The file may end only at TENSOR, with nothing collected. All numbers are little-endian. */
#include "ggml_bin.h"

#include "foreign.h"

#include <math.h>

enum {
  START_BYTES = 4 + 11 * 4, /* magic, header */
  MAX_TOKEN_BYTES = 1024,   /* the longest of Whisper's has 128 */
  MAX_RANK = 3,
  N_FFT = 201, /* bins of the spectrum of 400 samples */
};

typedef enum state {
  START,
  FILTERS_SIZE,
  FILTERS,
  VOCABULARY_SIZE,
  TOKEN_SIZE,
  TOKEN,
  TENSOR,
  TENSOR_NAME,
  TENSOR_DATA,
  FINISHED,
  FAILED,
} state;

struct ggml_bin {
  ggml_bin_sink sink;
  state state;
  uint8_t bytes[MAX_TOKEN_BYTES]; /* collected for the state, except filters */
  uint8_t *into;                  /* where the bytes of the state go */
  size_t have, need;
  ggml_bin_header header;
  float *filters; /* [n_mel, N_FFT], between FILTERS_SIZE and its callback */
  int32_t n_tokens, token;
  uint32_t name_bytes;
  ggml_bin_tensor tensor; /* the last one seen */
  size_t tensor_left;     /* bytes */
  int32_t n_tensors;      /* finished */
  sotto_status failed;    /* repeated, with its sentence, by every call after a failure */
  error err;
};

static sotto_status refuse_foreign(const uint8_t *p, size_t n, error *err) {
  return foreign_refuse(
      p, n, "ggml",
      "Whisper models are read from whisper.cpp's ggml-*.bin files (huggingface.co/ggerganov/whisper.cpp)", err);
}

/* ---- the states ---- */

static void collect(ggml_bin *b, state next, size_t need) {
  b->state = next;
  b->into = b->bytes;
  b->have = 0;
  b->need = need;
}

static int32_t load_i32(const void *p) { return (int32_t)load_u32(p); }

typedef struct header_field {
  const char *name;
  size_t offset; /* in ggml_bin_header */
  int32_t low, high;
} header_field;

#define FIELD(name, low, high) \
  { #name, offsetof(ggml_bin_header, name), low, high }

static const header_field header_fields[] = {
    FIELD(n_vocab, 1, 1000000),   FIELD(n_audio_ctx, 1, 16384), FIELD(n_audio_state, 1, 8192),
    FIELD(n_audio_head, 1, 128),  FIELD(n_audio_layer, 1, 128), FIELD(n_text_ctx, 1, 16384),
    FIELD(n_text_state, 1, 8192), FIELD(n_text_head, 1, 128),   FIELD(n_text_layer, 1, 128),
    FIELD(n_mel, 1, 256),         FIELD(ftype, 0, 99999),
};

static sotto_status read_start(ggml_bin *b) {
  const uint8_t *p = b->bytes;
  if (memcmp(p, "lmgg", 4) != 0) return refuse_foreign(p, START_BYTES, &b->err);
  ggml_bin_header *h = &b->header;
  for (size_t i = 0; i < sizeof header_fields / sizeof *header_fields; i++) {
    const header_field *f = &header_fields[i];
    int32_t v = load_i32(p + 4 + 4 * i);
    if (v < f->low || v > f->high)
      return fail(
          &b->err, SOTTO_ERR_FORMAT,
          "the header says %s = %d, outside %d to %d: the file is corrupt or not a Whisper model; download it again",
          f->name, (int)v, (int)f->low, (int)f->high);
    memcpy((char *)h + f->offset, &v, sizeof v);
  }
  if (h->n_audio_state % h->n_audio_head != 0 || h->n_text_state % h->n_text_head != 0)
    return fail(
        &b->err, SOTTO_ERR_FORMAT,
        "the header says %d and %d heads for widths of %d and %d, which they do not divide: the file is corrupt; "
        "download it again",
        (int)h->n_audio_head, (int)h->n_text_head, (int)h->n_audio_state, (int)h->n_text_state);

  /* ftype: thousands count the versions of the quantized layouts, the rest is the main type of the weights. */
  int32_t version = h->ftype / 1000, weights = h->ftype % 1000;
  if (weights > 14 || weights == 5 || weights == 6)
    return fail(&b->err, SOTTO_ERR_UNSUPPORTED,
                "the weights are of kind %d, which is not known here; use an f16, q5_1 or q8_0 file", (int)weights);
  bool five_bits = weights == 8 || weights == 9; /* q5_0, q5_1: the same in versions 1 and 2 */
  if (weights > 1 && version != 2 && !(five_bits && version == 1))
    return fail(
        &b->err, SOTTO_ERR_UNSUPPORTED,
        "the weights are quantized in layout version %d, which is not the current one, 2; download a current file, or "
        "quantize again with a current whisper.cpp",
        (int)version);
  TRY(b->sink.header(b->sink.context, h, &b->err));
  collect(b, FILTERS_SIZE, 8);
  return SOTTO_OK;
}

static sotto_status read_filters_size(ggml_bin *b) {
  int32_t n_mel = load_i32(b->bytes), n_fft = load_i32(b->bytes + 4);
  if (n_mel != b->header.n_mel || n_fft != N_FFT)
    return fail(&b->err, SOTTO_ERR_FORMAT,
                "the mel filters are %d x %d instead of %d x %d: the file is corrupt; download it again", (int)n_mel,
                (int)n_fft, (int)b->header.n_mel, N_FFT);
  size_t n = (size_t)n_mel * N_FFT;
  b->filters = mem_alloc(n, sizeof(float));
  if (!b->filters)
    return fail(&b->err, SOTTO_ERR_MEMORY, "no memory for the mel filters; close other programs or tabs");
  collect(b, FILTERS, n * sizeof(float));
  b->into = (uint8_t *)b->filters;
  return SOTTO_OK;
}

static sotto_status read_filters(ggml_bin *b) {
  for (size_t i = 0; i < (size_t)b->header.n_mel * N_FFT; i++)
    if (!isfinite(b->filters[i]))
      return fail(&b->err, SOTTO_ERR_FORMAT,
                  "a mel filter holds a value that is no number: the file is corrupt; download it again");
  TRY(b->sink.filters(b->sink.context, b->filters, b->header.n_mel, N_FFT, &b->err));
  mem_free(b->filters);
  b->filters = NULL;
  collect(b, VOCABULARY_SIZE, 4);
  return SOTTO_OK;
}

static sotto_status next_token(ggml_bin *b) {
  if (b->token < b->n_tokens) {
    collect(b, TOKEN_SIZE, 4);
    return SOTTO_OK;
  }
  TRY(b->sink.vocabulary_end(b->sink.context, b->n_tokens, &b->err));
  collect(b, TENSOR, 12);
  return SOTTO_OK;
}

/* Special tokens need not be stored: there may be fewer tokens than the header's n_vocab. */
static sotto_status read_vocabulary_size(ggml_bin *b) {
  int32_t n = load_i32(b->bytes);
  if (n < 1 || n > b->header.n_vocab)
    return fail(&b->err, SOTTO_ERR_FORMAT,
                "the vocabulary has %d tokens, outside 1 to %d: the file is corrupt; download it again", (int)n,
                (int)b->header.n_vocab);
  b->n_tokens = n;
  return next_token(b);
}

static sotto_status read_token_size(ggml_bin *b) {
  uint32_t n = load_u32(b->bytes);
  if (n > MAX_TOKEN_BYTES)
    return fail(&b->err, SOTTO_ERR_FORMAT,
                "token %d is %u bytes long, more than %d: the file is corrupt; download it again", (int)b->token,
                (unsigned)n, MAX_TOKEN_BYTES);
  collect(b, TOKEN, n);
  return SOTTO_OK;
}

static sotto_status read_token(ggml_bin *b) {
  TRY(b->sink.token(b->sink.context, b->token, (const char *)b->bytes, (uint32_t)b->need, &b->err));
  b->token++;
  return next_token(b);
}

static sotto_status read_tensor(ggml_bin *b) {
  int32_t rank = load_i32(b->bytes);
  uint32_t name_bytes = load_u32(b->bytes + 4), type = load_u32(b->bytes + 8);
  ggml_bin_tensor *t = &b->tensor;
  const char *after = b->n_tensors ? t->name : "the vocabulary";
  if (rank < 1 || rank > MAX_RANK || name_bytes < 1 || name_bytes >= sizeof t->name)
    return fail(
        &b->err, SOTTO_ERR_FORMAT,
        "after %s comes a tensor of %d dimensions with a name of %u bytes: the file is corrupt; download it again",
        after, (int)rank, (unsigned)name_bytes);
  if (type > DTYPE_Q6_K || dtype_block_elements(type) == 0) /* later types came with GGUF */
    return fail(&b->err, SOTTO_ERR_UNSUPPORTED,
                "after %s comes a tensor of type %u, which is not known here; use an f16, q5_1 or q8_0 file", after,
                (unsigned)type);
  t->rank = rank;
  t->type = type;
  b->name_bytes = name_bytes;
  collect(b, TENSOR_NAME, 4 * (size_t)rank + name_bytes);
  return SOTTO_OK;
}

static sotto_status read_tensor_name(ggml_bin *b) {
  ggml_bin_tensor *t = &b->tensor;
  const uint8_t *name = b->bytes + 4 * (size_t)t->rank;
  for (uint32_t i = 0; i < b->name_bytes; i++) {
    if (name[i] < '!' || name[i] > '~')
      return fail(&b->err, SOTTO_ERR_FORMAT,
                  "tensor %d has a name with a byte %02x: the file is corrupt; download it again", (int)b->n_tensors,
                  name[i]);
  }
  memset(t->name, 0, sizeof t->name);
  memcpy(t->name, name, b->name_bytes);

  size_t rows = 1;
  for (int i = 0; i < 4; i++) t->dims[i] = 1;
  for (int i = 0; i < t->rank; i++) {
    int32_t n = load_i32(b->bytes + 4 * i); /* innermost first */
    if (n < 1 || (i > 0 && (size_t)n > SIZE_MAX / rows))
      return fail(&b->err, SOTTO_ERR_FORMAT, "%s has an impossible shape: the file is corrupt; download it again",
                  t->name);
    t->dims[t->rank - 1 - i] = n;
    if (i > 0) rows *= (size_t)n;
  }
  size_t row_bytes = dtype_row_bytes(t->type, (size_t)t->dims[t->rank - 1]);
  if (row_bytes == 0 || row_bytes > SIZE_MAX / rows)
    return fail(&b->err, SOTTO_ERR_FORMAT,
                "%s has rows of %d elements, which %s cannot hold: the file is corrupt; download it again", t->name,
                (int)t->dims[t->rank - 1], dtype_name(t->type));
  t->bytes = rows * row_bytes;
  TRY(b->sink.tensor_begin(b->sink.context, t, &b->err));
  b->state = TENSOR_DATA;
  b->tensor_left = t->bytes;
  return SOTTO_OK;
}

static sotto_status read_collected(ggml_bin *b) {
  switch (b->state) {
    case START:
      return read_start(b);
    case FILTERS_SIZE:
      return read_filters_size(b);
    case FILTERS:
      return read_filters(b);
    case VOCABULARY_SIZE:
      return read_vocabulary_size(b);
    case TOKEN_SIZE:
      return read_token_size(b);
    case TOKEN:
      return read_token(b);
    case TENSOR:
      return read_tensor(b);
    case TENSOR_NAME:
      return read_tensor_name(b);
    default:
      return fail(&b->err, SOTTO_ERR_ARGUMENT, "the model file was declared complete; open another model");
  }
}

static sotto_status read_bytes(ggml_bin *b, const uint8_t *p, size_t size) {
  for (;;) {
    if (b->state == TENSOR_DATA) {
      size_t n = min_size(size, b->tensor_left);
      if (n == 0) return SOTTO_OK;
      TRY(b->sink.tensor_data(b->sink.context, p, n, &b->err));
      p += n;
      size -= n;
      b->tensor_left -= n;
      if (b->tensor_left > 0) continue;
      TRY(b->sink.tensor_end(b->sink.context, &b->err));
      b->n_tensors++;
      collect(b, TENSOR, 12);
    } else {
      size_t n = min_size(size, b->need - b->have);
      if (n > 0) memcpy(b->into + b->have, p, n);
      p += n;
      size -= n;
      b->have += n;
      if (b->have < b->need) return SOTTO_OK;
      TRY(read_collected(b)); /* a token of 0 bytes comes here without any */
    }
  }
}

/* ---- the end ---- */

#define TRUNCATED ": it is truncated; download it again"

static sotto_status check_end(ggml_bin *b) {
  const ggml_bin_tensor *t = &b->tensor;
  switch (b->state) {
    case START:
      if (memcmp(b->bytes, "lmgg", min_size(b->have, 4)) != 0 || b->have == 0)
        return refuse_foreign(b->bytes, b->have, &b->err);
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends inside the header" TRUNCATED);
    case FILTERS_SIZE:
    case FILTERS:
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends inside the mel filters" TRUNCATED);
    case VOCABULARY_SIZE:
    case TOKEN_SIZE:
    case TOKEN:
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends inside the vocabulary, at token %d of %d" TRUNCATED,
                  (int)b->token, (int)b->n_tokens);
    case TENSOR_DATA:
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends inside tensor %s" TRUNCATED, t->name);
    case TENSOR:
      if (b->n_tensors == 0) return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends before its first tensor" TRUNCATED);
      if (b->have == 0) return SOTTO_OK;
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends just after tensor %s" TRUNCATED, t->name);
    case TENSOR_NAME:
      return fail(&b->err, SOTTO_ERR_FORMAT, "the file ends inside the name of tensor %d" TRUNCATED, (int)b->n_tensors);
    default:
      return SOTTO_OK;
  }
}

/* ---- the interface ---- */

ggml_bin *ggml_bin_open(const ggml_bin_sink *sink) {
  ggml_bin *b = mem_alloc(1, sizeof *b);
  if (!b) return NULL;
  b->sink = *sink;
  collect(b, START, START_BYTES);
  return b;
}

void ggml_bin_close(ggml_bin *b) {
  if (!b) return;
  mem_free(b->filters);
  mem_free(b);
}

/* Keeps a failure, so that calls after it fail alike. */
static sotto_status settle(ggml_bin *b, sotto_status status, error *err) {
  if (status >= 0) return SOTTO_OK;
  b->state = FAILED;
  b->failed = status;
  if (err) *err = b->err;
  return status;
}

sotto_status ggml_bin_feed(ggml_bin *b, const void *bytes, size_t size, error *err) {
  if (b->state == FAILED) return settle(b, b->failed, err);
  if (size == 0) return SOTTO_OK;
  return settle(b, read_bytes(b, bytes, size), err);
}

size_t ggml_bin_skip(ggml_bin *b) {
  if (b->state != TENSOR_DATA) return 0;
  const size_t n = b->tensor_left;
  b->tensor_left = 0;
  b->n_tensors++;
  collect(b, TENSOR, 12);
  return n;
}

sotto_status ggml_bin_finish(ggml_bin *b, error *err) {
  if (b->state == FAILED) return settle(b, b->failed, err);
  sotto_status status = settle(b, check_end(b), err);
  if (status == SOTTO_OK) collect(b, FINISHED, 0);
  return status;
}
