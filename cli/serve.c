#define _XOPEN_SOURCE 700

#include "serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "language.h"
#include "model_file.h"
#include "process.h"

enum { IDLE_MS = 500, GRACE_MS = 10000, MOST_UNSENT = 256 << 10 };

/* ---- the queue ---- */

static void refuse_at_end(work *w) {
  serve_fail(w->s, w->x, 503, NULL, "shutting_down", "the server is shutting down");
  serve_forget(w->s, w);
}

void serve_enqueue(work *w) {
  serve *s = w->s;
  http_keep(w->x, w);
  if (s->ending) {
    refuse_at_end(w);
  } else if (s->n_queue <= s->n_queue_most) {
    s->queue[s->n_queue++] = w;
  } else { /* they came at once: the head of the request was let in */
    serve_fail(s, w->x, 503, NULL, "queue_full", "too many requests wait already: try again in a few seconds");
    serve_forget(s, w);
  }
}

void serve_forget(serve *s, work *w) {
  for (int i = 0; i < s->n_queue; i++) {
    if (s->queue[i] != w) continue;
    s->n_queue--;
    memmove(s->queue + i, s->queue + i + 1, (size_t)(s->n_queue - i) * sizeof *s->queue);
    break;
  }
  http_keep(w->x, NULL);
  w->close(w);
}

/* One piece of work. Where a client reads slowly, its text waits for it, and so do those behind: the time for that is bounded. */
static bool work_once(serve *s) {
  if (s->n_queue == 0 || http_unsent(s->queue[0]->x) > MOST_UNSENT) return false;
  work *w = s->queue[0];
  if (!w->step(w)) serve_forget(s, w);
  return s->n_queue > 0;
}

/* After an interrupt: what is in work is finished, what waits is told so, and after some seconds all ends. */
static void wind_up(serve *s) {
  const double end_ms = process_now_ms() + GRACE_MS;
  http_server_drain(s->server);
  s->ending = true;
  while (s->n_queue > 1) refuse_at_end(s->queue[s->n_queue - 1]);
  bool busy = true;
  while (process_now_ms() < end_ms && http_server_connections(s->server) > 0) {
    http_server_poll(s->server, busy ? 0 : 50);
    busy = work_once(s);
  }
}

static void turn(serve *s) {
  bool busy = false;
  while (!process_interrupted()) {
    http_server_poll(s->server, busy ? 0 : IDLE_MS);
    busy = work_once(s);
  }
  if (!s->quiet) fputs("sotto: ending\n", stderr);
  wind_up(s);
}

uint64_t serve_random(void) {
  uint64_t bits = 0;
  FILE *f = fopen("/dev/urandom", "rb");
  const bool read = f != NULL && fread(&bits, sizeof bits, 1, f) == 1;
  if (f != NULL) fclose(f);
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return read ? bits : (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 40;
}

/* ---- models ---- */

/* [NAME=]PATH; by default the name of the file without its extension, and without the ggml- of Whisper's. */
static bool name_model(served_model *m, const char *given) {
  struct stat status;
  const char *equals = strchr(given, '='), *slash = strchr(given, '/');
  const bool named = equals != NULL && equals > given && (slash == NULL || equals < slash) && stat(given, &status) != 0;
  m->path = model_file_find(named ? equals + 1 : given);
  if (m->path == NULL) return false;
  const char *begin = strrchr(m->path, '/');
  begin = named ? given : begin != NULL && begin[1] != '\0' ? begin + 1 : m->path;
  size_t n = named ? (size_t)(equals - given) : strlen(begin);
  const char *dot = strrchr(begin, '.');
  if (!named && dot != NULL && dot > begin && (strcmp(dot, ".gguf") == 0 || strcmp(dot, ".bin") == 0))
    n = (size_t)(dot - begin);
  if (!named && n > 5 && strncmp(begin, "ggml-", 5) == 0) {
    begin += 5;
    n -= 5;
  }
  m->id = strndup(begin, n);
  if (m->id == NULL) fputs("sotto: out of memory\n", stderr);
  return m->id != NULL;
}

static bool load_model(serve *s, const char *given) {
  served_model *m = &s->models[s->n_models];
  if (!name_model(m, given)) return false;
  s->n_models++; /* from here on it is closed with the others */
  for (int i = 0; i < s->n_models - 1; i++) {
    if (strcmp(s->models[i].id, m->id) != 0) continue;
    fprintf(stderr, "sotto: two models are named '%s': give one another name, as in --model NAME=PATH\n", m->id);
    return false;
  }
  sotto_model_info info;
  m->model = model_file_load(s->engine, m->path, false, !s->quiet);
  if (m->model == NULL) return false;
  sotto_model_describe(m->model, &info);
  m->speech = info.architecture != NULL && strcmp(info.architecture, "whisper") == 0;
  const sotto_session_options wanted = {.n_ctx = s->n_ctx, .kv_type = s->kv_type};
  if (!m->speech && !held_open(&m->conversations, m->model, &wanted, s->n_held)) {
    fprintf(stderr, "sotto: %s: %s\n", m->path, sotto_engine_error(s->engine));
    return false;
  }
  if (!s->quiet)
    fprintf(stderr, "sotto: %s, a %s model, as '%s'\n", m->path, m->speech ? "Whisper" : "language", m->id);
  return true;
}

static bool load_models(serve *s, const char *const *given, int n_given) {
  const sotto_engine_options options = {.n_threads = s->threads};
  if (sotto_engine_open(&s->engine, &options) != SOTTO_OK) {
    fputs("sotto: out of memory\n", stderr);
    return false;
  }
  for (int i = 0; i < n_given; i++) {
    if (!load_model(s, given[i])) return false;
  }
  return true;
}

static void close_all(serve *s) {
  http_server_close(s->server); /* ends what is in work */
  for (int i = 0; i < s->n_models; i++) {
    held_close(&s->models[i].conversations);
    sotto_model_close(s->models[i].model);
    free(s->models[i].id);
    free(s->models[i].path);
  }
  sotto_engine_close(s->engine);
}

/* ---- the command ---- */

enum { HELP = 1, HOST, PORT, KEY, CORS, PAGE, QUEUE, CONVERSATIONS, QUIET };

static const option_spec options[] = {LANGUAGE_MODEL_OPTION,
                                      LANGUAGE_CONTEXT_OPTION,
                                      LANGUAGE_THREADS_OPTION,
                                      LANGUAGE_KV_OPTION,
                                      {"host", 0, true, HOST},
                                      {"port", 'p', true, PORT},
                                      {"api-key", 0, true, KEY},
                                      {"cors", 0, true, CORS},
                                      {"page", 0, true, PAGE},
                                      {"queue", 0, true, QUEUE},
                                      {"conversations", 0, true, CONVERSATIONS},
                                      {"quiet", 'q', false, QUIET},
                                      {"help", 'h', false, HELP},
                                      {NULL, 0, false, 0}};

static const char help[] =
    "Usage: sotto serve [-m MODEL]... [OPTION]...\n"
    "Serves models to programs that speak OpenAI's API, and the page, on this machine.\n"
    "\n"
    "  -m, --model [NAME=]MODEL  Whisper model or language model, as for `sotto transcribe` and `sotto\n"
    "                          generate`; several: -m A -m B. By default what SOTTO_MODEL says, and what\n"
    "                          SOTTO_LANGUAGE_MODEL says, else the small story teller that comes with sotto\n"
    "      --host HOST         address to listen at (default: 127.0.0.1, this machine alone)\n"
    "  -p, --port PORT         (default: 8080; 0: any that is free)\n"
    "      --api-key KEY       what clients have to send; by default what SOTTO_API_KEY says\n"
    "      --cors ORIGIN       pages of this origin may ask, as in https://example.org; *: all; several\n"
    "      --page FOLDER       the page (default: the built one beside the command)\n"
    "      --queue N           requests that may wait beside the one in work (default: 16)\n"
    "      --conversations N   that a language model holds, so that the next message of one reads only\n"
    "                          what is new; each takes the memory of a context (default: 1)\n"
    "      --ctx N             tokens of prompt and answer together (default: 4096, or what the\n"
    "                          model was trained for, if that is less)\n" LANGUAGE_KV_HELP LANGUAGE_THREADS_HELP
    "  -q, --quiet             no line for each request\n"
    "  -h, --help              this help\n"
    "\n"
    "GET /health, /v1/models; POST /v1/chat/completions, /v1/completions, /v1/audio/transcriptions,\n"
    "/v1/audio/translations. Interrupt (Ctrl-C) ends it when the answer in work is whole.\n"
    "Example: sotto serve -m tiny-q5_1 -m gemma-3-1b-it-Q4_0.gguf\n";

typedef struct serve_request {
  language_options language;
  const char *models[SERVE_MOST_MODELS];
  int n_models;
} serve_request;

static bool read_option(serve *s, serve_request *r, const args *a, int id) {
  int64_t n = 0;
  bool taken;
  if (!language_option(&r->language, a, id, &taken)) return false;
  if (id == LANGUAGE_MODEL && r->n_models == SERVE_MOST_MODELS)
    return args_wrong(a, "at most %d models can be given", SERVE_MOST_MODELS), false;
  if (id == LANGUAGE_MODEL) r->models[r->n_models++] = a->value;
  if (taken) return true;
  switch (id) {
    case HOST:
      s->host = a->value;
      return true;
    case PORT:
      if (!args_integer(a, 0, 65535, &n)) return false;
      s->port = (int)n;
      return true;
    case KEY:
      s->key = a->value;
      return true;
    case CORS:
      if (s->n_origins == SERVE_MOST_ORIGINS)
        return args_wrong(a, "at most %d origins can be given", SERVE_MOST_ORIGINS), false;
      if (strpbrk(a->value, "\r\n") != NULL) return args_wrong(a, "option '%s' needs an origin", a->shown), false;
      s->origins[s->n_origins++] = a->value;
      return true;
    case PAGE:
      s->page = a->value;
      return true;
    case QUEUE:
      if (!args_integer(a, 0, SERVE_MOST_WAITING, &n)) return false;
      s->n_queue_most = (int)n;
      return true;
    case CONVERSATIONS:
      if (!args_integer(a, 1, HELD_MOST, &n)) return false;
      s->n_held = (int)n;
      return true;
    default:
      s->quiet = true; /* QUIET */
      return true;
  }
}

/* 1: go on; ARGS_END: nothing is left to do. */
static int read_request(serve *s, serve_request *r, char **argv) {
  args a = {.command = "serve ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    if (id == ARGS_WRONG) return ARGS_WRONG;
    if (id == HELP) {
      fputs(help, stdout);
      return ARGS_END;
    }
    if (id == ARGS_OPERAND) return args_wrong(&a, "unexpected argument '%s': models are given with --model", a.value);
    if (!read_option(s, r, &a, id)) return ARGS_WRONG;
  }
  struct stat status;
  if (s->page != NULL && (stat(s->page, &status) != 0 || !S_ISDIR(status.st_mode)))
    return args_wrong(&a, "%s is no folder", s->page);
  const char *speech = getenv("SOTTO_MODEL"), *key = getenv("SOTTO_API_KEY"), *text_model = model_file_default();
  if (s->key == NULL && key != NULL && key[0] != '\0') s->key = key;
  if (r->n_models > 0) return 1;
  if (speech != NULL && speech[0] != '\0') r->models[r->n_models++] = speech;
  if (text_model != NULL) r->models[r->n_models++] = text_model;
  return r->n_models > 0 ? 1 : args_wrong(&a, "no model: give one with --model");
}

static bool is_loopback(const char *host) {
  return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0;
}

static bool open_server(serve *s) {
  char problem[256];
  const http_handler handler = serve_routes(s);
  s->server = http_server_open(s->host, s->port, &handler, problem, sizeof problem);
  if (s->server == NULL) fprintf(stderr, "sotto: %s\n", problem);
  return s->server != NULL;
}

int command_serve(char **argv) {
  static const char *const pages[] = {"page", "../share/sotto/page", "../app/dist"};
  serve s = {.host = "127.0.0.1", .port = 8080, .n_queue_most = 16, .n_held = 1, .started_s = (int64_t)time(NULL)};
  serve_request r = {.n_models = 0};
  const int read = read_request(&s, &r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  char *page = s.page == NULL ? model_file_beside(pages, sizeof pages / sizeof *pages) : NULL;
  if (page != NULL) s.page = page;
  s.threads = r.language.threads;
  s.n_ctx = r.language.n_ctx;
  s.kv_type = r.language.kv_type;
  s.loopback = is_loopback(s.host);
  process_catch_interrupts();
  signal(SIGPIPE, SIG_IGN);
  const bool ok = open_server(&s) && load_models(&s, r.models, r.n_models);
  if (ok) {
    const bool six = strchr(s.host, ':') != NULL;
    if (!s.loopback && s.key == NULL)
      fputs("sotto: whoever reaches this machine can use its models: --api-key asks for a key\n", stderr);
    fprintf(stderr, "sotto: serving at http://%s%s%s:%d/\n", six ? "[" : "", s.host, six ? "]" : "",
            http_server_port(s.server));
    turn(&s);
  }
  close_all(&s);
  free(page);
  return ok ? EXIT_DONE : EXIT_FAILED;
}
