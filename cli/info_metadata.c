/* What files of language models say beside the weights, as lines `key = value` or members of a JSON object. */
#include <stdio.h>
#include <stdlib.h>

#include "info_language.h"

enum { SHOWN_BYTES = 60, SHOWN_ELEMENTS = 8, SHORT_ARRAY = 16 };

/* Begins a value. */
static void put_key(description *d, const char *key, size_t size) {
  text *out = &d->metadata;
  if (d->request->json) {
    if (out->size > 0) text_string(out, ",");
    json_string(out, key, size);
    text_string(out, ":");
  } else {
    char shown[200];
    info_copy_text(shown, sizeof shown, key, size);
    text_format(out, "    %s = ", shown);
  }
}

static void end_value(description *d) {
  if (!d->request->json) text_string(&d->metadata, "\n");
}

/* On a line, a string is cut. */
static void put_string(description *d, const char *bytes, size_t size) {
  text *out = &d->metadata;
  if (d->request->json) {
    json_string(out, bytes, size);
    return;
  }
  text line = {0};
  json_string(&line, bytes, min_size(size, SHOWN_BYTES));
  text_bytes(out, line.data, line.size);
  out->failed = out->failed || line.failed;
  text_free(&line);
  if (size > SHOWN_BYTES) text_format(out, "... (%zu bytes)", size);
}

/* ---- GGUF ---- */

static const char *type_name(gguf_type type) {
  static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                      "bool", "string", "array", "u64", "i64", "f64"};
  return type < sizeof names / sizeof *names ? names[type] : "unknown";
}

/* With as few digits as say the same number. */
static void put_number(description *d, double number, bool is_float) {
  char digits[40];
  int precision = 6;
  do {
    snprintf(digits, sizeof digits, "%.*g", precision, number);
  } while (++precision <= 17 &&
           (is_float ? (float)strtod(digits, NULL) != (float)number : strtod(digits, NULL) != number));
  text_string(&d->metadata, digits);
}

static void put_element(description *d, const gguf_array *a, uint32_t i) {
  uint64_t integer;
  float number;
  size_t size;
  const char *string = gguf_array_string(a, i, &size);
  if (string != NULL)
    put_string(d, string, size);
  else if (a->type == GGUF_BOOL && gguf_array_u64(a, i, &integer))
    text_string(&d->metadata, integer ? "true" : "false");
  else if (gguf_array_u64(a, i, &integer))
    text_format(&d->metadata, "%llu", (unsigned long long)integer);
  else if (gguf_array_f32(a, i, &number))
    put_number(d, (double)number, true);
  else
    text_string(&d->metadata, "null");
}

/* Long ones by their beginning. */
static void put_array(description *d, const gguf_array *a) {
  text *out = &d->metadata;
  const bool whole = a->count <= SHORT_ARRAY, as_json = d->request->json;
  if (!whole && as_json)
    text_format(out, "{\"type\":\"%s\",\"count\":%u,\"first\":", type_name(a->type), (unsigned)a->count);
  if (!whole && !as_json) text_format(out, "%u of %s: ", (unsigned)a->count, type_name(a->type));
  text_string(out, "[");
  for (uint32_t i = 0; i < a->count && (whole || i < SHOWN_ELEMENTS); i++) {
    if (i > 0) text_string(out, as_json ? "," : ", ");
    put_element(d, a, i);
  }
  text_string(out, whole || as_json ? "]" : ", ...]");
  if (!whole && as_json) text_string(out, "}");
}

static void put_value(description *d, const gguf *g, const char *key, gguf_type type) {
  text *out = &d->metadata;
  const char *string;
  size_t size;
  uint64_t integer;
  float number;
  bool yes;
  gguf_array array;
  if (gguf_string(g, key, &string, &size))
    put_string(d, string, size);
  else if (gguf_array_of(g, key, &array))
    put_array(d, &array);
  else if (type == GGUF_BOOL && gguf_bool(g, key, &yes))
    text_string(out, yes ? "true" : "false");
  else if (type != GGUF_F32 && type != GGUF_F64 && gguf_u64(g, key, &integer))
    text_format(out, "%llu", (unsigned long long)integer);
  else if (gguf_f32(g, key, &number))
    put_number(d, (double)number, true);
  else
    text_string(out, "null");
}

void info_gguf_metadata(description *d, const gguf *g) {
  for (uint32_t i = 0; i < gguf_n_values(g); i++) {
    gguf_type type;
    const char *key = gguf_key(g, i, &type);
    put_key(d, key, strlen(key));
    put_value(d, g, key, type);
    end_value(d);
  }
}

/* ---- config.json ---- */

static void put_json(description *d, const json *j, uint32_t value);

/* "members" of an object or elements of an array, in brackets. */
static void put_children(description *d, const json *j, uint32_t value, const char *brackets) {
  text *out = &d->metadata;
  bool first = true;
  text_bytes(out, brackets, 1);
  for (json_walk w = json_children(j, value); json_next(&w); first = false) {
    if (!first) text_string(out, ",");
    if (w.key != JSON_NONE) {
      put_json(d, j, w.key);
      text_string(out, ":");
    }
    put_json(d, j, w.value);
  }
  text_bytes(out, brackets + 1, 1);
}

static void put_json_string(description *d, const json *j, uint32_t value) {
  const size_t size = json_read_string(j, value, NULL, 0);
  char *bytes = malloc(size + 1);
  if (bytes == NULL) {
    d->metadata.failed = true;
    return;
  }
  json_read_string(j, value, bytes, size);
  put_string(d, bytes, size);
  free(bytes);
}

static void put_json(description *d, const json *j, uint32_t value) {
  text *out = &d->metadata;
  int64_t integer;
  double number;
  switch (json_kind_of(j, value)) {
    case JSON_STRING:
      put_json_string(d, j, value);
      return;
    case JSON_ARRAY:
      put_children(d, j, value, "[]");
      return;
    case JSON_OBJECT:
      put_children(d, j, value, "{}");
      return;
    case JSON_TRUE:
      text_string(out, "true");
      return;
    case JSON_FALSE:
      text_string(out, "false");
      return;
    case JSON_NUMBER:
      if (json_read_integer(j, value, &integer))
        text_format(out, "%lld", (long long)integer);
      else if (json_read_number(j, value, &number))
        put_number(d, number, false);
      else
        text_string(out, "null");
      return;
    default:
      text_string(out, "null");
  }
}

void info_config_metadata(description *d, const json *config) {
  for (json_walk w = json_children(config, json_root(config)); json_next(&w);) {
    char key[200] = "";
    const size_t size = min_size(json_read_string(config, w.key, NULL, 0), sizeof key);
    json_read_string(config, w.key, key, sizeof key);
    put_key(d, key, size);
    put_json(d, config, w.value);
    end_value(d);
  }
}
