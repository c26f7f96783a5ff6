/* The JSON reader: what is JSON and what is not, where an error is, strings and numbers as they are meant, texts of many megabytes. */
#include "../../src/formats/json.h"
#include "check.h"

static char *texts[200]; /* of the documents, until the end */
static int n_texts;

static json *doc(const char *text) {
  json *j = NULL;
  error err = {""};
  size_t size = strlen(text);
  char *exact = malloc(size ? size : 1); /* so that reading past it is seen */
  memcpy(exact, text, size);
  texts[n_texts++] = exact;
  if (!CHECK(json_parse(&j, exact, size, "the test", &err) == SOTTO_OK)) {
    printf("%s: %s\n", text, err.text);
    exit(check_end());
  }
  return j;
}

static void refuse(const char *text, size_t size, const char *words) {
  json *j = NULL;
  error err = {""};
  char *exact = malloc(size ? size : 1);
  memcpy(exact, text, size);
  sotto_status status = json_parse(&j, exact, size, "config.json", &err);
  if (!CHECK(status == SOTTO_ERR_FORMAT && j == NULL && strstr(err.text, words) && strstr(err.text, "config.json")))
    printf("\"%s\": status %d, \"%s\" is not about %s\n", text, (int)status, err.text, words);
  free(exact);
}

static void test_structure(void) {
  json *j = doc(
      " {\"shape\" : [2, 3,[ ]], \"name\":\"w\", \"no\":{} ,\"shape\":[7],\n\t\"t\":true,\"f\":false,\"z\":null}\r\n");
  uint32_t root = json_root(j), shape = json_get(j, root, "shape");
  int64_t v;
  CHECK(json_kind_of(j, root) == JSON_OBJECT && json_count(j, root) == 7);
  CHECK(json_kind_of(j, shape) == JSON_ARRAY && json_count(j, shape) == 1); /* the last one */
  CHECK(json_is(j, json_get(j, root, "name"), "w"));
  CHECK(json_kind_of(j, json_get(j, root, "no")) == JSON_OBJECT && json_count(j, json_get(j, root, "no")) == 0);
  CHECK(json_kind_of(j, json_get(j, root, "t")) == JSON_TRUE && json_kind_of(j, json_get(j, root, "f")) == JSON_FALSE);
  CHECK(json_kind_of(j, json_get(j, root, "z")) == JSON_NULL);

  CHECK(json_get(j, root, "missing") == JSON_NONE && json_kind_of(j, JSON_NONE) == JSON_MISSING);
  CHECK(json_get(j, json_get(j, root, "missing"), "deeper") == JSON_NONE); /* chained */
  CHECK(json_get(j, shape, "shape") == JSON_NONE);
  CHECK(json_count(j, JSON_NONE) == 0 && json_count(j, json_get(j, root, "name")) == 0);
  CHECK(!json_is(j, JSON_NONE, "") && !json_is(j, shape, "[7]") && json_read_string(j, shape, NULL, 0) == 0);
  CHECK(!json_read_integer(j, JSON_NONE, &v) && !json_read_integer(j, shape, &v));

  json_walk w = json_children(j, root);
  const char *keys[] = {"shape", "name", "no", "shape", "t", "f", "z"};
  for (int i = 0; i < 7; i++) CHECK(json_next(&w) && json_is(j, w.key, keys[i]));
  CHECK(!json_next(&w));
  w = json_children(j, root);
  CHECK(json_next(&w) && json_count(j, w.value) == 3);
  w = json_children(j, w.value);
  CHECK(json_next(&w) && w.key == JSON_NONE && json_read_integer(j, w.value, &v) && v == 2);
  CHECK(json_next(&w) && json_read_integer(j, w.value, &v) && v == 3);
  CHECK(json_next(&w) && json_kind_of(j, w.value) == JSON_ARRAY && json_count(j, w.value) == 0 && !json_next(&w));
  json_close(j);

  const char *scalars[] = {"1", "\"a\"", "null", " true ", "[]", "{}", "-0.0e-0"};
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) json_close(doc(scalars[i]));
  json_close(NULL);
}

static void test_strings(void) {
  const struct {
    const char *text, *meant;
    size_t size;
  } known[] = {
      {"\"\"", "", 0},
      {"\"plain\"", "plain", 5},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
      {"\"a\\u0000b\"", "a\0b", 3},
      {"\"\\u0041\\u00e9\\u2581\\uFFFF\"", "A\xc3\xa9\xe2\x96\x81\xef\xbf\xbf", 9},
      {"\"\\u007f\\u0080\\u07FF\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80", 8},
      {"\"\\ud83d\\ude00\\uD800\\uDC00\\udbff\\udfff\"", "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 12},
      {"\"\xc3\xa9\xe2\x96\x81\xf0\x9f\x98\x80\x7f\"", "\xc3\xa9\xe2\x96\x81\xf0\x9f\x98\x80\x7f", 10},
      {"\"x\\ny\\nz\"", "x\ny\nz", 5},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    json *j = doc(known[i].text);
    char back[32];
    memset(back, '?', sizeof back);
    CHECK(json_read_string(j, 0, NULL, 0) == known[i].size);
    CHECK(json_read_string(j, 0, back, sizeof back) == known[i].size);
    if (!CHECK(memcmp(back, known[i].meant, known[i].size) == 0 && back[known[i].size] == '?')) printf("%zu\n", i);
    if (strlen(known[i].meant) == known[i].size) CHECK(json_is(j, 0, known[i].meant));
    CHECK(!json_is(j, 0, "plai") && !json_is(j, 0, "plain text") && !json_is(j, 0, "A"));
    json_close(j);
  }
  json *j = doc("\"ab\\ncd\"");
  char small[5] = "....";
  CHECK(json_read_string(j, 0, small, 3) == 5 && memcmp(small, "ab\n.", 4) == 0); /* the pieces that fit */
  json_close(j);
}

static void test_numbers(void) {
  const char *numbers[] = {"0",
                           "-0",
                           "1",
                           "-1",
                           "1e-06",
                           "10000.0",
                           "1000000.0",
                           "0.02",
                           "3.5e2",
                           "1E+3",
                           "123456789",
                           "0.1",
                           "1e22",
                           "9007199254740993",
                           "1e308",
                           "1e-308",
                           "5e-324",
                           "1e-400",
                           "2.5e-7",
                           "1e-320",
                           "1234567890123456789012",
                           "0.00000",
                           "0e999",
                           "-12.75",
                           "33.9411255",
                           "1.797693134862e308",
                           "0.000000000000000000000000000000000000000000001e45",
                           "3.141592653589793238462643383279"};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    json *j = doc(numbers[i]);
    double is = 77, should = strtod(numbers[i], NULL);
    if (!CHECK(json_read_number(j, 0, &is) && fabs(is - should) <= 4 * fabs(should) * 0x1p-53 + 0x1p-1074))
      printf("%s: %.17g\n", numbers[i], is);
    if (strlen(numbers[i]) < 12 && fabs(should) > 1e-22 && fabs(should) < 1e23) CHECK(is == should);
    json_close(j);
  }
  const char *vast[] = {"1e309", "-1e400", "123e99999999999999999999"};
  for (size_t i = 0; i < sizeof vast / sizeof *vast; i++) {
    json *j = doc(vast[i]);
    double v = 77;
    CHECK(!json_read_number(j, 0, &v) && v == 77);
    json_close(j);
  }
  const struct {
    const char *text;
    bool fits;
    int64_t value;
  } integers[] = {
      {"0", true, 0},
      {"-0", true, 0},
      {"42", true, 42},
      {"-7", true, -7},
      {"9223372036854775807", true, INT64_MAX},
      {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0},
      {"-9223372036854775809", false, 0},
      {"99999999999999999999999", false, 0},
      {"1.0", false, 0},
      {"1e3", false, 0},
      {"\"1\"", false, 0},
  };
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
    json *j = doc(integers[i].text);
    int64_t v = 77;
    CHECK(json_read_integer(j, 0, &v) == integers[i].fits && v == (integers[i].fits ? integers[i].value : 77));
    json_close(j);
  }
}

#define REFUSE(text, words) refuse(text, sizeof(text) - 1, words)

static void test_errors(void) {
  REFUSE("", "truncated");
  REFUSE("  ", "truncated");
  REFUSE("{", "truncated");
  REFUSE("[1,", "truncated");
  REFUSE("{\"a\"", "truncated");
  REFUSE("\"abc", "truncated");
  REFUSE("\"abc\\", "truncated");
  REFUSE("\"\\ud83d", "truncated");
  REFUSE("tru", "truncated");
  REFUSE("-", "truncated");
  REFUSE("1.", "truncated");
  REFUSE("[1 2]", "line 1, column 4: a comma or ] is missing");
  REFUSE("{\n  \"a\": 1\n  \"b\": 2\n}", "line 3, column 3: a comma or } is missing");
  REFUSE("{\"\xc3\xa9\": 1 }}", "line 1, column 10: more text follows");
  REFUSE("[1,]", "line 1, column 4: a value is missing");
  REFUSE("{\"a\":1,}", "line 1, column 8: a key in quotes is missing");
  REFUSE("{a:1}", "column 2: a key in quotes");
  REFUSE("{\"a\" 1}", "column 6: a colon is missing");
  REFUSE("{\"a\":}", "column 6: a value is missing");
  REFUSE("[1}", "a comma or ] is missing");
  REFUSE("{\"a\":1]", "a comma or } is missing");
  REFUSE("]", "a value is missing");
  REFUSE("1 1", "more text follows");
  REFUSE("01", "begins with 0");
  REFUSE("-01", "begins with 0");
  REFUSE("+1", "a value is missing");
  REFUSE(".5", "a value is missing");
  REFUSE("[1.]", "a digit is missing");
  REFUSE("[1e]", "a digit is missing");
  REFUSE("[1e+]", "a digit is missing");
  REFUSE("[-a]", "a digit is missing");
  REFUSE("NaN", "a value is missing");
  REFUSE("nul1", "a value is missing");
  REFUSE("'a'", "a value is missing");
  REFUSE("// no\n1", "a value is missing");
  REFUSE("\"a\nb\"", "a control character");
  REFUSE("\"a\0b\"", "a control character");
  REFUSE("\"\\x41\"", "an escape that JSON does not have");
  REFUSE("\"\\\0\"", "an escape that JSON does not have");
  REFUSE("\"\\u12g4\"", "four hexadecimal digits");
  REFUSE("\"\\ud83d\"", "half of a surrogate pair");
  REFUSE("\"\\ud83dabcdef\"", "half of a surrogate pair");
  REFUSE("\"\\ud83d\\u0041\"", "half of a surrogate pair");
  REFUSE("\"\\ude00\\ud83d\"", "half of a surrogate pair");
  REFUSE("\"\xff\"", "not UTF-8");
  REFUSE("\"\xc0\x80\"", "not UTF-8");
  REFUSE("\"\xe0\x9f\xbf\"", "not UTF-8");
  REFUSE("\"\xed\xa0\x80\"", "not UTF-8");
  REFUSE("\"\xf4\x90\x80\x80\"", "not UTF-8");
  REFUSE("\"\xc3(\"", "not UTF-8");
  REFUSE("\xef\xbb\xbf{}", "line 1, column 1: a value is missing");

  char deep[300];
  for (int n = 127; n <= 129; n++) {
    memset(deep, '[', (size_t)n);
    memset(deep + n, ']', (size_t)n);
    deep[2 * n] = 0;
    if (n <= 128)
      json_close(doc(deep));
    else
      refuse(deep, 2 * (size_t)n, "nested too deeply");
  }
}

/* Every beginning of a text is refused as truncated, except where a shorter one is whole. */
static void test_truncation(void) {
  const char text[] =
      "{\"a\\u00e9\": [1.5e3, -2, {\"\xe2\x96\x81\": \"\\ud83d\\ude00\"}, true, null, false, []], \"b\": {}}";
  for (size_t n = 0; n < sizeof text - 1; n++) refuse(text, n, "truncated");
}

/* As tokenizer.json is: a vocabulary and merges, tens of megabytes; doubling the text doubles the time, not more. */
static double large(int n_tokens) {
  size_t capacity = (size_t)n_tokens * 40 + 100, size = 0;
  char *text = malloc(capacity);
  size += (size_t)snprintf(text, capacity, "{\"model\":{\"vocab\":{");
  for (int i = 0; i < n_tokens; i++)
    size += (size_t)snprintf(text + size, capacity - size, "%s\"tok\\u2581%d\":%d", i ? "," : "", i, i);
  size += (size_t)snprintf(text + size, capacity - size, "}}}");
  json *j = NULL;
  double start = now_ms();
  CHECK(json_parse(&j, text, size, "tokenizer.json", NULL) == SOTTO_OK);
  int n = 0, n_wrong = 0;
  for (json_walk w = json_children(j, json_get(j, json_get(j, 0, "model"), "vocab")); json_next(&w); n++) {
    char token[32], should[32];
    int64_t id = -1;
    size_t bytes = json_read_string(j, w.key, token, sizeof token);
    n_wrong += !json_read_integer(j, w.value, &id) || id != n;
    n_wrong +=
        bytes != (size_t)snprintf(should, sizeof should, "tok\xe2\x96\x81%d", n) || memcmp(token, should, bytes) != 0;
  }
  double ms = now_ms() - start;
  CHECK(n == n_tokens && n_wrong == 0);
  json_close(j);
  free(text);
  return ms;
}

static void test_large(void) {
  double small_ms = large(50000), large_ms = large(800000); /* 16 times as much */
  if (!CHECK(large_ms < 100 * small_ms + 500)) printf("%.1f ms, %.1f ms\n", small_ms, large_ms);
}

static void test_config(void) {
  size_t size = 0;
  char *text = read_file("tests/fixtures/golden/gemma3-1b-shape/config.json", &size);
  if (!CHECK(text != NULL)) return;
  json *j = NULL;
  CHECK(json_parse(&j, text, size, "config.json", NULL) == SOTTO_OK);
  int64_t v = 0;
  double x = 0;
  CHECK(json_is(j, json_get(j, 0, "model_type"), "gemma3_text"));
  CHECK(json_read_integer(j, json_get(j, 0, "vocab_size"), &v) && v == 1024);
  CHECK(json_read_number(j, json_get(j, 0, "rms_norm_eps"), &x) && x == 1e-6);
  uint32_t rope = json_get(j, json_get(j, json_get(j, 0, "rope_parameters"), "full_attention"), "rope_theta");
  CHECK(json_read_number(j, rope, &x) && x == 1e6);
  CHECK(json_count(j, json_get(j, 0, "layer_types")) == 7);
  json_close(j);
  free(text);
}

int main(void) {
  test_structure();
  test_strings();
  test_numbers();
  test_errors();
  test_truncation();
  test_large();
  test_config();
  for (int i = 0; i < n_texts; i++) free(texts[i]);
  return check_end();
}
