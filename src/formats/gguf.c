/* Reader of GGUF files: the header is collected item by item into one growing block, data are let through.
 *
 *     START ─> KEY_SIZE ─> KEY ─┬─> SCALAR ──────────────────────────> (next key)      ─┐
 *                 ^             ├─> STRING_SIZE ─> STRING ───────────> (next key)       │ after the last key
 *                 └─────────────┤         ^───────────┘ in arrays                      v
 *                               └─> ARRAY ─> NUMBERS, or strings ────> (next key)   TENSOR_NAME_SIZE ─> TENSOR_NAME ─> TENSOR_SHAPE
 *                                                                                      ^───────────────────────────────────┘
 *     after the last tensor's shape: offsets are checked, the header callback is called, DATA
 *
 * All numbers are little-endian. */
#include "gguf.h"

#include "foreign.h"

enum {
  START_BYTES = 4 + 4 + 8 + 8,  /* magic, version, numbers of tensors and of keys */
  MAX_HEADER_BYTES = 256 << 20, /* a vocabulary of 262144 tokens takes about 8 MB */
  MAX_KEY_BYTES = 65535,
  MAX_VALUES = 65536,
  MAX_TENSORS = 1 << 20,
  MAX_NAME_BYTES = 128, /* the format says 64 */
  MAX_ALIGNMENT = 1 << 20,
};

typedef enum state {
  START,
  KEY_SIZE,
  KEY,
  SCALAR,
  STRING_SIZE,
  STRING,
  ARRAY,
  NUMBERS,
  TENSOR_NAME_SIZE,
  TENSOR_NAME,
  TENSOR_SHAPE,
  DATA,
  FINISHED,
  FAILED,
} state;

typedef struct entry { /* places are offsets in the header */
  uint32_t key;        /* NUL-terminated, once its type has been read */
  uint32_t value;      /* a scalar; a string's or array's contents */
  uint8_t type;        /* gguf_type */
  uint8_t element;     /* gguf_type, of arrays */
  uint32_t count;      /* bytes of a string, elements of an array */
  uint32_t size;       /* of an array's contents, bytes */
  uint32_t strings;    /* array of strings: its first place in gguf.strings */
} entry;

struct gguf {
  tensor_sink sink;
  state state;
  uint8_t *header; /* the file's bytes up to `have` */
  size_t have, capacity;
  size_t item, need; /* the bytes that the state waits for: [item, item + need) */
  uint32_t version, n_values, n_tensors;
  entry *entries; /* [n_entries] */
  size_t n_entries, entry_capacity;
  uint32_t *strings; /* places of all strings in arrays, each from the beginning of its array */
  size_t n_strings, string_capacity;
  uint32_t strings_left; /* of the array that is read; 0 outside of arrays */
  file_tensor *tensors;  /* [n_known] */
  uint32_t *names;       /* [n_known]: places, NUL-terminated */
  size_t n_known, tensor_capacity, name_capacity;
  tensor_stream stream;
  gguf_split split;
  sotto_status failed; /* repeated, with its sentence, by every call after a failure */
  error err;
};

#define CORRUPT   ": the file is corrupt; download it again"
#define TRUNCATED ": it is truncated; download it again"

static sotto_status no_memory(gguf *g) {
  return fail(&g->err, SOTTO_ERR_MEMORY, "no memory for the model's header; close other programs or tabs");
}

static sotto_status refuse_foreign(const uint8_t *p, size_t n, error *err) {
  return foreign_refuse(p, n, "GGUF", "language models are read from GGUF files or from folders as on Hugging Face",
                        err);
}

/* ---- the header, item by item ---- */

/* The next item begins where the last one ended. */
static sotto_status collect(gguf *g, state next, uint64_t need) {
  g->item = g->have;
  if (need > MAX_HEADER_BYTES - g->item)
    return fail(&g->err, SOTTO_ERR_FORMAT, "the header is longer than %d MB" CORRUPT, MAX_HEADER_BYTES >> 20);
  g->state = next;
  g->need = (size_t)need;
  return SOTTO_OK;
}

static bool printable(const uint8_t *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (p[i] < '!' || p[i] > '~') return false;
  return true;
}

static sotto_status next_value(gguf *g) {
  return collect(g, g->n_entries < g->n_values ? KEY_SIZE : TENSOR_NAME_SIZE, 8);
}

static sotto_status read_start(gguf *g) {
  const uint8_t *p = g->header;
  if (memcmp(p, "GGUF", 4) != 0) return refuse_foreign(p, START_BYTES, &g->err);
  g->version = load_u32(p + 4);
  uint64_t n_tensors = load_u64(p + 8), n_values = load_u64(p + 16);
  if (g->version > 0xffff && (g->version & 0xffff) == 0)
    return fail(&g->err, SOTTO_ERR_UNSUPPORTED,
                "this GGUF file has its bytes in big-endian order; download the little-endian file");
  if (g->version < 2 || g->version > 3)
    return fail(
        &g->err, SOTTO_ERR_UNSUPPORTED,
        "this is a GGUF file of version %u, versions 2 and 3 are read; download a current file, or convert again "
        "with a current llama.cpp",
        (unsigned)g->version);
  if (n_tensors > MAX_TENSORS || n_values > MAX_VALUES)
    return fail(&g->err, SOTTO_ERR_FORMAT, "the header claims %llu tensors and %llu values" CORRUPT,
                (unsigned long long)n_tensors, (unsigned long long)n_values);
  g->n_tensors = (uint32_t)n_tensors;
  g->n_values = (uint32_t)n_values;
  return next_value(g);
}

static sotto_status read_key_size(gguf *g) {
  uint64_t n = load_u64(g->header + g->item);
  if (n < 1 || n > MAX_KEY_BYTES)
    return fail(&g->err, SOTTO_ERR_FORMAT, "key %u of %u is %llu bytes long" CORRUPT, (unsigned)g->n_entries,
                (unsigned)g->n_values, (unsigned long long)n);
  return collect(g, KEY, n + 4);
}

/* Bytes of a number of that type; 0: it is none. */
static size_t number_bytes(uint32_t type) {
  static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < sizeof bytes ? bytes[type] : 0;
}

static sotto_status read_key(gguf *g) {
  size_t n = g->need - 4;
  uint8_t *key = g->header + g->item;
  if (!printable(key, n))
    return fail(&g->err, SOTTO_ERR_FORMAT, "key %u of %u holds bytes that are no letters" CORRUPT,
                (unsigned)g->n_entries, (unsigned)g->n_values);
  uint32_t type = load_u32(key + n);
  key[n] = 0; /* the type was there */
  if (type > GGUF_F64)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%.100s has a value of type %u, which GGUF does not have" CORRUPT,
                (const char *)key, (unsigned)type);
  entry *entries = mem_grow(g->entries, sizeof *entries, g->n_entries, &g->entry_capacity, g->n_entries + 1);
  if (entries == NULL) return no_memory(g);
  g->entries = entries;
  entry *e = &g->entries[g->n_entries++];
  *e = (entry){.key = (uint32_t)g->item, .value = (uint32_t)g->have, .type = (uint8_t)type, .count = 1};
  if (type == GGUF_STRING) return collect(g, STRING_SIZE, 8);
  if (type == GGUF_ARRAY) return collect(g, ARRAY, 4 + 8);
  return collect(g, SCALAR, number_bytes(type));
}

static sotto_status read_string_size(gguf *g) {
  uint64_t n = load_u64(g->header + g->item);
  entry *e = &g->entries[g->n_entries - 1];
  if (n > MAX_HEADER_BYTES)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%.100s holds a string of %llu bytes" CORRUPT,
                (const char *)g->header + e->key, (unsigned long long)n);
  if (e->type == GGUF_ARRAY) {
    uint32_t *strings = mem_grow(g->strings, sizeof *strings, g->n_strings, &g->string_capacity, g->n_strings + 1);
    if (strings == NULL) return no_memory(g);
    g->strings = strings;
    g->strings[g->n_strings++] = (uint32_t)(g->item - e->value);
  } else {
    e->value = (uint32_t)g->have;
    e->count = (uint32_t)n;
  }
  return collect(g, STRING, n);
}

static sotto_status read_string(gguf *g) {
  if (g->strings_left > 0 && --g->strings_left > 0) return collect(g, STRING_SIZE, 8);
  entry *e = &g->entries[g->n_entries - 1];
  if (e->type == GGUF_ARRAY) e->size = (uint32_t)(g->have - e->value);
  return next_value(g);
}

static sotto_status read_array(gguf *g) {
  entry *e = &g->entries[g->n_entries - 1];
  const char *key = (const char *)g->header + e->key;
  uint32_t element = load_u32(g->header + g->item);
  uint64_t count = load_u64(g->header + g->item + 4);
  if (element == GGUF_ARRAY)
    return fail(&g->err, SOTTO_ERR_UNSUPPORTED, "%.100s is an array of arrays, which no known model has", key);
  if (element > GGUF_F64)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%.100s is an array of type %u, which GGUF does not have" CORRUPT, key,
                (unsigned)element);
  size_t bytes = element == GGUF_STRING ? 8 : number_bytes(element); /* of an element, at least */
  if (count > MAX_HEADER_BYTES / bytes)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%.100s claims %llu elements" CORRUPT, key, (unsigned long long)count);
  e->element = (uint8_t)element;
  e->count = (uint32_t)count;
  e->value = (uint32_t)g->have;
  e->strings = (uint32_t)g->n_strings;
  if (element != GGUF_STRING) {
    e->size = (uint32_t)(count * bytes);
    return collect(g, NUMBERS, e->size);
  }
  g->strings_left = (uint32_t)count;
  return count > 0 ? collect(g, STRING_SIZE, 8) : next_value(g);
}

/* ---- tensors ---- */

/* Those of ggml's types that are not read, for the sentence. */
static const char *foreign_type(uint32_t type) {
  static const char *const names[40] = {
      [9] = "Q8_1",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S",
      [21] = "IQ3_S", [22] = "IQ2_S", [24] = "I8",      [25] = "I16",    [26] = "I32",     [27] = "I64",
      [28] = "F64",   [29] = "IQ1_M", [34] = "TQ1_0",   [35] = "TQ2_0",  [39] = "MXFP4"};
  return type < 40 && names[type] ? names[type] : "unknown to this version";
}

static sotto_status read_tensor_name_size(gguf *g) {
  uint64_t n = load_u64(g->header + g->item);
  if (n < 1 || n > MAX_NAME_BYTES)
    return fail(&g->err, SOTTO_ERR_FORMAT, "tensor %u of %u has a name of %llu bytes" CORRUPT, (unsigned)g->n_known,
                (unsigned)g->n_tensors, (unsigned long long)n);
  return collect(g, TENSOR_NAME, n + 4);
}

static sotto_status read_tensor_name(gguf *g) {
  size_t n = g->need - 4;
  uint8_t *name = g->header + g->item;
  uint32_t rank = load_u32(name + n);
  if (!printable(name, n))
    return fail(&g->err, SOTTO_ERR_FORMAT, "tensor %u of %u has a name with bytes that are no letters" CORRUPT,
                (unsigned)g->n_known, (unsigned)g->n_tensors);
  name[n] = 0; /* the rank was there */
  if (rank < 1 || rank > 4)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%s has %u dimensions, outside 1 to 4" CORRUPT, (const char *)name,
                (unsigned)rank);
  file_tensor *tensors = mem_grow(g->tensors, sizeof *tensors, g->n_known, &g->tensor_capacity, g->n_known + 1);
  if (tensors == NULL) return no_memory(g);
  g->tensors = tensors;
  uint32_t *names = mem_grow(g->names, sizeof *names, g->n_known, &g->name_capacity, g->n_known + 1);
  if (names == NULL) return no_memory(g);
  g->names = names;
  g->tensors[g->n_known] = (file_tensor){.rank = (int32_t)rank, .dims = {1, 1, 1, 1}};
  g->names[g->n_known] = (uint32_t)g->item;
  return collect(g, TENSOR_SHAPE, 8 * (uint64_t)rank + 4 + 8);
}

static sotto_status read_tensor_shape(gguf *g) {
  file_tensor *t = &g->tensors[g->n_known];
  const uint8_t *p = g->header + g->item;
  const char *name = (const char *)g->header + g->names[g->n_known];
  for (int32_t i = 0; i < t->rank; i++) { /* innermost first */
    uint64_t n = load_u64(p + 8 * i);
    if (n < 1 || n > INT64_MAX) return fail(&g->err, SOTTO_ERR_FORMAT, "%s has an impossible shape" CORRUPT, name);
    t->dims[t->rank - 1 - i] = (int64_t)n;
  }
  t->type = load_u32(p + 8 * t->rank);
  t->offset = load_u64(p + 8 * t->rank + 4);
  if (dtype_block_elements(t->type) == 0)
    return fail(&g->err, SOTTO_ERR_UNSUPPORTED,
                "%s is of type %u (%s), which is not read; use a Q4_0, Q4_K_M, Q8_0 or F16 file", name,
                (unsigned)t->type, foreign_type(t->type));
  t->bytes = file_tensor_bytes(t->type, t->rank, t->dims);
  if (t->bytes == 0)
    return fail(&g->err, SOTTO_ERR_FORMAT,
                "%s has rows of %lld elements and an overall size that %s cannot hold" CORRUPT, name,
                (long long)t->dims[t->rank - 1], dtype_name(t->type));
  g->n_known++;
  return collect(g, TENSOR_NAME_SIZE, 8);
}

/* ---- from the header to the data ---- */

/* Values that the reader itself needs; offsets become those in the file. */
static sotto_status check_values(gguf *g) {
  static const char *const numbers[] = {"general.alignment", "split.no", "split.count", "split.tensors.count"};
  uint32_t v[4] = {32, 0, 1, g->n_tensors};
  for (int i = 0; i < 4; i++) {
    gguf_u32(g, numbers[i], &v[i]);
  }
  if (v[0] < 1 || v[0] > MAX_ALIGNMENT || (v[0] & (v[0] - 1)) != 0)
    return fail(&g->err, SOTTO_ERR_FORMAT, "%s is %u, which is no power of two up to %d" CORRUPT, numbers[0],
                (unsigned)v[0], MAX_ALIGNMENT);
  if (v[2] <= 1) { /* written so by some tools for a model in one file */
    v[1] = 0;
    v[2] = 1;
    v[3] = g->n_tensors;
  }
  if (v[1] >= v[2] || v[2] > 100000 || v[3] < g->n_tensors)
    return fail(&g->err, SOTTO_ERR_FORMAT, "this is part %u of %u, with %u of %u tensors, which cannot be" CORRUPT,
                (unsigned)v[1] + 1, (unsigned)v[2], (unsigned)g->n_tensors, (unsigned)v[3]);
  g->split = (gguf_split){v[1], v[2], v[3]};
  uint64_t data_at = ((uint64_t)g->have + v[0] - 1) / v[0] * v[0], limit = (uint64_t)INT64_MAX - data_at;
  for (uint32_t i = 0; i < g->n_tensors; i++) {
    file_tensor *t = &g->tensors[i];
    if (t->offset % v[0] != 0 || t->bytes > limit || t->offset > limit - t->bytes)
      return fail(&g->err, SOTTO_ERR_FORMAT, "%s lies at %llu, which is no place for it" CORRUPT, t->name,
                  (unsigned long long)t->offset);
    t->offset += data_at;
  }
  return SOTTO_OK;
}

/* All items came: the header stays where it is from here on. */
static sotto_status begin_data(gguf *g) {
  for (uint32_t i = 0; i < g->n_tensors; i++) g->tensors[i].name = (const char *)g->header + g->names[i];
  TRY(check_values(g));
  const file_tensor **scratch = mem_alloc(g->n_tensors, sizeof *scratch);
  if (scratch == NULL) return no_memory(g);
  const char *twice = file_tensors_sort(g->tensors, scratch, g->n_tensors);
  mem_free(scratch);
  if (twice != NULL) return fail(&g->err, SOTTO_ERR_FORMAT, "the tensor %s is there twice" CORRUPT, twice);
  for (uint32_t i = 1; i < g->n_tensors; i++) {
    const file_tensor *a = &g->tensors[i - 1], *b = &g->tensors[i];
    if (b->offset < a->offset + a->bytes)
      return fail(&g->err, SOTTO_ERR_FORMAT, "the tensors %s and %s overlap" CORRUPT, a->name, b->name);
  }
  g->stream.position = g->have;
  g->stream.sink = &g->sink;
  g->stream.tensors = g->tensors;
  g->stream.n_tensors = g->n_tensors;
  g->state = DATA;
  return g->sink.header(g->sink.context, &g->err);
}

/* ---- the machine ---- */

static sotto_status read_item(gguf *g) {
  switch (g->state) {
    case START:
      return read_start(g);
    case KEY_SIZE:
      return read_key_size(g);
    case KEY:
      return read_key(g);
    case STRING_SIZE:
      return read_string_size(g);
    case STRING:
      return read_string(g);
    case ARRAY:
      return read_array(g);
    case SCALAR:
    case NUMBERS:
      return next_value(g);
    case TENSOR_NAME_SIZE:
      return read_tensor_name_size(g);
    case TENSOR_NAME:
      return read_tensor_name(g);
    case TENSOR_SHAPE:
      return read_tensor_shape(g);
    default:
      return fail(&g->err, SOTTO_ERR_ARGUMENT, "the model file was declared complete; open another model");
  }
}

/* Appends to the header; the block doubles, so it is bounded by what came. */
static bool append(gguf *g, const uint8_t *p, size_t n) {
  uint8_t *header = mem_grow(g->header, 1, g->have, &g->capacity, g->have + n);
  if (header == NULL) return false;
  g->header = header;
  memcpy(g->header + g->have, p, n);
  g->have += n;
  return true;
}

static sotto_status read_bytes(gguf *g, const uint8_t *p, size_t size) {
  while (g->state != DATA) {
    if (g->state == TENSOR_NAME_SIZE && g->n_known == g->n_tensors) {
      TRY(begin_data(g));
      break;
    }
    size_t n = min_size(size, g->item + g->need - g->have);
    if (n > 0 && !append(g, p, n)) return no_memory(g);
    p += n;
    size -= n;
    if (g->have < g->item + g->need) return SOTTO_OK;
    TRY(read_item(g)); /* an empty string comes here without any bytes */
  }
  return tensor_stream_feed(&g->stream, p, size, &g->err);
}

static sotto_status check_end(gguf *g) {
  switch (g->state) {
    case START:
      if (g->have == 0 || memcmp(g->header, "GGUF", min_size(g->have, 4)) != 0)
        return refuse_foreign(g->header, g->have, &g->err);
      return fail(&g->err, SOTTO_ERR_FORMAT, "the file ends inside its first numbers" TRUNCATED);
    case DATA:
      return tensor_stream_finish(&g->stream, &g->err);
    case TENSOR_NAME_SIZE:
    case TENSOR_NAME:
    case TENSOR_SHAPE:
      return fail(&g->err, SOTTO_ERR_FORMAT, "the file ends inside the list of tensors, at %u of %u" TRUNCATED,
                  (unsigned)g->n_known, (unsigned)g->n_tensors);
    case FINISHED:
      return SOTTO_OK;
    default:
      return fail(&g->err, SOTTO_ERR_FORMAT, "the file ends inside its metadata, at value %u of %u" TRUNCATED,
                  (unsigned)g->n_entries, (unsigned)g->n_values);
  }
}

gguf *gguf_open(const tensor_sink *sink) {
  gguf *g = mem_alloc(1, sizeof *g);
  if (g == NULL) return NULL;
  g->sink = *sink;
  g->need = START_BYTES;
  return g;
}

void gguf_close(gguf *g) {
  if (g == NULL) return;
  mem_free(g->header);
  mem_free(g->entries);
  mem_free(g->strings);
  mem_free(g->tensors);
  mem_free(g->names);
  mem_free(g);
}

/* Keeps a failure, so that calls after it fail alike. */
static sotto_status settle(gguf *g, sotto_status status, error *err) {
  if (status >= 0) return SOTTO_OK;
  g->state = FAILED;
  g->failed = status;
  if (err) *err = g->err;
  return status;
}

sotto_status gguf_feed(gguf *g, const void *bytes, size_t size, error *err) {
  if (g->state == FAILED) return settle(g, g->failed, err);
  if (size == 0) return SOTTO_OK;
  return settle(g, read_bytes(g, bytes, size), err);
}

sotto_status gguf_finish(gguf *g, error *err) {
  if (g->state == FAILED) return settle(g, g->failed, err);
  sotto_status status = settle(g, check_end(g), err);
  if (status == SOTTO_OK) {
    g->state = FINISHED;
    g->item = g->have;
    g->need = 0;
  }
  return status;
}

/* ---- what the file says ---- */

uint32_t gguf_version(const gguf *g) { return g->version; }
uint32_t gguf_n_tensors(const gguf *g) { return g->n_tensors; }
uint32_t gguf_n_values(const gguf *g) { return g->n_values; }
gguf_split gguf_split_of(const gguf *g) { return g->split; }
const file_tensor *gguf_tensor(const gguf *g, uint32_t index) { return &g->tensors[index]; }

uint64_t gguf_file_bytes(const gguf *g) {
  if (g->n_tensors == 0) return g->have;
  const file_tensor *last = &g->tensors[g->n_tensors - 1];
  return last->offset + last->bytes;
}

const char *gguf_key(const gguf *g, uint32_t index, gguf_type *type) {
  *type = (gguf_type)g->entries[index].type;
  return (const char *)g->header + g->entries[index].key;
}

gguf_value gguf_value_at(const gguf *g, uint32_t index) {
  const entry *e = &g->entries[index];
  const size_t size = e->type == GGUF_STRING ? e->count : e->type == GGUF_ARRAY ? e->size : number_bytes(e->type);
  return (gguf_value){(gguf_type)e->type, (gguf_type)e->element, e->count, g->header + e->value, size};
}

static const entry *find(const gguf *g, const char *key) {
  for (size_t i = 0; i < g->n_entries; i++)
    if (strcmp((const char *)g->header + g->entries[i].key, key) == 0) return &g->entries[i];
  return NULL;
}

/* Integers are sign and magnitude; is_bool: magnitude is 0 or 1. */
typedef struct number {
  bool is_real, is_bool, negative;
  uint64_t magnitude;
  double real;
} number;

static bool number_at(uint32_t type, const uint8_t *p, number *out) {
  uint64_t bits = 0;
  size_t bytes = number_bytes(type);
  if (bytes == 0) return false;
  memcpy(&bits, p, bytes);
  *out = (number){.magnitude = bits, .is_bool = type == GGUF_BOOL};
  if (type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64) {
    uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
    out->negative = (bits & sign) != 0;
    if (out->negative) out->magnitude = 2 * sign - bits; /* modulo 2^64 */
  } else if (type == GGUF_F32) {
    out->is_real = true;
    out->real = (double)load_f32(p);
  } else if (type == GGUF_F64) {
    out->is_real = true;
    memcpy(&out->real, p, 8);
  } else if (type == GGUF_BOOL) {
    out->magnitude = bits != 0;
  }
  return true;
}

static bool to_u64(const number *n, uint64_t *out) {
  if (n->is_real || n->is_bool || n->negative) return false;
  *out = n->magnitude;
  return true;
}

static bool to_f32(const number *n, float *out) {
  if (n->is_bool) return false;
  double v = n->is_real ? n->real : n->negative ? -(double)n->magnitude : (double)n->magnitude;
  if (v > 3.4028234663852886e38 || v < -3.4028234663852886e38 || v != v) return false;
  *out = (float)v;
  return true;
}

static bool find_number(const gguf *g, const char *key, number *out) {
  const entry *e = find(g, key);
  return e != NULL && number_at(e->type, g->header + e->value, out);
}

bool gguf_u64(const gguf *g, const char *key, uint64_t *out) {
  number n;
  return find_number(g, key, &n) && to_u64(&n, out);
}

bool gguf_u32(const gguf *g, const char *key, uint32_t *out) {
  uint64_t v;
  if (!gguf_u64(g, key, &v) || v > UINT32_MAX) return false;
  *out = (uint32_t)v;
  return true;
}

bool gguf_f32(const gguf *g, const char *key, float *out) {
  number n;
  return find_number(g, key, &n) && to_f32(&n, out);
}

bool gguf_bool(const gguf *g, const char *key, bool *out) {
  number n;
  if (!find_number(g, key, &n) || n.is_real || n.negative || n.magnitude > 1) return false;
  *out = n.magnitude == 1;
  return true;
}

bool gguf_string(const gguf *g, const char *key, const char **text, size_t *size) {
  const entry *e = find(g, key);
  if (e == NULL || e->type != GGUF_STRING) return false;
  *text = (const char *)g->header + e->value;
  *size = e->count;
  return true;
}

bool gguf_array_of(const gguf *g, const char *key, gguf_array *out) {
  const entry *e = find(g, key);
  if (e == NULL || e->type != GGUF_ARRAY) return false;
  *out = (gguf_array){.type = (gguf_type)e->element, .count = e->count, .bytes = g->header + e->value, .size = e->size};
  if (out->type == GGUF_STRING && e->count > 0) out->strings = g->strings + e->strings;
  return true;
}

bool gguf_array_u64(const gguf_array *a, uint32_t index, uint64_t *out) {
  number n;
  return number_at(a->type, a->bytes + index * number_bytes(a->type), &n) && to_u64(&n, out);
}

bool gguf_array_f32(const gguf_array *a, uint32_t index, float *out) {
  number n;
  return number_at(a->type, a->bytes + index * number_bytes(a->type), &n) && to_f32(&n, out);
}

const char *gguf_array_string(const gguf_array *a, uint32_t index, size_t *size) {
  if (a->type != GGUF_STRING) return NULL;
  const uint8_t *p = a->bytes + a->strings[index];
  *size = (size_t)load_u64(p);
  return (const char *)p + 8;
}
