/* sotto vad: file ─> audio_in ─> voice activity ─> lines "START END", or JSON. */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "audio_in.h"
#include "commands.h"
#include "json.h"
#include "process.h"
#include "vad_file.h"

#define PIECE 4096 /* samples */

static const char help[] =
    "Usage: sotto vad [OPTION]... FILE...\n"
    "Prints where speech is in audio files (WAV, MP3, FLAC, Ogg Vorbis; - is standard input): start and end in "
    "seconds.\n"
    "\n"
    "      --threshold P     probability from which on sound is speech (default: 0.5)\n"
    "      --min-speech MS   shorter speech is dropped (default: 250)\n"
    "      --min-silence MS  shorter silence is part of the speech (default: 100)\n"
    "      --pad MS          added before and after (default: 30)\n"
    "      --json            one line of JSON a file, with the probability of every 32 ms\n"
    "  -h, --help            this help\n"
    "\n"
    "Exit status: 0 done, 1 a file could not be read, 2 wrong usage, 130 interrupted.\n";

typedef struct vad_request {
  sotto_vad_options options;
  bool json;
  char **files; /* [n_files] */
  int n_files;
} vad_request;

enum { REQUEST_OK = 1 };

static bool milliseconds(const args *a, int32_t *out) {
  int64_t n;
  if (!args_integer(a, 0, 60000, &n)) return false;
  *out = (int32_t)n;
  return true;
}

static int read_request(vad_request *r, char **argv) {
  enum { HELP = 1, THRESHOLD, MIN_SPEECH, MIN_SILENCE, PAD, JSON };
  static const option_spec options[] = {{"threshold", 0, true, THRESHOLD},
                                        {"min-speech", 0, true, MIN_SPEECH},
                                        {"min-silence", 0, true, MIN_SILENCE},
                                        {"pad", 0, true, PAD},
                                        {"json", 0, false, JSON},
                                        {"help", 'h', false, HELP},
                                        {NULL, 0, false, 0}};
  *r = (vad_request){.files = argv}; /* operands are gathered at the front of argv */
  sotto_vad_options_default(&r->options);
  args a = {.command = "vad ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool ok = true;
    if (id == ARGS_WRONG) return ARGS_WRONG;
    if (id == HELP) {
      fputs(help, stdout);
      return ARGS_END;
    }
    if (id == ARGS_OPERAND) argv[r->n_files++] = (char *)a.value;
    if (id == THRESHOLD) ok = args_number(&a, 0.01, 0.99, &r->options.threshold);
    if (id == MIN_SPEECH) ok = milliseconds(&a, &r->options.min_speech_ms);
    if (id == MIN_SILENCE) ok = milliseconds(&a, &r->options.min_silence_ms);
    if (id == PAD) ok = milliseconds(&a, &r->options.pad_ms);
    if (id == JSON) r->json = true;
    if (!ok) return ARGS_WRONG;
  }
  return r->n_files > 0 ? REQUEST_OK : args_wrong(&a, "no audio file was given");
}

/* ---- one file ---- */

typedef struct vad_job {
  bool json;
  const char *name;
  sotto_vad *v;
  int64_t n_samples;
  text speech, probabilities; /* JSON so far */
} vad_job;

static double seconds(int64_t samples) { return (double)samples / SOTTO_SAMPLE_RATE; }

static void take_stretches(vad_job *j) {
  sotto_speech s;
  while (sotto_vad_next(j->v, &s)) {
    if (!j->json) {
      printf("%.3f %.3f\n", seconds(s.start), seconds(s.end));
      continue;
    }
    text_string(&j->speech, j->speech.size > 0 ? ",{\"start\":" : "{\"start\":");
    json_number(&j->speech, seconds(s.start), 1e3);
    text_string(&j->speech, ",\"end\":");
    json_number(&j->speech, seconds(s.end), 1e3);
    text_string(&j->speech, "}");
  }
}

static void take_probability(vad_job *j, float p) {
  if (p < 0 || !j->json) return;
  if (j->probabilities.size > 0) text_string(&j->probabilities, ",");
  json_number(&j->probabilities, (double)p, 1e6);
}

static void hear(vad_job *j, const float *samples, size_t n) {
  float p;
  j->n_samples += (int64_t)n;
  for (size_t at = 0; at < n;) {
    at += sotto_vad_push(j->v, samples + at, n - at, &p);
    take_probability(j, p);
    take_stretches(j);
  }
}

static bool print_json(vad_job *j) {
  text out = {0};
  text_string(&out, "{\"file\":");
  json_string(&out, j->name, strlen(j->name));
  text_string(&out, ",\"duration\":");
  json_number(&out, seconds(j->n_samples), 1e3);
  text_string(&out, ",\"speech\":[");
  text_bytes(&out, j->speech.data, j->speech.size);
  text_string(&out, "],\"probabilities\":[");
  text_bytes(&out, j->probabilities.data, j->probabilities.size);
  text_string(&out, "]}\n");
  const bool ok = !out.failed && !j->speech.failed && !j->probabilities.failed;
  if (ok) fwrite(out.data, 1, out.size, stdout);
  text_free(&out);
  return ok;
}

static size_t read_source(void *context, void *bytes, size_t size) {
  const int *file = context;
  const ssize_t n = read(*file, bytes, size);
  return n > 0 ? (size_t)n : 0;
}

static bool run(vad_job *j) {
  int file = strcmp(j->name, "-") == 0 ? STDIN_FILENO : open(j->name, O_RDONLY);
  char problem[256];
  const char *wrong = NULL;
  audio_in *audio = file >= 0 ? audio_in_open(read_source, &file, problem, sizeof problem) : NULL;
  if (audio == NULL) {
    wrong = file < 0 ? strerror(errno) : problem;
  } else {
    float samples[PIECE], p;
    for (size_t n; !process_interrupted() && (n = audio_in_read(audio, samples, PIECE)) > 0;) hear(j, samples, n);
    wrong = audio_in_problem(audio);
    sotto_vad_end(j->v, &p);
    take_probability(j, p);
    take_stretches(j);
    if (wrong == NULL && j->json && !process_interrupted() && !print_json(j)) wrong = "out of memory";
  }
  if (wrong != NULL) fprintf(stderr, "sotto: %s: %s\n", j->name, wrong);
  audio_in_close(audio);
  if (file > STDIN_FILENO) close(file);
  return wrong == NULL;
}

int command_vad(char **argv) {
  vad_request r;
  const int read_status = read_request(&r, argv);
  if (read_status != REQUEST_OK) return read_status == ARGS_WRONG ? EXIT_USAGE : EXIT_DONE;
  process_catch_interrupts();
  sotto_engine *engine = NULL;
  const sotto_engine_options options = {.n_threads = 1};
  sotto_vad *v = NULL;
  int status = EXIT_DONE;
  if (sotto_engine_open(&engine, &options) != SOTTO_OK)
    fputs("sotto: out of memory\n", stderr);
  else
    v = vad_file_open(engine, &r.options);
  if (v == NULL) status = EXIT_FAILED;
  for (int i = 0; v != NULL && i < r.n_files && !process_interrupted(); i++) {
    vad_job j = {.json = r.json, .name = r.files[i], .v = v};
    if (!run(&j)) status = EXIT_FAILED;
    text_free(&j.speech);
    text_free(&j.probabilities);
    sotto_vad_reset(v);
  }
  sotto_vad_close(v);
  sotto_engine_close(engine);
  if (process_interrupted()) return EXIT_INTERRUPTED;
  return fflush(stdout) == 0 ? status : EXIT_FAILED;
}
