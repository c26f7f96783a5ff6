#include "http.h"

#include <string.h>

enum { MAX_METHOD = 16, MAX_CHUNK_LINE = 256, MAX_TRAILER = 4096 };

/* ---- letters ---- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool is_token(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_same(http_slice s, const char *string) {
  return s.data != NULL && strlen(string) == s.size && memcmp(s.data, string, s.size) == 0;
}

bool http_same_any_case(http_slice s, const char *string) {
  if (s.data == NULL || strlen(string) != s.size) return false;
  for (size_t i = 0; i < s.size; i++) {
    if (lower(s.data[i]) != lower(string[i])) return false;
  }
  return true;
}

static http_slice trimmed(http_slice s) {
  while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) s = (http_slice){s.data + 1, s.size - 1};
  while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t')) s.size--;
  return s;
}

/* ---- the head ---- */

size_t http_head_bytes(const char *bytes, size_t n, size_t *seen) {
  for (size_t i = *seen; i + 4 <= n; i++) {
    if (memcmp(bytes + i, "\r\n\r\n", 4) == 0) return i + 4;
  }
  *seen = n < 3 ? 0 : n - 3;
  return 0;
}

/* The next line of [*p, end) without its end; false: there is none, or it has a control character. */
static bool take_line(const char **p, const char *end, http_slice *line) {
  const char *at = *p;
  while (at < end && ((unsigned char)*at >= 0x20 || *at == '\t') && *at != 0x7f) at++;
  if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return false;
  *line = (http_slice){*p, (size_t)(at - *p)};
  *p = at + 2;
  return true;
}

static int refuse(const char **problem, int status, const char *sentence) {
  *problem = sentence;
  return status;
}

/* METHOD SP /path[?query] SP HTTP/1.x */
static int parse_request_line(http_request *r, http_slice line, const char **problem) {
  const char *p = line.data, *end = p + line.size;
  while (p < end && is_token((unsigned char)*p)) p++;
  r->method = (http_slice){line.data, (size_t)(p - line.data)};
  if (r->method.size == 0 || r->method.size > MAX_METHOD || p == end || *p != ' ')
    return refuse(problem, 400, "the request line has no method");
  const char *target = ++p;
  while (p<end && * p> ' ' && *p < 0x7f && *p != '?' && *p != '#') p++;
  r->path = (http_slice){target, (size_t)(p - target)};
  if (r->path.size == 0 || target[0] != '/')
    return refuse(problem, 400, "the request's target has to begin with a slash");
  if (p < end && *p == '?') {
    const char *query = ++p;
    while (p<end && * p> ' ' && *p < 0x7f && *p != '#') p++;
    r->query = (http_slice){query, (size_t)(p - query)};
  }
  const http_slice version = {p, (size_t)(end - p)};
  if (version.size != 9 || memcmp(p, " HTTP/", 6) != 0 || p[7] != '.')
    return refuse(problem, 400, "the request line does not end with a version of HTTP");
  if (p[6] != '1' || (p[8] != '0' && p[8] != '1'))
    return refuse(problem, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  r->minor = p[8] - '0';
  return 0;
}

static bool parse_field(http_field *f, http_slice line) {
  size_t n = 0;
  while (n < line.size && is_token((unsigned char)line.data[n])) n++;
  if (n == 0 || n == line.size || line.data[n] != ':') return false;
  f->name = (http_slice){line.data, n};
  f->value = trimmed((http_slice){line.data + n + 1, line.size - n - 1});
  return true;
}

/* Whether a comma-separated list has a word. */
static bool lists(http_slice list, const char *word) {
  while (list.size > 0) {
    const char *comma = memchr(list.data, ',', list.size);
    const size_t n = comma != NULL ? (size_t)(comma - list.data) : list.size;
    if (http_same_any_case(trimmed((http_slice){list.data, n}), word)) return true;
    const size_t skip = comma != NULL ? n + 1 : n;
    list = (http_slice){list.data + skip, list.size - skip};
  }
  return false;
}

static bool parse_length(http_slice digits, uint64_t *out) {
  if (digits.size == 0 || digits.size > 15) return false;
  *out = 0;
  for (size_t i = 0; i < digits.size; i++) {
    if (digits.data[i] < '0' || digits.data[i] > '9') return false;
    *out = *out * 10 + (uint64_t)(digits.data[i] - '0');
  }
  return true;
}

/* What the fields say of the connection and the body. */
static int read_fields(http_request *r, const char **problem) {
  int n_lengths = 0, n_hosts = 0, n_encodings = 0;
  r->keep_alive = r->minor == 1;
  for (int i = 0; i < r->n_fields; i++) {
    const http_slice name = r->fields[i].name, value = r->fields[i].value;
    if (http_same_any_case(name, "host")) {
      n_hosts++;
      r->host = value;
    } else if (http_same_any_case(name, "content-length")) {
      n_lengths++;
      if (!parse_length(value, &r->length)) return refuse(problem, 400, "the Content-Length is no number of bytes");
    } else if (http_same_any_case(name, "transfer-encoding")) {
      n_encodings++;
      if (!http_same_any_case(value, "chunked"))
        return refuse(problem, 501, "no Transfer-Encoding but chunked is known here");
      r->chunked = true;
    } else if (http_same_any_case(name, "connection")) {
      if (lists(value, "close")) r->keep_alive = false;
      if (r->minor == 0 && lists(value, "keep-alive")) r->keep_alive = true;
    } else if (http_same_any_case(name, "expect")) {
      if (!http_same_any_case(value, "100-continue"))
        return refuse(problem, 417, "no expectation but 100-continue is known here");
      r->expects_continue = true;
    }
  }
  if (n_hosts > 1 || (n_hosts == 0 && r->minor == 1)) return refuse(problem, 400, "a request needs one Host");
  if (n_lengths + n_encodings > 1 || (r->chunked && r->minor == 0))
    return refuse(problem, 400, "the length of the body is said in two ways");
  return 0;
}

int http_parse(http_request *r, const char *head, size_t n, const char **problem) {
  *r = (http_request){.n_fields = 0};
  const char *p = head, *end = head + n;
  http_slice line;
  if (!take_line(&p, end, &line)) return refuse(problem, 400, "the request line has characters that it may not have");
  const int status = parse_request_line(r, line, problem);
  if (status != 0) return status;
  while (true) {
    if (!take_line(&p, end, &line)) return refuse(problem, 400, "a header field has characters that it may not have");
    if (line.size == 0) break;
    if (r->n_fields == HTTP_MAX_FIELDS) return refuse(problem, 431, "there are too many header fields");
    if (!parse_field(&r->fields[r->n_fields++], line)) return refuse(problem, 400, "a header field has no name");
  }
  return read_fields(r, problem);
}

http_slice http_field_of(const http_request *r, const char *name) {
  for (int i = 0; i < r->n_fields; i++) {
    if (http_same_any_case(r->fields[i].name, name)) return r->fields[i].value;
  }
  return (http_slice){NULL, 0};
}

bool http_decode_path(http_slice path, char *to, size_t capacity) {
  size_t n = 0;
  for (size_t i = 0; i < path.size; i++) {
    int c = (unsigned char)path.data[i];
    if (c == '%') {
      if (path.size - i < 3 || hex(path.data[i + 1]) < 0 || hex(path.data[i + 2]) < 0) return false;
      c = hex(path.data[i + 1]) * 16 + hex(path.data[i + 2]);
      i += 2;
    }
    if (c == 0 || n + 1 >= capacity) return false;
    to[n++] = (char)c;
  }
  if (capacity == 0) return false;
  to[n] = '\0';
  return true;
}

/* ---- bodies ----
 *
 *     SIZE ";extension" CRLF  data CRLF  ...  0 CRLF  trailer lines  CRLF */

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_CR, CHUNK_LF, TRAILER, TRAILER_LF };

void http_body_begin(http_body *b, const http_request *r) {
  *b = (http_body){.chunked = r->chunked, .left = r->length, .done = !r->chunked && r->length == 0};
}

/* One byte of the framing; false: it does not belong there. */
static bool read_framing(http_body *b, char c) {
  switch (b->at) {
    case CHUNK_SIZE:
      if (hex(c) >= 0) {
        b->left = b->left * 16 + (uint64_t)hex(c);
        return ++b->line <= 8;
      }
      if (b->line == 0) return false;
      b->at = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
      return c == ';' || c == '\r';
    case CHUNK_EXTENSION:
      if (c == '\r') b->at = CHUNK_SIZE_LF;
      return (c == '\r' || c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f)) && ++b->line <= MAX_CHUNK_LINE;
    case CHUNK_SIZE_LF:
      b->at = b->left > 0 ? CHUNK_DATA : TRAILER;
      b->line = 0;
      return c == '\n';
    case CHUNK_CR:
      b->at = CHUNK_LF;
      return c == '\r';
    case CHUNK_LF:
      b->at = CHUNK_SIZE;
      return c == '\n';
    case TRAILER: /* `left` counts the bytes of its line */
      if (c == '\r')
        b->at = TRAILER_LF;
      else
        b->left++;
      return (c == '\r' || c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f)) && ++b->line <= MAX_TRAILER;
    default: /* TRAILER_LF */
      b->done = b->left == 0;
      b->left = 0;
      b->at = TRAILER;
      return c == '\n';
  }
}

bool http_body_read(http_body *b, char *bytes, size_t n, size_t *taken, size_t *kept) {
  size_t at = 0, out = 0;
  bool ok = true;
  while (ok && at < n && !b->done) {
    if (b->chunked && b->at != CHUNK_DATA) {
      ok = read_framing(b, bytes[at++]);
      continue;
    }
    const size_t piece = n - at < b->left ? n - at : (size_t)b->left;
    memmove(bytes + out, bytes + at, piece);
    at += piece;
    out += piece;
    b->left -= piece;
    if (b->left > 0) break;
    if (b->chunked)
      b->at = CHUNK_CR;
    else
      b->done = true;
  }
  *taken = at;
  *kept = out;
  return ok;
}
