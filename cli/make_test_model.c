/* sotto make-test-model: a Gemma or a Whisper (whisper_bin.c) of a true shape with random weights, for measuring speed and memory.
 *
 *     shape ─> config.json ─> gemma: the list of tensors ─┐
 *     seed ──> a pool of blocks of each tensor's type ────┴─> rows put together from blocks drawn at random ─> GGUF
 *
 * Weights have a variance of 1 / row length, so that activations keep the size that they have in trained models. */
#include <stdio.h>

#include "args.h"
#include "commands.h"
#include "gguf_file.h"
#include "whisper_bin.h"

static const char help[] =
    "Usage: sotto make-test-model --shape SHAPE -o FILE [OPTION]...\n"
    "Makes a model file with the sizes of a real model and random weights, for measuring: GGUF of a Gemma,\n"
    "ggml .bin of a Whisper. It writes nonsense.\n"
    "\n"
    "      --shape SHAPE  gemma3-270m, gemma3-1b, tiny,\n"
    "                     " WHISPER_SHAPE_NAMES "\n"
    GGUF_FILE_HELP("q4_0), mixed as in the files that people have")
    "      --seed N       other weights (default: 0)\n"
    "  -h, --help         this help\n";

typedef struct shape {
  const char *name;
  int n_layer, d_model, n_head, head_dim, d_ff, n_vocab, window, n_ctx;
} shape;

static const shape shapes[] = {
    {"gemma3-270m", 18, 640, 4, 256, 2048, 262144, 512, 32768},
    {"gemma3-1b", 26, 1152, 4, 256, 6912, 262144, 512, 32768},
    {"tiny", 6, 256, 4, 64, 512, 1024, 64, 2048},
};

static const shape *find_shape(const char *name) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (strcmp(shapes[i].name, name) == 0) return &shapes[i];
  return NULL;
}

static sotto_status read_shape(gemma *g, const shape *s, error *err) {
  char config[1024];
  const int n =
      snprintf(config, sizeof config,
               "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":%d,\"hidden_size\":%d,"
               "\"num_attention_heads\":%d,\"num_key_value_heads\":1,\"head_dim\":%d,"
               "\"query_pre_attn_scalar\":%d,\"intermediate_size\":%d,\"vocab_size\":%d,"
               "\"sliding_window\":%d,\"max_position_embeddings\":%d}",
               s->n_layer, s->d_model, s->n_head, s->head_dim, s->head_dim, s->d_ff, s->n_vocab, s->window, s->n_ctx);
  TRY(gemma_file(g, "config.json", err));
  TRY(gemma_feed(g, config, (size_t)n, err));
  return gemma_file(g, "end.json", err); /* ends the file before it */
}

/* ---- vocabulary: special tokens and bytes where Gemma 3 has them, the rest without meaning ---- */

static sotto_status make_vocab(spm_vocab *v, int32_t n, error *err) {
  enum { START_OF_TURN = 105, END_OF_TURN = 106, FIRST_BYTE = 238 };
  static const char *const first[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
  for (int32_t i = 0; i < n; i++) {
    char text[32];
    int32_t type = SPM_NORMAL;
    if (i < 4 || i == START_OF_TURN || i == END_OF_TURN) {
      const char *name = i < 4 ? first[i] : i == START_OF_TURN ? "<start_of_turn>" : "<end_of_turn>";
      snprintf(text, sizeof text, "%s", name);
      type = i == 3 ? SPM_UNKNOWN : SPM_CONTROL;
    } else if (i >= FIRST_BYTE && i < FIRST_BYTE + 256) {
      snprintf(text, sizeof text, "<0x%02X>", (unsigned)(i - FIRST_BYTE));
      type = SPM_BYTE;
    } else {
      snprintf(text, sizeof text, "\xe2\x96\x81t%d", (int)i);
    }
    TRY(spm_vocab_add(v, text, strlen(text), -(float)i, type, err));
  }
  spm_vocab_set(v, &(spm_settings){.pad = 0, .eos = 1, .bos = 2, .unk = 3, .add_bos = true});
  return spm_vocab_seal(v, err);
}

/* ---- weights ---- */

static sotto_status read_rows(void *context, const gemma_slot *s, uint32_t type, int32_t first, int32_t n, uint8_t *out,
                              error *err) {
  const size_t in = (size_t)s->in;
  (void)first, (void)err;
  if (s->vector != NULL)
    noise_rows(context, s, type, in, 1.0f, 0.1f, (size_t)n, out);
  else
    noise_rows(context, s, type, in, 0.0f, noise_limit(in), (size_t)n, out);
  return SOTTO_OK;
}

static sotto_status make(gemma *g, spm_vocab *v, noise *z, const shape *s, const recipe *r, const char *path,
                         error *err) {
  char name[64];
  snprintf(name, sizeof name, "random weights, shape %s", s->name);
  TRY(read_shape(g, s, err));
  TRY(make_vocab(v, s->n_vocab, err));
  const gemma_gguf file = {.model = g, .vocab = v, .name = name, .recipe = r};
  const gemma_rows rows = {z, read_rows};
  return gguf_file_write(path, &file, &rows, err);
}

static sotto_status make_gemma(const shape *s, noise *z, const gguf_file_options *o, error *err) {
  gemma *g = gemma_open(NULL); /* no weights are loaded, so no backend is needed */
  spm_vocab *v = spm_vocab_open();
  const sotto_status status =
      g == NULL || v == NULL ? fail(err, SOTTO_ERR_MEMORY, "out of memory") : make(g, v, z, s, o->recipe, o->path, err);
  spm_vocab_close(v);
  gemma_close(g);
  return status;
}

/* One of the two shapes is NULL. */
static int make_file(const shape *of_gemma, const whisper_shape *of_whisper, uint64_t seed,
                     const gguf_file_options *o) {
  error err = {""};
  noise *z = noise_open(seed);
  sotto_status status;
  if (z == NULL)
    status = fail(&err, SOTTO_ERR_MEMORY, "out of memory");
  else if (of_gemma != NULL)
    status = make_gemma(of_gemma, z, o, &err);
  else
    status = whisper_bin_write(o->path, of_whisper, o->recipe, z, &err);
  if (status < 0) fprintf(stderr, "sotto: %s: %s\n", o->path, err.text);
  noise_close(z);
  return status < 0 ? EXIT_FAILED : EXIT_DONE;
}

int command_make_test_model(char **argv) {
  enum { HELP = 1, SHAPE, SEED };
  static const option_spec options[] = {GGUF_FILE_OPTIONS,
                                        {"shape", 0, true, SHAPE},
                                        {"seed", 0, true, SEED},
                                        {"help", 'h', false, HELP},
                                        {NULL, 0, false, 0}};
  args a = {.command = "make-test-model ", .options = options, .argv = argv};
  gguf_file_options o = {.recipe = recipe_find("q4_0")};
  const shape *of_gemma = NULL;
  const whisper_shape *of_whisper = NULL;
  int64_t seed = 0;
  for (int id; (id = args_next(&a)) != ARGS_END;) {
    bool taken;
    if (id == ARGS_WRONG || !gguf_file_option(&o, &a, id, &taken)) return EXIT_USAGE;
    if (taken) continue;
    switch (id) {
      case HELP:
        fputs(help, stdout);
        return EXIT_DONE;
      case SHAPE:
        of_gemma = find_shape(a.value);
        of_whisper = whisper_shape_find(a.value);
        if (of_gemma == NULL && of_whisper == NULL) {
          args_wrong(&a, "unknown shape '%s': gemma3-270m, gemma3-1b, tiny, " WHISPER_SHAPE_NAMES, a.value);
          return EXIT_USAGE;
        }
        break;
      case SEED:
        if (!args_integer(&a, 0, INT64_MAX, &seed)) return EXIT_USAGE;
        break;
      default:
        args_wrong(&a, "unexpected argument '%s'", a.value);
        return EXIT_USAGE;
    }
  }
  const bool shaped = of_gemma != NULL || of_whisper != NULL;
  if (!shaped || o.path == NULL) {
    args_wrong(&a, shaped ? "no output: name the file with --output" : "no shape was given");
    return EXIT_USAGE;
  }
  return make_file(of_gemma, of_whisper, (uint64_t)seed, &o);
}
