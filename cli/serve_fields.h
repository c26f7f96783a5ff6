/* The fields of a request's JSON, and what is wrong with one, in a sentence. null is as good as no field. */
#ifndef CLI_SERVE_FIELDS_H
#define CLI_SERVE_FIELDS_H

#include "../src/formats/json.h"
#include "json.h"

typedef struct fields {
  const json *j;
  uint32_t object;
  const char *param; /* the field that is wrong; NULL: none */
  char problem[256];
} fields;

/* Writes down what is wrong with a field; false. */
bool fields_wrong(fields *f, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The value of a field; JSON_NONE: it is not there, or null. */
uint32_t fields_get(const fields *f, const char *name);

/* Each leaves *out as it is where there is no such field, and is false where the field is not what it should be. */
bool fields_bool(fields *f, const char *name, bool *out);
bool fields_number(fields *f, const char *name, double low, double high, float *out);
bool fields_integer(fields *f, const char *name, int64_t low, int64_t high, int64_t *out);

/* Appends a string; false: the value is none. */
bool fields_string(const json *j, uint32_t value, text *out);

#endif
