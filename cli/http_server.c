#define _XOPEN_SOURCE 700

#include "http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_connection.h"
#include "process.h"

/* ms */
enum { HEAD_MS = 10000, IDLE_MS = 60000, SILENCE_MS = 30000, LINGER_MS = 2000, LAST_MS = 250 };
/* A body gets SILENCE_MS and what this rate needs, bytes per ms. */
enum { SLOWEST_BODY = 4 };
static const uint64_t MOST_BODY_BYTES = (uint64_t)256 << 20; /* of all connections together */

struct http_server {
  http_handler handler;
  int listener; /* -1: drained */
  int port;
  http_exchange *connections[HTTP_MAX_CONNECTIONS];
};

/* ---- opening ---- */

static bool set_up(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static int listen_on(const struct addrinfo *a) {
  const int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol), on = 1;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (set_up(fd) && bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 64) == 0) return fd;
  const int code = errno;
  close(fd);
  errno = code;
  return -1;
}

static int port_of(int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                             : ((struct sockaddr_in *)&address)->sin_port);
}

http_server *http_server_open(const char *host, int port, const http_handler *handler, char *problem, size_t room) {
  char service[16];
  struct addrinfo *found = NULL;
  const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  snprintf(service, sizeof service, "%d", port);
  const int code = getaddrinfo(host, service, &wanted, &found);
  if (code != 0) {
    snprintf(problem, room, "%s is no address of this machine: %s", host, gai_strerror(code));
    return NULL;
  }
  int fd = -1;
  for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) fd = listen_on(a);
  const int why = errno;
  freeaddrinfo(found);
  http_server *s = fd >= 0 ? calloc(1, sizeof *s) : NULL;
  if (s == NULL) {
    if (fd >= 0) close(fd);
    snprintf(problem, room, "cannot listen on %s, port %d: %s%s", host, port, strerror(fd >= 0 ? ENOMEM : why),
             why == EADDRINUSE ? "; choose another port with --port" : "");
    return NULL;
  }
  s->handler = *handler;
  s->listener = fd;
  s->port = port_of(fd);
  return s;
}

int http_server_port(const http_server *s) { return s->port; }

size_t http_server_connections(const http_server *s) {
  size_t n = 0;
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) n += s->connections[i] != NULL;
  return n;
}

/* ---- a connection's life ---- */

static void end_exchange(http_server *s, http_exchange *x) {
  if (x->begun) s->handler.end(s->handler.context, x);
  x->begun = false;
  x->kept = NULL;
  if (x->file >= 0) close(x->file);
  x->file = -1;
  text_free(&x->body);
}

static void drop(http_server *s, int i) {
  http_exchange *x = s->connections[i];
  end_exchange(s, x);
  text_free(&x->out);
  close(x->socket);
  free(x);
  s->connections[i] = NULL;
}

/* Waits for a request; what came behind the last one is its beginning. */
static void await_head(http_exchange *x, int patience_ms) {
  const size_t used = x->head_bytes;
  memmove(x->input, x->input + used, x->n_input - used);
  x->n_input -= used;
  x->head_bytes = x->seen = 0;
  x->request = (http_request){.n_fields = 0};
  x->status = 0;
  x->ended = x->chunked = x->only_head = false;
  x->keep_alive = true;
  x->body_bytes = 0;
  x->state = CONNECTION_HEAD;
  x->begin_ms = x->progress_ms = process_now_ms();
  x->deadline_ms = x->begin_ms + patience_ms;
}

static void refuse(http_server *s, http_exchange *x, int status, const char *problem) {
  x->keep_alive = false;
  x->state = CONNECTION_ANSWER;
  x->begun = true;
  s->handler.refuse(s->handler.context, x, status, problem);
}

static void accept_one(http_server *s, int fd) {
  int place = 0, on = 1;
  while (place < HTTP_MAX_CONNECTIONS && s->connections[place] != NULL) place++;
  /* Where all places are taken, the connection that waits for nothing makes room. */
  for (int i = 0; place == HTTP_MAX_CONNECTIONS && i < HTTP_MAX_CONNECTIONS; i++) {
    const http_exchange *x = s->connections[i];
    if (x->state != CONNECTION_LINGER && (x->state != CONNECTION_HEAD || x->n_input > 0)) continue;
    drop(s, i);
    place = i;
  }
  http_exchange *x = place < HTTP_MAX_CONNECTIONS && set_up(fd) ? calloc(1, sizeof *x) : NULL;
  if (x == NULL) {
    static const char full[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (write(fd, full, sizeof full - 1) < 0) errno = 0; /* it is told, or it is not */
    close(fd);
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  x->socket = fd;
  x->file = -1;
  s->connections[place] = x;
  await_head(x, HEAD_MS);
}

/* ---- reading ---- */

static uint64_t body_bytes(const http_server *s) {
  uint64_t n = 0;
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
    if (s->connections[i] != NULL) n += s->connections[i]->body.capacity;
  }
  return n;
}

static void hand_over(http_server *s, http_exchange *x) {
  x->state = CONNECTION_ANSWER;
  s->handler.request(s->handler.context, x);
}

/* Both return true when there may be more to do. */
static bool read_head(http_server *s, http_exchange *x) {
  x->head_bytes = http_head_bytes(x->input, x->n_input < HTTP_MAX_HEAD ? x->n_input : HTTP_MAX_HEAD, &x->seen);
  if (x->head_bytes == 0) {
    if (x->n_input >= HTTP_MAX_HEAD) refuse(s, x, 431, "the head of the request is too long");
    return false;
  }
  const char *problem;
  const int status = http_parse(&x->request, x->input, x->head_bytes, &problem);
  if (status != 0) {
    refuse(s, x, status, problem);
    return false;
  }
  http_body_begin(&x->reading, &x->request);
  const bool empty = x->reading.done;
  x->keep_alive = x->request.keep_alive && s->listener >= 0;
  if (!empty) x->keep_alive = false; /* as long as its body has not come */
  x->state = CONNECTION_ANSWER;
  x->begun = true;
  const int64_t limit = s->handler.head(s->handler.context, x);
  if (limit < 0) return false;
  if (x->request.length > (uint64_t)limit) {
    refuse(s, x, 413, "the body of the request is too large");
    return false;
  }
  x->body_limit = (uint64_t)limit;
  if (empty) {
    hand_over(s, x);
    return false;
  }
  x->state = CONNECTION_BODY;
  x->progress_ms = process_now_ms();
  if (x->request.expects_continue && x->n_input == x->head_bytes) {
    text_string(&x->out, "HTTP/1.1 100 Continue\r\n\r\n");
    connection_flush(x);
  }
  return true;
}

static void read_body(http_server *s, http_exchange *x) {
  char *bytes = x->input + x->head_bytes;
  const size_t n = x->n_input - x->head_bytes;
  size_t taken, kept;
  const bool ok = http_body_read(&x->reading, bytes, n, &taken, &kept);
  x->body_bytes += taken;
  text_bytes(&x->body, bytes, kept);
  memmove(bytes, bytes + taken, n - taken);
  x->n_input -= taken;
  if (!ok) {
    refuse(s, x, 400, "the chunks of the body are damaged");
  } else if (x->body.size > x->body_limit) {
    refuse(s, x, 413, "the body of the request is too large");
  } else if (x->body.failed || body_bytes(s) > MOST_BODY_BYTES) {
    refuse(s, x, 503, "there is no memory for the body: try again later");
  } else if (x->reading.done) {
    x->keep_alive = x->request.keep_alive && s->listener >= 0;
    hand_over(s, x);
  }
}

/* What came while its request is worked on waits in the input. */
static void read_input(http_server *s, http_exchange *x) {
  const ssize_t n = recv(x->socket, x->input + x->n_input, sizeof x->input - x->n_input, 0);
  if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (n == 0 && x->state == CONNECTION_ANSWER && x->ended) { /* it has said all, and may still read */
    x->deaf = true;
    x->keep_alive = false;
    return;
  }
  if (n <= 0) {
    x->broken = true;
    return;
  }
  const double now = process_now_ms();
  if (x->state == CONNECTION_HEAD && x->n_input == 0) {
    x->begin_ms = now;
    x->deadline_ms = now + HEAD_MS;
  }
  x->progress_ms = now;
  x->n_input += (size_t)n;
  if (x->state == CONNECTION_LINGER) x->n_input = 0;
  if (x->state == CONNECTION_HEAD && !read_head(s, x)) return;
  if (x->state == CONNECTION_BODY) read_body(s, x);
}

/* ---- time ---- */

/* When the client will have been waited for long enough; 0: it is not waited for. */
static double patience_of(const http_exchange *x) {
  double until = 0;
  switch (x->state) {
    case CONNECTION_BODY:
      until = x->begin_ms + SILENCE_MS + (double)(x->body_bytes / SLOWEST_BODY);
      return until < x->progress_ms + SILENCE_MS ? until : x->progress_ms + SILENCE_MS;
    case CONNECTION_ANSWER:
      return http_unsent(x) > 0 ? x->progress_ms + SILENCE_MS : 0;
    default:
      return x->deadline_ms;
  }
}

static void look_at_time(http_server *s, http_exchange *x, double now) {
  const double until = patience_of(x);
  if (until == 0 || now < until) return;
  if (x->state == CONNECTION_BODY || (x->state == CONNECTION_HEAD && x->n_input > 0))
    refuse(s, x, 408, "the request came too slowly");
  else
    x->broken = true;
}

/* ---- turning ---- */

/* Brings a connection that was answered to what comes next; false: it is gone. */
static bool settle(http_server *s, int i) {
  http_exchange *x = s->connections[i];
  look_at_time(s, x, process_now_ms());
  while (!x->broken && x->state == CONNECTION_ANSWER && x->ended && http_unsent(x) == 0 && x->file < 0) {
    end_exchange(s, x);
    if (x->keep_alive && s->listener >= 0) {
      await_head(x, IDLE_MS);
      if (x->n_input > 0 && read_head(s, x)) read_body(s, x);
    } else if (x->deaf) {
      x->broken = true;
    } else {
      shutdown(x->socket, SHUT_WR);
      x->n_input = x->head_bytes = 0;
      x->state = CONNECTION_LINGER;
      x->deadline_ms = process_now_ms() + LINGER_MS;
    }
  }
  const bool gone = x->broken;
  if (gone) drop(s, i);
  return !gone;
}

void http_server_poll(http_server *s, int timeout_ms) {
  struct pollfd polled[HTTP_MAX_CONNECTIONS + 1];
  http_exchange *of[HTTP_MAX_CONNECTIONS + 1] = {NULL};
  nfds_t n = 0;
  double next_ms = process_now_ms() + timeout_ms;
  if (s->listener >= 0) polled[n++] = (struct pollfd){s->listener, POLLIN, 0};
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
    http_exchange *x = s->connections[i];
    if (x == NULL || !settle(s, i)) continue;
    const bool waits = http_unsent(x) > 0 || x->file >= 0;
    const short events = (short)((!x->deaf && x->n_input < sizeof x->input ? POLLIN : 0) | (waits ? POLLOUT : 0));
    of[n] = x;
    polled[n++] = (struct pollfd){x->socket, events, 0};
    const double until = patience_of(x);
    if (until > 0 && until < next_ms) next_ms = until;
  }
  const double wait_ms = next_ms - process_now_ms();
  const int ready = poll(polled, n, wait_ms > 0 ? (int)wait_ms + 1 : 0);
  for (nfds_t i = 0; ready > 0 && i < n; i++) {
    http_exchange *x = of[i];
    if (x == NULL || polled[i].revents == 0) continue;
    if (polled[i].revents & (POLLERR | POLLNVAL)) x->broken = true;
    if (!x->broken && polled[i].revents & POLLOUT) connection_flush(x);
    if (!x->broken && polled[i].revents & (POLLIN | POLLHUP)) read_input(s, x);
  }
  /* Last, since it may take the place of a connection that is polled above. */
  if (ready > 0 && s->listener >= 0 && polled[0].revents != 0) {
    const int fd = accept(s->listener, NULL, NULL);
    if (fd >= 0) accept_one(s, fd);
  }
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
    if (s->connections[i] != NULL) settle(s, i);
  }
}

void http_server_drain(http_server *s) {
  if (s->listener < 0) return;
  /* Those that knocked already are heard. */
  for (int fd, n = 0; n < HTTP_MAX_CONNECTIONS && (fd = accept(s->listener, NULL, NULL)) >= 0; n++) accept_one(s, fd);
  close(s->listener);
  s->listener = -1;
  const double end_ms = process_now_ms() + LAST_MS;
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
    http_exchange *x = s->connections[i];
    if (x != NULL && x->state == CONNECTION_HEAD && x->deadline_ms > end_ms) x->deadline_ms = end_ms;
  }
}

void http_server_close(http_server *s) {
  if (s == NULL) return;
  http_server_drain(s);
  for (int i = 0; i < HTTP_MAX_CONNECTIONS; i++) {
    if (s->connections[i] != NULL) drop(s, i);
  }
  free(s);
}

/* ---- an exchange ---- */

const http_request *http_request_of(const http_exchange *x) { return &x->request; }
http_slice http_body_of(const http_exchange *x) { return (http_slice){x->body.data, x->body.size}; }
void http_keep(http_exchange *x, void *kept) { x->kept = kept; }
void *http_kept(const http_exchange *x) { return x->kept; }
int http_status_of(const http_exchange *x) { return x->status; }
double http_age_ms(const http_exchange *x) { return process_now_ms() - x->begin_ms; }
