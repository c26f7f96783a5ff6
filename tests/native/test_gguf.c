/* The reader of GGUF files: a small file in pieces of every size, cut at every byte, with wrong numbers in every field; values of all types
 * and what they can be read as; a vocabulary of full size; parts of a split model. */
#include "make_gguf.h"
#include "tensor_record.h"

static sotto_status feed_gguf(void *reader, const void *bytes, size_t size, error *err) {
  return gguf_feed(reader, bytes, size, err);
}

static sotto_status finish_gguf(void *reader, error *err) { return gguf_finish(reader, err); }

/* Reads `size` bytes in pieces of `piece` (0: one to 40, at random). The reader stays open. */
static sotto_status read_all(gguf **out, const void *bytes, size_t size, size_t piece, tensor_record *r, error *err) {
  const tensor_sink sink = record_sink(r);
  gguf *g = gguf_open(&sink);
  const pushed_reader reader = {g, feed_gguf, finish_gguf};
  const sotto_status status = push_pieces(&reader, bytes, size, piece, err);
  CHECK(r->in_order);
  *out = g;
  return status;
}

static sotto_status read_quietly(const byte_list *f, tensor_record *r, error *err) {
  gguf *g;
  sotto_status status = read_all(&g, f->bytes, f->size, 0, r, err);
  gguf_close(g);
  return status;
}

/* ---- a small file with every kind of content ---- */

typedef struct places { /* offsets of what the tests spoil */
  size_t first_key, words, tensors;
} places;

static byte_list small_file(places *at, uint32_t version, uint64_t alignment) {
  static float values[3 * 256];
  random_state random = {5};
  random_fill(&random, values, sizeof values / sizeof *values, -1, 1);
  gguf_maker m = {.version = version, .alignment = alignment};
  at->first_key = 24;
  gguf_put_string(&m, "general.architecture", "gemma3");
  gguf_put(&m, "t.u8", GGUF_U8, "\xfe", 1);
  gguf_put(&m, "t.i8", GGUF_I8, "\xfe", 1);
  gguf_put(&m, "t.u16", GGUF_U16, "\xfe\xff", 2);
  gguf_put(&m, "t.i16", GGUF_I16, "\x03\x00", 2);
  gguf_put_u32(&m, "t.u32", 4000000000u);
  gguf_put(&m, "t.i32", GGUF_I32, &(int32_t){INT32_MIN}, 4);
  gguf_put_f32(&m, "t.f32", 1e-6f);
  gguf_put(&m, "t.bool", GGUF_BOOL, "\1", 1);
  gguf_put(&m, "t.u64", GGUF_U64, &(uint64_t){1ull << 40}, 8);
  gguf_put(&m, "t.i64", GGUF_I64, &(int64_t){INT64_MIN}, 8);
  gguf_put(&m, "t.f64", GGUF_F64, &(double){0.5}, 8);
  gguf_put_string(&m, "t.empty", "");
  at->words = 24 + m.values.size;
  gguf_put_array(&m, "t.words", GGUF_STRING, 3, NULL, 0);
  put_gguf_string(&m.values, "a", 1);
  put_gguf_string(&m.values, "", 0);
  put_gguf_string(&m.values, "\xe2\x96\x81\0b", 5);
  gguf_put_array(&m, "t.none", GGUF_STRING, 0, NULL, 0);
  gguf_put_array(&m, "t.no_numbers", GGUF_I32, 0, NULL, 0);
  gguf_put_array(&m, "t.floats", GGUF_F32, 2, (float[]){-1.5f, 2}, 8);
  gguf_put_array(&m, "t.shorts", GGUF_I16, 2, (int16_t[]){-1, 300}, 4);
  gguf_put_array(&m, "t.bools", GGUF_BOOL, 3, "\1\0\1", 3);
  at->tensors = 24 + m.values.size;
  if (alignment) at->tensors += 8 + strlen("general.alignment") + 4 + 4;
  gguf_put_tensor(&m, "bias", DTYPE_F32, 1, (int64_t[]){5}, values);
  gguf_put_tensor(&m, "blk.0.attn_q.weight", DTYPE_Q4_K, 2, (int64_t[]){3, 256}, values);
  gguf_put_tensor(&m, "cube", DTYPE_BF16, 3, (int64_t[]){2, 3, 4}, values);
  gguf_put_tensor(&m, "wide", DTYPE_IQ4_NL, 4, (int64_t[]){1, 2, 1, 32}, values);
  return gguf_made(&m);
}

static void test_pieces(void) {
  places at;
  tensor_record whole, r;
  error err;
  gguf *g;
  byte_list f = small_file(&at, 3, 0);
  CHECK(read_all(&g, f.bytes, f.size, f.size, &whole, &err) == SOTTO_OK);
  CHECK(whole.n_headers == 1 && whole.n_tensors == 4 && gguf_n_tensors(g) == 4 && gguf_version(g) == 3);
  CHECK(gguf_file_bytes(g) == f.size);
  const file_tensor *t = gguf_tensor(g, 1);
  CHECK(strcmp(t->name, "blk.0.attn_q.weight") == 0 && t->type == DTYPE_Q4_K && t->rank == 2);
  CHECK(t->dims[0] == 3 && t->dims[1] == 256 && t->dims[2] == 1 && t->dims[3] == 1 && t->bytes == 3 * 144);
  CHECK(t->offset % 32 == 0 && t->offset > at.tensors);
  t = gguf_tensor(g, 2);
  CHECK(t->rank == 3 && t->dims[0] == 2 && t->dims[1] == 3 && t->dims[2] == 4 && t->bytes == 48);
  CHECK(gguf_tensor(g, 3)->rank == 4 && gguf_tensor(g, 3)->dims[1] == 2);
  CHECK(gguf_feed(g, f.bytes, 1, &err) == SOTTO_ERR_ARGUMENT);
  gguf_close(g);
  for (size_t piece = 0; piece < 200; piece++) {
    CHECK(read_all(&g, f.bytes, f.size, piece, &r, &err) == SOTTO_OK);
    CHECK(r.hash == whole.hash && r.n_tensors == 4);
    gguf_close(g);
  }
  byte_list_free(&f);

  f = small_file(&at, 2, 0); /* the same but for the number */
  CHECK(read_quietly(&f, &r, &err) == SOTTO_OK && r.hash == whole.hash);
  byte_list_free(&f);
  for (uint64_t alignment = 8; alignment <= 4096; alignment *= 8) {
    f = small_file(&at, 3, alignment);
    CHECK(read_all(&g, f.bytes, f.size, 7, &r, &err) == SOTTO_OK);
    CHECK(r.hash == whole.hash && gguf_tensor(g, 3)->offset % alignment == 0);
    gguf_close(g);
    put_bytes(&f, "\0\0\0", 3); /* padding at the end changes nothing */
    CHECK(read_quietly(&f, &r, &err) == SOTTO_OK && r.hash == whole.hash);
    byte_list_free(&f);
  }
  gguf_close(NULL);
}

/* ---- values ---- */

static sotto_status check_values(void *reader) {
  const gguf *g = *(gguf **)reader;
  uint64_t u = 77;
  uint32_t n = 77;
  float x = 77;
  bool b = false;
  const char *text;
  size_t size;
  CHECK(gguf_string(g, "general.architecture", &text, &size) && size == 6 && memcmp(text, "gemma3", 6) == 0);
  CHECK(gguf_string(g, "t.empty", &text, &size) && size == 0);
  CHECK(!gguf_string(g, "t.u8", &text, &size) && !gguf_string(g, "t.words", &text, &size));
  CHECK(gguf_u32(g, "t.u8", &n) && n == 254);
  CHECK(gguf_u32(g, "t.u16", &n) && n == 65534);
  CHECK(gguf_u32(g, "t.i16", &n) && n == 3);
  CHECK(gguf_u32(g, "t.u32", &n) && n == 4000000000u);
  CHECK(gguf_u64(g, "t.u64", &u) && u == 1ull << 40);
  n = 77, u = 77;
  CHECK(!gguf_u32(g, "t.u64", &n) && !gguf_u32(g, "t.i8", &n) && !gguf_u64(g, "t.i64", &u) && n == 77 && u == 77);
  CHECK(!gguf_u32(g, "t.f32", &n) && !gguf_u32(g, "t.bool", &n) && !gguf_u32(g, "nothing", &n) && n == 77);
  CHECK(!gguf_u32(g, "t.words", &n) && !gguf_u32(g, "t.empty", &n) && n == 77);
  CHECK(gguf_f32(g, "t.f32", &x) && x == 1e-6f);
  CHECK(gguf_f32(g, "t.f64", &x) && x == 0.5f);
  CHECK(gguf_f32(g, "t.i8", &x) && x == -2.0f);
  CHECK(gguf_f32(g, "t.i32", &x) && x == -2147483648.0f);
  CHECK(gguf_f32(g, "t.i64", &x) && x == -9223372036854775808.0f);
  CHECK(!gguf_f32(g, "t.empty", &x) && !gguf_f32(g, "t.bool", &x));
  CHECK(gguf_bool(g, "t.bool", &b) && b && !gguf_bool(g, "t.u8", &b) && !gguf_bool(g, "t.f32", &b));

  gguf_array a;
  CHECK(gguf_array_of(g, "t.words", &a) && a.type == GGUF_STRING && a.count == 3);
  CHECK(a.size == 3 * 8 + 6 && a.strings[0] == 0 && a.strings[1] == 9 && a.bytes[8] == 'a'); /* packed as in the file */
  CHECK((text = gguf_array_string(&a, 0, &size)) && size == 1 && text[0] == 'a');
  CHECK(gguf_array_string(&a, 1, &size) && size == 0);
  CHECK((text = gguf_array_string(&a, 2, &size)) && size == 5 && memcmp(text, "\xe2\x96\x81\0b", 5) == 0);
  CHECK(!gguf_array_u64(&a, 0, &u) && !gguf_array_f32(&a, 0, &x));
  CHECK(gguf_array_of(g, "t.none", &a) && a.count == 0 && a.type == GGUF_STRING && a.size == 0);
  CHECK(gguf_array_of(g, "t.no_numbers", &a) && a.count == 0 && a.type == GGUF_I32);
  CHECK(gguf_array_of(g, "t.floats", &a) && a.count == 2 && a.size == 8 && gguf_array_f32(&a, 0, &x) && x == -1.5f);
  CHECK(gguf_array_f32(&a, 1, &x) && x == 2.0f && !gguf_array_u64(&a, 1, &u) && !gguf_array_string(&a, 0, &size));
  CHECK(gguf_array_of(g, "t.shorts", &a) && gguf_array_u64(&a, 1, &u) && u == 300 && !gguf_array_u64(&a, 0, &u));
  CHECK(gguf_array_f32(&a, 0, &x) && x == -1.0f);
  CHECK(gguf_array_of(g, "t.bools", &a) && a.count == 3);
  CHECK(!gguf_array_of(g, "t.u8", &a) && !gguf_array_of(g, "nothing", &a));

  gguf_type type;
  CHECK(gguf_n_values(g) == 19 && strcmp(gguf_key(g, 0, &type), "general.architecture") == 0 && type == GGUF_STRING);
  CHECK(strcmp(gguf_key(g, 18, &type), "t.bools") == 0 && type == GGUF_ARRAY);
  gguf_split split = gguf_split_of(g);
  CHECK(split.part == 0 && split.n_parts == 1 && split.n_tensors == 4);
  return SOTTO_OK;
}

static void test_values(void) {
  places at;
  tensor_record r;
  error err;
  byte_list f = small_file(&at, 3, 0);
  const tensor_sink sink = record_sink(&r);
  gguf *g = gguf_open(&sink);
  r.at_header = check_values;
  r.reader = &g;
  for (size_t i = 0; i < f.size; i += 11) CHECK(gguf_feed(g, f.bytes + i, min_size(11, f.size - i), &err) == SOTTO_OK);
  CHECK(gguf_finish(g, NULL) == SOTTO_OK && r.n_headers == 1);
  check_values(&g); /* and after the end */
  gguf_close(g);
  byte_list_free(&f);
}

/* ---- what is wrong ---- */

static void test_truncation(void) {
  places at;
  tensor_record r;
  error err;
  gguf *g;
  byte_list f = small_file(&at, 3, 0);
  for (size_t size = 0; size < f.size; size++) {
    sotto_status status = read_all(&g, f.bytes, size, 0, &r, &err);
    if (!CHECK(status == SOTTO_ERR_FORMAT && strstr(err.text, size ? "truncated" : "empty")))
      printf("cut at %zu: %s\n", size, err.text);
    gguf_close(g);
  }
  CHECK(read_all(&g, f.bytes, 23, 0, &r, &err) < 0 && strstr(err.text, "first numbers"));
  gguf_close(g);
  CHECK(read_all(&g, f.bytes, at.words, 0, &r, &err) < 0 && strstr(err.text, "inside its metadata, at value 13 of 19"));
  gguf_close(g);
  CHECK(read_all(&g, f.bytes, at.tensors, 0, &r, &err) < 0 && strstr(err.text, "list of tensors, at 0 of 4"));
  gguf_close(g);
  CHECK(read_all(&g, f.bytes, f.size - 1, 0, &r, &err) < 0 && strstr(err.text, "inside tensor wide, after 3 of 4"));
  gguf_close(g);
  byte_list_free(&f);
}

/* Any byte may be wrong: what is delivered stays in order and in bounds (the sanitizers watch). */
static void test_flips(void) {
  places at;
  tensor_record r;
  error err;
  gguf *g;
  byte_list f = small_file(&at, 3, 8);
  for (size_t i = 0; i < f.size - 560; i++) { /* behind it: data, where nothing can go wrong */
    for (int bit = 0; bit < 8; bit++) {
      f.bytes[i] = (uint8_t)(f.bytes[i] ^ 1 << bit);
      sotto_status status = read_all(&g, f.bytes, f.size, 97, &r, &err);
      if (i < 4) CHECK(status == SOTTO_ERR_FORMAT);
      gguf_close(g);
      f.bytes[i] = (uint8_t)(f.bytes[i] ^ 1 << bit);
    }
  }
  byte_list_free(&f);
}

static void refuse_file(byte_list *f, sotto_status should, const char *words) {
  tensor_record r;
  error err;
  sotto_status status = read_quietly(f, &r, &err);
  if (!CHECK(status == should && strstr(err.text, words) != NULL))
    printf("status %d, \"%s\" is not about %s\n", (int)status, err.text, words);
  byte_list_free(f);
}

/* One number of `bytes` bytes spoiled. */
static void refuse(size_t at, size_t bytes, uint64_t value, sotto_status should, const char *words) {
  places unused;
  byte_list f = small_file(&unused, 3, 0);
  memcpy(f.bytes + at, &value, bytes);
  refuse_file(&f, should, words);
}

static void test_bounds(void) {
  places at;
  byte_list f = small_file(&at, 3, 0);
  byte_list_free(&f);
  refuse(4, 4, 1, SOTTO_ERR_UNSUPPORTED, "version 1");
  refuse(4, 4, 4, SOTTO_ERR_UNSUPPORTED, "version 4");
  refuse(4, 4, 3u << 24, SOTTO_ERR_UNSUPPORTED, "big-endian");
  refuse(8, 8, UINT64_MAX, SOTTO_ERR_FORMAT, "18446744073709551615 tensors");
  refuse(8, 8, 1 << 20, SOTTO_ERR_FORMAT, "");
  refuse(8, 8, 5, SOTTO_ERR_FORMAT, "tensor 4 of 5");
  refuse(16, 8, 1ull << 33, SOTTO_ERR_FORMAT, "8589934592 values");
  refuse(16, 8, 65536, SOTTO_ERR_FORMAT, "");
  size_t key = at.first_key;
  refuse(key, 8, 0, SOTTO_ERR_FORMAT, "key 0 of 19 is 0 bytes");
  refuse(key, 8, 1ull << 63, SOTTO_ERR_FORMAT, "key 0 of 19 is 9223372036854775808 bytes");
  refuse(key + 9, 1, '\n', SOTTO_ERR_FORMAT, "key 0 of 19 holds bytes");
  refuse(key + 28, 4, 13, SOTTO_ERR_FORMAT, "general.architecture has a value of type 13");
  refuse(key + 32, 8, UINT64_MAX, SOTTO_ERR_FORMAT, "general.architecture holds a string of 18446744073709551615");
  refuse(key + 32, 8, 200 << 20, SOTTO_ERR_FORMAT, "inside its metadata, at value 1 of 19"); /* nothing allocated */
  size_t words = at.words + 8 + 7 + 4;
  refuse(words, 4, GGUF_ARRAY, SOTTO_ERR_UNSUPPORTED, "t.words is an array of arrays");
  refuse(words, 4, 99, SOTTO_ERR_FORMAT, "t.words is an array of type 99");
  refuse(words + 4, 8, UINT64_MAX / 8, SOTTO_ERR_FORMAT, "t.words claims 2305843009213693951 elements");
  refuse(words + 4, 8, 30 << 20, SOTTO_ERR_FORMAT, "t.words holds a string");
  refuse(words + 12, 8, 257 << 20, SOTTO_ERR_FORMAT, "t.words holds a string of 269484032");
  refuse(words, 4, GGUF_F64, SOTTO_ERR_FORMAT, ""); /* another reading of the same bytes */
  size_t bias = at.tensors;
  refuse(bias, 8, 0, SOTTO_ERR_FORMAT, "tensor 0 of 4 has a name of 0");
  refuse(bias, 8, 129, SOTTO_ERR_FORMAT, "tensor 0 of 4 has a name of 129");
  refuse(bias + 8, 1, ' ', SOTTO_ERR_FORMAT, "tensor 0 of 4 has a name with bytes");
  refuse(bias + 12, 4, 0, SOTTO_ERR_FORMAT, "bias has 0 dimensions");
  refuse(bias + 12, 4, 5, SOTTO_ERR_FORMAT, "bias has 5 dimensions");
  refuse(bias + 16, 8, 0, SOTTO_ERR_FORMAT, "bias has an impossible shape");
  refuse(bias + 16, 8, 1ull << 63, SOTTO_ERR_FORMAT, "bias has an impossible shape");
  refuse(bias + 16, 8, 1ull << 62, SOTTO_ERR_FORMAT, "that f32 cannot hold");
  refuse(bias + 24, 4, 17, SOTTO_ERR_UNSUPPORTED, "bias is of type 17 (IQ2_XS)");
  refuse(bias + 24, 4, 4, SOTTO_ERR_UNSUPPORTED, "bias is of type 4");
  refuse(bias + 24, 4, UINT32_MAX, SOTTO_ERR_UNSUPPORTED, "bias is of type 4294967295");
  refuse(bias + 24, 4, DTYPE_Q8_0, SOTTO_ERR_FORMAT, "bias has rows of 5 elements");
  refuse(bias + 28, 8, 1, SOTTO_ERR_FORMAT, "bias lies at 1");
  refuse(bias + 28, 8, 32, SOTTO_ERR_FORMAT, "overlap");
  refuse(bias + 28, 8, 1ull << 40, SOTTO_ERR_FORMAT, "before tensor bias"); /* nothing allocated */
  refuse(bias + 28, 8, 1ull << 63, SOTTO_ERR_FORMAT, "bias lies at 9223372036854775808");
  refuse(bias + 28, 8, UINT64_MAX - 31, SOTTO_ERR_FORMAT, "bias lies at");

  const uint32_t alignments[] = {0, 3, 48, 1u << 21, UINT32_MAX};
  for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
    gguf_maker m = {0};
    gguf_put_u32(&m, "general.alignment", alignments[i]);
    f = gguf_made(&m);
    refuse_file(&f, SOTTO_ERR_FORMAT, "general.alignment");
  }

  gguf_maker m = {0};
  gguf_put_tensor(&m, "one", DTYPE_F32, 1, (int64_t[]){2}, (float[]){1, 2});
  gguf_put_tensor(&m, "one", DTYPE_F32, 1, (int64_t[]){2}, (float[]){1, 2});
  f = gguf_made(&m);
  refuse_file(&f, SOTTO_ERR_FORMAT, "one is there twice");
  m = (gguf_maker){0};
  gguf_put_info(&m, "vast", DTYPE_F16, 4, (int64_t[]){INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}, 0);
  f = gguf_made(&m);
  refuse_file(&f, SOTTO_ERR_FORMAT, "vast has rows of");
  m = (gguf_maker){0};
  gguf_put_info(&m, "long", DTYPE_F16, 2, (int64_t[]){INT32_MAX, INT32_MAX - 1}, 0);
  gguf_put_info(&m, "after", DTYPE_F16, 1, (int64_t[]){1}, (uint64_t)INT64_MAX - 31);
  f = gguf_made(&m);
  refuse_file(&f, SOTTO_ERR_FORMAT, "after lies at");
}

/* Offsets in another order than the list, with holes: data come in the order of offsets. */
static void test_order(void) {
  gguf_maker m = {0};
  gguf_put_info(&m, "c", DTYPE_F32, 1, (int64_t[]){2}, 256);
  gguf_put_info(&m, "a", DTYPE_F32, 1, (int64_t[]){2}, 32);
  gguf_put_info(&m, "b", DTYPE_F32, 1, (int64_t[]){8}, 64);
  for (int i = 0; i < 66; i++) put_i32(&m.data, i);
  byte_list f = gguf_made(&m);
  tensor_record r, same;
  error err;
  gguf *g;
  CHECK(read_all(&g, f.bytes, f.size, 13, &r, &err) == SOTTO_OK && r.n_tensors == 3);
  CHECK(strcmp(gguf_tensor(g, 0)->name, "a") == 0 && strcmp(gguf_tensor(g, 2)->name, "c") == 0);
  CHECK(gguf_file_bytes(g) == f.size);
  gguf_close(g);
  record_sink(&same);
  const char *names[] = {"a", "b", "c"};
  const int32_t first[] = {8, 16, 64}, count[] = {2, 8, 2};
  for (int i = 0; i < 3; i++) {
    const int64_t dims[4] = {count[i], 1, 1, 1};
    record_bytes(&same, names[i], 1);
    record_bytes(&same, &(uint32_t){DTYPE_F32}, 4);
    record_bytes(&same, dims, sizeof dims);
    for (int32_t k = 0; k < count[i]; k++) record_bytes(&same, &(int32_t){first[i] + k}, 4);
  }
  CHECK(r.hash == same.hash);
  byte_list_free(&f);
}

/* The sink's own failure comes through, at every callback, and stays. */
static void test_sink_failures(void) {
  places at;
  tensor_record r;
  error err, again;
  byte_list f = small_file(&at, 3, 0);
  int n_calls = 1;
  for (int stop = 0; stop <= n_calls; stop++) {
    const tensor_sink sink = record_sink(&r);
    gguf *g = gguf_open(&sink);
    r.stop_at = stop;
    sotto_status status = gguf_feed(g, f.bytes, f.size, &err);
    if (stop == 0) {
      CHECK(status == SOTTO_OK);
      n_calls = r.n_calls;
    } else {
      CHECK(status == SOTTO_ERR_MEMORY && strcmp(err.text, "stopped by the sink") == 0);
      CHECK(gguf_feed(g, f.bytes, f.size, &again) == SOTTO_ERR_MEMORY && strcmp(err.text, again.text) == 0);
      CHECK(gguf_finish(g, NULL) == SOTTO_ERR_MEMORY && r.n_calls == stop);
    }
    gguf_close(g);
  }
  CHECK(n_calls == 1 + 4 * 3);
  byte_list_free(&f);
}

static void test_foreign_files(void) {
  const struct {
    const char *bytes;
    size_t n;
    const char *words;
  } files[] = {
      {"", 0, "empty"},
      {"lmgg\3\0\0\0", 8, "ggml .bin"},
      {"FUGG\0\0\0\3", 8, "big-endian"},
      {"PK\3\4\x14\0\0\0", 8, "zip archive"},
      {"\x40\x12\0\0\0\0\0\0{\"__metadata__\":", 24, "safetensors"},
      {"<!doctype html><html>", 21, "web page"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00", 55, "git lfs pull"},
      {"hello", 5, "not a GGUF file (it begins with 68 65 6c 6c)"},
      {"GGUX", 4, "not a GGUF file"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    byte_list f = {0};
    put_bytes(&f, files[i].bytes, files[i].n);
    refuse_file(&f, SOTTO_ERR_FORMAT, files[i].words);
  }
}

static void test_splits(void) {
  tensor_record r;
  error err;
  gguf *g;
  gguf_maker m = {0};
  gguf_put(&m, "split.no", GGUF_U16, &(uint16_t){1}, 2);
  gguf_put(&m, "split.count", GGUF_U16, &(uint16_t){3}, 2);
  gguf_put(&m, "split.tensors.count", GGUF_I32, &(int32_t){9}, 4);
  gguf_put_tensor(&m, "one", DTYPE_F32, 1, (int64_t[]){2}, (float[]){1, 2});
  byte_list f = gguf_made(&m);
  CHECK(read_all(&g, f.bytes, f.size, 0, &r, &err) == SOTTO_OK);
  gguf_split split = gguf_split_of(g);
  CHECK(split.part == 1 && split.n_parts == 3 && split.n_tensors == 9 && r.n_tensors == 1);
  gguf_close(g);
  byte_list_free(&f);

  m = (gguf_maker){0}; /* a first part with metadata alone */
  gguf_put(&m, "split.count", GGUF_U16, &(uint16_t){2}, 2);
  gguf_put(&m, "split.tensors.count", GGUF_I32, &(int32_t){9}, 4);
  f = gguf_made(&m);
  CHECK(read_all(&g, f.bytes, f.size, 0, &r, &err) == SOTTO_OK && r.n_headers == 1 && r.n_tensors == 0);
  CHECK(gguf_split_of(g).n_parts == 2 && gguf_file_bytes(g) == f.size);
  gguf_close(g);
  byte_list_free(&f);

  m = (gguf_maker){0};
  gguf_put(&m, "split.no", GGUF_U16, &(uint16_t){3}, 2);
  gguf_put(&m, "split.count", GGUF_U16, &(uint16_t){3}, 2);
  f = gguf_made(&m);
  refuse_file(&f, SOTTO_ERR_FORMAT, "part 4 of 3");
}

/* As many tokens as Gemma 3 has, fed as a download brings them. */
static void test_vocabulary(void) {
  enum { N = 262144 };
  gguf_maker m = {0};
  float *scores = malloc(N * sizeof *scores);
  char token[32];
  gguf_put_array(&m, "tokenizer.ggml.tokens", GGUF_STRING, N, NULL, 0);
  for (int i = 0; i < N; i++) {
    put_gguf_string(&m.values, token, (size_t)snprintf(token, sizeof token, "<token %d>", i));
    scores[i] = (float)-i;
  }
  gguf_put_array(&m, "tokenizer.ggml.scores", GGUF_F32, N, scores, N * sizeof *scores);
  gguf_put_tensor(&m, "one", DTYPE_F32, 1, (int64_t[]){2}, (float[]){1, 2});
  byte_list f = gguf_made(&m);
  tensor_record r;
  error err;
  gguf *g;
  gguf_array tokens, back;
  CHECK(read_all(&g, f.bytes, f.size, 16384, &r, &err) == SOTTO_OK);
  CHECK(gguf_array_of(g, "tokenizer.ggml.tokens", &tokens) && tokens.count == N);
  CHECK(gguf_array_of(g, "tokenizer.ggml.scores", &back) && back.count == N);
  int n_wrong = 0;
  for (int i = 0; i < N; i++) {
    size_t size, should = (size_t)snprintf(token, sizeof token, "<token %d>", i);
    const char *text = gguf_array_string(&tokens, (uint32_t)i, &size);
    float score = 1;
    n_wrong += size != should || memcmp(text, token, size) != 0;
    n_wrong += !gguf_array_f32(&back, (uint32_t)i, &score) || score != (float)-i;
  }
  CHECK(n_wrong == 0);
  gguf_close(g);
  byte_list_free(&f);
  free(scores);
}

int main(void) {
  test_pieces();
  test_values();
  test_truncation();
  test_flips();
  test_bounds();
  test_order();
  test_sink_failures();
  test_foreign_files();
  test_splits();
  test_vocabulary();
  return check_end();
}
