#define _XOPEN_SOURCE 700

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_connection.h"
#include "process.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* there SIGPIPE is ignored */
#endif

enum { FILE_PIECE = 64 << 10, KEPT_OUT = 256 << 10, MOST_PIECES = 16 /* at once: others wait */ };

static const char *reason(int status) {
  static const struct {
    int status;
    const char *text;
  } reasons[] = {{200, "OK"},
                 {204, "No Content"},
                 {206, "Partial Content"},
                 {304, "Not Modified"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {413, "Content Too Large"},
                 {415, "Unsupported Media Type"},
                 {416, "Range Not Satisfiable"},
                 {417, "Expectation Failed"},
                 {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"},
                 {505, "HTTP Version Not Supported"}};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (reasons[i].status == status) return reasons[i].text;
  }
  return "Status";
}

/* ---- sending ---- */

/* More of the file into `out`; false: it ended early, and the answer cannot be whole. */
static bool refill(http_exchange *x) {
  char piece[FILE_PIECE];
  const size_t wanted = x->file_left < sizeof piece ? (size_t)x->file_left : sizeof piece;
  const ssize_t n = pread(x->file, piece, wanted, (off_t)x->file_at);
  if (n <= 0) return false;
  text_bytes(&x->out, piece, (size_t)n);
  x->file_at += (uint64_t)n;
  x->file_left -= (uint64_t)n;
  if (x->file_left == 0) {
    close(x->file);
    x->file = -1;
  }
  return true;
}

void connection_flush(http_exchange *x) {
  for (int pieces = 0; !x->broken && pieces <= MOST_PIECES;) {
    if (x->out.failed) x->broken = true;
    if (x->sent == x->out.size) {
      x->sent = x->out.size = 0;
      if (x->out.capacity > KEPT_OUT) text_free(&x->out);
      if (x->file < 0) return;
      if (!refill(x)) x->broken = true;
      pieces++;
      continue;
    }
    const ssize_t n = send(x->socket, x->out.data + x->sent, x->out.size - x->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      x->broken = true;
      return;
    }
    x->sent += (size_t)n;
    x->progress_ms = process_now_ms();
  }
}

size_t http_unsent(const http_exchange *x) { return x->out.size - x->sent; }

/* ---- what is sent ---- */

static void head(http_exchange *x, int status, const char *type, const char *fields) {
  x->status = status;
  x->only_head = http_same(x->request.method, "HEAD");
  text_format(&x->out, "HTTP/1.1 %d %s\r\n", status, reason(status));
  text_string(&x->out, "X-Content-Type-Options: nosniff\r\n");
  if (!x->keep_alive) text_string(&x->out, "Connection: close\r\n");
  if (x->keep_alive && x->request.minor == 0) text_string(&x->out, "Connection: keep-alive\r\n");
  if (type != NULL) {
    text_string(&x->out, "Content-Type: ");
    text_string(&x->out, type);
    text_string(&x->out, "\r\n");
  }
  text_string(&x->out, fields);
}

static void head_with_length(http_exchange *x, int status, const char *type, const char *fields, uint64_t size) {
  head(x, status, type, fields);
  if (status != 204 && status != 304) text_format(&x->out, "Content-Length: %llu\r\n", (unsigned long long)size);
  text_string(&x->out, "\r\n");
}

void http_answer(http_exchange *x, int status, const char *type, const char *fields, const char *body, size_t size) {
  head_with_length(x, status, type, fields, size);
  if (!x->only_head) text_bytes(&x->out, body, size);
  x->ended = true;
  connection_flush(x);
}

void http_answer_file(http_exchange *x, int status, const char *type, const char *fields, int file, uint64_t at,
                      uint64_t size) {
  head_with_length(x, status, type, fields, size);
  if (x->only_head || size == 0) {
    close(file);
  } else {
    x->file = file;
    x->file_at = at;
    x->file_left = size;
  }
  x->ended = true;
  connection_flush(x);
}

void http_begin(http_exchange *x, int status, const char *type, const char *fields) {
  x->chunked = x->request.minor == 1;
  if (!x->chunked) x->keep_alive = false; /* the end of the connection is the end of the body */
  head(x, status, type, fields);
  text_string(&x->out, x->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
  connection_flush(x);
}

void http_piece(http_exchange *x, const char *bytes, size_t size) {
  if (size == 0 || x->only_head || x->broken) return;
  if (x->chunked) text_format(&x->out, "%zx\r\n", size);
  text_bytes(&x->out, bytes, size);
  if (x->chunked) text_string(&x->out, "\r\n");
  connection_flush(x);
}

void http_end(http_exchange *x) {
  if (x->chunked && !x->only_head) text_string(&x->out, "0\r\n\r\n");
  x->ended = true;
  connection_flush(x);
}
