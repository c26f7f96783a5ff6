/* Metadata of Gemma's GGUF files, from its configuration and vocabulary. */
#include "gemma_gguf.h"

#include <math.h>
#include <stdio.h>

#define SPACE_MARK "\xe2\x96\x81" /* U+2581 */

/* Turns as Gemma was trained on them: the system text goes before the first turn of the user. */
static const char own_template[] =
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}"
    "{% if m.role == 'system' %}{% set ns.system = m.content + '\\n\\n' %}{% else %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
    "{% if m.role == 'user' %}{{ ns.system }}{% set ns.system = '' %}{% endif %}"
    "{{ m.content | trim }}{{ '<end_of_turn>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}";

/* ---- metadata ---- */

static const char *key_of(const gemma_config *c, const char *name) {
  static char key[96];
  snprintf(key, sizeof key, "%s.%s", c->architecture, name);
  return key;
}

static void write_u32(gguf_writer *w, const gemma_config *c, const char *name, int32_t value) {
  gguf_write_u32(w, key_of(c, name), (uint32_t)value);
}

static void write_f32(gguf_writer *w, const gemma_config *c, const char *name, float value) {
  gguf_write_f32(w, key_of(c, name), value);
}

static void write_text(gguf_writer *w, const char *key, const char *text) {
  gguf_write_string(w, key, text, strlen(text));
}

static void write_config(gguf_writer *w, const gemma_config *c) {
  const bool gemma2 = c->post_norms && !c->qk_norm, gemma3 = c->qk_norm;
  write_u32(w, c, "context_length", c->n_ctx_train);
  write_u32(w, c, "embedding_length", c->d_model);
  write_u32(w, c, "block_count", c->n_layer);
  write_u32(w, c, "feed_forward_length", c->d_ff);
  write_u32(w, c, "attention.head_count", c->n_head);
  write_u32(w, c, "attention.head_count_kv", c->n_kv_head);
  write_u32(w, c, "attention.key_length", c->head_dim);
  write_u32(w, c, "attention.value_length", c->head_dim);
  write_f32(w, c, "attention.layer_norm_rms_epsilon", c->norm_eps);
  if (c->window > 0) write_u32(w, c, "attention.sliding_window", c->window);
  if (gemma2 || c->attention_cap > 0) write_f32(w, c, "attn_logit_softcapping", c->attention_cap);
  if (gemma2 || c->logit_cap > 0) write_f32(w, c, "final_logit_softcapping", c->logit_cap);
  write_f32(w, c, "rope.freq_base", c->theta_global);
  if (gemma3) write_f32(w, c, "rope.freq_base_swa", c->theta_local);
  if (c->rope_factor != 1) {
    write_text(w, key_of(c, "rope.scaling.type"), "linear");
    write_f32(w, c, "rope.scaling.factor", c->rope_factor);
  }
}

/* What readers of GGUF files take for granted of a family must be so. */
static sotto_status check_config(const gemma_config *c, error *err) {
  const int32_t usual = c->qk_norm ? 6 : c->post_norms ? 2 : 1;
  if (c->global_every != usual)
    return fail(err, SOTTO_ERR_UNSUPPORTED, "every %d layers one is global, and GGUF files of a %s have %d",
                (int)c->global_every, c->architecture, (int)usual);
  const bool by_heads = c->post_norms && !c->qk_norm && c->n_layer == 46; /* Gemma 2 27B */
  const float scale = 1.0f / sqrtf((float)(by_heads ? c->d_model / c->n_head : c->head_dim));
  if (fabsf(c->attention_scale - scale) > 1e-6f * scale)
    return fail(
        err, SOTTO_ERR_UNSUPPORTED,
        "query_pre_attn_scalar is %g, which GGUF files cannot say: only models with the head width there can be "
        "converted",
        (double)(1.0f / (c->attention_scale * c->attention_scale)));
  return SOTTO_OK;
}

enum { TEXT_CAPACITY = 3 * SPM_MAX_TOKEN_BYTES };

/* A token as files have it: U+2581 for spaces, <0x41> for bytes. Returns its bytes in `to`. */
static size_t file_text(const spm_vocab *v, int32_t id, char to[TEXT_CAPACITY]) {
  size_t bytes, n = 0;
  const char *text = spm_vocab_text(v, id, &bytes);
  const spm_type type = spm_vocab_type(v, id);
  if (id >= spm_vocab_size(v)) return (size_t)snprintf(to, TEXT_CAPACITY, "[PAD%d]", (int)id);
  if (type == SPM_BYTE) return (size_t)snprintf(to, TEXT_CAPACITY, "<0x%02X>", (unsigned)(unsigned char)text[0]);
  for (size_t i = 0; i < bytes; i++) {
    const bool space = text[i] == ' ' && (type == SPM_NORMAL || type == SPM_USER_DEFINED);
    memcpy(to + n, space ? SPACE_MARK : text + i, space ? 3 : 1);
    n += space ? 3 : 1;
  }
  return n;
}

static void write_id(gguf_writer *w, const char *key, int32_t id) {
  if (id >= 0) gguf_write_u32(w, key, (uint32_t)id);
}

/* Tokens up to the rows of the embedding: those that the vocabulary lacks are unused. */
static sotto_status write_vocab(gguf_writer *w, const gemma_gguf *f, error *err) {
  const spm_vocab *v = f->vocab;
  const spm_settings *s = spm_vocab_settings(v);
  const int32_t n = f->model->c.n_vocab;
  if (spm_vocab_size(v) > n)
    return fail(err, SOTTO_ERR_FORMAT,
                "the tokenizer has %d tokens and the embedding %d rows: they do not belong together",
                (int)spm_vocab_size(v), (int)n);
  float *scores = mem_alloc((size_t)n, sizeof *scores);
  int32_t *types = mem_alloc((size_t)n, sizeof *types);
  if (scores != NULL && types != NULL) {
    char text[TEXT_CAPACITY];
    write_text(w, "tokenizer.ggml.model", "llama");
    write_text(w, "tokenizer.ggml.pre", "default");
    gguf_write_strings(w, "tokenizer.ggml.tokens", (size_t)n);
    for (int32_t i = 0; i < n; i++) {
      gguf_write_item(w, text, file_text(v, i, text));
      scores[i] = spm_vocab_score(v, i);
      types[i] = spm_vocab_type(v, i);
    }
    gguf_write_numbers(w, "tokenizer.ggml.scores", GGUF_F32, scores, (size_t)n);
    gguf_write_numbers(w, "tokenizer.ggml.token_type", GGUF_I32, types, (size_t)n);
  }
  const bool ok = scores != NULL && types != NULL;
  mem_free(scores);
  mem_free(types);
  if (!ok) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the vocabulary");
  const int32_t end_of_turn = spm_vocab_find(v, "<end_of_turn>", 13);
  write_id(w, "tokenizer.ggml.bos_token_id", s->bos);
  write_id(w, "tokenizer.ggml.eos_token_id", s->eos);
  write_id(w, "tokenizer.ggml.eot_token_id", end_of_turn);
  write_id(w, "tokenizer.ggml.unknown_token_id", s->unk);
  write_id(w, "tokenizer.ggml.padding_token_id", s->pad);
  gguf_write_bool(w, "tokenizer.ggml.add_bos_token", s->add_bos);
  gguf_write_bool(w, "tokenizer.ggml.add_eos_token", false);
  gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", s->dummy_prefix);
  if (f->chat_template_bytes > 0)
    gguf_write_string(w, "tokenizer.chat_template", f->chat_template, f->chat_template_bytes);
  else if (end_of_turn >= 0)
    write_text(w, "tokenizer.chat_template", own_template);
  return SOTTO_OK;
}

/* ---- tensors ---- */

uint32_t gemma_gguf_type(const gemma_gguf *f, const gemma_slot *s) {
  if (s->vector != NULL) return DTYPE_F32;
  return recipe_type(f->recipe, s->gguf_name, s->in, f->model->c.n_layer, false);
}

void gemma_gguf_announce(gguf_writer *w, const gemma_slot *s, uint32_t type) {
  const bool vector = s->vector != NULL;
  const int64_t dims[4] = {vector ? s->in : s->out, vector ? 1 : s->in, 1, 1};
  gguf_write_tensor(w, s->gguf_name, type, vector ? 1 : 2, dims);
}

sotto_status gemma_gguf_metadata(const gemma_gguf *f, gguf_writer *w, error *err) {
  const gemma_config *c = &f->model->c;
  TRY(check_config(c, err));
  write_text(w, "general.architecture", c->architecture);
  write_text(w, "general.type", "model");
  write_text(w, "general.name", f->name);
  gguf_write_u32(w, "general.file_type", f->recipe->file_type);
  if (dtype_block_elements(f->recipe->type) > 1) gguf_write_u32(w, "general.quantization_version", 2);
  write_config(w, c);
  return f->vocab != NULL ? write_vocab(w, f, err) : SOTTO_OK;
}
