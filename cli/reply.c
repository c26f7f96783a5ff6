#define _XOPEN_SOURCE 700

#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../src/text/text_stream.h"
#include "process.h"
#include "terminal.h"

typedef struct writer {
  reply *r;
  const language *l;
  const reply_options *o;
  sotto_session *session;
  sotto_sampler *sampler;
  text_stream *stream;
} writer;

static bool complain(const char *sentence) {
  fprintf(stderr, "sotto: %s\n", sentence);
  return false;
}

bool reply_open(reply *r, const int32_t *ids, size_t n, size_t capacity) {
  *r = (reply){.n_prompt = n, .n_ids = n};
  r->ids = malloc(((n > capacity ? n : capacity) + 1) * sizeof *r->ids);
  if (r->ids == NULL) return complain("out of memory");
  memcpy(r->ids, ids, n * sizeof *ids);
  return true;
}

void reply_free(reply *r) {
  free(r->ids);
  text_free(&r->written);
  text_free(&r->logprobs);
  *r = (reply){0};
}

/* ---- reading the prompt ---- */

/* Brings the session up to the ids; false after a failure. An interrupt leaves it where it is. */
static bool evaluate(writer *w) {
  terminal_progress progress = {0};
  sotto_status status = sotto_session_sync(w->session, w->r->ids, w->r->n_ids);
  if (status == SOTTO_OK) status = SOTTO_AGAIN;
  while (status == SOTTO_AGAIN && !process_interrupted()) {
    status = sotto_session_step(w->session);
    if (status == SOTTO_AGAIN)
      terminal_progress_show(&progress, "reading the text", sotto_session_length(w->session), (double)w->r->n_ids);
  }
  terminal_progress_hide(&progress);
  return status >= 0 || language_complain(w->l);
}

static bool prefill(writer *w) {
  reply *r = w->r;
  const double begin_ms = process_now_ms();
  for (size_t i = 0; i < r->n_prompt; i++) sotto_sampler_accept(w->sampler, r->ids[i]);
  /* What the session keeps is known once it was synced; evaluate syncs anew, to the same. */
  if (sotto_session_sync(w->session, r->ids, r->n_prompt) < 0) return language_complain(w->l);
  const int32_t kept = sotto_session_length(w->session);
  if (!evaluate(w)) return false;
  r->n_prefill = sotto_session_length(w->session) - kept;
  r->prefill_ms = process_now_ms() - begin_ms;
  return true;
}

/* ---- writing ---- */

static bool show(writer *w, const char *bytes, size_t n) {
  if (n == 0) return true;
  text_bytes(&w->r->written, bytes, n);
  return w->o->show(w->o->context, bytes, n) || complain(strerror(errno));
}

static bool show_token(writer *w, int32_t id) {
  size_t bytes, n;
  const char *piece = sotto_token_piece(w->l->model, id, 0, &bytes), *shown;
  error err = {.text = ""};
  if (text_stream_push(w->stream, piece, bytes, &shown, &n, &err) < 0) return complain(err.text);
  return show(w, shown, n);
}

static bool show_rest(writer *w) {
  size_t n;
  const char *shown;
  error err = {.text = ""};
  if (text_stream_finish(w->stream, &shown, &n, &err) < 0) return complain(err.text);
  return show(w, shown, n);
}

static void put_scored(const language *l, text *out, int32_t id, double logprob) {
  size_t bytes;
  const char *piece = sotto_token_piece(l->model, id, 1, &bytes);
  text_format(out, "{\"id\":%d,\"text\":", (int)id);
  json_string(out, piece, bytes);
  text_string(out, ",\"logprob\":");
  json_number(out, logprob, 1e6);
}

static bool scored(const writer *w) { return w->o->n_top >= 0; }

/* The next token; where none is scored, the session evaluates by itself what came before. */
static bool choose(writer *w, int32_t *id) {
  sotto_status status = SOTTO_AGAIN;
  while (!scored(w) && status == SOTTO_AGAIN) status = sotto_session_next(w->session, w->sampler, id, NULL);
  if (!scored(w)) return status >= 0 || language_complain(w->l);
  float *logits = sotto_session_logits(w->session, 0), logprob;
  sotto_logprob top[SOTTO_MAX_TOP];
  const int32_t n_top = w->o->n_top > 0 ? sotto_sampler_top(w->sampler, logits, top, w->o->n_top) : 0;
  if (sotto_sampler_sample(w->sampler, logits, id, &logprob) < 0) return language_complain(w->l);
  sotto_sampler_accept(w->sampler, *id);
  text *out = &w->r->logprobs;
  if (out->size > 0) text_string(out, ",");
  put_scored(w->l, out, *id, (double)logprob);
  text_string(out, ",\"top\":[");
  for (int32_t i = 0; i < n_top; i++) {
    if (i > 0) text_string(out, ",");
    put_scored(w->l, out, top[i].id, (double)top[i].logprob);
    text_string(out, "}");
  }
  text_string(out, "]}");
  return true;
}

static bool decode(writer *w) {
  reply *r = w->r;
  const size_t capacity = (size_t)sotto_session_capacity(w->session);
  const double begin_ms = process_now_ms();
  sotto_speculation before, after;
  sotto_session_speculation(w->session, &before);
  if (w->o->most == 0) r->stop_reason = "length";
  while (r->stop_reason == NULL && !process_interrupted()) {
    int32_t id;
    if (!choose(w, &id)) return false;
    r->ids[r->n_ids++] = id;
    if (sotto_token_ends(w->l->model, id)) {
      r->stop_reason = "end";
      break;
    }
    if (!show_token(w, id)) return false;
    if (text_stream_stopped(w->stream) >= 0) {
      r->stop_reason = "stop";
    } else if ((int64_t)(r->n_ids - r->n_prompt) >= w->o->most) {
      r->stop_reason = "length";
    } else if (r->n_ids > capacity) {
      r->stop_reason = "context";
    } else {
      if (scored(w) && !evaluate(w)) return false;
      r->n_decode++;
    }
  }
  r->decode_ms = process_now_ms() - begin_ms;
  sotto_session_speculation(w->session, &after);
  r->guessed = (sotto_speculation){after.n_checks - before.n_checks, after.n_guesses - before.n_guesses,
                                   after.n_accepted - before.n_accepted};
  if (r->stop_reason == NULL) r->stop_reason = "interrupted";
  return show_rest(w);
}

bool reply_write(reply *r, const language *l, sotto_session *session, const reply_options *o) {
  writer w = {.r = r, .l = l, .o = o, .session = session};
  error err = {.text = ""};
  size_t *bytes = malloc((o->n_stops + 1) * sizeof *bytes);
  for (size_t i = 0; i < o->n_stops && bytes != NULL; i++) bytes[i] = strlen(o->stops[i]);
  bool ok = bytes != NULL || complain("out of memory");
  if (ok && text_stream_open(&w.stream, o->stops, bytes, o->n_stops, &err) < 0) ok = complain(err.text);
  if (ok && sotto_sampler_open(&w.sampler, l->model, o->sampling) < 0) ok = language_complain(l);
  ok = ok && prefill(&w) && decode(&w);
  if (ok && (r->written.failed || r->logprobs.failed)) ok = complain("out of memory");
  sotto_sampler_close(w.sampler);
  text_stream_close(w.stream);
  free(bytes);
  return ok;
}

/* ---- what is told of it ---- */

static void put_ids(text *out, const char *name, const int32_t *ids, size_t n) {
  text_format(out, ",\"%s\":[", name);
  for (size_t i = 0; i < n; i++) text_format(out, "%s%d", i > 0 ? "," : "", (int)ids[i]);
  text_string(out, "]");
}

void reply_json(const reply *r, const language *l, text *out) {
  text_string(out, "{\"text\":");
  json_string(out, r->written.data, r->written.size);
  put_ids(out, "prompt_tokens", r->ids, r->n_prompt);
  put_ids(out, "tokens", r->ids + r->n_prompt, r->n_ids - r->n_prompt);
  if (r->logprobs.size > 0) {
    text_string(out, ",\"logprobs\":[");
    text_bytes(out, r->logprobs.data, r->logprobs.size);
    text_string(out, "]");
  }
  text_format(out, ",\"stop_reason\":\"%s\",\"timings\":{\"load_ms\":", r->stop_reason);
  json_number(out, l->load_ms, 1e3);
  text_string(out, ",\"prefill_ms\":");
  json_number(out, r->prefill_ms, 1e3);
  text_format(out, ",\"n_prefill\":%d,\"decode_ms\":", (int)r->n_prefill);
  json_number(out, r->decode_ms, 1e3);
  text_format(out, ",\"n_decode\":%d}", (int)r->n_decode);
  if (r->guessed.n_checks > 0)
    text_format(out, ",\"guesses\":{\"checks\":%lld,\"tokens\":%lld,\"accepted\":%lld}", (long long)r->guessed.n_checks,
                (long long)r->guessed.n_guesses, (long long)r->guessed.n_accepted);
  text_string(out, ",\"peak_memory_bytes\":");
  json_number(out, process_peak_memory_bytes(), 1);
  text_string(out, "}\n");
}

void reply_print_timings(const reply *r, const language *l, FILE *file) {
  const double prefill_s = r->prefill_ms / 1e3, decode_s = r->decode_ms / 1e3;
  fprintf(file,
          "load %.0f ms; prompt %zu tokens, %d evaluated in %.0f ms (%.1f a second); written %zu tokens, %.0f ms (%.1f "
          "a second); %s; "
          "peak memory %.1f MB\n",
          l->load_ms, r->n_prompt, (int)r->n_prefill, r->prefill_ms, prefill_s > 0 ? r->n_prefill / prefill_s : 0,
          r->n_ids - r->n_prompt, r->decode_ms, decode_s > 0 ? r->n_decode / decode_s : 0, r->stop_reason,
          process_peak_memory_bytes() / 1e6);
  if (r->guessed.n_checks > 0)
    fprintf(file, "%lld tokens were guessed in %lld checks, and %lld of them were right\n",
            (long long)r->guessed.n_guesses, (long long)r->guessed.n_checks, (long long)r->guessed.n_accepted);
}

bool reply_stop_option(const args *a, const char **stops, size_t *n) {
  if (a->value[0] == '\0') return args_wrong(a, "option '%s' needs a string that is not empty", a->shown), false;
  if (strlen(a->value) > TEXT_STREAM_MAX_STOP_BYTES || *n == TEXT_STREAM_MAX_STOPS)
    return args_wrong(a, "at most %d stop strings of %d bytes each can be given", TEXT_STREAM_MAX_STOPS,
                      TEXT_STREAM_MAX_STOP_BYTES),
           false;
  stops[(*n)++] = a->value;
  return true;
}
