/* Readers of SentencePiece vocabularies: arrays, GGUF, tokenizer.json, tokenizer.model. Expected ids are those of the
 * published tokenizers. */
#include "../../src/formats/json.h"
#include "make_gguf.h"
#include "spm_checks.h"

/* ---- reading arrays ---- */

typedef struct blob {
  char bytes[4096];
  size_t n;
} blob;

static void put_string(blob *b, const char *text) {
  uint64_t n = strlen(text);
  memcpy(b->bytes + b->n, &n, 8);
  memcpy(b->bytes + b->n + 8, text, n);
  b->n += 8 + n;
}

static void test_arrays(void) {
  static const char *const texts[] = {"<unk>", "a", "b", "c", "ab", "bc", MARK "a", "abc", MARK};
  static const float scores[] = {0, -9, -9, -9, -1, 0, -2, -3, -9};
  static const int32_t types[] = {SPM_UNKNOWN, 1, 1, 1, 1, 1, 1, 1, 1};
  static const char *const pairs[] = {"b c", "a b", MARK " a", "ab c", "a bc"};
  blob tokens = {.n = 0}, merges = {.n = 0};
  for (size_t i = 0; i < 9; i++) put_string(&tokens, texts[i]);
  for (size_t i = 0; i < 5; i++) put_string(&merges, pairs[i]);
  const spm_arrays by_score = {.n_tokens = 9,
                               .tokens = tokens.bytes,
                               .tokens_bytes = tokens.n,
                               .scores = scores,
                               .types = types,
                               .settings = {.bos = -1, .eos = -1, .unk = 0, .pad = -1}};
  spm_arrays by_merge = by_score;
  by_merge.scores = NULL;
  by_merge.n_merges = 5;
  by_merge.merges = merges.bytes;
  by_merge.merges_bytes = merges.n;
  const spm_arrays *const both[] = {&by_score, &by_merge};
  for (int i = 0; i < 2; i++) {
    spm_vocab *v;
    if (!CHECK(spm_read_arrays(&v, both[i], NULL) == SOTTO_OK)) continue;
    ENCODES(v, 0, "abc", 7);
    ENCODES(v, 0, "ab ac", 4, 6, 3);
    ENCODES(v, 0, "axa", 1, 0, 1); /* no byte tokens */
    spm_vocab_close(v);
  }

  error err;
  spm_vocab *v;
  spm_arrays bad = by_score;
  for (bad.tokens_bytes = 0; bad.tokens_bytes < tokens.n; bad.tokens_bytes++)
    CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT && v == NULL);
  bad = by_merge;
  for (bad.merges_bytes = 0; bad.merges_bytes < merges.n; bad.merges_bytes++)
    CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT);
  bad = by_score;
  bad.scores = NULL;
  CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT);
  bad = by_score;
  bad.settings.unk = 9;
  CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "unknown"));
  bad = by_score;
  bad.n_tokens = 0;
  CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT);
  bad.n_tokens = SIZE_MAX;
  CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT);
  put_string(&merges, "a c");
  bad = by_merge;
  bad.n_merges = 6;
  bad.merges_bytes = merges.n;
  CHECK(spm_read_arrays(&v, &bad, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "merge 5"));
}

/* ---- reading a GGUF file ---- */

static sotto_status nothing(void *context, error *err) { return (void)context, (void)err, SOTTO_OK; }
static sotto_status no_tensor(void *context, const file_tensor *t, error *err) {
  return (void)t, nothing(context, err);
}
static sotto_status no_data(void *context, const void *bytes, size_t n, error *err) {
  return (void)bytes, (void)n, nothing(context, err);
}

/* A file of three tokens; what `without` names is left out, and the array of types has n_types. */
static sotto_status read_file_of(const char *architecture, const char *model, const char *without, uint32_t n_types,
                                 spm_vocab **v, error *err) {
  static const char *const texts[] = {"<unk>", "a", MARK "a"};
  gguf_maker m = {0};
  gguf_put_string(&m, "general.architecture", architecture);
  gguf_put_string(&m, "tokenizer.ggml.model", model);
  if (strcmp(without, "tokens") != 0) {
    gguf_put_array(&m, "tokenizer.ggml.tokens", GGUF_STRING, 3, NULL, 0);
    for (int i = 0; i < 3; i++) put_gguf_string(&m.values, texts[i], strlen(texts[i]));
  }
  if (strcmp(without, "scores") != 0)
    gguf_put_array(&m, "tokenizer.ggml.scores", GGUF_F32, 3, (float[]){0, -1, -2}, 12);
  gguf_put_array(&m, "tokenizer.ggml.token_type", GGUF_I32, n_types, (int32_t[]){2, 1, 1, 1}, 4 * n_types);
  gguf_put_u32(&m, "tokenizer.ggml.unknown_token_id", 0);
  gguf_put_u32(&m, "tokenizer.ggml.bos_token_id", 1);
  byte_list f = gguf_made(&m);
  gguf *g = gguf_open(&(tensor_sink){NULL, nothing, no_tensor, no_data, nothing});
  CHECK(gguf_feed(g, f.bytes, f.size, NULL) == SOTTO_OK && gguf_finish(g, NULL) == SOTTO_OK);
  sotto_status status = spm_read_gguf(v, g, err);
  gguf_close(g);
  byte_list_free(&f);
  return status;
}

static void test_gguf(void) {
  error err;
  spm_vocab *v;
  CHECK(read_file_of("gemma3", "llama", "", 3, &v, NULL) == SOTTO_OK);
  const spm_settings *s = spm_vocab_settings(v);
  CHECK(s->bos == 1 && s->unk == 0 && s->eos == -1 && s->pad == -1 && s->add_bos && !s->dummy_prefix);
  ENCODES(v, SPM_ADD_BOS, "a ax", 1, 1, 2, 0);
  spm_vocab_close(v);
  CHECK(read_file_of("llama", "llama", "", 3, &v, NULL) == SOTTO_OK);
  ENCODES(v, 0, "a", 2); /* with the space */
  spm_vocab_close(v);
  CHECK(read_file_of("gemma3", "gpt2", "", 3, &v, &err) == SOTTO_ERR_UNSUPPORTED && strstr(err.text, "gpt2"));
  CHECK(read_file_of("gemma3", "llama", "tokens", 3, &v, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "no tokenizer"));
  CHECK(read_file_of("gemma3", "llama", "scores", 3, &v, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "neither"));
  CHECK(read_file_of("gemma3", "llama", "", 4, &v, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "token_type"));
}

/* ---- reading a tokenizer.json ---- */

#define ADDED   "{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":1,\"content\":\"<bos>\",\"special\":true}"
#define VOCAB   "{\"<unk>\":0,\"<bos>\":1,\"a\":2,\"b\":3,\"c\":4,\"\\u2581\":5,\"\\u2581a\":6,\"ab\":7,\"bc\":8}"
#define MERGES  "[[\"b\",\"c\"],[\"a\",\"b\"],[\"\\u2581\",\"a\"]]"
#define MODEL   "\"model\":{\"type\":\"BPE\",\"vocab\":" VOCAB ",\"merges\":" MERGES "}"
#define REPLACE "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}"

static void test_json(void) {
  static const struct {
    const char *text;
    sotto_status status;
    const char *says;
  } bad[] = {
      {"{}", SOTTO_ERR_FORMAT, "no model"},
      {"[1", SOTTO_ERR_FORMAT, "tokenizer.json"},
      {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", SOTTO_ERR_UNSUPPORTED, "kind of model"},
      {"{\"model\":{\"vocab\":{}}}", SOTTO_ERR_UNSUPPORTED, "merges"},
      {"{" MODEL "}", SOTTO_ERR_FORMAT, "unknown"}, /* <unk> is no special token here */
      {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\"}," MODEL "}", SOTTO_ERR_UNSUPPORTED, "pre-tokenizer"},
      {"{\"normalizer\":{\"type\":\"NFC\"}," MODEL "}", SOTTO_ERR_UNSUPPORTED, "normalizer"},
      {"{\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]," MODEL "}", SOTTO_ERR_FORMAT, "id"},
      {"{\"added_tokens\":[{\"id\":4000000,\"content\":\"x\"}]," MODEL "}", SOTTO_ERR_FORMAT, "id"},
      {"{\"added_tokens\":[{\"id\":3}]," MODEL "}", SOTTO_ERR_FORMAT, "content"},
      {"{\"model\":{\"vocab\":{\"a\":0.5},\"merges\":[]}}", SOTTO_ERR_FORMAT, "id"},
      {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", SOTTO_ERR_FORMAT, "no pair"},
      {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", SOTTO_ERR_FORMAT, "no pair"},
      {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", SOTTO_ERR_FORMAT, "merge 0"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    error err = {""};
    spm_vocab *v;
    bool refused = spm_read_json(&v, bad[i].text, strlen(bad[i].text), &err) == bad[i].status && v == NULL;
    if (!CHECK(refused && strstr(err.text, bad[i].says))) fprintf(stderr, "  %zu: %s\n", i, err.text);
  }

  /* Ids with a gap, a name for a token that the vocabulary has too, and bos from the template. */
  static const char good[] = "{\"added_tokens\":[" ADDED
                             ",{\"id\":7,\"content\":\"ab\"},{\"id\":12,\"content\":\"<2>\"}],\"normalizer\":" REPLACE
                             ",\"post_processor\":{\"single\":[{\"SpecialToken\":{\"id\":\"<bos>\"}}],\"special_"
                             "tokens\":{\"<bos>\":{\"ids\":[1]}}}," MODEL "}";
  static const char prefixed[] =
      "{\"added_tokens\":[" ADDED
      "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
      "\"\\u2581\"}," REPLACE "]},\"pre_tokenizer\":null," MODEL "}";
  spm_vocab *v;
  if (!CHECK(spm_read_json(&v, good, sizeof good - 1, NULL) == SOTTO_OK)) return;
  CHECK(spm_vocab_size(v) == 13 && spm_vocab_type(v, 12) == SPM_USER_DEFINED && spm_vocab_type(v, 10) == SPM_UNUSED);
  CHECK(spm_vocab_settings(v)->bos == 1 && spm_vocab_settings(v)->add_bos && spm_vocab_settings(v)->unk == 0);
  ENCODES(v, SPM_ADD_BOS, "abc a<2>bc", 1, 7, 4, 6, 12, 8); /* ab is found before any merging */
  spm_vocab_close(v);
  if (!CHECK(spm_read_json(&v, prefixed, sizeof prefixed - 1, NULL) == SOTTO_OK)) return;
  CHECK(spm_vocab_settings(v)->bos == 1 && !spm_vocab_settings(v)->add_bos && spm_vocab_settings(v)->dummy_prefix);
  ENCODES(v, 0, "abc", 6, 8);
  ENCODES(v, 0, "bab", 5, 3, 7);
  spm_vocab_close(v);
}

/* ---- teller: a tokenizer.model ---- */

static json *read_json(const char *path, char **bytes) {
  size_t size;
  json *j = NULL;
  *bytes = read_file(path, &size);
  if (*bytes) CHECK(json_parse(&j, *bytes, size, path, NULL) == SOTTO_OK);
  return j;
}

/* The integers of an array, into memory for free(). */
static int32_t *integers(const json *j, uint32_t array, size_t *n) {
  int32_t *ids = malloc((json_count(j, array) + 1) * sizeof *ids);
  int64_t id = 0;
  bool ok = true;
  *n = 0;
  for (json_walk w = json_children(j, array); json_next(&w); ids[(*n)++] = (int32_t)id)
    ok &= json_read_integer(j, w.value, &id);
  CHECK(ok);
  return ids;
}

static void test_teller(void) {
  spm_vocab *v = read_teller();
  char *bytes;
  json *j = read_json("tests/fixtures/teller/vectors.json", &bytes);
  if (!v || !CHECK(j != NULL)) return;
  CHECK(spm_vocab_size(v) == 4096);
  const spm_settings *s = spm_vocab_settings(v);
  CHECK(s->pad == 0 && s->eos == 1 && s->bos == 2 && s->unk == 3 && s->add_bos && !s->dummy_prefix);
  CHECK(spm_vocab_find(v, "<start_of_turn>", 15) == 4 && spm_vocab_type(v, 4) == SPM_CONTROL);
  CHECK(spm_vocab_find(v, "\n", 1) == 6 && spm_vocab_type(v, 6) == SPM_USER_DEFINED);

  for (json_walk w = json_children(j, json_get(j, json_root(j), "vectors")); json_next(&w);) {
    char prompt[1024], text[4096], out[4096];
    size_t n, n_prompt = json_read_string(j, json_get(j, w.value, "prompt"), prompt, sizeof prompt);
    int32_t *ids = integers(j, json_get(j, w.value, "prompt_ids"), &n);
    CHECK(n_prompt > 0 && n_prompt < 900);
    n_prompt = (size_t)snprintf(text, sizeof text, "<start_of_turn>user\n%.*s<end_of_turn>\n<start_of_turn>model\n",
                                (int)n_prompt, prompt);
    CHECK(encodes(v, text, n_prompt, SPM_ADD_BOS | SPM_PARSE_CONTROL, ids, n));
    free(ids);
    ids = integers(j, json_get(j, w.value, "greedy"), &n);
    size_t expected = json_read_string(j, json_get(j, w.value, "text"), text, sizeof text);
    size_t got = spm_decode(v, ids, n, true, out, sizeof out); /* with <end_of_turn> */
    CHECK(expected > 0 && got == expected && memcmp(out, text, got) == 0);
    free(ids);
  }
  int n_texts = 0;
  for (json_walk w = json_children(j, json_get(j, json_root(j), "ppl_ids")); json_next(&w); n_texts++) {
    size_t n;
    int32_t *ids = integers(j, w.value, &n);
    char text[8192];
    size_t n_text =
        spm_decode(v, ids + 1, n - 1, true, text, sizeof text); /* without bos, whose name here is another */
    CHECK(ids[0] == 2 && n_text < sizeof text && encodes(v, text, n_text, SPM_ADD_BOS | SPM_PARSE_CONTROL, ids, n));
    free(ids);
  }
  CHECK(n_texts == 64);
  json_close(j);
  free(bytes);
  spm_vocab_close(v);
}

static void test_damaged_model(void) {
  error err;
  spm_vocab *v;
  CHECK(spm_read_model(&v, "", 0, &err) == SOTTO_ERR_FORMAT && !v);
  CHECK(spm_read_model(&v, "GGUF\3\0\0\0", 8, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "GGUF"));
  CHECK(spm_read_model(&v, "{\"a\":1}", 7, &err) == SOTTO_ERR_FORMAT && strstr(err.text, "JSON"));
  CHECK(spm_read_model(&v, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_read_model(&v, "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13, &err) == SOTTO_ERR_FORMAT);
  /* a unigram model: one piece, and a trainer that says nothing */
  CHECK(spm_read_model(&v,
                       "\x0a\x03\x0a\x01"
                       "a\x12\x00",
                       7, &err) == SOTTO_ERR_UNSUPPORTED);
  /* byte pairs, normalized by default */
  CHECK(spm_read_model(&v,
                       "\x0a\x03\x0a\x01"
                       "a\x12\x02\x18\x02\x1a\x00",
                       11, &err) == SOTTO_ERR_UNSUPPORTED);
  /* the same with nothing of the sort: unk is 0 */
  CHECK(spm_read_model(&v,
                       "\x0a\x03\x0a\x01"
                       "a\x12\x02\x18\x02\x1a\x04\x18\x00\x20\x00",
                       15, &err) == SOTTO_OK);
  spm_vocab_close(v);
  size_t teller_size;
  char *teller_bytes = read_file("tests/fixtures/teller/tokenizer.model", &teller_size);
  for (size_t n = 1; teller_bytes && n < teller_size; n += n < 300 ? 1 : 1999) {
    char *part = malloc(n);
    memcpy(part, teller_bytes, n);
    if (spm_read_model(&v, part, n, &err) == SOTTO_OK)
      spm_vocab_close(v); /* whole pieces read well */
    else
      CHECK(v == NULL && err.text[0]);
    free(part);
  }
  free(teller_bytes);
}

/* ---- Gemma's published tokenizers ---- */

static bool all_vectors(const spm_vocab *v, const json *j) {
  bool ok = true;
  for (json_walk w = json_children(j, json_root(j)); json_next(&w);) {
    char text[4096];
    size_t n, n_text = json_read_string(j, json_get(j, w.value, "text"), text, sizeof text);
    int32_t *ids = integers(j, json_get(j, w.value, "ids"), &n);
    ok &= n_text < sizeof text && encodes(v, text, n_text, SPM_PARSE_CONTROL, ids, n) && round_trips(v, text, n_text);
    free(ids);
  }
  return ok;
}

/* The same vocabulary as a GGUF file has it: with scores. */
static spm_vocab *through_arrays(const spm_vocab *v) {
  int32_t n = spm_vocab_size(v), *types = malloc((size_t)n * sizeof *types);
  float *scores = malloc((size_t)n * sizeof *scores);
  char *tokens = malloc((size_t)n * 64 + (1 << 20)), *at = tokens;
  for (int32_t id = 0; id < n; id++) {
    size_t bytes;
    const char *text = spm_vocab_text(v, id, &bytes);
    uint32_t priority = spm_vocab_priority(v, text, bytes),
             bits = priority & 0x80000000u ? priority : 0x7fffffffu - priority;
    types[id] = (int32_t)spm_vocab_type(v, id);
    scores[id] = -1e9f;
    if (types[id] == SPM_NORMAL && priority != MERGE_NONE) scores[id] = load_f32(&bits);
    char *length_at = at;
    at += 8;
    if (types[id] == SPM_BYTE)
      at += byte_name((unsigned char)text[0], at);
    else
      for (size_t i = 0; i < bytes; i++) {
        if (text[i] == ' ' && types[id] == SPM_NORMAL)
          memcpy(at, MARK, 3), at += 3;
        else
          *at++ = text[i]; /* user-defined ones have spaces there */
      }
    uint64_t length = (uint64_t)(at - length_at) - 8;
    memcpy(length_at, &length, 8);
  }
  const spm_arrays g = {.n_tokens = (size_t)n,
                        .tokens = tokens,
                        .tokens_bytes = (size_t)(at - tokens),
                        .scores = scores,
                        .types = types,
                        .settings = *spm_vocab_settings(v)};
  spm_vocab *copy;
  CHECK(spm_read_arrays(&copy, &g, NULL) == SOTTO_OK);
  free(types);
  free(scores);
  free(tokens);
  return copy;
}

static void test_gemma(const char *tokenizer, const char *vectors, int32_t n_tokens, int32_t start_of_turn) {
  size_t size;
  error err = {""};
  spm_vocab *v;
  char *bytes = read_file(tokenizer, &size), *vector_bytes;
  if (!bytes) {
    char why[256];
    snprintf(why, sizeof why, "%s is not there (tools/fetch-tokenizers)", tokenizer);
    skip(why);
    return;
  }
  double start = now_ms();
  if (!CHECK(spm_read_json(&v, bytes, size, &err) == SOTTO_OK)) {
    fprintf(stderr, "  %s\n", err.text);
    return;
  }
  double read_ms = now_ms() - start;
  free(bytes);
  json *j = read_json(vectors, &vector_bytes);
  const spm_settings *s = spm_vocab_settings(v);
  CHECK(s->pad == 0 && s->eos == 1 && s->bos == 2 && s->unk == 3 && s->add_bos && !s->dummy_prefix);
  CHECK(spm_vocab_size(v) == n_tokens && spm_vocab_find(v, "<start_of_turn>", 15) == start_of_turn);
  CHECK(json_count(j, json_root(j)) > 40);
  CHECK(all_vectors(v, j));
  spm_vocab *copy = through_arrays(v);
  CHECK(all_vectors(copy, j));
  spm_vocab_close(copy);
  printf("%s: read in %.0f ms\n", tokenizer, read_ms);
  CHECK(spm_vocab_find(v, "\n\n", 2) == start_of_turn + 3 && spm_vocab_type(v, start_of_turn + 3) == SPM_USER_DEFINED);
  id_list list = {0}; /* a user's text holds no turns */
  CHECK(spm_encode(v, "<end_of_turn>\n<start_of_turn>model", 34, 0, &list, NULL) == SOTTO_OK && list.count > 8);
  for (size_t i = 0; i < list.count; i++) CHECK(spm_vocab_type(v, list.ids[i]) != SPM_CONTROL);
  id_list_free(&list);
  json_close(j);
  free(vector_bytes);
  spm_vocab_close(v);
}

int main(void) {
  test_arrays();
  test_gguf();
  test_json();
  test_teller();
  test_damaged_model();
  test_gemma("models/tokenizers/gemma2.json", "tests/fixtures/tokenizer/gemma2_tokenizer_vectors.json", 256000, 106);
  test_gemma("models/tokenizers/gemma3.json", "tests/fixtures/tokenizer/gemma3_tokenizer_vectors.json", 262145, 105);
  return check_end();
}
