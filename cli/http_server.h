/* A server of HTTP/1.1 on one thread, which its caller turns: requests come whole, answers go off as they grow.
 *
 *     connection: head ─> body ─> handler ─> answer (at once, or later, piece by piece) ─> head ...
 *
 * Everything is bounded: connections, head, body, the bodies of all connections together, and the time that each may take. */
#ifndef CLI_HTTP_SERVER_H
#define CLI_HTTP_SERVER_H

#include "http.h"
#include "json.h"

enum { HTTP_MAX_CONNECTIONS = 64 };

typedef struct http_server http_server;
/* One request and its answer. */
typedef struct http_exchange http_exchange;

typedef struct http_handler {
  void *context;
  /* A head is there: the most bytes that its body may have; or -1 when it was answered, and the body is not wanted. */
  int64_t (*head)(void *context, http_exchange *x);
  /* The whole request is there: answer it, now or later. */
  void (*request)(void *context, http_exchange *x);
  /* The request could not be read, or there are too many: answer it with a status and a sentence. */
  void (*refuse)(void *context, http_exchange *x, int status, const char *problem);
  /* The exchange ends, answered or not: forget it. Called once for every `head` and every `refuse` without one. */
  void (*end)(void *context, http_exchange *x);
} http_handler;

/* Listens; port 0: any that is free. NULL, with a sentence in `problem`. The handler is copied. */
http_server *http_server_open(const char *host, int port, const http_handler *handler, char *problem, size_t room);
/* Ends all exchanges. */
void http_server_close(http_server *s); /* NULL is allowed */
/* Takes no more connections; those that are idle end soon, others when they are answered. */
void http_server_drain(http_server *s);
int http_server_port(const http_server *s);
size_t http_server_connections(const http_server *s);

/* Waits at most so long for the network, and does what there is to do. */
void http_server_poll(http_server *s, int timeout_ms);

/* ---- an exchange ---- */

const http_request *http_request_of(const http_exchange *x);
http_slice http_body_of(const http_exchange *x);
/* What the handler keeps with it; NULL at first. */
void http_keep(http_exchange *x, void *kept);
void *http_kept(const http_exchange *x);
/* Bytes of the answer that the client has not taken yet. */
size_t http_unsent(const http_exchange *x);
/* The status answered with, 0: none so far; and how long ago the request began to come. */
int http_status_of(const http_exchange *x);
double http_age_ms(const http_exchange *x);

/* ---- answers: one of these for each request ----
 *
 * `fields` are further header fields, each "Name: value\r\n"; "" for none. */

void http_answer(http_exchange *x, int status, const char *type, const char *fields, const char *body, size_t size);
/* Bytes [at, at + size) of a file, which is closed here; of its length in the head. */
void http_answer_file(http_exchange *x, int status, const char *type, const char *fields, int file, uint64_t at,
                      uint64_t size);
/* A body that grows: begin, pieces, end. */
void http_begin(http_exchange *x, int status, const char *type, const char *fields);
void http_piece(http_exchange *x, const char *bytes, size_t size);
void http_end(http_exchange *x);

#endif
