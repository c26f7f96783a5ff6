/* JSON in memory, strictly as RFC 8259 has it, as a flat index of its values.
 *
 *     text ──json_parse──> nodes: [0] the whole, [1] its first child, ... in the order of the text; 8 bytes each
 *
 *     {"shape":[2,3],"name":"w"}       0 {   1 "shape"   2 [   3 2   4 3   5 "name"   6 "w"
 *
 * A value is the number of its node; JSON_NONE stands for what is not there, and every accessor takes it for an answer, so that lookups
 * can be chained. Time and memory are linear in the text. No I/O. */
#ifndef SOTTO_JSON_H
#define SOTTO_JSON_H

#include "../base/base.h"

#define JSON_NONE UINT32_MAX

typedef struct json json;

typedef enum json_kind {
  JSON_MISSING,
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_NUMBER,
  JSON_STRING,
  JSON_ARRAY,
  JSON_OBJECT
} json_kind;

/* Reads a text (UTF-8, at most 4 GB; it must outlive *out and stay as it is). Every string and number is checked here: accessors cannot
 * fail on them. `name` ("config.json") begins the sentence of an error, which says where in the text it is.
 * On failure *out is NULL. Errors: FORMAT, MEMORY. */
sotto_status json_parse(json **out, const char *text, size_t size, const char *name, error *err);
void json_close(json *j); /* NULL is allowed */

static inline uint32_t json_root(const json *j) { return (void)j, 0; }
json_kind json_kind_of(const json *j, uint32_t value);

/* The value of a key, the last one where there are several; JSON_NONE when there is none, or no object. Takes time linear in the object:
 * walk large ones. */
uint32_t json_get(const json *j, uint32_t object, const char *key);

/* The children of an array or object, in order:
 *     for (json_walk w = json_children(j, v); json_next(&w);) use(w.key, w.value); */
typedef struct json_walk {
  const json *j;
  uint32_t key; /* JSON_NONE in an array */
  uint32_t value;
  uint32_t at, end; /* what follows; for json_next */
  bool object;
} json_walk;

json_walk json_children(const json *j, uint32_t value); /* none, unless it is an array or object */
bool json_next(json_walk *w);
uint32_t json_count(const json *j, uint32_t value); /* of children; linear in them */

/* A string without its escapes: returns its bytes (UTF-8, may hold NULs) and writes them to `to` when they fit in `capacity`. 0 when it
 * is no string. */
size_t json_read_string(const json *j, uint32_t value, char *to, size_t capacity);
bool json_is(const json *j, uint32_t value, const char *string);

/* A number, rounded correctly up to 15 digits and 10^22, else within a few units in the last place; false when it is no number or too
 * large. */
bool json_read_number(const json *j, uint32_t value, double *out);
/* A number written as an integer; false when it is none or does not fit. */
bool json_read_integer(const json *j, uint32_t value, int64_t *out);

#endif
