/* Text for showing. What was pushed and not yet shown is in `held`:
 *
 *     held  [ shown by this push | the beginning of a stop string, or of a character ]
 */
#include "text_stream.h"

#include "unicode.h"

struct text_stream {
  char *stops; /* one behind the other */
  size_t starts[TEXT_STREAM_MAX_STOPS + 1];
  int32_t n_stops, stopped;
  char *held; /* [n_held] */
  size_t n_held, held_capacity;
  char *out;
  size_t out_capacity;
};

sotto_status text_stream_open(text_stream **out, const char *const *stops, const size_t *bytes, size_t n_stops,
                              error *err) {
  size_t total = 0;
  *out = NULL;
  if (n_stops > TEXT_STREAM_MAX_STOPS)
    return fail(err, SOTTO_ERR_ARGUMENT, "%zu stop strings are too many: at most %d", n_stops, TEXT_STREAM_MAX_STOPS);
  for (size_t i = 0; i < n_stops; i++) {
    if (bytes[i] == 0 || bytes[i] > TEXT_STREAM_MAX_STOP_BYTES)
      return fail(err, SOTTO_ERR_ARGUMENT, "stop string %zu has %zu bytes: from 1 to %d are allowed", i + 1, bytes[i],
                  TEXT_STREAM_MAX_STOP_BYTES);
    total += bytes[i];
  }
  text_stream *s = mem_alloc(1, sizeof *s);
  if (s) s->stops = mem_alloc(total, 1);
  if (!s || !s->stops) {
    mem_free(s);
    return fail(err, SOTTO_ERR_MEMORY, "out of memory for the stop strings");
  }
  s->n_stops = (int32_t)n_stops;
  s->stopped = -1;
  for (size_t i = 0; i < n_stops; i++) {
    memcpy(s->stops + s->starts[i], stops[i], bytes[i]);
    s->starts[i + 1] = s->starts[i] + bytes[i];
  }
  *out = s;
  return SOTTO_OK;
}

void text_stream_close(text_stream *s) {
  if (!s) return;
  mem_free(s->stops);
  mem_free(s->held);
  mem_free(s->out);
  mem_free(s);
}

int32_t text_stream_stopped(const text_stream *s) { return s->stopped; }

/* Makes room for `need` bytes and keeps the first `used`. */
static sotto_status reserve(char **block, size_t *capacity, size_t used, size_t need, error *err) {
  char *grown = mem_grow(*block, 1, used, capacity, need);
  if (!grown) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the text");
  *block = grown;
  return SOTTO_OK;
}

/* Where the first stop string begins in `held`, or, unless the text has ended, may begin; n_held when none does.
 * `stopped` says which one is whole. Of those that begin at one place the first in the list counts. */
static size_t find_stop(text_stream *s, bool ended) {
  for (size_t at = 0; at < s->n_held; at++) {
    bool begins = false;
    for (int32_t i = 0; i < s->n_stops; i++) {
      size_t length = s->starts[i + 1] - s->starts[i], left = s->n_held - at;
      if (memcmp(s->held + at, s->stops + s->starts[i], min_size(length, left)) != 0) continue;
      if (length <= left) {
        s->stopped = i;
        return at;
      }
      begins = !ended;
    }
    if (begins) return at;
  }
  return s->n_held;
}

/* Bytes of held[n] that are whole characters, or can never be. */
static size_t whole_characters(const char *held, size_t n) {
  size_t last = n;
  for (size_t back = 1; back <= 3 && back <= n; back++) { /* an unfinished character has at most three bytes */
    unsigned char c = (unsigned char)held[n - back];
    if ((c & 0xc0) == 0x80) continue;
    uint32_t code_point;
    bool valid, leads = (c >= 0xc2 && c <= 0xdf) || (c & 0xf0) == 0xe0 || (c >= 0xf0 && c <= 0xf4);
    if (leads && utf8_read(held + n - back, back, &code_point, &valid) == back && !valid) last = n - back;
    break;
  }
  return last;
}

/* Shows the first n bytes of `held`. */
static sotto_status show(text_stream *s, size_t n_shown, const char **text, size_t *n, error *err) {
  TRY(reserve(&s->out, &s->out_capacity, 0, 3 * n_shown + 1, err));
  *n = utf8_repair(s->held, n_shown, s->out);
  *text = s->out;
  s->n_held -= n_shown;
  if (s->n_held > 0) memmove(s->held, s->held + n_shown, s->n_held);
  return SOTTO_OK;
}

sotto_status text_stream_push(text_stream *s, const char *bytes, size_t n_bytes, const char **text, size_t *n,
                              error *err) {
  *text = "";
  *n = 0;
  if (s->stopped >= 0 || n_bytes == 0) return SOTTO_OK;
  TRY(reserve(&s->held, &s->held_capacity, s->n_held, s->n_held + n_bytes, err));
  memcpy(s->held + s->n_held, bytes, n_bytes);
  s->n_held += n_bytes;
  size_t stop = find_stop(s, false);
  if (s->stopped >= 0) {
    s->n_held = stop; /* the stop string and what follows are dropped */
    return show(s, stop, text, n, err);
  }
  return show(s, whole_characters(s->held, stop), text, n, err);
}

sotto_status text_stream_finish(text_stream *s, const char **text, size_t *n, error *err) {
  if (s->stopped < 0) s->n_held = find_stop(s, true);
  return show(s, s->n_held, text, n, err);
}
