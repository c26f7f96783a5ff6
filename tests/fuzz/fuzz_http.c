/* Fuzzes the reader of requests: head, body, form. The first byte says in what pieces the rest comes; what comes of it may not depend on that. */
#include "../../cli/multipart.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

static void touch(http_slice s) {
  unsigned sum = 0;
  for (size_t i = 0; i < s.size; i++) sum += (unsigned char)s.data[i];
  REQUIRE(sum <= 255 * s.size && (s.data != NULL || s.size == 0));
}

static void read_form(const http_request *r, const char *body, size_t size) {
  multipart m;
  multipart_part part;
  size_t parts = 0;
  if (!multipart_open(&m, http_field_of(r, "content-type"), body, size)) return;
  while (multipart_next(&m, &part) == 1) {
    touch(part.name);
    touch(part.filename);
    touch(part.data);
    REQUIRE(part.data.data >= body && part.data.data + part.data.size <= body + size);
    REQUIRE(++parts <= size);
  }
}

/* The body of [bytes, n) as it comes in pieces of `step`; its size. */
static size_t read_body(const http_request *r, const char *bytes, size_t n, size_t step, char *body, bool *whole) {
  http_body b;
  size_t size = 0, at = 0;
  bool ok = true;
  http_body_begin(&b, r);
  while (ok && at < n && !b.done) {
    const size_t piece = n - at < step ? n - at : step;
    size_t taken, kept;
    memcpy(body + size, bytes + at, piece);
    ok = http_body_read(&b, body + size, piece, &taken, &kept);
    REQUIRE(taken <= piece && kept <= taken && (taken == piece || b.done || !ok));
    at += taken;
    size += kept;
  }
  *whole = ok && b.done;
  return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  if (size < 1) return 0;
  const size_t step = (size_t)input[0] % 17 + 1;
  const char *bytes = (const char *)input + 1;
  size_t n = size - 1, seen = 0, head = 0;
  for (size_t have = 0; head == 0 && have < n;) {
    have = n - have < step ? n : have + step;
    head = http_head_bytes(bytes, have, &seen);
  }
  size_t from_start = 0;
  REQUIRE(head == http_head_bytes(bytes, n, &from_start));
  if (head == 0) return 0;
  http_request r;
  const char *problem = NULL;
  const int status = http_parse(&r, bytes, head, &problem);
  REQUIRE((status == 0) == (problem == NULL));
  if (status != 0) return 0;
  for (int i = 0; i < r.n_fields; i++) {
    touch(r.fields[i].name);
    touch(r.fields[i].value);
  }
  touch(r.query);
  char path[256];
  if (http_decode_path(r.path, path, sizeof path)) REQUIRE(strlen(path) <= r.path.size);
  char *body = malloc(2 * n + 1);
  char *other = malloc(2 * n + 1);
  REQUIRE(body != NULL && other != NULL);
  bool whole, other_whole;
  const size_t body_size = read_body(&r, bytes + head, n - head, n, body, &whole);
  const size_t other_size = read_body(&r, bytes + head, n - head, step, other, &other_whole);
  REQUIRE(whole == other_whole && body_size == other_size && memcmp(body, other, body_size) == 0);
  char *exact = malloc(body_size + 1); /* so that the sanitizer sees a read behind the end */
  REQUIRE(exact != NULL);
  memcpy(exact + 1, body, body_size);
  read_form(&r, exact + 1, body_size);
  free(exact);
  free(body);
  free(other);
  return 0;
}
