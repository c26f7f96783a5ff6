#include "whisper_segments.h"

int32_t whisper_segments_cut(const int32_t *tokens, int32_t n, int32_t first_timestamp, int32_t frames_per_step,
                             int32_t n_frames, bool timestamps, whisper_slice *slices, int32_t *advance) {
  int32_t n_slices = 0, first = 0, last_time = 0;
  *advance = n_frames;
  if (n == 0) return 0;
  bool single_ending = n >= 2 && tokens[n - 1] >= first_timestamp && tokens[n - 2] < first_timestamp;
  for (int32_t i = 1; timestamps && i <= n; i++) {
    bool pair = i < n && tokens[i - 1] >= first_timestamp && tokens[i] >= first_timestamp;
    if (!pair && !(i == n && single_ending && n_slices > 0)) continue;
    slices[n_slices++] = (whisper_slice){first, i - first, (tokens[first] - first_timestamp) * frames_per_step,
                                         (tokens[i - 1] - first_timestamp) * frames_per_step};
    first = i;
  }
  if (n_slices > 0) {
    /* What follows the last pair is not finished: the next window begins there. */
    if (!single_ending) last_time = slices[n_slices - 1].end_frame;
    if (last_time > 0) *advance = last_time;
    return n_slices;
  }
  for (int32_t i = 0; timestamps && i < n; i++) {
    if (tokens[i] >= first_timestamp) last_time = (tokens[i] - first_timestamp) * frames_per_step;
  }
  slices[0] = (whisper_slice){0, n, 0, last_time > 0 ? last_time : n_frames};
  return 1;
}
