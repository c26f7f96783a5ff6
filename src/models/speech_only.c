#include "speech_only.h"

enum { GAP = SOTTO_SAMPLE_RATE / 10 }; /* samples of silence between stretches */

/* From sample `taken` of what is given out on, samples lie `taken + shift` in the audio. */
typedef struct stretch {
  int64_t taken, shift;
} stretch;

struct speech_only {
  vad *network;
  speech *speech;
  float *samples; /* [capacity]: of the audio from `first` on; `n` of them */
  size_t capacity, n;
  int64_t first;
  int64_t heard;      /* samples that the network had */
  bool ended, closed; /* no more comes; the speech has been told so */
  int64_t from, to;   /* of the audio: what may be given out, from <= to */
  size_t gap;         /* samples of silence that come before it */
  int64_t taken;      /* given out so far, gaps included */
  stretch *map;       /* [n_map], in order */
  size_t n_map, map_capacity;
  int64_t mapped_end; /* of the audio: where the last entry's stretch goes on */
  float zeros[GAP];
};

speech_only *speech_only_open(vad *network, speech *stretches) {
  speech_only *s = mem_alloc(1, sizeof *s);
  if (s == NULL) return NULL;
  s->network = network;
  s->speech = stretches;
  s->mapped_end = -1;
  /* A stretch is decided after min_speech, its end after min_silence and both pads; frames and what is not taken yet beside. */
  s->capacity = (size_t)(stretches->min_speech + stretches->min_silence + 4 * stretches->pad) + 32 * VAD_FRAME;
  s->samples = mem_alloc(s->capacity, sizeof *s->samples);
  if (s->samples != NULL) return s;
  speech_only_close(s);
  return NULL;
}

void speech_only_close(speech_only *s) {
  if (s == NULL) return;
  mem_free(s->samples);
  mem_free(s->map);
  mem_free(s);
}

static void hear(speech_only *s, size_t n) {
  float frame[VAD_FRAME] = {0};
  memcpy(frame, s->samples + (s->heard - s->first), n * sizeof *frame);
  speech_frame(s->speech, vad_frame(s->network, frame), (int64_t)n);
  s->heard += (int64_t)n;
}

/* The next stretch: one that is over, or as much of the one that is on as cannot be taken back. */
static bool next_stretch(speech_only *s, sotto_speech *found) {
  if (speech_next(s->speech, found)) return true;
  if (s->ended && !s->closed) {
    const size_t pending = (size_t)(s->first + (int64_t)s->n - s->heard);
    if (pending > 0) hear(s, pending);
    speech_end(s->speech);
    s->closed = true;
    return speech_next(s->speech, found);
  }
  return !s->speech->waiting && speech_is_sure(s->speech) && speech_now(s->speech, found);
}

/* Finds more to give out, where all that was found is given out. */
static void decide(speech_only *s) {
  sotto_speech found;
  while (s->from == s->to && next_stretch(s, &found)) {
    if (found.end <= s->to) {
      if (s->speech->on) return; /* all of it that is sure is given out */
      continue;
    }
    s->from = found.start > s->to ? found.start : s->to;
    s->to = found.end;
    s->gap = s->from == s->mapped_end || s->mapped_end < 0 ? 0 : GAP;
  }
}

/* Samples that no stretch needs any more go. */
static void forget(speech_only *s) {
  int64_t keep = s->from < s->to ? s->from : speech_earliest(s->speech);
  if (keep > s->heard) keep = s->heard;
  if (s->from == s->to && s->to > keep) keep = s->to;
  if (s->speech->n_queue > 0 && s->speech->queue[0].start < keep) keep = s->speech->queue[0].start;
  if (keep <= s->first) return;
  const size_t n = min_size((size_t)(keep - s->first), s->n);
  s->n -= n;
  s->first += (int64_t)n;
  memmove(s->samples, s->samples + n, s->n * sizeof *s->samples);
}

size_t speech_only_push(speech_only *s, const float *samples, size_t n) {
  size_t taken = 0;
  while (taken < n && !s->ended) {
    decide(s);
    if (s->from < s->to) break;
    forget(s);
    const size_t pending = (size_t)(s->first + (int64_t)s->n - s->heard);
    const size_t count = min_size(n - taken, VAD_FRAME - pending);
    memcpy(s->samples + s->n, samples + taken, count * sizeof *samples);
    s->n += count;
    taken += count;
    if (pending + count == VAD_FRAME) hear(s, VAD_FRAME);
  }
  decide(s);
  return taken;
}

void speech_only_end(speech_only *s) { s->ended = true; }

const float *speech_only_ready(speech_only *s, size_t *n) {
  decide(s);
  if (s->gap > 0) {
    *n = s->gap;
    return s->zeros;
  }
  *n = s->from < s->to ? (size_t)(s->to - s->from) : 0;
  return *n > 0 ? s->samples + (s->from - s->first) : NULL;
}

bool speech_only_take(speech_only *s, size_t n) {
  if (s->gap > 0) {
    n = min_size(n, s->gap);
    s->gap -= n;
    s->taken += (int64_t)n;
    return true;
  }
  if (n == 0) return true;
  if (s->from != s->mapped_end) {
    stretch *map = mem_grow(s->map, sizeof *map, s->n_map, &s->map_capacity, s->n_map + 1);
    if (map == NULL) return false;
    s->map = map;
    s->map[s->n_map++] = (stretch){s->taken, s->from - s->taken};
  }
  s->from += (int64_t)n;
  s->taken += (int64_t)n;
  s->mapped_end = s->from;
  decide(s);
  return true;
}

int64_t speech_only_origin(const speech_only *s, int64_t taken, bool begins) {
  if (s->n_map == 0) return 0;
  size_t low = 0, high = s->n_map; /* the last entry that begins at or before it */
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    if (s->map[middle].taken <= taken)
      low = middle;
    else
      high = middle;
  }
  /* In the silence, or in what was added to a stretch, where nobody speaks: what begins, begins with the next one, what ends, ended with the one before. */
  const stretch *own = &s->map[low], *next = low + 1 < s->n_map ? own + 1 : NULL;
  const int64_t end = next != NULL ? next->taken - GAP : s->taken;
  const int64_t edge = s->speech->pad + GAP; /* a model's times are about right */
  const bool tail = taken > end - edge && taken >= own->taken + edge,
             head = taken < own->taken + edge && taken <= end - edge;
  if (next != NULL && begins && (taken > end || tail)) return next->taken + next->shift;
  if (next != NULL && !begins && taken > end) return end + own->shift;
  if (low > 0 && !begins && head) return own->taken - GAP + own[-1].shift;
  return taken + s->map[low].shift;
}

int64_t speech_only_heard(const speech_only *s) { return s->first + (int64_t)s->n; }
