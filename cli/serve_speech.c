/* A transcript for a request: form ─> audio in memory ─> samples ─> transcription ─> segments ─> answer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_in.h"
#include "format.h"
#include "multipart.h"
#include "serve.h"

enum { PIECE = 4096 /* samples */ };

typedef enum speech_format { SPEECH_JSON, SPEECH_TEXT, SPEECH_SRT, SPEECH_VTT, SPEECH_VERBOSE } speech_format;

typedef struct speech {
  work base;
  served_model *m;
  /* what was asked for */
  sotto_transcribe_options options;
  char language[32];
  text prompt;
  speech_format format;
  bool stream;
  http_slice file; /* in the request's body */
  /* where it is */
  size_t file_at;
  audio_in *audio;
  sotto_transcription *t;
  float samples[PIECE];
  size_t at, n; /* samples [at, n) wait to be taken */
  writer cues;  /* of subtitles, into `out` */
  text out;
  text whole, segments; /* the texts, and segments as JSON */
  int32_t n_segments, window;
  int64_t seek; /* hundredths of a second: the begin of the window's first segment */
} speech;

/* ---- answers ---- */

static const char *language_name(const char *code) {
  const char *known, *name;
  for (int32_t i = 0; sotto_language(i, &known, &name); i++) {
    if (strcmp(known, code) == 0) return name;
  }
  return code;
}

static void put_segment(speech *w, const sotto_segment *g) {
  text *out = &w->segments;
  if (w->n_segments == 0 || g->window != w->window) w->seek = (int64_t)floor(g->start_s * 100 + 0.5);
  w->window = g->window;
  text_format(out, "%s{\"id\":%d,\"seek\":%lld,\"start\":", w->n_segments > 0 ? "," : "", (int)w->n_segments,
              (long long)w->seek);
  json_number(out, g->start_s, 1e3);
  text_string(out, ",\"end\":");
  json_number(out, g->end_s, 1e3);
  text_string(out, ",\"text\":");
  json_string(out, g->text, strlen(g->text));
  text_string(out, ",\"tokens\":[");
  for (int32_t i = 0; i < g->n_tokens; i++) text_format(out, "%s%d", i > 0 ? "," : "", (int)g->tokens[i].id);
  text_string(out, "],\"temperature\":");
  json_number(out, (double)g->temperature, 1e6);
  text_string(out, ",\"avg_logprob\":");
  json_number(out, (double)g->avg_logprob, 1e6);
  text_string(out, ",\"compression_ratio\":");
  json_number(out, (double)g->compression_ratio, 1e6);
  text_string(out, ",\"no_speech_prob\":");
  json_number(out, (double)g->no_speech_prob, 1e6);
  text_string(out, "}");
  w->n_segments++;
}

static void send_event(speech *w, const char *type, const char *name, http_slice said) {
  text event = {0};
  text_format(&event, "data: {\"type\":\"%s\",\"%s\":", type, name);
  json_string(&event, said.data, said.size);
  text_string(&event, "}\n\n");
  if (!event.failed) http_piece(w->base.x, event.data, event.size);
  text_free(&event);
}

static void take_segments(speech *w) {
  const sotto_segment *g;
  while ((g = sotto_transcription_segment(w->t)) != NULL) {
    const char *said = g->text;
    if (w->whole.size == 0 && *said == ' ') said++;
    text_bytes(&w->whole, said, strlen(said));
    if (w->stream)
      send_event(w, "transcript.text.delta", "delta", (http_slice){said, strlen(said)});
    else if (w->format == SPEECH_VERBOSE)
      put_segment(w, g);
    else if (w->format == SPEECH_SRT || w->format == SPEECH_VTT)
      writer_segment(&w->cues, g);
  }
}

static void put_json(const speech *w, text *out) {
  sotto_progress progress;
  sotto_transcription_progress(w->t, &progress);
  text_string(out, "{");
  if (w->format == SPEECH_VERBOSE) {
    text_format(out, "\"task\":\"%s\",\"language\":\"%s\",\"duration\":",
                w->options.task == SOTTO_TRANSLATE ? "translate" : "transcribe",
                language_name(sotto_transcription_language(w->t, NULL)));
    json_number(out, progress.pushed_s, 1e3);
    text_string(out, ",");
  }
  text_string(out, "\"text\":");
  json_string(out, w->whole.data, w->whole.size);
  if (w->format == SPEECH_VERBOSE) {
    text_string(out, ",\"segments\":[");
    text_bytes(out, w->segments.data, w->segments.size);
    text_string(out, "]");
  }
  text_string(out, ",\"usage\":{\"type\":\"duration\",\"seconds\":");
  json_number(out, ceil(progress.pushed_s), 1);
  text_string(out, "}}");
}

static bool answer(speech *w) {
  static const char *const types[] = {[SPEECH_JSON] = "application/json",
                                      [SPEECH_TEXT] = "text/plain; charset=utf-8",
                                      [SPEECH_SRT] = "application/x-subrip; charset=utf-8",
                                      [SPEECH_VTT] = "text/vtt; charset=utf-8",
                                      [SPEECH_VERBOSE] = "application/json"};
  if (w->stream) {
    send_event(w, "transcript.text.done", "text", (http_slice){w->whole.data, w->whole.size});
    http_end(w->base.x);
    return false;
  }
  if (w->format == SPEECH_TEXT) {
    text_bytes(&w->out, w->whole.data, w->whole.size);
    text_string(&w->out, "\n");
  } else if (w->format == SPEECH_JSON || w->format == SPEECH_VERBOSE) {
    put_json(w, &w->out);
  } else {
    writer_end(&w->cues, NULL);
  }
  if (w->whole.failed || w->segments.failed) w->out.failed = true;
  serve_answer(w->base.s, w->base.x, 200, types[w->format], &w->out);
  return false;
}

static bool give_up(speech *w, int status, const char *param, const char *sentence) {
  if (http_status_of(w->base.x) != 0) { /* in the midst of events */
    text event = {0};
    text_string(&event, "data: ");
    serve_error_json(&event, status, param, NULL, sentence);
    text_string(&event, "\n\n");
    if (!event.failed) http_piece(w->base.x, event.data, event.size);
    text_free(&event);
    http_end(w->base.x);
  } else {
    serve_fail(w->base.s, w->base.x, status, param, NULL, "%s", sentence);
  }
  return false;
}

/* ---- steps ---- */

static size_t read_file(void *context, void *bytes, size_t size) {
  speech *w = context;
  const size_t left = w->file.size - w->file_at, n = size < left ? size : left;
  if (n > 0) memcpy(bytes, w->file.data + w->file_at, n);
  w->file_at += n;
  return n;
}

static bool begin(speech *w) {
  char problem[256];
  w->audio = audio_in_open(read_file, w, problem, sizeof problem);
  if (w->audio == NULL) return give_up(w, 400, "file", problem);
  const sotto_status status = sotto_transcription_open(&w->t, w->m->model, &w->options);
  if (status < 0)
    return give_up(w, status == SOTTO_ERR_ARGUMENT ? 400 : 500, NULL, sotto_engine_error(w->base.s->engine));
  if (w->stream) serve_begin(w->base.s, w->base.x, "text/event-stream; charset=utf-8");
  if (w->format == SPEECH_SRT || w->format == SPEECH_VTT)
    writer_begin(&w->cues, w->format == SPEECH_SRT ? FORMAT_SRT : FORMAT_VTT, &w->out);
  return true;
}

static bool speech_step(work *base) {
  speech *w = (speech *)base;
  if (w->t == NULL) return begin(w);
  if (w->at < w->n) w->at += sotto_transcription_push(w->t, w->samples + w->at, w->n - w->at);
  const sotto_status status = sotto_transcription_step(w->t);
  if (status < 0) return give_up(w, 500, NULL, sotto_engine_error(w->base.s->engine));
  if (status == SOTTO_SEGMENT || status == SOTTO_DONE) take_segments(w);
  if (status == SOTTO_DONE) return answer(w);
  if (status == SOTTO_STARVED && w->at == w->n) {
    w->at = 0;
    w->n = audio_in_read(w->audio, w->samples, PIECE);
    if (w->n == 0 && audio_in_problem(w->audio) != NULL) return give_up(w, 400, "file", audio_in_problem(w->audio));
    if (w->n == 0) sotto_transcription_end(w->t);
  }
  return true;
}

static void speech_close(work *base) {
  speech *w = (speech *)base;
  sotto_transcription_close(w->t);
  audio_in_close(w->audio);
  text_free(&w->cues.whole);
  text_free(&w->cues.segments);
  text_free(&w->prompt);
  text_free(&w->out);
  text_free(&w->whole);
  text_free(&w->segments);
  free(w);
}

/* ---- the request ---- */

static bool refuse(speech *w, const char *param, const char *sentence) { return give_up(w, 400, param, sentence); }

static bool read_format(speech *w, http_slice value) {
  static const char *const names[] = {"json", "text", "srt", "vtt", "verbose_json"};
  for (int i = 0; i < 5; i++) {
    if (!http_same(value, names[i])) continue;
    w->format = (speech_format)i;
    return true;
  }
  return refuse(w, "response_format", "'response_format' has to be json, text, srt, vtt or verbose_json");
}

static bool read_language(speech *w, http_slice value) {
  const char *code, *name;
  if (value.size == 0) return true;
  for (int32_t i = 0; sotto_language(i, &code, &name); i++) {
    if (!http_same_any_case(value, code) && !http_same_any_case(value, name)) continue;
    snprintf(w->language, sizeof w->language, "%s", code);
    w->options.language = w->language;
    return true;
  }
  return refuse(w, "language", "'language' has to be the code of a language that Whisper knows, such as en");
}

static bool read_temperature(speech *w, http_slice value) {
  char digits[32] = "", *end;
  if (value.size < sizeof digits) memcpy(digits, value.data, value.size);
  const float t = strtof(digits, &end);
  if (end == digits || *end != '\0' || !(t >= 0 && t <= 1))
    return refuse(w, "temperature", "'temperature' has to be a number from 0 to 1");
  w->options.temperature = t;
  if (t > 0) w->options.temperature_increment = 0; /* at 0, higher ones are tried where a text looks wrong */
  return true;
}

static bool read_field(speech *w, const multipart_part *part, http_slice *model) {
  const http_slice name = part->name, value = part->data;
  if (http_same(name, "file")) {
    w->file = value;
  } else if (http_same(name, "model")) {
    *model = value;
  } else if (http_same(name, "language")) {
    return w->options.task == SOTTO_TRANSLATE || read_language(w, value);
  } else if (http_same(name, "prompt")) {
    w->prompt.size = 0;
    text_bytes(&w->prompt, value.data, value.size);
  } else if (http_same(name, "response_format")) {
    return read_format(w, value);
  } else if (http_same(name, "temperature")) {
    return read_temperature(w, value);
  } else if (http_same(name, "stream")) {
    w->stream = http_same(value, "true") || http_same(value, "1");
  } else if (http_same(name, "timestamp_granularities[]") || http_same(name, "timestamp_granularities")) {
    if (!http_same(value, "segment"))
      return refuse(w, "timestamp_granularities",
                    "'timestamp_granularities' can only be segment: words have no times here");
  }
  return true;
}

static bool read_form(speech *w) {
  multipart form;
  multipart_part part;
  http_slice model = {NULL, 0};
  const http_slice body = http_body_of(w->base.x);
  const http_slice type = http_field_of(http_request_of(w->base.x), "content-type");
  if (body.data == NULL || !multipart_open(&form, type, body.data, body.size))
    return refuse(w, NULL, "the request has to be a form with a file: multipart/form-data with its boundary");
  int more;
  while ((more = multipart_next(&form, &part)) == 1) {
    if (!read_field(w, &part, &model)) return false;
  }
  if (more < 0) return refuse(w, NULL, "the form is damaged or cut off: it does not end with its boundary");
  if (w->file.data == NULL) return refuse(w, "file", "'file' is missing: the audio to transcribe");
  if (w->stream && w->format != SPEECH_JSON) return refuse(w, "stream", "'stream' goes with the response_format json");
  if (w->prompt.size > 0) {
    text_bytes(&w->prompt, "", 1);
    w->options.initial_prompt = w->prompt.data;
  }
  if (w->prompt.failed) return give_up(w, 503, NULL, "out of memory");
  w->m = serve_model(w->base.s, w->base.x, model, true);
  return w->m != NULL;
}

static void start(serve *s, http_exchange *x, sotto_task task) {
  speech *w = calloc(1, sizeof *w);
  if (w == NULL) {
    serve_fail(s, x, 503, NULL, NULL, "out of memory");
    return;
  }
  w->base = (work){s, x, speech_step, speech_close};
  sotto_transcribe_options_default(&w->options);
  w->options.task = task;
  if (read_form(w))
    serve_enqueue(&w->base);
  else
    speech_close(&w->base);
}

void serve_transcription(serve *s, http_exchange *x) { start(s, x, SOTTO_TRANSCRIBE); }
void serve_translation(serve *s, http_exchange *x) { start(s, x, SOTTO_TRANSLATE); }
