/* Fuzz target: the file of a voice activity network, and any sound through the network that ships.
 *
 * Byte 0: 0: the rest is the file; 1: it is put into the file that ships, from the place that the next four bytes say; else options (three bytes) and samples. */
#include "../native/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) abort();
}

static void read_network(sotto_engine *engine, const uint8_t *bytes, size_t size) {
  sotto_vad *v;
  const sotto_status status = sotto_vad_open(&v, engine, bytes, size, NULL);
  require((status == SOTTO_OK) == (v != NULL));
  require(status == SOTTO_OK || sotto_engine_error(engine)[0] != 0);
  sotto_vad_close(v);
}

static void hear(sotto_engine *engine, const char *file, size_t n_file, const uint8_t *data, size_t size) {
  const sotto_vad_options options = {
      .threshold = 0.5f, .min_speech_ms = data[0], .min_silence_ms = data[1], .pad_ms = data[2] * 2};
  sotto_vad *v;
  float samples[512], p;
  sotto_speech s, last = {0, 0};
  require(sotto_vad_open(&v, engine, file, n_file, &options) == SOTTO_OK);
  int64_t n_heard = 0;
  for (size_t at = 3; at + 4 <= size;) {
    size_t n = 0;
    for (; n < 512 && at + 4 <= size; at += 4) samples[n++] = load_f32(data + at);
    for (size_t taken = 0; taken < n;) {
      taken += sotto_vad_push(v, samples + taken, n - taken, &p);
      require(p == -1 || (p >= 0 && p <= 1));
      for (; sotto_vad_next(v, &s); last = s) require(s.start < s.end && s.start >= last.end);
    }
    n_heard += (int64_t)n;
  }
  sotto_vad_end(v, &p);
  for (; sotto_vad_next(v, &s); last = s) require(s.start < s.end && s.start >= last.end && s.end <= n_heard);
  sotto_vad_close(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static sotto_engine *engine;
  static char *file;
  static size_t n_file;
  const sotto_engine_options options = {.n_threads = 1};
  if (engine == NULL) {
    require(sotto_engine_open(&engine, &options) == SOTTO_OK);
    file = read_file("assets/silero-vad-v6.2.0.bin", &n_file);
    require(file != NULL);
  }
  if (size < 5) return 0;
  if (data[0] == 0) {
    read_network(engine, data + 1, size - 1);
  } else if (data[0] == 1) {
    uint8_t *changed = malloc(n_file);
    memcpy(changed, file, n_file);
    const size_t at = load_u32(data + 1) % n_file;
    memcpy(changed + at, data + 5, min_size(size - 5, n_file - at));
    read_network(engine, changed, n_file);
    free(changed);
  } else {
    hear(engine, file, n_file, data + 1, size - 1);
  }
  return 0;
}
