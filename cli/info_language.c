/* Describes language models without loading them.
 *
 *     GGUF, mapped ──────────> reader ─> metadata ───────────────────┐
 *     safetensors, mapped ───> reader ─> tensors ─> a line a type ───┼─> description ─> text or JSON
 *     config.json, tokenizer.json beside it ─────────────────────────┘
 *
 * What a file does not say stays 0 or "" and is not printed. */
#include "info_language.h"

#include <stdio.h>
#include <stdlib.h>

#include "../src/formats/gguf.h"
#include "../src/formats/json.h"
#include "../src/formats/safetensors.h"
#include "json.h"

typedef struct description {
  char format[24], architecture[64], name[128], quantization[32], tokenizer[48];
  uint64_t n_layer, d_model, d_ff, n_head, n_head_kv, head_dim, n_vocab, n_ctx, sliding_window;
  gguf_split split; /* n_parts 0: does not apply */
  uint64_t n_tensors, n_parameters, weight_bytes, file_bytes;
  struct {
    uint64_t n_tensors, bytes;
  } types[DTYPE_COUNT];
} description;

/* Text from a file, fit to be shown: one line, cut to the room there is. */
static void copy_text(char *to, size_t room, const char *from, size_t size) {
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
  description *d = context;
  uint64_t n = 1;
  for (int32_t i = 0; i < t->rank; i++) n *= (uint64_t)t->dims[i];
  d->n_tensors++;
  d->n_parameters += n;
  d->weight_bytes += t->bytes;
  d->types[t->type].n_tensors++;
  d->types[t->type].bytes += t->bytes;
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

static void gguf_text(const gguf *g, const char *key, char *to, size_t room) {
  const char *from;
  size_t size;
  if (gguf_string(g, key, &from, &size)) copy_text(to, room, from, size);
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
  d->split = gguf_split_of(g);
  snprintf(d->format, sizeof d->format, "GGUF version %u", (unsigned)gguf_version(g));
}

static bool describe_gguf(description *d, const mapped_file *f, error *err) {
  const tensor_sink sink = sink_of(d);
  gguf *g = gguf_open(&sink);
  if (g == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
  bool ok = gguf_feed(g, f->bytes, f->size, err) >= 0 && gguf_finish(g, err) >= 0;
  if (ok) describe_metadata(d, g);
  d->file_bytes = f->size;
  gguf_close(g);
  return ok;
}

/* ---- safetensors, and what lies beside ---- */

static bool describe_safetensors(description *d, const mapped_file *f, error *err) {
  const tensor_sink sink = sink_of(d);
  safetensors *s = safetensors_open(&sink);
  if (s == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
  bool ok = safetensors_feed(s, f->bytes, f->size, err) >= 0 && safetensors_finish(s, err) >= 0;
  safetensors_close(s);
  d->file_bytes += f->size;
  snprintf(d->format, sizeof d->format, "safetensors");
  return ok;
}

/* Opens `name` in the folder; false when it is not there. */
static bool open_beside(mapped_file *f, const char *folder, const char *name) {
  char path[4096];
  int n = snprintf(path, sizeof path, "%s/%s", folder, name);
  return n > 0 && (size_t)n < sizeof path && mapped_file_open(f, path, NULL);
}

static void json_text(const json *j, uint32_t value, char *to, size_t room) {
  char from[256] = "";
  json_read_string(j, value, from, sizeof from - 1); /* what fits */
  copy_text(to, room, from, strlen(from));
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

/* config.json and the tokenizer, where they are there. */
static bool describe_folder(description *d, const char *folder, error *err) {
  mapped_file f;
  bool ok = true;
  if (open_beside(&f, folder, "config.json")) {
    ok = describe_config(d, &f, err);
    mapped_file_close(&f);
  }
  if (ok && open_beside(&f, folder, "tokenizer.json")) {
    ok = describe_tokenizer(d, &f, err);
    mapped_file_close(&f);
  } else if (ok && open_beside(&f, folder, "tokenizer.model")) {
    snprintf(d->tokenizer, sizeof d->tokenizer, "SentencePiece");
    mapped_file_close(&f);
  }
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
  if (ok && d->n_tensors != safetensors_index_n_tensors(index)) {
    fail(err, SOTTO_ERR_FORMAT, "the files hold %llu tensors, the index names %u: download them again",
         (unsigned long long)d->n_tensors, (unsigned)safetensors_index_n_tensors(index));
    ok = false;
  }
  safetensors_index_close(index);
  return ok;
}

/* ---- printing ---- */

static void print_size(const char *before, uint64_t v, const char *after) {
  if (v > 0) printf("%s%llu%s", before, (unsigned long long)v, after);
}

static void print_text(const char *path, const description *d) {
  printf("%s: %s%s%s%s%s%s\n", path, d->architecture[0] ? d->architecture : d->format, d->name[0] ? ", " : "", d->name,
         d->quantization[0] ? ", " : "", d->quantization, d->split.n_parts > 1 ? ", one part of several" : "");
  printf("  format       %s", d->format);
  if (d->split.n_parts > 1)
    printf(", part %u of %u (%u tensors in all)", (unsigned)d->split.part + 1, (unsigned)d->split.n_parts,
           (unsigned)d->split.n_tensors);
  printf("\n  parameters   %.1f M\n", (double)d->n_parameters / 1e6);
  if (d->n_layer > 0) {
    print_size("  layers       ", d->n_layer, "");
    print_size(", width ", d->d_model, "");
    print_size(", feed-forward ", d->d_ff, "");
    printf("\n");
  }
  if (d->n_head > 0) {
    print_size("  attention    ", d->n_head, " heads");
    print_size(", ", d->n_head_kv, " for keys and values");
    print_size(", each of ", d->head_dim, "");
    printf("\n");
  }
  if (d->n_ctx > 0) {
    print_size("  context      ", d->n_ctx, " tokens");
    print_size(", sliding window ", d->sliding_window, "");
    printf("\n");
  }
  if (d->n_vocab > 0)
    printf("  tokenizer    %s%s%llu tokens\n", d->tokenizer, d->tokenizer[0] ? ", " : "",
           (unsigned long long)d->n_vocab);
  printf("  weights      %llu tensors, %.1f MB in %.1f MB\n", (unsigned long long)d->n_tensors,
         (double)d->weight_bytes / 1e6, (double)d->file_bytes / 1e6);
  for (uint32_t i = 0; i < DTYPE_COUNT; i++) {
    if (d->types[i].n_tensors == 0) continue;
    printf("    %-6s     %4llu tensors, %9.3f MB\n", dtype_name(i), (unsigned long long)d->types[i].n_tensors,
           (double)d->types[i].bytes / 1e6);
  }
}

static void print_json(const char *path, const description *d) {
  const struct {
    const char *name, *value;
  } texts[] = {{"file", path},
               {"format", d->format},
               {"name", d->name},
               {"architecture", d->architecture},
               {"quantization", d->quantization},
               {"tokenizer", d->tokenizer}};
  const struct {
    const char *name;
    uint64_t value;
    bool may_be_unsaid;
  } numbers[] = {{"n_layer", d->n_layer, true},
                 {"d_model", d->d_model, true},
                 {"d_ff", d->d_ff, true},
                 {"n_head", d->n_head, true},
                 {"n_head_kv", d->n_head_kv, true},
                 {"head_dim", d->head_dim, true},
                 {"n_vocab", d->n_vocab, true},
                 {"n_ctx", d->n_ctx, true},
                 {"sliding_window", d->sliding_window, true},
                 {"part", d->split.n_parts > 1 ? d->split.part + 1 : 1, false},
                 {"n_parts", d->split.n_parts > 1 ? d->split.n_parts : 1, false},
                 {"n_tensors", d->n_tensors, false},
                 {"n_parameters", d->n_parameters, false},
                 {"weight_bytes", d->weight_bytes, false},
                 {"file_bytes", d->file_bytes, false}};
  text out = {0};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    text_format(&out, "%c\"%s\":", i > 0 ? ',' : '{', texts[i].name);
    if (texts[i].value[0] != 0)
      json_string(&out, texts[i].value, strlen(texts[i].value));
    else
      text_string(&out, "null");
  }
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(&out, ",\"%s\":", numbers[i].name);
    if (numbers[i].value > 0 || !numbers[i].may_be_unsaid)
      text_format(&out, "%llu", (unsigned long long)numbers[i].value);
    else
      text_string(&out, "null");
  }
  text_string(&out, ",\"types\":[");
  bool first = true;
  for (uint32_t i = 0; i < DTYPE_COUNT; i++) {
    if (d->types[i].n_tensors == 0) continue;
    text_format(&out, "%s{\"type\":\"%s\",\"n_tensors\":%llu,\"bytes\":%llu}", first ? "" : ",", dtype_name(i),
                (unsigned long long)d->types[i].n_tensors, (unsigned long long)d->types[i].bytes);
    first = false;
  }
  text_string(&out, "]}\n");
  fwrite(out.data, 1, out.size, stdout);
  text_free(&out);
}

/* ---- the interface ---- */

bool info_is_language(const mapped_file *f) {
  return f->size >= 9 &&
         (memcmp(f->bytes, "GGUF", 4) == 0 || (f->bytes[8] == '{' && memcmp(f->bytes + 5, "\0\0", 3) == 0));
}

bool info_language_file(const char *path, const mapped_file *f, bool as_json, error *err) {
  description d = {.n_tensors = 0};
  bool ok;
  if (memcmp(f->bytes, "GGUF", 4) == 0) {
    ok = describe_gguf(&d, f, err);
  } else {
    const char *slash = strrchr(path, '/');
    char folder[4096];
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path + 1) : 1, slash != NULL ? path : ".");
    ok = describe_safetensors(&d, f, err) && describe_folder(&d, folder, err);
  }
  if (ok) (as_json ? print_json : print_text)(path, &d);
  return ok;
}

bool info_language_folder(const char *path, bool as_json, error *err) {
  description d = {.n_tensors = 0};
  bool ok = describe_checkpoint(&d, path, err) && describe_folder(&d, path, err);
  if (ok) (as_json ? print_json : print_text)(path, &d);
  return ok;
}
