/* Fuzzes the JSON reader: what it takes is walked through as a whole, every string and number read. */
#include "../../src/formats/json.h"
#include "require.h"

#include <stdlib.h>

static void read_string(const json *j, uint32_t value) {
  size_t size = json_read_string(j, value, NULL, 0);
  char *text = calloc(size + 1, 1);
  REQUIRE(text != NULL && json_read_string(j, value, text, size) == size);
  REQUIRE(json_is(j, value, text) == (strlen(text) == size)); /* a NUL within ends the C string */
  free(text);
}

/* As deep as the reader allows, so recursion is no danger. */
static uint32_t read_value(const json *j, uint32_t value) {
  uint32_t n = 1;
  double x = 0;
  int64_t i = 0;
  json_kind kind = json_kind_of(j, value);
  REQUIRE(kind != JSON_MISSING);
  if (kind == JSON_STRING) read_string(j, value);
  bool is_number = json_read_number(j, value, &x), is_integer = json_read_integer(j, value, &i);
  REQUIRE(!is_number || (kind == JSON_NUMBER && x - x == 0));
  REQUIRE(!is_integer || (is_number && (double)i == x));
  for (json_walk w = json_children(j, value); json_next(&w); n++) {
    REQUIRE((w.key != JSON_NONE) == (kind == JSON_OBJECT));
    if (w.key != JSON_NONE) read_string(j, w.key);
    n += read_value(j, w.value) - 1;
  }
  return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  json *j = NULL;
  error err = {{0}};
  sotto_status status = json_parse(&j, (const char *)bytes, size, "the input", &err);
  REQUIRE((status == SOTTO_OK) == (err.text[0] == 0) && (status == SOTTO_OK) == (j != NULL));
  if (j != NULL) REQUIRE(read_value(j, json_root(j)) <= size);
  json_close(j);
  return 0;
}
