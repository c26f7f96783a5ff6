/* sotto imatrix: which columns of a model's matrices matter, from a sample of text.
 *
 *     text ─> ids ─> chunks, each from the start ─> session ─> sums of squares by column ─> FILE, for quantize --imatrix */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "input.h"
#include "language.h"
#include "output.h"
#include "process.h"
#include "terminal.h"

enum { BATCH = 64, CHUNK = 512 };

static const char help[] =
    "Usage: sotto imatrix -m MODEL (-f TEXT | --ids FILE) -o FILE [OPTION]...\n"
    "Runs a sample of text through a model and writes how much the columns of its matrices matter, for\n"
    "'sotto quantize --imatrix'. The text should be like what the model will read and write, some ten thousand\n"
    "tokens of it; names of control tokens in it become those tokens.\n"
    "\n"
    "  -m, --model MODEL   GGUF file, or folder as on Hugging Face, best in bf16, f16 or f32\n"
    "  -f, --file TEXT     the text; - is standard input\n"
    "      --ids FILE      or token ids: a JSON array, or one of such arrays for several texts\n"
    "  -o, --output FILE   the importances (GGUF); they appear whole or not at all\n"
    "      --chunk N       tokens evaluated from one start (default: 512)\n"
    "  -t, --threads N     threads to use (default: one for each core, at most 8)\n"
    "  -h, --help          this help\n"
    "\n"
    "Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.\n"
    "Example: sotto imatrix -m gemma-3-270m-it -f sample.txt -o sample.imatrix\n";

typedef struct request {
  language_options language;
  const char *file, *ids, *output;
  int64_t chunk;
} request;

/* Ids of the whole text, as one; false after printing why not. */
static bool tokenize(const language *l, const char *path, id_texts *ids) {
  text input = {0};
  size_t n = 0;
  const uint32_t flags = SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL;
  bool ok = input_read(&input, path);
  if (ok && sotto_tokenize(l->model, input.data, input.size, flags, NULL, 0, &n) < 0) ok = language_complain(l);
  if (ok) {
    ids->ids = malloc((n + 1) * sizeof *ids->ids);
    ids->ends = malloc(sizeof *ids->ends);
    ok = ids->ids != NULL && ids->ends != NULL &&
         sotto_tokenize(l->model, input.data, input.size, flags, ids->ids, n, &n) == SOTTO_OK;
    if (!ok) fputs("sotto: out of memory\n", stderr);
    if (ok) *ids->ends = n;
    ids->n_texts = ok ? 1 : 0;
  }
  text_free(&input);
  return ok;
}

static bool run_chunk(const language *l, const int32_t *ids, size_t n) {
  const sotto_session_options options = {.n_ctx = (int32_t)n, .n_batch = BATCH};
  sotto_session *s = NULL;
  bool ok = sotto_session_open(&s, l->model, &options) == SOTTO_OK && sotto_session_sync(s, ids, n) == SOTTO_OK;
  sotto_status status = SOTTO_AGAIN;
  while (ok && status == SOTTO_AGAIN && !process_interrupted()) ok = (status = sotto_session_step(s)) >= 0;
  sotto_session_close(s);
  return ok ? status == SOTTO_DONE : language_complain(l);
}

static bool run_all(const request *r, const language *l, const id_texts *ids) {
  terminal_progress progress = {0};
  const size_t total = ids->n_texts > 0 ? ids->ends[ids->n_texts - 1] : 0;
  size_t chunk = (size_t)r->chunk, at = 0;
  if (chunk > (size_t)l->info.n_text_ctx) chunk = (size_t)l->info.n_text_ctx;
  bool ok = true;
  for (size_t i = 0; i < ids->n_texts && ok; i++) {
    for (; at < ids->ends[i] && ok; at += chunk) {
      const size_t n = ids->ends[i] - at < chunk ? ids->ends[i] - at : chunk;
      ok = run_chunk(l, ids->ids + at, n);
      terminal_progress_show(&progress, "importances", (double)(at + n), (double)total);
    }
    at = ids->ends[i];
  }
  terminal_progress_hide(&progress);
  return ok;
}

static bool write_file(const request *r, const language *l, sotto_imatrix *x) {
  size_t n = 0;
  output out;
  if (sotto_imatrix_write(x, NULL, 0, &n) < 0 && n == 0) return language_complain(l);
  char *bytes = malloc(n);
  if (bytes == NULL || sotto_imatrix_write(x, bytes, n, &n) < 0) {
    free(bytes);
    fputs("sotto: out of memory\n", stderr);
    return false;
  }
  bool ok = output_open(&out, r->output);
  if (ok) {
    ok = output_write(&out, bytes, n) && output_commit(&out);
    const int code = errno;
    output_discard(&out);
    errno = code;
  }
  if (!ok) fprintf(stderr, "sotto: could not write %s: %s\n", r->output, strerror(errno));
  free(bytes);
  return ok;
}

static bool collect(const request *r, const language *l) {
  id_texts ids = {0};
  sotto_imatrix *x = NULL;
  bool ok = r->ids != NULL ? input_read_ids(&ids, r->ids) : tokenize(l, r->file, &ids);
  if (ok && sotto_imatrix_open(&x, l->model) < 0) ok = language_complain(l);
  ok = ok && run_all(r, l, &ids) && write_file(r, l, x);
  sotto_imatrix_close(x);
  id_texts_free(&ids);
  return ok;
}

static int read_request(request *r, char **argv) {
  enum { HELP = 1, INPUT, IDS, OUTPUT, CHUNK_SIZE };
  static const option_spec options[] = {
      LANGUAGE_MODEL_OPTION,         LANGUAGE_THREADS_OPTION,        {"file", 'f', true, INPUT}, {"ids", 0, true, IDS},
      {"output", 'o', true, OUTPUT}, {"chunk", 0, true, CHUNK_SIZE}, {"help", 'h', false, HELP}, {NULL, 0, false, 0}};
  args a = {.command = "imatrix ", .options = options, .argv = argv};
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool taken;
    if (!language_option(&r->language, &a, id, &taken)) return ARGS_WRONG;
    if (taken) continue;
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return ARGS_END;
      case INPUT:
        r->file = a.value;
        break;
      case IDS:
        r->ids = a.value;
        break;
      case OUTPUT:
        r->output = a.value;
        break;
      case CHUNK_SIZE:
        if (!args_integer(&a, 8, 1 << 20, &r->chunk)) return ARGS_WRONG;
        break;
      case ARGS_OPERAND:
        return args_wrong(&a, "unexpected argument '%s'", a.value);
      default:
        return ARGS_WRONG;
    }
  }
  if (r->language.model == NULL) return args_wrong(&a, "no model: give one with --model");
  if ((r->file == NULL) == (r->ids == NULL)) return args_wrong(&a, "give a text with --file, or ids with --ids");
  if (r->output == NULL || strcmp(r->output, "-") == 0)
    return args_wrong(&a, "no file to write: name one with --output");
  return 1;
}

int command_imatrix(char **argv) {
  request r = {.chunk = CHUNK};
  const int read = read_request(&r, argv);
  if (read != 1) return read == ARGS_END ? EXIT_DONE : EXIT_USAGE;
  process_catch_interrupts();
  language l = {0};
  const bool ok = language_open(&l, r.language.model, r.language.threads, false) && collect(&r, &l);
  language_close(&l);
  return process_interrupted() ? EXIT_INTERRUPTED : ok ? EXIT_DONE : EXIT_FAILED;
}
