#include "multipart.h"

#include <string.h>

enum { MAX_BOUNDARY = 70, MAX_PART_HEAD = 4096 };

static bool is_space(char c) { return c == ' ' || c == '\t'; }

/* A parameter of a field's value, `; name=value` or `; name="value"`; false: there is none. */
static bool parameter(http_slice field, const char *name, http_slice *value) {
  const char *p = field.data, *end = p + field.size;
  while (p < end && *p != ';') p++;
  while (p < end) {
    p++; /* the semicolon */
    while (p < end && is_space(*p)) p++;
    const char *begin = p;
    while (p < end && *p != '=' && *p != ';') p++;
    const http_slice found = {begin, (size_t)(p - begin)};
    if (p == end || *p == ';') continue;
    p++;
    const bool quoted = p < end && *p == '"';
    begin = quoted ? ++p : p;
    while (p < end && (quoted ? *p != '"' : *p != ';')) p += quoted && *p == '\\' && end - p > 1 ? 2 : 1;
    *value = (http_slice){begin, (size_t)(p - begin)};
    if (quoted && p == end) return false;
    if (!quoted) {
      while (value->size > 0 && is_space(begin[value->size - 1])) value->size--;
    }
    if (http_same_any_case(found, name)) return true;
    while (p < end && *p != ';') p++;
  }
  return false;
}

bool multipart_open(multipart *m, http_slice content_type, const char *body, size_t size) {
  static const char kind[] = "multipart/form-data";
  *m = (multipart){body, body + size, {NULL, 0}};
  const http_slice said = {content_type.data, sizeof kind - 1};
  if (content_type.data == NULL || content_type.size < said.size || !http_same_any_case(said, kind)) return false;
  return parameter(content_type, "boundary", &m->boundary) && m->boundary.size > 0 && m->boundary.size <= MAX_BOUNDARY;
}

/* Whether `--BOUNDARY` begins at p. */
static bool is_boundary(const multipart *m, const char *p) {
  const size_t n = m->boundary.size;
  return (size_t)(m->end - p) >= n + 2 && p[0] == '-' && p[1] == '-' && memcmp(p + 2, m->boundary.data, n) == 0;
}

/* The line break before the next boundary; NULL: there is none. */
static const char *find_boundary(const multipart *m, const char *p) {
  while ((p = memchr(p, '\r', (size_t)(m->end - p))) != NULL) {
    if (m->end - p >= 2 && p[1] == '\n' && is_boundary(m, p + 2)) return p;
    p++;
  }
  return NULL;
}

/* Reads one field of a part's head. */
static void read_field(http_slice line, multipart_part *part) {
  static const char disposition[] = "content-disposition";
  const char *colon = memchr(line.data, ':', line.size);
  if (colon == NULL || !http_same_any_case((http_slice){line.data, (size_t)(colon - line.data)}, disposition)) return;
  const http_slice value = {colon + 1, line.size - (size_t)(colon + 1 - line.data)};
  parameter(value, "name", &part->name);
  parameter(value, "filename", &part->filename);
}

int multipart_next(multipart *m, multipart_part *part) {
  *part = (multipart_part){.name = {NULL, 0}};
  if (!is_boundary(m, m->at)) return -1;
  const char *p = m->at + 2 + m->boundary.size;
  if (m->end - p >= 2 && p[0] == '-' && p[1] == '-') return 0;
  while (p < m->end && is_space(*p)) p++;
  if (m->end - p < 2 || p[0] != '\r' || p[1] != '\n') return -1;
  p += 2;
  for (const char *head = p;;) {
    const char *line = p;
    while (p < m->end && *p != '\r' && *p != '\n' && p - head <= MAX_PART_HEAD) p++;
    if (m->end - p < 2 || p[0] != '\r' || p[1] != '\n') return -1;
    const http_slice field = {line, (size_t)(p - line)};
    p += 2;
    if (field.size == 0) break;
    read_field(field, part);
  }
  if (part->name.data == NULL) return -1;
  /* A part without data has no line break but that of its head. */
  const char *end = is_boundary(m, p) ? p : find_boundary(m, p);
  if (end == NULL) return -1;
  part->data = (http_slice){p, (size_t)(end - p)};
  m->at = end == p && is_boundary(m, p) ? p : end + 2;
  return 1;
}
