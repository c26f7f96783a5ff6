#include "format.h"

#include <math.h>
#include <string.h>

static const char *const names[FORMAT_COUNT] = {
    [FORMAT_CONSOLE] = "txt", [FORMAT_TXT] = "txt", [FORMAT_SRT] = "srt", [FORMAT_VTT] = "vtt",
    [FORMAT_JSON] = "json",   [FORMAT_TSV] = "tsv", [FORMAT_LRC] = "lrc", [FORMAT_JSON_LINE] = "json",
};

const char *format_name(format f) { return names[f]; }

int format_find(const char *name, size_t size) {
  for (int f = FORMAT_TXT; f <= FORMAT_LRC; f++) {
    if (strlen(names[f]) == size && memcmp(names[f], name, size) == 0) return f;
  }
  return -1;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Takes white space off both ends. */
static void strip(const char **p, size_t *size) {
  while (*size > 0 && is_space((*p)[0])) {
    (*p)++;
    (*size)--;
  }
  while (*size > 0 && is_space((*p)[*size - 1])) (*size)--;
}

/* The text of a cue: line breaks become one space; in subtitles "-->" would end a time line, in tables a tab a cell. */
static void cue_text(text *out, format f, const char *p, size_t size) {
  bool subtitles = f == FORMAT_SRT || f == FORMAT_VTT;
  for (size_t i = 0; i < size; i++) {
    if (p[i] == '\n' || p[i] == '\r') {
      if (p[i - 1] != '\n' && p[i - 1] != '\r') text_bytes(out, " ", 1); /* i > 0: the text is stripped */
    } else if (f == FORMAT_TSV && p[i] == '\t') {
      text_bytes(out, " ", 1);
    } else if (subtitles && size - i >= 3 && memcmp(p + i, "-->", 3) == 0) {
      text_bytes(out, "->", 2);
      i += 2;
    } else {
      text_bytes(out, p + i, 1);
    }
  }
}

static long long whole_units(double s, double per_s) { return (long long)floor(s * per_s + 0.5); }

/* [HH:]MM:SS.mmm */
static void cue_time(text *out, double s, bool always_hours, char point) {
  long long ms = whole_units(s, 1000), hours = ms / 3600000;
  if (always_hours || hours > 0) text_format(out, "%02lld:", hours);
  text_format(out, "%02lld:%02lld%c%03lld", ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

static void cue_times(text *out, const sotto_segment *s, bool always_hours, char point) {
  cue_time(out, s->start_s, always_hours, point);
  text_string(out, " --> ");
  cue_time(out, s->end_s, always_hours, point);
}

/* ---- JSON: one form, with or without line breaks and indents ---- */

static void line_break(text *out, bool pretty, int depth) {
  if (!pretty) return;
  text_bytes(out, "\n", 1);
  for (int i = 0; i < depth; i++) text_bytes(out, "  ", 2);
}

static void key(text *out, bool pretty, int depth, const char *name, bool first) {
  if (!first) text_bytes(out, ",", 1);
  line_break(out, pretty, depth);
  text_format(out, pretty ? "\"%s\": " : "\"%s\":", name);
}

static void json_segment(text *out, bool pretty, const sotto_segment *s) {
  line_break(out, pretty, 2);
  text_bytes(out, "{", 1);
  key(out, pretty, 3, "start", true);
  json_number(out, s->start_s, 1e3);
  key(out, pretty, 3, "end", false);
  json_number(out, s->end_s, 1e3);
  key(out, pretty, 3, "text", false);
  json_string(out, s->text, strlen(s->text));
  key(out, pretty, 3, "tokens", false);
  text_bytes(out, "[", 1);
  for (int32_t i = 0; i < s->n_tokens; i++) {
    const sotto_token *token = &s->tokens[i];
    if (i > 0) text_bytes(out, ",", 1);
    line_break(out, pretty, 4);
    text_bytes(out, "{", 1);
    key(out, pretty, 5, "id", true);
    text_format(out, "%d", (int)token->id);
    key(out, pretty, 5, "text", false);
    json_string(out, token->text, token->text_bytes);
    key(out, pretty, 5, "p", false);
    json_number(out, (double)token->p, 1e6);
    line_break(out, pretty, 4);
    text_bytes(out, "}", 1);
  }
  if (s->n_tokens > 0) line_break(out, pretty, 3);
  text_bytes(out, "]", 1);
  const struct {
    const char *name;
    float value;
  } numbers[] = {{"no_speech_prob", s->no_speech_prob},
                 {"temperature", s->temperature},
                 {"avg_logprob", s->avg_logprob},
                 {"compression_ratio", s->compression_ratio}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    key(out, pretty, 3, numbers[i].name, false);
    json_number(out, (double)numbers[i].value, 1e6);
  }
  line_break(out, pretty, 2);
  text_bytes(out, "}", 1);
}

static void json_timings(text *out, bool pretty, const transcript *t) {
  const struct {
    const char *name;
    double value;
  } numbers[] = {{"load_ms", t->load_ms},
                 {"mel_ms", t->timings->mel_ms},
                 {"encode_ms", t->timings->encode_ms},
                 {"decode_ms", t->timings->decode_ms},
                 {"total_ms", t->total_ms},
                 {"n_encode", t->timings->n_encode},
                 {"n_decode", t->timings->n_decode}};
  key(out, pretty, 1, "timings", false);
  text_bytes(out, "{", 1);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    key(out, pretty, 2, numbers[i].name, i == 0);
    json_number(out, numbers[i].value, 1e3);
  }
  line_break(out, pretty, 1);
  text_bytes(out, "}", 1);
  key(out, pretty, 1, "peak_memory_bytes", false);
  json_number(out, t->peak_memory_bytes, 1);
}

static void json_end(writer *w, const transcript *t) {
  text *out = w->out;
  bool pretty = w->format == FORMAT_JSON;
  const char *whole = w->whole.data;
  size_t size = w->whole.size;
  strip(&whole, &size);
  text_bytes(out, "{", 1);
  key(out, pretty, 1, "file", true);
  json_string(out, t->file, strlen(t->file));
  key(out, pretty, 1, "language", false);
  json_string(out, t->language, strlen(t->language));
  key(out, pretty, 1, "language_probability", false);
  json_number(out, t->language_probability, 1e6);
  key(out, pretty, 1, "text", false);
  json_string(out, whole, size);
  key(out, pretty, 1, "segments", false);
  text_bytes(out, "[", 1);
  text_bytes(out, w->segments.data, w->segments.size);
  if (w->segments.size > 0) line_break(out, pretty, 1);
  text_bytes(out, "]", 1);
  if (t->timings != NULL) json_timings(out, pretty, t);
  line_break(out, pretty, 0);
  text_bytes(out, "}\n", 2);
  if (w->whole.failed || w->segments.failed) out->failed = true;
}

/* ---- the writer ---- */

void writer_begin(writer *w, format f, text *out) {
  *w = (writer){.format = f, .out = out};
  if (f == FORMAT_VTT) text_string(out, "WEBVTT\n\n");
  if (f == FORMAT_TSV) text_string(out, "start\tend\ttext\n");
}

void writer_segment(writer *w, const sotto_segment *s) {
  text *out = w->out;
  const char *p = s->text;
  size_t size = strlen(p);
  if (w->format == FORMAT_JSON || w->format == FORMAT_JSON_LINE) {
    text_bytes(&w->whole, p, size);
    if (w->segments.size > 0) text_bytes(&w->segments, ",", 1);
    json_segment(&w->segments, w->format == FORMAT_JSON, s);
    return;
  }
  strip(&p, &size);
  if (size == 0) return;
  w->n_cues++;
  switch (w->format) {
    case FORMAT_CONSOLE:
      text_bytes(out, "[", 1);
      cue_times(out, s, false, '.');
      text_string(out, "]  ");
      break;
    case FORMAT_SRT:
      text_format(out, "%d\n", w->n_cues);
      cue_times(out, s, true, ',');
      text_bytes(out, "\n", 1);
      break;
    case FORMAT_VTT:
      cue_times(out, s, false, '.');
      text_bytes(out, "\n", 1);
      break;
    case FORMAT_TSV:
      text_format(out, "%lld\t%lld\t", whole_units(s->start_s, 1000), whole_units(s->end_s, 1000));
      break;
    case FORMAT_LRC: {
      long long hundredths = whole_units(s->start_s, 100);
      text_format(out, "[%02lld:%02lld.%02lld]", hundredths / 6000, hundredths / 100 % 60, hundredths % 100);
      break;
    }
    default:
      break;
  }
  cue_text(out, w->format, p, size);
  text_string(out, w->format == FORMAT_SRT || w->format == FORMAT_VTT ? "\n\n" : "\n");
}

void writer_end(writer *w, const transcript *t) {
  if (w->format == FORMAT_JSON || w->format == FORMAT_JSON_LINE) json_end(w, t);
  text_free(&w->whole);
  text_free(&w->segments);
}
