/* The whole network with weights of every type: a random model in that type against the same values as f32. What differs is
 * how the kernels read the type, and how they round the activations they multiply it with. */
#include "../../src/base/pool.h"
#include "../../src/models/whisper.h"
#include "make_model.h"

typedef struct outcome {
  float *encoded; /* [n_audio_ctx, d] */
  float *logits;  /* [3, n_vocab] */
  size_t n_encoded, n_logits;
} outcome;

static outcome run(backend *be, const byte_list *file, const float *frames) {
  outcome o = {0};
  error err = {""};
  whisper *w = whisper_open(be);
  whisper_state *s = NULL;
  bool ok = CHECK(whisper_feed(w, file->bytes, file->size, &err) == SOTTO_OK) &&
            CHECK(whisper_finish(w, &err) == SOTTO_OK) && CHECK(whisper_state_open(&s, w, 1, 0, &err) == SOTTO_OK);
  if (!ok) {
    printf("%s\n", err.text);
    exit(check_end());
  }
  const ggml_bin_header *h = whisper_header(w);
  o.n_encoded = (size_t)h->n_audio_ctx * (size_t)h->n_audio_state;
  o.n_logits = 3 * (size_t)h->n_vocab;
  o.encoded = malloc(o.n_encoded * sizeof(float));
  o.logits = malloc(o.n_logits * sizeof(float));
  whisper_encode_begin(s, frames);
  while (whisper_encode(s, NULL) == SOTTO_AGAIN) continue;
  memcpy(o.encoded, whisper_encoder_output(s), o.n_encoded * sizeof(float));

  const int32_t prompt[] = {50258, 50259, 50359, 50363, 400}, want[] = {0, 4}, next = 1000, parent = 0;
  size_t row = (size_t)h->n_vocab;
  whisper_decode_reset(s);
  CHECK(whisper_decode_prompt(s, prompt, 5, want, 2) == SOTTO_OK);
  memcpy(o.logits, whisper_logits(s, 0), row * sizeof(float));
  memcpy(o.logits + row, whisper_logits(s, 1), row * sizeof(float));
  CHECK(whisper_decode_next(s, &next, &parent, 1) == SOTTO_OK);
  memcpy(o.logits + 2 * row, whisper_logits(s, 0), row * sizeof(float));
  whisper_state_close(s);
  whisper_close(w);
  return o;
}

static void outcome_free(outcome *o) {
  free(o->encoded);
  free(o->logits);
}

int main(void) {
  static float frames[WHISPER_WINDOW_FRAMES * 80];
  random_state random = {7};
  random_fill(&random, frames, sizeof frames / sizeof *frames, -1, 1);
  pool *threads = pool_open(2);
  backend *be = cpu_backend_open(threads);

  ggml_bin_header h = model_shape_small();
  h.n_audio_layer = h.n_text_layer = 1;
  byte_list first = model_random(h, DTYPE_F16, 8);
  model_file plain = model_file_of((char *)first.bytes, first.size);
  if (!CHECK(plain.bytes != NULL)) return check_end();
  for (uint32_t type = DTYPE_F16; type <= DTYPE_Q6_K; type++) {
    if (dtype_block_elements(type) == 0) continue;
    byte_list typed = model_requantize(&plain, type);
    outcome is = run(be, &typed, frames);
    model_file taken = model_file_of((char *)typed.bytes, typed.size);
    byte_list exact = model_requantize(&taken, DTYPE_F32);
    outcome should = run(be, &exact, frames);
    double encoder = relative_error(is.encoded, should.encoded, is.n_encoded);
    double logits = relative_error(is.logits, should.logits, is.n_logits);
    printf("%s: encoder within %.2g, logits within %.2g (relative)\n", dtype_name(type), encoder, logits);
    CHECK(encoder < 2e-2 && logits < 2e-2);
    outcome_free(&is);
    outcome_free(&should);
    byte_list_free(&exact);
    model_file_free(&taken);
  }
  model_file_free(&plain);
  cpu_backend_close(be);
  pool_close(threads);
  return check_end();
}
