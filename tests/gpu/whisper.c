/* A Whisper's forward pass on both backends, in WebAssembly: whisper.test.mjs makes the model, calls
 *
 *     whisper_load ─> whisper_run(stage), whisper_check until it is not 0, for each stage
 *                  ─> whisper_find, whisper_find_step until it is 0 or an error, for several searches ─> whisper_unload */
#include "../../src/base/pool.h"
#include "../../src/models/whisper_decode.h"

#include <math.h>

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { N_SEQS = 3 };

static backend *be[2]; /* the CPU's, the GPU's */
static whisper *model[2];
static whisper_state *state[2];
static int32_t n_rows; /* of logits that the stage made */
static bool encoded;   /* the stage made the encoder's output */
static double distance;
static int32_t n_audio; /* positions of the encoder */

void *EXPORT(whisper_room)(size_t bytes) { return mem_alloc(bytes, 1); }
double EXPORT(whisper_distance)(void) { return distance; }

/* n_audio_ctx: positions of the encoder; 0: all. */
int32_t EXPORT(whisper_load)(const void *bytes, size_t n, int32_t n_audio_ctx) {
  be[0] = cpu_backend_open(pool_open(1));
  TRY(gpu_backend_open(&be[1], NULL));
  for (int i = 0; i < 2; i++) {
    model[i] = whisper_open(be[i]);
    TRY(whisper_feed(model[i], bytes, n, NULL));
    TRY(whisper_finish(model[i], NULL));
    TRY(whisper_state_open(&state[i], model[i], N_SEQS, n_audio_ctx, NULL));
  }
  n_audio = n_audio_ctx > 0 ? n_audio_ctx : whisper_header(model[0])->n_audio_ctx;
  return SOTTO_OK;
}

void EXPORT(whisper_unload)(void) {
  for (int i = 0; i < 2; i++) {
    whisper_state_close(state[i]);
    whisper_close(model[i]);
    be[i]->ops->close(be[i]);
  }
}

/* 0: frames [3000, n_mel] and a prompt; 1, 2: tokens of several sequences; 3: another prompt. */
int32_t EXPORT(whisper_run)(int32_t stage, const float *frames) {
  static const int32_t prompt[] = {50258, 50259, 50359, 50363, 400, 401, 402, 403, 404, 405, 406, 407};
  static const int32_t tokens[] = {1000, 2000, 3000}, same[N_SEQS] = {0}, other[] = {2, 0}, ends[] = {0, 11};
  encoded = stage == 0;
  n_rows = (const int32_t[]){2, 3, 2, 1}[stage];
  for (int i = 0; i < 2; i++) {
    if (encoded) {
      whisper_encode_begin(state[i], frames);
      while (whisper_encode(state[i], NULL) == SOTTO_AGAIN) continue;
    }
    if (stage == 0 || stage == 3) whisper_decode_reset(state[i]);
    if (stage == 0) TRY(whisper_decode_prompt(state[i], prompt, 12, ends, 2));
    if (stage == 1) TRY(whisper_decode_next(state[i], tokens, same, 3));
    if (stage == 2) TRY(whisper_decode_next(state[i], tokens, other, 2));
    if (stage == 3) TRY(whisper_decode_prompt(state[i], prompt, 5, (const int32_t[]){4}, 1));
  }
  return SOTTO_OK;
}

/* On the GPU alone: records a window's encoder; then, until it is 1, whether it is done. */
void EXPORT(whisper_encode_there)(const float *frames) {
  whisper_encode_begin(state[1], frames);
  while (whisper_encode(state[1], NULL) == SOTTO_AGAIN) continue;
}
int32_t EXPORT(whisper_encoded_there)(void) { return whisper_encoded(state[1]); }

static void compare(const float *is, const float *should, size_t n) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < n; i++) {
    difference += ((double)is[i] - should[i]) * ((double)is[i] - should[i]);
    norm += (double)should[i] * should[i];
  }
  const double relative = sqrt(difference / norm);
  if (!(relative <= distance)) distance = relative >= 0 ? relative : INFINITY;
}

static void compare_rows(const float *is, const float *should, int32_t n, int32_t cols) {
  for (int32_t i = 0; i < n; i++)
    compare(is + (size_t)i * (size_t)cols, should + (size_t)i * (size_t)cols, (size_t)cols);
}

/* 1: whisper_distance is the largest relative distance of a row; 0: pending; -1: the device is gone. */
int32_t EXPORT(whisper_check)(void) {
  const ggml_bin_header *h = whisper_header(model[0]);
  const float *rows[2][N_SEQS], *outputs[2] = {NULL, NULL};
  bool whole = true;
  for (int i = 0; i < 2; i++) {
    for (int32_t row = 0; row < n_rows; row++) whole &= (rows[i][row] = whisper_logits(state[i], row)) != NULL;
    if (encoded) whole &= (outputs[i] = whisper_encoder_output(state[i])) != NULL;
  }
  if (!whole) return be[1]->lost ? -1 : 0;
  distance = 0;
  for (int32_t row = 0; row < n_rows; row++) compare_rows(rows[1][row], rows[0][row], 1, h->n_vocab);
  if (encoded) compare_rows(outputs[1], outputs[0], n_audio, h->n_audio_state);
  return 1;
}

static whisper_search *search;
static whisper_rules rules;

/* Begins a search on the GPU with so many beams, or, at a temperature above 0, samples, by its own choices or by its logits. */
int32_t EXPORT(whisper_find)(int32_t beams, int32_t patience, int32_t sample_len, float temperature,
                             int32_t by_itself) {
  static const int32_t prompt[] = {50258, 50259, 50359};
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  o.suppress_symbols = 0;
  TRY(whisper_rules_open(&rules, whisper_vocabulary(model[1]), &o, 0.02, NULL));
  whisper_net net = whisper_net_of(state[1]);
  if (!by_itself) net.choose = NULL;
  const whisper_search_options options = {.beam_size = beams,
                                          .best_of = beams,
                                          .seed = 7,
                                          .patience = (float)patience,
                                          .length_penalty = -1,
                                          .sample_len = sample_len,
                                          .n_ctx = whisper_header(model[1])->n_text_ctx};
  search = whisper_search_open(&net, &rules, &options);
  whisper_search_begin(search, prompt, 3, 0, 0, temperature);
  return search != NULL ? SOTTO_OK : SOTTO_ERR_MEMORY;
}

int32_t EXPORT(whisper_find_step)(void) { return be[1]->lost ? SOTTO_ERR_DEVICE : whisper_search_step(search); }

/* How many tokens were found; tokens: [at least sample_len]. The sum of log-probabilities is whisper_distance then. */
int32_t EXPORT(whisper_found)(int32_t *tokens) {
  const whisper_hypothesis *h = whisper_search_result(search);
  const int32_t n = h->n;
  memcpy(tokens, h->tokens, (size_t)n * sizeof *tokens);
  distance = h->sum_logprob;
  whisper_search_close(search);
  whisper_rules_close(&rules);
  return n;
}
