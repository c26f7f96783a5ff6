/* sotto quantize, and convert, its older name for folders: a model's files to one file with smaller weights.
 *
 *     files ──heads──> quantizer: the plan ──> pieces as they are, tensors row by row, in the order of the output ──> OUT, which appears whole or not at all */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "../src/base/base.h"
#include "args.h"
#include "commands.h"
#include "json.h"
#include "output.h"
#include "process.h"
#include "source_files.h"
#include "terminal.h"

enum { CHUNK_BYTES = 32 << 20, MAX_OVERRIDES = 256 };

typedef struct request {
  const char *command, *in, *out, *type, *name, *imatrix;
  sotto_quantize_override overrides[MAX_OVERRIDES];
  char *patterns[MAX_OVERRIDES]; /* to be freed */
  size_t n_overrides;
  int64_t threads;
  bool json, fast, quiet;
} request;

typedef struct job {
  const request *r;
  sotto_engine *engine;
  sotto_quantizer *q;
  source_files files;
  sotto_quantize_info info;
  output out;
  bool interrupted;
  uint64_t written;
  uint8_t *source, *rows; /* [CHUNK_BYTES], or a row */
  terminal_progress progress;
} job;

/* ---- help ---- */

static const char help_begin[] =
    "Usage: sotto quantize IN OUT [--type TYPE] [OPTION]...\n"
    "Makes one model file with smaller weights. From a Gemma's folder as on Hugging Face (config.json,\n"
    "safetensors, tokenizer) or a GGUF file of any kind comes a GGUF file; from a Whisper's folder or ggml .bin\n"
    "file a ggml .bin file. OUT appears whole or not at all.\n"
    "\n"
    "      --type TYPE       of the weights, see below (default: q8_0)\n"
    "      --tensor PATTERN=TYPE\n"
    "                        of tensors with such names in OUT, * for any characters; may be repeated,\n"
    "                        the last that matches counts: --tensor '*ffn_down*=q6_K'\n"
    "      --imatrix FILE    importances of columns, made by 'sotto imatrix': errors count by them\n"
    "      --fast            k-quants rounded at once, without a search for better scales\n"
    "      --name NAME       of the model, for folders (default: the folder's)\n"
    "      --json            one line of JSON about what was made\n"
    "  -t, --threads N       threads to use (default: one for each core, at most 8)\n"
    "  -o, --output FILE     OUT\n"
    "  -h, --help            this help\n"
    "\n"
    "Types, with the bits that a weight takes in most matrices. Of S and M mixes some matrices are finer; the\n"
    "embedding, which is also the output head, is q6_K in files of 6 bits and less. Rows that are no multiple\n"
    "of 256 take the nearest type with blocks of 32.\n";

static const char help_end[] =
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n"
    "Example: sotto quantize gemma-3-270m-it gemma-3-270m-it-q4_K_M.gguf --type q4_K_M\n";

static int print_help(void) {
  const char *name;
  double bits;
  fputs(help_begin, stdout);
  for (int32_t i = 0; sotto_quantize_type(i, &name, &bits); i++)
    printf("%s%-8s%6.2f", i % 5 == 0 ? "\n  " : "    ", name, bits);
  fputs("\n", stdout);
  fputs(help_end, stdout);
  return EXIT_DONE;
}

/* ---- the work ---- */

static sotto_status from_engine(const job *j, sotto_status status, error *err) {
  return status < 0 ? fail(err, status, "%s", sotto_engine_error(j->engine)) : status;
}

static sotto_status unwritable(error *err) {
  return fail(err, SOTTO_ERR_ARGUMENT, "it cannot be written: %s", strerror(errno));
}

static sotto_status make_plan(job *j, error *err) {
  int32_t file;
  uint64_t offset, bytes;
  sotto_status status;
  while ((status = sotto_quantizer_wants(j->q, &file, &offset, &bytes)) == SOTTO_AGAIN) {
    const size_t n = bytes < CHUNK_BYTES ? (size_t)bytes : CHUNK_BYTES;
    TRY(source_files_read(&j->files, file, offset, j->source, n, err));
    TRY(from_engine(j, sotto_quantizer_give(j->q, file, offset, j->source, n), err));
  }
  return from_engine(j, status, err);
}

static sotto_status put(job *j, const void *bytes, size_t n, error *err) {
  if (fwrite(bytes, 1, n, j->out.file) != n) return unwritable(err);
  j->written += n;
  return SOTTO_OK;
}

static sotto_status put_tensor(job *j, int32_t index, const sotto_quantize_tensor *t, error *err) {
  const uint64_t in = t->bytes / (uint64_t)t->rows, out = t->out_bytes / (uint64_t)t->rows;
  const uint64_t larger = in > out ? in : out, most = larger < CHUNK_BYTES ? CHUNK_BYTES / larger : 1;
  for (int64_t row = 0; row < t->rows; row += (int64_t)most) {
    const int64_t n = t->rows - row < (int64_t)most ? t->rows - row : (int64_t)most;
    if (process_interrupted()) {
      j->interrupted = true;
      return fail(err, SOTTO_ERR_ARGUMENT, "interrupted");
    }
    TRY(source_files_read(&j->files, t->file, t->offset + (uint64_t)row * in, j->source, (size_t)((uint64_t)n * in),
                          err));
    TRY(from_engine(j, sotto_quantizer_rows(j->q, index, row, n, j->source, j->rows), err));
    TRY(put(j, j->rows, (size_t)((uint64_t)n * out), err));
    if (!j->r->quiet) terminal_progress_show(&j->progress, t->name, (double)j->written, (double)j->info.out_bytes);
  }
  return SOTTO_OK;
}

/* Pieces and tensors in the order of their places. */
static sotto_status put_all(job *j, error *err) {
  int32_t piece = 0, tensor = 0;
  sotto_quantize_tensor t;
  while (j->written < j->info.out_bytes) {
    uint64_t at = 0;
    size_t n = 0;
    const void *bytes = sotto_quantizer_piece(j->q, piece, &at, &n);
    if (bytes != NULL && at == j->written) {
      piece++;
      TRY(put(j, bytes, n, err));
    } else if (sotto_quantizer_tensor(j->q, tensor, &t) && t.out_offset == j->written) {
      TRY(put_tensor(j, tensor++, &t, err));
    } else {
      return fail(err, SOTTO_ERR_FORMAT, "the plan of the file has a hole at %llu", (unsigned long long)j->written);
    }
  }
  return SOTTO_OK;
}

/* Whether there is room for the file. */
static sotto_status check_disk(const job *j, error *err) {
  const char *slash = strrchr(j->r->out, '/');
  char folder[4096] = ".";
  struct statvfs disk;
  if (slash != NULL) snprintf(folder, sizeof folder, "%.*s/", (int)(slash - j->r->out), j->r->out);
  if (statvfs(folder, &disk) != 0) return SOTTO_OK; /* opening it will say what is wrong */
  const double there = (double)disk.f_bavail * (double)disk.f_frsize, needed = (double)j->info.out_bytes;
  if (there >= needed) return SOTTO_OK;
  return fail(err, SOTTO_ERR_ARGUMENT, "the file takes %.0f MB and the disk has %.0f: make room, or use a smaller type",
              needed / 1e6, there / 1e6);
}

static sotto_status take_memory(job *j, size_t n, error *err) {
  free(j->source);
  free(j->rows);
  j->source = malloc(n);
  j->rows = malloc(n);
  return j->source != NULL && j->rows != NULL ? SOTTO_OK : fail(err, SOTTO_ERR_MEMORY, "out of memory");
}

static sotto_status write_file(job *j, error *err) {
  TRY(check_disk(j, err));
  if (j->info.most_row_bytes > CHUNK_BYTES) TRY(take_memory(j, (size_t)j->info.most_row_bytes, err));
  if (!output_open(&j->out, j->r->out)) return unwritable(err);
  sotto_status status = put_all(j, err);
  terminal_progress_hide(&j->progress);
  if (status >= 0 && !output_commit(&j->out)) status = unwritable(err);
  output_discard(&j->out);
  return status;
}

static void print_json(const job *j, double seconds) {
  text t = {0};
  const sotto_quantize_info *i = &j->info;
  text_string(&t, "{\"file\":");
  json_string(&t, j->r->out, strlen(j->r->out));
  text_format(&t, ",\"format\":\"%s\",\"architecture\":", i->format);
  json_string(&t, i->architecture, strlen(i->architecture));
  text_format(&t, ",\"type\":\"%s\",\"n_tensors\":%d,\"n_parameters\":%llu,\"source_bytes\":%llu,\"bytes\":%llu",
              i->type, (int)i->n_tensors, (unsigned long long)i->n_parameters, (unsigned long long)i->source_bytes,
              (unsigned long long)i->out_bytes);
  text_string(&t, ",\"bits_per_weight\":");
  json_number(&t, 8.0 * (double)i->out_bytes / (double)i->n_parameters, 1e3);
  text_string(&t, ",\"seconds\":");
  json_number(&t, seconds, 1e3);
  text_string(&t, ",\"warnings\":[");
  const char *warning;
  for (int32_t k = 0; (warning = sotto_quantizer_warning(j->q, k)) != NULL; k++) {
    text_string(&t, k > 0 ? "," : "");
    json_string(&t, warning, strlen(warning));
  }
  text_string(&t, "]}\n");
  if (!t.failed) fwrite(t.data, 1, t.size, stdout);
  text_free(&t);
}

static sotto_status run(job *j, const sotto_quantize_options *o, error *err) {
  const request *r = j->r;
  const double begin = process_now_ms();
  TRY(from_engine(j, sotto_quantizer_open(&j->q, j->engine, o), err));
  TRY(take_memory(j, CHUNK_BYTES, err));
  TRY(source_files_open(&j->files, r->in, j->q, j->engine, err));
  TRY(make_plan(j, err));
  sotto_quantizer_describe(j->q, &j->info);
  const char *warning;
  for (int32_t k = 0; (warning = sotto_quantizer_warning(j->q, k)) != NULL && !r->json; k++)
    fprintf(stderr, "sotto: %s: %s\n", r->in, warning);
  TRY(write_file(j, err));
  const double seconds = (process_now_ms() - begin) / 1e3;
  if (r->json)
    print_json(j, seconds);
  else if (!r->quiet)
    printf("%s: %s, %.1f MB, %.2f bits a weight, in %.1f s\n", r->out, j->info.type, (double)j->info.out_bytes / 1e6,
           8.0 * (double)j->info.out_bytes / (double)j->info.n_parameters, seconds);
  return SOTTO_OK;
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The last part of a path, without slashes behind it; free it. */
static char *last_part(const char *path) {
  char *whole = realpath(path, NULL);
  if (whole == NULL) return NULL;
  char *slash = strrchr(whole, '/'), *name = strdup(slash[1] != '\0' ? slash + 1 : "model");
  free(whole);
  return name;
}

static char *read_whole(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  struct stat status;
  char *bytes = f != NULL && fstat(fileno(f), &status) == 0 && S_ISREG(status.st_mode)
                    ? malloc((size_t)status.st_size + 1)
                    : NULL;
  *n = bytes != NULL ? fread(bytes, 1, (size_t)status.st_size, f) : 0;
  if (f != NULL) fclose(f);
  return bytes;
}

static int quantize(const request *r) {
  job j = {.r = r};
  error err = {""};
  char *own_name = last_part(r->in), *importances = NULL;
  sotto_quantize_options o = {
      .type = r->type, .overrides = r->overrides, .n_overrides = r->n_overrides, .fast = r->fast};
  o.name = r->name != NULL ? r->name : own_name;
  const sotto_engine_options of_engine = {.n_threads = (int32_t)r->threads};
  sotto_status status = SOTTO_OK;
  if (r->imatrix != NULL) {
    o.imatrix = importances = read_whole(r->imatrix, &o.imatrix_bytes);
    if (importances == NULL)
      status = fail(&err, SOTTO_ERR_ARGUMENT, "%.300s cannot be read: %s", r->imatrix, strerror(errno));
  }
  process_catch_interrupts();
  if (status >= 0) status = sotto_engine_open(&j.engine, &of_engine);
  if (status >= 0) status = run(&j, &o, &err);
  if (status < 0 && !j.interrupted)
    fprintf(stderr, "sotto: %s: %s\n", r->out, err.text[0] != '\0' ? err.text : "out of memory");
  sotto_quantizer_close(j.q);
  sotto_engine_close(j.engine);
  source_files_close(&j.files);
  free(j.source);
  free(j.rows);
  free(own_name);
  free(importances);
  return j.interrupted ? EXIT_INTERRUPTED : status < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- the command line ---- */

static int add_override(request *r, const args *a) {
  const char *equals = strrchr(a->value, '=');
  if (equals == NULL || equals == a->value || equals[1] == '\0')
    return args_wrong(a, "option '--tensor' needs PATTERN=TYPE, not '%s'", a->value);
  if (r->n_overrides == MAX_OVERRIDES) return args_wrong(a, "more than %d patterns of tensors", MAX_OVERRIDES);
  char *pattern = strdup(a->value);
  if (pattern == NULL) return args_wrong(a, "out of memory");
  pattern[equals - a->value] = '\0';
  r->patterns[r->n_overrides] = pattern;
  r->overrides[r->n_overrides++] = (sotto_quantize_override){pattern, equals + 1};
  return 1;
}

static bool is_type(const char *name) {
  sotto_engine *engine = NULL;
  sotto_quantizer *q = NULL;
  const sotto_quantize_options o = {.type = name};
  const bool ok = sotto_engine_open(&engine, &(sotto_engine_options){.n_threads = 1}) == SOTTO_OK &&
                  sotto_quantizer_open(&q, engine, &o) == SOTTO_OK;
  sotto_quantizer_close(q);
  sotto_engine_close(engine);
  return ok;
}

/* ARGS_END: help was printed; 1: go on. */
static int read_request(request *r, char **argv) {
  enum { HELP = 1, TYPE, TENSOR, IMATRIX, FAST, NAME, JSON, THREADS, OUTPUT };
  static const option_spec options[] = {{"help", 'h', false, HELP},    {"type", 0, true, TYPE},
                                        {"tensor", 0, true, TENSOR},   {"imatrix", 0, true, IMATRIX},
                                        {"fast", 0, false, FAST},      {"name", 0, true, NAME},
                                        {"json", 0, false, JSON},      {"threads", 't', true, THREADS},
                                        {"output", 'o', true, OUTPUT}, {NULL, 0, false, 0}};
  args a = {.command = r->command, .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    switch (id) {
      case HELP:
        print_help();
        return ARGS_END;
      case TYPE:
        if (!is_type(a.value)) return args_wrong(&a, "unknown type '%s'", a.value);
        r->type = a.value;
        break;
      case TENSOR:
        if (add_override(r, &a) != 1) return ARGS_WRONG;
        break;
      case IMATRIX:
        r->imatrix = a.value;
        break;
      case FAST:
        r->fast = true;
        break;
      case NAME:
        r->name = a.value;
        break;
      case JSON:
        r->json = true;
        break;
      case THREADS:
        if (!args_integer(&a, 1, 64, &r->threads)) return ARGS_WRONG;
        break;
      case OUTPUT:
        r->out = a.value;
        break;
      case ARGS_OPERAND:
        if (r->in == NULL)
          r->in = a.value;
        else if (r->out == NULL)
          r->out = a.value;
        else
          return args_wrong(&a, "unexpected argument '%s': one model at a time", a.value);
        break;
      default:
        return ARGS_WRONG;
    }
  }
  if (r->in == NULL) return args_wrong(&a, "no model was given");
  if (r->out == NULL) return args_wrong(&a, "no output: name the file to write");
  if (strcmp(r->out, "-") == 0)
    return args_wrong(&a, "the output cannot be standard output: it appears whole or not at all, so name a file");
  if (same_file(r->in, r->out)) return args_wrong(&a, "the output is the model itself: name another file");
  return 1;
}

static int command(request *r, char **argv) {
  const int read = read_request(r, argv);
  const int status = read == 1 ? quantize(r) : read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  for (size_t i = 0; i < r->n_overrides; i++) free(r->patterns[i]);
  return status;
}

int command_quantize(char **argv) {
  request r = {.command = "quantize "};
  return command(&r, argv);
}

int command_convert(char **argv) {
  request r = {.command = "convert ", .quiet = true};
  return command(&r, argv);
}
