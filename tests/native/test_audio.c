/* Audio: the FFT and log-mel against their definitions and against reference vectors, the resampler against sines.
 * Everything is also run in pieces of all kinds, which must not change a bit. */
#include "check.h"

#include "../../src/audio/fft.h"
#include "../../src/audio/mel.h"

static const double TURN = 6.283185307179586;

static int same_bits(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

/* ---- log-mel ---- */

/* Slaney's mel filters as librosa makes them: linear below 1 kHz, logarithmic above, each of unit area. */
static double mel_to_hz(double x) { return x < 15 ? x * 200 / 3 : 1000 * exp((x - 15) * log(6.4) / 27); }

static float *slaney_filters(int32_t n_mel) {
  float *filters = calloc((size_t)n_mel * MEL_N_BINS, sizeof *filters);
  double top = 15 + log(8.0) * 27 / log(6.4); /* 8 kHz */
  for (int32_t i = 0; i < n_mel; i++) {
    double left = mel_to_hz(top * i / (n_mel + 1)), middle = mel_to_hz(top * (i + 1) / (n_mel + 1));
    double right = mel_to_hz(top * (i + 2) / (n_mel + 1));
    for (int32_t k = 0; k < MEL_N_BINS; k++) {
      double hz = k * 40.0, rise = (hz - left) / (middle - left), fall = (right - hz) / (right - middle);
      double weight = fmax(0, fmin(rise, fall)) * 2 / (right - left);
      filters[(size_t)i * MEL_N_BINS + (size_t)k] = (float)weight;
    }
  }
  return filters;
}

static void fft_is_the_transform(void) {
  static fft_lanes x[FFT_SIZE], power[FFT_BINS];
  random_state random = {1};
  for (int n = 0; n < FFT_SIZE; n++)
    for (int f = 0; f < FFT_LANES; f++) x[n][f] = random_uniform(&random, -1, 1);
  fft_power_400(x, power);
  double worst = 0;
  for (int f = 0; f < FFT_LANES; f++)
    for (int k = 0; k < FFT_BINS; k++) {
      double re = 0, im = 0;
      for (int n = 0; n < FFT_SIZE; n++) {
        re += (double)x[n][f] * cos(TURN * (n * k % FFT_SIZE) / FFT_SIZE);
        im -= (double)x[n][f] * sin(TURN * (n * k % FFT_SIZE) / FFT_SIZE);
      }
      worst = fmax(worst, fabs(sqrt((double)power[k][f]) - sqrt(re * re + im * im)));
    }
  printf("FFT: largest difference %.2g\n", worst);
  CHECK_NEAR(worst, 0, 6e-6); /* of a spectrum whose values are about 11 */
}

/* The whole audio in pieces of `piece` samples, `capacity` frames at most at once; returns the number of frames. */
static size_t mel_of(mel *m, const float *samples, size_t n, size_t piece, size_t capacity, int32_t n_mel, float *out) {
  size_t n_frames = 0, at = 0, count;
  mel_reset(m);
  while (at < n) {
    size_t taken = 0, size = min_size(piece, n - at);
    n_frames += mel_run(m, samples + at, size, &taken, out + n_frames * (size_t)n_mel, capacity);
    at += taken;
  }
  while ((count = mel_run(m, NULL, 0, NULL, out + n_frames * (size_t)n_mel, capacity)) > 0) n_frames += count;
  return n_frames;
}

/* log10 mel of frame `t` by the definition, in double. */
static double mel_by_definition(const float *samples, size_t n, size_t t, const float *filter) {
  double x[MEL_N_FFT], energy = 0;
  for (int i = 0; i < MEL_N_FFT; i++) {
    long at = labs((long)t * MEL_HOP + i - MEL_N_FFT / 2);
    x[i] = (size_t)at < n ? (double)samples[at] * (0.5 - 0.5 * cos(TURN * i / MEL_N_FFT)) : 0;
  }
  for (int k = 0; k < MEL_N_BINS; k++) {
    if (filter[k] == 0) continue;
    double re = 0, im = 0;
    for (int i = 0; i < MEL_N_FFT; i++) {
      re += x[i] * cos(TURN * (i * k % MEL_N_FFT) / MEL_N_FFT);
      im -= x[i] * sin(TURN * (i * k % MEL_N_FFT) / MEL_N_FFT);
    }
    energy += (double)filter[k] * (re * re + im * im);
  }
  return log10(fmax(energy, 1e-10));
}

static void mel_is_the_definition_in_any_pieces(void) {
  enum { N_MEL = 80, N = 4000, MOST = 40 };
  static const size_t LENGTHS[] = {0, 1, 159, 160, 161, 199, 200, 201, 399, 400, 401, 560, 719, 720, 1500, N};
  static const size_t PIECES[] = {1, 7, 128, 160, 161, 400, 881, N};
  static float samples[N], want[MOST * N_MEL], got[MOST * N_MEL];
  float *filters = slaney_filters(N_MEL);
  random_state random = {2};
  random_fill(&random, samples, N, -0.5f, 0.5f);
  mel *m = mel_open(filters, N_MEL);
  for (size_t l = 0; l < sizeof LENGTHS / sizeof *LENGTHS; l++) {
    size_t n = LENGTHS[l], n_frames = mel_of(m, samples, n, N, MOST, N_MEL, want);
    CHECK(n_frames == (n + MEL_HOP - 1) / MEL_HOP);
    for (size_t t = 0; t < n_frames; t++)
      for (size_t i = 0; i < N_MEL; i += 9)
        CHECK_NEAR(want[t * N_MEL + i], mel_by_definition(samples, n, t, filters + i * MEL_N_BINS), 1e-5);
    for (size_t p = 0; p < sizeof PIECES / sizeof *PIECES; p++)
      for (size_t capacity = 1; capacity <= 5; capacity += 2) {
        memset(got, 0xff, sizeof got);
        CHECK(mel_of(m, samples, n, PIECES[p], capacity, N_MEL, got) == n_frames);
        CHECK(same_bits(got, want, n_frames * N_MEL));
      }
  }
  mel_close(m);
  free(filters);
}

/* Filters of one weight each: their outputs differ by the logarithms of the weights. */
static void log10_is_exact_enough(void) {
  enum { N_MEL = 4000 };
  static float filters[N_MEL * MEL_N_BINS], samples[401], frame[N_MEL];
  for (int i = 0; i < N_MEL; i++) filters[i * MEL_N_BINS + 20] = (float)pow(10, (i - 2000) / 200.0);
  for (int i = 0; i < 401; i++) samples[i] = (float)cos(TURN * 20 * i / MEL_N_FFT);
  mel *m = mel_open(filters, N_MEL);
  CHECK(mel_run(m, samples, 401, NULL, frame, 1) == 1);
  /* the power of a cosine under the window is 100^2: half of half of 400, squared */
  double worst = 0;
  for (int i = 0; i < N_MEL; i++) {
    double want = log10(fmax((double)filters[i * MEL_N_BINS + 20] * 1e4, 1e-10));
    worst = fmax(worst, fabs((double)frame[i] - want) / fmax(fabs(want), 1));
  }
  CHECK_NEAR(worst, 0, 1e-6);
  mel_close(m);
}

static void mel_survives_anything(void) {
  static const float SAMPLES[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e9f, 1e-40f};
  float *filters = slaney_filters(80);
  static float samples[1600], frames[10 * 80];
  mel *m = mel_open(filters, 80);
  for (size_t i = 0; i < 1600; i++) samples[i] = SAMPLES[i % 6];
  CHECK(mel_of(m, samples, 1600, 1600, 10, 80, frames) == 10);
  int n_bad = 0;
  for (size_t i = 0; i < 800; i++) n_bad += !isfinite(frames[i]);
  CHECK(n_bad == 0);
  for (size_t i = 0; i < 1600; i++) samples[i] = NAN;
  CHECK(mel_of(m, samples, 1600, 1600, 10, 80, frames) == 10);
  n_bad = 0;
  for (size_t i = 0; i < 800; i++) n_bad += fabsf(frames[i] + 10) > 1e-5f;
  CHECK(n_bad == 0); /* silence */
  mel_close(m);
  /* filters of a damaged model */
  for (size_t i = 0; i < 80 * MEL_N_BINS; i++) filters[i] = SAMPLES[i % 4];
  for (size_t i = 0; i < 1600; i++) samples[i] = (float)(i % 7) / 7;
  m = mel_open(filters, 80);
  CHECK(mel_of(m, samples, 1600, 1600, 10, 80, frames) == 10);
  n_bad = 0;
  for (size_t i = 0; i < 800; i++) n_bad += !isfinite(frames[i]);
  CHECK(n_bad == 0);
  mel_close(m);
  CHECK(mel_open(filters, 0) == NULL);
  free(filters);
}

/* Samples of a 16 kHz mono file, and 30 s of zeros in all. */
static float *read_30_s(const char *path) {
  size_t n_bytes = 0, at = 0, n = 0, taken, written;
  char *bytes = read_file(path, &n_bytes);
  if (!bytes) return NULL;
  float *samples = calloc(480000, sizeof *samples);
  sotto_wav *wav;
  CHECK(sotto_wav_open(&wav) == SOTTO_OK);
  do {
    if (sotto_wav_read(wav, bytes + at, n_bytes - at, &taken, samples + n, 480000 - n, &written) < 0) break;
    at += taken;
    n += written;
  } while (written > 0);
  const sotto_wav_format *format = sotto_wav_format_of(wav);
  CHECK(n > 0 && format && format->rate == 16000 && format->channels == 1);
  sotto_wav_close(wav);
  free(bytes);
  return samples;
}

static void mel_matches_reference(const char *name) {
  char path[128];
  snprintf(path, sizeof path, "tests/fixtures/audio/%s.wav", name);
  float *samples = read_30_s(path);
  snprintf(path, sizeof path, "tests/fixtures/golden/whisper-tiny/%s.mel.npy", name);
  npy want = npy_read(path);
  if (!samples || !want.data) {
    skip("no reference vectors or audio in tests/fixtures");
  } else {
    float *filters = slaney_filters(80), *frames = calloc(3000 * 80, sizeof *frames), maximum = -10;
    mel *m = mel_open(filters, 80);
    CHECK(mel_of(m, samples, 480000, 4096, 64, 80, frames) == 3000);
    for (size_t i = 0; i < 3000 * 80; i++) maximum = fmaxf(maximum, frames[i]);
    mel_normalize(frames, 3000 * 80, maximum);
    double worst = 0;
    for (size_t i = 0; i < 80; i++)
      for (size_t t = 0; t < want.shape[1]; t++)
        worst = fmax(worst, fabs((double)frames[t * 80 + i] - (double)want.data[i * want.shape[1] + t]));
    printf("%s: largest difference of log-mel from the reference: %.2g\n", name, worst);
    CHECK(want.shape[0] == 80 && want.shape[1] == 1200);
    CHECK_NEAR(worst, 0, 1e-4);
    mel_close(m);
    free(filters);
    free(frames);
  }
  npy_free(&want);
  free(samples);
}

/* The filters in the model file are the ones made here. */
static void filters_match_model(void) {
  enum { HEADER = 4 + 11 * 4, N = 80 * MEL_N_BINS };
  FILE *f = fopen("models/ggml-tiny.bin", "rb");
  static char bytes[HEADER + 8 + N * 4];
  if (!f || fread(bytes, 1, sizeof bytes, f) != sizeof bytes) {
    skip("no models/ggml-tiny.bin: fetch the models");
  } else {
    float *filters = slaney_filters(80);
    double worst = 0;
    for (size_t i = 0; i < N; i++)
      worst = fmax(worst, fabs((double)filters[i] - (double)load_f32(bytes + HEADER + 8 + i * 4)));
    CHECK_NEAR(worst, 0, 1e-8);
    free(filters);
  }
  if (f) fclose(f);
}

/* ---- resampler ---- */

/* All of `frames` in pieces; returns the number of samples, `*out` to be freed. */
static size_t resample(double rate, int32_t channels, const float *frames, size_t n, size_t piece, size_t capacity,
                       float **out) {
  size_t room = (size_t)((double)n * 16000 / rate) + 16, at = 0, n_out = 0, count, taken;
  sotto_resampler *r;
  *out = calloc(room, sizeof **out);
  if (!CHECK(sotto_resampler_open(&r, rate, channels) == SOTTO_OK)) return 0;
  while (at < n) {
    n_out += sotto_resampler_run(r, frames + at * (size_t)channels, min_size(piece, n - at), &taken, *out + n_out,
                                 min_size(capacity, room - n_out));
    at += taken;
  }
  while ((count = sotto_resampler_run(r, NULL, 0, &taken, *out + n_out, min_size(capacity, room - n_out))) > 0)
    n_out += count;
  sotto_resampler_close(r);
  return n_out;
}

static float *sine(double rate, double hz, size_t n) {
  float *x = calloc(n, sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = (float)sin(TURN * fmod(hz * (double)i / rate, 1));
  return x;
}

static const double RATES[] = {1000,    8000,  11025, 22050, 32000,  44099, 44100,
                               44100.5, 47999, 48000, 96000, 192000, 767999};
enum { N_RATE = sizeof RATES / sizeof *RATES };

/* Away from the ends, a sine of the pass band comes out as itself, in phase, and one beyond 8 kHz not at all. */
static void resampler_passes_and_stops(void) {
  double worst_pass = 0, worst_phase = 0, worst_stop = 0;
  for (size_t i = 0; i < N_RATE; i++) {
    double rate = RATES[i], nyquist = fmin(rate, 16000) / 2;
    /* the filter reaches 62 samples of the lower rate */
    size_t n = (size_t)fmax(rate * 0.06, 200), n_out, edge = (size_t)(62 * 8000 / nyquist);
    float *out;
    for (int step = 0; step <= 9; step++) {
      double hz = nyquist * 0.9 * step / 9 + (step == 0 ? nyquist / 200 : 0);
      float *x = sine(rate, hz, n);
      n_out = resample(rate, 1, x, n, n, n, &out);
      double off = 0;
      for (size_t k = edge; k + edge < n_out; k++) {
        double want = sin(TURN * fmod(hz * (double)k / 16000, 1));
        off = fmax(off, fabs((double)out[k] - want));
      }
      worst_phase = fmax(worst_phase, off);
      worst_pass = fmax(worst_pass, 20 * log10(fmax(1 + off, 1 / (1 - off))));
      free(x);
      free(out);
    }
    for (double above = 20; 8000 + above < rate / 2; above *= 1.3) {
      float *x = sine(rate, 8000 + above, n);
      n_out = resample(rate, 1, x, n, n, n, &out);
      for (size_t k = edge; k + edge < n_out; k++) worst_stop = fmax(worst_stop, fabs((double)out[k]));
      free(x);
      free(out);
    }
    /* Images of the spectrum above the Nyquist frequency: what differs from the sine is below -80 dB */
    if (rate < 16000) {
      float *x = sine(rate, nyquist * 0.89, n);
      n_out = resample(rate, 1, x, n, n, n, &out);
      for (size_t k = edge; k + edge < n_out; k++)
        worst_stop = fmax(worst_stop, fabs((double)out[k] - sin(TURN * fmod(nyquist * 0.89 * (double)k / 16000, 1))));
      free(x);
      free(out);
    }
  }
  printf("resampler: pass band within %.2g dB (error %.1f dB), stop band %.1f dB\n", worst_pass,
         20 * log10(worst_phase), 20 * log10(worst_stop));
  CHECK(worst_pass < 0.1);
  CHECK(worst_phase < 1e-3);
  CHECK(20 * log10(worst_stop) < -80);
}

static void resampler_keeps_time(void) {
  for (size_t i = 0; i < N_RATE; i++) {
    /* an impulse at 0.05 s has its peak at output 800, the same on both sides */
    double rate = RATES[i];
    size_t n = (size_t)(rate * 0.1), at = (size_t)lround(rate * 0.05), peak = 0, n_out;
    float *x = calloc(n, sizeof *x), *out;
    x[at] = (float)fmax(rate / 16000, 1);
    n_out = resample(rate, 1, x, n, n, n, &out);
    for (size_t k = 0; k < n_out; k++)
      if (fabsf(out[k]) > fabsf(out[peak])) peak = k;
    CHECK_NEAR((double)peak, (double)at * 16000 / rate, 0.51);
    if (peak == 800 && fabs((double)at * 16000 / rate - 800) < 1e-9)
      for (size_t k = 1; k < 100; k++) CHECK_NEAR(out[800 - k], out[800 + k], 1e-6);
    free(x);
    free(out);
  }
  for (size_t i = 0; i < N_RATE; i++) {
    static const size_t LENGTHS[] = {0, 1, 2, 3, 100, 1023, 4411, 48001};
    for (size_t l = 0; l < sizeof LENGTHS / sizeof *LENGTHS; l++) {
      size_t n = LENGTHS[l];
      float *x = calloc(n + 1, sizeof *x), *out;
      CHECK(resample(RATES[i], 1, x, n, n, n + 16, &out) == (size_t)floor((double)n * 16000 / RATES[i] + 0.5));
      free(x);
      free(out);
    }
  }
  /* 100 s of an odd rate: the sine is still in phase */
  sotto_resampler *r;
  const double rate = 44099, hz = 997;
  const size_t n = (size_t)rate * 100;
  float in[4096], out[4096];
  double worst = 0;
  size_t at = 0, k = 0, taken;
  CHECK(sotto_resampler_open(&r, rate, 1) == SOTTO_OK);
  while (at < n) {
    size_t size = min_size(4096, n - at);
    bool last = at + 2 * 4096 > n;
    for (size_t i = 0; i < size && (last || at < 8192); i++)
      in[i] = (float)sin(TURN * fmod(hz * (double)(at + i) / rate, 1));
    size_t count = sotto_resampler_run(r, in, size, &taken, out, 4096);
    for (size_t i = 0; last && i < count; i++, k++)
      if (at >= n - 4096) worst = fmax(worst, fabs((double)out[i] - sin(TURN * fmod(hz * (double)k / 16000, 1))));
    if (!last) k += count;
    at += taken;
  }
  CHECK_NEAR(worst, 0, 1e-3);
  sotto_resampler_close(r);
}

static void resampler_does_not_see_pieces(void) {
  static const int32_t CHANNELS[] = {1, 2, 6};
  static const size_t PIECES[] = {1, 3, 64, 1000, 5000};
  random_state random = {3};
  for (size_t i = 0; i < N_RATE; i++)
    for (size_t c = 0; c < 3; c++) {
      enum { N = 6000 };
      int32_t channels = CHANNELS[c];
      float *x = calloc((size_t)(N * channels), sizeof *x), *want, *got;
      random_fill(&random, x, (size_t)(N * channels), -1, 1);
      size_t n_want = resample(RATES[i], channels, x, N, N, SIZE_MAX, &want);
      for (size_t p = 0; p < 5; p++) {
        size_t n_got = resample(RATES[i], channels, x, N, PIECES[p], PIECES[4 - p], &got);
        CHECK(n_got == n_want && same_bits(got, want, n_got));
        free(got);
      }
      free(want);
      free(x);
    }
}

static void resampler_mixes_and_passes_through(void) {
  float mono[64], frames[64 * 6], *out;
  random_state random = {4};
  random_fill(&random, mono, 64, -1, 1);
  CHECK(resample(16000, 1, mono, 64, 10, 7, &out) == 64);
  CHECK(same_bits(out, mono, 64));
  free(out);
  for (int i = 0; i < 64; i++)
    for (int c = 0; c < 6; c++) frames[i * 6 + c] = mono[i] + (float)(c - 2) + (c == 5 ? -3.0f : 0.0f);
  CHECK(resample(16000, 6, frames, 64, 64, 64, &out) == 64);
  for (int i = 0; i < 64; i++) CHECK_NEAR(out[i], mono[i], 1e-6);
  free(out);
  float bad[4] = {NAN, 1, INFINITY, -1e30f};
  CHECK(resample(16000, 1, bad, 4, 4, 4, &out) == 4);
  CHECK(out[0] == 0 && out[1] == 1 && out[2] == 0 && out[3] == 0);
  free(out);
  for (int i = 0; i < 64; i++) mono[i] = NAN;
  CHECK(resample(48000, 1, mono, 64, 64, 64, &out) == 21);
  for (int i = 0; i < 21; i++) CHECK(out[i] == 0);
  free(out);
  sotto_resampler *r;
  CHECK(sotto_resampler_open(&r, 999, 1) == SOTTO_ERR_ARGUMENT && r == NULL);
  CHECK(sotto_resampler_open(&r, NAN, 1) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_resampler_open(&r, 768001, 1) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_resampler_open(&r, 48000, 0) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_resampler_open(&r, 48000, 33) == SOTTO_ERR_ARGUMENT);
  CHECK(sotto_resampler_open(&r, 1000, 32) == SOTTO_OK);
  sotto_resampler_close(r);
  CHECK(sotto_resampler_open(&r, 767999, 1) == SOTTO_OK);
  sotto_resampler_close(r);
}

int main(void) {
  fft_is_the_transform();
  mel_is_the_definition_in_any_pieces();
  log10_is_exact_enough();
  mel_survives_anything();
  mel_matches_reference("jfk");
  mel_matches_reference("de");
  filters_match_model();
  resampler_passes_and_stops();
  resampler_keeps_time();
  resampler_does_not_see_pieces();
  resampler_mixes_and_passes_through();
  return check_end();
}
