#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "transcribe.h"

enum {
  HELP = 1,
  MODEL,
  LANGUAGE,
  TASK,
  BEAM,
  BEST_OF,
  PATIENCE,
  LENGTH_PENALTY,
  TEMPERATURE,
  TEMPERATURE_INCREMENT,
  COMPRESSION_RATIO,
  LOGPROB,
  NO_SPEECH,
  PROMPT,
  PREFIX,
  NO_CONDITION,
  NO_TIMESTAMPS,
  MAX_INITIAL_TIMESTAMP,
  SUPPRESS_TOKENS,
  NO_SUPPRESS_SYMBOLS,
  SEED,
  VAD,
  AUDIO_CTX,
  FAST_ENCODER,
  THREADS,
  FORMAT,
  JSON,
  OUTPUT,
  QUIET,
  VERBOSE
};

static const option_spec options[] = {
    {"model", 'm', true, MODEL},
    {"language", 'l', true, LANGUAGE},
    {"task", 0, true, TASK},
    {"beam", 0, true, BEAM},
    {"best-of", 0, true, BEST_OF},
    {"patience", 0, true, PATIENCE},
    {"length-penalty", 0, true, LENGTH_PENALTY},
    {"temperature", 0, true, TEMPERATURE},
    {"temperature-increment", 0, true, TEMPERATURE_INCREMENT},
    {"compression-ratio-threshold", 0, true, COMPRESSION_RATIO},
    {"logprob-threshold", 0, true, LOGPROB},
    {"no-speech-threshold", 0, true, NO_SPEECH},
    {"prompt", 0, true, PROMPT},
    {"prefix", 0, true, PREFIX},
    {"no-condition", 0, false, NO_CONDITION},
    {"no-timestamps", 0, false, NO_TIMESTAMPS},
    {"max-initial-timestamp", 0, true, MAX_INITIAL_TIMESTAMP},
    {"suppress-tokens", 0, true, SUPPRESS_TOKENS},
    {"no-suppress-symbols", 0, false, NO_SUPPRESS_SYMBOLS},
    {"seed", 0, true, SEED},
    {"vad", 0, false, VAD},
    {"audio-ctx", 0, true, AUDIO_CTX},
    {"fast-encoder", 0, false, FAST_ENCODER},
    {"threads", 't', true, THREADS},
    {"format", 'f', true, FORMAT},
    {"json", 0, false, JSON},
    {"output", 'o', true, OUTPUT},
    {"quiet", 'q', false, QUIET},
    {"verbose", 'v', false, VERBOSE},
    {"help", 'h', false, HELP},
    {NULL, 0, false, 0},
};

static const char help[] =
    "Usage: sotto transcribe -m MODEL [OPTION]... FILE...\n"
    "Writes down what is said in audio files (WAV, MP3, FLAC, Ogg Vorbis; - is standard input).\n"
    "\n"
    "  -m, --model MODEL       model file, or the NAME of ggml-NAME.bin in ./models or\n"
    "                          ~/.cache/sotto; by default what SOTTO_MODEL says\n"
    "  -l, --language LANG     spoken language, such as de or german (default: auto)\n"
    "      --task TASK         transcribe (default), or translate: into English\n"
    "  -t, --threads N         threads to use (default: one for each core, at most 8)\n"
    "      --vad               skip silence: only what is speech is transcribed\n"
    "      --audio-ctx N       windows of N times 20 ms, 1500 at most: faster for short audio\n"
    "      --fast-encoder      the encoder rounds to 8 bits: faster, a little less exact\n"
    "\n"
    "Output\n"
    "  -f, --format FORMAT     txt, srt, vtt, tsv, lrc or json; several: -f srt,vtt (default:\n"
    "                          lines with times)\n"
    "  -o, --output PATH       file, or directory that gets FILE's name with the format's\n"
    "                          extension (default: -, standard output)\n"
    "      --json              one line of JSON a file, with tokens, timings and memory\n"
    "      --no-timestamps     text without times\n"
    "  -q, --quiet             no progress and no notes\n"
    "  -v, --verbose           what was loaded, and how long each part took\n"
    "\n"
    "Search\n"
    "      --beam N            beam search of N beams (default: greedy)\n"
    "      --patience F        of the beam search (default: 1)\n"
    "      --length-penalty F  rank by Google's length penalty (default: mean log-probability)\n"
    "      --temperature F     first temperature (default: 0)\n"
    "      --temperature-increment F  step to the next when a text looks wrong; 0: never (0.2)\n"
    "      --best-of N         samples at temperatures above 0 (default: 5)\n"
    "      --seed N            of the sampling (default: 0)\n"
    "      --compression-ratio-threshold F  a text above it is taken for a loop (2.4)\n"
    "      --logprob-threshold F            a mean log-probability below it is not trusted (-1)\n"
    "      --no-speech-threshold F          no-speech probability of silence (0.6)\n"
    "\n"
    "Text\n"
    "      --prompt TEXT       text that came before: names, spelling, style\n"
    "      --prefix TEXT       the transcript begins with this\n"
    "      --no-condition      each window is decoded without the text before it\n"
    "      --max-initial-timestamp S  latest begin of the first segment (default: 1)\n"
    "      --suppress-tokens ID,ID...  tokens never to write\n"
    "      --no-suppress-symbols  allow notes, brackets and other symbols\n"
    "  -h, --help              this help\n"
    "\n"
    "Exit status: 0 done, 1 a file could not be transcribed, 2 wrong usage, 130 interrupted.\n";

static void add_format(request *r, format f) {
  for (int i = 0; i < r->n_formats; i++) {
    if (r->formats[i] == f) return;
  }
  r->formats[r->n_formats++] = f;
}

static bool read_formats(request *r, const args *a) {
  for (const char *name = a->value;; name++) {
    size_t size = strcspn(name, ",");
    int f = format_find(name, size);
    if (f < 0) {
      args_wrong(a, "unknown format '%.*s': txt, srt, vtt, tsv, lrc or json", (int)size, name);
      return false;
    }
    add_format(r, (format)f);
    name += size;
    if (*name == '\0') return true;
  }
}

static bool read_tokens(request *r, const args *a) {
  size_t n = 1;
  for (const char *p = a->value; *p != '\0'; p++) n += *p == ',';
  int32_t *ids = malloc(n * sizeof *ids);
  if (ids == NULL) {
    args_wrong(a, "out of memory");
    return false;
  }
  free(r->suppress_tokens);
  r->suppress_tokens = ids;
  r->options.suppress_tokens = ids;
  r->options.n_suppress_tokens = (int32_t)n;
  const char *p = a->value;
  for (size_t i = 0; i < n; i++) {
    char *end;
    long id = strtol(p, &end, 10);
    if (end == p || (*end != ',' && *end != '\0') || id < 0 || id > 100000) {
      args_wrong(a, "option '%s' needs token ids such as 50,51, not '%s'", a->shown, a->value);
      return false;
    }
    ids[i] = (int32_t)id;
    p = end + 1;
  }
  return true;
}

static bool read_language(request *r, const args *a) {
  const char *code, *name;
  r->options.language = a->value;
  if (strcasecmp(a->value, "auto") == 0) {
    r->options.language = NULL;
    return true;
  }
  for (int32_t i = 0; sotto_language(i, &code, &name); i++) {
    if (strcasecmp(a->value, code) == 0 || strcasecmp(a->value, name) == 0) return true;
  }
  args_wrong(a, "unknown language '%s': give a code such as en, de or ja, or auto", a->value);
  return false;
}

static bool read_task(request *r, const args *a) {
  if (strcmp(a->value, "transcribe") == 0)
    r->options.task = SOTTO_TRANSCRIBE;
  else if (strcmp(a->value, "translate") == 0)
    r->options.task = SOTTO_TRANSLATE;
  else
    return args_wrong(a, "unknown task '%s': transcribe or translate", a->value), false;
  return true;
}

static bool read_option(request *r, const args *a, int id, bool *json) {
  sotto_transcribe_options *o = &r->options;
  int64_t n = 0;
  switch (id) {
    case MODEL:
      r->model = a->value;
      return true;
    case LANGUAGE:
      return read_language(r, a);
    case TASK:
      return read_task(r, a);
    case BEAM:
      if (!args_integer(a, 1, 16, &n)) return false;
      o->beam_size = (int32_t)n;
      return true;
    case BEST_OF:
      if (!args_integer(a, 1, 16, &n)) return false;
      o->best_of = (int32_t)n;
      return true;
    case SEED:
      if (!args_integer(a, 0, INT64_MAX, &n)) return false;
      o->seed = (uint64_t)n;
      return true;
    case THREADS:
      if (!args_integer(a, 1, 64, &n)) return false;
      r->threads = (int32_t)n;
      return true;
    case PATIENCE:
      return args_number(a, 0.1, 10, &o->patience);
    case LENGTH_PENALTY:
      return args_number(a, 0, 1, &o->length_penalty);
    case TEMPERATURE:
      return args_number(a, 0, 1, &o->temperature);
    case TEMPERATURE_INCREMENT:
      return args_number(a, 0, 1, &o->temperature_increment);
    case COMPRESSION_RATIO:
      return args_number(a, 0, 1000, &o->compression_ratio_threshold);
    case LOGPROB:
      return args_number(a, -1000, 0, &o->logprob_threshold);
    case NO_SPEECH:
      return args_number(a, 0, 1, &o->no_speech_threshold);
    case MAX_INITIAL_TIMESTAMP:
      return args_number(a, 0, 30, &o->max_initial_timestamp);
    case PROMPT:
      o->initial_prompt = a->value;
      return true;
    case PREFIX:
      o->prefix = a->value;
      return true;
    case NO_CONDITION:
      o->condition_on_previous_text = 0;
      return true;
    case NO_TIMESTAMPS:
      o->timestamps = 0;
      return true;
    case SUPPRESS_TOKENS:
      return read_tokens(r, a);
    case NO_SUPPRESS_SYMBOLS:
      o->suppress_symbols = 0;
      return true;
    case VAD:
      r->vad = true;
      return true;
    case AUDIO_CTX:
      if (!args_integer(a, 0, 1500, &n)) return false;
      o->audio_ctx = (int32_t)n;
      return true;
    case FAST_ENCODER:
      o->fast_encoder = 1;
      return true;
    case FORMAT:
      return read_formats(r, a);
    case JSON:
      *json = true;
      return true;
    case OUTPUT:
      r->output = a->value;
      return true;
    case QUIET:
      r->quiet = true;
      return true;
    default:
      r->verbose = true;
      return true; /* VERBOSE */
  }
}

/* ---- where the output goes ---- */

/* The name of a file without its directories; *stem: its size without the extension. */
static const char *base_name(const char *file, size_t *stem) {
  if (strcmp(file, "-") == 0) file = "stdin";
  const char *slash = strrchr(file, '/');
  const char *base = slash != NULL ? slash + 1 : file;
  const char *dot = strrchr(base, '.');
  *stem = dot != NULL && dot != base ? (size_t)(dot - base) : strlen(base);
  return base;
}

char *request_output_path(const request *r, const char *file, format f) {
  if (!r->output_is_directory) return strdup(r->output);
  size_t stem, size = strlen(r->output);
  const char *base = base_name(file, &stem);
  char *path = malloc(size + stem + 16);
  if (path == NULL) return NULL;
  sprintf(path, "%s%s%.*s.%s", r->output, size > 0 && r->output[size - 1] == '/' ? "" : "/", (int)stem, base,
          format_name(f));
  return path;
}

static bool is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* No output may be written over an input, or over another output. */
static int check_outputs(const request *r, const args *a) {
  int wrong = 0;
  for (int i = 0; i < r->n_files && !wrong; i++) {
    char *path = request_output_path(r, r->files[i], r->formats[0]);
    for (int j = 0; j < i && path != NULL && !wrong; j++) {
      char *other = request_output_path(r, r->files[j], r->formats[0]);
      if (other != NULL && strcmp(path, other) == 0) {
        wrong = args_wrong(a, "%s and %s would both be written to %s", r->files[j], r->files[i], path);
      }
      free(other);
    }
    free(path);
    for (int f = 0; f < r->n_formats && !wrong; f++) {
      path = request_output_path(r, r->files[i], r->formats[f]);
      for (int j = 0; j < r->n_files && path != NULL && access(path, F_OK) == 0 && !wrong; j++) {
        if (same_file(path, r->files[j])) wrong = args_wrong(a, "the output would overwrite %s", r->files[j]);
      }
      free(path);
    }
  }
  return wrong ? wrong : REQUEST_OK;
}

static int plan_output(request *r, const args *a, bool json) {
  if (json && r->n_formats > 0) return args_wrong(a, "--json and --format exclude each other");
  if (json) add_format(r, FORMAT_JSON_LINE);
  if (r->output != NULL && strcmp(r->output, "-") == 0) r->output = NULL;
  if (r->output == NULL) {
    if (r->n_formats > 1) return args_wrong(a, "several formats need a directory: --output DIR");
    if (r->n_formats == 0) add_format(r, r->options.timestamps ? FORMAT_CONSOLE : FORMAT_TXT);
    return REQUEST_OK;
  }
  size_t size = strlen(r->output);
  if (size == 0) return args_wrong(a, "option '--output' needs a file or a directory");
  r->output_is_directory = is_directory(r->output) || r->output[size - 1] == '/' || r->n_files > 1 || r->n_formats > 1;
  if (r->n_formats == 0) {
    const char *dot = strrchr(r->output, '.');
    int f = dot != NULL && !r->output_is_directory ? format_find(dot + 1, strlen(dot + 1)) : -1;
    add_format(r, f >= 0 ? (format)f : FORMAT_TXT);
  }
  return check_outputs(r, a);
}

int request_read(request *r, char **argv) {
  *r = (request){.files = argv, .model = getenv("SOTTO_MODEL")}; /* operands are gathered at the front of argv */
  sotto_transcribe_options_default(&r->options);
  args a = {.command = "transcribe ", .options = options, .argv = argv};
  bool json = false;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    if (id == ARGS_WRONG) return ARGS_WRONG;
    if (id == HELP) {
      fputs(help, stdout);
      return ARGS_END;
    }
    if (id == ARGS_OPERAND)
      argv[r->n_files++] = (char *)a.value;
    else if (!read_option(r, &a, id, &json))
      return ARGS_WRONG;
  }
  if (r->n_files == 0) return args_wrong(&a, "no audio file was given");
  if (r->model == NULL || r->model[0] == '\0')
    return args_wrong(&a, "no model: give one with --model, or set SOTTO_MODEL");
  return plan_output(r, &a, json);
}

void request_free(request *r) { free(r->suppress_tokens); }
