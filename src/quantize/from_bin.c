/* A Whisper's ggml .bin file, which is also what comes of one: head, and before each tensor its own small head.
 *
 * whisper.cpp reads files whose matrices all have the type that the header says; vectors and tables of positions are f32, convolutions f16 (f32 where all is). */
#include <stdio.h>

#include "../models/whisper_model.h"
#include "quantizer.h"

enum { QUANTIZED_LAYOUT = 2000, MAX_BIN_TENSORS = 1 << 14, CONVOLUTION_TAPS = 3 };

/* ---- the reader of the source ---- */

static bool add_header(byte_list *b, const ggml_bin_header *h) {
  const int32_t fields[] = {h->n_vocab,       h->n_audio_ctx, h->n_audio_state, h->n_audio_head,
                            h->n_audio_layer, h->n_text_ctx,  h->n_text_state,  h->n_text_head,
                            h->n_text_layer,  h->n_mel,       h->ftype};
  bool ok = byte_list_add(b, "lmgg", 4);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) ok = ok && byte_list_add_u32(b, (uint32_t)fields[i]);
  return ok;
}

static sotto_status on_header(void *context, const ggml_bin_header *h, error *err) {
  quantizer *q = context;
  (void)err;
  q->bin_head.header = *h;
  return SOTTO_OK;
}

static sotto_status on_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft, error *err) {
  byte_list *b = &((quantizer *)context)->bin_head.filters;
  const bool ok = byte_list_add_u32(b, (uint32_t)n_mel) && byte_list_add_u32(b, (uint32_t)n_fft) &&
                  byte_list_add(b, filters, (size_t)n_mel * (size_t)n_fft * sizeof *filters);
  return ok ? SOTTO_OK : plan_no_memory(err);
}

/* The count comes after the tokens, and has its place before them. */
static sotto_status on_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  byte_list *b = &((quantizer *)context)->bin_head.vocabulary;
  const bool ok = (id > 0 || byte_list_add_u32(b, 0)) && byte_list_add_u32(b, bytes) && byte_list_add(b, text, bytes);
  return ok ? SOTTO_OK : plan_no_memory(err);
}

static sotto_status on_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  quantizer *q = context;
  (void)err;
  memcpy(q->bin_head.vocabulary.at, &n_tokens, 4);
  q->bin_at = 4 + 11 * 4 + q->bin_head.filters.size + q->bin_head.vocabulary.size;
  return SOTTO_OK;
}

static sotto_status on_tensor(void *context, const ggml_bin_tensor *t, error *err) {
  quantizer *q = context;
  if (q->n_bin_tensors == MAX_BIN_TENSORS)
    return fail(err, SOTTO_ERR_FORMAT, "the file holds more than %d tensors: it is no Whisper model", MAX_BIN_TENSORS);
  bin_tensor *tensors =
      mem_grow(q->bin_tensors, sizeof *tensors, q->n_bin_tensors, &q->bin_capacity, q->n_bin_tensors + 1);
  if (tensors == NULL) return plan_no_memory(err);
  q->bin_tensors = tensors;
  q->bin_at += 12 + 4 * (uint64_t)t->rank + strlen(t->name);
  tensors[q->n_bin_tensors++] = (bin_tensor){*t, q->bin_at};
  q->bin_at += t->bytes;
  return SOTTO_OK;
}

static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  return (void)context, (void)bytes, (void)size, (void)err, SOTTO_OK;
}
static sotto_status on_end(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }

ggml_bin *plan_bin_reader(quantizer *q) {
  const ggml_bin_sink sink = {q, on_header, on_filters, on_token, on_vocabulary_end, on_tensor, on_data, on_end};
  return ggml_bin_open(&sink);
}

/* ---- the output ---- */

/* Number of the type in the header; -1: files of this kind do not have it. */
static int32_t file_type_of(uint32_t type) {
  static const struct {
    uint32_t type;
    int32_t number;
  } known[] = {{DTYPE_F32, 0},   {DTYPE_F16, 1},   {DTYPE_Q4_0, 2},  {DTYPE_Q4_1, 3},
               {DTYPE_Q8_0, 7},  {DTYPE_Q5_0, 8},  {DTYPE_Q5_1, 9},  {DTYPE_Q2_K, 10},
               {DTYPE_Q3_K, 11}, {DTYPE_Q4_K, 12}, {DTYPE_Q5_K, 13}, {DTYPE_Q6_K, 14}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].type == type) return known[i].number;
  return -1;
}

sotto_status plan_bin_head(quantizer *q, error *err) {
  ggml_bin_header h = q->bin_head.header;
  byte_list b = {0};
  const uint32_t type = q->recipe->type;
  const int32_t number = file_type_of(type);
  if (number < 0)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "Whisper files have no type %s: use f16, q8_0, q5_1, q5_0, q4_1 or q4_0",
                q->recipe->name);
  if (h.n_text_state % (int32_t)dtype_block_elements(type) != 0)
    return fail(err, SOTTO_ERR_UNSUPPORTED,
                "rows of %d elements are no whole blocks of %s: use q8_0, q5_1, q5_0, q4_1 or q4_0",
                (int)h.n_text_state, dtype_name(type));
  h.ftype = number > 1 ? QUANTIZED_LAYOUT + number : number;
  const bool ok = add_header(&b, &h) && byte_list_add(&b, q->bin_head.filters.at, q->bin_head.filters.size) &&
                  byte_list_add(&b, q->bin_head.vocabulary.at, q->bin_head.vocabulary.size);
  const sotto_status status = ok ? plan_piece(q, b.at, b.size, err) : plan_no_memory(err);
  mem_free(b.at);
  q->format = "ggml";
  snprintf(q->architecture, sizeof q->architecture, "whisper");
  snprintf(q->model_name, sizeof q->model_name, "%s", q->name);
  if (q->recipe->mix != MIX_NONE)
    quantizer_warn(q, "files of Whisper have one type for all matrices: %s it is", dtype_name(type));
  return status;
}

static sotto_status plan_bin_tensor(quantizer *q, const planned_tensor *t, int32_t rank, const int64_t dims[4],
                                    error *err) {
  byte_list b = {0};
  bool ok = byte_list_add_u32(&b, (uint32_t)rank) && byte_list_add_u32(&b, (uint32_t)strlen(t->name)) &&
            byte_list_add_u32(&b, t->type);
  for (int32_t i = rank - 1; i >= 0; i--) ok = ok && byte_list_add_u32(&b, (uint32_t)dims[i]);
  ok = ok && byte_list_add(&b, t->name, strlen(t->name));
  const sotto_status status = ok ? plan_piece(q, b.at, b.size, err) : plan_no_memory(err);
  mem_free(b.at);
  TRY(status);
  return plan_tensor(q, t, err);
}

/* Type of a Whisper's tensor; a pattern's wish may make a file that whisper.cpp does not read. */
static uint32_t type_of(quantizer *q, const char *name, enum tensor_kind kind, int64_t cols) {
  if (kind == KIND_VECTOR || kind == KIND_TABLE) return DTYPE_F32;
  if (kind == KIND_CONV) return q->recipe->type == DTYPE_F32 ? DTYPE_F32 : DTYPE_F16;
  return plan_type(q, name, cols, q->recipe->type);
}

sotto_status plan_bin_slot(quantizer *q, const whisper_slot *s, planned_tensor *p, error *err) {
  const bool conv = s->kind == KIND_CONV, vector = s->kind == KIND_VECTOR;
  const bool conv_bias = vector && strncmp(s->name, "encoder.conv", 12) == 0; /* files have them as columns */
  const int64_t of_matrix[4] = {s->out, s->in, CONVOLUTION_TAPS, 1}, of_vector[4] = {s->in, 1, 1, 1};
  p->name = s->name;
  p->rows = s->out;
  p->cols = (int64_t)s->in * (conv ? CONVOLUTION_TAPS : 1);
  p->type = type_of(q, s->name, s->kind, p->cols);
  if (file_type_of(p->type) < 0)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "Whisper files have no type %s, which %s would get: use another one",
                dtype_name(p->type), s->name);
  q->mixed_bin |= s->kind == KIND_MATRIX && p->type != q->recipe->type;
  return plan_bin_tensor(q, p, conv ? 3 : vector && !conv_bias ? 1 : 2, vector ? of_vector : of_matrix, err);
}

static const whisper_slot *find_slot(const whisper *w, const char *name) {
  for (int32_t i = 0; i < w->n_slots; i++)
    if (strcmp(w->slots[i].name, name) == 0) return &w->slots[i];
  return NULL;
}

static sotto_status plan_tensors(quantizer *q, whisper *w, error *err) {
  int32_t file = 0;
  while (q->files[file].kind != SOURCE_BIN) file++;
  for (size_t i = 0; i < q->n_bin_tensors; i++) {
    const ggml_bin_tensor *t = &q->bin_tensors[i].t;
    const whisper_slot *s = find_slot(w, t->name);
    if (s == NULL)
      return fail(err, SOTTO_ERR_UNSUPPORTED, "the file holds a tensor %s that a Whisper model does not have", t->name);
    const bool conv = s->kind == KIND_CONV;
    const int64_t n = t->dims[0] * t->dims[1] * t->dims[2];
    const bool fits =
        conv ? t->rank == 3 && t->dims[0] == s->out && t->dims[1] == s->in && t->dims[2] == CONVOLUTION_TAPS
        : s->kind == KIND_VECTOR ? n == s->in
                                 : t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
    const bool blocks = dtype_block_elements(t->type) > 1;
    if (!fits || (blocks && s->kind != KIND_MATRIX))
      return fail(err, SOTTO_ERR_FORMAT,
                  "the shape or type of the tensor %s does not fit the header: the file is corrupt", t->name);
    planned_tensor p = {.file = file, .offset = q->bin_tensors[i].offset, .source_type = t->type};
    TRY(plan_bin_slot(q, s, &p, err));
  }
  return SOTTO_OK;
}

whisper *plan_bin_model(const quantizer *q, error *err) {
  byte_list b = {0};
  whisper *w = whisper_open(NULL); /* no weights are loaded, so no backend is needed */
  sotto_status status =
      w != NULL && add_header(&b, &q->bin_head.header) ? whisper_feed(w, b.at, b.size, err) : plan_no_memory(err);
  mem_free(b.at);
  if (status >= 0) return w;
  whisper_close(w);
  return NULL;
}

sotto_status plan_from_bin(quantizer *q, error *err) {
  TRY(plan_bin_head(q, err));
  whisper *w = plan_bin_model(q, err);
  if (w == NULL) return SOTTO_ERR_FORMAT;
  const sotto_status status = plan_tensors(q, w, err);
  whisper_close(w);
  return status;
}
