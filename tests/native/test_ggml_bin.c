/* The reader of ggml .bin files: a small file in pieces of every size, cut at every byte, with wrong numbers in every field;
 * foreign files named for what they are; the published files. */
#include "../../src/formats/ggml_bin.h"
#include "check.h"
#include "make_model.h"

/* ---- what comes out of the reader, and whether the calls come in order ---- */

typedef struct record {
  int n_headers, n_filters, n_tokens, n_vocabulary_ends, n_tensors, n_open;
  uint64_t hash; /* of everything delivered, in order; pieces of data do not matter */
  size_t left;   /* of the open tensor */
  bool in_order;
  ggml_bin_header header;
  ggml_bin_tensor tensor;
  int stop_at; /* the callback, counted from 1, that fails; 0: none */
  int n_calls;
} record;

static void add(record *r, const void *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) r->hash = (r->hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

static sotto_status may_stop(record *r, error *err) {
  if (++r->n_calls == r->stop_at) return fail(err, SOTTO_ERR_MEMORY, "stopped by the sink");
  return SOTTO_OK;
}

static sotto_status on_header(void *context, const ggml_bin_header *h, error *err) {
  record *r = context;
  r->in_order &= r->n_headers++ == 0;
  r->header = *h;
  add(r, h, sizeof *h);
  return may_stop(r, err);
}

static sotto_status on_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft, error *err) {
  record *r = context;
  r->in_order &= r->n_headers == 1 && r->n_filters++ == 0 && n_mel == r->header.n_mel && n_fft == 201;
  add(r, filters, (size_t)n_mel * (size_t)n_fft * sizeof *filters);
  return may_stop(r, err);
}

static sotto_status on_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  record *r = context;
  r->in_order &= r->n_filters == 1 && r->n_vocabulary_ends == 0 && id == r->n_tokens++;
  add(r, &bytes, sizeof bytes);
  add(r, text, bytes);
  return may_stop(r, err);
}

static sotto_status on_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  record *r = context;
  r->in_order &= r->n_vocabulary_ends++ == 0 && n_tokens == r->n_tokens;
  return may_stop(r, err);
}

static sotto_status on_tensor_begin(void *context, const ggml_bin_tensor *t, error *err) {
  record *r = context;
  r->in_order &= r->n_vocabulary_ends == 1 && r->n_open++ == 0;
  r->left = t->bytes;
  r->tensor = *t;
  add(r, t->name, strlen(t->name));
  add(r, &t->type, sizeof t->type);
  add(r, t->dims, sizeof t->dims);
  return may_stop(r, err);
}

static sotto_status on_tensor_data(void *context, const void *bytes, size_t size, error *err) {
  record *r = context;
  r->in_order &= r->n_open == 1 && size > 0 && size <= r->left;
  r->left -= size;
  add(r, bytes, size);
  return may_stop(r, err);
}

static sotto_status on_tensor_end(void *context, error *err) {
  record *r = context;
  r->in_order &= r->n_open-- == 1 && r->left == 0;
  r->n_tensors++;
  return may_stop(r, err);
}

static ggml_bin *open_reader(record *r, int stop_at) {
  memset(r, 0, sizeof *r);
  r->in_order = true;
  r->stop_at = stop_at;
  const ggml_bin_sink sink = {
      r, on_header, on_filters, on_token, on_vocabulary_end, on_tensor_begin, on_tensor_data, on_tensor_end};
  return ggml_bin_open(&sink);
}

static sotto_status feed_ggml_bin(void *reader, const void *bytes, size_t size, error *err) {
  return ggml_bin_feed(reader, bytes, size, err);
}

static sotto_status finish_ggml_bin(void *reader, error *err) { return ggml_bin_finish(reader, err); }

/* Reads `size` bytes in pieces of `piece` (0: one to 40, at random). */
static sotto_status read_all(const void *bytes, size_t size, size_t piece, record *r, error *err) {
  ggml_bin *b = open_reader(r, 0);
  const pushed_reader reader = {b, feed_ggml_bin, finish_ggml_bin};
  const sotto_status status = push_pieces(&reader, bytes, size, piece, err);
  CHECK(r->in_order);
  ggml_bin_close(b);
  return status;
}

/* ---- a small file with every kind of content ---- */

typedef struct places { /* offsets of what the tests spoil */
  size_t n_tokens, first_token, tensors, second_tensor, last_tensor;
} places;

static byte_list small_file(places *at) {
  const ggml_bin_header h = {20, 8, 32, 2, 1, 8, 64, 4, 1, 2, 2009};
  static float values[3 * 64 * 2];
  random_state random = {5};
  byte_list l = {0};
  random_fill(&random, values, sizeof values / sizeof *values, -1, 1);
  put_header(&l, &h);
  put_filters(&l, 2);
  at->n_tokens = l.size;
  put_i32(&l, 4);
  at->first_token = l.size;
  put_i32(&l, 1), put_bytes(&l, "a", 1);
  put_i32(&l, 0); /* an empty token: multilingual files have one */
  put_i32(&l, 3), put_bytes(&l, "\0\xff\n", 3);
  put_i32(&l, 2), put_bytes(&l, "zz", 2);
  at->tensors = l.size;
  put_tensor(&l, "bias", DTYPE_F32, 1, (int64_t[]){5}, values);
  at->second_tensor = l.size;
  put_tensor(&l, "matrix.weight", DTYPE_Q5_1, 2, (int64_t[]){3, 64}, values);
  at->last_tensor = l.size;
  put_tensor(&l, "conv", DTYPE_F16, 3, (int64_t[]){2, 3, 4}, values);
  return l;
}

static void test_pieces(void) {
  places at;
  record whole, r;
  error err;
  byte_list f = small_file(&at);
  CHECK(read_all(f.bytes, f.size, f.size, &whole, &err) == SOTTO_OK);
  CHECK(whole.n_tokens == 4 && whole.n_tensors == 3 && whole.header.n_text_state == 64 && whole.header.ftype == 2009);
  CHECK(strcmp(whole.tensor.name, "conv") == 0 && whole.tensor.rank == 3 && whole.tensor.bytes == 48);
  CHECK(whole.tensor.dims[0] == 2 && whole.tensor.dims[1] == 3 && whole.tensor.dims[2] == 4 &&
        whole.tensor.dims[3] == 1);
  for (size_t piece = 0; piece < 200; piece++) {
    CHECK(read_all(f.bytes, f.size, piece, &r, &err) == SOTTO_OK);
    CHECK(r.hash == whole.hash && r.n_tensors == 3);
  }

  ggml_bin *b = open_reader(&r, 0);
  CHECK(ggml_bin_feed(b, NULL, 0, &err) == SOTTO_OK); /* an empty piece changes nothing */
  CHECK(ggml_bin_feed(b, f.bytes, f.size, NULL) == SOTTO_OK && ggml_bin_finish(b, NULL) == SOTTO_OK);
  CHECK(ggml_bin_feed(b, f.bytes, 1, &err) == SOTTO_ERR_ARGUMENT);
  ggml_bin_close(b);
  ggml_bin_close(NULL);
  byte_list_free(&f);
}

static void test_truncation(void) {
  places at;
  record r;
  error err;
  byte_list f = small_file(&at);
  for (size_t size = 0; size < f.size; size++) {
    bool between =
        size == at.second_tensor || size == at.last_tensor; /* the reader cannot know how many tensors come */
    sotto_status status = read_all(f.bytes, size, 0, &r, &err);
    if (!CHECK(status == (between ? SOTTO_OK : SOTTO_ERR_FORMAT))) printf("cut at %zu: %s\n", size, err.text);
    if (size > 0 && !between) CHECK(strstr(err.text, "truncated") != NULL);
  }
  CHECK(read_all(f.bytes, at.last_tensor - 1, 0, &r, &err) < 0 && strstr(err.text, "inside tensor matrix.weight"));
  CHECK(read_all(f.bytes, at.first_token + 2, 0, &r, &err) < 0 && strstr(err.text, "vocabulary, at token 0 of 4"));
  CHECK(read_all(f.bytes, at.last_tensor + 3, 0, &r, &err) < 0 && strstr(err.text, "just after tensor matrix.weight"));
  byte_list_free(&f);
}

/* Any byte may be wrong: what is delivered stays in order and in bounds (the sanitizers watch). */
static void test_flips(void) {
  places at;
  record r;
  error err;
  byte_list f = small_file(&at);
  for (size_t i = 0; i < f.size; i++) {
    uint8_t old = f.bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      f.bytes[i] = (uint8_t)(old ^ 1 << bit);
      sotto_status status = read_all(f.bytes, f.size, 97, &r, &err);
      if (i < 4) CHECK(status == SOTTO_ERR_FORMAT);
    }
    f.bytes[i] = old;
  }
  byte_list_free(&f);
}

/* One number spoiled: refused with the right status, in words that name the thing. */
static void refuse(size_t at, int64_t value, sotto_status should, const char *words) {
  places unused;
  record r;
  error err;
  byte_list f = small_file(&unused);
  int32_t v = (int32_t)value;
  memcpy(f.bytes + at, &v, 4);
  sotto_status status = read_all(f.bytes, f.size, 0, &r, &err);
  if (!CHECK(status == should && strstr(err.text, words) != NULL))
    printf("%lld at %zu: status %d, \"%s\"\n", (long long)value, at, (int)status, err.text);
  byte_list_free(&f);
}

static void test_bounds(void) {
  places at;
  byte_list f = small_file(&at);
  byte_list_free(&f);
  const char *names[] = {"n_vocab",    "n_audio_ctx",  "n_audio_state", "n_audio_head", "n_audio_layer",
                         "n_text_ctx", "n_text_state", "n_text_head",   "n_text_layer", "n_mel"};
  for (size_t i = 0; i < 10; i++) {
    refuse(4 + 4 * i, 0, SOTTO_ERR_FORMAT, names[i]);
    refuse(4 + 4 * i, -1, SOTTO_ERR_FORMAT, names[i]);
    refuse(4 + 4 * i, INT32_MAX, SOTTO_ERR_FORMAT, names[i]);
  }
  refuse(16, 3, SOTTO_ERR_FORMAT, "heads");
  refuse(44, -1, SOTTO_ERR_FORMAT, "ftype");
  refuse(44, 2005, SOTTO_ERR_UNSUPPORTED, "kind 5");
  refuse(44, 2099, SOTTO_ERR_UNSUPPORTED, "kind 99");
  refuse(44, 9, SOTTO_ERR_UNSUPPORTED, "version 0"); /* q5_1 before its layout was settled */
  refuse(44, 1002, SOTTO_ERR_UNSUPPORTED, "version 1");
  refuse(48, 80, SOTTO_ERR_FORMAT, "mel filters are 80 x 201 instead of 2 x 201");
  refuse(52, 400, SOTTO_ERR_FORMAT, "mel filters");
  refuse(56, 0x7fc00000, SOTTO_ERR_FORMAT, "mel filter holds");
  refuse(at.n_tokens, 21, SOTTO_ERR_FORMAT, "vocabulary has 21 tokens");
  refuse(at.n_tokens, -1, SOTTO_ERR_FORMAT, "vocabulary has -1 tokens");
  refuse(at.first_token, 1025, SOTTO_ERR_FORMAT, "token 0 is 1025 bytes");
  refuse(at.first_token, -1, SOTTO_ERR_FORMAT, "token 0 is");
  refuse(at.tensors, 0, SOTTO_ERR_FORMAT, "after the vocabulary comes a tensor of 0 dimensions");
  refuse(at.tensors, 4, SOTTO_ERR_FORMAT, "of 4 dimensions");
  refuse(at.second_tensor + 4, 0, SOTTO_ERR_FORMAT, "after bias comes a tensor of 2 dimensions with a name of 0");
  refuse(at.second_tensor + 4, 64, SOTTO_ERR_FORMAT, "a name of 64");
  refuse(at.second_tensor + 8, 5, SOTTO_ERR_UNSUPPORTED, "type 5"); /* a number ggml has given up */
  refuse(at.second_tensor + 8, -1, SOTTO_ERR_UNSUPPORTED, "type 4294967295");
  refuse(at.second_tensor + 8, DTYPE_IQ4_NL, SOTTO_ERR_UNSUPPORTED, "type 20"); /* GGUF alone has it */
  refuse(at.second_tensor + 8, DTYPE_BF16, SOTTO_ERR_UNSUPPORTED, "type 30");
  refuse(at.second_tensor + 12, 63, SOTTO_ERR_FORMAT, "matrix.weight has rows of 63 elements, which q5_1 cannot hold");
  refuse(at.second_tensor + 12, 0, SOTTO_ERR_FORMAT, "matrix.weight has an impossible shape");
  refuse(at.second_tensor + 16, -3, SOTTO_ERR_FORMAT, "matrix.weight has an impossible shape");
  refuse(at.second_tensor + 16, INT32_MAX, SOTTO_ERR_FORMAT, /* nothing allocated; more bytes than 32 bits count */
         sizeof(size_t) == 4 ? "which q5_1 cannot hold" : "ends inside tensor matrix.weight");
  refuse(at.second_tensor + 20, 0x01020304, SOTTO_ERR_FORMAT, "has a name with a byte");

  /* A product of dimensions beyond any address. */
  record r;
  error err;
  byte_list l = small_file(&at);
  l.size = at.second_tensor;
  put_tensor_header(&l, "vast", DTYPE_F32, 3, (int64_t[]){INT32_MAX, INT32_MAX, INT32_MAX});
  CHECK(read_all(l.bytes, l.size, 0, &r, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "vast has") != NULL);
  byte_list_free(&l);
}

/* The sink's own failure comes through, at every callback, and stays. */
static void test_sink_failures(void) {
  places at;
  record r;
  error err, again;
  byte_list f = small_file(&at);
  int n_calls = 1;
  for (int stop = 1; stop <= n_calls; stop++) {
    ggml_bin *b = open_reader(&r, 0);
    if (stop == 1 && CHECK(ggml_bin_feed(b, f.bytes, f.size, &err) == SOTTO_OK)) n_calls = r.n_calls;
    ggml_bin_close(b);
    b = open_reader(&r, stop);
    CHECK(ggml_bin_feed(b, f.bytes, f.size, &err) == SOTTO_ERR_MEMORY && strcmp(err.text, "stopped by the sink") == 0);
    CHECK(ggml_bin_feed(b, f.bytes, f.size, &again) == SOTTO_ERR_MEMORY && strcmp(err.text, again.text) == 0);
    CHECK(ggml_bin_finish(b, NULL) == SOTTO_ERR_MEMORY && r.n_calls == stop);
    ggml_bin_close(b);
  }
  CHECK(n_calls == 1 + 1 + 4 + 1 + 3 * 3);
  byte_list_free(&f);
}

static void test_foreign_files(void) {
  const struct {
    const char *bytes;
    size_t n;
    const char *words;
  } files[] = {
      {"", 0, "empty"},
      {"GGUF\3\0\0\0", 8, "GGUF"},
      {"PK\3\4\x14\0\0\0", 8, "zip archive"},
      {"\x80\2}q\0", 5, "PyTorch"},
      {"\x40\x12\0\0\0\0\0\0{\"__metadata__\":", 24, "safetensors"},
      {"<!doctype html><html>", 21, "web page"},
      {"\n  <?xml version=\"1.0\"?><Error>", 31, "web page"},
      {"\xef\xbb\xbf<html>", 9, "web page"},
      {"{\"error\":\"Not found\"}", 21, "JSON"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00", 55, "git lfs pull"},
      {"\x08\x07\x12\x07pytorch", 11, "ONNX"},
      {"\x1f\x8b\x08\0", 4, "gzip"},
      {"RIFF\0\0\0\0WAVE", 12, "sound file"},
      {"ggml\0\0\0\0", 8, "big-endian"},
      {"\0\0\0\0\0\0\0\0\0\0", 10, "zeros"},
      {"hello", 5, "68 65 6c 6c"},
      {"x", 1, "78 00 00 00"},
      {"lmgx", 4, "6c 6d 67 78"},
      {"Entry not found", 15, "45 6e 74 72"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    uint8_t padded[4096] = {0}; /* as the beginning of a larger file, and as the whole of a small one */
    record r;
    error err;
    memcpy(padded, files[i].bytes, files[i].n);
    if (!CHECK(read_all(files[i].bytes, files[i].n, 0, &r, &err) == SOTTO_ERR_FORMAT &&
               strstr(err.text, files[i].words)))
      printf("\"%s\" is not about %s\n", err.text, files[i].words);
    if (files[i].n == 0) continue;
    if (!CHECK(read_all(padded, sizeof padded, 0, &r, &err) == SOTTO_ERR_FORMAT && strstr(err.text, files[i].words)))
      printf("\"%s\" is not about %s\n", err.text, files[i].words);
  }
}

static void test_published_file(const char *path, int32_t n_vocab, int32_t d, int32_t n_layer, uint32_t type) {
  if (!file_exists(path)) {
    skip(path);
    return;
  }
  model_file f = model_file_read(path);
  if (!CHECK(f.bytes != NULL)) {
    printf("%s: %s\n", path, f.err.text);
    return;
  }
  const ggml_bin_header *h = &f.header;
  CHECK(h->n_vocab == n_vocab && h->n_audio_ctx == 1500 && h->n_text_ctx == 448 && h->n_mel == 80);
  CHECK(h->n_audio_state == d && h->n_text_state == d && h->n_audio_head == d / 64 && h->n_text_head == d / 64);
  CHECK(h->n_audio_layer == n_layer && h->n_text_layer == n_layer);
  CHECK(f.n_tokens == 50257); /* the special ones are not stored */

  CHECK(f.n_tensors == 11 + n_layer * (15 + 24));
  size_t total = 0;
  for (int32_t i = 0; i < f.n_tensors; i++) total += f.tensors[i].is.bytes;
  size_t matrices = (size_t)d * (size_t)(n_vocab + n_layer * (12 + 16) * d), convs = (size_t)(3 * d * (80 + d));
  size_t vectors = (size_t)(d * (1500 + 448 + 2 + n_layer * (12 + 17) + 4)); /* positions, biases, norms */
  CHECK(total == dtype_row_bytes(type, matrices) + 2 * convs + 4 * vectors);
  const struct {
    const char *name;
    uint32_t type;
    int64_t dims[3];
  } some[] = {
      {"encoder.positional_embedding", DTYPE_F32, {1500, d, 1}},
      {"encoder.conv1.weight", DTYPE_F16, {d, 80, 3}},
      {"encoder.conv1.bias", DTYPE_F32, {d, 1, 1}},
      {"encoder.conv2.weight", DTYPE_F16, {d, d, 3}},
      {"encoder.blocks.0.mlp.0.weight", type, {4 * d, d, 1}},
      {"encoder.blocks.3.mlp.2.weight", type, {d, 4 * d, 1}},
      {"encoder.ln_post.weight", DTYPE_F32, {d, 1, 1}},
      {"decoder.positional_embedding", DTYPE_F32, {448, d, 1}},
      {"decoder.token_embedding.weight", type, {n_vocab, d, 1}},
      {"decoder.blocks.1.cross_attn.key.weight", type, {d, d, 1}},
      {"decoder.blocks.2.mlp.0.bias", DTYPE_F32, {4 * d, 1, 1}},
  };
  for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
    const model_tensor *t = model_file_tensor(&f, some[i].name);
    if (!CHECK(t != NULL)) continue;
    if (!CHECK(t->is.type == some[i].type && memcmp(t->is.dims, some[i].dims, sizeof some[i].dims) == 0))
      printf("%s: %s [%d, %d, %d]\n", some[i].name, dtype_name(t->is.type), (int)t->is.dims[0], (int)t->is.dims[1],
             (int)t->is.dims[2]);
  }

  /* The same in pieces, as a download brings them. */
  record whole, r;
  error err;
  CHECK(read_all(f.bytes, f.size, f.size, &whole, &err) == SOTTO_OK);
  CHECK(read_all(f.bytes, f.size, 65521, &r, &err) == SOTTO_OK && r.hash == whole.hash);
  CHECK(read_all(f.bytes, f.size / 2, 1 << 20, &r, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "ends inside tensor"));
  model_file_free(&f);
}

static void test_random_model(void) {
  record r;
  error err;
  ggml_bin_header h = model_shape_small();
  h.n_vocab = 400;
  for (uint32_t type = 0; type <= DTYPE_Q6_K; type++) {
    if (dtype_block_elements(type) == 0) continue;
    byte_list m = model_random(h, type, 6);
    CHECK(read_all(m.bytes, m.size, 4099, &r, &err) == SOTTO_OK);
    CHECK(r.n_tensors == 11 + 2 * (15 + 24) && r.header.n_audio_state == 256);
    byte_list_free(&m);
  }
}

int main(void) {
  test_pieces();
  test_truncation();
  test_flips();
  test_bounds();
  test_sink_failures();
  test_foreign_files();
  test_random_model();
  test_published_file("models/ggml-tiny.bin", 51865, 384, 4, DTYPE_F16);
  test_published_file("models/ggml-tiny-q5_1.bin", 51865, 384, 4, DTYPE_Q5_1);
  test_published_file("models/ggml-base.en.bin", 51864, 512, 6, DTYPE_F16);
  return check_end();
}
