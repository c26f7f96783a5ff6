/* Reading of a Hugging Face folder.
 *
 *     config.json, tokenizer.model or tokenizer.json ──> gemma: sizes, vocabulary, the list of tensors
 *     *.safetensors, mapped ──> readers: where each tensor lies ──rows asked for──> f32 ──> the type wanted
 *
 * The system pages weights in as rows are read, and out again: the process holds one row. */
#include "hf_folder.h"

#include <stdio.h>

static bool map(const hf_folder *f, const char *name, mapped_file *file, error *err) {
  char path[4096];
  error why = {""};
  const int n = snprintf(path, sizeof path, "%s/%s", f->path, name);
  if (n >= 0 && n < (int)sizeof path && mapped_file_open(file, path, &why)) return true;
  fail(err, SOTTO_ERR_ARGUMENT, "%.200s: %s", name, why.text[0] != 0 ? why.text : "its path is too long");
  return false;
}

static sotto_status feed_small(hf_folder *f, const char *name, const mapped_file *file, error *err) {
  TRY(gemma_file(f->model, name, err));
  TRY(gemma_feed(f->model, file->bytes, file->size, err));
  return gemma_file(f->model, "end.json", err); /* ends the file before it */
}

static sotto_status read_small(hf_folder *f, error *err) {
  mapped_file file;
  if (!map(f, "config.json", &file, err)) return SOTTO_ERR_ARGUMENT;
  sotto_status status = feed_small(f, "config.json", &file, err);
  mapped_file_close(&file);
  static const char *const tokenizers[] = {"tokenizer.model", "tokenizer.json"};
  for (int i = 0; i < 2 && status >= 0 && gemma_vocabulary(f->model) == NULL; i++) {
    if (!map(f, tokenizers[i], &file, NULL)) continue;
    status = feed_small(f, tokenizers[i], &file, err);
    mapped_file_close(&file);
  }
  if (status >= 0) map(f, "chat_template.jinja", &f->chat_template, NULL);
  return status;
}

/* ---- weights ---- */

static sotto_status on_header(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }
static sotto_status on_begin(void *context, const file_tensor *t, error *err) {
  return (void)context, (void)t, (void)err, SOTTO_OK;
}
static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  return (void)context, (void)bytes, (void)size, (void)err, SOTTO_OK;
}
static sotto_status on_end(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }

/* Passes the file by the reader, which looks at the list of tensors alone. */
static sotto_status open_weights(hf_folder *f, hf_weights *w, const char *name, error *err) {
  static const tensor_sink nothing = {NULL, on_header, on_begin, on_data, on_end};
  if (!map(f, name, &w->file, err)) return SOTTO_ERR_ARGUMENT;
  w->reader = safetensors_open(&nothing);
  if (w->reader == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory");
  TRY(safetensors_feed(w->reader, w->file.bytes, w->file.size, err));
  return safetensors_finish(w->reader, err);
}

static sotto_status open_all_weights(hf_folder *f, const safetensors_index *index, error *err) {
  const uint32_t n = index != NULL ? safetensors_index_n_files(index) : 1;
  f->weights = mem_alloc(n, sizeof *f->weights);
  if (f->weights == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory");
  for (uint32_t i = 0; i < n; i++) {
    f->n_weights++;
    const char *name = index != NULL ? safetensors_index_file(index, i) : "model.safetensors";
    TRY(open_weights(f, &f->weights[i], name, err));
  }
  return SOTTO_OK;
}

static sotto_status find_weights(hf_folder *f, error *err) {
  mapped_file file;
  if (!map(f, "model.safetensors.index.json", &file, NULL)) return open_all_weights(f, NULL, err);
  safetensors_index *index = NULL;
  sotto_status status = safetensors_index_open(&index, file.bytes, file.size, err);
  if (status >= 0) status = open_all_weights(f, index, err);
  safetensors_index_close(index);
  mapped_file_close(&file);
  return status;
}

/* Models that also see keep their text part under another name. */
static bool is_slot(const gemma_slot *s, const char *name) {
  static const char nested[] = "language_model.";
  if (strncmp(name, nested, sizeof nested - 1) == 0) name += sizeof nested - 1;
  return strcmp(name, s->hf_name) == 0;
}

static const file_tensor *find_tensor(const hf_folder *f, const gemma_slot *s, const uint8_t **bytes) {
  for (uint32_t i = 0; i < f->n_weights; i++) {
    const hf_weights *w = &f->weights[i];
    for (uint32_t j = 0; j < safetensors_n_tensors(w->reader); j++) {
      const file_tensor *t = safetensors_tensor(w->reader, j);
      if (!is_slot(s, t->name)) continue;
      *bytes = (const uint8_t *)w->file.bytes + t->offset;
      return t;
    }
  }
  return NULL;
}

static sotto_status check_tensors(hf_folder *f, error *err) {
  const uint8_t *bytes;
  for (int32_t i = 0; i < f->model->n_slots; i++) {
    const gemma_slot *s = &f->model->slots[i];
    const file_tensor *t = find_tensor(f, s, &bytes);
    if (t == NULL)
      return fail(err, SOTTO_ERR_FORMAT, "the tensor %s is missing: get the model's files again", s->hf_name);
    const bool fits = s->vector != NULL ? t->rank == 1 && t->dims[0] == s->in
                                        : t->rank == 2 && t->dims[0] == s->out && t->dims[1] == s->in;
    if (!fits)
      return fail(err, SOTTO_ERR_FORMAT,
                  "the shape of the tensor %s does not fit config.json: the files do not belong together", s->hf_name);
    f->row_capacity = max_size(f->row_capacity, (size_t)s->in);
  }
  f->row = mem_alloc(f->row_capacity, sizeof *f->row);
  return f->row != NULL ? SOTTO_OK : fail(err, SOTTO_ERR_MEMORY, "out of memory");
}

static sotto_status read_rows(void *context, const gemma_slot *s, uint32_t type, int32_t first, int32_t n, uint8_t *out,
                              error *err) {
  hf_folder *f = context;
  const uint8_t *bytes;
  const file_tensor *t = find_tensor(f, s, &bytes);
  const size_t in = (size_t)s->in, from_bytes = dtype_row_bytes(t->type, in), to_bytes = dtype_row_bytes(type, in);
  for (int32_t i = 0; i < n; i++, out += to_bytes) {
    dequantize_row(t->type, bytes + (size_t)(first + i) * from_bytes, f->row, in);
    for (size_t j = 0; j < in && s->vector != NULL; j++) f->row[j] += 1.0f; /* these files store norms less 1 */
    if (!quantize_row(type, f->row, out, in))
      return fail(err, SOTTO_ERR_UNSUPPORTED, "the type %s cannot be written", dtype_name(type));
  }
  return SOTTO_OK;
}

gemma_rows hf_folder_rows(hf_folder *f) { return (gemma_rows){f, read_rows}; }

sotto_status hf_folder_open(hf_folder *f, const char *path, error *err) {
  *f = (hf_folder){.path = path, .model = gemma_open(NULL)}; /* no weights are loaded, so no backend is needed */
  if (f->model == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory");
  TRY(read_small(f, err));
  TRY(find_weights(f, err));
  return check_tensors(f, err);
}

void hf_folder_close(hf_folder *f) {
  for (uint32_t i = 0; i < f->n_weights; i++) {
    safetensors_close(f->weights[i].reader);
    mapped_file_close(&f->weights[i].file);
  }
  mapped_file_close(&f->chat_template);
  gemma_close(f->model);
  mem_free(f->weights);
  mem_free(f->row);
  *f = (hf_folder){0};
}
