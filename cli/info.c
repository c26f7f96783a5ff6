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
  int32_t n_tensors;
  uint64_t n_parameters, tensor_bytes;
  struct {
    int32_t n_tensors;
    uint64_t bytes;
  } types[DTYPE_COUNT];
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
  summary *s = context;
  uint64_t n = 1;
  for (int32_t i = 0; i < t->rank; i++) n *= (uint64_t)t->dims[i];
  s->n_tensors++;
  s->n_parameters += n;
  s->tensor_bytes += t->bytes;
  s->types[t->type].n_tensors++; /* the reader lets known types through alone */
  s->types[t->type].bytes += t->bytes;
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
  if (ok && s->n_tensors == 0) {
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

static void print_text(const char *path, const sotto_model_info *m, const summary *s, double file_bytes) {
  printf("%s: %s %s\n", path, m->architecture, m->name);
  printf("  languages    %d%s\n", m->multilingual ? (int)n_languages(m) : 1,
         m->multilingual ? ", and translation into English" : " (English)");
  printf("  parameters   %.1f M\n", (double)s->n_parameters / 1e6);
  printf("  vocabulary   %d tokens\n", (int)m->n_vocab);
  printf("  audio        %d layers, %d heads, width %d, %d mel bands, context %d\n", (int)m->n_audio_layer,
         (int)m->n_audio_head, (int)m->n_audio_state, (int)m->n_mel, (int)m->n_audio_ctx);
  printf("  text         %d layers, %d heads, width %d, context %d\n", (int)m->n_text_layer, (int)m->n_text_head,
         (int)m->n_text_state, (int)m->n_text_ctx);
  printf("  weights      %d tensors, %.1f MB in a file of %.1f MB\n", (int)s->n_tensors, (double)s->tensor_bytes / 1e6,
         file_bytes / 1e6);
  for (int i = 0; i < DTYPE_COUNT; i++) {
    if (s->types[i].n_tensors == 0) continue;
    printf("    %-6s     %4d tensors, %9.3f MB\n", dtype_name((uint32_t)i), (int)s->types[i].n_tensors,
           (double)s->types[i].bytes / 1e6);
  }
}

static void print_json(const char *path, const sotto_model_info *m, const summary *s, double file_bytes) {
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
      {"n_tensors", s->n_tensors},
      {"n_parameters", (double)s->n_parameters},
      {"weight_bytes", (double)s->tensor_bytes},
      {"file_bytes", file_bytes},
  };
  text out = {0};
  text_string(&out, "{\"file\":");
  json_string(&out, path, strlen(path));
  text_format(&out, ",\"architecture\":\"%s\",\"name\":\"%s\",\"multilingual\":%s", m->architecture, m->name,
              m->multilingual ? "true" : "false");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    text_format(&out, ",\"%s\":", numbers[i].name);
    json_number(&out, numbers[i].value, 1);
  }
  text_string(&out, ",\"languages\":[");
  const char *code;
  for (int32_t i = 0; m->multilingual ? i < n_languages(m) && sotto_language(i, &code, NULL) : i < 1; i++) {
    text_format(&out, "%s\"%s\"", i > 0 ? "," : "", m->multilingual ? code : "en");
  }
  text_string(&out, "],\"types\":[");
  bool first = true;
  for (int i = 0; i < DTYPE_COUNT; i++) {
    if (s->types[i].n_tensors == 0) continue;
    text_format(&out, "%s{\"type\":\"%s\",\"n_tensors\":%d,\"bytes\":%llu}", first ? "" : ",", dtype_name((uint32_t)i),
                (int)s->types[i].n_tensors, (unsigned long long)s->types[i].bytes);
    first = false;
  }
  text_string(&out, "]}\n");
  fwrite(out.data, 1, out.size, stdout);
  text_free(&out);
}

/* ---- the command ---- */

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool describe_file(const char *path, bool json) {
  error err = {.text = ""};
  mapped_file f = {NULL, 0};
  bool ok = false;
  if (is_folder(path)) {
    ok = info_language_folder(path, json, &err);
  } else if (mapped_file_open(&f, path, &err)) {
    if (info_is_language(&f)) {
      ok = info_language_file(path, &f, json, &err);
    } else {
      summary s = {0};
      sotto_model_info info = {0};
      ok = summarize(&s, f.bytes, f.size, &err) && describe(&info, f.bytes, f.size, &err);
      if (ok) (json ? print_json : print_text)(path, &info, &s, (double)f.size);
    }
    mapped_file_close(&f);
  }
  if (!ok) fprintf(stderr, "sotto: %s: %s\n", path, err.text);
  return ok;
}

static const char help[] =
    "Usage: sotto info [--json] MODEL...\n"
    "Describes models: architecture, sizes, languages or tokenizer, and types of the weights.\n"
    "MODEL is a Whisper model (ggml-*.bin), a GGUF or safetensors file, or a folder as on Hugging Face.\n"
    "\n"
    "      --json    one line of JSON a file\n"
    "  -h, --help    this help\n"
    "\n"
    "Exit status: 0 done, 1 a file could not be read as a model, 2 wrong usage.\n";

int command_info(char **argv) {
  enum { HELP = 1, JSON };
  static const option_spec options[] = {{"help", 'h', false, HELP}, {"json", 0, false, JSON}, {NULL, 0, false, 0}};
  args a = {.command = "info ", .options = options, .argv = argv};
  bool json = false;
  int n_files = 0;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    if (id == ARGS_WRONG) return EXIT_USAGE;
    if (id == HELP) {
      fputs(help, stdout);
      return EXIT_DONE;
    }
    if (id == JSON)
      json = true;
    else
      argv[n_files++] = (char *)a.value; /* operands are gathered at the front */
  }
  if (n_files == 0) {
    args_wrong(&a, "no model file was given");
    return EXIT_USAGE;
  }
  int status = EXIT_DONE;
  for (int i = 0; i < n_files; i++) {
    if (!describe_file(argv[i], json)) status = EXIT_FAILED;
  }
  if (fflush(stdout) != 0) status = EXIT_FAILED;
  return status;
}
