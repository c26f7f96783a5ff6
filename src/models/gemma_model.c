/* Loading of Gemma: which tensors there must be, under which names, and where the bytes of each go.
 *
 *     GGUF ──header──> configuration, vocabulary, list of slots ──tensor──> rows of matrices into the backend as they come, vectors whole
 *     config.json ───> configuration, list of slots;  tokenizer.* ──> vocabulary;  *.safetensors ──tensor──> as above
 *
 * Matrices are never whole in memory here. */
#include <stdio.h>

#include "arena.h"
#include "gemma_model.h"

enum {
  MAX_TEXT = 256 << 20,    /* bytes of config.json or a tokenizer */
  HASHED_BEGINNING = 1024, /* bytes of each tensor that go into the fingerprint */
};

static sotto_status no_memory(error *err, const char *what) {
  return fail(err, SOTTO_ERR_MEMORY, "out of memory for %s: a smaller or more quantized model may fit", what);
}

/* ---- the list of tensors ---- */

static void add_slot(gemma *g, int32_t out, int32_t in, tensor *vector, weight **matrix, const char *gguf_name,
                     const char *hf_name) {
  if (g->slots != NULL) {
    gemma_slot *s = &g->slots[g->n_slots];
    *s = (gemma_slot){.out = out, .in = in, .vector = vector, .matrix = matrix};
    snprintf(s->gguf_name, sizeof s->gguf_name, "%s.weight", gguf_name);
    snprintf(s->hf_name, sizeof s->hf_name, "%s.weight", hf_name);
  }
  g->n_slots++;
}

static void add_layer_slot(gemma *g, int32_t layer, int32_t out, int32_t in, tensor *vector, weight **matrix,
                           const char *gguf_name, const char *hf_name) {
  char a[48], b[64];
  snprintf(a, sizeof a, "blk.%d.%s", (int)layer, gguf_name);
  snprintf(b, sizeof b, "model.layers.%d.%s", (int)layer, hf_name);
  add_slot(g, out, in, vector, matrix, a, b);
}

/* Called twice: once to count (g->slots is NULL), once to fill. */
static void list_tensors(gemma *g) {
  const gemma_config *c = &g->c;
  const int32_t d = c->d_model, q = c->n_head * c->head_dim, k = c->n_kv_head * c->head_dim;
  g->n_slots = 0;
  add_slot(g, c->n_vocab, d, NULL, &g->embedding, "token_embd", "model.embed_tokens");
  add_slot(g, 1, d, &g->output_norm, NULL, "output_norm", "model.norm");
  for (int32_t i = 0; i < c->n_layer; i++) {
    gemma_layer *l = &g->layers[i];
    add_layer_slot(g, i, 1, d, &l->attention_norm, NULL, "attn_norm", "input_layernorm");
    add_layer_slot(g, i, q, d, NULL, &l->query, "attn_q", "self_attn.q_proj");
    add_layer_slot(g, i, k, d, NULL, &l->key, "attn_k", "self_attn.k_proj");
    add_layer_slot(g, i, k, d, NULL, &l->value, "attn_v", "self_attn.v_proj");
    add_layer_slot(g, i, d, q, NULL, &l->out, "attn_output", "self_attn.o_proj");
    add_layer_slot(g, i, c->d_ff, d, NULL, &l->gate, "ffn_gate", "mlp.gate_proj");
    add_layer_slot(g, i, c->d_ff, d, NULL, &l->up, "ffn_up", "mlp.up_proj");
    add_layer_slot(g, i, d, c->d_ff, NULL, &l->down, "ffn_down", "mlp.down_proj");
    if (c->qk_norm) {
      add_layer_slot(g, i, 1, c->head_dim, &l->query_norm, NULL, "attn_q_norm", "self_attn.q_norm");
      add_layer_slot(g, i, 1, c->head_dim, &l->key_norm, NULL, "attn_k_norm", "self_attn.k_norm");
    }
    if (c->post_norms) {
      add_layer_slot(g, i, 1, d, &l->post_attention_norm, NULL, "post_attention_norm", "post_attention_layernorm");
      add_layer_slot(g, i, 1, d, &l->mlp_norm, NULL, "ffn_norm", "pre_feedforward_layernorm");
      add_layer_slot(g, i, 1, d, &l->post_mlp_norm, NULL, "post_ffw_norm", "post_feedforward_layernorm");
    } else {
      add_layer_slot(g, i, 1, d, &l->mlp_norm, NULL, "ffn_norm", "post_attention_layernorm");
    }
  }
}

/* Gives the norms their places in `buf`. */
static arena lay_out_vectors(gemma *g, buffer *buf) {
  arena a = {.buf = buf};
  for (int32_t i = 0; i < g->n_slots; i++)
    if (g->slots[i].vector != NULL) *g->slots[i].vector = arena_take(&a, 1, g->slots[i].in);
  return a;
}

/* Refuses a model that cannot fit before its data are fetched. The tensors of one file, about as they will be in memory: 16 bits for each element
 * of a matrix are the most. */
static sotto_status check_memory(const gemma *g, error *err) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < gguf_n_tensors(g->gguf); i++) {
    const file_tensor *t = gguf_tensor(g->gguf, i);
    bytes += t->type == DTYPE_F32 && t->rank > 1 ? t->bytes / 2 : t->bytes;
  }
  if (g->be->ops->reserve(g->be, bytes)) return SOTTO_OK;
  return fail(err, SOTTO_ERR_MEMORY,
              "the model needs %.0f MB of memory, more than there is: choose a smaller or more quantized one",
              (double)bytes / 1e6);
}

static sotto_status begin_model(gemma *g, error *err) {
  g->have_config = true;
  g->layers = mem_alloc((size_t)g->c.n_layer, sizeof *g->layers);
  if (g->layers == NULL) return no_memory(err, "the model's description");
  list_tensors(g);
  g->slots = mem_alloc((size_t)g->n_slots, sizeof *g->slots);
  if (g->slots == NULL) return no_memory(err, "the model's description");
  list_tensors(g);
  if (g->be == NULL) return SOTTO_OK;
  const arena size = lay_out_vectors(g, NULL);
  g->vectors = arena_open(&size, g->be);
  if (g->vectors == NULL) return no_memory(err, "the norms");
  lay_out_vectors(g, g->vectors);
  return SOTTO_OK;
}

static gemma_slot *find_slot(gemma *g, const char *name) {
  /* Models that also see keep their text part under another name. */
  static const char nested[] = "language_model.";
  if (strncmp(name, nested, sizeof nested - 1) == 0) name += sizeof nested - 1;
  for (int32_t i = 0; i < g->n_slots; i++)
    if (strcmp(g->from_gguf ? g->slots[i].gguf_name : g->slots[i].hf_name, name) == 0) return &g->slots[i];
  return NULL;
}

/* ---- what the readers call ---- */

static sotto_status on_header(void *context, error *err) {
  gemma *g = context;
  if (g->kind == FILE_SAFETENSORS) {
    if (g->have_config) return SOTTO_OK;
    return fail(err, SOTTO_ERR_ARGUMENT, "the weights came before config.json: give config.json first");
  }
  if (g->have_config) return check_memory(g, err); /* a further part of a split model */
  if (gguf_split_of(g->gguf).part != 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "this is part %u of a split model: begin with the first part",
                gguf_split_of(g->gguf).part + 1);
  g->from_gguf = true;
  TRY(gemma_config_from_gguf(&g->c, g->gguf, err));
  gguf_array tokens;
  if (gguf_array_of(g->gguf, "tokenizer.ggml.tokens", &tokens)) TRY(spm_read_gguf(&g->vocab, g->gguf, err));
  TRY(begin_model(g, err));
  return check_memory(g, err);
}

static sotto_status on_tensor_begin(void *context, const file_tensor *t, error *err) {
  gemma *g = context;
  gemma_slot *s = g->current = find_slot(g, t->name);
  if (s == NULL) {
    /* Whatever shares these files: rotary factors, a head that repeats the embedding, the part that sees. */
    if (strstr(t->name, "vision") != NULL || strstr(t->name, "multi_modal") != NULL ||
        strcmp(t->name, "lm_head.weight") == 0 || strcmp(t->name, "output.weight") == 0 ||
        strcmp(t->name, "rope_freqs.weight") == 0)
      return SOTTO_OK;
    return fail(err, SOTTO_ERR_UNSUPPORTED, "the file holds a tensor %s that a %s does not have", t->name,
                g->c.architecture);
  }
  if (s->seen) return fail(err, SOTTO_ERR_FORMAT, "the tensor %s is there twice: the model is damaged", t->name);
  const bool fits = s->vector != NULL ? t->rank == 1 && t->dims[0] == s->in
                                      : t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
  if (!fits)
    return fail(err, SOTTO_ERR_FORMAT,
                "the tensor %s has the shape [%lld, %lld], which does not fit the model's sizes: the file is damaged",
                t->name, (long long)t->dims[0], (long long)t->dims[1]);
  s->type = t->type;
  g->current_hash = hash_bytes(HASH_START, s->gguf_name, strlen(s->gguf_name));
  g->current_hash = hash_bytes(g->current_hash, &t->type, sizeof t->type);
  g->unhashed = HASHED_BEGINNING;
  bool ok = row_stage_begin(&g->stage, dtype_row_bytes(t->type, (size_t)s->in));
  if (s->matrix != NULL) {
    *s->matrix = g->be->ops->weight_open(g->be, t->type, s->out, s->in);
    ok = ok && *s->matrix != NULL;
  }
  return ok ? SOTTO_OK : no_memory(err, t->name);
}

/* Files of Hugging Face store the norms' weights less 1. */
static sotto_status take_rows(void *context, int32_t first, int32_t n, const void *rows, error *err) {
  gemma *g = context;
  gemma_slot *s = g->current;
  if (s->matrix != NULL) {
    g->be->ops->weight_rows(g->be, *s->matrix, first, n, rows);
    return SOTTO_OK;
  }
  float *values = mem_alloc((size_t)s->in, sizeof *values);
  if (values == NULL) return no_memory(err, s->gguf_name);
  dequantize_row(s->type, rows, values, (size_t)s->in);
  for (int32_t i = 0; i < s->in && !g->from_gguf; i++) values[i] += 1.0f;
  g->be->ops->upload(g->be, *s->vector, values);
  mem_free(values);
  return SOTTO_OK;
}

static sotto_status on_tensor_data(void *context, const void *bytes, size_t size, error *err) {
  gemma *g = context;
  if (g->current == NULL) return SOTTO_OK;
  const size_t n = min_size(size, g->unhashed);
  g->current_hash = hash_bytes(g->current_hash, bytes, n);
  g->unhashed -= n;
  return row_stage_feed(&g->stage, bytes, size, take_rows, g, err);
}

static sotto_status on_tensor_end(void *context, error *err) {
  gemma *g = context;
  gemma_slot *s = g->current;
  (void)err;
  if (s == NULL) return SOTTO_OK;
  if (s->matrix != NULL) g->be->ops->weight_seal(g->be, *s->matrix);
  s->seen = true;
  g->fingerprint += g->current_hash; /* a sum, as the files of a model come in any order */
  g->current = NULL;
  return SOTTO_OK;
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *end) {
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

static sotto_status append_text(gemma *g, const void *bytes, size_t size, error *err) {
  if (size > MAX_TEXT - g->n_text)
    return fail(err, SOTTO_ERR_FORMAT, "a configuration of more than %d MB makes no sense", MAX_TEXT >> 20);
  uint8_t *text = mem_grow(g->text, 1, g->n_text, &g->text_capacity, g->n_text + size);
  if (text == NULL) return no_memory(err, "the tokenizer");
  g->text = text;
  memcpy(g->text + g->n_text, bytes, size);
  g->n_text += size;
  return SOTTO_OK;
}

/* Reads the small file that has come whole. */
static sotto_status read_text(gemma *g, error *err) {
  const char *text = g->text != NULL ? (const char *)g->text : ""; /* of a file without a byte */
  if (g->kind == FILE_CONFIG) {
    if (g->have_config) return fail(err, SOTTO_ERR_ARGUMENT, "there are two configurations: give one");
    TRY(gemma_config_from_json(&g->c, text, g->n_text, err));
    return begin_model(g, err);
  }
  if (g->vocab != NULL) return SOTTO_OK; /* a folder may have both tokenizer.model and tokenizer.json */
  return g->kind == FILE_TOKENIZER_MODEL ? spm_read_model(&g->vocab, text, g->n_text, err)
                                         : spm_read_json(&g->vocab, text, g->n_text, err);
}

static sotto_status end_file(gemma *g, error *err) {
  sotto_status status = SOTTO_OK;
  switch (g->kind) {
    case FILE_GGUF:
      status = gguf_finish(g->gguf, err);
      break;
    case FILE_SAFETENSORS:
      status = safetensors_finish(g->safetensors, err);
      break;
    case FILE_CONFIG:
    case FILE_TOKENIZER_MODEL:
    case FILE_TOKENIZER_JSON:
      status = read_text(g, err);
      break;
    case FILE_NONE:
    case FILE_OTHER:
      break;
  }
  gguf_close(g->gguf);
  safetensors_close(g->safetensors);
  mem_free(g->text);
  g->gguf = NULL;
  g->safetensors = NULL;
  g->text = NULL;
  g->n_text = g->text_capacity = 0;
  g->kind = FILE_NONE;
  return status;
}

sotto_status gemma_file(gemma *g, const char *name, error *err) {
  const tensor_sink sink = {g, on_header, on_tensor_begin, on_tensor_data, on_tensor_end};
  TRY(end_file(g, err));
  if (ends_with(name, ".gguf")) {
    g->kind = FILE_GGUF;
    g->gguf = gguf_open(&sink);
    return g->gguf != NULL ? SOTTO_OK : no_memory(err, "a model");
  }
  if (ends_with(name, ".safetensors")) {
    g->kind = FILE_SAFETENSORS;
    g->safetensors = safetensors_open(&sink);
    return g->safetensors != NULL ? SOTTO_OK : no_memory(err, "a model");
  }
  g->kind = strcmp(name, "config.json") == 0       ? FILE_CONFIG
            : strcmp(name, "tokenizer.model") == 0 ? FILE_TOKENIZER_MODEL
            : strcmp(name, "tokenizer.json") == 0  ? FILE_TOKENIZER_JSON
                                                   : FILE_OTHER;
  if (g->kind == FILE_OTHER && !ends_with(name, ".json"))
    return fail(
        err, SOTTO_ERR_UNSUPPORTED,
        "%.60s is no file of a model: give .gguf, .safetensors, config.json and tokenizer.json or tokenizer.model",
        name);
  return SOTTO_OK;
}

sotto_status gemma_feed(gemma *g, const void *bytes, size_t size, error *err) {
  switch (g->kind) {
    case FILE_GGUF:
      return gguf_feed(g->gguf, bytes, size, err);
    case FILE_SAFETENSORS:
      return safetensors_feed(g->safetensors, bytes, size, err);
    case FILE_CONFIG:
    case FILE_TOKENIZER_MODEL:
    case FILE_TOKENIZER_JSON:
      return append_text(g, bytes, size, err);
    case FILE_OTHER:
      return SOTTO_OK;
    case FILE_NONE:
      break;
  }
  return fail(err, SOTTO_ERR_ARGUMENT, "say which file the bytes are of before they come");
}

/* ---- open, finish, close ---- */

gemma *gemma_open(backend *be) {
  gemma *g = mem_alloc(1, sizeof *g);
  if (g != NULL) g->be = be;
  return g;
}

void gemma_close(gemma *g) {
  if (g == NULL) return;
  for (int32_t i = 0; g->slots != NULL && i < g->n_slots; i++) {
    const gemma_slot *s = &g->slots[i];
    if (s->matrix != NULL && *s->matrix != NULL) g->be->ops->weight_close(g->be, *s->matrix);
  }
  if (g->vectors != NULL) g->be->ops->buffer_close(g->be, g->vectors);
  gguf_close(g->gguf);
  safetensors_close(g->safetensors);
  spm_vocab_close(g->vocab);
  mem_free(g->layers);
  mem_free(g->slots);
  mem_free(g->text);
  row_stage_free(&g->stage);
  mem_free(g);
}

sotto_status gemma_finish(gemma *g, error *err) {
  TRY(end_file(g, err));
  if (!g->have_config)
    return fail(err, SOTTO_ERR_FORMAT, "the model has no configuration: a GGUF file or a config.json is needed");
  int32_t missing = 0;
  const gemma_slot *first = NULL;
  for (int32_t i = 0; i < g->n_slots; i++) {
    if (g->slots[i].seen) continue;
    if (missing++ == 0) first = &g->slots[i];
  }
  if (missing > 0)
    return fail(err, SOTTO_ERR_FORMAT,
                "%d of %d tensors are missing, %s first: the model is not whole; get its files again", (int)missing,
                (int)g->n_slots, g->from_gguf ? first->gguf_name : first->hf_name);
  row_stage_free(&g->stage);
  g->finished = true;
  return SOTTO_OK;
}

bool gemma_finished(const gemma *g) { return g->finished; }
const gemma_config *gemma_configuration(const gemma *g) { return g->have_config ? &g->c : NULL; }
const spm_vocab *gemma_vocabulary(const gemma *g) { return g->vocab; }

uint64_t gemma_fingerprint(const gemma *g) {
  const gemma_config *c = &g->c;
  const double numbers[] = {
      c->n_layer,   c->d_model,      c->n_head,       c->n_kv_head,   c->head_dim,        c->d_ff,
      c->n_vocab,   c->window,       c->global_every, c->norm_eps,    c->attention_scale, c->attention_cap,
      c->logit_cap, c->theta_global, c->theta_local,  c->rope_factor, c->embedding_scale};
  return g->fingerprint + hash_bytes(HASH_START, numbers, sizeof numbers);
}

void gemma_describe(const gemma *g, sotto_model_info *info) {
  memset(info, 0, sizeof *info);
  if (!g->have_config) return;
  const gemma_config *c = &g->c;
  info->architecture = info->name = c->architecture;
  info->n_vocab = c->n_vocab;
  info->n_text_ctx = c->n_ctx_train;
  info->n_text_state = c->d_model;
  info->n_text_head = c->n_head;
  info->n_text_layer = c->n_layer;
  info->n_kv_head = c->n_kv_head;
  info->head_dim = c->head_dim;
  info->n_ff = c->d_ff;
  info->window = c->window;
  tensor_census census = {0};
  for (int32_t i = 0; i < g->n_slots; i++) {
    const gemma_slot *t = &g->slots[i];
    const uint64_t n = (uint64_t)t->out * (uint64_t)t->in;
    if (t->seen)
      tensor_census_add(&census, info, t->type, n, t->matrix != NULL ? g->be->ops->weight_bytes(*t->matrix) : 4 * n);
  }
}

int32_t gemma_tensor(const gemma *g, int32_t index, const char **name, const char **type, int64_t dims[4]) {
  for (int32_t i = 0; i < g->n_slots; i++) {
    const gemma_slot *s = &g->slots[i];
    if (!s->seen || index-- > 0) continue;
    const bool vector = s->vector != NULL;
    if (name != NULL) *name = g->from_gguf ? s->gguf_name : s->hf_name;
    if (type != NULL) *type = dtype_name(s->type);
    dims[0] = vector ? s->in : s->out;
    dims[1] = vector ? 1 : s->in;
    dims[2] = dims[3] = 1;
    return vector ? 1 : 2;
  }
  return 0;
}
