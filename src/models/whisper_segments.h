/* The tokens of a window cut into segments at their timestamps.
 *
 *     <0.00> text <2.40><2.40> text <5.00><5.00> text     ─> [0.00, 2.40) [2.40, 5.00), go on at 5.00
 *     <0.00> text <2.40><2.40> text <5.00>                ─> the same, go on after the window: nothing is said after 5.00
 *     <0.00> text                                         ─> [0.00, end of the window), go on after the window */
#ifndef SOTTO_WHISPER_SEGMENTS_H
#define SOTTO_WHISPER_SEGMENTS_H

#include "../base/base.h"

typedef struct whisper_slice {
  int32_t first, n;               /* of the tokens */
  int32_t begin_frame, end_frame; /* from the start of the window */
} whisper_slice;

/* Cuts tokens[n] of a window with n_frames of audio; `first_timestamp` is the token of 0.00 and one step of it is `frames_per_step`.
 * timestamps false: one segment, whatever the tokens. slices: [n / 2 + 1]. Returns their number (0 for n = 0); *advance: frames to go on by. */
int32_t whisper_segments_cut(const int32_t *tokens, int32_t n, int32_t first_timestamp, int32_t frames_per_step,
                             int32_t n_frames, bool timestamps, whisper_slice *slices, int32_t *advance);

#endif
