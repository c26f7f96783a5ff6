/* SentencePiece vocabularies: reading, encoding, decoding. Expected ids are those of the published tokenizers. */
#include "../../src/formats/json.h"
#include "../../src/text/merge.h"
#include "../../src/text/spm_vocab.h"
#include "check.h"
#include "make_gguf.h"

#define MARK "\xe2\x96\x81" /* U+2581 */

/* ---- helpers ---- */

/* Tokens of a vocabulary made here are good. */
static void add(spm_vocab *v, const char *text, size_t bytes, float score, int32_t type) {
  if (spm_vocab_add(v, text, bytes, score, type, NULL) < 0) CHECK(false);
}

/* Writes "<0x41>" or, for odd ones, "<0x6b>"; returns its length. */
static size_t byte_name(int byte, char out[8]) {
  const char *digits = byte % 2 ? "0123456789abcdef" : "0123456789ABCDEF";
  memcpy(out, "<0x..>", 7);
  out[3] = digits[byte / 16];
  out[4] = digits[byte % 16];
  return 6;
}

static spm_vocab *bytes_vocab(void) { /* unk 0, bos 1, control 2, bytes 3 to 258 */
  spm_vocab *v = spm_vocab_open();
  add(v, "<unk>", 5, 0, SPM_UNKNOWN);
  add(v, "<bos>", 5, 0, SPM_CONTROL);
  add(v, "<start_of_turn>", 15, 0, SPM_USER_DEFINED);
  for (int i = 0; i < 256; i++) {
    char text[8];
    add(v, text, byte_name(i, text), 0, SPM_BYTE);
  }
  spm_vocab_set(v, &(spm_settings){.unk = 0, .bos = 1, .eos = 1 << 20, .pad = -1});
  return v;
}

#define BYTE(b) (3 + (b))

static bool encodes(const spm_vocab *v, const char *text, size_t bytes, unsigned flags, const int32_t *ids, size_t n) {
  id_list list = {0};
  bool ok = spm_encode(v, text, bytes, flags, &list, NULL) == SOTTO_OK && list.count == n;
  for (size_t i = 0; ok && i < n; i++) ok = list.ids[i] == ids[i];
  if (!ok) {
    fprintf(stderr, "  \"%.60s\" gives", text);
    for (size_t i = 0; i < list.count && i < 20; i++) fprintf(stderr, " %d", (int)list.ids[i]);
    fprintf(stderr, "\n");
  }
  id_list_free(&list);
  return ok;
}

#define ENCODES(v, flags, text, ...)                                          \
  CHECK(encodes(v, text, strlen(text), flags, (const int32_t[]){__VA_ARGS__}, \
                sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static bool round_trips(const spm_vocab *v, const char *text, size_t bytes) {
  id_list list = {0};
  char *back = malloc(bytes + 1);
  bool ok = spm_encode(v, text, bytes, SPM_ADD_BOS, &list, NULL) == SOTTO_OK &&
            spm_decode(v, list.ids, list.count, false, back, bytes) == bytes && memcmp(back, text, bytes) == 0;
  free(back);
  id_list_free(&list);
  return ok;
}

/* ---- a vocabulary by hand ---- */

static void test_by_hand(void) {
  spm_vocab *v = bytes_vocab();
  static const struct {
    const char *text;
    float score;
    int32_t type;
  } tokens[] = {
      {"a", -100, SPM_NORMAL},
      {"b", -100, SPM_NORMAL},
      {"c", -100, SPM_NORMAL}, /* 259 to 261 */
      {"ab", -2, SPM_NORMAL},
      {"bc", -1, SPM_NORMAL},
      {"abc", -5, SPM_NORMAL}, /* 262 to 264 */
      {"aa", -3, SPM_NORMAL},
      {"aaaa", -4, SPM_NORMAL},
      {MARK "a", -6, SPM_NORMAL}, /* 265 to 267 */
      {MARK, -100, SPM_NORMAL},
      {MARK MARK, 0, SPM_USER_DEFINED}, /* 268, 269 */
      {MARK MARK MARK, 0, SPM_USER_DEFINED},
      {"\n", 0, SPM_USER_DEFINED},
      {"<b>", 0, SPM_USER_DEFINED}, /* 270 to 272 */
      {"bb", 0.5f, SPM_NORMAL},
      {"cc", -3, SPM_NORMAL},
      {"\xc3\xa4", -100, SPM_NORMAL}, /* 273 to 275 */
      {"ac", -2, SPM_UNUSED},
  };
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    CHECK(spm_vocab_add(v, tokens[i].text, strlen(tokens[i].text), tokens[i].score, tokens[i].type, NULL) == SOTTO_OK);
  CHECK(spm_vocab_seal(v, NULL) == SOTTO_OK);
  CHECK(spm_vocab_size(v) == 277 && spm_vocab_settings(v)->eos == -1 && spm_vocab_settings(v)->unk == 0);

  ENCODES(v, 0, "abc", 264);
  ENCODES(v, 0, "abb", 259, 273); /* bb first */
  ENCODES(v, 0, "aaa", 265, 259); /* the leftmost of equal ones */
  ENCODES(v, 0, "aaaaaaa", 266, 265, 259);
  ENCODES(v, 0, "bba", 273, 259);  /* positive scores are above negative ones */
  ENCODES(v, 0, "aacc", 265, 274); /* equal scores of different tokens: the leftmost */
  ENCODES(v, 0, "ac", 259, 261);   /* unused */
  ENCODES(v, 0, " a", 267);
  ENCODES(v, 0, "a a", 259, 267);
  ENCODES(v, 0, "  a", 269, 259); /* user-defined first: the space is gone before the word could have it */
  ENCODES(v, 0, "    a", 270, 267);
  ENCODES(v, 0, "a\n<b>b</b>", 259, 271, 272, 260, BYTE('<'), BYTE('/'), 260, BYTE('>'));
  ENCODES(v, 0, "\xc3\xa4\xc3\xb6", 275, BYTE(0xc3), BYTE(0xb6));
  ENCODES(v, 0,
          "\xc3"
          "a\xa4",
          BYTE(0xc3), 259, BYTE(0xa4));
  ENCODES(v, 0, "a" MARK "a", 259, BYTE(0xe2), BYTE(0x96), BYTE(0x81), 259); /* not a space */
  ENCODES(v, SPM_ADD_BOS, "a", 1, 259);
  ENCODES(v, SPM_ADD_BOS, "", 1);
  ENCODES(v, 0, "<0x41>", BYTE('<'), BYTE('0'), BYTE('x'), BYTE('4'), BYTE('1'), BYTE('>'));
  ENCODES(v, SPM_PARSE_CONTROL, "a<bos>b<start_of_turn>", 259, 1, 260, 2);
  ENCODES(v, 0, "<bos>", BYTE('<'), 260, BYTE('o'), BYTE('s'), BYTE('>'));
  ENCODES(v, SPM_PARSE_CONTROL, "<bo", BYTE('<'), 260, BYTE('o'));
  CHECK(encodes(v, "a\0b", 3, 0, (const int32_t[]){259, BYTE(0), 260}, 3));

  id_list list = {0};
  CHECK(spm_encode(v, "<start_of_turn>", 15, 0, &list, NULL) == SOTTO_OK &&
        list.count > 1); /* control, though it was added as user-defined */
  for (size_t i = 0; i < list.count; i++) CHECK(list.ids[i] != 2);
  id_list_free(&list);

  char out[64];
  size_t bytes;
  const int32_t ids[] = {1, 267, 269, 0, BYTE(0xe2), 272, 276, 999, -1};
  CHECK(spm_decode(v, ids, 9, false, out, sizeof out) == 8 && memcmp(out, " a  \xe2<b>", 8) == 0);
  CHECK(spm_decode(v, ids, 9, true, out, sizeof out) == 20 && memcmp(out, "<bos> a  <unk>\xe2<b>ac", 20) == 0);
  CHECK(spm_decode(v, ids, 9, false, out, 3) == 8);
  CHECK(strcmp(spm_piece(v, 1, false, &bytes), "") == 0 && bytes == 0);
  CHECK(strcmp(spm_piece(v, 1, true, &bytes), "<bos>") == 0 && bytes == 5);
  CHECK(strcmp(spm_vocab_text(v, 269, &bytes), "  ") == 0 && bytes == 2);
  CHECK(spm_vocab_type(v, 2) == SPM_CONTROL && spm_vocab_type(v, 269) == SPM_USER_DEFINED);
  CHECK(spm_vocab_type(v, 277) == SPM_UNUSED && spm_vocab_type(v, -1) == SPM_UNUSED);
  CHECK(spm_vocab_find(v, "<bos>", 5) == 1 && spm_vocab_find(v, "  ", 2) == 269 && spm_vocab_find(v, "abc", 3) == 264);
  CHECK(spm_vocab_find(v, "ac", 2) == -1 && spm_vocab_find(v, "", 0) == -1);
  spm_vocab_close(v);
}

static void test_dummy_prefix(void) {
  spm_vocab *v = bytes_vocab();
  CHECK(spm_vocab_add(v, MARK, 3, -1, SPM_NORMAL, NULL) == SOTTO_OK);
  CHECK(spm_vocab_add(v, MARK "a", 4, -1, SPM_NORMAL, NULL) == SOTTO_OK);
  spm_vocab_set(v, &(spm_settings){.unk = 0, .bos = 1, .eos = -1, .pad = -1, .dummy_prefix = true});
  CHECK(spm_vocab_seal(v, NULL) == SOTTO_OK);
  ENCODES(v, SPM_ADD_BOS, "a", 1, 260);
  ENCODES(v, 0, " a", 259, 260);
  ENCODES(v, SPM_NO_DUMMY_SPACE, "a", BYTE('a'));
  CHECK(encodes(v, "", 0, 0, NULL, 0));
  CHECK(round_trips(v, "a", 1) && round_trips(v, "  a ", 4) && round_trips(v, " ", 1) && round_trips(v, "", 0));
  spm_vocab_close(v);
}

/* ---- merging and cutting against the plain way of doing it ---- */

static size_t merge_plainly(const spm_vocab *v, const char *text, size_t n, int32_t *ids) {
  size_t starts[65], count = 0;
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)text[i] & 0xc0) != 0x80) starts[count++] = i; /* the texts here are valid */
  starts[count] = n;
  for (;;) {
    uint32_t best = MERGE_NONE;
    size_t at = 0;
    for (size_t i = 0; i + 1 < count; i++) {
      uint32_t p = spm_vocab_priority(v, text + starts[i], starts[i + 2] - starts[i]);
      if (p < best) {
        best = p;
        at = i;
      }
    }
    if (best == MERGE_NONE) break;
    memmove(&starts[at + 1], &starts[at + 2], (count - at - 1) * sizeof *starts);
    count--;
  }
  size_t n_ids = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t id = spm_vocab_find_normal(v, text + starts[i], starts[i + 1] - starts[i]);
    if (id >= 0)
      ids[n_ids++] = id;
    else
      for (size_t k = starts[i]; k < starts[i + 1]; k++) ids[n_ids++] = BYTE((unsigned char)text[k]);
  }
  return n_ids;
}

static size_t random_text(random_state *r, char *out, int n_chars) {
  static const char *const chars[] = {"a", "b", "c", " ", "\xc3\xa4", "\xe6\x97\xa5"};
  size_t n = 0;
  for (int i = 0; i < n_chars; i++) {
    const char *c = chars[random_below(r, 6)];
    memcpy(out + n, c, strlen(c));
    n += strlen(c);
  }
  out[n] = 0;
  return n;
}

static void test_against_plain(void) {
  random_state r = {7};
  int n_bad = 0;
  for (int round = 0; round < 40; round++) {
    spm_vocab *v = bytes_vocab();
    char text[128];
    int n_tokens = 5 + (int)random_below(&r, 60);
    for (int i = 0; i < n_tokens; i++) {
      size_t n = random_text(&r, text, 1 + (int)random_below(&r, round % 2 ? 3 : 6));
      add(v, text, n, -(float)random_below(&r, 20), SPM_NORMAL);
    }
    n_bad += spm_vocab_seal(v, NULL) < 0;
    for (int k = 0; k < 100; k++) {
      int32_t ids[128];
      size_t n = random_text(&r, text, (int)random_below(&r, 20)), n_ids = merge_plainly(v, text, n, ids);
      n_bad += !encodes(v, text, n, 0, ids, n_ids) || !round_trips(v, text, n);
    }
    spm_vocab_close(v);
  }
  CHECK(n_bad == 0);
}

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

static void test_damaged_tokens(void) {
  error err;
  char large[SPM_MAX_TOKEN_BYTES + 1];
  memset(large, 'a', sizeof large);
  spm_vocab *v = spm_vocab_open();
  CHECK(spm_vocab_seal(v, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_add(v, large, sizeof large, 0, SPM_NORMAL, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_add(v, "a", 1, NAN, SPM_NORMAL, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_add(v, "a", 1, 0, 0, &err) == SOTTO_ERR_FORMAT &&
        spm_vocab_add(v, "a", 1, 0, 7, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_add(v, "<0x4g>", 6, 0, SPM_BYTE, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_add(v, "<0x41", 5, 0, SPM_BYTE, &err) == SOTTO_ERR_FORMAT);
  CHECK(spm_vocab_size(v) == 0);
  CHECK(spm_vocab_add(v, "", 0, 0, SPM_USER_DEFINED, &err) == SOTTO_OK);
  CHECK(spm_vocab_add(v, large, sizeof large - 1, INFINITY, SPM_NORMAL, &err) == SOTTO_OK);
  CHECK(spm_vocab_add(v, "\xff", 1, 0, SPM_USER_DEFINED, &err) == SOTTO_OK);
  CHECK(spm_vocab_seal(v, &err) == SOTTO_ERR_FORMAT); /* nothing for unknown characters */
  spm_vocab_set(v, &(spm_settings){.unk = 0, .bos = -1, .eos = -1, .pad = -1});
  CHECK(spm_vocab_seal(v, &err) == SOTTO_OK);
  ENCODES(v, 0, "\xff\xfe", 2, 0);
  CHECK(spm_vocab_find(v, large, sizeof large - 1) == 1);
  spm_vocab_close(v);
}

/* ---- teller: a tokenizer.model ---- */

static char *teller_bytes;
static size_t teller_size;

static spm_vocab *read_teller(void) {
  spm_vocab *v = NULL;
  error err = {""};
  if (!teller_bytes) teller_bytes = read_file("tests/fixtures/teller/tokenizer.model", &teller_size);
  if (!CHECK(teller_bytes && spm_read_model(&v, teller_bytes, teller_size, &err) == SOTTO_OK))
    fprintf(stderr, "  %s\n", err.text);
  return v;
}

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
  for (size_t n = 1; n < teller_size; n += n < 300 ? 1 : 1999) {
    char *part = malloc(n);
    memcpy(part, teller_bytes, n);
    if (spm_read_model(&v, part, n, &err) == SOTTO_OK)
      spm_vocab_close(v); /* whole pieces read well */
    else
      CHECK(v == NULL && err.text[0]);
    free(part);
  }
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

/* ---- any bytes come back; time is linear ---- */

static void test_round_trip(void) {
  spm_vocab *v = read_teller();
  if (!v) return;
  random_state r = {11};
  int n_bad = 0;
  for (int i = 0; i < 2000; i++) {
    char text[256];
    size_t n = 0, length = random_below(&r, 200);
    while (n < length) {
      uint32_t kind = random_below(&r, 6), c = random_u32(&r);
      if (i % 2)
        text[n++] = (char)c; /* noise */
      else if (kind < 3)
        text[n++] = " \n\tthe an<start_of_turn>.\xe2\x96\x81"[c % 28];
      else { /* a character of two, three or four bytes */
        static const char *const heads[] = {"\xc3", "\xe2\x80", "\xf0\x9f\x98"};
        for (const char *head = heads[kind - 3]; *head; head++) text[n++] = *head;
        text[n++] = (char)(0x80 + c % 64);
      }
    }
    n_bad += !round_trips(v, text, n);
  }
  CHECK(n_bad == 0);
  CHECK(round_trips(v, MARK, 3) && round_trips(v, " " MARK " ", 5) && round_trips(v, "\0\0", 2));
  spm_vocab_close(v);
}

static double time_of(const spm_vocab *v, const char *text, size_t n) {
  double best = 1e9;
  for (int i = 0; i < 2; i++) {
    id_list list = {0};
    double start = now_ms();
    CHECK(spm_encode(v, text, n, 0, &list, NULL) == SOTTO_OK && list.count > 0);
    best = fmin(best, now_ms() - start);
    id_list_free(&list);
  }
  return best;
}

static void test_linear(void) {
  static const char *const unit[] = {
      "Once upon a time, there was a little dog. ", "a", " ", "hehe", "\xe6\x97\xa5\xe6\x9c\xac", "\xff", "<", "\n"};
  spm_vocab *v = read_teller();
  if (!v) return;
  const size_t large = 1 << 20, small = large / 8;
  char *text = malloc(large);
  for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
    size_t n = strlen(unit[i]);
    for (size_t k = 0; k < large; k++) text[k] = unit[i][k % n];
    double few = time_of(v, text, small), many = time_of(v, text, large);
    if (!CHECK(many < 30 * few + 50))
      fprintf(stderr, "  \"%s\": %.1f and %.1f ms\n", unit[i], few, many); /* 64 were it quadratic */
  }
  free(text);
  spm_vocab_close(v);
}

int main(void) {
  test_by_hand();
  test_dummy_prefix();
  test_against_plain();
  test_arrays();
  test_gguf();
  test_damaged_tokens();
  test_teller();
  test_damaged_model();
  test_round_trip();
  test_linear();
  test_gemma("models/tokenizers/gemma2.json", "tests/fixtures/tokenizer/gemma2_tokenizer_vectors.json", 256000, 106);
  test_gemma("models/tokenizers/gemma3.json", "tests/fixtures/tokenizer/gemma3_tokenizer_vectors.json", 262145, 105);
  free(teller_bytes);
  return check_end();
}
