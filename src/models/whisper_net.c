#include "whisper_net.h"

static void encode_begin(void *state, const float *frames) { whisper_encode_begin(state, frames); }
static sotto_status encode(void *state, float *fraction) { return whisper_encode(state, fraction); }
static bool encoded(void *state) { return whisper_encoded(state); }
static void reset(void *state) { whisper_decode_reset(state); }
static sotto_status prompt(void *state, const int32_t *tokens, int32_t n, const int32_t *want, int32_t n_want) {
  return whisper_decode_prompt(state, tokens, n, want, n_want);
}
static sotto_status next(void *state, const int32_t *tokens, const int32_t *parent, int32_t n) {
  return whisper_decode_next(state, tokens, parent, n);
}
static float *logits(void *state, int32_t row) { return whisper_logits(state, row); }
static float *some_logits(void *state, int32_t row, int32_t first, int32_t n) {
  return whisper_some_logits(state, row, first, n);
}
static sotto_status share(void *state, int32_t token, float *p) { return whisper_share(state, token, p); }
static int32_t choose(void *state, const speech_rules *rules, const speech_past *past, int32_t from, int32_t keep,
                      const speech_draws *draws) {
  return whisper_decode_choose(state, rules, past, from, keep, draws);
}
static sotto_status follow(void *state, int32_t place, int32_t n) { return whisper_decode_follow(state, place, n); }
static sotto_status chosen(void *state, int32_t place, speech_choice *choices, int32_t *n) {
  return whisper_decode_chosen(state, place, choices, n);
}

whisper_net whisper_net_of(whisper_state *state) {
  return (whisper_net){state,  encode_begin, encode, encoded, reset,  prompt, next,
                       logits, some_logits,  share,  choose,  follow, chosen};
}
