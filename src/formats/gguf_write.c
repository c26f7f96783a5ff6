/* GGUF, written: [magic, version, counts][values][tensor entries][padding] once the first data come, then each tensor's data padded to
 * the alignment. The counts stand first, so values and entries wait in memory. */
#include "gguf_write.h"

#include "../base/byte_list.h"

enum { ALIGNMENT = 32 }; /* what files have that do not say otherwise */

struct gguf_writer {
  gguf_output out;
  byte_list values, entries, sizes; /* sizes: u64 of each tensor's data */
  uint64_t n_values, n_tensors, data_bytes;
  uint64_t items_left; /* of an array of strings */
  bool began;          /* the header is out */
  uint64_t next, left; /* the tensor whose data come, [0, n_tensors], and how many */
  sotto_status status;
  error err;
};

gguf_writer *gguf_write_open(const gguf_output *out) {
  gguf_writer *w = mem_alloc(1, sizeof *w);
  if (w != NULL) w->out = *out;
  return w;
}

void gguf_write_close(gguf_writer *w) {
  if (w == NULL) return;
  mem_free(w->values.at);
  mem_free(w->entries.at);
  mem_free(w->sizes.at);
  mem_free(w);
}

/* ---- into memory ---- */

static void append(gguf_writer *w, byte_list *b, const void *from, size_t size) {
  if (w->status < 0 || size == 0 || byte_list_add(b, from, size)) return;
  w->status = fail(&w->err, SOTTO_ERR_MEMORY, "out of memory for the metadata of the GGUF file");
}

static void append_u32(gguf_writer *w, byte_list *b, uint32_t v) { append(w, b, &v, sizeof v); }
static void append_u64(gguf_writer *w, byte_list *b, uint64_t v) { append(w, b, &v, sizeof v); }

static void append_string(gguf_writer *w, byte_list *b, const char *text, size_t size) {
  append_u64(w, b, size);
  append(w, b, text, size);
}

static void misused(gguf_writer *w, const char *what) {
  if (w->status >= 0) w->status = fail(&w->err, SOTTO_ERR_ARGUMENT, "the GGUF file cannot be written: %s", what);
}

static void begin_value(gguf_writer *w, const char *key, gguf_type type) {
  if (w->began) misused(w, "metadata come before data");
  if (w->items_left > 0) misused(w, "an array has fewer strings than announced");
  append_string(w, &w->values, key, strlen(key));
  append_u32(w, &w->values, type);
  w->n_values++;
}

void gguf_write_u32(gguf_writer *w, const char *key, uint32_t value) {
  begin_value(w, key, GGUF_U32);
  append_u32(w, &w->values, value);
}

void gguf_write_f32(gguf_writer *w, const char *key, float value) {
  begin_value(w, key, GGUF_F32);
  append(w, &w->values, &value, sizeof value);
}

void gguf_write_bool(gguf_writer *w, const char *key, bool value) {
  begin_value(w, key, GGUF_BOOL);
  append(w, &w->values, &(uint8_t){value}, 1);
}

void gguf_write_string(gguf_writer *w, const char *key, const char *text, size_t size) {
  begin_value(w, key, GGUF_STRING);
  append_string(w, &w->values, text, size);
}

static size_t number_bytes(gguf_type type) {
  switch (type) {
    case GGUF_U8:
    case GGUF_I8:
    case GGUF_BOOL:
      return 1;
    case GGUF_U16:
    case GGUF_I16:
      return 2;
    case GGUF_U32:
    case GGUF_I32:
    case GGUF_F32:
      return 4;
    case GGUF_U64:
    case GGUF_I64:
    case GGUF_F64:
      return 8;
    case GGUF_STRING:
    case GGUF_ARRAY:
      break;
  }
  return 0;
}

void gguf_write_numbers(gguf_writer *w, const char *key, gguf_type type, const void *values, size_t count) {
  const size_t size = number_bytes(type);
  if (size == 0) misused(w, "an array of numbers holds something else");
  begin_value(w, key, GGUF_ARRAY);
  append_u32(w, &w->values, type);
  append_u64(w, &w->values, count);
  append(w, &w->values, values, count * size);
}

void gguf_write_value(gguf_writer *w, const char *key, const gguf_value *value) {
  begin_value(w, key, value->type);
  if (value->type == GGUF_STRING) append_u64(w, &w->values, value->count);
  if (value->type == GGUF_ARRAY) {
    append_u32(w, &w->values, value->element);
    append_u64(w, &w->values, value->count);
  }
  append(w, &w->values, value->bytes, value->size);
}

void gguf_write_strings(gguf_writer *w, const char *key, size_t count) {
  begin_value(w, key, GGUF_ARRAY);
  append_u32(w, &w->values, GGUF_STRING);
  append_u64(w, &w->values, count);
  w->items_left = count;
}

void gguf_write_item(gguf_writer *w, const char *text, size_t size) {
  if (w->items_left == 0)
    misused(w, "an array has more strings than announced");
  else
    w->items_left--;
  append_string(w, &w->values, text, size);
}

static uint64_t aligned(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

void gguf_write_tensor(gguf_writer *w, const char *name, uint32_t type, int32_t rank, const int64_t dims[4]) {
  const uint64_t size = file_tensor_bytes(type, rank, dims);
  if (w->began) misused(w, "tensors are announced before data");
  if (size == 0 || size > INT64_MAX - ALIGNMENT - w->data_bytes) {
    misused(w, "rows of a tensor are no whole blocks of its type");
    return;
  }
  append_string(w, &w->entries, name, strlen(name));
  append_u32(w, &w->entries, (uint32_t)rank);
  for (int32_t i = rank - 1; i >= 0; i--)
    append_u64(w, &w->entries, (uint64_t)dims[i]); /* in files: contiguous first */
  append_u32(w, &w->entries, type);
  append_u64(w, &w->entries, w->data_bytes);
  append_u64(w, &w->sizes, size);
  w->data_bytes += aligned(size);
  w->n_tensors++;
}

/* ---- out ---- */

static void put(gguf_writer *w, const void *from, size_t size) {
  if (w->status >= 0 && size > 0) w->status = w->out.write(w->out.context, from, size, &w->err);
}

static void pad(gguf_writer *w, uint64_t position) {
  static const uint8_t zeros[ALIGNMENT];
  put(w, zeros, (size_t)(aligned(position) - position));
}

static uint64_t size_of(const gguf_writer *w, uint64_t tensor) {
  uint64_t size;
  memcpy(&size, w->sizes.at + tensor * sizeof size, sizeof size);
  return size;
}

static void begin_data(gguf_writer *w) {
  if (w->began) return;
  if (w->items_left > 0) misused(w, "an array has fewer strings than announced");
  w->began = true;
  uint8_t head[24] = "GGUF\3";
  memcpy(head + 8, &w->n_tensors, 8);
  memcpy(head + 16, &w->n_values, 8);
  put(w, head, sizeof head);
  put(w, w->values.at, w->values.size);
  put(w, w->entries.at, w->entries.size);
  pad(w, sizeof head + w->values.size + w->entries.size);
  if (w->status >= 0 && w->n_tensors > 0) w->left = size_of(w, 0);
}

static sotto_status outcome(const gguf_writer *w, error *err) {
  return w->status < 0 ? fail(err, w->status, "%s", w->err.text) : SOTTO_OK;
}

sotto_status gguf_write_head(gguf_writer *w, error *err) {
  begin_data(w);
  return outcome(w, err);
}

sotto_status gguf_write_data(gguf_writer *w, const void *from, size_t size, error *err) {
  const uint8_t *p = from;
  begin_data(w);
  while (size > 0 && w->status >= 0) {
    if (w->next == w->n_tensors) {
      misused(w, "there are more data than the tensors have");
      break;
    }
    const size_t n = w->left < size ? (size_t)w->left : size;
    put(w, p, n);
    p += n;
    size -= n;
    w->left -= n;
    if (w->left > 0) continue;
    pad(w, size_of(w, w->next));
    if (++w->next < w->n_tensors) w->left = size_of(w, w->next);
  }
  return outcome(w, err);
}

sotto_status gguf_write_end(gguf_writer *w, error *err) {
  begin_data(w);
  if (w->next < w->n_tensors) misused(w, "the data of some tensors did not come");
  return outcome(w, err);
}
