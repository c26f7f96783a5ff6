/* Vocabulary, text to tokens, languages, UTF-8, sizes of zlib streams. */
#include "../../src/models/whisper_rules.h"
#include "../../src/text/unicode.h"
#include "../../src/text/zlib_size.h"
#include "make_model.h"

/* ---- UTF-8 ---- */

static bool repairs_to(const char *broken, const char *expected) {
  char out[64];
  size_t n = utf8_repair(broken, strlen(broken), out);
  return n == strlen(expected) && strcmp(out, expected) == 0;
}

#define R "\xef\xbf\xbd" /* U+FFFD */

static void test_utf8(void) {
  CHECK(repairs_to("a\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80", "a\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80"));
  CHECK(
      repairs_to("\xff"
                 "a",
                 R "a"));
  CHECK(repairs_to("\xe6\x97", R)); /* cut short: one mark, as Python counts */
  CHECK(
      repairs_to("\xe6\x97"
                 "a",
                 R "a"));
  CHECK(
      repairs_to("\xe6"
                 "a\x97",
                 R "a" R));
  CHECK(repairs_to("\xf0\x9f\x98", R));
  CHECK(repairs_to("\xc0\xaf", R R)); /* overlong */
  CHECK(repairs_to("\xe0\x80\xaf", R R R));
  CHECK(repairs_to("\xed\xa0\x80", R R R));       /* surrogate */
  CHECK(repairs_to("\xf4\x90\x80\x80", R R R R)); /* past U+10FFFF */

  size_t n = 14;
  const char *text =
      " \t\xc2\xa0"
      "a b\xe3\x80\x80\n\x1c  ";
  const char *stripped = utf8_strip(text, &n);
  CHECK(n == 3 && memcmp(stripped, "a b", 3) == 0);
  n = 3;
  utf8_strip("\n  ", &n);
  CHECK(n == 0);

  CHECK(unicode_class_of('a') == UNICODE_LETTER && unicode_class_of('7') == UNICODE_NUMBER);
  CHECK(unicode_class_of(' ') == UNICODE_SPACE && unicode_class_of('-') == UNICODE_OTHER);
  CHECK(unicode_class_of(0x65e5) == UNICODE_LETTER && unicode_class_of(0xbd) == UNICODE_NUMBER);
  CHECK(unicode_class_of(0x3000) == UNICODE_SPACE && unicode_class_of(0xfeff) == UNICODE_OTHER);
  CHECK(unicode_class_of(0x301) == UNICODE_OTHER && unicode_class_of(0x10ffff) == UNICODE_OTHER);
}

/* ---- languages, special tokens ---- */

static void test_languages(void) {
  const char *code, *name;
  CHECK(whisper_language_find("en") == 0 && whisper_language_find("English") == 0);
  CHECK(whisper_language_find("DE") == 2 && whisper_language_find("german") == 2);
  CHECK(whisper_language_find("Mandarin") == whisper_language_find("zh"));
  CHECK(whisper_language_find("haitian") == whisper_language_find("Haitian Creole"));
  CHECK(whisper_language_find("yue") == 99);
  CHECK(whisper_language_find("") == -1 && whisper_language_find("e") == -1 && whisper_language_find("englis") == -1);
  CHECK(whisper_language(7, &code, &name) && strcmp(code, "ja") == 0 && strcmp(name, "japanese") == 0);
  CHECK(!whisper_language(100, NULL, NULL) && !whisper_language(-1, NULL, NULL));
}

static whisper_vocab *bytes_vocab(int32_t n_vocab) {
  whisper_vocab *v = whisper_vocab_open(n_vocab);
  for (int32_t i = 0; i < 256; i++) {
    char c = (char)i;
    CHECK(whisper_vocab_add(v, i, &c, 1, NULL) == SOTTO_OK);
  }
  return v;
}

static void test_special(void) {
  static const struct {
    int32_t n_vocab, eot, translate, no_timestamps, n_languages;
    const char *last_language;
  } models[] = {{51864, 50256, 50357, 50362, 99, "<|su|>"},
                {51865, 50257, 50358, 50363, 99, "<|su|>"},
                {51866, 50257, 50359, 50364, 100, "<|yue|>"}};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    whisper_vocab *v = bytes_vocab(models[i].n_vocab);
    CHECK(whisper_vocab_seal(v, NULL) == SOTTO_OK);
    const whisper_special *s = whisper_vocab_special(v);
    CHECK(s->eot == models[i].eot && s->sot == s->eot + 1 && s->translate == models[i].translate);
    CHECK(s->no_timestamps == models[i].no_timestamps && s->first_timestamp == s->no_timestamps + 1);
    CHECK(s->n_languages == models[i].n_languages && s->multilingual == (i > 0));
    CHECK(s->first_timestamp + WHISPER_N_TIMESTAMPS == models[i].n_vocab);
    uint32_t n;
    CHECK(strcmp(whisper_vocab_text(v, s->eot, &n), "<|endoftext|>") == 0 && n == 13);
    CHECK(strcmp(whisper_vocab_text(v, s->sot, NULL), "<|startoftranscript|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, s->first_language, NULL), "<|en|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, s->translate - 1, NULL), models[i].last_language) == 0);
    CHECK(strcmp(whisper_vocab_text(v, s->no_speech, NULL), "<|nospeech|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, s->first_timestamp, NULL), "<|0.00|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, s->first_timestamp + 51, NULL), "<|1.02|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, models[i].n_vocab - 1, NULL), "<|30.00|>") == 0);
    CHECK(strcmp(whisper_vocab_text(v, models[i].n_vocab, &n), "") == 0 && n == 0);
    CHECK(strcmp(whisper_vocab_text(v, -1, &n), "") == 0 && n == 0);
    whisper_vocab_close(v);
  }
}

static void test_damaged(void) {
  error err;
  static const int32_t sizes[] = {-1, 0, 1, 51863, 51867, INT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    whisper_vocab *v = whisper_vocab_open(sizes[i]);
    CHECK(whisper_vocab_add(v, 0, "a", 1, &err) == SOTTO_ERR_UNSUPPORTED);
    CHECK(whisper_vocab_seal(v, &err) == SOTTO_ERR_UNSUPPORTED);
    whisper_vocab_close(v);
  }
  char *large = calloc(1, WHISPER_MAX_TOKEN_BYTES + 1);
  whisper_vocab *v = whisper_vocab_open(51865);
  CHECK(whisper_vocab_add(v, 1, "a", 1, &err) == SOTTO_ERR_FORMAT);
  CHECK(whisper_vocab_add(v, 0, large, WHISPER_MAX_TOKEN_BYTES + 1, &err) == SOTTO_ERR_FORMAT);
  for (int32_t i = 0; i < 51865; i++) {
    if (whisper_vocab_add(v, i, large, WHISPER_MAX_TOKEN_BYTES, &err) < 0) CHECK(false);
    if (i == 2000) break;
  }
  CHECK(whisper_vocab_seal(v, &err) == SOTTO_OK);
  CHECK(whisper_vocab_find(v, large, WHISPER_MAX_TOKEN_BYTES) == 0); /* the first of equal ones */
  int32_t id;
  CHECK(whisper_vocab_encode(v, "abc", 3, &id, 1) == 0); /* none of its bytes is a token */
  whisper_vocab_close(v);
  free(large);
}

/* ---- encoding ---- */

static bool encodes(const whisper_vocab *v, const char *text, const int32_t *expected, size_t n) {
  int32_t ids[64];
  size_t count = whisper_vocab_encode(v, text, strlen(text), ids, 64);
  return count == n && memcmp(ids, expected, n * sizeof *ids) == 0;
}

#define ENCODES(v, text, ...) \
  CHECK(encodes(v, text, (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

static void test_merges(void) {
  whisper_vocab *v = bytes_vocab(51865);
  static const char *const tokens[] = {"bc", "ab", "abc", " a", "aa", "aaaa", "'t", "\n\n", "  "};
  for (int32_t i = 0; i < 9; i++)
    CHECK(whisper_vocab_add(v, 256 + i, tokens[i], (uint32_t)strlen(tokens[i]), NULL) == SOTTO_OK);
  CHECK(whisper_vocab_seal(v, NULL) == SOTTO_OK);
  ENCODES(v, "abc", 258);       /* a whole word that is a token, though the merges would not lead to it */
  ENCODES(v, "xabc", 'x', 258); /* bc first, then a with it; ab first would leave ab and c */
  ENCODES(v, "xab", 'x', 257);
  ENCODES(v, "aaa", 260, 'a'); /* the leftmost of equal ones */
  ENCODES(v, "xaaaaa", 'x', 261, 'a');
  ENCODES(v, "a a", 'a', 259);
  ENCODES(v, "a  a", 'a', ' ', 259);                /* the last blank goes with the word */
  ENCODES(v, "a  ", 'a', 264);                      /* at the end there is no word */
  ENCODES(v, "a \n\na", 'a', ' ', '\n', '\n', 'a'); /* a newline does not: it is a word by itself */
  ENCODES(v, "\n\n", 263);
  ENCODES(v, "a't", 'a', 262);
  ENCODES(v, "a 't", 'a', ' ', '\'', 't');
  ENCODES(v, "1aa", '1', 260);
  int32_t ids[4] = {7, 7, 7, 7};
  CHECK(whisper_vocab_encode(v, "x y z", 5, ids, 2) == 5 && ids[0] == 'x' && ids[1] == ' ' && ids[2] == 7);
  CHECK(whisper_vocab_encode(v, "", 0, ids, 4) == 0);

  /* One long word. */
  size_t n = 1 << 20;
  char *text = malloc(n);
  int32_t *all = malloc(n * sizeof *all);
  memset(text, 'a', n);
  CHECK(whisper_vocab_encode(v, text, n, all, n) == n / 4 && all[0] == 261 && all[n / 4 - 1] == 261);
  for (size_t i = 0; i < n; i++) text[i] = (char)(128 + i % 128); /* no UTF-8 */
  CHECK(whisper_vocab_encode(v, text, n, all, n) == n && all[n - 1] == (int32_t)(unsigned char)text[n - 1]);
  free(text);
  free(all);
  whisper_vocab_close(v);
}

/* ---- the published vocabularies ---- */

static sotto_status read_header(void *context, const ggml_bin_header *h, error *err) {
  (void)err;
  *(whisper_vocab **)context = whisper_vocab_open(h->n_vocab);
  return SOTTO_OK;
}
static sotto_status read_filters(void *context, const float *f, int32_t n_mel, int32_t n_fft, error *err) {
  (void)context, (void)f, (void)n_mel, (void)n_fft, (void)err;
  return SOTTO_OK;
}
static sotto_status read_token(void *context, int32_t id, const char *text, uint32_t bytes, error *err) {
  return whisper_vocab_add(*(whisper_vocab **)context, id, text, bytes, err);
}
static sotto_status read_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  (void)n_tokens;
  return whisper_vocab_seal(*(whisper_vocab **)context, err);
}
static sotto_status stop_at_tensor(void *context, const ggml_bin_tensor *t, error *err) {
  (void)context, (void)t;
  return fail(err, SOTTO_ERR_FORMAT, "enough");
}

static whisper_vocab *published(const char *path) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) return NULL;
  whisper_vocab *v = NULL;
  const ggml_bin_sink sink = {.context = &v,
                              .header = read_header,
                              .filters = read_filters,
                              .token = read_token,
                              .vocabulary_end = read_vocabulary_end,
                              .tensor_begin = stop_at_tensor};
  ggml_bin *reader = ggml_bin_open(&sink);
  char bytes[4096];
  error err;
  while (ggml_bin_feed(reader, bytes, fread(bytes, 1, sizeof bytes, f), &err) >= 0) continue;
  ggml_bin_close(reader);
  fclose(f);
  return v;
}

static bool suppresses(const whisper_vocab *v, const int32_t *expected, int32_t n) {
  int32_t ids[128], count = whisper_non_speech_tokens(v, ids);
  bool all = count == n;
  for (int32_t i = 0; i < n; i++) {
    bool found = false;
    for (int32_t j = 0; j < count; j++) found |= ids[j] == expected[i];
    all &= found;
  }
  return all;
}

/* Ids as tiktoken gives them; the symbols are those of the models' published generation settings. */
static void test_multilingual(void) {
  static const int32_t symbols[] = {1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,
                                    31,    58,    59,    60,    61,    62,    63,    90,    91,    92,    93,    359,
                                    503,   522,   542,   873,   893,   902,   918,   922,   931,   1350,  1853,  1982,
                                    2460,  2627,  3246,  3253,  3268,  3536,  3846,  3961,  4183,  4667,  6585,  6647,
                                    7273,  9061,  9383,  10428, 10929, 11938, 12033, 12331, 12562, 13793, 14157, 14635,
                                    15265, 15618, 16553, 16604, 18362, 18956, 20075, 21675, 22520, 26130, 26161, 26435,
                                    28279, 29464, 31650, 32302, 32470, 36865, 42863, 47425, 49870, 50254};
  whisper_vocab *v = published("models/ggml-tiny.bin");
  if (v == NULL) {
    skip("models/ggml-tiny.bin is not there (make models)");
    return;
  }
  CHECK(whisper_vocab_longest(v) <= 128);
  ENCODES(v, "Hello world", 15947, 1002);
  ENCODES(v, "I'm we'll they've 'tis don't", 40, 478, 321, 603, 436, 600, 922, 83, 271, 500, 380);
  ENCODES(v, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", 27311, 31348, 22985, 40498);
  ENCODES(v, "a\n\n b \n", 64, 198, 198, 272, 220, 198);
  ENCODES(v, " na\xc3\xafve caf\xc3\xa9 12\xc2\xbd", 1667, 15487, 303, 25118, 2272, 126, 121);
  CHECK(suppresses(v, symbols, sizeof symbols / sizeof *symbols));
  whisper_vocab_close(v);
}

static void test_english(void) {
  static const int32_t symbols[] = {1,     2,     7,     8,     9,     10,    14,    25,    26,    27,    28,    29,
                                    31,    58,    59,    60,    61,    62,    63,    90,    91,    92,    93,    357,
                                    366,   438,   532,   685,   705,   796,   930,   1058,  1220,  1267,  1279,  1303,
                                    1343,  1377,  1391,  1635,  1782,  1875,  2162,  2361,  2488,  3467,  4008,  4211,
                                    4600,  4808,  5299,  5855,  6329,  7203,  9609,  9959,  10563, 10786, 11420, 11709,
                                    11907, 13163, 13697, 13700, 14808, 15306, 16410, 16791, 17992, 19203, 19510, 20724,
                                    22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283, 40493, 40549, 47282, 49146};
  whisper_vocab *v = published("models/ggml-base.en.bin");
  if (v == NULL) {
    skip("models/ggml-base.en.bin is not there (make models)");
    return;
  }
  ENCODES(v, "Hello world", 15496, 995);
  ENCODES(v, "I'm we'll they've 'tis don't", 40, 1101, 356, 1183, 484, 1053, 705, 48010, 836, 470);
  ENCODES(v, "a\n\n b \n", 64, 628, 275, 220, 198);
  CHECK(suppresses(v, symbols, sizeof symbols / sizeof *symbols));
  whisper_vocab_close(v);
}

/* ---- zlib ---- */

/* Text `kind` of length n, the same everywhere. */
static char *make_text(int kind, size_t n) {
  random_state r = {(uint64_t)kind * 1000003 + n};
  char *text = malloc(n + 1);
  for (size_t i = 0; i < n; i++) {
    switch (kind) {
      case 0:
        text[i] = (char)random_u32(&r);
        break; /* noise */
      case 1:
        text[i] = (char)('a' + random_below(&r, 20));
        break; /* letters */
      case 2:
        text[i] = "Thank you for watching! "[i % 24];
        break; /* a loop */
      case 3:
        text[i] = i < 90 || random_below(&r, 40) == 0 ? (char)('a' + random_below(&r, 26)) : text[i - 90];
        break;
      default:
        text[i] = i > 9 && random_below(&r, 12) ? text[i - 1 - random_below(&r, i > 9000 ? 9000 : (uint32_t)i)]
                                                : (char)('a' + random_below(&r, 26));
    }
  }
  return text;
}

static void test_zlib(void) {
  static const size_t lengths[] = {0, 1, 2, 3, 4, 10, 100, 300, 1000, 5000, 17000, 40000, 200000};
  static const size_t sizes[5][13] = {
      /* of zlib.compress, version 1.2.13 */
      {8, 9, 10, 11, 12, 18, 111, 311, 1011, 5011, 17016, 40021, 200071},
      {8, 9, 10, 11, 12, 18, 78, 192, 592, 2988, 10209, 24240, 121121},
      {8, 9, 10, 11, 12, 18, 35, 37, 41, 63, 91, 147, 536},
      {8, 9, 10, 11, 12, 18, 83, 108, 167, 429, 1044, 2430, 11625},
      {8, 9, 10, 11, 12, 18, 76, 172, 547, 2775, 10110, 24685, 125337},
  };
  zlib_sizer *z = zlib_sizer_open();
  for (int kind = 0; kind < 5; kind++) {
    for (int i = 0; i < 13; i++) {
      char *text = make_text(kind, lengths[i]);
      if (!CHECK(zlib_size(z, text, lengths[i]) == sizes[kind][i]))
        fprintf(stderr, "  kind %d, %zu bytes\n", kind, lengths[i]);
      free(text);
    }
  }
  zlib_sizer_close(z);
}

int main(void) {
  test_utf8();
  test_languages();
  test_special();
  test_damaged();
  test_merges();
  test_multilingual();
  test_english();
  test_zlib();
  return check_end();
}
