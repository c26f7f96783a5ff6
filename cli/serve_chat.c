/* What a request for a chat's answer or for a completion asks for: JSON ─> ids, sampler, stop strings ─> writing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conversation.h"
#include "sampling.h"
#include "serve_fields.h"
#include "serve_text.h"

/* ---- messages ---- */

/* Appends the text of a message: a string, or parts that are text. */
static bool read_content(fields *f, uint32_t content, text *out) {
  if (fields_string(f->j, content, out)) return true;
  if (json_kind_of(f->j, content) != JSON_ARRAY)
    return fields_wrong(f, "messages", "has one whose content is neither a string nor an array of text parts");
  for (json_walk w = json_children(f->j, content); json_next(&w);) {
    if (!json_is(f->j, json_get(f->j, w.value, "type"), "text") ||
        !fields_string(f->j, json_get(f->j, w.value, "text"), out))
      return fields_wrong(f, "messages", "has a part that is no text: this model reads nothing else");
  }
  return true;
}

/* The messages read so far. Neighbours of one role are one turn: templates know no other. */
typedef struct talk {
  conversation turns;
  text turn; /* the last one, as long as the next message may belong to it */
  bool open; /* there is one */
  int32_t role;
} talk;

/* What was joined becomes a turn. */
static bool end_turn(fields *f, talk *t) {
  const bool ok = !t->open || (!t->turn.failed && conversation_add(&t->turns, t->turn.data, t->turn.size));
  t->turn.size = 0;
  t->open = false;
  return ok || fields_wrong(f, "messages", "is too large for this machine's memory");
}

static bool read_message(fields *f, uint32_t message, talk *t) {
  const uint32_t role = json_get(f->j, message, "role");
  const bool system = json_is(f->j, role, "system") || json_is(f->j, role, "developer");
  const bool user = json_is(f->j, role, "user");
  if (!system && !user && !json_is(f->j, role, "assistant"))
    return fields_wrong(f, "messages", "has a role that is none of system, developer, user and assistant");
  if (system && t->open) return fields_wrong(f, "messages", "has a system message behind others: it comes first");
  if (!system && !user && !t->open) return fields_wrong(f, "messages", "has to begin with a user's message");
  const int32_t speaker = user ? SOTTO_USER : SOTTO_MODEL;
  if (!system && t->open && t->role != speaker && !end_turn(f, t)) return false;
  text *to = system ? &t->turns.system : &t->turn;
  if (to->size > 0 || t->open) text_string(to, "\n\n");
  if (!system) {
    t->open = true;
    t->role = speaker;
  }
  return read_content(f, json_get(f->j, message, "content"), to);
}

static bool read_messages(fields *f, talk *t) {
  const uint32_t messages = fields_get(f, "messages");
  if (json_kind_of(f->j, messages) != JSON_ARRAY) return fields_wrong(f, "messages", "has to be an array of messages");
  for (json_walk w = json_children(f->j, messages); json_next(&w);) {
    if (!read_message(f, w.value, t)) return false;
  }
  return end_turn(f, t) &&
         (conversation_awaits_answer(&t->turns) || fields_wrong(f, "messages", "has to end with a user's message"));
}

/* ---- ids ---- */

/* What asks the engine for ids: a call that says how many there are, and one that takes them. */
typedef sotto_status tokenize_fn(void *context, sotto_model *m, int32_t *ids, size_t capacity, size_t *n);

static bool take_ids(fields *f, writing *w, const char *param, tokenize_fn *tokenize, void *context) {
  const size_t most = w->m->conversations.capacity;
  size_t n = 0;
  if (tokenize(context, w->m->model, NULL, 0, &n) < 0)
    return fields_wrong(f, param, "cannot be read: %s", sotto_engine_error(w->base.s->engine));
  if (n > most)
    return fields_wrong(f, param, "has %zu tokens, and the context takes %zu: shorten it, or start with a larger --ctx",
                        n, most);
  if (n == 0) return fields_wrong(f, param, "is empty");
  w->ids = malloc((most + 2) * sizeof *w->ids);
  if (w->ids == NULL || tokenize(context, w->m->model, w->ids, most, &n) < 0)
    return fields_wrong(f, param, "cannot be read: out of memory");
  w->n_prompt = w->n_ids = n;
  return true;
}

static sotto_status tokenize_chat(void *context, sotto_model *m, int32_t *ids, size_t capacity, size_t *n) {
  const conversation *c = context;
  sotto_turn *turns = malloc((c->n_turns + 1) * sizeof *turns);
  if (turns == NULL) return SOTTO_ERR_MEMORY;
  const size_t first = c->system.size == 0;
  turns[0] = (sotto_turn){SOTTO_SYSTEM, c->system.data, c->system.size};
  memcpy(turns + 1, c->turns, c->n_turns * sizeof *turns);
  const sotto_status status = sotto_chat_tokens(m, turns + first, c->n_turns + 1 - first, ids, capacity, n);
  free(turns);
  return status;
}

static sotto_status tokenize_text(void *context, sotto_model *m, int32_t *ids, size_t capacity, size_t *n) {
  const text *t = context;
  return sotto_tokenize(m, t->data != NULL ? t->data : "", t->size, SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL, ids, capacity,
                        n);
}

static bool read_chat(fields *f, writing *w) {
  talk t = {.open = false};
  const bool ok = read_messages(f, &t) && take_ids(f, w, "messages", tokenize_chat, &t.turns);
  conversation_free(&t.turns);
  text_free(&t.turn);
  return ok;
}

/* A prompt of token ids. */
static bool read_prompt_ids(fields *f, writing *w, uint32_t prompt) {
  sotto_model_info info;
  sotto_model_describe(w->m->model, &info);
  const size_t n = json_count(f->j, prompt), most = w->m->conversations.capacity;
  if (n == 0 || n > most) return fields_wrong(f, "prompt", "has %zu tokens, and the context takes 1 to %zu", n, most);
  w->ids = malloc((most + 2) * sizeof *w->ids);
  if (w->ids == NULL) return fields_wrong(f, "prompt", "cannot be read: out of memory");
  for (json_walk walk = json_children(f->j, prompt); json_next(&walk);) {
    int64_t id;
    if (!json_read_integer(f->j, walk.value, &id) || id < 0 || id >= info.n_vocab)
      return fields_wrong(f, "prompt", "has an id that is no token of the model");
    w->ids[w->n_ids++] = (int32_t)id;
  }
  w->n_prompt = w->n_ids;
  return true;
}

static bool read_prompt(fields *f, writing *w) {
  uint32_t prompt = fields_get(f, "prompt");
  json_walk first = json_children(f->j, prompt);
  if (json_kind_of(f->j, prompt) == JSON_ARRAY && json_next(&first)) {
    if (json_kind_of(f->j, first.value) == JSON_NUMBER) return read_prompt_ids(f, w, prompt);
    if (json_count(f->j, prompt) > 1) return fields_wrong(f, "prompt", "has several texts: ask for one at a time");
    prompt = first.value;
    if (json_kind_of(f->j, prompt) == JSON_ARRAY) return read_prompt_ids(f, w, prompt);
  }
  text t = {0};
  const bool ok = fields_string(f->j, prompt, &t) || fields_wrong(f, "prompt", "has to be a text, or its token ids");
  const bool taken = ok && take_ids(f, w, "prompt", tokenize_text, &t);
  text_free(&t);
  return taken;
}

/* ---- how to write ---- */

static bool read_biases(fields *f, sampling *s) {
  const uint32_t object = fields_get(f, "logit_bias");
  if (object == JSON_NONE) return true;
  if (json_kind_of(f->j, object) != JSON_OBJECT)
    return fields_wrong(f, "logit_bias", "has to be an object of token ids and numbers");
  for (json_walk w = json_children(f->j, object); json_next(&w);) {
    char name[12] = "";
    double bias;
    const size_t n = json_read_string(f->j, w.key, name, sizeof name - 1);
    if (n == 0 || n >= sizeof name - 1 || strspn(name, "0123456789") != n || atoll(name) > INT32_MAX ||
        !json_read_number(f->j, w.value, &bias) || bias < -100 || bias > 100)
      return fields_wrong(f, "logit_bias", "has to be an object of token ids and numbers from -100 to 100");
    if (s->options.n_logit_bias == SAMPLING_MOST_BIASES)
      return fields_wrong(f, "logit_bias", "takes %d tokens at most", SAMPLING_MOST_BIASES);
    /* OpenAI's -100 forbids a token. */
    s->bias[s->options.n_logit_bias++] =
        (sotto_logit_bias){(int32_t)atoll(name), bias <= -100 ? -INFINITY : (float)bias};
  }
  s->options.logit_bias = s->bias;
  return true;
}

static bool read_sampling(fields *f, writing *w) {
  sampling s;
  sampling_default(&s);
  sotto_sampler_options *o = &s.options;
  int64_t seed = (int64_t)(serve_random() >> 1), top_k = o->top_k;
  if (!fields_number(f, "temperature", 0, 2, &o->temperature) || !fields_number(f, "top_p", 0, 1, &o->top_p) ||
      !fields_number(f, "min_p", 0, 1, &o->min_p) || !fields_integer(f, "top_k", 0, INT32_MAX, &top_k) ||
      !fields_number(f, "presence_penalty", -2, 2, &o->presence_penalty) ||
      !fields_number(f, "frequency_penalty", -2, 2, &o->frequency_penalty) ||
      !fields_number(f, "repetition_penalty", 0.01, 100, &o->repetition_penalty) ||
      !fields_integer(f, "seed", INT64_MIN, INT64_MAX, &seed) || !read_biases(f, &s))
    return false;
  if (o->top_p < 1e-4f) o->top_p = 1e-4f; /* 0 means the likeliest one */
  o->top_k = (int32_t)top_k;
  o->seed = (uint64_t)seed;
  return sotto_sampler_open(&w->sampler, w->m->model, o) == SOTTO_OK ||
         fields_wrong(f, "temperature", "or another setting of the sampling is wrong: %s",
                      sotto_engine_error(w->base.s->engine));
}

static bool read_stops(fields *f, writing *w) {
  static const size_t most = TEXT_STREAM_MAX_STOPS;
  const uint32_t stop = fields_get(f, "stop");
  text all = {0};
  size_t sizes[TEXT_STREAM_MAX_STOPS], n = 0, at = 0;
  const char *strings[TEXT_STREAM_MAX_STOPS];
  bool ok = true;
  if (json_kind_of(f->j, stop) == JSON_ARRAY) {
    for (json_walk walk = json_children(f->j, stop); ok && json_next(&walk); n += ok) {
      const size_t before = all.size;
      ok = n < most && fields_string(f->j, walk.value, &all);
      if (ok) sizes[n] = all.size - before;
    }
  } else if (stop != JSON_NONE) {
    ok = fields_string(f->j, stop, &all);
    sizes[n++] = all.size;
  }
  for (size_t i = 0; i < n; i++, at += sizes[i - 1]) strings[i] = all.data != NULL ? all.data + at : "";
  error err;
  ok = ok && !all.failed && text_stream_open(&w->words, strings, sizes, n, &err) == SOTTO_OK;
  text_free(&all);
  return ok || fields_wrong(f, "stop", "has to be a string or up to %d of them, each of 1 to %d bytes",
                            TEXT_STREAM_MAX_STOPS, TEXT_STREAM_MAX_STOP_BYTES);
}

static bool read_scores(fields *f, writing *w) {
  int64_t n_top = -1;
  bool wanted = false;
  if (!w->chat) {
    if (!fields_integer(f, "logprobs", 0, SOTTO_MAX_TOP, &n_top)) return false;
  } else {
    if (!fields_bool(f, "logprobs", &wanted) || !fields_integer(f, "top_logprobs", 0, SOTTO_MAX_TOP, &n_top))
      return false;
    if (n_top > 0 && !wanted) return fields_wrong(f, "top_logprobs", "goes with \"logprobs\": true");
    if (wanted && n_top < 0) n_top = 0;
    if (!wanted) n_top = -1;
  }
  w->n_top = (int32_t)n_top;
  return true;
}

/* What no model here can do is refused rather than left out. */
static bool check_unknown(fields *f, const writing *w) {
  static const char *const absent[] = {"functions", "audio", "suffix"};
  bool echo = false;
  int64_t n = 1;
  if (!fields_integer(f, "n", 1, 1, &n) || !fields_integer(f, "best_of", 1, 1, &n) || !fields_bool(f, "echo", &echo))
    return false;
  if (echo) return fields_wrong(f, "echo", "is not supported");
  if (json_count(f->j, fields_get(f, "tools")) > 0) return fields_wrong(f, "tools", "are not supported");
  for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
    const uint32_t value = fields_get(f, absent[i]);
    if (value != JSON_NONE && !json_is(f->j, value, "")) return fields_wrong(f, absent[i], "is not supported");
  }
  const uint32_t format = fields_get(f, "response_format");
  if (w->chat && format != JSON_NONE && !json_is(f->j, json_get(f->j, format, "type"), "text"))
    return fields_wrong(f, "response_format", "can only be of type text");
  return true;
}

static bool read_length(fields *f, writing *w) {
  w->most = w->chat ? INT32_MAX : 16; /* OpenAI's defaults */
  return fields_integer(f, "max_tokens", 1, INT32_MAX, &w->most) &&
         (!w->chat || fields_integer(f, "max_completion_tokens", 1, INT32_MAX, &w->most));
}

static bool read_stream(fields *f, writing *w) {
  const uint32_t options = fields_get(f, "stream_options");
  if (!fields_bool(f, "stream", &w->stream)) return false;
  if (options == JSON_NONE) return true;
  if (!w->stream) return fields_wrong(f, "stream_options", "goes with \"stream\": true");
  fields inner = {.j = f->j, .object = options};
  return fields_bool(&inner, "include_usage", &w->include_usage) ||
         fields_wrong(f, "stream_options", "has to be an object; its include_usage true or false");
}

/* ---- the request ---- */

static void refuse(writing *w, const fields *f) {
  const bool too_long = strstr(f->problem, "the context takes") != NULL;
  serve_fail(w->base.s, w->base.x, 400, f->param, too_long ? "context_length_exceeded" : NULL, "%s", f->problem);
}

static bool read_request(writing *w, const json *j) {
  fields f = {.j = j, .object = json_root(j)};
  text name = {0};
  const uint32_t model = fields_get(&f, "model");
  if (json_kind_of(j, f.object) != JSON_OBJECT) {
    serve_fail(w->base.s, w->base.x, 400, NULL, NULL, "the request has to be a JSON object");
    return false;
  }
  if (model != JSON_NONE && !fields_string(j, model, &name)) {
    fields_wrong(&f, "model", "has to be a string");
    refuse(w, &f);
    return false;
  }
  w->m = serve_model(w->base.s, w->base.x, (http_slice){name.data, name.size}, false);
  text_free(&name);
  if (w->m == NULL) return false;
  if (check_unknown(&f, w) && read_stream(&f, w) && read_length(&f, w) && read_scores(&f, w) && read_stops(&f, w) &&
      (w->chat ? read_chat : read_prompt)(&f, w) && read_sampling(&f, w))
    return true;
  refuse(w, &f);
  return false;
}

static void start(serve *s, http_exchange *x, bool chat) {
  const http_slice body = http_body_of(x);
  json *j = NULL;
  error err;
  writing *w = calloc(1, sizeof *w);
  if (w == NULL) {
    serve_fail(s, x, 503, NULL, NULL, "out of memory");
    return;
  }
  w->base = (work){s, x, writing_step, writing_close};
  w->chat = chat;
  w->created_s = (int64_t)time(NULL);
  snprintf(w->id, sizeof w->id, "%s-%016llx", chat ? "chatcmpl" : "cmpl", (unsigned long long)serve_random());
  bool ok = json_parse(&j, body.data != NULL ? body.data : "", body.size, "the request", &err) == SOTTO_OK;
  if (!ok)
    serve_fail(s, x, 400, NULL, NULL, "%s", err.text);
  else
    ok = read_request(w, j);
  json_close(j);
  if (ok)
    serve_enqueue(&w->base);
  else
    writing_close(&w->base);
}

void serve_chat(serve *s, http_exchange *x) { start(s, x, true); }
void serve_completion(serve *s, http_exchange *x) { start(s, x, false); }
