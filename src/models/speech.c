#include "speech.h"

enum { SAMPLES_PER_MS = SOTTO_SAMPLE_RATE / 1000, MAX_MS = 60000 };

sotto_status speech_open(speech *s, const sotto_vad_options *options, error *err) {
  sotto_vad_options o;
  sotto_vad_options_default(&o);
  if (options != NULL) o = *options;
  if (!(o.threshold > 0 && o.threshold < 1))
    return fail(err, SOTTO_ERR_ARGUMENT, "the threshold of speech must be above 0 and below 1");
  if (o.end_threshold == 0) o.end_threshold = o.threshold > 0.16f ? o.threshold - 0.15f : 0.01f;
  if (!(o.end_threshold > 0 && o.end_threshold <= o.threshold))
    return fail(err, SOTTO_ERR_ARGUMENT, "the threshold at which speech ends must be above 0, and not above the other");
  const int32_t times[] = {o.min_speech_ms, o.min_silence_ms, o.pad_ms};
  for (int i = 0; i < 3; i++)
    if (times[i] < 0 || times[i] > MAX_MS)
      return fail(err, SOTTO_ERR_ARGUMENT, "times of speech and silence must be 0 to %d ms", MAX_MS);
  *s = (speech){.o = o};
  s->min_speech = o.min_speech_ms * SAMPLES_PER_MS;
  s->min_silence = o.min_silence_ms * SAMPLES_PER_MS;
  s->pad = o.pad_ms * SAMPLES_PER_MS;
  speech_reset(s);
  return SOTTO_OK;
}

void speech_reset(speech *s) {
  s->at = s->last_end = 0;
  s->on = s->waiting = false;
  s->silence_start = -1;
  s->n_queue = 0;
}

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t smallest(int64_t a, int64_t b) { return a < b ? a : b; }

/* The stretch that waits is given out; `start` is that of the next one, -1: there is none near. */
static void settle(speech *s, int64_t start) {
  if (!s->waiting) return;
  const int64_t silence = start >= 0 ? start - s->last.end : 2 * s->pad;
  s->last.end = smallest(s->last.end + (silence < 2 * s->pad ? silence / 2 : s->pad), s->at);
  s->last_end = s->last.end;
  s->queue[s->n_queue++] = s->last;
  s->waiting = false;
}

static int64_t padded_start(const speech *s) {
  const int64_t start = largest(s->start - s->pad, 0);
  if (!s->waiting) return largest(start, s->last_end);
  const int64_t silence = s->start - s->last.end;
  return silence < 2 * s->pad ? s->start - silence / 2 : start;
}

/* The speech that is on ended at `end`. */
static void close_speech(speech *s, int64_t end) {
  s->on = false;
  s->silence_start = -1;
  if (end - s->start <= s->min_speech) return;
  const int64_t start = padded_start(s);
  settle(s, s->start);
  s->last = (sotto_speech){start, end};
  s->waiting = true;
}

void speech_frame(speech *s, float p, int64_t n) {
  const int64_t begin = s->at;
  s->at += n;
  if (p >= s->o.threshold) {
    s->silence_start = -1;
    if (!s->on) s->start = begin;
    s->on = true;
  } else if (s->on && p < s->o.end_threshold) {
    if (s->silence_start < 0) s->silence_start = begin;
    if (begin - s->silence_start >= s->min_silence) close_speech(s, s->silence_start);
  }
  if (s->waiting && !s->on && s->at - s->last.end >= 2 * s->pad) settle(s, -1);
  if (s->waiting && s->on && (speech_is_sure(s) || s->start - s->last.end >= 2 * s->pad)) settle(s, s->start);
}

void speech_end(speech *s) {
  if (s->on) close_speech(s, s->at);
  settle(s, -1);
}

bool speech_next(speech *s, sotto_speech *out) {
  if (s->n_queue == 0) return false;
  *out = s->queue[0];
  s->n_queue--;
  memmove(s->queue, s->queue + 1, (size_t)s->n_queue * sizeof *s->queue);
  return true;
}

bool speech_now(const speech *s, sotto_speech *out) {
  if (!s->on) return false;
  *out = (sotto_speech){padded_start(s), s->silence_start >= 0 ? s->silence_start : s->at};
  return true;
}

bool speech_is_sure(const speech *s) {
  sotto_speech now;
  return speech_now(s, &now) && now.end - s->start > s->min_speech;
}

int64_t speech_earliest(const speech *s) {
  if (s->waiting) return s->last.start;
  return s->on ? padded_start(s) : largest(s->at - s->pad, s->last_end);
}
