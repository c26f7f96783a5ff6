#include "serve_fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool fields_wrong(fields *f, const char *name, const char *format, ...) {
  const int used = snprintf(f->problem, sizeof f->problem, "'%s' ", name);
  va_list args;
  va_start(args, format);
  vsnprintf(f->problem + used, sizeof f->problem - (size_t)used, format, args);
  va_end(args);
  f->param = name;
  return false;
}

uint32_t fields_get(const fields *f, const char *name) {
  const uint32_t value = json_get(f->j, f->object, name);
  return json_kind_of(f->j, value) == JSON_NULL ? JSON_NONE : value;
}

bool fields_bool(fields *f, const char *name, bool *out) {
  const uint32_t value = fields_get(f, name);
  if (value == JSON_NONE) return true;
  const json_kind kind = json_kind_of(f->j, value);
  if (kind != JSON_TRUE && kind != JSON_FALSE) return fields_wrong(f, name, "has to be true or false");
  *out = kind == JSON_TRUE;
  return true;
}

bool fields_number(fields *f, const char *name, double low, double high, float *out) {
  const uint32_t value = fields_get(f, name);
  double x;
  if (value == JSON_NONE) return true;
  if (!json_read_number(f->j, value, &x) || x < low || x > high)
    return fields_wrong(f, name, "has to be a number from %g to %g", low, high);
  *out = (float)x;
  return true;
}

bool fields_integer(fields *f, const char *name, int64_t low, int64_t high, int64_t *out) {
  const uint32_t value = fields_get(f, name);
  int64_t n;
  if (value == JSON_NONE) return true;
  if (!json_read_integer(f->j, value, &n) || n < low || n > high)
    return fields_wrong(f, name, "has to be an integer from %lld to %lld", (long long)low, (long long)high);
  *out = n;
  return true;
}

bool fields_string(const json *j, uint32_t value, text *out) {
  if (json_kind_of(j, value) != JSON_STRING) return false;
  const size_t size = json_read_string(j, value, NULL, 0);
  char *bytes = malloc(size + 1);
  if (bytes == NULL) {
    out->failed = true;
    return true;
  }
  json_read_string(j, value, bytes, size);
  text_bytes(out, bytes, size);
  free(bytes);
  return true;
}
