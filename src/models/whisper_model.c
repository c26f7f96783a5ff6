/* Loading of Whisper: which tensors there must be, and where the bytes of each go.
 *
 *     ggml_bin ──header──> list of slots (name, shape, destination)
 *              ──tensor──> slot: rows of matrices into the backend as they come; vectors, tables and convolutions whole
 *
 * Matrices are never whole in memory here: rows go to the backend as they arrive. */
#include "whisper_model.h"

#include <stdio.h>

#include "arena.h"

enum {
  AUDIO_CONTEXT = WHISPER_WINDOW_FRAMES / 2,
  /* Beyond any Whisper (1280 wide, 32 layers), so that a header that lies cannot ask for much memory. */
  MAX_STATE = 2048,
  MAX_LAYERS = 64
};

/* ---- the list of tensors ---- */

static void add_slot(whisper *w, enum tensor_kind kind, int32_t out, int32_t in, tensor *param, weight **matrix,
                     const char *prefix, const char *name) {
  if (w->slots != NULL) {
    whisper_slot *s = &w->slots[w->n_slots];
    snprintf(s->name, sizeof s->name, "%s%s", prefix, name);
    s->kind = kind;
    s->out = out;
    s->in = in;
    s->param = param;
    s->matrix = matrix;
  }
  w->n_slots++;
}

static void add_vector(whisper *w, tensor *t, int32_t n, const char *prefix, const char *name) {
  add_slot(w, KIND_VECTOR, 1, n, t, NULL, prefix, name);
}

static void add_linear(whisper *w, whisper_linear *l, int32_t out, int32_t in, bool bias, const char *prefix,
                       const char *name) {
  char full[64];
  snprintf(full, sizeof full, "%s.weight", name);
  add_slot(w, KIND_MATRIX, out, in, NULL, &l->w, prefix, full);
  snprintf(full, sizeof full, "%s.bias", name);
  if (bias) add_vector(w, &l->bias, out, prefix, full);
}

static void add_norm(whisper *w, whisper_norm *n, int32_t d, const char *prefix, const char *name) {
  char full[64];
  snprintf(full, sizeof full, "%s.weight", name);
  add_vector(w, &n->gain, d, prefix, full);
  snprintf(full, sizeof full, "%s.bias", name);
  add_vector(w, &n->bias, d, prefix, full);
}

static void add_attention(whisper *w, whisper_attention *a, int32_t d, const char *prefix, const char *name) {
  char full[64];
  snprintf(full, sizeof full, "%s_ln", name);
  add_norm(w, &a->ln, d, prefix, full);
  snprintf(full, sizeof full, "%s.query", name);
  add_linear(w, &a->query, d, d, true, prefix, full);
  snprintf(full, sizeof full, "%s.key", name);
  add_linear(w, &a->key, d, d, false, prefix, full);
  snprintf(full, sizeof full, "%s.value", name);
  add_linear(w, &a->value, d, d, true, prefix, full);
  snprintf(full, sizeof full, "%s.out", name);
  add_linear(w, &a->out, d, d, true, prefix, full);
}

static void add_layer(whisper *w, whisper_layer *l, int32_t d, bool cross, const char *part, int32_t index) {
  char prefix[48];
  snprintf(prefix, sizeof prefix, "%s.blocks.%d.", part, (int)index);
  add_attention(w, &l->self, d, prefix, "attn");
  if (cross) add_attention(w, &l->cross, d, prefix, "cross_attn");
  add_norm(w, &l->mlp_ln, d, prefix, "mlp_ln");
  add_linear(w, &l->fc1, 4 * d, d, true, prefix, "mlp.0");
  add_linear(w, &l->fc2, d, 4 * d, true, prefix, "mlp.2");
}

/* Called twice: once to count (w->slots is NULL), once to fill. */
static void list_tensors(whisper *w) {
  const ggml_bin_header *h = &w->h;
  const int32_t d = h->n_audio_state, dt = h->n_text_state;
  w->n_slots = 0;
  add_slot(w, KIND_TABLE, h->n_audio_ctx, d, &w->audio_positions, NULL, "encoder.", "positional_embedding");
  add_slot(w, KIND_CONV, d, h->n_mel, NULL, &w->conv1.w, "encoder.", "conv1.weight");
  add_vector(w, &w->conv1.bias, d, "encoder.", "conv1.bias");
  add_slot(w, KIND_CONV, d, d, NULL, &w->conv2.w, "encoder.", "conv2.weight");
  add_vector(w, &w->conv2.bias, d, "encoder.", "conv2.bias");
  for (int32_t i = 0; i < h->n_audio_layer; i++) add_layer(w, &w->encoder[i], d, false, "encoder", i);
  add_norm(w, &w->ln_post, d, "encoder.", "ln_post");

  add_slot(w, KIND_TABLE, h->n_text_ctx, dt, &w->text_positions, NULL, "decoder.", "positional_embedding");
  add_slot(w, KIND_MATRIX, h->n_vocab, dt, NULL, &w->token_embedding, "decoder.", "token_embedding.weight");
  for (int32_t i = 0; i < h->n_text_layer; i++) add_layer(w, &w->decoder[i], dt, true, "decoder", i);
  add_norm(w, &w->ln, dt, "decoder.", "ln");
}

/* Gives vectors and tables their places in `buf`. */
static arena lay_out_params(whisper *w, buffer *buf) {
  arena a = {.buf = buf};
  for (int32_t i = 0; i < w->n_slots; i++)
    if (w->slots[i].param != NULL) *w->slots[i].param = arena_take(&a, w->slots[i].out, w->slots[i].in);
  return a;
}

static whisper_slot *find_slot(whisper *w, const char *name) {
  for (int32_t i = 0; i < w->n_slots; i++)
    if (strcmp(w->slots[i].name, name) == 0) return &w->slots[i];
  return NULL;
}

/* ---- what the reader calls ---- */

static sotto_status on_header(void *context, const ggml_bin_header *h, error *err) {
  whisper *w = context;
  if (h->n_audio_ctx != AUDIO_CONTEXT)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the model has an audio context of %d; Whisper models have %d",
                (int)h->n_audio_ctx, AUDIO_CONTEXT);
  if (h->n_audio_state != h->n_text_state)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the model's encoder is %d wide and its decoder %d; they must be equal",
                (int)h->n_audio_state, (int)h->n_text_state);
  if (h->n_audio_state > MAX_STATE || h->n_audio_layer > MAX_LAYERS || h->n_text_layer > MAX_LAYERS)
    return fail(err, SOTTO_ERR_UNSUPPORTED,
                "the model is %d wide with %d and %d layers; Whisper models have at most 1280 and 32",
                (int)h->n_audio_state, (int)h->n_audio_layer, (int)h->n_text_layer);
  if (h->n_vocab < 51864 || h->n_vocab > WHISPER_MAX_VOCAB)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the model has %d tokens; Whisper models have 51864 to 51866",
                (int)h->n_vocab);
  w->h = *h;
  w->vocab = whisper_vocab_open(h->n_vocab);
  w->encoder = mem_alloc((size_t)h->n_audio_layer, sizeof *w->encoder);
  w->decoder = mem_alloc((size_t)h->n_text_layer, sizeof *w->decoder);
  if (w->vocab == NULL || w->encoder == NULL || w->decoder == NULL)
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for the model's description");
  list_tensors(w);
  w->slots = mem_alloc((size_t)w->n_slots, sizeof *w->slots);
  if (w->slots == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the model's description");
  list_tensors(w);
  if (w->be != NULL) {
    const arena size = lay_out_params(w, NULL);
    w->params = arena_open(&size, w->be);
    if (w->params == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the model's vectors");
    lay_out_params(w, w->params);
  }
  w->have_header = true;
  return SOTTO_OK;
}

static sotto_status on_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft, error *err) {
  whisper *w = context;
  const size_t n = (size_t)n_mel * (size_t)n_fft;
  w->filters = mem_alloc(n, sizeof *w->filters);
  if (w->filters == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the mel filters");
  memcpy(w->filters, filters, n * sizeof *filters);
  return SOTTO_OK;
}

static sotto_status on_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  whisper *w = context;
  return whisper_vocab_add(w->vocab, id, text, bytes, err);
}

static sotto_status on_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  whisper *w = context;
  (void)n_tokens;
  return whisper_vocab_seal(w->vocab, err);
}

static sotto_status out_of_memory(error *err, const ggml_bin_tensor *t) {
  return fail(err, SOTTO_ERR_MEMORY,
              "out of memory for the tensor %s (%zu bytes): a smaller or more quantized model may fit", t->name,
              t->bytes);
}

static bool shape_matches(const whisper_slot *s, const ggml_bin_tensor *t) {
  if (s->kind == KIND_CONV) return t->rank == 3 && t->dims[0] == s->out && t->dims[1] == s->in && t->dims[2] == 3;
  if (s->kind == KIND_VECTOR)
    return t->dims[0] * t->dims[1] * t->dims[2] == s->in; /* [n], and [n, 1] of the convolutions */
  return t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
}

static sotto_status on_tensor_begin(void *context, const ggml_bin_tensor *t, error *err) {
  whisper *w = context;
  whisper_slot *s = find_slot(w, t->name);
  if (s == NULL)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the file holds a tensor %s that a Whisper model does not have", t->name);
  if (s->seen) return fail(err, SOTTO_ERR_FORMAT, "the file holds the tensor %s twice: it is corrupt", t->name);
  if (!shape_matches(s, t))
    return fail(err, SOTTO_ERR_FORMAT,
                "the tensor %s has the shape [%lld, %lld, %lld], which does not fit the header: the file is corrupt",
                t->name, (long long)t->dims[0], (long long)t->dims[1], (long long)t->dims[2]);
  if (s->kind != KIND_MATRIX && t->type != DTYPE_F32 && t->type != DTYPE_F16)
    return fail(err, SOTTO_ERR_UNSUPPORTED,
                "the tensor %s is %s; biases, positions and convolutions must be f32 or f16", t->name,
                dtype_name(t->type));
  s->type = t->type;
  w->current = s;
  if (!row_stage_begin(&w->stage, s->kind == KIND_MATRIX ? dtype_row_bytes(t->type, (size_t)s->in) : t->bytes))
    return out_of_memory(err, t);
  if (s->kind == KIND_MATRIX) {
    *s->matrix = w->be->ops->weight_open(w->be, t->type, s->out, s->in);
    if (*s->matrix == NULL) return out_of_memory(err, t);
  } else if (s->kind == KIND_CONV) {
    *s->matrix = w->be->ops->weight_open(w->be, t->type, s->out, 3 * s->in);
    if (*s->matrix == NULL) return out_of_memory(err, t);
  }
  return SOTTO_OK;
}

/* [out, in, 3] in the file becomes rows [out, (tap, in)], so that a convolution is a linear map of overlapping rows. */
static bool load_convolution(whisper *w, const whisper_slot *s, const uint8_t *bytes) {
  const size_t in = (size_t)s->in, element = dtype_row_bytes(s->type, 1), row_bytes = 3 * in * element;
  uint8_t *taps = mem_alloc(row_bytes, 1);
  if (taps == NULL) return false;
  for (int32_t o = 0; o < s->out; o++, bytes += row_bytes) {
    for (size_t c = 0; c < in; c++)
      for (size_t k = 0; k < 3; k++) memcpy(taps + (k * in + c) * element, bytes + (c * 3 + k) * element, element);
    w->be->ops->weight_rows(w->be, *s->matrix, o, 1, taps);
  }
  mem_free(taps);
  return true;
}

static bool load_param(whisper *w, const whisper_slot *s, const uint8_t *bytes) {
  const size_t n = (size_t)s->out * (size_t)s->in;
  float *values = mem_alloc(n, sizeof *values);
  if (values == NULL) return false;
  dequantize_row(s->type, bytes, values, n);
  w->be->ops->upload(w->be, *s->param, values);
  mem_free(values);
  return true;
}

static sotto_status take_rows(void *context, int32_t first, int32_t n, const void *rows, error *err) {
  whisper *w = context;
  whisper_slot *s = w->current;
  bool ok = true;
  if (s->kind == KIND_MATRIX)
    w->be->ops->weight_rows(w->be, *s->matrix, first, n, rows);
  else
    ok = s->kind == KIND_CONV ? load_convolution(w, s, rows) : load_param(w, s, rows);
  return ok ? SOTTO_OK
            : fail(err, SOTTO_ERR_MEMORY, "out of memory for the tensor %s: a smaller model may fit", s->name);
}

static sotto_status on_tensor_data(void *context, const void *bytes, size_t size, error *err) {
  whisper *w = context;
  return row_stage_feed(&w->stage, bytes, size, take_rows, w, err);
}

static sotto_status on_tensor_end(void *context, error *err) {
  whisper *w = context;
  whisper_slot *s = w->current;
  (void)err;
  if (s->matrix != NULL) w->be->ops->weight_seal(w->be, *s->matrix);
  s->seen = true;
  w->current = NULL;
  return SOTTO_OK;
}

/* ---- open, feed, finish, close ---- */

whisper *whisper_open(backend *be) {
  whisper *w = mem_alloc(1, sizeof *w);
  if (w == NULL) return NULL;
  w->be = be;
  const ggml_bin_sink sink = {
      w, on_header, on_filters, on_token, on_vocabulary_end, on_tensor_begin, on_tensor_data, on_tensor_end};
  w->reader = ggml_bin_open(&sink);
  if (w->reader == NULL) {
    mem_free(w);
    return NULL;
  }
  return w;
}

void whisper_close(whisper *w) {
  if (w == NULL) return;
  for (int32_t i = 0; w->slots != NULL && i < w->n_slots; i++) {
    const whisper_slot *s = &w->slots[i];
    if (s->matrix != NULL && *s->matrix != NULL) w->be->ops->weight_close(w->be, *s->matrix);
  }
  if (w->params != NULL) w->be->ops->buffer_close(w->be, w->params);
  ggml_bin_close(w->reader);
  whisper_vocab_close(w->vocab);
  mem_free(w->filters);
  mem_free(w->encoder);
  mem_free(w->decoder);
  mem_free(w->slots);
  row_stage_free(&w->stage);
  mem_free(w);
}

sotto_status whisper_feed(whisper *w, const void *bytes, size_t size, error *err) {
  return ggml_bin_feed(w->reader, bytes, size, err);
}

sotto_status whisper_finish(whisper *w, error *err) {
  TRY(ggml_bin_finish(w->reader, err));
  int32_t missing = 0;
  const whisper_slot *first = NULL;
  for (int32_t i = 0; i < w->n_slots; i++) {
    if (w->slots[i].seen) continue;
    if (missing++ == 0) first = &w->slots[i];
  }
  if (missing > 0)
    return fail(err, SOTTO_ERR_FORMAT,
                "the file ends with %d of %d tensors missing, %s first: it is truncated; download it again",
                (int)missing, (int)w->n_slots, first->name);
  row_stage_free(&w->stage);
  w->finished = true;
  return SOTTO_OK;
}

const ggml_bin_header *whisper_header(const whisper *w) { return w->have_header ? &w->h : NULL; }
const whisper_vocab *whisper_vocabulary(const whisper *w) { return w->vocab; }
const float *whisper_filters(const whisper *w) { return w->filters; }
bool whisper_finished(const whisper *w) { return w->finished; }

/* ---- what it is ---- */

static const char *model_name(const ggml_bin_header *h) {
  static const struct {
    int32_t d, n_audio_layer, n_text_layer, n_vocab, n_mel;
    const char *name;
  } known[] = {
      {384, 4, 4, 51865, 80, "tiny"},
      {384, 4, 4, 51864, 80, "tiny.en"},
      {512, 6, 6, 51865, 80, "base"},
      {512, 6, 6, 51864, 80, "base.en"},
      {768, 12, 12, 51865, 80, "small"},
      {768, 12, 12, 51864, 80, "small.en"},
      {1024, 24, 24, 51865, 80, "medium"},
      {1024, 24, 24, 51864, 80, "medium.en"},
      {1280, 32, 32, 51865, 80, "large"},
      {1280, 32, 32, 51866, 128, "large-v3"},
      {1280, 32, 4, 51866, 128, "large-v3-turbo"},
      {768, 12, 4, 51864, 80, "distil-small.en"},
      {1024, 24, 2, 51864, 80, "distil-medium.en"},
      {1280, 32, 2, 51865, 80, "distil-large-v2"},
      {1280, 32, 2, 51866, 128, "distil-large-v3"},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (h->n_audio_state == known[i].d && h->n_audio_layer == known[i].n_audio_layer &&
        h->n_text_layer == known[i].n_text_layer && h->n_vocab == known[i].n_vocab && h->n_mel == known[i].n_mel)
      return known[i].name;
  return "custom";
}

static int64_t slot_elements(const whisper_slot *s) { return (int64_t)s->out * s->in * (s->kind == KIND_CONV ? 3 : 1); }

void whisper_describe(const whisper *w, sotto_model_info *info) {
  memset(info, 0, sizeof *info);
  if (!w->have_header) return;
  const ggml_bin_header *h = &w->h;
  info->architecture = "whisper";
  info->name = model_name(h);
  info->n_vocab = h->n_vocab;
  info->n_mel = h->n_mel;
  info->n_audio_ctx = h->n_audio_ctx;
  info->n_audio_state = h->n_audio_state;
  info->n_audio_head = h->n_audio_head;
  info->n_audio_layer = h->n_audio_layer;
  info->n_text_ctx = h->n_text_ctx;
  info->n_text_state = h->n_text_state;
  info->n_text_head = h->n_text_head;
  info->n_text_layer = h->n_text_layer;
  info->multilingual = whisper_vocab_special(w->vocab)->multilingual;
  tensor_census census = {0};
  for (int32_t i = 0; i < w->n_slots; i++) {
    const whisper_slot *t = &w->slots[i];
    const uint64_t n = (uint64_t)slot_elements(t);
    if (t->seen)
      tensor_census_add(&census, info, t->type, n, t->matrix != NULL ? w->be->ops->weight_bytes(*t->matrix) : 4 * n);
  }
}

int32_t whisper_tensor(const whisper *w, int32_t index, const char **name, const char **type, int64_t dims[4]) {
  for (int32_t i = 0; i < w->n_slots; i++) {
    const whisper_slot *s = &w->slots[i];
    if (!s->seen || index-- > 0) continue;
    if (name != NULL) *name = s->name;
    if (type != NULL) *type = dtype_name(s->type);
    dims[0] = s->kind == KIND_VECTOR ? s->in : s->out;
    dims[1] = s->kind == KIND_VECTOR ? 1 : s->in;
    dims[2] = s->kind == KIND_CONV ? 3 : 1;
    dims[3] = 1;
    return s->kind == KIND_VECTOR ? 1 : s->kind == KIND_CONV ? 3 : 2;
  }
  return 0;
}
