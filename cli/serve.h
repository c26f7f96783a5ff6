/* sotto serve: the models of this machine for programs that speak OpenAI's API, and the page.
 *
 *     http_server ─> serve_route.c ─┬─> serve_page.c: files
 *     (serve.c turns it)            ├─> models, health
 *                                   ├─> serve_chat.c: JSON ─> ids ─> serve_text.c: a text, token by token ──┐
 *                                   └─> serve_speech.c: form ─> audio ─> transcription, step by step ───────┴─> answer
 *
 * One thread does all: between two turns of the server, one small piece of the work that is first in the queue. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "../include/sotto.h"
#include "http_server.h"
#include "serve_held.h"

enum { SERVE_MOST_MODELS = 8, SERVE_MOST_ORIGINS = 8, SERVE_MOST_WAITING = 64 };

typedef struct served_model {
  char *id, *path;
  sotto_model *model;
  held conversations; /* of a language model */
  bool speech;        /* a Whisper model */
} served_model;

typedef struct serve serve;

/* What a request asks of a model, done bit by bit. */
typedef struct work work;
struct work {
  serve *s;
  http_exchange *x;
  bool (*step)(work *w); /* false: it was answered */
  void (*close)(work *w);
};

struct serve {
  /* what was asked for */
  const char *host, *page, *key;
  const char *origins[SERVE_MOST_ORIGINS]; /* "*": all */
  int n_origins, port;
  int32_t threads, n_ctx, kv_type;
  int n_queue_most; /* requests that may wait beside the one in work */
  int n_held;       /* conversations held by each language model */
  bool quiet, loopback;
  /* what there is */
  sotto_engine *engine;
  served_model models[SERVE_MOST_MODELS];
  int n_models;
  int64_t started_s; /* since 1970 */
  http_server *server;
  work *queue[SERVE_MOST_WAITING + 1]; /* [n_queue], the first is in work */
  int n_queue;
  bool ending; /* nothing is begun any more */
};

/* ---- serve.c ---- */

/* Takes the work of an exchange to the end of the queue. */
void serve_enqueue(work *w);
/* Forgets the work of an exchange that ends. */
void serve_forget(serve *s, work *w);
/* Bits that nobody can guess. */
uint64_t serve_random(void);

/* ---- serve_route.c ---- */

http_handler serve_routes(serve *s);
/* Answers with text, and the fields that all answers of the API have. */
void serve_answer(serve *s, http_exchange *x, int status, const char *type, const text *body);
/* Begins an answer that grows. */
void serve_begin(serve *s, http_exchange *x, const char *type);
/* Answers with an error object, in a sentence; `param` and `code` may be NULL. */
void serve_fail(serve *s, http_exchange *x, int status, const char *param, const char *code, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* The same object as text. */
void serve_error_json(text *out, int status, const char *param, const char *code, const char *sentence);
/* The model that a request names: of this kind; NULL after answering. A name without data: the first of its kind. */
served_model *serve_model(serve *s, http_exchange *x, http_slice name, bool speech);

/* ---- the rest ---- */

/* Answers with a file of the page, or of a model. */
void serve_page(serve *s, http_exchange *x);
/* POST /v1/chat/completions, /v1/completions. */
void serve_chat(serve *s, http_exchange *x);
void serve_completion(serve *s, http_exchange *x);
/* POST /v1/audio/transcriptions, /v1/audio/translations. */
void serve_transcription(serve *s, http_exchange *x);
void serve_translation(serve *s, http_exchange *x);

#endif
