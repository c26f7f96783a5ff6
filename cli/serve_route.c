#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"

static const int64_t JSON_BYTES = 4 << 20, AUDIO_BYTES = 64 << 20;

/* ---- answers ---- */

/* Whether pages of an origin may use the API; NULL: they may not, else what to tell them. */
static const char *allowed_origin(const serve *s, http_slice origin) {
  for (int i = 0; i < s->n_origins; i++) {
    if (strcmp(s->origins[i], "*") == 0 || http_same(origin, s->origins[i])) return s->origins[i];
  }
  return NULL;
}

static void api_fields(const serve *s, const http_exchange *x, int status, text *fields) {
  const http_slice origin = http_field_of(http_request_of(x), "origin");
  const char *allowed = origin.data != NULL ? allowed_origin(s, origin) : NULL;
  text_string(fields, "Cache-Control: no-store\r\n");
  if (allowed != NULL) {
    text_string(fields, "Access-Control-Allow-Origin: ");
    text_string(fields, allowed);
    text_string(fields, "\r\nVary: Origin\r\n");
  }
  if (status == 401) text_string(fields, "WWW-Authenticate: Bearer\r\n");
  if (status == 503) text_string(fields, "Retry-After: 5\r\n");
  text_bytes(fields, "", 1);
}

void serve_answer(serve *s, http_exchange *x, int status, const char *type, const text *body) {
  text fields = {0};
  api_fields(s, x, status, &fields);
  if (body->failed || fields.failed)
    http_answer(x, 500, NULL, "", NULL, 0);
  else
    http_answer(x, status, type, fields.data, body->data, body->size);
  text_free(&fields);
}

void serve_begin(serve *s, http_exchange *x, const char *type) {
  text fields = {0};
  api_fields(s, x, 200, &fields);
  http_begin(x, 200, type, fields.failed ? "" : fields.data);
  text_free(&fields);
}

void serve_error_json(text *out, int status, const char *param, const char *code, const char *sentence) {
  text_string(out, "{\"error\":{\"message\":");
  json_string(out, sentence, strlen(sentence));
  text_format(out, ",\"type\":\"%s\",\"param\":", status >= 500 ? "server_error" : "invalid_request_error");
  if (param != NULL)
    json_string(out, param, strlen(param));
  else
    text_string(out, "null");
  text_string(out, ",\"code\":");
  if (code != NULL)
    json_string(out, code, strlen(code));
  else
    text_string(out, "null");
  text_string(out, "}}");
}

void serve_fail(serve *s, http_exchange *x, int status, const char *param, const char *code, const char *format, ...) {
  char sentence[1024];
  text body = {0};
  va_list args;
  va_start(args, format);
  vsnprintf(sentence, sizeof sentence, format, args);
  va_end(args);
  serve_error_json(&body, status, param, code, sentence);
  serve_answer(s, x, status, "application/json", &body);
  text_free(&body);
}

/* ---- who may ask ---- */

static bool ends_with(http_slice s, const char *end) {
  const size_t n = strlen(end);
  return s.size >= n && http_same_any_case((http_slice){s.data + s.size - n, n}, end);
}

/* A name of this machine as it sees itself. Other names that lead here are tricks of a page that was opened from elsewhere. */
static bool is_local(http_slice host) {
  if (host.data == NULL) return true; /* HTTP/1.0: no browser */
  const char *bracket = host.size > 0 && host.data[0] == '[' ? memchr(host.data, ']', host.size) : NULL;
  const char *begin = bracket != NULL ? bracket : host.data;
  const char *colon = host.size > 0 ? memchr(begin, ':', host.size - (size_t)(begin - host.data)) : NULL;
  if (colon != NULL) host.size = (size_t)(colon - host.data);
  bool numbers = host.size > 4 && memcmp(host.data, "127.", 4) == 0;
  for (size_t i = 0; numbers && i < host.size; i++)
    numbers = host.data[i] == '.' || (host.data[i] >= '0' && host.data[i] <= '9');
  return numbers || http_same(host, "[::1]") || http_same_any_case(host, "localhost") || ends_with(host, ".localhost");
}

/* Pages of other origins are refused even where a browser would let them ask without reading the answer. */
static bool may_ask(const serve *s, const http_request *r) {
  const http_slice origin = http_field_of(r, "origin");
  if (origin.data == NULL || allowed_origin(s, origin) != NULL) return true;
  static const char scheme[] = "http://";
  const size_t n = sizeof scheme - 1;
  return r->host.data != NULL && origin.size == r->host.size + n && memcmp(origin.data, scheme, n) == 0 &&
         memcmp(origin.data + n, r->host.data, r->host.size) == 0;
}

/* Takes as long for a wrong key as for the right one. */
static bool has_key(const serve *s, const http_request *r) {
  static const char bearer[] = "bearer ";
  const size_t n = sizeof bearer - 1;
  if (s->key == NULL) return true;
  const http_slice given = http_field_of(r, "authorization");
  if (given.data == NULL || given.size <= n || !http_same_any_case((http_slice){given.data, n}, bearer)) return false;
  const size_t size = strlen(s->key);
  unsigned difference = given.size - n == size ? 0 : 1;
  for (size_t i = 0; i < size; i++) difference |= (unsigned char)(given.data[n + i % (given.size - n)] ^ s->key[i]);
  return difference == 0;
}

/* ---- models, health ---- */

static void put_model(const serve *s, const served_model *m, text *out) {
  text_string(out, "{\"id\":");
  json_string(out, m->id, strlen(m->id));
  text_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"sotto\"}", (long long)s->started_s);
}

static void list_models(serve *s, http_exchange *x) {
  text out = {0};
  text_string(&out, "{\"object\":\"list\",\"data\":[");
  for (int i = 0; i < s->n_models; i++) {
    if (i > 0) text_string(&out, ",");
    put_model(s, &s->models[i], &out);
  }
  text_string(&out, "]}");
  serve_answer(s, x, 200, "application/json", &out);
  text_free(&out);
}

static void show_model(serve *s, http_exchange *x) {
  static const char prefix[] = "/v1/models/";
  const http_slice path = http_request_of(x)->path;
  char id[512];
  const http_slice rest = {path.data + sizeof prefix - 1, path.size - (sizeof prefix - 1)};
  if (!http_decode_path(rest, id, sizeof id)) id[0] = '\0';
  for (int i = 0; i < s->n_models; i++) {
    if (strcmp(s->models[i].id, id) != 0) continue;
    text out = {0};
    put_model(s, &s->models[i], &out);
    serve_answer(s, x, 200, "application/json", &out);
    text_free(&out);
    return;
  }
  serve_fail(s, x, 404, "model", "model_not_found", "there is no model of this name here");
}

static void tell_health(serve *s, http_exchange *x) {
  text out = {0};
  text_format(&out, "{\"status\":\"ok\",\"working\":%d,\"waiting\":%d}", s->n_queue > 0 ? 1 : 0,
              s->n_queue > 1 ? s->n_queue - 1 : 0);
  serve_answer(s, x, 200, "application/json", &out);
  text_free(&out);
}

served_model *serve_model(serve *s, http_exchange *x, http_slice name, bool speech) {
  /* The name that OpenAI's own clients and examples use. */
  const bool any = name.data == NULL || name.size == 0 || (speech && http_same(name, "whisper-1"));
  served_model *named = NULL, *first = NULL;
  for (int i = s->n_models - 1; i >= 0; i--) {
    if (http_same(name, s->models[i].id)) named = &s->models[i];
    if (s->models[i].speech == speech) first = &s->models[i];
  }
  served_model *found = named != NULL ? named : any ? first : NULL;
  if (found == NULL && first == NULL)
    serve_fail(s, x, 404, "model", "model_not_found", "no %s model was loaded: start `sotto serve` with one",
               speech ? "Whisper" : "language");
  else if (found == NULL)
    serve_fail(s, x, 404, "model", "model_not_found", "there is no model '%.*s' here: ask for '%s', as /v1/models says",
               (int)(name.size < 100 ? name.size : 100), name.data, first->id);
  else if (found->speech != speech)
    serve_fail(s, x, 400, "model", NULL, "'%s' is a %s model, which does not do this: see /v1/models", found->id,
               speech ? "language" : "Whisper");
  return found != NULL && found->speech == speech ? found : NULL;
}

/* ---- routes ---- */

typedef struct route {
  const char *path;
  bool begins; /* the path only begins so */
  bool posts;
  bool open; /* to those without a key */
  const char *type;
  int64_t most_bytes;
  void (*answer)(serve *s, http_exchange *x);
} route;

static const route routes[] = {
    {"/health", false, false, true, NULL, 0, tell_health},
    {"/v1/models", false, false, false, NULL, 0, list_models},
    {"/v1/models/", true, false, false, NULL, 0, show_model},
    {"/v1/chat/completions", false, true, false, "application/json", JSON_BYTES, serve_chat},
    {"/v1/completions", false, true, false, "application/json", JSON_BYTES, serve_completion},
    {"/v1/audio/transcriptions", false, true, false, "multipart/form-data", AUDIO_BYTES, serve_transcription},
    {"/v1/audio/translations", false, true, false, "multipart/form-data", AUDIO_BYTES, serve_translation},
};

static bool begins_with(http_slice s, const char *beginning) {
  const size_t n = strlen(beginning);
  return s.size >= n && memcmp(s.data, beginning, n) == 0;
}

/* NULL: the page's. */
static const route *route_of(const http_request *r) {
  static const route nowhere = {.path = NULL};
  for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
    if (routes[i].begins ? begins_with(r->path, routes[i].path) : http_same(r->path, routes[i].path)) return &routes[i];
  }
  return begins_with(r->path, "/v1/") || http_same(r->path, "/v1") ? &nowhere : NULL;
}

static bool is_type(http_slice field, const char *type) {
  const size_t n = strlen(type);
  return field.size >= n && http_same_any_case((http_slice){field.data, n}, type) &&
         (field.size == n || field.data[n] == ';' || field.data[n] == ' ');
}

/* What browsers ask before a page of another origin may ask. */
static int64_t answer_preflight(serve *s, http_exchange *x) {
  const http_request *r = http_request_of(x);
  const http_slice origin = http_field_of(r, "origin"), names = http_field_of(r, "access-control-request-headers");
  const char *allowed = origin.data != NULL ? allowed_origin(s, origin) : NULL;
  if (allowed == NULL) {
    serve_fail(s, x, 403, NULL, "origin_not_allowed",
               "pages of this origin may not ask: start `sotto serve` with --cors and the origin");
    return -1;
  }
  text fields = {0};
  text_string(&fields, "Access-Control-Allow-Origin: ");
  text_string(&fields, allowed);
  text_string(&fields,
              "\r\nVary: Origin\r\nAccess-Control-Allow-Methods: GET, POST\r\nAccess-Control-Max-Age: 600\r\n");
  if (names.size > 0) {
    text_string(&fields, "Access-Control-Allow-Headers: ");
    text_bytes(&fields, names.data, names.size);
    text_string(&fields, "\r\n");
  }
  if (http_field_of(r, "access-control-request-private-network").data != NULL)
    text_string(&fields, "Access-Control-Allow-Private-Network: true\r\n");
  text_bytes(&fields, "", 1);
  http_answer(x, 204, NULL, fields.failed ? "" : fields.data, NULL, 0);
  text_free(&fields);
  return -1;
}

static int64_t on_head(void *context, http_exchange *x) {
  serve *s = context;
  const http_request *r = http_request_of(x);
  const route *to = route_of(r);
  const bool get = http_same(r->method, "GET") || http_same(r->method, "HEAD"), post = http_same(r->method, "POST");
  if (s->loopback && !is_local(r->host))
    serve_fail(s, x, 403, NULL, "host_not_allowed",
               "this server answers to localhost and 127.0.0.1 only: --host opens it to other names");
  else if (to != NULL && http_same(r->method, "OPTIONS"))
    return answer_preflight(s, x);
  else if (to != NULL && to->path == NULL)
    serve_fail(s, x, 404, NULL, "not_found", "there is no such part of the API here: see docs/serve.md");
  else if (to != NULL ? !(to->posts ? post : get) : !get)
    serve_fail(s, x, 405, NULL, "method_not_allowed", "this is asked for with %s",
               to != NULL && to->posts ? "POST" : "GET");
  else if (to != NULL && !may_ask(s, r))
    serve_fail(s, x, 403, NULL, "origin_not_allowed",
               "pages of this origin may not ask: start `sotto serve` with --cors and the origin");
  else if (to != NULL && !to->open && !has_key(s, r))
    serve_fail(s, x, 401, NULL, "invalid_api_key",
               "the API key is missing or wrong: send it as Authorization: Bearer KEY");
  else if (to != NULL && to->type != NULL && !is_type(http_field_of(r, "content-type"), to->type))
    serve_fail(s, x, 415, NULL, NULL, "the request's Content-Type has to be %s", to->type);
  else if (to != NULL && to->posts && s->n_queue > s->n_queue_most)
    serve_fail(s, x, 503, NULL, "queue_full", "too many requests wait already: try again in a few seconds");
  else
    return to != NULL ? to->most_bytes : 0;
  return -1;
}

static void on_request(void *context, http_exchange *x) {
  const route *to = route_of(http_request_of(x));
  (to != NULL ? to->answer : serve_page)(context, x);
}

static void on_refusal(void *context, http_exchange *x, int status, const char *problem) {
  serve_fail(context, x, status, NULL, NULL, "%s", problem);
}

static void on_end(void *context, http_exchange *x) {
  serve *s = context;
  const http_request *r = http_request_of(x);
  if (http_kept(x) != NULL) serve_forget(s, http_kept(x));
  if (s->quiet) return;
  const int status = http_status_of(x);
  fprintf(stderr, "%.*s %.*s %d %.0f ms\n", (int)r->method.size, r->method.size > 0 ? r->method.data : "",
          (int)r->path.size, r->path.size > 0 ? r->path.data : "", status, http_age_ms(x));
}

http_handler serve_routes(serve *s) {
  return (http_handler){.context = s, .head = on_head, .request = on_request, .refuse = on_refusal, .end = on_end};
}
