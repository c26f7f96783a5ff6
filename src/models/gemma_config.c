/* The configuration of a Gemma, from the metadata of a GGUF file or from config.json. What a family fixes is in `families`; what
 * sizes decide is read, and checked before anything is allocated by it. */
#include <math.h>
#include <stdio.h>

#include "../formats/json.h"
#include "gemma_model.h"

typedef struct family {
  const char *gguf, *model_type; /* general.architecture; model_type of config.json */
  bool qk_norm, post_norms;
  int32_t global_every; /* 1: all layers are global */
  float attention_cap, logit_cap, theta_global;
} family;

static const family families[] = {
    {"gemma", "gemma", false, false, 1, 0, 0, 1e4f},
    {"gemma2", "gemma2", false, true, 2, 50, 30, 1e4f},
    {"gemma3", "gemma3_text", true, true, 6, 0, 0, 1e6f},
};

static sotto_status unknown(error *err, const char *name, size_t size) {
  return fail(err, SOTTO_ERR_UNSUPPORTED, "the model is a %.*s; Gemma 1, 2 and 3 are known", (int)min_size(size, 40),
              name);
}

/* What a family has when its files say nothing else. */
static void begin(gemma_config *c, const family *f) {
  *c = (gemma_config){.norm_eps = 1e-6f,
                      .attention_cap = f->attention_cap,
                      .logit_cap = f->logit_cap,
                      .theta_global = f->theta_global,
                      .theta_local = 1e4f,
                      .rope_factor = 1,
                      .global_every = f->global_every,
                      .qk_norm = f->qk_norm,
                      .post_norms = f->post_norms};
  snprintf(c->architecture, sizeof c->architecture, "%s", f->gguf);
}

static sotto_status check(const gemma_config *c, error *err) {
  const struct {
    const char *name;
    int32_t value, most;
  } sizes[] = {{"layers", c->n_layer, 256},         {"width", c->d_model, 16384},        {"heads", c->n_head, 256},
               {"key heads", c->n_kv_head, 256},    {"head width", c->head_dim, 1024},   {"MLP width", c->d_ff, 131072},
               {"vocabulary", c->n_vocab, 1 << 20}, {"context", c->n_ctx_train, 1 << 24}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
      return fail(err, SOTTO_ERR_FORMAT, "the model's %s is %d, where 1 to %d makes sense: the file is damaged",
                  sizes[i].name, (int)sizes[i].value, (int)sizes[i].most);
  }
  if (c->n_head % c->n_kv_head != 0 || c->head_dim % 2 != 0)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "%d heads of %d over %d key heads do not fit together", (int)c->n_head,
                (int)c->head_dim, (int)c->n_kv_head);
  const float positive[] = {c->norm_eps, c->theta_global, c->theta_local, c->rope_factor, c->attention_scale};
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
    if (!(positive[i] > 0 && positive[i] < 1e12f))
      return fail(err, SOTTO_ERR_FORMAT, "the model's settings make no sense: the file is damaged");
  if (!(c->attention_cap >= 0 && c->logit_cap >= 0) || c->window < 0 || c->global_every < 1)
    return fail(err, SOTTO_ERR_FORMAT, "the model's settings make no sense: the file is damaged");
  return SOTTO_OK;
}

/* ---- GGUF ---- */

static bool key_u32(const gguf *g, const gemma_config *c, const char *name, int32_t *out) {
  char key[96];
  uint32_t value;
  snprintf(key, sizeof key, "%s.%s", c->architecture, name);
  if (!gguf_u32(g, key, &value) || value > INT32_MAX) return false;
  *out = (int32_t)value;
  return true;
}

static void key_f32(const gguf *g, const gemma_config *c, const char *name, float *out) {
  char key[96];
  snprintf(key, sizeof key, "%s.%s", c->architecture, name);
  gguf_f32(g, key, out);
}

sotto_status gemma_config_from_gguf(gemma_config *c, const gguf *g, error *err) {
  const char *name;
  size_t size;
  const family *f = NULL;
  if (!gguf_string(g, "general.architecture", &name, &size))
    return fail(err, SOTTO_ERR_FORMAT, "the GGUF file does not say what model it holds (general.architecture)");
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (strlen(families[i].gguf) == size && memcmp(families[i].gguf, name, size) == 0) f = &families[i];
  if (f == NULL) return unknown(err, name, size);
  begin(c, f);
  bool all = key_u32(g, c, "block_count", &c->n_layer) && key_u32(g, c, "embedding_length", &c->d_model) &&
             key_u32(g, c, "feed_forward_length", &c->d_ff) && key_u32(g, c, "attention.head_count", &c->n_head) &&
             key_u32(g, c, "context_length", &c->n_ctx_train);
  if (!all) return fail(err, SOTTO_ERR_FORMAT, "the GGUF file does not say all of its model's sizes");
  if (!key_u32(g, c, "attention.head_count_kv", &c->n_kv_head)) c->n_kv_head = c->n_head;
  if (!key_u32(g, c, "attention.key_length", &c->head_dim)) c->head_dim = c->n_head > 0 ? c->d_model / c->n_head : 0;
  if (f->global_every > 1 && !key_u32(g, c, "attention.sliding_window", &c->window))
    c->window = f->qk_norm ? 512 : 4096;
  key_f32(g, c, "attention.layer_norm_rms_epsilon", &c->norm_eps);
  key_f32(g, c, "attn_logit_softcapping", &c->attention_cap);
  key_f32(g, c, "final_logit_softcapping", &c->logit_cap);
  key_f32(g, c, "rope.freq_base", &c->theta_global);
  if (f->qk_norm) key_f32(g, c, "rope.freq_base_swa", &c->theta_local);
  key_f32(g, c, "rope.scaling.factor", &c->rope_factor);
  /* Rows of the embedding: its tensor says, for the tokenizer may be absent. */
  for (uint32_t i = 0; i < gguf_n_tensors(g); i++) {
    const file_tensor *t = gguf_tensor(g, i);
    if (strcmp(t->name, "token_embd.weight") == 0 && t->dims[0] < INT32_MAX) c->n_vocab = (int32_t)t->dims[0];
  }
  if (c->d_model > 0) c->embedding_scale = sqrtf((float)c->d_model);
  /* query_pre_attn_scalar is not in the file: the head width but for Gemma 2 27B, where it is the width by heads. */
  const bool by_heads = f->post_norms && !f->qk_norm && c->n_layer == 46 && c->n_head > 0;
  if (c->head_dim > 0) c->attention_scale = 1.0f / sqrtf((float)(by_heads ? c->d_model / c->n_head : c->head_dim));
  return check(c, err);
}

/* ---- config.json ---- */

static bool read_i32(const json *j, uint32_t object, const char *key, int32_t *out) {
  int64_t value;
  if (!json_read_integer(j, json_get(j, object, key), &value) || value < 0 || value > INT32_MAX) return false;
  *out = (int32_t)value;
  return true;
}

static bool read_f32(const json *j, uint32_t object, const char *key, float *out) {
  double value;
  if (!json_read_number(j, json_get(j, object, key), &value)) return false;
  *out = (float)value;
  return true;
}

/* Rounded to bfloat16, as transformers rounds the scale of embeddings. */
static float round_bf16(float x) { return bf16_to_f32(f32_to_bf16(x)); }

/* Positions of the layers of type `kind` by newer files; older ones keep them beside the sizes. */
static void read_rope(const json *j, uint32_t root, gemma_config *c) {
  const uint32_t parameters = json_get(j, root, "rope_parameters");
  const uint32_t full = json_get(j, parameters, "full_attention"),
                 sliding = json_get(j, parameters, "sliding_attention");
  read_f32(j, root, "rope_theta", &c->theta_global);
  read_f32(j, root, "rope_local_base_freq", &c->theta_local);
  read_f32(j, json_get(j, root, "rope_scaling"), "factor", &c->rope_factor);
  read_f32(j, parameters, "rope_theta", &c->theta_global);
  read_f32(j, full, "rope_theta", &c->theta_global);
  read_f32(j, full, "factor", &c->rope_factor);
  read_f32(j, sliding, "rope_theta", &c->theta_local);
}

/* How often a layer is global, from the list of layer types where there is one. */
static sotto_status read_layer_types(const json *j, uint32_t root, gemma_config *c, error *err) {
  const uint32_t types = json_get(j, root, "layer_types");
  if (json_kind_of(j, types) != JSON_ARRAY) {
    read_i32(j, root, "_sliding_window_pattern", &c->global_every);
    read_i32(j, root, "sliding_window_pattern", &c->global_every);
    return SOTTO_OK;
  }
  int32_t i = 0;
  for (json_walk w = json_children(j, types); json_next(&w); i++) {
    const bool global = json_is(j, w.value, "full_attention");
    if (!global && !json_is(j, w.value, "sliding_attention"))
      return fail(err, SOTTO_ERR_UNSUPPORTED, "config.json: layer %d is of an unknown type of attention", (int)i);
    if (global != ((i + 1) % c->global_every == 0))
      return fail(err, SOTTO_ERR_UNSUPPORTED, "config.json: global layers are not every %d layers, as in this family",
                  (int)c->global_every);
  }
  return SOTTO_OK;
}

sotto_status gemma_config_from_json(gemma_config *c, const char *text, size_t size, error *err) {
  json *j;
  TRY(json_parse(&j, text, size, "config.json", err));
  uint32_t root = json_root(j);
  const uint32_t inner = json_get(j, root, "text_config"); /* of a model that also sees */
  if (json_kind_of(j, inner) == JSON_OBJECT) root = inner;
  const family *f = NULL;
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (json_is(j, json_get(j, root, "model_type"), families[i].model_type)) f = &families[i];
  sotto_status status = SOTTO_OK;
  if (f == NULL) {
    char name[40];
    status = unknown(err, name, json_read_string(j, json_get(j, root, "model_type"), name, sizeof name));
  } else {
    begin(c, f);
    float scalar = 0;
    bool all =
        read_i32(j, root, "num_hidden_layers", &c->n_layer) && read_i32(j, root, "hidden_size", &c->d_model) &&
        read_i32(j, root, "intermediate_size", &c->d_ff) && read_i32(j, root, "num_attention_heads", &c->n_head) &&
        read_i32(j, root, "num_key_value_heads", &c->n_kv_head) && read_i32(j, root, "head_dim", &c->head_dim) &&
        read_i32(j, root, "vocab_size", &c->n_vocab) && read_i32(j, root, "max_position_embeddings", &c->n_ctx_train);
    read_f32(j, root, "rms_norm_eps", &c->norm_eps);
    if (f->attention_cap > 0 && !read_f32(j, root, "attn_logit_softcapping", &c->attention_cap)) c->attention_cap = 0;
    if (f->logit_cap > 0 && !read_f32(j, root, "final_logit_softcapping", &c->logit_cap)) c->logit_cap = 0;
    read_rope(j, root, c);
    if (f->global_every > 1) {
      all = all && read_i32(j, root, "sliding_window", &c->window);
      status = read_layer_types(j, root, c, err);
    }
    if (!read_f32(j, root, "query_pre_attn_scalar", &scalar) || !(scalar > 0)) scalar = (float)c->head_dim;
    if (scalar > 0) c->attention_scale = 1.0f / sqrtf(scalar);
    c->embedding_scale = round_bf16(sqrtf((float)c->d_model));
    if (status == SOTTO_OK)
      status = all ? check(c, err) : fail(err, SOTTO_ERR_FORMAT, "config.json does not say all of the model's sizes");
  }
  json_close(j);
  return status;
}
