/* Fuzz target: bytes as a WAV file, read in pieces, and its samples through the resampler.
 *
 * Byte 0 gives the size of the pieces, byte 1 the room for samples; the file is what follows. */
#include "../../src/base/base.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checks what must hold whatever the file says. */
static void require(bool ok) {
  if (!ok) abort();
}

static uint64_t resample(sotto_resampler *r, const float *frames, size_t n_frames, int32_t channels, size_t capacity) {
  float out[256];
  uint64_t n_out = 0;
  size_t at = 0, taken, written;
  do {
    written =
        sotto_resampler_run(r, frames ? frames + at * (size_t)channels : NULL, n_frames - at, &taken, out, capacity);
    require(written <= capacity && taken <= n_frames - at);
    for (size_t i = 0; i < written; i++) require(out[i] == out[i]);
    at += taken;
    n_out += written;
  } while (at < n_frames || written > 0);
  return n_out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = (size_t)data[0] + 1, capacity = (size_t)data[1] % 225 + 32;
  data += 2;
  size -= 2;
  sotto_wav *wav;
  sotto_resampler *r = NULL;
  float frames[256];
  uint64_t n_frames = 0, n_out = 0;
  int32_t channels = 0;
  size_t at = 0, taken, written;
  if (sotto_wav_open(&wav) != SOTTO_OK) return 0;
  sotto_status status = SOTTO_OK;
  do {
    size_t count = min_size(piece, size - at);
    status = sotto_wav_read(wav, data + at, count, &taken, frames, capacity, &written);
    require(taken <= count && written <= capacity);
    const sotto_wav_format *format = sotto_wav_format_of(wav);
    require(written == 0 || format != NULL);
    if (written > 0) {
      channels = format->channels;
      require(written % (size_t)channels == 0);
      if (n_frames == 0) sotto_resampler_open(&r, format->rate, channels); /* may be refused */
      n_frames += written / (size_t)channels;
      if (r) n_out += resample(r, frames, written / (size_t)channels, channels, capacity);
    }
    at += taken;
    require(status < 0 || taken > 0 || written > 0 || count == 0); /* it moves on */
  } while (status == SOTTO_OK && (at < size || written > 0));
  if (status == SOTTO_OK) status = sotto_wav_read(wav, NULL, 0, &taken, NULL, 0, &written);
  require((status < 0) == (sotto_wav_error(wav)[0] != 0));
  if (r) {
    n_out += resample(r, NULL, 0, channels, capacity);
    double expected = (double)n_frames * SOTTO_SAMPLE_RATE / sotto_wav_format_of(wav)->rate;
    require((double)n_out > expected - 0.51 && (double)n_out < expected + 0.51);
  }
  sotto_resampler_close(r);
  sotto_wav_close(wav);
  return 0;
}
