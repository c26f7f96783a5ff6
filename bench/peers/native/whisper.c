/* whisper.cpp behind pipes (pipe.h), greedy and in English.
 *
 *   whisper MODEL THREADS
 *
 *   request   bytes of the samples: float, 16 kHz, one channel
 *   answer    bytes of the text */
#include <whisper.h>

#include "pipe.h"

static void log_errors(enum ggml_log_level level, const char *text, void *user) {
  (void)user;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static void transcribe(struct whisper_context *context, const char *body, size_t bytes, int threads) {
  struct whisper_full_params params = whisper_full_default_params(WHISPER_SAMPLING_GREEDY);
  params.n_threads = threads;
  params.language = "en";
  params.print_progress = params.print_realtime = params.print_timestamps = params.print_special = false;
  float *samples = malloc(bytes + sizeof *samples);
  if (samples == NULL) fail("no memory for the samples");
  memcpy(samples, body, bytes);
  if (whisper_full(context, params, samples, (int)(bytes / sizeof *samples)) != 0) fail("whisper_full failed");

  const int n = whisper_full_n_segments(context);
  size_t length = 0, used = 0;
  for (int i = 0; i < n; i++) length += strlen(whisper_full_get_segment_text(context, i));
  char *text = malloc(length + 1);
  if (text == NULL) fail("no memory for the text");
  for (int i = 0; i < n; i++) {
    const char *part = whisper_full_get_segment_text(context, i);
    memcpy(text + used, part, strlen(part));
    used += strlen(part);
  }
  answer(text, used, NULL, 0);
  free(text);
  free(samples);
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage: whisper MODEL THREADS");
  const int threads = (int)whole(argv[2], NULL, 1, 64);
  size_t bytes;
  char *body;

  whisper_log_set(log_errors, NULL);
  struct whisper_context_params params = whisper_context_default_params();
  params.use_gpu = false;
  struct whisper_context *context = whisper_init_from_file_with_params(argv[1], params);
  if (context == NULL) fail("whisper.cpp cannot load %s", argv[1]);
  answer(whisper_print_system_info(), strlen(whisper_print_system_info()), NULL, 0);

  while ((body = request(&bytes, NULL, 0)) != NULL) {
    transcribe(context, body, bytes, threads);
    free(body);
  }
  return 0; /* the process gives back all */
}
