/* sotto info: describes model files without loading them. Language models: see info_language.c; for Whisper's,
 *
 *     file, mapped ─> ggml_bin reader ─> header, tokens, a line of a table for each tensor type
 *
 * The reader hands tensor data on without touching them, so the weights are not even read from the disk. */
#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../include/sotto.h"
#include "../src/formats/ggml_bin.h"
#include "args.h"
#include "commands.h"
#include "info_language.h"
#include "json.h"

typedef struct summary {
  ggml_bin_header header;
  int32_t n_tokens; /* stored in the file */
  tensor_tally tally;
} summary;

static sotto_status on_header(void *context, const ggml_bin_header *header, error *err) {
  (void)err;
  ((summary *)context)->header = *header;
  return SOTTO_OK;
}

static sotto_status on_filters(void *context, const float *filters, int32_t n_mel, int32_t n_fft, error *err) {
  (void)context, (void)filters, (void)n_mel, (void)n_fft, (void)err;
  return SOTTO_OK;
}

static sotto_status on_token(void *context, int32_t id, const char *bytes, uint32_t size, error *err) {
  (void)id, (void)bytes, (void)size, (void)err;
  ((summary *)context)->n_tokens++;
  return SOTTO_OK;
}

static sotto_status on_vocabulary_end(void *context, int32_t n_tokens, error *err) {
  (void)context, (void)n_tokens, (void)err;
  return SOTTO_OK;
}

static sotto_status on_tensor(void *context, const ggml_bin_tensor *t, error *err) {
  (void)err;
  tensor_tally_add(&((summary *)context)->tally, t->name, t->type, t->rank, t->dims, t->bytes);
  return SOTTO_OK;
}

static sotto_status on_data(void *context, const void *bytes, size_t size, error *err) {
  (void)context, (void)bytes, (void)size, (void)err;
  return SOTTO_OK;
}

static sotto_status on_tensor_end(void *context, error *err) {
  (void)context, (void)err;
  return SOTTO_OK;
}

static bool summarize(summary *s, const void *bytes, size_t size, error *err) {
  const ggml_bin_sink sink = {s, on_header, on_filters, on_token, on_vocabulary_end, on_tensor, on_data, on_tensor_end};
  ggml_bin *reader = ggml_bin_open(&sink);
  if (reader == NULL) {
    fail(err, SOTTO_ERR_MEMORY, "out of memory");
    return false;
  }
  bool ok = ggml_bin_feed(reader, bytes, size, err) >= 0 && ggml_bin_finish(reader, err) >= 0;
  ggml_bin_close(reader);
  if (ok && s->tally.n_tensors == 0) {
    fail(err, SOTTO_ERR_FORMAT, "the file ends before the first weight: it was cut off, fetch it again");
    ok = false;
  }
  return ok;
}

/* The engine knows the names of shapes: it gets the header alone. */
static bool describe(sotto_model_info *info, const void *bytes, size_t size, error *err) {
  const sotto_engine_options one = {.n_threads = 1};
  sotto_engine *engine = NULL;
  sotto_model *model = NULL;
  bool ok = sotto_engine_open(&engine, &one) == SOTTO_OK && sotto_model_open(&model, engine) == SOTTO_OK;
  if (!ok) fail(err, SOTTO_ERR_MEMORY, "out of memory");
  size_t fed = 0;
  while (ok && info->architecture == NULL && fed < size) {
    size_t n = min_size(size - fed, 64);
    if (sotto_model_feed(model, (const char *)bytes + fed, n) < 0) {
      fail(err, SOTTO_ERR_FORMAT, "%s", sotto_engine_error(engine));
      ok = false;
    }
    fed += n;
    sotto_model_describe(model, info);
  }
  /* architecture and name are constants of the library and outlive the model */
  sotto_model_close(model);
  sotto_engine_close(engine);
  return ok;
}

/* ---- printing ---- */

static int32_t n_languages(const sotto_model_info *info) {
  return info->multilingual ? info->n_vocab - 51766 : 0; /* each is a token beside these */
}

static void put_text(const char *path, const sotto_model_info *m, const summary *s, double file_bytes, text *out) {
  text_string(out, path);
  text_format(out, ": %s %s\n", m->architecture, m->name);
  text_format(out, "  languages    %d%s\n", m->multilingual ? (int)n_languages(m) : 1,
              m->multilingual ? ", and translation into English" : " (English)");
  text_format(out, "  parameters   %.1f M\n", (double)s->tally.n_parameters / 1e6);
  text_format(out, "  vocabulary   %d tokens\n", (int)m->n_vocab);
  text_format(out, "  audio        %d layers, %d heads, width %d, %d mel bands, context %d\n", (int)m->n_audio_layer,
              (int)m->n_audio_head, (int)m->n_audio_state, (int)m->n_mel, (int)m->n_audio_ctx);
  text_format(out, "  text         %d layers, %d heads, width %d, context %d\n", (int)m->n_text_layer,
              (int)m->n_text_head, (int)m->n_text_state, (int)m->n_text_ctx);
  text_format(out, "  weights      %d tensors, %.1f MB in a file of %.1f MB\n", (int)s->tally.n_tensors,
              (double)s->tally.bytes / 1e6, file_bytes / 1e6);
  tensor_tally_lines(&s->tally, out);
}

static void put_json(const char *path, const sotto_model_info *m, const summary *s, double file_bytes, text *out) {
  const struct {
    const char *name;
    double value;
  } numbers[] = {
      {"n_vocab", m->n_vocab},
      {"n_mel", m->n_mel},
      {"n_audio_ctx", m->n_audio_ctx},
      {"n_audio_state", m->n_audio_state},
      {"n_audio_head", m->n_audio_head},
      {"n_audio_layer", m->n_audio_layer},
      {"n_text_ctx", m->n_text_ctx},
      {"n_text_state", m->n_text_state},
      {"n_text_head", m->n_text_head},
      {"n_text_layer", m->n_text_layer},
      {"n_tensors", (double)s->tally.n_tensors},
      {"n_parameters", (double)s->tally.n_parameters},
      {"weight_bytes", (double)s->tally.bytes},
      {"file_bytes", file_bytes},
  };
  text_string(out, "{\"file\":");
  json_string(out, path, strlen(path));
  text_format(out, ",\"architecture\":\"%s\",\"name\":\"%s\",\"multilingual\":%s", m->architecture, m->name,
              m->multilingual ? "true" : "false");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(out, ",\"%s\":", numbers[i].name);
    json_number(out, numbers[i].value, 1);
  }
  text_string(out, ",\"languages\":[");
  const char *code;
  for (int32_t i = 0; m->multilingual ? i < n_languages(m) && sotto_language(i, &code, NULL) : i < 1; i++) {
    text_format(out, "%s\"%s\"", i > 0 ? "," : "", m->multilingual ? code : "en");
  }
  text_string(out, "]");
  tensor_tally_json(&s->tally, out);
  text_string(out, "}\n");
}

/* ---- the command ---- */

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool describe_whisper(const char *path, const mapped_file *f, const info_request *r, text *out, error *err) {
  summary s = {.tally = {.each = r->tensors, .as_json = r->json}};
  sotto_model_info info = {0};
  const bool ok = summarize(&s, f->bytes, f->size, err) && describe(&info, f->bytes, f->size, err);
  if (ok) (r->json ? put_json : put_text)(path, &info, &s, (double)f->size, out);
  tensor_tally_free(&s.tally);
  return ok;
}

static bool whisper_about(const mapped_file *f, model_about *about, error *err) {
  summary s = {.tally = {.each = false}};
  sotto_model_info info = {0};
  const bool ok = summarize(&s, f->bytes, f->size, err) && describe(&info, f->bytes, f->size, err);
  *about = (model_about){.weights = dtype_name(tensor_tally_most(&s.tally))};
  if (ok) {
    snprintf(about->kind, sizeof about->kind, "%s", info.architecture);
    snprintf(about->name, sizeof about->name, "Whisper %s", info.name);
    about->n_languages = info.multilingual ? n_languages(&info) : 1;
  }
  tensor_tally_free(&s.tally);
  return ok;
}

bool info_about(const char *path, model_about *about, error *err) {
  mapped_file f;
  if (is_folder(path)) return info_language_about(path, NULL, about, err);
  if (!mapped_file_open(&f, path, err)) return false;
  const bool ok = info_is_language(&f) ? info_language_about(path, &f, about, err) : whisper_about(&f, about, err);
  mapped_file_close(&f);
  return ok;
}

static bool describe_file(const char *path, const info_request *r) {
  error err = {.text = ""};
  mapped_file f = {NULL, 0};
  text out = {0};
  bool ok = false;
  if (is_folder(path)) {
    ok = info_language_folder(path, r, &out, &err);
  } else if (mapped_file_open(&f, path, &err)) {
    ok = (info_is_language(&f) ? info_language_file : describe_whisper)(path, &f, r, &out, &err);
    mapped_file_close(&f);
  }
  if (ok && out.failed) ok = fail(&err, SOTTO_ERR_MEMORY, "out of memory") == SOTTO_OK;
  if (ok)
    fwrite(out.data, 1, out.size, stdout);
  else
    fprintf(stderr, "sotto: %s: %s\n", path, err.text);
  text_free(&out);
  return ok;
}

static const char help[] =
    "Usage: sotto info [OPTION]... MODEL...\n"
    "Describes models without loading them: architecture, sizes, languages or tokenizer, types of the\n"
    "weights, memory that contexts need.\n"
    "MODEL is a Whisper model (ggml-*.bin), a GGUF or safetensors file (of a split GGUF model, any part),\n"
    "or a folder as on Hugging Face.\n"
    "\n"
    "      --tensors     each tensor: type, shape, size, name\n"
    "      --metadata    all that a language model's file or config.json says\n"
    "      --ctx N       memory that a context of N tokens needs (default: of 2048, 8192, and what the\n"
    "                    model was trained for)\n"
    "      --json        one line of JSON a model\n"
    "  -h, --help        this help\n"
    "\n"
    "Exit status: 0 done, 1 a file could not be read as a model, 2 wrong usage.\n";

int command_info(char **argv) {
  enum { HELP = 1, TENSORS, METADATA, CONTEXT, JSON };
  static const option_spec options[] = {{"help", 'h', false, HELP},       {"tensors", 0, false, TENSORS},
                                        {"metadata", 0, false, METADATA}, {"ctx", 0, true, CONTEXT},
                                        {"json", 0, false, JSON},         {NULL, 0, false, 0}};
  args a = {.command = "info ", .options = options, .argv = argv};
  info_request r = {.json = false};
  int n_files = 0;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    int64_t n;
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return EXIT_DONE;
      case TENSORS:
        r.tensors = true;
        break;
      case METADATA:
        r.metadata = true;
        break;
      case CONTEXT:
        if (!args_integer(&a, 1, 1 << 24, &n)) return EXIT_USAGE;
        r.n_ctx = (int32_t)n;
        break;
      case JSON:
        r.json = true;
        break;
      case ARGS_OPERAND:
        argv[n_files++] = (char *)a.value; /* operands are gathered at the front */
        break;
      default:
        return EXIT_USAGE;
    }
  }
  if (n_files == 0) {
    args_wrong(&a, "no model file was given");
    return EXIT_USAGE;
  }
  int status = EXIT_DONE;
  for (int i = 0; i < n_files; i++) {
    if (!describe_file(argv[i], &r)) status = EXIT_FAILED;
  }
  if (fflush(stdout) != 0) status = EXIT_FAILED;
  return status;
}
