/* Time of one frame of voice activity (32 ms of sound): natively build/bench/vad, in V8
 * node tests/wasm/run.mjs build/wasm-tests/VARIANT/bench_vad.wasm. */
#include "../src/models/vad.h"
#include "../tests/native/check.h"

int main(void) {
  enum { N = 3000 };
  size_t n = 0;
  char *file = read_file("assets/silero-vad-v6.2.0.bin", &n);
  vad *v;
  float frame[VAD_FRAME], sum = 0;
  random_state random = {1};
  if (file == NULL || vad_open(&v, file, n, NULL) != SOTTO_OK) return 1;
  random_fill(&random, frame, VAD_FRAME, -0.1f, 0.1f);
  for (int round = 0; round < 3; round++) {
    const double begin = now_ms();
    for (int i = 0; i < N; i++) sum += vad_frame(v, frame);
    const double us = (now_ms() - begin) * 1000 / N;
    printf("%.1f us a frame, %.2f %% of a core\n", us, us / 320);
  }
  vad_close(v);
  free(file);
  return sum < 0;
}
