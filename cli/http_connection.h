/* A connection of the server: what http_server.c and http_answer.c share. */
#ifndef CLI_HTTP_CONNECTION_H
#define CLI_HTTP_CONNECTION_H

#include "http_server.h"

typedef enum connection_state {
  CONNECTION_FREE,
  CONNECTION_HEAD,   /* waits for a head */
  CONNECTION_BODY,   /* waits for a body */
  CONNECTION_ANSWER, /* the request is with the handler, or its answer on the way */
  CONNECTION_LINGER  /* answered; what the client still sends is read away, so that it gets to read the answer */
} connection_state;

enum { CONNECTION_INPUT = 2 * HTTP_MAX_HEAD };

struct http_exchange {
  connection_state state;
  int socket;
  bool broken;         /* nothing can be sent any more */
  bool deaf;           /* the client sends no more */
  bool begun;          /* the handler has heard of it, and wants to hear of its end */
  double begin_ms;     /* of the request; of the wait for it */
  double deadline_ms;  /* of the state, as far as the client is what is waited for */
  double progress_ms;  /* when the client took or gave something last */
  uint64_t body_bytes; /* received */
  uint64_t body_limit;
  /* input: [0, head_bytes) is the head that the request points into */
  size_t n_input, head_bytes, seen;
  http_request request;
  http_body reading;
  text body;
  /* the answer */
  int status; /* 0: none yet */
  bool ended, chunked, only_head, keep_alive;
  text out;
  size_t sent;
  int file; /* -1: none */
  uint64_t file_at, file_left;
  void *kept;
  char input[CONNECTION_INPUT];
};

/* Sends what can be sent now. */
void connection_flush(http_exchange *x);

#endif
