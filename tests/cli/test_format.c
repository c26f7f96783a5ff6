/* The writers against tests/fixtures/formats: the transcript of segments.json, here as C, in every format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/format.h"

static int n_failed;

static const sotto_token first_tokens[] = {{400, 0.5f, " And", 4}, {370, 1.0f, " so", 3}, {11, 0.0001234567f, ",", 1}};
static const sotto_token third_tokens[] = {
    {6519, 0.75f, " Gr", 3}, {30543, 0.3333333f, "\xc3", 1}, {50364, 0.25f, "<|0.00|>", 8}};

static const sotto_segment segments[] = {
    {0, 2.5, " And so, my fellow Americans.\n", first_tokens, 3, 0, 0.01f, 0, -0.25f, 1.2345678f},
    {2.5, 59.999, " Ask what --> you\tcan \"do\" \\ here.", NULL, 0, 1, 0.0000001f, 0.2f, -1, 0.75f},
    {59.9996, 3661.02, " Größe, 日本語 & <b>𝄞</b>.", third_tokens, 3, 2, 0.9f, 0.4f, -0.5f, 2.4f},
    {3661.02, 36000, "", NULL, 0, 3, 0, 0, 0, 0},
};

static void check_format(format f, const char *path) {
  const transcript whole = {.file = "talk.wav", .language = "en", .language_probability = (double)0.9876543f};
  text out = {0};
  writer w;
  writer_begin(&w, f, &out);
  for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) writer_segment(&w, &segments[i]);
  writer_end(&w, &whole);
  static char expected[65536];
  FILE *file = fopen(path, "rb");
  size_t size = file != NULL ? fread(expected, 1, sizeof expected, file) : 0;
  if (file != NULL) fclose(file);
  if (file == NULL || size != out.size || memcmp(expected, out.data, size) != 0) {
    printf("failed: %s: wrote %zu bytes, expected %zu:\n%.*s\n", path, out.size, size, (int)out.size, out.data);
    n_failed++;
  }
  text_free(&out);
}

static void check_string(const char *bytes, size_t size, const char *expected) {
  text out = {0};
  json_string(&out, bytes, size);
  if (out.size != strlen(expected) || memcmp(out.data, expected, out.size) != 0) {
    printf("failed: json_string: %.*s, expected %s\n", (int)out.size, out.data, expected);
    n_failed++;
  }
  text_free(&out);
}

static void check_number(double x, double scale, const char *expected) {
  text out = {0};
  json_number(&out, x, scale);
  if (out.size != strlen(expected) || memcmp(out.data, expected, out.size) != 0) {
    printf("failed: json_number: %.*s, expected %s\n", (int)out.size, out.data, expected);
    n_failed++;
  }
  text_free(&out);
}

int main(void) {
#define FORMATS "tests/fixtures/formats/expected."
  check_format(FORMAT_CONSOLE, FORMATS "default.txt");
  check_format(FORMAT_TXT, FORMATS "txt");
  check_format(FORMAT_SRT, FORMATS "srt");
  check_format(FORMAT_VTT, FORMATS "vtt");
  check_format(FORMAT_TSV, FORMATS "tsv");
  check_format(FORMAT_LRC, FORMATS "lrc");
  check_format(FORMAT_JSON, FORMATS "json");
  check_format(FORMAT_JSON_LINE, FORMATS "jsonl");

#define BAD "\xef\xbf\xbd"
  check_string("a\x01\x1f\x7f\"\\/\b\f\n\r\t", 12, "\"a\\u0001\\u001f\x7f\\\"\\\\/\\b\\f\\n\\r\\t\"");
  check_string("\0", 1, "\"\\u0000\"");
  check_string("\xe6\x97\xa5\xf0\x9d\x84\x9e", 7, "\"\xe6\x97\xa5\xf0\x9d\x84\x9e\"");
  check_string("\xe6\x97", 2, "\"" BAD "\""); /* a character cut off: one replacement */
  check_string("\xf0\x9d\x84x", 4, "\"" BAD "x\"");
  check_string("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");         /* a surrogate: one for each byte */
  check_string("\xc0\xaf\x80", 3, "\"" BAD BAD BAD "\"");         /* overlong */
  check_string("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""); /* above U+10FFFF */

  check_number(0, 1e6, "0");
  check_number(-0.0000001, 1e6, "0");
  check_number(-1.5, 1e6, "-1.5");
  check_number(0.0000014, 1e6, "0.000001");
  check_number(1e300 * 1e300, 1e6, "null");
  check_number(123456789012.0, 1, "123456789012");
  check_number(1.0005, 1e3, "1.001");

  if (n_failed == 0) printf("ok\n");
  return n_failed > 0;
}
