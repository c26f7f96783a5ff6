/* What `make bench-check` counts the instructions of: fixed inputs, one thread, two stages of a model.
 *
 *     a Whisper and a WAV file:  first the spectrogram and the encoder of the first window, then some decoder steps, greedy
 *     a Gemma:                   first a prompt, then some tokens one by one
 *
 * Functions `stage_first` and `stage_then` are where a counter is to be on; loading is outside of both. */
#include "../include/sotto.h"

#include <stdio.h>
#include <stdlib.h>

enum { N_PROMPT = 32, N_TOKENS = 4, N_SPOKEN = 8, MOST_SAMPLES = 30 * SOTTO_SAMPLE_RATE };

static sotto_engine *engine;

static void must(sotto_status status, const char *what) {
  if (status >= 0) return;
  fprintf(stderr, "%s: %s\n", what, engine ? sotto_engine_error(engine) : "no engine");
  exit(1);
}

static sotto_model *load(const char *path) {
  static uint8_t piece[1 << 20];
  sotto_model *m;
  FILE *f = fopen(path, "rb");
  if (!f) {
    perror(path);
    exit(1);
  }
  must(sotto_model_open(&m, engine), path);
  for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) must(sotto_model_feed(m, piece, n), path);
  fclose(f);
  must(sotto_model_finish(m), path);
  return m;
}

/* Samples of a WAV file that is at 16 kHz and mono already. */
static size_t read_wav(const char *path, float *samples) {
  static uint8_t bytes[4 * MOST_SAMPLES];
  FILE *f = fopen(path, "rb");
  const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
  if (f) fclose(f);
  sotto_wav *w;
  size_t n_samples = 0, taken = 1, written = 1;
  must(sotto_wav_open(&w), path);
  for (size_t at = 0; taken + written > 0; at += taken, n_samples += written)
    must(sotto_wav_read(w, bytes + at, n - at, &taken, samples + n_samples, MOST_SAMPLES - n_samples, &written), path);
  const sotto_wav_format *format = sotto_wav_format_of(w);
  if (format == NULL || format->rate != SOTTO_SAMPLE_RATE || format->channels != 1) {
    fprintf(stderr, "%s: not at 16 kHz and mono\n", path);
    exit(1);
  }
  sotto_wav_close(w);
  return n_samples;
}

/* ---- the stages: one of the two objects is NULL ---- */

static int32_t windows(const sotto_transcription *t) {
  sotto_timings timings;
  sotto_transcription_timings(t, &timings);
  return timings.n_encode;
}

/* Whatever `status` says, one step more of a text. */
static void write_token(sotto_session *s, sotto_sampler *sampler) {
  int32_t id;
  sotto_status status;
  while ((status = sotto_session_next(s, sampler, &id, NULL)) == SOTTO_AGAIN) {}
  must(status, "a token");
}

__attribute__((noinline)) void stage_first(sotto_transcription *t, sotto_session *s, sotto_sampler *sampler) {
  while (t && windows(t) == 0) must(sotto_transcription_step(t), "encoder");
  if (s) write_token(s, sampler);
}

__attribute__((noinline)) void stage_then(sotto_transcription *t, sotto_session *s, sotto_sampler *sampler) {
  for (sotto_status status = SOTTO_AGAIN; t && status != SOTTO_DONE;)
    must(status = sotto_transcription_step(t), "decoder");
  for (int i = 0; s && i < N_TOKENS; i++) write_token(s, sampler);
}

static void hear(sotto_model *m, const char *audio) {
  static float samples[MOST_SAMPLES];
  const size_t n = read_wav(audio, samples);
  sotto_transcribe_options o;
  sotto_transcribe_options_default(&o);
  o.language = "en";
  o.max_tokens = N_SPOKEN;
  o.temperature_increment = 0;
  sotto_transcription *t;
  must(sotto_transcription_open(&t, m, &o), "transcription");
  for (size_t taken = 0; taken < n;) taken += sotto_transcription_push(t, samples + taken, n - taken);
  sotto_transcription_end(t);
  stage_first(t, NULL, NULL);
  stage_then(t, NULL, NULL);
  sotto_transcription_close(t);
}

static void go_on(sotto_model *m) {
  int32_t prompt[N_PROMPT];
  for (int i = 0; i < N_PROMPT; i++) prompt[i] = i == 0 ? 2 : 300 + 104729 * i % 700;
  sotto_sampler_options o;
  sotto_sampler_options_default(&o);
  o.temperature = 0;
  sotto_session *s;
  sotto_sampler *sampler;
  must(sotto_session_open(&s, m, &(sotto_session_options){.n_ctx = 256}), "session");
  must(sotto_sampler_open(&sampler, m, &o), "sampler");
  must(sotto_session_sync(s, prompt, N_PROMPT), "prompt");
  stage_first(NULL, s, sampler);
  stage_then(NULL, s, sampler);
  sotto_sampler_close(sampler);
  sotto_session_close(s);
}

int main(int argc, char **argv) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: %s GEMMA.gguf | WHISPER.bin AUDIO.wav\n", argv[0]);
    return 2;
  }
  must(sotto_engine_open(&engine, &(sotto_engine_options){.n_threads = 1}), "engine");
  sotto_model *m = load(argv[1]);
  if (argc == 3)
    hear(m, argv[2]);
  else
    go_on(m);
  printf("%s\n", sotto_engine_isa(engine));
  sotto_model_close(m);
  sotto_engine_close(engine);
  return 0;
}
