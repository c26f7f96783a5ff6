/* Requests of HTTP/1.1 from bytes: strict, bounded, without I/O.
 *
 *     bytes ─> http_head_bytes: where the head ends ─> http_parse ─> request ─> http_body_read ─> body
 *
 * What two readers could take for two different things is refused: bare line feeds, folded lines, two lengths, a length beside chunks. */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_MAX_HEAD = 16 << 10, HTTP_MAX_FIELDS = 64 };

/* Bytes of somebody else; data NULL: there are none. */
typedef struct http_slice {
  const char *data;
  size_t size;
} http_slice;

bool http_same(http_slice s, const char *string);          /* to the letter */
bool http_same_any_case(http_slice s, const char *string); /* ASCII letters alike in both cases */

typedef struct http_field {
  http_slice name, value;
} http_field;

typedef struct http_request {
  http_slice method, path, query; /* the path begins with a slash, as it was sent; the query is without its mark */
  http_slice host;                /* of the field of this name */
  int minor;                      /* of the version: 0 or 1 */
  bool keep_alive, chunked, expects_continue;
  uint64_t length; /* of the body; 0 where it comes in chunks */
  int n_fields;
  http_field fields[HTTP_MAX_FIELDS];
} http_request;

/* Bytes of the head with the empty line that ends it; 0: it has not come whole. `*seen` (0 at first) is where the search went on from. */
size_t http_head_bytes(const char *bytes, size_t n, size_t *seen);

/* Reads a head of n bytes, which the request goes on to point into. 0, or the status to answer with and a sentence in *problem. */
int http_parse(http_request *r, const char *head, size_t n, const char **problem);

/* The value of a field; where it is given twice, the first. */
http_slice http_field_of(const http_request *r, const char *name);

/* A path without its escapes and with a NUL at its end; false: an escape is wrong, a NUL is in it, or it does not fit. */
bool http_decode_path(http_slice path, char *to, size_t capacity);

/* ---- bodies ---- */

typedef struct http_body {
  bool chunked, done;
  int at;        /* within the framing of chunks */
  uint64_t left; /* bytes of the body, or of the chunk, to come */
  size_t line;   /* bytes of the line read so far; of the trailer in all */
} http_body;

void http_body_begin(http_body *b, const http_request *r);

/* Moves body bytes of [bytes, n) to its front: *kept of them; *taken: bytes read, framing included. After `done` it takes nothing.
 * False: the framing is wrong. */
bool http_body_read(http_body *b, char *bytes, size_t n, size_t *taken, size_t *kept);

#endif
