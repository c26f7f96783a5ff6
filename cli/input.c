#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/formats/json.h"

static bool complain(const char *path, const char *sentence) {
  fprintf(stderr, "sotto: %s: %s\n", strcmp(path, "-") == 0 ? "standard input" : path, sentence);
  return false;
}

bool input_read(text *t, const char *path) {
  char piece[16384];
  size_t n;
  FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
  if (f == NULL) return complain(path, strerror(errno));
  errno = 0;
  while ((n = fread(piece, 1, sizeof piece, f)) > 0) text_bytes(t, piece, n);
  const int code = ferror(f) ? errno : 0;
  if (f != stdin) fclose(f);
  if (code != 0) return complain(path, strerror(code));
  return !t->failed || complain(path, "out of memory");
}

static const char no_list[] =
    "is no list of token ids: give [2, 106, ...], [[2, ...], [2, ...]], or ids between white space";

/* Whether the value is an id; appends it at *n. */
static bool take_id(id_texts *t, size_t *n, const json *j, uint32_t value) {
  int64_t id;
  if (!json_read_integer(j, value, &id) || id < INT32_MIN || id > INT32_MAX) return false;
  t->ids[(*n)++] = (int32_t)id;
  return true;
}

static bool take_json(id_texts *t, const json *j) {
  size_t n = 0;
  bool nested = false, ok = true;
  for (json_walk w = json_children(j, json_root(j)); ok && json_next(&w);) {
    if (json_kind_of(j, w.value) == JSON_ARRAY) {
      ok = n == 0 || nested;
      nested = true;
      for (json_walk inner = json_children(j, w.value); ok && json_next(&inner);) ok = take_id(t, &n, j, inner.value);
      t->ends[t->n_texts++] = n;
    } else {
      ok = !nested && take_id(t, &n, j, w.value);
    }
  }
  if (!nested) t->ends[t->n_texts++] = n;
  return ok;
}

static bool take_words(id_texts *t, const char *words) {
  size_t n = 0;
  for (const char *at = words + strspn(words, " \t\r\n"); *at != '\0'; at += strspn(at, " \t\r\n")) {
    char *end;
    errno = 0;
    const long id = strtol(at, &end, 10);
    if (end == at || errno != 0 || id < INT32_MIN || id > INT32_MAX || strchr(" \t\r\n", *end) == NULL) return false;
    t->ids[n++] = (int32_t)id;
    at = end;
  }
  t->ends[t->n_texts++] = n;
  return true;
}

bool input_read_ids(id_texts *t, const char *path) {
  *t = (id_texts){0};
  text content = {0};
  bool ok = input_read(&content, path);
  const size_t size = content.size;
  text_bytes(&content, "", 1); /* NUL */
  /* An id takes two bytes at least, and so does a text. */
  t->ids = ok && !content.failed ? malloc((size / 2 + 1) * sizeof *t->ids) : NULL;
  t->ends = t->ids != NULL ? malloc((size / 2 + 1) * sizeof *t->ends) : NULL;
  if (ok && t->ends == NULL) ok = complain(path, "out of memory");
  if (ok && content.data[strspn(content.data, " \t\r\n")] == '[') {
    error err = {.text = ""};
    json *j = NULL;
    ok = json_parse(&j, content.data, size, "the list of ids", &err) == SOTTO_OK || complain(path, err.text);
    if (ok && !take_json(t, j)) ok = complain(path, no_list);
    json_close(j);
  } else if (ok && !take_words(t, content.data)) {
    ok = complain(path, no_list);
  }
  text_free(&content);
  if (!ok) id_texts_free(t);
  return ok;
}

void id_texts_free(id_texts *t) {
  free(t->ids);
  free(t->ends);
  *t = (id_texts){0};
}
