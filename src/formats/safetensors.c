/* Reader of safetensors files: the JSON is collected, read, and given back; data are let through.
 *
 *     SIZE (8 bytes) ─> HEADER (JSON) ─> tensors by offset, checked, the header callback is called ─> DATA */
#include "safetensors.h"

#include "foreign.h"
#include "json.h"

enum {
  MAX_HEADER_BYTES = 100000000, /* as the reference implementation has it */
  MAX_NAME_BYTES = 1024,
  MAX_FILES = 1024, /* of one model */
};

typedef enum state { SIZE, HEADER, DATA, FINISHED, FAILED } state;

struct safetensors {
  tensor_sink sink;
  state state;
  uint8_t start[16];   /* 8 bytes of the size; more where no JSON follows, to tell what the file is */
  size_t have;         /* of start, then of the JSON */
  size_t header_bytes; /* of the JSON */
  char *header;        /* the JSON that came; NULL once it has been read */
  size_t capacity;
  file_tensor *tensors;
  char *names; /* of all tensors, each NUL-terminated */
  uint32_t n_tensors;
  uint64_t file_bytes;
  tensor_stream stream;
  sotto_status failed; /* repeated, with its sentence, by every call after a failure */
  error err;
};

#define CORRUPT   ": the file is corrupt; download it again"
#define TRUNCATED ": it is truncated; download it again"

static sotto_status no_memory(error *err) {
  return fail(err, SOTTO_ERR_MEMORY, "no memory for the model's header; close other programs or tabs");
}

static sotto_status refuse_foreign(const uint8_t *p, size_t n, error *err) {
  return foreign_refuse(p, n, "safetensors",
                        "language models are read from GGUF files or from folders as on Hugging Face", err);
}

/* ---- the JSON ---- */

static bool printable(const char *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] < '!' || p[i] > '~') return false;
  return true;
}

static sotto_status read_dtype(const json *j, uint32_t value, file_tensor *t, error *err) {
  static const struct {
    const char *name;
    uint32_t type;
  } known[] = {{"BF16", DTYPE_BF16}, {"F16", DTYPE_F16}, {"F32", DTYPE_F32}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (json_is(j, value, known[i].name)) {
      t->type = known[i].type;
      return SOTTO_OK;
    }
  }
  char name[24] = "";
  size_t n = json_read_string(j, value, name, sizeof name - 1);
  if (n == 0 || n >= sizeof name || !printable(name, n))
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s has no dtype" CORRUPT, t->name);
  return fail(err, SOTTO_ERR_UNSUPPORTED, "the tensor %s is of dtype %s; F32, F16 and BF16 are read: use such a file",
              t->name, name);
}

static sotto_status read_shape(const json *j, uint32_t value, file_tensor *t, uint64_t *bytes, error *err) {
  uint32_t rank = json_count(j, value);
  if (json_kind_of(j, value) != JSON_ARRAY || rank > 4)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s has no shape of up to 4 dimensions" CORRUPT, t->name);
  bool empty = false; /* a dimension of 0: allowed, and no data */
  int32_t i = 0;
  for (json_walk w = json_children(j, value); json_next(&w); i++) {
    if (!json_read_integer(j, w.value, &t->dims[i]) || t->dims[i] < 0)
      return fail(err, SOTTO_ERR_FORMAT, "the tensor %s has an impossible shape" CORRUPT, t->name);
    empty |= t->dims[i] == 0;
  }
  t->rank = rank > 0 ? (int32_t)rank : 1;
  *bytes = file_tensor_bytes(t->type, t->rank, t->dims);
  if (*bytes == 0 && !empty)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s has an impossible shape" CORRUPT, t->name);
  return SOTTO_OK;
}

/* One tensor; offsets are relative to the data. */
static sotto_status read_tensor(const json *j, uint32_t value, file_tensor *t, error *err) {
  uint64_t bytes;
  int64_t begin = -1, end = -1;
  TRY(read_dtype(j, json_get(j, value, "dtype"), t, err));
  TRY(read_shape(j, json_get(j, value, "shape"), t, &bytes, err));
  uint32_t offsets = json_get(j, value, "data_offsets");
  json_walk w = json_children(j, offsets);
  bool ok = json_kind_of(j, offsets) == JSON_ARRAY && json_next(&w) && json_read_integer(j, w.value, &begin) &&
            json_next(&w) && json_read_integer(j, w.value, &end) && !json_next(&w);
  if (!ok || begin < 0 || end < begin || end > INT64_MAX - MAX_HEADER_BYTES - 8)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s has impossible offsets" CORRUPT, t->name);
  if ((uint64_t)(end - begin) != bytes)
    return fail(err, SOTTO_ERR_FORMAT, "the tensor %s takes %llu bytes, but its shape needs %llu" CORRUPT, t->name,
                (unsigned long long)(end - begin), (unsigned long long)bytes);
  t->offset = (uint64_t)begin;
  t->bytes = bytes;
  return SOTTO_OK;
}

static sotto_status read_tensors(safetensors *s, const json *j) {
  uint32_t root = json_root(j);
  size_t name_bytes = 0;
  for (json_walk w = json_children(j, root); json_next(&w);) {
    if (json_is(j, w.key, "__metadata__")) continue;
    size_t n = json_read_string(j, w.key, NULL, 0);
    if (n < 1 || n > MAX_NAME_BYTES)
      return fail(&s->err, SOTTO_ERR_FORMAT, "tensor %u has a name of %llu bytes" CORRUPT, (unsigned)s->n_tensors,
                  (unsigned long long)n);
    name_bytes += n + 1;
    s->n_tensors++;
  }
  s->tensors = mem_alloc(s->n_tensors, sizeof *s->tensors);
  s->names = mem_alloc(name_bytes, 1);
  if (s->tensors == NULL || s->names == NULL) return no_memory(&s->err);
  char *name = s->names;
  file_tensor *t = s->tensors;
  for (json_walk w = json_children(j, root); json_next(&w);) {
    if (json_is(j, w.key, "__metadata__")) continue;
    size_t n = json_read_string(j, w.key, name, name_bytes);
    if (!printable(name, n))
      return fail(&s->err, SOTTO_ERR_FORMAT, "tensor %u has a name with bytes that are no letters" CORRUPT,
                  (unsigned)(t - s->tensors));
    *t = (file_tensor){.name = name, .dims = {1, 1, 1, 1}};
    TRY(read_tensor(j, w.value, t, &s->err));
    name += n + 1;
    name_bytes -= n + 1;
    t++;
  }
  return SOTTO_OK;
}

/* Data follow each other without holes from the end of the JSON on. */
static sotto_status place_tensors(safetensors *s) {
  const file_tensor **scratch = mem_alloc(s->n_tensors, sizeof *scratch);
  if (scratch == NULL) return no_memory(&s->err);
  const char *twice = file_tensors_sort(s->tensors, scratch, s->n_tensors);
  mem_free(scratch);
  if (twice != NULL) return fail(&s->err, SOTTO_ERR_FORMAT, "the tensor %s is there twice" CORRUPT, twice);
  uint64_t data_at = 8 + (uint64_t)s->header_bytes, at = 0;
  for (uint32_t i = 0; i < s->n_tensors; i++) {
    file_tensor *t = &s->tensors[i];
    if (t->offset != at)
      return fail(&s->err, SOTTO_ERR_FORMAT, "the tensor %s begins at %llu of the data instead of %llu" CORRUPT,
                  t->name, (unsigned long long)t->offset, (unsigned long long)at);
    at += t->bytes;
    t->offset += data_at;
  }
  s->file_bytes = data_at + at;
  s->stream = (tensor_stream){.sink = &s->sink, .tensors = s->tensors, .n_tensors = s->n_tensors, .position = data_at};
  return SOTTO_OK;
}

static sotto_status read_header(safetensors *s) {
  json *j = NULL;
  TRY(json_parse(&j, s->header, s->header_bytes, "the header", &s->err));
  sotto_status status = read_tensors(s, j);
  json_close(j);
  mem_free(s->header);
  s->header = NULL;
  s->capacity = 0;
  TRY(status);
  TRY(place_tensors(s));
  s->state = DATA;
  return s->sink.header(s->sink.context, &s->err);
}

/* ---- the machine ---- */

static sotto_status read_size(safetensors *s) {
  const uint64_t n = load_u64(s->start);
  if (n < 2 || n > MAX_HEADER_BYTES)
    return fail(&s->err, SOTTO_ERR_FORMAT, "the header claims %llu bytes, more than the %d that are allowed" CORRUPT,
                (unsigned long long)n, MAX_HEADER_BYTES);
  s->header_bytes = (size_t)n;
  s->state = HEADER;
  s->have = 0;
  return SOTTO_OK;
}

/* Appends to the JSON; the block doubles, so it is bounded by what came. */
static bool append(safetensors *s, const uint8_t *p, size_t n) {
  char *header = mem_grow(s->header, 1, s->have, &s->capacity, s->have + n);
  if (header == NULL) return false;
  s->header = header;
  memcpy(s->header + s->have, p, n);
  s->have += n;
  return true;
}

static sotto_status read_bytes(safetensors *s, const uint8_t *p, size_t size) {
  if (s->state == FINISHED)
    return fail(&s->err, SOTTO_ERR_ARGUMENT, "the model file was declared complete; open another model");
  while (s->state == SIZE) {
    if (size == 0) return SOTTO_OK;
    if (s->have == 8 && *p == '{') { /* the JSON begins */
      TRY(read_size(s));
      break;
    }
    s->start[s->have++] = *p++;
    size--;
    if (s->have == sizeof s->start) return refuse_foreign(s->start, s->have, &s->err);
  }
  if (s->state == HEADER) {
    size_t n = min_size(size, s->header_bytes - s->have);
    if (!append(s, p, n)) return no_memory(&s->err);
    p += n;
    size -= n;
    if (s->have < s->header_bytes) return SOTTO_OK;
    TRY(read_header(s));
  }
  TRY(tensor_stream_feed(&s->stream, p, size, &s->err));
  if (s->stream.position > s->file_bytes)
    return fail(&s->err, SOTTO_ERR_FORMAT, "the file goes on behind its last tensor" CORRUPT);
  return SOTTO_OK;
}

static sotto_status check_end(safetensors *s) {
  if (s->state == SIZE) return refuse_foreign(s->start, s->have, &s->err);
  if (s->state == HEADER) return fail(&s->err, SOTTO_ERR_FORMAT, "the file ends inside its header" TRUNCATED);
  return tensor_stream_finish(&s->stream, &s->err);
}

safetensors *safetensors_open(const tensor_sink *sink) {
  safetensors *s = mem_alloc(1, sizeof *s);
  if (s != NULL) s->sink = *sink;
  return s;
}

void safetensors_close(safetensors *s) {
  if (s == NULL) return;
  mem_free(s->header);
  mem_free(s->tensors);
  mem_free(s->names);
  mem_free(s);
}

/* Keeps a failure, so that calls after it fail alike. */
static sotto_status settle(safetensors *s, sotto_status status, error *err) {
  if (status >= 0) return SOTTO_OK;
  s->state = FAILED;
  s->failed = status;
  if (err) *err = s->err;
  return status;
}

sotto_status safetensors_feed(safetensors *s, const void *bytes, size_t size, error *err) {
  if (s->state == FAILED) return settle(s, s->failed, err);
  if (size == 0) return SOTTO_OK;
  return settle(s, read_bytes(s, bytes, size), err);
}

sotto_status safetensors_finish(safetensors *s, error *err) {
  if (s->state == FAILED) return settle(s, s->failed, err);
  sotto_status status = settle(s, check_end(s), err);
  if (status == SOTTO_OK) s->state = FINISHED;
  return status;
}

uint32_t safetensors_n_tensors(const safetensors *s) { return s->n_tensors; }
const file_tensor *safetensors_tensor(const safetensors *s, uint32_t index) { return &s->tensors[index]; }
uint64_t safetensors_file_bytes(const safetensors *s) { return s->file_bytes; }

/* ---- the index of a model in several files ---- */

struct safetensors_index {
  uint32_t n_tensors, n_files;
  char files[MAX_FILES][256]; /* NUL-terminated */
};

/* The file's place in the list, where it is put when it is new; neighbours mostly share a file. */
static sotto_status add_file(safetensors_index *x, const json *j, uint32_t value, error *err) {
  char name[256] = "";
  size_t n = json_read_string(j, value, name, sizeof name - 1);
  if (n < 1 || n >= sizeof name || !printable(name, n) || name[0] == '.' || strchr(name, '/') || strchr(name, '\\'))
    return fail(err, SOTTO_ERR_FORMAT, "the index names a file that is not one of its folder" CORRUPT);
  for (uint32_t i = x->n_files; i > 0; i--)
    if (strcmp(x->files[i - 1], name) == 0) return SOTTO_OK;
  if (x->n_files == MAX_FILES)
    return fail(err, SOTTO_ERR_FORMAT, "the index names more than %d files" CORRUPT, MAX_FILES);
  memcpy(x->files[x->n_files++], name, n + 1);
  return SOTTO_OK;
}

static sotto_status read_index(safetensors_index *x, const json *j, error *err) {
  for (json_walk w = json_children(j, json_get(j, json_root(j), "weight_map")); w.object && json_next(&w);) {
    TRY(add_file(x, j, w.value, err));
    x->n_tensors++;
  }
  if (x->n_tensors == 0)
    return fail(err, SOTTO_ERR_FORMAT, "the index has no weight_map that names files; download it again");
  return SOTTO_OK;
}

sotto_status safetensors_index_open(safetensors_index **out, const char *text, size_t size, error *err) {
  *out = NULL;
  json *j = NULL;
  safetensors_index *x = mem_alloc(1, sizeof *x);
  if (x == NULL) return no_memory(err);
  sotto_status status = json_parse(&j, text, size, "the index", err);
  if (status >= 0) status = read_index(x, j, err);
  json_close(j);
  if (status >= 0)
    *out = x;
  else
    safetensors_index_close(x);
  return status;
}

void safetensors_index_close(safetensors_index *x) { mem_free(x); }
uint32_t safetensors_index_n_tensors(const safetensors_index *x) { return x->n_tensors; }
uint32_t safetensors_index_n_files(const safetensors_index *x) { return x->n_files; }
const char *safetensors_index_file(const safetensors_index *x, uint32_t index) { return x->files[index]; }
