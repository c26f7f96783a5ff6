/* The reader of safetensors files: a small file in pieces of every size, cut at every byte, with bits flipped, with headers that lie; a
 * checkpoint as Hugging Face writes it; the index of a model in several files. */
#include "../../src/formats/safetensors.h"
#include "make_model.h"
#include "tensor_record.h"

static sotto_status feed_safetensors(void *reader, const void *bytes, size_t size, error *err) {
  return safetensors_feed(reader, bytes, size, err);
}

static sotto_status finish_safetensors(void *reader, error *err) { return safetensors_finish(reader, err); }

/* Reads `size` bytes in pieces of `piece` (0: one to 40, at random). The reader stays open. */
static sotto_status read_all(safetensors **out, const void *bytes, size_t size, size_t piece, tensor_record *r,
                             error *err) {
  const tensor_sink sink = record_sink(r);
  safetensors *s = safetensors_open(&sink);
  const pushed_reader reader = {s, feed_safetensors, finish_safetensors};
  const sotto_status status = push_pieces(&reader, bytes, size, piece, err);
  CHECK(r->in_order);
  *out = s;
  return status;
}

/* A file of this JSON with n_data bytes behind it: 0, 1, 2, ... */
static byte_list file_of(const char *header, size_t n_data) {
  byte_list l = {0};
  uint64_t n = strlen(header);
  put_bytes(&l, &n, 8);
  put_bytes(&l, header, (size_t)n);
  for (size_t i = 0; i < n_data; i++) put_bytes(&l, &(uint8_t){(uint8_t)i}, 1);
  return l;
}

static const char small_header[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"b\\u002eweight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[12,24]},"
    "\"a\":{\"data_offsets\":[0,12],\"dtype\":\"F32\",\"shape\":[3]},"
    "\"none\":{\"dtype\":\"F16\",\"shape\":[4,0],\"data_offsets\":[24,24]},"
    "\"scalar\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[24,26]},"
    "\"deep\":{\"dtype\":\"F16\",\"shape\":[2,1,1,2],\"data_offsets\":[26,34]}}   ";
enum { SMALL_DATA = 34 };

static void test_pieces(void) {
  tensor_record whole, r;
  error err;
  safetensors *s;
  byte_list f = file_of(small_header, SMALL_DATA);
  CHECK(read_all(&s, f.bytes, f.size, f.size, &whole, &err) == SOTTO_OK);
  CHECK(whole.n_headers == 1 && whole.n_tensors == 5 && safetensors_n_tensors(s) == 5);
  CHECK(safetensors_file_bytes(s) == f.size);
  const file_tensor *t = safetensors_tensor(s, 0);
  CHECK(strcmp(t->name, "a") == 0 && t->type == DTYPE_F32 && t->rank == 1 && t->dims[0] == 3 && t->bytes == 12);
  CHECK(t->offset == sizeof small_header - 1 + 8);
  t = safetensors_tensor(s, 1);
  CHECK(strcmp(t->name, "b.weight") == 0 && t->type == DTYPE_BF16 && t->rank == 2 && t->dims[0] == 2 &&
        t->dims[1] == 3);
  t = safetensors_tensor(s, 2);
  CHECK(strcmp(t->name, "none") == 0 && t->bytes == 0 && t->dims[1] == 0);
  t = safetensors_tensor(s, 3);
  CHECK(strcmp(t->name, "scalar") == 0 && t->rank == 1 && t->dims[0] == 1 && t->bytes == 2);
  t = safetensors_tensor(s, 4);
  CHECK(t->rank == 4 && t->dims[0] == 2 && t->dims[3] == 2);
  CHECK(safetensors_feed(s, f.bytes, 1, &err) == SOTTO_ERR_ARGUMENT);
  safetensors_close(s);
  for (size_t piece = 0; piece < 200; piece++) {
    CHECK(read_all(&s, f.bytes, f.size, piece, &r, &err) == SOTTO_OK);
    CHECK(r.hash == whole.hash && r.n_tensors == 5);
    safetensors_close(s);
  }
  byte_list_free(&f);

  f = file_of("{}", 0);
  CHECK(read_all(&s, f.bytes, f.size, 0, &r, &err) == SOTTO_OK && r.n_headers == 1 && r.n_tensors == 0);
  safetensors_close(s);
  safetensors_close(NULL);
  byte_list_free(&f);
}

static void test_truncation(void) {
  tensor_record r;
  error err;
  safetensors *s;
  byte_list f = file_of(small_header, SMALL_DATA);
  for (size_t size = 0; size < f.size; size++) {
    sotto_status status = read_all(&s, f.bytes, size, 0, &r, &err);
    const char *words = size == 0 ? "empty" : size <= 8 ? "safetensors" : "truncated";
    if (!CHECK(status == SOTTO_ERR_FORMAT && strstr(err.text, words))) printf("cut at %zu: %s\n", size, err.text);
    safetensors_close(s);
  }
  CHECK(read_all(&s, f.bytes, f.size - 1, 0, &r, &err) < 0 && strstr(err.text, "inside tensor deep, after 4 of 5"));
  safetensors_close(s);
  byte_list_free(&f);
}

/* Any byte may be wrong: what is delivered stays in order and in bounds (the sanitizers watch). */
static void test_flips(void) {
  tensor_record r;
  error err;
  safetensors *s;
  byte_list f = file_of(small_header, SMALL_DATA);
  for (size_t i = 0; i + SMALL_DATA < f.size; i++) {
    for (int bit = 0; bit < 8; bit++) {
      f.bytes[i] = (uint8_t)(f.bytes[i] ^ 1 << bit);
      sotto_status status = read_all(&s, f.bytes, f.size, 97, &r, &err);
      if (i < 8) CHECK(status == SOTTO_ERR_FORMAT);
      safetensors_close(s);
      f.bytes[i] = (uint8_t)(f.bytes[i] ^ 1 << bit);
    }
  }
  byte_list_free(&f);
}

static void refuse_file(byte_list *f, sotto_status should, const char *words) {
  tensor_record r;
  error err;
  safetensors *s;
  sotto_status status = read_all(&s, f->bytes, f->size, 0, &r, &err);
  if (!CHECK(status == should && strstr(err.text, words) != NULL))
    printf("status %d, \"%s\" is not about %s\n", (int)status, err.text, words);
  safetensors_close(s);
  byte_list_free(f);
}

static void refuse(const char *header, size_t n_data, sotto_status should, const char *words) {
  byte_list f = file_of(header, n_data);
  refuse_file(&f, should, words);
}

#define TENSOR(dtype, shape, offsets) "\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void refuse_tensor(const char *header, sotto_status should, const char *words) {
  refuse(header, 8, should, words);
}

static void test_bounds(void) {
  const sotto_status format = SOTTO_ERR_FORMAT, unsupported = SOTTO_ERR_UNSUPPORTED;
  refuse_tensor("{" TENSOR("\"F64\"", "[1]", "[0,8]") "}", unsupported, "the tensor w is of dtype F64");
  refuse_tensor("{" TENSOR("\"F8_E4M3\"", "[8]", "[0,8]") "}", unsupported, "dtype F8_E4M3");
  refuse_tensor("{" TENSOR("\"a\\nb\"", "[8]", "[0,8]") "}", format, "w has no dtype");
  refuse_tensor("{" TENSOR("16", "[8]", "[0,8]") "}", format, "w has no dtype");
  refuse_tensor("{\"w\":{}}", format, "w has no dtype");
  refuse_tensor("{\"w\":7}", format, "w has no dtype");
  refuse_tensor("{" TENSOR("\"F32\"", "2", "[0,8]") "}", format, "w has no shape");
  refuse_tensor("{" TENSOR("\"F32\"", "[2,1,1,1,1]", "[0,8]") "}", format, "w has no shape of up to 4");
  refuse_tensor("{" TENSOR("\"F32\"", "[-2]", "[0,8]") "}", format, "w has an impossible shape");
  refuse_tensor("{" TENSOR("\"F32\"", "[2.0]", "[0,8]") "}", format, "w has an impossible shape");
  refuse_tensor("{" TENSOR("\"F32\"", "[9223372036854775807]", "[0,8]") "}", format, "w has an impossible shape");
  refuse_tensor("{" TENSOR("\"F32\"", "[4294967296,4294967296]", "[0,8]") "}", format, "w has an impossible shape");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[0]") "}", format, "w has impossible offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[0,8,16]") "}", format, "w has impossible offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[8,0]") "}", format, "w has impossible offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[-8,0]") "}", format, "w has impossible offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[9223372036854775800,9223372036854775807]") "}", format, "offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "{\"a\":0,\"b\":8}") "}", format, "w has impossible offsets");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[0,7]") "}", format, "w takes 7 bytes, but its shape needs 8");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[4,12]") "}", format, "w begins at 4 of the data instead of 0");
  refuse_tensor("{" TENSOR("\"F32\"", "[1]", "[0,4]") "}", format, "goes on behind its last tensor");
  refuse_tensor("{" TENSOR("\"F32\"", "[2]", "[0,8]") "," TENSOR("\"F32\"", "[2]", "[0,8]") "}", format,
                "w is there twice");
  refuse_tensor(
      "{" TENSOR("\"F32\"", "[2]", "[0,8]") ",\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", format,
      "v begins at 4 of the data instead of 8");
  refuse_tensor("{" TENSOR("\"F32\"", "[1000000000000]", "[0,4000000000000]") "}", format, "inside tensor w");
  refuse_tensor("{\"\":{}}", format, "tensor 0 has a name of 0 bytes");
  refuse_tensor("{\"a b\":{}}", format, "tensor 0 has a name with bytes");
  refuse_tensor("{\"w\":{\"dtype\":\"F32\",}}", format, "the header is not valid JSON: line 1, column 21");
  refuse_tensor("{} {}", format, "more text follows");
  refuse_tensor("{", format, "claims 1 bytes");

  byte_list f = file_of("{}", 0);
  memcpy(f.bytes, &(uint64_t){100000001}, 8);
  refuse_file(&f, format, "claims 100000001 bytes");
  f = file_of("{}", 0);
  memcpy(f.bytes, &(uint64_t){UINT64_MAX}, 8);
  refuse_file(&f, format, "claims 18446744073709551615 bytes");
  f = file_of("{}", 0);
  memcpy(f.bytes, &(uint64_t){100000000}, 8);
  refuse_file(&f, format, "inside its header"); /* nothing allocated */
}

static void test_foreign_files(void) {
  const struct {
    const char *bytes;
    size_t n;
    const char *words;
  } files[] = {
      {"GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0", 17, "GGUF"},
      {"<!doctype html><html>", 21, "web page"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00", 55, "git lfs pull"},
      {"PK\3\4\x14\0\0\0\0\0\0\0", 12, "zip archive"},
      {"hello hello hello hello", 23, "not a safetensors file (it begins with 68 65 6c 6c)"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    byte_list f = {0};
    put_bytes(&f, files[i].bytes, files[i].n);
    refuse_file(&f, SOTTO_ERR_FORMAT, files[i].words);
  }
}

static void test_sink_failures(void) {
  tensor_record r;
  error err, again;
  byte_list f = file_of(small_header, SMALL_DATA);
  int n_calls = 1;
  for (int stop = 0; stop <= n_calls; stop++) {
    const tensor_sink sink = record_sink(&r);
    safetensors *s = safetensors_open(&sink);
    r.stop_at = stop;
    sotto_status status = safetensors_feed(s, f.bytes, f.size, &err);
    if (stop == 0) {
      CHECK(status == SOTTO_OK);
      n_calls = r.n_calls;
    } else {
      CHECK(status == SOTTO_ERR_MEMORY && strcmp(err.text, "stopped by the sink") == 0);
      CHECK(safetensors_feed(s, f.bytes, f.size, &again) == SOTTO_ERR_MEMORY && strcmp(err.text, again.text) == 0);
      CHECK(safetensors_finish(s, NULL) == SOTTO_ERR_MEMORY && r.n_calls == stop);
    }
    safetensors_close(s);
  }
  CHECK(n_calls == 1 + 5 * 3 - 1); /* one tensor has no data */
  byte_list_free(&f);
}

/* ---- a checkpoint ---- */

typedef struct sums { /* of the values of single tensors, computed by another reader */
  const char *name;
  int64_t dims[2];
  double first, last, sum;
  int n_seen;
} sums;

typedef struct checkpoint {
  tensor_record record;
  sums *open; /* NULL: a tensor that is not looked at */
  uint8_t odd[2];
  size_t n_odd, n_values; /* of the open tensor */
} checkpoint;

static sums golden[] = {
    {"model.embed_tokens.weight", {1024, 128}, -0.0279541015625, 0.0283203125, 55.167127534747124, 0},
    {"model.layers.6.self_attn.v_proj.weight", {64, 128}, -0.018798828125, 0.037109375, 8.055189430713654, 0},
    {"model.norm.weight", {128, 1}, 0.07666015625, 0.01611328125, -2.0485056042671204, 0},
};

static sotto_status golden_begin(void *context, const file_tensor *t, error *err) {
  checkpoint *c = context;
  c->open = NULL;
  c->n_odd = c->n_values = 0;
  for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
    if (strcmp(t->name, golden[i].name) != 0) continue;
    c->open = &golden[i];
    CHECK(t->dims[0] == golden[i].dims[0] && t->dims[1] == golden[i].dims[1]);
  }
  CHECK(t->type == DTYPE_BF16);
  return record_begin(&c->record, t, err);
}

static sotto_status golden_data(void *context, const void *bytes, size_t size, error *err) {
  checkpoint *c = context;
  const uint8_t *p = bytes;
  for (size_t i = 0; c->open != NULL && i < size; i++) {
    c->odd[c->n_odd++] = p[i];
    if (c->n_odd < 2) continue;
    c->n_odd = 0;
    float v;
    dequantize_row(DTYPE_BF16, c->odd, &v, 1);
    if (c->n_values++ == 0) CHECK((double)v == c->open->first);
    c->open->sum -= v;
    c->open->last -= c->n_values == (size_t)(c->open->dims[0] * c->open->dims[1]) ? v : 0;
  }
  return record_data(&c->record, bytes, size, err);
}

static sotto_status golden_header(void *context, error *err) {
  return record_header(&((checkpoint *)context)->record, err);
}
static sotto_status golden_end(void *context, error *err) {
  checkpoint *c = context;
  if (c->open != NULL) c->open->n_seen++;
  return record_end(&c->record, err);
}

static void test_checkpoint(void) {
  size_t size = 0;
  char *bytes = read_file("tests/fixtures/golden/gemma3-1b-shape/model.safetensors", &size);
  if (!CHECK(bytes != NULL)) return;
  checkpoint c = {.open = NULL};
  tensor_sink sink = record_sink(&c.record);
  sink = (tensor_sink){&c, golden_header, golden_begin, golden_data, golden_end};
  safetensors *s = safetensors_open(&sink);
  error err;
  for (size_t at = 0; at < size; at += 65521)
    CHECK(safetensors_feed(s, bytes + at, min_size(65521, size - at), &err) == SOTTO_OK);
  CHECK(safetensors_finish(s, &err) == SOTTO_OK && c.record.in_order && c.record.n_tensors == 93);
  CHECK(safetensors_file_bytes(s) == size);
  for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
    CHECK(golden[i].n_seen == 1 && golden[i].last == 0);
    CHECK_NEAR(golden[i].sum, 0, 1e-9);
  }
  safetensors_close(s);
  free(bytes);
}

/* ---- the index ---- */

static void refuse_index(const char *text, const char *words) {
  safetensors_index *x;
  error err = {""};
  CHECK(safetensors_index_open(&x, text, strlen(text), &err) == SOTTO_ERR_FORMAT && x == NULL);
  if (!CHECK(strstr(err.text, words) != NULL)) printf("\"%s\" is not about %s\n", err.text, words);
}

static void test_index(void) {
  const char text[] =
      "{\"metadata\":{\"total_size\":123},\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
      "\"b\":\"model-00002-of-00002.safetensors\",\"c\":\"model-00001-of-00002.safetensors\"}}";
  safetensors_index *x = NULL;
  CHECK(safetensors_index_open(&x, text, sizeof text - 1, NULL) == SOTTO_OK);
  CHECK(safetensors_index_n_tensors(x) == 3 && safetensors_index_n_files(x) == 2);
  CHECK(strcmp(safetensors_index_file(x, 0), "model-00001-of-00002.safetensors") == 0);
  CHECK(strcmp(safetensors_index_file(x, 1), "model-00002-of-00002.safetensors") == 0);
  safetensors_index_close(x);
  safetensors_index_close(NULL);
  refuse_index("{}", "no weight_map");
  refuse_index("[]", "no weight_map");
  refuse_index("{\"weight_map\":[\"a\"]}", "no weight_map");
  refuse_index("{\"weight_map\":{}", "truncated");
  refuse_index("{\"weight_map\":{\"a\":7}}", "not one of its folder");
  refuse_index("{\"weight_map\":{\"a\":\"../secret\"}}", "not one of its folder");
  refuse_index("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not one of its folder");
  refuse_index("{\"weight_map\":{\"a\":\"b\\\\c\"}}", "not one of its folder");
  refuse_index("{\"weight_map\":{\"a\":\"\"}}", "not one of its folder");
}

int main(void) {
  test_pieces();
  test_truncation();
  test_flips();
  test_bounds();
  test_foreign_files();
  test_sink_failures();
  test_checkpoint();
  test_index();
  return check_end();
}
