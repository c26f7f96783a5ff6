/* Describes language models without loading them.
 *
 *     GGUF, mapped ──────────> reader ─> metadata ───────────────────┐
 *     safetensors, mapped ───> reader ─> tensors ─> a line a type ───┼─> description
 *     config.json, tokenizer.json beside it ─────────────────────────┘ */
#define _XOPEN_SOURCE 700

#include "info_language.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../src/formats/safetensors.h"
#include "model_file.h"

void info_copy_text(char *to, size_t room, const char *from, size_t size) {
  size_t n = min_size(size, room - 1);
  for (size_t i = 0; i < n; i++) to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i];
  to[n] = 0;
}

/* ---- tensors, of either format ---- */

static sotto_status on_header(void *context, error *err) {
  (void)context, (void)err;
  return SOTTO_OK;
}

static sotto_status on_tensor(void *context, const file_tensor *t, error *err) {
  (void)err;
  tensor_tally_add(&((description *)context)->tally, t->name, t->type, t->rank, t->dims, t->bytes);
  return SOTTO_OK;
}

static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  (void)context, (void)bytes, (void)size, (void)err;
  return SOTTO_OK;
}

static sotto_status on_tensor_end(void *context, error *err) {
  (void)context, (void)err;
  return SOTTO_OK;
}

static tensor_sink sink_of(description *d) { return (tensor_sink){d, on_header, on_tensor, on_data, on_tensor_end}; }

/* ---- GGUF ---- */

/* Names of the mixtures that llama.cpp makes, by general.file_type. */
static const char *mixture(uint32_t file_type) {
  static const char *const names[] = {
      [0] = "F32",     [1] = "F16",     [2] = "Q4_0",    [3] = "Q4_1",    [7] = "Q8_0",
      [8] = "Q5_0",    [9] = "Q5_1",    [10] = "Q2_K",   [11] = "Q3_K_S", [12] = "Q3_K_M",
      [13] = "Q3_K_L", [14] = "Q4_K_S", [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",
      [18] = "Q6_K",   [21] = "Q2_K_S", [25] = "IQ4_NL", [30] = "IQ4_XS", [32] = "BF16"};
  return file_type < sizeof names / sizeof *names && names[file_type] ? names[file_type] : "";
}

static size_t gguf_text(const gguf *g, const char *key, char *to, size_t room) {
  const char *from;
  size_t size = 0;
  if (gguf_string(g, key, &from, &size) && to != NULL) info_copy_text(to, room, from, size);
  return size;
}

static int64_t gguf_token(const gguf *g, const char *key) {
  uint32_t id;
  return gguf_u32(g, key, &id) ? (int64_t)id : -1;
}

static void describe_metadata(description *d, const gguf *g) {
  gguf_text(g, "general.architecture", d->architecture, sizeof d->architecture);
  gguf_text(g, "general.name", d->name, sizeof d->name);
  uint32_t file_type;
  if (gguf_u32(g, "general.file_type", &file_type))
    snprintf(d->quantization, sizeof d->quantization, "%s", mixture(file_type));
  const struct {
    const char *key; /* behind the architecture's name */
    uint64_t *to;
  } sizes[] = {{"block_count", &d->n_layer},
               {"embedding_length", &d->d_model},
               {"feed_forward_length", &d->d_ff},
               {"attention.head_count", &d->n_head},
               {"attention.head_count_kv", &d->n_head_kv},
               {"attention.key_length", &d->head_dim},
               {"context_length", &d->n_ctx},
               {"attention.sliding_window", &d->sliding_window}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", d->architecture, sizes[i].key);
    gguf_u64(g, key, sizes[i].to);
  }
  gguf_array tokens;
  gguf_text(g, "tokenizer.ggml.model", d->tokenizer, sizeof d->tokenizer);
  if (gguf_array_of(g, "tokenizer.ggml.tokens", &tokens)) d->n_vocab = tokens.count;
  d->tokens.bos = gguf_token(g, "tokenizer.ggml.bos_token_id");
  d->tokens.eos = gguf_token(g, "tokenizer.ggml.eos_token_id");
  d->tokens.unk = gguf_token(g, "tokenizer.ggml.unknown_token_id");
  d->tokens.pad = gguf_token(g, "tokenizer.ggml.padding_token_id");
  d->chat_template_bytes = gguf_text(g, "tokenizer.chat_template", NULL, 0);
  d->split = gguf_split_of(g);
  snprintf(d->format, sizeof d->format, "GGUF version %u", (unsigned)gguf_version(g));
  if (d->request->metadata) info_gguf_metadata(d, g);
}

static bool describe_gguf(description *d, const mapped_file *f, error *err) {
  const tensor_sink sink = sink_of(d);
  gguf *g = gguf_open(&sink);
  if (g == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
  bool ok = gguf_feed(g, f->bytes, f->size, err) >= 0 && gguf_finish(g, err) >= 0;
  if (ok && d->n_files == 0) describe_metadata(d, g);
  if (ok && d->n_files == 0 && d->split.part == 0 && gguf_n_tensors(g) > 0)
    info_ask_gguf(d, f->bytes, (size_t)gguf_tensor(g, 0)->offset);
  const gguf_split split = gguf_split_of(g);
  if (ok && d->n_files > 0 && (split.part != d->n_files || split.n_parts != d->split.n_parts)) {
    fail(err, SOTTO_ERR_FORMAT, "part %u of %u does not belong to the others: download it again",
         (unsigned)d->n_files + 1, (unsigned)d->split.n_parts);
    ok = false;
  }
  d->n_files++;
  d->file_bytes += f->size;
  gguf_close(g);
  return ok;
}

/* ---- GGUF in several files ---- */

static bool all_parts_there(const char *path, size_t suffix, int n_parts) {
  bool all = true;
  for (int i = 1; all && i <= n_parts; i++) {
    char *part = model_file_part(path, suffix, i, n_parts);
    all = part != NULL && access(part, R_OK) == 0;
    free(part);
  }
  return all;
}

static bool describe_parts(description *d, const char *path, size_t suffix, int n_parts, error *err) {
  bool ok = true;
  for (int i = 1; ok && i <= n_parts; i++) {
    mapped_file f;
    char *part = model_file_part(path, suffix, i, n_parts);
    if (part == NULL)
      ok = fail(err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
    else
      ok = mapped_file_open(&f, part, err);
    if (ok) {
      ok = describe_gguf(d, &f, err);
      mapped_file_close(&f);
    }
    free(part);
  }
  return ok;
}

/* ---- safetensors, and what lies beside ---- */

static bool describe_safetensors(description *d, const mapped_file *f, error *err) {
  const tensor_sink sink = sink_of(d);
  safetensors *s = safetensors_open(&sink);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
  bool ok = safetensors_feed(s, f->bytes, f->size, err) >= 0 && safetensors_finish(s, err) >= 0;
  safetensors_close(s);
  d->n_files++;
  d->file_bytes += f->size;
  snprintf(d->format, sizeof d->format, "safetensors");
  return ok;
}

/* Opens `name` in the folder; false when it is not there. */
static bool open_beside(mapped_file *f, const char *folder, const char *name) {
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/%s", folder, name);
  *f = (mapped_file){NULL, 0};
  return n > 0 && (size_t)n < sizeof path && mapped_file_open(f, path, NULL);
}

static void json_text(const json *j, uint32_t value, char *to, size_t room) {
  char from[256] = "";
  json_read_string(j, value, from, sizeof from - 1); /* what fits */
  info_copy_text(to, room, from, strlen(from));
}

/* An id, or the first of several. */
static int64_t json_token(const json *j, uint32_t part, const char *key) {
  int64_t id;
  uint32_t value = json_get(j, part, key);
  json_walk w = json_children(j, value);
  if (json_kind_of(j, value) == JSON_ARRAY && json_next(&w)) value = w.value;
  return json_read_integer(j, value, &id) && id >= 0 ? id : -1;
}

static bool describe_config(description *d, const mapped_file *f, error *err) {
  json *j;
  if (json_parse(&j, f->bytes, f->size, "config.json", err) < 0) return false;
  uint32_t part = json_get(j, json_root(j), "text_config"); /* of models that see */
  if (part == JSON_NONE) part = json_root(j);
  json_text(j, json_get(j, part, "model_type"), d->architecture, sizeof d->architecture);
  const struct {
    const char *key;
    uint64_t *to;
  } sizes[] = {
      {"num_hidden_layers", &d->n_layer},     {"hidden_size", &d->d_model},           {"intermediate_size", &d->d_ff},
      {"num_attention_heads", &d->n_head},    {"num_key_value_heads", &d->n_head_kv}, {"head_dim", &d->head_dim},
      {"max_position_embeddings", &d->n_ctx}, {"sliding_window", &d->sliding_window}, {"vocab_size", &d->n_vocab}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int64_t v;
    if (json_read_integer(j, json_get(j, part, sizes[i].key), &v) && v > 0) *sizes[i].to = (uint64_t)v;
  }
  d->tokens.bos = json_token(j, part, "bos_token_id");
  d->tokens.eos = json_token(j, part, "eos_token_id");
  d->tokens.pad = json_token(j, part, "pad_token_id");
  if (d->request->metadata) info_config_metadata(d, j);
  json_close(j);
  return true;
}

static bool describe_tokenizer(description *d, const mapped_file *f, error *err) {
  json *j;
  if (json_parse(&j, f->bytes, f->size, "tokenizer.json", err) < 0) return false;
  uint32_t model = json_get(j, json_root(j), "model");
  json_text(j, json_get(j, model, "type"), d->tokenizer, sizeof d->tokenizer);
  uint32_t n_tokens = json_count(j, json_get(j, model, "vocab"));
  if (n_tokens > 0) d->n_vocab = n_tokens;
  json_close(j);
  return true;
}

/* config.json, the tokenizer and the chat template, where they are there. */
static bool describe_folder(description *d, const char *folder, error *err) {
  mapped_file config, tokenizer, template;
  bool ok = true;
  const char *name = "tokenizer.json";
  if (open_beside(&config, folder, "config.json")) ok = describe_config(d, &config, err);
  if (ok && open_beside(&tokenizer, folder, name)) {
    ok = describe_tokenizer(d, &tokenizer, err);
  } else if (ok && open_beside(&tokenizer, folder, name = "tokenizer.model")) {
    snprintf(d->tokenizer, sizeof d->tokenizer, "SentencePiece");
  }
  if (open_beside(&template, folder, "chat_template.jinja")) d->chat_template_bytes = template.size;
  if (ok && config.bytes != NULL) info_ask_folder(d, &config, tokenizer.bytes != NULL ? &tokenizer : NULL, name);
  mapped_file_close(&config);
  mapped_file_close(&tokenizer);
  mapped_file_close(&template);
  return ok;
}

/* All files of a checkpoint: those of the index, or the single one. */
static bool describe_checkpoint(description *d, const char *folder, error *err) {
  mapped_file f;
  if (!open_beside(&f, folder, "model.safetensors.index.json")) {
    if (!open_beside(&f, folder, "model.safetensors")) {
      fail(err, SOTTO_ERR_ARGUMENT, "the folder holds neither model.safetensors nor model.safetensors.index.json");
      return false;
    }
    bool ok = describe_safetensors(d, &f, err);
    mapped_file_close(&f);
    return ok;
  }
  safetensors_index *index;
  bool ok = safetensors_index_open(&index, f.bytes, f.size, err) >= 0;
  mapped_file_close(&f);
  for (uint32_t i = 0; ok && i < safetensors_index_n_files(index); i++) {
    const char *name = safetensors_index_file(index, i);
    if (!open_beside(&f, folder, name)) {
      fail(err, SOTTO_ERR_ARGUMENT, "%.200s, which the index names, is missing: download it too", name);
      ok = false;
      break;
    }
    ok = describe_safetensors(d, &f, err);
    mapped_file_close(&f);
  }
  if (ok && d->tally.n_tensors != safetensors_index_n_tensors(index)) {
    fail(err, SOTTO_ERR_FORMAT, "the files hold %llu tensors, the index names %u: download them again",
         (unsigned long long)d->tally.n_tensors, (unsigned)safetensors_index_n_tensors(index));
    ok = false;
  }
  safetensors_index_close(index);
  return ok;
}

/* ---- the interface ---- */

bool info_is_language(const mapped_file *f) {
  return f->size >= 9 &&
         (memcmp(f->bytes, "GGUF", 4) == 0 || (f->bytes[8] == '{' && memcmp(f->bytes + 5, "\0\0", 3) == 0));
}

static void begin(description *d, const info_request *r) {
  *d = (description){.request = r, .tokens = {-1, -1, -1, -1}};
  d->tally.each = r->tensors;
  d->tally.as_json = r->json;
}

/* Puts out what was described, and frees it. */
static bool end(description *d, bool ok, const char *path, text *out) {
  if (ok) (d->request->json ? info_put_json : info_put_text)(path, d, out);
  out->failed = out->failed || d->metadata.failed;
  tensor_tally_free(&d->tally);
  text_free(&d->metadata);
  return ok;
}

/* Describes a file, or all parts of a split model where they are there. */
static bool describe_language_file(description *d, const char *path, const mapped_file *f, error *err) {
  int n_parts = 0;
  const size_t suffix = model_file_split_suffix(path, &n_parts);
  if (memcmp(f->bytes, "GGUF", 4) == 0) {
    const bool whole = suffix > 0 && all_parts_there(path, suffix, n_parts);
    return whole ? describe_parts(d, path, suffix, n_parts, err) : describe_gguf(d, f, err);
  }
  const char *slash = strrchr(path, '/');
  char folder[4096];
  snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path + 1) : 1, slash != NULL ? path : ".");
  return describe_safetensors(d, f, err) && describe_folder(d, folder, err);
}

bool info_language_file(const char *path, const mapped_file *f, const info_request *r, text *out, error *err) {
  description d;
  begin(&d, r);
  return end(&d, describe_language_file(&d, path, f, err), path, out);
}

bool info_language_folder(const char *path, const info_request *r, text *out, error *err) {
  description d;
  begin(&d, r);
  const bool ok = describe_checkpoint(&d, path, err) && describe_folder(&d, path, err);
  return end(&d, ok, path, out);
}

bool info_language_about(const char *path, const mapped_file *f, model_about *about, error *err) {
  const info_request nothing = {.json = false};
  description d;
  begin(&d, &nothing);
  bool ok = f != NULL ? describe_language_file(&d, path, f, err)
                      : describe_checkpoint(&d, path, err) && describe_folder(&d, path, err);
  if (ok && d.problem[0] != '\0') ok = fail(err, SOTTO_ERR_UNSUPPORTED, "%s", d.problem) == SOTTO_OK;
  *about = (model_about){.weights = dtype_name(tensor_tally_most(&d.tally)), .n_ctx = d.n_ctx};
  memcpy(about->name, d.name, sizeof about->name);
  memcpy(about->kind, d.architecture, sizeof about->kind);
  char *suffix = strstr(about->kind, "_text"); /* of the part of a model that sees */
  if (suffix != NULL && suffix[5] == '\0') *suffix = '\0';
  tensor_tally_free(&d.tally);
  text_free(&d.metadata);
  return ok;
}
