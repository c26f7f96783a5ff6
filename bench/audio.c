/* Time of the audio front end on one thread, best of several rounds: 30 s of log-mel, and of resampling to 16 kHz. */
#include "../src/audio/mel.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_ROUND = 20, N_SAMPLE = 480000, N_MEL = 80 };

enum { N_OUT = 490000 }; /* samples of 30 s, and more than 3000 frames */

static float samples[2 * 1440000], out[N_OUT];

static double mel_ms(void) {
  static float filters[N_MEL * MEL_N_BINS];
  /* as many weights as Slaney's filters have, in as many places */
  for (int i = 0; i < N_MEL; i++)
    for (int k = 0; k < 5; k++) filters[i * MEL_N_BINS + i * 2 + k] = 0.01f;
  mel *m = mel_open(filters, N_MEL);
  double best = 1e9;
  for (int round = 0; m && round < N_ROUND; round++) {
    size_t taken;
    mel_reset(m);
    double start = now_ms();
    size_t n = mel_run(m, samples, N_SAMPLE, &taken, out, 3000);
    n += mel_run(m, NULL, 0, NULL, out + n * N_MEL, 3000 - n);
    double ms = now_ms() - start;
    if (n == 3000 && ms < best) best = ms;
  }
  mel_close(m);
  return best;
}

static double resample_ms(double rate, int32_t channels) {
  double best = 1e9;
  for (int round = 0; round < 5; round++) {
    sotto_resampler *r;
    size_t taken;
    if (sotto_resampler_open(&r, rate, channels) != SOTTO_OK) return best;
    double start = now_ms();
    sotto_resampler_run(r, samples, (size_t)(rate * 30), &taken, out, N_OUT);
    double ms = now_ms() - start;
    if (ms < best) best = ms;
    sotto_resampler_close(r);
  }
  return best;
}

int main(void) {
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) samples[i] = (float)rand() / (float)RAND_MAX - 0.5f;
  printf("30 s of log-mel (80)            %7.2f ms\n", mel_ms());
  printf("30 s of 48000 Hz stereo         %7.2f ms\n", resample_ms(48000, 2));
  printf("30 s of 44100 Hz stereo         %7.2f ms\n", resample_ms(44100, 2));
  printf("30 s of 44099 Hz mono           %7.2f ms\n", resample_ms(44099, 1));
  printf("30 s of 8000 Hz mono            %7.2f ms\n", resample_ms(8000, 1));
  return 0;
}
