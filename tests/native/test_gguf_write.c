/* The writer of GGUF files: what it writes in pieces of every size is what the reader reads; misuse and failing outputs are told. */
#include "../../src/formats/gguf_write.h"
#include "make_gguf.h"
#include "tensor_record.h"

static const char *const words[] = {"a", "", "\xe2\x96\x81story"};
static const float floats[] = {-1.5f, 0, 2};
static const int16_t shorts[] = {-1, 300};

static sotto_status to_list(void *context, const void *bytes, size_t size, error *err) {
  (void)err;
  put_bytes(context, bytes, size);
  return SOTTO_OK;
}

static void describe(gguf_writer *w) {
  gguf_write_string(w, "general.architecture", "gemma3", 6);
  gguf_write_u32(w, "t.u32", 4000000000u);
  gguf_write_f32(w, "t.f32", 1e-6f);
  gguf_write_bool(w, "t.bool", true);
  gguf_write_strings(w, "t.words", 3);
  for (int i = 0; i < 3; i++) gguf_write_item(w, words[i], strlen(words[i]));
  gguf_write_numbers(w, "t.floats", GGUF_F32, floats, 3);
  gguf_write_numbers(w, "t.shorts", GGUF_I16, shorts, 2);
  gguf_write_strings(w, "t.none", 0);
  gguf_write_tensor(w, "bias", DTYPE_F32, 1, (int64_t[4]){5, 1, 1, 1});
  gguf_write_tensor(w, "matrix", DTYPE_Q4_0, 2, (int64_t[4]){3, 64, 1, 1});
  gguf_write_tensor(w, "last", DTYPE_F16, 1, (int64_t[4]){3, 1, 1, 1});
}

enum { DATA_BYTES = 20 + 3 * 36 + 6 };

static byte_list written(size_t piece) {
  byte_list file = {0};
  const gguf_output out = {&file, to_list};
  uint8_t data[DATA_BYTES];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + 11);
  error err = {""};
  gguf_writer *w = gguf_write_open(&out);
  describe(w);
  for (size_t at = 0; at < sizeof data; at += piece)
    CHECK(gguf_write_data(w, data + at, min_size(piece, sizeof data - at), &err) == SOTTO_OK);
  CHECK(gguf_write_end(w, &err) == SOTTO_OK && err.text[0] == 0);
  gguf_write_close(w);
  return file;
}

/* The bytes of each tensor as the reader hands them on. */
typedef struct taken {
  uint8_t data[DATA_BYTES];
  size_t size;
  int n_tensors;
} taken;

static sotto_status take_header(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }
static sotto_status take_begin(void *context, const file_tensor *t, error *err) {
  static const char *const names[] = {"bias", "matrix", "last"};
  taken *k = context;
  (void)err;
  CHECK(k->n_tensors < 3 && strcmp(t->name, names[k->n_tensors]) == 0);
  CHECK(t->offset % 32 == 0);
  if (k->n_tensors++ == 1) CHECK(t->type == DTYPE_Q4_0 && t->rank == 2 && t->dims[0] == 3 && t->dims[1] == 64);
  return SOTTO_OK;
}
static sotto_status take_data(void *context, const void *bytes, size_t size, error *err) {
  taken *k = context;
  (void)err;
  if (CHECK(size <= sizeof k->data - k->size)) memcpy(k->data + k->size, bytes, size);
  k->size += size;
  return SOTTO_OK;
}
static sotto_status take_end(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }

static void check_read(const byte_list *file) {
  taken k = {.size = 0};
  const tensor_sink sink = {&k, take_header, take_begin, take_data, take_end};
  error err = {""};
  gguf *g = gguf_open(&sink);
  CHECK(gguf_feed(g, file->bytes, file->size, &err) == SOTTO_OK && gguf_finish(g, &err) == SOTTO_OK);
  CHECK(gguf_version(g) == 3 && gguf_n_values(g) == 8 && gguf_n_tensors(g) == 3);
  CHECK(file->size % 32 == 0 && k.n_tensors == 3 && k.size == DATA_BYTES);
  for (size_t i = 0; i < k.size; i++) CHECK(k.data[i] == (uint8_t)(i * 37 + 11));
  const char *text;
  size_t size;
  uint32_t u = 0;
  float f = 0;
  bool b = false;
  gguf_array a;
  CHECK(gguf_string(g, "general.architecture", &text, &size) && size == 6 && memcmp(text, "gemma3", 6) == 0);
  CHECK(gguf_u32(g, "t.u32", &u) && u == 4000000000u);
  CHECK(gguf_f32(g, "t.f32", &f) && f == 1e-6f);
  CHECK(gguf_bool(g, "t.bool", &b) && b);
  if (CHECK(gguf_array_of(g, "t.words", &a) && a.type == GGUF_STRING && a.count == 3))
    for (uint32_t i = 0; i < 3; i++) {
      text = gguf_array_string(&a, i, &size);
      CHECK(size == strlen(words[i]) && memcmp(text, words[i], size) == 0);
    }
  if (CHECK(gguf_array_of(g, "t.floats", &a) && a.count == 3 && a.type == GGUF_F32))
    for (uint32_t i = 0; i < 3; i++) CHECK(gguf_array_f32(&a, i, &f) && f == floats[i]);
  CHECK(gguf_array_of(g, "t.shorts", &a) && a.type == GGUF_I16 && a.count == 2 && memcmp(a.bytes, shorts, 4) == 0);
  CHECK(gguf_array_of(g, "t.none", &a) && a.count == 0);
  gguf_close(g);
}

/* ---- what goes wrong ---- */

typedef struct limited {
  size_t left;
} limited;

static sotto_status to_limited(void *context, const void *bytes, size_t size, error *err) {
  limited *l = context;
  (void)bytes;
  if (size > l->left) return fail(err, SOTTO_ERR_MEMORY, "the disk is full");
  l->left -= size;
  return SOTTO_OK;
}

static void misuse_items_missing(gguf_writer *w) {
  gguf_write_strings(w, "t", 2);
  gguf_write_item(w, "a", 1);
}
static void misuse_items_left(gguf_writer *w) { gguf_write_item(w, "a", 1); }
static void misuse_blocks(gguf_writer *w) { gguf_write_tensor(w, "t", DTYPE_Q4_0, 1, (int64_t[4]){33, 1, 1, 1}); }
static void misuse_no_data(gguf_writer *w) { gguf_write_tensor(w, "t", DTYPE_F32, 1, (int64_t[4]){33, 1, 1, 1}); }
static void misuse_more_data(gguf_writer *w) { gguf_write_data(w, "x", 1, NULL); }
static void misuse_late(gguf_writer *w) {
  gguf_write_data(w, "", 0, NULL);
  gguf_write_u32(w, "late", 1);
}
static void misuse_numbers(gguf_writer *w) { gguf_write_numbers(w, "t", GGUF_STRING, "", 1); }

static void check_errors(size_t file_size) {
  static void (*const misuses[])(gguf_writer *) = {misuse_items_missing, misuse_items_left, misuse_blocks,
                                                   misuse_no_data,       misuse_more_data,  misuse_late,
                                                   misuse_numbers};
  for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
    byte_list file = {0};
    error err = {""};
    gguf_writer *w = gguf_write_open(&(gguf_output){&file, to_list});
    misuses[i](w);
    CHECK(gguf_write_end(w, &err) == SOTTO_ERR_ARGUMENT && err.text[0] != 0);
    gguf_write_close(w);
    byte_list_free(&file);
  }
  for (size_t room = 0; room <= file_size; room += 7) {
    limited l = {room};
    error err = {""};
    gguf_writer *w = gguf_write_open(&(gguf_output){&l, to_limited});
    describe(w);
    uint8_t data[DATA_BYTES] = {0};
    gguf_write_data(w, data, sizeof data, NULL);
    if (room < file_size) CHECK(gguf_write_end(w, &err) == SOTTO_ERR_MEMORY && strstr(err.text, "disk") != NULL);
    gguf_write_close(w);
  }
}

int main(void) {
  byte_list whole = written(DATA_BYTES);
  check_read(&whole);
  for (size_t piece = 1; piece < 50; piece++) {
    byte_list other = written(piece);
    CHECK(other.size == whole.size && memcmp(other.bytes, whole.bytes, whole.size) == 0);
    byte_list_free(&other);
  }
  check_errors(whole.size);
  byte_list_free(&whole);
  return check_end();
}
