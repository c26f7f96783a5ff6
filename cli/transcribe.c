/* sotto transcribe: the model is loaded once, then for every file
 *
 *     file ─> audio_in ─> transcription (push, step) ─> segments ─> a writer and an output for each format
 *
 * in constant memory but for JSON, which is written when the file is done. */
#define _XOPEN_SOURCE 700

#include "transcribe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "audio_in.h"
#include "commands.h"
#include "model_file.h"
#include "output.h"
#include "process.h"
#include "vad_file.h"

#define PIECE 4096 /* samples */

/* ---- one file in work ---- */

typedef struct source {
  int file;
  double size;     /* bytes; 0: unknown, as of a pipe */
  double consumed; /* bytes */
  int code;        /* errno of a read that failed; 0 */
} source;

typedef struct job {
  const request *r;
  const char *name; /* of the file, as given */
  double load_ms;
  source in;
  audio_in *audio;
  sotto_transcription *t;
  sotto_vad *vad; /* NULL: silence is transcribed too */
  int n_outputs;  /* opened so far */
  writer writers[FORMAT_COUNT];
  output outputs[FORMAT_COUNT];
  text pending; /* written by a writer, not yet sent */
  bool progress_shown;
  double progress_ms; /* when it was shown last */
} job;

static size_t read_source(void *context, void *bytes, size_t size) {
  source *s = context;
  ssize_t n;
  do {
    n = read(s->file, bytes, size);
  } while (n < 0 && errno == EINTR && !process_interrupted());
  if (n < 0) {
    if (!process_interrupted()) s->code = errno;
    return 0;
  }
  s->consumed += (double)n;
  return (size_t)n;
}

static void hide_progress(job *j) {
  if (j->progress_shown) fputs("\r\x1b[K", stderr);
  j->progress_shown = false;
}

static void show_progress(job *j) {
  double now = process_now_ms();
  if (j->r->quiet || now - j->progress_ms < 200 || !isatty(STDERR_FILENO)) return;
  j->progress_ms = now;
  j->progress_shown = true;
  sotto_progress p;
  sotto_transcription_progress(j->t, &p);
  fprintf(stderr, "\r\x1b[K%s: ", j->name);
  /* Of the audio, `pushed_s` stands for the share of the bytes that were read. */
  if (j->in.size > 0 && j->in.consumed > 0 && p.pushed_s > 0) {
    double share = p.fraction * (j->in.consumed < j->in.size ? j->in.consumed / j->in.size : 1);
    fprintf(stderr, "%.0f%%, ", 100 * share);
  }
  fprintf(stderr, "%d:%02d done", (int)(p.done_s / 60), (int)p.done_s % 60);
  fflush(stderr);
}

/* Prints `sotto: FILE: SENTENCE`. */
static bool complain(job *j, const char *sentence) {
  hide_progress(j);
  fprintf(stderr, "sotto: %s: %s\n", j->name, sentence);
  return false;
}

/* Sends what writer i has written. */
static bool send_pending(job *j, int i) {
  bool ok = !j->pending.failed;
  if (!ok) complain(j, "out of memory");
  if (ok && j->pending.size > 0) {
    if (j->outputs[i].path == NULL) hide_progress(j);
    ok = output_write(&j->outputs[i], j->pending.data, j->pending.size);
    if (!ok) {
      fprintf(stderr, "sotto: could not write %s: %s\n",
              j->outputs[i].path != NULL ? j->outputs[i].path : "standard output", strerror(errno));
    }
  }
  j->pending.size = 0;
  return ok;
}

static bool open_outputs(job *j) {
  const request *r = j->r;
  for (int i = 0; i < r->n_formats; i++) {
    char *path = r->output != NULL ? request_output_path(r, j->name, r->formats[i]) : NULL;
    bool ok = (path != NULL || r->output == NULL) && output_open(&j->outputs[i], path);
    if (!ok) fprintf(stderr, "sotto: could not write %s: %s\n", path != NULL ? path : r->output, strerror(errno));
    free(path);
    if (!ok) return false;
    j->n_outputs++;
    writer_begin(&j->writers[i], r->formats[i], &j->pending);
    if (!send_pending(j, i)) return false;
  }
  return true;
}

static bool open_source(job *j) {
  struct stat info;
  if (strcmp(j->name, "-") == 0) {
    j->in.file = STDIN_FILENO;
  } else {
    j->in.file = open(j->name, O_RDONLY);
    if (j->in.file < 0) return complain(j, strerror(errno));
  }
  if (fstat(j->in.file, &info) == 0 && S_ISREG(info.st_mode)) j->in.size = (double)info.st_size;
  char problem[256];
  j->audio = audio_in_open(read_source, &j->in, problem, sizeof problem);
  if (j->audio != NULL || process_interrupted()) return j->audio != NULL;
  return complain(j, j->in.code != 0 ? strerror(j->in.code) : problem);
}

static bool take_segments(job *j) {
  const sotto_segment *segment;
  while ((segment = sotto_transcription_segment(j->t)) != NULL) {
    for (int i = 0; i < j->n_outputs; i++) {
      writer_segment(&j->writers[i], segment);
      if (!send_pending(j, i)) return false;
    }
  }
  return true;
}

/* Moves all audio through the transcription, or what there is until an interrupt. */
static bool work(job *j, sotto_engine *engine) {
  float samples[PIECE];
  size_t at = 0, n = 0; /* samples [at, n) wait to be taken */
  while (!process_interrupted()) {
    if (at < n) at += sotto_transcription_push(j->t, samples + at, n - at);
    sotto_status status = sotto_transcription_step(j->t);
    if (status < 0) return complain(j, sotto_engine_error(engine));
    if (status == SOTTO_SEGMENT && !take_segments(j)) return false;
    if (status == SOTTO_DONE) return take_segments(j);
    if (status == SOTTO_STARVED && at == n) {
      at = 0;
      n = audio_in_read(j->audio, samples, PIECE);
      if (n == 0 && j->in.code != 0) return complain(j, strerror(j->in.code));
      if (n == 0 && audio_in_problem(j->audio) != NULL) return complain(j, audio_in_problem(j->audio));
      if (n == 0 && !process_interrupted()) sotto_transcription_end(j->t);
    }
    show_progress(j);
  }
  return take_segments(j);
}

/* Ends every output: what is final is kept after an interrupt too, nothing after a failure. */
static bool finish(job *j, bool ok, double begin_ms) {
  sotto_timings timings = {0};
  float p = 0;
  transcript whole = {.file = j->name, .language = "", .load_ms = j->load_ms};
  if (j->t != NULL) {
    sotto_transcription_timings(j->t, &timings);
    whole.language = sotto_transcription_language(j->t, &p);
  }
  whole.language_probability = (double)p;
  whole.total_ms = process_now_ms() - begin_ms;
  whole.peak_memory_bytes = process_peak_memory_bytes();
  hide_progress(j);
  for (int i = 0; i < j->n_outputs; i++) {
    whole.timings = j->r->formats[i] == FORMAT_JSON_LINE ? &timings : NULL;
    writer_end(&j->writers[i], &whole);
    if (!ok) j->pending.size = 0;
    ok = ok && send_pending(j, i);
    if (ok && !output_commit(&j->outputs[i])) ok = complain(j, strerror(errno));
    output_discard(&j->outputs[i]);
  }
  if (ok && j->r->verbose) {
    decoder_format heard = audio_in_format(j->audio);
    fprintf(
        stderr,
        "%s: %s, %.0f Hz, %d channel%s; language %s (%.2f); mel %.0f ms, encode %.0f ms (%d windows), decode %.0f ms "
        "(%d steps), in all %.0f ms; peak memory %.1f MB\n",
        j->name, audio_in_name(j->audio), heard.rate, (int)heard.channels, heard.channels == 1 ? "" : "s",
        whole.language, (double)p, timings.mel_ms, timings.encode_ms, (int)timings.n_encode, timings.decode_ms,
        (int)timings.n_decode, whole.total_ms, whole.peak_memory_bytes / 1e6);
  }
  return ok;
}

/* Silence is what lasts two seconds; the speech keeps some of it at both ends, by which the model knows the ends of sentences. */
static bool skip_silence(job *j, sotto_engine *engine) {
  sotto_vad_options options;
  sotto_vad_options_default(&options);
  options.min_silence_ms = 2000;
  options.pad_ms = 400;
  j->vad = vad_file_open(engine, &options);
  if (j->vad == NULL) return false;
  return sotto_transcription_skip_silence(j->t, j->vad) == SOTTO_OK || complain(j, sotto_engine_error(engine));
}

static bool transcribe_file(const request *r, const char *name, sotto_engine *engine, sotto_model *model,
                            double load_ms) {
  job j = {.r = r, .name = name, .load_ms = load_ms, .in = {.file = -1}};
  double begin_ms = process_now_ms();
  bool ok = open_source(&j);
  if (ok && sotto_transcription_open(&j.t, model, &r->options) != SOTTO_OK)
    ok = complain(&j, sotto_engine_error(engine));
  ok = ok && (!r->vad || skip_silence(&j, engine)) && open_outputs(&j) && work(&j, engine);
  ok = finish(&j, ok, begin_ms);
  text_free(&j.pending);
  sotto_transcription_close(j.t);
  sotto_vad_close(j.vad);
  audio_in_close(j.audio);
  if (j.in.file > STDIN_FILENO) close(j.in.file);
  return ok;
}

/* ---- all files ---- */

static int transcribe_all(const request *r, sotto_engine *engine) {
  double begin_ms = process_now_ms();
  char *path = model_file_find(r->model);
  sotto_model *model = path != NULL ? model_file_load(engine, path, false, !r->quiet) : NULL;
  free(path);
  if (model == NULL) return EXIT_FAILED;
  double load_ms = process_now_ms() - begin_ms;
  if (r->verbose) {
    sotto_model_info info;
    sotto_model_describe(model, &info);
    fprintf(stderr, "%s %s, %s, loaded in %.0f ms; %d threads, %s\n", info.architecture, info.name, info.weight_type,
            load_ms, (int)sotto_engine_threads(engine), sotto_engine_isa(engine));
  }
  int status = EXIT_DONE;
  for (int i = 0; i < r->n_files && !process_interrupted(); i++) {
    if (!transcribe_file(r, r->files[i], engine, model, load_ms)) status = EXIT_FAILED;
  }
  sotto_model_close(model);
  return process_interrupted() ? EXIT_INTERRUPTED : status;
}

int command_transcribe(char **argv) {
  request r;
  int read_status = request_read(&r, argv);
  int status = read_status == ARGS_WRONG ? EXIT_USAGE : EXIT_DONE;
  if (read_status == REQUEST_OK) {
    process_catch_interrupts();
    sotto_engine *engine = NULL;
    sotto_engine_options options = {.n_threads = r.threads};
    if (r.output_is_directory && mkdir(r.output, 0777) != 0 && errno != EEXIST) {
      fprintf(stderr, "sotto: could not make the directory %s: %s\n", r.output, strerror(errno));
      status = EXIT_FAILED;
    } else if (sotto_engine_open(&engine, &options) != SOTTO_OK) {
      fprintf(stderr, "sotto: out of memory\n");
      status = EXIT_FAILED;
    } else {
      status = transcribe_all(&r, engine);
    }
    sotto_engine_close(engine);
  }
  request_free(&r);
  return status;
}
