#include "serve_text.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

static void put_head(const writing *w, const char *object, text *out) {
  text_format(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", w->id, object,
              (long long)w->created_s);
  json_string(out, w->m->id, strlen(w->m->id));
  text_format(out, ",\"system_fingerprint\":\"sotto-%s\",\"choices\":[", sotto_version());
}

static void put_usage(const writing *w, text *out) {
  const size_t written = w->n_ids - w->n_prompt;
  text_format(out, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,", w->n_prompt,
              written, w->n_ids);
  text_format(out, "\"prompt_tokens_details\":{\"cached_tokens\":%d}}", (int)w->n_cached);
}

static void put_scores(const writing *w, text *out) {
  static const char *const names[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
  if (w->n_top < 0 || w->scores[0].size == 0) {
    text_string(out, ",\"logprobs\":null");
    return;
  }
  text_string(out, ",\"logprobs\":{");
  for (int i = 0; i < (w->chat ? 1 : 4); i++) {
    text_format(out, "%s\"%s\":[", i > 0 ? "," : "", w->chat ? "content" : names[i]);
    text_bytes(out, w->scores[i].data, w->scores[i].size);
    text_string(out, "]");
  }
  text_string(out, w->chat ? ",\"refusal\":null}" : "}");
}

static void put_finish(const char *finish, text *out) {
  if (finish != NULL)
    text_format(out, ",\"finish_reason\":\"%s\"}]", finish);
  else
    text_string(out, ",\"finish_reason\":null}]");
}

static void clear(writing *w) {
  w->written.size = 0;
  for (int i = 0; i < 4; i++) w->scores[i].size = 0;
}

static void send_event(writing *w, text *event) {
  text_string(event, "\n\n");
  if (!event->failed) http_piece(w->base.x, event->data, event->size);
  text_free(event);
}

/* What was written since the last event. */
static void send_chunk(writing *w, bool first, const char *finish) {
  text out = {0};
  text_string(&out, "data: ");
  put_head(w, w->chat ? "chat.completion.chunk" : "text_completion", &out);
  text_string(&out, "{\"index\":0,");
  if (!w->chat) {
    text_string(&out, "\"text\":");
    json_string(&out, w->written.data, w->written.size);
  } else {
    text_string(&out, first ? "\"delta\":{\"role\":\"assistant\"," : "\"delta\":{");
    if (first || finish == NULL) {
      text_string(&out, "\"content\":");
      json_string(&out, w->written.data, w->written.size);
    }
    text_string(&out, "}");
  }
  put_scores(w, &out);
  put_finish(finish, &out);
  text_string(&out, w->include_usage ? ",\"usage\":null}" : "}");
  send_event(w, &out);
  clear(w);
}

static void end_stream(writing *w) {
  if (w->written.size > 0 || w->scores[0].size > 0) send_chunk(w, false, NULL);
  send_chunk(w, false, w->finish);
  text out = {0};
  if (w->include_usage) {
    text_string(&out, "data: ");
    put_head(w, w->chat ? "chat.completion.chunk" : "text_completion", &out);
    text_string(&out, "]");
    put_usage(w, &out);
    text_string(&out, "}");
    send_event(w, &out);
  }
  text_string(&out, "data: [DONE]");
  send_event(w, &out);
  http_end(w->base.x);
}

static void answer_whole(writing *w) {
  text out = {0};
  put_head(w, w->chat ? "chat.completion" : "text_completion", &out);
  text_string(&out,
              w->chat ? "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" : "{\"index\":0,\"text\":");
  json_string(&out, w->written.data, w->written.size);
  if (w->chat) text_string(&out, ",\"refusal\":null}");
  put_scores(w, &out);
  put_finish(w->finish, &out);
  put_usage(w, &out);
  text_string(&out, "}");
  serve_answer(w->base.s, w->base.x, 200, "application/json", &out);
  text_free(&out);
}

/* What went wrong goes where the text goes. */
static bool give_up(writing *w, const char *sentence) {
  if (w->begun && w->stream) {
    text out = {0};
    text_string(&out, "data: ");
    serve_error_json(&out, 500, NULL, NULL, sentence);
    send_event(w, &out);
    http_end(w->base.x);
  } else {
    serve_fail(w->base.s, w->base.x, 500, NULL, NULL, "%s", sentence);
  }
  return false;
}

static bool engine_failed(writing *w) { return give_up(w, sotto_engine_error(w->base.s->engine)); }

/* ---- log-probabilities ---- */

static void put_token(const writing *w, text *out, int32_t id, double logprob) {
  size_t n;
  const char *piece = sotto_token_piece(w->m->model, id, 1, &n);
  text_string(out, "{\"token\":");
  json_string(out, piece, n);
  text_string(out, ",\"logprob\":");
  json_number(out, logprob, 1e6);
  text_string(out, ",\"bytes\":[");
  for (size_t i = 0; i < n; i++) text_format(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)piece[i]);
  text_string(out, "]");
}

static void score_for_chat(writing *w, int32_t id, double logprob, const sotto_logprob *top, int32_t n_top) {
  text *out = &w->scores[0];
  if (out->size > 0) text_string(out, ",");
  put_token(w, out, id, logprob);
  text_string(out, ",\"top_logprobs\":[");
  for (int32_t i = 0; i < n_top; i++) {
    if (i > 0) text_string(out, ",");
    put_token(w, out, top[i].id, (double)top[i].logprob);
    text_string(out, "}");
  }
  text_string(out, "]}");
}

static void score_for_completion(writing *w, int32_t id, double logprob, const sotto_logprob *top, int32_t n_top) {
  size_t n;
  const char *piece = sotto_token_piece(w->m->model, id, 1, &n);
  const bool more = w->scores[0].size > 0;
  for (int i = 0; more && i < 4; i++) text_string(&w->scores[i], ",");
  json_string(&w->scores[0], piece, n);
  json_number(&w->scores[1], logprob, 1e6);
  text_format(&w->scores[3], "%zu", w->n_characters);
  for (size_t i = 0; i < n; i++) w->n_characters += ((unsigned char)piece[i] & 0xc0) != 0x80;
  text *out = &w->scores[2];
  text_string(out, "{");
  for (int32_t i = 0; i < n_top; i++) {
    if (i > 0) text_string(out, ",");
    piece = sotto_token_piece(w->m->model, top[i].id, 1, &n);
    json_string(out, piece, n);
    text_string(out, ":");
    json_number(out, (double)top[i].logprob, 1e6);
  }
  text_string(out, "}");
}

/* ---- steps ---- */

static bool begin(writing *w) {
  for (size_t i = 0; i < w->n_prompt; i++) sotto_sampler_accept(w->sampler, w->ids[i]);
  w->held = held_for(&w->m->conversations, w->ids, w->n_ids);
  if (sotto_session_sync(w->held->session, w->ids, w->n_ids) < 0) return engine_failed(w);
  w->n_cached = sotto_session_length(w->held->session);
  w->begun = w->reading = true;
  if (w->stream) {
    serve_begin(w->base.s, w->base.x, "text/event-stream; charset=utf-8");
    if (w->chat) send_chunk(w, true, NULL);
  }
  return true;
}

/* The next token: OK with *id, AGAIN, or an error. */
static sotto_status choose(writing *w, int32_t *id) {
  sotto_session *session = w->held->session;
  if (w->n_top < 0) return sotto_session_next(session, w->sampler, id, NULL);
  if (w->reading) {
    const sotto_status status = sotto_session_step(session);
    if (status == SOTTO_DONE) w->reading = false;
    if (status != SOTTO_DONE) return status;
  }
  float *logits = sotto_session_logits(session, 0), logprob;
  sotto_logprob top[SOTTO_MAX_TOP];
  const int32_t n_top = w->n_top > 0 ? sotto_sampler_top(w->sampler, logits, top, w->n_top) : 0;
  TRY(sotto_sampler_sample(w->sampler, logits, id, &logprob));
  sotto_sampler_accept(w->sampler, *id);
  if (!sotto_token_ends(w->m->model, *id))
    (w->chat ? score_for_chat : score_for_completion)(w, *id, (double)logprob, top, n_top);
  return SOTTO_OK;
}

/* Adds a token to the text; false: there is no memory. */
static bool take(writing *w, int32_t id) {
  const char *shown;
  size_t n;
  error err;
  w->ids[w->n_ids++] = id;
  if (sotto_token_ends(w->m->model, id)) {
    w->finish = "stop";
    return true;
  }
  size_t bytes;
  const char *piece = sotto_token_piece(w->m->model, id, 0, &bytes);
  if (text_stream_push(w->words, piece, bytes, &shown, &n, &err) < 0) return false;
  text_bytes(&w->written, shown, n);
  if (text_stream_stopped(w->words) >= 0)
    w->finish = "stop";
  else if ((int64_t)(w->n_ids - w->n_prompt) >= w->most || w->n_ids > w->m->conversations.capacity)
    w->finish = "length";
  return !w->written.failed;
}

static bool end(writing *w) {
  const char *shown;
  size_t n;
  error err;
  if (text_stream_finish(w->words, &shown, &n, &err) < 0) return give_up(w, "out of memory");
  text_bytes(&w->written, shown, n);
  if (w->stream)
    end_stream(w);
  else
    answer_whole(w);
  return false;
}

bool writing_step(work *base) {
  writing *w = (writing *)base;
  if (!w->begun && !begin(w)) return false;
  int32_t id;
  const sotto_status status = choose(w, &id);
  if (status < 0) return engine_failed(w);
  if (status == SOTTO_AGAIN) return true;
  if (!take(w, id)) return give_up(w, "out of memory");
  if (w->finish != NULL) return end(w);
  if (w->n_top >= 0) {
    if (sotto_session_sync(w->held->session, w->ids, w->n_ids) < 0) return engine_failed(w);
    w->reading = true;
  }
  if (w->stream && (w->written.size > 0 || w->scores[0].size > 0)) send_chunk(w, false, NULL);
  return true;
}

void writing_close(work *base) {
  writing *w = (writing *)base;
  if (w->held != NULL) held_note(w->held, w->ids, w->n_ids);
  sotto_sampler_close(w->sampler);
  text_stream_close(w->words);
  free(w->ids);
  text_free(&w->written);
  for (int i = 0; i < 4; i++) text_free(&w->scores[i]);
  free(w);
}
