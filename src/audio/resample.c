/* Streaming resampler and downmixer to 16 kHz mono.
 *
 *     frames [n, channels] ─ mean ─> buffer ─ windowed sinc, one phase per output ─> samples
 *
 * The filter is a sinc under a Kaiser window of 96 dB with its transition from 0.9 to 1.0 of the lower of the two
 * Nyquist frequencies: for 16 kHz and more, 7200 Hz pass and nothing from 8000 Hz on aliases. It is symmetric about the
 * output's time, so output k stands exactly at k / 16000 s of the input; before and after the audio lie zeros.
 *
 * Output k is at input frame k * step / denominator: whole and remainder are integers, so nothing drifts. Where
 * `denominator` is small the table holds each phase that occurs; for odd rates it holds enough evenly spaced phases
 * that a straight line between two of them keeps all errors below -90 dB. Memory is constant: at most about 0.5 MB of
 * table and a few thousand samples. */
#include "../base/base.h"
#include "sample.h"

#include <math.h>

enum {
  BLOCK = 2048,       /* input samples taken in at once, beyond what the filter spans */
  FRACTION = 1 << 16, /* rates are exact to 1 / 65536 Hz */
  MAX_CHANNELS = 32,
  PHASES_AT_NYQUIST = 512, /* table phases a sample of the lower rate */
};

static const double PI = 3.141592653589793;
static const double ATTENUATION = 96.0; /* dB */
static const double TRANSITION = 0.1;   /* of the lower Nyquist frequency */

typedef float lanes __attribute__((vector_size(16)));

struct sotto_resampler {
  int32_t channels;
  bool direct;                /* 16 kHz: only mixed down */
  uint64_t step, denominator; /* input frames for an output sample, as a fraction in lowest terms */
  uint64_t half;              /* reach of the filter in input frames, a multiple of 4; it spans 2 * half */
  uint64_t n_phase;
  bool exact;    /* a phase of the table for each remainder; otherwise n_phase + 1 to interpolate between */
  float *table;  /* [n_phase (+ 1), 2 half] */
  float *buffer; /* [capacity]; the first stands at input frame `base - half`, zeros before the audio included */
  size_t filled, capacity;
  uint64_t base;
  uint64_t at, remainder; /* input time of the next output: at + remainder / denominator */
  uint64_t n_in;
  bool ended;
};

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

/* Modified Bessel function of order 0, by its power series. */
static double bessel_i0(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

/* The impulse response `t` samples of the lower rate from its middle; `reach` is its half width. */
static double kernel(double t, double reach, double beta) {
  double u = t / reach;
  if (u <= -1 || u >= 1) return 0;
  double x = PI * t * (1 - TRANSITION / 2);
  double sinc = fabs(x) < 1e-9 ? 1 : sin(x) / x;
  return sinc * bessel_i0(beta * sqrt(1 - u * u));
}

/* table[phase][j] weighs input frame at - half + 1 + j for the output at `at + phase / n_phase`. Each row sums to 1. */
static void fill_table(sotto_resampler *r, double scale, double reach) {
  const double beta = 0.1102 * (ATTENUATION - 8.7);
  const uint64_t n_tap = 2 * r->half, n_row = r->n_phase + (r->exact ? 0 : 1);
  for (uint64_t phase = 0; phase < n_row; phase++) {
    float *row = r->table + phase * n_tap;
    double sum = 0;
    for (uint64_t j = 0; j < n_tap; j++) {
      double distance = (double)phase / (double)r->n_phase + (double)r->half - 1 - (double)j;
      double weight = kernel(distance * scale, reach, beta);
      row[j] = (float)weight;
      sum += weight;
    }
    for (uint64_t j = 0; j < n_tap; j++) row[j] = (float)(row[j] / sum);
  }
}

sotto_status sotto_resampler_open(sotto_resampler **out, double rate, int32_t channels) {
  if (!out) return SOTTO_ERR_ARGUMENT;
  *out = NULL;
  if (!(rate >= 1000 && rate <= 768000) || channels < 1 || channels > MAX_CHANNELS) return SOTTO_ERR_ARGUMENT;
  sotto_resampler *r = mem_alloc(1, sizeof *r);
  if (!r) return SOTTO_ERR_MEMORY;
  r->channels = channels;
  r->step = (uint64_t)(rate * FRACTION + 0.5);
  r->denominator = (uint64_t)SOTTO_SAMPLE_RATE * FRACTION;
  uint64_t divisor = greatest_common_divisor(r->step, r->denominator);
  r->step /= divisor;
  r->denominator /= divisor;
  r->direct = r->step == r->denominator;
  if (r->direct) {
    *out = r;
    return SOTTO_OK;
  }
  /* Kaiser: the half width that gives the attenuation over the transition, in samples of the lower rate */
  const double reach = (ATTENUATION - 7.95) / (2.285 * PI * TRANSITION) / 2;
  const double scale =
      rate > SOTTO_SAMPLE_RATE ? SOTTO_SAMPLE_RATE / rate : 1; /* of the lower rate in an input frame */
  r->half = ((uint64_t)(reach / scale) + 1 + 3) / 4 * 4;
  r->n_phase = (uint64_t)(PHASES_AT_NYQUIST * scale) + 1;
  r->exact = r->denominator <= 2 * r->n_phase;
  if (r->exact) r->n_phase = r->denominator;
  r->capacity = (size_t)(2 * r->half + BLOCK);
  r->filled = (size_t)r->half;
  r->buffer = mem_alloc(r->capacity, sizeof *r->buffer);
  r->table = mem_alloc((size_t)((r->n_phase + 1) * 2 * r->half), sizeof *r->table);
  if (!r->buffer || !r->table) {
    sotto_resampler_close(r);
    return SOTTO_ERR_MEMORY;
  }
  fill_table(r, scale, reach);
  *out = r;
  return SOTTO_OK;
}

void sotto_resampler_close(sotto_resampler *r) {
  if (!r) return;
  mem_free(r->buffer);
  mem_free(r->table);
  mem_free(r);
}

/* Mean of the channels of `n` frames. */
static void mix_down(const float *frames, size_t n, int32_t channels, float *out) {
  const float gain = 1.0f / (float)channels;
  for (size_t i = 0; i < n; i++) {
    float sum = 0;
    for (int32_t c = 0; c < channels; c++) sum += sample_or_zero(frames[i * (size_t)channels + (size_t)c]);
    out[i] = sum * gain;
  }
}

/* Dot product of n values, n a multiple of 8. */
static float dot(const float *a, const float *b, uint64_t n) {
  lanes sum0 = {0}, sum1 = {0};
  for (uint64_t i = 0; i < n; i += 8) {
    lanes a0, a1, b0, b1;
    memcpy(&a0, a + i, sizeof a0);
    memcpy(&a1, a + i + 4, sizeof a1);
    memcpy(&b0, b + i, sizeof b0);
    memcpy(&b1, b + i + 4, sizeof b1);
    sum0 += a0 * b0;
    sum1 += a1 * b1;
  }
  sum0 += sum1;
  return (sum0[0] + sum0[1]) + (sum0[2] + sum0[3]);
}

/* The output at (at, remainder); x: input frame at - half + 1. */
static float filter_at(const sotto_resampler *r, const float *x) {
  const uint64_t n_tap = 2 * r->half;
  if (r->exact) return dot(r->table + r->remainder * n_tap, x, n_tap);
  uint64_t scaled = r->remainder * r->n_phase, phase = scaled / r->denominator;
  float fraction = (float)(scaled % r->denominator) / (float)r->denominator;
  const float *row = r->table + phase * n_tap;
  float y0 = dot(row, x, n_tap), y1 = dot(row + n_tap, x, n_tap);
  return y0 + (y1 - y0) * fraction;
}

/* Whether the next output lies in the audio: k < round(n_in * 16000 / rate), that is, half an output further is not
 * past its end. */
static bool within_audio(const sotto_resampler *r) {
  uint64_t twice = 2 * r->remainder + r->step, denominator = 2 * r->denominator;
  return r->at + twice / denominator + (twice % denominator != 0) <= r->n_in;
}

/* Writes what the buffer allows. */
static size_t produce(sotto_resampler *r, float *out, size_t capacity) {
  size_t n = 0;
  for (; n < capacity && (!r->ended || within_audio(r)); n++) {
    uint64_t start = r->at - r->base + 1; /* buffer[0] is input frame base - half */
    if (start + 2 * r->half > r->filled) break;
    out[n] = filter_at(r, r->buffer + start);
    r->remainder += r->step;
    r->at += r->remainder / r->denominator;
    r->remainder %= r->denominator;
  }
  return n;
}

/* Moves what the next output still needs to the front. */
static void drop_used(sotto_resampler *r) {
  size_t used = min_size((size_t)(r->at - r->base + 1), r->filled);
  memmove(r->buffer, r->buffer + used, (r->filled - used) * sizeof *r->buffer);
  r->filled -= used;
  r->base += used;
}

static size_t run_direct(sotto_resampler *r, const float *frames, size_t n, size_t *taken, float *out,
                         size_t capacity) {
  size_t count = frames ? min_size(n, capacity) : 0;
  if (count) mix_down(frames, count, r->channels, out);
  if (taken) *taken = count;
  return count;
}

size_t sotto_resampler_run(sotto_resampler *r, const float *frames, size_t n_frames, size_t *taken, float *out,
                           size_t capacity) {
  if (taken) *taken = 0;
  if (!r) return 0;
  if (r->direct) return run_direct(r, frames, n_frames, taken, out, capacity);
  if (!frames) r->ended = true;
  size_t used = 0, written = 0;
  for (;;) {
    size_t count = produce(r, out + written, capacity - written);
    written += count;
    if (written == capacity && capacity > 0) break;
    if (r->filled == r->capacity) drop_used(r);
    size_t room = r->capacity - r->filled;
    if (r->ended) {
      if (!within_audio(r) || capacity == 0) break;
      memset(r->buffer + r->filled, 0, room * sizeof *r->buffer);
    } else {
      room = min_size(room, n_frames - used);
      if (room == 0) break;
      mix_down(frames + used * (size_t)r->channels, room, r->channels, r->buffer + r->filled);
      used += room;
      r->n_in += room;
    }
    r->filled += room;
  }
  if (taken) *taken = used;
  return written;
}
