/* SentencePiece vocabularies: encoding and decoding. */
#include "spm_checks.h"

/* ---- helpers ---- */

/* Tokens of a vocabulary made here are good. */
static void add(spm_vocab *v, const char *text, size_t bytes, float score, int32_t type) {
  if (spm_vocab_add(v, text, bytes, score, type, NULL) < 0) CHECK(false);
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

/* ---- tokens that make no sense ---- */

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

/* ---- any bytes come back, however many ---- */

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

/* Counts what merging asks of the vocabulary. */
typedef struct counted {
  const spm_vocab *v;
  size_t n;
} counted;

static uint32_t count_priority(const void *context, const char *text, size_t bytes) {
  counted *c = (counted *)context;
  c->n++;
  return spm_vocab_priority(c->v, text, bytes);
}

/* A megabyte of what joins well, badly, or all over comes back; its merging as one stretch asks for each pair at most three times (once at the
 * beginning, and twice for each merge), so that with its heap it takes n log n steps. */
static void test_megabyte(void) {
  static const char *const unit[] = {
      "Once upon a time, there was a little dog. ", "a", " ", "hehe", "\xe6\x97\xa5\xe6\x9c\xac", "\xff", "<", "\n"};
  enum { LARGE = 1 << 20 };
  spm_vocab *v = read_teller();
  if (!v) return;
  char *text = malloc(LARGE);
  for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
    const size_t n = strlen(unit[i]);
    for (size_t k = 0; k < LARGE; k++) text[k] = unit[i][k % n];
    CHECK(round_trips(v, text, LARGE));
    counted c = {v, 0};
    merger m = {.priority = count_priority, .vocab = &c, .text = text};
    bool added = true;
    for (uint32_t at = 0; at < LARGE && added; at++) added = merge_add(&m, at, NULL) == SOTTO_OK;
    CHECK(added);
    merge_run(&m, LARGE);
    if (!CHECK(c.n >= LARGE - 1 && c.n <= 3 * (size_t)LARGE)) fprintf(stderr, "  \"%s\": %zu\n", unit[i], c.n);
    merge_free(&m);
  }
  free(text);
  spm_vocab_close(v);
}

int main(void) {
  test_by_hand();
  test_dummy_prefix();
  test_against_plain();
  test_damaged_tokens();
  test_round_trip();
  test_megabyte();
  return check_end();
}
