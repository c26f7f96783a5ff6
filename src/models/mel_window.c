#include "mel_window.h"

struct mel_window {
  mel *mel;
  int32_t n_mel, capacity, n_frames;
  float *raw;        /* [capacity, n_mel] log10 */
  float *normalized; /* [capacity, n_mel] */
  float maximum;     /* of all frames so far */
};

mel_window *mel_window_open(const float *filters, int32_t n_mel, int32_t n_frames) {
  mel_window *w = mem_alloc(1, sizeof *w);
  if (w == NULL) return NULL;
  size_t n = (size_t)n_frames * (size_t)n_mel;
  w->n_mel = n_mel;
  w->capacity = n_frames;
  w->maximum = -10; /* the lowest there is */
  w->mel = mel_open(filters, n_mel);
  w->raw = mem_alloc(n, sizeof *w->raw);
  w->normalized = mem_alloc(n, sizeof *w->normalized);
  if (w->mel != NULL && w->raw != NULL && w->normalized != NULL) return w;
  mel_window_close(w);
  return NULL;
}

void mel_window_close(mel_window *w) {
  if (w == NULL) return;
  mel_close(w->mel);
  mem_free(w->raw);
  mem_free(w->normalized);
  mem_free(w);
}

/* samples NULL: the end. */
static size_t run(mel_window *w, const float *samples, size_t n) {
  size_t taken = 0;
  if (w->n_frames == w->capacity) return 0;
  float *out = w->raw + (size_t)w->n_frames * (size_t)w->n_mel;
  size_t count = mel_run(w->mel, samples, n, &taken, out, (size_t)(w->capacity - w->n_frames));
  for (size_t i = 0; i < count * (size_t)w->n_mel; i++) w->maximum = out[i] > w->maximum ? out[i] : w->maximum;
  w->n_frames += (int32_t)count;
  return taken;
}

size_t mel_window_push(mel_window *w, const float *samples, size_t n) { return run(w, samples, n); }
void mel_window_drain(mel_window *w) { run(w, NULL, 0); }
int32_t mel_window_frames(const mel_window *w) { return w->n_frames; }

const float *mel_window_normalized(mel_window *w, int32_t n) {
  size_t used = (size_t)min_i32(n, w->n_frames) * (size_t)w->n_mel, all = (size_t)w->capacity * (size_t)w->n_mel;
  memcpy(w->normalized, w->raw, used * sizeof *w->raw);
  mel_normalize(w->normalized, used, w->maximum);
  memset(w->normalized + used, 0, (all - used) * sizeof *w->normalized);
  return w->normalized;
}

void mel_window_advance(mel_window *w, int32_t n) {
  size_t row = (size_t)w->n_mel;
  n = min_i32(n, w->n_frames);
  w->n_frames -= n;
  memmove(w->raw, w->raw + (size_t)n * row, (size_t)w->n_frames * row * sizeof *w->raw);
}
