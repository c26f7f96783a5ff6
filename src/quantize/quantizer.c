/* The way from announced files to a plan: which files are needed, which ranges of them, and readers fed with these.
 *
 *     choose: what the model is ─> texts whole ─> heads of weights: safetensors, GGUF: from the start; .bin: from tensor to tensor ─> plan_from_* */
#include "quantizer.h"

#include <stdarg.h>
#include <stdio.h>

enum {
  MAX_FILES = 4096,
  MAX_NAME = 1024,
  MAX_TEXT = 256 << 20,              /* bytes of a file that is read whole */
  HEAD_STEP = 1 << 20,               /* of a head whose size is not known */
  BIN_STEP = 64 << 10,               /* before the tensors of a .bin file */
  BIN_TENSOR_HEAD = 12 + 3 * 4 + 63, /* the most that stands between data */
};

/* ---- open, close ---- */

static char *copy_string(const char *text) {
  const size_t n = strlen(text) + 1;
  char *copy = mem_alloc(n, 1);
  if (copy != NULL) memcpy(copy, text, n);
  return copy;
}

static sotto_status read_overrides(quantizer *q, const sotto_quantize_options *o, error *err) {
  if (o->overrides == NULL && o->n_overrides > 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "patterns of tensors were announced, and none given");
  q->patterns = mem_alloc(max_size(o->n_overrides, 1), sizeof *q->patterns);
  q->types = mem_alloc(max_size(o->n_overrides, 1), sizeof *q->types);
  if (q->patterns == NULL || q->types == NULL) return plan_no_memory(err);
  for (size_t i = 0; i < o->n_overrides; i++) {
    const sotto_quantize_override *v = &o->overrides[i];
    if (v->pattern == NULL || v->pattern[0] == '\0' || v->type == NULL)
      return fail(err, SOTTO_ERR_ARGUMENT, "a pattern of tensors, or its type, is empty");
    if (!recipe_find_type(v->type, &q->types[i]))
      return fail(err, SOTTO_ERR_ARGUMENT, "unknown type '%.40s' for the tensors %.60s: give a plain type such as q6_K",
                  v->type, v->pattern);
    q->patterns[i] = copy_string(v->pattern);
    if (q->patterns[i] == NULL) return plan_no_memory(err);
    q->n_overrides++;
  }
  return SOTTO_OK;
}

static sotto_status read_options(quantizer *q, const sotto_quantize_options *o, error *err) {
  const char *type = o->type != NULL ? o->type : "q8_0";
  q->recipe = recipe_find(type);
  if (q->recipe == NULL)
    return fail(err, SOTTO_ERR_ARGUMENT, "unknown type '%.40s': the types are " RECIPE_NAMES, type);
  q->fast = o->fast != 0;
  q->name = copy_string(o->name != NULL && o->name[0] != '\0' ? o->name : "model");
  if (q->name == NULL) return plan_no_memory(err);
  TRY(read_overrides(q, o, err));
  return o->imatrix != NULL ? imatrix_read(&q->importances, o->imatrix, o->imatrix_bytes, err) : SOTTO_OK;
}

sotto_status quantizer_open(quantizer **out, pool *threads, const sotto_quantize_options *options, error *err) {
  static const sotto_quantize_options defaults = {0};
  *out = NULL;
  quantizer *q = mem_alloc(1, sizeof *q);
  if (q == NULL) return plan_no_memory(err);
  q->threads = threads;
  const sotto_status status = read_options(q, options != NULL ? options : &defaults, err);
  if (status >= 0)
    *out = q;
  else
    quantizer_close(q);
  return status;
}

static void close_file(source_file *f) {
  mem_free(f->name);
  mem_free(f->text.at);
  safetensors_close(f->safetensors);
  gguf_close(f->gguf);
}

void quantizer_close(quantizer *q) {
  if (q == NULL) return;
  for (size_t i = 0; i < q->n_files; i++) close_file(&q->files[i]);
  for (size_t i = 0; i < q->n_overrides; i++) mem_free(q->patterns[i]);
  imatrix_close(q->importances);
  ggml_bin_close(q->bin);
  mem_free(q->bin_head.filters.at);
  mem_free(q->bin_head.vocabulary.at);
  mem_free(q->bin_tensors);
  mem_free(q->files);
  mem_free(q->patterns);
  mem_free(q->types);
  mem_free(q->name);
  mem_free(q->names.at);
  mem_free(q->literal.at);
  mem_free(q->tensors);
  mem_free(q->pieces);
  mem_free(q);
}

void quantizer_warn(quantizer *q, const char *format, ...) {
  if (q->n_warnings == QUANTIZER_MAX_WARNINGS) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(q->warnings[q->n_warnings++], sizeof q->warnings[0], format, arguments);
  va_end(arguments);
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *end) {
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

static source_file *find_file(const quantizer *q, const char *name) {
  for (size_t i = 0; i < q->n_files; i++)
    if (strcmp(q->files[i].name, name) == 0) return &q->files[i];
  return NULL;
}

const source_file *quantizer_text(const quantizer *q, const char *name) {
  const source_file *f = find_file(q, name);
  return f != NULL && f->kind == SOURCE_TEXT && f->needed ? f : NULL;
}

int32_t quantizer_file(quantizer *q, const char *name, uint64_t bytes, error *err) {
  if (q->chosen) return fail(err, SOTTO_ERR_ARGUMENT, "a file was announced after the plan was begun");
  if (name == NULL || name[0] == '\0' || strlen(name) > MAX_NAME || bytes > INT64_MAX)
    return fail(err, SOTTO_ERR_ARGUMENT, "a file of the model has no name, or one that is too long");
  if (find_file(q, name) != NULL) return fail(err, SOTTO_ERR_ARGUMENT, "the file %.100s was announced twice", name);
  if (q->n_files == MAX_FILES) return fail(err, SOTTO_ERR_ARGUMENT, "more than %d files were announced", MAX_FILES);
  source_file *files = mem_grow(q->files, sizeof *files, q->n_files, &q->file_capacity, q->n_files + 1);
  if (files == NULL) return plan_no_memory(err);
  q->files = files;
  source_file *f = &files[q->n_files];
  *f = (source_file){.name = copy_string(name), .bytes = bytes};
  if (f->name == NULL) return plan_no_memory(err);
  f->kind = ends_with(name, ".gguf")                                                             ? SOURCE_GGUF
            : ends_with(name, ".safetensors")                                                    ? SOURCE_SAFETENSORS
            : ends_with(name, ".bin")                                                            ? SOURCE_BIN
            : ends_with(name, ".json") || ends_with(name, ".model") || ends_with(name, ".jinja") ? SOURCE_TEXT
                                                                                                 : SOURCE_OTHER;
  return (int32_t)q->n_files++;
}

/* ---- which files are needed ---- */

static sotto_status on_header(void *context, error *err) {
  (void)err;
  ((source_file *)context)->head_read = true;
  return SOTTO_OK;
}
static sotto_status on_begin(void *context, const file_tensor *t, error *err) {
  return (void)context, (void)t, (void)err, SOTTO_OK;
}
static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  return (void)context, (void)bytes, (void)size, (void)err, SOTTO_OK;
}
static sotto_status on_end(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }

static sotto_status need(quantizer *q, source_file *f, error *err) {
  const tensor_sink sink = {f, on_header, on_begin, on_data, on_end};
  bool memory = true;
  if (f == NULL || f->needed) return SOTTO_OK;
  if (f->kind == SOURCE_TEXT && f->bytes > MAX_TEXT)
    return fail(err, SOTTO_ERR_FORMAT, "%.100s has more than %d MB, which makes no sense", f->name, MAX_TEXT >> 20);
  f->needed = true;
  if (f->kind == SOURCE_TEXT) f->want = f->bytes;
  if (f->kind == SOURCE_SAFETENSORS) {
    f->want = f->bytes < 8 ? f->bytes : 8;
    memory = (f->safetensors = safetensors_open(&sink)) != NULL;
  } else if (f->kind == SOURCE_GGUF) {
    f->want = f->bytes < HEAD_STEP ? f->bytes : HEAD_STEP;
    memory = (f->gguf = gguf_open(&sink)) != NULL;
  } else if (f->kind == SOURCE_BIN) {
    f->want = f->bytes < BIN_STEP ? f->bytes : BIN_STEP;
    memory = (q->bin = plan_bin_reader(q)) != NULL;
  }
  if (f->bytes == 0) return fail(err, SOTTO_ERR_FORMAT, "the file %.100s is empty: get it again", f->name);
  return memory ? SOTTO_OK : plan_no_memory(err);
}

static size_t count_kind(const quantizer *q, source_kind kind, source_file **one) {
  size_t n = 0;
  for (size_t i = 0; i < q->n_files; i++) {
    if (q->files[i].kind != kind) continue;
    *one = &q->files[i];
    n++;
  }
  return n;
}

/* Weights are needed once the texts are read: the index tells which. */
static sotto_status choose(quantizer *q, error *err) {
  source_file *one = NULL;
  q->chosen = true;
  if (count_kind(q, SOURCE_GGUF, &one) > 0) {
    q->from = FROM_GGUF;
    for (size_t i = 0; i < q->n_files; i++)
      if (q->files[i].kind == SOURCE_GGUF) TRY(need(q, &q->files[i], err));
    return SOTTO_OK;
  }
  if (find_file(q, "config.json") != NULL) {
    static const char *const texts[] = {
        "config.json",    "model.safetensors.index.json", "tokenizer_config.json", "chat_template.jinja", "vocab.json",
        "tokenizer.model"};
    q->from = FROM_FOLDER;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) TRY(need(q, find_file(q, texts[i]), err));
    const bool have = find_file(q, "vocab.json") != NULL || find_file(q, "tokenizer.model") != NULL;
    return have ? SOTTO_OK : need(q, find_file(q, "tokenizer.json"), err);
  }
  if (count_kind(q, SOURCE_BIN, &one) == 1) {
    q->from = FROM_BIN;
    return need(q, one, err);
  }
  if (count_kind(q, SOURCE_SAFETENSORS, &one) > 0)
    return fail(err, SOTTO_ERR_ARGUMENT,
                "there is no config.json beside the safetensors files: give all files of the model");
  return fail(err, SOTTO_ERR_ARGUMENT,
              "there is no model among the files: give a .gguf file, a ggml .bin file, or config.json, tokenizer and "
              "*.safetensors of a folder as on Hugging Face");
}

static sotto_status choose_indexed(quantizer *q, const source_file *text, error *err) {
  safetensors_index *index = NULL;
  sotto_status status = safetensors_index_open(&index, (const char *)text->text.at, text->text.size, err);
  for (uint32_t i = 0; status >= 0 && i < safetensors_index_n_files(index); i++) {
    const char *name = safetensors_index_file(index, i);
    source_file *f = find_file(q, name);
    status = f == NULL || f->kind != SOURCE_SAFETENSORS
                 ? fail(err, SOTTO_ERR_ARGUMENT, "the file %.100s is missing: get all files of the model", name)
                 : need(q, f, err);
  }
  safetensors_index_close(index);
  return status;
}

/* The files of weights of a folder: those of the index, or model.safetensors, or all that there are. */
static sotto_status choose_weights(quantizer *q, error *err) {
  source_file *one = NULL, *usual = find_file(q, "model.safetensors");
  const source_file *index = quantizer_text(q, "model.safetensors.index.json");
  if (index != NULL) return choose_indexed(q, index, err);
  if (usual != NULL) return need(q, usual, err);
  if (count_kind(q, SOURCE_SAFETENSORS, &one) == 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "there are no weights: *.safetensors files are needed beside config.json");
  for (size_t i = 0; i < q->n_files; i++)
    if (q->files[i].kind == SOURCE_SAFETENSORS) TRY(need(q, &q->files[i], err));
  return SOTTO_OK;
}

/* ---- ranges ---- */

static sotto_status cut_short(const source_file *f, error *err) {
  return fail(err, SOTTO_ERR_FORMAT, "%.100s has fewer bytes than its head says: it is truncated; download it again",
              f->name);
}

static sotto_status take_safetensors(source_file *f, const void *bytes, size_t n, error *err) {
  TRY(safetensors_feed(f->safetensors, bytes, n, err));
  f->want -= n;
  if (f->bytes < 8 && f->want == 0) return safetensors_finish(f->safetensors, err); /* too short: says so */
  if (f->at + n == 8 && f->want == 0) {
    const uint64_t size = load_u64(f->text.at);
    if (size < 2 || size > f->bytes - 8) {
      TRY(safetensors_feed(f->safetensors, "{", 1, err)); /* a size that cannot be is refused here */
      return cut_short(f, err);
    }
    f->want = size;
  }
  if (!f->head_read) return SOTTO_OK;
  if (safetensors_file_bytes(f->safetensors) > f->bytes) return cut_short(f, err);
  if (safetensors_file_bytes(f->safetensors) < f->bytes)
    return fail(err, SOTTO_ERR_FORMAT, "%.100s goes on behind its last tensor: it is corrupt; download it again",
                f->name);
  f->want = 0;
  return SOTTO_OK;
}

static sotto_status take_gguf(source_file *f, const void *bytes, size_t n, error *err) {
  TRY(gguf_feed(f->gguf, bytes, n, err));
  f->want = 0;
  if (f->head_read) return gguf_file_bytes(f->gguf) > f->bytes ? cut_short(f, err) : SOTTO_OK;
  const uint64_t left = f->bytes - f->at - n;
  if (left == 0) TRY(gguf_finish(f->gguf, err)); /* says where the file ends */
  f->want = left < HEAD_STEP ? left : HEAD_STEP;
  return SOTTO_OK;
}

/* The reader is past these bytes; it passes over the data of the tensor that it is in. */
static sotto_status take_bin(quantizer *q, source_file *f, const void *bytes, size_t n, error *err) {
  TRY(ggml_bin_feed(q->bin, bytes, n, err));
  const uint64_t skipped = ggml_bin_skip(q->bin), at = f->at + n;
  if (skipped > f->bytes - at) return cut_short(f, err);
  f->at += skipped; /* and n, by who called */
  const uint64_t left = f->bytes - at - skipped, step = q->n_bin_tensors > 0 ? BIN_TENSOR_HEAD : BIN_STEP;
  f->want = left < step ? left : step;
  return left == 0 ? ggml_bin_finish(q->bin, err) : SOTTO_OK;
}

static sotto_status take(quantizer *q, source_file *f, const void *bytes, size_t n, error *err) {
  switch (f->kind) {
    case SOURCE_TEXT:
      f->want -= n;
      return byte_list_add(&f->text, bytes, n) ? SOTTO_OK : plan_no_memory(err);
    case SOURCE_SAFETENSORS:
      if (f->at < 8 && !byte_list_add(&f->text, bytes, n)) return plan_no_memory(err);
      return take_safetensors(f, bytes, n, err);
    case SOURCE_GGUF:
      return take_gguf(f, bytes, n, err);
    case SOURCE_BIN:
      return take_bin(q, f, bytes, n, err);
    case SOURCE_OTHER:
      break;
  }
  return SOTTO_OK;
}

static source_file *next_wanted(quantizer *q) {
  for (int texts = 1; texts >= 0; texts--)
    for (size_t i = 0; i < q->n_files; i++)
      if (q->files[i].needed && q->files[i].want > 0 && (q->files[i].kind == SOURCE_TEXT || !texts))
        return &q->files[i];
  return NULL;
}

static sotto_status make_plan(quantizer *q, error *err) {
  switch (q->from) {
    case FROM_GGUF:
      TRY(plan_from_gguf(q, err));
      break;
    case FROM_BIN:
      TRY(plan_from_bin(q, err));
      break;
    case FROM_FOLDER:
    case FROM_NOTHING:
      TRY(plan_from_folder(q, err));
      break;
  }
  TRY(plan_end(q, err));
  q->planned = true;
  return SOTTO_OK;
}

sotto_status quantizer_wants(quantizer *q, int32_t *file, uint64_t *offset, uint64_t *bytes, error *err) {
  if (q->planned) return SOTTO_OK;
  if (!q->chosen) TRY(choose(q, err));
  const source_file *f = next_wanted(q);
  if (f == NULL && q->from == FROM_FOLDER) {
    TRY(choose_weights(q, err));
    f = next_wanted(q);
  }
  if (f == NULL) return make_plan(q, err);
  *file = (int32_t)(f - q->files);
  *offset = f->at;
  *bytes = f->want;
  return SOTTO_AGAIN;
}

sotto_status quantizer_give(quantizer *q, int32_t file, uint64_t offset, const void *bytes, size_t n, error *err) {
  source_file *f = q->chosen && !q->planned ? next_wanted(q) : NULL;
  if (f == NULL || file != (int32_t)(f - q->files) || offset != f->at || bytes == NULL || n == 0)
    return fail(err, SOTTO_ERR_ARGUMENT, "other bytes were given than those that the plan wants");
  const size_t taken = f->want < n ? (size_t)f->want : n;
  TRY(take(q, f, bytes, taken, err));
  f->at += taken;
  return SOTTO_OK;
}
