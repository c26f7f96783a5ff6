/* Log-mel spectrogram, four frames at a time, in fixed memory.
 *
 *     samples ─> pending[880] ─ 4 frames, 160 apart ─> x Hann, transposed [400][4] ─> |FFT|^2 [201][4]
 *             ─> filters, nonzero ranges only [n_mel][4] ─> log10 ─> frames [n, n_mel]
 *
 * Each lane is computed alike wherever it stands in its group of four, so frames do not depend on how the samples were
 * cut into pieces. */
#include "mel.h"

#include "fft.h"
#include "sample.h"

#include <math.h>

_Static_assert(MEL_N_FFT == FFT_SIZE && MEL_N_BINS == FFT_BINS, "the FFT is made for the frame");

enum { PAD = MEL_N_FFT / 2, PENDING = MEL_N_FFT + (FFT_LANES - 1) * MEL_HOP };

typedef int32_t int_lanes __attribute__((vector_size(16)));

typedef struct filter {
  int32_t first, count; /* bins with a weight */
  size_t weights;       /* where they start */
} filter;

struct mel {
  int32_t n_mel;
  filter *filters;                        /* [n_mel] */
  float *weights;                         /* of all filters, one after the other */
  float window[MEL_N_FFT];                /* periodic Hann */
  float pending[PENDING];                 /* samples from the start of the next frame on */
  size_t n_pending;                       /* of which there are so many */
  uint64_t n_samples;                     /* received */
  uint64_t n_frames;                      /* written */
  fft_lanes x[FFT_SIZE], power[FFT_BINS]; /* workspace */
};

mel *mel_open(const float *filters, int32_t n_mel) {
  if (n_mel < 1) return NULL;
  mel *m = mem_alloc(1, sizeof *m);
  if (!m) return NULL;
  m->n_mel = n_mel;
  m->filters = mem_alloc((size_t)n_mel, sizeof *m->filters);
  m->weights = mem_alloc((size_t)n_mel, MEL_N_BINS * sizeof *m->weights);
  if (!m->filters || !m->weights) {
    mel_close(m);
    return NULL;
  }
  size_t n_weights = 0;
  for (int32_t i = 0; i < n_mel; i++) {
    const float *row = filters + (size_t)i * MEL_N_BINS;
    int32_t first = 0, end = MEL_N_BINS;
    while (first < end && row[first] == 0) first++;
    while (end > first && row[end - 1] == 0) end--;
    m->filters[i] = (filter){first, end - first, n_weights};
    memcpy(m->weights + n_weights, row + first, (size_t)(end - first) * sizeof *row);
    n_weights += (size_t)(end - first);
  }
  const double turn = 6.283185307179586;
  for (int n = 0; n < MEL_N_FFT; n++) m->window[n] = (float)(0.5 - 0.5 * cos(turn * n / MEL_N_FFT));
  mel_reset(m);
  return m;
}

void mel_close(mel *m) {
  if (!m) return;
  mem_free(m->filters);
  mem_free(m->weights);
  mem_free(m);
}

void mel_reset(mel *m) {
  memset(m->pending, 0, sizeof m->pending);
  m->n_pending = PAD; /* room for the reflection */
  m->n_samples = m->n_frames = 0;
}

/* log10 of positive normal numbers, to a few units in the last place: x = 2^e m with m in [sqrt(1/2), sqrt(2)), and
 * ln m = 2 atanh(s) = 2 (s + s^3 / 3 + s^5 / 5 + ...) where s = (m - 1) / (m + 1), |s| < 0.172. */
static inline fft_lanes log10_lanes(fft_lanes x) {
  const int32_t sqrt_half = 0x3f3504f3; /* bits of sqrt(1/2) */
  int_lanes bits;
  memcpy(&bits, &x, sizeof bits);
  int_lanes e = (bits - sqrt_half) >> 23;
  bits -= e << 23;
  fft_lanes mantissa;
  memcpy(&mantissa, &bits, sizeof mantissa);
  fft_lanes exponent = __builtin_convertvector(e, fft_lanes);
  fft_lanes s = (mantissa - 1.0f) / (mantissa + 1.0f), s2 = s * s;
  fft_lanes series = 1.0f + s2 * (1.0f / 3 + s2 * (1.0f / 5 + s2 * (1.0f / 7 + s2 * (1.0f / 9))));
  return exponent * 0.301029996f + s * series * 0.868588964f; /* log10(2), 2 / ln(10) */
}

/* x[n] = window[n] * pending[160 lane + n]: the four frames beside each other. */
static void window_and_transpose(mel *m) {
  for (int n = 0; n < MEL_N_FFT; n += 4) {
    fft_lanes window, row[FFT_LANES];
    memcpy(&window, m->window + n, sizeof window);
    for (int f = 0; f < FFT_LANES; f++) {
      memcpy(&row[f], m->pending + f * MEL_HOP + n, sizeof row[f]);
      row[f] *= window;
    }
    fft_lanes a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    fft_lanes b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    fft_lanes c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    fft_lanes d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    m->x[n] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    m->x[n + 1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    m->x[n + 2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    m->x[n + 3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
  }
}

/* Writes the first `count` (1 to 4) frames of `pending` and drops their hops. Lanes beyond `count` compute what nobody
 * reads. */
static void write_frames(mel *m, int count, float *frames) {
  window_and_transpose(m);
  fft_power_400(m->x, m->power);
  for (int32_t i = 0; i < m->n_mel; i++) {
    const float *weights = m->weights + m->filters[i].weights;
    const fft_lanes *power = m->power + m->filters[i].first;
    fft_lanes sum = {0};
    for (int32_t j = 0; j < m->filters[i].count; j++) sum += weights[j] * power[j];
    for (int f = 0; f < FFT_LANES; f++) sum[f] = sum[f] > 1e-10f ? sum[f] : 1e-10f; /* NaN too */
    sum = log10_lanes(sum);
    for (int f = 0; f < count; f++) frames[f * m->n_mel + i] = sum[f];
  }
  size_t dropped = (size_t)count * MEL_HOP;
  m->n_pending -= dropped;
  memmove(m->pending, m->pending + dropped, m->n_pending * sizeof *m->pending);
  m->n_frames += (uint64_t)count;
}

/* The first frame starts 200 samples before the audio: there the audio is mirrored about its first sample. The 200th
 * sample, which may not have come yet, would stand at the very start, where the window is 0. */
static void reflect_start(mel *m) {
  for (int i = 1; i < PAD; i++) m->pending[PAD - i] = m->pending[PAD + i];
}

size_t mel_run(mel *m, const float *samples, size_t n, size_t *taken, float *frames, size_t capacity) {
  size_t written = 0, used = 0;
  uint64_t n_total = m->n_samples / MEL_HOP + (m->n_samples % MEL_HOP != 0); /* frames, when this is the end */
  for (;;) {
    size_t group = min_size(capacity - written, FFT_LANES);
    if (!samples) group = (size_t)(n_total - m->n_frames < group ? n_total - m->n_frames : group);
    size_t wanted = MEL_N_FFT + (group > 1 ? group - 1 : 0) * MEL_HOP;
    size_t missing = wanted > m->n_pending ? wanted - m->n_pending : 0;
    float *to = m->pending + m->n_pending;
    if (samples) {
      missing = min_size(missing, n - used);
      for (size_t i = 0; i < missing; i++) to[i] = sample_or_zero(samples[used + i]);
      used += missing;
      m->n_samples += missing;
    } else if (group > 0) {
      memset(to, 0, missing * sizeof *to);
    } else {
      missing = 0;
    }
    m->n_pending += missing;
    if (group == 0 || m->n_pending < MEL_N_FFT) break;
    if (m->n_frames == 0) reflect_start(m);
    size_t count = min_size(group, (m->n_pending - MEL_N_FFT) / MEL_HOP + 1);
    write_frames(m, (int)count, frames + written * (size_t)m->n_mel);
    written += count;
  }
  if (taken) *taken = used;
  return written;
}

void mel_normalize(float *frames, size_t n, float maximum) {
  const float floor = maximum - 8.0f;
  for (size_t i = 0; i < n; i++) frames[i] = ((frames[i] > floor ? frames[i] : floor) + 4.0f) * 0.25f;
}
